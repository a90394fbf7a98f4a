/* SPDX-License-Identifier: ISC */
/* TCP Fast Open (RFC 7413): data with a SYN, from who shows a cookie that was given to its address.
 *
 * A passive side makes a connection of such a SYN at once, and answers with data before the
 * handshake is over; until then its SYN-ACK is sent again with every timeout. How many may be in
 * this state is bounded (section 5.1). An active side keeps cookies in a table that every address
 * has one place in: another that falls on the same takes it. */
#include "internal.h"

#define COOKIE_BYTES 8u
#define KEY_LIFE TARN_SEC(3600) /* a cookie is good for one to two of these (section 4.1.2) */

/* -- cookies that we give -- */

static uint64_t cookie_for(const struct tarn_hash_key *key, const struct tarn_ip_addr *peer) {
    return tarn_hash(key, TARN_SPAN_ARRAY(peer->bytes));
}

static void rotate(struct tarn_tcp *tcp) {
    struct tcp_fast_open *f = &tcp->fast_open;
    if (f->has_key && tcp->now - f->key_since < KEY_LIFE)
        return;
    bool recent = f->has_key && tcp->now - f->key_since < 2 * KEY_LIFE;
    if (recent)
        f->key_before = f->key;
    tarn_hash_key_init(&f->key, tcp->config.random);
    if (!recent)
        f->key_before = f->key;
    f->key_since = tcp->now;
    f->has_key = true;
}

struct tarn_span tcp_fast_open_cookie(struct tarn_tcp *tcp, const struct tarn_ip_addr *peer,
                                      struct tarn_bytes out) {
    rotate(tcp);
    struct tarn_writer w = tarn_writer_over(out);
    tarn_writer_u64be(&w, cookie_for(&tcp->fast_open.key, peer));
    return tarn_writer_span(&w);
}

static bool cookie_is_by(const struct tarn_hash_key *key, const struct tcp_segment *syn) {
    struct tarn_span s = syn->opt.cookie;
    uint64_t cookie;
    return syn->opt.has_cookie && tarn_span_u64be(&s, &cookie) && s.len == 0
           && cookie == cookie_for(key, &syn->meta->src);
}

static bool cookie_is_good(struct tarn_tcp *tcp, const struct tcp_segment *syn) {
    rotate(tcp);
    return cookie_is_by(&tcp->fast_open.key, syn) || cookie_is_by(&tcp->fast_open.key_before, syn);
}

/* -- the passive side -- */

bool tcp_fast_open_allows(struct tarn_tcp *tcp, const struct tcp_segment *syn) {
    bool anybody = tcp->config.options.fast_open_without_cookie;
    if (!tcp->config.options.fast_open)
        return false;
    if (!anybody && (!syn->opt.has_cookie || syn->opt.cookie.len == 0))
        return false;
    if (!anybody && !cookie_is_good(tcp, syn)) {
        tcp->stats.fast_open_bad_cookies++;
        return false;
    }
    if (syn->len > 0 && tcp->fast_open.pending >= tcp->config.limits.fast_open_pending_max) {
        tcp->stats.fast_open_refused++;
        return false;
    }
    return syn->len > 0;
}

/* Whoever has one of the newest key needs no other (section 4.1.2). */
bool tcp_fast_open_has_cookie(struct tarn_tcp *tcp, const struct tcp_segment *syn) {
    rotate(tcp);
    return cookie_is_by(&tcp->fast_open.key, syn);
}

/* `c` is what the SYN says, and established but for the peer's word. A FIN waits for its
 * retransmission. */
void tcp_fast_open_begin(struct tcp_conn *c, struct tcp_segment *syn) {
    c->fast_open = true;
    c->tcp->fast_open.pending++;
    c->tcp->stats.fast_opens_passive++;
    c->syn_data_acked = true;
    c->syn_due = true;
    syn->seq++;
    syn->len = TARN_MIN(syn->len, c->rcv_adv - c->rcv_nxt);
    tarn_pkt_trim(syn->pkt, syn->len);
    tcp_receive_data(c, syn);
    tcp_conn_dirty(c);
}

void tcp_fast_open_end(struct tcp_conn *c) {
    if (!c->fast_open)
        return;
    c->fast_open = false;
    c->tcp->fast_open.pending--;
}

/* The peer's SYN, once more: our answer was lost. */
bool tcp_fast_open_again(struct tcp_conn *c, const struct tcp_segment *seg) {
    uint32_t irs = c->rcv_nxt - (uint32_t)c->bytes_received - 1;
    if (!c->fast_open || (seg->flags & (TCP_SYN | TCP_ACK)) != TCP_SYN || seg->seq != irs)
        return false;
    c->syn_due = true;
    tcp_conn_dirty(c);
    return true;
}

/* -- cookies that we were given -- */

static struct tcp_peer_cookie *place_of(const struct tarn_tcp *tcp,
                                        const struct tarn_ip_addr *peer) {
    uint32_t count = tcp->config.limits.fast_open_peers_max;
    uint64_t hash = tarn_hash(&tcp->port_key, TARN_SPAN_ARRAY(peer->bytes));
    return &TARN_AT_N(tcp->fast_open.peers, count, (uint32_t)(hash % count));
}

