/* SPDX-License-Identifier: ISC */
/* A router: what passes the forwarder goes on, what cannot be is answered as it came. */
#include <criterion/criterion.h>

#include "v6.h"

#define INNER 0xc0a80102u /* 192.168.1.2, a neighbour on link 1 */
#define NATTED 0x0a000009u

static struct world w;
static uint8_t data[20000];

/* A forwarder that counts, refuses, or changes the destination as a NAT does. */
struct judge {
    struct tarn_ip_forwarder forwarder;
    unsigned asked, own, iface;
    uint32_t len;
    bool refuse, translate;
};
static struct judge judge;

static bool pass(struct tarn_ip_forwarder *forwarder, unsigned iface, bool own,
                 struct tarn_pkt *pkt, tarn_time now) {
    struct judge *j = TARN_CONTAINER_OF(forwarder, struct judge, forwarder);
    (void)now;
    j->asked++;
    j->own += own;
    j->iface = iface;
    j->len = pkt->len;
    if (j->translate) {
        uint8_t *ip = tarn_pkt_head_bytes(pkt).ptr;
        put16(ip + 16, INNER >> 16);
        put16(ip + 18, INNER);
        put16(ip + 10, 0);
        put16(ip + 10, slow_csum(ip, 20));
    }
    return !j->refuse;
}
static const struct tarn_ip_forwarder_ops judge_ops = {pass};

static void set_up(void) {
    world_init(&w, (struct tarn_ip_limits){0});
    judge = (struct judge){.forwarder = {&judge_ops}};
    tarn_ip_forward_by(w.ip, &judge.forwarder);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 13 + i / 256);
}

static bool is_right(const uint8_t *ip) {
    return slow_csum(ip, (size_t)(ip[0] & 15) * 4) == 0;
}

/* The ICMP error that went to PEER: its type, code and rest; what it quotes. */
static const uint8_t *expect_error(uint8_t type, uint8_t code, uint16_t mtu) {
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *ip = sent(&w, 0, 0);
    cr_assert(is_right(ip) && ip[9] == 1);
    cr_assert(get16(ip + 12) == US >> 16 && get16(ip + 14) == (US & 0xffff), "from the near side");
    cr_assert(get16(ip + 18) == (PEER & 0xffff));
    cr_assert(ip[20] == type && ip[21] == code && get16(ip + 26) == mtu);
    cr_assert_eq(slow_csum(ip + 20, get16(ip + 2) - 20u), 0);
    return ip + 28;
}

Test(rfc1812, a_packet_goes_on_with_one_hop_less) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER, .ttl = 9, .tos = 8, .id = 77}, data, 100);
    cr_assert_eq(w.link[1].count, 1);
    const uint8_t *ip = sent(&w, 1, 0);
    cr_assert(is_right(ip) && ip[8] == 8 && ip[1] == 8 && get16(ip + 4) == 77);
    cr_assert(memcmp(ip + 20, data, 100) == 0);
    struct tarn_ip_addr inner = v4(INNER);
    cr_assert(tarn_ip_addr_equal(&w.link[1].sent[0].next_hop, &inner));
    cr_assert(judge.asked == 1 && judge.own == 0 && judge.iface == 0);
    cr_assert_eq(stats(&w).forwarded, 1);
    cr_assert(world_end(&w));
}

Test(rfc1812, without_a_forwarder_nothing_does_and_with_one_that_refuses_neither) {
    set_up();
    judge.refuse = true;
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER}, data, 100);
    cr_assert_eq(stats(&w).drops_forward, 1);
    tarn_ip_forward_by(w.ip, NULL);
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER}, data, 100);
    cr_assert_eq(stats(&w).drops_destination, 1);
    cr_assert(w.link[0].count == 0 && w.link[1].count == 0);
    cr_assert(world_end(&w));
}

Test(rfc1812, what_is_ours_comes_here_and_the_forwarder_is_told_so) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = US}, data, 100);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US1}, data, 100);
    cr_assert_eq(w.got_count, 2, "a router has all of its addresses on every side (section 5.2.3)");
    cr_assert(judge.asked == 2 && judge.own == 2);
    judge.refuse = true;
    in_v4(&w, &(struct v4){.src = PEER, .dst = US}, data, 100);
    cr_assert_eq(w.got_count, 2);
    cr_assert(world_end(&w));
}

Test(rfc1812, broadcasts_and_groups_stay_where_they_are) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0x0a0000ff}, data, 100);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0010203}, data, 100);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0x7f000001}, data, 100);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xc0a801ff}, data, 100);
    cr_assert(w.link[0].count <= 1 && w.link[1].count == 0, "directed broadcasts (RFC 2644)");
    cr_assert(world_end(&w));
}

Test(rfc792, the_last_hop_used_up_is_told) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER, .ttl = 1}, data, 100);
    const uint8_t *quoted = expect_error(11, 0, 0);
    cr_assert(get16(quoted + 18) == (INNER & 0xffff) && memcmp(quoted + 20, data, 100) == 0);
    cr_assert(w.link[1].count == 0 && stats(&w).drops_hops == 1);
    cr_assert(world_end(&w));
}

Test(rfc1191, what_does_not_fit_and_may_not_be_cut_is_told_the_mtu) {
    set_up();
    w.link[1].link.mtu = 1500;
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER, .frag = 0x4000}, data, 1481);
    const uint8_t *quoted = expect_error(3, 4, 1500);
    cr_assert_eq(get16(quoted + 2), 1501);
    cr_assert_eq(w.link[1].count, 0);
    cr_assert(world_end(&w));
}

