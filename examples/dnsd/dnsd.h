/* SPDX-License-Identifier: ISC */
#ifndef DNSD_H
#define DNSD_H

#include <tarn/app.h>
#include <tarn/dns_service.h>
#include <tarn/kv.h>

#define DNSD_ZONES_MAX 4096u
#define DNSD_ZONE_MEMORY_MAX (4ull << 30)

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
};

/* copies.c: the zones of --secondary=NAME@ADDRESS[#PORT],... False: the console has said what is
 * wrong. */
bool dnsd_start_copies(struct dnsd *d, struct tarn_net *net, struct tarn_span list);
bool dnsd_is_copy(const struct dnsd *d, struct tarn_span origin);
void dnsd_tick_copies(struct dnsd *d, tarn_time now);
tarn_time dnsd_copies_deadline(const struct dnsd *d);
bool dnsd_notify(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                 const struct tarn_dns_tsig_key *key);

/* zones.c: every zone of the dictionary "zones" of the store is served from now on. False: the
 * console has said which is wrong, and where. */
bool dnsd_load_zones(struct dnsd *d);
void dnsd_say(struct tarn_env *env, struct tarn_span a, const char *b, struct tarn_span c);

#endif
