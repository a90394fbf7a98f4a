/* SPDX-License-Identifier: ISC */
/* TLS 1.2 in memory: what should work, what must be refused, and with which alert. */
#define _GNU_SOURCE
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

static struct rig rig;

/* A client that can do no more than TLS 1.2, and a server that could. */
static void prepare(void) {
    rig_init(&rig, 1);
    rig.client.config.version_max = TARN_TLS_12;
}

static void run(uint64_t seed) {
    rig_start(&rig, seed);
    rig_run(&rig, 1 << 20);
}

static void check_both_ways(void) {
    cr_assert(rig_connected(&rig.client) && rig_connected(&rig.server));
    cr_assert_eq(tarn_tls_version(&rig.client.tls), TARN_TLS_12);
    cr_assert_eq(tarn_tls_version(&rig.server.tls), TARN_TLS_12);
    cr_assert(rig_says(&rig.client, &rig.server, TARN_SPAN_LIT("request")));
    cr_assert(rig_says(&rig.server, &rig.client, TARN_SPAN_LIT("answer")));
}

static enum tarn_tls_alert alert_of(const struct rig_end *e) {
    bool theirs;
    return tarn_tls_alert_of(&e->tls, &theirs);
}

/* The server gets another key, in a certificate that nobody vouches for. */
static void give_key(enum tarn_pk_type type) {
    static uint8_t secret[2048], point[TARN_EC_POINT_BYTES_MAX], der[2048];
    struct tarn_random *random = &rig.server.random.random;
    tarn_random_seeded_init(&rig.server.random, 5);
    if (type == TARN_PK_RSA) {
        cr_assert_eq(tarn_rsa_generate(random, 1024, tarn_bytes_of(secret, 768), &rig.key),
                     TARN_OK);
    } else {
        struct tarn_bytes s = {secret, tarn_pk_scalar_bytes(type)};
        struct tarn_bytes p = {point, tarn_pk_point_bytes(type)};
        cr_assert_eq(tarn_pk_generate(type, random, s, p), TARN_OK);
        rig.key = (struct tarn_private_key){.pub = {.type = type, .point = tarn_bytes_span(p)},
                                            .secret = tarn_bytes_span(s)};
    }
    struct tarn_x509_issue issue = {
        .subject = {.common_name = TARN_SPAN_LIT("x")},
        .key = &rig.key.pub,
        .signer = &rig.key,
        .not_before = RIG_NOW - 1,
        .not_after = RIG_NOW + 1000,
        .random = random,
    };
    cr_assert_eq(tarn_x509_make(&issue, TARN_BYTES_ARRAY(der), &rig.chain[0]), TARN_OK);
    rig.client.config.trust_anybody = true;
}

Test(tls12, every_suite_with_every_group_and_kind_of_key) {
    static const enum tarn_pk_type types[] = {TARN_PK_P256,    TARN_PK_P384,  TARN_PK_P521,
                                              TARN_PK_ED25519, TARN_PK_ED448, TARN_PK_RSA};
    for (size_t k = 0; k < TARN_COUNT_OF(types); k++) {
        prepare();
        give_key(types[k]);
        for (uint32_t suite = 0; suite < 5; suite++)
            for (uint32_t group = 1; group < 4; group += types[k] == TARN_PK_RSA ? 2 : 1) {
                bool exists = types[k] != TARN_PK_RSA || suite < TARN_TLS_AES128_CCM;
                rig.client.config.suites_off = ~(1u << suite);
                rig.server.config.groups_off = ~(1u << group);
                run(suite * 4 + group);
                /* A client that has no group for a curve in the certificate does not get it. */
                if (!exists || types[k] == TARN_PK_P521) {
                    cr_assert_eq(alert_of(&rig.server), TARN_TLS_HANDSHAKE_FAILURE);
                    continue;
                }
                check_both_ways();
                cr_assert_eq(rig.client.tls.suite, suite);
                cr_assert_eq(rig.client.tls.group, group);
            }
    }
}

