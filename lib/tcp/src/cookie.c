/* SPDX-License-Identifier: ISC */
/* SYN cookies (RFC 4987 section 3.6): all that a half-open connection needs, in the numbers that
 * the peer sends back. The sequence number holds a clock of 64 s (5 bits), the MSS (3 bits) and a
 * keyed hash (24 bits) over the connection; the timestamp's low bits hold window scale and SACK. */
#include "internal.h"

static const uint16_t mss_table[8] = {216, 536, 1024, 1220, 1400, 1440, 1460, 8940};

#define CLOCK_BITS 5u
#define CLOCKS_GOOD 2u /* a cookie is good for 64 to 128 s */
#define TS_BITS_MASK 31u
#define TS_NO_WSCALE 15u

static uint32_t cookie_clock(const struct tarn_tcp *tcp) {
    return (uint32_t)(tcp->now / TARN_SEC(64));
}

static uint32_t cookie_hash(struct tarn_tcp *tcp, const struct tcp_segment *seg, uint32_t irs,
                            uint32_t clock, uint32_t mss_index) {
    uint8_t bytes[48];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    tarn_writer_span_put(&w, TARN_SPAN_ARRAY(seg->meta->src.bytes));
    tarn_writer_span_put(&w, TARN_SPAN_ARRAY(seg->meta->dst.bytes));
    tarn_writer_u16be(&w, seg->src_port);
    tarn_writer_u16be(&w, seg->dst_port);
    tarn_writer_u32be(&w, irs);
    tarn_writer_u32be(&w, clock);
    tarn_writer_u32be(&w, mss_index);
    return (uint32_t)tarn_hash(&tcp->cookie_key, tarn_writer_span(&w)) & 0xffffffu;
}

static uint32_t assemble(struct tarn_tcp *tcp, const struct tcp_segment *seg, uint32_t irs,
                         uint32_t clock, uint32_t mss_index) {
    return (clock & ((1u << CLOCK_BITS) - 1)) << 27 | mss_index << 24
           | cookie_hash(tcp, seg, irs, clock, mss_index);
}

uint32_t tcp_cookie_make(struct tarn_tcp *tcp, const struct tcp_segment *syn, const uint16_t *mss) {
    uint32_t i = TARN_COUNT_OF(mss_table) - 1;
    while (i > 0 && TARN_AT(mss_table, i) > *mss)
        i--;
    return assemble(tcp, syn, syn->seq, cookie_clock(tcp), i);
}

/* The clock's low bits are replaced, never past the present: the peer's PAWS must not see time go
 * back. */
uint32_t tcp_cookie_tsval(const struct tarn_tcp *tcp, const struct tcp_half *half) {
    uint32_t now = now_ms(tcp) + half->ts_offset;
    uint32_t wscale =
        half->wscale_ok ? TARN_MIN(half->wscale, (uint8_t)TCP_WSCALE_MAX) : TS_NO_WSCALE;
    uint32_t tsval = (now & ~TS_BITS_MASK) | wscale | (half->sack_ok ? 16u : 0);
    return seq_lt(now, tsval) ? tsval - (TS_BITS_MASK + 1) : tsval;
}

bool tcp_cookie_check(struct tarn_tcp *tcp, const struct tcp_segment *ack, struct tcp_half *half) {
    uint32_t cookie = ack->ack - 1, irs = ack->seq - 1;
    uint32_t now = cookie_clock(tcp), mss_index = cookie >> 24 & 7;
    for (uint32_t age = 0; age < CLOCKS_GOOD; age++) {
        if (assemble(tcp, ack, irs, now - age, mss_index) != cookie)
            continue;
        uint32_t wscale = ack->opt.tsecr & 15;
        half->iss = cookie;
        half->irs = irs;
        half->mss = TARN_AT(mss_table, mss_index);
        half->wscale_ok = half->ts_ok && wscale != TS_NO_WSCALE;
        half->wscale = (uint8_t)wscale;
        half->sack_ok = half->ts_ok && (ack->opt.tsecr & 16);
        return true;
    }
    tcp->stats.syn_cookies_bad++;
    return false;
}
