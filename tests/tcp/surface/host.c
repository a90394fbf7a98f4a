/* SPDX-License-Identifier: ISC */
/* A host in virtual time: memory, clock, and the line that packets go in and out of. */
#include "host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <tarn/netif.h>
#include <tarn/offload.h>

#define START TARN_SEC(1000)
#define SETTLE_ROUNDS_MAX 100000u /* a loop that does not come to rest is a defect: abort */

/* -- options -- */

struct setup {
    struct tarn_ip_prefix ipv4, ipv6;
    uint64_t mtu, seed, gso, sockets, fast_open;
    struct tarn_tcp_limits limits;
    struct tarn_tcp_options options;
};

struct number {
    const char *name;
    uint64_t *wide;
    uint32_t *narrow;
    size_t *size;
    tarn_time *ms;
    bool *yes, *no; /* set where the value is not 0, and where it is */
};

static bool number(const struct number *numbers, size_t count, const char *name,
                   const char *value) {
    char *end;
    unsigned long long v = strtoull(value, &end, 10);
    if (*value == '\0' || *end != '\0')
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct number *n = &numbers[i];
        if (strcmp(n->name, name) != 0)
            continue;
        if (n->wide)
            *n->wide = v;
        if (n->narrow)
            *n->narrow = (uint32_t)v;
        if (n->size)
            *n->size = (size_t)v;
        if (n->ms)
            *n->ms = TARN_MS(v);
        if (n->yes)
            *n->yes = v != 0;
        if (n->no)
            *n->no = v == 0;
        return v <= UINT32_MAX;
    }
    return false;
}

static bool ecn_of(const char *name, uint8_t *ecn) {
    static const char *const names[] = {[TARN_TCP_ECN_ACCEPT] = "accept",
                                        [TARN_TCP_ECN_ASK] = "ask",
                                        [TARN_TCP_ECN_ACCURATE] = "accurate",
                                        [TARN_TCP_ECN_OFF] = "off"};
    for (uint8_t i = 0; i < TARN_COUNT_OF(names); i++)
        if (strcmp(names[i], name) == 0) {
            *ecn = i;
            return true;
        }
    return false;
}

static bool one_option(struct setup *s, const char *name, const char *value) {
    struct tarn_tcp_limits *l = &s->limits;
    struct tarn_tcp_options *o = &s->options;
    const struct number numbers[] = {
        {"mtu", .wide = &s->mtu},
        {"seed", .wide = &s->seed},
        {"gso", .wide = &s->gso},
        {"sockets", .wide = &s->sockets},
        {"memory", .size = &l->memory_bytes},
        {"rcvbuf", .narrow = &l->rcv_buf_bytes_max},
        {"rcvbuf_min", .narrow = &l->rcv_buf_bytes_min},
        {"sndbuf", .narrow = &l->snd_buf_bytes_max},
        {"syn_queue", .narrow = &l->syn_queue_max},
        {"iw", .narrow = &o->initial_cwnd_segments},
        {"sack", .no = &o->no_sack},
        {"timestamps", .no = &o->no_timestamps},
        {"wscale", .no = &o->no_window_scale},
        {"cookies", .no = &o->no_syn_cookies},
        {"fast_open", .wide = &s->fast_open},
        {"accecn_option", .no = &o->no_accecn_option},
        {"pacing", .yes = &o->pacing},
        {"rto_min", .ms = &o->rto_min},
        {"ack_delay", .ms = &o->ack_delay},
        {"time_wait", .ms = &o->time_wait},
        {"fin_wait_2", .ms = &o->fin_wait_2},
        {"user_timeout", .ms = &o->user_timeout},
        {"connect_timeout", .ms = &o->connect_timeout},
    };
    if (strcmp(name, "ipv4") == 0)
        return tarn_ip_prefix_parse(tarn_span_of(value, strlen(value)), &s->ipv4);
    if (strcmp(name, "ipv6") == 0)
        return tarn_ip_prefix_parse(tarn_span_of(value, strlen(value)), &s->ipv6);
    if (strcmp(name, "cc") == 0) {
        o->cc = congestion_of(value);
        return o->cc != NULL;
    }
    if (strcmp(name, "ecn") == 0)
        return ecn_of(value, &o->ecn);
    return number(numbers, TARN_COUNT_OF(numbers), name, value);
}

