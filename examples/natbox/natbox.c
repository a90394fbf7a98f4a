/* SPDX-License-Identifier: ISC */
/* A small home router: two networks, the inside hidden behind the outside's IPv4 address, IPv6 let
 * through where the inside has begun, addresses for the inside by DHCP. */
#include <tarn/app.h>
#include <tarn/dhcp_server.h>

#include "router.h"

TARN_NET(inside);
TARN_NET(outside);
TARN_KEY_STR(inside_ipv4, "192.168.77.1/24", "the box's address and prefix on the inside");
TARN_KEY_STR(outside_ipv4, NULL, "the box's address and prefix on the outside, or \"dhcp\"");
TARN_KEY_ADDR(outside_gateway, "the router on the outside; it comes by DHCP too");
TARN_KEY_PREFIX(inside_ipv6, "the box's IPv6 address and prefix on the inside");
TARN_KEY_PREFIX(outside_ipv6, "the box's IPv6 address and prefix on the outside");
TARN_KEY_ADDR(outside_gateway6, "the IPv6 router on the outside");
TARN_KEY_STR(forward_tcp, NULL, "PORT:ADDRESS:PORT[,...]: outside ports that lead inside");
TARN_KEY_STR(forward_udp, NULL, "the same for UDP");
TARN_KEY_ADDR(dns, "name server told to the inside");
TARN_KEY_BOOL(no_dhcp, "do not give addresses to the inside");
TARN_KEY_U32(lease, 3600, "seconds that the inside keeps an address");
TARN_KEY_U32(flows_mb, 1, "megabytes for the table of flows");
TARN_KEY_U32(counters, 0, "seconds between two lines of counters; 0: none");

static struct router router;
static struct tarn_dhcp_server *dhcp;
static struct tarn_env *env_of_events;

static void poll(struct tarn_poller *p, tarn_time now, uint64_t ready) {
    (void)p, (void)ready;
    router_input(&router, now);
}

static void flush(struct tarn_poller *p, tarn_time now) {
    (void)p;
    router_flush(&router, now);
}

static tarn_time deadline(struct tarn_poller *p) {
    (void)p;
    return router_deadline(&router);
}

/* -- DHCP ---------------------------------------------------------------------------------------
 */

static void serve(struct tarn_datagram *d, unsigned events) {
    (void)events;
    tarn_dhcp_server_serve(dhcp, d, tarn_now(env_of_events));
}

static enum tarn_err start_dhcp(struct tarn_env *env, const struct tarn_ip_prefix *net) {
    struct tarn_dhcp_server_config config = {
        .alloc = tarn_env_alloc(env),
        .random = tarn_env_random(env),
        .addr = *net,
        .gateway = net->addr,
        .lease_seconds = (uint32_t)tarn_key_u64(env, &lease),
        .authoritative = true,
    };
    struct tarn_datagram_config port = {
        .local = {TARN_IP_ADDR_V4(0, 0, 0, 0), TARN_DHCP_SERVER_PORT},
        .iface = 1,
        .broadcast = true};
    struct tarn_handle handle;
    (void)tarn_key_addr(env, &dns, &config.dns);
    enum tarn_err err = tarn_dhcp_server_range(net, &config.first, &config.last);
    if (!err)
        err = tarn_dhcp_server_new(&config, &dhcp);
    if (!err)
        err = tarn_udp_open(router.udp, &port, &handle);
    if (!err)
        tarn_udp_datagram(router.udp, handle)->on_event = serve;
    return err;
}

/* -- keys ---------------------------------------------------------------------------------------
 */

/* One "PORT:ADDRESS:PORT". */
static bool read_forward(struct tarn_span text, uint16_t *port, struct tarn_endpoint *to) {
    struct tarn_span first, second;
    uint64_t outside_port, inside_port;
    if (!tarn_span_split(&text, ':', &first) || !tarn_span_split(&text, ':', &second)
        || !tarn_span_parse_dec(first, 65535, &outside_port)
        || !tarn_ip_addr_parse(second, &to->addr) || !tarn_ip_addr_is_v4(&to->addr)
        || !tarn_span_parse_dec(text, 65535, &inside_port))
        return false;
    *port = (uint16_t)outside_port;
    to->port = (uint16_t)inside_port;
    return true;
}

