/* SPDX-License-Identifier: ISC */
/* The wire format: RFC 9293 section 3.1, options of RFC 7323 and RFC 2018. */
#include "internal.h"

enum {
    OPT_END = 0,
    OPT_NOP = 1,
    OPT_MSS = 2,
    OPT_WSCALE = 3,
    OPT_SACK_OK = 4,
    OPT_SACK = 5,
    OPT_TS = 8,
    OPT_FAST_OPEN = 34,
    OPT_ACCECN0 = 172,
    OPT_EXPERIMENT = 254, /* and RFC 6994's number of Fast Open, before it had one of its own */
    EXID_FAST_OPEN = 0xf989,
    OPT_ACCECN1 = 174,
};

static bool parse_sack(struct tarn_span body, struct tcp_options *opt) {
    if (body.len % 8 != 0)
        return false;
    opt->sack_count = 0;
    struct tcp_sack_block b;
    while (opt->sack_count < TCP_SACK_BLOCKS_MAX && tarn_span_u32be(&body, &b.start)
           && tarn_span_u32be(&body, &b.end))
        TARN_AT(opt->sack, opt->sack_count++) = b;
    return true;
}

/* RFC 7413 section 2; another length is no cookie. */
static void parse_cookie(struct tarn_span body, struct tcp_options *opt) {
    opt->has_cookie = body.len == 0 || (body.len >= 4 && body.len <= 16 && body.len % 2 == 0);
    opt->cookie_experimental = false;
    opt->cookie = body;
}

static void parse_experiment(struct tarn_span body, struct tcp_options *opt) {
    uint16_t exid;
    if (opt->has_cookie || !tarn_span_u16be(&body, &exid) || exid != EXID_FAST_OPEN)
        return;
    parse_cookie(body, opt);
    opt->cookie_experimental = opt->has_cookie;
}

/* What is behind the last whole field is not looked at (RFC 9768 section 3.2.3). */
static void parse_accecn(uint8_t kind, struct tarn_span body, struct tcp_options *opt) {
    uint8_t high;
    uint16_t low;
    opt->has_accecn = true;
    opt->accecn_ect1_first = kind == OPT_ACCECN1;
    opt->accecn_count = 0;
    while (opt->accecn_count < TCP_ACCECN_FIELDS && body.len >= 3 && tarn_span_u8(&body, &high)
           && tarn_span_u16be(&body, &low))
        TARN_AT(opt->accecn, opt->accecn_count++) = (uint32_t)high << 16 | low;
}

/* An option that we know, with a wrong length, makes the segment malformed; one that we do not know
 * is skipped (RFC 9293 section 3.1). */
static bool parse_option(uint8_t kind, struct tarn_span body, struct tcp_options *opt) {
    switch (kind) {
    case OPT_MSS: return body.len == 2 && tarn_span_u16be(&body, &opt->mss);
    case OPT_WSCALE:
        opt->has_wscale = true;
        return body.len == 1 && tarn_span_u8(&body, &opt->wscale);
    case OPT_SACK_OK: opt->sack_ok = true; return body.len == 0;
    case OPT_SACK: return parse_sack(body, opt);
    case OPT_TS:
        opt->has_ts = true;
        return body.len == 8 && tarn_span_u32be(&body, &opt->tsval)
               && tarn_span_u32be(&body, &opt->tsecr);
    case OPT_FAST_OPEN: parse_cookie(body, opt); return true;
    case OPT_EXPERIMENT: parse_experiment(body, opt); return true;
    case OPT_ACCECN0:
    case OPT_ACCECN1: parse_accecn(kind, body, opt); return true;
    default: return true;
    }
}

static bool parse_options(struct tarn_span s, struct tcp_options *opt) {
    uint8_t kind, len;
    struct tarn_span body;
    while (tarn_span_u8(&s, &kind) && kind != OPT_END) {
        if (kind == OPT_NOP)
            continue;
        if (!tarn_span_u8(&s, &len) || len < 2 || !tarn_span_take(&s, len - 2u, &body)
            || !parse_option(kind, body, opt))
            return false;
    }
    return true;
}

static bool checksum_is_good(const struct tarn_ip_meta *meta, const struct tarn_pkt *pkt) {
    if (pkt->csum_state != TARN_CSUM_NONE)
        return true;
    uint32_t sum =
        tarn_csum_join(tarn_ip_pseudo_csum(meta, pkt->len), tarn_pkt_csum(pkt, 0, pkt->len), 0);
    return tarn_csum_finish(sum) == 0;
}

