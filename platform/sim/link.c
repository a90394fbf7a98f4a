/* SPDX-License-Identifier: ISC */
/* Links: what happens to a frame between the netif that sends it and those that receive it. */
#include "internal.h"

#include <stdlib.h>

#define STATIONS_MAX 4096u
#define RX_FRAMES_DEFAULT 1024u

struct station {
    uint8_t mac[6];
    struct sim_port *port;
};

struct sim_port {
    struct tarn_netif netif;
    struct tarn_sim_link *link;
    struct sim_port *next;
    struct tarn_sim_path path;
    struct tarn_pkt_pool *pkts;
    struct tarn_sim_actor *actor;
    struct tarn_random_seeded random;
    struct tarn_sim_event room; /* a queue that refuses has room again */
    bool up, bad;               /* bad: the Gilbert-Elliott state */
    tarn_time busy_until;       /* when the last frame will have been serialised */
    tarn_time last_arrival;
    struct sim_frame *rx_head, *rx_tail;
    uint32_t rx_count;
};

struct outage {
    struct tarn_sim_event event;
    struct tarn_sim_link *link;
    bool up;
    struct outage *next;
};

struct tarn_sim_link {
    struct tarn_sim *sim;
    struct tarn_sim_link *next;
    struct tarn_sim_link_config config;
    struct tarn_sim_counters counters;
    struct tarn_sim_hook *hook;
    struct sim_port *ports, **ports_end;
    uint32_t port_count, index;
    struct station stations[STATIONS_MAX];
    uint32_t station_count;
    struct sim_frame *flying; /* doubly linked, so that freeing the world finds them */
    struct outage *outages;
    bool up;
    FILE *pcap;
    bool pcap_arrivals;
};

/* -- the receiving end --------------------------------------------------------------------------
 */

static void port_put(struct sim_port *port, struct sim_frame *frame) {
    struct tarn_sim_link *link = port->link;
    uint32_t max = link->config.rx_frames_max ? link->config.rx_frames_max : RX_FRAMES_DEFAULT;
    if (!port->up) {
        link->counters.down_drops++;
        free(frame);
        return;
    }
    if (port->rx_count == max) {
        link->counters.rx_overflows++;
        port->netif.stats.rx_drops++;
        free(frame);
        return;
    }
    link->counters.delivered++;
    if (link->pcap && link->pcap_arrivals)
        sim_pcap_write(link->pcap, link->sim->now, tarn_span_of(frame->bytes, frame->len));
    frame->next = frame->prev = NULL;
    if (port->rx_tail)
        port->rx_tail->next = frame;
    else
        port->rx_head = frame;
    port->rx_tail = frame;
    port->rx_count++;
    if (port->actor)
        tarn_sim_wake(port->actor);
}

static struct sim_frame *port_take(struct sim_port *port) {
    struct sim_frame *frame = port->rx_head;
    if (!frame)
        return NULL;
    port->rx_head = frame->next;
    if (!port->rx_head)
        port->rx_tail = NULL;
    port->rx_count--;
    return frame;
}

static struct tarn_pkt *frame_to_pkt(struct sim_port *port, const struct sim_frame *frame) {
    struct tarn_pkt *pkt = port->pkts ? tarn_pkt_alloc(port->pkts, frame->len) : NULL;
    if (!pkt)
        return NULL;
    if (!tarn_pkt_append(pkt, tarn_span_of(frame->bytes, frame->len))) {
        tarn_pkt_free(pkt);
        return NULL;
    }
    pkt->csum_state = frame->csum_state;
    pkt->csum_start = frame->csum_start;
    pkt->csum_offset = frame->csum_offset;
    pkt->gso_type = frame->gso_type;
    pkt->gso_size = frame->gso_size;
    return pkt;
}

