/* SPDX-License-Identifier: ISC */
/* Congestion marks (ECN): RFC 3168, where one echo stands for a whole round trip, and AccECN (RFC
 * 9768), where three flags count every mark, and an option the bytes of each kind.
 *
 * With AccECN, `accecn` is about what we tell the peer, and stays; `ecn_ok` about what we send and
 * hear: where something on the path changes flags or marks, packets are sent unmarked and the
 * peer's counts not believed. */
#include "internal.h"

#define CE 3u
#define ACE_MASK 7u
#define FIELD_MASK 0xffffffu
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
    if (!c->tcp->config.options.no_accecn_option)
        (void)tcp_own_of(c);
}

/* We send SYN and SYN-ACK unmarked; a mark that they arrived with was put on where it must not be,
 * or the flags were changed (section 3.2.2.3). */
static bool handshake_was_mangled(unsigned ace) {
    return ace == 3 || ace == 4 || ace == 6;
}

/* -- the option -- */

static bool counts_changed(const struct tcp_own *own) {
    return own->ect0_in != 1 || own->ce_in != 0 || own->ect1_in != 1;
}

/* The first that comes shows by its fields of ECT, which begin with one, whether it was cleared on
 * the way (section 3.2.3.2.4); the last too late for what has wrapped (section 3.2.3.2.1). */
static bool option_is_good(struct tcp_conn *c, const struct tcp_options *opt) {
    struct tcp_own *own = c->own;
    bool late = c->bytes_acked + (c->snd_nxt - c->snd_una) >= (1u << 23) - 1;
    if (own->option_seen || own->option_cleared)
        return own->option_seen && !own->option_cleared;
    if (opt->accecn_count > 0) {
        bool zero = TARN_AT(opt->accecn, 0u) == 0
                    || (opt->accecn_count == 3 && TARN_AT(opt->accecn, 2u) == 0);
        own->option_cleared = zero || late;
    }
    own->option_seen = !own->option_cleared;
    return own->option_seen && opt->accecn_count > 0;
}

/* `*ours` moves on; by how much. What comes late is less, and does not count. */
static uint32_t field_moves(uint32_t *ours, uint32_t theirs) {
    uint32_t more = (theirs - *ours) & FIELD_MASK;
    if (more >= (FIELD_MASK + 1) / 2)
        return 0;
    *ours = (*ours + more) & FIELD_MASK;
    return more;
}

/* Bytes that it reports as marked; false: it says nothing of that. */
static bool option_reports(struct tcp_conn *c, const struct tcp_options *opt, uint32_t *ce_bytes) {
    struct tcp_own *own = c->own;
    if (!own || !opt->has_accecn || !option_is_good(c, opt))
        return false;
    uint32_t *first = opt->accecn_ect1_first ? &own->ect1_out : &own->ect0_out;
    uint32_t *last = opt->accecn_ect1_first ? &own->ect0_out : &own->ect1_out;
    if (opt->accecn_count > 0)
        (void)field_moves(first, TARN_AT(opt->accecn, 0u));
    if (opt->accecn_count > 2)
        (void)field_moves(last, TARN_AT(opt->accecn, 2u));
    if (opt->accecn_count < 2)
        return false;
    *ce_bytes = field_moves(&own->ce_out, TARN_AT(opt->accecn, 1u));
    own->ce_bytes_out += *ce_bytes;
    return true;
}

void tcp_ecn_option_first(struct tcp_header *h) {
    h->opt.has_accecn = true;
    h->opt.accecn_count = TCP_ACCECN_FIELDS;
    TARN_AT(h->opt.accecn, 0u) = TARN_AT(h->opt.accecn, 2u) = 1;
}

bool tcp_ecn_option_is_due(const struct tcp_conn *c) {
    const struct tcp_own *own = c->accecn ? c->own : NULL;
    bool again = c->duplicate.start != c->duplicate.end;
    return own && (own->option_due > 0 || again) && own->option_seen && !own->option_lost;
}

/* Trailing fields that never moved are left out, and then what there is no room for; what moved
 * most stands first. */
void tcp_ecn_option(struct tcp_conn *c, struct tcp_header *h, uint32_t room) {
    struct tcp_own *own = c->own;
    struct tcp_options *o = &h->opt;
    if (!tcp_ecn_option_is_due(c) || room < 8)
        return;
    bool ect1_first = own->ect1_in != 1;
    uint32_t first = ect1_first ? own->ect1_in : own->ect0_in;
    uint32_t last = ect1_first ? own->ect0_in : own->ect1_in;
    o->has_accecn = true;
    o->accecn_ect1_first = ect1_first;
    TARN_AT(o->accecn, 0u) = first & FIELD_MASK;
    TARN_AT(o->accecn, 1u) = own->ce_in & FIELD_MASK;
    TARN_AT(o->accecn, 2u) = last & FIELD_MASK;
    o->accecn_count = last != 1 || !counts_changed(own) ? 3 : own->ce_in ? 2 : 1;
    if (room < 12 && o->accecn_count > 2)
        o->accecn_count = 2;
    own->option_due = own->option_due ? own->option_due - 1 : 0;
}

