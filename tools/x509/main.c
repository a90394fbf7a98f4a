/* SPDX-License-Identifier: ISC */
/* tarn-x509: certificates on the host's command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <tarn/fortuna.h>
#include <tarn/pem.h>
#include <tarn/time.h>
#include <tarn/x509_issue.h>
#include <tarn/x509_revoke.h>
#include <tarn/x509_verify.h>

#define CERTS_MAX 1024
#define NAMES_MAX 64

static const char usage[] =
    "usage: tarn-x509 verify --trust FILE --chain FILE --time T --name N [--purpose server|client|any]\n"
    "                        [--lenient] [--crl FILE] [--ocsp FILE]\n"
    "       tarn-x509 make --key FILE [--ca] [--issuer FILE --issuer-key FILE] [--csr FILE]\n"
    "                      [--subject CN] [--names A,B,...] [--days N] [--time T]\n"
    "       tarn-x509 request --key FILE [--subject CN] [--names A,B,...]\n"
    "       tarn-x509 key p256|p384|p521|ed25519|ed448|rsa2048|rsa3072|rsa4096\n"
    "\n"
    "Files are PEM (OCSP: DER); a chain has the leaf first. T is seconds since 1970, or 2026-01-31T12:00:00Z.\n"
    "verify is strict by default: RFC 5280 and the CA/Browser Forum to the letter. It prints \"good\",\n"
    "or \"refused: \" and the reason, and ends with 0 or 1; 2 is for mistakes in the call.\n";

struct options {
    const char *trust, *chain, *time, *name, *purpose, *crl, *ocsp, *key, *issuer, *issuer_key,
        *csr;
    const char *subject, *names, *days;
    bool lenient, ca;
};

static void die(const char *what, const char *why) {
    fprintf(stderr, "tarn-x509: %s: %s\n", what, why);
    exit(2);
}

/* Memory for the rest of the run, and named until its end. */
static void *keep(size_t n) {
    static void *kept[64];
    static size_t count;
    void *mem = malloc(n + 1);
    if (!mem || count == TARN_COUNT_OF(kept))
        die("memory", "not enough");
    kept[count++] = mem;
    return mem;
}

static struct tarn_bytes slurp(const char *path) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0)
        die(path, strerror(errno));
    size_t n = (size_t)st.st_size;
    uint8_t *mem = keep(n);
    if (fread(mem, 1, n, f) != n)
        die(path, "cannot be read");
    fclose(f);
    return tarn_bytes_of(mem, n);
}

/* The blocks of a PEM file with one of these labels, decoded in memory of their own. */
static size_t blocks(const char *path, const char *label, struct tarn_span *out, size_t max) {
    struct tarn_span text = tarn_bytes_span(slurp(path)), name, der;
    struct tarn_bytes room = {keep(text.len), text.len};
    size_t count = 0;
    for (;;) {
        enum tarn_err err = tarn_pem_next(&text, &name, room, &der);
        if (err == TARN_NOT_FOUND)
            return count;
        if (err)
            die(path, "malformed PEM");
        room = tarn_bytes_after(room, der.len);
        if (tarn_span_ends(name, tarn_span_str(label)) && count < max)
            out[count++] = der;
    }
}

/* Those that do not parse are left out, but for the first of a chain. */
static size_t certs_of(const char *path, struct tarn_x509 *certs, bool *first_is_bad) {
    static struct tarn_span ders[CERTS_MAX];
    size_t n = blocks(path, "CERTIFICATE", ders, CERTS_MAX), good = 0;
    *first_is_bad = n == 0;
    for (size_t i = 0; i < n; i++) {
        if (tarn_x509_parse(ders[i], &certs[good]) == TARN_OK)
            good++;
        else if (i == 0)
            *first_is_bad = true;
    }
    return good;
}

