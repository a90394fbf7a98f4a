/* SPDX-License-Identifier: ISC */
/* RFC 8305, against a resolver and a network that answer when the test says. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <tarn/dns_connect.h>

static tarn_time now;
static tarn_time clock_now(struct tarn_clock *c) {
    (void)c;
    return now;
}
static struct tarn_clock clock_of = {&(struct tarn_clock_ops){.now = clock_now}};

static struct tarn_resolver_request *requests[2]; /* AAAA, A */
static enum tarn_err start(struct tarn_resolver *r, struct tarn_resolver_request *request) {
    (void)r;
    requests[request->type == TARN_RESOLVER_A] = request;
    return TARN_OK;
}
static void cancel(struct tarn_resolver *r, struct tarn_resolver_request *request) {
    (void)r;
    requests[request->type == TARN_RESOLVER_A] = NULL;
}
static struct tarn_resolver resolver = {&(struct tarn_resolver_ops){start, cancel}};

static struct dial {
    struct tarn_flow flow;
    bool v6, open;
    uint8_t last;
    tarn_time at;
} dials[20];
static unsigned dial_count;
static char log_text[400]; /* each dial: 6 or 4, which address, when in ms */

static void abort_flow(struct tarn_flow *f) {
    TARN_CONTAINER_OF(f, struct dial, flow)->open = false;
}
static const struct tarn_flow_ops flow_ops = {.abort = abort_flow, .close = abort_flow};
static enum tarn_err dial(struct tarn_net *net, const struct tarn_endpoint *remote,
                          struct tarn_flow **out) {
    struct dial *d = &dials[dial_count++];
    (void)net;
    cr_assert_eq(remote->port, 443);
    *d = (struct dial){.flow.ops = &flow_ops,
                       .v6 = !tarn_ip_addr_is_v4(&remote->addr),
                       .last = remote->addr.bytes[15],
                       .open = true,
                       .at = now};
    sprintf(log_text + strlen(log_text), "%s%d:%u@%u", log_text[0] ? " " : "", d->v6 ? 6 : 4,
            d->last, (unsigned)(now / TARN_MS(1)));
    *out = &d->flow;
    return d->last == 99 ? TARN_NOT_FOUND : TARN_OK; /* no route to that one */
}
static struct tarn_net net = {&(struct tarn_net_ops){.connect = dial}};

static struct tarn_dns_connect c;
static unsigned done;
static void on_done(struct tarn_dns_connect *connect) {
    (void)connect;
    done++;
}
static void setup(void) {
    struct tarn_dns_connect_config config = {
        .resolver = &resolver, .net = &net, .clock = &clock_of};
    now = TARN_MS(1000);
    c.done = on_done;
    cr_assert_eq(tarn_dns_connect_start(&c, &config, TARN_SPAN_LIT("host"), 443), TARN_OK);
    cr_assert(requests[0] && requests[1]);
}
static unsigned open_flows(void) {
    unsigned n = 0;
    for (unsigned i = 0; i < dial_count; i++)
        n += dials[i].open;
    return n;
}
TestSuite(rfc8305, .init = setup);

/* Addresses that end in first, first + 1, ... */
static void answer(bool v6, unsigned count, uint8_t first) {
    static uint8_t data[200];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    struct tarn_resolver_request *r = requests[!v6];
    for (unsigned i = 0; i < count; i++) {
        tarn_writer_u16be(&w, v6 ? 16 : 4);
        tarn_writer_u8(&w, v6 ? 0x20 : 10);
        tarn_writer_zero(&w, v6 ? 14 : 2);
        tarn_writer_u8(&w, (uint8_t)(first + i));
    }
    r->records = tarn_writer_span(&w);
    r->err = count ? TARN_OK : TARN_NOT_FOUND;
    requests[!v6] = NULL;
    r->done(r);
}
static void pass(unsigned ms) {
    tarn_time until = now + TARN_MS(ms);
    for (tarn_time at; !done && (at = tarn_dns_connect_deadline(&c)) <= until;) {
        now = TARN_MAX(now, at);
        tarn_dns_connect_tick(&c, now);
    }
    now = until;
}
static void event(unsigned i, unsigned events) {
    dials[i].flow.on_event(&dials[i].flow, events);
}

Test(rfc8305, section_4_families_take_turns_from_ipv6) {
    answer(true, 3, 1);
    answer(false, 3, 1);
    pass(2000);
    cr_assert_str_eq(log_text, "6:1@1000 4:1@1250 6:2@1500 4:2@1750 6:3@2000 4:3@2250");
    cr_assert_eq(done, 0);
    event(3, TARN_FLOW_CONNECTED);
    cr_assert(done == 1 && c.err == TARN_OK && c.flow == &dials[3].flow);
    cr_assert(open_flows() == 1 && dials[3].open, "the others end");
    cr_assert_eq(tarn_dns_connect_deadline(&c), TARN_NEVER);
}

Test(rfc8305, section_3_ipv4_waits_a_little_for_ipv6) {
    answer(false, 1, 1);
    pass(49);
    cr_assert_str_eq(log_text, "");
    answer(true, 1, 1);
    cr_assert_str_eq(log_text, "6:1@1049");
}

Test(rfc8305, section_3_but_not_longer) {
    answer(false, 2, 1);
    pass(60);
    cr_assert_str_eq(log_text, "4:1@1050");
    answer(true, 1, 1);
    pass(500);
    cr_assert_str_eq(log_text, "4:1@1050 6:1@1300 4:2@1550");
}

Test(rfc8305, section_3_ipv6_alone_does_not_wait) {
    answer(true, 1, 1);
    cr_assert_str_eq(log_text, "6:1@1000");
    pass(1000);
    answer(false, 1, 1);
    cr_assert_str_eq(log_text, "6:1@1000 4:1@2000", "who comes late is tried at once");
}

Test(rfc8305, section_5_a_failure_brings_the_next_at_once) {
    answer(true, 2, 1);
    answer(false, 1, 1);
    pass(10);
    event(0, TARN_FLOW_FAILED);
    cr_assert_str_eq(log_text, "6:1@1000 4:1@1010");
    event(1, TARN_FLOW_FAILED);
    event(2, TARN_FLOW_FAILED);
    cr_assert(done == 1 && c.err == TARN_IO && open_flows() == 0);
}

Test(rfc8305, without_a_route_the_next_is_tried) {
    answer(true, 1, 99);
    answer(false, 1, 1);
    cr_assert_str_eq(log_text, "6:99@1000 4:1@1000");
}

Test(rfc8305, a_host_without_addresses) {
    answer(true, 0, 0);
    cr_assert_eq(done, 0);
    answer(false, 0, 0);
    cr_assert(done == 1 && c.err == TARN_NOT_FOUND);
}

Test(rfc8305, it_ends_in_the_end) {
    answer(true, 1, 1);
    pass(29999);
    cr_assert_eq(done, 0);
    pass(1);
    cr_assert(done == 1 && c.err == TARN_IO && open_flows() == 0);
    cr_assert_null(requests[1], "the other request is cancelled");
}

Test(rfc8305, cancelled) {
    answer(true, 2, 1);
    tarn_dns_connect_cancel(&c);
    cr_assert(done == 0 && open_flows() == 0 && !requests[1]);
}
