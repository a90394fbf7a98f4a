/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/alloc.h>

static _Alignas(64) uint8_t memory[1024];

static struct tarn_arena arena_over(size_t off, size_t len) {
    struct tarn_arena a;
    tarn_arena_init(&a, tarn_bytes_of(memory + off, len));
    return a;
}

Test(arena, pieces_are_aligned_apart_and_inside) {
    struct tarn_arena a = arena_over(3, 1000); /* a start that is itself not aligned */
    uint8_t *end = memory + 3;
    for (size_t align = 1; align <= 64; align *= 2) {
        uint8_t *p = tarn_alloc_get(&a.alloc, 5, align);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % align, 0);
        cr_assert_geq(p, end);
        end = p + 5;
        cr_assert_leq(end, memory + 1003);
    }
}

Test(arena, gives_its_last_byte_and_then_null) {
    struct tarn_arena a = arena_over(0, 100);
    cr_assert_null(tarn_alloc_get(&a.alloc, 101, 1));
    cr_assert_not_null(tarn_alloc_get(&a.alloc, 100, 1));
    cr_assert_null(tarn_alloc_get(&a.alloc, 1, 1));
}

Test(arena, padding_for_alignment_counts) {
    struct tarn_arena a = arena_over(0, 64);
    cr_assert_not_null(tarn_alloc_get(&a.alloc, 1, 1));
    cr_assert_null(tarn_alloc_get(&a.alloc, 57, 8));
    cr_assert_not_null(tarn_alloc_get(&a.alloc, 56, 8));
}

Test(arena, a_refused_piece_leaves_the_room_as_it_was) {
    struct tarn_arena a = arena_over(0, 64);
    cr_assert_null(tarn_alloc_get(&a.alloc, SIZE_MAX, 16));
    cr_assert_null(tarn_alloc_get(&a.alloc, 65, 1));
    cr_assert_not_null(tarn_alloc_get(&a.alloc, 8, 8));
    cr_assert_null(tarn_alloc_get(&a.alloc, SIZE_MAX - 3, 1)); /* the sum wraps to 4 */
    cr_assert_not_null(tarn_alloc_get(&a.alloc, 56, 8));
}

Test(arena, takes_back_only_the_newest_and_zeroes_it) {
    struct tarn_arena a = arena_over(0, 64);
    uint8_t *first = tarn_alloc_get(&a.alloc, 8, 8), *second = tarn_alloc_get(&a.alloc, 8, 8);
    tarn_bytes_fill(tarn_bytes_of(second, 8), 0xff);
    tarn_alloc_put(&a.alloc, second, 8);
    uint8_t *again = tarn_alloc_get(&a.alloc, 8, 8);
    cr_assert_eq(again, second);
    for (size_t i = 0; i < 8; i++)
        cr_assert_eq(again[i], 0);
    tarn_alloc_put(&a.alloc, first, 8);
    cr_assert_neq((uint8_t *)tarn_alloc_get(&a.alloc, 8, 8), first);
}

Test(arena, putting_what_is_not_its_own_traps, .signal = SIGILL) {
    struct tarn_arena a = arena_over(0, 64);
    tarn_alloc_put(&a.alloc, memory + 512, 8);
}

Test(arena, an_alignment_that_is_no_power_of_two_traps, .signal = SIGILL) {
    struct tarn_arena a = arena_over(0, 64);
    (void)tarn_alloc_get(&a.alloc, 8, 3);
}

Test(alloc, an_array_whose_size_overflows_is_null) {
    struct tarn_arena a = arena_over(0, 1024);
    cr_assert_null(tarn_alloc_array(&a.alloc, SIZE_MAX / 8 + 2, 8, 8));
    cr_assert_null(TARN_NEW_ARRAY(&a.alloc, SIZE_MAX / 4 + 3, uint32_t));
    cr_assert_not_null(TARN_NEW_ARRAY(&a.alloc, 4, uint32_t));
}

Test(alloc, putting_null_is_nothing) {
    struct tarn_arena a = arena_over(0, 64);
    tarn_alloc_put(&a.alloc, NULL, 8);
    cr_assert_eq(a.used, 0);
}