enum tcp_parse tcp_segment_parse(struct tcp_segment *seg, const struct tarn_ip_meta *meta,
                                 struct tarn_pkt *pkt) {
    struct tarn_span s = tarn_pkt_head(pkt), options;
    uint8_t offset;
    uint16_t checksum, urgent;
    *seg = (struct tcp_segment){.meta = meta, .pkt = pkt};
    if (!tarn_span_u16be(&s, &seg->src_port) || !tarn_span_u16be(&s, &seg->dst_port)
        || !tarn_span_u32be(&s, &seg->seq) || !tarn_span_u32be(&s, &seg->ack)
        || !tarn_span_u8(&s, &offset) || !tarn_span_u8(&s, &seg->flags)
        || !tarn_span_u16be(&s, &seg->wnd) || !tarn_span_u16be(&s, &checksum)
        || !tarn_span_u16be(&s, &urgent))
        return TCP_PARSE_MALFORMED;
    uint32_t header = (uint32_t)(offset >> 4) * 4;
    seg->ace = (uint8_t)((offset & 1) << 2 | (seg->flags & (TCP_CWR | TCP_ECE)) >> 6);
    if (header < TCP_HEADER_BYTES || !tarn_span_take(&s, header - TCP_HEADER_BYTES, &options)
        || seg->src_port == 0 || seg->dst_port == 0)
        return TCP_PARSE_MALFORMED;
    if (!checksum_is_good(meta, pkt))
        return TCP_PARSE_CHECKSUM;
    if (!parse_options(options, &seg->opt) || !tarn_pkt_pull(pkt, header))
        return TCP_PARSE_MALFORMED;
    seg->len = pkt->len;
    seg->piece_bytes = pkt->gso_size && pkt->gso_size < seg->len ? pkt->gso_size : seg->len;
    return TCP_PARSE_OK;
}

static uint32_t cookie_head(const struct tcp_options *o) {
    return o->cookie_experimental ? 4 : 2;
}

uint32_t tcp_options_bytes(const struct tcp_header *h) {
    const struct tcp_options *o = &h->opt;
    uint32_t n = 0;
    n += o->mss ? 4 : 0;
    n += o->has_ts ? 12 : o->sack_ok ? 4 : 0; /* SACK-permitted takes the place of padding */
    n += o->has_wscale ? 4 : 0;
    n += o->sack_count ? 4 + 8u * o->sack_count : 0;
    n += o->has_accecn ? (2u + 3u * o->accecn_count + 3) / 4 * 4 : 0;
    n += o->has_cookie ? (cookie_head(o) + (uint32_t)o->cookie.len + 3) / 4 * 4 : 0;
    return n;
}

/* In Linux's order, which the whole Internet has been tested with. */
static void write_options(struct tarn_writer *w, const struct tcp_options *o) {
    if (o->mss) {
        tarn_writer_u16be(w, OPT_MSS << 8 | 4);
        tarn_writer_u16be(w, o->mss);
    }
    if (o->sack_ok && !o->has_ts)
        tarn_writer_u16be(w, OPT_NOP << 8 | OPT_NOP);
    if (o->has_ts || o->sack_ok)
        tarn_writer_u16be(w, o->sack_ok ? OPT_SACK_OK << 8 | 2 : OPT_NOP << 8 | OPT_NOP);
    if (o->has_ts) {
        tarn_writer_u16be(w, OPT_TS << 8 | 10);
        tarn_writer_u32be(w, o->tsval);
        tarn_writer_u32be(w, o->tsecr);
    }
    if (o->has_wscale) {
        tarn_writer_u16be(w, OPT_NOP << 8 | OPT_WSCALE);
        tarn_writer_u16be(w, (uint16_t)(3u << 8 | o->wscale));
    }
    if (o->sack_count) {
        tarn_writer_u16be(w, OPT_NOP << 8 | OPT_NOP);
        tarn_writer_u16be(w, (uint16_t)(OPT_SACK << 8 | (2 + 8 * o->sack_count)));
        for (uint8_t i = 0; i < o->sack_count; i++) {
            tarn_writer_u32be(w, TARN_AT(o->sack, i).start);
            tarn_writer_u32be(w, TARN_AT(o->sack, i).end);
        }
    }
    if (o->has_accecn) {
        uint8_t kind = o->accecn_ect1_first ? OPT_ACCECN1 : OPT_ACCECN0, len = 2;
        tarn_writer_u8(w, kind);
        tarn_writer_u8(w, (uint8_t)(2 + 3 * o->accecn_count));
        for (uint8_t i = 0; i < o->accecn_count; i++, len = (uint8_t)(len + 3)) {
            tarn_writer_u8(w, (uint8_t)(TARN_AT(o->accecn, i) >> 16));
            tarn_writer_u16be(w, (uint16_t)TARN_AT(o->accecn, i));
        }
        for (; len % 4 != 0; len++)
            tarn_writer_u8(w, OPT_NOP);
    }
    if (o->has_cookie) {
        uint8_t kind = o->cookie_experimental ? OPT_EXPERIMENT : OPT_FAST_OPEN;
        tarn_writer_u16be(w, (uint16_t)(kind << 8 | (cookie_head(o) + o->cookie.len)));
        if (o->cookie_experimental)
            tarn_writer_u16be(w, EXID_FAST_OPEN);
        tarn_writer_span_put(w, o->cookie);
        for (size_t n = cookie_head(o) + o->cookie.len; n % 4 != 0; n++)
            tarn_writer_u8(w, OPT_NOP);
    }
}

