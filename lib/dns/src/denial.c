/* SPDX-License-Identifier: ISC */
/* What proves that something is not there, in a zone that was signed elsewhere: with NSEC (RFC 4035
 * section 3.1.3) or with NSEC3 (RFC 5155 section 7.2). Proofs are noted; answer.c puts them. */
#include "server.h"

#include <tarn/dns_sec.h>

#define ITERATIONS_MAX 500u

static void note(struct dns_query *q, dns_ref node) {
    if (!node)
        return;
    for (uint32_t i = 0; i < q->proof_count; i++)
        if (TARN_AT(q->proofs, i) == node)
            return;
    if (q->proof_count < DNS_PROOFS_MAX)
        TARN_AT(q->proofs, q->proof_count++) = node;
}

/* -- NSEC ---------------------------------------------------------------------------------------
 */

static void nsec_for(struct dns_query *q, struct tarn_span name) {
    note(q, dns_order_before(q->zone, &q->zone->nsec, name));
}

/* -- NSEC3 --------------------------------------------------------------------------------------
 */

struct params {
    uint16_t iterations;
    struct tarn_span salt;
};

static bool read_params(const struct tarn_dns_zone *z, struct params *out) {
    dns_ref ref = dns_zone_find_set(z, z->apex, TARN_DNS_NSEC3PARAM);
    struct tarn_span data = ref ? dns_set_data(dns_set(z, ref)) : TARN_SPAN_EMPTY, s;
    uint8_t algorithm, flags, len;
    return dns_set_next(&data, &s) && tarn_span_u8(&s, &algorithm) && algorithm == 1
           && tarn_span_u8(&s, &flags) && tarn_span_u16be(&s, &out->iterations)
           && out->iterations <= ITERATIONS_MAX && tarn_span_u8(&s, &len)
           && tarn_span_take(&s, len, &out->salt);
}

/* The first label of the owner of a name's NSEC3 (RFC 5155 section 5). */
static bool hash_label(const struct tarn_dns_zone *z, struct tarn_span name,
                       uint8_t label[TARN_DNS_NSEC3_LABEL_BYTES]) {
    struct params params;
    uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES];
    if (!read_params(z, &params))
        return false;
    tarn_dns_nsec3_hash(name, params.salt, params.iterations, hash);
    tarn_dns_nsec3_print(hash, label);
    return true;
}

/* The NSEC3 that matches a name or covers it; *matches says which. */
static dns_ref nsec3_of(const struct tarn_dns_zone *z, struct tarn_span name, bool *matches) {
    uint8_t label[TARN_DNS_NSEC3_LABEL_BYTES];
    struct tarn_dns_name owner;
    *matches = false;
    if (!hash_label(z, name, label)
        || !tarn_dns_name_child(TARN_SPAN_ARRAY(label), tarn_dns_name_span(&z->origin), &owner))
        return 0;
    dns_ref node = dns_order_before(z, &z->nsec3, tarn_dns_name_span(&owner));
    *matches =
        node && tarn_span_equal_nocase(dns_node_label(dns_node(z, node)), TARN_SPAN_ARRAY(label));
    return node;
}

static bool nsec3_for(struct dns_query *q, struct tarn_span name) {
    bool matches;
    note(q, nsec3_of(q->zone, name, &matches));
    return matches;
}

/* -- both ---------------------------------------------------------------------------------------
 */

static bool wildcard_of(const struct dns_query *q, dns_ref encloser, struct tarn_dns_name *out) {
    struct tarn_dns_name name;
    dns_zone_name(q->zone, encloser, &name);
    return tarn_dns_name_child(TARN_SPAN_LIT("*"), tarn_dns_name_span(&name), out);
}

void dns_deny_name(struct dns_query *q, const struct dns_path *p, dns_ref encloser,
                   unsigned depth) {
    struct tarn_dns_name wildcard;
    if (q->zone->signing) {
        q->denied = p->name;
        /* RFC 9824 section 5.1: as if the name were there, unless it is known that it is not. */
        if (!(q->edns.flags & TARN_DNS_EDNS_CO))
            q->rcode = TARN_DNS_NOERROR;
        return;
    }
    dns_deny_closer(q, p, depth, 0);
    if (!wildcard_of(q, encloser, &wildcard))
        return;
    if (q->zone->nsec3.count) {
        nsec3_for(q, dns_path_name(p, depth));
        nsec3_for(q, tarn_dns_name_span(&wildcard));
    } else if (q->zone->nsec.count) {
        nsec_for(q, tarn_dns_name_span(&wildcard));
    }
}

void dns_deny_type(struct dns_query *q, struct tarn_span name, dns_ref node) {
    struct tarn_span at = name, child = name;
    if (q->zone->signing) {
        q->denied = name;
        q->denied_node = node;
        return;
    }
    if (!q->zone->nsec3.count) {
        if (q->zone->nsec.count)
            nsec_for(q, at);
        return;
    }
    bool matches;
    dns_ref ref = nsec3_of(q->zone, at, &matches);
    /* A delegation that is opted out has none of its own: the closest encloser's, and what covers
     * the next closer name (RFC 5155 section 7.2.7). */
    while (!matches && at.len > q->zone->origin.len) {
        child = at;
        at = tarn_dns_name_parent(at);
        ref = nsec3_of(q->zone, at, &matches);
    }
    note(q, ref);
    if (at.len != name.len)
        nsec3_for(q, child);
}

void dns_deny_closer(struct dns_query *q, const struct dns_path *p, unsigned depth,
                     dns_ref wildcard) {
    struct tarn_dns_name name;
    if (q->zone->signing) { /* what a wildcard has is signed as the name's own */
        q->denied = wildcard ? p->name : q->denied;
        q->denied_node = wildcard;
        return;
    }
    struct tarn_span closer = dns_path_name(p, depth + 1);
    if (q->zone->nsec3.count) {
        nsec3_for(q, closer);
        if (!wildcard)
            return;
        nsec3_for(q, dns_path_name(p, depth));
        dns_zone_name(q->zone, wildcard, &name);
        nsec3_for(q, tarn_dns_name_span(&name));
    } else if (q->zone->nsec.count) {
        nsec_for(q, p->name);
        if (wildcard) {
            dns_zone_name(q->zone, wildcard, &name);
            nsec_for(q, tarn_dns_name_span(&name));
        }
    }
}
