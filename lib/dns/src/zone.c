/* SPDX-License-Identifier: ISC */
#include "zone.h"

#define MEMORY_MAX_DEFAULT (1ull << 30)
#define BUCKETS_FIRST 64u
#define BUCKETS_MAX (1u << 28)

/* -- names --------------------------------------------------------------------------------------
 */

bool dns_path_init(struct dns_path *p, struct tarn_span name, struct tarn_span origin) {
    size_t below = name.len - origin.len;
    p->name = name;
    p->count = 0;
    if (name.len < origin.len)
        return false;
    for (size_t at = 0; at < below; at += 1u + tarn_span_at(name, at)) {
        TARN_AT(p->offsets, p->count) = (uint8_t)at;
        p->count++;
        if (at + 1u + tarn_span_at(name, at) > below)
            return false; /* the origin's first label starts within this one */
    }
    return tarn_dns_name_equal(tarn_span_after(name, below), origin);
}

struct tarn_span dns_path_name(const struct dns_path *p, unsigned depth) {
    TARN_ASSERT(depth <= p->count);
    if (depth == p->count)
        return p->name;
    uint8_t at = depth ? TARN_AT(p->offsets, p->count - depth) : 0;
    if (depth)
        return tarn_span_after(p->name, at);
    at = TARN_AT(p->offsets, p->count - 1u);
    return tarn_span_after(p->name, at + 1u + tarn_span_at(p->name, at));
}

struct tarn_span dns_path_label(const struct dns_path *p, unsigned depth) {
    return tarn_dns_name_label(dns_path_name(p, depth));
}

static uint64_t hash_child(const struct tarn_dns_zone *z, dns_ref parent, struct tarn_span label) {
    uint8_t buf[4 + TARN_DNS_LABEL_MAX], c;
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    tarn_writer_u32be(&w, parent);
    while (tarn_span_u8(&label, &c))
        tarn_writer_u8(&w, tarn_dns_lower(c));
    return tarn_hash(&z->key, tarn_writer_span(&w));
}

static dns_ref *bucket(const struct tarn_dns_zone *z, uint64_t hash) {
    return &TARN_AT_N(z->buckets, z->bucket_count, hash & (z->bucket_count - 1));
}

dns_ref dns_zone_child(const struct tarn_dns_zone *z, dns_ref parent, struct tarn_span label) {
    dns_ref ref = *bucket(z, hash_child(z, parent, label));
    while (ref) {
        const struct dns_node *n = dns_node(z, ref);
        if (n->parent == parent && tarn_span_equal_nocase(dns_node_label(n), label))
            return ref;
        ref = n->next;
    }
    return 0;
}

dns_ref dns_zone_find(const struct tarn_dns_zone *z, struct tarn_span name) {
    struct dns_path p;
    if (!dns_path_init(&p, name, tarn_dns_name_span(&z->origin)))
        return 0;
    dns_ref ref = z->apex;
    for (unsigned depth = 1; ref && depth <= p.count; depth++)
        ref = dns_zone_child(z, ref, dns_path_label(&p, depth));
    return ref;
}

void dns_zone_name(const struct tarn_dns_zone *z, dns_ref ref, struct tarn_dns_name *out) {
    struct tarn_writer w = TARN_WRITER_ARRAY(out->bytes);
    for (; ref != z->apex; ref = dns_node(z, ref)->parent) {
        struct tarn_span label = dns_node_label(dns_node(z, ref));
        tarn_writer_u8(&w, (uint8_t)label.len);
        tarn_writer_span_put(&w, label);
    }
    tarn_writer_span_put(&w, tarn_dns_name_span(&z->origin));
    TARN_ASSERT(tarn_writer_ok(&w));
    out->len = (uint8_t)w.len;
}

/* Twice as many buckets. Where there is no memory for them, chains are longer instead. */
static void grow_buckets(struct tarn_dns_zone *z) {
    uint32_t count = z->bucket_count * 2, was_count = z->bucket_count;
    dns_ref *was = z->buckets;
    dns_ref *now = count <= BUCKETS_MAX ? TARN_NEW_ARRAY(z->alloc, count, dns_ref) : NULL;
    if (!now)
        return;
    z->buckets = now;
    z->bucket_count = count;
    for (uint32_t i = 0; i < was_count; i++)
        for (dns_ref ref = TARN_AT_N(was, was_count, i), next; ref; ref = next) {
            struct dns_node *n = dns_node(z, ref);
            dns_ref *head = bucket(z, hash_child(z, n->parent, dns_node_label(n)));
            next = n->next;
            n->next = *head;
            *head = ref;
        }
    tarn_alloc_put(z->alloc, was, was_count * sizeof *was);
}