static bool all_options(struct setup *s, const char *options) {
    char *text = strdup(options ? options : ""), *rest = text, *item;
    bool good = text != NULL;
    while (good && (item = strsep(&rest, ","))) {
        char *value = strchr(item, '=');
        if (*item == '\0')
            continue;
        if (value)
            *value++ = '\0';
        good = value && one_option(s, item, value);
    }
    free(text);
    return good && s->mtu >= 576 && s->mtu <= 65535 && s->sockets >= 1 && s->sockets <= 1u << 20;
}

/* -- the line -- */

static void packet_keep(struct tarn_surface *host, struct tarn_pkt *pkt) {
    struct packet_out *p = malloc(sizeof *p + pkt->len);
    if (!p)
        abort();
    *p = (struct packet_out){.when = host->now, .len = pkt->len};
    if (!tarn_pkt_read(pkt, 0, p->bytes, p->len))
        abort();
    tarn_pkt_free(pkt);
    *host->out_end = p;
    host->out_end = &p->next;
}

static enum tarn_err link_send(struct tarn_link *link, const struct tarn_link_dst *dst,
                               struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_surface *host = TARN_CONTAINER_OF(link, struct tarn_surface, link);
    struct tarn_offload_cut cut = {0};
    struct tarn_pkt *piece;
    (void)dst;
    (void)now;
    if (host->gso || !pkt->gso_size) {
        if (pkt->csum_state == TARN_CSUM_PARTIAL)
            tarn_pkt_csum_complete(pkt);
        packet_keep(host, pkt);
        return TARN_OK;
    }
    enum tarn_err err = tarn_offload_cut_begin(&cut, pkt, 0, TARN_OFFLOAD_CSUM);
    while (!err && !(err = tarn_offload_cut_next(&cut, &host->pkts, &piece)))
        packet_keep(host, piece);
    if (err != TARN_EOF)
        abort();
    return TARN_OK;
}

static const struct tarn_link_ops link_ops = {.send = link_send};

static void upper_input(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                        struct tarn_pkt *pkt, tarn_time now) {
    tarn_tcp_input(TARN_CONTAINER_OF(upper, struct tarn_surface, upper)->tcp, meta, pkt, now);
}

static void upper_error(struct tarn_ip_upper *upper, const struct tarn_ip_meta *meta,
                        enum tarn_ip_error error, uint32_t mtu, struct tarn_span quoted,
                        tarn_time now) {
    struct tarn_surface *host = TARN_CONTAINER_OF(upper, struct tarn_surface, upper);
    sockets_reason(host, meta, error, quoted);
    tarn_tcp_error(host->tcp, meta, error, mtu, quoted, now);
}

static const struct tarn_ip_upper_ops upper_ops = {.input = upper_input, .error = upper_error};

static enum tarn_err add_address(struct tarn_surface *host, const struct tarn_ip_prefix *prefix) {
    bool v4 = tarn_ip_addr_is_v4(&prefix->addr);
    struct tarn_ip_route_entry all = {
        .prefix = {v4 ? TARN_IP_ADDR_V4(0, 0, 0, 0) : TARN_IP_ADDR_NONE, 0}};
    enum tarn_err err = tarn_ip_addr_add(host->ip, 0, prefix, false, host->now);
    return err ? err : tarn_ip_route_add(host->ip, &all);
}

/* -- coming and going -- */

static enum tarn_err build(struct tarn_surface *host, const struct setup *s) {
    struct tarn_pkt_pool_config pkts = {.count = {8192, 8192, 512}};
    unsigned iface;
    enum tarn_err err = tarn_pkt_pool_init(&host->pkts, &host->arena.alloc, &pkts);
    struct tarn_ip_config ip = {
        .alloc = &host->arena.alloc, .random = &host->random.random, .pkts = &host->pkts};
    err = err ? err : tarn_ip_new(&ip, &host->ip);
    err = err ? err : tarn_ip_add_link(host->ip, &host->link, &iface);
    if (err)
        return err;
    struct tarn_tcp_config tcp = {
        .alloc = &host->arena.alloc,
        .random = &host->random.random,
        .tasks = &host->tasks,
        .pkts = &host->pkts,
        .lower = tarn_ip_lower(host->ip),
        .limits = s->limits,
        .options = s->options,
    };
    err = tarn_tcp_new(&tcp, &host->tcp);
    if (err)
        return err;
    tarn_ip_register(host->ip, TARN_IP_PROTO_TCP, &host->upper);
    err = add_address(host, &s->ipv4);
    return err || s->mtu < 1280 ? err : add_address(host, &s->ipv6);
}

