/* SPDX-License-Identifier: ISC */
/* Resolvers and search domains from router advertisements (RFC 8106): a few of each interface, each
 * for its lifetime. What exists is refreshed before anything new finds room. */
#include "internal.h"

static tarn_time until(uint32_t seconds, tarn_time now) {
    return seconds == UINT32_MAX ? TARN_NEVER : tarn_time_after(now, TARN_SEC(seconds));
}

static void take_server(struct ra_dns *d, const struct tarn_ip_addr *addr, tarn_time end,
                        tarn_time now) {
    struct ra_server *room = NULL;
    for (size_t i = 0; i < TARN_COUNT_OF(d->servers); i++) {
        struct ra_server *s = &TARN_AT(d->servers, i);
        if (s->until > now && tarn_ip_addr_equal(&s->addr, addr)) {
            s->until = end;
            return;
        }
        room = room || s->until > now ? room : s;
    }
    if (room)
        *room = (struct ra_server){.addr = *addr, .until = end};
}

static void take_domain(struct ra_dns *d, struct tarn_span name, tarn_time end, tarn_time now) {
    struct ra_domain *room = NULL;
    for (size_t i = 0; i < TARN_COUNT_OF(d->domains); i++) {
        struct ra_domain *n = &TARN_AT(d->domains, i);
        if (n->until > now && tarn_span_equal(tarn_span_str(n->name), name)) {
            n->until = end;
            return;
        }
        room = room || n->until > now ? room : n;
    }
    if (!room)
        return;
    struct tarn_writer w = TARN_WRITER_ARRAY(room->name);
    tarn_writer_span_put(&w, name);
    tarn_writer_u8(&w, 0);
    room->until = tarn_writer_ok(&w) ? end : 0;
}

static void read_servers(struct ra_dns *d, struct tarn_span s, tarn_time now) {
    uint32_t life;
    struct tarn_ip_addr addr;
    if (!tarn_span_skip(&s, 2) || !tarn_span_u32be(&s, &life))
        return;
    while (tarn_span_ipv6(&s, &addr))
        if (!tarn_ip_addr_is_any(&addr) && !tarn_ip_addr_is_multicast(&addr)
            && !tarn_ip_addr_is_v4(&addr) && !tarn_ip_addr_is_loopback(&addr))
            take_server(d, &addr, until(life, now), now);
}

static bool is_host_char(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
           || c == '_';
}

/* A name in labels, as text: empty where some character is none that hosts' names have. False: no
 * more names (RFC 8106 section 5.2 pads with zeroes), or nonsense. */
static bool read_name(struct tarn_span *s, struct tarn_writer *w) {
    uint8_t n, c;
    bool good = true;
    struct tarn_span label;
    w->len = 0;
    while (tarn_span_u8(s, &n) && n > 0) {
        if (n > 63 || !tarn_span_take(s, n, &label))
            return false;
        if (w->len > 0)
            tarn_writer_u8(w, '.');
        while (tarn_span_u8(&label, &c)) {
            good &= is_host_char(c);
            tarn_writer_u8(w, c);
        }
    }
    if (w->len == 0)
        return false;
    if (!good)
        w->len = 0;
    return true;
}

static void read_domains(struct ra_dns *d, struct tarn_span s, tarn_time now) {
    uint32_t life;
    uint8_t text[RA_NAME_BYTES];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (!tarn_span_skip(&s, 2) || !tarn_span_u32be(&s, &life))
        return;
    while (read_name(&s, &w)) {
        struct tarn_span name = tarn_writer_span(&w);
        if (name.len > 0)
            take_domain(d, name, until(life, now), now);
    }
}

/* When the next of them goes. */
static void set_timer(struct tarn_ip *ip, struct ra_dns *d, tarn_time now) {
    tarn_time next = TARN_NEVER;
    for (size_t i = 0; i < TARN_COUNT_OF(d->servers); i++)
        if (TARN_AT(d->servers, i).until > now)
            next = TARN_MIN(next, TARN_AT(d->servers, i).until);
    for (size_t i = 0; i < TARN_COUNT_OF(d->domains); i++)
        if (TARN_AT(d->domains, i).until > now)
            next = TARN_MIN(next, TARN_AT(d->domains, i).until);
    tarn_timer_set(&ip->ndp.dns_timers, &d->timer, next);
}

void ra_dns_input(struct tarn_ip *ip, struct iface *iface, const struct ndp_options *options,
                  tarn_time now) {
    for (unsigned i = 0; i < options->dns_count; i++) {
        if (TARN_AT(options->dns, i).is_domains)
            read_domains(&iface->dns, TARN_AT(options->dns, i).body, now);
        else
            read_servers(&iface->dns, TARN_AT(options->dns, i).body, now);
    }
    if (options->dns_count == 0)
        return;
    set_timer(ip, &iface->dns, now);
    ip_changed(ip);
}

void ra_dns_expire(struct tarn_ip *ip, struct ra_dns *d, tarn_time now) {
    set_timer(ip, d, now);
    ip_changed(ip);
}

void tarn_ip_dns(const struct tarn_ip *ip, unsigned iface, struct tarn_ip_dns *out) {
    *out = (struct tarn_ip_dns){0};
    if (iface >= ip->iface_count)
        return;
    const struct ra_dns *d = &TARN_AT(ip->ifaces, iface).dns;
    struct tarn_writer w = TARN_WRITER_ARRAY(out->search);
    for (size_t i = 0; i < TARN_COUNT_OF(d->servers); i++)
        if (TARN_AT(d->servers, i).until > ip->now)
            TARN_AT(out->servers, out->server_count++) = TARN_AT(d->servers, i).addr;
    for (size_t i = 0; i < TARN_COUNT_OF(d->domains); i++) {
        if (TARN_AT(d->domains, i).until <= ip->now)
            continue;
        if (w.len > 0)
            tarn_writer_u8(&w, ' ');
        tarn_writer_str(&w, TARN_AT(d->domains, i).name);
    }
    tarn_writer_u8(&w, 0); /* room for all of them, and this */
}
