/* SPDX-License-Identifier: ISC */
#include "sign.h"

#include "zone.h"

#define PLACES_DEFAULT 16384u
#define DENIAL_PLACES_DEFAULT 2048u
#define SIGNATURE_BYTES 64u
#define GOOD_SECONDS (7u * 86400)
#define PERIOD_SECONDS (GOOD_SECONDS / 4)
#define EARLIER_SECONDS 3600u /* for clocks that are slow */
#define FLAG_SEP 1u

struct place {
    uint64_t tag; /* a hash of what is signed, and by which key; 0: free */
    uint8_t signature[SIGNATURE_BYTES];
};
struct places {
    struct place *all;
    uint32_t count; /* a power of two */
};
struct tarn_dns_signing {
    struct tarn_dns_signing_config config;
    struct tarn_hash_key key;
    struct places there, denials;
    bool split; /* some keys are for the DNSKEYs only */
    struct tarn_dns_signing_stats stats;
    struct tarn_dns_sec_work work;
};

static struct tarn_span dnskey(const struct tarn_dns_signing *s, unsigned i) {
    return TARN_AT(s->config.signer->dnskeys, i);
}

static bool is_sep(struct tarn_span key) {
    return tarn_span_at(key, 1) & FLAG_SEP;
}

unsigned dns_sign_key_count(const struct tarn_dns_signing *s) {
    return s->config.signer->count;
}

bool dns_sign_applies(const struct tarn_dns_signing *s, unsigned i, uint16_t type) {
    return !s->split || is_sep(dnskey(s, i)) == (type == TARN_DNS_DNSKEY);
}

/* RFC 4034 section 3.1.3: without the root's, and without a * in front. */
static uint8_t label_count(struct tarn_span owner) {
    bool star = tarn_span_equal(tarn_dns_name_label(owner), TARN_SPAN_LIT("*"));
    return (uint8_t)(tarn_dns_name_labels(owner) - star);
}

static void put_head(struct tarn_writer *w, struct tarn_span key, const struct tarn_dns_rrset *set,
                     struct tarn_span zone, uint32_t ttl, uint32_t now) {
    uint32_t start = now - now % PERIOD_SECONDS;
    tarn_writer_u16be(w, set->type);
    tarn_writer_u8(w, tarn_span_at(key, 3));
    tarn_writer_u8(w, label_count(set->owner));
    tarn_writer_u32be(w, ttl);
    tarn_writer_u32be(w, start + GOOD_SECONDS);
    tarn_writer_u32be(w, start - EARLIER_SECONDS);
    tarn_writer_u16be(w, tarn_dns_key_tag(key));
    tarn_writer_span_put(w, zone);
}

bool dns_sign(struct tarn_dns_signing *s, unsigned i, const struct tarn_dns_rrset *set,
              struct tarn_span zone, uint32_t ttl, uint32_t wall_seconds,
              struct tarn_writer *rrsig) {
    struct tarn_span message;
    struct places *p = set->type == TARN_DNS_NSEC ? &s->denials : &s->there;
    put_head(rrsig, dnskey(s, i), set, zone, ttl, wall_seconds);
    if (!tarn_writer_ok(rrsig) || dns_sec_message(set, tarn_writer_span(rrsig), &s->work, &message))
        return false;
    uint64_t tag = (tarn_hash(&s->key, message) + i) | 1;
    struct place *at = &TARN_AT_N(p->all, p->count, tag >> 32 & (p->count - 1));
    if (at->tag == tag) {
        s->stats.remembered++;
    } else {
        struct tarn_writer w = TARN_WRITER_ARRAY(at->signature);
        at->tag = 0;
        if (s->config.signer->ops->sign(s->config.signer, i, message, &w)
            || w.len != SIGNATURE_BYTES) {
            s->stats.failed++;
            return false;
        }
        at->tag = tag;
        s->stats.made++;
    }
    tarn_writer_span_put(rrsig, TARN_SPAN_ARRAY(at->signature));
    return tarn_writer_ok(rrsig);
}

/* -- the whole ----------------------------------------------------------------------------------
 */

static bool places_init(struct places *p, struct tarn_alloc *alloc, uint32_t wanted) {
    p->count = 1;
    while (p->count < wanted)
        p->count *= 2;
    p->all = TARN_NEW_ARRAY(alloc, p->count, struct place);
    return p->all != NULL;
}

static void places_fini(struct places *p, struct tarn_alloc *alloc) {
    if (p->all)
        tarn_alloc_put(alloc, p->all, p->count * sizeof *p->all);
}

enum tarn_err tarn_dns_signing_new(const struct tarn_dns_signing_config *c,
                                   struct tarn_dns_signing **out) {
    bool sep = false, other = false;
    for (unsigned i = 0; i < c->signer->count; i++) {
        struct tarn_span key = TARN_AT(c->signer->dnskeys, i);
        if (!tarn_dns_rdata_valid(key, TARN_DNS_DNSKEY))
            return TARN_INVALID;
        sep |= is_sep(key);
        other |= !is_sep(key);
    }
    if (!sep && !other)
        return TARN_INVALID;
    struct tarn_dns_signing *s = TARN_NEW(c->alloc, struct tarn_dns_signing);
    if (!s)
        return TARN_LIMIT;
    s->config = *c;
    s->split = sep && other;
    tarn_hash_key_init(&s->key, c->random);
    if (!places_init(&s->there, c->alloc, c->places ? c->places : PLACES_DEFAULT)
        || !places_init(&s->denials, c->alloc,
                        c->denial_places ? c->denial_places : DENIAL_PLACES_DEFAULT)) {
        tarn_dns_signing_free(s);
        return TARN_LIMIT;
    }
    *out = s;
    return TARN_OK;
}

void tarn_dns_signing_free(struct tarn_dns_signing *s) {
    struct tarn_alloc *alloc = s->config.alloc;
    places_fini(&s->there, alloc);
    places_fini(&s->denials, alloc);
    tarn_alloc_put(alloc, s, sizeof *s);
}

enum tarn_err tarn_dns_zone_sign(struct tarn_dns_zone *z, struct tarn_dns_signing *signing,
                                 const char **why) {
    struct tarn_dns_record r = {tarn_dns_zone_origin(z), TARN_SPAN_EMPTY, TARN_DNS_DNSKEY, z->klass,
                                0};
    struct tarn_dns_record soa;
    if (z->nsec.count || z->nsec3.count || dns_zone_find_set(z, z->apex, TARN_DNS_RRSIG))
        return dns_refuse(why, "it is signed already", TARN_INVALID);
    if (tarn_dns_zone_get(z, r.owner, TARN_DNS_SOA, 0, &soa))
        r.ttl = soa.ttl;
    dns_ref was = dns_zone_find_set(z, z->apex, TARN_DNS_DNSKEY);
    if (was)
        dns_set_unlink(z, z->apex, was);
    for (unsigned i = 0; i < signing->config.signer->count; i++) {
        r.rdata = dnskey(signing, i);
        enum tarn_err err = tarn_dns_zone_add(z, &r, why);
        if (err)
            return err;
    }
    z->signing = signing;
    return tarn_dns_zone_seal(z, why);
}

void tarn_dns_signing_stats(const struct tarn_dns_signing *s, struct tarn_dns_signing_stats *out) {
    *out = s->stats;
}
