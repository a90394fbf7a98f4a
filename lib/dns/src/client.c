/* SPDX-License-Identifier: ISC */
/* Requests: which names are tried for one, and what is known without asking. */
#include "client.h"

#define QUESTIONS_DEFAULT 32u
#define ENTRIES_DEFAULT 256u
#define STREAMS_DEFAULT 2u
#define ROUNDS_DEFAULT 3u
#define DAY TARN_SEC(86400)

static struct tarn_dns_client *client_of(struct tarn_resolver *r) {
    return TARN_CONTAINER_OF(r, struct tarn_dns_client, resolver);
}

static void tell(struct tarn_dns_client *c, struct tarn_resolver_request *r,
                 const struct dns_result *result) {
    c->requests--;
    r->at = NULL;
    r->err = result->err;
    r->no_name = result->kind == DNS_CACHED_NO_NAME;
    r->stale = result->stale;
    r->ttl_seconds = result->ttl;
    r->records = result->records;
    r->done(r);
}

static void make_ready(struct tarn_dns_client *c, struct tarn_resolver_request *r) {
    r->at = NULL;
    r->next = c->ready;
    c->ready = r;
    tarn_task_post(c->config.tasks, &c->task);
}

/* -- what needs no server -----------------------------------------------------------------------
 */

static void put_addr(struct tarn_writer *w, const struct tarn_ip_addr *addr) {
    bool v4 = tarn_ip_addr_is_v4(addr);
    tarn_writer_u16be(w, v4 ? 4 : 16);
    if (v4)
        tarn_writer_ipv4(w, addr);
    else
        tarn_writer_ipv6(w, addr);
}

static bool is_kind(const struct tarn_ip_addr *addr, uint16_t type) {
    return tarn_ip_addr_is_v4(addr) == (type == TARN_DNS_A);
}

static struct tarn_span next_word(struct tarn_span *line) {
    struct tarn_span word;
    *line = tarn_span_trim(*line, " \t\r");
    size_t n = 0;
    while (n < line->len && tarn_span_at(*line, n) != ' ' && tarn_span_at(*line, n) != '\t')
        n++;
    word = tarn_span_first(*line, n);
    *line = tarn_span_after(*line, n);
    return word;
}

/* Lines of an address and its names; a # starts a comment. True: the name stands there. */
static bool from_hosts(struct tarn_span hosts, struct tarn_span name, uint16_t type,
                       struct tarn_writer *out) {
    bool known = false;
    for (bool more = hosts.len > 0; more;) {
        struct tarn_span line, rest;
        struct tarn_ip_addr addr;
        more = tarn_span_split(&hosts, '\n', &line);
        rest = line;
        tarn_span_split(&rest, '#', &line);
        if (!tarn_ip_addr_parse(next_word(&line), &addr))
            continue;
        for (struct tarn_span word; (word = next_word(&line)).len;)
            if (tarn_span_equal_nocase(word, name)) {
                known = true;
                if (is_kind(&addr, type))
                    put_addr(out, &addr);
            }
    }
    return known;
}

/* RFC 6761 sections 6.3 and 6.4 */
static bool is_below(struct tarn_span name, struct tarn_span top) {
    if (name.len > top.len && tarn_span_at(name, name.len - top.len - 1) == '.')
        name = tarn_span_after(name, name.len - top.len);
    return tarn_span_equal_nocase(name, top);
}

static bool known_here(struct tarn_dns_client *c, const struct tarn_resolver_request *r,
                       struct dns_result *out) {
    struct tarn_span name = r->name;
    struct tarn_writer w = TARN_WRITER_ARRAY(c->records);
    struct tarn_ip_addr addr, loopback = TARN_IP_ADDR_V4(127, 0, 0, 1);
    bool addresses = r->type == TARN_DNS_A || r->type == TARN_DNS_AAAA;
    bool known = false;
    if (tarn_span_ends(name, TARN_SPAN_LIT(".")))
        name.len--;
    if (r->type == TARN_DNS_AAAA) {
        loopback = TARN_IP_ADDR_NONE;
        TARN_AT(loopback.bytes, 15) = 1;
    }
    *out = (struct dns_result){.err = TARN_OK};
    if (is_below(name, TARN_SPAN_LIT("invalid"))) {
        out->kind = DNS_CACHED_NO_NAME;
        known = true;
    } else if (addresses && tarn_ip_addr_parse(name, &addr)) {
        known = true;
        if (is_kind(&addr, r->type))
            put_addr(&w, &addr);
    } else if (addresses && from_hosts(c->config.hosts, name, r->type, &w)) {
        known = true;
    } else if (is_below(name, TARN_SPAN_LIT("localhost"))) {
        known = true;
        if (addresses)
            put_addr(&w, &loopback);
    }
    out->records = tarn_writer_span(&w);
    if (known && !out->records.len) {
        out->err = TARN_NOT_FOUND;
        out->kind = out->kind == DNS_CACHED_NO_NAME ? DNS_CACHED_NO_NAME : DNS_CACHED_NO_DATA;
    }
    return known;
}

