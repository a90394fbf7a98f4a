/* SPDX-License-Identifier: ISC */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>

enum { ETH = 14, IPV4 = 20 };

static struct sim_host *host_of(struct tarn_ip_lower *lower) {
    return TARN_CONTAINER_OF(lower, struct sim_host, lower);
}

/* -- the least of IP ----------------------------------------------------------------------------
 */

static struct sim_host *find(const struct sim_lan *lan, const struct tarn_ip_addr *addr) {
    uint32_t index = tarn_ip_addr_v4(addr) - (10u << 24) - 1;
    return tarn_ip_addr_is_v4(addr) && index < lan->count ? lan->hosts[index] : NULL;
}

static enum tarn_err lower_route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                                 const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    struct sim_host *host = host_of(lower);
    (void)src;
    if (!find(host->lan, dst))
        return TARN_NOT_FOUND;
    *out = (struct tarn_ip_route){host->addr, host->netif->mtu, host->netif->features};
    return TARN_OK;
}

static void flush_tx(struct sim_host *host) {
    if (host->offload)
        tarn_offload_flush(host->offload);
    size_t sent = host->tx_count ? tarn_netif_send(host->netif, host->tx, host->tx_count) : 0;
    for (unsigned i = 0; i + sent < host->tx_count; i++)
        host->tx[i] = host->tx[i + sent];
    host->tx_count -= (unsigned)sent;
}

static void write_ipv4(struct sim_host *host, const struct tarn_ip_meta *meta,
                       const struct tarn_ip_addr *src, struct tarn_pkt *pkt) {
    uint16_t len = (uint16_t)(pkt->len + IPV4);
    struct tarn_writer w = tarn_pkt_prepend(pkt, IPV4);
    tarn_writer_u8(&w, 0x45);
    tarn_writer_u8(&w, meta->tos);
    tarn_writer_u16be(&w, len);
    tarn_writer_u16be(&w, host->ip_id++);
    tarn_writer_u16be(&w, meta->no_fragment ? 0x4000 : 0);
    tarn_writer_u8(&w, meta->hops ? meta->hops : 64);
    tarn_writer_u8(&w, meta->proto);
    tarn_writer_u16be(&w, 0);
    tarn_writer_ipv4(&w, src);
    tarn_writer_ipv4(&w, &meta->dst);
    tarn_writer_patch_u16be(&w, 10, tarn_csum_finish(tarn_csum_add(0, tarn_writer_span(&w))));
}

static enum tarn_err lower_send(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                                struct tarn_pkt *pkt, tarn_time now) {
    struct sim_host *host = host_of(lower), *to = find(host->lan, &meta->dst);
    (void)now;
    if (host->tx_count == SIM_TX_MAX)
        flush_tx(host);
    if (!to || host->tx_count == SIM_TX_MAX) {
        tarn_pkt_free(pkt);
        return to ? TARN_LIMIT : TARN_NOT_FOUND;
    }
    write_ipv4(host, meta, tarn_ip_addr_is_any(&meta->src) ? &host->addr : &meta->src, pkt);
    struct tarn_writer w = tarn_pkt_prepend(pkt, ETH);
    tarn_writer_mem(&w, to->netif->mac, 6);
    tarn_writer_mem(&w, host->netif->mac, 6);
    tarn_writer_u16be(&w, 0x0800);
    host->tx[host->tx_count++] = pkt;
    return TARN_OK;
}

static const struct tarn_ip_lower_ops lower_ops = {.route = lower_route, .send = lower_send};

/* What is left of the frame is a TCP segment; false: not for TCP. */
static bool strip(struct sim_host *host, struct tarn_pkt *pkt, struct tarn_ip_meta *meta) {
    struct tarn_span s = tarn_pkt_head(pkt);
    uint8_t vihl, proto;
    uint16_t type, len;
    if (!tarn_span_skip(&s, 12) || !tarn_span_u16be(&s, &type) || type != 0x0800)
        return false;
    struct tarn_span header = tarn_span_first(s, IPV4);
    *meta = (struct tarn_ip_meta){0};
    if (!tarn_span_u8(&s, &vihl) || vihl != 0x45 || !tarn_span_u8(&s, &meta->tos)
        || !tarn_span_u16be(&s, &len) || !tarn_span_skip(&s, 4) || !tarn_span_u8(&s, &meta->hops)
        || !tarn_span_u8(&s, &proto) || !tarn_span_skip(&s, 2) || !tarn_span_ipv4(&s, &meta->src)
        || !tarn_span_ipv4(&s, &meta->dst))
        return false;
    if (tarn_csum_finish(tarn_csum_add(0, header)) != 0 || len < IPV4 || len > IPV4 + s.len
        || proto != TARN_IP_PROTO_TCP || !tarn_ip_addr_equal(&meta->dst, &host->addr))
        return false;
    meta->proto = proto;
    tarn_pkt_trim(pkt, (size_t)ETH + len);
    return tarn_pkt_pull(pkt, ETH + IPV4);
}

