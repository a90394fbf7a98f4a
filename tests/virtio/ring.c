/* SPDX-License-Identifier: ISC */
#include "hostile.h"
#include "model.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static uint64_t seed_next(uint64_t *s) {
    *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
    return *s;
}

static struct hostile_result run(uint64_t seed, bool lies) {
    uint64_t script[200];
    seed = seed * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < TARN_COUNT_OF(script); i++)
        script[i] = seed_next(&seed);
    return hostile_ring(TARN_SPAN_ARRAY(script), lies);
}

Test(ring, an_honest_device_is_never_refused) {
    unsigned taken = 0;
    for (uint64_t seed = 1; seed < 3000; seed++) {
        struct hostile_result r = run(seed, false);
        cr_assert(!r.broken, "seed %lu", (unsigned long)seed);
        taken += r.taken;
    }
    cr_assert_gt(taken, 100000);
}

Test(ring, a_lying_device_gets_nothing_and_is_noticed) {
    unsigned broken = 0;
    for (uint64_t seed = 1; seed < 8000; seed++)
        broken += run(seed, true).broken;
    cr_assert_gt(broken, 500);
}

/* One queue of each kind, with a model of its device. */
struct pair {
    struct virtq q;
    struct model_queue m;
    uint8_t *shared;
    struct virtq_slot *slots;
};

static struct pair pair_new(uint16_t size, unsigned flags) {
    struct pair p = {0};
    size_t bytes = virtq_bytes(size, flags);
    p.shared = aligned_alloc(VIRTQ_ALIGN, (bytes + VIRTQ_ALIGN - 1) & ~(VIRTQ_ALIGN - 1u));
    p.slots = calloc(size, sizeof *p.slots);
    tarn_bytes_fill(tarn_bytes_of(p.shared, bytes), 0);
    virtq_init(&p.q, size, flags, tarn_bytes_of(p.shared, bytes), p.slots);
    model_queue_of(&p.m, &p.q);
    return p;
}

static void pair_free(struct pair *p) {
    free(p->shared);
    free(p->slots);
}

static void add_one(struct pair *p, void *token) {
    struct virtq_buf bufs[3] = {{1, 10}, {2, 20}, {3, 30}};
    cr_assert(virtq_add(&p->q, bufs, 2, 1, token));
}

Test(ring, a_chain_arrives_as_it_was_added_and_comes_back) {
    for (unsigned flags = 0; flags < 4; flags++) {
        struct pair p = pair_new(8, flags);
        for (unsigned round = 0; round < 70000; round++) {
            struct model_chain c;
            void *token;
            uint32_t written;
            add_one(&p, &p);
            cr_assert(!model_next(&p.m, &c), "seen before it was published");
            (void)!virtq_publish(&p.q);
            cr_assert(model_next(&p.m, &c));
            cr_assert(c.out == 2 && c.in == 1 && c.bufs[0].addr == 1 && c.bufs[2].len == 30);
            cr_assert_eq(virtq_take(&p.q, &token, &written), TARN_AGAIN);
            model_done(&p.m, &c, 7);
            cr_assert_eq(virtq_take(&p.q, &token, &written), TARN_OK);
            cr_assert(token == &p && written == 7);
        }
        pair_free(&p);
    }
}

Test(ring, notifications_are_for_those_who_want_them) {
    for (unsigned flags = 0; flags < 4; flags++) {
        struct pair p = pair_new(16, flags);
        struct model_chain c;
        model_quiet(&p.m);
        add_one(&p, &p);
        cr_assert(!virtq_publish(&p.q), "flags %u", flags);
        cr_assert(!virtq_publish(&p.q), "nothing new");
        cr_assert(model_next(&p.m, &c));
        model_wake(&p.m);
        add_one(&p, &p);
        add_one(&p, &p);
        cr_assert(virtq_publish(&p.q), "flags %u", flags);
        pair_free(&p);
    }
}

Test(ring, interrupts_come_only_while_they_are_asked_for) {
    for (unsigned flags = 0; flags < 4; flags++) {
        struct pair p = pair_new(16, flags);
        struct model_chain c[3];
        void *token;
        uint32_t written;
        for (unsigned i = 0; i < 3; i++)
            add_one(&p, &p);
        (void)!virtq_publish(&p.q);
        for (unsigned i = 0; i < 3; i++)
            cr_assert(model_next(&p.m, &c[i]));
        cr_assert(!model_done(&p.m, &c[2], 0), "flags %u: quiet from the start", flags);
        cr_assert(virtq_wake(&p.q), "one is done already");
        cr_assert_eq(virtq_take(&p.q, &token, &written), TARN_OK);
        cr_assert(!virtq_wake(&p.q));
        cr_assert(model_done(&p.m, &c[0], 0), "flags %u", flags);
        virtq_quiet(&p.q);
        cr_assert(!model_done(&p.m, &c[1], 0), "flags %u", flags);
        pair_free(&p);
    }
}

/* Each of these once ended a guest, or let its host end it. */
static enum tarn_err after_lie(unsigned flags, uint16_t idx, uint32_t id, uint32_t len) {
    struct pair p = pair_new(8, flags);
    struct model_chain c;
    void *token;
    uint32_t written;
    add_one(&p, &p);
    (void)!virtq_publish(&p.q);
    cr_assert(model_next(&p.m, &c));
    c.id = (uint16_t)id;
    model_done(&p.m, &c, len);
    if (!(flags & VIRTQ_PACKED)) {
        tarn_bytes_copy(tarn_bytes_after(p.q.device, 2), tarn_span_of(&idx, 2));
        tarn_bytes_copy(tarn_bytes_after(p.q.device, 4), tarn_span_of(&id, 4));
    }
    enum tarn_err err = virtq_take(&p.q, &token, &written);
    if (err == TARN_PEER) {
        cr_assert_eq(virtq_take(&p.q, &token, &written), TARN_PEER, "for good");
        cr_assert(virtq_reclaim(&p.q) == &p && virtq_reclaim(&p.q) == NULL);
    }
    pair_free(&p);
    return err;
}

Test(ring, each_lie_is_the_devices_error) {
    for (unsigned flags = 0; flags < 4; flags++) {
        cr_assert_eq(after_lie(flags, 1, 0, 30), TARN_OK);
        cr_assert_eq(after_lie(flags, 1, 0, 31), TARN_PEER, "longer than there was room");
        cr_assert_eq(after_lie(flags, 1, 0, UINT32_MAX), TARN_PEER);
        cr_assert_eq(after_lie(flags, 1, 1, 1), TARN_PEER, "in no chain's head");
        cr_assert_eq(after_lie(flags, 1, 8, 1), TARN_PEER, "behind the ring");
        cr_assert_eq(after_lie(flags, 1, 0xffff, 1), TARN_PEER);
        if (!(flags & VIRTQ_PACKED)) {
            cr_assert_eq(after_lie(flags, 2, 0, 1), TARN_PEER, "more than were out");
            cr_assert_eq(after_lie(flags, 0xffff, 0, 1), TARN_PEER);
        }
    }
}
