/* SPDX-License-Identifier: ISC */
#include "zone.h"

#include <tarn/dns_update.h>

#define RDATA_MAX 8192u

/* One record of the message, with its data expanded. */
struct item {
    struct tarn_dns_rr rr;
    struct tarn_dns_record record;
    uint8_t data[RDATA_MAX];
};
struct update {
    struct tarn_dns_zone *zone;
    struct tarn_span message;
    struct item item, other;
    bool changed;
};

static bool no_data(const struct item *i) {
    return i->rr.ttl == 0 && i->rr.rdata.len == 0;
}

static bool is_meta(uint16_t type) {
    return type == 0 || type == TARN_DNS_OPT || (type >= 128 && type <= 255);
}

/* The next record of a section; TARN_EOF: no more of it. */
static enum tarn_err next(struct tarn_dns_reader *r, enum tarn_dns_section section,
                          struct item *i) {
    for (;;) {
        struct tarn_writer w = TARN_WRITER_ARRAY(i->data);
        enum tarn_err err = tarn_dns_read_rr(r, &i->rr);
        if (err)
            return err;
        if (i->rr.section != section)
            continue;
        /* No data is right where a type or a name as a whole is meant. */
        if (i->rr.rdata.len && !tarn_dns_rr_data(r, &i->rr, &w))
            return TARN_PEER;
        i->record = (struct tarn_dns_record){tarn_dns_name_span(&i->rr.owner), tarn_writer_span(&w),
                                             i->rr.type, i->rr.klass, i->rr.ttl};
        return TARN_OK;
    }
}

static bool start(struct tarn_span message, struct tarn_dns_reader *r) {
    struct tarn_dns_question q;
    return tarn_dns_reader_init(r, message) && tarn_dns_read_question(r, &q) == TARN_OK;
}

/* -- prerequisites (RFC 2136 section 3.2) -------------------------------------------------------
 */

static dns_ref node_of(const struct tarn_dns_zone *z, struct tarn_span name) {
    dns_ref node = dns_zone_find(z, name);
    return node && dns_node(z, node)->sets ? node : 0;
}

static bool has_set(const struct tarn_dns_zone *z, struct tarn_span name, uint16_t type) {
    dns_ref node = node_of(z, name);
    return node && dns_zone_find_set(z, node, type);
}

static bool has_record(const struct tarn_dns_zone *z, const struct tarn_dns_record *r) {
    struct tarn_dns_record there;
    for (uint32_t i = 0; tarn_dns_zone_get(z, r->owner, r->type, i, &there); i++)
        if (tarn_span_equal(there.rdata, r->rdata))
            return true;
    return false;
}

/* How many prerequisites are about that set, with its values. */
static uint32_t count_alike(struct update *u, const struct tarn_dns_record *like) {
    struct tarn_dns_reader r;
    uint32_t n = 0;
    if (!start(u->message, &r))
        return 0;
    while (next(&r, TARN_DNS_ANSWER, &u->other) == TARN_OK)
        n += u->other.record.klass == like->klass && u->other.record.type == like->type
             && tarn_dns_name_equal(u->other.record.owner, like->owner);
    return n;
}

/* The set is exactly what the message's records say. */
static bool same_set(struct update *u, const struct tarn_dns_record *r) {
    dns_ref node = node_of(u->zone, r->owner);
    dns_ref set = node ? dns_zone_find_set(u->zone, node, r->type) : 0;
    return set && dns_set(u->zone, set)->count == count_alike(u, r) && has_record(u->zone, r);
}

static unsigned prerequisite(struct update *u, const struct item *i) {
    const struct tarn_dns_record *r = &i->record;
    bool any = r->type == TARN_DNS_ANY;
    if (!tarn_dns_name_within(r->owner, tarn_dns_zone_origin(u->zone)))
        return TARN_DNS_NOTZONE;
    if (r->ttl)
        return TARN_DNS_FORMERR;
    if (r->klass == u->zone->klass)
        return is_meta(r->type) ? TARN_DNS_FORMERR
               : same_set(u, r) ? TARN_DNS_NOERROR
                                : TARN_DNS_NXRRSET;
    if (!no_data(i) || (is_meta(r->type) && !any))
        return TARN_DNS_FORMERR;
    bool there = any ? node_of(u->zone, r->owner) != 0 : has_set(u->zone, r->owner, r->type);
    if (r->klass == TARN_DNS_CLASS_ANY)
        return there ? TARN_DNS_NOERROR : any ? TARN_DNS_NXDOMAIN : TARN_DNS_NXRRSET;
    if (r->klass == TARN_DNS_CLASS_NONE)
        return !there ? TARN_DNS_NOERROR : any ? TARN_DNS_YXDOMAIN : TARN_DNS_YXRRSET;
    return TARN_DNS_FORMERR;
}

