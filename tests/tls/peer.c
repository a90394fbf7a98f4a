/* SPDX-License-Identifier: ISC */
/* A TLS server or client over a host's socket, for tests against other programs: what comes is sent
 * back by a server; a client sends its standard input, prints what it gets, and ends when it got as
 * much as it sent.
 *
 * usage: tls-peer server|client PORT [--cert F --key F] [--ca F] [--name N] [--alpn A,B]
 *                 [--client-auth] [--groups-off BITS] [--suites-off BITS] [--min 12|13]
 *                 [--max 12|13] [--fallback] [--keylog F] [--update] [--times N] [--grease]
 *                 [--staple F]
 *                 [--old-master-secret] (TLS 1.2 also without RFC 7627)
 *                 [--answer] (a server: a line for each text with an empty line at its end)
 *                 [--elsewhere] (the key signs on request, outside the engine)
 *                 [--tickets] (a server's tickets, a client's sessions)
 *                 [--early BYTES] (the same, and early data)
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <tarn/fortuna.h>
#include <tarn/pem.h>
#include <tarn/tls_session.h>
#include <tarn/x509_issue.h>
#include <time.h>
#include <unistd.h>

static struct tarn_fortuna rnd;
static struct tarn_tls tls;
static uint8_t memory[TARN_TLS_MEMORY_BYTES], key_point[TARN_EC_POINT_BYTES_MAX];
static struct tarn_span chain[10], alpn[8];
static struct tarn_private_key key;
static struct tarn_x509 anchors[10];
static struct tarn_x509_policy trust = {.anchors = anchors};
static struct tarn_tls_identity identity = {.chain = chain, .key = &key};
static struct tarn_tls_config config = {
    .random = &rnd.random, .identities = &identity, .alpn = alpn};
static bool answers, update, elsewhere;
static size_t received;
static struct tarn_tls_tickets tickets;
static uint64_t tickets_used[16];
static struct tarn_tls_session sessions[8];
static struct tarn_tls_session_cache cache;

static void die(const char *what) {
    fprintf(stderr, "tls-peer: %s\n", what);
    exit(2);
}

/* The blocks of a PEM file, in memory that stays. */
static size_t blocks(const char *path, struct tarn_span *out, size_t max) {
    static uint8_t store[1 << 17];
    static size_t used;
    static uint8_t file[1 << 16];
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path);
    struct tarn_span text = tarn_span_of(file, fread(file, 1, sizeof file, f)), label;
    size_t n = 0;
    fclose(f);
    while (
        n < max
        && tarn_pem_next(&text, &label, tarn_bytes_of(store + used, sizeof store - used), &out[n])
               == TARN_OK)
        used += out[n++].len;
    return n;
}

static struct tarn_span whole(const char *path) {
    static uint8_t store[1 << 14];
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path);
    struct tarn_span all = tarn_span_of(store, fread(store, 1, sizeof store, f));
    fclose(f);
    return all;
}

static void load(const char *cert, const char *key_file, const char *ca) {
    struct tarn_span der[10];
    if (cert) {
        identity.chain_len = blocks(cert, chain, 10);
        if (blocks(key_file, der, 1) != 1 || tarn_private_key_parse(der[0], key_point, &key))
            die("no key");
        config.identity_count = 1;
        if (elsewhere)
            identity.key = NULL;
    }
    if (ca) {
        size_t n = blocks(ca, der, 10);
        for (size_t i = 0; i < n; i++)
            if (tarn_x509_parse(der[i], &anchors[trust.anchor_count]) == TARN_OK)
                trust.anchor_count++;
        config.trust = &trust;
    } else {
        config.trust_anybody = true;
    }
}

static void keylog(void *user, const char *label, struct tarn_span client_random,
                   struct tarn_span secret) {
    fprintf(user, "%s ", label);
    for (size_t i = 0; i < client_random.len; i++)
        fprintf(user, "%02x", client_random.ptr[i]);
    fputc(' ', user);
    for (size_t i = 0; i < secret.len; i++)
        fprintf(user, "%02x", secret.ptr[i]);
    fputc('\n', user);
    fflush(user);
}

static void sign_elsewhere(void) {
    const struct tarn_scheme *scheme;
    const struct tarn_tls_identity *id;
    uint8_t sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    struct tarn_span text = tarn_tls_sign_request(&tls, &scheme, &id);
    if (tarn_sign(&key, scheme, &rnd.random, text, &w))
        die("signing failed");
    tarn_tls_sign_done(&tls, tarn_writer_span(&w));
}

