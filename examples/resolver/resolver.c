/* SPDX-License-Identifier: ISC */
/* A validating cache for a network: asks the servers that are responsible, or those it is told to.
 *
 *     ./tarn run resolver -- --ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --clients=10.0.0.0/24
 */
#include "resolver.h"

TARN_NET(service);
TARN_KEY_U16(port, 53, "UDP and TCP port to listen on");
TARN_KEY_ADDR(address, "address to listen on; every one without it");
TARN_KEY_STR(clients,
             "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,::1/128,fc00::/7,fe80::/10",
             "networks that may ask");
TARN_KEY_STR(hints, NULL,
             "the root's servers, ADDRESS[#PORT],...; without it, those of the Internet");
TARN_KEY_STR(forward, NULL,
             "resolvers to ask instead, NAME@ADDRESS[#PORT],...; NAME . is everything");
TARN_KEY_STR(stub, NULL, "servers of zones, NAME@ADDRESS[#PORT],...");
TARN_KEY_STR(anchors, NULL,
             "trusted keys, \"NAME DS TAG ALGORITHM DIGEST HEX\",...; without it, the root's");
TARN_KEY_STR(insecure, NULL, "names below which nothing is validated (RFC 7646), with commas");
TARN_KEY_BOOL(no_validation, "believe everybody");
TARN_KEY_U32(cache, 32, "megabytes of cache");
TARN_KEY_U32(stale, 86400, "seconds that what has expired is served while nobody answers");
TARN_KEY_U32(questions, 1024, "questions of clients under way at once");
TARN_KEY_U32(rate, 200, "questions a second that one client may have servers be asked for");
TARN_KEY_U32(streams, 32, "TCP connections of clients at the same time");
TARN_KEY_BOOL(ipv4_only, "do not ask over IPv6");
TARN_KEY_U32(statistics, 0, "print them every so many seconds; 0: never");

struct resolver {
    struct tarn_env *env;
    struct tarn_poller poller;
    struct tarn_recursor *recursor;
    struct tarn_recursor_service *service;
    struct settings settings;
    struct tarn_trust_anchors root; /* its keys; forgotten when this ends */
    tarn_time report;
};

static int failed(struct tarn_env *env, const char *what, enum tarn_err err) {
    char text[200];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "resolver: ");
    tarn_writer_str(&w, what);
    tarn_writer_str(&w, err ? tarn_err_name(err) : "");
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
    return 1;
}

/* -- statistics ---------------------------------------------------------------------------------
 */

static void put_count(struct tarn_writer *w, const char *name, uint64_t n) {
    tarn_writer_str(w, name);
    tarn_writer_dec(w, n);
}

static void report(struct resolver *x) {
    char text[600];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    struct tarn_recursor_stats s;
    tarn_recursor_stats(x->recursor, &s);
    put_count(&w, "resolver: questions ", s.questions);
    put_count(&w, ", from the cache ", s.hits);
    put_count(&w, ", stale ", s.stale);
    put_count(&w, ", refused ", s.refused + s.limited);
    put_count(&w, "; asked servers ", s.sent);
    put_count(&w, ", by TCP ", s.streams);
    put_count(&w, ", without answer ", s.timeouts);
    put_count(&w, ", failed ", s.failures);
    put_count(&w, "; bogus ", s.bogus);
    put_count(&w, ", signatures ", s.verifications);
    put_count(&w, ", made from denials ", s.synthesised);
    put_count(&w, "; cached ", s.entries);
    put_count(&w, " in bytes ", s.entry_bytes);
    put_count(&w, ", made room ", s.evicted);
    tarn_writer_str(&w, "\n");
    tarn_put(x->env, tarn_writer_span(&w));
}

static void flush(struct tarn_poller *p, tarn_time now) {
    struct resolver *x = TARN_CONTAINER_OF(p, struct resolver, poller);
    tarn_recursor_service_tick(x->service, now);
    if (x->report > now)
        return;
    report(x);
    x->report = tarn_time_after(now, TARN_SEC(tarn_key_u64(x->env, &statistics)));
}
static tarn_time deadline(struct tarn_poller *p) {
    const struct resolver *x = TARN_CONTAINER_OF(p, struct resolver, poller);
    tarn_time due = tarn_recursor_service_deadline(x->service);
    return TARN_MIN(due, x->report);
}

