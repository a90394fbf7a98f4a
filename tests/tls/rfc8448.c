/* SPDX-License-Identifier: ISC */
/* The traces of RFC 8448, replayed from their keys in both roles. Hellos are the trace's, put in
 * the place of the engine's own together with the private keys and the transcript; all that follows
 * is the engine's, and each record must be the trace's, byte for byte.
 *
 * usage: rfc8448 FILE */
#include "../../lib/tls/src/internal.h"
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct step {
    char what[8], name[16]; /* client, server: a record; key, secret: which */
    size_t len;
    uint8_t data[1100];
};
static struct step steps[40];
static size_t step_count, at;
static int passed, failed;
static char trace[80];

static struct rig rig;
static struct tarn_tls *t;
static struct tarn_tls_session slots[2];
static struct tarn_tls_session_cache cache;
static struct {
    char label[40];
    uint8_t secret[32];
} told[16];
static size_t told_count;
static uint8_t first_hello[700], retry[300], client_key[32];
static size_t first_hello_len, retry_len;
static const struct step *private_key;

static void check(bool ok, const char *what) {
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAIL: %s, %s: step %zu: %s\n", trace, t->config->server ? "server" : "client", at,
               what);
}

static void keylog(void *user, const char *label, struct tarn_span random,
                   struct tarn_span secret) {
    (void)user, (void)random;
    snprintf(told[told_count].label, sizeof told->label, "%s", label);
    memcpy(told[told_count++].secret, secret.ptr, 32);
}

static const uint8_t *secret_of(const char *label) {
    for (size_t i = told_count; i > 0; i--)
        if (!strcmp(told[i - 1].label, label))
            return told[i - 1].secret;
    return NULL;
}

static void check_secret(const struct step *s) {
    static const char *const labels[][2] = {{"c_hs_traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET"},
                                            {"s_hs_traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET"},
                                            {"c_ap_traffic", "CLIENT_TRAFFIC_SECRET_0"},
                                            {"s_ap_traffic", "SERVER_TRAFFIC_SECRET_0"},
                                            {"exp_master", "EXPORTER_SECRET"},
                                            {"c_e_traffic", "CLIENT_EARLY_TRAFFIC_SECRET"}};
    for (size_t i = 0; i < TARN_COUNT_OF(labels); i++)
        if (!strcmp(s->name, labels[i][0])) {
            const uint8_t *mine = secret_of(labels[i][1]);
            check(mine && !memcmp(mine, s->data, 32), s->name);
        }
}

static struct tarn_span body_of(const struct step *s) {
    return tarn_span_of(s->data + 5, s->len - 5);
}

static bool is_retry(const struct step *s) {
    return s->data[5] == MSG_SERVER_HELLO && !memcmp(s->data + 11, hello_retry_random, 32);
}

/* The transcript, with the trace's hellos so far. */
static void put_hello(const struct step *s) {
    if (first_hello_len == 0) {
        transcript_start(t);
        t->hash = NULL;
        first_hello_len = s->len - 5;
        memcpy(first_hello, s->data + 5, first_hello_len);
    } else {
        transcript_start(t);
        t->hash = &tarn_sha256;
        transcript_add(t, tarn_span_of(first_hello, first_hello_len));
        transcript_retry(t);
        transcript_add(t, tarn_span_of(retry, retry_len));
    }
    transcript_add(t, body_of(s));
    memcpy(t->client_random, s->data + 11, 32);
    t->session_id_len = s->data[43];
    memcpy(t->session_id, s->data + 44, t->session_id_len);
}

/* The binder at the end of a ClientHello with a ticket. */
static void check_binder(const struct step *s) {
    struct tarn_tls empty = *t;
    uint8_t hash[64], mac[48];
    struct tarn_span hello = body_of(s);
    transcript_start(&empty);
    struct tarn_span cut = tarn_span_first(hello, hello.len - 35);
    binder_mac(&tarn_sha256, t->psk, transcript_hash_with(&empty, &tarn_sha256, cut, hash), mac);
    check(!memcmp(mac, s->data + s->len - 32, 32), "the binder");
}

static size_t group_at(const struct step *key) {
    return strstr(key->name, "p256") ? TARN_TLS_P256 : TARN_TLS_X25519;
}

static const uint8_t *resumption(void) {
    for (size_t i = 0; i < step_count; i++)
        if (!strcmp(steps[i].name, "resumption"))
            return steps[i].data;
    return NULL;
}

/* The next record that the engine sends is this one. */
static void expect(const struct step *s) {
    struct tarn_span out = tarn_tls_send_window(t);
    bool same = out.len >= s->len && !memcmp(out.ptr, s->data, s->len);
    check(same, "another record");
    if (same)
        tarn_tls_send_done(t, s->len);
}