Test(tls12, the_newest_version_of_both_is_taken) {
    static const struct {
        uint16_t server_min, server_max, client_min, client_max, agreed;
    } cases[] = {
        {0, 0, 0, 0, TARN_TLS_13},           {0, TARN_TLS_12, 0, 0, TARN_TLS_12},
        {0, 0, 0, TARN_TLS_12, TARN_TLS_12}, {0, TARN_TLS_12, 0, TARN_TLS_12, TARN_TLS_12},
        {TARN_TLS_13, 0, 0, 0, TARN_TLS_13}, {TARN_TLS_13, 0, 0, TARN_TLS_12, 0},
        {0, TARN_TLS_12, TARN_TLS_13, 0, 0},
    };
    rig_init(&rig, 1);
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        rig.server.config.version_min = cases[i].server_min;
        rig.server.config.version_max = cases[i].server_max;
        rig.client.config.version_min = cases[i].client_min;
        rig.client.config.version_max = cases[i].client_max;
        run(i);
        if (cases[i].agreed == 0) {
            cr_assert_eq(alert_of(&rig.client), TARN_TLS_PROTOCOL_VERSION);
            cr_assert_eq(alert_of(&rig.server), TARN_TLS_PROTOCOL_VERSION);
            continue;
        }
        cr_assert_eq(tarn_tls_version(&rig.client.tls), cases[i].agreed, "case %zu", i);
        cr_assert(rig_says(&rig.client, &rig.server, TARN_SPAN_LIT("x")));
    }
    rig.client.config.version_min = TARN_TLS_13;
    rig.client.config.version_max = TARN_TLS_12;
    cr_assert_eq(tarn_tls_init(&rig.client.tls, &rig.client.config,
                               TARN_BYTES_ARRAY(rig.client.memory), TARN_SPAN_EMPTY, 0),
                 TARN_INVALID);
}

/* RFC 8446 section 4.1.3: who is made to come down to TLS 1.2 from outside sees it. */
Test(tls12, a_downgrade_is_seen_by_the_client) {
    static uint8_t hello[2000];
    rig_init(&rig, 1);
    rig_start(&rig, 1);
    size_t n = rig_take(&rig.client, hello, sizeof hello);
    /* Somebody takes TLS 1.3 out of the list of versions. */
    uint8_t *versions = memmem(hello, n, "\x00\x2b\x00\x05\x04\x03\x04\x03\x03", 9);
    cr_assert(versions);
    versions[6] = 2;
    rig_feed(&rig.server, hello, n, 1 << 20);
    n = rig_take(&rig.server, hello, sizeof hello);
    cr_assert(n > 100 && !memcmp(hello + 5 + 4 + 2 + 24, "DOWNGRD\x01", 8));
    rig_feed(&rig.client, hello, n, 1 << 20);
    cr_assert_eq(alert_of(&rig.client), TARN_TLS_ILLEGAL_PARAMETER);
}

Test(tls12, a_needless_fallback_is_refused) {
    prepare();
    rig.client.config.fallback = true;
    run(1);
    cr_assert_eq(alert_of(&rig.client), TARN_TLS_INAPPROPRIATE_FALLBACK);
    rig.server.config.version_max = TARN_TLS_12; /* the server cannot do better */
    run(1);
    check_both_ways();
}

Test(tls12, any_split_of_the_bytes_is_the_same) {
    prepare();
    for (size_t step = 1; step < 40; step++) {
        rig_start(&rig, step);
        rig_run(&rig, step);
        check_both_ways();
    }
}

