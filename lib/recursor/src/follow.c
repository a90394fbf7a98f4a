/* SPDX-License-Identifier: ISC */
/* The anchors that are in use, and the one that is followed through its changes (RFC 5011). */
#include "internal.h"

#define LOOK_EVERY TARN_SEC(3600) /* the wall's clock may be set at any time */

static bool is_followed(const struct tarn_recursor *r, struct tarn_span zone) {
    const struct tarn_trust_anchors *f = r->config.follow;
    return f && tarn_dns_name_equal(zone, tarn_dns_name_span(&f->zone));
}

bool anchor_next(const struct tarn_recursor *r, unsigned *i, struct tarn_recursor_anchor *out) {
    const struct tarn_trust_anchors *f = r->config.follow;
    unsigned count = r->config.anchor_count;
    while (*i < count) {
        *out = TARN_AT_N(r->config.anchors, count, *i);
        ++*i;
        if (!is_followed(r, out->zone))
            return true;
    }
    while (f && *i < count + TARN_TRUST_KEYS_MAX) {
        const struct tarn_trust_key *k = &TARN_AT(f->keys, *i - count);
        ++*i;
        if (!tarn_trust_key_trusted(k))
            continue;
        *out = (struct tarn_recursor_anchor){tarn_dns_name_span(&f->zone), tarn_trust_key_span(k),
                                             k->type};
        return true;
    }
    return false;
}

static void look_later(struct tarn_recursor *r) {
    struct tarn_trust_anchors *f = r->config.follow;
    uint64_t wall = wall_of(r), due = tarn_trust_anchors_due(f, wall), left;
    r->follow_due = TARN_NEVER;
    if (due == UINT64_MAX)
        return;
    left = due > wall ? TARN_SEC(due - wall) : 0;
    r->follow_due = tarn_time_after(clock_of(r), TARN_MIN(left, LOOK_EVERY));
}

enum tarn_err follow_init(struct tarn_recursor *r) {
    struct tarn_trust_anchors *f = r->config.follow;
    r->follow_due = TARN_NEVER;
    if (!f || r->config.no_validation)
        return TARN_OK;
    for (unsigned i = 0; i < r->config.anchor_count; i++) {
        const struct tarn_recursor_anchor *a =
            &TARN_AT_N(r->config.anchors, r->config.anchor_count, i);
        if (is_followed(r, a->zone) && tarn_trust_anchors_add(f, a->type, a->rdata))
            return TARN_LIMIT;
    }
    look_later(r);
    return TARN_OK;
}

void follow_tick(struct tarn_recursor *r, tarn_time now) {
    struct tarn_trust_anchors *f = r->config.follow;
    if (r->follow_due > now)
        return;
    look_later(r);
    if (r->follow_due > now)
        return;
    /* While it is asked for, nothing is due; who finds no room tries again a minute later. */
    r->follow_due = tarn_time_after(now, TARN_SEC(60));
    if (task_new(r, NULL, TASK_FOLLOW, tarn_dns_name_span(&f->zone), TARN_DNS_DNSKEY, false))
        r->follow_due = TARN_NEVER;
}

/* What is in the cache as the zone's keys was found with anchors that are others now. */
static void forget_keys(struct tarn_recursor *r, const struct task *t) {
    struct entry *e = cache_find(&r->cache, CACHED_KEYS, task_name(t), 0);
    if (e)
        cache_drop(&r->cache, e);
}

enum outcome follow_run(struct tarn_recursor *r, struct task *t) {
    struct tarn_trust_anchors *f = r->config.follow;
    struct entry *e;
    struct set s;
    uint32_t before = f->changes;
    if (!t->retries) { /* the first run */
        t->retries = 1;
        if (task_wait(r, t, TASK_FETCH, task_name(t), TARN_DNS_DNSKEY) == WAIT)
            return WAIT;
    }
    e = known_answer(r, t, task_name(t), TARN_DNS_DNSKEY);
    if (t->child_outcome == DONE && e && e->fetched >= t->budget->started
        && set_find(entry_data(&r->cache, e), TARN_DNS_ANSWER, TARN_DNS_DNSKEY, &s))
        r->stats.followed +=
            tarn_trust_anchors_input(f, s.records, s.sigs, wall_of(r), &r->work) == TARN_OK;
    else
        tarn_trust_anchors_failed(f, wall_of(r));
    if (f->changes != before)
        forget_keys(r, t);
    look_later(r);
    return DONE;
}
