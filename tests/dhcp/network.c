/* SPDX-License-Identifier: ISC */
/* Clients and a server on a wire that loses, repeats, delays and reorders, in virtual time. */
#include "rig.h"
#include <criterion/criterion.h>

#define CLIENTS 6
#define WIRE 64
#define SEEDS 200

struct flight {
    tarn_time at;
    int to; /* client, or -1: the server */
    uint8_t bytes[TARN_DHCP_MESSAGE_BYTES_MAX];
    size_t len;
};

struct net {
    struct memory mem;
    struct tarn_dhcp_server *server;
    struct tarn_dhcp_client *clients[CLIENTS];
    bool bound[CLIENTS];
    struct tarn_ip_addr addr[CLIENTS];
    struct flight wire[WIRE];
    size_t flights;
    uint32_t loss_percent;
    tarn_time now;
    unsigned bound_events;
};

static uint32_t below(struct net *n, uint32_t bound) {
    return tarn_random_below(&n->mem.random.random, bound);
}

static void put(struct net *n, int to, struct tarn_span data) {
    unsigned copies = below(n, 100) < n->loss_percent ? 0 : 1 + (below(n, 100) < 10);
    for (; copies && n->flights < WIRE; copies--) {
        struct flight *f = &n->wire[n->flights++];
        f->at = n->now + TARN_MS(below(n, 3000));
        f->to = to;
        f->len = tarn_bytes_copy(TARN_BYTES_ARRAY(f->bytes), data);
    }
}

static void serve_client(struct net *n, int i) {
    struct tarn_dhcp_client *c = n->clients[i];
    struct sent out;
    enum tarn_dhcp_client_event e;
    tarn_dhcp_client_tick(c, n->now);
    while (take_output(c, &out, n->now))
        put(n, -1, tarn_span_of(out.bytes, out.len));
    while ((e = tarn_dhcp_client_event(c)) != TARN_DHCP_CLIENT_NONE) {
        cr_assert_eq(n->bound[i], e == TARN_DHCP_CLIENT_LOST || e == TARN_DHCP_CLIENT_RENEWED,
                     "events make sense");
        n->bound[i] = e != TARN_DHCP_CLIENT_LOST;
        if (!n->bound[i])
            continue;
        n->bound_events++;
        n->addr[i] = tarn_dhcp_client_lease(c)->addr.addr;
    }
}

static void arrive(struct net *n, struct flight f) {
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct tarn_dhcp_path path;
    if (f.to < 0) {
        if (tarn_dhcp_server_input(n->server, tarn_span_of(f.bytes, f.len), &w, &path, n->now))
            for (int i = 0; i < CLIENTS; i++)
                put(n, i, tarn_writer_span(&w));
        return;
    }
    tarn_dhcp_client_input(n->clients[f.to], tarn_span_of(f.bytes, f.len), n->now);
}

static void step(struct net *n) {
    tarn_time next = tarn_dhcp_server_deadline(n->server);
    for (int i = 0; i < CLIENTS; i++)
        next = TARN_MIN(next, tarn_dhcp_client_deadline(n->clients[i]));
    for (size_t i = 0; i < n->flights; i++)
        next = TARN_MIN(next, n->wire[i].at);
    n->now = TARN_MAX(n->now, next);
    tarn_dhcp_server_tick(n->server, n->now);
    for (size_t i = 0; i < n->flights;) {
        if (n->wire[i].at > n->now) {
            i++;
            continue;
        }
        struct flight f = n->wire[i];
        n->wire[i] = n->wire[--n->flights];
        arrive(n, f);
    }
    for (int i = 0; i < CLIENTS; i++)
        serve_client(n, i);
}

/* No two hosts ever use one address: what DHCP is for. */
static void check_apart(const struct net *n, uint64_t seed) {
    for (int i = 0; i < CLIENTS; i++)
        for (int j = 0; j < i; j++)
            cr_assert(!(n->bound[i] && n->bound[j] && tarn_ip_addr_equal(&n->addr[i], &n->addr[j])),
                      "seed %lu: clients %d and %d at once", (unsigned long)seed, i, j);
}

static void run(uint64_t seed, uint32_t loss_percent, tarn_time until) {
    static struct net n;
    n = (struct net){.loss_percent = loss_percent};
    memory_init(&n.mem, 1 << 17, seed);
    n.server = server_new(&n.mem, (struct tarn_dhcp_server_config){.lease_seconds = 600});
    for (uint8_t i = 0; i < CLIENTS; i++) {
        n.clients[i] =
            client_new(&n.mem, (struct tarn_dhcp_client_config){.mac = {2, 0, 0, 0, 1, i},
                                                                .rapid_commit = i & 1,
                                                                .start_delay = TARN_SEC(10)});
        tarn_dhcp_client_start(n.clients[i], 0);
    }
    unsigned steps = 0;
    while (n.now < until) {
        cr_assert_lt(++steps, 100000u, "seed %lu: stuck at %lu", (unsigned long)seed,
                     (unsigned long)n.now);
        step(&n);
        check_apart(&n, seed);
    }
    n.loss_percent = 0; /* once the wire is good, everybody gets there */
    for (until += TARN_SEC(800); n.now < until;)
        step(&n);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert(n.bound[i], "seed %lu: client %d", (unsigned long)seed, i);
    cr_assert_gt(n.bound_events, CLIENTS);
    free(n.mem.mem);
}

Test(network, all_are_served_and_never_two_with_one_address) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed, (uint32_t)(seed % 5) * 15, TARN_SEC(3600));
}
