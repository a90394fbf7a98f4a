/* SPDX-License-Identifier: ISC */
/* tarn_env_net over Tarn's own layers, and the keys that go with them: a program that asks for no
 * network links none of this. */
#include <tarn/app.h>
#include <tarn/stack.h>

#include "platform.h"

TARN_KEY_STR(
    ipv4, NULL,
    "IPv4 address of the network device with the length of its network, as 10.0.0.2/24, or "
    "\"dhcp\": whatever a server gives");
TARN_KEY_ADDR(ipv4_gateway,
              "IPv4 address of the router; without it, the own network is all there is");
TARN_KEY_STR(
    ipv6, NULL,
    "IPv6 address of the network device with the length of its network, or \"dhcp\": one from a "
    "server, with the routers that advertise themselves");
TARN_KEY_ADDR(ipv6_gateway, "IPv6 address of the router");
TARN_KEY_(vlan, "vlan", "0", "802.1Q VLAN of the network device, 1 to 4094; 0: untagged frames",
          TARN_KEY_TYPE_U64, 4094);
TARN_KEY_BOOL(ipv6_auto,
              "get IPv6 addresses and routers from router advertisements, and by DHCPv6 what they "
              "say comes by it");
TARN_KEY_BOOL(redirects, "let routers send us to another one, or straight to a neighbour, by ICMP");

/* How long a program waits for its first address before it goes on without one. */
#define LEASE_WAIT TARN_SEC(30)

/* Packet memory behind each connection that may be open: most are idle. */
#define BYTES_A_CONNECTION ((size_t)16 << 10)

struct direct {
    struct tarn_poller poller;
    struct tarn_stack *stack;
    struct tarn_ip_watch watch;
    struct tarn_waiter *waiter; /* of who waits for a lease */
};

static void direct_poll(struct tarn_poller *p, tarn_time now, uint64_t ready) {
    struct direct *d = TARN_CONTAINER_OF(p, struct direct, poller);
    (void)ready; /* asking a device that has nothing costs as much as looking at the set */
    tarn_stack_input(d->stack, now);
}

static void direct_flush(struct tarn_poller *p, tarn_time now) {
    struct direct *d = TARN_CONTAINER_OF(p, struct direct, poller);
    tarn_stack_flush(d->stack, now);
}

static tarn_time direct_deadline(struct tarn_poller *p) {
    return tarn_stack_deadline(TARN_CONTAINER_OF(p, struct direct, poller)->stack);
}

static void say(struct tarn_env *env, const char *device, const char *what) {
    char text[160];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, device);
    tarn_writer_str(&w, ": ");
    tarn_writer_str(&w, what);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

static size_t pool_bytes(const struct tarn_pkt_pool *pkts) {
    size_t bytes = 0;
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++)
        bytes +=
            TARN_AT(pkts->pools, class).count * tarn_pkt_class_bytes((enum tarn_pkt_class) class);
    return bytes;
}

/* TCP's buffers get as much memory as packets do, since received data stays in packets. A window is
 * what a path of 10 Gbit/s and 3 ms holds, or an eighth of the memory. */
static void divide(struct tarn_stack_config *config) {
    size_t bytes = pool_bytes(config->pkts);
    size_t connections = bytes / BYTES_A_CONNECTION;
    connections = TARN_MAX(connections, (size_t)16);
    config->tcp.memory_bytes = bytes;
    size_t window = TARN_MIN(bytes / 8, (size_t)4 << 20);
    config->tcp.rcv_buf_bytes_max = (uint32_t)TARN_MAX(window, (size_t)64 << 10);
    config->tcp.connections_max = (uint32_t)TARN_MIN(connections, (size_t)16384);
}

/* What is wrong with the keys for IPv6, or NULL. A router's link-local address is in no network
 * that could be given here. */
static const char *read_ipv6(struct tarn_env *env, struct tarn_stack_config *config, bool *given) {
    struct tarn_span address = tarn_key_str(env, &ipv6);
    config->ipv6_auto = tarn_key_bool(env, &ipv6_auto);
    config->ipv6_dhcp = tarn_span_equal(address, TARN_SPAN_LIT("dhcp"));
    *given = address.len > 0 && !config->ipv6_dhcp;
    if (*given
        && (!tarn_ip_prefix_parse(address, &config->ipv6)
            || tarn_ip_addr_is_v4(&config->ipv6.addr)))
        return "--ipv6 takes an IPv6 address, or dhcp: --ipv6=2001:db8::2/64";
    if (tarn_key_addr(env, &ipv6_gateway, &config->ipv6_gateway)
        && (tarn_ip_addr_is_v4(&config->ipv6_gateway) || !*given))
        return "--ipv6-gateway takes an IPv6 address, and needs one as --ipv6";
    *given |= config->ipv6_auto || config->ipv6_dhcp;
    return NULL;
}

