/* SPDX-License-Identifier: ISC */
/* What few connections have of their own: limits, and counters. */
#include "internal.h"

#define RCV_BUF_BYTES_LEAST 2304u /* no window too small for a segment; as Linux has it */

struct tcp_own *tcp_own_of(struct tcp_conn *c) {
    if (c->own)
        return c->own;
    if (!(c->own = tarn_pool_take(&c->tcp->owns)))
        return NULL;
    *c->own = (struct tcp_own){.wait = TCP_WAIT_NOTHING,
                               .data_in_ms = now_ms(c->tcp),
                               .ack_in_ms = now_ms(c->tcp),
                               .ect0_in = 1,
                               .ect1_in = 1,
                               .ect0_out = 1,
                               .ect1_out = 1};
    return c->own;
}

/* -- limits -- */

uint32_t tcp_snd_buf_max(const struct tcp_conn *c) {
    uint32_t own = c->own ? c->own->budget.snd_buf_bytes : 0;
    return own ? own : c->tcp->config.limits.snd_buf_bytes_max;
}

uint16_t tcp_mss_max(const struct tcp_conn *c) {
    uint16_t own = c->own ? c->own->budget.mss_max : 0;
    return own ? own : UINT16_MAX;
}

bool tcp_budget_is_set(const struct tarn_tcp_budget *b) {
    return b->snd_buf_bytes || b->rcv_buf_bytes || b->unsent_bytes_max || b->mss_max;
}

static bool is_good(const struct tarn_tcp *tcp, const struct tarn_tcp_budget *b) {
    const struct tarn_tcp_limits *l = &tcp->config.limits;
    return b->snd_buf_bytes <= l->snd_buf_bytes_max && b->rcv_buf_bytes <= l->rcv_buf_bytes_max
           && (b->mss_max == 0 || b->mss_max >= TCP_MSS_MIN)
           && (b->rcv_buf_bytes == 0 || b->rcv_buf_bytes >= RCV_BUF_BYTES_LEAST);
}

bool tcp_budget_set(struct tcp_conn *c, const struct tarn_tcp_budget *budget) {
    struct tcp_own *own = tcp_own_of(c);
    if (!own)
        return false;
    bool was_fixed = own->budget.rcv_buf_bytes != 0;
    own->budget = *budget;
    if (budget->rcv_buf_bytes)
        c->rcv_buf = budget->rcv_buf_bytes;
    else if (was_fixed)
        c->rcv_buf = c->tcp->config.limits.rcv_buf_bytes_min;
    if (budget->mss_max && c->peer_mss > budget->mss_max) {
        c->peer_mss = budget->mss_max;
        tcp_conn_set_mss(c);
    }
    return true;
}

enum tarn_err tarn_tcp_set_budget(struct tarn_flow *flow, const struct tarn_tcp_budget *budget) {
    if (!tarn_tcp_owns(flow))
        return TARN_INVALID;
    struct tcp_conn *c = TARN_CONTAINER_OF(flow, struct tcp_conn, flow);
    if (!is_good(c->tcp, budget))
        return TARN_INVALID;
    if (!c->own && !tcp_budget_is_set(budget))
        return TARN_OK;
    if (!tcp_budget_set(c, budget))
        return TARN_LIMIT;
    if (c->want_write && !c->starved && tcp_queue_room(c) > 0) {
        c->want_write = false;
        tcp_conn_event(c, TARN_FLOW_WRITABLE);
    }
    if (c->state >= TARN_TCP_ESTABLISHED)
        tcp_conn_dirty(c);
    return TARN_OK;
}

enum tarn_err tarn_tcp_listener_set_budget(struct tarn_listener *listener,
                                           const struct tarn_tcp_budget *budget) {
    if (!tcp_listener_owns(listener))
        return TARN_INVALID;
    struct tcp_listener *l = TARN_CONTAINER_OF(listener, struct tcp_listener, listener);
    if (!is_good(l->tcp, budget))
        return TARN_INVALID;
    l->budget = *budget;
    return TARN_OK;
}

/* -- counters -- */

/* NULL: nobody will ask. */
static struct tcp_own *counters_of(const struct tcp_conn *c) {
    return c->own && c->tcp->config.options.count ? c->own : NULL;
}

void tcp_count_in(struct tcp_conn *c, const struct tcp_segment *seg) {
    struct tcp_own *own = counters_of(c);
    if (!own)
        return;
    uint32_t pieces = segment_pieces(seg);
    own->segments_in += pieces;
    if (seg->flags & TCP_ACK)
        own->ack_in_ms = now_ms(c->tcp);
    if (seg->len == 0)
        return;
    own->data_segments_in += pieces;
    own->data_in_ms = now_ms(c->tcp);
    if (c->state >= TARN_TCP_ESTABLISHED && seq_lt(c->rcv_nxt, seg->seq))
        own->out_of_order += pieces;
}

void tcp_count_out(struct tcp_conn *c, uint32_t payload, bool again) {
    struct tcp_own *own = counters_of(c);
    if (!own)
        return;
    uint32_t pieces = payload ? (payload + c->mss - 1) / c->mss : 1;
    own->segments_out += pieces;
    own->data_segments_out += payload ? pieces : 0;
    own->bytes_sent += payload;
    own->bytes_resent += again ? payload : 0;
}

static uint8_t waits_for(const struct tcp_conn *c) {
    if (c->state < TARN_TCP_ESTABLISHED || (all_is_acked(c) && !has_unsent(c)))
        return TCP_WAIT_NOTHING;
    bool unsent = seq_lt(c->snd_nxt, c->snd_end);
    if (unsent && seq_le(c->snd_una + c->snd_wnd, c->snd_nxt + c->mss - 1) && !c->cwnd_limited)
        return TCP_WAIT_WINDOW;
    return !unsent && c->want_write ? TCP_WAIT_BUFFER : TCP_WAIT_PATH;
}

void tcp_count_wait(struct tcp_conn *c) {
    struct tcp_own *own = counters_of(c);
    if (!own)
        return;
    uint32_t now = now_us(c->tcp);
    if (own->wait != TCP_WAIT_NOTHING)
        TARN_AT(own->wait_us, own->wait) += now - own->wait_since_us;
    own->wait = waits_for(c);
    own->wait_since_us = now;
}
