/* SPDX-License-Identifier: ISC */
/* Asks a resolver for names' addresses, one after the other: in the open, or by DNS over TLS or
 * HTTPS.
 *
 *     lookup --server=9.9.9.9 --names=example.org,example.net
 *     lookup --server=9.9.9.9 --tls=dns.quad9.net ...      with the store's certificates
 *     lookup --server=9.9.9.9 --opportunistic ...          TLS with whoever answers, or none
 */
#include "lookup.h"

TARN_NET(service);
TARN_BLK(storage);
TARN_KEY_ADDR(server, "the resolver's address");
TARN_KEY_U16(port, 0, "its port; 0: 53, with TLS 853, with HTTPS 443");
TARN_KEY_U16(open_port, 53, "its port in the open, for --opportunistic");
TARN_KEY_STR(names, NULL, "names, with commas between them");
TARN_KEY_BOOL(ipv6, "ask for IPv6 addresses");
TARN_KEY_STR(tls, NULL, "whom the resolver must show to be; then nothing goes out in the open");
TARN_KEY_BOOL(opportunistic, "try TLS without asking who it is, then ask in the open");
TARN_KEY_STR(https, NULL, "the path of DNS over HTTPS, as /dns-query; with --tls");

struct lookup {
    struct tarn_env *env;
    struct tarn_poller poller;
    struct tarn_dns_client *client;
    struct tarn_waiter *waiter;
    bool done;
};

void lookup_say(struct tarn_env *env, const char *a, struct tarn_span b, const char *c) {
    char text[600];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, a);
    tarn_writer_span_put(&w, b);
    tarn_writer_str(&w, c);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

static void flush(struct tarn_poller *p, tarn_time now) {
    tarn_dns_client_tick(TARN_CONTAINER_OF(p, struct lookup, poller)->client, now);
}
static tarn_time deadline(struct tarn_poller *p) {
    return tarn_dns_client_deadline(TARN_CONTAINER_OF(p, struct lookup, poller)->client);
}

static void done(struct tarn_resolver_request *r) {
    struct lookup *l = r->user;
    char text[1000];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    struct tarn_ip_addr addr;
    tarn_writer_span_put(&w, r->name);
    if (r->err)
        tarn_writer_str(&w, r->no_name ? ": no such name" : ": ");
    if (r->err && !r->no_name)
        tarn_writer_str(&w, tarn_err_name(r->err));
    for (struct tarn_span rest = r->records; !r->err && tarn_resolver_next_addr(&rest, &addr);) {
        tarn_writer_u8(&w, ' ');
        tarn_writer_ip_addr(&w, &addr);
    }
    lookup_say(l->env, "", tarn_writer_span(&w), "");
    l->done = true;
    l->waiter->ops->wake(l->waiter);
}

static bool ask(struct lookup *l, struct tarn_span name) {
    struct tarn_resolver_request r = {.name = name,
                                      .type = tarn_key_bool(l->env, &ipv6) ? TARN_RESOLVER_AAAA
                                                                           : TARN_RESOLVER_A,
                                      .done = done,
                                      .user = l};
    l->done = false;
    if (tarn_resolver_start(tarn_dns_client_resolver(l->client), &r))
        return false;
    while (!l->done)
        (void)l->waiter->ops->wait(l->waiter, TARN_NEVER);
    return r.err == TARN_OK;
}

static bool client_new(struct lookup *l, struct tarn_net *net) {
    struct tarn_env *env = l->env;
    struct tarn_span name = tarn_key_str(env, &tls), path = tarn_key_str(env, &https);
    bool try_tls = tarn_key_bool(env, &opportunistic), secure = name.len || try_tls;
    struct tarn_dns_client_config config = {
        .alloc = tarn_env_alloc(env),
        .tasks = tarn_env_tasks(env),
        .random = tarn_env_random(env),
        .clock = tarn_env_clock(env),
        .net = net,
        .server_count = 1,
        .secrecy = {.opportunistic = try_tls && !name.len,
                    .open_port = (uint16_t)tarn_key_u64(env, &open_port),
                    .https_host = path.len ? name : TARN_SPAN_EMPTY,
                    .https_path = path}};
    if (!tarn_key_addr(env, &server, &config.servers[0].addr)) {
        lookup_say(env, "say --server=ADDRESS", TARN_SPAN_EMPTY, "");
        return false;
    }
    uint64_t number = tarn_key_u64(env, &port);
    config.servers[0].port = (uint16_t)(number ? number : path.len ? 443 : secure ? 853 : 53);
    if (secure) {
        config.secure = lookup_secure(env, net, &storage, name,
                                      path.len ? TARN_SPAN_LIT("http/1.1") : TARN_SPAN_LIT("dot"));
        if (!config.secure)
            return false;
    }
    return tarn_dns_client_new(&config, &l->client) == TARN_OK;
}

int tarn_main(struct tarn_env *env) {
    static struct lookup l;
    struct tarn_net *net;
    struct tarn_span list = tarn_key_str(env, &names), one;
    struct tarn_dns_client_stats stats;
    char text[100];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    bool all = true;
    l.env = env;
    l.waiter = tarn_env_waiter(env);
    if (tarn_env_net(env, &service, &net) || !client_new(&l, net))
        return 1;
    l.poller = (struct tarn_poller){.flush = flush, .deadline = deadline};
    tarn_env_add_poller(env, &l.poller);
    for (bool more = list.len > 0; more;) {
        more = tarn_span_split(&list, ',', &one);
        all &= ask(&l, one);
    }
    tarn_dns_client_stats(l.client, &stats);
    tarn_writer_dec(&w, stats.sent);
    tarn_writer_str(&w, " datagrams, ");
    tarn_writer_dec(&w, stats.streams);
    tarn_writer_str(&w, " connections");
    lookup_say(env, "", tarn_writer_span(&w), "");
    return all ? 0 : 1;
}