static size_t node_bytes(size_t label_len) {
    return offsetof(struct dns_node, label) + label_len;
}

/* parent 0: the apex, which is in no bucket. */
static dns_ref node_add(struct tarn_dns_zone *z, dns_ref parent, struct tarn_span label) {
    dns_ref ref = dns_heap_take(&z->heap, node_bytes(label.len));
    if (!ref)
        return 0;
    struct tarn_bytes mem = dns_heap_at(&z->heap, ref);
    tarn_bytes_fill(tarn_bytes_first(mem, node_bytes(label.len)), 0);
    struct dns_node *n = dns_node(z, ref);
    n->parent = parent;
    n->label_len = (uint8_t)label.len;
    tarn_bytes_copy(tarn_bytes_of(n->label, label.len), label);
    z->names++;
    if (!parent)
        return ref;
    if (z->names > z->bucket_count)
        grow_buckets(z);
    dns_ref *head = bucket(z, hash_child(z, parent, label));
    n->next = *head;
    *head = ref;
    struct dns_node *up = dns_node(z, parent);
    up->children++;
    if (tarn_span_equal(label, TARN_SPAN_LIT("*")))
        up->flags |= DNS_WILD;
    return ref;
}

static void node_remove(struct tarn_dns_zone *z, dns_ref ref) {
    struct dns_node *n = dns_node(z, ref), *up = dns_node(z, n->parent);
    dns_ref *at = bucket(z, hash_child(z, n->parent, dns_node_label(n)));
    while (*at != ref)
        at = &dns_node(z, *at)->next;
    *at = n->next;
    up->children--;
    if (tarn_span_equal(dns_node_label(n), TARN_SPAN_LIT("*")))
        up->flags &= (uint8_t)~DNS_WILD;
    z->names--;
    dns_heap_put(&z->heap, ref, node_bytes(n->label_len));
}

/* Names with nothing at and below them are none (RFC 8020). */
void dns_node_prune(struct tarn_dns_zone *z, dns_ref ref) {
    while (ref != z->apex) {
        const struct dns_node *n = dns_node(z, ref);
        dns_ref parent = n->parent;
        if (n->sets || n->children || (n->flags & DNS_NOTED))
            return;
        node_remove(z, ref);
        ref = parent;
    }
}

static dns_ref node_make(struct tarn_dns_zone *z, const struct dns_path *p) {
    dns_ref ref = z->apex;
    for (unsigned depth = 1; depth <= p->count; depth++) {
        struct tarn_span label = dns_path_label(p, depth);
        dns_ref child = dns_zone_child(z, ref, label);
        if (!child)
            child = node_add(z, ref, label);
        if (!child) {
            dns_node_prune(z, ref);
            return 0;
        }
        ref = child;
    }
    return ref;
}

/* -- record sets --------------------------------------------------------------------------------
 */

static size_t set_bytes(size_t data_len) {
    return offsetof(struct dns_set, data) + data_len;
}

dns_ref dns_zone_find_set(const struct tarn_dns_zone *z, dns_ref node, uint16_t type) {
    dns_ref ref = dns_node(z, node)->sets;
    while (ref && dns_set(z, ref)->type != type)
        ref = dns_set(z, ref)->next;
    return ref;
}

static void note_flags(struct tarn_dns_zone *z, dns_ref node, uint16_t type, bool there) {
    uint8_t flag = type == TARN_DNS_DNAME                   ? DNS_DNAME
                   : type == TARN_DNS_NS && node != z->apex ? DNS_CUT
                                                            : 0;
    struct dns_node *n = dns_node(z, node);
    n->flags = there ? n->flags | flag : (uint8_t)(n->flags & ~flag);
}

/* The link that names a set. */
static dns_ref *set_link(struct tarn_dns_zone *z, dns_ref node, dns_ref set) {
    dns_ref *link = &dns_node(z, node)->sets;
    while (*link != set)
        link = &dns_set(z, *link)->next;
    return link;
}

void dns_set_free(struct tarn_dns_zone *z, dns_ref ref) {
    dns_heap_put(&z->heap, ref, set_bytes(dns_set(z, ref)->data_len));
}