Test(rfc791, what_may_be_cut_is) {
    static uint8_t whole[20000];
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER, .id = 7}, data, 4000);
    cr_assert_eq(w.link[1].count, 3);
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *ip = sent(&w, 1, i);
        size_t off = (get16(ip + 6) & 0x1fffu) * 8, n = get16(ip + 2) - 20u;
        cr_assert(is_right(ip) && n + 20 <= 1500 && get16(ip + 4) == 7 && ip[8] == 63);
        cr_assert_eq(!!(get16(ip + 6) & 0x2000), i < 2);
        memcpy(whole + off, ip + 20, n);
    }
    cr_assert(memcmp(whole, data, 4000) == 0);
    cr_assert(world_end(&w));
}

Test(rfc4787_req14, fragments_are_seen_whole_in_whatever_order_they_come) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER, .id = 7, .frag = 1000 / 8}, data + 1000, 500);
    cr_assert_eq(judge.asked, 0);
    in_v4(&w, &(struct v4){.src = PEER, .dst = INNER, .id = 7, .frag = 0x2000}, data, 1000);
    cr_assert(judge.asked == 1 && judge.len == 1520);
    cr_assert_eq(w.link[1].count, 2, "too long for the link, and cut again");
    cr_assert(world_end(&w));
}

Test(rfc1122, no_way_is_told) {
    set_up();
    struct tarn_ip_route_entry def = {.prefix = prefix4(0, 0), .gateway = v4(GATE)};
    cr_assert_eq(tarn_ip_route_remove(w.ip, &def), TARN_OK);
    in_v4(&w, &(struct v4){.src = PEER, .dst = FAR}, data, 100);
    expect_error(3, 0, 0);
    cr_assert(world_end(&w));
}

Test(nat, errors_quote_the_packet_as_it_came) {
    set_up();
    judge.translate = true;
    in_v4(&w, &(struct v4){.src = PEER, .dst = NATTED, .ttl = 1}, data, 100);
    const uint8_t *quoted = expect_error(11, 0, 0);
    cr_assert(get16(quoted + 18) == (NATTED & 0xffff) && is_right(quoted));
    world_forget(&w);
    in_v4(&w, &(struct v4){.src = PEER, .dst = NATTED, .frag = 0x4000}, data, 1500);
    quoted = expect_error(3, 4, 1500);
    cr_assert(get16(quoted + 18) == (NATTED & 0xffff) && is_right(quoted));
    cr_assert_eq(w.link[1].count, 0);
    cr_assert(world_end(&w));
}

Test(offload, segments_are_measured_one_by_one) {
    set_up();
    for (unsigned big = 0; big < 2; big++) {
        static uint8_t buf[70000];
        uint8_t tcp[4020] = {[12] = 0x50};
        struct v4 h = {.src = PEER, .dst = INNER, .proto = 6, .frag = 0x4000};
        struct tarn_pkt *pkt = raw(&w, buf, v4_make(buf, &h, tcp, sizeof tcp));
        pkt->gso_type = TARN_GSO_TCPV4;
        pkt->gso_size = big ? 1461 : 1460;
        pkt->csum_state = TARN_CSUM_VERIFIED;
        tarn_ip_input(w.ip, 0, NULL, pkt, w.now);
    }
    cr_assert_eq(w.link[1].count, 1);
    cr_assert_eq(w.link[1].sent[0].pkt->gso_size, 1460);
    cr_assert_eq(w.link[1].sent[0].pkt->csum_state, TARN_CSUM_NONE, "right, not to be completed");
    expect_error(3, 4, 1500);
    cr_assert(world_end(&w));
}

Test(rfc8200, ipv6_goes_on_or_is_told) {
    world_init6(&w, (struct tarn_ip_limits){0});
    judge = (struct judge){.forwarder = {&judge_ops}};
    tarn_ip_forward_by(w.ip, &judge.forwarder);
    struct tarn_ip_prefix p = {a6("2001:db8:1::1"), 64};
    cr_assert_eq(tarn_ip_addr_add(w.ip, 1, &p, false, w.now), TARN_OK);
    tick(&w, TARN_SEC(3));
    world_forget(&w);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "2001:db8:1::2", .next = 17, .hops = 9}, data, 100);
    cr_assert_eq(w.link[1].count, 1, "the neighbour is asked for");
    cr_assert_eq(stats(&w).forwarded, 1);
    in_v6(&w, &(struct v6){.src = LL6, .dst = "2001:db8:1::2", .next = 17}, data, 100);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "fe80::77", .next = 17}, data, 100);
    cr_assert(judge.asked == 1 && stats(&w).drops_destination == 2, "RFC 4291 section 2.5.6");
    uint64_t errors = stats(&w).icmp_errors_out;
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "2001:db8:1::2", .next = 17, .hops = 1}, data, 100);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "2001:db8:1::2", .next = 17}, data, 1461);
    cr_assert_eq(stats(&w).icmp_errors_out, errors + 2);
    cr_assert(stats(&w).drops_hops == 1 && stats(&w).drops_too_big == 1);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = US6, .next = 17}, data, 100);
    cr_assert_eq(w.got_count, 1);
    cr_assert(world_end(&w));
}
