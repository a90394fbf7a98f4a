/* SPDX-License-Identifier: ISC */
/* Handshakes in memory: what should work, and that nothing else does. */
#define _GNU_SOURCE
#include "rig.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static struct rig rig;

static void fresh(uint64_t seed) {
    if (!rig.server.config.random)
        rig_init(&rig, 1);
    rig_start(&rig, seed);
}

static void check_both_ways(void) {
    cr_assert(rig_connected(&rig.client) && rig_connected(&rig.server));
    cr_assert(rig_says(&rig.client, &rig.server, TARN_SPAN_LIT("request")));
    cr_assert(rig_says(&rig.server, &rig.client, TARN_SPAN_LIT("answer")));
}

Test(engine, every_suite_with_every_group) {
    rig_init(&rig, 1);
    for (uint32_t suite = 0; suite < 4; suite++)
        for (uint32_t group = 0; group < 4; group++) {
            rig.client.config.suites_off = ~(1u << suite);
            rig.client.config.groups_off = ~(1u << group);
            fresh(suite * 4 + group);
            rig_run(&rig, 1 << 20);
            check_both_ways();
            cr_assert_eq(rig.server.tls.suite, suite);
            cr_assert_eq(rig.server.tls.group, group);
        }
}

Test(engine, a_retry_leads_to_a_group_of_both) {
    rig_init(&rig, 1);
    rig.server.config.groups_off = ~(1u << TARN_TLS_P384);
    fresh(1);
    rig_run(&rig, 1 << 20);
    check_both_ways();
    cr_assert(rig.client.tls.retried && rig.server.tls.retried);
    cr_assert_eq(rig.client.tls.group, TARN_TLS_P384);
}

Test(engine, nothing_in_common_is_a_handshake_failure) {
    bool theirs;
    rig_init(&rig, 1);
    rig.server.config.groups_off = ~(1u << TARN_TLS_P384);
    rig.client.config.groups_off = 1u << TARN_TLS_P384;
    fresh(1);
    rig_run(&rig, 1 << 20);
    cr_assert_eq(tarn_tls_alert_of(&rig.client.tls, &theirs), TARN_TLS_HANDSHAKE_FAILURE);
    cr_assert(theirs);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_HANDSHAKE_FAILURE);
    cr_assert(!theirs);
}

Test(engine, the_same_seed_is_the_same_handshake) {
    static uint8_t one[RIG_WIRE_MAX], two[RIG_WIRE_MAX];
    size_t lens[2];
    for (int i = 0; i < 2; i++) {
        uint8_t *out = i ? two : one;
        fresh(5);
        size_t n = rig_take(&rig.client, out, RIG_WIRE_MAX);
        rig_feed(&rig.server, out, n, 1 << 20);
        lens[i] = n + rig_take(&rig.server, out + n, RIG_WIRE_MAX - n);
    }
    cr_assert_eq(lens[0], lens[1]);
    cr_assert_arr_eq(one, two, lens[0]);
}

Test(engine, any_split_of_the_bytes_is_the_same) {
    for (size_t step = 1; step < 40; step++) {
        fresh(step);
        rig_run(&rig, step);
        check_both_ways();
    }
}

Test(engine, a_client_shows_its_certificate) {
    struct tarn_public_key key;
    rig_init(&rig, 1);
    rig.server.config.client_auth = TARN_TLS_CLIENT_MUST;
    rig.client.config.identities = &rig.client_identity;
    rig.client.config.identity_count = 1;
    fresh(1);
    rig_run(&rig, 1 << 20);
    check_both_ways();
    cr_assert(tarn_tls_peer_key(&rig.server.tls, &key));
    cr_assert(tarn_public_key_equal(&key, &rig.client_key.pub));
    rig.client.config.identity_count = 0;
    fresh(2);
    rig_run(&rig, 1 << 20);
    cr_assert(!rig_connected(&rig.server));
    rig.server.config.client_auth = TARN_TLS_CLIENT_MAY;
    fresh(3);
    rig_run(&rig, 1 << 20);
    check_both_ways();
    cr_assert(!tarn_tls_peer_key(&rig.server.tls, &key));
}