static void say(const struct step *s) {
    uint8_t text[50];
    for (uint8_t i = 0; i < sizeof text; i++)
        text[i] = i;
    if (s->len == 24) { /* the last alert */
        tarn_tls_close(t);
        return;
    }
    struct tarn_span what = s->len == 28 ? TARN_SPAN_LIT("ABCDEF") : TARN_SPAN_ARRAY(text);
    check(tarn_tls_write_window(t).len >= what.len, "no room to write");
    tarn_tls_write_done(t, tarn_bytes_copy(tarn_tls_write_window(t), what));
    tarn_tls_flush(t);
}

static void hear(const struct step *s) {
    struct tarn_span in = tarn_span_of(s->data, s->len);
    while (in.len > 0) {
        struct tarn_bytes w = tarn_tls_recv_window(t);
        size_t n = tarn_bytes_copy(w, in);
        if (n == 0)
            break;
        tarn_tls_recv_done(t, n);
        in = tarn_span_after(in, n);
    }
    check(in.len == 0 && t->alert == FINE + (t->peer_closed ? TARN_TLS_CLOSE_NOTIFY - FINE : 0),
          tarn_tls_alert_name(t->alert));
    struct tarn_bytes text = tarn_tls_read_window(t);
    if (s->data[0] == CONTENT_APP && s->len == 72 && text.len > 0)
        check(text.len == 50 && text.ptr[0] == 0 && text.ptr[49] == 49, "the text");
    else if (text.len > 0)
        check(tarn_span_equal(tarn_bytes_span(text), TARN_SPAN_LIT("ABCDEF")), "early data");
    tarn_tls_read_done(t, text.len);
}

/* Opens a record with a secret that the engine told; the length without the content type. */
static size_t open_record(const struct step *s, const char *label, uint8_t out[1100]) {
    struct tarn_tls_keys k = {.seq = 0};
    const uint8_t *secret = secret_of(label);
    uint8_t padded[48] = {0};
    size_t n = 0;
    if (!secret)
        return 0;
    memcpy(padded, secret, 32);
    keys_set(t, &k, padded);
    check(tarn_aead_open(&k.aead, TARN_SPAN_ARRAY(k.iv), tarn_span_of(s->data, 5), body_of(s),
                         tarn_bytes_of(out, 1100), &n)
              == TARN_OK,
          "a record does not open");
    return n ? n - 1 : 0;
}

/* -- as the client -- */

static void client_hello(const struct step *s) {
    size_t group = group_at(private_key);
    t->out_len = t->out_sent = 0;
    memcpy(t->own_secrets[group], private_key->data, 32);
    t->offered = (uint8_t)(1u << group);
    put_hello(s);
    t->compat_sent = t->session_id_len == 0;
    if (!resumption() || strstr(trace, "simple"))
        return;
    memcpy(t->psk, resumption(), 32);
    t->psk_offered = true;
    check_binder(s);
    t->tx.on = false;
    psk_start_early(t);
}

/* Certificate, CertificateVerify and Finished are one record in the trace and three of the
 * engine's: their texts must be the same. The signature is the trace's, which has salt in it. */