/* Plain text out, from `data`; what did not fit stays. */
static void put(struct tarn_span *data) {
    while (data->len > 0 && tarn_tls_state(&tls) & TARN_TLS_WRITE) {
        size_t n = tarn_bytes_copy(tarn_tls_write_window(&tls), *data);
        tarn_tls_write_done(&tls, n);
        *data = tarn_span_after(*data, n);
    }
    tarn_tls_flush(&tls);
}

/* Sends all there is; false where the other side is gone. */
static bool drain(int fd) {
    while (tarn_tls_state(&tls) & TARN_TLS_SEND) {
        struct tarn_span s = tarn_tls_send_window(&tls);
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        tarn_tls_send_done(&tls, (size_t)n);
    }
    return true;
}

/* What was read: a server sends it back, a client prints it. */
static bool use(int fd, struct tarn_bytes data, struct tarn_span *echo) {
    if (!config.server) {
        fwrite(data.ptr, 1, data.len, stdout);
        fflush(stdout);
        received += data.len;
        return true;
    }
    *echo = tarn_bytes_span(data);
    if (tarn_tls_state(&tls) & TARN_TLS_EARLY) { /* no answer yet */
        fprintf(stderr, "early: %.*s\n", (int)data.len, (const char *)data.ptr);
        return true;
    }
    if (answers) {
        static unsigned lines; /* ends of lines, with nothing in between */
        bool asked = false;
        for (size_t i = 0; i < data.len; i++) {
            lines = data.ptr[i] == '\n' ? lines + 1 : data.ptr[i] == '\r' ? lines : 0;
            asked |= lines == 2;
        }
        *echo = asked ? TARN_SPAN_LIT("HTTP/1.0 200 OK\r\n\r\n") : TARN_SPAN_EMPTY;
    }
    while (echo->len > 0) {
        put(echo);
        if (!drain(fd))
            return false;
    }
    return true;
}

static void say_connected(void) {
    static const char *const early[] = {"", " early offered", " early taken", " early refused"};
    fprintf(stderr, "connected version %x suite %d group %d alpn %.*s%s%s\n",
            tarn_tls_version(&tls), tls.suite, tls.group, (int)tls.alpn_len, (const char *)tls.alpn,
            tarn_tls_resumed(&tls) ? " resumed" : "", early[tarn_tls_early_of(&tls)]);
}

static int run(int fd, struct tarn_span all) {
    struct tarn_span echo, to_send = all;
    size_t expected = to_send.len;
    bool connected = false;
    received = 0;
    for (;;) {
        unsigned s = tarn_tls_state(&tls);
        if (s & TARN_TLS_WANTS_SIGNATURE)
            sign_elsewhere();
        if (s & TARN_TLS_CONNECTED && !connected) {
            connected = true;
            say_connected();
            if (tarn_tls_early_of(&tls) == TARN_TLS_EARLY_REFUSED)
                to_send = all;
            if (update && tarn_tls_update_keys(&tls, true))
                die("no update");
        }
        if (!drain(fd))
            break;
        if (!config.server && (connected || s & TARN_TLS_EARLY)) {
            put(&to_send);
            if (!drain(fd))
                break;
        }
        if (s & TARN_TLS_READ) {
            struct tarn_bytes data = tarn_tls_read_window(&tls);
            if (!use(fd, data, &echo))
                break;
            tarn_tls_read_done(&tls, data.len);
            continue;
        }
        if (tarn_tls_state(&tls) & (TARN_TLS_CLOSED | TARN_TLS_PEER_CLOSED)
            || (connected && !config.server && received >= expected))
            break;
        struct tarn_bytes window = tarn_tls_recv_window(&tls);
        if (window.len == 0)
            continue;
        ssize_t n = recv(fd, window.ptr, window.len, 0);
        if (n <= 0)
            break;
        tarn_tls_recv_done(&tls, (size_t)n);
    }
    tarn_tls_close(&tls);
    (void)drain(fd);
    bool theirs;
    enum tarn_tls_alert alert = tarn_tls_alert_of(&tls, &theirs);
    fprintf(stderr, "ended: %s%s%s%s\n", theirs ? "their " : "", tarn_tls_alert_name(alert),
            tls.peer_reason ? ", " : "",
            tls.peer_reason ? tarn_x509_reason_name(tls.peer_reason) : "");
    return connected && (alert == TARN_TLS_FINE || alert == TARN_TLS_CLOSE_NOTIFY) ? 0 : 1;
}

