/* SPDX-License-Identifier: ISC */
/* From the deepest known delegation downwards, until somebody says what was asked. */
#include "internal.h"

#define TRIES_MAX 3u /* of one server, for one step */
#define SENT_MAX 40u /* of one fetch */
#define REFERRALS_MAX 32u
#define MINIMISE_MAX 10u /* RFC 9156 section 2.3 */
#define MINIMISE_ONE_LABEL 4u
#define LAME_FOR TARN_SEC(900)
#define JITTER_US 20000u /* servers that are as near as that are asked in turn */
#define EDE_NO_REACHABLE 22u
#define PRIME_TTL_FALLBACK 3600u

/* -- what to ask --------------------------------------------------------------------------------
 */

static struct tarn_span suffix(struct tarn_span name, unsigned labels) {
    for (unsigned has = tarn_dns_name_labels(name); has > labels; has--)
        name = tarn_dns_name_parent(name);
    return name;
}

static void choose_asked(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    unsigned all = tarn_dns_name_labels(task_name(t)), next = all, rest = all - f->labels;
    if (!r->config.no_minimisation && !f->forward && !f->whole && f->minimised < MINIMISE_MAX)
        next = f->labels
               + (f->minimised < MINIMISE_ONE_LABEL
                      ? 1
                      : TARN_MAX(rest / (MINIMISE_MAX - f->minimised), 1u));
    if (next >= all) {
        f->asked = t->name;
        f->asked_type = t->type;
    } else {
        tarn_dns_name_copy(&f->asked, suffix(task_name(t), next));
        f->asked_type = r->config.minimise_ns ? TARN_DNS_NS : TARN_DNS_A;
    }
}

static bool is_final(const struct task *t) {
    return t->fetch.asked.len == t->name.len && t->fetch.asked_type == t->type;
}

/* -- whom to ask --------------------------------------------------------------------------------
 */

static bool is_avoided(const struct task *t, const struct tarn_ip_addr *a) {
    for (unsigned i = 0; i < t->avoid_count; i++)
        if (tarn_ip_addr_equal(&TARN_AT(t->avoid, i), a))
            return true;
    return false;
}

static struct candidate *best(struct tarn_recursor *r, struct task *t, bool all) {
    struct fetch *f = &t->fetch;
    struct candidate *found = NULL;
    uint64_t least = UINT64_MAX;
    tarn_time now = clock_of(r);
    uint32_t zone = zone_hash(&r->servers, tarn_dns_name_span(&f->zone));
    for (unsigned i = 0; i < f->candidate_count; i++) {
        struct candidate *c = &TARN_AT(f->candidates, i);
        const struct server *s = server_of(&r->servers, &c->endpoint);
        bool lame = s->lame_zone == zone && s->lame_until > now;
        bool shun = lame || is_avoided(t, &c->endpoint.addr);
        if (c->bad || c->tries >= TRIES_MAX || (shun && !all))
            continue;
        uint64_t cost = server_cost(s, now) + tarn_random_below(r->config.random, JITTER_US)
                        + c->tries * 1000000ull + shun * 1000000000ull;
        if (cost < least) {
            least = cost;
            found = c;
        }
    }
    return found;
}

static struct candidate *current(struct task *t) {
    return &TARN_AT(t->fetch.candidates, t->fetch.current);
}

static enum outcome give_up(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    const struct tarn_recursor_zone *z = zone_configured(r, tarn_dns_name_span(&f->zone));
    if (z && z->first && !f->no_forward) {
        f->no_forward = true;
        zone_find(r, t, task_name(t), t->type == TARN_DNS_DS);
        candidates_fill(r, t);
        task_ready(r, t);
        return WAIT;
    }
    t->ede = EDE_NO_REACHABLE;
    r->stats.failures++;
    remember_failure(r, task_name(t), t->type, t->ede);
    return FAILED;
}

/* All are lame, or bad: what a lame one says is better than nothing. */
static bool take_lame(struct task *t) {
    struct fetch *f = &t->fetch;
    if (!f->saw_lame || f->accept_lame)
        return false;
    f->accept_lame = true;
    for (unsigned i = 0; i < f->candidate_count; i++)
        TARN_AT(f->candidates, i).bad = false;
    return f->candidate_count > 0;
}

static enum outcome ask(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    struct candidate *c;
    while (!(c = best(r, t, false))) {
        enum outcome more = f->sent < SENT_MAX ? candidates_more(r, t) : FAILED;
        if (more == WAIT)
            return WAIT;
        if (more == FAILED && !(c = best(r, t, true)) && !take_lame(t))
            return give_up(r, t);
        if (c)
            break;
    }
    if (f->sent++ >= SENT_MAX)
        return give_up(r, t);
    choose_asked(r, t);
    for (uint8_t i = 0; i < f->candidate_count; i++)
        if (&TARN_AT(f->candidates, i) == c)
            f->current = i;
    exchange_start(r, t, &c->endpoint, false, c->tries++);
    return f->query ? WAIT : give_up(r, t);
}