/* -- the update section, first looked at (section 3.4.1), then done (section 3.4.2) --------------
 */

static unsigned prescan(struct update *u, const struct item *i) {
    const struct tarn_dns_record *r = &i->record;
    bool any = r->type == TARN_DNS_ANY;
    if (!tarn_dns_name_within(r->owner, tarn_dns_zone_origin(u->zone)))
        return TARN_DNS_NOTZONE;
    if (r->klass == u->zone->klass)
        return is_meta(r->type) || !tarn_dns_rdata_valid(r->rdata, r->type) ? TARN_DNS_FORMERR
                                                                            : TARN_DNS_NOERROR;
    if (r->klass == TARN_DNS_CLASS_ANY)
        return no_data(i) && (any || !is_meta(r->type)) ? TARN_DNS_NOERROR : TARN_DNS_FORMERR;
    if (r->klass == TARN_DNS_CLASS_NONE)
        return r->ttl == 0 && !is_meta(r->type) ? TARN_DNS_NOERROR : TARN_DNS_FORMERR;
    return TARN_DNS_FORMERR;
}

static bool is_apex(const struct update *u, struct tarn_span name) {
    return tarn_dns_name_equal(name, tarn_dns_zone_origin(u->zone));
}

static uint32_t serial_of(struct tarn_span soa) {
    uint32_t serial = 0;
    return dns_soa_serial(soa, &serial) ? serial : 0;
}

static bool remove_record(struct update *u, const struct tarn_dns_record *r) {
    struct tarn_dns_record one = *r;
    one.klass = u->zone->klass;
    /* An apex keeps its SOA, and one NS (sections 3.4.2.3 and 3.4.2.4). */
    if (is_apex(u, r->owner)) {
        dns_ref ns = dns_zone_find_set(u->zone, u->zone->apex, TARN_DNS_NS);
        if (r->type == TARN_DNS_SOA
            || (r->type == TARN_DNS_NS && ns && dns_set(u->zone, ns)->count == 1))
            return true;
    }
    enum tarn_err err = tarn_dns_zone_remove(u->zone, &one);
    u->changed |= !err;
    return err != TARN_LIMIT;
}

static bool remove_set(struct update *u, struct tarn_span owner, uint16_t type) {
    dns_ref node = node_of(u->zone, owner);
    dns_ref set = node ? dns_zone_find_set(u->zone, node, type) : 0;
    if (!set)
        return true;
    if (!dns_change_note(u->zone, node, type))
        return false;
    dns_set_unlink(u->zone, node, set);
    u->changed = true;
    return true;
}

static bool remove_all(struct update *u, struct tarn_span owner) {
    dns_ref node = node_of(u->zone, owner), set = node ? dns_node(u->zone, node)->sets : 0;
    while (set) {
        uint16_t type = dns_set(u->zone, set)->type;
        bool kept = is_apex(u, owner) && (type == TARN_DNS_SOA || type == TARN_DNS_NS);
        set = dns_set(u->zone, set)->next;
        if (!kept && !remove_set(u, owner, type))
            return false;
    }
    return true;
}

/* What cannot be next to what is there is passed over (section 3.4.2.2). */
static bool add_record(struct update *u, const struct tarn_dns_record *r) {
    const char *why;
    struct tarn_dns_record there;
    bool at = tarn_dns_zone_get(u->zone, r->owner, r->type, 0, &there);
    if (r->type == TARN_DNS_SOA
        && (!is_apex(u, r->owner) || !at
            || !tarn_dns_serial_newer(serial_of(r->rdata), serial_of(there.rdata))))
        return true;
    if (at && (r->type == TARN_DNS_CNAME || r->type == TARN_DNS_DNAME)
        && !remove_set(u, r->owner, r->type))
        return false;
    bool same = has_record(u->zone, r) && there.ttl == r->ttl;
    enum tarn_err err = tarn_dns_zone_add(u->zone, r, &why);
    u->changed |= !err && !same;
    return err != TARN_LIMIT;
}

