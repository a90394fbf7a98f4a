/* SPDX-License-Identifier: ISC */
/* TLS 1.3 beside OpenSSL, in memory and in processor time: full and resumed handshakes, both sides
 * and the server's alone, and bulk through one engine to another. Each pair of figures is measured
 * in turns. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tarn/tls_session.h>

#include "rig.h"

#define ROUNDS 5
#define HANDSHAKES 200
#define BULK_RECORDS 2000
#define RECORD 16384

static struct rig rig;
static SSL_CTX *server_ctx, *client_ctx;
static SSL_SESSION *session;
static struct tarn_tls_tickets tickets;
static uint64_t tickets_used[16];
static struct tarn_tls_session slots[4];
static struct tarn_tls_session_cache sessions;
static uint8_t wire[1 << 17], text[RECORD];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* -- Tarn -- */

/* Seconds of the server in one handshake; *both: of both sides. */
static double tarn_handshake(double *both) {
    double server = 0, start = now();
    rig_start(&rig, 1 + (uint64_t)(start * 1e6));
    for (int turn = 0; turn < 2; turn++) {
        size_t n = rig_take(&rig.client, wire, sizeof wire);
        double t = now();
        rig_feed(&rig.server, wire, n, 1 << 20);
        n = rig_take(&rig.server, wire, sizeof wire);
        server += now() - t;
        rig_feed(&rig.client, wire, n, 1 << 20);
    }
    if (!rig_connected(&rig.server) || !rig_connected(&rig.client))
        abort();
    *both = now() - start;
    return server;
}

static double tarn_bulk(uint32_t suite, double *recv) {
    double send = 0, both;
    rig.client.config.suites_off = ~(1u << suite);
    tarn_handshake(&both);
    *recv = 0;
    for (int i = 0; i < BULK_RECORDS; i++) {
        double t = now();
        struct tarn_bytes w = tarn_tls_write_window(&rig.client.tls);
        tarn_tls_write_done(&rig.client.tls, tarn_bytes_copy(w, TARN_SPAN_ARRAY(text)));
        tarn_tls_flush(&rig.client.tls);
        size_t n = rig_take(&rig.client, wire, sizeof wire);
        double u = now();
        send += u - t;
        rig_feed(&rig.server, wire, n, 1 << 20);
        tarn_tls_read_done(&rig.server.tls, tarn_tls_read_window(&rig.server.tls).len);
        *recv += now() - u;
    }
    rig.client.config.suites_off = 0;
    return send;
}

/* -- OpenSSL, over memory BIOs -- */

struct pair {
    SSL *client, *server;
};

static void move(SSL *from, SSL *to) {
    int n;
    while ((n = BIO_read(SSL_get_wbio(from), wire, sizeof wire)) > 0)
        BIO_write(SSL_get_rbio(to), wire, n);
}

/* A new ticket replaces the one that was used. */
static int keep_session(SSL *ssl, SSL_SESSION *s) {
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static struct pair openssl_pair(void) {
    struct pair p = {SSL_new(client_ctx), SSL_new(server_ctx)};
    if (session)
        SSL_set_session(p.client, session);
    SSL_set_bio(p.client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_bio(p.server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(p.client);
    SSL_set_accept_state(p.server);
    SSL_set1_host(p.client, "www.example.com");
    SSL_set_tlsext_host_name(p.client, "www.example.com");
    return p;
}

static void openssl_free(struct pair p) {
    /* Or the session would not be taken up again. */
    SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(p.client);
    SSL_free(p.server);
}

static struct pair openssl_connect(double *server, double *both) {
    double start = now(), t;
    struct pair p = openssl_pair();
    *server = 0;
    for (int turn = 0; turn < 2; turn++) {
        SSL_do_handshake(p.client);
        move(p.client, p.server);
        t = now();
        SSL_do_handshake(p.server);
        *server += now() - t;
        move(p.server, p.client);
    }
    if (session) { /* and the next ticket */
        uint8_t byte;
        (void)SSL_read(p.client, &byte, 1);
        if (!SSL_session_reused(p.server))
            abort();
    }
    *both = now() - start;
    if (!SSL_is_init_finished(p.client) || !SSL_is_init_finished(p.server))
        abort();
    return p;
}

static double openssl_bulk(const char *suite, double *recv) {
    double send = 0, s, b;
    SSL_CTX_set_ciphersuites(client_ctx, suite);
    struct pair p = openssl_connect(&s, &b);
    *recv = 0;
    for (int i = 0; i < BULK_RECORDS; i++) {
        double t = now();
        if (SSL_write(p.client, text, RECORD) != RECORD)
            abort();
        double u = now();
        send += u - t;
        move(p.client, p.server);
        u = now();
        if (SSL_read(p.server, text, RECORD) != RECORD)
            abort();
        *recv += now() - u;
    }
    openssl_free(p);
    return send;
}

static X509 *certificate(struct tarn_span der) {
    const uint8_t *at = der.ptr;
    return d2i_X509(NULL, &at, (long)der.len);
}

static void openssl_init(void) {
    uint8_t mem[400];
    struct tarn_der_writer w = tarn_der_writer_over(TARN_BYTES_ARRAY(mem));
    X509_VERIFY_PARAM *param;
    if (tarn_private_key_put(&w, &rig.key))
        abort();
    struct tarn_span der = tarn_der_written(&w);
    const uint8_t *at = der.ptr;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)der.len);
    server_ctx = SSL_CTX_new(TLS_server_method());
    client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate(server_ctx, certificate(rig.chain[0]));
    SSL_CTX_use_PrivateKey(server_ctx, key);
    SSL_CTX_set_num_tickets(server_ctx, 0);
    SSL_CTX_set_min_proto_version(client_ctx, TLS1_3_VERSION);
    SSL_CTX_set1_groups_list(client_ctx, "X25519");
    SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), certificate(rig.ca.whole));
    param = SSL_CTX_get0_param(client_ctx);
    X509_VERIFY_PARAM_set_time(param, RIG_NOW);
}

