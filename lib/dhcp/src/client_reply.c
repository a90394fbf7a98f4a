/* SPDX-License-Identifier: ISC */
/* What a server says, and how much of it is believed. */
#include "client.h"

#define FOREVER UINT32_MAX
#define NAK_WAIT_FIRST TARN_SEC(1)
#define MTU_MIN 576u /* RFC 2132 section 5.1 allows 68, on which nothing would work */

/* RFC 6842: an identifier that comes back is ours, or the message is not for us. */
static bool is_ours(const struct tarn_dhcp_client *c, const struct tarn_dhcp_message *m) {
    uint8_t buf[TARN_DHCP_CLIENT_ID_MAX];
    struct tarn_span id;
    if (m->op != TARN_DHCP_BOOTREPLY || m->xid != c->xid
        || !tarn_span_equal(TARN_SPAN_ARRAY(m->mac), TARN_SPAN_ARRAY(c->config.mac)))
        return false;
    if (!tarn_dhcp_option(m, TARN_DHCP_OPT_CLIENT_ID, TARN_BYTES_ARRAY(buf), &id))
        return true;
    return tarn_span_equal(id, tarn_span_of(c->client_id, c->client_id_len));
}

static bool is_host(const struct tarn_ip_addr *a) {
    uint32_t v = tarn_ip_addr_v4(a);
    return v >> 24 != 0 && v >> 24 != 127 && v < 0xe0000000u;
}

static bool mask_bits(uint32_t mask, uint8_t *bits) {
    unsigned n = 0;
    while (n < 32 && mask & 0x80000000u) {
        mask <<= 1;
        n++;
    }
    *bits = (uint8_t)n;
    return mask == 0 && n > 0;
}

/* Without a mask, the address's old class says (RFC 2131 leaves it open). */
static bool read_prefix(const struct tarn_dhcp_message *m, struct tarn_ip_prefix *out) {
    uint32_t v = tarn_ip_addr_v4(&m->yiaddr), mask;
    out->addr = m->yiaddr;
    out->bits = v < 0x80000000u ? 8 : v < 0xc0000000u ? 16 : 24;
    if (!tarn_dhcp_option_u32(m, TARN_DHCP_OPT_SUBNET_MASK, &mask))
        return true;
    if (!mask_bits(mask, &out->bits))
        return false;
    /* Neither the subnet's own number nor its broadcast address; RFC 3021: /31 has no such. */
    uint32_t host = ~mask & v;
    return out->bits >= 31 || (host != 0 && host != (uint32_t)~mask);
}

/* RFC 2131 section 4.4.5: T1 = 0.5, T2 = 0.875 of the lease, used also where what the server says
 * is no 0 < T1 < T2 < lease. A little is taken off at random, against crowds. */
static void read_times(struct tarn_dhcp_client *c, const struct tarn_dhcp_message *m,
                       uint32_t lease, struct tarn_dhcp_lease *out) {
    uint32_t t1 = 0, t2 = 0;
    if (lease == FOREVER) {
        out->t1 = out->t2 = out->expires = TARN_NEVER;
        return;
    }
    lease = TARN_MAX(lease, (uint32_t)TARN_DHCP_LEASE_SECONDS_MIN);
    bool both = tarn_dhcp_option_u32(m, TARN_DHCP_OPT_T1, &t1)
                && tarn_dhcp_option_u32(m, TARN_DHCP_OPT_T2, &t2);
    if (!both || t1 == 0 || t1 >= t2 || t2 >= lease) {
        t1 = lease / 2;
        t2 = lease - lease / 8;
    }
    t1 -= tarn_random_below(c->config.random, t1 / 32 + 1);
    out->t1 = tarn_time_after(c->sent_at, TARN_SEC(t1));
    out->t2 = tarn_time_after(c->sent_at, TARN_SEC(t2));
    out->expires = tarn_time_after(c->sent_at, TARN_SEC(lease));
}

static void read_routes(const struct tarn_dhcp_message *m, struct tarn_dhcp_lease *out) {
    uint8_t buf[9 * TARN_DHCP_ROUTES_MAX];
    struct tarn_span value;
    if (!tarn_dhcp_option(m, TARN_DHCP_OPT_ROUTES, TARN_BYTES_ARRAY(buf), &value)) {
        struct tarn_ip_addr gateway;
        if (tarn_dhcp_option_addrs(m, TARN_DHCP_OPT_ROUTER, &gateway, 1) && is_host(&gateway))
            out->gateway = gateway;
        return;
    }
    while (out->route_count < TARN_DHCP_ROUTES_MAX
           && tarn_dhcp_route_next(&value, &TARN_AT(out->routes, out->route_count)))
        out->route_count++;
}

static bool is_domain(struct tarn_span s) {
    uint8_t c;
    bool any = s.len > 0;
    while (tarn_span_u8(&s, &c))
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
              || c == '_' || c == '.'))
            return false;
    return any;
}

static void read_names(const struct tarn_dhcp_message *m, struct tarn_dhcp_lease *out) {
    uint8_t buf[TARN_DHCP_TEXT_MAX];
    struct tarn_span value;
    struct tarn_bytes domain = TARN_BYTES_ARRAY(out->domain),
                      search = TARN_BYTES_ARRAY(out->search);
    if (tarn_dhcp_option(m, TARN_DHCP_OPT_DOMAIN_NAME, TARN_BYTES_ARRAY(buf), &value)) {
        while (value.len && tarn_span_at(value, value.len - 1) == 0)
            value.len--; /* some servers send a NUL; RFC 2132 section 2 forgives it */
        if (is_domain(value))
            tarn_bytes_copy(domain, value);
    }
    if (tarn_dhcp_option(m, TARN_DHCP_OPT_SEARCH, TARN_BYTES_ARRAY(buf), &value)) {
        struct tarn_writer w = tarn_writer_over(tarn_bytes_first(search, TARN_DHCP_TEXT_MAX));
        if (!tarn_dhcp_search_text(value, &w))
            tarn_bytes_fill(search, 0);
    }
}

