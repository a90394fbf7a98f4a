/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <string.h>

/* One endpoint as its user sees it. */
struct side {
    struct tarn_datagram *d;
    struct tarn_endpoint at;             /* where the others reach it */
    unsigned readable, writable, failed; /* how often each event came */
    bool inside;                         /* a call of ours is on the stack */
};

static const struct tarn_ip_addr any4 = TARN_IP_ADDR_V4(0, 0, 0, 0);

static void on_event(struct tarn_datagram *d, unsigned events) {
    struct side *side = d->user;
    cr_assert(!side->inside, "an event came from inside a call");
    side->readable += !!(events & TARN_DATAGRAM_READABLE);
    side->writable += !!(events & TARN_DATAGRAM_WRITABLE);
    side->failed += !!(events & TARN_DATAGRAM_FAILED);
}

static void open_with(struct datagram_rig *rig, struct side *s, unsigned host,
                      struct tarn_datagram_config config, struct tarn_ip_addr reach) {
    *s = (struct side){0};
    cr_assert_eq(rig->open(rig, host, &config, &s->d), TARN_OK);
    s->d->user = s;
    s->d->on_event = on_event;
    tarn_datagram_local(s->d, &s->at);
    cr_assert_neq(s->at.port, 0);
    s->at.addr = reach;
}

/* Bound to every address, reached at the IPv4 one. */
static void open_any(struct datagram_rig *rig, struct side *s, unsigned host) {
    open_with(rig, s, host, (struct tarn_datagram_config){0}, rig->v4[host]);
}

static void pair(struct datagram_rig *rig, struct side *a, struct side *b) {
    open_any(rig, a, 0);
    open_any(rig, b, 1);
}

static void finish(struct datagram_rig *rig, struct side *a, struct side *b) {
    if (a)
        tarn_datagram_close(a->d);
    if (b)
        tarn_datagram_close(b->d);
    rig->run(rig);
    cr_assert_eq(rig->live(rig), 0);
}

static enum tarn_err send_info(struct side *s, const struct tarn_datagram_info *info,
                               struct tarn_span data) {
    s->inside = true;
    enum tarn_err err = tarn_datagram_send(s->d, info, data);
    s->inside = false;
    return err;
}

static enum tarn_err send_to(struct side *s, const struct tarn_endpoint *to, const char *text) {
    return send_info(s, &(struct tarn_datagram_info){.remote = *to}, tarn_span_str(text));
}

static void put(struct side *s, const struct side *to, const char *text) {
    cr_assert_eq(send_to(s, &to->at, text), TARN_OK);
}

static void expect_from(struct side *s, const char *text, struct tarn_datagram_info *info) {
    static char buf[65536];
    size_t n = 0;
    enum tarn_err err = tarn_datagram_recv(s->d, TARN_BYTES_ARRAY(buf), &n, info);
    cr_assert_eq(err, TARN_OK, "%s instead of \"%s\"", tarn_err_name(err), text);
    cr_assert_eq(n, strlen(text));
    cr_assert_arr_eq(buf, text, n);
}

static void expect(struct side *s, const char *text) {
    expect_from(s, text, NULL);
}

static void expect_err(struct side *s, enum tarn_err want) {
    uint8_t buf[8];
    size_t n;
    s->inside = true;
    enum tarn_err err = tarn_datagram_recv(s->d, TARN_BYTES_ARRAY(buf), &n, NULL);
    s->inside = false;
    cr_assert_eq(err, want, "%s instead of %s", tarn_err_name(err), tarn_err_name(want));
}

static bool same(const struct tarn_endpoint *a, const struct tarn_endpoint *b) {
    return a->port == b->port && tarn_ip_addr_equal(&a->addr, &b->addr);
}

/* -- data ---------------------------------------------------------------------------------------
 */

static void datagrams_keep_their_boundaries(struct datagram_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    put(&a, &b, "one");
    put(&a, &b, "");
    put(&a, &b, "three");
    rig->run(rig);
    expect(&b, "one");
    expect(&b, "");
    expect(&b, "three");
    expect_err(&b, TARN_AGAIN);
    finish(rig, &a, &b);
}

static void what_does_not_fit_is_lost_and_the_length_says_so(struct datagram_rig *rig) {
    struct side a, b;
    uint8_t buf[4];
    size_t n;
    pair(rig, &a, &b);
    put(&a, &b, "long one");
    put(&a, &b, "next");
    rig->run(rig);
    cr_assert_eq(tarn_datagram_recv(b.d, TARN_BYTES_ARRAY(buf), &n, NULL), TARN_OK);
    cr_assert_eq(n, 8);
    cr_assert_arr_eq(buf, "long", 4);
    expect(&b, "next");
    finish(rig, &a, &b);
}

