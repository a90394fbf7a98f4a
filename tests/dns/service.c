/* SPDX-License-Identifier: ISC */
/* The server behind a listener and an endpoint, and a secondary before it, over pipes and in
 * virtual time. */
#include "serve.h"
#include <criterion/criterion.h>
#include <tarn/dns_secondary.h>
#include <tarn/dns_service.h>
#include <tarn/flow_pipe.h>

static struct tarn_tasks tasks;
static struct tarn_pipes *pipes;
static struct serve s;
static struct tarn_dns_service *service;
static tarn_time now;

static tarn_time clock_now(struct tarn_clock *c) {
    (void)c;
    return now;
}
static uint64_t clock_wall(struct tarn_clock *c) {
    (void)c;
    return 1700000000000000000u + now;
}
static struct tarn_clock clock_of = {&(struct tarn_clock_ops){clock_now, clock_wall}};

static bool anybody(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                    const struct tarn_dns_tsig_key *key) {
    (void)key;
    (void)user;
    (void)zone;
    (void)client;
    return true;
}

static unsigned held(void *user, struct tarn_dns_zone *zone, const struct tarn_endpoint *client,
                     const struct tarn_dns_tsig_key *key, struct tarn_span message) {
    (void)user, (void)zone, (void)client, (void)key, (void)message;
    return TARN_DNS_NXRRSET | TARN_DNS_HOLD;
}

/* -- an endpoint that is a list of queries ------------------------------------------------------
 */

static struct {
    struct tarn_datagram d;
    struct tarn_span query;
    unsigned waiting, sent;
    uint8_t answer[4096];
    size_t answer_len;
    bool full;
} udp;

static enum tarn_err udp_peek(struct tarn_datagram *d, struct tarn_bytes *out,
                              struct tarn_datagram_info *info) {
    (void)d;
    if (!udp.waiting)
        return TARN_AGAIN;
    *out = tarn_bytes_of((void *)(uintptr_t)udp.query.ptr, udp.query.len);
    *info = (struct tarn_datagram_info){.remote = {TARN_IP_ADDR_V4(192, 0, 2, 9), 99}};
    return TARN_OK;
}
static void udp_consume(struct tarn_datagram *d) {
    (void)d;
    udp.waiting--;
}
static enum tarn_err udp_send(struct tarn_datagram *d, const struct tarn_datagram_info *info,
                              const struct tarn_span *v, size_t nv) {
    (void)d;
    cr_assert(nv == 1 && info->remote.port == 99);
    if (udp.full)
        return TARN_AGAIN;
    udp.sent++;
    udp.answer_len = tarn_bytes_copy(TARN_BYTES_ARRAY(udp.answer), *v);
    return TARN_OK;
}
static void udp_close(struct tarn_datagram *d) {
    (void)d;
}
static const struct tarn_datagram_ops udp_ops = {
    .peek = udp_peek, .consume = udp_consume, .send = udp_send, .close = udp_close};

/* -- the world ----------------------------------------------------------------------------------
 */

static void turn(void) {
    for (unsigned i = 0; tarn_tasks_pending(&tasks) && i < 100000; i++)
        tarn_tasks_run(&tasks);
}

static void setup(void) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, 53};
    tarn_tasks_init(&tasks);
    now = TARN_SEC(1);
    serve_init(&s, (struct tarn_dns_server_config){.may_transfer = anybody, .on_update = held});
    serve_zone(
        &s, "example.",
        "$TTL 60\n@ SOA ns root 5 100 10 1000 60\n@ NS ns\n$GENERATE 1-3000 n$ A 10.0.0.1\n");
    struct tarn_pipes_config config = {.alloc = &s.mem.alloc,
                                       .tasks = &tasks,
                                       .pipes_max = 8,
                                       .bytes_max = 3000,
                                       .pieces_max = 16,
                                       .listeners_max = 1};
    cr_assert_eq(tarn_pipes_new(&config, &pipes), TARN_OK);
    struct tarn_dns_service_config c = {.alloc = &s.mem.alloc,
                                        .tasks = &tasks,
                                        .clock = &clock_of,
                                        .server = s.server,
                                        .datagram = &udp.d,
                                        .streams_max = 3};
    udp.d.ops = &udp_ops;
    cr_assert_eq(tarn_net_listen(tarn_pipes_net(pipes), &local, 8, &c.listener), TARN_OK);
    cr_assert_eq(tarn_dns_service_new(&c, &service), TARN_OK);
}
static void teardown(void) {
    static const char *const origins[] = {"example.", NULL};
    tarn_dns_service_free(service);
    turn();
    tarn_pipes_delete(pipes);
    serve_fini(&s, origins);
}
TestSuite(service, .init = setup, .fini = teardown);

