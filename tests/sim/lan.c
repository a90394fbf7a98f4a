/* SPDX-License-Identifier: ISC */
/* Whole programs on one LAN: the runtime, ARP or NDP, IP and TCP of every machine, hundreds of
 * them, all switched on at once; addresses given, chosen or leased; frames lost, machines switched
 * off in the middle. */
#include "machine.h"
#include "seeds.h"
#include "stream.h"

#include <tarn/dhcp_server.h>
#include <tarn/flow_wait.h>

enum { MACHINES = 200, PORT = 7, REQUEST_BYTES = 3000 };

TARN_NET(service);
TARN_KEY_ADDR(server, "whom to ask; without it, this machine is the server");
TARN_KEY_PREFIX(leases, "our address, for who gives addresses of that network by DHCP");

/* -- the program, one for both sides ------------------------------------------------------------
 */

/* A flow that has come is answered until it ends; one fiber each. */
static void echo(struct tarn_env *env, void *arg) {
    struct tarn_flow *flow = arg;
    struct tarn_waiter *waiter = tarn_env_waiter(env);
    uint8_t buf[1024];
    size_t n;
    while (tarn_flow_read_some(flow, waiter, TARN_BYTES_ARRAY(buf), TARN_NEVER, &n) == TARN_OK)
        if (tarn_flow_write_all(flow, waiter, tarn_span_of(buf, n), TARN_NEVER, &n))
            break;
    tarn_flow_close(flow);
}

static struct {
    struct tarn_env *env;
    struct tarn_dhcp_server *server;
} dhcp;

static void lease(struct tarn_datagram *port, unsigned events) {
    (void)events;
    tarn_dhcp_server_serve(dhcp.server, port, tarn_now(dhcp.env));
}

static enum tarn_err start_dhcp(struct tarn_env *env, struct tarn_net *net) {
    struct tarn_dhcp_server_config config = {.alloc = tarn_env_alloc(env),
                                             .random = tarn_env_random(env)};
    struct tarn_datagram_config at = {.local = {TARN_IP_ADDR_V4(0, 0, 0, 0), TARN_DHCP_SERVER_PORT},
                                      .broadcast = true};
    struct tarn_datagram *port;
    if (!tarn_key_prefix(env, &leases, &config.addr))
        return TARN_OK;
    dhcp.env = env;
    enum tarn_err err = tarn_dhcp_server_range(&config.addr, &config.first, &config.last);
    if (!err)
        err = tarn_dhcp_server_new(&config, &dhcp.server);
    if (!err)
        err = tarn_net_datagram(net, &at, &port);
    if (!err)
        port->on_event = lease;
    return err;
}

static int serve(struct tarn_env *env, struct tarn_net *net) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, PORT};
    struct tarn_listener *listener;
    struct tarn_flow *flow;
    if (start_dhcp(env, net) || tarn_net_listen(net, &local, MACHINES, &listener))
        return 10;
    while (!tarn_listener_accept_wait(listener, tarn_env_waiter(env), TARN_NEVER, &flow))
        if (tarn_fiber_start(env, echo, flow, 32 << 10))
            tarn_flow_abort(flow);
    return 11;
}

/* What was sent comes back, or the reason why not. */
static enum tarn_err ask(struct tarn_env *env, struct tarn_net *net,
                         const struct tarn_endpoint *remote) {
    struct tarn_waiter *waiter = tarn_env_waiter(env);
    tarn_time deadline = tarn_now(env) + TARN_SEC(60);
    struct tarn_flow *flow;
    uint8_t sent[REQUEST_BYTES], got[REQUEST_BYTES + 1];
    size_t n;
    enum tarn_err err = tarn_net_connect_wait(net, waiter, remote, deadline, &flow);
    if (err)
        return err;
    sim_pattern(tarn_random_u64(tarn_env_random(env)), 0, TARN_BYTES_ARRAY(sent));
    err = tarn_flow_write_all(flow, waiter, TARN_SPAN_ARRAY(sent), deadline, &n);
    tarn_flow_shutdown(flow);
    if (!err)
        err = tarn_flow_read_all(flow, waiter, TARN_BYTES_ARRAY(got), deadline, &n);
    if (!err && !tarn_span_equal(tarn_span_of(got, n), TARN_SPAN_ARRAY(sent)))
        err = TARN_INVALID;
    tarn_flow_close(flow);
    return err;
}

/* Tries again, a second later, while the server is not there; wrong bytes end it at once. */
int tarn_main(struct tarn_env *env) {
    struct tarn_endpoint remote = {.port = PORT};
    struct tarn_net *net;
    enum tarn_err err = tarn_env_net(env, &service, &net);
    if (err)
        return 12;
    if (!tarn_key_addr(env, &server, &remote.addr))
        return serve(env, net);
    for (unsigned i = 0; i < 100; i++) {
        err = ask(env, net, &remote);
        if (err == TARN_OK || err == TARN_INVALID)
            break;
        tarn_sleep(env, TARN_SEC(1));
    }
    return (int)err;
}

/* -- the world ----------------------------------------------------------------------------------
 */

