/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/env.h>
#include <tarn/pool.h>

#include "memory.h"

struct item {
    uint64_t a, b;
};

static struct memory memory;
static struct tarn_pool pool;

static void make(uint32_t count) {
    memory = MEMORY(1 << 20);
    cr_assert_eq(
        tarn_pool_init(&pool, &memory.alloc, sizeof(struct item), _Alignof(struct item), count),
        TARN_OK);
}

static void same_handle(struct tarn_handle a, struct tarn_handle b) {
    cr_assert(a.index == b.index && a.generation == b.generation);
}

Test(pool, gives_count_objects_then_none_and_counts_that) {
    make(3);
    struct item *a = tarn_pool_take(&pool), *b = tarn_pool_take(&pool), *c = tarn_pool_take(&pool);
    cr_assert(a && b && c && a != b && b != c && a != c);
    cr_assert_null(tarn_pool_take(&pool));
    cr_assert_null(tarn_pool_take(&pool));
    cr_assert_eq(pool.exhausted, 2);
    cr_assert_eq(pool.live_max, 3);
    tarn_pool_put(&pool, b);
    cr_assert_eq(pool.live, 2);
    cr_assert_eq((struct item *)tarn_pool_take(&pool), b);
}

Test(pool, an_object_starts_as_zeroes) {
    make(1);
    struct item *a = tarn_pool_take(&pool);
    cr_assert(a->a == 0 && a->b == 0);
}

Test(pool, a_handle_resolves_while_its_object_lives) {
    make(2);
    struct item *a = tarn_pool_take(&pool);
    struct tarn_handle h = tarn_pool_handle(&pool, a);
    cr_assert_eq((struct item *)tarn_pool_get(&pool, h), a);
    tarn_pool_put(&pool, a);
    cr_assert_null(tarn_pool_get(&pool, h));
    struct item *again = tarn_pool_take(&pool); /* the slot lives again, the handle does not */
    cr_assert_eq(again, a);
    cr_assert_null(tarn_pool_get(&pool, h));
    cr_assert_eq((struct item *)tarn_pool_get(&pool, tarn_pool_handle(&pool, again)), again);
}

Test(pool, handles_that_never_were_resolve_to_nothing) {
    make(2);
    cr_assert_null(tarn_pool_get(&pool, TARN_HANDLE_NONE));
    cr_assert_null(tarn_pool_get(&pool, (struct tarn_handle){0, 1}));
    struct item *a = tarn_pool_take(&pool);
    cr_assert_not_null(a);
    cr_assert_null(tarn_pool_get(&pool, TARN_HANDLE_NONE));
    cr_assert_null(tarn_pool_get(&pool, (struct tarn_handle){0, 2}));
    cr_assert_null(tarn_pool_get(&pool, (struct tarn_handle){1, 1}));
    cr_assert_null(tarn_pool_get(&pool, (struct tarn_handle){2, 1}));
    cr_assert_null(tarn_pool_get(&pool, (struct tarn_handle){UINT32_MAX, UINT32_MAX}));
}

Test(pool, a_slot_that_used_up_its_generations_is_retired) {
    make(1);
    struct item *a = tarn_pool_take(&pool);
    tarn_pool_put(&pool, a);
    pool.slots[0] = UINT32_MAX - 1; /* as after 2^31 - 1 lives */
    a = tarn_pool_take(&pool);
    struct tarn_handle last = tarn_pool_handle(&pool, a);
    cr_assert_eq(last.generation, UINT32_MAX);
    tarn_pool_put(&pool, a);
    cr_assert_null(tarn_pool_take(&pool));
    cr_assert_null(tarn_pool_get(&pool, last));
    cr_assert_null(tarn_pool_get(&pool, TARN_HANDLE_NONE));
}

Test(pool, walking_meets_each_live_object_once_in_order) {
    make(8);
    struct item *items[8];
    for (size_t i = 0; i < 8; i++)
        items[i] = tarn_pool_take(&pool);
    tarn_pool_put(&pool, items[0]);
    tarn_pool_put(&pool, items[5]);
    tarn_pool_put(&pool, items[7]);
    static const size_t expected[] = {1, 2, 3, 4, 6};
    uint32_t cursor = 0;
    for (size_t i = 0; i < TARN_COUNT_OF(expected); i++)
        cr_assert_eq((struct item *)tarn_pool_next(&pool, &cursor), items[expected[i]]);
    cr_assert_null(tarn_pool_next(&pool, &cursor));
    cr_assert_null(tarn_pool_next(&pool, &cursor));
}