Test(tls12, the_same_seed_is_the_same_handshake) {
    static uint8_t flights[2][RIG_WIRE_MAX];
    size_t lens[2];
    prepare();
    for (int i = 0; i < 2; i++) {
        uint8_t *out = flights[i];
        rig_start(&rig, 5);
        size_t n = rig_take(&rig.client, out, RIG_WIRE_MAX);
        rig_feed(&rig.server, out, n, 1 << 20);
        size_t m = rig_take(&rig.server, out + n, RIG_WIRE_MAX - n);
        rig_feed(&rig.client, out + n, m, 1 << 20);
        lens[i] = n + m + rig_take(&rig.client, out + n + m, RIG_WIRE_MAX - n - m);
    }
    cr_assert_eq(lens[0], lens[1]);
    cr_assert_arr_eq(flights[0], flights[1], lens[0]);
}

Test(tls12, a_client_shows_its_certificate) {
    struct tarn_public_key key;
    prepare();
    rig.server.config.client_auth = TARN_TLS_CLIENT_MUST;
    rig.client.config.identities = &rig.client_identity;
    rig.client.config.identity_count = 1;
    for (uint32_t suite = 0; suite < 2; suite++) { /* SHA-256 and SHA-384 */
        rig.client.config.suites_off = ~(1u << suite);
        run(suite);
        check_both_ways();
        cr_assert(tarn_tls_peer_key(&rig.server.tls, &key));
        cr_assert(tarn_public_key_equal(&key, &rig.client_key.pub));
    }
    rig.client.config.identity_count = 0;
    run(2);
    cr_assert_eq(alert_of(&rig.server), TARN_TLS_HANDSHAKE_FAILURE);
    rig.server.config.client_auth = TARN_TLS_CLIENT_MAY;
    run(3);
    check_both_ways();
    cr_assert(!tarn_tls_peer_key(&rig.server.tls, &key));
}

static void sign_elsewhere(struct rig_end *e, const struct tarn_private_key *key) {
    const struct tarn_scheme *scheme;
    const struct tarn_tls_identity *id;
    uint8_t sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    cr_assert(tarn_tls_state(&e->tls) & TARN_TLS_WANTS_SIGNATURE);
    struct tarn_span text = tarn_tls_sign_request(&e->tls, &scheme, &id);
    cr_assert_eq(tarn_sign(key, scheme, &e->random.random, text, &w), TARN_OK);
    tarn_tls_sign_done(&e->tls, tarn_writer_span(&w));
    rig_run(&rig, 1 << 20);
}

Test(tls12, signatures_can_come_from_elsewhere) {
    prepare();
    rig.identity.key = rig.client_identity.key = NULL;
    rig.server.config.client_auth = TARN_TLS_CLIENT_MUST;
    rig.client.config.identities = &rig.client_identity;
    rig.client.config.identity_count = 1;
    run(1);
    sign_elsewhere(&rig.server, &rig.key);
    sign_elsewhere(&rig.client, &rig.client_key);
    check_both_ways();
    run(1);
    tarn_tls_sign_done(&rig.server.tls, TARN_SPAN_EMPTY);
    rig_run(&rig, 1 << 20);
    cr_assert_eq(alert_of(&rig.client), TARN_TLS_INTERNAL_ERROR);
}

/* Who cannot do RFC 7627 is taken where the configuration says so, and then nothing is exported. */
Test(tls12, an_old_master_secret_is_taken_where_it_may_be) {
    static uint8_t hello[2000], out[16];
    prepare();
    rig.server.config.old_master_secret = true;
    rig_start(&rig, 1);
    size_t n = rig_take(&rig.client, hello, sizeof hello);
    uint8_t *at = memmem(hello, n, "\x00\x17\x00\x00", 4);
    cr_assert(at);
    at[0] = 0x77;
    rig_feed(&rig.server, hello, n, 1 << 20);
    cr_assert(tarn_tls_state(&rig.server.tls) & TARN_TLS_SEND);
    cr_assert(!rig.server.tls.extended);
    run(1);
    rig.server.tls.extended = rig.client.tls.extended = false;
    cr_assert_eq(tarn_tls_export(&rig.server.tls, "x", TARN_SPAN_EMPTY, TARN_BYTES_ARRAY(out)),
                 TARN_INVALID);
}