struct world {
    struct tarn_sim *sim;
    struct tarn_sim_link *link;
    struct tarn_machine *server, *client[MACHINES];
    unsigned clients;
};

/* `addresses` is a format for the machine's number, once or twice. */
static struct tarn_machine *machine(struct world *w, unsigned number, const char *addresses) {
    char cmdline[128];
    struct tarn_machine *m = tarn_machine_new(
        w->sim, &(struct tarn_machine_config){.name = "m",
                                              .program = tarn_program_linked(),
                                              .heap_bytes = number ? 8u << 20 : 64u << 20,
                                              .latency_max = TARN_US(50)});
    tarn_machine_attach_net(m, "service", w->link);
    snprintf(cmdline, sizeof cmdline, addresses, number / 250, number % 250 + 1);
    tarn_machine_start(m, cmdline);
    return m;
}

static void world_with(struct world *w, uint64_t seed, unsigned clients,
                       const struct tarn_sim_link_config *link, const char *server_address,
                       const char *client_address) {
    *w = (struct world){.sim = tarn_sim_new(seed), .clients = clients};
    w->link = tarn_sim_link_new(w->sim, link);
    w->server = machine(w, 0, server_address);
    for (unsigned i = 0; i < clients; i++)
        w->client[i] = machine(w, i + 1, client_address);
}

static void world_new(struct world *w, uint64_t seed, unsigned clients,
                      const struct tarn_sim_link_config *link) {
    world_with(w, seed, clients, link, "--ipv4=10.0.%u.%u/16",
               "--ipv4=10.0.%u.%u/16 --server=10.0.0.1");
}

static bool clients_are_done(void *arg) {
    struct world *w = arg;
    for (unsigned i = 0; i < w->clients; i++)
        if (tarn_machine_is_on(w->client[i]))
            return false;
    return true;
}

static void world_finish(struct world *w, tarn_time limit) {
    SIM_CHECK(tarn_sim_run_until(w->sim, clients_are_done, w, limit));
    for (unsigned i = 0; i < w->clients; i++) {
        struct tarn_span console = tarn_machine_console(w->client[i]);
        SIM_CHECK(tarn_machine_status(w->client[i]) == 0, "machine %u: status %d, said: %.*s", i,
                  tarn_machine_status(w->client[i]), (int)console.len, (const char *)console.ptr);
        tarn_machine_free(w->client[i]);
    }
    SIM_CHECK(tarn_machine_is_on(w->server));
    tarn_machine_free(w->server);
    tarn_sim_free(w->sim);
}

SIM_TEST(lan, hundreds_switched_on_at_once_all_get_their_echo, 2) {
    static struct world w;
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 1000000000, .delay = TARN_US(50)}};
    world_new(&w, seed, MACHINES, &link);
    world_finish(&w, TARN_SEC(600));
}

SIM_TEST(lan, hundreds_find_each_other_over_ipv6, 2) {
    static struct world w;
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 1000000000, .delay = TARN_US(50)}};
    world_with(&w, seed, MACHINES, &link, "--ipv6=2001:db8::%u:%u/64",
               "--ipv6=2001:db8::%u:%u/64 --server=2001:db8::1");
    world_finish(&w, TARN_SEC(600));
}

SIM_TEST(lan, hundreds_ask_for_a_lease_at_once, 2) {
    static struct world w;
    struct tarn_sim_link_config link = {
        .path = {.bits_per_s = 1000000000, .delay = TARN_US(50), .loss_ppm = 10000}};
    world_with(&w, seed, MACHINES, &link, "--ipv4=10.0.%u.%u/16 --leases=10.0.0.1/16",
               "--ipv4=dhcp --server=10.0.0.1");
    world_finish(&w, TARN_SEC(600));
}

SIM_TEST(lan, losses_and_damage_of_any_frame_are_survived, 5) {
    static struct world w;
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 100000000,
                                                 .delay = TARN_US(200),
                                                 .loss_ppm = 50000,
                                                 .duplicate_ppm = 20000,
                                                 .reorder_ppm = 100000,
                                                 .reorder_by = TARN_MS(5),
                                                 .corrupt_ppm = 20000,
                                                 .truncate_ppm = 10000},
                                        .features =
                                            seed & 1 ? TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_CSUM : 0};
    world_new(&w, seed, 20, &link);
    world_finish(&w, TARN_SEC(6000));
}

SIM_TEST(lan, a_server_switched_off_and_on_again_serves_again, 5) {
    static struct world w;
    struct tarn_random_seeded r;
    struct tarn_sim_link_config link = {.path = {.bits_per_s = 1000000, .delay = TARN_MS(5)}};
    tarn_random_seeded_init(&r, seed);
    world_new(&w, seed, 20, &link);
    for (unsigned i = 0; i < 3; i++) {
        tarn_sim_run(w.sim, tarn_sim_now(w.sim) + TARN_MS(tarn_random_below(&r.random, 500)));
        tarn_machine_stop(w.server);
        tarn_sim_run(w.sim, tarn_sim_now(w.sim) + TARN_MS(tarn_random_below(&r.random, 3000)));
        tarn_machine_start(w.server, "--ipv4=10.0.0.1/16");
    }
    world_finish(&w, TARN_SEC(6000));
}
