/* SPDX-License-Identifier: ISC */
/* A socket's options, and what can be known of it. */
#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct tarn_tcp_budget socket_budget(const struct socket *s) {
    return (struct tarn_tcp_budget){.snd_buf_bytes = s->sndbuf,
                                    .rcv_buf_bytes = (uint32_t)s->rcvbuf,
                                    .unsent_bytes_max = (uint32_t)s->notsent_lowat,
                                    .mss_max = (uint16_t)s->maxseg};
}

void socket_apply(struct socket *s) {
    struct tarn_tcp_budget budget = socket_budget(s);
    bool failed = tarn_tcp_set_nodelay(s->flow, s->nodelay) != TARN_OK;
    failed |= tarn_tcp_set_cork(s->flow, s->cork) != TARN_OK;
    failed |= tarn_tcp_set_budget(s->flow, &budget) != TARN_OK;
    failed |= tarn_tcp_set_keepalive(s->flow, s->keepalive ? TARN_SEC(s->keep_idle_s) : 0,
                                     s->keepalive ? TARN_SEC(s->keep_interval_s) : 0,
                                     (uint8_t)s->keep_probes)
              != TARN_OK;
    failed |= tarn_tcp_set_user_timeout(s->flow, TARN_MS(s->user_timeout_ms)) != TARN_OK;
    if (s->cc && !s->connecting)
        failed |= tarn_tcp_set_cc(s->flow, s->cc) != TARN_OK;
    TARN_ASSERT(!failed);
}

/* Where a number goes, and what it may be; NULL: it can only be asked for. */
static int64_t *place_of(struct socket *s, enum tarn_surface_option option, int64_t *least,
                         int64_t *most) {
    *least = 1;
    *most = 32767;
    switch (option) {
    case TARN_SURFACE_KEEPIDLE: return &s->keep_idle_s;
    case TARN_SURFACE_KEEPINTVL: return &s->keep_interval_s;
    case TARN_SURFACE_KEEPCNT: *most = 127; return &s->keep_probes;
    case TARN_SURFACE_USER_TIMEOUT:
        *least = 0;
        *most = INT32_MAX;
        return &s->user_timeout_ms;
    case TARN_SURFACE_LINGER:
        *least = -1;
        *most = INT32_MAX;
        return &s->linger_s;
    case TARN_SURFACE_NOTSENT_LOWAT:
        *least = 0;
        *most = UINT32_MAX;
        return &s->notsent_lowat;
    case TARN_SURFACE_MAXSEG: *least = 88; return &s->maxseg;
    case TARN_SURFACE_RCVBUF:
        *least = 2304;
        *most = s->host->rcvbuf;
        return &s->rcvbuf;
    default: return NULL;
    }
}

static bool *switch_of(struct socket *s, enum tarn_surface_option option) {
    switch (option) {
    case TARN_SURFACE_NODELAY: return &s->nodelay;
    case TARN_SURFACE_KEEPALIVE: return &s->keepalive;
    case TARN_SURFACE_REUSEADDR: return &s->reuse;
    case TARN_SURFACE_CORK: return &s->cork;
    case TARN_SURFACE_FASTOPEN: return &s->fastopen;
    case TARN_SURFACE_FASTOPEN_CONNECT: return &s->fastopen_connect;
    default: return NULL;
    }
}

int tarn_surface_set(struct tarn_surface *host, int fd, enum tarn_surface_option option,
                     int64_t value) {
    struct socket *s = socket_of(host, fd);
    int64_t least, most;
    if (!s)
        return -EBADF;
    bool *on = switch_of(s, option);
    int64_t *place = place_of(s, option, &least, &most);
    if (on) {
        *on = value != 0;
    } else if (place) {
        bool off = value == 0 && (option == TARN_SURFACE_MAXSEG || option == TARN_SURFACE_RCVBUF);
        if (!off && (value < least || value > most))
            return -EINVAL;
        *place = value;
    } else if (option == TARN_SURFACE_SNDBUF) {
        if (value < 1 || value > INT32_MAX)
            return -EINVAL;
        s->sndbuf = TARN_MIN((uint32_t)value, host->sndbuf);
    } else {
        return -ENOPROTOOPT;
    }
    struct tarn_tcp_budget budget = socket_budget(s);
    if (s->listener && tarn_tcp_listener_set_budget(s->listener, &budget) != TARN_OK)
        return -EINVAL;
    if (s->flow && !s->failed && option == TARN_SURFACE_NODELAY)
        TARN_ASSERT(tarn_tcp_set_nodelay(s->flow, s->nodelay) == TARN_OK);
    else if (s->flow && !s->failed)
        socket_apply(s);
    host_settle(host);
    return 0;
}