static size_t netif_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct sim_port *port = TARN_CONTAINER_OF(netif, struct sim_port, netif);
    size_t got = 0;
    while (got < n) {
        struct sim_frame *frame = port_take(port);
        if (!frame)
            break;
        struct tarn_pkt *pkt = frame_to_pkt(port, frame);
        free(frame);
        if (!pkt) {
            netif->stats.rx_drops++;
            continue;
        }
        netif->stats.rx_pkts++;
        netif->stats.rx_bytes += pkt->len;
        pkts[got++] = pkt;
    }
    netif->stats.rx_calls += got > 0;
    return got;
}

/* -- the switch ---------------------------------------------------------------------------------
 */

static struct station *station_find(struct tarn_sim_link *link, const uint8_t *mac) {
    for (uint32_t i = 0; i < link->station_count; i++)
        if (__builtin_memcmp(link->stations[i].mac, mac, 6) == 0)
            return &link->stations[i];
    return NULL;
}

/* A group address is nobody's. A full table learns no more and floods instead. */
static void station_learn(struct tarn_sim_link *link, const uint8_t *mac, struct sim_port *port) {
    if (mac[0] & 1)
        return;
    struct station *s = station_find(link, mac);
    if (!s && link->station_count < STATIONS_MAX) {
        s = &link->stations[link->station_count++];
        __builtin_memcpy(s->mac, mac, 6);
    }
    if (s)
        s->port = port;
}

static void flood(struct tarn_sim_link *link, struct sim_frame *frame) {
    bool claimed = false;
    for (struct sim_port *p = link->ports; p; p = p->next)
        if (p != frame->from) {
            port_put(p, sim_frame_copy(frame));
            claimed = true;
        }
    link->counters.unclaimed += !claimed;
    free(frame);
}

static void forward(struct tarn_sim_link *link, struct sim_frame *frame) {
    struct station *to = NULL;
    if (frame->len >= 12) {
        station_learn(link, frame->bytes + 6, frame->from);
        to = station_find(link, frame->bytes);
    }
    if (!to) {
        flood(link, frame);
    } else if (to->port == frame->from) {
        link->counters.unclaimed++;
        free(frame);
    } else {
        port_put(to->port, frame);
    }
}

static void unlink_flying(struct sim_frame *frame) {
    if (frame->prev)
        frame->prev->next = frame->next;
    else
        frame->link->flying = frame->next;
    if (frame->next)
        frame->next->prev = frame->prev;
}

static void arrive(struct tarn_sim_event *event) {
    struct sim_frame *frame = TARN_CONTAINER_OF(event, struct sim_frame, event);
    struct tarn_sim_link *link = frame->link;
    unlink_flying(frame);
    if (!link->up || !frame->from->up) {
        link->counters.down_drops++;
        free(frame);
        return;
    }
    forward(link, frame);
}

/* -- the sending end ----------------------------------------------------------------------------
 */

static tarn_time serialise_ns(const struct tarn_sim_path *path, uint64_t bytes) {
    return path->bits_per_s ? bytes * 8u * TARN_SEC(1) / path->bits_per_s : 0;
}

static uint64_t backlog_bytes(const struct sim_port *port) {
    tarn_time now = port->link->sim->now;
    if (port->busy_until <= now)
        return 0;
    return (uint64_t)((unsigned __int128)(port->busy_until - now) * port->path.bits_per_s
                      / (8u * TARN_SEC(1)));
}

/* Whether the path eats the frame, by one of its ways to lose. */
static bool path_loses(struct sim_port *port) {
    const struct tarn_sim_path *path = &port->path;
    struct tarn_sim_counters *c = &port->link->counters;
    if (path->burst_enter_ppm || port->bad)
        port->bad =
            sim_chance(&port->random, port->bad ? path->burst_leave_ppm : path->burst_enter_ppm)
            != port->bad;
    if (port->bad && sim_chance(&port->random, path->burst_loss_ppm)) {
        c->burst_lost++;
        return true;
    }
    if (sim_chance(&port->random, path->loss_ppm)) {
        c->lost++;
        return true;
    }
    return false;
}

