/* SPDX-License-Identifier: ISC */
#include "world.h"
#include <criterion/criterion.h>

static struct world w;
static uint8_t data[65536];

static void set_up(struct tarn_ip_limits limits) {
    world_init(&w, limits);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 13 + i / 256);
}
static void tear_down(void) {
    cr_assert_eq(stats(&w).reass, 0);
    cr_assert_eq(stats(&w).reass_bytes, 0);
    cr_assert(world_end(&w), "packets are left");
}
static void in_frag(uint16_t id, size_t off, size_t n, bool more) {
    struct v4 h = {
        .src = PEER, .dst = US, .id = id, .frag = (uint16_t)(off / 8 | (more ? 0x2000 : 0))};
    in_v4(&w, &h, data + off, n);
}
static void expect_whole(size_t i, size_t n) {
    cr_assert_gt(w.got_count, i);
    cr_assert_eq(w.got[i]->len, n);
    cr_assert(memcmp(tarn_pkt_head(w.got[i]).ptr, data, n) == 0);
}

Test(fragments, rfc815_any_order_makes_the_same_datagram) {
    set_up((struct tarn_ip_limits){0});
    struct tarn_random *r = &w.random.random;
    for (unsigned round = 0; round < 300; round++) {
        size_t n = 1 + tarn_random_below(r, 20000), parts = 0;
        size_t off[64], len[64];
        for (size_t at = 0; at < n; parts++) {
            off[parts] = at;
            len[parts] = TARN_MIN(n - at, (size_t)8 * (41 + tarn_random_below(r, 140)));
            at += len[parts];
        }
        for (size_t i = parts - 1; i > 0; i--) {
            size_t j = tarn_random_below(r, (uint32_t)i + 1), o = off[i], l = len[i];
            off[i] = off[j], len[i] = len[j];
            off[j] = o, len[j] = l;
        }
        for (size_t i = 0; i < parts; i++) {
            in_frag((uint16_t)round, off[i], len[i], off[i] + len[i] < n);
            /* The network repeats some (RFC 8200 section 4.5: that is no overlap). */
            if (i + 1 < parts && tarn_random_below(r, 4) == 0)
                in_frag((uint16_t)round, off[i], len[i], off[i] + len[i] < n);
        }
        cr_assert_eq(w.got_count, 1);
        expect_whole(0, n);
        world_forget(&w);
    }
    tear_down();
}

Test(fragments, datagrams_differ_by_id_source_and_protocol) {
    set_up((struct tarn_ip_limits){0});
    in_frag(1, 0, 16, true);
    in_frag(2, 16, 16, false);
    struct v4 h = {.src = PEER + 1, .dst = US, .id = 1, .frag = 2};
    in_v4(&w, &h, data + 16, 16);
    h = (struct v4){.src = PEER, .dst = US, .id = 1, .frag = 2, .proto = 6};
    in_v4(&w, &h, data + 16, 16);
    cr_assert_eq(w.got_count, 0);
    cr_assert_eq(stats(&w).reass, 4);
    in_frag(1, 16, 16, false);
    expect_whole(0, 32);
    tick(&w, TARN_SEC(30));
    tear_down();
}

Test(fragments, rfc5722_4_any_overlap_ends_the_whole_datagram) {
    static const struct {
        size_t off, n;
        bool more;
    } overlaps[] = {{8, 8, true},   {0, 8, true},   {8, 24, true}, {24, 16, true},
                    {32, 24, true}, {8, 56, false}, {40, 8, true}, {24, 8, false}};
    for (size_t i = 0; i < TARN_COUNT_OF(overlaps); i++) {
        set_up((struct tarn_ip_limits){0});
        in_frag(1, 0, 16, true);
        in_frag(1, 32, 16, true);
        in_frag(1, overlaps[i].off, overlaps[i].n, overlaps[i].more);
        cr_assert_eq(stats(&w).drops_overlap, 1, "case %zu", i);
        cr_assert_eq(stats(&w).reass_bytes, 0);
        /* What still comes dies too. */
        in_frag(1, 0, 16, true);
        in_frag(1, 16, 16, true);
        in_frag(1, 32, 16, true);
        in_frag(1, 48, 8, false);
        cr_assert_eq(w.got_count, 0);
        tick(&w, TARN_SEC(30));
        tear_down();
    }
}

