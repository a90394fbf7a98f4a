/* SPDX-License-Identifier: ISC */
#include "internal.h"

struct tarn_pkt *fragment_slice(struct tarn_pkt_pool *pool, const struct tarn_pkt *pkt, size_t off,
                                size_t n) {
    struct tarn_span head = tarn_pkt_head(pkt);
    struct tarn_span copied = tarn_span_first(tarn_span_after(head, off), n);
    struct tarn_pkt *to = tarn_pkt_alloc(pool, copied.len);
    if (!to)
        return NULL;
    TARN_ASSERT(tarn_pkt_append(to, copied));
    size_t done = copied.len;
    off = off + done - head.len;
    for (unsigned i = 0; done < n; i++) {
        const struct tarn_frag *f = &TARN_AT(pkt->frag, i);
        if (off >= f->len) {
            off -= f->len;
            continue;
        }
        struct tarn_span s = tarn_span_after(tarn_span_of(f->ptr, f->len), off);
        s = tarn_span_first(s, n - done);
        TARN_ASSERT(tarn_pkt_lend(to, s, f->lease));
        off = 0;
        done += s.len;
    }
    return to;
}

/* RFC 7739 section 5.3: a counter shared by few, on top of an offset that only we can compute. No
 * value comes back before the counter has gone round, and none can be guessed from another
 * destination's. */
uint32_t fragment_id(struct tarn_ip *ip, const struct tarn_ip_meta *meta, uint32_t count) {
    struct {
        struct tarn_ip_addr src, dst;
        uint64_t proto;
    } flow = {meta->src, meta->dst, meta->proto};
    uint64_t hash = tarn_hash(&ip->key, tarn_span_of(&flow, sizeof flow));
    uint32_t *counter = &TARN_AT(ip->ids, hash % ID_COUNTERS);
    uint32_t id = (uint32_t)(hash >> 32) + *counter;
    *counter += count;
    return id;
}
