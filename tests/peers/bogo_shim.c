/* SPDX-License-Identifier: ISC */
/* What BoringSSL's protocol runner drives: a TLS client or server that connects to the runner,
 * sends back what it reads with all bits turned, and checks what the flags say.
 *
 * Ends with 0, with 1 and a reason on standard error where something failed, and with 89 for flags
 * of what Tarn has not; bogo.py has those with their reasons. */
#include <arpa/inet.h>
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
#include <unistd.h>

#define UNIMPLEMENTED 89
#define RUNNER_NOW 1398556800 /* before any of the runner's certificates expired: April 2014 */

/* What the flags say of one connection. */
struct wants {
    bool server, require_cert, verify_peer, writes_first, shuts_down, check_close;
    bool fallback, grease, no_ticket, key_update, use_context, extended, miss, hrr, no_hrr;
    bool no_alpn, reject_alpn, no_session;
    int port, resume_count, export_len, version_min, version_max, version, curve, cipher, delay;
    const char *key_file, *cert_file, *name, *server_name, *offer_alpn, *alpn, *select_alpn;
    const char *export_label, *export_context;
    uint32_t off;    /* versions: bit 0 is TLS 1.2 */
    uint32_t groups; /* bit i: group i is on; 0: all */
};

static struct tarn_fortuna rnd;
static struct tarn_tls tls;
static uint8_t memory[TARN_TLS_MEMORY_BYTES], key_point[TARN_EC_POINT_BYTES_MAX];
static struct tarn_span chain[10], alpn[16];
static struct tarn_private_key key;
static struct tarn_tls_identity identity = {.chain = chain, .key = &key};
static struct tarn_tls_tickets tickets;
static uint64_t tickets_used[16];
static struct tarn_tls_session sessions[8];
static struct tarn_tls_session_cache cache;
static int sock = -1;

static void die(int status, const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(status);
}

/* Says it to the file TARN_BOGO_LOG, too: the runner keeps it to itself. */
static void unimplemented(const char *what) {
    const char *log = getenv("TARN_BOGO_LOG");
    FILE *f = log ? fopen(log, "a") : NULL;
    if (f)
        fprintf(f, "%s\n", what);
    die(UNIMPLEMENTED, what);
}

