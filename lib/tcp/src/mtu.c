/* SPDX-License-Identifier: ISC */
/* Path MTU discovery by what arrives (RFC 8899, RFC 4821): where full segments vanish and no router
 * says why, smaller ones are sent; and where they became smaller, now and then one data segment is
 * larger again. It is not congestion when that one is lost (RFC 4821 section 7.5). */
#include "internal.h"

#define BLACK_HOLE_TIMEOUTS 2u
#define BLACK_HOLE_TIMEOUTS_PROVEN 3u /* where full segments have passed before */
#define MTU_SAFE 1280u                /* BASE_PLPMTU, for IPv4 too, which goes on to ... */
#define MTU_SAFE_V4 576u              /* ... what every host takes (RFC 791) */
#define MTU_STEP 32u                  /* a search ends where it is this close */
#define PROBES_MAX 3u                 /* RFC 8899 section 5.1.2 */
#define RAISE_S 600u                  /* PMTU_RAISE_TIMER, section 5.1.1 */
#define SEGMENTS_BEHIND 3u            /* whose SACKs show that the probe is lost */

/* What the route and the peer allow. */
static uint32_t ceiling(const struct tcp_conn *c) {
    struct tarn_ip_lower *lower = c->tcp->config.lower;
    struct tarn_ip_route route;
    if (lower->ops->route(lower, &c->local, &c->remote, &route) != TARN_OK)
        return c->path_mtu;
    uint32_t headers = route.mtu - tcp_mss_for_mtu(route.mtu, &c->remote);
    return TARN_MIN((uint32_t)route.mtu, c->peer_mss + headers);
}

static uint16_t now_s(const struct tcp_conn *c) {
    return (uint16_t)(c->tcp->now / TARN_SEC(1));
}

static bool is_time(const struct tcp_conn *c) {
    return (int16_t)(now_s(c) - c->mtu_next_s) >= 0;
}

/* `failed` 0: somebody said what fits; what is more may fit later. */
void tcp_mtu_lowered(struct tcp_conn *c, uint16_t mtu, uint16_t failed) {
    c->path_mtu = mtu;
    c->mtu_search = true;
    c->mtu_high = (uint16_t)(failed ? failed - 1 : 0);
    c->mtu_tries = 0;
    c->mtu_proven = false;
    c->mtu_next_s = (uint16_t)(now_s(c) + (failed ? 0 : RAISE_S));
    tcp_conn_set_mss(c);
}

bool tcp_mtu_timeout(struct tcp_conn *c) {
    uint16_t before = c->path_mtu;
    tcp_conn_route(c);
    if (c->path_mtu < before) {
        tcp_mtu_lowered(c, c->path_mtu, 0);
        return true;
    }
    c->path_mtu = before;
    uint8_t most = c->mtu_proven ? BLACK_HOLE_TIMEOUTS_PROVEN : BLACK_HOLE_TIMEOUTS;
    uint16_t safe = before > MTU_SAFE || !tarn_ip_addr_is_v4(&c->remote) ? MTU_SAFE : MTU_SAFE_V4;
    if (c->backoffs < most || before <= safe || c->flight->sent->len + (before - safe) <= c->mss)
        return false;
    tcp_mtu_lowered(c, safe, before);
    return true;
}

/* Once in a search, and then between what fits and what does not. */
static uint32_t next_size(struct tcp_conn *c) {
    uint32_t most = ceiling(c);
    if (c->mtu_high == 0)
        return most;
    return (c->path_mtu + TARN_MIN((uint32_t)c->mtu_high, most) + 1) / 2;
}

bool tcp_mtu_probe(struct tcp_conn *c) {
    if (!c->mtu_search || c->fin_sent || c->recovery != TCP_OPEN || !is_time(c)
        || (c->flight && c->flight->mtu_probe))
        return false;
    uint32_t mtu = next_size(c), larger = mtu - c->path_mtu;
    if (mtu < c->path_mtu + (c->mtu_high ? MTU_STEP / 2 : 1)) {
        c->mtu_high = 0;
        c->mtu_next_s = (uint16_t)(now_s(c) + RAISE_S);
        c->mtu_search = ceiling(c) > c->path_mtu;
        return false;
    }
    uint32_t len = c->mss + larger, behind = SEGMENTS_BEHIND * c->mss;
    if (c->snd_end - c->snd_nxt < len + behind || c->cc.cwnd < len + behind
        || seq_lt(c->snd_una + c->snd_wnd, c->snd_nxt + len))
        return false;
    if (tcp_send_budget(c) < len)
        return true;
    if (tcp_send_probe(c, len))
        c->flight->mtu_probe = (uint16_t)mtu;
    return false;
}

void tcp_mtu_probe_acked(struct tcp_conn *c) {
    c->path_mtu = c->flight->mtu_probe;
    c->flight->mtu_probe = 0;
    c->mtu_tries = 0;
    c->mtu_proven = true;
    if (c->mtu_high == 0)
        c->mtu_search = false; /* there is no more to be had */
    tcp_conn_set_mss(c);
}

void tcp_mtu_probe_lost(struct tcp_conn *c) {
    uint16_t mtu = c->flight->mtu_probe;
    c->flight->mtu_probe = 0;
    if (c->mtu_tries + 1u < PROBES_MAX) {
        c->mtu_tries++;
        return;
    }
    c->mtu_tries = 0;
    c->mtu_high = (uint16_t)(mtu - 1);
}
