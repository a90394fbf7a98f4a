/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <string.h>

#define PATTERN_BYTES (256 * 1024)

/* One side as its user sees it. */
struct side {
    struct tarn_flow *flow;
    unsigned events, readable, writable, failed; /* all seen, and how often each came */
    bool inside;                                 /* a call of ours is on the stack */
};

static void on_event(struct tarn_flow *flow, unsigned events) {
    struct side *side = flow->user;
    cr_assert(!side->inside, "an event came from inside a call");
    side->events |= events;
    side->readable += !!(events & TARN_FLOW_READABLE);
    side->writable += !!(events & TARN_FLOW_WRITABLE);
    side->failed += !!(events & TARN_FLOW_FAILED);
}

static void attach(struct side *side, struct tarn_flow *flow) {
    *side = (struct side){.flow = flow};
    flow->user = side;
    flow->on_event = on_event;
}

static void pair(struct flow_rig *rig, struct side *a, struct side *b) {
    struct tarn_flow *fa, *fb;
    rig->connect(rig, &fa, &fb);
    attach(a, fa);
    attach(b, fb);
}

static enum tarn_err rd(struct side *s, void *buf, size_t cap, size_t *n) {
    s->inside = true;
    enum tarn_err err = tarn_flow_read(s->flow, tarn_bytes_of(buf, cap), n);
    s->inside = false;
    return err;
}

static enum tarn_err wr(struct side *s, const void *buf, size_t len, size_t *n) {
    s->inside = true;
    enum tarn_err err = tarn_flow_write(s->flow, tarn_span_of(buf, len), n);
    s->inside = false;
    return err;
}

static void put(struct side *s, const char *text) {
    size_t n;
    cr_assert_eq(wr(s, text, strlen(text), &n), TARN_OK);
    cr_assert_eq(n, strlen(text));
}

static void expect(struct side *s, const char *text) {
    char buf[256];
    size_t total = 0, n;
    while (total < strlen(text)) {
        cr_assert_eq(rd(s, buf + total, strlen(text) - total, &n), TARN_OK);
        cr_assert_gt(n, 0);
        total += n;
    }
    cr_assert_arr_eq(buf, text, total);
}

static void expect_err(struct side *s, enum tarn_err want) {
    char c;
    size_t n;
    enum tarn_err err = rd(s, &c, 1, &n);
    cr_assert_eq(err, want, "%s instead of %s", tarn_err_name(err), tarn_err_name(want));
}

static void finish(struct flow_rig *rig, struct side *a, struct side *b) {
    if (a)
        tarn_flow_close(a->flow);
    if (b)
        tarn_flow_close(b->flow);
    rig->run(rig);
    if (rig->live)
        cr_assert_eq(rig->live(rig), 0, "a closed connection still costs memory");
}

static uint8_t pattern_at(size_t i) {
    return (uint8_t)(i * 31 + i / 251);
}

static void bytes_arrive_in_order_both_ways(struct flow_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    put(&a, "from a");
    put(&b, "from b");
    put(&a, ", again");
    rig->run(rig);
    expect(&b, "from a, again");
    expect(&a, "from b");
    expect_err(&a, TARN_AGAIN);
    expect_err(&b, TARN_AGAIN);
    finish(rig, &a, &b);
}

static void readable_comes_once_after_again(struct flow_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    put(&a, "x");
    rig->run(rig);
    expect(&b, "x");
    unsigned before = b.readable;
    expect_err(&b, TARN_AGAIN);
    rig->run(rig);
    cr_assert_eq(b.readable, before, "READABLE with nothing to read");
    put(&a, "y");
    rig->run(rig);
    cr_assert_eq(b.readable, before + 1);
    put(&a, "z");
    rig->run(rig);
    cr_assert_eq(b.readable, before + 1, "an edge without a TARN_AGAIN before it");
    expect(&b, "yz");
    finish(rig, &a, &b);
}

static void a_full_flow_says_again_and_then_writable(struct flow_rig *rig) {
    static uint8_t block[4096], got[65536];
    struct side a, b;
    size_t n, sent = 0, received = 0;
    pair(rig, &a, &b);
    for (unsigned turns = 0;; turns++) {
        cr_assert_lt(turns, 100000, "the flow has no bound");
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = pattern_at(sent + i);
        enum tarn_err err = wr(&a, block, sizeof block, &n);
        if (err == TARN_AGAIN) {
            cr_assert_eq(n, 0);
            break;
        }
        cr_assert_eq(err, TARN_OK);
        cr_assert_gt(n, 0);
        sent += n;
    }
    /* Nobody reads: sooner or later nothing moves any more. */
    for (unsigned calm = 0; calm < 3; calm++) {
        rig->run(rig);
        for (;;) {
            for (size_t i = 0; i < sizeof block; i++)
                block[i] = pattern_at(sent + i);
            if (wr(&a, block, sizeof block, &n) != TARN_OK)
                break;
            sent += n;
            calm = 0;
        }
    }
    unsigned before = a.writable;
    while (received < sent) {
        enum tarn_err err = rd(&b, got, sizeof got, &n);
        if (err == TARN_AGAIN) {
            rig->run(rig);
            continue;
        }
        cr_assert_eq(err, TARN_OK);
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(got[i], pattern_at(received + i), "at %zu", received + i);
        received += n;
    }
    rig->run(rig);
    cr_assert_eq(a.writable, before + 1);
    put(&a, "more");
    rig->run(rig);
    expect(&b, "more");
    finish(rig, &a, &b);
}