Test(fragments, two_ends_or_data_behind_the_end_end_the_datagram) {
    set_up((struct tarn_ip_limits){0});
    in_frag(1, 32, 8, false);
    in_frag(1, 40, 8, true);
    cr_assert_eq(stats(&w).drops_overlap, 1);
    in_frag(2, 32, 8, false);
    in_frag(2, 48, 8, false);
    cr_assert_eq(stats(&w).drops_overlap, 2);
    tick(&w, TARN_SEC(30));
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

Test(fragments, the_ping_of_death_and_impossible_fragments_are_dropped) {
    set_up((struct tarn_ip_limits){0});
    struct v4 h = {.src = PEER, .dst = US, .id = 1, .frag = 0x1fff};
    in_v4(&w, &h, data, 800);
    h.frag = 0x2000;
    in_v4(&w, &h, data, 13);
    in_v4(&w, &h, data, 0);
    h.frag = 1;
    in_v4(&w, &h, data, 0);
    cr_assert_eq(stats(&w).drops_fragment, 4);
    cr_assert_eq(stats(&w).reass, 0);
    /* Within the limit by offset, beyond it by a first header with options. */
    static const uint8_t options[40] = {1};
    h = (struct v4){
        .src = PEER, .dst = US, .id = 2, .frag = 0x2000, .options = options, .options_len = 40};
    in_v4(&w, &h, data, 8);
    in_frag(2, 65504, 8, false);
    tick(&w, TARN_SEC(30));
    cr_assert_eq(w.got_count, 0);
    tear_down();
}

Test(fragments, rfc792_time_exceeded_quotes_the_first_fragment_where_it_came) {
    set_up((struct tarn_ip_limits){0});
    in_frag(1, 0, 16, true);
    in_frag(2, 16, 16, false);
    cr_assert_eq(tarn_ip_deadline(w.ip), w.now + TARN_SEC(30));
    tick(&w, TARN_SEC(29));
    cr_assert_eq(w.link[0].count, 0);
    tick(&w, TARN_SEC(1));
    cr_assert_eq(w.link[0].count, 1);
    const uint8_t *p = sent(&w, 0, 0);
    cr_assert_eq(p[20], 11);
    cr_assert_eq(p[21], 1);
    cr_assert_eq(get16(p + 28 + 4), 1);
    cr_assert(memcmp(p + 28 + 20, data, 16) == 0);
    cr_assert_eq(stats(&w).drops_reass_timeout, 2);
    tear_down();
}

Test(fragments, memory_and_work_are_bounded_and_the_newest_datagrams_live) {
    set_up(
        (struct tarn_ip_limits){.reass_max = 4, .reass_pieces_max = 8, .reass_bytes_max = 30000});
    for (uint16_t id = 0; id < 500; id++)
        in_frag(id, 8, 16, true);
    cr_assert_eq(stats(&w).reass, 4);
    for (size_t off = 0; off < 20 * 16; off += 16)
        in_frag(1000, off, 8, true);
    cr_assert_leq(stats(&w).reass_bytes, 30000);
    in_frag(2000, 0, 8, true);
    in_frag(2000, 8, 8, false);
    expect_whole(0, 16);
    /* Bytes: large fragments of many datagrams. */
    for (uint16_t id = 3000; id < 3400; id++)
        in_frag(id, 1480, 1400, true);
    cr_assert_leq(stats(&w).reass_bytes, 30000);
    cr_assert_gt(stats(&w).drops_reass_limit, 0);
    tick(&w, TARN_SEC(31));
    tear_down();
}

Test(fragments, rfc791_2_3_a_large_datagram_is_cut_to_the_path_and_shares_lent_memory) {
    set_up((struct tarn_ip_limits){0});
    static uint8_t back[10000];
    struct tarn_lease lease = {.holds = 1};
    struct tarn_ip_meta meta = {.dst = v4(FAR), .proto = TARN_IP_PROTO_UDP};
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    struct tarn_pkt *pkt = raw(&w, data, 100);
    cr_assert(tarn_pkt_lend(pkt, tarn_span_of(data + 100, 3000), &lease));
    cr_assert(tarn_pkt_lend(pkt, tarn_span_of(data + 3100, 5000), &lease));
    cr_assert_eq(lower->ops->send(lower, &meta, pkt, w.now), TARN_OK);
    cr_assert_eq(w.link[0].count, 6);
    uint16_t id = get16(sent(&w, 0, 0) + 4);
    for (size_t i = 0; i < 6; i++) {
        const uint8_t *p = sent(&w, 0, i);
        size_t len = get16(p + 2), off = (get16(p + 6) & 0x1fffu) * 8u;
        cr_assert_leq(len, 1500);
        cr_assert_eq(get16(p + 4), id);
        cr_assert_eq(slow_csum(p, 20), 0);
        cr_assert_eq((get16(p + 6) & 0x2000) != 0, i < 5);
        memcpy(back + off, p + 20, len - 20);
    }
    cr_assert(memcmp(back, data, 8100) == 0);
    cr_assert_gt(lease.holds, 1);
    world_forget(&w);
    cr_assert_eq(lease.holds, 1);
    tear_down();
}

Test(fragments, with_df_a_large_datagram_is_refused) {
    set_up((struct tarn_ip_limits){0});
    struct tarn_ip_meta meta = {.dst = v4(FAR), .proto = TARN_IP_PROTO_UDP, .no_fragment = true};
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    cr_assert_eq(lower->ops->send(lower, &meta, raw(&w, data, 1481), w.now), TARN_LIMIT);
    cr_assert_eq(lower->ops->send(lower, &meta, raw(&w, data, 1480), w.now), TARN_OK);
    cr_assert_eq(get16(sent(&w, 0, 0) + 6), 0x4000);
    cr_assert_eq(stats(&w).drops_too_big, 1);
    tear_down();
}

Test(fragments, rfc7739_identifications_are_not_counted_from_one_destination_to_another) {
    set_up((struct tarn_ip_limits){0});
    uint16_t ids[4];
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(out_udp(&w, FAR + (uint32_t)(i / 2), data, 100), TARN_OK);
        ids[i] = get16(sent(&w, 0, i) + 4);
    }
    cr_assert_eq((uint16_t)(ids[0] + 1), ids[1], "no value comes back soon");
    cr_assert_neq((uint16_t)(ids[1] + 1), ids[2], "and none tells of another");
    tear_down();
}

Test(fragments, no_packet_memory_sends_no_fragment_at_all) {
    set_up((struct tarn_ip_limits){0});
    struct tarn_pkt *big = raw(&w, data, 8000), *held[900];
    size_t n = 0;
    while ((held[n] = tarn_pkt_alloc(&w.pkts, 0)))
        n++;
    for (int i = 0; i < 3; i++)
        tarn_pkt_free(held[--n]);
    struct tarn_ip_meta meta = {.dst = v4(FAR), .proto = TARN_IP_PROTO_UDP};
    struct tarn_ip_lower *lower = tarn_ip_lower(w.ip);
    cr_assert_eq(lower->ops->send(lower, &meta, big, w.now), TARN_LIMIT);
    cr_assert_eq(w.link[0].count, 0);
    while (n)
        tarn_pkt_free(held[--n]);
    tear_down();
}
