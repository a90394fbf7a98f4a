/* SPDX-License-Identifier: ISC */
/* The keys of a zone, from an anchor or from what the zone above says of them. */
#include "internal.h"
#include <tarn/digest.h>

#define EDE_BOGUS 6u
#define EDE_NO_KEY 9u
#define FAILED_TTL 30u
#define RETRIES_MAX 3u
#define PAIRS_MAX 12u /* of DS and key, that are compared */

bool sec_supports(const struct tarn_recursor *r, uint8_t algorithm) {
    return r->config.sha1 ? tarn_dns_sec_knows(algorithm) : tarn_dns_sec_supports(algorithm);
}

bool anchor_above(const struct tarn_recursor *r, struct tarn_span name, struct tarn_span *zone) {
    struct tarn_recursor_anchor a;
    if (r->config.no_validation)
        return false;
    for (;; name = tarn_dns_name_parent(name)) {
        for (unsigned i = 0; i < r->config.insecure_count; i++)
            if (tarn_dns_name_equal(TARN_AT_N(r->config.insecure, r->config.insecure_count, i),
                                    name))
                return false;
        for (unsigned i = 0; anchor_next(r, &i, &a);) {
            *zone = a.zone;
            if (tarn_dns_name_equal(*zone, name))
                return true;
        }
        if (name.len <= 1)
            return false;
    }
}

static void put_keys(struct tarn_recursor *r, struct task *t, enum status status, uint16_t ede,
                     uint32_t ttl, struct tarn_span keys) {
    struct entry_new n = {.kind = CACHED_KEYS,
                          .name = task_name(t),
                          .data = keys,
                          .ttl = TARN_MIN(ttl, r->config.ttl_max),
                          .status = (uint8_t)status,
                          .ede = ede,
                          .now = clock_of(r)};
    (void)cache_put(&r->cache, &n);
}

static enum outcome settle(struct tarn_recursor *r, struct task *t, enum status status,
                           uint16_t ede, uint32_t ttl) {
    put_keys(r, t, status, ede, ttl, TARN_SPAN_EMPTY);
    return DONE;
}

/* -- which keys are trusted ---------------------------------------------------------------------
 */

bool ds_usable(const struct tarn_recursor *r, struct tarn_span ds) {
    uint16_t tag;
    uint8_t algorithm, digest;
    return tarn_span_u16be(&ds, &tag) && tarn_span_u8(&ds, &algorithm) && tarn_span_u8(&ds, &digest)
           && sec_supports(r, algorithm) && (digest == 1 || digest == 2 || digest == 4);
}

static uint8_t ds_digest(struct tarn_span ds) {
    return ds.len > 3 ? tarn_span_at(ds, 3) : 0;
}

/* A better digest of the same set makes SHA-1's not count (RFC 4509 section 3). */
static bool has_better(const struct tarn_recursor *r, struct tarn_span records) {
    struct tarn_span one;
    while (record_next(&records, &one))
        if (ds_usable(r, one) && ds_digest(one) != 1)
            return true;
    return false;
}

/* The key set is signed by one that the DS set names. */
static bool match_ds(struct tarn_recursor *r, struct task *t, const struct set *keys,
                     struct tarn_span records) {
    bool better = has_better(r, records);
    struct tarn_span ds, key, all;
    unsigned pairs = 0, wild;
    t->ede = EDE_NO_KEY;
    while (record_next(&records, &ds)) {
        if (!ds_usable(r, ds) || (better && ds_digest(ds) == 1))
            continue;
        for (all = keys->records; record_next(&all, &key);) {
            uint16_t tag;
            struct tarn_span head = ds;
            if (!tarn_span_u16be(&head, &tag) || tag != tarn_dns_key_tag(key) || ++pairs > PAIRS_MAX
                || tarn_dns_ds_matches(keys->owner, key, ds) != TARN_OK)
                continue;
            uint8_t alone[2 + 4096];
            struct tarn_writer w = TARN_WRITER_ARRAY(alone);
            tarn_writer_u16be(&w, (uint16_t)key.len);
            tarn_writer_span_put(&w, key);
            if (verify_with(r, t, keys, keys->owner, tarn_writer_span(&w), &wild))
                return true;
        }
    }
    return false;
}

/* An anchor's records: DS, or keys that must be in the set as they are. */
static bool match_anchor(struct tarn_recursor *r, struct task *t, const struct set *keys) {
    uint8_t bytes[2 + 4096];
    struct tarn_recursor_anchor a;
    unsigned wild;
    t->ede = EDE_NO_KEY;
    for (unsigned i = 0; anchor_next(r, &i, &a);) {
        struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
        if (!tarn_dns_name_equal(a.zone, keys->owner))
            continue;
        tarn_writer_u16be(&w, (uint16_t)a.rdata.len);
        tarn_writer_span_put(&w, a.rdata);
        struct tarn_span one = tarn_writer_span(&w);
        if (a.type == TARN_DNS_DS ? match_ds(r, t, keys, one)
                                  : verify_with(r, t, keys, keys->owner, one, &wild))
            return true;
    }
    return false;
}

/* No anchor of that zone is of an algorithm that is known here: it is as if there were none. */
static bool anchor_usable(struct tarn_recursor *r, struct tarn_span zone) {
    struct tarn_recursor_anchor a;
    for (unsigned i = 0; anchor_next(r, &i, &a);) {
        if (!tarn_dns_name_equal(a.zone, zone) || a.rdata.len < 4)
            continue;
        if (a.type == TARN_DNS_DS ? ds_usable(r, a.rdata)
                                  : sec_supports(r, tarn_span_at(a.rdata, 3)))
            return true;
    }
    return false;
}