static size_t blocks(const char *path, struct tarn_span *out, size_t max) {
    static uint8_t store[1 << 17], file[1 << 16];
    static size_t used;
    FILE *f = fopen(path, "rb");
    if (!f)
        die(1, path);
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

static bool take_bool(struct wants *w, const char *flag) {
    struct {
        const char *flag;
        bool *to;
    } const known[] = {
        {"-server", &w->server},
        {"-require-any-client-certificate", &w->require_cert},
        {"-verify-peer", &w->verify_peer},
        {"-shim-writes-first", &w->writes_first},
        {"-shim-shuts-down", &w->shuts_down},
        {"-check-close-notify", &w->check_close},
        {"-fallback-scsv", &w->fallback},
        {"-enable-grease", &w->grease},
        {"-no-ticket", &w->no_ticket},
        {"-key-update", &w->key_update},
        {"-use-export-context", &w->use_context},
        {"-expect-extended-master-secret", &w->extended},
        {"-expect-session-miss", &w->miss},
        {"-expect-hrr", &w->hrr},
        {"-expect-no-hrr", &w->no_hrr},
        {"-decline-alpn", &w->no_alpn},
        {"-reject-alpn", &w->reject_alpn},
        {"-expect-no-session", &w->no_session},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(known); i++)
        if (!strcmp(flag, known[i].flag)) {
            *known[i].to = true;
            return true;
        }
    static const char *const versions[] = {"-no-tls12", "-no-tls13"};
    for (unsigned i = 0; i < 2; i++)
        if (!strcmp(flag, versions[i])) {
            w->off |= 1u << i;
            return true;
        }
    /* How BoringSSL's own interface is used, which makes no difference here; what always holds. */
    static const char *const nothing[] = {"-async",
                                          "-implicit-handshake",
                                          "-partial-write",
                                          "-peek-then-read",
                                          "-no-tls1",
                                          "-no-tls11",
                                          "-use-old-client-cert-callback",
                                          "-no-op-extra-handshake",
                                          "-handshake-twice",
                                          "-use-custom-verify-callback",
                                          "-use-early-callback",
                                          "-install-ddos-callback",
                                          "-expect-secure-renegotiation",
                                          "-server-preference",
                                          "-expect-verify-result",
                                          "-expect-no-session-id",
                                          "-use-exporter-between-reads"};
    for (size_t i = 0; i < TARN_COUNT_OF(nothing); i++)
        if (!strcmp(flag, nothing[i]))
            return true;
    return false;
}

static bool take_value(struct wants *w, const char *flag, const char *value) {
    struct {
        const char *flag;
        const char **to;
    } const texts[] = {
        {"-key-file", &w->key_file},
        {"-cert-file", &w->cert_file},
        {"-host-name", &w->name},
        {"-expect-server-name", &w->server_name},
        {"-advertise-alpn", &w->offer_alpn},
        {"-expect-alpn", &w->alpn},
        {"-select-alpn", &w->select_alpn},
        {"-export-label", &w->export_label},
        {"-export-context", &w->export_context},
    };
    struct {
        const char *flag;
        int *to;
    } const numbers[] = {
        {"-port", &w->port},
        {"-resume-count", &w->resume_count},
        {"-export-keying-material", &w->export_len},
        {"-min-version", &w->version_min},
        {"-max-version", &w->version_max},
        {"-expect-version", &w->version},
        {"-expect-curve-id", &w->curve},
        {"-expect-cipher", &w->cipher},
        {"-expect-cipher-aes", &w->cipher},
        {"-resumption-delay", &w->delay},
    };
    static const char *const nothing[] = {"-read-size", "-expect-cipher-no-aes",
                                          "-expect-total-renegotiations"};
    for (size_t i = 0; i < TARN_COUNT_OF(texts); i++)
        if (!strcmp(flag, texts[i].flag)) {
            *texts[i].to = value;
            return true;
        }
    for (size_t i = 0; i < TARN_COUNT_OF(numbers); i++)
        if (!strcmp(flag, numbers[i].flag)) {
            *numbers[i].to = atoi(value);
            return true;
        }
    if (!strcmp(flag, "-curves")) {
        static const int ids[] = {0x11ec, 29, 23, 24};
        for (unsigned i = 0; i < 4; i++)
            w->groups |= atoi(value) == ids[i] ? 1u << i : 0;
        return w->groups != 0;
    }
    for (size_t i = 0; i < TARN_COUNT_OF(nothing); i++)
        if (!strcmp(flag, nothing[i]))
            return true;
    return false;
}

/* The flags of the first connection and those of later ones. */
static void parse(int argc, char **argv, struct wants w[2]) {
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        char bare[80];
        bool first = true, later = true;
        if (!strcmp(flag, "-is-handshaker-supported")) {
            printf("No\n");
            exit(0);
        }
        if (!strncmp(flag, "-on-initial-", 12) || !strncmp(flag, "-on-resume-", 11)) {
            first = flag[4] == 'i';
            later = !first;
            snprintf(bare, sizeof bare, "-%s", flag + (first ? 12 : 11));
            flag = bare;
        }
        struct wants *to = first ? &w[0] : &w[1], copy = *to;
        if (take_bool(&copy, flag)) {
            if (first)
                take_bool(&w[0], flag);
            if (later)
                take_bool(&w[1], flag);
            continue;
        }
        if (!take_value(&copy, flag, value)) {
            unimplemented(flag);
        }
        if (first)
            take_value(&w[0], flag, value);
        if (later)
            take_value(&w[1], flag, value);
        i++;
    }
}

static void versions(const struct wants *w, struct tarn_tls_config *c) {
    int min = w->version_min ? w->version_min : TARN_TLS_12;
    int max = w->version_max ? w->version_max : TARN_TLS_13;
    min = min < TARN_TLS_12 ? TARN_TLS_12 : min;
    if (w->off & 1 && min == TARN_TLS_12)
        min = TARN_TLS_13;
    if (w->off & 2 && max >= TARN_TLS_13)
        max = TARN_TLS_12;
    if (max < min) {
        unimplemented("old version");
    }
    c->version_min = (uint16_t)min;
    c->version_max = (uint16_t)max;
}

