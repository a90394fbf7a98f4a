/* SPDX-License-Identifier: ISC */
#include "world.h"
#include <criterion/criterion.h>

static struct world w;
static const uint8_t data[16] = "0123456789abcdef";

static void set_up(void) {
    world_init(&w, (struct tarn_ip_limits){0});
}
static void tear_down(void) {
    cr_assert(world_end(&w), "packets are left");
}

Test(ipv4, rfc791_3_1_delivers_data_and_header_fields_to_the_protocol) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .ttl = 9, .tos = 0xb9, .frag = 0x4000}, data,
          16);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 16);
    cr_assert(memcmp(tarn_pkt_head(w.got[0]).ptr, data, 16) == 0);
    cr_assert_eq(tarn_ip_addr_v4(&w.meta[0].src), PEER);
    cr_assert_eq(tarn_ip_addr_v4(&w.meta[0].dst), US);
    cr_assert_eq(w.meta[0].hops, 9);
    cr_assert_eq(w.meta[0].tos, 0xb9);
    cr_assert_eq(w.meta[0].cast, TARN_LINK_TO_US);
    cr_assert_eq(w.meta[0].header_len, 20);
    cr_assert(w.meta[0].no_fragment);
    tear_down();
}

Test(ipv4, rfc1122_3_2_1_1_every_wrong_header_is_dropped_and_counted) {
    set_up();
    uint8_t good[64], bad[64];
    size_t n = v4_make(good, &(struct v4){.src = PEER, .dst = US}, data, 16);
    for (size_t i = 0; i < 20; i++)
        in_raw(&w, good, i);
    cr_assert_eq(stats(&w).drops_header, 20);
    static const struct {
        size_t at;
        uint8_t byte;
    } wrong[] = {{0, 0x55}, {0, 0x44}, {0, 0x40}, {2, 0x80}, {3, 19}, {3, 37}, {0, 0x4f}};
    for (size_t i = 0; i < TARN_COUNT_OF(wrong); i++) {
        memcpy(bad, good, n);
        bad[wrong[i].at] = wrong[i].byte;
        put16(bad + 10, 0);
        put16(bad + 10, slow_csum(bad, 20));
        in_raw(&w, bad, n);
        cr_assert_eq(stats(&w).drops_header, 21 + i, "case %zu", i);
    }
    for (size_t bit = 0; bit < 160; bit++) {
        memcpy(bad, good, n);
        bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
        in_raw(&w, bad, n);
    }
    cr_assert_eq(w.got_count, 0);
    cr_assert_gt(stats(&w).drops_checksum, 100);
    tear_down();
}

Test(ipv4, what_the_link_padded_is_cut_off) {
    set_up();
    uint8_t buf[64] = {0};
    size_t n = v4_make(buf, &(struct v4){.src = PEER, .dst = US}, data, 5);
    in_raw(&w, buf, n + 21);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 5);
    tear_down();
}

Test(ipv4, rfc1122_3_2_1_3_martian_sources_and_destinations_are_dropped) {
    set_up();
    static const uint32_t sources[] = {0x7f000001, 0xe0000001, 0xf0000001, 0xffffffff,
                                       0x00000001, US,         0x0a0000ff, US1};
    for (size_t i = 0; i < TARN_COUNT_OF(sources); i++)
        in_v4(&w, &(struct v4){.src = sources[i], .dst = US}, data, 16);
    cr_assert_eq(stats(&w).drops_martian, TARN_COUNT_OF(sources));
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0x7f000001}, data, 16);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0}, data, 16);
    in_v4(&w, &(struct v4){.src = 0, .dst = US}, data, 16);
    cr_assert_eq(stats(&w).drops_martian, TARN_COUNT_OF(sources) + 3);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

Test(ipv4, what_is_not_ours_is_not_forwarded) {
    set_up();
    in_v4(&w, &(struct v4){.src = PEER, .dst = FAR}, data, 16);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0x0a000003}, data, 16);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0000005}, data, 16);
    /* The strong model: link 1's address is not spoken to through link 0. */
    in_v4(&w, &(struct v4){.src = PEER, .dst = US1}, data, 16);
    cr_assert_eq(stats(&w).drops_destination, 4);
    cr_assert_eq(w.got_count + w.link[0].count + w.link[1].count, 0);
    tear_down();
}

