/* SPDX-License-Identifier: ISC */
#include "internal.h"

enum tarn_err tasks_init(struct tarn_recursor *r) {
    struct tarn_alloc *a = r->config.alloc;
    uint32_t n = r->config.questions_max * 4;
    r->ready_end = &r->ready;
    r->out_end = &r->out;
    r->done_end = &r->done;
    r->early_end = &r->early;
    tarn_hash_key_init(&r->key, r->config.random);
    if (tarn_pool_init(&r->tasks, a, sizeof(struct task), _Alignof(struct task), n)
        || tarn_pool_init(&r->queries, a, sizeof(struct query), _Alignof(struct query), n)
        || tarn_pool_init(&r->budgets, a, sizeof(struct budget), _Alignof(struct budget), n)
        || tarn_map_init(&r->task_map, a, n) || tarn_timers_init(&r->timers, a, n))
        return TARN_LIMIT;
    return TARN_OK;
}

void tasks_fini(struct tarn_recursor *r) {
    struct tarn_alloc *a = r->config.alloc;
    tarn_pool_fini(&r->tasks, a);
    tarn_pool_fini(&r->queries, a);
    tarn_pool_fini(&r->budgets, a);
    tarn_alloc_put(a, r->task_map.buckets,
                   r->task_map.bucket_count * sizeof(struct tarn_map_link *));
    if (r->timers.heap)
        tarn_timers_fini(&r->timers, a);
}

/* -- budgets ------------------------------------------------------------------------------------
 */

bool spend(struct tarn_recursor *r, uint32_t *left, uint32_t n) {
    if (*left < n) {
        r->stats.exhausted++;
        *left = 0;
        return false;
    }
    *left -= n;
    return true;
}

static struct budget *budget_new(struct tarn_recursor *r) {
    struct budget *b = tarn_pool_take(&r->budgets);
    if (b)
        *b = (struct budget){.queries = r->config.queries_max,
                             .verifications = r->config.verifications_max,
                             .failures = TARN_RECURSOR_FAILED_MAX,
                             .hash_rounds = r->config.hash_rounds_max,
                             .steps = r->config.steps_max,
                             .targets = TARN_RECURSOR_TARGETS_MAX,
                             .started = clock_of(r)};
    return b;
}

static void budget_put(struct tarn_recursor *r, struct budget *b) {
    if (--b->tasks == 0)
        tarn_pool_put(&r->budgets, b);
}

bool is_fresh(const struct tarn_recursor *r, const struct task *t, const struct entry *e) {
    return e->expires > clock_of(r) || (t && e->fetched >= t->budget->started);
}

/* -- making and finding -------------------------------------------------------------------------
 */

static uint64_t hash_of(const struct tarn_recursor *r, enum task_kind kind, struct tarn_span name,
                        uint16_t type, bool cd) {
    uint8_t bytes[TARN_DNS_NAME_MAX + 4], one;
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    tarn_writer_u8(&w, (uint8_t)kind);
    tarn_writer_u8(&w, cd);
    tarn_writer_u16be(&w, type);
    while (tarn_span_u8(&name, &one))
        tarn_writer_u8(&w, tarn_dns_lower(one));
    return tarn_hash(&r->key, tarn_writer_span(&w));
}

struct task *task_find(struct tarn_recursor *r, enum task_kind kind, struct tarn_span name,
                       uint16_t type, bool cd) {
    uint64_t hash = hash_of(r, kind, name, type, cd);
    for (struct tarn_map_link *l = tarn_map_first(&r->task_map, hash); l;
         l = tarn_map_following(l)) {
        struct task *t = TARN_CONTAINER_OF(l, struct task, link);
        if (t->kind == kind && t->type == type && t->cd == cd
            && tarn_dns_name_equal(task_name(t), name))
            return t;
    }
    return NULL;
}