static void writev_keeps_the_order_of_its_pieces(struct flow_rig *rig) {
    struct tarn_span v[] = {TARN_SPAN_LIT("one,"), TARN_SPAN_EMPTY, TARN_SPAN_LIT("two,"),
                            TARN_SPAN_LIT("three")};
    struct side a, b;
    size_t n;
    pair(rig, &a, &b);
    cr_assert_eq(tarn_flow_writev(a.flow, v, 4, &n), TARN_OK);
    cr_assert_eq(n, 13);
    rig->run(rig);
    expect(&b, "one,two,three");
    finish(rig, &a, &b);
}

static void half_close_ends_one_direction_only(struct flow_rig *rig) {
    struct side a, b;
    size_t n;
    pair(rig, &a, &b);
    expect_err(&b, TARN_AGAIN);
    put(&a, "last words");
    tarn_flow_shutdown(a.flow);
    cr_assert_eq(wr(&a, "x", 1, &n), TARN_INVALID);
    rig->run(rig);
    expect(&b, "last words");
    expect_err(&b, TARN_EOF);
    expect_err(&b, TARN_EOF);
    put(&b, "the answer");
    rig->run(rig);
    expect(&a, "the answer");
    expect_err(&a, TARN_AGAIN);
    tarn_flow_shutdown(b.flow);
    rig->run(rig);
    cr_assert_neq(a.events & TARN_FLOW_READABLE, 0, "the end is an event too");
    expect_err(&a, TARN_EOF);
    finish(rig, &a, &b);
}

static void close_delivers_what_was_written(struct flow_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    put(&a, "bequest");
    tarn_flow_close(a.flow);
    rig->run(rig);
    cr_assert_eq(a.events, 0, "an event after close");
    expect(&b, "bequest");
    expect_err(&b, TARN_EOF);
    finish(rig, NULL, &b);
}

static void abort_resets_the_peer_and_loses_what_was_queued(struct flow_rig *rig) {
    struct side a, b;
    size_t n;
    pair(rig, &a, &b);
    tarn_flow_abort(a.flow);
    rig->run(rig);
    cr_assert_eq(b.failed, 1, "FAILED came %u times", b.failed);
    expect_err(&b, TARN_PEER);
    cr_assert_eq(wr(&b, "x", 1, &n), TARN_PEER);
    struct tarn_bytes peeked;
    cr_assert_eq(tarn_flow_peek(b.flow, &peeked), TARN_PEER);
    rig->run(rig);
    cr_assert_eq(b.failed, 1);
    finish(rig, NULL, &b);
}

static void writing_to_a_closed_peer_fails_in_the_end(struct flow_rig *rig) {
    struct side a, b;
    size_t n;
    pair(rig, &a, &b);
    tarn_flow_close(a.flow);
    rig->run(rig);
    enum tarn_err err = wr(&b, "anybody?", 8, &n);
    cr_assert(err == TARN_OK || err == TARN_PEER);
    rig->run(rig);
    cr_assert_eq(b.failed, 1);
    cr_assert_eq(wr(&b, "x", 1, &n), TARN_PEER);
    finish(rig, NULL, &b);
}

static void peek_shows_what_consume_takes(struct flow_rig *rig) {
    struct tarn_bytes seen;
    struct side a, b;
    pair(rig, &a, &b);
    cr_assert_eq(tarn_flow_peek(b.flow, &seen), TARN_AGAIN);
    put(&a, "abcdef");
    rig->run(rig);
    cr_assert_neq(b.events & TARN_FLOW_READABLE, 0, "peek arms the event as read does");
    cr_assert_eq(tarn_flow_peek(b.flow, &seen), TARN_OK);
    cr_assert_gt(seen.len, 0);
    cr_assert_eq(seen.ptr[0], 'a');
    tarn_flow_consume(b.flow, 1);
    cr_assert_eq(tarn_flow_peek(b.flow, &seen), TARN_OK);
    cr_assert_eq(seen.ptr[0], 'b');
    /* In place: what the reader changes is what it reads. */
    seen.ptr[0] = 'B';
    expect(&b, "Bcdef");
    cr_assert_eq(tarn_flow_peek(b.flow, &seen), TARN_AGAIN);
    tarn_flow_shutdown(a.flow);
    rig->run(rig);
    cr_assert_eq(tarn_flow_peek(b.flow, &seen), TARN_EOF);
    finish(rig, &a, &b);
}

static unsigned releases;
static void count_release(struct tarn_lease *lease) {
    (void)lease;
    releases++;
}