/* RFC 5705: no context is not an empty one. */
Test(tls12, both_export_the_same) {
    static const uint8_t empty[1];
    const struct tarn_span contexts[] = {TARN_SPAN_EMPTY, {empty, 0}, TARN_SPAN_LIT("c")};
    uint8_t one[3][40], two[40];
    prepare();
    run(1);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(tarn_tls_export(&rig.client.tls, "x", contexts[i], TARN_BYTES_ARRAY(one[i])),
                     TARN_OK);
        cr_assert_eq(tarn_tls_export(&rig.server.tls, "x", contexts[i], TARN_BYTES_ARRAY(two)),
                     TARN_OK);
        cr_assert_arr_eq(one[i], two, sizeof two);
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(memcmp(one[i], one[k], sizeof two), 0);
    }
}

Test(tls12, closing_is_told_and_keys_stay) {
    prepare();
    run(1);
    cr_assert_eq(tarn_tls_update_keys(&rig.client.tls, true), TARN_INVALID);
    tarn_tls_close(&rig.client.tls);
    rig_run(&rig, 1 << 20);
    cr_assert(tarn_tls_state(&rig.server.tls) & TARN_TLS_PEER_CLOSED);
    cr_assert(tarn_tls_state(&rig.server.tls) & TARN_TLS_WRITE);
}

/* RFC 8449: in TLS 1.2 the limit is that of the text alone. */
Test(tls12, records_are_as_large_as_the_other_side_takes) {
    prepare();
    run(1);
    cr_assert_eq(tarn_tls_write_window(&rig.client.tls).len, 16384);
    cr_assert_eq(tarn_tls_write_window(&rig.server.tls).len, 16384);
    static uint8_t text[16384];
    memset(text, 'x', sizeof text);
    cr_assert(rig_says(&rig.client, &rig.server, TARN_SPAN_ARRAY(text)));
}

Test(tls12, any_changed_byte_ends_the_handshake) {
    static uint8_t flight[RIG_WIRE_MAX];
    prepare();
    for (int back = 0; back < 3; back++)
        for (size_t at = 0;; at += 3) {
            rig_start(&rig, 9);
            size_t n = rig_take(&rig.client, flight, sizeof flight);
            struct rig_end *to = &rig.server;
            if (back > 0) {
                rig_feed(&rig.server, flight, n, 1 << 20);
                n = rig_take(&rig.server, flight, sizeof flight);
                to = &rig.client;
            }
            if (back > 1) {
                rig_feed(&rig.client, flight, n, 1 << 20);
                n = rig_take(&rig.client, flight, sizeof flight);
                to = &rig.server;
            }
            if (at >= n)
                break;
            flight[at] ^= 0x20;
            rig_feed(to, flight, n, 1 << 20);
            rig_run(&rig, 1 << 20);
            /* The version in a record's head that is not sealed is not looked at. */
            bool ended = !rig_connected(&rig.client) || !rig_connected(&rig.server);
            cr_assert(ended || flight[at] == (3 ^ 0x20), "flight %d byte %zu", back, at);
        }
}