struct task *task_new(struct tarn_recursor *r, struct task *parent, enum task_kind kind,
                      struct tarn_span name, uint16_t type, bool cd) {
    if (parent && parent->depth == TARN_RECURSOR_DEPTH_MAX)
        return NULL;
    struct budget *b = parent ? parent->budget : budget_new(r);
    struct task *t = b ? tarn_pool_take(&r->tasks) : NULL;
    if (!t) {
        if (b && !parent)
            tarn_pool_put(&r->budgets, b);
        return NULL;
    }
    *t = (struct task){.kind = kind,
                       .type = type,
                       .cd = cd,
                       .budget = b,
                       .depth = parent ? (uint8_t)(parent->depth + 1) : (uint8_t)0};
    b->tasks++;
    tarn_dns_name_copy(&t->name, name);
    tarn_map_insert(&r->task_map, &t->link, hash_of(r, kind, name, type, cd));
    task_ready(r, t);
    return t;
}

void task_ready(struct tarn_recursor *r, struct task *t) {
    if (t->is_ready)
        return;
    t->is_ready = true;
    t->next_ready = NULL;
    *r->ready_end = t;
    r->ready_end = &t->next_ready;
}

void task_free(struct tarn_recursor *r, struct task *t) {
    budget_put(r, t->budget);
    tarn_pool_put(&r->tasks, t);
}

/* -- waiting ------------------------------------------------------------------------------------
 */

static bool waits_for(const struct task *t, const struct task *other) {
    for (; t; t = t->child)
        if (t == other)
            return true;
    return false;
}

enum outcome task_wait(struct tarn_recursor *r, struct task *t, enum task_kind kind,
                       struct tarn_span name, uint16_t type) {
    struct task *child = task_find(r, kind, name, type, false);
    if (child && waits_for(child, t)) {
        r->stats.cycles++;
        return FAILED;
    }
    if (!child) {
        child = task_new(r, t, kind, name, type, false);
        if (!child)
            return FAILED;
        child->refresh = t->refresh;
        child->avoid_count = t->avoid_count;
        for (unsigned i = 0; i < t->avoid_count; i++)
            TARN_AT(child->avoid, i) = TARN_AT(t->avoid, i);
    }
    t->child = child;
    t->next_waiter = child->waiters;
    child->waiters = t;
    return WAIT;
}

static void finish(struct tarn_recursor *r, struct task *t, enum outcome outcome) {
    struct task *w;
    exchange_end(r, t);
    tarn_timer_clear(&r->timers, &t->timer);
    tarn_map_remove(&r->task_map, &t->link);
    while ((w = t->waiters) != NULL) {
        t->waiters = w->next_waiter;
        w->child = NULL;
        w->child_outcome = outcome;
        /* Whose answer it was; of what came along with another, perhaps whose that was. */
        if (t->kind == TASK_FETCH || tarn_ip_addr_is_any(&w->source))
            w->source = t->source;
        if (!w->ede || w->kind == TASK_QUESTION)
            w->ede = t->ede;
        task_ready(r, w);
    }
    t->finished = true;
    if (t->kind != TASK_QUESTION || !t->clients) {
        task_free(r, t);
        return;
    }
    t->child_outcome = outcome;
    t->next_ready = NULL;
    *r->done_end = t;
    r->done_end = &t->next_ready;
}

static enum outcome run(struct tarn_recursor *r, struct task *t) {
    r->stats.steps++;
    if (!spend(r, &t->budget->steps, 1))
        return FAILED;
    switch (t->kind) {
    case TASK_QUESTION: return question_run(r, t);
    case TASK_CHECK: return check_run(r, t);
    case TASK_FETCH: return fetch_run(r, t);
    case TASK_FOLLOW: return follow_run(r, t);
    default: return keys_run(r, t);
    }
}

void tasks_run(struct tarn_recursor *r) {
    struct task *t;
    while ((t = r->ready) != NULL) {
        r->ready = t->next_ready;
        if (!r->ready)
            r->ready_end = &r->ready;
        t->is_ready = false;
        enum outcome outcome = run(r, t);
        if (outcome != WAIT)
            finish(r, t, outcome);
    }
}