/* Neighbour discovery's greetings are the line's business, not TCP's. */
static void forget_greetings(struct tarn_surface *host) {
    tarn_surface_advance(host, host->now + TARN_SEC(30));
    while (host->out) {
        struct packet_out *p = host->out;
        host->out = p->next;
        free(p);
    }
    host->out_end = &host->out;
}

struct tarn_surface *tarn_surface_open(const char *options) {
    struct setup s = {
        .mtu = 1500,
        .seed = 1,
        .sockets = 1024,
        .limits = {.memory_bytes = (size_t)16 << 20, .snd_buf_bytes_max = 1u << 20},
    };
    if (!tarn_ip_prefix_parse(TARN_SPAN_LIT("192.168.0.1/16"), &s.ipv4)
        || !tarn_ip_prefix_parse(TARN_SPAN_LIT("fd3d:a0b:17d6::1/64"), &s.ipv6)
        || !all_options(&s, options)) {
        errno = EINVAL;
        return NULL;
    }
    s.limits.connections_max = (uint32_t)s.sockets;
    s.options.count = true;
    s.options.fast_open = s.fast_open != 0;
    s.options.fast_open_without_cookie = s.fast_open > 1;
    struct tarn_surface *host = calloc(1, sizeof *host);
    size_t bytes = ((size_t)128 << 20) + 4 * s.limits.memory_bytes + s.sockets * 2048;
    /* Pages that are not touched cost nothing. */
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct socket *sockets = calloc(s.sockets, sizeof *sockets);
    if (!host || memory == MAP_FAILED || !sockets) {
        errno = ENOMEM;
        return NULL;
    }
    *host = (struct tarn_surface){
        .now = START,
        .memory = memory,
        .link = {.ops = &link_ops,
                 .mtu = (uint16_t)s.mtu,
                 .features = TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_TSO6},
        .upper = {.ops = &upper_ops, .proto = TARN_IP_PROTO_TCP},
        .gso = s.gso != 0,
        .out_end = &host->out,
        .addr4 = s.ipv4.addr,
        .addr6 = s.ipv6.addr,
        .sndbuf = s.limits.snd_buf_bytes_max,
        .rcvbuf = s.limits.rcv_buf_bytes_max ? s.limits.rcv_buf_bytes_max : 1u << 20,
        .next_port = 49152,
        .sockets = sockets,
        .sockets_max = (uint32_t)s.sockets,
    };
    tarn_arena_init(&host->arena, tarn_bytes_of(memory, bytes));
    tarn_tasks_init(&host->tasks);
    tarn_random_seeded_init(&host->random, s.seed);
    if (build(host, &s) != TARN_OK) {
        tarn_surface_free(host);
        errno = EINVAL;
        return NULL;
    }
    forget_greetings(host);
    return host;
}

void tarn_surface_free(struct tarn_surface *host) {
    if (!host)
        return;
    while (host->out) {
        struct packet_out *p = host->out;
        host->out = p->next;
        free(p);
    }
    free(host->sockets);
    munmap(host->memory, host->arena.mem.len);
    free(host);
}

/* -- time -- */

void host_settle(struct tarn_surface *host) {
    for (unsigned round = 0; round < SETTLE_ROUNDS_MAX; round++) {
        size_t ran = tarn_tasks_run(&host->tasks);
        bool tcp_due = tarn_tcp_deadline(host->tcp) <= host->now;
        bool ip_due = tarn_ip_deadline(host->ip) <= host->now;
        if (!ran && !tcp_due && !ip_due)
            return;
        if (ip_due)
            tarn_ip_tick(host->ip, host->now);
        if (tcp_due)
            tarn_tcp_tick(host->tcp, host->now);
    }
    abort();
}

uint64_t tarn_surface_now(const struct tarn_surface *host) {
    return host->now;
}

uint64_t tarn_surface_deadline(const struct tarn_surface *host) {
    tarn_time at = TARN_MIN(tarn_tcp_deadline(host->tcp), tarn_ip_deadline(host->ip));
    return at == TARN_NEVER ? UINT64_MAX : TARN_MAX(at, host->now);
}

bool tarn_surface_step(struct tarn_surface *host, uint64_t until) {
    uint64_t due = tarn_surface_deadline(host);
    bool there = until <= due;
    host->now = TARN_MAX(host->now, (tarn_time)TARN_MIN(due, until));
    host_settle(host);
    return there;
}

