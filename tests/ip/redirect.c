/* SPDX-License-Identifier: ISC */
/* Redirects, each check with a message that fails it alone. */
#include "v6.h"
#include <criterion/criterion.h>

#define OTHER 0x0a0000fdu /* a second router on link 0 */
#define THIRD 0x0a0000fcu

static struct world w;

static void follow(bool on) {
    cr_assert_eq(tarn_ip_follow_redirects(w.ip, 0, on), TARN_OK);
}
static void set_up(void) {
    world_init6(&w, (struct tarn_ip_limits){.redirects_max = 8});
    w.link[0].link.has_mac = false; /* so that it is told the next hop */
    follow(true);
}
static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}

/* -- IPv4 -- */

struct redirect4 {
    uint32_t from, to, target, src, dst; /* `src` to `dst` is what it is about */
    uint8_t code, cut;                   /* `cut`: bytes of the quoted datagram left out */
    uint16_t frag;
};
/* A good one, but for what is given. */
#define REDIRECT4(...)                                                                             \
    ((struct redirect4){                                                                           \
        .from = GATE, .to = US, .target = OTHER, .src = US, .dst = FAR, .code = 1, __VA_ARGS__})

static void in_redirect4(struct redirect4 r) {
    uint8_t msg[64] = {5, r.code};
    put16(msg + 4, r.target >> 16);
    put16(msg + 6, r.target);
    size_t n = 8
               + v4_make(msg + 8, &(struct v4){.src = r.src, .dst = r.dst, .frag = r.frag},
                         "\4\0\0\65\0\10\0\0", 8);
    n -= r.cut;
    put16(msg + 2, slow_csum(msg, n));
    in_v4(&w, &(struct v4){.src = r.from, .dst = r.to, .proto = 1}, msg, n);
}
static uint32_t hop4(uint32_t dst) {
    world_forget(&w);
    cr_assert_eq(out_udp(&w, dst, "x", 1), TARN_OK);
    return tarn_ip_addr_v4(&w.link[0].sent[0].next_hop);
}
static void refused4(struct redirect4 r, const char *why) {
    uint64_t drops = stats(&w).drops_icmp;
    in_redirect4(r);
    cr_assert_eq(stats(&w).drops_icmp, drops + 1, "%s", why);
    cr_assert_eq(stats(&w).redirects, 0, "%s", why);
    cr_assert_eq(hop4(FAR), GATE, "%s", why);
}
Test(redirect, off_until_somebody_says_so) {
    world_init(&w, (struct tarn_ip_limits){0});
    refused4(REDIRECT4(), "never switched on");
    follow(true);
    in_redirect4(REDIRECT4());
    cr_assert_eq(hop4(FAR), OTHER);
    follow(false);
    cr_assert_eq(stats(&w).redirects, 0, "forgotten");
    refused4(REDIRECT4(), "switched off");
    cr_assert_eq(tarn_ip_follow_redirects(w.ip, 2, true), TARN_INVALID);
    tear_down();
}

Test(redirect, rfc1122_3_2_2_2_a_host_is_reached_by_who_was_named) {
    set_up();
    for (uint8_t code = 0; code < 4; code++) {
        in_redirect4(REDIRECT4(.code = code, .dst = FAR + code));
        cr_assert_eq(hop4(FAR + code), OTHER, "code %u", code);
        cr_assert_eq(hop4(FAR + 100), GATE, "for one host, whatever the code");
    }
    cr_assert_eq(stats(&w).redirects_in, 4);
    tear_down();
}

Test(redirect, rfc1122_3_2_2_2_a_router_off_the_network_is_refused) {
    set_up();
    refused4(REDIRECT4(.target = 0xc0a80102), "on another interface's network");
    refused4(REDIRECT4(.target = 0x08080404), "on none");
    refused4(REDIRECT4(.target = 0x0a0000ff), "its broadcast address");
    refused4(REDIRECT4(.target = 0xffffffff), "everybody");
    refused4(REDIRECT4(.target = 0xe0000001), "a group");
    refused4(REDIRECT4(.target = 0), "nobody");
    refused4(REDIRECT4(.target = 0x7f000001), "loopback");
    refused4(REDIRECT4(.target = US), "ourselves");
    tear_down();
}

