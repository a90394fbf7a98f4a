/* SPDX-License-Identifier: ISC */
#include "wire.h"
#include <criterion/criterion.h>
#include <tarn/csum.h>

static struct host client, server;
static tarn_time now;

static struct tarn_ip_addr a6(const char *text) {
    struct tarn_ip_addr a;
    cr_assert(tarn_ip_addr_parse(tarn_span_str(text), &a));
    return a;
}
static void start(struct tarn_stack_config ours) {
    struct tarn_stack_config theirs = {.ipv6 = {a6("2001:db8::1"), 64}};
    now = 0;
    host_init(&server, &client, 1, theirs, 3);
    host_init(&client, &server, 2, ours, 3);
    wire_run(&client, &server, &now, TARN_SEC(3));
}
static void stop(void) {
    free(client.mem);
    free(server.mem);
}

/* A router advertisement with those flags and 2001:db8::/64, as a frame for the client. */
static void advertise(uint8_t flags) {
    static const uint8_t body[48] = {134, 0, 0,    0,    64, 0, 0x07, 0x08, 0,    0, 0,    0,
                                     0,   0, 0,    0,    3,  4, 64,   0xc0, 0,    0, 0x0e, 0x10,
                                     0,   0, 0x0e, 0x10, 0,  0, 0,    0,    0x20, 1, 0x0d, 0xb8};
    struct tarn_ip_meta meta = {.src = a6("fe80::99"), .dst = a6("ff02::1"), .proto = 58};
    struct tarn_pkt *pkt = tarn_pkt_alloc(&client.pkts, sizeof body);
    cr_assert(pkt && tarn_pkt_append(pkt, TARN_SPAN_ARRAY(body)));
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 5) = flags;
    uint16_t csum = tarn_csum_finish(tarn_csum_join(tarn_ip_pseudo_csum(&meta, sizeof body),
                                                    tarn_pkt_csum(pkt, 0, sizeof body), 0));
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 2) = (uint8_t)(csum >> 8);
    *tarn_bytes_at(tarn_pkt_head_bytes(pkt), 3) = (uint8_t)csum;
    struct tarn_writer w = tarn_pkt_prepend(pkt, 54);
    tarn_writer_mem(&w, "\x33\x33\0\0\0\1\2\0\0\0\0\x99\x86\xdd\x60\0\0\0\0\x30\x3a\xff", 22);
    tarn_writer_ipv6(&w, &meta.src);
    tarn_writer_ipv6(&w, &meta.dst);
    tarn_pkt_queue_push(&client.arrived, pkt);
}

/* A DHCPv6 server of the least: it gives everybody 2001:db8::42, and a resolver. */
static unsigned asked[14];
static void serve(struct tarn_datagram *d, unsigned events) {
    static const uint8_t server_id[] = {0, 2, 0, 4, 0, 3, 0, 9}, dns[] = {0, 23, 0, 16};
    static const uint8_t ia[] = {0, 3, 0, 40, 0,  0,    0, 1,    0,    0, 1, 0, 0, 0, 2,
                                 0, 0, 5, 0,  24, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0,
                                 0, 0, 0, 0,  0,  0x42, 0, 0,    3,    0, 0, 0, 4, 0};
    uint8_t buf[400];
    struct tarn_datagram_info info;
    struct tarn_bytes data;
    struct tarn_ip_addr resolver = a6("2001:db8::53");
    (void)events;
    while (tarn_datagram_peek(d, &data, &info) == TARN_OK) {
        struct tarn_span s = tarn_bytes_span(data), value;
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        uint32_t head;
        uint16_t code, len;
        cr_assert(tarn_span_u32be(&s, &head) && head >> 24 < 14);
        asked[head >> 24]++;
        tarn_writer_u32be(&w, (head & 0xffffff) | (head >> 24 == 1 ? 2u : 7u) << 24);
        while (tarn_span_u16be(&s, &code) && tarn_span_u16be(&s, &len)
               && tarn_span_take(&s, len, &value)) {
            if (code == 1) { /* who asks */
                tarn_writer_u16be(&w, code);
                tarn_writer_u16be(&w, len);
                tarn_writer_span_put(&w, value);
            } else if (code == 3) {
                tarn_writer_span_put(&w, TARN_SPAN_ARRAY(ia));
            }
        }
        tarn_writer_span_put(&w, TARN_SPAN_ARRAY(server_id));
        tarn_writer_span_put(&w, TARN_SPAN_ARRAY(dns));
        tarn_writer_ipv6(&w, &resolver);
        struct tarn_datagram_info to = {.remote = info.remote, .iface = 1};
        cr_assert(!tarn_datagram_send(d, &to, tarn_writer_span(&w)));
        tarn_datagram_consume(d);
    }
}
static void serve_dhcp6(void) {
    struct tarn_datagram_config port = {.local = {TARN_IP_ADDR_NONE, 547}};
    struct tarn_ip_addr group = a6("ff02::1:2");
    struct tarn_datagram *d;
    memset(asked, 0, sizeof asked);
    cr_assert(!tarn_net_datagram(tarn_stack_net(server.stack), &port, &d));
    cr_assert(!tarn_datagram_join(d, &group, 1, true));
    d->on_event = serve;
}
static enum tarn_ip_addr_state state_of(const char *text) {
    struct tarn_ip_addr a = a6(text);
    return tarn_ip_addr_state(tarn_stack_ip(client.stack), 0, &a);
}

