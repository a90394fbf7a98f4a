/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/hash.h>

#include "memory.h"

struct entry {
    struct tarn_map_link link;
    uint64_t hash;
    bool in; /* the model */
};

/* How often a walk over the entries of a hash meets `e`, and how long it is. */
static unsigned met(const struct tarn_map *map, const struct entry *e, unsigned *walked) {
    unsigned n = 0;
    *walked = 0;
    for (struct tarn_map_link *l = tarn_map_first(map, e->hash); l; l = tarn_map_following(l)) {
        n += l == &e->link;
        ++*walked;
    }
    return n;
}

static void compare(const struct tarn_map *map, const struct entry *entries, size_t n) {
    uint32_t in = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned walked, equal = 0;
        for (size_t j = 0; j < n; j++)
            equal += entries[j].in && (uint32_t)entries[j].hash == (uint32_t)entries[i].hash;
        cr_assert_eq(met(map, &entries[i], &walked), entries[i].in);
        cr_assert_eq(walked, equal);
        cr_assert_eq(tarn_map_contains_link(&entries[i].link), entries[i].in);
        in += entries[i].in;
    }
    cr_assert_eq(map->count, in);
}

Test(map, random_inserts_and_removes_equal_a_model) {
    struct memory m = MEMORY(1 << 20);
    struct tarn_random_seeded r;
    struct tarn_map map;
    static struct entry entries[60];
    tarn_random_seeded_init(&r, 11);
    cr_assert_eq(tarn_map_init(&map, &m.alloc, 13), TARN_OK);
    cr_assert_eq(map.bucket_count, 16);
    for (size_t i = 0; i < TARN_COUNT_OF(entries); i++) /* many share a bucket, some a hash */
        entries[i].hash = tarn_random_below(&r.random, 40) * 0x100000003u;
    for (int round = 0; round < 3000; round++) {
        struct entry *e = &TARN_AT(entries, tarn_random_below(&r.random, TARN_COUNT_OF(entries)));
        if (e->in)
            tarn_map_remove(&map, &e->link);
        else
            tarn_map_insert(&map, &e->link, e->hash);
        e->in = !e->in;
        compare(&map, entries, TARN_COUNT_OF(entries));
    }
    free(map.buckets);
}

Test(map, a_table_of_one_bucket_works) {
    struct memory m = MEMORY(1 << 10);
    struct tarn_map map;
    struct entry a = {.hash = 1}, b = {.hash = 2};
    unsigned walked;
    cr_assert_eq(tarn_map_init(&map, &m.alloc, 0), TARN_OK);
    tarn_map_insert(&map, &a.link, a.hash);
    tarn_map_insert(&map, &b.link, b.hash);
    cr_assert_eq(met(&map, &a, &walked), 1);
    cr_assert_eq(walked, 1);
    free(map.buckets);
}

Test(map, no_memory_is_a_limit) {
    struct memory m = MEMORY(100);
    struct tarn_map map;
    cr_assert_eq(tarn_map_init(&map, &m.alloc, 64), TARN_LIMIT);
}

Test(map, inserting_twice_traps, .signal = SIGILL) {
    struct memory m = MEMORY(1 << 10);
    struct tarn_map map;
    struct tarn_map_link l = {0};
    if (tarn_map_init(&map, &m.alloc, 4) != TARN_OK)
        return;
    tarn_map_insert(&map, &l, 1);
    tarn_map_insert(&map, &l, 1);
}

Test(map, removing_what_is_not_in_traps, .signal = SIGILL) {
    struct memory m = MEMORY(1 << 10);
    struct tarn_map map;
    struct tarn_map_link l = {0};
    if (tarn_map_init(&map, &m.alloc, 4) == TARN_OK)
        tarn_map_remove(&map, &l);
}
