/* SPDX-License-Identifier: ISC */
/* Listeners, and passive connections until their handshake is over: a small record in the SYN
 * queue, or nothing at all (cookie.c), and then a connection in the accept queue. */
#include "internal.h"

static uint64_t port_hash(struct tarn_tcp *tcp, uint16_t port) {
    return tarn_hash(&tcp->key, TARN_SPAN_ARRAY(((uint16_t[]){port})));
}

static struct tcp_listener *find_exact(struct tarn_tcp *tcp, const struct tarn_ip_addr *addr,
                                       uint16_t port) {
    struct tarn_map_link *link = tarn_map_first(&tcp->listener_map, port_hash(tcp, port));
    for (; link; link = tarn_map_following(link)) {
        struct tcp_listener *l = TARN_CONTAINER_OF(link, struct tcp_listener, by_port);
        if (l->local.port == port && tarn_ip_addr_equal(&l->local.addr, addr))
            return l;
    }
    return NULL;
}

struct tcp_listener *tcp_listener_find(struct tarn_tcp *tcp, const struct tarn_ip_addr *addr,
                                       uint16_t port) {
    struct tcp_listener *l = find_exact(tcp, addr, port);
    l = l ? l : find_exact(tcp, &TARN_IP_ADDR_NONE, port);
    return l ? l : tcp->stand_in;
}

static void listener_run(struct tarn_task *task) {
    struct tcp_listener *l = TARN_CONTAINER_OF(task, struct tcp_listener, task);
    if (l->listener.on_event)
        l->listener.on_event(&l->listener);
}

static enum tarn_err listener_accept(struct tarn_listener *listener, struct tarn_flow **out) {
    struct tcp_listener *l = TARN_CONTAINER_OF(listener, struct tcp_listener, listener);
    if (ring_is_empty(&l->accept_queue))
        return TARN_AGAIN;
    struct tcp_conn *c = TARN_CONTAINER_OF(l->accept_queue.next, struct tcp_conn, queue);
    ring_remove(&c->queue);
    l->accept_count--;
    c->listener = NULL;
    *out = &c->flow;
    return TARN_OK;
}

static void listener_close(struct tarn_listener *listener) {
    struct tcp_listener *l = TARN_CONTAINER_OF(listener, struct tcp_listener, listener);
    struct tarn_tcp *tcp = l->tcp;
    while (!ring_is_empty(&l->accept_queue)) {
        struct tcp_conn *c = TARN_CONTAINER_OF(l->accept_queue.next, struct tcp_conn, queue);
        tcp_send_reset(c);
        tcp_conn_end(c, TARN_EOF);
    }
    tcp_calls_end(l);
    tarn_task_cancel(&l->task);
    if (l == tcp->stand_in)
        tcp->stand_in = NULL;
    else
        tarn_map_remove(&tcp->listener_map, &l->by_port);
    tarn_pool_put(&tcp->listeners, l);
}

static const struct tarn_listener_ops listener_ops = {
    .accept = listener_accept,
    .close = listener_close,
};

bool tcp_listener_owns(const struct tarn_listener *listener) {
    return listener->ops == &listener_ops;
}

struct tcp_listener *tcp_listener_new(struct tarn_tcp *tcp, const struct tarn_endpoint *local,
                                      uint32_t backlog) {
    struct tcp_listener *l = tarn_pool_take(&tcp->listeners);
    if (!l)
        return NULL;
    *l = (struct tcp_listener){
        .listener = {.ops = &listener_ops},
        .task = {.run = listener_run},
        .tcp = tcp,
        .local = *local,
        .backlog = TARN_MAX(backlog, 1u),
    };
    ring_init(&l->accept_queue);
    ring_init(&l->calls);
    return l;
}

