/* SPDX-License-Identifier: ISC */
/* Two hosts on a wire, in virtual time. */
#ifndef TESTS_STACK_WIRE_H
#define TESTS_STACK_WIRE_H

#include <stdlib.h>
#include <string.h>
#include <tarn/stack.h>

struct host {
    struct tarn_netif netif;
    struct host *other;
    struct tarn_pkt_queue arrived;
    unsigned loss_percent; /* of what this host sends */
    struct tarn_arena arena;
    struct tarn_random_seeded random;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_stack *stack;
    void *mem;
};

static size_t wire_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct host *h = TARN_CONTAINER_OF(netif, struct host, netif);
    for (size_t i = 0; i < n; i++) {
        struct tarn_pkt *copy = NULL;
        if (tarn_random_below(&h->random.random, 100) >= h->loss_percent)
            copy = tarn_pkt_copy(&h->other->pkts, pkts[i]);
        if (copy)
            tarn_pkt_queue_push(&h->other->arrived, copy);
        tarn_pkt_free(pkts[i]);
    }
    return n;
}

static size_t wire_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct host *h = TARN_CONTAINER_OF(netif, struct host, netif);
    size_t i = 0;
    while (i < n && (pkts[i] = tarn_pkt_queue_pop(&h->arrived)))
        i++;
    return i;
}

static const struct tarn_netif_ops wire_ops = {.send = wire_send, .recv = wire_recv};

static inline void host_init(struct host *h, struct host *other, uint8_t number,
                             struct tarn_stack_config config, uint64_t seed) {
    const size_t bytes = 32u << 20;
    *h = (struct host){.other = other};
    h->netif = (struct tarn_netif){.ops = &wire_ops, .mac = {2, 0, 0, 0, 0, number}, .mtu = 1500};
    h->mem = calloc(1, bytes);
    if (!h->mem)
        abort();
    tarn_arena_init(&h->arena, tarn_bytes_of(h->mem, bytes));
    tarn_random_seeded_init(&h->random, seed * 16 + number);
    tarn_tasks_init(&h->tasks);
    if (tarn_pkt_pool_init(&h->pkts, &h->arena.alloc,
                           &(struct tarn_pkt_pool_config){.count = {256, 256, 16}}))
        abort();
    config.alloc = &h->arena.alloc;
    config.random = &h->random.random;
    config.tasks = &h->tasks;
    config.pkts = &h->pkts;
    config.netif = &h->netif;
    if (tarn_stack_new(&config, 0, &h->stack))
        abort();
}

/* One round of one host, as a loop does it. */
static inline void host_turn(struct host *h, tarn_time now) {
    tarn_stack_poll(h->stack, now);
    for (int i = 0; i < 16 && tarn_tasks_pending(&h->tasks); i++) {
        tarn_tasks_run(&h->tasks);
        tarn_stack_poll(h->stack, now);
    }
}

/* Both, until `until`: time jumps to the next deadline. */
static inline void wire_run(struct host *a, struct host *b, tarn_time *now, tarn_time until) {
    while (*now < until) {
        host_turn(a, *now);
        host_turn(b, *now);
        if (a->arrived.count || b->arrived.count || tarn_tasks_pending(&a->tasks)
            || tarn_tasks_pending(&b->tasks)) {
            *now += TARN_US(10);
            continue;
        }
        tarn_time next = TARN_MIN(tarn_stack_deadline(a->stack), tarn_stack_deadline(b->stack));
        *now = TARN_MIN(TARN_MAX(next, *now + TARN_US(10)), until);
    }
}

#endif
