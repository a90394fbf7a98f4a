/* SPDX-License-Identifier: ISC */
#include "sets.h"
#include <tarn/trust_anchors.h>

#define FLAG_ZONE 1u /* first byte */
#define FLAG_SEP 1u  /* second byte */
#define FLAG_REVOKE 0x80u
#define HOUR 3600u
#define DAY 86400u
#define SIGS_MAX 16u
#define RECORDS_SEEN_MAX 64u
#define SAVED_MAGIC 0x54415231u /* "TAR1" */

/* -- keys ---------------------------------------------------------------------------------------
 */

static void key_set(struct tarn_trust_key *k, enum tarn_trust_state state, uint16_t type,
                    struct tarn_span rdata) {
    k->state = state;
    k->type = type;
    k->len = (uint16_t)rdata.len;
    k->until_s = 0;
    tarn_bytes_copy(tarn_bytes_first(TARN_BYTES_ARRAY(k->rdata), rdata.len), rdata);
}

/* The key is that of this place: as it is, or by the digest that is configured. */
static bool is_key(const struct tarn_trust_anchors *a, const struct tarn_trust_key *k,
                   struct tarn_span key) {
    struct tarn_span known = tarn_trust_key_span(k), head = known;
    uint16_t tag;
    if (k->state == TARN_TRUST_START)
        return false;
    if (k->type == TARN_DNS_DNSKEY)
        return tarn_span_equal(known, key);
    return tarn_span_u16be(&head, &tag) && tag == tarn_dns_key_tag(key)
           && tarn_dns_ds_matches(tarn_dns_name_span(&a->zone), key, known) == TARN_OK;
}

static struct tarn_trust_key *find(struct tarn_trust_anchors *a, struct tarn_span key) {
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++)
        if (is_key(a, &TARN_AT(a->keys, i), key))
            return &TARN_AT(a->keys, i);
    return NULL;
}

static struct tarn_trust_key *room(struct tarn_trust_anchors *a) {
    struct tarn_trust_key *oldest = NULL;
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++) {
        struct tarn_trust_key *k = &TARN_AT(a->keys, i);
        if (k->state == TARN_TRUST_START)
            return k;
        if (k->state == TARN_TRUST_REMOVED && (!oldest || k->until_s < oldest->until_s))
            oldest = k;
    }
    return oldest;
}

/* The key itself, in place of the digests that it was known by. */
static void adopt(struct tarn_trust_anchors *a, struct tarn_trust_key *k, struct tarn_span key) {
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++) {
        struct tarn_trust_key *other = &TARN_AT(a->keys, i);
        if (other != k && is_key(a, other, key))
            other->state = TARN_TRUST_START;
    }
    key_set(k, k->state, TARN_DNS_DNSKEY, key);
}

/* -- what is configured -------------------------------------------------------------------------
 */

void tarn_trust_anchors_init(struct tarn_trust_anchors *a, struct tarn_span zone) {
    *a = (struct tarn_trust_anchors){.retry_s = HOUR};
    tarn_dns_name_copy(&a->zone, zone);
}

/* The place of what is configured. A DS is known by itself, or by its key. */
static struct tarn_trust_key *find_configured(struct tarn_trust_anchors *a, uint16_t type,
                                              struct tarn_span rdata) {
    struct tarn_trust_key ds;
    if (type == TARN_DNS_DNSKEY)
        return find(a, rdata);
    key_set(&ds, TARN_TRUST_VALID, type, rdata);
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++) {
        struct tarn_trust_key *k = &TARN_AT(a->keys, i);
        if (k->state == TARN_TRUST_START)
            continue;
        if (k->type == TARN_DNS_DS ? tarn_span_equal(tarn_trust_key_span(k), rdata)
                                   : is_key(a, &ds, tarn_trust_key_span(k)))
            return k;
    }
    return NULL;
}

enum tarn_err tarn_trust_anchors_add(struct tarn_trust_anchors *a, uint16_t type,
                                     struct tarn_span rdata) {
    if ((type != TARN_DNS_DS && type != TARN_DNS_DNSKEY) || rdata.len < 5
        || rdata.len > TARN_TRUST_KEY_BYTES_MAX || !tarn_dns_rdata_valid(rdata, type)
        || (type == TARN_DNS_DNSKEY && (tarn_span_at(rdata, 1) & FLAG_REVOKE)))
        return TARN_INVALID;
    struct tarn_trust_key *k = find_configured(a, type, rdata);
    if (k && k->state != TARN_TRUST_ADD_PEND)
        return TARN_OK;
    if (k) {
        k->state = TARN_TRUST_VALID;
    } else {
        if (!(k = room(a)))
            return TARN_LIMIT;
        key_set(k, TARN_TRUST_VALID, type, rdata);
    }
    a->version++;
    a->changes++;
    return TARN_OK;
}

/* -- a set of keys ------------------------------------------------------------------------------
 */

struct job {
    struct tarn_trust_anchors *a;
    struct tarn_span keys, sigs;
    uint64_t now;
    struct tarn_dns_sec_work *work;
    unsigned left; /* verifications */
    struct sig sig;
    bool seen[TARN_TRUST_KEYS_MAX];
};

