/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/base.h>

struct item {
    struct tarn_lru_link link;
    unsigned used; /* the model: when, 0 while not in */
};

/* The list, from both ends, is the model's items by last use. */
static void compare(const struct tarn_lru *lru, const struct item *items, size_t n) {
    uint32_t in = 0;
    for (size_t i = 0; i < n; i++)
        in += items[i].used != 0;
    cr_assert_eq(lru->count, in);
    unsigned last = UINT32_MAX;
    const struct tarn_lru_link *newer = NULL;
    for (const struct tarn_lru_link *l = lru->newest; l; newer = l, l = l->older, in--) {
        const struct item *item = TARN_CONTAINER_OF(l, const struct item, link);
        cr_assert_lt(item->used, last);
        cr_assert_eq(l->newer, newer);
        last = item->used;
    }
    cr_assert_eq(in, 0);
    cr_assert_eq(lru->oldest, newer);
}

Test(lru, random_use_equals_a_model) {
    static struct item items[12];
    struct tarn_lru lru = {0};
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 5);
    for (unsigned now = 1; now < 5000; now++) {
        struct item *item = &TARN_AT(items, tarn_random_below(&r.random, TARN_COUNT_OF(items)));
        bool remove = tarn_random_below(&r.random, 3) == 0;
        if (!item->used)
            tarn_lru_add(&lru, &item->link);
        else if (remove)
            tarn_lru_remove(&lru, &item->link);
        else
            tarn_lru_touch(&lru, &item->link);
        item->used = item->used && remove ? 0 : now;
        compare(&lru, items, TARN_COUNT_OF(items));
    }
}

#define MAX 8
static struct tarn_trust_link links[1000];
static unsigned made;

/* One more entry, in the place of whoever has to go, which is answered. */
static struct tarn_trust_link *enter(struct tarn_trust *t, bool proven) {
    struct tarn_trust_link *victim = tarn_trust_victim(t), *link = &TARN_AT(links, made++);
    if (victim)
        tarn_trust_remove(t, victim);
    tarn_trust_add(t, link);
    tarn_trust_set(t, link, proven);
    cr_assert_leq(t->proven.count + t->unproven.count, MAX);
    return victim;
}

Test(trust, the_unproven_have_half_of_the_table_and_replace_their_oldest) {
    struct tarn_trust t = {.max = MAX};
    for (int i = 0; i < MAX / 2; i++)
        cr_assert_null(enter(&t, false));
    for (int i = 0; i < 20; i++)
        cr_assert_eq(enter(&t, false), &links[i], "in the order of their age");
    cr_assert_eq(t.unproven.count, MAX / 2);
}

Test(trust, a_flood_leaves_half_of_the_proven) {
    struct tarn_trust t = {.max = MAX};
    for (int i = 0; i < MAX; i++)
        cr_assert_null(enter(&t, true));
    for (int i = 0; i < MAX / 2; i++)
        cr_assert_eq(enter(&t, false), &links[i]);
    for (int i = 0; i < 500; i++)
        cr_assert_not(enter(&t, false)->proven);
    cr_assert_eq(t.proven.count, MAX / 2);
}

Test(trust, use_keeps_an_entry_and_losing_proof_gives_it_up) {
    struct tarn_trust t = {.max = MAX};
    for (int i = 0; i < MAX; i++)
        cr_assert_null(enter(&t, true));
    tarn_trust_touch(&t, &links[0]);
    cr_assert_eq(tarn_trust_victim(&t), &links[1]);
    for (int i = 4; i < MAX; i++)
        tarn_trust_set(&t, &links[i], false);
    cr_assert_eq(tarn_trust_victim(&t), &links[4]);
    tarn_trust_touch(&t, &links[4]);
    cr_assert_eq(tarn_trust_victim(&t), &links[5]);
}

Test(trust, entering_a_full_table_traps, .signal = SIGILL) {
    struct tarn_trust t = {.max = 2};
    tarn_trust_add(&t, &links[0]);
    tarn_trust_add(&t, &links[1]);
    tarn_trust_add(&t, &links[2]);
}
