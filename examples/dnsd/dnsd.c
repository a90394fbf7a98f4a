/* SPDX-License-Identifier: ISC */
/* An authoritative DNS server over UDP and TCP. Its zones are in a store on a device:
 *
 *     tarn-kv mkfs zones.img --size=16M
 *     tarn-kv set zones.img zones/example.org < example.org.zone
 *
 * Changes that it takes (UPDATE) are kept there too. With a private key, dnsd-signing signs a
 * zone as it is served:
 *
 *     tarn-kv set zones.img keys/example.org < Kexample.org.+013+12345.private
 */
#include "dnsd.h"

#include <tarn/kv_tree.h>

TARN_NET(service);
TARN_BLK(storage);
TARN_KEY_U16(port, 53, "UDP and TCP port to answer on");
TARN_KEY_ADDR(address, "the only address to answer on; without it, all there are");
TARN_KEY_PREFIX(transfer_to, "the network whose hosts may have whole zones, as 192.0.2.0/24");
TARN_KEY_STR(
    secondary, NULL,
    "zones to copy from other servers, as example.org@192.0.2.1,example.net@192.0.2.2#5300");
TARN_KEY_STR(tsig_key, NULL,
             "what transfers in and out must be signed with, as hmac-sha256:NAME:SECRET in base64");
TARN_KEY_BOOL(updates, "take changes that are signed with --tsig-key, and keep them in the store");
TARN_KEY_STR(notify, NULL, "who is told when a zone changes, as 192.0.2.1,192.0.2.2#5300");
TARN_KEY_STR(nsid, NULL, "what this server calls itself to who asks (RFC 5001)");
TARN_KEY_U32(rate, 0,
             "answers of a kind that one network gets in a second over UDP; 0: as many as it asks");
TARN_KEY_U32(streams, 64, "TCP connections at the same time");

static int failed(struct tarn_env *env, const char *what, enum tarn_err err) {
    dnsd_say(env, tarn_span_str(what), "", tarn_span_str(err ? tarn_err_name(err) : ""));
    return 1;
}

static void flush(struct tarn_poller *p, tarn_time now) {
    struct dnsd *d = TARN_CONTAINER_OF(p, struct dnsd, poller);
    tarn_dns_service_tick(d->service, now);
    dnsd_tick_copies(d, now);
    if (d->notifier)
        tarn_dns_notifier_tick(d->notifier, now);
}
static tarn_time deadline(struct tarn_poller *p) {
    const struct dnsd *d = TARN_CONTAINER_OF(p, struct dnsd, poller);
    tarn_time at = TARN_MIN(tarn_dns_service_deadline(d->service), dnsd_copies_deadline(d));
    return d->notifier ? TARN_MIN(at, tarn_dns_notifier_deadline(d->notifier)) : at;
}

static bool may_transfer(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                         const struct tarn_dns_tsig_key *key) {
    struct dnsd *d = user;
    (void)zone;
    return (key || !d->has_key) && d->has_transfers
           && tarn_ip_prefix_contains(&d->transfers, &client->addr);
}

static struct tarn_waiter *waiter(void *user) {
    return tarn_env_waiter(user);
}

static enum tarn_err store_open(struct dnsd *d) {
    struct tarn_kv_tree_config config = {.alloc = tarn_env_alloc(d->env),
                                         .waiter = waiter,
                                         .user = d->env,
                                         .clock = tarn_env_clock(d->env),
                                         .random = tarn_env_random(d->env)};
    struct tarn_kv_tree *tree;
    enum tarn_err err = tarn_env_blk(d->env, &storage, &config.blk);
    if (!err)
        err = tarn_kv_tree_open(&config, &tree);
    if (!err)
        d->kv = tarn_kv_tree_kv(tree);
    return err;
}