static void client_flight(const struct step *s) {
    static uint8_t theirs[1100], mine[3][1100];
    struct step record = {.len = 0};
    size_t len = open_record(s, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", theirs), used = 0;
    size_t message = 4 + (size_t)(theirs[2] << 8) + theirs[3];
    struct tarn_tls_keys k = {.seq = 0};
    uint8_t secret[48] = {0}, nonce[12];
    check(tarn_tls_state(t) & TARN_TLS_WANTS_SIGNATURE, "no signature is wanted");
    tarn_tls_sign_done(t, tarn_span_of(theirs + message + 8, 128));
    memcpy(secret, secret_of("CLIENT_HANDSHAKE_TRAFFIC_SECRET"), 32);
    keys_set(t, &k, secret);
    for (uint8_t i = 0; i < 3; i++) {
        struct tarn_span out = tarn_tls_send_window(t);
        size_t n = 5 + (size_t)(out.ptr[3] << 8) + out.ptr[4], got;
        memcpy(record.data, out.ptr, n);
        memcpy(nonce, k.iv, 12);
        nonce[11] ^= i;
        check(tarn_aead_open(&k.aead, TARN_SPAN_ARRAY(nonce), tarn_span_of(record.data, 5),
                             tarn_span_of(record.data + 5, n - 5), TARN_BYTES_ARRAY(mine[i]), &got)
                  == TARN_OK,
              "own record");
        check(used + got - 1 <= len && !memcmp(mine[i], theirs + used, got - 1), "another message");
        used += got - 1;
        tarn_tls_send_done(t, n);
    }
    check(used == len, "as much as in the trace");
}

static struct tarn_tls_identity identity;
static struct tarn_span identity_chain[1];

/* The client's certificate is in its encrypted flight, which its handshake's keys open; they are
 * known to the engine when the server's hello has been heard. */
static void client_certificate(void) {
    static uint8_t text[1100];
    for (size_t i = at; i < step_count; i++)
        if (!strcmp(steps[i].what, "client") && steps[i].len == 645) {
            open_record(&steps[i], "CLIENT_HANDSHAKE_TRAFFIC_SECRET", text);
            identity_chain[0] = tarn_span_of(text + 11, (size_t)(text[9] << 8) + text[10]);
            return;
        }
}

static void as_client(void) {
    static const uint8_t ticket[178] = {1};
    rig.client.config = (struct tarn_tls_config){.trust_anybody = true,
                                                 .identities = &identity,
                                                 .identity_count = 1,
                                                 .sessions = &cache.sessions,
                                                 .early_data = true,
                                                 .random = &rig.client.random.random,
                                                 .keylog = keylog};
    identity = (struct tarn_tls_identity){.chain = identity_chain, .chain_len = 1};
    tarn_tls_session_cache_init(&cache, slots, 2);
    if (resumption() && !strstr(trace, "simple")) {
        slots[0] = (struct tarn_tls_session){.expires = RIG_NOW + 1,
                                             .received = RIG_NOW,
                                             .early_bytes_max = 1024,
                                             .name_len = 6,
                                             .name = "server",
                                             .ticket_len = sizeof ticket};
        memcpy(slots[0].ticket, ticket, sizeof ticket);
    }
    t = &rig.client.tls;
    if (tarn_tls_init(t, &rig.client.config, TARN_BYTES_ARRAY(rig.client.memory),
                      TARN_SPAN_LIT("server"), RIG_NOW))
        abort();
    told_count = 0;
    for (at = 0; at < step_count; at++) {
        const struct step *s = &steps[at];
        if (!strcmp(s->what, "key") && !strncmp(s->name, "client", 6)) {
            private_key = s;
        } else if (!strcmp(s->what, "client") && s->data[0] == CONTENT_HANDSHAKE) {
            client_hello(s);
        } else if (!strcmp(s->what, "client") && s->len == 645) {
            client_flight(s);
        } else if (!strcmp(s->what, "client")) {
            if (t->out_len == 0)
                say(s);
            expect(s);
        } else if (!strcmp(s->what, "server")) {
            if (is_retry(s))
                memcpy(retry, s->data + 5, retry_len = s->len - 5);
            hear(s);
            client_certificate();
        }
    }
    check(t->peer_closed && t->closed, "it ends");
    if (strstr(trace, "simple"))
        check(slots[0].ticket_len == 178 && !memcmp(slots[0].psk, resumption(), 32)
                  && slots[0].early_bytes_max == 1024,
              "the ticket");
}

/* -- as the server -- */

static void agree(uint8_t shared[32], const struct step *server_key) {
    enum tarn_pk_type type = group_at(server_key) == TARN_TLS_P256 ? TARN_PK_P256 : TARN_PK_X25519;
    uint8_t point[65];
    struct tarn_bytes p = {point, tarn_pk_point_bytes(type)};
    if (tarn_pk_public(type, TARN_SPAN_ARRAY(client_key), p)
        || tarn_agree(type, tarn_span_of(server_key->data, 32), tarn_bytes_span(p),
                      tarn_bytes_of(shared, 32)))
        abort();
}

static void server_hello_put(const struct step *s) {
    uint8_t shared[32];
    if (is_retry(s)) {
        memcpy(retry, s->data + 5, retry_len = s->len - 5);
        return;
    }
    transcript_choose(t);
    bool early = t->early == TARN_TLS_EARLY_TAKEN;
    if (!early)
        schedule_start(t);
    transcript_add(t, body_of(s));
    agree(shared, private_key);
    schedule_handshake(t, TARN_SPAN_ARRAY(shared));
    keys_set(t, &t->tx, t->server_secret);
    memcpy(t->later_secret, t->client_secret, 48);
    if (!early)
        keys_set(t, &t->rx, t->client_secret);
}

/* What the trace's server said with the keys of now, said by the record layer. */
static void repeat(const struct step *s, uint8_t *text, size_t len, uint8_t type) {
    tarn_bytes_copy(message_room(t), tarn_span_of(text, len));
    check(record_put(t, type, len) == FINE, "no room");
    expect(s);
}

static void server_flight(const struct step *s) {
    static uint8_t text[1100];
    uint8_t mac[48];
    size_t len = open_record(s, "SERVER_HANDSHAKE_TRAFFIC_SECRET", text);
    transcript_add(t, tarn_span_of(text, len - 36));
    finished_mac(t, t->tx.secret, mac);
    check(!memcmp(mac, text + len - 32, 32), "Finished");
    transcript_add(t, tarn_span_of(text + len - 36, 36));
    repeat(s, text, len, CONTENT_HANDSHAKE);
    schedule_master(t);
    keys_set(t, &t->tx, t->server_secret);
    t->asked_for_cert = strstr(trace, "authentication") != NULL;
    t->phase = t->asked_for_cert                  ? WAIT_CERTIFICATE
               : t->early == TARN_TLS_EARLY_TAKEN ? WAIT_END_OF_EARLY_DATA
                                                  : WAIT_FINISHED;
}

static void hello_heard(const struct step *s) {
    put_hello(s);
    t->suite = TARN_TLS_AES128_GCM;
    if (!resumption() || strstr(trace, "simple"))
        return;
    memcpy(t->psk, resumption(), 32);
    check_binder(s);
    transcript_choose(t);
    t->early = TARN_TLS_EARLY_TAKEN;
    t->early_max = 1024;
    schedule_start(t);
    schedule_early(t, &t->rx);
    t->phase = WAIT_END_OF_EARLY_DATA;
}

static void as_server(void) {
    static uint8_t text[1100];
    bool flown = false;
    rig.server.config = (struct tarn_tls_config){.server = true,
                                                 .trust_anybody = true,
                                                 .client_auth = TARN_TLS_CLIENT_MUST,
                                                 .identities = &rig.identity,
                                                 .identity_count = 1,
                                                 .random = &rig.server.random.random,
                                                 .keylog = keylog};
    t = &rig.server.tls;
    if (tarn_tls_init(t, &rig.server.config, TARN_BYTES_ARRAY(rig.server.memory), TARN_SPAN_EMPTY,
                      RIG_NOW))
        abort();
    told_count = 0;
    for (at = 0; at < step_count; at++) {
        const struct step *s = &steps[at];
        bool plain = s->data[0] == CONTENT_HANDSHAKE;
        if (!strcmp(s->what, "key") && !strncmp(s->name, "client", 6)) {
            memcpy(client_key, s->data, 32);
        } else if (!strcmp(s->what, "key")) {
            private_key = s;
        } else if (!strcmp(s->what, "client") && plain) {
            hello_heard(s);
        } else if (!strcmp(s->what, "client")) {
            hear(s);
        } else if (!strcmp(s->what, "server") && plain) {
            server_hello_put(s);
        } else if (!strcmp(s->what, "server") && s->data[0] == CONTENT_APP) {
            if (!flown) {
                flown = true;
                server_flight(s);
            } else if (s->len == 227) { /* a ticket */
                repeat(s, text, open_record(s, "SERVER_TRAFFIC_SECRET_0", text), CONTENT_HANDSHAKE);
            } else {
                say(s);
                expect(s);
            }
        }
    }
    check(t->peer_closed && t->closed, "it ends");
}

static void replay(void) {
    for (int role = 0; role < 2; role++) {
        first_hello_len = 0;
        if (role)
            as_server();
        else
            as_client();
        for (at = 0; at < step_count; at++)
            if (!strcmp(steps[at].what, "secret"))
                check_secret(&steps[at]);
    }
}

static void parse(char *line) {
    struct step *s = &steps[step_count];
    char *words[4] = {0};
    size_t n = 0;
    for (char *w = strtok(line, " \n"); w && n < 4; w = strtok(NULL, " \n"))
        words[n++] = w;
    if (n < 2)
        return;
    *s = (struct step){.len = 0};
    snprintf(s->what, sizeof s->what, "%s", words[0]);
    if (n > 2)
        snprintf(s->name, sizeof s->name, "%s%s", words[1], n > 3 ? words[2] : "");
    for (const char *hex = words[n - 1]; hex[0] && hex[1]; hex += 2) {
        char two[3] = {hex[0], hex[1], 0};
        s->data[s->len++] = (uint8_t)strtoul(two, NULL, 16);
    }
    step_count++;
}

int main(int argc, char **argv) {
    static char line[4096];
    FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
    if (!f)
        return 2;
    rig_init(&rig, 1);
    rig_start(&rig, 1);
    while (fgets(line, sizeof line, f)) {
        if (line[0] == '#')
            continue;
        if (!strncmp(line, "trace", 5)) {
            if (step_count > 0)
                replay();
            step_count = 0;
            snprintf(trace, sizeof trace, "%.70s", line + 8);
            trace[strcspn(trace, "\n")] = 0;
        } else {
            parse(line);
        }
    }
    replay();
    fclose(f);
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed || passed < 100;
}