enum tarn_err tarn_tcp_listen(struct tarn_tcp *tcp, const struct tarn_endpoint *local,
                              uint32_t backlog, struct tarn_listener **out) {
    struct tarn_ip_addr addr = tarn_ip_addr_is_any(&local->addr) ? TARN_IP_ADDR_NONE : local->addr;
    struct tarn_endpoint at = {addr, local->port};
    if (local->port == 0)
        return TARN_INVALID;
    if (find_exact(tcp, &addr, local->port))
        return TARN_LIMIT;
    struct tcp_listener *l = tcp_listener_new(tcp, &at, backlog);
    if (!l)
        return TARN_LIMIT;
    tarn_map_insert(&tcp->listener_map, &l->by_port, port_hash(tcp, local->port));
    *out = &l->listener;
    return TARN_OK;
}

/* -- the SYN queue -- */

static uint64_t half_hash(struct tarn_tcp *tcp, const struct tcp_segment *seg) {
    return tcp_tuple_hash(&tcp->key, &seg->meta->dst, seg->dst_port, &seg->meta->src,
                          seg->src_port);
}

struct tcp_half *tcp_half_find(struct tarn_tcp *tcp, const struct tcp_segment *seg) {
    struct tarn_map_link *link = tarn_map_first(&tcp->half_map, half_hash(tcp, seg));
    for (; link; link = tarn_map_following(link)) {
        struct tcp_half *h = TARN_CONTAINER_OF(link, struct tcp_half, by_tuple);
        if (h->local_port == seg->dst_port && h->remote_port == seg->src_port
            && tarn_ip_addr_equal(&h->remote, &seg->meta->src)
            && tarn_ip_addr_equal(&h->local, &seg->meta->dst))
            return h;
    }
    return NULL;
}

void tcp_half_free(struct tarn_tcp *tcp, struct tcp_half *half) {
    ring_remove(&half->call);
    tarn_map_remove(&tcp->half_map, &half->by_tuple);
    tarn_timer_clear(&tcp->half_timers, &half->timer);
    tarn_pool_put(&tcp->halves, half);
}

/* What a SYN says, and what we make of it. */
static struct tcp_half half_from_syn(struct tarn_tcp *tcp, const struct tcp_segment *seg) {
    const struct tarn_tcp_options *o = &tcp->config.options;
    const struct tarn_ip_meta *meta = seg->meta;
    return (struct tcp_half){
        .local = meta->dst,
        .remote = meta->src,
        .local_port = seg->dst_port,
        .remote_port = seg->src_port,
        .irs = seg->seq,
        .ts_recent = seg->opt.tsval,
        .ts_offset = tcp_ts_offset(tcp, &meta->dst, seg->dst_port, &meta->src, seg->src_port),
        .mss = seg->opt.mss ? seg->opt.mss : (uint16_t)TCP_MSS_DEFAULT,
        .wscale = seg->opt.wscale,
        .sack_ok = seg->opt.sack_ok && !o->no_sack,
        .ts_ok = seg->opt.has_ts && !o->no_timestamps,
        .wscale_ok = seg->opt.has_wscale && !o->no_window_scale,
        .cookie_due = o->fast_open && seg->opt.has_cookie,
        .cookie_experimental = seg->opt.cookie_experimental,
    };
}

/* Before a connection's own window is known, of a SYN-ACK. */
static uint32_t first_window(const struct tarn_tcp *tcp, const struct tcp_listener *l) {
    uint32_t own = l ? l->budget.rcv_buf_bytes : 0;
    return TARN_MIN(own ? own : tcp->config.limits.rcv_buf_bytes_min, 65535u);
}

static const struct tcp_listener *listener_of(const struct tarn_tcp *tcp,
                                              const struct tcp_half *half) {
    return tarn_pool_get(&tcp->listeners, half->listener);
}

static void half_header(struct tarn_tcp *tcp, const struct tcp_half *half, struct tcp_header *h) {
    *h = (struct tcp_header){
        .local = half->local,
        .remote = half->remote,
        .local_port = half->local_port,
        .remote_port = half->remote_port,
        .seq = half->iss,
        .ack = half->irs + 1,
        .wnd = (uint16_t)first_window(tcp, listener_of(tcp, half)),
        .flags = TCP_ACK,
        .opt = {.has_ts = half->ts_ok,
                .tsval = now_ms(tcp) + half->ts_offset,
                .tsecr = half->ts_recent},
    };
}

