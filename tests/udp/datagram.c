/* SPDX-License-Identifier: ISC */
#include "bench.h"
#include <criterion/criterion.h>

static unsigned events_seen, event_calls;
static void note(struct tarn_datagram *d, unsigned events) {
    (void)d;
    events_seen |= events;
    event_calls++;
}

static struct tarn_datagram *open_noted(struct bench *b, struct tarn_handle *h) {
    *h = bench_open(b, US4, 4000);
    struct tarn_datagram *d = tarn_udp_datagram(b->udp, *h);
    d->on_event = note;
    events_seen = event_calls = 0;
    return d;
}

Test(events, come_from_the_loop_and_once) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h;
    struct tarn_datagram *d = open_noted(b, &h);
    uint8_t buf[4];
    size_t n;
    bench_arrive(b, US4, 4000, "first");
    bench_arrive(b, US4, 4000, "second");
    cr_assert_eq(event_calls, 0, "never from inside input");
    tarn_tasks_run(&b->tasks);
    cr_assert(event_calls == 1 && events_seen == TARN_DATAGRAM_READABLE);
    cr_assert(!tarn_datagram_recv(d, TARN_BYTES_ARRAY(buf), &n, NULL) && n == 5);
    cr_assert(memcmp(buf, "firs", 4) == 0, "what does not fit is lost, and the length says so");
    bench_arrive(b, US4, 4000, "third");
    tarn_tasks_run(&b->tasks);
    cr_assert_eq(event_calls, 1, "no event before recv has said TARN_AGAIN");
    cr_assert(!tarn_datagram_recv(d, TARN_BYTES_ARRAY(buf), &n, NULL) && n == 6);
    cr_assert(!tarn_datagram_recv(d, TARN_BYTES_ARRAY(buf), &n, NULL));
    cr_assert_eq(tarn_datagram_recv(d, TARN_BYTES_ARRAY(buf), &n, NULL), TARN_AGAIN);
    bench_arrive(b, US4, 4000, "fourth");
    tarn_tasks_run(&b->tasks);
    cr_assert_eq(event_calls, 2);
    bench_free(b);
}

Test(events, none_comes_after_close) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h;
    struct tarn_datagram *d = open_noted(b, &h);
    bench_arrive(b, US4, 4000, "x");
    tarn_datagram_close(d);
    tarn_tasks_run(&b->tasks);
    cr_assert_eq(event_calls, 0);
    bench_free(b);
}

static void close_it(struct tarn_datagram *d, unsigned events) {
    (void)events;
    event_calls++;
    tarn_datagram_close(d);
}

Test(events, the_owner_may_close_in_one) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h;
    struct tarn_datagram *d = open_noted(b, &h);
    d->on_event = close_it;
    bench_arrive(b, US4, 4000, "x");
    tarn_tasks_run(&b->tasks);
    cr_assert_eq(event_calls, 1);
    cr_assert_null(tarn_udp_datagram(b->udp, h));
    cr_assert_eq(bench_live_pkts(b), 0);
    bench_free(b);
}

Test(send, waits_for_the_tick_and_a_full_queue_says_when) {
    struct bench *b = bench_new(&(struct tarn_udp_config){.tx_datagrams_max = 3});
    struct tarn_handle h;
    struct tarn_datagram *d = open_noted(b, &h);
    struct tarn_datagram_info info = {.remote = {PEER4, 53}};
    cr_assert_eq(tarn_udp_deadline(b->udp), TARN_NEVER);
    for (int i = 0; i < 3; i++)
        cr_assert(!tarn_datagram_send(d, &info, TARN_SPAN_LIT("x")));
    cr_assert_eq(tarn_datagram_send(d, &info, TARN_SPAN_LIT("x")), TARN_AGAIN);
    cr_assert_eq(tarn_datagram_lend(d, &info, TARN_SPAN_LIT("x"), NULL), TARN_AGAIN);
    cr_assert_eq(tarn_udp_stats(b->udp)->tx_full, 2);
    cr_assert_eq(b->sent_count, 0);
    cr_assert_eq(tarn_udp_deadline(b->udp), 0);
    tarn_udp_tick(b->udp, 1);
    cr_assert_eq(b->sent_count, 3);
    tarn_tasks_run(&b->tasks);
    cr_assert(event_calls == 1 && events_seen == TARN_DATAGRAM_WRITABLE);
    cr_assert_eq(tarn_udp_deadline(b->udp), TARN_NEVER);
    bench_free(b);
}

Test(send, what_waits_goes_before_what_comes_later_and_outlives_close) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h;
    struct tarn_datagram *d = open_noted(b, &h);
    struct tarn_datagram_info info = {.remote = {PEER4, 53}};
    struct tarn_span v = TARN_SPAN_LIT("two");
    cr_assert(!tarn_datagram_send(d, &info, TARN_SPAN_LIT("1")));
    cr_assert(!tarn_udp_send(b->udp, h, &info, &v, 1, 0));
    cr_assert(b->sent_count == 2 && b->sent[0]->len == 9 && b->sent[1]->len == 11);
    cr_assert(!tarn_datagram_send(d, &info, TARN_SPAN_LIT("last words")));
    tarn_datagram_close(d);
    tarn_udp_tick(b->udp, 0);
    cr_assert_eq(b->sent_count, 3);
    bench_free(b);
}

Test(errors, a_refusal_is_an_event) {
    struct bench *b = bench_new(NULL);
    struct tarn_handle h;
    struct tarn_datagram *d = open_noted(b, &h);
    uint8_t quoted[8] = {4000 >> 8, 4000 & 0xff, 0, 53, 0, 8, 0, 0};
    struct tarn_ip_meta ours = {.src = US4, .dst = PEER4};
    struct tarn_endpoint local;
    cr_assert(!tarn_datagram_connect(d, &(struct tarn_endpoint){PEER4, 53}));
    tarn_udp_error(b->udp, &ours, TARN_IP_ERROR_PORT, TARN_SPAN_ARRAY(quoted));
    tarn_tasks_run(&b->tasks);
    cr_assert_eq(events_seen, TARN_DATAGRAM_FAILED);
    cr_assert_eq(tarn_datagram_send(d, NULL, TARN_SPAN_LIT("x")), TARN_PEER);
    tarn_datagram_local(d, &local);
    cr_assert_eq(local.port, 4000);
    bench_free(b);
}