/* -- what came ----------------------------------------------------------------------------------
 */

void fetch_server_failed(struct tarn_recursor *r, struct task *t, bool for_good) {
    if (for_good && t->fetch.candidate_count)
        current(t)->bad = true;
    exchange_end(r, t);
    tarn_timer_clear(&r->timers, &t->timer);
    task_ready(r, t);
}

static void lame(struct tarn_recursor *r, struct task *t) {
    t->fetch.saw_lame = true;
    struct server *s = server_of(&r->servers, &current(t)->endpoint);
    s->lame_zone = zone_hash(&r->servers, tarn_dns_name_span(&t->fetch.zone));
    s->lame_until = tarn_time_after(clock_of(r), LAME_FOR);
    r->stats.lame++;
    fetch_server_failed(r, t, true);
}

static void down(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    if (f->referrals++ >= REFERRALS_MAX) {
        f->outcome = FAILED;
        return;
    }
    zone_find(r, t, task_name(t), t->type == TARN_DNS_DS);
    f->whole = false;
    candidates_fill(r, t);
}

static void next_label(struct task *t) {
    struct fetch *f = &t->fetch;
    f->labels = (uint8_t)tarn_dns_name_labels(tarn_dns_name_span(&f->asked));
    f->minimised++;
    for (unsigned i = 0; i < f->candidate_count; i++)
        TARN_AT(f->candidates, i).tries = 0;
}

/* Some servers answer names that they should not have been asked for with errors: they are asked
 * for the whole name before they count as broken (RFC 9156 section 2.3). */
static bool ask_whole(struct tarn_recursor *r, struct task *t) {
    if (is_final(t) || t->fetch.whole)
        return false;
    t->fetch.whole = true;
    current(t)->tries--;
    task_ready(r, t);
    return true;
}

void fetch_answered(struct tarn_recursor *r, struct task *t) {
    unsigned rcode = r->parsed.rcode;
    if (rcode != TARN_DNS_NOERROR && rcode != TARN_DNS_NXDOMAIN && rcode != TARN_DNS_YXDOMAIN) {
        if (!ask_whole(r, t))
            fetch_server_failed(r, t, true);
        return;
    }
    switch (learn(r, t)) {
    case LEARNED:
        r->stats.answers++;
        t->fetch.outcome = DONE;
        break;
    case LEARNED_CUT: down(r, t); break;
    case LEARNED_NONE: next_label(t); break;
    case LEARNED_NAME_ERROR: ask_whole(r, t); break;
    case LEARNED_LAME:
        if (!ask_whole(r, t))
            lame(r, t);
        break;
    }
    task_ready(r, t);
}

/* -- the task -----------------------------------------------------------------------------------
 */

/* The hints say where to ask who the root's servers are (RFC 8109). */
static bool wants_priming(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    return f->zone.len == 1 && !f->prime && !zone_configured(r, tarn_dns_name_span(&f->zone))
           && !cache_find(&r->cache, CACHED_CUT, tarn_dns_name_span(&f->zone), 0)
           && !(t->name.len == 1 && t->type == TARN_DNS_NS);
}

static enum outcome start(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    if (!t->avoid_count && !t->refresh
        && (known_answer(r, t, task_name(t), t->type) || known_denial(r, t, task_name(t), t->type)))
        return DONE;
    if (known_failure(r, t, task_name(t), t->type, &t->ede))
        return FAILED;
    f->started = true;
    zone_find(r, t, task_name(t), t->type == TARN_DNS_DS && t->name.len > 1);
    if (wants_priming(r, t)) {
        static const struct tarn_dns_name root = TARN_DNS_ROOT;
        f->prime = true;
        f->started = false;
        if (task_wait(r, t, TASK_FETCH, tarn_dns_name_span(&root), TARN_DNS_NS) == WAIT)
            return WAIT;
        f->started = true;
    }
    candidates_fill(r, t);
    return ask(r, t);
}

bool fetch_elsewhere(struct tarn_recursor *r, struct task *t, struct entry *e, unsigned most) {
    uint16_t type = t->kind == TASK_KEYS ? TARN_DNS_DNSKEY : t->type;
    /* What is avoided may come from the task that this one was made for. */
    if (t->retries >= most || t->avoid_count == AVOID_MAX || !t->budget->queries
        || !t->budget->failures || tarn_ip_addr_is_any(&t->source))
        return false;
    t->retries++;
    TARN_AT(t->avoid, t->avoid_count++) = t->source;
    t->source = TARN_IP_ADDR_NONE;
    cache_drop(&r->cache, e);
    return task_wait(r, t, TASK_FETCH, task_name(t), type) == WAIT;
}

enum outcome fetch_run(struct tarn_recursor *r, struct task *t) {
    struct fetch *f = &t->fetch;
    if (f->outcome != WAIT)
        return f->outcome;
    if (f->query)
        return WAIT;
    return f->started ? ask(r, t) : start(r, t);
}
