/* SPDX-License-Identifier: ISC */
#include "internal.h"

static const char *const state_names[] = {
    "CLOSED",     "LISTEN",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
    "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT",
};

const char *tarn_tcp_state_name(enum tarn_tcp_state state) {
    return TARN_AT(state_names, (size_t)state);
}

static uint32_t resent_bytes(const struct tcp_conn *c) {
    uint32_t bytes = 0;
    const struct tcp_sent *first = c->flight ? c->flight->sent : NULL, *s = first;
    for (; s; s = s->next == first ? NULL : s->next)
        bytes += (s->flags & (SENT_RETRANSMITTED | SENT_SACKED | SENT_LOST)) == SENT_RETRANSMITTED
                     ? s->len
                     : 0;
    return bytes;
}

static void add_counts(const struct tcp_conn *c, struct tarn_tcp_info *out) {
    const struct tcp_own *own = c->own;
    uint32_t now = now_ms(c->tcp);
    uint64_t us[TCP_WAITS];
    for (uint8_t i = 0; i < TCP_WAITS; i++)
        TARN_AT(us, i) =
            TARN_AT(own->wait_us, i) + (own->wait == i ? now_us(c->tcp) - own->wait_since_us : 0);
    out->bytes_sent = own->bytes_sent;
    out->bytes_resent = own->bytes_resent;
    out->segments_in = own->segments_in;
    out->segments_out = own->segments_out;
    out->data_segments_in = own->data_segments_in;
    out->data_segments_out = own->data_segments_out;
    out->out_of_order_segments = own->out_of_order;
    out->duplicate_segments = own->duplicates;
    out->since_data_in = TARN_MS(now - own->data_in_ms);
    out->since_ack_in = TARN_MS(now - own->ack_in_ms);
    out->since_data_out = TARN_MS(now - c->sent_ms);
    out->window_limited = TARN_US(TARN_AT(us, (unsigned)TCP_WAIT_WINDOW));
    out->buffer_limited = TARN_US(TARN_AT(us, (unsigned)TCP_WAIT_BUFFER));
    out->busy =
        TARN_US(TARN_AT(us, (unsigned)TCP_WAIT_PATH)) + out->window_limited + out->buffer_limited;
}

enum tarn_err tarn_tcp_info(const struct tarn_flow *flow, struct tarn_tcp_info *out) {
    if (!tarn_tcp_owns(flow))
        return TARN_INVALID;
    const struct tcp_conn *c = TARN_CONTAINER_OF(flow, struct tcp_conn, flow);
    bool has_rtt = c->srtt_us != 0;
    *out = (struct tarn_tcp_info){
        .state = c->fast_open ? TARN_TCP_SYN_RECEIVED : (enum tarn_tcp_state)c->state,
        .sack = c->sack_ok,
        .timestamps = c->ts_ok,
        .window_scaling = c->wscale_ok,
        .ecn = c->ecn_ok,
        .accurate_ecn = c->accecn,
        .syn_data_acked = c->syn_data_acked,
        .accurate_ecn_option = c->own && c->own->option_seen,
        .nodelay = c->nodelay,
        .in_recovery = c->recovery == TCP_RECOVERY,
        .in_loss = c->recovery == TCP_LOSS,
        .snd_wscale = c->snd_wscale,
        .rcv_wscale = c->rcv_wscale,
        .backoffs = c->backoffs,
        .snd_mss = c->mss,
        .path_mtu = c->path_mtu,
        .cwnd_bytes = c->cc.cwnd,
        .ssthresh_bytes = c->cc.ssthresh,
        .pacing_bytes_per_s = tcp_pacing_rate(c),
        .snd_wnd_bytes = c->snd_wnd,
        .rcv_wnd_bytes = tcp_receive_window(c),
        .rcv_buf_bytes = c->rcv_buf,
        .unacked_bytes = c->snd_nxt - c->snd_una,
        .sacked_bytes = c->flight ? c->flight->sacked_bytes : 0,
        .lost_bytes = c->flight ? c->flight->lost_bytes : 0,
        .resent_bytes = resent_bytes(c),
        .in_flight_bytes = tcp_in_flight(c),
        .queued_bytes = c->snd_end - c->snd_una,
        .unread_bytes = c->rcv_bytes,
        .out_of_order_bytes = c->range_bytes,
        .srtt = TARN_US(c->srtt_us),
        .rttvar = TARN_US(c->rttvar_us),
        .rtt_min = has_rtt ? TARN_US(c->rtt_min_us) : 0,
        .rto = TARN_US(c->rto_us),
        .bytes_acked = c->bytes_acked,
        .bytes_received = c->bytes_received,
        .retransmits = c->retransmits,
        .timeouts = c->timeouts,
        .tail_probes = c->tail_probes,
        .spurious_recoveries = c->spurious,
        .reordering_segments = c->flight ? c->flight->reordering : 0,
        .ce_bytes = c->own ? c->own->ce_bytes_out : 0,
        .cc = c->cc.ops ? c->cc.ops->name : "",
    };
    if (c->own && c->tcp->config.options.count)
        add_counts(c, out);
    return TARN_OK;
}
