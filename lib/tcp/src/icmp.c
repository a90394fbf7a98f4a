/* SPDX-License-Identifier: ISC */
/* ICMP errors (RFC 5927): anybody may have written one, so it counts only where it quotes what is
 * in flight, ends only what has not begun, and lowers the MTU only where that much was sent. */
#include "internal.h"

#define MTU_MIN_V4                                                                                 \
    552u /* what is below is an attack more often than a path (RFC 5927 section 7.3) */
#define MTU_MIN_V6 1280u

static void take_mtu(struct tcp_conn *c, uint32_t mtu) {
    uint32_t least = tarn_ip_addr_is_v4(&c->remote) ? MTU_MIN_V4 : MTU_MIN_V6;
    if (mtu == 0)
        mtu = least; /* a router older than RFC 1191 */
    mtu = TARN_MAX(mtu, least);
    if (mtu >= c->path_mtu)
        return;
    tcp_mtu_lowered(c, (uint16_t)mtu, 0);
    /* It was data with the SYN that was too large: the SYN goes alone (RFC 7413 section 4.1.3). */
    if (c->state == TARN_TCP_SYN_SENT && c->syn_data > 0) {
        c->fast_open_wanted = false;
        c->syn_data = 0;
        c->syn_due = true;
    }
    /* What is in flight was too big, all of it: at once again, without blaming congestion. */
    if (c->flight) {
        struct tcp_sent *s = c->flight->sent;
        do {
            if (s->len > c->mss)
                tcp_sent_lost(c, s);
            s = s->next;
        } while (s != c->flight->sent);
    }
    tcp_conn_dirty(c);
}

static bool ends_attempt(enum tarn_ip_error error) {
    return error == TARN_IP_ERROR_PORT || error == TARN_IP_ERROR_PROHIBITED;
}

static void apply(struct tcp_conn *c, enum tarn_ip_error error, uint32_t mtu) {
    struct tarn_tcp *tcp = c->tcp;
    bool opening = c->state == TARN_TCP_SYN_SENT || c->state == TARN_TCP_SYN_RECEIVED;
    tcp->stats.icmp_taken++;
    if (error == TARN_IP_ERROR_TOO_BIG) {
        take_mtu(c, mtu);
    } else if (opening && ends_attempt(error)) {
        tcp->stats.failed_refused++;
        tcp_conn_end(c, TARN_IO);
    }
}

void tarn_tcp_error(struct tarn_tcp *tcp, const struct tarn_ip_meta *meta, enum tarn_ip_error error,
                    uint32_t mtu, struct tarn_span quoted, tarn_time now) {
    uint16_t local_port, remote_port;
    uint32_t seq;
    tcp->now = TARN_MAX(tcp->now, now);
    if (!tarn_span_u16be(&quoted, &local_port) || !tarn_span_u16be(&quoted, &remote_port)
        || !tarn_span_u32be(&quoted, &seq)) {
        tcp->stats.drop_icmp++;
        return;
    }
    struct tcp_conn *c = tcp_conn_find(tcp, &meta->src, local_port, &meta->dst, remote_port);
    if (!c || c->snd_una == c->snd_nxt || !seq_le(c->snd_una, seq) || !seq_lt(seq, c->snd_nxt))
        tcp->stats.drop_icmp++;
    else
        apply(c, error, mtu);
}
