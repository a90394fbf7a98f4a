/* SPDX-License-Identifier: ISC */
/* Zones that are signed as they are served: signatures of what goes out, and denials made for the
 * question, each an NSEC of the name itself up to the next name that there could be (RFC 9824). */
#include "server.h"
#include "sign.h"
#include "text.h"

#define RRSIG_BYTES_MAX (18u + TARN_DNS_NAME_MAX + 64u)
#define NSEC_BYTES_MAX (TARN_DNS_NAME_MAX + 600u)
#define TYPE_NXNAME 128u

bool dns_compact_sign(struct dns_query *q, enum tarn_dns_section section,
                      const struct tarn_dns_rrset *set, uint32_t original_ttl, uint32_t ttl) {
    struct tarn_dns_signing *s = q->zone->signing;
    for (unsigned i = 0; i < dns_sign_key_count(s); i++) {
        uint8_t data[RRSIG_BYTES_MAX];
        struct tarn_writer w = TARN_WRITER_ARRAY(data);
        if (!dns_sign_applies(s, i, set->type))
            continue;
        if (!dns_sign(s, i, set, tarn_dns_name_span(&q->zone->origin), original_ttl,
                      q->request->wall_seconds, &w))
            q->rcode = TARN_DNS_SERVFAIL;
        else if (!tarn_dns_put_rr(&q->b, section, set->owner, TARN_DNS_RRSIG, set->klass, ttl,
                                  tarn_writer_span(&w)))
            return false;
    }
    return true;
}

/* The first name behind `name` in the canonical order (RFC 4034 section 6.1) that there could be.
 * False: it is too long for that to be found simply. */
static bool successor(struct tarn_span name, struct tarn_dns_name *out) {
    if (!tarn_dns_name_child(TARN_SPAN_LIT("\0"), name, out)) {
        uint8_t len = tarn_span_at(name, 0);
        tarn_dns_name_copy(out, name);
        if (tarn_span_at(name, len) >= 0xff)
            return false;
        tarn_dns_name_lower(out);
        TARN_AT(out->bytes, len)++;
    }
    tarn_dns_name_lower(out);
    return true;
}

static void put_types(const struct dns_query *q, struct tarn_writer *w) {
    const struct tarn_dns_zone *z = q->zone;
    uint8_t all[8192] = {0};
    unsigned last = 0;
    bool cut = q->denied_node && dns_node(z, q->denied_node)->flags & DNS_CUT;
    dns_ref ref = q->denied_node ? dns_node(z, q->denied_node)->sets : 0;
#define PUT(type) TARN_AT(all, (type) / 8u) |= (uint8_t)(0x80u >> (type) % 8)
    PUT(TARN_DNS_RRSIG);
    PUT(TARN_DNS_NSEC);
    if (!q->denied_node)
        PUT(TYPE_NXNAME);
    for (; ref; ref = dns_set(z, ref)->next) {
        uint16_t type = dns_set(z, ref)->type;
        if (cut && type != TARN_DNS_NS && type != TARN_DNS_DS)
            continue; /* the child's (RFC 4035 section 2.3) */
        PUT(type);
        last = TARN_MAX(last, type / 256u);
    }
#undef PUT
    dns_put_bitmap(w, all, last);
}

bool dns_compact_put(struct dns_query *q, enum tarn_dns_section section, uint32_t ttl) {
    uint8_t data[2 + NSEC_BYTES_MAX + 8192 / 32 * 34];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    struct tarn_dns_name next;
    if (!successor(q->denied, &next)) {
        q->rcode = TARN_DNS_SERVFAIL;
        return true;
    }
    tarn_writer_u16be(&w, 0);
    tarn_writer_span_put(&w, tarn_dns_name_span(&next));
    put_types(q, &w);
    tarn_writer_patch_u16be(&w, 0, (uint16_t)(w.len - 2));
    struct tarn_dns_rrset set = {q->denied, tarn_writer_span(&w), TARN_DNS_NSEC, q->zone->klass};
    return tarn_dns_put_rr(&q->b, section, q->denied, TARN_DNS_NSEC, q->zone->klass, ttl,
                           tarn_span_after(set.records, 2))
           && dns_compact_sign(q, section, &set, ttl, ttl);
}