static void receive(struct sim_host *host, tarn_time now) {
    struct tarn_pkt *pkts[32];
    size_t n;
    while ((n = tarn_netif_recv(host->netif, pkts, TARN_COUNT_OF(pkts))) > 0)
        for (size_t i = 0; i < n; i++) {
            struct tarn_ip_meta meta;
            if (strip(host, pkts[i], &meta)) {
                tarn_tcp_input(host->tcp, &meta, pkts[i], now);
            } else {
                host->bad_datagrams++;
                tarn_pkt_free(pkts[i]);
            }
        }
}

/* -- the loop -----------------------------------------------------------------------------------
 */

static void host_poll(struct tarn_sim_actor *actor, tarn_time now) {
    struct sim_host *host = TARN_CONTAINER_OF(actor, struct sim_host, actor);
    receive(host, now);
    tarn_tasks_run(&host->tasks);
    for (struct sim_app *a = host->apps; a; a = a->next)
        a->run(a, now);
    if (tarn_tcp_deadline(host->tcp) <= now)
        tarn_tcp_tick(host->tcp, now);
    flush_tx(host);
}

static tarn_time host_deadline(struct tarn_sim_actor *actor) {
    struct sim_host *host = TARN_CONTAINER_OF(actor, struct sim_host, actor);
    tarn_time at = tarn_tasks_pending(&host->tasks) ? 0 : tarn_tcp_deadline(host->tcp);
    for (struct sim_app *a = host->apps; a; a = a->next)
        if (a->deadline) {
            tarn_time app_at = a->deadline(a);
            at = TARN_MIN(at, app_at);
        }
    return at;
}

/* -- setting up ---------------------------------------------------------------------------------
 */

void sim_lan_init(struct sim_lan *lan, uint64_t seed, const struct tarn_sim_link_config *link) {
    *lan = (struct sim_lan){.sim = tarn_sim_new(seed)};
    lan->link = tarn_sim_link_new(lan->sim, link);
}

struct sim_host *sim_host_new(struct sim_lan *lan, const struct sim_host_config *config) {
    static const struct tarn_pkt_pool_config enough = {{512, 2048, 32}};
    struct sim_host *host = calloc(1, sizeof *host);
    if (lan->count == lan->cap) {
        lan->cap = lan->cap ? 2 * lan->cap : 8;
        lan->hosts = realloc(lan->hosts, lan->cap * sizeof(struct sim_host *));
    }
    lan->hosts[lan->count] = host;
    host->lan = lan;
    host->index = lan->count++;
    host->addr = tarn_ip_addr_from_v4((10u << 24) + lan->count);
    tarn_sim_random(lan->sim, &host->random);
    tarn_sim_alloc_init(&host->alloc);
    tarn_tasks_init(&host->tasks);
    const struct tarn_pkt_pool_config *pkts =
        config->pkts.count[TARN_PKT_FRAME] ? &config->pkts : &enough;
    TARN_ASSERT(tarn_pkt_pool_init(&host->pkts, &host->alloc.alloc, pkts) == TARN_OK);
    host->netif = tarn_sim_attach(lan->link, &host->pkts, &host->actor);
    if (!(host->netif->features & TARN_NETIF_TX_TSO4)) {
        struct tarn_offload_config edge = {
            .alloc = &host->alloc.alloc, .below = host->netif, .pkts = &host->pkts};
        TARN_ASSERT(tarn_offload_new(&edge, &host->offload) == TARN_OK);
        host->netif = tarn_offload_netif(host->offload);
    }
    host->lower.ops = &lower_ops;
    struct tarn_tcp_config tcp = {.alloc = &host->alloc.alloc,
                                  .random = &host->random.random,
                                  .tasks = &host->tasks,
                                  .pkts = &host->pkts,
                                  .lower = &host->lower,
                                  .limits = config->limits,
                                  .options = config->options};
    TARN_ASSERT(tarn_tcp_new(&tcp, &host->tcp) == TARN_OK);
    host->actor.poll = host_poll;
    host->actor.deadline = host_deadline;
    host->actor.latency_max = config->latency_max;
    tarn_sim_add(lan->sim, &host->actor);
    return host;
}

