/* SPDX-License-Identifier: ISC */
/* Fetches from an HTTPS server, as an ordinary C program does: its own sockets, its own memory, the
 * system's trust store. Nothing of Tarn's platforms is in it.
 *
 * usage: tlsclient https://HOST[:PORT][/PATH] [CA-FILE [TIMES]]      (SSLKEYLOGFILE is heeded)
 *
 * With TIMES it fetches that often, on a connection each, and comes back with the server's tickets.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <tarn/fortuna.h>
#include <tarn/pem.h>
#include <tarn/tls_session.h>
#include <time.h>
#include <unistd.h>

#define ANCHORS_MAX 1000

static struct tarn_x509 anchors[ANCHORS_MAX];
static struct tarn_tls tls;
static uint8_t memory[TARN_TLS_MEMORY_BYTES];
static struct tarn_tls_session slots[4];
static struct tarn_tls_session_cache sessions;

static void die(const char *what, const char *why) {
    fprintf(stderr, "tlsclient: %s: %s\n", what, why);
    exit(1);
}

/* Every certificate of a PEM file that parses; their DER stays where it is. */
static size_t load_trust(const char *path) {
    FILE *f = fopen(path, "rb");
    size_t room = 4 << 20, used = 0, count = 0;
    uint8_t *text = malloc(room), *ders = malloc(room);
    if (!f || !text || !ders)
        die(path, "cannot be read");
    struct tarn_span rest = tarn_span_of(text, fread(text, 1, room, f)), label, der;
    fclose(f);
    while (count < ANCHORS_MAX
           && tarn_pem_next(&rest, &label, tarn_bytes_of(ders + used, room - used), &der)
                  != TARN_NOT_FOUND)
        if (tarn_x509_parse(der, &anchors[count]) == TARN_OK) {
            used += der.len;
            count++;
        }
    free(text);
    return count;
}

static int connect_to(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all, *a;
    int fd = -1, err = getaddrinfo(host, port, &hints, &all);
    if (err)
        die(host, gai_strerror(err));
    for (a = all; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(all);
    if (fd < 0)
        die(host, "no connection");
    return fd;
}

/* A line of the file that SSLKEYLOGFILE names, for Wireshark. */
static void keylog(void *file, const char *label, struct tarn_span client_random,
                   struct tarn_span secret) {
    struct tarn_span pieces[2] = {client_random, secret};
    fputs(label, file);
    for (int i = 0; i < 2; i++) {
        fputc(' ', file);
        for (size_t k = 0; k < pieces[i].len; k++)
            fprintf(file, "%02x", tarn_span_at(pieces[i], k));
    }
    fputc('\n', file);
}

/* Moves bytes between the engine and the socket until the server has said its last word. */
static void converse(int fd, struct tarn_span request) {
    for (;;) {
        unsigned state = tarn_tls_state(&tls);
        if (state & TARN_TLS_WRITE && request.len > 0) {
            size_t n = tarn_bytes_copy(tarn_tls_write_window(&tls), request);
            tarn_tls_write_done(&tls, n);
            tarn_tls_flush(&tls);
            request = tarn_span_after(request, n);
        } else if (state & TARN_TLS_SEND) {
            struct tarn_span out = tarn_tls_send_window(&tls);
            ssize_t n = send(fd, out.ptr, out.len, MSG_NOSIGNAL);
            if (n <= 0)
                return;
            tarn_tls_send_done(&tls, (size_t)n);
        } else if (state & TARN_TLS_READ) {
            struct tarn_bytes in = tarn_tls_read_window(&tls);
            fwrite(in.ptr, 1, in.len, stdout);
            tarn_tls_read_done(&tls, in.len);
        } else if (state & TARN_TLS_RECV) {
            struct tarn_bytes in = tarn_tls_recv_window(&tls);
            ssize_t n = recv(fd, in.ptr, in.len, 0);
            if (n <= 0)
                return;
            tarn_tls_recv_done(&tls, (size_t)n);
        } else {
            return;
        }
    }
}

/* One request on one connection; false where the answer is not known to be whole. */
static bool fetch(const struct tarn_tls_config *config, const char *host, const char *port,
                  const char *path) {
    char request[2048];
    bool theirs;
    if (tarn_tls_init(&tls, config, TARN_BYTES_ARRAY(memory), tarn_span_str(host), time(NULL)))
        die(host, "not a name");
    int fd = connect_to(host, port);
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
    converse(fd, tarn_span_of(request, (size_t)n));
    close(fd);

    bool whole = (tarn_tls_state(&tls) & TARN_TLS_PEER_CLOSED) != 0;
    enum tarn_tls_alert alert = tarn_tls_alert_of(&tls, &theirs);
    if (alert != TARN_TLS_FINE && alert != TARN_TLS_CLOSE_NOTIFY)
        fprintf(stderr, "tlsclient: %s%s (%s)\n", theirs ? "the server says " : "",
                tarn_tls_alert_name(alert), tarn_x509_reason_name(tls.peer_reason));
    else if (!whole)
        fputs("tlsclient: the connection ended before the server said that it was all\n", stderr);
    if (tarn_tls_resumed(&tls))
        fputs("tlsclient: resumed\n", stderr);
    tarn_tls_wipe(&tls);
    return whole && alert == TARN_TLS_CLOSE_NOTIFY;
}

int main(int argc, char **argv) {
    char host[256], port[6] = "443", path[1024] = "/";
    if (argc < 2
        || (sscanf(argv[1], "https://%255[^:/]:%5[0-9]%1023s", host, port, path) < 2
            && sscanf(argv[1], "https://%255[^:/]%1023s", host, path) < 1)) {
        fputs("usage: tlsclient https://HOST[:PORT][/PATH] [CA-FILE [TIMES]]\n", stderr);
        return 2;
    }
    struct tarn_fortuna random;
    uint8_t seed[32];
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        die("getrandom", "no randomness");
    tarn_fortuna_init(&random);
    tarn_fortuna_seed(&random, TARN_SPAN_ARRAY(seed));
    tarn_tls_session_cache_init(&sessions, slots, TARN_COUNT_OF(slots));

    const char *store = argc > 2 ? argv[2] : "/etc/ssl/certs/ca-certificates.crt";
    struct tarn_x509_policy trust = {.anchors = anchors, .anchor_count = load_trust(store)};
    struct tarn_span alpn = TARN_SPAN_LIT("http/1.1");
    struct tarn_tls_config config = {.trust = &trust,
                                     .random = &random.random,
                                     .alpn = &alpn,
                                     .alpn_count = 1,
                                     .sessions = &sessions.sessions};
    const char *log = getenv("SSLKEYLOGFILE");
    if (log && (config.keylog_user = fopen(log, "a")))
        config.keylog = keylog;
    bool whole = true;
    for (int i = 0; whole && i < (argc > 3 ? atoi(argv[3]) : 1); i++)
        whole = fetch(&config, host, port, path);
    if (config.keylog_user)
        fclose(config.keylog_user);
    return whole ? 0 : 1;
}