Test(tls12, a_client_that_stops_anywhere_leaves_no_connection) {
    static uint8_t first[2000], second[2000];
    prepare();
    rig_start(&rig, 3);
    size_t n = rig_take(&rig.client, first, sizeof first);
    rig_feed(&rig.server, first, n, 1 << 20);
    size_t k = rig_take(&rig.server, rig.wire, sizeof rig.wire);
    rig_feed(&rig.client, rig.wire, k, 1 << 20);
    size_t m = rig_take(&rig.client, second, sizeof second);
    for (size_t cut = 0; cut < m; cut += 3) {
        rig_start(&rig, 3);
        rig_feed(&rig.server, first, n, 1 << 20);
        (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
        rig_feed(&rig.server, second, cut, 1 << 20);
        cr_assert(!rig_connected(&rig.server));
        cr_assert(!(tarn_tls_state(&rig.server.tls) & (TARN_TLS_SEND | TARN_TLS_CLOSED)));
    }
}

/* The client's first message with one extension's number changed, so that it is not there. */
static enum tarn_tls_alert without(const char *extension, size_t len) {
    static uint8_t hello[2000];
    rig_start(&rig, 1);
    size_t n = rig_take(&rig.client, hello, sizeof hello);
    uint8_t *at = memmem(hello, n, extension, len);
    cr_assert(at);
    at[0] = 0x77;
    rig_feed(&rig.server, hello, n, 1 << 20);
    return alert_of(&rig.server);
}

Test(tls12, what_must_be_offered_is_asked_for) {
    prepare();
    cr_assert_eq(without("\x00\x17\x00\x00", 4), TARN_TLS_HANDSHAKE_FAILURE); /* RFC 7627 */
    cr_assert_eq(without("\x00\x0a\x00\x08", 4), TARN_TLS_HANDSHAKE_FAILURE); /* groups */
    cr_assert_eq(without("\x00\x0d\x00", 3), TARN_TLS_HANDSHAKE_FAILURE);     /* signatures */
    cr_assert_eq(without("\x00\x0b\x00\x02", 4), TARN_TLS_FINE);
    /* A server that says nothing about RFC 5746 or RFC 7627 is not talked to. */
    for (int i = 0; i < 2; i++) {
        rig_start(&rig, 1);
        size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
        rig_feed(&rig.server, rig.wire, n, 1 << 20);
        n = rig_take(&rig.server, rig.wire, sizeof rig.wire);
        uint8_t *at =
            memmem(rig.wire, n, i ? "\xff\x01\x00\x01\x00" : "\x00\x17\x00\x00", i ? 5 : 4);
        cr_assert(at);
        at[0] = 0;
        at[1] = 0x0a; /* groups, then, which a client passes over */
        rig_feed(&rig.client, rig.wire, n, 1 << 20);
        cr_assert_eq(alert_of(&rig.client), TARN_TLS_HANDSHAKE_FAILURE);
    }
}

/* A record of `from`, sealed with its keys, as if its engine had made it. */
static void inject(struct rig_end *from, struct rig_end *to, uint8_t type, struct tarn_span text) {
    static uint8_t record[TARN_TLS_RECORD_BYTES_MAX];
    struct tarn_tls_keys *k = &from->tls.tx;
    struct tarn_writer head = TARN_WRITER_ARRAY(record), aad;
    uint8_t aad_bytes[13], nonce[12];
    tarn_writer_u8(&head, type);
    tarn_writer_u16be(&head, 0x0303);
    tarn_writer_u16be(&head, (uint16_t)(8 + text.len + 16));
    tarn_writer_u64be(&head, k->seq);
    aad = (struct tarn_writer)TARN_WRITER_ARRAY(aad_bytes);
    tarn_writer_u64be(&aad, k->seq++);
    tarn_writer_mem(&aad, record, 3);
    tarn_writer_u16be(&aad, (uint16_t)text.len);
    memcpy(nonce, k->iv, 4);
    memcpy(nonce + 4, record + 5, 8);
    cr_assert_eq(tarn_aead_seal(&k->aead, TARN_SPAN_ARRAY(nonce), tarn_writer_span(&aad), text,
                                tarn_bytes_of(record + 13, sizeof record - 13)),
                 TARN_OK);
    rig_feed(to, record, 13 + text.len + 16, 1 << 20);
}

/* RFC 5746, RFC 5246 section 7.2.2: refused with a warning, and what there is goes on. */
Test(tls12, a_second_handshake_is_refused) {
    const struct tarn_span hello = TARN_SPAN_LIT("\x01\0\0\x01x");
    const struct tarn_span request = TARN_SPAN_LIT("\0\0\0\0");
    prepare();
    for (int by_client = 0; by_client < 2; by_client++) {
        struct rig_end *from = by_client ? &rig.client : &rig.server;
        struct rig_end *to = by_client ? &rig.server : &rig.client;
        run(1);
        for (int i = 0; i < 9; i++) { /* what is said in between starts the count anew */
            inject(from, to, 22, by_client ? hello : request);
            cr_assert(tarn_tls_state(&to->tls) & TARN_TLS_SEND);
            rig_run(&rig, 1 << 20);
            if (i < 5)
                check_both_ways();
        }
        inject(from, to, 22, by_client ? hello : request);
        cr_assert_eq(alert_of(to), TARN_TLS_NO_RENEGOTIATION);
    }
}

Test(tls12, each_odd_record_has_its_alert) {
    static const struct {
        uint8_t type;
        struct tarn_span text;
        enum tarn_tls_alert alert;
    } cases[] = {
        {22, {(const uint8_t *)"", 0}, TARN_TLS_UNEXPECTED_MESSAGE},
        {20, {(const uint8_t *)"\x01", 1}, TARN_TLS_UNEXPECTED_MESSAGE},
        {22, {(const uint8_t *)"\x14\0\0\0", 4}, TARN_TLS_UNEXPECTED_MESSAGE},
        {22, {(const uint8_t *)"\x18\0\0\x01\0", 5}, TARN_TLS_UNEXPECTED_MESSAGE},
        {22, {(const uint8_t *)"\x02\0\0\0", 4}, TARN_TLS_UNEXPECTED_MESSAGE},
        {21, {(const uint8_t *)"\x02", 1}, TARN_TLS_DECODE_ERROR},
        {21, {(const uint8_t *)"\x05\x0a", 2}, TARN_TLS_ILLEGAL_PARAMETER},
        {21, {(const uint8_t *)"\x02\x28", 2}, TARN_TLS_HANDSHAKE_FAILURE}, /* theirs */
        {21, {(const uint8_t *)"\x01\x5a", 2}, TARN_TLS_FINE},
    };
    prepare();
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        run(i);
        inject(&rig.client, &rig.server, cases[i].type, cases[i].text);
        cr_assert_eq(alert_of(&rig.server), cases[i].alert, "case %zu: %s", i,
                     tarn_tls_alert_name(alert_of(&rig.server)));
    }
    /* A record that is too short for its nonce and tag, and one that nobody sealed. */
    static uint8_t record[5 + 40] = {23, 3, 3, 0, 0};
    for (uint8_t len = 0; len < 40; len++) {
        run(len);
        record[4] = len;
        rig_feed(&rig.server, record, 5u + len, 1 << 20);
        cr_assert_eq(alert_of(&rig.server), TARN_TLS_BAD_RECORD_MAC, "%d", len);
    }
}