static void configure(const struct wants *w, struct tarn_tls_config *c) {
    struct tarn_span der[2], list = tarn_span_str(w->offer_alpn ? w->offer_alpn : "");
    *c = (struct tarn_tls_config){
        .server = w->server,
        .random = &rnd.random,
        .identities = &identity,
        .alpn = alpn,
        .fallback = w->fallback,
        .grease = w->grease,
        .trust_anybody = true,
        .client_auth = w->require_cert  ? TARN_TLS_CLIENT_MUST
                       : w->verify_peer ? TARN_TLS_CLIENT_MAY
                                        : TARN_TLS_NO_CLIENT_AUTH,
        .groups_off = w->groups ? ~w->groups : 1u << TARN_TLS_X25519MLKEM768,
        .tickets = w->no_ticket ? NULL : &tickets,
        .sessions = &cache.sessions,
        .old_master_secret = true,
    };
    versions(w, c);
    if (w->cert_file && w->key_file) {
        identity.chain_len = blocks(w->cert_file, chain, 10);
        size_t n = blocks(w->key_file, der, 2);
        if (n == 0 || tarn_private_key_parse(der[n - 1], key_point, &key))
            unimplemented("kind of key");
        c->identity_count = 1;
    }
    struct tarn_span name;
    uint8_t len;
    while (c->alpn_count < 16 && tarn_span_u8(&list, &len) && tarn_span_take(&list, len, &name))
        alpn[c->alpn_count++] = name;
    if (w->server && w->select_alpn)
        alpn[c->alpn_count++] = tarn_span_str(w->select_alpn);
    if (w->reject_alpn)
        alpn[c->alpn_count++] = TARN_SPAN_LIT("nobody has this");
    if (w->no_alpn)
        c->alpn_count = 0;
}