void dns_set_unlink(struct tarn_dns_zone *z, dns_ref node, dns_ref ref) {
    const struct dns_set *s = dns_set(z, ref);
    *set_link(z, node, ref) = s->next;
    note_flags(z, node, s->type, false);
    z->sets--;
    z->records -= s->count;
    if (!z->change.open || s->fresh)
        dns_set_free(z, ref);
}

void dns_set_link(struct tarn_dns_zone *z, dns_ref node, dns_ref ref) {
    struct dns_set *s = dns_set(z, ref);
    s->next = dns_node(z, node)->sets;
    dns_node(z, node)->sets = ref;
    note_flags(z, node, s->type, true);
    z->sets++;
    z->records += s->count;
}

/* A set with other data, in the place of `was` (0: a new one). */
static bool set_replace(struct tarn_dns_zone *z, dns_ref node, dns_ref was,
                        const struct dns_set *head, const struct tarn_span *pieces, size_t n) {
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += TARN_AT_N(pieces, n, i).len;
    dns_ref ref = dns_heap_take(&z->heap, set_bytes(len));
    if (!ref)
        return false;
    struct dns_set *s = dns_set(z, ref);
    s->ttl = head->ttl;
    s->type = head->type;
    s->count = head->count;
    s->data_len = (uint16_t)len;
    s->fresh = z->change.open;
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(s->data, len));
    for (size_t i = 0; i < n; i++)
        tarn_writer_span_put(&w, TARN_AT_N(pieces, n, i));
    if (was)
        dns_set_unlink(z, node, was);
    dns_set_link(z, node, ref);
    return true;
}

static bool set_contains(const struct dns_set *s, struct tarn_span rdata, size_t *at) {
    struct tarn_span data = dns_set_data(s), one;
    for (size_t from = 0; dns_set_next(&data, &one); from = s->data_len - data.len)
        if (tarn_span_equal(one, rdata)) {
            *at = from;
            return true;
        }
    return false;
}

enum tarn_err dns_refuse(const char **why, const char *reason, enum tarn_err err) {
    *why = reason;
    return err;
}

static bool beside_cname(uint16_t type) {
    return type == TARN_DNS_CNAME || type == TARN_DNS_RRSIG || type == TARN_DNS_NSEC;
}

/* RFC 1034 section 3.6.2, RFC 4034 section 2.1: a CNAME is alone, but for what signs it. */
static bool goes_together(const struct tarn_dns_zone *z, dns_ref node, uint16_t type) {
    for (dns_ref ref = dns_node(z, node)->sets; ref; ref = dns_set(z, ref)->next) {
        uint16_t there = dns_set(z, ref)->type;
        if ((type == TARN_DNS_CNAME && !beside_cname(there))
            || (there == TARN_DNS_CNAME && !beside_cname(type)))
            return false;
    }
    return true;
}

static enum tarn_err set_add(struct tarn_dns_zone *z, dns_ref node, const struct tarn_dns_record *r,
                             const char **why) {
    struct dns_set head = {.ttl = r->ttl, .type = r->type, .count = 1};
    uint8_t len[2] = {(uint8_t)(r->rdata.len >> 8), (uint8_t)r->rdata.len};
    struct tarn_span pieces[] = {TARN_SPAN_EMPTY, TARN_SPAN_ARRAY(len), r->rdata};
    dns_ref was = dns_zone_find_set(z, node, r->type);
    size_t at;
    bool alone = r->type == TARN_DNS_SOA || r->type == TARN_DNS_CNAME || r->type == TARN_DNS_DNAME;
    bool there = was && set_contains(dns_set(z, was), r->rdata, &at);
    if (there && (!z->change.open || dns_set(z, was)->ttl == r->ttl)) {
        dns_set(z, was)->ttl = r->ttl;
        return TARN_OK;
    }
    if (!dns_change_note(z, node, r->type))
        return dns_refuse(why, "no memory for it", TARN_LIMIT);
    if (there) {
        head.count = dns_set(z, was)->count;
        pieces[0] = dns_set_data(dns_set(z, was));
        return set_replace(z, node, was, &head, pieces, 1)
                   ? TARN_OK
                   : dns_refuse(why, "no memory for it", TARN_LIMIT);
    }
    if (was && alone && r->type != TARN_DNS_SOA)
        return dns_refuse(why, "a second record of a type that has one", TARN_INVALID);
    if (was && !alone) {
        pieces[0] = dns_set_data(dns_set(z, was));
        head.count = (uint16_t)(dns_set(z, was)->count + 1);
    }
    if (set_replace(z, node, was, &head, pieces, TARN_COUNT_OF(pieces)))
        return TARN_OK;
    return dns_refuse(why, "no memory for it", TARN_LIMIT);
}

