/* SPDX-License-Identifier: ISC */
/* What NSEC3 records prove (RFC 5155 section 8), and what their hashes may cost (RFC 9276). */
#include "internal.h"

#define OPT_OUT 1u
#define SHA1_BLOCK 64u

bool nsec3_read(struct tarn_span s, struct nsec3 *n) {
    uint8_t len;
    if (!tarn_span_u8(&s, &n->algorithm) || !tarn_span_u8(&s, &n->flags)
        || !tarn_span_u16be(&s, &n->iterations) || !tarn_span_u8(&s, &len)
        || !tarn_span_take(&s, len, &n->salt) || !tarn_span_u8(&s, &len)
        || !tarn_span_take(&s, len, &n->next))
        return false;
    n->bitmap = s;
    return true;
}

/* -- hashes -------------------------------------------------------------------------------------
 */

bool nsec3_hash(struct tarn_recursor *r, struct budget *b, const struct nsec3 *params,
                struct tarn_span name, uint8_t out[TARN_DNS_NSEC3_HASH_BYTES]) {
    uint32_t blocks =
        (uint32_t)(params->iterations + 1)
        * (uint32_t)((TARN_DNS_NSEC3_HASH_BYTES + params->salt.len + 9) / SHA1_BLOCK + 1);
    if (b && !spend(r, &b->hash_rounds, blocks))
        return false;
    r->stats.hash_rounds += blocks;
    tarn_dns_nsec3_hash(name, params->salt, params->iterations, out);
    return true;
}

bool nsec3_label(struct tarn_span owner, uint8_t out[TARN_DNS_NSEC3_HASH_BYTES]) {
    return tarn_dns_nsec3_parse(tarn_dns_name_label(owner), out);
}

void nsec3_owner(const uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES], struct tarn_span zone,
                 struct tarn_dns_name *out) {
    uint8_t label[TARN_DNS_NSEC3_LABEL_BYTES];
    tarn_dns_nsec3_print(hash, label);
    if (!tarn_dns_name_child(TARN_SPAN_ARRAY(label), zone, out))
        *out = TARN_DNS_ROOT;
}

/* -- proofs -------------------------------------------------------------------------------------
 */

struct found {
    struct nsec3 n;
    uint8_t owner[TARN_DNS_NSEC3_HASH_BYTES];
};

static bool next_nsec3(struct denial *d, struct tarn_span *data, struct found *out) {
    struct tarn_span sigs, one;
    struct set s;
    struct sig g;
    while (set_next(data, &s)) {
        sigs = s.sigs;
        if (s.type == TARN_DNS_NSEC3 && s.section == TARN_DNS_AUTHORITY && record_next(&sigs, &one)
            && sig_read(one, &g) && tarn_dns_name_equal(g.signer, d->zone)
            && tarn_dns_name_equal(tarn_dns_name_parent(s.owner), d->zone)
            && record_next(&s.records, &one) && nsec3_read(one, &out->n) && out->n.algorithm == 1
            && out->n.next.len == TARN_DNS_NSEC3_HASH_BYTES && !(out->n.flags & ~OPT_OUT)
            && nsec3_label(s.owner, out->owner))
            return true;
    }
    return false;
}

static bool covers(const struct found *f, struct tarn_span hash) {
    struct tarn_span owner = TARN_SPAN_ARRAY(f->owner);
    bool behind = tarn_span_compare(owner, hash) < 0,
         before = tarn_span_compare(hash, f->n.next) < 0;
    return tarn_span_compare(owner, f->n.next) < 0 ? behind && before : behind || before;
}

/* The record whose owner is the hash of the name, or that covers it. False: there is none, or the
 * budget is spent. */
