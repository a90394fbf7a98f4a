/* SPDX-License-Identifier: ISC */
/* From packets to what goes on a wire: checksums and segmentation, as a network card does them.
 *
 * Written apart from the library's own software offload on purpose: the two check each other. */
#include "internal.h"

#include <tarn/ip_lower.h>

#include <stdlib.h>

enum { ETH_HEADER = 14, TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 };

struct sim_frame *sim_frame_new(size_t len) {
    struct sim_frame *frame = sim_new(sizeof *frame + len);
    frame->len = (uint32_t)len;
    return frame;
}

struct sim_frame *sim_frame_copy(const struct sim_frame *frame) {
    struct sim_frame *copy = sim_frame_new(frame->len);
    __builtin_memcpy(copy, frame, sizeof *frame + frame->len);
    copy->event = (struct tarn_sim_event){0};
    copy->next = copy->prev = NULL;
    return copy;
}

static uint32_t get16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put_csum(uint8_t *field, uint32_t sum) {
    uint16_t csum = tarn_csum_finish(sum);
    put16(field, csum ? csum : 0xffff);
}

/* The pseudo-header's sum, from the IP header in front of the transport's. */
static uint32_t pseudo(const uint8_t *ip, uint8_t proto, size_t transport_len) {
    bool v4 = ip[0] >> 4 == 4;
    uint32_t sum = tarn_csum_add(0, tarn_span_of(ip + (v4 ? 12 : 8), v4 ? 8 : 32));
    return sum + proto + (uint32_t)transport_len;
}

/* Where a super-segment's parts lie. */
struct super {
    uint32_t ip, transport, payload; /* offsets */
    bool v4, udp;
};

static struct super super_parts(const struct tarn_pkt *pkt, const struct sim_frame *f) {
    struct super s = {
        .ip = ETH_HEADER, .transport = pkt->csum_start, .udp = pkt->gso_type == TARN_GSO_UDP};
    TARN_ASSERT(s.transport >= ETH_HEADER + 20u && s.transport + 8u <= f->len);
    s.v4 = f->bytes[s.ip] >> 4 == 4;
    s.payload = s.transport + (s.udp ? 8u : 4u * (f->bytes[s.transport + 12] >> 4));
    TARN_ASSERT(s.payload <= f->len);
    return s;
}

/* Makes the headers of one piece true: lengths, IP identification and checksum, TCP's sequence
 * number and the flags that belong to the first or the last piece only. */
static void piece_headers(struct sim_frame *f, const struct super *s, uint32_t nth, uint32_t off,
                          bool first, bool last, bool ecn) {
    uint8_t *ip = f->bytes + s->ip, *transport = f->bytes + s->transport;
    uint32_t transport_len = f->len - s->transport;
    if (s->v4) {
        put16(ip + 2, f->len - s->ip);
        put16(ip + 4, get16(ip + 4) + nth);
        put16(ip + 10, 0);
        put16(ip + 10, tarn_csum_finish(tarn_csum_add(0, tarn_span_of(ip, s->transport - s->ip))));
    } else {
        put16(ip + 4, f->len - s->ip - 40);
    }
    uint8_t *csum = transport + (s->udp ? 6 : 16);
    if (s->udp) {
        put16(transport + 4, transport_len);
    } else {
        uint32_t seq = (get16(transport + 4) << 16 | get16(transport + 6)) + off;
        put16(transport + 4, seq >> 16);
        put16(transport + 6, seq);
        if (!last)
            transport[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (!first && ecn)
            transport[13] &= (uint8_t)~TCP_CWR;
    }
    put16(csum, 0);
    put_csum(csum, tarn_csum_add(
                       pseudo(ip, s->udp ? TARN_IP_PROTO_UDP : TARN_IP_PROTO_TCP, transport_len),
                       tarn_span_of(transport, transport_len)));
}

static void cut_super(const struct tarn_pkt *pkt, const struct sim_frame *whole,
                      void (*emit)(void *arg, struct sim_frame *), void *arg) {
    struct super s = super_parts(pkt, whole);
    uint32_t total = whole->len - s.payload, nth = 0;
    for (uint32_t off = 0; off < total || nth == 0; nth++) {
        uint32_t n = TARN_MIN((uint32_t)pkt->gso_size, total - off);
        struct sim_frame *f = sim_frame_new(s.payload + n);
        __builtin_memcpy(f->bytes, whole->bytes, s.payload);
        __builtin_memcpy(f->bytes + s.payload, whole->bytes + s.payload + off, n);
        piece_headers(f, &s, nth, off, off == 0, off + n == total, pkt->gso_ecn);
        off += n;
        emit(arg, f);
    }
}

struct sim_frame *sim_wire_whole(const struct tarn_pkt *pkt) {
    struct sim_frame *f = sim_frame_new(pkt->len);
    TARN_ASSERT(tarn_pkt_read(pkt, 0, f->bytes, pkt->len));
    return f;
}

void sim_wire_cut(const struct tarn_pkt *pkt, void (*emit)(void *arg, struct sim_frame *),
                  void *arg) {
    struct sim_frame *f = sim_wire_whole(pkt);
    if (pkt->gso_size) {
        cut_super(pkt, f, emit, arg);
        free(f);
        return;
    }
    if (pkt->csum_state == TARN_CSUM_PARTIAL) {
        TARN_ASSERT((uint32_t)pkt->csum_start + pkt->csum_offset + 2u <= f->len);
        put_csum(
            f->bytes + pkt->csum_start + pkt->csum_offset,
            tarn_csum_add(0, tarn_span_of(f->bytes + pkt->csum_start, f->len - pkt->csum_start)));
    }
    emit(arg, f);
}
