/* SPDX-License-Identifier: ISC */
/* A server with several certificates: which of them whom is shown. */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

enum { FIRST, A_P384, A_P256, WILD, COUNT, NONE };
enum { ECDSA_P256 = 0x0403, ECDSA_P384 = 0x0503, RSA_PSS_SHA256 = 0x0804 };

static struct rig rig;
static struct tarn_tls_identity identities[COUNT];
static struct tarn_private_key keys[COUNT];
static struct tarn_span chains[COUNT];
static uint8_t secrets[COUNT][48], points[COUNT][97], ders[COUNT][1024];

static void add(int i, const char *host, enum tarn_pk_type type) {
    struct tarn_bytes secret = {secrets[i], tarn_pk_scalar_bytes(type)};
    struct tarn_bytes point = {points[i], tarn_pk_point_bytes(type)};
    struct tarn_span name = tarn_span_str(host);
    struct tarn_x509_issue issue = {
        .subject = {.common_name = name, .dns_names = &name, .dns_name_count = 1},
        .key = &keys[i].pub,
        .issuer = &rig.ca,
        .signer = &rig.ca_key,
        .not_before = RIG_NOW - 1,
        .not_after = RIG_NOW + 1000,
        .random = &rig.server.random.random,
    };
    keys[i] = (struct tarn_private_key){.pub = {.type = type, .point = tarn_bytes_span(point)},
                                        .secret = tarn_bytes_span(secret)};
    cr_assert_eq(tarn_pk_generate(type, issue.random, secret, point), TARN_OK);
    cr_assert_eq(tarn_x509_make(&issue, TARN_BYTES_ARRAY(ders[i]), &chains[i]), TARN_OK);
    identities[i] = (struct tarn_tls_identity){&chains[i], 1, &keys[i]};
}

static void setup(enum tarn_tls_version version) {
    rig_init(&rig, 1);
    tarn_random_seeded_init(&rig.server.random, 1);
    identities[FIRST] = rig.identity; /* www.example.com, P-256 */
    add(A_P384, "a.example", TARN_PK_P384);
    add(A_P256, "a.example", TARN_PK_P256);
    add(WILD, "*.wild.example", TARN_PK_P256);
    rig.server.config.identities = identities;
    rig.server.config.identity_count = COUNT;
    rig.server.config.version_max = (uint16_t)version;
}

static int shown(void) {
    const struct tarn_tls_identity *id = rig.server.tls.identity;
    return id ? (int)(id - identities) : NONE;
}

/* Which one a client that asks for `name` is shown; *taken: the client believed it. */
static int shown_to(const char *name, bool *taken) {
    strcpy(rig.name, name);
    rig_start(&rig, 1);
    rig_run(&rig, 1 << 20);
    *taken = rig_connected(&rig.client);
    cr_assert_eq(*taken, rig_connected(&rig.server), "%s", name);
    return shown();
}

/* The same for one that takes signatures of a single kind: its ClientHello says nothing else. */
static int shown_to_one_with(const char *name, unsigned scheme) {
    strcpy(rig.name, name);
    rig_start(&rig, 1);
    uint8_t *hello = rig.wire;
    size_t n = rig_take(&rig.client, hello, sizeof rig.wire);
    size_t suites = 5 + 4 + 2 + 32 + 33, at = suites + 2 + hello[suites + 1] + 2 + 2;
    while (at + 4 <= n && (hello[at] != 0 || hello[at + 1] != 13))
        at += 4 + ((size_t)hello[at + 2] << 8 | hello[at + 3]);
    cr_assert_lt(at + 6, n);
    size_t end = at + 4 + ((size_t)hello[at + 2] << 8 | hello[at + 3]);
    for (at += 6; at + 2 <= end; at += 2) {
        hello[at] = (uint8_t)(scheme >> 8);
        hello[at + 1] = (uint8_t)scheme;
    }
    rig_feed(&rig.server, hello, n, 1 << 20);
    return shown();
}

static void check_all(enum tarn_tls_version version) {
    static const struct {
        const char *name;
        int wanted;
        bool taken;
    } cases[] = {
        {"www.example.com", FIRST, true},
        {"a.example", A_P384, true},
        {"A.Example", A_P384, true},
        {"x.wild.example", WILD, true},
        {"X.WILD.example", WILD, true},
        {"wild.example", FIRST, false},
        {"x.y.wild.example", FIRST, false},
        {"b.example", FIRST, false},
        {"xa.example", FIRST, false},
        {"192.0.2.1", FIRST, false},
        {"", FIRST, true}, /* asks for nobody, and checks nobody's name */
    };
    bool taken, theirs;
    setup(version);
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        cr_assert_eq(shown_to(cases[i].name, &taken), cases[i].wanted, "%s", cases[i].name);
        cr_assert_eq(taken, cases[i].taken, "%s", cases[i].name);
    }
    cr_assert_eq(shown_to_one_with("a.example", ECDSA_P384), A_P384);
    cr_assert_eq(shown_to_one_with("a.example", ECDSA_P256),
                 version == TARN_TLS_12 ? A_P384 : A_P256);
    cr_assert_eq(shown_to_one_with("b.example", ECDSA_P384),
                 version == TARN_TLS_12 ? FIRST : A_P384);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_FINE);
    cr_assert_eq(shown_to_one_with("a.example", RSA_PSS_SHA256), NONE);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_HANDSHAKE_FAILURE);
    cr_assert(!theirs);
}

Test(names, the_certificate_for_the_name_is_shown_else_the_first) {
    check_all(TARN_TLS_13);
}

/* There ECDSA's digest and curve are independent: a key of P-384 signs with SHA-256, too. */
Test(names, and_in_tls_1_2) {
    check_all(TARN_TLS_12);
}
