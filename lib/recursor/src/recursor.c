/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define DEFAULT(field, value)                                                                      \
    do {                                                                                           \
        if (!(field))                                                                              \
            (field) = (value);                                                                     \
    } while (0)

static void set_defaults(struct tarn_recursor_config *c) {
    if (!c->hints) {
        c->hints = root_hints;
        c->hint_count = root_hint_count;
    }
    if (!c->anchors) {
        c->anchors = root_anchors;
        c->anchor_count = root_anchor_count;
    }
    if (!c->anchor_count && !c->follow)
        c->no_validation = true;
    DEFAULT(c->cache_bytes, 64u << 20);
    DEFAULT(c->questions_max, 1024);
    DEFAULT(c->client_questions_max, 100);
    DEFAULT(c->client_rate, 200);
    DEFAULT(c->ttl_max, 86400);
    DEFAULT(c->negative_ttl_max, 3600);
    DEFAULT(c->bogus_ttl, 60);
    DEFAULT(c->stale_ttl, 30);
    DEFAULT(c->queries_max, TARN_RECURSOR_QUERIES_MAX);
    DEFAULT(c->verifications_max, TARN_RECURSOR_VERIFICATIONS_MAX);
    DEFAULT(c->hash_rounds_max, TARN_RECURSOR_HASH_ROUNDS_MAX);
    DEFAULT(c->steps_max, TARN_RECURSOR_STEPS_MAX);
    DEFAULT(c->iterations_max, TARN_RECURSOR_ITERATIONS_MAX);
}

static bool anchors_valid(const struct tarn_recursor_config *c) {
    for (unsigned i = 0; i < c->anchor_count; i++) {
        const struct tarn_recursor_anchor *a = &TARN_AT_N(c->anchors, c->anchor_count, i);
        if ((a->type != TARN_DNS_DS && a->type != TARN_DNS_DNSKEY)
            || !tarn_dns_rdata_valid(a->rdata, a->type))
            return false;
    }
    return true;
}

static enum tarn_err init(struct tarn_recursor *r) {
    const struct tarn_recursor_config *c = &r->config;
    uint32_t clients = TARN_MAX(c->questions_max, 64u);
    if (cache_init(&r->cache, c->alloc, c->random, c->cache_bytes))
        return TARN_LIMIT;
    if (tasks_init(r) || servers_init(&r->servers, c->alloc, c->random, c->questions_max * 4)
        || tarn_pool_init(&r->waiting, c->alloc, sizeof(struct waiting), _Alignof(struct waiting),
                          c->questions_max * 2)
        || tarn_pool_init(&r->quotas, c->alloc, sizeof(struct quota), _Alignof(struct quota),
                          clients)
        || tarn_map_init(&r->quota_map, c->alloc, clients))
        return TARN_LIMIT;
    return TARN_OK;
}

enum tarn_err tarn_recursor_new(const struct tarn_recursor_config *config,
                                struct tarn_recursor **out) {
    if (!anchors_valid(config))
        return TARN_INVALID;
    struct tarn_recursor *r = TARN_NEW(config->alloc, struct tarn_recursor);
    if (!r)
        return TARN_LIMIT;
    r->config = *config;
    set_defaults(&r->config);
    if (init(r) || follow_init(r)) {
        tarn_recursor_free(r);
        return TARN_LIMIT;
    }
    *out = r;
    return TARN_OK;
}

void tarn_recursor_free(struct tarn_recursor *r) {
    struct tarn_alloc *a = r->config.alloc;
    tasks_fini(r);
    servers_fini(&r->servers, a);
    tarn_pool_fini(&r->waiting, a);
    tarn_pool_fini(&r->quotas, a);
    tarn_alloc_put(a, r->quota_map.buckets,
                   r->quota_map.bucket_count * sizeof(struct tarn_map_link *));
    if (r->cache.mem.ptr)
        cache_fini(&r->cache, a);
    tarn_alloc_put(a, r, sizeof *r);
}

void tarn_recursor_tick(struct tarn_recursor *r, tarn_time now) {
    struct tarn_timer *timer;
    while ((timer = tarn_timers_pop(&r->timers, now)) != NULL) {
        struct task *t = TARN_CONTAINER_OF(timer, struct task, timer);
        if (t->kind == TASK_QUESTION)
            question_early(r, t);
        else
            exchange_timer(r, t, now);
    }
    follow_tick(r, now);
    tasks_run(r);
}

tarn_time tarn_recursor_deadline(const struct tarn_recursor *r) {
    tarn_time next = tarn_timers_next(&r->timers);
    return TARN_MIN(next, r->follow_due);
}

uint32_t tarn_recursor_queries_max(const struct tarn_recursor *r) {
    return r->queries.count;
}

void tarn_recursor_forget(struct tarn_recursor *r, uint64_t tag) {
    uint32_t cursor = 0;
    for (struct waiting *w; (w = tarn_pool_next(&r->waiting, &cursor)) != NULL;)
        if (w->client.tag == tag)
            w->told = true;
}

void tarn_recursor_flush(struct tarn_recursor *r, struct tarn_span name, uint16_t type) {
    struct entry *e = cache_find(&r->cache, CACHED_ANSWER, name, type);
    if (e)
        cache_drop(&r->cache, e);
}

void tarn_recursor_expire(struct tarn_recursor *r, struct tarn_span name, uint16_t type) {
    struct entry *e = cache_find(&r->cache, CACHED_ANSWER, name, type);
    if (e)
        e->expires = TARN_MIN(e->expires, clock_of(r));
}

void tarn_recursor_stats(const struct tarn_recursor *r, struct tarn_recursor_stats *out) {
    *out = r->stats;
    out->entries = r->cache.entries;
    out->entry_bytes = r->cache.bytes;
    out->evicted = r->cache.evicted;
}