static bool make_change(struct update *u, const struct tarn_dns_record *r) {
    bool apex_set = is_apex(u, r->owner) && (r->type == TARN_DNS_SOA || r->type == TARN_DNS_NS);
    if (r->klass == u->zone->klass)
        return add_record(u, r);
    if (r->klass == TARN_DNS_CLASS_NONE)
        return remove_record(u, r);
    if (r->type == TARN_DNS_ANY)
        return remove_all(u, r->owner);
    return apex_set || remove_set(u, r->owner, r->type);
}

/* -- the whole ----------------------------------------------------------------------------------
 */

static unsigned each(struct update *u, enum tarn_dns_section section,
                     unsigned (*what)(struct update *, const struct item *)) {
    struct tarn_dns_reader r;
    enum tarn_err err;
    if (!start(u->message, &r))
        return TARN_DNS_FORMERR;
    while ((err = next(&r, section, &u->item)) == TARN_OK) {
        unsigned rcode = what(u, &u->item);
        if (rcode)
            return rcode;
    }
    return err == TARN_EOF ? TARN_DNS_NOERROR : TARN_DNS_FORMERR;
}

static unsigned change(struct update *u, const struct item *i) {
    return make_change(u, &i->record) ? TARN_DNS_NOERROR : TARN_DNS_SERVFAIL;
}

/* Section 3.6: a serial that is newer, where the update brings none. */
static bool next_serial(struct update *u, uint32_t was) {
    struct tarn_dns_record soa;
    uint8_t data[2 * TARN_DNS_NAME_MAX + 20];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    uint32_t now;
    const char *why;
    if (!tarn_dns_zone_serial(u->zone, &now)
        || !tarn_dns_zone_get(u->zone, tarn_dns_zone_origin(u->zone), TARN_DNS_SOA, 0, &soa))
        return false;
    if (now != was)
        return true;
    tarn_writer_span_put(&w, soa.rdata);
    tarn_writer_patch_u32be(&w, w.len - 20, now + 1);
    soa.rdata = tarn_writer_span(&w);
    return tarn_dns_zone_add(u->zone, &soa, &why) == TARN_OK;
}

static unsigned run(struct update *u, struct tarn_span *delta) {
    uint32_t was;
    const char *why;
    unsigned rcode = each(u, TARN_DNS_ANSWER, prerequisite);
    if (!rcode)
        rcode = each(u, TARN_DNS_AUTHORITY, prescan);
    if (!rcode && (u->zone->nsec.count || u->zone->nsec3.count))
        rcode = TARN_DNS_REFUSED;
    if (rcode || !tarn_dns_zone_serial(u->zone, &was))
        return rcode ? rcode : TARN_DNS_SERVFAIL;
    tarn_dns_zone_begin(u->zone);
    rcode = each(u, TARN_DNS_AUTHORITY, change);
    if (rcode || !u->changed || !next_serial(u, was)) {
        tarn_dns_zone_rollback(u->zone);
        return rcode || !u->changed ? rcode : TARN_DNS_SERVFAIL;
    }
    return tarn_dns_zone_commit(u->zone, delta, &why) ? TARN_DNS_SERVFAIL : TARN_DNS_NOERROR;
}

unsigned tarn_dns_update(struct tarn_alloc *alloc, struct tarn_dns_zone *zone,
                         struct tarn_span message, struct tarn_span *delta) {
    struct update *u = TARN_NEW(alloc, struct update);
    *delta = TARN_SPAN_EMPTY;
    if (!u)
        return TARN_DNS_SERVFAIL;
    u->zone = zone;
    u->message = message;
    unsigned rcode = run(u, delta);
    tarn_alloc_put(alloc, u, sizeof *u);
    return rcode;
}