static enum tarn_err server_new(struct dnsd *d) {
    struct tarn_env *env = d->env;
    struct tarn_dns_server_config config = {
        .alloc = tarn_env_alloc(env),
        .random = tarn_env_random(env),
        .zones_max = DNSD_ZONES_MAX,
        .nsid = tarn_key_str(env, &nsid),
        .rrl = {.per_second = (uint32_t)tarn_key_u64(env, &rate), .slip = 2},
        .keys = &d->key,
        .may_transfer = may_transfer,
        .on_notify = dnsd_notify,
        .on_update = tarn_key_bool(env, &updates) ? dnsd_update : NULL,
        .user = d,
    };
    struct tarn_span text = tarn_key_str(env, &tsig_key);
    d->has_key = text.len > 0;
    if (d->has_key && !tarn_dns_tsig_key_parse(text, &d->key))
        return TARN_INVALID;
    d->has_transfers = tarn_key_prefix(env, &transfer_to, &d->transfers);
    config.key_count = d->has_key;
    return tarn_dns_server_new(&config, &d->server);
}

static enum tarn_err service_new(struct dnsd *d, struct tarn_net *net) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, (uint16_t)tarn_key_u64(d->env, &port)};
    (void)tarn_key_addr(d->env, &address, &local.addr);
    struct tarn_datagram_config udp = {.local = local};
    struct tarn_dns_service_config config = {
        .alloc = tarn_env_alloc(d->env),
        .tasks = tarn_env_tasks(d->env),
        .clock = tarn_env_clock(d->env),
        .server = d->server,
        .query_bytes_max = tarn_key_bool(d->env, &updates) ? TARN_DNS_MESSAGE_MAX : 0,
        .streams_max = TARN_MAX((uint32_t)tarn_key_u64(d->env, &streams), 1u),
    };
    enum tarn_err err = tarn_net_datagram(net, &udp, &config.datagram);
    if (!err)
        err = tarn_net_listen(net, &local, 128, &config.listener);
    return err ? err : tarn_dns_service_new(&config, &d->service);
}

static bool notifier_new(struct dnsd *d, struct tarn_net *net) {
    struct tarn_span list = tarn_key_str(d->env, &notify);
    struct tarn_dns_notifier_config config = {.alloc = tarn_env_alloc(d->env),
                                              .random = tarn_env_random(d->env),
                                              .net = net,
                                              .clock = tarn_env_clock(d->env),
                                              .pending_max = 1024,
                                              .key = d->has_key ? &d->key : NULL};
    if (!list.len)
        return true;
    if (!dnsd_parse_endpoints(list, config.targets, TARN_DNS_NOTIFY_TARGETS_MAX,
                              &config.target_count)) {
        dnsd_say(d->env, TARN_SPAN_LIT("--notify wants ADDRESS[#PORT],..., not "), "", list);
        return false;
    }
    enum tarn_err err = tarn_dns_notifier_new(&config, &d->notifier);
    if (err)
        dnsd_say(d->env, TARN_SPAN_LIT("cannot notify: "), "", tarn_span_str(tarn_err_name(err)));
    for (struct dnsd_zone *z = d->zones; !err && z; z = z->next)
        tarn_dns_notifier_changed(d->notifier, tarn_dns_name_span(&z->origin));
    return !err;
}

static void say_listening(struct dnsd *d) {
    char text[96];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_dec(&w, d->records);
    tarn_writer_str(&w, " records; listening on port ");
    tarn_writer_dec(&w, tarn_key_u64(d->env, &port));
    dnsd_say(d->env, tarn_writer_span(&w), "", TARN_SPAN_EMPTY);
}

int tarn_main(struct tarn_env *env) {
    static struct dnsd d;
    struct tarn_net *net;
    d.env = env;
    enum tarn_err err = store_open(&d);
    if (err)
        return failed(env, "the store cannot be opened (tarn-kv mkfs makes one): ", err);
    if ((err = server_new(&d)) != TARN_OK)
        return failed(env, "the server cannot start: ", err);
    if (!dnsd_load_zones(&d) || tarn_env_net(env, &service, &net))
        return 1;
    if ((err = service_new(&d, net)) != TARN_OK)
        return failed(env, "cannot listen; choose another --port: ", err);
    if (!dnsd_start_copies(&d, net, tarn_key_str(env, &secondary)) || !notifier_new(&d, net))
        return 1;
    d.poller = (struct tarn_poller){.flush = flush, .deadline = deadline};
    tarn_env_add_poller(env, &d.poller);
    say_listening(&d);
    dnsd_write_changes(&d);
    return 1;
}