static void the_largest_arrives_and_a_larger_one_is_refused(struct datagram_rig *rig) {
    static uint8_t out[65508], in[65536];
    struct side a, b;
    size_t n;
    pair(rig, &a, &b);
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 31 + i / 251);
    struct tarn_datagram_info to = {.remote = b.at};
    cr_assert_eq(send_info(&a, &to, tarn_span_of(out, 65507)), TARN_OK);
    cr_assert_eq(send_info(&a, &to, tarn_span_of(out, 65508)), TARN_INVALID);
    rig->run(rig);
    cr_assert_eq(tarn_datagram_recv(b.d, TARN_BYTES_ARRAY(in), &n, NULL), TARN_OK);
    cr_assert(n == 65507 && memcmp(in, out, n) == 0);
    expect_err(&b, TARN_AGAIN);
    finish(rig, &a, &b);
}

static void pieces_are_one_datagram_in_their_order(struct datagram_rig *rig) {
    struct tarn_span v[] = {TARN_SPAN_LIT("one,"), TARN_SPAN_EMPTY, TARN_SPAN_LIT("two")};
    struct side a, b;
    pair(rig, &a, &b);
    struct tarn_datagram_info to = {.remote = b.at};
    cr_assert_eq(a.d->ops->send(a.d, &to, v, 3), TARN_OK);
    rig->run(rig);
    expect(&b, "one,two");
    finish(rig, &a, &b);
}

static void peek_shows_what_consume_takes(struct datagram_rig *rig) {
    struct tarn_datagram_info info;
    struct tarn_bytes seen;
    struct side a, b;
    pair(rig, &a, &b);
    cr_assert_eq(tarn_datagram_peek(b.d, &seen, NULL), TARN_AGAIN);
    put(&a, &b, "abc");
    put(&a, &b, "def");
    rig->run(rig);
    cr_assert_eq(b.readable, 1, "peek arms the event as recv does");
    cr_assert_eq(tarn_datagram_peek(b.d, &seen, &info), TARN_OK);
    cr_assert(seen.len == 3 && same(&info.remote, &a.at));
    seen.ptr[0] = 'A'; /* in place: what the reader changes is what it reads */
    cr_assert_eq(tarn_datagram_peek(b.d, &seen, NULL), TARN_OK);
    cr_assert(memcmp(seen.ptr, "Abc", 3) == 0);
    expect(&b, "Abc");
    cr_assert_eq(tarn_datagram_peek(b.d, &seen, NULL), TARN_OK);
    cr_assert(memcmp(seen.ptr, "def", 3) == 0);
    tarn_datagram_consume(b.d);
    expect_err(&b, TARN_AGAIN);
    finish(rig, &a, &b);
}

static unsigned releases;
static void count_release(struct tarn_lease *lease) {
    (void)lease;
    releases++;
}

static void lent_bytes_arrive_and_the_lease_ends(struct datagram_rig *rig) {
    struct tarn_lease lease = {.holds = 1, .release = count_release};
    struct side a, b;
    pair(rig, &a, &b);
    struct tarn_datagram_info to = {.remote = b.at};
    releases = 0;
    cr_assert_eq(tarn_datagram_lend(a.d, &to, TARN_SPAN_LIT("lent"), &lease), TARN_OK);
    tarn_lease_drop(&lease);
    rig->run(rig);
    expect(&b, "lent");
    cr_assert_eq(releases, 1);
    finish(rig, &a, &b);
}

static void one_segmented_send_is_many_datagrams(struct datagram_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    struct tarn_datagram_info to = {.remote = b.at, .gso_size = 4};
    cr_assert_eq(send_info(&a, &to, TARN_SPAN_LIT("aaaabbbbcc")), TARN_OK);
    cr_assert_eq(send_info(&a, &to, TARN_SPAN_LIT("dddd")), TARN_OK);
    rig->run(rig);
    expect(&b, "aaaa");
    expect(&b, "bbbb");
    expect(&b, "cc");
    expect(&b, "dddd");
    finish(rig, &a, &b);
}

/* -- events -------------------------------------------------------------------------------------
 */

static void readable_comes_once_after_again(struct datagram_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    put(&a, &b, "first");
    rig->run(rig);
    cr_assert_eq(b.readable, 1, "the first arrival is told to who never asked");
    put(&a, &b, "second");
    rig->run(rig);
    cr_assert_eq(b.readable, 1, "an event without a TARN_AGAIN before it");
    expect(&b, "first");
    expect(&b, "second");
    expect_err(&b, TARN_AGAIN);
    rig->run(rig);
    cr_assert_eq(b.readable, 1, "READABLE with nothing to read");
    put(&a, &b, "third");
    rig->run(rig);
    cr_assert_eq(b.readable, 2);
    finish(rig, &a, &b);
}