/* What was said last is not lost because something that nobody read is there, too. */
static void leave(int fd) {
    struct timeval patience = {.tv_sec = 1};
    static char rest[1 << 16];
    shutdown(fd, SHUT_WR);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (recv(fd, rest, sizeof rest, 0) > 0)
        ;
    close(fd);
}

static int connect_to(uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a))
        die("cannot connect");
    return fd;
}

static int listen_on(uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 8)
        || getsockname(fd, (struct sockaddr *)&a, &len))
        die("cannot listen");
    printf("port %u\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static void with_tickets(uint32_t early_bytes_max) {
    tarn_tls_tickets_init(&tickets, tickets_used, TARN_COUNT_OF(tickets_used), 7200);
    tickets.early_bytes_max = early_bytes_max;
    tarn_tls_session_cache_init(&cache, sessions, TARN_COUNT_OF(sessions));
    config.tickets = &tickets;
    config.sessions = &cache.sessions;
    config.early_data = early_bytes_max > 0;
}

int main(int argc, char **argv) {
    const char *cert = NULL, *key_file = NULL, *ca = NULL, *name = "";
    static uint8_t input[1 << 22];
    uint8_t seed[64];
    int times = 1, status = 0;
    if (argc < 3 || getrandom(seed, sizeof seed, 0) != sizeof seed)
        die("usage");
    tarn_fortuna_init(&rnd);
    tarn_fortuna_seed(&rnd, TARN_SPAN_ARRAY(seed));
    config.server = !strcmp(argv[1], "server");
    for (int i = 3; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--client-auth"))
            config.client_auth = TARN_TLS_CLIENT_MUST;
        else if (!strcmp(argv[i], "--update"))
            update = true;
        else if (!strcmp(argv[i], "--old-master-secret"))
            config.old_master_secret = true;
        else if (!strcmp(argv[i], "--answer"))
            answers = true;
        else if (!strcmp(argv[i], "--fallback"))
            config.fallback = true;
        else if (!strcmp(argv[i], "--min") || !strcmp(argv[i], "--max")) {
            uint16_t version = strcmp(value, "12") ? TARN_TLS_13 : TARN_TLS_12;
            *(argv[i++][3] == 'i' ? &config.version_min : &config.version_max) = version;
        } else if (!strcmp(argv[i], "--grease"))
            config.grease = true;
        else if (!strcmp(argv[i], "--elsewhere"))
            elsewhere = true;
        else if (!strcmp(argv[i], "--tickets"))
            with_tickets(0);
        else if (!strcmp(argv[i], "--staple"))
            identity.staple = whole(argv[++i]);
        else if (!strcmp(argv[i], "--early"))
            with_tickets((uint32_t)atoi(argv[++i]));
        else if (!strcmp(argv[i], "--cert"))
            cert = argv[++i];
        else if (!strcmp(argv[i], "--key"))
            key_file = argv[++i];
        else if (!strcmp(argv[i], "--ca"))
            ca = argv[++i];
        else if (!strcmp(argv[i], "--name"))
            name = argv[++i];
        else if (!strcmp(argv[i], "--times"))
            times = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--groups-off"))
            config.groups_off = (uint32_t)atoi(argv[++i]);
        else if (!strcmp(argv[i], "--suites-off"))
            config.suites_off = (uint32_t)atoi(argv[++i]);
        else if (!strcmp(argv[i], "--keylog")) {
            config.keylog_user = fopen(argv[++i], "a");
            config.keylog = keylog;
        } else if (!strcmp(argv[i], "--alpn")) {
            struct tarn_span rest = tarn_span_str(value);
            while (rest.len > 0 && config.alpn_count < 8)
                tarn_span_split(&rest, ',', &alpn[config.alpn_count++]);
            i++;
        } else
            die(argv[i]);
    }
    load(cert, key_file, ca);
    int listener = config.server ? listen_on((uint16_t)atoi(argv[2])) : -1;
    size_t n = config.server ? 0 : fread(input, 1, sizeof input, stdin);
    for (int i = 0; i < times; i++) {
        int fd = config.server ? accept(listener, NULL, NULL) : connect_to((uint16_t)atoi(argv[2]));
        if (tarn_tls_init(&tls, &config, TARN_BYTES_ARRAY(memory), tarn_span_str(name), time(NULL)))
            die("init");
        status |= run(fd, tarn_span_of(input, n));
        leave(fd);
        tarn_tls_wipe(&tls);
    }
    return status;
}