Test(engine, a_signature_can_come_from_elsewhere) {
    const struct tarn_scheme *scheme;
    const struct tarn_tls_identity *id;
    uint8_t sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    rig_init(&rig, 1);
    rig.identity.key = NULL;
    fresh(1);
    rig_run(&rig, 1 << 20);
    cr_assert(tarn_tls_state(&rig.server.tls) & TARN_TLS_WANTS_SIGNATURE);
    cr_assert_eq(tarn_tls_recv_window(&rig.server.tls).len, 0);
    struct tarn_span text = tarn_tls_sign_request(&rig.server.tls, &scheme, &id);
    cr_assert_eq(tarn_sign(&rig.key, scheme, &rig.server.random.random, text, &w), TARN_OK);
    tarn_tls_sign_done(&rig.server.tls, tarn_writer_span(&w));
    rig_run(&rig, 1 << 20);
    check_both_ways();
    fresh(2);
    rig_run(&rig, 1 << 20);
    tarn_tls_sign_done(&rig.server.tls, TARN_SPAN_EMPTY);
    rig_run(&rig, 1 << 20);
    cr_assert(!rig_connected(&rig.client));
}

Test(engine, keys_are_updated_by_either) {
    fresh(1);
    rig_run(&rig, 1 << 20);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(tarn_tls_update_keys(&rig.client.tls, i % 2), TARN_OK);
        rig_run(&rig, 1 << 20);
        check_both_ways();
        cr_assert_eq(tarn_tls_update_keys(&rig.server.tls, true), TARN_OK);
        rig_run(&rig, 1 << 20);
        check_both_ways();
    }
}

Test(engine, both_export_the_same) {
    uint8_t one[40], two[40];
    fresh(1);
    cr_assert_eq(tarn_tls_export(&rig.client.tls, "x", TARN_SPAN_EMPTY, TARN_BYTES_ARRAY(one)),
                 TARN_INVALID);
    rig_run(&rig, 1 << 20);
    cr_assert_eq(tarn_tls_export(&rig.client.tls, "x", TARN_SPAN_LIT("c"), TARN_BYTES_ARRAY(one)),
                 TARN_OK);
    cr_assert_eq(tarn_tls_export(&rig.server.tls, "x", TARN_SPAN_LIT("c"), TARN_BYTES_ARRAY(two)),
                 TARN_OK);
    cr_assert_arr_eq(one, two, sizeof one);
    cr_assert_eq(tarn_tls_export(&rig.server.tls, "x", TARN_SPAN_LIT("d"), TARN_BYTES_ARRAY(two)),
                 TARN_OK);
    cr_assert_neq(memcmp(one, two, sizeof one), 0);
}

Test(engine, closing_is_told_and_reading_goes_on) {
    bool theirs;
    fresh(1);
    rig_run(&rig, 1 << 20);
    tarn_tls_close(&rig.client.tls);
    rig_run(&rig, 1 << 20);
    cr_assert(tarn_tls_state(&rig.server.tls) & TARN_TLS_PEER_CLOSED);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_CLOSE_NOTIFY);
    cr_assert(theirs);
    cr_assert(tarn_tls_state(&rig.server.tls) & TARN_TLS_WRITE);
}

Test(engine, plain_text_is_not_taken_before_the_other_side_is_known) {
    fresh(1);
    cr_assert_eq(tarn_tls_write_window(&rig.client.tls).len, 0);
    size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
    cr_assert_eq(tarn_tls_write_window(&rig.server.tls).len, 0);
}

/* Whoever changes any byte on the wire ends the handshake, and each side that fails says why. */
Test(engine, any_changed_byte_of_the_servers_flight_is_seen) {
    static uint8_t flight[RIG_WIRE_MAX];
    rig_init(&rig, 1);
    rig.client.config.groups_off = rig.server.config.groups_off = 1 << TARN_TLS_X25519MLKEM768;
    for (size_t at = 0;; at += 3) {
        fresh(9);
        size_t n = rig_take(&rig.client, flight, sizeof flight);
        rig_feed(&rig.server, flight, n, 1 << 20);
        n = rig_take(&rig.server, flight, sizeof flight);
        if (at >= n)
            break;
        /* The version in a record's head is not looked at, nor is a compatibility record hurt. */
        flight[at] ^= 0x20;
        rig_feed(&rig.client, flight, n, 1 << 20);
        if (rig_connected(&rig.client)) {
            struct tarn_span head = tarn_span_of(flight + at - 2, 3);
            cr_assert(at == 2 || head.ptr[0] == 20 || head.ptr[0] == 22, "byte %zu", at);
        }
    }
}

/* Time passes no judgement here: nothing comes of half a handshake. */
Test(engine, a_client_that_stops_anywhere_leaves_no_connection) {
    static uint8_t flight[RIG_WIRE_MAX];
    fresh(3);
    size_t n = rig_take(&rig.client, flight, sizeof flight);
    for (size_t cut = 0; cut < n; cut += 7) {
        fresh(3);
        rig_feed(&rig.server, flight, cut, 1 << 20);
        cr_assert(!rig_connected(&rig.server));
        cr_assert(!(tarn_tls_state(&rig.server.tls) & TARN_TLS_SEND));
    }
}