Test(ipv4, rfc1122_3_3_6_broadcast_on_the_link_must_be_broadcast_in_the_header) {
    set_up();
    uint8_t buf[64];
    struct tarn_link_meta all = {.cast = TARN_LINK_TO_ALL};
    size_t n = v4_make(buf, &(struct v4){.src = PEER, .dst = US}, data, 16);
    tarn_ip_input(w.ip, 0, &all, raw(&w, buf, n), w.now);
    cr_assert_eq(w.got_count, 0);
    static const uint32_t dst[] = {0xffffffff, 0x0a0000ff};
    for (size_t i = 0; i < 2; i++) {
        n = v4_make(buf, &(struct v4){.src = PEER, .dst = dst[i]}, data, 16);
        tarn_ip_input(w.ip, 0, &all, raw(&w, buf, n), w.now);
        cr_assert_eq(w.got_count, i + 1);
        cr_assert_eq(w.meta[i].cast, TARN_LINK_TO_ALL);
    }
    tear_down();
}

Test(ipv4, rfc1112_groups_are_heard_while_joined) {
    set_up();
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    struct tarn_ip_addr g = v4(0xe0000105);
    int before = w.link[0].joined;
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0000105}, data, 16);
    cr_assert_eq(w.got_count, 0);
    cr_assert_eq(lower->ops->join(lower, &g, 1, NULL, true), TARN_OK);
    cr_assert_eq(lower->ops->join(lower, &g, 1, NULL, true), TARN_OK);
    cr_assert_eq(w.link[0].joined, before + 1);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0000105}, data, 16);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.meta[0].cast, TARN_LINK_TO_GROUP);
    cr_assert_eq(lower->ops->join(lower, &g, 1, NULL, false), TARN_OK);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0000105}, data, 16);
    cr_assert_eq(w.got_count, 2);
    cr_assert_eq(lower->ops->join(lower, &g, 1, NULL, false), TARN_OK);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0xe0000105}, data, 16);
    cr_assert_eq(w.got_count, 2);
    cr_assert_eq(lower->ops->join(lower, &g, 1, NULL, false), TARN_NOT_FOUND);
    tear_down();
}

/* Option lengths of 0 and 1, and beyond the header. */
Test(ipv4, rfc791_3_1_option_lengths_are_checked_and_never_loop) {
    set_up();
    static const uint8_t bad[][4] = {{7, 0, 0, 0}, {7, 1, 0, 0}, {7, 5, 0, 0},
                                     {1, 1, 7, 3}, {1, 1, 1, 7}, {68, 255, 0, 0}};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        in_v4(&w, &(struct v4){.src = PEER, .dst = US, .options = bad[i], .options_len = 4}, data,
              16);
    cr_assert_eq(stats(&w).drops_options, TARN_COUNT_OF(bad));
    cr_assert_eq(w.got_count, 0);
    static const uint8_t good[][4] = {{1, 1, 1, 1}, {0, 7, 0, 0}, {148, 4, 0, 0}, {7, 3, 4, 0}};
    for (size_t i = 0; i < TARN_COUNT_OF(good); i++)
        in_v4(&w, &(struct v4){.src = PEER, .dst = US, .options = good[i], .options_len = 4}, data,
              16);
    cr_assert_eq(w.got_count, TARN_COUNT_OF(good));
    cr_assert_eq(w.got[0]->len, 16);
    tear_down();
}

Test(ipv4, rfc7126_4_3_source_routes_are_refused) {
    set_up();
    static const uint8_t lsrr[8] = {131, 7, 4, 8, 8, 8, 8, 0}, ssrr[8] = {137, 7, 4, 8, 8, 8, 8, 0};
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .options = lsrr, .options_len = 8}, data, 16);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .options = ssrr, .options_len = 8}, data, 16);
    cr_assert_eq(stats(&w).drops_options, 2);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* CVE-2020-11896: IP in IP with an inner total length shorter than what is there, so that trimming
 * and copying disagree. Here the outer packet is for a protocol nobody speaks, and nothing is
 * unwrapped. */
