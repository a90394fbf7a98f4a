/* SPDX-License-Identifier: ISC */
/* Names in canonical order, for denials. Base32hex keeps the order of what it encodes (RFC 4648
 * section 7), so the owners of NSEC3 are in the order of their hashes too. */
#include "zone.h"

static bool has(const struct tarn_dns_zone *z, dns_ref node, uint16_t type) {
    return dns_zone_find_set(z, node, type) != 0;
}

static int compare(const struct tarn_dns_zone *z, dns_ref a, struct tarn_span b) {
    struct tarn_dns_name name;
    dns_zone_name(z, a, &name);
    return tarn_dns_name_compare(tarn_dns_name_span(&name), b);
}

/* Heapsort: no memory, and no order of its input that is slow. */
static void sink(const struct tarn_dns_zone *z, struct dns_order *o, uint32_t root,
                 uint32_t count) {
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        dns_ref *nodes = o->nodes;
        struct tarn_dns_name name;
        if (child + 1 < count) {
            dns_zone_name(z, TARN_AT_N(nodes, o->count, child + 1), &name);
            if (compare(z, TARN_AT_N(nodes, o->count, child), tarn_dns_name_span(&name)) < 0)
                child++;
        }
        dns_ref *a = &TARN_AT_N(nodes, o->count, root), *b = &TARN_AT_N(nodes, o->count, child),
                was;
        dns_zone_name(z, *b, &name);
        if (compare(z, *a, tarn_dns_name_span(&name)) >= 0)
            return;
        was = *a;
        *a = *b;
        *b = was;
    }
}

static void sort(const struct tarn_dns_zone *z, struct dns_order *o) {
    for (uint32_t i = o->count / 2; i-- > 0;)
        sink(z, o, i, o->count);
    for (uint32_t end = o->count; end-- > 1;) {
        dns_ref *first = &TARN_AT_N(o->nodes, o->count, 0);
        dns_ref *last = &TARN_AT_N(o->nodes, o->count, end), was = *first;
        *first = *last;
        *last = was;
        sink(z, o, 0, end);
    }
}

/* Each node with the type, in some order; counts them where `nodes` is NULL. */
static uint32_t collect(const struct tarn_dns_zone *z, uint16_t type, dns_ref *nodes,
                        uint32_t max) {
    uint32_t n = 0;
    if (has(z, z->apex, type)) {
        if (nodes)
            TARN_AT_N(nodes, max, n) = z->apex;
        n++;
    }
    for (uint32_t i = 0; i < z->bucket_count; i++)
        for (dns_ref ref = TARN_AT_N(z->buckets, z->bucket_count, i); ref;
             ref = dns_node(z, ref)->next) {
            if (!has(z, ref, type))
                continue;
            if (nodes)
                TARN_AT_N(nodes, max, n) = ref;
            n++;
        }
    return n;
}

bool dns_order_build(struct tarn_dns_zone *z, struct dns_order *o, uint16_t type) {
    o->count = collect(z, type, NULL, 0);
    o->nodes = o->count ? TARN_NEW_ARRAY(z->alloc, o->count, dns_ref) : NULL;
    if (o->count && !o->nodes) {
        o->count = 0;
        return false;
    }
    collect(z, type, o->nodes, o->count);
    sort(z, o);
    return true;
}

void dns_order_free(struct tarn_dns_zone *z, struct dns_order *o) {
    if (o->nodes)
        tarn_alloc_put(z->alloc, o->nodes, o->count * sizeof *o->nodes);
    *o = (struct dns_order){0};
}

dns_ref dns_order_before(const struct tarn_dns_zone *z, const struct dns_order *o,
                         struct tarn_span name) {
    uint32_t low = 0, high = o->count;
    if (!o->count)
        return 0;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (compare(z, TARN_AT_N(o->nodes, o->count, mid), name) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return TARN_AT_N(o->nodes, o->count, low ? low - 1 : o->count - 1);
}