/* -- starting -----------------------------------------------------------------------------------
 */

static const char *configure(struct resolver *x, struct tarn_recursor_config *c) {
    struct tarn_env *env = x->env;
    struct settings *s = &x->settings;
    if (!settings_clients(s, tarn_key_str(env, &clients), c))
        return "--clients is not a list of networks";
    if (!settings_hints(s, tarn_key_str(env, &hints), c))
        return "--hints is not a list of addresses";
    if (!settings_zones(s, tarn_key_str(env, &forward), true, c)
        || !settings_zones(s, tarn_key_str(env, &stub), false, c))
        return "--forward and --stub want NAME@ADDRESS[#PORT],...";
    if (!settings_anchors(s, tarn_key_str(env, &anchors), c))
        return "--anchors wants \"NAME DS TAG ALGORITHM DIGEST HEX\",...";
    if (!settings_insecure(s, tarn_key_str(env, &insecure), c))
        return "--insecure is not a list of names";
    return NULL;
}

static enum tarn_err recursor_new(struct resolver *x, struct tarn_recursor_config *c) {
    struct tarn_env *env = x->env;
    c->alloc = tarn_env_alloc(env);
    c->random = tarn_env_random(env);
    c->clock = tarn_env_clock(env);
    c->no_validation = tarn_key_bool(env, &no_validation);
    c->no_ipv6 = tarn_key_bool(env, &ipv4_only);
    c->cache_bytes = tarn_key_u64(env, &cache) << 20;
    c->stale_seconds = (uint32_t)tarn_key_u64(env, &stale);
    c->stale_wait_ns = TARN_MS(1800); /* RFC 8767 section 5 */
    c->questions_max = TARN_MAX((uint32_t)tarn_key_u64(env, &questions), 16u);
    c->client_rate = TARN_MAX((uint32_t)tarn_key_u64(env, &rate), 1u);
    tarn_trust_anchors_init(&x->root, TARN_SPAN_LIT("\0"));
    c->follow = &x->root;
    return tarn_recursor_new(c, &x->recursor);
}

static enum tarn_err service_new(struct resolver *x, struct tarn_net *net) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, (uint16_t)tarn_key_u64(x->env, &port)};
    (void)tarn_key_addr(x->env, &address, &local.addr);
    struct tarn_datagram_config udp = {.local = local};
    struct tarn_recursor_service_config config = {
        .alloc = tarn_env_alloc(x->env),
        .tasks = tarn_env_tasks(x->env),
        .clock = tarn_env_clock(x->env),
        .recursor = x->recursor,
        .net = net,
        .clients_max = TARN_MAX((uint32_t)tarn_key_u64(x->env, &streams), 1u),
    };
    enum tarn_err err = tarn_net_datagram(net, &udp, &config.datagram);
    if (!err)
        err = tarn_net_listen(net, &local, 128, &config.listener);
    return err ? err : tarn_recursor_service_new(&config, &x->service);
}

int tarn_main(struct tarn_env *env) {
    static struct resolver x;
    struct tarn_recursor_config config = {0};
    struct tarn_net *net;
    x.env = env;
    const char *why = configure(&x, &config);
    if (why)
        return failed(env, why, TARN_OK);
    enum tarn_err err = recursor_new(&x, &config);
    if (err)
        return failed(env, "cannot start, try a smaller --cache: ", err);
    if (tarn_env_net(env, &service, &net))
        return 1;
    if ((err = service_new(&x, net)) != TARN_OK)
        return failed(env, "cannot listen; choose another --port: ", err);
    uint64_t every = tarn_key_u64(env, &statistics);
    x.report = every ? tarn_time_after(tarn_now(env), TARN_SEC(every)) : TARN_NEVER;
    x.poller = (struct tarn_poller){.flush = flush, .deadline = deadline};
    tarn_env_add_poller(env, &x.poller);
    tarn_puts(env, "resolver: listening\n");
    tarn_run_forever(env);
}