static void a_full_queue_says_again_and_then_writable(struct datagram_rig *rig) {
    struct side a, b;
    enum tarn_err err = TARN_OK;
    pair(rig, &a, &b);
    for (unsigned i = 0; i < 2000 && err == TARN_OK; i++)
        err = send_to(&a, &b.at, "x");
    cr_assert(err == TARN_OK || err == TARN_AGAIN);
    rig->run(rig);
    cr_assert_eq(a.writable, err == TARN_AGAIN);
    put(&a, &b, "y");
    finish(rig, &a, &b);
}

static void nothing_comes_after_close(struct datagram_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    put(&a, &b, "x");
    put(&b, &a, "last words");
    tarn_datagram_close(b.d);
    rig->run(rig);
    cr_assert_eq(b.readable, 0);
    expect(&a, "last words");
    finish(rig, &a, NULL);
}

/* -- addresses ----------------------------------------------------------------------------------
 */

static void info_says_from_whom_and_to_whom(struct datagram_rig *rig) {
    struct tarn_datagram_info info;
    struct side a, b;
    pair(rig, &a, &b);
    for (unsigned v6 = 0; v6 < (rig->no_v6 ? 1 : 2); v6++) {
        a.at.addr = v6 ? rig->v6[0] : rig->v4[0];
        b.at.addr = v6 ? rig->v6[1] : rig->v4[1];
        struct tarn_datagram_info to = {.remote = b.at, .hops = 33, .tos = 0x48};
        cr_assert_eq(send_info(&a, &to, TARN_SPAN_LIT("hello")), TARN_OK);
        rig->run(rig);
        expect_from(&b, "hello", &info);
        cr_assert(same(&info.remote, &a.at) && same(&info.local, &b.at));
        cr_assert(info.hops == 33 && info.tos == 0x48, "%u %u", info.hops, info.tos);
        struct tarn_datagram_info back = {.remote = info.remote, .local = info.local};
        cr_assert_eq(send_info(&b, &back, TARN_SPAN_LIT("answer")), TARN_OK);
        rig->run(rig);
        expect_from(&a, "answer", &info);
        cr_assert(same(&info.remote, &b.at));
    }
    finish(rig, &a, &b);
}

static void an_endpoint_of_one_family_keeps_to_it(struct datagram_rig *rig) {
    struct side a, b;
    open_with(rig, &a, 0, (struct tarn_datagram_config){.local.addr = any4}, rig->v4[0]);
    open_any(rig, &b, 1);
    put(&a, &b, "four");
    rig->run(rig);
    expect(&b, "four");
    if (!rig->no_v6) {
        b.at.addr = rig->v6[1];
        cr_assert_eq(send_to(&a, &b.at, "six"), TARN_INVALID);
        a.at.addr = rig->v6[0];
        (void)!send_to(&b, &a.at, "six");
        rig->run(rig);
        expect_err(&a, TARN_AGAIN);
        struct tarn_datagram_info wrong = {.remote = b.at, .local.addr = rig->v4[1]};
        cr_assert_eq(send_info(&b, &wrong, TARN_SPAN_LIT("x")), TARN_INVALID, "both at once");
    }
    finish(rig, &a, &b);
}

static void nowhere_is_invalid(struct datagram_rig *rig) {
    struct side a;
    struct tarn_endpoint no_port = {rig->v4[1], 0}, no_addr = {any4, 7};
    open_any(rig, &a, 0);
    cr_assert_eq(send_info(&a, NULL, TARN_SPAN_LIT("x")), TARN_INVALID);
    cr_assert_eq(send_to(&a, &no_port, "x"), TARN_INVALID);
    cr_assert_eq(send_to(&a, &no_addr, "x"), TARN_INVALID);
    cr_assert_eq(tarn_datagram_connect(a.d, &no_port), TARN_INVALID);
    finish(rig, &a, NULL);
}

static void a_port_in_use_is_a_limit_unless_both_share_it(struct datagram_rig *rig) {
    struct tarn_datagram *second;
    struct side a;
    open_with(rig, &a, 0, (struct tarn_datagram_config){.local.addr = rig->v4[0]}, rig->v4[0]);
    struct tarn_datagram_config again = {.local = a.at};
    cr_assert_eq(rig->open(rig, 0, &again, &second), TARN_LIMIT);
    again.shared = true;
    cr_assert_eq(rig->open(rig, 0, &again, &second), TARN_LIMIT, "the first did not say so");
    uint16_t port = a.at.port;
    finish(rig, &a, NULL);
    open_with(rig, &a, 0, again, rig->v4[0]);
    cr_assert_eq(a.at.port, port);
    cr_assert_eq(rig->open(rig, 0, &again, &second), TARN_OK);
    tarn_datagram_close(second);
    finish(rig, &a, NULL);
}