void tarn_surface_advance(struct tarn_surface *host, uint64_t until) {
    while (!tarn_surface_step(host, until))
        continue;
}

/* -- packets -- */

int tarn_surface_packet_in(struct tarn_surface *host, const void *packet, size_t bytes) {
    if (bytes > 65535)
        return -EINVAL;
    /* A device receives into frames, however short what comes is. */
    struct tarn_pkt *pkt = tarn_pkt_alloc(&host->pkts, TARN_MAX(bytes, (size_t)host->link.mtu));
    if (!pkt)
        return -ENOBUFS;
    if (!tarn_pkt_append(pkt, tarn_span_of(packet, bytes)))
        abort();
    tarn_ip_input(host->ip, 0, NULL, pkt, host->now);
    host_settle(host);
    return 0;
}

ssize_t tarn_surface_packet_out(struct tarn_surface *host, void *packet, size_t bytes,
                                uint64_t *when) {
    struct packet_out *p = host->out;
    if (!p)
        return 0;
    if (p->len > bytes)
        return -EMSGSIZE;
    size_t len = p->len;
    memcpy(packet, p->bytes, len);
    if (when)
        *when = p->when;
    host->out = p->next;
    if (!host->out)
        host->out_end = &host->out;
    free(p);
    return (ssize_t)len;
}

struct counter {
    const char *name;
    size_t offset;
};
#define COUNTER(field)                                                                             \
    { #field, offsetof(struct tarn_tcp_stats, field) }

int tarn_surface_stat(struct tarn_surface *host, const char *name, uint64_t *value) {
    static const struct counter counters[] = {
        COUNTER(segments_in),
        COUNTER(segments_out),
        COUNTER(bytes_in),
        COUNTER(bytes_out),
        COUNTER(acks_out),
        COUNTER(resets_in),
        COUNTER(resets_out),
        COUNTER(opens_active),
        COUNTER(opens_passive),
        COUNTER(established),
        COUNTER(closed),
        COUNTER(failed_timeout),
        COUNTER(failed_reset),
        COUNTER(failed_refused),
        COUNTER(retransmits),
        COUNTER(timeouts),
        COUNTER(fast_recoveries),
        COUNTER(tail_probes),
        COUNTER(spurious_recoveries),
        COUNTER(ce_in),
        COUNTER(ce_reported),
        COUNTER(fast_opens_active),
        COUNTER(fast_opens_passive),
        COUNTER(fast_open_bad_cookies),
        COUNTER(fast_open_refused),
        COUNTER(no_cc_block),
        COUNTER(syn_cookies_sent),
        COUNTER(syn_cookies_good),
        COUNTER(syn_cookies_bad),
        COUNTER(challenge_acks),
        COUNTER(challenge_acks_throttled),
        COUNTER(time_wait_reused),
        COUNTER(time_wait_evicted),
        COUNTER(out_of_order),
        COUNTER(coalesced),
        COUNTER(icmp_taken),
        COUNTER(drop_malformed),
        COUNTER(drop_checksum),
        COUNTER(drop_address),
        COUNTER(drop_no_connection),
        COUNTER(drop_syn_queue),
        COUNTER(drop_accept_queue),
        COUNTER(drop_connections),
        COUNTER(drop_paws),
        COUNTER(drop_out_of_window),
        COUNTER(drop_flags),
        COUNTER(drop_bad_ack),
        COUNTER(drop_bad_reset),
        COUNTER(drop_duplicate),
        COUNTER(drop_memory),
        COUNTER(drop_holes),
        COUNTER(drop_closed),
        COUNTER(drop_icmp),
        COUNTER(no_packet),
        COUNTER(no_record),
        COUNTER(no_route),
    };
    struct tarn_tcp_stats stats;
    tarn_tcp_stats(host->tcp, &stats);
    for (size_t i = 0; i < TARN_COUNT_OF(counters); i++)
        if (strcmp(counters[i].name, name) == 0) {
            memcpy(value, (const char *)&stats + counters[i].offset, sizeof *value);
            return 0;
        }
    if (strcmp(name, "connections") == 0)
        *value = stats.connections;
    else if (strcmp(name, "half_open") == 0)
        *value = stats.half_open;
    else if (strcmp(name, "time_wait") == 0)
        *value = stats.time_wait;
    else
        return -ENOENT;
    return 0;
}