/* `tsval` other than 0: what a cookie hides in the timestamp. */
static void send_syn_ack(struct tarn_tcp *tcp, const struct tcp_half *half, const uint32_t *tsval) {
    uint8_t cookie[16];
    struct tarn_ip_lower *lower = tcp->config.lower;
    struct tarn_ip_route route;
    if (lower->ops->route(lower, &half->local, &half->remote, &route) != TARN_OK) {
        tcp->stats.no_route++;
        return;
    }
    struct tcp_header h;
    half_header(tcp, half, &h);
    h.flags |= TCP_SYN;
    /* RFC 9768 section 3.2.3.2.2: again without the option, and the third time without flags. */
    if (half->ecn_ok && !half->accecn)
        tcp_ace_put(&h, 1);
    else if (half->accecn && half->tries <= 2)
        tcp_ace_put(&h, tcp_ace_of_syn(half->syn_ecn));
    if (half->accecn && !half->accecn_lost && !half->cookie_due
        && !tcp->config.options.no_accecn_option)
        tcp_ecn_option_first(&h);
    const struct tcp_listener *l = listener_of(tcp, half);
    h.opt.mss = tcp_mss_for_mtu(route.mtu, &half->remote);
    if (l && l->budget.mss_max && l->budget.mss_max < h.opt.mss)
        h.opt.mss = l->budget.mss_max;
    h.opt.sack_ok = half->sack_ok;
    h.opt.has_wscale = half->wscale_ok;
    h.opt.wscale = tcp_wscale_for(tcp->config.limits.rcv_buf_bytes_max);
    if (tsval)
        h.opt.tsval = *tsval;
    h.opt.has_cookie = half->cookie_due;
    h.opt.cookie_experimental = half->cookie_experimental;
    if (half->cookie_due)
        h.opt.cookie = tcp_fast_open_cookie(tcp, &half->remote, TARN_BYTES_ARRAY(cookie));
    struct tarn_pkt *pkt = tcp_segment_new(tcp, &h);
    if (pkt)
        tcp_segment_send(tcp, &h, pkt, 0, 0);
}

static void send_half_ack(struct tarn_tcp *tcp, const struct tcp_half *half) {
    struct tcp_header h;
    half_header(tcp, half, &h);
    h.seq++;
    struct tarn_pkt *pkt = tcp_segment_new(tcp, &h);
    if (pkt)
        tcp_segment_send(tcp, &h, pkt, 0, 0);
}

static void answer_with_cookie(struct tarn_tcp *tcp, struct tcp_half *half,
                               const struct tcp_segment *seg) {
    if (tcp->config.options.no_syn_cookies) {
        tcp->stats.drop_syn_queue++;
        return;
    }
    uint32_t tsval = tcp_cookie_tsval(tcp, half);
    half->iss = tcp_cookie_make(tcp, seg, &half->mss);
    tcp->cookies_until = tarn_time_after(tcp->now, TARN_SEC(192));
    tcp->stats.syn_cookies_sent++;
    half->ecn_ok = half->accecn = false; /* the cookie has no room for it */
    send_syn_ack(tcp, half, half->ts_ok ? &tsval : NULL);
}

/* The handshake is over: a connection like `half` says, waiting for accept. NULL: no room; the peer
 * will try again. */
