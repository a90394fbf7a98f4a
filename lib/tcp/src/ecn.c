/* SPDX-License-Identifier: ISC */
/* Congestion marks (ECN): RFC 3168, where one echo stands for a whole round trip, and AccECN (RFC
 * 9768), where three flags count every mark. The option that counts bytes too is neither sent nor
 * read. */
#include "internal.h"

#define CE 3u
#define ACE_MASK 7u
#define CEP_INITIAL 5u /* RFC 9768 section 3.2.1 */
#define ACE_ALL (TCP_ECE | TCP_CWR)

void tcp_ace_put(struct tcp_header *h, unsigned ace) {
    h->ae = (ace & 4) != 0;
    h->flags = (uint8_t)((h->flags & ~ACE_ALL) | (ace & 2 ? TCP_CWR : 0) | (ace & 1 ? TCP_ECE : 0));
}

unsigned tcp_ace_of_syn(unsigned ecn) {
    static const uint8_t aces[] = {2, 3, 4, 6}; /* not ECT, ECT(1), ECT(0), CE */
    return TARN_AT(aces, ecn & 3);
}

/* RFC 9768 section 3.1.2; what no RFC defines yet asks for AccECN, too (section 3.1.3). */
void tcp_ecn_asked(const struct tarn_tcp *tcp, const struct tcp_segment *syn,
                   struct tcp_half *half) {
    bool asked = tcp->config.options.ecn != TARN_TCP_ECN_OFF && syn->ace != 0;
    half->ecn_ok = asked;
    half->accecn = asked && syn->ace != 3;
    half->syn_ecn = syn->meta->tos & 3u;
}

static void accurate(struct tcp_conn *c) {
    c->ecn_ok = c->accecn = true;
    c->ace_in = c->ace_out = CEP_INITIAL;
}

void tcp_ecn_granted(struct tcp_conn *c, const struct tcp_segment *syn_ack) {
    uint8_t asked = c->timeouts == 0 ? c->tcp->config.options.ecn : TARN_TCP_ECN_OFF;
    unsigned ace = syn_ack->ace, ecn = syn_ack->meta->tos & 3u;
    if (asked == TARN_TCP_ECN_ASK) {
        c->ecn_ok = (ace & 3) == 1;
    } else if (asked == TARN_TCP_ECN_ACCURATE && (ace == 1 || ace == 5)) {
        c->ecn_ok = true; /* the peer knows RFC 3168 */
    } else if (asked == TARN_TCP_ECN_ACCURATE && ace != 0 && ace != 7) {
        accurate(c);
        c->ace_first = true;
        c->syn_ecn = ecn & 3u;
        if (ecn == CE)
            c->ace_in = (CEP_INITIAL + 1) & ACE_MASK;
    }
}

/* The last segment of the handshake counts nothing yet: it tells how the SYN-ACK arrived. None of
 * the flags: something on the path clears them, and marks would not be heard of (RFC 9768 section
 * 3.2.2.4). */
void tcp_ecn_begins(struct tcp_conn *c, const struct tcp_half *half, struct tcp_segment *last) {
    c->ecn_ok = half->ecn_ok;
    if (!half->accecn)
        return;
    accurate(c);
    c->ecn_ok = last->ace != 0;
    last->ace = CEP_INITIAL;
}

static void count_marks(struct tcp_conn *c, const struct tcp_segment *seg) {
    uint32_t packets = seg->len ? (seg->len + seg->piece_bytes - 1) / seg->piece_bytes : 1;
    c->ace_in = (c->ace_in + packets) & ACE_MASK;
    c->tcp->stats.ce_in += packets;
    c->ack_now |= seg->len > 0; /* section 3.2.2.5.1 */
}

/* RFC 3168 section 6.1.3: a mark is echoed until the peer says that it has heard. */
void tcp_ecn_received(struct tcp_conn *c, const struct tcp_segment *seg) {
    bool marked = (seg->meta->tos & 3) == CE;
    if (c->accecn) {
        if (marked)
            count_marks(c, seg);
        return;
    }
    if (!c->ecn_ok)
        return;
    if (seg->flags & TCP_CWR)
        c->ecn_echo = false;
    if (marked && seg->len > 0) {
        c->tcp->stats.ce_in++;
        c->ecn_echo = true;
        c->ack_now = true;
    }
}

/* RFC 9768 section 3.2.2.5.2: where more was acknowledged than three bits can count, the count is
 * as high as it may be. An ACK that brings nothing may have been overtaken: its count is old. */
static bool count_advances(struct tcp_conn *c, const struct tcp_segment *seg,
                           uint32_t acked_bytes) {
    uint32_t packets = (acked_bytes + c->mss - 1) / c->mss;
    uint32_t more = (seg->ace - (unsigned)c->ace_out) & ACE_MASK;
    if (acked_bytes == 0 && seg->len == 0)
        return false;
    c->ace_out = seg->ace & ACE_MASK;
    if (packets > ACE_MASK)
        more = packets - ((packets - more) & ACE_MASK);
    c->tcp->stats.ce_reported += more;
    return more > 0;
}

bool tcp_ecn_reports(struct tcp_conn *c, const struct tcp_segment *seg, uint32_t acked_bytes) {
    if (c->accecn)
        return count_advances(c, seg, acked_bytes);
    return c->ecn_ok && seg->flags & TCP_ECE;
}

/* An active side's first segment tells how the SYN-ACK arrived (section 3.2.2.1). */
void tcp_ecn_header(struct tcp_conn *c, struct tcp_header *h) {
    if (!c->accecn) {
        h->flags |= c->ecn_echo ? TCP_ECE : 0;
        return;
    }
    tcp_ace_put(h, c->ace_first ? tcp_ace_of_syn(c->syn_ecn) : c->ace_in);
    c->ace_first = false;
}