/* Along the keys of a set that may be anchors: of the zone, with SEP, of an algorithm that is
 * known. `plain` is the key without REVOKE, as it is known here and was named by a DS. */
struct walk {
    struct tarn_span rest, key, plain;
    bool revoked;
    unsigned seen;
    uint8_t buffer[TARN_TRUST_KEY_BYTES_MAX];
};

static bool next_key(struct walk *w) {
    while (w->seen < RECORDS_SEEN_MAX && record_next(&w->rest, &w->key)) {
        struct tarn_span key = w->key;
        if (key.len < 5 || key.len > sizeof w->buffer || !(tarn_span_at(key, 0) & FLAG_ZONE)
            || !(tarn_span_at(key, 1) & FLAG_SEP) || tarn_span_at(key, 2) != 3
            || !tarn_dns_sec_supports(tarn_span_at(key, 3)))
            continue;
        struct tarn_bytes copy = tarn_bytes_first(TARN_BYTES_ARRAY(w->buffer), key.len);
        tarn_bytes_copy(copy, key);
        w->revoked = (tarn_span_at(key, 1) & FLAG_REVOKE) != 0;
        *tarn_bytes_at(copy, 1) &= (uint8_t)~FLAG_REVOKE;
        w->plain = tarn_bytes_span(copy);
        w->seen++;
        return true;
    }
    return false;
}

/* The key, as it stands in the set, signed the set. */
static bool signed_by(struct job *j, struct tarn_span key) {
    struct tarn_span zone = tarn_dns_name_span(&j->a->zone), sigs = j->sigs, one;
    struct tarn_dns_rrset set = {zone, j->keys, TARN_DNS_DNSKEY, TARN_DNS_IN};
    uint16_t tag = tarn_dns_key_tag(key);
    bool wildcard;
    for (unsigned i = 0; i < SIGS_MAX && record_next(&sigs, &one); i++) {
        if (!sig_read(one, &j->sig) || j->sig.tag != tag
            || !tarn_dns_name_equal(j->sig.signer, zone) || !j->left)
            continue;
        j->left--;
        uint32_t now = (uint32_t)j->now;
        enum tarn_err err = tarn_span_at(key, 1) & FLAG_REVOKE
                                ? tarn_dns_verify_revocation(&set, one, key, now, j->work)
                                : tarn_dns_verify(&set, one, key, zone, now, j->work, &wildcard);
        if (err == TARN_OK)
            return true;
    }
    return false;
}

/* Section 2.1: who has the key can end the trust in it, and nobody else. */
static void take_revocations(struct job *j) {
    for (struct walk w = {.rest = j->keys}; next_key(&w);) {
        struct tarn_trust_key *k = w.revoked ? find(j->a, w.plain) : NULL;
        if (!k || !tarn_trust_key_trusted(k) || !signed_by(j, w.key))
            continue;
        adopt(j->a, k, w.plain);
        k->state = TARN_TRUST_REVOKED;
        k->until_s = j->now + TARN_TRUST_REMOVE_SECONDS;
        j->a->changes++;
    }
}

static bool is_trusted(struct job *j) {
    for (struct walk w = {.rest = j->keys}; next_key(&w);) {
        struct tarn_trust_key *k = w.revoked ? NULL : find(j->a, w.plain);
        if (k && tarn_trust_key_trusted(k) && signed_by(j, w.key))
            return true;
    }
    return false;
}

/* Section 2.4.1: the hold-down is at least as long as this first set may be cached. */
static void pend(struct job *j, struct tarn_span key) {
    struct tarn_trust_key *k = room(j->a);
    if (!k) {
        j->a->passed_by++;
        return;
    }
    key_set(k, TARN_TRUST_ADD_PEND, TARN_DNS_DNSKEY, key);
    k->until_s = j->now + TARN_MAX(TARN_TRUST_ADD_SECONDS, j->sig.ttl);
    TARN_AT(j->seen, (size_t)(k - j->a->keys)) = true;
}

static void see(struct job *j, struct tarn_trust_key *k, struct tarn_span key) {
    TARN_AT(j->seen, (size_t)(k - j->a->keys)) = true;
    if (k->type == TARN_DNS_DS)
        adopt(j->a, k, key);
    if (k->state == TARN_TRUST_MISSING)
        k->state = TARN_TRUST_VALID;
    if (k->state == TARN_TRUST_ADD_PEND && j->now >= k->until_s) {
        k->state = TARN_TRUST_VALID;
        j->a->changes++;
    }
}

/* Section 4.1, of a set that is trusted. */
static void take_keys(struct job *j) {
    for (struct walk w = {.rest = j->keys}; next_key(&w);) {
        struct tarn_trust_key *k = find(j->a, w.plain);
        if (w.revoked)
            continue;
        if (k)
            see(j, k, w.plain);
        else
            pend(j, w.plain);
    }
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++) {
        struct tarn_trust_key *k = &TARN_AT(j->a->keys, i);
        if (TARN_AT(j->seen, i))
            continue;
        if (k->state == TARN_TRUST_ADD_PEND)
            k->state = TARN_TRUST_START;
        if (k->state == TARN_TRUST_VALID)
            k->state = TARN_TRUST_MISSING;
    }
}

