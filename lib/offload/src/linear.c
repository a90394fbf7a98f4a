/* SPDX-License-Identifier: ISC */
#include "internal.h"

bool tarn_offload_l3(struct tarn_span frame, size_t *l3) {
    uint16_t type;
    struct tarn_span s = frame;
    if (!tarn_span_skip(&s, 12) || !tarn_span_u16be(&s, &type))
        return false;
    if (type == 0x8100 && (!tarn_span_skip(&s, 2) || !tarn_span_u16be(&s, &type)))
        return false;
    *l3 = frame.len - s.len;
    return type == 0x0800 || type == 0x86dd;
}

uint16_t tarn_offload_get16(struct tarn_span s, size_t at) {
    uint16_t v = 0;
    TARN_ASSERT(tarn_span_skip(&s, at) && tarn_span_u16be(&s, &v));
    return v;
}

uint32_t tarn_offload_get32(struct tarn_span s, size_t at) {
    uint32_t v = 0;
    TARN_ASSERT(tarn_span_skip(&s, at) && tarn_span_u32be(&s, &v));
    return v;
}

void tarn_offload_put16(struct tarn_bytes b, size_t at, uint16_t v) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(b, at));
    tarn_writer_u16be(&w, v);
    TARN_ASSERT(tarn_writer_ok(&w));
}

void tarn_offload_put32(struct tarn_bytes b, size_t at, uint32_t v) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(b, at));
    tarn_writer_u32be(&w, v);
    TARN_ASSERT(tarn_writer_ok(&w));
}

void tarn_offload_ip4_csum(struct tarn_bytes header) {
    tarn_offload_put16(header, IP4_CSUM, 0);
    tarn_offload_put16(header, IP4_CSUM,
                       tarn_csum_finish(tarn_csum_add(0, tarn_bytes_span(header))));
}

static struct tarn_span piece(const struct tarn_pkt *pkt, unsigned i) {
    if (i == 0)
        return tarn_pkt_head(pkt);
    const struct tarn_frag *f = &TARN_AT(pkt->frag, i - 1);
    return tarn_span_of(f->ptr, f->len);
}

uint32_t tarn_offload_copy(struct tarn_pkt *to, const struct tarn_pkt *pkt, size_t off, size_t n) {
    uint32_t sum = 0;
    size_t done = 0;
    TARN_ASSERT(off <= pkt->len && n <= pkt->len - off);
    for (unsigned i = 0; done < n; i++) {
        struct tarn_span p = piece(pkt, i);
        if (off >= p.len) {
            off -= p.len;
            continue;
        }
        p = tarn_span_first(tarn_span_after(p, off), n - done);
        sum = tarn_csum_join(sum, tarn_csum_copy(0, tarn_pkt_tailroom(to), p), done);
        tarn_pkt_grow(to, p.len);
        off = 0;
        done += p.len;
    }
    return sum;
}

struct tarn_pkt *tarn_offload_linear(const struct tarn_pkt *pkt, struct tarn_pkt_pool *pool,
                                     bool complete) {
    bool partial = pkt->csum_state == TARN_CSUM_PARTIAL;
    size_t start = partial ? pkt->csum_start : 0;
    size_t field = start + pkt->csum_offset;
    if (partial && (field + 2 > pkt->len || start > pkt->len))
        return NULL;
    struct tarn_pkt *copy = tarn_pkt_alloc(pool, pkt->len);
    if (!copy)
        return NULL;
    (void)tarn_offload_copy(copy, pkt, 0, start);
    uint32_t sum = tarn_offload_copy(copy, pkt, start, pkt->len - start);
    copy->csum_state = pkt->csum_state;
    copy->csum_start = pkt->csum_start;
    copy->csum_offset = pkt->csum_offset;
    copy->gso_size = pkt->gso_size;
    copy->gso_type = pkt->gso_type;
    copy->gso_ecn = pkt->gso_ecn;
    if (partial && complete) {
        tarn_offload_put16(tarn_pkt_head_bytes(copy), field, tarn_pkt_csum_field(copy, sum));
        copy->csum_state = TARN_CSUM_NONE;
    }
    return copy;
}