Test(pool, random_use_equals_a_model) {
    enum { COUNT = 17 };
    struct tarn_random_seeded r;
    struct item *live[COUNT] = {0};
    struct tarn_handle handles[COUNT], stale[64] = {0};
    uint32_t n = 0;
    tarn_random_seeded_init(&r, 21);
    make(COUNT);
    for (uint64_t round = 0; round < 20000; round++) {
        if (tarn_random_below(&r.random, 2) && n > 0) {
            uint32_t i = tarn_random_below(&r.random, n);
            TARN_AT(stale, round % TARN_COUNT_OF(stale)) = TARN_AT(handles, i);
            tarn_pool_put(&pool, TARN_AT(live, i));
            n--;
            TARN_AT(live, i) = TARN_AT(live, n);
            TARN_AT(handles, i) = TARN_AT(handles, n);
        } else {
            struct item *item = tarn_pool_take(&pool);
            cr_assert_eq(item == NULL, n == COUNT);
            if (item) {
                item->a = round;
                item->b = ~round;
                TARN_AT(live, n) = item;
                TARN_AT(handles, n) = tarn_pool_handle(&pool, item);
                n++;
            }
        }
        cr_assert_eq(pool.live, n);
        for (uint32_t i = 0; i < n; i++) {
            struct item *item = TARN_AT(live, i);
            cr_assert_eq(item->a, ~item->b);
            cr_assert_eq((struct item *)tarn_pool_get(&pool, TARN_AT(handles, i)), item);
            same_handle(tarn_pool_handle(&pool, item), TARN_AT(handles, i));
        }
        for (size_t i = 0; i < TARN_COUNT_OF(stale); i++)
            cr_assert_null(tarn_pool_get(&pool, TARN_AT(stale, i)));
    }
}

Test(pool, no_memory_is_a_limit_and_keeps_nothing) {
    for (size_t room = 0; room < 4 * (sizeof(struct item) + 8); room++) {
        memory = MEMORY(room);
        cr_assert_eq(tarn_pool_init(&pool, &memory.alloc, sizeof(struct item), 8, 4), TARN_LIMIT);
        cr_assert_eq(memory.bytes, 0);
    }
}

Test(pool, fini_gives_everything_back) {
    make(4);
    cr_assert_eq(memory.bytes, 4 * (sizeof(struct item) + 8));
    cr_assert_not_null(tarn_pool_take(&pool));
    tarn_pool_fini(&pool, &memory.alloc);
    cr_assert_eq(memory.bytes, 0);
    cr_assert_null(tarn_pool_take(&pool));
}

Test(pool, an_arena_takes_a_pool_back_whole) {
    static uint8_t mem[1024];
    struct tarn_arena arena;
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(mem));
    cr_assert_eq(tarn_pool_init(&pool, &arena.alloc, 8, 8, 10), TARN_OK);
    uint64_t *a = tarn_pool_take(&pool);
    *a = UINT64_MAX;
    tarn_pool_fini(&pool, &arena.alloc);
    cr_assert_lt(arena.used, 8); /* but for the first piece's alignment */
    cr_assert_eq(tarn_pool_init(&pool, &arena.alloc, 8, 8, 10), TARN_OK);
    a = tarn_pool_take(&pool);
    cr_assert_eq(*a, 0);
}

Test(pool, an_empty_pool_is_one) {
    make(0);
    cr_assert_null(tarn_pool_take(&pool));
}

Test(pool, putting_twice_traps, .signal = SIGILL) {
    make(2);
    struct item *a = tarn_pool_take(&pool);
    tarn_pool_put(&pool, a);
    tarn_pool_put(&pool, a);
}

Test(pool, putting_the_middle_of_an_object_traps, .signal = SIGILL) {
    make(2);
    struct item *a = tarn_pool_take(&pool);
    tarn_pool_put(&pool, &a->b);
}

Test(pool, putting_what_is_elsewhere_traps, .signal = SIGILL) {
    struct item other = {0};
    make(2);
    tarn_pool_put(&pool, &other);
}

Test(pool, the_handle_of_a_freed_object_traps, .signal = SIGILL) {
    make(2);
    struct item *a = tarn_pool_take(&pool);
    tarn_pool_put(&pool, a);
    (void)tarn_pool_handle(&pool, a);
}

Test(pool, asan_reports_a_read_of_a_freed_object, .disabled = !WITH_ASAN, .exit_code = 99) {
    make(2);
    volatile struct item *a = tarn_pool_take(&pool);
    a->a = 1;
    tarn_pool_put(&pool, (struct item *)(uintptr_t)a);
    (void)a->a;
}