/* Section 3.1.4: not again where a SYN that asked was not answered; of AccECN's, where two were
 * not. */
uint8_t tcp_ecn_asks(const struct tcp_conn *c) {
    uint8_t ecn = c->tcp->config.options.ecn;
    bool asks = ecn == TARN_TCP_ECN_ASK || ecn == TARN_TCP_ECN_ACCURATE;
    return asks && c->timeouts <= (ecn == TARN_TCP_ECN_ACCURATE ? 1 : 0) ? ecn : TARN_TCP_ECN_OFF;
}

void tcp_ecn_granted(struct tcp_conn *c, const struct tcp_segment *syn_ack) {
    uint8_t asked = tcp_ecn_asks(c);
    unsigned ace = syn_ack->ace, ecn = syn_ack->meta->tos & 3u;
    if (asked == TARN_TCP_ECN_ASK) {
        c->ecn_ok = (ace & 3) == 1;
    } else if (asked == TARN_TCP_ECN_ACCURATE && ace == 1) {
        c->ecn_ok = true; /* the peer knows RFC 3168 */
    } else if (asked == TARN_TCP_ECN_ACCURATE && ace != 0 && ace != 7) {
        accurate(c);
        c->ace_first = true;
        c->syn_ecn = ecn & 3u;
        if (ecn == CE)
            c->ace_in = (CEP_INITIAL + 1) & ACE_MASK;
        c->ecn_ok = !handshake_was_mangled(ace);
        uint32_t none;
        if (c->own && syn_ack->opt.has_accecn) {
            (void)option_reports(c, &syn_ack->opt, &none);
            c->own->option_due = 2; /* section 3.2.3.2.2: the server shall see that it passes */
        }
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
    c->ecn_ok = last->ace != 0 && !handshake_was_mangled(last->ace);
    if (c->own)
        c->own->option_lost = half->accecn_lost;
    last->ace = CEP_INITIAL;
}

static void count_marks(struct tcp_conn *c, const struct tcp_segment *seg) {
    uint32_t packets = segment_pieces(seg);
    c->ace_in = (c->ace_in + packets) & ACE_MASK;
    c->tcp->stats.ce_in += packets;
    c->ack_now |= seg->len > 0; /* section 3.2.2.5.1 */
}

/* An option for every ACK of marked data is more than the three in a round trip that are asked for.
 */
static void count_bytes(struct tcp_conn *c, const struct tcp_segment *seg) {
    uint32_t ecn = seg->meta->tos & 3u;
    struct tcp_own *own = c->own;
    if (!own || seg->len == 0 || ecn == 0)
        return;
    uint32_t *in = ecn == CE ? &own->ce_in : ecn == 2 ? &own->ect0_in : &own->ect1_in;
    *in += seg->len;
    own->option_due = own->option_due ? own->option_due : 1;
}

/* RFC 3168 section 6.1.3: a mark is echoed until the peer says that it has heard. */
void tcp_ecn_received(struct tcp_conn *c, const struct tcp_segment *seg) {
    bool marked = (seg->meta->tos & 3) == CE;
    if (c->accecn) {
        if (marked)
            count_marks(c, seg);
        count_bytes(c, seg);
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

/* RFC 9768 section 3.2.2.5.2: where more was acknowledged than three bits can count, the option
 * tells how often they wrapped (appendix A.2.2); without it, the count is as high as it may be. An
 * ACK that brings nothing may have been overtaken: its count is old. */
static bool count_advances(struct tcp_conn *c, const struct tcp_segment *seg,
                           uint32_t acked_bytes) {
    uint32_t packets = (acked_bytes + c->mss - 1) / c->mss;
    uint32_t more = (seg->ace - (unsigned)c->ace_out) & ACE_MASK;
    uint32_t ce_bytes = 0;
    if (acked_bytes == 0 && seg->len == 0) {
        if (c->own && seg->opt.has_accecn)
            (void)option_is_good(c, &seg->opt);
        return false;
    }
    bool told = option_reports(c, &seg->opt, &ce_bytes);
    if (!c->ecn_ok)
        return false;
    c->ace_out = seg->ace & ACE_MASK;
    if (told && ce_bytes > 0) {
        uint32_t marked = (ce_bytes + c->mss - 1) / c->mss;
        more += marked > more ? (marked - more + ACE_MASK) / (ACE_MASK + 1) * (ACE_MASK + 1) : 0;
    } else if (!told && packets > ACE_MASK) {
        more = packets - ((packets - more) & ACE_MASK);
    }
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
