/* SPDX-License-Identifier: ISC */
/* What NSEC records prove (RFC 4035 section 5.4, RFC 6840 section 4). */
#include "internal.h"

bool bitmap_has(struct tarn_span bitmap, uint16_t type) {
    uint8_t window, len;
    struct tarn_span bits;
    while (tarn_span_u8(&bitmap, &window) && tarn_span_u8(&bitmap, &len)
           && tarn_span_take(&bitmap, len, &bits)) {
        unsigned at = (type & 255u) / 8;
        if (window == type >> 8)
            return at < bits.len && (tarn_span_at(bits, at) >> (7 - type % 8) & 1);
    }
    return false;
}

bool nsec_read(struct tarn_span rdata, struct tarn_span *next, struct tarn_span *bitmap) {
    bool ok = tarn_dns_name_take(&rdata, next);
    *bitmap = rdata;
    return ok;
}

bool nsec_covers(struct tarn_span owner, struct tarn_span next, struct tarn_span name) {
    bool behind = tarn_dns_name_compare(owner, name) < 0,
         before = tarn_dns_name_compare(name, next) < 0;
    /* The last one's next is the first of all. */
    return tarn_dns_name_compare(owner, next) < 0 ? behind && before : behind || before;
}

struct tarn_span nsec_encloser(struct tarn_span owner, struct tarn_span next,
                               struct tarn_span name) {
    while (name.len > 1 && !tarn_dns_name_within(owner, name) && !tarn_dns_name_within(next, name))
        name = tarn_dns_name_parent(name);
    return name;
}

bool bitmap_ends_zone(struct tarn_span bitmap) {
    return bitmap_has(bitmap, TARN_DNS_DNAME)
           || (bitmap_has(bitmap, TARN_DNS_NS) && !bitmap_has(bitmap, TARN_DNS_SOA));
}

enum proof bitmap_lacks(struct denial *d, struct tarn_span bitmap, struct tarn_span name,
                        uint16_t type) {
    bool ns = bitmap_has(bitmap, TARN_DNS_NS), soa = bitmap_has(bitmap, TARN_DNS_SOA);
    if (bitmap_has(bitmap, type) || bitmap_has(bitmap, TARN_DNS_CNAME))
        return PROOF_NONE;
    /* Of a DS the zone above speaks, of everything else the one below. */
    if (type == TARN_DNS_DS ? soa && name.len > 1 : ns && !soa)
        return PROOF_NONE;
    d->is_cut = ns && !soa;
    return PROOF_YES;
}

struct nsec {
    struct tarn_span owner, next, bitmap;
};

/* The next NSEC of the zone, signed as itself: one made from a wildcard proves nothing. */
static bool next_nsec(struct denial *d, struct tarn_span *data, struct nsec *out) {
    struct tarn_span sigs, one;
    struct set s;
    struct sig g;
    while (set_next(data, &s)) {
        sigs = s.sigs;
        if (s.type != TARN_DNS_NSEC || s.section != TARN_DNS_AUTHORITY || !record_next(&sigs, &one)
            || !sig_read(one, &g) || !tarn_dns_name_equal(g.signer, d->zone)
            || !record_next(&s.records, &one) || !nsec_read(one, &out->next, &out->bitmap))
            continue;
        unsigned labels = tarn_dns_name_labels(s.owner);
        labels -= tarn_span_equal(tarn_dns_name_label(s.owner), TARN_SPAN_LIT("*"));
        if (g.labels != labels || !tarn_dns_name_within(out->next, d->zone))
            continue;
        out->owner = s.owner;
        return true;
    }
    return false;
}

static bool find_cover(struct denial *d, struct tarn_span name, struct nsec *out) {
    struct tarn_span data = d->data;
    while (next_nsec(d, &data, out))
        if (nsec_covers(out->owner, out->next, name)
            && !(bitmap_ends_zone(out->bitmap) && tarn_dns_name_within(name, out->owner)))
            return true;
    return false;
}

static bool find_match(struct denial *d, struct tarn_span name, struct nsec *out) {
    struct tarn_span data = d->data;
    while (next_nsec(d, &data, out))
        if (tarn_dns_name_equal(out->owner, name))
            return true;
    return false;
}

static struct tarn_span encloser(const struct nsec *n, struct tarn_span name) {
    return nsec_encloser(n->owner, n->next, name);
}

/* Where the next name is below, the name is there, without anything of its own. */
static bool is_empty_name(const struct nsec *n, struct tarn_span name) {
    return tarn_dns_name_within(n->next, name);
}

enum proof nsec_no_name(struct denial *d, struct tarn_span name) {
    struct nsec n, star;
    struct tarn_dns_name wild;
    if (!tarn_dns_name_within(name, d->zone) || !find_cover(d, name, &n) || is_empty_name(&n, name)
        || !tarn_dns_name_child(TARN_SPAN_LIT("*"), encloser(&n, name), &wild))
        return PROOF_NONE;
    return find_cover(d, tarn_dns_name_span(&wild), &star) ? PROOF_YES : PROOF_NONE;
}

bool nsec_is_empty(struct denial *d, struct tarn_span name) {
    struct nsec n;
    return tarn_dns_name_within(name, d->zone) && find_cover(d, name, &n)
           && is_empty_name(&n, name);
}

enum proof nsec_no_type(struct denial *d, struct tarn_span name, uint16_t type) {
    struct nsec n, star;
    struct tarn_dns_name wild;
    if (!tarn_dns_name_within(name, d->zone))
        return PROOF_NONE;
    if (find_match(d, name, &n))
        return bitmap_lacks(d, n.bitmap, name, type);
    if (!find_cover(d, name, &n))
        return PROOF_NONE;
    if (is_empty_name(&n, name))
        return PROOF_YES;
    if (!tarn_dns_name_child(TARN_SPAN_LIT("*"), encloser(&n, name), &wild)
        || !find_match(d, tarn_dns_name_span(&wild), &star))
        return PROOF_NONE;
    enum proof p = bitmap_lacks(d, star.bitmap, tarn_dns_name_span(&wild), type);
    d->is_cut = false;
    return p;
}

/* A wildcard was rightly used: between it and the name there is nothing. */
enum proof nsec_no_closer(struct denial *d, struct tarn_span name, unsigned wild) {
    struct nsec n;
    if (!find_cover(d, name, &n))
        return PROOF_NONE;
    return tarn_dns_name_labels(encloser(&n, name)) <= wild ? PROOF_YES : PROOF_NONE;
}
