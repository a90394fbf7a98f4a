/* SPDX-License-Identifier: ISC */
#include "frames.h"
#include <criterion/criterion.h>

static uint8_t payload[65536], flat[70000], again[70000];

static uint32_t released;
static void on_release(struct tarn_lease *lease) {
    (void)lease;
    released++;
}

/* A super-segment: headers and `in_head` bytes in the head, the rest lent in up to ten parts. */
static struct tarn_pkt *super_new(struct world *w, const struct shape *s, size_t n, size_t in_head,
                                  uint16_t gso, struct tarn_lease *lease) {
    struct tarn_pkt *pkt = frame_new(w, s, in_head);
    uint8_t h[128];
    write_headers(h, s, n);
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(h, headers_of(s))));
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(payload, in_head)));
    for (size_t off = in_head, i = 0; off < n; i++) {
        size_t part =
            i == 9 ? n - off : TARN_MIN(n - off, 1 + tarn_random_below(&w->random.random, 9000));
        cr_assert(tarn_pkt_lend(pkt, tarn_span_of(payload + off, part), lease));
        off += part;
    }
    pkt->gso_size = gso;
    pkt->gso_type = s->udp ? TARN_GSO_UDP : s->ipv6 ? TARN_GSO_TCPV6 : TARN_GSO_TCPV4;
    return pkt;
}

static size_t cut_all(struct world *w, struct tarn_pkt *pkt, const struct shape *s, unsigned how,
                      struct tarn_pkt **pieces) {
    struct tarn_offload_cut cut;
    size_t n = 0;
    cr_assert_eq(tarn_offload_cut_begin(&cut, pkt, l3_of(s), how), TARN_OK);
    enum tarn_err err;
    while ((err = tarn_offload_cut_next(&cut, &w->pkts, &pieces[n])) == TARN_OK)
        n++;
    cr_assert_eq(err, TARN_EOF);
    return n;
}

static size_t flatten(const struct tarn_pkt *pkt, uint8_t *to) {
    cr_assert(tarn_pkt_read(pkt, 0, to, pkt->len));
    return pkt->len;
}

static void check_piece(const struct shape *s, const struct tarn_pkt *piece, size_t i, size_t off,
                        size_t n, bool last, unsigned how) {
    size_t len = flatten(piece, again), h = headers_of(s);
    cr_assert_eq(len, h + n);
    cr_assert(memcmp(again + h, payload + off, n) == 0);
    cr_assert_eq(piece->gso_size, 0);
    if (how & TARN_OFFLOAD_LINEAR)
        cr_assert_eq(piece->nfrags, 0);
    if (how & TARN_OFFLOAD_CSUM) {
        cr_assert_eq(piece->csum_state, TARN_CSUM_NONE);
        cr_assert(frame_is_right(again, len, s));
    } else {
        cr_assert_eq(piece->csum_state, TARN_CSUM_PARTIAL);
        struct shape own = *s;
        uint8_t expect[128];
        write_headers(expect, &own, n);
        cr_assert(memcmp(again + piece->csum_start + piece->csum_offset,
                         expect + piece->csum_start + piece->csum_offset, 2)
                  == 0);
    }
    if (!s->ipv6)
        cr_assert_eq((uint16_t)(again[l3_of(s) + 4] << 8 | again[l3_of(s) + 5]),
                     (uint16_t)(s->id + i));
    if (!s->udp) {
        cr_assert_eq(get32(again + l4_of(s) + 4), s->seq + off);
        uint8_t want = s->flags;
        if (!last)
            want &= (uint8_t)~0x09;
        if (off > 0)
            want &= (uint8_t)~0x80;
        cr_assert_eq(again[l4_of(s) + 13], want);
    }
}