Test(redirect, rfc1122_3_2_2_2_only_the_first_hop_of_now_may_redirect) {
    set_up();
    refused4(REDIRECT4(.from = PEER), "a neighbour that is not the router");
    refused4(REDIRECT4(.from = OTHER), "the one that it names");
    refused4(REDIRECT4(.from = FAR), "from afar");
    in_redirect4(REDIRECT4());
    in_redirect4(REDIRECT4(.target = THIRD));
    cr_assert_eq(hop4(FAR), OTHER, "the first router is no longer asked");
    in_redirect4(REDIRECT4(.from = OTHER, .target = THIRD));
    cr_assert_eq(hop4(FAR), THIRD, "the second one is");
    tear_down();
}

Test(redirect, rfc1122_3_2_2_2_a_destination_on_the_link_has_no_first_hop) {
    set_up();
    uint64_t drops = stats(&w).drops_icmp;
    in_redirect4(REDIRECT4(.dst = PEER));
    cr_assert_eq(stats(&w).drops_icmp, drops + 1);
    cr_assert_eq(hop4(PEER), PEER);
    tear_down();
}

Test(redirect, rfc1122_3_2_2_what_is_quoted_must_be_ours) {
    set_up();
    refused4(REDIRECT4(.src = PEER), "somebody else's datagram");
    refused4(REDIRECT4(.src = US1), "of another interface");
    refused4(REDIRECT4(.dst = US), "to ourselves");
    refused4(REDIRECT4(.dst = 0xe0000005), "to a group");
    refused4(REDIRECT4(.dst = 0x0a0000ff), "to all");
    refused4(REDIRECT4(.cut = 1), "less than its first eight bytes");
    refused4(REDIRECT4(.cut = 9), "less than its header");
    refused4(REDIRECT4(.code = 4), "a code that is none");
    tear_down();
}

Test(redirect, one_to_everybody_is_refused) {
    set_up();
    static uint8_t packet[100];
    uint8_t msg[36] = {5, 1};
    put16(msg + 4, OTHER >> 16);
    put16(msg + 6, OTHER & 0xffff);
    (void)v4_make(msg + 8, &(struct v4){.src = US, .dst = FAR}, "\4\0\0\65\0\10\0\0", 8);
    put16(msg + 2, slow_csum(msg, 36));
    struct v4 h = {.src = GATE, .dst = 0x0a0000ff, .proto = 1};
    size_t n = v4_make(packet, &h, msg, 36);
    tarn_ip_input(w.ip, 0, &(struct tarn_link_meta){.cast = TARN_LINK_TO_ALL}, raw(&w, packet, n),
                  w.now);
    cr_assert_eq(stats(&w).redirects, 0);
    tear_down();
}

Test(redirect, storage_is_bounded_and_the_oldest_goes) {
    set_up();
    for (uint32_t i = 0; i < 1000; i++)
        in_redirect4(REDIRECT4(.dst = FAR + i));
    cr_assert_eq(stats(&w).redirects, 8);
    cr_assert_eq(hop4(FAR + 999), OTHER);
    cr_assert_eq(hop4(FAR + 991), GATE);
    tear_down();
}

Test(redirect, ten_minutes_and_no_longer) {
    set_up();
    in_redirect4(REDIRECT4());
    tick(&w, TARN_SEC(599));
    cr_assert_eq(hop4(FAR), OTHER);
    tick(&w, TARN_SEC(2));
    cr_assert_eq(hop4(FAR), GATE);
    cr_assert_eq(stats(&w).redirects, 0);
    tear_down();
}