/* A handshake in other orders: the flight's messages are in the open up to the keys. Digits are the
 * flight's messages, c is a ChangeCipherSpec, f the sealed Finished, h a HelloRequest. */
struct flight {
    uint8_t bytes[8][2000];
    size_t len[8], count;
};

static void take_apart(const uint8_t *wire, size_t n, struct flight *f) {
    f->count = 0;
    for (size_t at = 0; at < n; f->count++) {
        size_t len = 5u + (size_t)(wire[at + 3] << 8 | wire[at + 4]);
        memcpy(f->bytes[f->count], wire + at, len);
        f->len[f->count] = len;
        at += len;
    }
}

/* What it answers is sent as it comes; whether there was any. */
static bool answered;
static enum tarn_tls_alert after(struct rig_end *to, const struct flight *f, const char *order) {
    static const uint8_t request[9] = {22, 3, 3, 0, 4, 0, 0, 0, 0}, app[6] = {23, 3, 3, 0, 1, 'x'};
    answered = false;
    for (; *order; order++) {
        if (*order == 'h')
            rig_feed(to, request, sizeof request, 1 << 20);
        else if (*order == 'a')
            rig_feed(to, app, sizeof app, 1 << 20);
        else
            rig_feed(to, f->bytes[*order - '0'], f->len[*order - '0'], 1 << 20);
        answered |= rig_take(to, rig.wire, sizeof rig.wire) > 0;
    }
    return tarn_tls_state(&to->tls) & TARN_TLS_CLOSED ? alert_of(to) : TARN_TLS_FINE;
}