static unsigned heard;
static void echo(struct tarn_datagram *d, unsigned events) {
    struct tarn_datagram_info from;
    struct tarn_bytes data;
    (void)events;
    while (tarn_datagram_peek(d, &data, &from) == TARN_OK) {
        struct tarn_datagram_info to = {.remote = from.remote, .local = from.local};
        heard++;
        if (from.local.port == 7)
            cr_assert(!tarn_datagram_send(d, &to, tarn_bytes_span(data)));
        tarn_datagram_consume(d);
    }
}
/* A datagram to the server and back. */
static void talk(void) {
    struct tarn_datagram_config at = {.local = {TARN_IP_ADDR_NONE, 7}};
    struct tarn_datagram *d, *ours;
    heard = 0;
    cr_assert(!tarn_net_datagram(tarn_stack_net(server.stack), &at, &d));
    at.local.port = 0;
    cr_assert(!tarn_net_datagram(tarn_stack_net(client.stack), &at, &ours));
    d->on_event = ours->on_event = echo;
    cr_assert(!tarn_datagram_connect(ours, &(struct tarn_endpoint){a6("2001:db8::1"), 7}));
    cr_assert(!tarn_datagram_send(ours, NULL, TARN_SPAN_LIT("hello")));
    wire_run(&client, &server, &now, now + TARN_SEC(2));
    cr_assert_eq(heard, 2);
}

Test(ipv6, given_addresses_find_each_other) {
    start((struct tarn_stack_config){.ipv6 = {a6("2001:db8::2"), 64}});
    talk();
    stop();
}

Test(ipv6, rfc4862_addresses_come_from_a_router) {
    start((struct tarn_stack_config){.ipv6_auto = true});
    serve_dhcp6();
    advertise(0);
    wire_run(&client, &server, &now, now + TARN_SEC(5));
    talk();
    cr_assert_null(tarn_stack_lease6(client.stack));
    cr_assert_eq(asked[1] + asked[11], 0, "no router has said that there is DHCPv6");
    stop();
}

Test(ipv6, rfc4861_4_2_a_router_s_flags_start_dhcpv6) {
    start((struct tarn_stack_config){.ipv6_auto = true});
    serve_dhcp6();
    advertise(0x40);
    wire_run(&client, &server, &now, now + TARN_SEC(5));
    const struct tarn_dhcp6_lease *lease = tarn_stack_lease6(client.stack);
    cr_assert(lease && tarn_ip_addr_is_any(&lease->addr) && lease->dns_count == 1);
    cr_assert(asked[11] == 1 && asked[1] == 0);
    advertise(0xc0);
    wire_run(&client, &server, &now, now + TARN_SEC(5));
    cr_assert_eq(state_of("2001:db8::42"), TARN_IP_ADDR_READY);
    cr_assert_not_null(tarn_stack_lease6(client.stack));
    wire_run(&client, &server, &now, now + TARN_SEC(2000));
    cr_assert_geq(asked[5], 2, "renewed");
    cr_assert_eq(state_of("2001:db8::42"), TARN_IP_ADDR_READY);
    stop();
}

Test(ipv6, rfc8415_an_address_by_dhcpv6_without_a_router_and_its_loss) {
    start((struct tarn_stack_config){.ipv6_dhcp = true});
    cr_assert_null(tarn_stack_lease6(client.stack));
    serve_dhcp6();
    wire_run(&client, &server, &now, now + TARN_SEC(10));
    cr_assert_eq(state_of("2001:db8::42"), TARN_IP_ADDR_READY);
    server.loss_percent = 100;
    wire_run(&client, &server, &now, now + TARN_SEC(1100));
    cr_assert_eq(state_of("2001:db8::42"), TARN_IP_ADDR_ABSENT, "not longer than it was given");
    cr_assert_null(tarn_stack_lease6(client.stack));
    stop();
}