static void flip_bit(struct tarn_random_seeded *r, struct sim_frame *f, uint32_t from) {
    uint32_t bit = tarn_random_below(&r->random, (f->len - from) * 8);
    f->bytes[from + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static bool is_ip(const struct sim_frame *f) {
    return f->len > 14
           && ((f->bytes[12] == 0x08 && f->bytes[13] == 0x00)
               || (f->bytes[12] == 0x86 && f->bytes[13] == 0xdd));
}

static void path_damages(struct sim_port *port, struct sim_frame *f) {
    const struct tarn_sim_path *path = &port->path;
    struct tarn_sim_counters *c = &port->link->counters;
    if (is_ip(f) && sim_chance(&port->random, path->corrupt_ppm)) {
        c->corrupted++;
        flip_bit(&port->random, f, 14);
    }
    if (f->len && sim_chance(&port->random, path->corrupt_any_ppm)) {
        c->corrupted++;
        for (uint32_t n = 1 + tarn_random_below(&port->random.random, 8); n > 0; n--)
            flip_bit(&port->random, f, 0);
    }
    if (f->len && sim_chance(&port->random, path->truncate_ppm)) {
        c->truncated++;
        f->len = tarn_random_below(&port->random.random, f->len);
    }
}

/* Sets the frame on its way. `left`: when its last bit leaves the sender. */
static void fly(struct sim_port *port, struct sim_frame *frame, tarn_time left) {
    struct tarn_sim_link *link = port->link;
    const struct tarn_sim_path *path = &port->path;
    tarn_time at = left + path->delay + sim_draw(&port->random, path->jitter);
    if (sim_chance(&port->random, path->reorder_ppm)) {
        link->counters.reordered++;
        at += 1 + sim_draw(&port->random, path->reorder_by);
    } else {
        at = TARN_MAX(at, port->last_arrival);
        port->last_arrival = at;
    }
    frame->link = link;
    frame->from = port;
    frame->prev = NULL;
    frame->next = link->flying;
    if (link->flying)
        link->flying->prev = frame;
    link->flying = frame;
    frame->event.run = arrive;
    tarn_sim_schedule(link->sim, &frame->event, at);
}

static void send_frame(void *arg, struct sim_frame *frame) {
    struct sim_port *port = arg;
    struct tarn_sim_link *link = port->link;
    struct tarn_sim_counters *c = &link->counters;
    const struct tarn_sim_path *path = &port->path;
    struct tarn_bytes bytes = tarn_bytes_of(frame->bytes, frame->len);
    uint64_t *drop = NULL;
    c->sent++;
    if (link->pcap)
        sim_pcap_write(link->pcap, link->sim->now, tarn_bytes_span(bytes));
    if (!link->up || !port->up)
        drop = &c->down_drops;
    else if (link->hook && !link->hook->frame(link->hook, &port->netif, bytes))
        drop = &c->hook_drops;
    else if (path->frame_bytes_max && frame->len > path->frame_bytes_max)
        drop = &c->size_drops;
    else if (path->queue_bytes_max && !path->queue_refuses
             && backlog_bytes(port) + frame->len > path->queue_bytes_max)
        drop = &c->queue_drops;
    if (drop) {
        (*drop)++;
        free(frame);
        return;
    }
    port->busy_until = TARN_MAX(port->busy_until, link->sim->now) + serialise_ns(path, frame->len);
    if (path_loses(port)) {
        free(frame);
        return;
    }
    /* The copy is made first: damage strikes one of the two. */
    if (sim_chance(&port->random, path->duplicate_ppm)) {
        c->duplicated++;
        fly(port, sim_frame_copy(frame), port->busy_until);
    }
    path_damages(port, frame);
    fly(port, frame, port->busy_until);
}

static void wake_sender(struct tarn_sim_event *event) {
    struct sim_port *port = TARN_CONTAINER_OF(event, struct sim_port, room);
    if (port->actor)
        tarn_sim_wake(port->actor);
}

/* True, and a wake-up arranged for, where the device has no room now. */
static bool port_refuses(struct sim_port *port) {
    const struct tarn_sim_path *path = &port->path;
    if (!path->queue_refuses || !path->queue_bytes_max
        || backlog_bytes(port) < path->queue_bytes_max)
        return false;
    tarn_time room_at = port->busy_until - serialise_ns(path, path->queue_bytes_max / 2);
    port->room.run = wake_sender;
    tarn_sim_schedule(port->link->sim, &port->room, room_at);
    return true;
}

static void check_offloads(const struct tarn_netif *netif, const struct tarn_pkt *pkt) {
    static const uint32_t needs[] = {[TARN_GSO_TCPV4] = TARN_NETIF_TX_TSO4,
                                     [TARN_GSO_TCPV6] = TARN_NETIF_TX_TSO6,
                                     [TARN_GSO_UDP] = TARN_NETIF_TX_USO};
    if (pkt->csum_state == TARN_CSUM_PARTIAL)
        TARN_ASSERT(netif->features & (TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4));
    if (pkt->gso_size)
        TARN_ASSERT(netif->features & TARN_AT(needs, pkt->gso_type));
}

static void send_whole(struct sim_port *port, const struct tarn_pkt *pkt) {
    struct sim_frame *frame = sim_wire_whole(pkt);
    frame->csum_state = pkt->csum_state;
    frame->csum_start = pkt->csum_start;
    frame->csum_offset = pkt->csum_offset;
    frame->gso_type = pkt->gso_type;
    frame->gso_size = pkt->gso_size;
    send_frame(port, frame);
}

static size_t netif_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct sim_port *port = TARN_CONTAINER_OF(netif, struct sim_port, netif);
    size_t sent = 0;
    for (; sent < n && !port_refuses(port); sent++) {
        struct tarn_pkt *pkt = pkts[sent];
        check_offloads(netif, pkt);
        netif->stats.tx_pkts++;
        netif->stats.tx_bytes += pkt->len;
        if (port->link->config.whole_supers)
            send_whole(port, pkt);
        else if (!pkt->gso_size && pkt->len > netif->mtu + 18u) {
            netif->stats.tx_drops++;
            port->link->counters.size_drops++;
            port->link->counters.sent++;
        } else {
            sim_wire_cut(pkt, send_frame, port);
        }
        tarn_pkt_free(pkt);
    }
    netif->stats.tx_calls += sent > 0;
    return sent;
}

static const struct tarn_netif_ops netif_ops = {.send = netif_send, .recv = netif_recv};

/* -- setting up ---------------------------------------------------------------------------------
 */

struct tarn_sim_link *tarn_sim_link_new(struct tarn_sim *sim,
                                        const struct tarn_sim_link_config *config) {
    struct tarn_sim_link *link = sim_new(sizeof *link);
    link->sim = sim;
    link->config = *config;
    link->up = true;
    link->ports_end = &link->ports;
    link->index = sim->link_count++;
    link->next = sim->links;
    sim->links = link;
    const char *prefix = getenv("TARN_SIM_PCAP");
    if (prefix) {
        char path[512];
        if (config->name)
            snprintf(path, sizeof path, "%s-%s.pcap", prefix, config->name);
        else
            snprintf(path, sizeof path, "%s-%u.pcap", prefix, link->index);
        if (!tarn_sim_link_capture(link, path, false))
            fprintf(stderr, "sim: cannot write %s\n", path);
    }
    return link;
}

struct tarn_netif *tarn_sim_attach(struct tarn_sim_link *link, struct tarn_pkt_pool *pkts,
                                   struct tarn_sim_actor *actor) {
    struct sim_port *port = sim_new(sizeof *port);
    uint32_t index = link->port_count++;
    port->link = link;
    port->path = link->config.path;
    port->pkts = pkts;
    port->actor = actor;
    port->up = true;
    port->netif = (struct tarn_netif){
        .ops = &netif_ops,
        /* Locally administered (IEEE 802): link and port say who it is in a capture. */
        .mac = {0x02, 0x00, (uint8_t)(link->index >> 8), (uint8_t)link->index,
                (uint8_t)(index >> 8), (uint8_t)(index + 1)},
        .mtu = link->config.mtu ? link->config.mtu : 1500,
        .features = link->config.features,
    };
    tarn_sim_random(link->sim, &port->random);
    *link->ports_end = port;
    link->ports_end = &port->next;
    return &port->netif;
}

const struct tarn_sim_counters *tarn_sim_link_counters(const struct tarn_sim_link *link) {
    return &link->counters;
}

void tarn_sim_link_set_up(struct tarn_sim_link *link, bool up) {
    link->up = up;
    if (up)
        return;
    while (link->flying) {
        struct sim_frame *frame = link->flying;
        unlink_flying(frame);
        tarn_sim_cancel(link->sim, &frame->event);
        link->counters.down_drops++;
        free(frame);
    }
}

static void outage_run(struct tarn_sim_event *event) {
    struct outage *o = TARN_CONTAINER_OF(event, struct outage, event);
    tarn_sim_link_set_up(o->link, o->up);
}

static void outage_add(struct tarn_sim_link *link, tarn_time at, bool up) {
    struct outage *o = sim_new(sizeof *o);
    o->link = link;
    o->up = up;
    o->event.run = outage_run;
    o->next = link->outages;
    link->outages = o;
    tarn_sim_schedule(link->sim, &o->event, at);
}

void tarn_sim_link_outage(struct tarn_sim_link *link, tarn_time from, tarn_time until) {
    outage_add(link, from, false);
    outage_add(link, until, true);
}

bool tarn_sim_link_capture(struct tarn_sim_link *link, const char *path, bool arrivals) {
    if (link->pcap)
        fclose(link->pcap);
    link->pcap_arrivals = arrivals;
    link->pcap = sim_pcap_open(path);
    return link->pcap != NULL;
}

void tarn_sim_link_hook(struct tarn_sim_link *link, struct tarn_sim_hook *hook) {
    link->hook = hook;
}

struct tarn_sim_path *tarn_sim_netif_path(struct tarn_netif *netif) {
    return &TARN_CONTAINER_OF(netif, struct sim_port, netif)->path;
}

void tarn_sim_netif_set_up(struct tarn_netif *netif, bool up) {
    TARN_CONTAINER_OF(netif, struct sim_port, netif)->up = up;
}

bool tarn_sim_netif_has_frames(const struct tarn_netif *netif) {
    return TARN_CONTAINER_OF(netif, struct sim_port, netif)->rx_count > 0;
}

void tarn_sim_netif_give(struct tarn_netif *netif, struct tarn_pkt_pool *pkts,
                         struct tarn_sim_actor *actor) {
    struct sim_port *port = TARN_CONTAINER_OF(netif, struct sim_port, netif);
    struct sim_frame *frame;
    while ((frame = port_take(port)))
        free(frame);
    port->pkts = pkts;
    port->actor = actor;
}

static void port_free(struct sim_port *port) {
    struct sim_frame *frame;
    while ((frame = port_take(port)))
        free(frame);
    free(port);
}

static void link_free(struct tarn_sim_link *link) {
    tarn_sim_link_set_up(link, false);
    while (link->ports) {
        struct sim_port *port = link->ports;
        link->ports = port->next;
        port_free(port);
    }
    while (link->outages) {
        struct outage *o = link->outages;
        link->outages = o->next;
        free(o);
    }
    if (link->pcap)
        fclose(link->pcap);
    free(link);
}

void sim_links_free(struct tarn_sim *sim) {
    while (sim->links) {
        struct tarn_sim_link *link = sim->links;
        sim->links = link->next;
        link_free(link);
    }
}
