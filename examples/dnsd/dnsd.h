/* SPDX-License-Identifier: ISC */
#ifndef DNSD_H
#define DNSD_H

#include <tarn/app.h>
#include <tarn/dns_notify.h>
#include <tarn/dns_service.h>
#include <tarn/kv.h>

#define DNSD_ZONES_MAX 4096u
#define DNSD_ZONE_MEMORY_MAX (4ull << 30)
#define DNSD_JOURNAL_BYTES_MAX (1u << 20) /* of a zone, for who asks what changed */

/* A zone from the store. */
struct dnsd_zone {
    struct dnsd_zone *next;
    struct tarn_dns_name origin;
    char name[TARN_KV_NAME_MAX]; /* its key's */
    size_t name_len;
    uint64_t text_bytes;    /* of the zone file */
    uint64_t journal_bytes; /* of the changes in the store since it was written */
    uint64_t next_change;   /* their number */
};

struct dnsd {
    struct tarn_env *env;
    struct tarn_poller poller;
    struct tarn_kv *kv;
    struct tarn_dns_server *server;
    struct tarn_dns_service *service;
    struct tarn_ip_prefix transfers; /* who may have whole zones */
    bool has_transfers, has_key;
    struct tarn_dns_tsig_key key; /* of transfers, in and out */
    uint64_t records;
    struct dnsd_copy *copies; /* zones of other servers */
    struct dnsd_zone *zones;
    struct dnsd_change *changes, **last_change; /* that are not in the store yet */
    struct tarn_waiter *writer;                 /* who puts them there; NULL: not yet */
    bool store_failed;
    struct tarn_dns_notifier *notifier; /* NULL: nobody is told */
};

/* copies.c: the zones of --secondary=NAME@ADDRESS[#PORT],... False: the console has said what is
 * wrong. */
bool dnsd_start_copies(struct dnsd *d, struct tarn_net *net, struct tarn_span list);
bool dnsd_is_copy(const struct dnsd *d, struct tarn_span origin);
void dnsd_tick_copies(struct dnsd *d, tarn_time now);
tarn_time dnsd_copies_deadline(const struct dnsd *d);
bool dnsd_notify(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                 const struct tarn_dns_tsig_key *key);

/* changes.c: UPDATEs, which are in the store before they are acknowledged. */
unsigned dnsd_update(void *user, struct tarn_dns_zone *zone, const struct tarn_endpoint *client,
                     const struct tarn_dns_tsig_key *key, struct tarn_span message);
/* What is in the store of a zone that was just loaded. False: the console has said what is wrong.
 */
bool dnsd_load_changes(struct dnsd *d, struct dnsd_zone *z, struct tarn_dns_zone *zone);
/* Puts changes into the store, for ever. In a fiber. */
void dnsd_write_changes(struct dnsd *d);

/* unsigned.c, or dnsd-signing: the zone is served signed where the store has a key for it. False:
 * as above. */
bool dnsd_sign(struct dnsd *d, struct dnsd_zone *z, struct tarn_dns_zone *zone);

/* A list of ADDRESS[#PORT],... False: it is not one, or longer than `max`. */
bool dnsd_parse_endpoints(struct tarn_span list, struct tarn_endpoint *out, unsigned max,
                          unsigned *count);

/* zones.c: every zone of the dictionary "zones" of the store is served from now on. False: the
 * console has said which is wrong, and where. */
bool dnsd_load_zones(struct dnsd *d);
/* The whole value, in memory that is the caller's. */
TARN_MUST_USE enum tarn_err dnsd_read(struct dnsd *d, struct tarn_span key, struct tarn_bytes *out);
void dnsd_say(struct tarn_env *env, struct tarn_span a, const char *b, struct tarn_span c);

#endif
