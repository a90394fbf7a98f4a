/* SPDX-License-Identifier: ISC */
#ifndef TARN_DNS_ZONE_INTERNAL_H
#define TARN_DNS_ZONE_INTERNAL_H

#include <tarn/dns_zone.h>
#include <tarn/hash.h>

/* -- the heap: pieces named by 32 bits, in units of 8 bytes --------------------------------------
 */

#define DNS_PIECE_MAX 65536u
#define DNS_SIZE_CLASSES 192u
typedef uint32_t dns_ref; /* 0: none */

struct dns_heap {
    struct tarn_alloc *alloc;
    struct tarn_bytes *segments;
    uint32_t segments_max, segment_count;
    uint64_t used, bytes; /* in the newest segment, of which bytes are from the allocator */
    dns_ref free[DNS_SIZE_CLASSES];
};
bool dns_heap_init(struct dns_heap *h, struct tarn_alloc *alloc, uint64_t bytes_max);
void dns_heap_fini(struct dns_heap *h);
/* 0: no memory, or more than DNS_PIECE_MAX. */
dns_ref dns_heap_take(struct dns_heap *h, size_t bytes);
void dns_heap_put(struct dns_heap *h, dns_ref ref, size_t bytes);
/* The memory from there to the end of its segment. */
struct tarn_bytes dns_heap_at(const struct dns_heap *h, dns_ref ref);

/* -- names and sets ------------------------------------------------------------------------------
 */

enum dns_node_flag {
    DNS_CUT = 1,   /* has NS, and is not the apex */
    DNS_DNAME = 2, /* has DNAME */
    DNS_WILD = 4,  /* has a child * */
    DNS_NOTED = 8, /* the change under way names it, so it stays */
};
struct dns_node {
    dns_ref next, parent; /* next: in its bucket */
    dns_ref sets;
    uint32_t children;
    uint8_t flags, label_len;
    uint8_t label[]; /* in the case that it first came in */
};
struct dns_set {
    dns_ref next;
    uint32_t ttl;
    uint16_t type, count, data_len;
    bool fresh;     /* made by the change that is under way */
    uint8_t data[]; /* each record's behind its length of 16 bits */
};

/* What is in the canonical order of names: those that have a record of some type. */
struct dns_order {
    dns_ref *nodes;
    uint32_t count;
};
/* Changes that become one: what each set was before, which stays until the end. */
struct dns_noted {
    dns_ref node, was; /* was: 0: there was none */
    uint16_t type;
    bool again; /* the node is an earlier one's too */
};
struct dns_change {
    struct dns_noted *noted;
    uint32_t count, room;
    bool open;
};
/* What the newest changes did, the oldest first. `bytes` is a delta as tarn_dns_zone_commit has
 * it. */
struct dns_delta {
    struct dns_delta *next;
    uint32_t from, to; /* serials */
    size_t len;
    uint8_t bytes[];
};
struct dns_journal {
    struct dns_delta *oldest, *newest;
    size_t bytes, bytes_max;
};

struct tarn_dns_zone {
    struct tarn_alloc *alloc;
    struct dns_heap heap;
    struct tarn_hash_key key;
    struct tarn_dns_name origin;
    uint16_t klass;
    dns_ref apex;
    dns_ref *buckets;
    uint32_t bucket_count; /* a power of two */
    uint64_t names, sets, records;
    struct dns_order nsec, nsec3;
    uint64_t version; /* counts changes */
    bool sealed;
    struct dns_change change;
    struct dns_journal journal;
    struct tarn_dns_signing *signing; /* NULL: not signed as it is served */
};

static inline struct dns_node *dns_node(const struct tarn_dns_zone *z, dns_ref ref) {
    struct tarn_bytes b = dns_heap_at(&z->heap, ref);
    TARN_ASSERT(b.len >= sizeof(struct dns_node));
    return (struct dns_node *)(void *)b.ptr;
}
static inline struct dns_set *dns_set(const struct tarn_dns_zone *z, dns_ref ref) {
    struct tarn_bytes b = dns_heap_at(&z->heap, ref);
    TARN_ASSERT(b.len >= sizeof(struct dns_set));
    return (struct dns_set *)(void *)b.ptr;
}
static inline struct tarn_span dns_node_label(const struct dns_node *n) {
    return tarn_span_of(n->label, n->label_len);
}
static inline struct tarn_span dns_set_data(const struct dns_set *s) {
    return tarn_span_of(s->data, s->data_len);
}
/* Takes a record's data off the front of a set's. */
static inline bool dns_set_next(struct tarn_span *data, struct tarn_span *rdata) {
    uint16_t len;
    return tarn_span_u16be(data, &len) && tarn_span_take(data, len, rdata);
}

/* 0: there is no such child. */
dns_ref dns_zone_child(const struct tarn_dns_zone *z, dns_ref parent, struct tarn_span label);
dns_ref dns_zone_find_set(const struct tarn_dns_zone *z, dns_ref node, uint16_t type);
/* The node of a name in the zone, or 0. */
dns_ref dns_zone_find(const struct tarn_dns_zone *z, struct tarn_span name);
void dns_zone_name(const struct tarn_dns_zone *z, dns_ref node, struct tarn_dns_name *out);

/* The labels of a name below the apex, from the last: label i is at offsets[count - 1 - i]. */
struct dns_path {
    struct tarn_span name;
    uint8_t offsets[128];
    uint8_t count;
};
/* False: the name is not in the zone. */
bool dns_path_init(struct dns_path *p, struct tarn_span name, struct tarn_span origin);
/* The label that is `depth` below the apex, from 1. */
struct tarn_span dns_path_label(const struct dns_path *p, unsigned depth);
/* The name with `depth` of its labels below the apex. */
struct tarn_span dns_path_name(const struct dns_path *p, unsigned depth);

/* A set leaves its node; unless a change is under way that may bring it back, it is freed. */
void dns_set_unlink(struct tarn_dns_zone *z, dns_ref node, dns_ref set);
void dns_set_link(struct tarn_dns_zone *z, dns_ref node, dns_ref set);
void dns_set_free(struct tarn_dns_zone *z, dns_ref set);
/* The name goes if there is nothing at and below it, and then those above it. */
void dns_node_prune(struct tarn_dns_zone *z, dns_ref node);
/* The serial in an SOA's data; false: it is too short. */
bool dns_soa_serial(struct tarn_span soa, uint32_t *serial);
enum tarn_err dns_refuse(const char **why, const char *reason, enum tarn_err err);

/* change.c: a set is about to change. False: no memory to remember it. */
bool dns_change_note(struct tarn_dns_zone *z, dns_ref node, uint16_t type);
void dns_journal_fini(struct tarn_dns_zone *z);
/* The delta that starts from a serial, or NULL. */
const struct dns_delta *dns_journal_from(const struct tarn_dns_zone *z, uint32_t serial);
/* Takes a record off the front of a delta. */
bool dns_delta_next(struct tarn_span *delta, struct tarn_dns_record *out);

/* order.c: of sealing. */
bool dns_order_build(struct tarn_dns_zone *z, struct dns_order *o, uint16_t type);
void dns_order_free(struct tarn_dns_zone *z, struct dns_order *o);
/* The node that is, or is the last before, `name`; the last of all before the first. 0: empty. */
dns_ref dns_order_before(const struct tarn_dns_zone *z, const struct dns_order *o,
                         struct tarn_span name);

#endif
