/* SPDX-License-Identifier: ISC */
/* Zones that are copies of what other servers have. */
#include "dnsd.h"

#include <tarn/dns_secondary.h>

struct dnsd_copy {
    struct dnsd_copy *next;
    struct dnsd *d;
    struct tarn_dns_name origin;
    struct tarn_dns_secondary *secondary;
};

static void replaced(struct dnsd *d, struct tarn_dns_zone *was) {
    if (!was)
        return;
    tarn_dns_service_forget(d->service, was);
    tarn_dns_zone_free(was);
}

static void on_zone(void *user, struct tarn_dns_zone *zone) {
    struct dnsd_copy *c = user;
    struct tarn_dns_zone *was;
    if (tarn_dns_server_set_zone(c->d->server, zone, &was)) {
        dnsd_say(c->d->env, TARN_SPAN_LIT("too many zones"), "", TARN_SPAN_EMPTY);
        was = zone;
    }
    replaced(c->d, was);
}

static void on_expired(void *user) {
    struct dnsd_copy *c = user;
    replaced(c->d, tarn_dns_server_remove_zone(c->d->server, tarn_dns_name_span(&c->origin)));
}

bool dnsd_notify(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                 const struct tarn_dns_tsig_key *key) {
    const struct dnsd *d = user;
    bool known = false;
    (void)key; /* it only makes us look, and what we get then is signed */
    for (struct dnsd_copy *c = d->copies; c; c = c->next)
        if (tarn_dns_name_equal(zone, tarn_dns_name_span(&c->origin))
            && tarn_dns_secondary_knows(c->secondary, &client->addr)) {
            tarn_dns_secondary_notify(c->secondary);
            known = true;
        }
    return known;
}

bool dnsd_is_copy(const struct dnsd *d, struct tarn_span origin) {
    for (const struct dnsd_copy *c = d->copies; c; c = c->next)
        if (tarn_dns_name_equal(origin, tarn_dns_name_span(&c->origin)))
            return true;
    return false;
}

void dnsd_tick_copies(struct dnsd *d, tarn_time now) {
    for (struct dnsd_copy *c = d->copies; c; c = c->next)
        tarn_dns_secondary_tick(c->secondary, now);
}

tarn_time dnsd_copies_deadline(const struct dnsd *d) {
    tarn_time at = TARN_NEVER;
    for (const struct dnsd_copy *c = d->copies; c; c = c->next)
        at = TARN_MIN(at, tarn_dns_secondary_deadline(c->secondary));
    return at;
}

static bool parse_endpoint(struct tarn_span text, struct tarn_endpoint *out) {
    struct tarn_span addr;
    uint64_t number = TARN_DNS_PORT;
    bool has_port = tarn_span_split(&text, '#', &addr);
    bool ok = tarn_ip_addr_parse(addr, &out->addr)
              && (!has_port || tarn_span_parse_dec(text, 65535, &number));
    out->port = (uint16_t)number;
    return ok;
}

bool dnsd_parse_endpoints(struct tarn_span list, struct tarn_endpoint *out, unsigned max,
                          unsigned *count) {
    struct tarn_span one;
    *count = 0;
    for (bool more = true; more;) {
        more = tarn_span_split(&list, ',', &one);
        if (*count == max || !parse_endpoint(one, &TARN_AT_N(out, max, *count)))
            return false;
        ++*count;
    }
    return true;
}

/* NAME@ADDRESS[#PORT] */
static bool start(struct dnsd *d, struct tarn_net *net, struct tarn_span text) {
    struct tarn_span name;
    struct dnsd_copy *c = TARN_NEW(tarn_env_alloc(d->env), struct dnsd_copy);
    struct tarn_dns_secondary_config config = {.alloc = tarn_env_alloc(d->env),
                                               .random = tarn_env_random(d->env),
                                               .net = net,
                                               .primary_count = 1,
                                               .on_zone = on_zone,
                                               .on_expired = on_expired,
                                               .user = c,
                                               .key = d->has_key ? &d->key : NULL,
                                               .clock = tarn_env_clock(d->env),
                                               .log = tarn_env_log(d->env)};
    bool ok = c && tarn_span_split(&text, '@', &name)
              && tarn_dns_name_parse(name, TARN_SPAN_LIT("\0"), &c->origin);
    if (!ok || !parse_endpoint(text, &config.primaries[0])) {
        dnsd_say(d->env, TARN_SPAN_LIT("--secondary wants NAME@ADDRESS, not "), "", text);
        return false;
    }
    config.origin = tarn_dns_name_span(&c->origin);
    if (tarn_dns_secondary_new(&config, &c->secondary)) {
        dnsd_say(d->env, name, ": not enough memory", TARN_SPAN_EMPTY);
        return false;
    }
    c->d = d;
    c->next = d->copies;
    d->copies = c;
    return true;
}

bool dnsd_start_copies(struct dnsd *d, struct tarn_net *net, struct tarn_span list) {
    struct tarn_span one;
    for (bool more = list.len > 0; more;) {
        more = tarn_span_split(&list, ',', &one);
        if (!start(d, net, one))
            return false;
    }
    return true;
}