static void check_wrong(struct rig_end *to, const struct flight *f, const char *order) {
    enum tarn_tls_alert alert = after(to, f, order);
    cr_assert(alert == TARN_TLS_UNEXPECTED_MESSAGE || alert == TARN_TLS_DECRYPT_ERROR
                  || alert == TARN_TLS_BAD_RECORD_MAC || alert == TARN_TLS_RECORD_OVERFLOW,
              "%s: %s", order, tarn_tls_alert_name(alert));
}

/* The server's: ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone.
 */
Test(tls12, only_the_right_order_of_the_servers_messages_is_answered) {
    static struct flight f;
    static const char *const wrong[] = {
        "1",     "2",      "4",      "02",    "03",     "04",    "00", "013",   "014",
        "011",   "0122",   "0121",   "01233", "01232",  "a",     "0a", "01a",   "012a",
        "0123a", "01234a", "012340", "01243", "012344", "0124a", "10", "hhhhh", "0hhhhh"};
    prepare();
    rig.server.config.client_auth = TARN_TLS_CLIENT_MAY;
    rig_start(&rig, 4);
    size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    n = rig_take(&rig.server, rig.wire, sizeof rig.wire);
    take_apart(rig.wire, n, &f);
    cr_assert_eq(f.count, 5);
    static const char *const right[] = {"", "0", "01", "012", "0124", "01234", "0h1h23h4"};
    for (size_t i = 0; i < TARN_COUNT_OF(right); i++) {
        rig_start(&rig, 4);
        (void)rig_take(&rig.client, rig.wire, sizeof rig.wire);
        cr_assert_eq(after(&rig.client, &f, right[i]), TARN_TLS_FINE, "%s", right[i]);
        cr_assert_eq(answered, strchr(right[i], '4') != NULL);
    }
    for (size_t i = 0; i < TARN_COUNT_OF(wrong); i++) {
        rig_start(&rig, 4);
        (void)rig_take(&rig.client, rig.wire, sizeof rig.wire);
        check_wrong(&rig.client, &f, wrong[i]);
    }
}

/* The client's: Certificate, ClientKeyExchange, CertificateVerify, ChangeCipherSpec, Finished. */
Test(tls12, only_the_right_order_of_the_clients_messages_connects) {
    static struct flight f;
    static uint8_t hello[2000];
    static const char *const wrong[] = {"1",     "2",     "3",      "4",      "00",    "02",
                                        "03",    "04",    "011",    "013",    "014",   "0122",
                                        "0124",  "01233", "0132",   "a",      "01a",   "012a",
                                        "0123a", "01230", "012344", "01234a", "01243", "h"};
    prepare();
    rig.server.config.client_auth = TARN_TLS_CLIENT_MUST;
    rig.client.config.identities = &rig.client_identity;
    rig.client.config.identity_count = 1;
    rig_start(&rig, 4);
    size_t n = rig_take(&rig.client, hello, sizeof hello);
    rig_feed(&rig.server, hello, n, 1 << 20);
    size_t k = rig_take(&rig.server, rig.wire, sizeof rig.wire);
    rig_feed(&rig.client, rig.wire, k, 1 << 20);
    k = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    take_apart(rig.wire, k, &f);
    cr_assert_eq(f.count, 5);
    for (size_t i = 0; i <= TARN_COUNT_OF(wrong); i++) {
        rig_start(&rig, 4);
        rig_feed(&rig.server, hello, n, 1 << 20);
        (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
        if (i < TARN_COUNT_OF(wrong)) {
            check_wrong(&rig.server, &f, wrong[i]);
        } else {
            cr_assert_eq(after(&rig.server, &f, "01234"), TARN_TLS_FINE);
            cr_assert(rig_connected(&rig.server));
        }
    }
}
