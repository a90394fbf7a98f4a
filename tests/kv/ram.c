/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <tarn/kv_ram.h>

#define NOW 1234567890

static size_t live, calls, fail_at;
static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a;
    void *p = ++calls == fail_at
                  ? NULL
                  : aligned_alloc(align < 16 ? 16 : align, (bytes + 15) & ~(size_t)15);
    if (p)
        live++, tarn_bytes_fill(tarn_bytes_of(p, bytes), 0);
    return p;
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    live--;
    free(ptr);
}
static struct tarn_alloc heap = {&(const struct tarn_alloc_ops){get, put}};

static uint64_t wall(struct tarn_clock *c) {
    (void)c;
    return NOW * 1000000000ull;
}
static struct tarn_clock fixed_clock = {&(const struct tarn_clock_ops){.wall_ns = wall}};
static struct tarn_random_seeded seeded;

static struct tarn_kv_ram *ram;
static struct tarn_kv *kv;

static enum tarn_err make(size_t bytes) {
    struct tarn_kv_ram_config config = {&heap, &fixed_clock, &seeded.random, bytes, 2};
    tarn_random_seeded_init(&seeded, 1);
    return tarn_kv_ram_new(&config, &ram);
}
static void start(size_t bytes) {
    calls = fail_at = 0;
    cr_assert_eq(make(bytes), TARN_OK);
    kv = tarn_kv_ram_kv(ram);
}
static void stop(void) {
    tarn_kv_ram_delete(ram);
    cr_assert_eq(live, 0);
}

Test(ram, conforms) {
    start(2 << 20);
    kv_conformance_rw(kv, NOW);
    stop();
}

Test(ram, every_allocation_may_fail) {
    start(1 << 20);
    size_t all = calls;
    stop();
    for (fail_at = 1; fail_at <= all; fail_at++) {
        calls = 0;
        cr_assert_eq(make(1 << 20), TARN_LIMIT);
        cr_assert_eq(live, 0);
    }
    fail_at = 0;
    cr_assert_eq(make(1000), TARN_INVALID);
}

/* Fills it until nothing fits, with some order and in one value; each time all of it comes back. */
Test(ram, full_and_back) {
    start(256 << 10);
    for (int round = 0; round < 20; round++) {
        unsigned made = 0;
        char key[32];
        for (;; made++) {
            sprintf(key, "d%u/%u", made * 7919u % 13, made);
            uint8_t value[1500];
            tarn_random_fill(&seeded.random, TARN_BYTES_ARRAY(value));
            size_t len = tarn_random_below(&seeded.random, sizeof value);
            enum tarn_err err = tarn_kv_set(kv, tarn_span_str(key), tarn_span_of(value, len));
            if (err == TARN_LIMIT)
                break;
            cr_assert_eq(err, TARN_OK);
        }
        cr_assert_gt(made, 120, "round %d", round);
        enum tarn_kv_kind kind;
        cr_assert_eq(kv->ops->exists(kv, tarn_span_str(key), &kind), TARN_OK);
        cr_assert_eq(kind, TARN_KV_NONE, "what did not fit left nothing behind");
        cr_assert_eq(tarn_kv_remove(kv, TARN_SPAN_EMPTY), TARN_OK);
        for (unsigned i = 0; i < 4 * made && tarn_kv_ram_used(ram) > 16 << 10; i++) {
            size_t failed;
            cr_assert_eq(kv->ops->batch(kv, NULL, 0, &failed), TARN_OK);
        }
        cr_assert_leq(tarn_kv_ram_used(ram), 16 << 10, "%zu after %u", tarn_kv_ram_used(ram), made);
    }
    stop();
}

Test(ram, snapshots_are_bounded) {
    struct tarn_kv *a, *b, *c;
    start(256 << 10);
    cr_assert_eq(kv->ops->snapshot(kv, &a), TARN_OK);
    cr_assert_eq(kv->ops->snapshot(kv, &b), TARN_OK);
    cr_assert_eq(kv->ops->snapshot(kv, &c), TARN_LIMIT);
    a->ops->release(a);
    cr_assert_eq(kv->ops->snapshot(kv, &c), TARN_OK);
    b->ops->release(b);
    c->ops->release(c);
    stop();
}