static struct tarn_flow *dial(void) {
    struct tarn_endpoint to = {TARN_IP_ADDR_V4(127, 0, 0, 1), 53};
    struct tarn_flow *flow;
    cr_assert_eq(tarn_net_connect(tarn_pipes_net(pipes), &to, &flow), TARN_OK);
    turn();
    return flow;
}
static void say(struct tarn_flow *flow, struct tarn_span bytes, size_t step) {
    while (bytes.len) {
        size_t n;
        enum tarn_err err = tarn_flow_write(flow, tarn_span_first(bytes, step), &n);
        cr_assert(err == TARN_OK || err == TARN_AGAIN);
        bytes = tarn_span_after(bytes, err ? 0 : n);
        turn();
    }
}
static uint8_t heard[400000];
static size_t hear(struct tarn_flow *flow, size_t at) {
    size_t n;
    turn();
    while (tarn_flow_read(flow, tarn_bytes_of(heard + at, sizeof heard - at), &n) == TARN_OK) {
        at += n;
        turn();
    }
    return at;
}
static struct tarn_span framed(const char *name, const char *type) {
    static uint8_t bytes[600];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    struct tarn_span q = query_of(&s, name, type);
    tarn_writer_u16be(&w, (uint16_t)q.len);
    tarn_writer_span_put(&w, q);
    return tarn_writer_span(&w);
}
static struct tarn_dns_service_stats stats(void) {
    struct tarn_dns_service_stats st;
    tarn_dns_service_stats(service, &st);
    return st;
}

Test(service, datagrams_are_answered_however_many_wait) {
    udp.query = query_of(&s, "n1.example.", "A");
    udp.waiting = 1000;
    udp.d.on_event(&udp.d, TARN_DATAGRAM_READABLE);
    cr_assert_lt(udp.sent, 1000, "others have their turn");
    turn();
    cr_assert_eq(udp.sent, 1000);
    cr_assert_str_eq(print_answer(tarn_span_of(udp.answer, udp.answer_len)),
                     "NOERROR aa\nan n1.example. 60 IN A 10.0.0.1\n");
    udp.full = true;
    udp.waiting = 3;
    udp.d.on_event(&udp.d, TARN_DATAGRAM_READABLE);
    cr_assert(udp.waiting == 0 && stats().unsent == 3, "what cannot be sent is lost, and counted");
    udp.full = false;
}

static struct tarn_span as_update(struct tarn_span message, size_t at) {
    ((uint8_t *)(uintptr_t)message.ptr)[at] = TARN_DNS_UPDATE << 3;
    return message;
}

Test(service, answers_are_held_back_until_they_are_released) {
    struct tarn_flow *good = dial();
    for (int round = 0; round < 2; round++) {
        udp.query = as_update(query_of(&s, "example.", "SOA"), 2);
        udp.waiting = 20;
        udp.sent = 0;
        udp.d.on_event(&udp.d, TARN_DATAGRAM_READABLE);
        say(good, as_update(framed("example.", "SOA"), 4), 100);
        say(good, framed("n7.example.", "A"), 100);
        cr_assert(hear(good, 0) == 0 && udp.sent == 0 && udp.waiting == 0);
        cr_assert_eq(stats().unsent, 4 * (round + 1), "those that do not fit");
        tarn_dns_service_release(service, round == 0);
        size_t n = hear(good, 0), first = (size_t)heard[0] << 8 | heard[1];
        cr_assert_eq(udp.sent, round == 0 ? 16 : 0);
        if (round == 1)
            break;
        cr_assert_str_eq(print_answer(tarn_span_of(udp.answer, udp.answer_len)), "NXRRSET\n");
        cr_assert_str_eq(print_answer(tarn_span_of(heard + 2, first)), "NXRRSET\n");
        cr_assert_str_eq(print_answer(tarn_span_of(heard + 4 + first, n - 4 - first)),
                         "NOERROR aa\nan n7.example. 60 IN A 10.0.0.1\n", "and what came behind");
    }
    size_t n;
    cr_assert_eq(tarn_flow_read(good, tarn_bytes_of(heard, 10), &n), TARN_PEER);
    tarn_flow_close(good);
}

