/* SPDX-License-Identifier: ISC */
/* Tickets and early data: what brings a client back sooner, and what must not. */
#define _GNU_SOURCE
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>
#include <tarn/tls_session.h>

static struct rig rig;
static struct tarn_tls_tickets tickets;
static struct tarn_tls_session slots[4];
static struct tarn_tls_session_cache cache;
static uint64_t used[4];

static void init(uint32_t early_bytes_max) {
    rig_init(&rig, 1);
    tarn_tls_tickets_init(&tickets, used, TARN_COUNT_OF(used), 100);
    tickets.early_bytes_max = early_bytes_max;
    tarn_tls_session_cache_init(&cache, slots, TARN_COUNT_OF(slots));
    rig.server.config.tickets = &tickets;
    rig.client.config.sessions = &cache.sessions;
    rig.client.config.early_data = early_bytes_max > 0;
}

static void connect_full(uint64_t seed) {
    rig_start(&rig, seed);
    rig_run(&rig, 1 << 20);
    cr_assert(rig_connected(&rig.client) && rig_connected(&rig.server));
}

static void check_both_ways(bool resumed) {
    cr_assert(rig_connected(&rig.client) && rig_connected(&rig.server));
    cr_assert_eq(tarn_tls_resumed(&rig.server.tls), resumed);
    cr_assert_eq(tarn_tls_resumed(&rig.client.tls), resumed);
    cr_assert(rig_says(&rig.client, &rig.server, TARN_SPAN_LIT("request")));
    cr_assert(rig_says(&rig.server, &rig.client, TARN_SPAN_LIT("answer")));
}

static bool resumes(uint64_t seed, size_t step) {
    rig_start(&rig, seed);
    rig_run(&rig, step);
    check_both_ways(tarn_tls_resumed(&rig.server.tls));
    return tarn_tls_resumed(&rig.server.tls);
}

Test(resume, a_ticket_takes_the_place_of_certificates_in_every_suite_and_split) {
    for (uint32_t suite = 0; suite < 3; suite++)
        for (size_t step = 1; step <= 1 << 20; step <<= 10) {
            init(0);
            rig.client.config.suites_off = ~(1u << suite);
            connect_full(1);
            cr_assert(!tarn_tls_resumed(&rig.server.tls));
            for (uint64_t i = 2; i < 5; i++) /* each brings the ticket for the next */
                cr_assert(resumes(i, step), "suite %u, step %zu", suite, step);
            cr_assert_eq(tickets.stats.resumed, 3);
        }
}

Test(resume, the_other_sides_key_is_still_known) {
    struct tarn_public_key key;
    init(0);
    rig.server.config.client_auth = TARN_TLS_CLIENT_MUST;
    rig.client.config.identities = &rig.client_identity;
    rig.client.config.identity_count = 1;
    connect_full(1);
    cr_assert(resumes(2, 1 << 20));
    cr_assert(tarn_tls_peer_key(&rig.server.tls, &key));
    cr_assert(tarn_span_equal(key.point, rig.client_key.pub.point));
    cr_assert(tarn_tls_peer_key(&rig.client.tls, &key));
    cr_assert(tarn_span_equal(key.point, rig.key.pub.point));
}

Test(resume, a_ticket_without_a_certificate_is_none_where_one_must_be_shown) {
    init(0);
    connect_full(1);
    rig.server.config.client_auth = TARN_TLS_CLIENT_MUST;
    rig.client.config.identities = &rig.client_identity;
    rig.client.config.identity_count = 1;
    cr_assert(!resumes(2, 1 << 20));
}

Test(resume, a_ticket_is_good_once) {
    struct tarn_tls_session kept;
    init(0);
    connect_full(1);
    kept = slots[1];
    cr_assert(resumes(2, 1 << 20));
    for (int i = 0; i < 4; i++)
        slots[i] = kept;
    cr_assert(!resumes(3, 1 << 20));
    cr_assert_eq(tickets.stats.replayed, 1);
}