static int refuse(struct tarn_env *env, const char *why) {
    tarn_puts(env, "natbox: ");
    tarn_puts(env, why);
    tarn_puts(env, "\n");
    return 1;
}

/* A forward and the rule that lets it in; the filter is made before its ports are. */
struct forwards {
    struct tarn_filter_rule rules[TARN_FILTER_RULES_MAX];
    uint16_t ports[TARN_FILTER_RULES_MAX];
    size_t count;
};

static bool read_forwards(struct tarn_env *env, const struct tarn_key *key, uint8_t proto,
                          struct forwards *f) {
    struct tarn_span list = tarn_key_str(env, key), one;
    while (list.len) {
        struct tarn_endpoint to;
        (void)tarn_span_split(&list, ',', &one);
        if (f->count == TARN_COUNT_OF(f->rules)
            || !read_forward(one, &TARN_AT(f->ports, f->count), &to))
            return false;
        TARN_AT(f->rules, f->count++) = (struct tarn_filter_rule){.direction = TARN_FILTER_IN,
                                                                  .accept = true,
                                                                  .proto = proto,
                                                                  .dst = {to.addr, 32},
                                                                  .dst_port_min = to.port,
                                                                  .dst_port_max = to.port};
    }
    return true;
}

static bool open_forwards(const struct forwards *f) {
    for (size_t i = 0; i < f->count; i++) {
        const struct tarn_filter_rule *rule = &TARN_AT(f->rules, i);
        struct tarn_endpoint to = {rule->dst.addr, rule->dst_port_min};
        if (tarn_filter_forward(router.filter, rule->proto, TARN_AT(f->ports, i), &to))
            return false;
    }
    return true;
}

/* What is wrong with the addresses, or NULL. */
static const char *read_addresses(struct tarn_env *env, struct router_config *config) {
    struct router_network *in = &config->side[ROUTER_INSIDE], *out = &config->side[ROUTER_OUTSIDE];
    struct tarn_span given = tarn_key_str(env, &outside_ipv4);
    config->outside_dhcp = tarn_span_equal(given, TARN_SPAN_LIT("dhcp"));
    if (!tarn_ip_prefix_parse(tarn_key_str(env, &inside_ipv4), &in->ipv4)
        || !tarn_ip_addr_is_v4(&in->ipv4.addr)
        || (!config->outside_dhcp
            && (!tarn_ip_prefix_parse(given, &out->ipv4) || !tarn_ip_addr_is_v4(&out->ipv4.addr))))
        return "--outside-ipv4=A.B.C.D/N or dhcp is wanted (and --inside-ipv4=A.B.C.D/N)";
    bool via = tarn_key_addr(env, &outside_gateway, &config->gateway);
    if (via && config->outside_dhcp)
        return "the router outside comes by DHCP too: give no --outside-gateway";
    if (via && !tarn_ip_prefix_contains(&out->ipv4, &config->gateway))
        return "--outside-gateway is not in the network of --outside-ipv4";
    bool in6 = tarn_key_prefix(env, &inside_ipv6, &in->ipv6);
    bool out6 = tarn_key_prefix(env, &outside_ipv6, &out->ipv6);
    bool via6 = tarn_key_addr(env, &outside_gateway6, &config->gateway6);
    if ((in6 && tarn_ip_addr_is_v4(&in->ipv6.addr)) || (out6 && tarn_ip_addr_is_v4(&out->ipv6.addr))
        || (via6 && (!out6 || tarn_ip_addr_is_v4(&config->gateway6))))
        return "--inside-ipv6, --outside-ipv6 and --outside-gateway6 take IPv6 addresses";
    return NULL;
}