static struct tcp_conn *establish(struct tarn_tcp *tcp, struct tcp_listener *l,
                                  const struct tcp_half *half, struct tcp_segment *seg) {
    if (l->accept_count >= l->backlog) {
        tcp->stats.drop_accept_queue++;
        return NULL;
    }
    struct tarn_endpoint local = {half->local, half->local_port};
    struct tarn_endpoint remote = {half->remote, half->remote_port};
    struct tcp_conn *c = tcp_conn_new(tcp, &local, &remote);
    if (!c)
        return NULL;
    struct tcp_options peer = {
        .mss = half->mss,
        .has_wscale = half->wscale_ok,
        .wscale = half->wscale,
        .sack_ok = half->sack_ok,
        .has_ts = half->ts_ok,
        .tsval = half->ts_recent,
    };
    c->path_mtu = 576;
    if (tcp_budget_is_set(&l->budget))
        (void)tcp_budget_set(c, &l->budget);
    tcp_conn_route(c);
    tcp_conn_negotiate(c, &peer);
    tcp_ecn_begins(c, half, seg);
    c->snd_una = c->snd_nxt = c->snd_end = c->snd_small = half->iss + 1;
    c->rcv_nxt = c->rcv_acked = half->irs + 1;
    c->rcv_adv = c->rcv_nxt + TARN_MIN(c->rcv_buf, 65535u);
    /* A SYN's window is not scaled (RFC 7323 section 2.2). */
    c->snd_wnd = c->snd_wnd_max = (uint32_t)seg->wnd << (seg->flags & TCP_SYN ? 0 : c->snd_wscale);
    c->snd_wl1 = seg->seq;
    c->timeouts = half->tries > 1 ? 1 : 0;
    tcp_conn_established(c);
    if (half->tries == 1)
        tcp_rtt_sample(c, TARN_MAX(now_us(tcp) - half->sent_us, 1u));
    c->listener = l;
    ring_push(&l->accept_queue, &c->queue);
    l->accept_count++;
    tcp->stats.opens_passive++;
    tarn_task_post(tcp->config.tasks, &l->task);
    return c;
}

void tcp_listen_syn(struct tarn_tcp *tcp, struct tcp_listener *l, struct tcp_segment *seg,
                    const uint32_t *iss) {
    if (l->accept_count >= l->backlog) {
        tcp->stats.drop_accept_queue++;
        return;
    }
    struct tcp_half want = half_from_syn(tcp, seg);
    want.listener = tarn_pool_handle(&tcp->listeners, l);
    want.iss =
        iss ? *iss : tcp_isn(tcp, &want.local, want.local_port, &want.remote, want.remote_port);
    tcp_ecn_asked(tcp, seg, &want);
    if (l != tcp->stand_in && tcp_fast_open_allows(tcp, seg)) {
        want.accecn = false; /* whose counts would begin with a segment that is not the first */
        struct tcp_conn *c = establish(tcp, l, &want, seg);
        if (c)
            tcp_fast_open_begin(c, seg);
        return;
    }
    want.cookie_due = want.cookie_due && !tcp_fast_open_has_cookie(tcp, seg);
    struct tcp_half *half = tarn_pool_take(&tcp->halves);
    if (!half && l == tcp->stand_in) {
        tcp->stats.drop_syn_queue++;
        return;
    }
    if (!half) {
        answer_with_cookie(tcp, &want, seg);
        return;
    }
    *half = want;
    tarn_map_insert(&tcp->half_map, &half->by_tuple, half_hash(tcp, seg));
    if (l == tcp->stand_in)
        tcp_call_begin(l, half);
    else
        tcp_half_start(tcp, half);
}

void tcp_half_start(struct tarn_tcp *tcp, struct tcp_half *half) {
    half->sent_us = now_us(tcp);
    half->tries = 1;
    tarn_timer_set(&tcp->half_timers, &half->timer,
                   tarn_time_after(tcp->now, TARN_US(TCP_RTO_INITIAL_US)));
    send_syn_ack(tcp, half, NULL);
}

void tcp_half_timer(struct tarn_tcp *tcp, struct tcp_half *half) {
    if (half->held || half->tries > TCP_SYN_ACK_TRIES_MAX
        || !tarn_pool_get(&tcp->listeners, half->listener)) {
        tcp_half_free(tcp, half);
        return;
    }
    tarn_timer_set(&tcp->half_timers, &half->timer,
                   tarn_time_after(tcp->now, TARN_US(TCP_RTO_INITIAL_US) << half->tries));
    half->tries++;
    half->accecn_lost = true;
    tcp->stats.retransmits++;
    send_syn_ack(tcp, half, NULL);
}

