/* SPDX-License-Identifier: ISC */
/* A small home router: two networks, the inside hidden behind the outside's address, addresses for
 * the inside by DHCP. A forwarded port is given as --forward-tcp=8080:192.168.77.10:80. */
#include <tarn/app.h>
#include <tarn/dhcp_server.h>

#include "router.h"

TARN_NET(inside);
TARN_NET(outside);
TARN_KEY_STR(inside_ipv4, "192.168.77.1/24", "the box's address and prefix on the inside");
TARN_KEY_PREFIX(outside_ipv4, "the box's address and prefix on the outside");
TARN_KEY_ADDR(outside_gateway, "the router on the outside");
TARN_KEY_STR(forward_tcp, NULL, "PORT:ADDRESS:PORT: an outside port that leads inside");
TARN_KEY_ADDR(dns, "name server told to the inside");
TARN_KEY_BOOL(no_dhcp, "do not give addresses to the inside");
TARN_KEY_U32(lease, 3600, "seconds that the inside keeps an address");

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
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    struct tarn_datagram_info from;
    struct tarn_bytes data;
    (void)events;
    while (tarn_datagram_peek(d, &data, &from) == TARN_OK) {
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        struct tarn_dhcp_path path;
        if (tarn_dhcp_server_input(dhcp, tarn_bytes_span(data), &w, &path,
                                   tarn_now(env_of_events))) {
            struct tarn_datagram_info to = {.remote = {path.dst, path.dst_port},
                                            .local = {path.src, 0}};
            (void)!tarn_datagram_send(d, &to, tarn_writer_span(&w)); /* the client asks again */
        }
        tarn_datagram_consume(d);
    }
}

/* The upper half of the inside's addresses. */
static enum tarn_err start_dhcp(struct tarn_env *env, const struct tarn_ip_prefix *net) {
    uint32_t hosts = net->bits < 31 ? (1u << (32 - net->bits)) : 0;
    uint32_t base = tarn_ip_addr_v4(&net->addr) & ~(hosts - 1);
    uint32_t count = TARN_MIN(hosts / 2, 1024u);
    if (net->bits < 8 || net->bits > 29)
        return TARN_INVALID;
    struct tarn_dhcp_server_config config = {
        .alloc = tarn_env_alloc(env),
        .random = tarn_env_random(env),
        .addr = *net,
        .first = tarn_ip_addr_from_v4(base + hosts - 1 - count),
        .last = tarn_ip_addr_from_v4(base + hosts - 2),
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
    enum tarn_err err = tarn_dhcp_server_new(&config, &dhcp);
    if (!err)
        err = tarn_udp_open(router.udp, &port, &handle);
    if (!err)
        tarn_udp_datagram(router.udp, handle)->on_event = serve;
    return err;
}

/* -- keys ---------------------------------------------------------------------------------------
 */

static bool read_forward(struct tarn_span text, uint16_t *port, struct tarn_endpoint *to) {
    struct tarn_span first, second;
    uint64_t outside_port, inside_port;
    if (!tarn_span_split(&text, ':', &first) || !tarn_span_split(&text, ':', &second)
        || !tarn_span_parse_dec(first, 65535, &outside_port)
        || !tarn_ip_addr_parse(second, &to->addr)
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

static void announce(struct tarn_env *env, const struct router_config *config) {
    char text[160];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "natbox: inside ");
    tarn_writer_ip_addr(&w, &config->inside.addr);
    tarn_writer_str(&w, ", outside ");
    tarn_writer_ip_addr(&w, &config->outside.addr);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

int tarn_main(struct tarn_env *env) {
    static struct tarn_poller poller = {.poll = poll, .flush = flush, .deadline = deadline};
    struct tarn_filter_rule rule = {.direction = TARN_FILTER_IN, .accept = true, .proto = 6};
    struct tarn_endpoint to = {0};
    uint16_t port = 0;
    struct router_config config = {
        .alloc = tarn_env_alloc(env),
        .random = tarn_env_random(env),
        .tasks = tarn_env_tasks(env),
        .pkts = tarn_env_pkts(env),
        .rules = &rule,
    };
    if (!tarn_ip_prefix_parse(tarn_key_str(env, &inside_ipv4), &config.inside)
        || !tarn_key_prefix(env, &outside_ipv4, &config.outside)
        || !tarn_ip_addr_is_v4(&config.inside.addr) || !tarn_ip_addr_is_v4(&config.outside.addr))
        return refuse(env, "--outside-ipv4=A.B.C.D/N is wanted (and --inside-ipv4 like it)");
    (void)tarn_key_addr(env, &outside_gateway, &config.gateway);
    if (tarn_key_given(env, &forward_tcp)) {
        if (!read_forward(tarn_key_str(env, &forward_tcp), &port, &to))
            return refuse(env, "--forward-tcp is written PORT:ADDRESS:PORT");
        rule.dst = (struct tarn_ip_prefix){to.addr, 32};
        rule.dst_port_min = rule.dst_port_max = to.port;
        config.rule_count = 1;
    }
    if (tarn_env_netif(env, &inside, &config.inside_netif)
        || tarn_env_netif(env, &outside, &config.outside_netif))
        return refuse(env, "two network devices are wanted: inside and outside");
    env_of_events = env;
    if (router_init(&router, &config, tarn_now(env)))
        return refuse(env, "no memory, or addresses that make no sense");
    if (port && tarn_filter_forward(router.filter, 6, port, &to))
        return refuse(env, "that port cannot be forwarded");
    if (!tarn_key_bool(env, &no_dhcp) && start_dhcp(env, &config.inside))
        return refuse(env, "DHCP does not fit this inside (a prefix of /8 to /29 is wanted)");
    tarn_env_add_poller(env, &poller);
    announce(env, &config);
    tarn_run_forever(env);
}