/* -- telling ------------------------------------------------------------------------------------
 */

static void announce(struct tarn_env *env, const struct router_config *config) {
    char text[160];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "natbox: inside ");
    tarn_writer_ip_addr(&w, &config->side[ROUTER_INSIDE].ipv4.addr);
    tarn_writer_str(&w, ", outside ");
    if (config->outside_dhcp)
        tarn_writer_str(&w, "by DHCP");
    else
        tarn_writer_ip_addr(&w, &config->side[ROUTER_OUTSIDE].ipv4.addr);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

static void put_counter(struct tarn_writer *w, const char *name, uint64_t value) {
    tarn_writer_u8(w, ' ');
    tarn_writer_str(w, name);
    tarn_writer_u8(w, ' ');
    tarn_writer_dec(w, value);
}

static void tell_counters(struct tarn_env *env) {
    const struct tarn_filter_stats *f = tarn_filter_stats(router.filter);
    struct tarn_ip_stats ip;
    char text[400];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_ip_stats(router.ip, &ip);
    tarn_writer_str(&w, "natbox:");
    put_counter(&w, "flows", tarn_filter_flow_count(router.filter));
    put_counter(&w, "opened", f->flows);
    put_counter(&w, "evicted", f->evicted);
    put_counter(&w, "forwarded", ip.forwarded);
    put_counter(&w, "reassembled", ip.reassembled);
    put_counter(&w, "icmp-errors", ip.icmp_errors_out);
    put_counter(&w, "refused", f->refused);
    put_counter(&w, "no-flow", f->no_flow);
    put_counter(&w, "no-room", f->no_room + f->no_port);
    put_counter(&w, "malformed", f->malformed + f->bad_icmp);
    put_counter(&w, "no-route", ip.drops_no_route);
    put_counter(&w, "hops", ip.drops_hops);
    put_counter(&w, "too-big", ip.drops_too_big);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

int tarn_main(struct tarn_env *env) {
    static struct tarn_poller poller = {.poll = poll, .flush = flush, .deadline = deadline};
    static struct forwards forwards;
    struct router_config config = {
        .alloc = tarn_env_alloc(env),
        .random = tarn_env_random(env),
        .tasks = tarn_env_tasks(env),
        .pkts = tarn_env_pkts(env),
        .table_bytes = (size_t)tarn_key_u64(env, &flows_mb) << 20,
        .rules = forwards.rules,
    };
    const char *wrong = read_addresses(env, &config);
    if (wrong)
        return refuse(env, wrong);
    if (!read_forwards(env, &forward_tcp, TARN_IP_PROTO_TCP, &forwards)
        || !read_forwards(env, &forward_udp, TARN_IP_PROTO_UDP, &forwards))
        return refuse(env, "forwarded ports are written PORT:ADDRESS:PORT, with commas between");
    config.rule_count = forwards.count;
    if (tarn_env_netif(env, &inside, &config.side[ROUTER_INSIDE].netif)
        || tarn_env_netif(env, &outside, &config.side[ROUTER_OUTSIDE].netif))
        return refuse(env, "two network devices are wanted: inside and outside");
    env_of_events = env;
    if (router_init(&router, &config, tarn_now(env)))
        return refuse(env, "no memory (--mem=MB), or addresses that make no sense");
    if (!open_forwards(&forwards))
        return refuse(env, "a port cannot be forwarded twice, and not to port 0");
    if (!tarn_key_bool(env, &no_dhcp) && start_dhcp(env, &config.side[ROUTER_INSIDE].ipv4))
        return refuse(env, "DHCP does not fit this inside (a prefix of /8 to /29 is wanted)");
    tarn_env_add_poller(env, &poller);
    announce(env, &config);
    if (tarn_key_u64(env, &counters) == 0)
        tarn_run_forever(env);
    for (;;) {
        tarn_sleep(env, TARN_SEC(tarn_key_u64(env, &counters)));
        tell_counters(env);
    }
}
