/* SPDX-License-Identifier: ISC */
/* tarn/dns_zone.h: a zone in memory, to be served.
 *
 * Names are a tree under one keyed hash: a lookup costs one hash for each label below the apex,
 * however many names there are. Each label is stored once, each record set in one piece; both lie
 * in one heap that grows by segments from the allocator, up to `memory_max`, and takes back what is
 * removed.
 *
 * No I/O, no clock. One thread per zone. Changes are not for the data path: they may ask the
 * allocator for memory, and need a seal before the zone is served again.
 */
#ifndef TARN_DNS_ZONE_H
#define TARN_DNS_ZONE_H

#include <tarn/alloc.h>
#include <tarn/dns_zonefile.h>
#include <tarn/env.h>

struct tarn_dns_zone_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random; /* for the key of the hash; borrowed for the call */
    struct tarn_span origin;    /* copied */
    uint16_t klass;             /* 0: IN */
    uint64_t memory_max;        /* bytes; 0: 1 GiB */
    /* Of what changed, which is kept for who has an older version (RFC 1995): the newest changes
     * that fit. 0: none. */
    size_t journal_bytes_max;
};
struct tarn_dns_zone;
/* TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_dns_zone_new(const struct tarn_dns_zone_config *config,
                                              struct tarn_dns_zone **out);
void tarn_dns_zone_free(struct tarn_dns_zone *zone);

/* Adds a record, whose data is copied. What is there already changes nothing; a second SOA replaces
 * the first. Record sets have one TTL, that of their newest record (RFC 2181 section 5.2).
 * TARN_INVALID: not in the zone, of another class, a type that no zone has, or next to a CNAME or a
 * CNAME next to others (RFC 1034 section 3.6.2); TARN_LIMIT: no memory, or a set of more than
 * 65,000 bytes. *why is a reason. */
TARN_MUST_USE enum tarn_err tarn_dns_zone_add(struct tarn_dns_zone *zone,
                                              const struct tarn_dns_record *record,
                                              const char **why);
/* Removes a record (whatever its TTL is), and names that are left with nothing at and below them.
 * TARN_NOT_FOUND: it is not there. */
TARN_MUST_USE enum tarn_err tarn_dns_zone_remove(struct tarn_dns_zone *zone,
                                                 const struct tarn_dns_record *record);
/* After changes, before serving: checks the apex (one SOA, at least one NS) and puts what proves
 * that names do not exist (NSEC, NSEC3) in order. TARN_INVALID: *why; TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_dns_zone_seal(struct tarn_dns_zone *zone, const char **why);

/* -- changes as one -----------------------------------------------------------------------------
 * Of a sealed zone, while it is served: what is added and removed between begin and commit is there
 * whole or, after a rollback, not at all. The cost is that of the sets that change; nothing may be
 * answered in between. */

void tarn_dns_zone_begin(struct tarn_dns_zone *zone);
/* The zone is sealed, with a newer SOA. *delta: what changed, as records one after the other
 * (owner, type, class, TTL, length, data, as in a message without compression): the SOA that was,
 * what is gone, the SOA that is, what is new. It dies with the next commit. TARN_INVALID: the SOA
 * is not newer, or is gone, or no NS is left; TARN_LIMIT: no memory. Then all is as it was before
 * begin. */
TARN_MUST_USE enum tarn_err tarn_dns_zone_commit(struct tarn_dns_zone *zone,
                                                 struct tarn_span *delta, const char **why);
void tarn_dns_zone_rollback(struct tarn_dns_zone *zone);
/* Makes the change that a delta tells of. TARN_EOF: the zone has it already, its serial is that
 * new. TARN_INVALID: it is no delta, or of another version. */
TARN_MUST_USE enum tarn_err tarn_dns_zone_apply(struct tarn_dns_zone *zone, struct tarn_span delta,
                                                const char **why);

struct tarn_span tarn_dns_zone_origin(const struct tarn_dns_zone *zone);
/* The serial of the SOA; false: there is none. */
TARN_MUST_USE bool tarn_dns_zone_serial(const struct tarn_dns_zone *zone, uint32_t *serial);
/* Serial numbers have no first (RFC 1982): a is newer than b. */
static inline bool tarn_dns_serial_newer(uint32_t a, uint32_t b) {
    return a != b && a - b < 0x80000000u;
}
/* The record set of a name and type as its records, one after the other; *i counts them from 0.
 * False: no more. */
TARN_MUST_USE bool tarn_dns_zone_get(const struct tarn_dns_zone *zone, struct tarn_span name,
                                     uint16_t type, uint32_t i, struct tarn_dns_record *out);

/* All records, those of a name together, in no order of names. The zone does not change meanwhile.
 */
struct tarn_dns_zone_walk {
    uint32_t bucket, node, set, index;
    struct tarn_dns_name owner;
};
/* `walk` starts zeroed. False: no more. Spans die at the next call, or change of the zone. */
TARN_MUST_USE bool tarn_dns_zone_next(const struct tarn_dns_zone *zone,
                                      struct tarn_dns_zone_walk *walk, struct tarn_dns_record *out);

struct tarn_dns_zone_stats {
    uint64_t names, sets, records; /* names: with those that only others are below */
    uint64_t bytes;                /* from the allocator */
};
void tarn_dns_zone_stats(const struct tarn_dns_zone *zone, struct tarn_dns_zone_stats *out);

#endif