/* -- the task -----------------------------------------------------------------------------------
 */

/* The DS of the zone, copied to `out`. DONE: it is there; FAILED: settled without. */
static enum outcome find_ds(struct tarn_recursor *r, struct task *t, struct tarn_writer *out,
                            uint32_t *ttl) {
    struct entry *e = known_answer(r, t, task_name(t), TARN_DNS_DS);
    struct set s;
    struct tarn_span all, one;
    bool usable = false;
    if (!e || e->status == UNCHECKED) {
        if ((e || !known_failure(r, t, task_name(t), TARN_DNS_DS, &t->ede))
            && task_wait(r, t, TASK_CHECK, task_name(t), TARN_DNS_DS) == WAIT)
            return WAIT;
        return settle(r, t, BOGUS, t->ede ? t->ede : EDE_BOGUS, FAILED_TTL), FAILED;
    }
    *ttl = entry_left(e, clock_of(r));
    if (e->status == INSECURE || (e->status == SECURE && (e->flags & (ENTRY_CUT | ENTRY_OPT_OUT))))
        return settle(r, t, INSECURE, 0, *ttl), FAILED;
    if (e->status == BOGUS || (e->flags & (ENTRY_NEGATIVE | ENTRY_ALIAS))
        || !set_find(entry_data(&r->cache, e), TARN_DNS_ANSWER, TARN_DNS_DS, &s))
        return settle(r, t, BOGUS, e->ede ? e->ede : EDE_NO_KEY, FAILED_TTL), FAILED;
    for (all = s.records; record_next(&all, &one);)
        usable |= ds_usable(r, one);
    if (!usable)
        return settle(r, t, INSECURE, 0, *ttl), FAILED;
    tarn_writer_span_put(out, s.records);
    return tarn_writer_ok(out) ? DONE : FAILED;
}

/* Only keys that may sign are kept (RFC 4034 section 2.1, RFC 5011 section 2.1). */
static struct tarn_span filter(struct tarn_span records, struct tarn_writer *w) {
    struct tarn_span one;
    while (record_next(&records, &one)) {
        if (one.len < 4 || !(tarn_span_at(one, 0) & 1) || tarn_span_at(one, 2) != 3
            || (tarn_span_at(one, 1) & 0x80))
            continue;
        tarn_writer_u16be(w, (uint16_t)one.len);
        tarn_writer_span_put(w, one);
    }
    return tarn_writer_span(w);
}

static enum outcome find_keys(struct tarn_recursor *r, struct task *t, bool anchored,
                              struct tarn_span ds, uint32_t ttl) {
    struct entry *e = known_answer(r, t, task_name(t), TARN_DNS_DNSKEY);
    struct tarn_writer w = TARN_WRITER_ARRAY(r->build), kept;
    struct tarn_span copy;
    struct set s;
    if (!e) {
        if (!known_failure(r, t, task_name(t), TARN_DNS_DNSKEY, &t->ede)
            && task_wait(r, t, TASK_FETCH, task_name(t), TARN_DNS_DNSKEY) == WAIT)
            return WAIT;
        return settle(r, t, BOGUS, EDE_NO_KEY, FAILED_TTL);
    }
    tarn_writer_span_put(&w, entry_data(&r->cache, e));
    copy = tarn_writer_span(&w);
    t->valid_left = UINT32_MAX;
    t->ede = EDE_NO_KEY;
    bool ok = set_find(copy, TARN_DNS_ANSWER, TARN_DNS_DNSKEY, &s)
              && (anchored ? match_anchor(r, t, &s) : match_ds(r, t, &s, ds));
    if (!ok) {
        if (fetch_elsewhere(r, t, e, RETRIES_MAX))
            return WAIT;
        if ((e = known_answer(r, t, task_name(t), TARN_DNS_DNSKEY)))
            cache_drop(&r->cache, e); /* the next time, others may be there */
        return settle(r, t, BOGUS, t->ede, TARN_MIN(r->config.bogus_ttl, FAILED_TTL));
    }
    ttl = TARN_MIN(ttl, entry_left(e, clock_of(r)));
    ttl = TARN_MIN(ttl, t->valid_left);
    e->status = SECURE;
    kept = TARN_WRITER_ARRAY(r->keep);
    put_keys(r, t, SECURE, 0, ttl, filter(s.records, &kept));
    return DONE;
}

enum outcome keys_run(struct tarn_recursor *r, struct task *t) {
    struct entry *known = cache_find(&r->cache, CACHED_KEYS, task_name(t), 0);
    struct tarn_span anchor;
    uint8_t bytes[4096];
    struct tarn_writer ds = TARN_WRITER_ARRAY(bytes);
    uint32_t ttl = UINT32_MAX;
    if (known && is_fresh(r, t, known))
        return DONE;
    if (!anchor_above(r, task_name(t), &anchor))
        return settle(r, t, INSECURE, 0, r->config.ttl_max);
    bool anchored = tarn_dns_name_equal(anchor, task_name(t));
    if (anchored && !anchor_usable(r, anchor))
        return settle(r, t, INSECURE, 0, r->config.ttl_max);
    if (!anchored) {
        enum outcome o = find_ds(r, t, &ds, &ttl);
        if (o != DONE)
            return o == WAIT ? WAIT : DONE;
    }
    return find_keys(r, t, anchored, tarn_writer_span(&ds), ttl);
}
