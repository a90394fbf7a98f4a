/* SPDX-License-Identifier: ISC */
/* host.h: a host whose only layers are TCP and the least of IP that carries it, on a simulated LAN.
 *
 * Host i has the address 10.0.x.y, its neighbours' link addresses are known, so what a test sees is
 * TCP's doing alone. Its poll is the loop that a platform runs: receive, deliver events, let the
 * application act, tick, send. */
#ifndef TESTS_SIM_HOST_H
#define TESTS_SIM_HOST_H

#include "sim.h"

#include <tarn/flow.h>
#include <tarn/ip_lower.h>
#include <tarn/offload.h>
#include <tarn/tcp.h>

enum { SIM_TX_MAX = 64 };

struct sim_lan {
    struct tarn_sim *sim;
    struct tarn_sim_link *link;
    struct sim_host **hosts;
    unsigned count, cap;
};

/* An application, run in every poll behind the events. */
struct sim_app {
    void (*run)(struct sim_app *app, tarn_time now);
    tarn_time (*deadline)(struct sim_app *app); /* NULL: never */
    struct sim_app *next;
};

struct sim_host {
    struct tarn_sim_actor actor;
    struct sim_lan *lan;
    struct tarn_netif *netif; /* what packets are sent by: the link's, or the edge around it */
    struct tarn_offload *offload;
    struct tarn_sim_alloc alloc;
    struct tarn_random_seeded random;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_ip_lower lower;
    struct tarn_tcp *tcp;
    struct tarn_ip_addr addr;
    struct sim_app *apps;
    struct tarn_pkt *tx[SIM_TX_MAX];
    unsigned tx_count, index;
    uint16_t ip_id;
    uint64_t bad_datagrams;
};

struct sim_host_config {
    struct tarn_tcp_limits limits;
    struct tarn_tcp_options options;
    struct tarn_pkt_pool_config pkts; /* zero: enough for anything */
    tarn_time latency_max;
};

void sim_lan_init(struct sim_lan *lan, uint64_t seed, const struct tarn_sim_link_config *link);
/* Frees the hosts too, checking that they hold no memory they should not. */
void sim_lan_free(struct sim_lan *lan);
struct sim_host *sim_host_new(struct sim_lan *lan, const struct sim_host_config *config);
void sim_host_add_app(struct sim_host *host, struct sim_app *app);
tarn_time sim_host_now(const struct sim_host *host);
struct tarn_endpoint sim_host_endpoint(const struct sim_host *host, uint16_t port);
struct tarn_flow *sim_host_connect(struct sim_host *host, const struct sim_host *to, uint16_t port);
struct tarn_listener *sim_host_listen(struct sim_host *host, uint16_t port, uint32_t backlog);
struct tarn_tcp_stats sim_host_stats(const struct sim_host *host);
/* Neither connections nor buffers nor packets are left. */
bool sim_host_is_idle(const struct sim_host *host);
/* Why it is not, for a failure message. */
const char *sim_host_text(const struct sim_host *host);
/* Runs until every host is idle, or `limit` more has passed. */
bool sim_lan_settle(struct sim_lan *lan, tarn_time limit);
/* Sends a TCP segment as if from `from` (checksummed here): for attacks. */
void sim_host_forge(struct sim_host *from, const struct tarn_ip_addr *src,
                    const struct tarn_ip_addr *dst, struct tarn_span segment);

#endif