static int64_t time_of(const char *text) {
    struct tarn_span s = tarn_span_str(text);
    struct tarn_date d = {0};
    int64_t seconds;
    uint64_t number;
    unsigned year, month, day, hour, minute, second;
    if (tarn_span_parse_dec(s, INT64_MAX, &number))
        return (int64_t)number;
    if (sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u", &year, &month, &day, &hour, &minute, &second) != 6)
        die(text, "not a time");
    d = (struct tarn_date){.year = (int32_t)year,
                           .month = (uint8_t)month,
                           .day = (uint8_t)day,
                           .hour = (uint8_t)hour,
                           .minute = (uint8_t)minute,
                           .second = (uint8_t)second};
    if (!tarn_date_to_unix(&d, &seconds))
        die(text, "not a time");
    return seconds;
}

static int refused(const char *why) {
    printf("refused: %s\n", why);
    return 1;
}

/* The response is about the leaf, by whoever issued it. */
static bool ocsp_says_good(const char *file, const struct tarn_x509_path *path, int64_t now) {
    struct tarn_ocsp ocsp;
    enum tarn_ocsp_status status;
    return path->count > 1 && tarn_ocsp_parse(tarn_bytes_span(slurp(file)), &ocsp) == TARN_OK
           && tarn_ocsp_check(&ocsp, path->certs[0], path->certs[1], now, &status) == TARN_OK
           && status == TARN_OCSP_GOOD;
}

static int verify(const struct options *o) {
    static struct tarn_x509 trust[CERTS_MAX], chain[CERTS_MAX];
    static struct tarn_crl crls[CERTS_MAX];
    static struct tarn_span ders[CERTS_MAX];
    struct tarn_x509_revocation revocation = {crls, 0, false};
    struct tarn_x509_path path;
    bool bad;
    if (!o->trust || !o->chain || !o->time)
        die("verify", "--trust, --chain and --time are needed");
    struct tarn_x509_policy policy = {
        .anchors = trust,
        .anchor_count = certs_of(o->trust, trust, &bad),
        .now = time_of(o->time),
        .name = o->name ? tarn_span_str(o->name) : TARN_SPAN_EMPTY,
        .purpose = !o->purpose || !strcmp(o->purpose, "server") ? TARN_X509_FOR_SERVER
                   : !strcmp(o->purpose, "client")              ? TARN_X509_FOR_CLIENT
                                                                : TARN_X509_FOR_ANY,
        .strict = !o->lenient,
    };
    size_t n = certs_of(o->chain, chain, &bad);
    if (bad)
        return refused("the certificate is malformed");
    if (o->crl) {
        size_t count = blocks(o->crl, "X509 CRL", ders, CERTS_MAX);
        for (size_t i = 0; i < count; i++)
            if (tarn_crl_parse(ders[i], &crls[revocation.crl_count]) == TARN_OK)
                revocation.crl_count++;
        policy.revocation = &revocation;
    }
    if (tarn_x509_verify(&policy, &chain[0], chain + 1, n - 1, &path) != TARN_OK)
        return refused(tarn_x509_reason_name(path.reason));
    if (o->ocsp && !ocsp_says_good(o->ocsp, &path, policy.now))
        return refused("the OCSP response does not say that it is good");
    puts("good");
    return 0;
}

static struct tarn_random *rnd(void) {
    static struct tarn_fortuna f;
    uint8_t seed[64];
    if (!f.random.ops) {
        if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
            die("getrandom", strerror(errno));
        tarn_fortuna_init(&f);
        tarn_fortuna_seed(&f, TARN_SPAN_ARRAY(seed));
    }
    return &f.random;
}

static void key_of(const char *path, uint8_t *point, struct tarn_private_key *key) {
    struct tarn_span der;
    if (!path || blocks(path, "PRIVATE KEY", &der, 1) != 1
        || tarn_private_key_parse(der, point, key) != TARN_OK)
        die(path ? path : "--key", "no private key");
}

static void print_pem(const char *label, struct tarn_span der) {
    size_t room = der.len * 2 + 200;
    struct tarn_writer w = {malloc(room), 0, room};
    tarn_pem_put(&w, label, der);
    fwrite(w.ptr, 1, w.len, stdout);
    free(w.ptr);
}

static struct tarn_x509_request request_of(const struct options *o, struct tarn_span *names) {
    struct tarn_span rest = o->names ? tarn_span_str(o->names) : TARN_SPAN_EMPTY;
    struct tarn_x509_request r = {
        .common_name = o->subject ? tarn_span_str(o->subject) : TARN_SPAN_EMPTY,
        .dns_names = names,
    };
    while (rest.len > 0 && r.dns_name_count < NAMES_MAX)
        tarn_span_split(&rest, ',', &names[r.dns_name_count++]);
    return r;
}

static int make(const struct options *o) {
    static uint8_t mem[16384];
    struct tarn_span names[NAMES_MAX], der;
    uint8_t point[TARN_EC_POINT_BYTES_MAX], issuer_point[TARN_EC_POINT_BYTES_MAX];
    struct tarn_private_key key, issuer_key;
    static struct tarn_x509 issuer[CERTS_MAX], csr;
    bool bad;
    int64_t now = o->time ? time_of(o->time) : 0;
    if (!o->csr)
        key_of(o->key, point, &key);
    struct tarn_x509_issue issue = {
        .subject = request_of(o, names),
        .key = &key.pub,
        .signer = &key,
        .not_before = now,
        .not_after = now + 86400 * (int64_t)(o->days ? atol(o->days) : 90) - 1,
        .is_ca = o->ca,
        .path_len = TARN_X509_NO_PATH_LEN,
        .random = rnd(),
    };
    if (o->issuer) {
        key_of(o->issuer_key, issuer_point, &issuer_key);
        if (certs_of(o->issuer, issuer, &bad) == 0 || bad)
            die(o->issuer, "no certificate");
        issue.issuer = issuer;
        issue.signer = &issuer_key;
    }
    enum tarn_err err;
    if (o->csr) {
        if (blocks(o->csr, "CERTIFICATE REQUEST", &der, 1) != 1
            || tarn_csr_parse(der, &csr) != TARN_OK)
            die(o->csr, "no valid request");
        err = tarn_csr_sign(&issue, &csr, TARN_BYTES_ARRAY(mem), &der);
    } else {
        err = tarn_x509_make(&issue, TARN_BYTES_ARRAY(mem), &der);
    }
    if (err)
        die("make", tarn_err_name(err));
    print_pem("CERTIFICATE", der);
    return 0;
}

static int request(const struct options *o) {
    static uint8_t mem[16384];
    struct tarn_span names[NAMES_MAX], der;
    uint8_t point[TARN_EC_POINT_BYTES_MAX];
    struct tarn_private_key key;
    key_of(o->key, point, &key);
    struct tarn_x509_request r = request_of(o, names);
    enum tarn_err err = tarn_csr_make(&r, &key, rnd(), TARN_BYTES_ARRAY(mem), &der);
    if (err)
        die("request", tarn_err_name(err));
    print_pem("CERTIFICATE REQUEST", der);
    return 0;
}

static int make_key(const char *kind) {
    static const char *const curves[] = {"p256", "p384", "p521", "ed25519", "ed448"};
    static uint8_t mem[8192], rsa[6 * 4096 / 8];
    uint8_t secret[TARN_EC_SCALAR_BYTES_MAX], point[TARN_EC_POINT_BYTES_MAX];
    struct tarn_der_writer w = tarn_der_writer_over(TARN_BYTES_ARRAY(mem));
    struct tarn_private_key key = {.pub = {.type = TARN_PK_NONE}};
    enum tarn_err err = TARN_INVALID;
    for (size_t i = 0; i < TARN_COUNT_OF(curves); i++) {
        enum tarn_pk_type type = (enum tarn_pk_type)(TARN_PK_P256 + i);
        struct tarn_bytes s = {secret, tarn_pk_scalar_bytes(type)};
        struct tarn_bytes p = {point, tarn_pk_point_bytes(type)};
        if (strcmp(kind, curves[i]))
            continue;
        err = tarn_pk_generate(type, rnd(), s, p);
        key = (struct tarn_private_key){.pub = {.type = type, .point = tarn_bytes_span(p)},
                                        .secret = tarn_bytes_span(s)};
    }
    if (!strncmp(kind, "rsa", 3))
        err = tarn_rsa_generate(rnd(), (unsigned)atoi(kind + 3), TARN_BYTES_ARRAY(rsa), &key);
    if (err || tarn_private_key_put(&w, &key) != TARN_OK)
        die(kind, "no such kind of key");
    print_pem("PRIVATE KEY", tarn_der_written(&w));
    return 0;
}

static void parse(struct options *o, int argc, char **argv) {
    struct {
        const char *name, **value;
    } const texts[] = {{"--trust", &o->trust},     {"--chain", &o->chain},
                       {"--time", &o->time},       {"--name", &o->name},
                       {"--purpose", &o->purpose}, {"--crl", &o->crl},
                       {"--ocsp", &o->ocsp},       {"--key", &o->key},
                       {"--issuer", &o->issuer},   {"--issuer-key", &o->issuer_key},
                       {"--csr", &o->csr},         {"--subject", &o->subject},
                       {"--names", &o->names},     {"--days", &o->days}};
    for (int i = 2; i < argc; i++) {
        bool known = false;
        if (!strcmp(argv[i], "--lenient"))
            known = o->lenient = true;
        if (!strcmp(argv[i], "--ca"))
            known = o->ca = true;
        for (size_t k = 0; !known && k < TARN_COUNT_OF(texts); k++)
            if (!strcmp(argv[i], texts[k].name) && i + 1 < argc) {
                *texts[k].value = argv[++i];
                known = true;
            }
        if (!known)
            die(argv[i], "not an option, or without its value (tarn-x509 --help)");
    }
}

int main(int argc, char **argv) {
    struct options o = {0};
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (!strcmp(argv[1], "key") && argc == 3)
        return make_key(argv[2]);
    parse(&o, argc, argv);
    if (!strcmp(argv[1], "verify"))
        return verify(&o);
    if (!strcmp(argv[1], "make"))
        return make(&o);
    if (!strcmp(argv[1], "request"))
        return request(&o);
    die(argv[1], "not a command (tarn-x509 --help)");
}