static bool find(struct denial *d, struct tarn_span name, bool cover, struct found *out) {
    struct tarn_span data = d->data;
    uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES];
    struct nsec3 params = {0};
    bool hashed = false;
    while (next_nsec3(d, &data, out)) {
        if (out->n.iterations > d->r->config.iterations_max)
            continue;
        if (!hashed && !nsec3_hash(d->r, d->t->budget, &out->n, name, hash))
            return false;
        params = hashed ? params : out->n;
        hashed = true;
        /* All of one proof are hashed alike (RFC 5155 section 8.2). */
        if (params.iterations != out->n.iterations || !tarn_span_equal(params.salt, out->n.salt))
            continue;
        if (cover ? covers(out, TARN_SPAN_ARRAY(hash))
                  : tarn_span_equal(TARN_SPAN_ARRAY(out->owner), TARN_SPAN_ARRAY(hash)))
            return true;
    }
    return false;
}

static bool too_much(struct denial *d) {
    struct tarn_span data = d->data;
    struct found f;
    while (next_nsec3(d, &data, &f))
        if (f.n.iterations > d->r->config.iterations_max)
            return true;
    return false;
}

/* RFC 5155 section 8.3: the deepest name above that exists, and the next closer one, which does
 * not. *closer says whether its record is of an opt-out span. */
static bool find_encloser(struct denial *d, struct tarn_span name, struct tarn_span *encloser,
                          struct found *closer) {
    struct tarn_span next = name;
    struct found f;
    for (struct tarn_span n = name; tarn_dns_name_within(n, d->zone);
         next = n, n = tarn_dns_name_parent(n)) {
        if (find(d, n, false, &f)) {
            *encloser = n;
            return !tarn_dns_name_equal(n, name) && !bitmap_ends_zone(f.n.bitmap)
                   && find(d, next, true, closer);
        }
        if (n.len <= 1)
            break;
    }
    return false;
}

enum proof nsec3_no_name(struct denial *d, struct tarn_span name) {
    struct tarn_span encloser;
    struct tarn_dns_name wild;
    struct found closer, star;
    if (too_much(d))
        return PROOF_TOO_MUCH;
    if (!find_encloser(d, name, &encloser, &closer)
        || !tarn_dns_name_child(TARN_SPAN_LIT("*"), encloser, &wild)
        || !find(d, tarn_dns_name_span(&wild), true, &star))
        return PROOF_NONE;
    return closer.n.flags & OPT_OUT ? PROOF_OPT_OUT : PROOF_YES;
}

enum proof nsec3_no_type(struct denial *d, struct tarn_span name, uint16_t type) {
    struct tarn_span encloser;
    struct tarn_dns_name wild;
    struct found f, closer;
    if (too_much(d))
        return PROOF_TOO_MUCH;
    if (!tarn_dns_name_within(name, d->zone))
        return PROOF_NONE;
    if (find(d, name, false, &f))
        return bitmap_lacks(d, f.n.bitmap, name, type);
    if (!find_encloser(d, name, &encloser, &closer)
        || !tarn_dns_name_child(TARN_SPAN_LIT("*"), encloser, &wild))
        return PROOF_NONE;
    if (find(d, tarn_dns_name_span(&wild), false, &f)) {
        enum proof p = bitmap_lacks(d, f.n.bitmap, tarn_dns_name_span(&wild), type);
        d->is_cut = false;
        return p == PROOF_YES && closer.n.flags & OPT_OUT ? PROOF_OPT_OUT : p;
    }
    /* Section 8.6: what an opt-out span leaves out may be an insecure delegation; and (section
     * 8.5, erratum 3441) an empty name above one. */
    return closer.n.flags & OPT_OUT ? PROOF_OPT_OUT : PROOF_NONE;
}

enum proof nsec3_no_closer(struct denial *d, struct tarn_span name, unsigned wild) {
    struct found f;
    if (too_much(d))
        return PROOF_TOO_MUCH;
    for (unsigned has = tarn_dns_name_labels(name); has > wild + 1; has--)
        name = tarn_dns_name_parent(name);
    if (!find(d, name, true, &f))
        return PROOF_NONE;
    return f.n.flags & OPT_OUT ? PROOF_OPT_OUT : PROOF_YES;
}