static bool is_data_type(uint16_t type) {
    return type && type != TARN_DNS_OPT && !(type >= 128 && type <= 255);
}

enum tarn_err tarn_dns_zone_add(struct tarn_dns_zone *z, const struct tarn_dns_record *r,
                                const char **why) {
    struct dns_path p;
    if (r->klass != z->klass)
        return dns_refuse(why, "not of the zone's class", TARN_INVALID);
    if (!is_data_type(r->type))
        return dns_refuse(why, "a type that no zone has", TARN_INVALID);
    if (!dns_path_init(&p, r->owner, tarn_dns_name_span(&z->origin)))
        return dns_refuse(why, "not in the zone", TARN_INVALID);
    if (r->type == TARN_DNS_SOA && p.count)
        return dns_refuse(why, "an SOA below the apex", TARN_INVALID);
    dns_ref node = node_make(z, &p);
    if (!node)
        return dns_refuse(why, "no memory for it", TARN_LIMIT);
    enum tarn_err err = goes_together(z, node, r->type)
                            ? set_add(z, node, r, why)
                            : dns_refuse(why, "a CNAME and something else", TARN_INVALID);
    if (err)
        dns_node_prune(z, node);
    z->version++;
    z->sealed = false;
    return err;
}

enum tarn_err tarn_dns_zone_remove(struct tarn_dns_zone *z, const struct tarn_dns_record *r) {
    dns_ref node = dns_zone_find(z, r->owner);
    dns_ref ref = node && r->klass == z->klass ? dns_zone_find_set(z, node, r->type) : 0;
    size_t at;
    if (!ref || !set_contains(dns_set(z, ref), r->rdata, &at))
        return TARN_NOT_FOUND;
    struct dns_set head = *dns_set(z, ref);
    struct tarn_span data = dns_set_data(dns_set(z, ref));
    struct tarn_span pieces[] = {tarn_span_first(data, at),
                                 tarn_span_after(data, at + 2 + r->rdata.len)};
    if (!dns_change_note(z, node, r->type))
        return TARN_LIMIT;
    head.count--;
    if (head.count == 0)
        dns_set_unlink(z, node, ref);
    else if (!set_replace(z, node, ref, &head, pieces, TARN_COUNT_OF(pieces)))
        return TARN_LIMIT;
    dns_node_prune(z, node);
    z->version++;
    z->sealed = false;
    return TARN_OK;
}

/* -- the whole ----------------------------------------------------------------------------------
 */

enum tarn_err tarn_dns_zone_new(const struct tarn_dns_zone_config *c, struct tarn_dns_zone **out) {
    struct tarn_dns_zone *z = TARN_NEW(c->alloc, struct tarn_dns_zone);
    if (!z)
        return TARN_LIMIT;
    z->alloc = c->alloc;
    z->klass = c->klass ? c->klass : TARN_DNS_IN;
    z->journal.bytes_max = c->journal_bytes_max;
    tarn_hash_key_init(&z->key, c->random);
    tarn_dns_name_copy(&z->origin, c->origin);
    z->bucket_count = BUCKETS_FIRST;
    z->buckets = TARN_NEW_ARRAY(c->alloc, BUCKETS_FIRST, dns_ref);
    if (!z->buckets
        || !dns_heap_init(&z->heap, c->alloc, c->memory_max ? c->memory_max : MEMORY_MAX_DEFAULT)
        || !(z->apex = node_add(z, 0, TARN_SPAN_EMPTY))) {
        tarn_dns_zone_free(z);
        return TARN_LIMIT;
    }
    *out = z;
    return TARN_OK;
}

void tarn_dns_zone_free(struct tarn_dns_zone *z) {
    if (z->change.open)
        tarn_dns_zone_rollback(z);
    dns_journal_fini(z);
    dns_order_free(z, &z->nsec);
    dns_order_free(z, &z->nsec3);
    dns_heap_fini(&z->heap);
    tarn_alloc_put(z->alloc, z->buckets, z->bucket_count * sizeof *z->buckets);
    tarn_alloc_put(z->alloc, z, sizeof *z);
}