Test(redirect, rfc1122_3_3_1_4_a_dead_router_is_forgotten) {
    set_up();
    in_redirect4(REDIRECT4());
    cr_assert_eq(hop4(FAR), OTHER);
    /* What ARP does with a packet whose neighbour does not answer. */
    struct tarn_pkt *pkt = w.link[0].sent[0].pkt;
    w.link[0].count = 0;
    w.link[0].link.user->ops->unreachable(w.link[0].link.user, pkt, w.now);
    cr_assert_eq(hop4(FAR), GATE);
    tear_down();
}

Test(redirect, it_goes_with_the_route_that_it_corrected) {
    set_up();
    in_redirect4(REDIRECT4());
    struct tarn_ip_route_entry better = {.prefix = prefix4(FAR, 24), .gateway = v4(THIRD)};
    cr_assert_eq(tarn_ip_route_add(w.ip, &better), TARN_OK);
    cr_assert_eq(hop4(FAR), THIRD);
    cr_assert_eq(tarn_ip_route_remove(w.ip, &better), TARN_OK);
    cr_assert_eq(hop4(FAR), GATE);
    tear_down();
}

/* -- IPv6 -- */

struct redirect6 {
    const char *from, *to, *target, *dst;
    uint8_t hops, code, option_units;
    bool cut;
};
#define REDIRECT6(...)                                                                             \
    ((struct redirect6){.from = "fe80::99",                                                        \
                        .to = US6,                                                                 \
                        .target = "fe80::66",                                                      \
                        .dst = FAR6,                                                               \
                        .hops = 255,                                                               \
                        __VA_ARGS__})

/* With a target link-layer address where `option_units` says that there is one. */
static void in_redirect6(struct redirect6 r) {
    uint8_t rest[44] = {[36] = 2, [37] = r.option_units, [38] = 2, [43] = 0x66};
    struct tarn_ip_addr t = a6(r.target), d = a6(r.dst);
    memcpy(rest + 4, t.bytes, 16);
    memcpy(rest + 20, d.bytes, 16);
    in_icmp6(&w, r.from, r.to, r.hops, 137, r.code, rest, r.cut ? 35 : r.option_units ? 44 : 36);
}
static struct tarn_ip_addr hop6(const char *dst) {
    world_forget(&w);
    cr_assert_eq(out6(&w, dst, "x", 1), TARN_OK);
    return w.link[0].sent[0].next_hop;
}
static bool goes_by(const char *dst, const char *hop) {
    struct tarn_ip_addr got = hop6(dst), want = a6(hop);
    return tarn_ip_addr_equal(&got, &want);
}
static void refused6(struct redirect6 r, const char *why) {
    uint64_t drops = stats(&w).drops_icmp;
    in_redirect6(r);
    cr_assert_eq(stats(&w).drops_icmp, drops + 1, "%s", why);
    cr_assert_eq(stats(&w).redirects, 0, "%s", why);
    cr_assert(goes_by(FAR6, "fe80::99"), "%s", why);
}

Test(redirect, rfc4861_8_3_another_router_or_the_neighbour_itself) {
    set_up();
    in_redirect6(REDIRECT6());
    cr_assert(goes_by(FAR6, "fe80::66"));
    cr_assert(goes_by("2001:db8:f::2", "fe80::99"), "no other host");
    in_redirect6(REDIRECT6(.dst = "2001:db8:e::5", .target = "2001:db8:e::5"));
    cr_assert(goes_by("2001:db8:e::5", "2001:db8:e::5"), "on the link");
    cr_assert_eq(stats(&w).redirects_in, 2);
    tear_down();
}