static void remove_revoked(struct tarn_trust_anchors *a, uint64_t now) {
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++) {
        struct tarn_trust_key *k = &TARN_AT(a->keys, i);
        if (k->state == TARN_TRUST_REVOKED && now >= k->until_s) {
            k->state = TARN_TRUST_REMOVED;
            a->version++;
        }
    }
}

/* Section 2.3: a part of the times of the set, within bounds. */
static void schedule(struct job *j) {
    uint32_t good = j->sig.expires - (uint32_t)j->now, times = TARN_MIN(j->sig.ttl, good);
    uint32_t refresh = TARN_MIN(times / 2, 15 * DAY), retry = TARN_MIN(times / 10, DAY);
    j->a->retry_s = TARN_MAX(retry, HOUR);
    j->a->due_s = j->now + TARN_MAX(refresh, HOUR);
}

enum tarn_err tarn_trust_anchors_input(struct tarn_trust_anchors *a, struct tarn_span keys,
                                       struct tarn_span sigs, uint64_t now_s,
                                       struct tarn_dns_sec_work *work) {
    struct job j = {.a = a,
                    .keys = keys,
                    .sigs = sigs,
                    .now = now_s,
                    .work = work,
                    .left = TARN_TRUST_VERIFICATIONS_MAX};
    remove_revoked(a, now_s);
    take_revocations(&j);
    if (!is_trusted(&j)) {
        tarn_trust_anchors_failed(a, now_s);
        return TARN_PEER;
    }
    take_keys(&j);
    schedule(&j);
    a->version++;
    return TARN_OK;
}

void tarn_trust_anchors_failed(struct tarn_trust_anchors *a, uint64_t now_s) {
    remove_revoked(a, now_s);
    a->due_s = now_s + a->retry_s;
    a->version++;
}

uint64_t tarn_trust_anchors_due(const struct tarn_trust_anchors *a, uint64_t now_s) {
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++)
        if (tarn_trust_key_trusted(&TARN_AT(a->keys, i))) /* a clock that was set back: at once */
            return a->due_s > now_s + 15 * DAY ? now_s : a->due_s;
    return UINT64_MAX;
}

/* -- saved --------------------------------------------------------------------------------------
 */

void tarn_trust_anchors_save(const struct tarn_trust_anchors *a, struct tarn_writer *w) {
    tarn_writer_u32be(w, SAVED_MAGIC);
    tarn_writer_span_put(w, tarn_dns_name_span(&a->zone));
    tarn_writer_u64be(w, a->due_s);
    tarn_writer_u32be(w, a->retry_s);
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++) {
        const struct tarn_trust_key *k = &TARN_AT(a->keys, i);
        if (k->state == TARN_TRUST_START)
            continue;
        tarn_writer_u8(w, (uint8_t)k->state);
        tarn_writer_u16be(w, k->type);
        tarn_writer_u64be(w, k->until_s);
        tarn_writer_u16be(w, k->len);
        tarn_writer_span_put(w, tarn_trust_key_span(k));
    }
}

static bool load_key(struct tarn_span *s, struct tarn_trust_key *k) {
    struct tarn_span rdata;
    uint8_t state;
    uint16_t type, len;
    uint64_t until;
    if (!tarn_span_u8(s, &state) || !tarn_span_u16be(s, &type) || !tarn_span_u64be(s, &until)
        || !tarn_span_u16be(s, &len) || !tarn_span_take(s, len, &rdata) || len < 5
        || len > TARN_TRUST_KEY_BYTES_MAX || state < TARN_TRUST_ADD_PEND
        || state > TARN_TRUST_REMOVED || (type != TARN_DNS_DS && type != TARN_DNS_DNSKEY)
        || !tarn_dns_rdata_valid(rdata, type)
        || (type == TARN_DNS_DNSKEY && (tarn_span_at(rdata, 1) & FLAG_REVOKE)))
        return false;
    key_set(k, (enum tarn_trust_state)state, type, rdata);
    k->until_s = until;
    return true;
}

enum tarn_err tarn_trust_anchors_load(struct tarn_trust_anchors *a, struct tarn_span saved) {
    struct tarn_dns_name own = a->zone;
    struct tarn_span zone;
    uint32_t magic;
    bool ok =
        tarn_span_u32be(&saved, &magic) && magic == SAVED_MAGIC && tarn_dns_name_take(&saved, &zone)
        && tarn_dns_name_equal(zone, tarn_dns_name_span(&own)) && tarn_span_u64be(&saved, &a->due_s)
        && tarn_span_u32be(&saved, &a->retry_s) && a->retry_s >= HOUR && a->retry_s <= DAY;
    for (unsigned i = 0; ok && saved.len; i++)
        ok = i < TARN_TRUST_KEYS_MAX && load_key(&saved, &TARN_AT(a->keys, i));
    if (ok)
        return TARN_OK;
    tarn_trust_anchors_init(a, tarn_dns_name_span(&own));
    return TARN_INVALID;
}