Test(cut, every_piece_is_a_right_packet_and_joining_gives_back_the_same_bytes) {
    struct world w;
    struct tarn_pkt *pieces[300];
    world_init(&w, 1);
    tarn_random_fill(&w.random.random, TARN_BYTES_ARRAY(payload));
    struct tarn_random *r = &w.random.random;
    for (unsigned round = 0; round < 3000; round++) {
        struct tarn_lease lease = {.holds = 1, .release = on_release};
        struct shape s = {.ipv6 = round & 1,
                          .vlan = round & 2,
                          .udp = tarn_random_below(r, 3) == 0,
                          .tcp_options = 4 * tarn_random_below(r, 11),
                          .id = (uint16_t)tarn_random_u32(r),
                          .seq = tarn_random_u32(r),
                          .flags = 0x10};
        unsigned how = tarn_random_below(r, 4);
        bool joins = !s.udp && (how & TARN_OFFLOAD_CSUM);
        if (tarn_random_below(r, 2))
            s.flags |= 0x08;
        if (!joins && !s.udp)
            s.flags |= 0x81;
        uint16_t gso = (uint16_t)(300 + tarn_random_below(r, 1100));
        size_t n = 1 + tarn_random_below(r, TARN_MIN(60000u, gso * 50u));
        size_t in_head = tarn_random_below(r, 2) ? 0 : tarn_random_below(r, (uint32_t)n);
        if (headers_of(&s) + in_head > 1536 && w.pkts.pools[2].live > 6)
            in_head = 0;
        struct tarn_pkt *pkt = super_new(&w, &s, n, in_head, gso, &lease);
        size_t flat_len = flatten(pkt, flat);
        released = 0;
        size_t count = cut_all(&w, pkt, &s, how, pieces);
        cr_assert_eq(count, (n + gso - 1) / gso);
        for (size_t i = 0; i < count; i++) {
            size_t off = i * gso, part = TARN_MIN((size_t)gso, n - off);
            check_piece(&s, pieces[i], i, off, part, i == count - 1, how);
        }
        if (joins) {
            for (size_t i = 0; i < count; i++) {
                struct tarn_pkt *linear = tarn_pkt_copy(&w.pkts, pieces[i]);
                tarn_pkt_free(pieces[i]);
                pieces[i] = linear;
            }
            size_t left = tarn_offload_join(pieces, count, &w.pkts);
            cr_assert_eq(left, 1, "%zu left of %zu", left, count);
            cr_assert_eq(flatten(pieces[0], again), flat_len);
            if (count > 1) {
                cr_assert(memcmp(again, flat, flat_len) == 0);
                cr_assert_eq(pieces[0]->gso_size, gso);
                cr_assert_eq(pieces[0]->csum_state, TARN_CSUM_PARTIAL);
                cr_assert_eq(pieces[0]->csum_start, l4_of(&s));
            }
            count = left;
        }
        for (size_t i = 0; i < count; i++)
            tarn_pkt_free(pieces[i]);
        tarn_lease_drop(&lease);
        cr_assert_eq(released, 1);
        cr_assert_eq(world_live(&w), 0);
    }
    world_end(&w);
}

Test(cut, a_lent_payload_is_shared_and_needs_only_header_class_packets) {
    struct world w;
    struct tarn_pkt *pieces[64];
    world_init(&w, 2);
    struct shape s = {.tcp_options = 12, .flags = 0x10};
    struct tarn_lease lease = {.holds = 1, .release = on_release};
    released = 0;
    struct tarn_pkt *pkt = super_new(&w, &s, 60000, 0, 1448, &lease);
    uint32_t frames_before = w.pkts.pools[TARN_PKT_FRAME].live;
    size_t n = cut_all(&w, pkt, &s, TARN_OFFLOAD_CSUM, pieces);
    cr_assert_eq(n, 42);
    cr_assert_eq(w.pkts.pools[TARN_PKT_HEADER].live, 42);
    cr_assert_leq(w.pkts.pools[TARN_PKT_FRAME].live, frames_before);
    for (size_t i = 0; i < n; i++) {
        cr_assert_geq(pieces[i]->nfrags, 1);
        cr_assert_eq(pieces[i]->head_len, headers_of(&s));
        tarn_pkt_free(pieces[i]);
    }
    cr_assert_eq(released, 0);
    tarn_lease_drop(&lease);
    cr_assert_eq(released, 1);
    world_end(&w);
}

/* What a device below may claim about a frame that came from elsewhere. */
Test(cut, metadata_that_the_headers_contradict_is_refused_and_the_packet_freed) {
    struct world w;
    world_init(&w, 3);
    struct shape s = {.flags = 0x10};
    for (int c = 0; c < 9; c++) {
        struct tarn_lease lease = {.holds = 1};
        struct tarn_pkt *pkt = super_new(&w, &s, 5000, 0, 1000, &lease);
        struct tarn_offload_cut cut;
        uint8_t *head = tarn_pkt_head_bytes(pkt).ptr;
        switch (c) {
        case 0: pkt->gso_size = 0; break;
        case 1: pkt->csum_start = 13; break;
        case 2: pkt->csum_start = 60000; break;
        case 3: head[l4_of(&s) + 12] = 0x40; break;
        case 4: head[l4_of(&s) + 12] = 0xf0; break;
        case 5: head[l3_of(&s)] = 0x44; break;
        case 6: pkt->gso_type = TARN_GSO_TCPV6; break;
        case 7: pkt->csum_offset = 6; break;
        case 8: pkt->csum_state = TARN_CSUM_NONE; break;
        }
        cr_assert_eq(tarn_offload_cut_begin(&cut, pkt, l3_of(&s), 0), TARN_INVALID, "case %d", c);
        cr_assert_eq(world_live(&w), 0);
        cr_assert_eq(lease.holds, 1);
    }
    world_end(&w);
}