/* False: nothing here that a host could be configured with. */
static bool read_lease(struct tarn_dhcp_client *c, const struct tarn_dhcp_message *m,
                       struct tarn_dhcp_lease *out) {
    uint32_t lease;
    uint16_t mtu;
    *out = (struct tarn_dhcp_lease){.gateway = TARN_IP_ADDR_V4(0, 0, 0, 0)};
    if (!is_host(&m->yiaddr) || !read_prefix(m, &out->addr)
        || !tarn_dhcp_option_u32(m, TARN_DHCP_OPT_LEASE_TIME, &lease)
        || !tarn_dhcp_option_addr(m, TARN_DHCP_OPT_SERVER_ID, &out->server)
        || !is_host(&out->server))
        return false;
    read_times(c, m, lease, out);
    read_routes(m, out);
    read_names(m, out);
    out->dns_count = (uint32_t)tarn_dhcp_option_addrs(m, TARN_DHCP_OPT_DNS, &TARN_AT(out->dns, 0),
                                                      TARN_DHCP_SERVERS_MAX);
    out->ntp_count = (uint32_t)tarn_dhcp_option_addrs(m, TARN_DHCP_OPT_NTP, &TARN_AT(out->ntp, 0),
                                                      TARN_DHCP_SERVERS_MAX);
    if (tarn_dhcp_option_u16(m, TARN_DHCP_OPT_MTU, &mtu) && mtu >= MTU_MIN)
        out->mtu = mtu;
    return true;
}

/* The first offer that can be used is taken: waiting for a better one helps nobody. */
static bool on_offer(struct tarn_dhcp_client *c, const struct tarn_dhcp_message *m, tarn_time now) {
    struct tarn_dhcp_lease offer;
    if (c->state != TARN_DHCP_SELECTING || !read_lease(c, m, &offer))
        return false;
    c->wanted = offer.addr.addr;
    c->server = offer.server;
    client_request(c, now);
    return true;
}

static bool on_ack(struct tarn_dhcp_client *c, const struct tarn_dhcp_message *m, tarn_time now) {
    struct tarn_dhcp_lease lease;
    struct tarn_span nothing;
    uint8_t none[1];
    if (!read_lease(c, m, &lease))
        return false;
    switch (c->state) {
    case TARN_DHCP_SELECTING: /* RFC 4039 section 3.1: only with the option, and only if asked for
                               */
        if (!c->config.rapid_commit
            || !tarn_dhcp_option(m, TARN_DHCP_OPT_RAPID_COMMIT, TARN_BYTES_ARRAY(none), &nothing))
            return false;
        break;
    case TARN_DHCP_REQUESTING:
        if (!tarn_ip_addr_equal(&lease.server, &c->server)
            || !tarn_ip_addr_equal(&lease.addr.addr, &c->wanted))
            return false;
        break;
    case TARN_DHCP_REBOOTING:
        if (!tarn_ip_addr_equal(&lease.addr.addr, &c->wanted))
            return false;
        break;
    case TARN_DHCP_RENEWING:
    case TARN_DHCP_REBINDING:
        if (!tarn_ip_addr_equal(&lease.addr.addr, &c->lease.addr.addr))
            return false;
        break;
    default: return false;
    }
    c->nak_wait = 0;
    client_granted(c, &lease, now);
    return true;
}

/* A server that refuses again and again is asked less and less often. */
static bool on_nak(struct tarn_dhcp_client *c, const struct tarn_dhcp_message *m, tarn_time now) {
    struct tarn_ip_addr server;
    if (!tarn_dhcp_option_addr(m, TARN_DHCP_OPT_SERVER_ID, &server))
        return false;
    bool asked_one = c->state == TARN_DHCP_REQUESTING || c->state == TARN_DHCP_RENEWING;
    const struct tarn_ip_addr *asked =
        c->state == TARN_DHCP_REQUESTING ? &c->server : &c->lease.server;
    if (asked_one ? !tarn_ip_addr_equal(&server, asked)
                  : c->state != TARN_DHCP_REBOOTING && c->state != TARN_DHCP_REBINDING)
        return false;
    c->stats.naks++;
    client_restart(c, c->nak_wait, now);
    c->nak_wait = c->nak_wait ? TARN_MIN(c->nak_wait * 2, TARN_SEC(64)) : NAK_WAIT_FIRST;
    return true;
}

void tarn_dhcp_client_input(struct tarn_dhcp_client *c, struct tarn_span payload, tarn_time now) {
    struct tarn_dhcp_message m;
    bool used = false;
    c->stats.received++;
    if (!tarn_dhcp_parse(payload, &m)) {
        c->stats.malformed++;
        return;
    }
    if (is_ours(c, &m)) {
        switch (m.type) {
        case TARN_DHCP_OFFER: used = on_offer(c, &m, now); break;
        case TARN_DHCP_ACK: used = on_ack(c, &m, now); break;
        case TARN_DHCP_NAK: used = on_nak(c, &m, now); break;
        default: break;
        }
    }
    c->stats.ignored += !used;
}