void sim_lan_free(struct sim_lan *lan) {
    for (unsigned i = 0; i < lan->count; i++) {
        struct sim_host *host = lan->hosts[i];
        tarn_sim_alloc_free_all(&host->alloc);
        free(host);
    }
    tarn_sim_free(lan->sim);
    free(lan->hosts);
}

void sim_host_add_app(struct sim_host *host, struct sim_app *app) {
    app->next = host->apps;
    host->apps = app;
}

tarn_time sim_host_now(const struct sim_host *host) {
    return tarn_sim_actor_now(&host->actor);
}

struct tarn_endpoint sim_host_endpoint(const struct sim_host *host, uint16_t port) {
    return (struct tarn_endpoint){host->addr, port};
}

struct tarn_flow *sim_host_connect(struct sim_host *host, const struct sim_host *to,
                                   uint16_t port) {
    struct tarn_endpoint remote = sim_host_endpoint(to, port);
    struct tarn_flow *flow = NULL;
    enum tarn_err err = tarn_tcp_connect(host->tcp, NULL, &remote, sim_host_now(host), &flow);
    return err ? NULL : flow;
}

struct tarn_listener *sim_host_listen(struct sim_host *host, uint16_t port, uint32_t backlog) {
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, port};
    struct tarn_listener *listener = NULL;
    enum tarn_err err = tarn_tcp_listen(host->tcp, &local, backlog, &listener);
    return err ? NULL : listener;
}

struct tarn_tcp_stats sim_host_stats(const struct sim_host *host) {
    struct tarn_tcp_stats stats;
    tarn_tcp_stats(host->tcp, &stats);
    return stats;
}

bool sim_host_is_idle(const struct sim_host *host) {
    struct tarn_tcp_stats s = sim_host_stats(host);
    return s.connections == 0 && s.half_open == 0 && s.time_wait == 0 && s.snd_bytes == 0
           && s.rcv_bytes == 0 && tarn_sim_pkts_live(&host->pkts) == 0;
}

const char *sim_host_text(const struct sim_host *host) {
    static char texts[2][256];
    static unsigned turn;
    char *text = texts[turn++ % 2];
    struct tarn_tcp_stats s = sim_host_stats(host);
    snprintf(text, sizeof texts[0],
             "host %u: %u connections, %u half-open, %u in TIME-WAIT, %zu bytes to send, %zu "
             "received, %u packets",
             host->index, s.connections, s.half_open, s.time_wait, s.snd_bytes, s.rcv_bytes,
             tarn_sim_pkts_live(&host->pkts));
    return text;
}

static bool all_idle(void *arg) {
    struct sim_lan *lan = arg;
    for (unsigned i = 0; i < lan->count; i++)
        if (!sim_host_is_idle(lan->hosts[i]))
            return false;
    return true;
}

bool sim_lan_settle(struct sim_lan *lan, tarn_time limit) {
    return tarn_sim_run_until(lan->sim, all_idle, lan, tarn_sim_now(lan->sim) + limit);
}

void sim_host_forge(struct sim_host *from, const struct tarn_ip_addr *src,
                    const struct tarn_ip_addr *dst, struct tarn_span segment) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&from->pkts, segment.len);
    struct tarn_ip_meta meta = {.src = *src, .dst = *dst, .proto = TARN_IP_PROTO_TCP};
    if (!pkt || !tarn_pkt_append(pkt, segment)) {
        tarn_pkt_free(pkt);
        return;
    }
    pkt->csum_state = TARN_CSUM_PARTIAL;
    pkt->csum_offset = 16;
    uint16_t sum = tarn_csum_fold(tarn_ip_pseudo_csum(&meta, pkt->len));
    struct tarn_writer w = {tarn_bytes_at(tarn_pkt_head_bytes(pkt), 16), 0, 2};
    tarn_writer_u16be(&w, sum);
    if (lower_send(&from->lower, &meta, pkt, 0) == TARN_OK)
        flush_tx(from);
}