enum tarn_err tarn_dns_zone_seal(struct tarn_dns_zone *z, const char **why) {
    if (z->sealed)
        return TARN_OK;
    if (!dns_zone_find_set(z, z->apex, TARN_DNS_SOA))
        return dns_refuse(why, "the apex has no SOA", TARN_INVALID);
    if (!dns_zone_find_set(z, z->apex, TARN_DNS_NS))
        return dns_refuse(why, "the apex has no NS", TARN_INVALID);
    dns_order_free(z, &z->nsec);
    dns_order_free(z, &z->nsec3);
    bool nsec = dns_zone_find_set(z, z->apex, TARN_DNS_NSEC) != 0;
    bool nsec3 = dns_zone_find_set(z, z->apex, TARN_DNS_NSEC3PARAM) != 0;
    if ((nsec && !dns_order_build(z, &z->nsec, TARN_DNS_NSEC))
        || (nsec3 && !dns_order_build(z, &z->nsec3, TARN_DNS_NSEC3)))
        return dns_refuse(why, "no memory to put it in order", TARN_LIMIT);
    z->sealed = true;
    return TARN_OK;
}

struct tarn_span tarn_dns_zone_origin(const struct tarn_dns_zone *z) {
    return tarn_dns_name_span(&z->origin);
}

bool tarn_dns_zone_get(const struct tarn_dns_zone *z, struct tarn_span name, uint16_t type,
                       uint32_t i, struct tarn_dns_record *out) {
    dns_ref node = dns_zone_find(z, name), ref = node ? dns_zone_find_set(z, node, type) : 0;
    if (!ref)
        return false;
    const struct dns_set *s = dns_set(z, ref);
    struct tarn_span data = dns_set_data(s);
    *out = (struct tarn_dns_record){name, TARN_SPAN_EMPTY, type, z->klass, s->ttl};
    for (uint32_t skip = 0; dns_set_next(&data, &out->rdata); skip++)
        if (skip == i)
            return true;
    return false;
}

bool dns_soa_serial(struct tarn_span soa, uint32_t *serial) {
    struct tarn_span name;
    return tarn_dns_name_take(&soa, &name) && tarn_dns_name_take(&soa, &name)
           && tarn_span_u32be(&soa, serial);
}

bool tarn_dns_zone_serial(const struct tarn_dns_zone *z, uint32_t *serial) {
    struct tarn_dns_record soa;
    return tarn_dns_zone_get(z, tarn_dns_zone_origin(z), TARN_DNS_SOA, 0, &soa)
           && dns_soa_serial(soa.rdata, serial);
}

/* The next name that has a set: the apex, then by buckets. */
static bool next_node(const struct tarn_dns_zone *z, struct tarn_dns_zone_walk *w) {
    if (w->node == 0) {
        w->node = z->apex;
    } else {
        dns_ref ref = w->node == z->apex ? 0 : dns_node(z, w->node)->next;
        while (!ref && w->bucket < z->bucket_count)
            ref = TARN_AT_N(z->buckets, z->bucket_count, w->bucket++);
        if (!ref)
            return false;
        w->node = ref;
    }
    dns_zone_name(z, w->node, &w->owner);
    w->set = dns_node(z, w->node)->sets;
    w->index = 0;
    return true;
}

bool tarn_dns_zone_next(const struct tarn_dns_zone *z, struct tarn_dns_zone_walk *w,
                        struct tarn_dns_record *out) {
    while (!w->set)
        if (!next_node(z, w))
            return false;
    const struct dns_set *s = dns_set(z, w->set);
    struct tarn_span data = tarn_span_after(dns_set_data(s), w->index);
    *out = (struct tarn_dns_record){tarn_dns_name_span(&w->owner), TARN_SPAN_EMPTY, s->type,
                                    z->klass, s->ttl};
    TARN_ASSERT(dns_set_next(&data, &out->rdata));
    w->index = s->data_len - (uint32_t)data.len;
    if (!data.len) {
        w->set = s->next;
        w->index = 0;
    }
    return true;
}

void tarn_dns_zone_stats(const struct tarn_dns_zone *z, struct tarn_dns_zone_stats *out) {
    uint64_t orders = (uint64_t)z->nsec.count + z->nsec3.count;
    *out = (struct tarn_dns_zone_stats){
        .names = z->names,
        .sets = z->sets,
        .records = z->records,
        .bytes = z->heap.bytes + sizeof *z + (z->bucket_count + orders) * sizeof(dns_ref)
                 + z->heap.segments_max * sizeof(struct tarn_bytes) + z->journal.bytes,
    };
}