static bool send_all(void) {
    while (tarn_tls_state(&tls) & TARN_TLS_SEND) {
        struct tarn_span s = tarn_tls_send_window(&tls);
        ssize_t n = send(sock, s.ptr, s.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        tarn_tls_send_done(&tls, (size_t)n);
    }
    return true;
}

static void put(struct tarn_span text) {
    while (text.len > 0 && tarn_tls_state(&tls) & TARN_TLS_WRITE) {
        size_t n = tarn_bytes_copy(tarn_tls_write_window(&tls), text);
        tarn_tls_write_done(&tls, n);
        text = tarn_span_after(text, n);
        tarn_tls_flush(&tls);
        if (!send_all())
            die(1, "cannot send");
    }
}

/* Receives once, or waits no more: false at the end of the stream. */
static bool pump(void) {
    if (!send_all())
        return false;
    struct tarn_bytes window = tarn_tls_recv_window(&tls);
    if (window.len == 0)
        return !(tarn_tls_state(&tls) & TARN_TLS_CLOSED);
    ssize_t n = recv(sock, window.ptr, window.len, 0);
    if (n <= 0)
        return false;
    tarn_tls_recv_done(&tls, (size_t)n);
    return send_all();
}

static void finish(int status, const char *why) {
    bool theirs;
    enum tarn_tls_alert alert = tarn_tls_alert_of(&tls, &theirs);
    (void)send_all();
    if (status)
        fprintf(stderr, "%s: %s%s\n", why, theirs ? "their " : "", tarn_tls_alert_name(alert));
    shutdown(sock, SHUT_WR);
    /* What was said last must not be lost by closing over what was not read. */
    struct timeval patience = {.tv_sec = 1};
    char rest[4096];
    setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (status && recv(sock, rest, sizeof rest, 0) > 0)
        ;
    close(sock);
    if (status)
        exit(status);
}

static void expect(bool ok, const char *what) {
    if (!ok)
        finish(1, what);
}

static uint16_t suite_id(void) {
    static const uint16_t ids[] = {0x1301, 0x1302, 0x1303, 0x1304};
    return tarn_tls_version(&tls) == TARN_TLS_13 ? ids[tls.suite] : 0;
}

static void check(const struct wants *w, bool resumes) {
    static const int groups[] = {0x11ec, 29, 23, 24};
    struct tarn_span name = tarn_tls_name(&tls), got = tarn_tls_alpn(&tls);
    expect(!w->version || (int)tarn_tls_version(&tls) == w->version, "another version");
    expect(!w->curve || groups[tls.group] == w->curve, "another group");
    expect(!w->cipher || !suite_id() || suite_id() == w->cipher, "another suite");
    expect(!w->extended || tarn_tls_version(&tls) == TARN_TLS_13 || tls.extended,
           "no extended master secret");
    expect(!w->hrr || tls.retried, "no retry");
    expect(!w->no_hrr || !tls.retried, "a retry");
    expect(!w->server_name || tarn_span_equal(name, tarn_span_str(w->server_name)), "another name");
    expect(!w->alpn || tarn_span_equal(got, tarn_span_str(w->alpn)), "another protocol");
    if (resumes && tarn_tls_version(&tls) == TARN_TLS_13)
        expect(tarn_tls_resumed(&tls) == !w->miss, w->miss ? "resumed" : "not resumed");
}

static void say_exported(const struct wants *w) {
    static uint8_t out[4096];
    struct tarn_bytes b = {out, (size_t)w->export_len};
    struct tarn_span context = tarn_span_str(w->export_context ? w->export_context : "");
    if (!w->use_context)
        context = TARN_SPAN_EMPTY;
    if (w->export_len == 0)
        return;
    expect(tarn_tls_export(&tls, w->export_label ? w->export_label : "", context, b) == TARN_OK,
           "nothing exported");
    put(tarn_bytes_span(b));
}

static void echo(const struct wants *w) {
    for (;;) {
        struct tarn_bytes data = tarn_tls_read_window(&tls);
        if (data.len > 0) {
            static uint8_t text[TARN_TLS_RECORD_BYTES_MAX];
            for (size_t i = 0; i < data.len; i++)
                text[i] = data.ptr[i] ^ 0xff;
            size_t n = data.len;
            tarn_tls_read_done(&tls, n);
            if (w->key_update)
                expect(tarn_tls_update_keys(&tls, false) == TARN_OK && send_all(), "no update");
            put(tarn_span_of(text, n));
            continue;
        }
        if (tarn_tls_state(&tls) & (TARN_TLS_PEER_CLOSED | TARN_TLS_CLOSED) || !pump())
            break;
    }
}

static void exchange(const struct wants *w, bool resumes) {
    while (!(tarn_tls_state(&tls) & (TARN_TLS_CONNECTED | TARN_TLS_CLOSED)) && pump())
        ;
    bool theirs;
    expect((tarn_tls_state(&tls) & (TARN_TLS_CONNECTED | TARN_TLS_CLOSED)) == TARN_TLS_CONNECTED,
           "no handshake");
    check(w, resumes);
    say_exported(w);
    if (w->writes_first)
        put(TARN_SPAN_LIT("hello"));
    if (!w->shuts_down)
        echo(w);
    enum tarn_tls_alert alert = tarn_tls_alert_of(&tls, &theirs);
    expect(alert == TARN_TLS_FINE || (theirs && alert == TARN_TLS_CLOSE_NOTIFY), "ended");
    tarn_tls_close(&tls);
    if (w->shuts_down && w->check_close) {
        while (!(tarn_tls_state(&tls) & (TARN_TLS_PEER_CLOSED | TARN_TLS_CLOSED)) && pump()) {
            struct tarn_bytes data = tarn_tls_read_window(&tls);
            expect(data.len == 0, "text after the end");
        }
        expect(tarn_tls_alert_of(&tls, &theirs) == TARN_TLS_CLOSE_NOTIFY && theirs,
               "no close_notify");
    }
    finish(0, "");
}

static void connect_to(int port) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    six.sin6_addr = in6addr_loopback;
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sock = socket(AF_INET6, SOCK_STREAM, 0);
    if (sock >= 0 && !connect(sock, (struct sockaddr *)&six, sizeof six))
        return;
    close(sock);
    sock = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(sock, (struct sockaddr *)&four, sizeof four))
        die(1, "cannot connect");
}

int main(int argc, char **argv) {
    struct wants w[2];
    struct tarn_tls_config config;
    uint8_t seed[64];
    memset(w, 0, sizeof w);
    if (getrandom(seed, sizeof seed, 0) != sizeof seed)
        die(1, "no randomness");
    tarn_fortuna_init(&rnd);
    tarn_fortuna_seed(&rnd, TARN_SPAN_ARRAY(seed));
    tarn_tls_tickets_init(&tickets, tickets_used, TARN_COUNT_OF(tickets_used), 7200);
    tarn_tls_session_cache_init(&cache, sessions, TARN_COUNT_OF(sessions));
    parse(argc, argv, w);
    for (int i = 0; i <= w[0].resume_count; i++) {
        const struct wants *now = i ? &w[1] : &w[0];
        configure(now, &config);
        if (tarn_tls_init(&tls, &config, TARN_BYTES_ARRAY(memory),
                          tarn_span_str(now->server ? ""
                                        : now->name ? now->name
                                                    : "example.golang"),
                          RUNNER_NOW + (i ? now->delay : 0)))
            die(1, "init");
        connect_to(w[0].port);
        exchange(now, i > 0);
        tarn_tls_wipe(&tls);
    }
    return 0;
}