static enum tarn_tls_alert answer_to(struct tarn_span bytes) {
    bool theirs;
    fresh(1);
    rig_feed(&rig.server, bytes.ptr, bytes.len, 1 << 20);
    /* The alert is there to be sent. */
    size_t n = rig_take(&rig.server, rig.wire, sizeof rig.wire);
    enum tarn_tls_alert alert = tarn_tls_alert_of(&rig.server.tls, &theirs);
    if (alert != TARN_TLS_FINE)
        cr_assert(n == 7 && rig.wire[0] == 21 && rig.wire[6] == alert);
    return alert;
}

Test(engine, each_odd_record_has_its_alert) {
    cr_assert_eq(answer_to(TARN_SPAN_LIT("GET / HTTP/1.0")), TARN_TLS_PROTOCOL_VERSION);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x16\x03\x01\x40\x01")), TARN_TLS_RECORD_OVERFLOW);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x18\x03\x01\x00\x01")), TARN_TLS_UNEXPECTED_MESSAGE);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x17\x03\x03\x00\x01x")), TARN_TLS_UNEXPECTED_MESSAGE);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x14\x03\x03\x00\x01\x01")), TARN_TLS_UNEXPECTED_MESSAGE);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x16\x03\x01\x00\x00")), TARN_TLS_UNEXPECTED_MESSAGE);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x16\x03\x01\x00\x04\x14\0\0\0")),
                 TARN_TLS_UNEXPECTED_MESSAGE);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x16\x03\x01\x00\x04\x01\0\0\0")), TARN_TLS_DECODE_ERROR);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x16\x03\x01\x00\x04\x01\x01\0\0")),
                 TARN_TLS_ILLEGAL_PARAMETER);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x15\x03\x01\x00\x01\x02")), TARN_TLS_DECODE_ERROR);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x15\x03\x01\x00\x00")), TARN_TLS_UNEXPECTED_MESSAGE);
    cr_assert_eq(answer_to(TARN_SPAN_LIT("\x16\x03\x01\x00\x01")), TARN_TLS_FINE);
}

/* A ClientHello with one extension's text in place of another's of the same length. */
static enum tarn_tls_alert answer_to_changed(const char *from, size_t from_len, const char *to) {
    static uint8_t hello[4000];
    bool theirs;
    fresh(1);
    size_t n = rig_take(&rig.client, hello, sizeof hello);
    uint8_t *at = memmem(hello, n, from, from_len);
    cr_assert(at);
    memcpy(at, to, from_len);
    rig_feed(&rig.server, hello, n, 1 << 20);
    return tarn_tls_alert_of(&rig.server.tls, &theirs);
}

Test(engine, each_odd_hello_has_its_alert) {
    static const char name[] = "\x00\x0fwww.example.com";
    cr_assert_eq(answer_to_changed(name, 17, "\x00\x0fwww.exam\0le.com"),
                 TARN_TLS_ILLEGAL_PARAMETER);
    cr_assert_eq(answer_to_changed(name, 17, "\x00\x0fwww.exam\xc3\xa4.com"),
                 TARN_TLS_ILLEGAL_PARAMETER);
    /* Two host names, one of another kind beside one, and one that goes on too long. */
    cr_assert_eq(answer_to_changed(name, 17, "\x00\x06www.ex\x00\x00\x06le.com"),
                 TARN_TLS_ILLEGAL_PARAMETER);
    cr_assert_eq(answer_to_changed(name, 17, "\x00\x06www.ex\x07\x00\x06le.com"), TARN_TLS_FINE);
    cr_assert_eq(answer_to_changed(name, 17, "\x00\x06www.ex\x07\x00\x07le.com"),
                 TARN_TLS_DECODE_ERROR);
}

static enum tarn_tls_alert answer_to_version(uint8_t major, uint8_t minor) {
    bool theirs;
    fresh(1);
    size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig.wire[9] = major;
    rig.wire[10] = minor;
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    return tarn_tls_alert_of(&rig.server.tls, &theirs);
}

/* RFC 8446 section 4.1.2, appendix D.5: the old field says nothing, but may not be SSL's. */
Test(engine, the_old_version_field_is_not_that_of_ssl) {
    for (uint8_t minor = 1; minor < 6; minor++)
        cr_assert_eq(answer_to_version(3, minor), TARN_TLS_FINE);
    cr_assert_eq(answer_to_version(3, 0), TARN_TLS_PROTOCOL_VERSION);
    cr_assert_eq(answer_to_version(2, 0), TARN_TLS_PROTOCOL_VERSION);
}