Test(redirect, rfc4861_8_1_each_check) {
    set_up();
    follow(false);
    refused6(REDIRECT6(), "off");
    follow(true);
    refused6(REDIRECT6(.from = PEER6), "the source is not link-local");
    refused6(REDIRECT6(.hops = 254), "from off the link");
    refused6(REDIRECT6(.code = 1), "code");
    refused6(REDIRECT6(.cut = true), "shorter than 40 bytes");
    refused6(REDIRECT6(.from = "fe80::66"), "not the first hop of now");
    refused6(REDIRECT6(.dst = "ff0e::1"), "the destination is a group");
    refused6(REDIRECT6(.target = "2001:db8::66"), "neither a router's link-local nor the same");
    refused6(REDIRECT6(.target = US6), "ourselves");
    refused6(REDIRECT6(.to = "ff02::1"), "to everybody");
    in_redirect6(REDIRECT6());
    cr_assert(goes_by(FAR6, "fe80::66"), "and none of this was the message's fault otherwise");
    tear_down();
}

Test(redirect, rfc4861_8_1_an_option_of_no_length_is_refused) {
    set_up();
    uint8_t rest[44] = {[36] = 2};
    struct tarn_ip_addr t = a6("fe80::66"), d = a6(FAR6);
    memcpy(rest + 4, t.bytes, 16);
    memcpy(rest + 20, d.bytes, 16);
    in_icmp6(&w, "fe80::99", US6, 255, 137, 0, rest, 44);
    cr_assert_eq(stats(&w).redirects, 0);
    tear_down();
}

Test(redirect, rfc4861_8_3_a_link_layer_address_comes_with_it) {
    set_up();
    w.link[0].link.has_mac = true;
    in_redirect6(REDIRECT6(.option_units = 1));
    world_forget(&w);
    cr_assert_eq(out6(&w, FAR6, "x", 1), TARN_OK);
    cr_assert_eq(w.link[0].count, 1);
    cr_assert_eq(w.link[0].sent[0].kind, TARN_LINK_ADDRESS, "nobody has to be asked");
    tear_down();
}

Test(redirect, rfc4861_7_3_3_who_does_not_answer_is_forgotten) {
    set_up();
    w.link[0].link.has_mac = true;
    in_redirect6(REDIRECT6());
    cr_assert_eq(out6(&w, FAR6, "x", 1), TARN_OK);
    for (int i = 0; i < 4; i++)
        tick(&w, TARN_SEC(1));
    cr_assert_eq(stats(&w).redirects, 0);
    tear_down();
}

Test(redirect, rfc4861_8_1_a_router_known_by_another_address_is_not_heard) {
    set_up();
    struct tarn_ip_route_entry route = {.prefix = {a6("2001:db8:e::"), 48},
                                        .gateway = a6("2001:db8::ff")};
    cr_assert_eq(tarn_ip_route_add(w.ip, &route), TARN_OK);
    in_redirect6(REDIRECT6(.from = "2001:db8::ff", .dst = "2001:db8:e::5"));
    cr_assert(goes_by("2001:db8:e::5", "2001:db8::ff"));
    tear_down();
}

/* -- routers -- */

static bool pass(struct tarn_ip_forwarder *f, unsigned iface, bool own, struct tarn_pkt *pkt,
                 tarn_time now) {
    (void)f, (void)iface, (void)own, (void)pkt, (void)now;
    return true;
}
Test(redirect, rfc1812_5_2_7_2_a_router_follows_none) {
    static const struct tarn_ip_forwarder_ops ops = {pass};
    struct tarn_ip_forwarder forwarder = {&ops};
    set_up();
    in_redirect4(REDIRECT4(.dst = FAR + 1));
    tarn_ip_forward_by(w.ip, &forwarder);
    cr_assert_eq(hop4(FAR + 1), GATE, "from when it was a host");
    in_redirect4(REDIRECT4());
    in_redirect6(REDIRECT6());
    tarn_ip_forward_by(w.ip, NULL);
    cr_assert_eq(hop4(FAR), GATE);
    cr_assert_eq(stats(&w).redirects, 1);
    tear_down();
}