static void lent_bytes_are_held_until_delivered_and_never_changed(struct flow_rig *rig) {
    static uint8_t data[PATTERN_BYTES], got[65536];
    struct tarn_lease lease = {.holds = 1, .release = count_release};
    struct side a, b;
    size_t n, sent = 0, received = 0;
    releases = 0;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = pattern_at(i);
    pair(rig, &a, &b);
    while (received < sizeof data) {
        while (sent < sizeof data) {
            enum tarn_err err =
                tarn_flow_lend(a.flow, tarn_span_of(data + sent, sizeof data - sent), &lease, &n);
            if (err == TARN_AGAIN)
                break;
            cr_assert_eq(err, TARN_OK);
            cr_assert_gt(n, 0);
            sent += n;
        }
        rig->run(rig);
        /* By turns both ways of reading, and the peeker scribbles. */
        struct tarn_bytes seen;
        if (received / 4096 % 2 == 0 && tarn_flow_peek(b.flow, &seen) == TARN_OK) {
            n = seen.len < 3000 ? seen.len : 3000;
            for (size_t i = 0; i < n; i++)
                cr_assert_eq(seen.ptr[i], pattern_at(received + i));
            memset(seen.ptr, 0, n);
            tarn_flow_consume(b.flow, n);
            received += n;
        } else if (rd(&b, got, 5000, &n) == TARN_OK) {
            for (size_t i = 0; i < n; i++)
                cr_assert_eq(got[i], pattern_at(received + i));
            received += n;
        }
    }
    rig->run(rig);
    cr_assert_eq(lease.holds, 1, "%u holds are left after delivery", lease.holds);
    cr_assert_eq(releases, 0);
    for (size_t i = 0; i < sizeof data; i++)
        cr_assert_eq(data[i], pattern_at(i), "the lender's memory changed at %zu", i);
    finish(rig, &a, &b);
}

static void abort_drops_leases(struct flow_rig *rig) {
    static uint8_t data[1000];
    for (unsigned who = 0; who < 2; who++) {
        struct tarn_lease lease = {.holds = 1, .release = count_release};
        struct side a, b;
        size_t n;
        releases = 0;
        pair(rig, &a, &b);
        cr_assert_eq(tarn_flow_lend(a.flow, TARN_SPAN_ARRAY(data), &lease, &n), TARN_OK);
        tarn_lease_drop(&lease);
        tarn_flow_abort(who ? a.flow : b.flow);
        rig->run(rig);
        cr_assert_eq(lease.holds, 0);
        cr_assert_eq(releases, 1);
        finish(rig, who ? NULL : &a, who ? &b : NULL);
    }
}

static void lent_and_written_bytes_keep_their_order(struct flow_rig *rig) {
    struct side a, b;
    size_t n;
    pair(rig, &a, &b);
    put(&a, "head ");
    cr_assert_eq(tarn_flow_lend(a.flow, TARN_SPAN_LIT("body "), NULL, &n), TARN_OK);
    cr_assert_eq(n, 5);
    put(&a, "tail");
    rig->run(rig);
    expect(&b, "head body tail");
    finish(rig, &a, &b);
}

static void endpoints_mirror_each_other(struct flow_rig *rig) {
    struct tarn_endpoint al, ar, bl, br;
    struct side a, b;
    pair(rig, &a, &b);
    enum tarn_err err = tarn_flow_endpoints(a.flow, &al, &ar);
    if (err == TARN_OK) {
        cr_assert_eq(tarn_flow_endpoints(b.flow, &bl, &br), TARN_OK);
        cr_assert(tarn_ip_addr_equal(&al.addr, &br.addr) && al.port == br.port);
        cr_assert(tarn_ip_addr_equal(&ar.addr, &bl.addr) && ar.port == bl.port);
        cr_assert_eq(tarn_flow_endpoints(a.flow, NULL, &br), TARN_OK);
    } else {
        cr_assert(rig->no_endpoints && err == TARN_UNSUPPORTED);
    }
    finish(rig, &a, &b);
}

const struct flow_case flow_cases[] = {
#define CASE(name)                                                                                 \
    { #name, name }
    CASE(bytes_arrive_in_order_both_ways),
    CASE(readable_comes_once_after_again),
    CASE(a_full_flow_says_again_and_then_writable),
    CASE(writev_keeps_the_order_of_its_pieces),
    CASE(half_close_ends_one_direction_only),
    CASE(close_delivers_what_was_written),
    CASE(abort_resets_the_peer_and_loses_what_was_queued),
    CASE(writing_to_a_closed_peer_fails_in_the_end),
    CASE(peek_shows_what_consume_takes),
    CASE(lent_bytes_are_held_until_delivered_and_never_changed),
    CASE(abort_drops_leases),
    CASE(lent_and_written_bytes_keep_their_order),
    CASE(endpoints_mirror_each_other),
#undef CASE
};
const size_t flow_case_count = sizeof flow_cases / sizeof flow_cases[0];