Test(service, rfc7766_several_queries_in_any_pieces) {
    for (size_t step = 1; step < 90; step += 11) {
        struct tarn_flow *flow = dial();
        for (int i = 0; i < 3; i++)
            say(flow, framed("n7.example.", "A"), step);
        size_t n = hear(flow, 0);
        struct tarn_span in = tarn_span_of(heard, n), msg;
        uint16_t len;
        for (int i = 0; i < 3; i++) {
            cr_assert(tarn_span_u16be(&in, &len) && tarn_span_take(&in, len, &msg));
            cr_assert_str_eq(print_answer(msg), "NOERROR aa\nan n7.example. 60 IN A 10.0.0.1\n");
        }
        cr_assert_eq(in.len, 0);
        tarn_flow_close(flow);
        turn();
    }
}

Test(service, idle_and_oversized_connections_end) {
    struct tarn_flow *flow = dial(), *other;
    size_t n;
    now += TARN_SEC(5);
    say(flow, TARN_SPAN_LIT("\0\5ab"), 100);
    cr_assert_eq(tarn_dns_service_deadline(service), now + TARN_SEC(10));
    now += TARN_SEC(10);
    tarn_dns_service_tick(service, now);
    turn();
    cr_assert_eq(tarn_flow_read(flow, tarn_bytes_of(heard, 10), &n), TARN_PEER);
    cr_assert_eq(stats().timed_out, 1);
    tarn_flow_close(flow);
    other = dial();
    static uint8_t large[6000] = {0xff, 0xff};
    cr_assert_eq(tarn_flow_write(other, tarn_span_of(large, 2900), &n), TARN_OK);
    turn();
    cr_assert_eq(tarn_flow_write(other, tarn_span_of(large, 2900), &n), TARN_OK);
    turn();
    cr_assert_eq(stats().broken, 1);
    tarn_flow_close(other);
}

Test(service, who_reads_what_it_asked_for_is_not_idle) {
    struct tarn_flow *flow = dial();
    size_t n;
    say(flow, framed("example.", "AXFR"), 100);
    now += TARN_SEC(5);
    cr_assert_eq(tarn_flow_read(flow, tarn_bytes_of(heard, 2000), &n), TARN_OK);
    turn();
    cr_assert_eq(tarn_dns_service_deadline(service), now + TARN_SEC(10));
    tarn_flow_abort(flow);
}

Test(service, the_longest_idle_connection_makes_room) {
    struct tarn_flow *flows[5];
    size_t n;
    for (int i = 0; i < 5; i++) {
        flows[i] = dial();
        now += TARN_MS(1);
        if (i == 2)
            say(flows[0], framed("n1.example.", "A"), 100); /* so it is not the oldest */
    }
    cr_assert_eq(stats().pushed_out, 2);
    cr_assert_eq(tarn_flow_read(flows[1], tarn_bytes_of(heard, 10), &n), TARN_PEER);
    cr_assert_gt(hear(flows[0], 0), 20);
    for (int i = 0; i < 5; i++)
        tarn_flow_close(flows[i]);
}

Test(service, a_zone_that_goes_takes_its_transfers_along) {
    struct tarn_flow *flow = dial();
    size_t n;
    say(flow, framed("example.", "AXFR"), 100);
    tarn_dns_service_forget(service, tarn_dns_server_zone(s.server, wire_of("example.")));
    turn();
    while (tarn_flow_read(flow, tarn_bytes_of(heard, 1000), &n) == TARN_OK)
        turn();
    cr_assert_eq(stats().streams, 1);
    tarn_flow_close(flow);
}

/* -- copies -------------------------------------------------------------------------------------
 */

static struct tarn_dns_zone *copy;
static unsigned zones, expired;

