/* SPDX-License-Identifier: ISC */
/* A network for a guest, made of the host's sockets: its TCP and UDP end here, whomever they are
 * for, and go on as connections and datagrams of this process, which needs no rights for that. */
#include "usernet.h"

#include <tarn/dhcp_server.h>

TARN_NET(guest);
TARN_NET(host);
TARN_KEY_STR(guest_ipv4, "10.0.2.2/24", "the gateway that the guest sees, and its network");
TARN_KEY_PREFIX(guest_ipv6, "the same for IPv6; the guest's own address is given by hand");
TARN_KEY_ADDR(dns, "name server of the host's, that the guest finds at the gateway");
TARN_KEY_BOOL(loopback, "the gateway's address leads to this machine's own loopback address");
TARN_KEY_STR(
    forward, NULL,
    "ports of this machine's that lead to the guest: tcp:8080:10.0.2.15:80, at the loopback "
    "address, or tcp:192.0.2.1:8080:10.0.2.15:80; several with a comma between");
TARN_KEY_BOOL(no_dhcp, "do not give the guest its address");

#define DNS_PORT 53
#define SWEEP TARN_SEC(5)

static struct usernet net;
static struct tarn_dhcp_server *dhcp;

bool usernet_outwards(const struct usernet *u, const struct tarn_endpoint *to,
                      struct tarn_endpoint *out) {
    static const struct tarn_ip_addr here4 = TARN_IP_ADDR_V4(127, 0, 0, 1);
    static const struct tarn_ip_addr here6 = {.bytes = {[15] = 1}};
    bool v4 = tarn_ip_addr_is_v4(&to->addr);
    *out = *to;
    if (!tarn_ip_addr_equal(&to->addr, v4 ? &u->gateway : &u->gateway6))
        return true;
    if (to->port == DNS_PORT && u->dns.port)
        *out = u->dns;
    else
        out->addr = v4 ? here4 : here6;
    return u->loopback || (to->port == DNS_PORT && u->dns.port);
}

/* -- the guest's side ---------------------------------------------------------------------------
 */

static void poll(struct tarn_poller *p, tarn_time now, uint64_t ready) {
    (void)p, (void)ready;
    tarn_stack_input(net.guest, now);
}

static void flush(struct tarn_poller *p, tarn_time now) {
    (void)p;
    tarn_stack_flush(net.guest, now);
}

static tarn_time deadline(struct tarn_poller *p) {
    (void)p;
    return tarn_stack_deadline(net.guest);
}

static void serve(struct tarn_datagram *port, unsigned events) {
    (void)events;
    tarn_dhcp_server_serve(dhcp, port, tarn_now(net.env));
}

static enum tarn_err start_dhcp(const struct tarn_ip_prefix *addr) {
    struct tarn_dhcp_server_config config = {
        .alloc = tarn_env_alloc(net.env),
        .random = tarn_env_random(net.env),
        .addr = *addr,
        .gateway = addr->addr,
        .dns = net.dns.port ? addr->addr : TARN_IP_ADDR_NONE,
        .authoritative = true,
    };
    struct tarn_datagram_config at = {.local = {TARN_IP_ADDR_V4(0, 0, 0, 0), TARN_DHCP_SERVER_PORT},
                                      .broadcast = true};
    struct tarn_datagram *port;
    enum tarn_err err = tarn_dhcp_server_range(addr, &config.first, &config.last);
    if (!err)
        err = tarn_dhcp_server_new(&config, &dhcp);
    if (!err)
        err = tarn_net_datagram(tarn_stack_net(net.guest), &at, &port);
    if (!err)
        port->on_event = serve;
    return err;
}

static enum tarn_err start_guest(struct tarn_netif *netif, const struct tarn_ip_prefix *ipv4,
                                 const struct tarn_ip_prefix *ipv6) {
    static struct tarn_poller poller = {.poll = poll, .flush = flush, .deadline = deadline};
    struct tarn_stack_config config = {
        .alloc = tarn_env_alloc(net.env),
        .random = tarn_env_random(net.env),
        .tasks = tarn_env_tasks(net.env),
        .pkts = tarn_env_pkts(net.env),
        .log = tarn_env_log(net.env),
        .netif = netif,
        .ipv4 = *ipv4,
        .ipv6 = *ipv6,
        .join = !(netif->features & TARN_NETIF_TX_TSO4),
        .tcp = {.connections_max = 2048, .syn_queue_max = 1024, .memory_bytes = 32u << 20},
    };
    enum tarn_err err = tarn_stack_new(&config, tarn_now(net.env), &net.guest);
    if (!err)
        err = tarn_ip_stand_in(tarn_stack_ip(net.guest), 0, true);
    if (!err)
        tarn_env_add_poller(net.env, &poller);
    return err;
}

/* -- keys ---------------------------------------------------------------------------------------
 */

static int refuse(struct tarn_env *env, const char *why) {
    tarn_puts(env, "usernet: ");
    tarn_puts(env, why);
    tarn_puts(env, "\n");
    return 1;
}

static void announce(struct tarn_env *env) {
    char text[120];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "usernet: the guest's gateway is ");
    tarn_writer_ip_addr(&w, &net.gateway);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

int tarn_main(struct tarn_env *env) {
    struct tarn_ip_prefix ipv4, ipv6 = {.addr = TARN_IP_ADDR_NONE};
    struct tarn_netif *netif;
    net.env = env;
    net.loopback = tarn_key_bool(env, &loopback);
    if (!tarn_ip_prefix_parse(tarn_key_str(env, &guest_ipv4), &ipv4)
        || !tarn_ip_addr_is_v4(&ipv4.addr))
        return refuse(env, "--guest-ipv4 is written A.B.C.D/N");
    if (tarn_key_prefix(env, &guest_ipv6, &ipv6) && tarn_ip_addr_is_v4(&ipv6.addr))
        return refuse(env, "--guest-ipv6 takes an IPv6 address with its network");
    net.gateway = ipv4.addr;
    net.gateway6 = ipv6.addr;
    if (tarn_key_addr(env, &dns, &net.dns.addr))
        net.dns.port = DNS_PORT;
    if (tarn_env_netif(env, &guest, &netif) || tarn_env_net(env, &host, &net.host))
        return refuse(env, "attach the guest: --net:guest=TAP, or --net:guest=unix:PATH");
    if (start_guest(netif, &ipv4, &ipv6) || streams_start(&net) || datagrams_start(&net))
        return refuse(env, "no memory (--mem=MB), or addresses that make no sense");
    if (!tarn_key_bool(env, &no_dhcp) && start_dhcp(&ipv4))
        return refuse(env, "DHCP does not fit --guest-ipv4 (a prefix of /8 to /29 is wanted)");
    enum tarn_err err = inward_start(&net, tarn_key_str(env, &forward));
    if (err)
        return refuse(env,
                      err == TARN_INVALID
                          ? "--forward is written tcp:PORT:ADDRESS:PORT, or tcp:ADDRESS:PORT:..."
                          : "a port of --forward cannot be had");
    announce(env);
    for (;;) {
        tarn_sleep(env, SWEEP);
        streams_sweep(tarn_now(env));
        datagrams_sweep(tarn_now(env));
    }
}