Test(ipv4, cve_2020_11896_ip_in_ip_is_refused_whole) {
    set_up();
    uint8_t inner[1000] = {0}, outer[1100];
    v4_make(inner, &(struct v4){.src = PEER, .dst = US, .frag = 0x2000}, data, 16);
    size_t n = v4_make(outer, &(struct v4){.src = PEER, .dst = US, .proto = 4}, inner, 1000);
    in_raw(&w, outer, n);
    cr_assert_eq(stats(&w).drops_protocol, 1);
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

/* The same disagreement between total length and packet, with fragments themselves. */
Test(ipv4, cve_2020_11896_fragments_are_trimmed_to_their_total_length_first) {
    set_up();
    uint8_t buf[200];
    memset(buf, 0xee, sizeof buf);
    size_t n =
        v4_make(buf, &(struct v4){.src = PEER, .dst = US, .id = 1, .frag = 0x2000}, data, 16);
    in_raw(&w, buf, n + 100);
    memset(buf, 0xee, sizeof buf);
    n = v4_make(buf, &(struct v4){.src = PEER, .dst = US, .id = 1, .frag = 2}, data, 8);
    in_raw(&w, buf, n + 100);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(w.got[0]->len, 24);
    cr_assert(memcmp(tarn_pkt_head(w.got[0]).ptr, "0123456789abcdef01234567", 24) == 0);
    tear_down();
}

Test(ipv4, a_packet_goes_out_with_a_right_header_to_its_neighbour) {
    set_up();
    cr_assert_eq(out_udp(&w, PEER, data, 16), TARN_OK);
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(w.link[0].sent[0].pkt->len, 36);
    cr_assert_eq(p[0], 0x45);
    cr_assert_eq(get16(p + 2), 36);
    cr_assert_eq(p[8], 64);
    cr_assert_eq(p[9], 17);
    cr_assert_eq(slow_csum(p, 20), 0);
    cr_assert(memcmp(p + 12, "\x0a\0\0\1\x0a\0\0\2", 8) == 0);
    cr_assert(memcmp(p + 20, data, 16) == 0);
    cr_assert_eq(w.link[0].sent[0].kind, TARN_LINK_NEIGHBOUR);
    cr_assert_eq(tarn_ip_addr_v4(&w.link[0].sent[0].next_hop), PEER);
    cr_assert_eq(out_udp(&w, FAR, data, 16), TARN_OK);
    cr_assert_eq(tarn_ip_addr_v4(&w.link[0].sent[1].next_hop), GATE);
    cr_assert_eq(out_udp(&w, 0xc0a80155, data, 16), TARN_OK);
    cr_assert_eq(w.link[1].count, 1);
    cr_assert(memcmp(sent(&w, 1, 0) + 12, "\xc0\xa8\1\1", 4) == 0, "that interface's address");
    tear_down();
}

Test(ipv4, broadcasts_and_groups_go_out_as_such) {
    set_up();
    cr_assert_eq(out_udp(&w, 0xffffffff, data, 16), TARN_OK);
    cr_assert_eq(out_udp(&w, 0x0a0000ff, data, 16), TARN_OK);
    cr_assert_eq(out_udp(&w, 0xe0000105, data, 16), TARN_OK);
    cr_assert_eq(w.link[0].sent[0].kind, TARN_LINK_BROADCAST);
    cr_assert_eq(w.link[0].sent[1].kind, TARN_LINK_BROADCAST);
    cr_assert_eq(w.link[0].sent[2].kind, TARN_LINK_MULTICAST);
    cr_assert_eq(sent(&w, 0, 2)[8], 1, "RFC 1112 section 6.1: TTL 1 unless asked");
    struct tarn_ip_route r;
    struct tarn_ip_addr any = TARN_IP_ADDR_NONE, all = v4(0xffffffff), one = v4(PEER);
    cr_assert_eq(tarn_ip_lower(w.ip)->ops->route(tarn_ip_lower(w.ip), &any, &all, &r), TARN_OK);
    cr_assert(r.broadcast);
    cr_assert_eq(tarn_ip_lower(w.ip)->ops->route(tarn_ip_lower(w.ip), &any, &one, &r), TARN_OK);
    cr_assert(!r.broadcast);
    cr_assert_eq(r.mtu, 1500);
    cr_assert_eq(tarn_ip_addr_v4(&r.src), US);
    tear_down();
}

Test(ipv4, rfc1122_3_2_1_3_who_has_no_address_speaks_to_all_from_0_0_0_0) {
    set_up();
    struct tarn_ip_addr us = v4(US1);
    tarn_ip_addr_remove(w.ip, 1, &us, w.now);
    struct tarn_ip_meta meta = {.dst = v4(0xffffffff), .proto = TARN_IP_PROTO_UDP, .iface = 2};
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    cr_assert_eq(lower->ops->send(lower, &meta, raw(&w, data, 16), w.now), TARN_OK);
    cr_assert_eq(w.link[1].count, 1);
    cr_assert_eq(w.link[1].sent[0].kind, TARN_LINK_BROADCAST);
    cr_assert(memcmp(sent(&w, 1, 0) + 12, "\0\0\0\0\xff\xff\xff\xff", 8) == 0);
    uint8_t buf[64];
    struct tarn_link_meta all = {.cast = TARN_LINK_TO_ALL};
    size_t n = v4_make(buf, &(struct v4){.src = 0xc0a80163, .dst = 0xffffffff}, data, 16);
    tarn_ip_input(w.ip, 1, &all, raw(&w, buf, n), w.now);
    cr_assert_eq(w.got_count, 1, "and hears what is said to all");
    meta.dst = v4(0xc0a80163);
    cr_assert_eq(lower->ops->send(lower, &meta, raw(&w, data, 16), w.now), TARN_NOT_FOUND);
    tear_down();
}

Test(ipv4, sending_from_what_is_not_ours_is_refused) {
    set_up();
    struct tarn_ip_meta meta = {.src = v4(PEER), .dst = v4(FAR), .proto = TARN_IP_PROTO_UDP};
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    cr_assert_eq(lower->ops->send(lower, &meta, raw(&w, data, 16), w.now), TARN_INVALID);
    cr_assert_eq(stats(&w).drops_no_source, 1);
    tear_down();
}

Test(ipv4, packets_to_ourselves_wait_for_tick_and_are_bounded) {
    world_init(&w, (struct tarn_ip_limits){.loop_max = 4});
    cr_assert_eq(out_udp(&w, US, data, 16), TARN_OK);
    cr_assert_eq(out_udp(&w, 0x7f000001, data, 16), TARN_OK);
    cr_assert_eq(w.got_count, 0, "never from inside send");
    cr_assert_eq(tarn_ip_deadline(w.ip), 0);
    tick(&w, 0);
    cr_assert_eq(w.got_count, 2);
    cr_assert_eq(tarn_ip_addr_v4(&w.meta[0].src), US);
    cr_assert_eq(tarn_ip_addr_v4(&w.meta[1].src), 0x7f000001);
    cr_assert_eq(tarn_ip_deadline(w.ip), TARN_NEVER);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(out_udp(&w, US, data, 16), TARN_OK);
    tick(&w, 0);
    cr_assert_eq(w.got_count, 6);
    cr_assert_eq(stats(&w).drops_loop, 6);
    cr_assert_eq(w.link[0].count + w.link[1].count, 0);
    tear_down();
}

static struct tarn_ip_watch watch;
static int woken;
static void on_change(struct tarn_task *task) {
    (void)task;
    woken++;
}

Test(ipv4, rfc5227_a_probed_address_is_used_once_the_link_says_so) {
    set_up();
    struct tarn_ip_prefix p = prefix4(0x0a000007, 24);
    watch.task.run = on_change;
    tarn_ip_watch_add(w.ip, &watch);
    cr_assert_eq(tarn_ip_addr_add(w.ip, 0, &p, true, w.now), TARN_OK);
    cr_assert_eq(tarn_ip_addr_state(w.ip, 0, &p.addr), TARN_IP_ADDR_TENTATIVE);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0x0a000007}, data, 16);
    cr_assert_eq(w.got_count, 0);
    struct tarn_link_user *user = w.link[0].link.user;
    const uint8_t mac[6] = {0};
    tarn_tasks_run(&w.tasks);
    woken = 0;
    user->ops->addr_event(user, &p.addr, TARN_LINK_ADDR_READY, mac, w.now);
    tarn_tasks_run(&w.tasks);
    cr_assert_eq(woken, 1);
    cr_assert_eq(tarn_ip_addr_state(w.ip, 0, &p.addr), TARN_IP_ADDR_READY);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0x0a000007}, data, 16);
    cr_assert_eq(w.got_count, 1);
    user->ops->addr_event(user, &p.addr, TARN_LINK_ADDR_CONFLICT, mac, w.now);
    cr_assert_eq(tarn_ip_addr_state(w.ip, 0, &p.addr), TARN_IP_ADDR_DUPLICATE);
    in_v4(&w, &(struct v4){.src = PEER, .dst = 0x0a000007}, data, 16);
    cr_assert_eq(w.got_count, 1);
    tarn_tasks_run(&w.tasks);
    tear_down();
}

Test(ipv4, a_neighbour_that_does_not_answer_is_told_to_the_transport) {
    set_up();
    cr_assert_eq(out_udp(&w, PEER, data, 16), TARN_OK);
    struct tarn_link_user *user = w.link[0].link.user;
    user->ops->unreachable(user, w.link[0].sent[0].pkt, w.now);
    w.link[0].count = 0;
    cr_assert_eq(w.errors, 1);
    cr_assert_eq(w.error, TARN_IP_ERROR_UNREACHABLE);
    cr_assert_eq(tarn_ip_addr_v4(&w.error_meta.dst), PEER);
    cr_assert_eq(w.error_quoted, 16);
    tear_down();
}