Test(resume, a_ticket_older_than_the_window_is_as_good_as_used) {
    static struct tarn_tls_session kept[2];
    init(0);
    connect_full(1);
    memcpy(kept, slots, sizeof kept);
    while (tickets.issued < 64 * 3) {
        memset(slots, 0, sizeof slots);
        connect_full(10 + tickets.issued);
    }
    slots[0] = slots[1] = slots[2] = slots[3] = kept[1];
    cr_assert(resumes(2, 1 << 20), "the oldest but one is still inside");
    slots[0] = slots[1] = slots[2] = slots[3] = kept[0];
    cr_assert(!resumes(3, 1 << 20));
}

Test(resume, keys_rotate_and_the_one_before_is_still_known) {
    init(0);
    connect_full(1);
    struct tarn_tls_ticket_key first = tickets.keys[0];
    rig.later = 99;
    cr_assert(resumes(2, 1 << 20)); /* the new ticket still by the first key */
    cr_assert(!memcmp(&first, &tickets.keys[0], sizeof first));
    rig.later = 100;
    cr_assert(resumes(3, 1 << 20));
    cr_assert(!memcmp(&first, &tickets.keys[1], sizeof first));
    cr_assert(memcmp(first.key, tickets.keys[0].key, 32));
    rig.later = 101; /* however often it came back, after 100 seconds it is shown a certificate */
    cr_assert(!resumes(4, 1 << 20));
    for (int i = 0; i < 4; i++)
        slots[i].expires += 1000; /* a client that lies */
    rig.later = 202;
    cr_assert(!resumes(5, 1 << 20));
    cr_assert_eq(tickets.stats.expired, 1);
}

/* A handshake may begin before another that makes a new key, and end after it. */
Test(resume, an_older_connection_makes_no_new_key) {
    init(0);
    connect_full(1);
    struct tarn_tls_ticket_key first = tickets.keys[0], second;
    static const int64_t begun[] = {100, 99, 1};
    for (size_t i = 0; i < TARN_COUNT_OF(begun); i++) {
        memset(slots, 0, sizeof slots);
        rig.later = begun[i];
        connect_full(2 + i);
        cr_assert(!memcmp(&first, &tickets.keys[1], sizeof first), "begun at %zu", i);
        if (i == 0)
            second = tickets.keys[0];
        cr_assert(!memcmp(&second, &tickets.keys[0], sizeof second));
    }
    memset(slots, 0, sizeof slots); /* but where the clock was set back there is one */
    rig.later = 0;
    connect_full(9);
    cr_assert(!memcmp(&second, &tickets.keys[1], sizeof second));
}

Test(resume, another_name_is_a_full_handshake) {
    init(0);
    connect_full(1);
    for (int i = 0; i < 4; i++)
        memcpy(slots[i].name, "xww", 3);
    rig.name[0] = 'x';
    rig.client.config.trust_anybody = true;
    cr_assert(!resumes(2, 1 << 20));
}

Test(resume, a_wrong_binder_is_decrypt_error) {
    bool theirs;
    init(0);
    connect_full(1);
    for (int i = 0; i < 4; i++)
        slots[i].psk[0] ^= 1;
    rig_start(&rig, 2);
    rig_run(&rig, 1 << 20);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_DECRYPT_ERROR);
    cr_assert(!theirs);
}

Test(resume, a_changed_ticket_is_a_full_handshake) {
    init(0);
    connect_full(1);
    struct tarn_tls_session kept = slots[1];
    for (size_t i = 0; i < kept.ticket_len; i++) {
        slots[0] = kept;
        slots[0].ticket[i] ^= 1;
        slots[1] = slots[2] = slots[3] = (struct tarn_tls_session){.suite = 0};
        cr_assert(!resumes(100 + i, 1 << 20), "byte %zu", i);
    }
}