/* -- connected ----------------------------------------------------------------------------------
 */

static void connected_is_to_and_from_one_only(struct datagram_rig *rig) {
    struct side a, b, c;
    pair(rig, &a, &b);
    open_any(rig, &c, 1);
    put(&c, &a, "before");
    put(&b, &a, "also before");
    rig->run(rig);
    cr_assert_eq(tarn_datagram_connect(a.d, &b.at), TARN_OK);
    expect(&a, "also before");
    cr_assert_eq(send_info(&a, NULL, TARN_SPAN_LIT("x")), TARN_OK);
    cr_assert_eq(send_to(&a, &b.at, "y"), TARN_OK);
    cr_assert_eq(send_to(&a, &c.at, "z"), TARN_INVALID);
    put(&c, &a, "a stranger");
    put(&b, &a, "the friend");
    rig->run(rig);
    expect(&b, "x");
    expect(&b, "y");
    expect(&a, "the friend");
    expect_err(&a, TARN_AGAIN);
    tarn_datagram_close(c.d);
    finish(rig, &a, &b);
}

static void connecting_to_nobody_undoes_it(struct datagram_rig *rig) {
    struct tarn_endpoint local;
    struct side a, b, c;
    pair(rig, &a, &b);
    open_any(rig, &c, 1);
    cr_assert_eq(tarn_datagram_connect(a.d, &b.at), TARN_OK);
    tarn_datagram_local(a.d, &local);
    cr_assert(same(&local, &a.at), "the address that the way to the other needs");
    cr_assert_eq(tarn_datagram_connect(a.d, &c.at), TARN_OK);
    cr_assert_eq(send_info(&a, NULL, TARN_SPAN_LIT("to c")), TARN_OK);
    cr_assert_eq(tarn_datagram_connect(a.d, NULL), TARN_OK);
    tarn_datagram_local(a.d, &local);
    cr_assert(local.port == a.at.port && tarn_ip_addr_is_any(&local.addr));
    cr_assert_eq(send_info(&a, NULL, TARN_SPAN_LIT("x")), TARN_INVALID);
    put(&b, &a, "from b");
    put(&c, &a, "from c");
    rig->run(rig);
    expect(&c, "to c");
    expect(&a, "from b");
    expect(&a, "from c");
    tarn_datagram_close(c.d);
    finish(rig, &a, &b);
}

static void a_closed_port_is_told_once_to_the_connected(struct datagram_rig *rig) {
    struct side a, b;
    pair(rig, &a, &b);
    tarn_datagram_close(b.d);
    put(&a, &b, "anybody?");
    rig->run(rig);
    expect_err(&a, TARN_AGAIN);
    cr_assert_eq(a.failed, 0, "not connected: nobody can disturb it");
    cr_assert_eq(tarn_datagram_connect(a.d, &b.at), TARN_OK);
    cr_assert_eq(send_info(&a, NULL, TARN_SPAN_LIT("x")), TARN_OK);
    rig->run(rig);
    cr_assert_eq(a.failed, 1);
    cr_assert_eq(send_info(&a, NULL, TARN_SPAN_LIT("x")), TARN_PEER, "and nothing was sent");
    expect_err(&a, TARN_AGAIN);
    cr_assert_eq(send_info(&a, NULL, TARN_SPAN_LIT("x")), TARN_OK);
    rig->run(rig);
    cr_assert_eq(a.failed, 2);
    expect_err(&a, TARN_PEER);
    finish(rig, &a, NULL);
}

const struct datagram_case datagram_cases[] = {
#define CASE(name)                                                                                 \
    { #name, name }
    CASE(datagrams_keep_their_boundaries),
    CASE(what_does_not_fit_is_lost_and_the_length_says_so),
    CASE(the_largest_arrives_and_a_larger_one_is_refused),
    CASE(pieces_are_one_datagram_in_their_order),
    CASE(peek_shows_what_consume_takes),
    CASE(lent_bytes_arrive_and_the_lease_ends),
    CASE(one_segmented_send_is_many_datagrams),
    CASE(readable_comes_once_after_again),
    CASE(a_full_queue_says_again_and_then_writable),
    CASE(nothing_comes_after_close),
    CASE(info_says_from_whom_and_to_whom),
    CASE(an_endpoint_of_one_family_keeps_to_it),
    CASE(nowhere_is_invalid),
    CASE(a_port_in_use_is_a_limit_unless_both_share_it),
    CASE(connected_is_to_and_from_one_only),
    CASE(connecting_to_nobody_undoes_it),
    CASE(a_closed_port_is_told_once_to_the_connected),
#undef CASE
};
const size_t datagram_case_count = sizeof datagram_cases / sizeof datagram_cases[0];
