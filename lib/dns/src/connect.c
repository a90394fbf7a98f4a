/* SPDX-License-Identifier: ISC */
#include <tarn/dns_connect.h>

#define RESOLUTION_DELAY TARN_MS(50) /* RFC 8305 section 8 */
#define ATTEMPT_DELAY TARN_MS(250)
#define PATIENCE TARN_SEC(30)

enum { V6, V4 };

static struct tarn_dns_connect_family *family(struct tarn_dns_connect *c, unsigned i) {
    return &TARN_AT(c->families, i);
}

static bool has_untried(struct tarn_dns_connect *c, unsigned i) {
    return family(c, i)->tried < family(c, i)->count;
}

/* Ends all but what is kept. */
static void clean(struct tarn_dns_connect *c, const struct tarn_flow *kept) {
    for (unsigned i = 0; i < 2; i++)
        if (family(c, i)->asked && !family(c, i)->known)
            tarn_resolver_cancel(c->config.resolver, &family(c, i)->request);
    for (unsigned i = 0; i < c->attempt_count; i++) {
        struct tarn_dns_connect_attempt *a = &TARN_AT(c->attempts, i);
        if (a->flow && a->flow != kept)
            tarn_flow_abort(a->flow);
        a->flow = NULL;
    }
    c->give_up = c->begin = c->next = TARN_NEVER;
}

static void end(struct tarn_dns_connect *c, enum tarn_err err) {
    clean(c, NULL);
    c->err = err;
    c->done(c);
}

static void won(struct tarn_dns_connect_attempt *a) {
    struct tarn_dns_connect *c = a->connect;
    c->flow = a->flow;
    c->remote = a->remote;
    clean(c, c->flow);
    c->flow->on_event = NULL;
    c->flow->user = NULL;
    c->err = TARN_OK;
    c->done(c);
}

static void go_on(struct tarn_dns_connect *c);

static void flow_event(struct tarn_flow *flow, unsigned events) {
    struct tarn_dns_connect_attempt *a = flow->user;
    struct tarn_dns_connect *c = a->connect;
    if (events & TARN_FLOW_FAILED) {
        tarn_flow_abort(flow);
        a->flow = NULL;
        c->next = 0; /* RFC 8305 section 5: the next one at once */
        go_on(c);
    } else if (events & TARN_FLOW_CONNECTED) {
        won(a);
    }
}

/* The families take turns as long as both have addresses. False: there is none left. */
static bool take_addr(struct tarn_dns_connect *c, struct tarn_ip_addr *out) {
    unsigned i = c->v6_next ? V6 : V4;
    if (!has_untried(c, i))
        i = 1 - i;
    if (!has_untried(c, i))
        return false;
    struct tarn_dns_connect_family *f = family(c, i);
    *out = TARN_AT(f->addrs, f->tried);
    f->tried++;
    c->v6_next = i == V4;
    return true;
}

static bool begin_attempt(struct tarn_dns_connect *c) {
    struct tarn_dns_connect_attempt *a = &TARN_AT(c->attempts, c->attempt_count);
    *a = (struct tarn_dns_connect_attempt){.connect = c, .remote.port = c->port};
    if (!take_addr(c, &a->remote.addr))
        return false;
    if (tarn_net_connect(c->config.net, &a->remote, &a->flow)) {
        a->flow = NULL; /* no route there: the next */
        return true;
    }
    a->flow->user = a;
    a->flow->on_event = flow_event;
    c->attempt_count++;
    c->next = tarn_time_after(tarn_clock_now(c->config.clock), c->config.attempt_delay_ns);
    return true;
}

static bool is_open(const struct tarn_dns_connect *c) {
    for (unsigned i = 0; i < c->attempt_count; i++)
        if (TARN_AT(c->attempts, i).flow)
            return true;
    return false;
}

/* What names said where no address was tried. */
static enum tarn_err failure(struct tarn_dns_connect *c) {
    enum tarn_err v6 = family(c, V6)->request.err, v4 = family(c, V4)->request.err;
    if (family(c, V6)->count + family(c, V4)->count)
        return TARN_IO;
    return v4 == TARN_NOT_FOUND && v6 ? v6 : v4;
}

/* RFC 8305 section 3: IPv6's addresses may begin alone; IPv4's wait for them a little. */
static bool may_begin(struct tarn_dns_connect *c, tarn_time now) {
    if (family(c, V6)->known)
        return true;
    if (!family(c, V4)->known || !family(c, V4)->count)
        return false;
    if (c->begin == TARN_NEVER)
        c->begin = tarn_time_after(now, c->config.resolution_delay_ns);
    return now >= c->begin;
}

static void go_on(struct tarn_dns_connect *c) {
    tarn_time now = tarn_clock_now(c->config.clock);
    if (!may_begin(c, now))
        return;
    c->begin = TARN_NEVER;
    while (now >= c->next || !is_open(c))
        if (!begin_attempt(c)) {
            c->next = TARN_NEVER;
            break;
        }
    if (!is_open(c) && family(c, V6)->known && family(c, V4)->known)
        end(c, failure(c));
}

static void resolved(struct tarn_resolver_request *r) {
    struct tarn_dns_connect_family *f = r->user;
    struct tarn_dns_connect *c = f->connect;
    struct tarn_span records = r->records;
    f->known = true;
    while (f->count < TARN_DNS_CONNECT_ADDRS_MAX
           && tarn_resolver_next_addr(&records, &TARN_AT(f->addrs, f->count)))
        f->count++;
    if (c->next == TARN_NEVER && f->count)
        c->next = 0; /* what was tried so far was all there was */
    go_on(c);
}

enum tarn_err tarn_dns_connect_start(struct tarn_dns_connect *c,
                                     const struct tarn_dns_connect_config *config,
                                     struct tarn_span host, uint16_t port) {
    static const uint16_t types[] = {TARN_RESOLVER_AAAA, TARN_RESOLVER_A};
    void (*done)(struct tarn_dns_connect *) = c->done;
    void *user = c->user;
    *c = (struct tarn_dns_connect){.config = *config, .done = done, .user = user, .port = port};
    struct tarn_dns_connect_config *o = &c->config;
    o->resolution_delay_ns = o->resolution_delay_ns ? o->resolution_delay_ns : RESOLUTION_DELAY;
    o->attempt_delay_ns = o->attempt_delay_ns ? o->attempt_delay_ns : ATTEMPT_DELAY;
    c->give_up =
        tarn_time_after(tarn_clock_now(o->clock), o->patience_ns ? o->patience_ns : PATIENCE);
    c->begin = TARN_NEVER;
    c->v6_next = true;
    for (unsigned i = 0; i < 2; i++) {
        struct tarn_dns_connect_family *f = family(c, i);
        f->connect = c;
        f->request = (struct tarn_resolver_request){
            .name = host, .type = TARN_AT(types, i), .done = resolved, .user = f};
        enum tarn_err err = tarn_resolver_start(o->resolver, &f->request);
        if (err) {
            clean(c, NULL);
            return err;
        }
        f->asked = true;
    }
    return TARN_OK;
}

void tarn_dns_connect_tick(struct tarn_dns_connect *c, tarn_time now) {
    if (now >= c->give_up)
        end(c, TARN_IO);
    else if (now >= c->begin || (now >= c->next && c->next))
        go_on(c);
}

tarn_time tarn_dns_connect_deadline(const struct tarn_dns_connect *c) {
    tarn_time at = TARN_MIN(c->give_up, c->begin);
    return c->next ? TARN_MIN(at, c->next) : at;
}

void tarn_dns_connect_cancel(struct tarn_dns_connect *c) {
    clean(c, NULL);
}