static void on_zone(void *user, struct tarn_dns_zone *zone) {
    (void)user;
    if (copy)
        tarn_dns_zone_free(copy);
    copy = zone;
    zones++;
}
static void on_expired(void *user) {
    (void)user;
    expired++;
    tarn_dns_zone_free(copy);
    copy = NULL;
}
static struct tarn_dns_secondary *secondary_new(void) {
    struct tarn_dns_secondary *sec;
    struct tarn_dns_secondary_config c = {.alloc = &s.mem.alloc,
                                          .random = &s.random.random,
                                          .net = tarn_pipes_net(pipes),
                                          .origin = wire_of("example."),
                                          .primaries = {{TARN_IP_ADDR_V4(127, 0, 0, 1), 53}},
                                          .primary_count = 1,
                                          .on_zone = on_zone,
                                          .on_expired = on_expired};
    cr_assert_eq(tarn_dns_secondary_new(&c, &sec), TARN_OK);
    return sec;
}
static void pass(struct tarn_dns_secondary *sec, tarn_time until) {
    for (;;) {
        tarn_time at = tarn_dns_secondary_deadline(sec);
        at = TARN_MIN(at, tarn_dns_service_deadline(service));
        if (at > until)
            break;
        now = TARN_MAX(now, at);
        tarn_dns_secondary_tick(sec, now);
        tarn_dns_service_tick(service, now);
        turn();
    }
    now = until;
}

Test(service, a_secondary_copies_refreshes_and_expires) {
    struct tarn_dns_secondary *sec = secondary_new();
    struct tarn_dns_zone_stats a, b;
    struct tarn_dns_zone *primary = tarn_dns_server_zone(s.server, wire_of("example."));
    pass(sec, TARN_SEC(2));
    cr_assert(zones == 1 && copy);
    tarn_dns_zone_stats(primary, &a);
    tarn_dns_zone_stats(copy, &b);
    cr_assert_eq(a.records, b.records);
    pass(sec, TARN_SEC(350));
    cr_assert_eq(zones, 1, "nothing is newer");
    serve_zone(&s, "example.", "$TTL 60\n@ SOA ns root 6 100 10 1000 60\n@ NS ns\nx A 1.2.3.4\n");
    tarn_dns_secondary_notify(sec);
    pass(sec, TARN_SEC(351));
    cr_assert_eq(zones, 2);
    struct tarn_dns_record r;
    cr_assert(tarn_dns_zone_get(copy, wire_of("x.example."), TARN_DNS_A, 0, &r));
    tarn_dns_zone_free(tarn_dns_server_remove_zone(s.server, wire_of("example.")));
    pass(sec, TARN_SEC(1300));
    cr_assert_eq(expired, 0);
    pass(sec, TARN_SEC(1360));
    cr_assert_eq(expired, 1, "1000 seconds after the last word");
    serve_zone(&s, "example.", "$TTL 60\n@ SOA ns root 2 100 10 1000 60\n@ NS ns\n");
    pass(sec, TARN_SEC(3000));
    cr_assert_eq(zones, 3, "a first copy may have any serial");
    tarn_dns_secondary_free(sec);
    tarn_dns_zone_free(copy);
}

/* -- what a primary may send ---------------------------------------------------------------------
 */

/* A message with the records of a zone file's text as its answers. */
static enum tarn_err feed(struct tarn_dns_xfr *x, const char *const *records) {
    static uint8_t out[4096], data[512];
    struct tarn_dns_builder b;
    tarn_dns_build(&b, TARN_BYTES_ARRAY(out), x->id, TARN_DNS_QR);
    for (; *records; records += 3) {
        struct tarn_writer w = TARN_WRITER_ARRAY(data);
        const char *why;
        uint32_t column;
        uint16_t type;
        cr_assert(tarn_dns_type_parse(tarn_span_str(records[1]), &type));
        cr_assert(tarn_dns_rdata_parse(tarn_span_str(records[2]), type, TARN_SPAN_LIT("\0"), &w,
                                       &why, &column));
        cr_assert(tarn_dns_put_rr(&b, TARN_DNS_ANSWER, wire_of(records[0]), type, TARN_DNS_IN, 60,
                                  tarn_writer_span(&w)));
    }
    return tarn_dns_xfr_input(x, 0, tarn_dns_finish(&b));
}
#define FEED(x, ...) feed(x, (const char *const[]){__VA_ARGS__, NULL})
#define SOA_(n) "example.", "SOA", "ns. root. " n " 1 1 1 1"

