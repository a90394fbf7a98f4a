/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* What the headers must say for the metadata to be true; everything is in the head. */
static bool headers_agree(struct tarn_offload_cut *cut, const struct tarn_pkt *pkt) {
    struct tarn_span head = tarn_pkt_head(pkt), ip, l4;
    if (!tarn_span_sub(head, cut->l3, 20, &ip) || !tarn_span_sub(head, cut->l4, 8, &l4))
        return false;
    unsigned version = tarn_span_at(ip, 0) >> 4;
    cut->ipv6 = version == 6;
    cut->tcp = pkt->gso_type == TARN_GSO_TCPV4 || pkt->gso_type == TARN_GSO_TCPV6;
    size_t ip_bytes = (size_t)cut->l4 - cut->l3;
    if (version == 4 && (ip_bytes != (tarn_span_at(ip, 0) & 15u) * 4u || ip_bytes < 20))
        return false;
    if (version == 6 && ip_bytes < IP6_BYTES)
        return false;
    if (pkt->gso_type == (version == 6 ? TARN_GSO_TCPV4 : TARN_GSO_TCPV6)
        || (version != 4 && version != 6))
        return false;
    size_t l4_bytes = UDP_BYTES;
    if (cut->tcp) {
        if (!tarn_span_sub(head, cut->l4, 20, &l4))
            return false;
        l4_bytes = (tarn_span_at(l4, 12) >> 4) * 4u;
        if (l4_bytes < 20)
            return false;
    }
    cut->header_bytes = (uint16_t)(cut->l4 + l4_bytes);
    return pkt->csum_offset == (cut->tcp ? TCP_CSUM : UDP_CSUM)
           && cut->header_bytes <= TARN_MIN((size_t)pkt->head_len, (size_t)TARN_PKT_HEADROOM)
           && pkt->len > cut->header_bytes && pkt->len - cut->l3 <= 65535u + IP6_BYTES;
}

enum tarn_err tarn_offload_cut_begin(struct tarn_offload_cut *cut, struct tarn_pkt *pkt, size_t l3,
                                     unsigned how) {
    *cut = (struct tarn_offload_cut){
        .pkt = pkt, .l3 = (uint16_t)l3, .l4 = pkt->csum_start, .how = how};
    if (pkt->csum_state == TARN_CSUM_PARTIAL && pkt->gso_size != 0 && pkt->gso_type != TARN_GSO_NONE
        && l3 < pkt->csum_start && headers_agree(cut, pkt))
        return TARN_OK;
    tarn_offload_cut_end(cut);
    return TARN_INVALID;
}

void tarn_offload_cut_end(struct tarn_offload_cut *cut) {
    tarn_pkt_free(cut->pkt);
    cut->pkt = NULL;
}

/* Shares [off, off + n) of the parent's fragments; what lies in its head is copied. The partial sum
 * of a copy comes for nothing; shared bytes are summed only where `summed` asks. False: more
 * fragments than a packet has room for, which only a copy made first can bring about. */
static bool fill_payload(struct tarn_pkt *to, const struct tarn_pkt *pkt, size_t off, size_t n,
                         bool summed, uint32_t *sum) {
    size_t done = 0;
    *sum = 0;
    if (off < pkt->head_len) {
        done = TARN_MIN(n, pkt->head_len - off);
        *sum = tarn_offload_copy(to, pkt, off, done);
    }
    off = off + done - pkt->head_len;
    for (unsigned i = 0; done < n; i++) {
        const struct tarn_frag *f = &TARN_AT(pkt->frag, i);
        if (off >= f->len) {
            off -= f->len;
            continue;
        }
        struct tarn_span part =
            tarn_span_first(tarn_span_after(tarn_span_of(f->ptr, f->len), off), n - done);
        if (!tarn_pkt_lend(to, part, f->lease))
            return false;
        if (summed)
            *sum = tarn_csum_join(*sum, tarn_csum_add(0, part), done);
        off = 0;
        done += part.len;
    }
    return true;
}

