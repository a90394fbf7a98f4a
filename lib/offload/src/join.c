/* SPDX-License-Identifier: ISC */
/* Joining received segments: the reverse of cut.c. Nothing is held from one call to the next. */
#include "internal.h"
#include <tarn/ip_lower.h>

/* A TCP segment in its frame. */
struct seg {
    size_t l3, l4, header_bytes, payload_bytes;
    uint32_t seq;
    bool ipv6, joinable, trusted;
};

/* A run of segments: the packet at pkts[slot] and what may still follow it. */
struct run {
    size_t slot;
    struct seg first;
    uint32_t seq_next;
    uint32_t joined; /* segments behind the first; the packet is a super-segment from one on */
    uint8_t flags;
    bool open;
};

static bool parse_tcp(struct tarn_span frame, struct seg *seg) {
    struct tarn_span tcp;
    if (!tarn_span_sub(frame, seg->l4, 20, &tcp))
        return false;
    size_t tcp_bytes = (tarn_span_at(tcp, 12) >> 4) * 4u;
    if (tcp_bytes < 20 || !tarn_span_sub(frame, seg->l4, tcp_bytes, &tcp))
        return false;
    seg->header_bytes = seg->l4 + tcp_bytes;
    seg->payload_bytes = frame.len - seg->header_bytes;
    seg->seq = tarn_offload_get32(tcp, TCP_SEQ);
    seg->joinable &= seg->payload_bytes > 0
                     && (tarn_span_at(tcp, TCP_FLAGS) & ~(unsigned)TCP_PSH) == TCP_ACK
                     && (tarn_span_at(tcp, 12) & 15) == 0 && tarn_offload_get16(tcp, 18) == 0;
    return true;
}

/* False: not a TCP segment, and no business of ours. */
static bool parse(const struct tarn_pkt *pkt, struct seg *seg) {
    struct tarn_span frame = tarn_pkt_head(pkt), ip;
    *seg = (struct seg){.joinable = pkt->nfrags == 0 && pkt->gso_size == 0,
                        .trusted = pkt->csum_state != TARN_CSUM_NONE};
    if (!tarn_offload_l3(frame, &seg->l3) || !tarn_span_sub(frame, seg->l3, 20, &ip))
        return false;
    unsigned version = tarn_span_at(ip, 0) >> 4;
    if (version == 4) {
        size_t ip_bytes = (tarn_span_at(ip, 0) & 15u) * 4u;
        if (ip_bytes < 20 || tarn_span_at(ip, 9) != TARN_IP_PROTO_TCP
            || (tarn_offload_get16(ip, 6) & 0x3fff))
            return false;
        seg->l4 = seg->l3 + ip_bytes;
        seg->joinable &= ip_bytes == 20 && tarn_offload_get16(ip, IP4_LENGTH) + seg->l3 == frame.len
                         && tarn_csum_finish(tarn_csum_add(0, ip)) == 0;
    } else if (version == 6) {
        if (!tarn_span_sub(frame, seg->l3, IP6_BYTES, &ip)
            || tarn_span_at(ip, 6) != TARN_IP_PROTO_TCP)
            return false;
        seg->ipv6 = true;
        seg->l4 = seg->l3 + IP6_BYTES;
        seg->joinable &= tarn_offload_get16(ip, IP6_LENGTH) + seg->l4 == frame.len;
    } else {
        return false;
    }
    return parse_tcp(frame, seg);
}

static bool same(struct tarn_span a, struct tarn_span b, size_t off, size_t n) {
    struct tarn_span x, y;
    return tarn_span_sub(a, off, n, &x) && tarn_span_sub(b, off, n, &y) && tarn_span_equal(x, y);
}

static bool same_flow(struct tarn_span a, struct tarn_span b, const struct seg *x,
                      const struct seg *y) {
    return x->ipv6 == y->ipv6 && x->l3 == y->l3 && x->l4 == y->l4 && same(a, b, x->l4, 4)
           && (x->ipv6 ? same(a, b, x->l3 + 8, 32) : same(a, b, x->l3 + 12, 8));
}