static struct tcp_peer_cookie *cookie_of(const struct tarn_tcp *tcp,
                                         const struct tarn_ip_addr *peer) {
    struct tcp_peer_cookie *p = place_of(tcp, peer);
    return p->len > 0 && tarn_ip_addr_equal(&p->addr, peer) ? p : NULL;
}

/* From a SYN-ACK. */
void tcp_fast_open_learn(struct tcp_conn *c, const struct tcp_options *opt) {
    if (!c->tcp->config.options.fast_open)
        return;
    struct tcp_peer_cookie *p = cookie_of(c->tcp, &c->remote);
    if (p)
        p->mss = c->peer_mss; /* section 4.1.3 */
    if (!opt->has_cookie || opt->cookie.len == 0)
        return;
    p = place_of(c->tcp, &c->remote);
    *p = (struct tcp_peer_cookie){
        .addr = c->remote, .mss = c->peer_mss, .experimental = opt->cookie_experimental};
    p->len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(p->cookie), opt->cookie);
}

/* Section 4.1.3.1: what swallows such a SYN is not tried again. Its data may still have arrived. */
void tcp_fast_open_forget(struct tcp_conn *c) {
    struct tcp_peer_cookie *p;
    if (c->syn_data > 0 && (p = cookie_of(c->tcp, &c->remote)))
        p->len = 0;
    c->fast_open_wanted = false;
}

/* -- the active side -- */

static uint32_t data_room(uint32_t peer_mss, uint16_t mtu, const struct tarn_ip_addr *remote) {
    uint32_t mss = TARN_MIN(peer_mss, (uint32_t)tcp_mss_for_mtu(mtu, remote));
    return mss > TCP_OPTIONS_BYTES_MAX ? mss - TCP_OPTIONS_BYTES_MAX : 0;
}

static uint32_t syn_data_of(const struct tcp_conn *c, uint32_t peer_mss) {
    return TARN_MIN(c->snd_end - c->snd_nxt, data_room(peer_mss, c->path_mtu, &c->remote));
}

/* What goes into the option of a SYN: a cookie, or the wish for one; and how much data with it. */
uint32_t tcp_fast_open_syn(struct tcp_conn *c, struct tcp_options *opt) {
    if (!c->fast_open_wanted || c->timeouts > 0)
        return 0;
    opt->has_cookie = true;
    struct tcp_peer_cookie *p = cookie_of(c->tcp, &c->remote);
    if (!p && c->tcp->config.options.fast_open_without_cookie) {
        opt->has_cookie = false;
        return syn_data_of(c, TCP_MSS_DEFAULT);
    }
    if (!p)
        return 0;
    opt->cookie_experimental = p->experimental;
    opt->cookie = tarn_span_first(TARN_SPAN_ARRAY(p->cookie), p->len);
    return syn_data_of(c, p->mss);
}

/* The SYN-ACK covers `n` bytes of what went with the SYN. */
void tcp_fast_open_acked(struct tcp_conn *c, uint32_t n) {
    if (n == 0)
        return;
    c->tcp->stats.fast_opens_active++;
    c->syn_data_acked = true;
    tcp_queue_advance(&c->piece_nxt, &c->piece_nxt_off, n);
    c->snd_nxt += n;
    if (c->snd_nxt == c->snd_end)
        c->piece_nxt = NULL;
    tcp_queue_acked(c, n);
    c->bytes_acked += n;
}

uint32_t tarn_tcp_fast_open_room(const struct tarn_tcp *tcp, const struct tarn_ip_addr *remote) {
    const struct tcp_peer_cookie *p = tcp->config.options.fast_open ? cookie_of(tcp, remote) : NULL;
    struct tarn_ip_lower *lower = tcp->config.lower;
    struct tarn_ip_route route;
    if (!p && !(tcp->config.options.fast_open && tcp->config.options.fast_open_without_cookie))
        return 0;
    if (lower->ops->route(lower, &TARN_IP_ADDR_NONE, remote, &route) != TARN_OK)
        return 0;
    return data_room(p ? p->mss : TCP_MSS_DEFAULT, route.mtu, remote);
}

enum tarn_err tarn_tcp_connect_with(struct tarn_tcp *tcp, const struct tarn_endpoint *local,
                                    const struct tarn_endpoint *remote, struct tarn_span data,
                                    tarn_time now, struct tarn_flow **out, size_t *n) {
    *n = 0;
    enum tarn_err err = tarn_tcp_connect(tcp, local, remote, now, out);
    if (err)
        return err;
    struct tcp_conn *c = TARN_CONTAINER_OF(*out, struct tcp_conn, flow);
    *n = tcp_queue_copy(c, data);
    c->want_write = *n < data.len;
    c->fast_open_wanted = tcp->config.options.fast_open;
    return TARN_OK;
}