static void fix_headers(const struct tarn_offload_cut *cut, struct tarn_bytes head, size_t n,
                        bool last) {
    const struct tarn_pkt *pkt = cut->pkt;
    struct tarn_bytes ip = tarn_bytes_after(head, cut->l3);
    struct tarn_bytes l4 = tarn_bytes_after(head, cut->l4);
    size_t l4_len = cut->header_bytes - cut->l4 + n;
    size_t l4_len_parent = pkt->len - cut->l4;
    if (cut->ipv6) {
        tarn_offload_put16(ip, IP6_LENGTH, (uint16_t)(cut->l4 - cut->l3 - IP6_BYTES + l4_len));
    } else {
        uint16_t id = tarn_offload_get16(tarn_bytes_span(ip), IP4_ID);
        tarn_offload_put16(ip, IP4_LENGTH, (uint16_t)(cut->l4 - cut->l3 + l4_len));
        tarn_offload_put16(ip, IP4_ID, (uint16_t)(id + cut->index));
        tarn_offload_ip4_csum(tarn_bytes_first(ip, cut->l4 - cut->l3));
    }
    if (cut->tcp) {
        uint32_t seq = tarn_offload_get32(tarn_bytes_span(l4), TCP_SEQ);
        uint8_t *flags = tarn_bytes_at(l4, TCP_FLAGS);
        tarn_offload_put32(l4, TCP_SEQ, seq + cut->done);
        /* The end is the last piece's to tell, and the window reduction the first one's. */
        if (!last)
            *flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
        if (cut->done > 0)
            *flags &= (uint8_t)~TCP_CWR;
    } else {
        tarn_offload_put16(l4, UDP_LENGTH, (uint16_t)l4_len);
    }
    /* The field holds the pseudo header's sum with the parent's length: with this one's instead. */
    uint32_t pseudo = tarn_offload_get16(tarn_bytes_span(l4), pkt->csum_offset);
    pseudo = tarn_csum_join(pseudo, (uint16_t)~l4_len_parent, 0);
    pseudo = tarn_csum_join(pseudo, (uint32_t)l4_len, 0);
    tarn_offload_put16(l4, pkt->csum_offset, tarn_csum_fold(pseudo));
}

enum tarn_err tarn_offload_cut_next(struct tarn_offload_cut *cut, struct tarn_pkt_pool *pool,
                                    struct tarn_pkt **out) {
    const struct tarn_pkt *pkt = cut->pkt;
    if (!pkt)
        return TARN_EOF;
    size_t off = (size_t)cut->header_bytes + cut->done;
    size_t n = TARN_MIN((size_t)pkt->gso_size, pkt->len - off);
    bool last = off + n == pkt->len;
    bool linear = cut->how & TARN_OFFLOAD_LINEAR, complete = cut->how & TARN_OFFLOAD_CSUM;
    size_t in_head = off < pkt->head_len ? TARN_MIN(n, pkt->head_len - off) : 0;
    /* The headers go into the headroom, so that a piece with lent payload is of the smallest class.
     */
    struct tarn_pkt *to = tarn_pkt_alloc(pool, linear ? n : in_head);
    if (!to)
        return TARN_LIMIT;
    struct tarn_writer w = tarn_pkt_prepend(to, cut->header_bytes);
    tarn_writer_span_put(&w, tarn_span_first(tarn_pkt_head(pkt), cut->header_bytes));
    fix_headers(cut, tarn_pkt_head_bytes(to), n, last);
    uint32_t sum = 0;
    if (linear)
        sum = tarn_offload_copy(to, pkt, off, n);
    else
        TARN_ASSERT(fill_payload(to, pkt, off, n, complete, &sum));
    to->csum_start = pkt->csum_start;
    to->csum_offset = pkt->csum_offset;
    to->csum_state = TARN_CSUM_PARTIAL;
    if (complete) {
        struct tarn_bytes l4 = tarn_bytes_after(tarn_pkt_head_bytes(to), cut->l4);
        struct tarn_bytes header = tarn_bytes_first(l4, cut->header_bytes - cut->l4);
        sum = tarn_csum_join(tarn_csum_add(0, tarn_bytes_span(header)), sum, header.len);
        tarn_offload_put16(l4, to->csum_offset, tarn_pkt_csum_field(to, sum));
        to->csum_state = TARN_CSUM_NONE;
    }
    cut->done += (uint32_t)n;
    cut->index++;
    if (last)
        tarn_offload_cut_end(cut);
    *out = to;
    return TARN_OK;
}