/* What is wrong with the keys, or NULL. */
static const char *read_keys(struct tarn_env *env, struct tarn_stack_config *config) {
    bool given6;
    const char *wrong = read_ipv6(env, config, &given6);
    if (wrong)
        return wrong;
    struct tarn_span address = tarn_key_str(env, &ipv4);
    bool router = tarn_key_addr(env, &ipv4_gateway, &config->ipv4_gateway);
    config->ipv4_dhcp = tarn_span_equal(address, TARN_SPAN_LIT("dhcp"));
    if (config->ipv4_dhcp)
        return router ? "the router comes by DHCP too: give no --ipv4-gateway" : NULL;
    if (address.len == 0 && given6 && !router)
        return NULL;
    if (address.len == 0)
        return "needs an address: --ipv4=10.0.0.2/24, or --ipv4=dhcp";
    if (!tarn_ip_prefix_parse(address, &config->ipv4) || !tarn_ip_addr_is_v4(&config->ipv4.addr))
        return "--ipv4 takes an IPv4 address, or dhcp: --ipv4=10.0.0.2/24";
    if (router && !tarn_ip_prefix_contains(&config->ipv4, &config->ipv4_gateway))
        return "--ipv4-gateway is not in the network of --ipv4: a router has to be a neighbour";
    return NULL;
}

static enum tarn_err direct_new(struct tarn_env *env, const char *name, struct direct *d) {
    struct tarn_stack_config config = {.alloc = tarn_env_alloc(env),
                                       .random = tarn_env_random(env),
                                       .tasks = tarn_env_tasks(env),
                                       .pkts = tarn_env_pkts(env),
                                       .log = tarn_env_log(env),
                                       .vlan = (uint16_t)tarn_key_u64(env, &vlan),
                                       .redirects = tarn_key_bool(env, &redirects)};
    const char *wrong = read_keys(env, &config);
    if (wrong) {
        say(env, name, wrong);
        return TARN_INVALID;
    }
    enum tarn_err err = tarn_platform_netif(name, config.pkts, &config.netif);
    if (err)
        return err;
    /* A device without segmentation hands over single frames, too. */
    config.join = !(config.netif->features & TARN_NETIF_TX_TSO4);
    divide(&config);
    err = tarn_stack_new(&config, tarn_now(env), &d->stack);
    if (err == TARN_LIMIT)
        say(env, name, "not enough memory for a network: give more with --mem=MB");
    else if (err)
        say(env, name, "the address or the gateway cannot be used: see --ipv4 and --ipv4-gateway");
    return err;
}

static void wake(struct tarn_task *task) {
    struct direct *d = TARN_CONTAINER_OF(task, struct direct, watch.task);
    if (d->waiter)
        d->waiter->ops->wake(d->waiter);
}

static bool has_lease(const struct direct *d, bool v6) {
    return v6 ? tarn_stack_lease6(d->stack) != NULL : tarn_stack_lease(d->stack) != NULL;
}

static void say_address(struct tarn_env *env, const char *name, const struct direct *d, bool v6) {
    char text[80];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    const struct tarn_dhcp_lease *lease = tarn_stack_lease(d->stack);
    if (v6) {
        tarn_writer_ip_addr(&w, &tarn_stack_lease6(d->stack)->addr);
    } else {
        tarn_writer_ip_addr(&w, &lease->addr.addr);
        tarn_writer_u8(&w, '/');
        tarn_writer_dec(&w, lease->addr.bits);
    }
    tarn_writer_str(&w, v6 ? " by DHCPv6" : " by DHCP");
    tarn_writer_u8(&w, 0);
    say(env, name, text);
}

/* A program's first connection is not to fail for want of an address. Later changes of the lease
 * are between the stack and the server. */
static void wait_for_lease(struct tarn_env *env, const char *name, struct direct *d, bool v6) {
    tarn_time end = tarn_time_after(tarn_now(env), LEASE_WAIT);
    d->waiter = tarn_env_waiter(env);
    while (!has_lease(d, v6) && tarn_now(env) < end)
        (void)!d->waiter->ops->wait(d->waiter, end);
    d->waiter = NULL;
    if (has_lease(d, v6))
        say_address(env, name, d, v6);
    else
        say(env, name, "no DHCP server has answered yet; going on without an address");
}

enum tarn_err tarn_env_net(struct tarn_env *env, const struct tarn_device *device,
                           struct tarn_net **out) {
    TARN_ASSERT(device->type == TARN_DEVICE_NET);
    struct direct *d = TARN_NEW(tarn_env_alloc(env), struct direct);
    if (!d)
        return TARN_LIMIT;
    enum tarn_err err = direct_new(env, device->name, d);
    if (err)
        return err;
    d->poller = (struct tarn_poller){
        .poll = direct_poll, .flush = direct_flush, .deadline = direct_deadline};
    tarn_env_add_poller(env, &d->poller);
    d->watch.task.run = wake;
    tarn_ip_watch_add(tarn_stack_ip(d->stack), &d->watch);
    if (tarn_span_equal(tarn_key_str(env, &ipv4), TARN_SPAN_LIT("dhcp")))
        wait_for_lease(env, device->name, d, false);
    if (tarn_span_equal(tarn_key_str(env, &ipv6), TARN_SPAN_LIT("dhcp")))
        wait_for_lease(env, device->name, d, true);
    *out = tarn_stack_net(d->stack);
    return TARN_OK;
}