static struct tarn_pkt *segment(struct world *w, const struct shape *s, size_t n) {
    struct tarn_lease none = {.holds = 1};
    struct tarn_pkt *pkt = super_new(w, s, n, n, 0, &none);
    pkt->gso_type = TARN_GSO_NONE;
    tarn_pkt_csum_complete(pkt);
    return pkt;
}

Test(join, out_of_order_flags_options_and_bad_checksums_are_left_alone) {
    struct world w;
    world_init(&w, 4);
    for (int c = 0; c < 6; c++) {
        struct shape a = {.seq = 1000, .flags = 0x10, .id = 1}, b = a;
        b.seq = 2000;
        b.id = 2;
        size_t n = 1000;
        if (c == 0)
            b.seq = 2001;
        if (c == 1)
            b.flags = 0x11;
        if (c == 2)
            b.tcp_options = 12;
        if (c == 3)
            n = 1001;
        struct tarn_pkt *pkts[2] = {segment(&w, &a, 1000), segment(&w, &b, n)};
        if (c == 4)
            tarn_pkt_head_bytes(pkts[1]).ptr[600] ^= 1;
        if (c == 5)
            tarn_pkt_head_bytes(pkts[0]).ptr[600] ^= 1;
        struct tarn_pkt *before[2] = {pkts[0], pkts[1]};
        cr_assert_eq(tarn_offload_join(pkts, 2, &w.pkts), 2, "case %d", c);
        cr_assert_eq(pkts[0], before[0]);
        cr_assert_eq(pkts[1], before[1]);
        cr_assert_eq(pkts[1]->csum_state, TARN_CSUM_NONE);
        tarn_pkt_free(pkts[0]);
        tarn_pkt_free(pkts[1]);
        cr_assert_eq(world_live(&w), 0);
    }
    world_end(&w);
}

Test(join, nothing_overtakes_a_segment_of_its_own_flow) {
    struct world w;
    world_init(&w, 5);
    struct shape s = {.seq = 0, .flags = 0x10};
    struct tarn_pkt *pkts[5];
    for (int i = 0; i < 5; i++) {
        s.seq = (uint32_t)i * 1000;
        s.flags = i == 2 ? 0x14 : 0x10; /* a reset in the middle */
        pkts[i] = segment(&w, &s, 1000);
    }
    size_t left = tarn_offload_join(pkts, 5, &w.pkts);
    cr_assert_eq(left, 3);
    cr_assert_eq(pkts[0]->len, headers_of(&s) + 2000);
    cr_assert_eq(pkts[1]->len, headers_of(&s) + 1000);
    cr_assert_eq(pkts[2]->len, headers_of(&s) + 2000);
    for (size_t i = 0; i < left; i++)
        tarn_pkt_free(pkts[i]);
    cr_assert_eq(world_live(&w), 0);
    world_end(&w);
}

Test(join, more_flows_than_are_followed_stay_whole) {
    struct world w;
    world_init(&w, 6);
    struct tarn_pkt *pkts[60];
    size_t bytes = 0, n = 0;
    struct shape s = {.flags = 0x10};
    for (uint32_t seq = 0; seq < 3; seq++) {
        for (uint16_t flow = 0; flow < 20; flow++) {
            s.seq = seq * 500;
            struct tarn_pkt *pkt = segment(&w, &s, 500);
            uint8_t *port = tarn_pkt_head_bytes(pkt).ptr + l4_of(&s);
            be16(port, flow);
            /* The port went from 1234 to `flow`. */
            uint8_t *field = port + 16;
            be16(field, tarn_csum_update16((uint16_t)(field[0] << 8 | field[1]), 1234, flow));
            pkts[n++] = pkt;
        }
    }
    size_t left = tarn_offload_join(pkts, n, &w.pkts);
    for (size_t i = 0; i < left; i++) {
        bytes += pkts[i]->len - headers_of(&s);
        tarn_pkt_free(pkts[i]);
    }
    cr_assert_eq(bytes, 30000);
    cr_assert_eq(world_live(&w), 0);
    world_end(&w);
}
