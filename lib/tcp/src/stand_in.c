/* SPDX-License-Identifier: ISC */
/* Handshakes in another host's place: a SYN waits in the SYN queue, unanswered, until somebody has
 * found out what that host would say. */
#include "internal.h"

enum tarn_err tarn_tcp_listen_all(struct tarn_tcp *tcp, uint32_t backlog,
                                  struct tarn_listener **out) {
    struct tarn_endpoint all = {TARN_IP_ADDR_NONE, 0};
    struct tcp_listener *l = tcp->stand_in ? NULL : tcp_listener_new(tcp, &all, backlog);
    if (!l)
        return TARN_LIMIT;
    tcp->stand_in = l;
    *out = &l->listener;
    return TARN_OK;
}

void tcp_call_begin(struct tcp_listener *l, struct tcp_half *half) {
    struct tarn_tcp *tcp = l->tcp;
    half->held = true;
    ring_push(&l->calls, &half->call);
    tarn_timer_set(&tcp->half_timers, &half->timer,
                   tarn_time_after(tcp->now, tcp->config.options.connect_timeout));
    tarn_task_post(tcp->config.tasks, &l->task);
}

void tcp_calls_end(struct tcp_listener *l) {
    while (!ring_is_empty(&l->calls))
        tcp_half_free(l->tcp, TARN_CONTAINER_OF(l->calls.next, struct tcp_half, call));
}

enum tarn_err tarn_tcp_call(struct tarn_listener *listener, struct tarn_tcp_call *out) {
    if (!tcp_listener_owns(listener))
        return TARN_INVALID;
    struct tcp_listener *l = TARN_CONTAINER_OF(listener, struct tcp_listener, listener);
    if (l->tcp->stand_in != l)
        return TARN_INVALID;
    if (ring_is_empty(&l->calls))
        return TARN_AGAIN;
    struct tcp_half *half = TARN_CONTAINER_OF(l->calls.next, struct tcp_half, call);
    ring_remove(&half->call);
    *out = (struct tarn_tcp_call){.handle = tarn_pool_handle(&l->tcp->halves, half),
                                  .local = {half->local, half->local_port},
                                  .remote = {half->remote, half->remote_port}};
    return TARN_OK;
}

/* RFC 9293 section 3.10.7.1: to a SYN, number 0 and an acknowledgement of it. */
static void refuse(struct tarn_tcp *tcp, const struct tcp_half *half) {
    struct tcp_header h = {.local = half->local,
                           .remote = half->remote,
                           .local_port = half->local_port,
                           .remote_port = half->remote_port,
                           .ack = half->irs + 1,
                           .flags = TCP_RST | TCP_ACK};
    struct tarn_pkt *pkt = tcp_segment_new(tcp, &h);
    if (!pkt)
        return;
    tcp->stats.resets_out++;
    tcp_segment_send(tcp, &h, pkt, 0, 0);
}

enum tarn_err tarn_tcp_answer(struct tarn_tcp *tcp, struct tarn_handle call,
                              enum tarn_tcp_answer answer, tarn_time now) {
    struct tcp_half *half = tarn_pool_get(&tcp->halves, call);
    tcp->now = TARN_MAX(tcp->now, now);
    if (!half || !half->held)
        return TARN_NOT_FOUND;
    if (answer == TARN_TCP_ACCEPT) {
        half->held = false;
        tcp_half_start(tcp, half);
        return TARN_OK;
    }
    if (answer == TARN_TCP_REFUSE)
        refuse(tcp, half);
    tcp_half_free(tcp, half);
    return TARN_OK;
}

/* The peer waits, and may send its SYN again; a SYN with another number is a new attempt from the
 * same port. */
void tcp_call_input(struct tarn_tcp *tcp, struct tcp_half *half, struct tcp_segment *seg) {
    uint8_t kind = seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
    if (kind == TCP_SYN && seg->seq != half->irs) {
        tcp_half_free(tcp, half);
        tcp_listen_input(tcp, seg);
    } else if (seg->flags & TCP_RST && seg->seq == half->irs + 1) {
        tcp_half_free(tcp, half);
    } else if (kind != TCP_SYN) {
        tcp->stats.drop_flags++;
    }
}