Test(resume, a_retry_keeps_the_ticket) {
    init(100);
    connect_full(1);
    rig.server.config.groups_off = ~(1u << TARN_TLS_P384);
    cr_assert(resumes(2, 1 << 20));
    cr_assert(rig.server.tls.retried);
    cr_assert_eq(tarn_tls_early_of(&rig.client.tls), TARN_TLS_EARLY_REFUSED);
}

/* psk_key_exchange_modes, of a client that has no ticket yet. */
Test(resume, modes_are_whole_and_one_of_them_is_of_use) {
    static const struct {
        const char *modes;
        enum tarn_tls_alert alert;
        bool of_use;
    } cases[] = {{"\x01\x01", TARN_TLS_FINE, true},
                 {"\x01\x00", TARN_TLS_FINE, false},
                 {"\x02\x01", TARN_TLS_DECODE_ERROR, false},
                 {"\x00\x01", TARN_TLS_DECODE_ERROR, false}};
    bool theirs;
    init(0);
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        rig_start(&rig, i);
        size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
        uint8_t *at = memmem(rig.wire, n, "\x00\x2d\x00\x02\x01\x01", 6);
        cr_assert(at);
        memcpy(at + 4, cases[i].modes, 2);
        rig_feed(&rig.server, rig.wire, n, 1 << 20);
        cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), cases[i].alert, "case %zu", i);
        cr_assert_eq(rig.server.tls.may_resume, cases[i].of_use, "case %zu", i);
    }
}

/* The client's early data is `text`; what the server read before the handshake was done, to `out`.
 */
static size_t early(uint64_t seed, const char *text, char *out, size_t max) {
    static uint8_t wire[1 << 16];
    struct tarn_span rest = tarn_span_str(text);
    size_t got = 0;
    rig_start(&rig, seed);
    size_t n = rig_take(&rig.client, wire, sizeof wire);
    while (rest.len > 0 && tarn_tls_state(&rig.client.tls) & TARN_TLS_WRITE) {
        cr_assert(tarn_tls_state(&rig.client.tls) & TARN_TLS_EARLY);
        size_t k = tarn_bytes_copy(tarn_tls_write_window(&rig.client.tls), rest);
        tarn_tls_write_done(&rig.client.tls, k);
        rest = tarn_span_after(rest, k);
        n += rig_take(&rig.client, wire + n, sizeof wire - n);
    }
    struct tarn_span in = tarn_span_of(wire, n);
    while (in.len > 0) {
        struct tarn_bytes w = tarn_tls_recv_window(&rig.server.tls);
        size_t k = tarn_bytes_copy(w, in);
        if (k == 0 && !(tarn_tls_state(&rig.server.tls) & TARN_TLS_SEND))
            break;
        tarn_tls_recv_done(&rig.server.tls, k);
        in = tarn_span_after(in, k);
        size_t m = rig_take(&rig.server, rig.wire, sizeof rig.wire);
        rig_feed(&rig.client, rig.wire, m, 1 << 20);
        struct tarn_bytes r = tarn_tls_read_window(&rig.server.tls);
        cr_assert(r.len == 0 || tarn_tls_state(&rig.server.tls) & TARN_TLS_EARLY);
        cr_assert(!(tarn_tls_state(&rig.server.tls) & TARN_TLS_WRITE));
        got += tarn_bytes_copy(tarn_bytes_of(out + got, max - got), tarn_bytes_span(r));
        tarn_tls_read_done(&rig.server.tls, r.len);
    }
    rig_run(&rig, 1 << 20);
    return got;
}

Test(resume, early_data_comes_before_the_handshake_is_done) {
    char got[300];
    for (uint32_t suite = 0; suite < 3; suite++) {
        init(100);
        rig.client.config.suites_off = ~(1u << suite);
        connect_full(1);
        for (uint64_t i = 2; i < 5; i++) {
            cr_assert_eq(early(i, "early", got, sizeof got), 5);
            cr_assert(!memcmp(got, "early", 5));
            check_both_ways(true);
            cr_assert_eq(tarn_tls_early_of(&rig.client.tls), TARN_TLS_EARLY_TAKEN);
        }
        cr_assert_eq(tickets.stats.early, 3);
    }
}