static bool half_accepts(const struct tarn_tcp *tcp, const struct tcp_half *half,
                         const struct tcp_segment *seg) {
    uint32_t next = half->irs + 1;
    uint32_t edge = next + first_window(tcp, listener_of(tcp, half));
    uint32_t end = seg->seq + segment_space(seg);
    return seg->seq == next || (seq_lt(next, end) && seq_lt(seg->seq, edge))
           || (seg->seq == edge && end == edge);
}

static void half_reset_input(struct tarn_tcp *tcp, struct tcp_half *half,
                             const struct tcp_segment *seg) {
    if (seg->seq == half->irs + 1) { /* RFC 5961 section 3.2 */
        tcp_half_free(tcp, half);
        return;
    }
    tcp->stats.drop_bad_reset++;
    if (half_accepts(tcp, half, seg) && tcp_may_challenge(tcp))
        send_half_ack(tcp, half);
}

void tcp_half_input(struct tarn_tcp *tcp, struct tcp_half *half, struct tcp_segment *seg) {
    struct tcp_listener *l = tarn_pool_get(&tcp->listeners, half->listener);
    bool old = half->ts_ok && seg->opt.has_ts && seq_lt(seg->opt.tsval, half->ts_recent);
    if (!l) {
        tcp_half_free(tcp, half);
        tcp_listen_input(tcp, seg);
    } else if (half->held) {
        tcp_call_input(tcp, half, seg);
    } else if (seg->flags & TCP_RST) {
        half_reset_input(tcp, half, seg);
    } else if ((seg->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && seg->seq == half->irs) {
        half->accecn_lost = true;
        send_syn_ack(tcp, half, NULL);
    } else if (seg->flags & TCP_ACK && seg->ack != half->iss + 1) {
        tcp->stats.drop_bad_ack++;
        tcp_reset_answer(tcp, seg);
    } else if (old || !half_accepts(tcp, half, seg)) {
        tcp->stats.drop_out_of_window++;
        send_half_ack(tcp, half);
    } else if (seg->flags & TCP_SYN) {
        /* RFC 9293 section 3.10.7.4: back to LISTEN. */
        tcp->stats.drop_flags++;
        tcp_reset_answer(tcp, seg);
        tcp_half_free(tcp, half);
    } else if (!(seg->flags & TCP_ACK)) {
        tcp->stats.drop_flags++;
    } else {
        struct tcp_conn *c = establish(tcp, l, half, seg);
        if (!c)
            return;
        tcp_half_free(tcp, half);
        tcp_conn_input(c, seg);
    }
}

/* An ACK for nothing that we remember may answer a cookie. */
static bool accept_cookie(struct tarn_tcp *tcp, struct tcp_listener *l, struct tcp_segment *seg) {
    struct tcp_half half = half_from_syn(tcp, seg);
    if (l == tcp->stand_in || tcp->now >= tcp->cookies_until || !tcp_cookie_check(tcp, seg, &half))
        return false;
    tcp->stats.syn_cookies_good++;
    struct tcp_conn *c = establish(tcp, l, &half, seg);
    if (c)
        tcp_conn_input(c, seg);
    return true;
}

void tcp_listen_input(struct tarn_tcp *tcp, struct tcp_segment *seg) {
    struct tcp_listener *l = tcp_listener_find(tcp, &seg->meta->dst, seg->dst_port);
    uint8_t kind = seg->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN);
    if (seg->flags & TCP_RST) {
        tcp->stats.drop_bad_reset++;
    } else if (l && kind == TCP_SYN) {
        tcp_listen_syn(tcp, l, seg, NULL);
    } else if (l && !(seg->flags & TCP_ACK)) {
        tcp->stats.drop_flags++;
    } else if (!l || kind & TCP_SYN || !accept_cookie(tcp, l, seg)) {
        tcp->stats.drop_no_connection++;
        tcp_reset_answer(tcp, seg);
    }
}