/* Thousands of extensions that nobody knows; and one of them twice. */
Test(engine, any_number_of_extensions_is_passed_over) {
    static uint8_t hello[20000];
    bool theirs;
    for (int twice = 0; twice < 2; twice++) {
        fresh(1);
        size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
        memcpy(hello, rig.wire, n);
        for (unsigned i = 0; i < 3000; i++) {
            unsigned id = 0x2000 + (twice && i == 2999 ? 7 : i);
            memcpy(hello + n, (uint8_t[4]){(uint8_t)(id >> 8), (uint8_t)id, 0, 0}, 4);
            n += 4;
        }
        size_t body = n - 5, suites = 5 + 4 + 2 + 32 + 33, at = suites + 2 + hello[suites + 1] + 2;
        hello[3] = (uint8_t)(body >> 8);
        hello[4] = (uint8_t)body;
        hello[7] = (uint8_t)((body - 4) >> 8);
        hello[8] = (uint8_t)(body - 4);
        hello[at] = (uint8_t)((n - at - 2) >> 8);
        hello[at + 1] = (uint8_t)(n - at - 2);
        rig_feed(&rig.server, hello, n, 1 << 20);
        cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs),
                     twice ? TARN_TLS_ILLEGAL_PARAMETER : TARN_TLS_FINE);
    }
}

/* A client sends one compatibility record (RFC 8446 appendix D.4). */
Test(engine, a_second_compatibility_record_is_unexpected) {
    static const uint8_t ccs[6] = {20, 3, 3, 0, 1, 1};
    bool theirs;
    fresh(1);
    size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_FINE);
        rig_feed(&rig.server, ccs, sizeof ccs, 1 << 20);
    }
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_UNEXPECTED_MESSAGE);
}

/* A ClientHello with early_data and the records that follow it, which nobody here can open. */
Test(engine, early_data_is_passed_over_up_to_a_bound) {
    static uint8_t hello[2000], early[100] = {23, 3, 3, 0, 95};
    for (int retry = 0; retry < 2; retry++) {
        for (int records = 0; records < 400; records += 399) {
            rig_init(&rig, 1);
            rig.client.config.groups_off = 1 << TARN_TLS_X25519MLKEM768;
            rig.server.config.groups_off = retry ? ~(1u << TARN_TLS_P384) : 0;
            fresh(1);
            size_t n = rig_take(&rig.client, hello, sizeof hello);
            /* The extension, in front of the others: three lengths grow by four. */
            size_t suites = 5 + 4 + 2 + 32 + 33, at = suites + 2 + hello[suites + 1] + 2 + 2;
            memmove(hello + at + 4, hello + at, n - at);
            memcpy(hello + at, "\x00\x2a\x00\x00", 4);
            hello[4] = (uint8_t)(hello[4] + 4);
            hello[8] = (uint8_t)(hello[8] + 4);
            hello[at - 1] = (uint8_t)(hello[at - 1] + 4);
            cr_assert_eq(rig_feed(&rig.server, hello, n + 4, 1 << 20), n + 4);
            (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
            cr_assert(!(tarn_tls_state(&rig.server.tls) & TARN_TLS_CLOSED));
            for (int i = 0; i < 5 + records; i++)
                rig_feed(&rig.server, early, sizeof early, 1 << 20);
            bool closed = tarn_tls_state(&rig.server.tls) & TARN_TLS_CLOSED;
            cr_assert_eq(closed, records > 0);
        }
    }
}

/* After a retry and the ClientHello that follows it there is no early data: it is a bad record. */
Test(engine, early_data_ends_with_a_retry) {
    static const uint8_t early[100] = {23, 3, 3, 0, 95};
    bool theirs;
    rig_init(&rig, 1);
    rig.server.config.groups_off = ~(1u << TARN_TLS_P384);
    fresh(1);
    size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    rig.server.tls.early_bytes = 1000; /* as if the client had hoped for it */
    n = rig_take(&rig.server, rig.wire, sizeof rig.wire);
    rig_feed(&rig.client, rig.wire, n, 1 << 20);
    rig_feed(&rig.server, early, sizeof early, 1 << 20);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_FINE);
    n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
    rig_feed(&rig.server, early, sizeof early, 1 << 20);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_BAD_RECORD_MAC);
}

Test(engine, taking_more_than_the_window_traps, .signal = SIGILL) {
    fresh(1);
    tarn_tls_recv_done(&rig.server.tls, 6);
}