static uint16_t offset_and_flags(const struct tcp_header *h) {
    uint32_t words = (TCP_HEADER_BYTES + tcp_options_bytes(h)) / 4;
    return (uint16_t)(words << 12 | (h->ae ? 0x100u : 0) | h->flags);
}

struct tarn_pkt *tcp_segment_new(struct tarn_tcp *tcp, const struct tcp_header *h) {
    uint32_t bytes = TCP_HEADER_BYTES + tcp_options_bytes(h);
    struct tarn_pkt *pkt = tarn_pkt_alloc(tcp->config.pkts, bytes);
    if (!pkt) {
        tcp->stats.no_packet++;
        tcp->hold_until = tarn_time_after(tcp->now, TARN_MS(1));
        return NULL;
    }
    struct tarn_writer w = tarn_writer_over(tarn_bytes_first(tarn_pkt_tailroom(pkt), bytes));
    tarn_writer_u16be(&w, h->local_port);
    tarn_writer_u16be(&w, h->remote_port);
    tarn_writer_u32be(&w, h->seq);
    tarn_writer_u32be(&w, h->flags & TCP_ACK ? h->ack : 0);
    tarn_writer_u16be(&w, offset_and_flags(h));
    tarn_writer_u16be(&w, h->wnd);
    tarn_writer_u32be(&w, 0); /* checksum, urgent pointer */
    write_options(&w, &h->opt);
    TARN_ASSERT(tarn_writer_ok(&w) && w.len == bytes);
    tarn_pkt_grow(pkt, bytes);
    return pkt;
}

enum { FLAGS_AT = 12, CHECKSUM_AT = 16 };

void tcp_segment_send(struct tarn_tcp *tcp, const struct tcp_header *h, struct tarn_pkt *pkt,
                      uint32_t gso_size, uint8_t ecn) {
    const struct tarn_tcp_options *options = &tcp->config.options;
    struct tarn_ip_meta meta = {
        .src = h->local,
        .dst = h->remote,
        .proto = TARN_IP_PROTO_TCP,
        .hops = options->hops,
        .tos = (uint8_t)((options->tos & 0xfc) | ecn),
        .no_fragment = true,
    };
    uint32_t payload = pkt->len - (TCP_HEADER_BYTES + tcp_options_bytes(h));
    struct tarn_writer w = tarn_writer_over(tarn_pkt_head_bytes(pkt));
    w.len = w.cap;
    tarn_writer_patch_u16be(&w, FLAGS_AT, offset_and_flags(h));
    tarn_writer_patch_u16be(&w, CHECKSUM_AT, tarn_csum_fold(tarn_ip_pseudo_csum(&meta, pkt->len)));
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_start = 0;
    pkt->csum_offset = CHECKSUM_AT;
    if (gso_size && payload > gso_size) {
        pkt->gso_size = (uint16_t)gso_size;
        pkt->gso_type = tarn_ip_addr_is_v4(&h->remote) ? TARN_GSO_TCPV4 : TARN_GSO_TCPV6;
        pkt->gso_ecn = (h->flags & TCP_CWR) != 0; /* RFC 3168: of the first piece only */
    }
    tcp->stats.segments_out++;
    tcp->stats.bytes_out += payload;
    if (payload == 0 && !(h->flags & (TCP_SYN | TCP_FIN | TCP_RST)))
        tcp->stats.acks_out++;
    if (tcp->config.lower->ops->send(tcp->config.lower, &meta, pkt, tcp->now) != TARN_OK)
        tcp->stats.no_route++;
}

void tcp_reset_answer(struct tarn_tcp *tcp, const struct tcp_segment *seg) {
    if (seg->flags & TCP_RST)
        return;
    struct tcp_header h = {
        .local = seg->meta->dst,
        .remote = seg->meta->src,
        .local_port = seg->dst_port,
        .remote_port = seg->src_port,
        .flags = TCP_RST,
    };
    if (seg->flags & TCP_ACK) {
        h.seq = seg->ack;
    } else {
        h.flags |= TCP_ACK;
        h.ack = seg->seq + segment_space(seg);
    }
    struct tarn_pkt *pkt = tcp_segment_new(tcp, &h);
    if (!pkt)
        return;
    tcp->stats.resets_out++;
    tcp_segment_send(tcp, &h, pkt, 0, 0);
}