/* -- the names of a request ---------------------------------------------------------------------
 */

/* A complete name has one; one with a dot is tried as it is first, one without last. */
static unsigned name_count(const struct tarn_dns_client *c, struct tarn_span text) {
    return tarn_span_ends(text, TARN_SPAN_LIT(".")) ? 1 : c->config.search_count + 1;
}

static bool name_at(const struct tarn_dns_client *c, struct tarn_span text, unsigned step,
                    struct tarn_dns_name *out) {
    size_t dot;
    unsigned count = name_count(c, text);
    bool as_it_is = tarn_span_find(text, '.', &dot) ? step == 0 : step == count - 1;
    unsigned search = tarn_span_find(text, '.', &dot) ? step - 1 : step;
    return tarn_dns_name_parse(
        text, as_it_is ? TARN_SPAN_LIT("\0") : TARN_AT(c->config.search, search), out);
}

static bool cached(struct tarn_dns_client *c, struct tarn_span name, uint16_t type,
                   struct dns_result *out) {
    struct dns_cache_entry *e = dns_cache_find(&c->cache, name, type);
    tarn_time now = tarn_clock_now(c->config.clock);
    if (!e || e->expires <= now)
        return false;
    c->stats.hits++;
    *out = (struct dns_result){.err = e->kind ? TARN_NOT_FOUND : TARN_OK,
                               .kind = (enum dns_cached)e->kind,
                               .records = dns_cache_records(e),
                               .ttl = (uint32_t)((e->expires - now) / TARN_SEC(1))};
    return true;
}

/* From the loop. */
static void advance(struct tarn_dns_client *c, struct tarn_resolver_request *r) {
    struct tarn_dns_name name;
    struct dns_result result;
    if (r->step == 0 && known_here(c, r, &result)) {
        tell(c, r, &result);
        return;
    }
    if (!name_at(c, r->name, r->step, &name)) {
        result = (struct dns_result){.err = TARN_INVALID};
        tell(c, r, &result);
        return;
    }
    if (cached(c, tarn_dns_name_span(&name), r->type, &result))
        dns_request_result(c, r, &result);
    else
        dns_question_ask(c, tarn_dns_name_span(&name), r->type, r);
}

void dns_request_result(struct tarn_dns_client *c, struct tarn_resolver_request *r,
                        const struct dns_result *result) {
    if (result->err != TARN_NOT_FOUND || r->step + 1 >= name_count(c, r->name)) {
        tell(c, r, result);
        return;
    }
    r->step++;
    make_ready(c, r);
}

static void ready_task(struct tarn_task *task) {
    struct tarn_dns_client *c = TARN_CONTAINER_OF(task, struct tarn_dns_client, task);
    struct tarn_resolver_request *r = c->ready;
    if (!r)
        return;
    c->ready = r->next;
    if (c->ready)
        tarn_task_post(c->config.tasks, &c->task);
    advance(c, r);
}

static enum tarn_err resolver_start(struct tarn_resolver *resolver,
                                    struct tarn_resolver_request *r) {
    struct tarn_dns_client *c = client_of(resolver);
    if (c->requests == c->config.questions_max)
        return TARN_LIMIT;
    c->requests++;
    r->step = 0;
    make_ready(c, r);
    return TARN_OK;
}