static struct tarn_dns_xfr start(const char *current) {
    struct tarn_dns_xfr x;
    tarn_dns_xfr_init(&x, &s.mem.alloc, &s.random.random, wire_of("example."),
                      current ? zone_of(&s, "example.", current) : NULL, 1 << 24, NULL);
    return x;
}
static void end(struct tarn_dns_xfr *x) {
    tarn_dns_xfr_fini(x);
    if (x->current)
        tarn_dns_zone_free((struct tarn_dns_zone *)(uintptr_t)x->current);
}
static const char current[] = "$TTL 60\n@ SOA ns. root. 5 1 1 1 1\n@ NS a.\nold A 1.2.3.4\n";

Test(service, rfc1995_changes_are_made_in_order) {
    struct tarn_dns_xfr x = start(current);
    struct tarn_dns_record r;
    uint32_t serial;
    cr_assert_eq(FEED(&x, SOA_("7"), SOA_("5")), TARN_AGAIN);
    cr_assert_eq(
        FEED(&x, "old.example.", "A", "1.2.3.4", SOA_("6"), "mid.example.", "A", "1.1.1.1"),
        TARN_AGAIN);
    cr_assert_eq(FEED(&x, SOA_("6"), "mid.example.", "A", "1.1.1.1", SOA_("7")), TARN_AGAIN);
    cr_assert_eq(FEED(&x, "new.example.", "A", "1.1.1.1", SOA_("7")), TARN_OK);
    cr_assert(tarn_dns_zone_serial(x.zone, &serial) && serial == 7);
    cr_assert(tarn_dns_zone_get(x.zone, wire_of("new.example."), TARN_DNS_A, 0, &r));
    cr_assert(!tarn_dns_zone_get(x.zone, wire_of("old.example."), TARN_DNS_A, 0, &r));
    cr_assert(!tarn_dns_zone_get(x.zone, wire_of("mid.example."), TARN_DNS_A, 0, &r));
    end(&x);
}

Test(service, rfc1995_or_the_whole_zone_or_nothing) {
    struct tarn_dns_xfr x = start(current);
    cr_assert_eq(FEED(&x, SOA_("5")), TARN_OK);
    cr_assert_null(x.zone);
    end(&x);
    x = start(current);
    cr_assert_eq(FEED(&x, SOA_("9")), TARN_AGAIN, "more may follow");
    cr_assert_eq(FEED(&x, "example.", "NS", "b.", SOA_("9")), TARN_OK);
    cr_assert_not_null(x.zone);
    end(&x);
}

Test(service, transfers_that_make_no_sense_are_refused) {
    struct tarn_dns_xfr x = start(NULL);
    cr_assert_eq(FEED(&x, "example.", "NS", "b."), TARN_PEER, "no SOA first");
    end(&x);
    x = start(NULL);
    cr_assert_eq(FEED(&x, SOA_("5"), "example.", "NS", "b.", SOA_("6")), TARN_PEER, "another last");
    end(&x);
    x = start(NULL);
    cr_assert_eq(FEED(&x, SOA_("5"), "other.", "A", "1.2.3.4"), TARN_PEER, "not in the zone");
    end(&x);
    x = start(NULL);
    cr_assert_eq(FEED(&x, SOA_("5"), SOA_("5")), TARN_PEER, "no NS");
    end(&x);
    x = start(NULL);
    cr_assert_eq(
        FEED(&x, SOA_("5"), "example.", "NS", "b.", SOA_("5"), "a.example.", "A", "1.2.3.4"),
        TARN_PEER, "something behind the last");
    end(&x);
    x = start(current);
    cr_assert_eq(FEED(&x, SOA_("7"), SOA_("4")), TARN_UNSUPPORTED, "changes of another version");
    end(&x);
    x = start(current);
    cr_assert_eq(FEED(&x, SOA_("7"), SOA_("5"), "no.example.", "A", "1.2.3.4"), TARN_UNSUPPORTED);
    end(&x);
    x = start(current);
    cr_assert_eq(FEED(&x, SOA_("7"), SOA_("5"), SOA_("4")), TARN_PEER, "back in time");
    end(&x);
    x = start(current);
    cr_assert_eq(FEED(&x, SOA_("7"), SOA_("5"), SOA_("6"), SOA_("5")), TARN_PEER, "no sequence");
    end(&x);
}