Test(resume, early_data_is_off_unless_asked_for) {
    char got[300];
    init(0);
    rig.client.config.early_data = true;
    connect_full(1);
    cr_assert_eq(early(2, "early", got, sizeof got), 0);
    check_both_ways(true);
    cr_assert_eq(tarn_tls_early_of(&rig.client.tls), TARN_TLS_EARLY_NONE);
}

Test(resume, early_data_is_taken_once) {
    static struct tarn_tls_session kept;
    char got[300];
    init(100);
    connect_full(1);
    kept = slots[1];
    cr_assert_eq(early(2, "early", got, sizeof got), 5);
    slots[0] = slots[1] = slots[2] = slots[3] = kept;
    cr_assert_eq(early(2, "early", got, sizeof got), 0, "the very same bytes");
    check_both_ways(false);
    cr_assert_eq(tarn_tls_early_of(&rig.client.tls), TARN_TLS_EARLY_REFUSED);
    cr_assert_eq(tickets.stats.replayed, 1);
    /* Nor by a server that was started again. */
    tarn_tls_tickets_init(&tickets, used, TARN_COUNT_OF(used), 100);
    tickets.early_bytes_max = 100;
    slots[0] = slots[1] = slots[2] = slots[3] = kept;
    cr_assert_eq(early(2, "early", got, sizeof got), 0);
    check_both_ways(false);
}

Test(resume, early_data_held_back_is_refused_and_the_ticket_is_not) {
    char got[300];
    init(100);
    connect_full(1);
    rig.later = 20;
    for (int i = 0; i < 4; i++)
        slots[i].received += 9; /* what the client says of its age is wrong by 9 seconds */
    cr_assert_eq(early(2, "early", got, sizeof got), 5);
    init(100);
    connect_full(1);
    rig.later = 20;
    for (int i = 0; i < 4; i++)
        slots[i].received += 11;
    cr_assert_eq(early(3, "early", got, sizeof got), 0);
    check_both_ways(true);
}

Test(resume, early_data_has_its_bound) {
    static char text[300], got[300];
    bool theirs;
    init(100);
    connect_full(1);
    memset(text, 'x', sizeof text - 1);
    cr_assert_eq(early(2, text, got, sizeof got), 100, "a client keeps to it");
    check_both_ways(true);
    for (int i = 0; i < 4; i++)
        slots[i].early_bytes_max = 200; /* and one that does not is turned away */
    (void)early(3, text, got, sizeof got);
    cr_assert_eq(tarn_tls_alert_of(&rig.server.tls, &theirs), TARN_TLS_UNEXPECTED_MESSAGE);
    cr_assert(!theirs);
}

Test(resume, early_data_that_was_refused_is_passed_over_and_said_again) {
    char got[300];
    init(100);
    connect_full(1);
    struct tarn_span alpn[1] = {TARN_SPAN_LIT("h9")};
    rig.server.config.alpn = rig.client.config.alpn = alpn; /* another protocol than then */
    rig.server.config.alpn_count = rig.client.config.alpn_count = 1;
    cr_assert_eq(early(2, "early", got, sizeof got), 0);
    check_both_ways(true);
    cr_assert_eq(tarn_tls_early_of(&rig.client.tls), TARN_TLS_EARLY_REFUSED);
}

Test(resume, a_message_longer_than_a_record_is_split) {
    init(0);
    for (size_t limit = 64; limit < 700; limit += 1 + limit / 8) {
        rig_start(&rig, limit);
        rig.server.tls.record_max = rig.client.tls.record_max = limit;
        rig_run(&rig, 1 << 20);
        check_both_ways(tarn_tls_resumed(&rig.client.tls));
        memset(slots, 0, sizeof slots);
    }
}