static void resolver_cancel(struct tarn_resolver *resolver, struct tarn_resolver_request *r) {
    struct tarn_dns_client *c = client_of(resolver);
    c->requests--;
    if (r->at) {
        dns_question_leave(r->at, r);
        return;
    }
    struct tarn_resolver_request **at = &c->ready;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
}

static const struct tarn_resolver_ops resolver_ops = {.start = resolver_start,
                                                      .cancel = resolver_cancel};

/* -- the whole ----------------------------------------------------------------------------------
 */

void tarn_dns_client_set_servers(struct tarn_dns_client *c, const struct tarn_endpoint *servers,
                                 unsigned count) {
    for (unsigned i = 0; i < c->server_count; i++)
        dns_idle_end(&TARN_AT(c->servers, i));
    c->server_count = TARN_MIN(count, (unsigned)TARN_DNS_SERVERS_MAX);
    for (unsigned i = 0; i < c->server_count; i++) {
        struct dns_asked *s = &TARN_AT(c->servers, i);
        *s = (struct dns_asked){.at = TARN_AT_N(servers, count, i)};
        tarn_random_fill(c->config.random, TARN_BYTES_ARRAY(s->client_cookie));
    }
}

struct tarn_resolver *tarn_dns_client_resolver(struct tarn_dns_client *c) {
    return &c->resolver;
}

void tarn_dns_client_tick(struct tarn_dns_client *c, tarn_time now) {
    for (struct tarn_timer *t; (t = tarn_timers_pop(&c->timers, now)) != NULL;)
        dns_question_timeout(TARN_CONTAINER_OF(t, struct dns_question, timer));
}

tarn_time tarn_dns_client_deadline(const struct tarn_dns_client *c) {
    return tarn_timers_next(&c->timers);
}

void tarn_dns_client_stats(const struct tarn_dns_client *c, struct tarn_dns_client_stats *out) {
    *out = c->stats;
    out->uncached = c->cache.too_large;
}

static void defaults(struct tarn_dns_client_config *c) {
    c->questions_max = c->questions_max ? c->questions_max : QUESTIONS_DEFAULT;
    c->cache_entries = c->cache_entries ? c->cache_entries : ENTRIES_DEFAULT;
    c->streams_max = c->streams_max ? c->streams_max : STREAMS_DEFAULT;
    c->rounds = c->rounds ? c->rounds : ROUNDS_DEFAULT;
    c->patience_ns = c->patience_ns ? c->patience_ns : TARN_SEC(1);
    c->stale_ns = c->stale_ns ? c->stale_ns : DAY;
}

enum tarn_err tarn_dns_client_new(const struct tarn_dns_client_config *config,
                                  struct tarn_dns_client **out) {
    struct tarn_alloc *alloc = config->alloc;
    struct tarn_dns_client *c = TARN_NEW(alloc, struct tarn_dns_client);
    if (!c)
        return TARN_LIMIT;
    c->resolver.ops = &resolver_ops;
    c->config = *config;
    c->task.run = ready_task;
    defaults(&c->config);
    tarn_dns_client_set_servers(c, config->servers, config->server_count);
    enum tarn_err err = tarn_pool_init(&c->questions, alloc, sizeof(struct dns_question),
                                       _Alignof(struct dns_question), c->config.questions_max);
    if (!err)
        err = tarn_pool_init(&c->streams, alloc, sizeof(struct dns_stream),
                             _Alignof(struct dns_stream), c->config.streams_max);
    if (!err)
        err = tarn_timers_init(&c->timers, alloc, c->config.questions_max);
    if (!err)
        err = dns_cache_init(&c->cache, alloc, config->random, c->config.cache_entries);
    if (err) {
        tarn_dns_client_free(c);
        return err;
    }
    *out = c;
    return TARN_OK;
}

void tarn_dns_client_free(struct tarn_dns_client *c) {
    struct tarn_alloc *alloc = c->config.alloc;
    TARN_ASSERT(c->requests == 0);
    tarn_task_cancel(&c->task);
    tarn_dns_client_set_servers(c, NULL, 0);
    dns_cache_fini(&c->cache, alloc);
    if (c->timers.heap)
        tarn_timers_fini(&c->timers, alloc);
    tarn_pool_fini(&c->streams, alloc);
    tarn_pool_fini(&c->questions, alloc);
    tarn_alloc_put(alloc, c, sizeof *c);
}