/* Equal but for lengths, IP identification, checksums, sequence number and PSH. */
static bool same_headers(struct tarn_span a, struct tarn_span b, const struct seg *x,
                         const struct seg *y) {
    size_t l3 = x->l3, l4 = x->l4;
    if (x->header_bytes != y->header_bytes || !same(a, b, 0, l3))
        return false;
    bool ip = x->ipv6 ? same(a, b, l3, 4) && same(a, b, l3 + 6, 2)
                      : same(a, b, l3, 2) && same(a, b, l3 + 6, 4);
    return ip && same(a, b, l4 + 8, 5) && same(a, b, l4 + 14, 2)
           && same(a, b, l4 + 20, x->header_bytes - l4 - 20);
}

static uint32_t pseudo_csum(struct tarn_span frame, const struct seg *seg, size_t l4_bytes) {
    struct tarn_span addrs = TARN_SPAN_EMPTY;
    TARN_ASSERT(seg->ipv6 ? tarn_span_sub(frame, seg->l3 + 8, 32, &addrs)
                          : tarn_span_sub(frame, seg->l3 + 12, 8, &addrs));
    uint32_t sum = tarn_csum_join(tarn_csum_add(0, addrs), (uint32_t)l4_bytes, 0);
    return tarn_csum_join(sum, TARN_IP_PROTO_TCP, 0);
}

/* Copies the payload behind `super` and takes it over only if the checksum is right. */
static bool take_payload(struct tarn_pkt *super, struct tarn_span frame, const struct seg *seg) {
    struct tarn_span payload = tarn_span_after(frame, seg->header_bytes), tcp = TARN_SPAN_EMPTY;
    struct tarn_bytes room = tarn_pkt_tailroom(super);
    if (payload.len > room.len)
        return false;
    uint32_t sum = tarn_csum_copy(0, room, payload);
    TARN_ASSERT(tarn_span_sub(frame, seg->l4, seg->header_bytes - seg->l4, &tcp));
    sum = tarn_csum_join(tarn_csum_add(0, tcp), sum, tcp.len);
    sum = tarn_csum_join(sum, pseudo_csum(frame, seg, tcp.len + payload.len), 0);
    if (!seg->trusted && tarn_csum_finish(sum) != 0)
        return false;
    tarn_pkt_grow(super, payload.len);
    return true;
}

/* The run's first packet, moved to memory where more fits; NULL: none, or it is not right itself.
 */
static struct tarn_pkt *start(const struct tarn_pkt *pkt, const struct seg *seg,
                              struct tarn_pkt_pool *pool) {
    struct tarn_pkt *super = tarn_pkt_alloc(pool, 65535u + seg->l3);
    struct tarn_span frame = tarn_pkt_head(pkt);
    if (!super)
        return NULL;
    TARN_ASSERT(tarn_pkt_append(super, tarn_span_first(frame, seg->header_bytes)));
    if (take_payload(super, frame, seg))
        return super;
    tarn_pkt_free(super);
    return NULL;
}

/* Appends the segment `pkt` to the run, whose packet may be replaced. */
static bool extend(struct run *run, struct tarn_pkt **slot, const struct tarn_pkt *pkt,
                   const struct seg *seg, struct tarn_pkt_pool *pool) {
    struct tarn_span frame = tarn_pkt_head(pkt), first = tarn_pkt_head(*slot);
    if (!seg->joinable || seg->seq != run->seq_next || seg->payload_bytes > run->first.payload_bytes
        || first.len - seg->l3 + seg->payload_bytes > 65535
        || !same_headers(first, frame, &run->first, seg))
        return false;
    if (run->joined == 0) {
        struct tarn_pkt *super = start(*slot, &run->first, pool);
        if (!super)
            return false;
        if (!take_payload(super, frame, seg)) {
            tarn_pkt_free(super);
            return false;
        }
        tarn_pkt_free(*slot);
        *slot = super;
    } else if (!take_payload(*slot, frame, seg)) {
        return false;
    }
    run->joined++;
    run->seq_next += (uint32_t)seg->payload_bytes;
    uint8_t flags = tarn_span_at(frame, seg->l4 + TCP_FLAGS);
    run->flags |= flags;
    /* A short one or a push is the end of what the sender had. */
    run->open = seg->payload_bytes == run->first.payload_bytes && !(flags & TCP_PSH);
    return true;
}