int tarn_surface_get(struct tarn_surface *host, int fd, enum tarn_surface_option option,
                     int64_t *value) {
    struct socket *s = socket_of(host, fd);
    struct tarn_tcp_info info = {0};
    int64_t least, most;
    if (!s)
        return -EBADF;
    bool *on = switch_of(s, option);
    int64_t *place = place_of(s, option, &least, &most);
    if (s->flow && tarn_tcp_info(s->flow, &info) != TARN_OK)
        return -EINVAL;
    if (option == TARN_SURFACE_MAXSEG && s->flow && !s->connecting)
        *value = info.snd_mss;
    else if (on)
        *value = *on;
    else if (place)
        *value = *place;
    else if (option == TARN_SURFACE_SNDBUF)
        *value = s->sndbuf;
    else if (option == TARN_SURFACE_UNREAD)
        *value = info.unread_bytes;
    else if (option == TARN_SURFACE_UNACKNOWLEDGED)
        *value = info.queued_bytes;
    else if (option == TARN_SURFACE_UNSENT)
        *value = info.queued_bytes - TARN_MIN(info.unacked_bytes, info.queued_bytes);
    else if (option == TARN_SURFACE_ERROR)
        *value = s->error;
    else
        return -ENOPROTOOPT;
    if (option == TARN_SURFACE_ERROR)
        s->error = 0;
    return 0;
}

const struct tarn_tcp_cc_ops *congestion_of(const char *name) {
    static const struct tarn_tcp_cc_ops *const all[] = {&tarn_tcp_cc_cubic, &tarn_tcp_cc_newreno,
                                                        &tarn_tcp_cc_bbr};
    for (size_t i = 0; i < TARN_COUNT_OF(all); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return strcmp(name, "reno") == 0 ? &tarn_tcp_cc_newreno : NULL;
}

int tarn_surface_set_congestion(struct tarn_surface *host, int fd, const char *name) {
    struct socket *s = socket_of(host, fd);
    if (!s)
        return -EBADF;
    const struct tarn_tcp_cc_ops *cc = congestion_of(name);
    if (!cc)
        return -ENOENT;
    s->cc = cc;
    if (s->flow && !s->failed && !s->connecting && tarn_tcp_set_cc(s->flow, s->cc) != TARN_OK)
        return -EINVAL;
    return 0;
}

static struct tarn_surface_info info_from(const struct tarn_tcp_info *t) {
    struct tarn_surface_info info = {
        .sack = t->sack,
        .timestamps = t->timestamps,
        .window_scaling = t->window_scaling,
        .ecn = t->ecn,
        .snd_wscale = t->snd_wscale,
        .rcv_wscale = t->rcv_wscale,
        .in_recovery = t->in_recovery,
        .in_loss = t->in_loss,
        .backoffs = t->backoffs,
        .snd_mss = t->snd_mss,
        .path_mtu = t->path_mtu,
        .cwnd = t->cwnd_bytes,
        .ssthresh = t->ssthresh_bytes,
        .snd_wnd = t->snd_wnd_bytes,
        .rcv_wnd = t->rcv_wnd_bytes,
        .rcv_buf = t->rcv_buf_bytes,
        .unacked = t->unacked_bytes,
        .sacked = t->sacked_bytes,
        .lost = t->lost_bytes,
        .resent = t->resent_bytes,
        .in_flight = t->in_flight_bytes,
        .unsent = t->queued_bytes - TARN_MIN(t->unacked_bytes, t->queued_bytes),
        .unread = t->unread_bytes,
        .out_of_order = t->out_of_order_bytes,
        .retransmits = t->retransmits,
        .timeouts = t->timeouts,
        .tail_probes = t->tail_probes,
        .spurious_recoveries = t->spurious_recoveries,
        .reordering = t->reordering_segments,
        .srtt = t->srtt,
        .rttvar = t->rttvar,
        .rtt_min = t->rtt_min,
        .rto = t->rto,
        .segments_in = t->segments_in,
        .segments_out = t->segments_out,
        .data_segments_in = t->data_segments_in,
        .data_segments_out = t->data_segments_out,
        .out_of_order_segments = t->out_of_order_segments,
        .duplicate_segments = t->duplicate_segments,
        .accurate_ecn = t->accurate_ecn,
        .fast_open = t->syn_data_acked,
        .bytes_sent = t->bytes_sent,
        .bytes_resent = t->bytes_resent,
        .ce_bytes = t->ce_bytes,
        .since_data_in = t->since_data_in,
        .since_ack_in = t->since_ack_in,
        .since_data_out = t->since_data_out,
        .busy = t->busy,
        .window_limited = t->window_limited,
        .buffer_limited = t->buffer_limited,
        .bytes_acked = t->bytes_acked,
        .bytes_received = t->bytes_received,
    };
    (void)snprintf(info.state, sizeof info.state, "%s", tarn_tcp_state_name(t->state));
    (void)snprintf(info.congestion, sizeof info.congestion, "%s", t->cc);
    return info;
}

int tarn_surface_info(struct tarn_surface *host, int fd, struct tarn_surface_info *out,
                      size_t bytes) {
    struct socket *s = socket_of(host, fd);
    struct tarn_tcp_info t = {.state = TARN_TCP_CLOSED, .cc = ""};
    if (!s)
        return -EBADF;
    if (s->listener)
        t.state = TARN_TCP_LISTEN;
    tarn_tcp_tick(host->tcp, host->now); /* counters of time go as far as that */
    if (s->flow && tarn_tcp_info(s->flow, &t) != TARN_OK)
        return -EINVAL;
    struct tarn_surface_info info = info_from(&t);
    memcpy(out, &info, TARN_MIN(bytes, sizeof info));
    return 0;
}