static void handshakes(const char *what) {
    double tarn[2] = {0}, theirs[2] = {0}, server, both;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < HANDSHAKES / ROUNDS; i++) {
            tarn[0] += tarn_handshake(&both);
            tarn[1] += both;
        }
        for (int i = 0; i < HANDSHAKES / ROUNDS; i++) {
            openssl_free(openssl_connect(&server, &both));
            theirs[0] += server;
            theirs[1] += both;
        }
    }
    printf("%s, server: Tarn %.0f us, OpenSSL %.0f us, %.2fx\n", what, tarn[0] / HANDSHAKES * 1e6,
           theirs[0] / HANDSHAKES * 1e6, theirs[0] / tarn[0]);
    printf("... both sides: Tarn %.0f us, OpenSSL %.0f us, %.2fx\n", tarn[1] / HANDSHAKES * 1e6,
           theirs[1] / HANDSHAKES * 1e6, theirs[1] / tarn[1]);
}

/* Both sides come back with tickets, a fresh key exchange beside them. */
static void resumed(void) {
    double server, both;
    uint8_t byte;
    tarn_tls_tickets_init(&tickets, tickets_used, TARN_COUNT_OF(tickets_used), 100);
    tarn_tls_session_cache_init(&sessions, slots, TARN_COUNT_OF(slots));
    rig.server.config.tickets = &tickets;
    rig.client.config.sessions = &sessions.sessions;
    tarn_handshake(&both);
    size_t n = rig_take(&rig.server, wire, sizeof wire);
    rig_feed(&rig.client, wire, n, 1 << 20);
    SSL_CTX_set_num_tickets(server_ctx, 1);
    SSL_CTX_set_session_cache_mode(client_ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(client_ctx, keep_session);
    struct pair p = openssl_connect(&server, &both);
    move(p.server, p.client);
    (void)SSL_read(p.client, &byte, 1);
    openssl_free(p);
    handshakes("resumed handshake, X25519");
    if (!tarn_tls_resumed(&rig.server.tls) || !session)
        abort();
    rig.server.config.tickets = NULL;
    rig.client.config.sessions = NULL;
    SSL_CTX_set_num_tickets(server_ctx, 0);
    SSL_CTX_sess_set_new_cb(client_ctx, NULL);
    SSL_SESSION_free(session);
    session = NULL;
}

static void bulk(const char *name, uint32_t suite) {
    double t_send = 0, t_recv = 0, o_send = 0, o_recv = 0, r;
    double mb = (double)ROUNDS * BULK_RECORDS * RECORD / 1e6;
    for (int round = 0; round < ROUNDS; round++) {
        t_send += tarn_bulk(suite, &r);
        t_recv += r;
        o_send += openssl_bulk(name, &r);
        o_recv += r;
    }
    printf("%s, send: Tarn %.0f MB/s, OpenSSL %.0f MB/s, %.2fx\n", name, mb / t_send, mb / o_send,
           o_send / t_send);
    printf("%s, receive: Tarn %.0f MB/s, OpenSSL %.0f MB/s, %.2fx\n", name, mb / t_recv,
           mb / o_recv, o_recv / t_recv);
}

int main(void) {
    rig_init(&rig, 1);
    rig.client.config.groups_off = 1u << TARN_TLS_X25519MLKEM768; /* OpenSSL 3.0 has it not */
    openssl_init();
    handshakes("full handshake, ECDSA P-256, X25519");
    resumed();
    bulk("TLS_AES_128_GCM_SHA256", TARN_TLS_AES128_GCM);
    bulk("TLS_CHACHA20_POLY1305_SHA256", TARN_TLS_CHACHA20_POLY1305);
    printf("memory of a connection: engine %zu bytes, records %d bytes, a message %d bytes\n",
           sizeof(struct tarn_tls), 2 * TARN_TLS_RECORD_BYTES_MAX, TARN_TLS_MESSAGE_BYTES_MAX);
    return 0;
}