/* Headers and metadata of a run that was joined, as its sender would have handed it to the device.
 */
static void finish(const struct run *run, struct tarn_pkt *pkt) {
    if (run->joined == 0)
        return;
    const struct seg *seg = &run->first;
    struct tarn_bytes head = tarn_pkt_head_bytes(pkt);
    struct tarn_bytes ip = tarn_bytes_after(head, seg->l3), tcp = tarn_bytes_after(head, seg->l4);
    if (seg->ipv6) {
        tarn_offload_put16(ip, IP6_LENGTH, (uint16_t)tcp.len);
    } else {
        tarn_offload_put16(ip, IP4_LENGTH, (uint16_t)ip.len);
        tarn_offload_ip4_csum(tarn_bytes_first(ip, seg->l4 - seg->l3));
    }
    *tarn_bytes_at(tcp, TCP_FLAGS) = run->flags;
    tarn_offload_put16(tcp, TCP_CSUM,
                       tarn_csum_fold(pseudo_csum(tarn_bytes_span(head), seg, tcp.len)));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = (uint16_t)seg->l4;
    pkt->csum_offset = TCP_CSUM;
    pkt->gso_size = (uint16_t)seg->payload_bytes;
    pkt->gso_type = seg->ipv6 ? TARN_GSO_TCPV6 : TARN_GSO_TCPV4;
}

size_t tarn_offload_join(struct tarn_pkt **pkts, size_t n, struct tarn_pkt_pool *pool) {
    struct run runs[TARN_OFFLOAD_FLOWS];
    size_t run_count = 0, run_oldest = 0, left = 0;
    for (size_t i = 0; i < n; i++) {
        struct tarn_pkt *pkt = TARN_AT_N(pkts, n, i);
        struct run *run = NULL;
        struct seg seg;
        bool tcp = parse(pkt, &seg);
        for (size_t r = 0; tcp && r < run_count && !run; r++) {
            struct run *candidate = &TARN_AT(runs, r);
            struct tarn_span first = tarn_pkt_head(TARN_AT_N(pkts, n, candidate->slot));
            if (same_flow(first, tarn_pkt_head(pkt), &candidate->first, &seg))
                run = candidate;
        }
        if (run && run->open && extend(run, &TARN_AT_N(pkts, n, run->slot), pkt, &seg, pool)) {
            tarn_pkt_free(pkt);
            continue;
        }
        TARN_AT_N(pkts, n, left) = pkt;
        /* The flow goes on behind this packet, if at all: what follows must not overtake it. */
        if (tcp && !run) {
            bool full = run_count == TARN_OFFLOAD_FLOWS;
            run = &TARN_AT(runs, full ? run_oldest : run_count);
            if (full) {
                finish(run, TARN_AT_N(pkts, n, run->slot));
                run_oldest = (run_oldest + 1) % TARN_OFFLOAD_FLOWS;
            }
            run_count += !full;
        } else if (run) {
            finish(run, TARN_AT_N(pkts, n, run->slot));
        }
        if (run) {
            uint8_t flags = tarn_span_at(tarn_pkt_head(pkt), seg.l4 + TCP_FLAGS);
            *run = (struct run){.slot = left,
                                .first = seg,
                                .seq_next = seg.seq + (uint32_t)seg.payload_bytes,
                                .flags = flags,
                                .open = seg.joinable && !(flags & TCP_PSH)};
        }
        left++;
    }
    for (size_t r = 0; r < run_count; r++)
        finish(&TARN_AT(runs, r), TARN_AT_N(pkts, n, TARN_AT(runs, r).slot));
    return left;
}
