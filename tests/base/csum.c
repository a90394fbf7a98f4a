/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/csum.h>
#include <tarn/env.h>

/* RFC 1071 section 1, word by word, as it stands there. */
static uint16_t naive(const uint8_t *p, size_t n) {
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += i % 2 == 0 ? (uint64_t)p[i] << 8 : p[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* 0 and 0xffff are one number in one's complement. */
static bool same(uint16_t a, uint16_t b) {
    return a % 0xffff == b % 0xffff;
}

static void fill(uint8_t *p, size_t n, uint64_t seed) {
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, seed);
    tarn_random_fill(&r.random, tarn_bytes_of(p, n));
}

Test(csum, rfc1071_section_3_example) {
    static const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    uint32_t sum = tarn_csum_add(0, TARN_SPAN_ARRAY(data));
    cr_assert_eq(tarn_csum_fold(sum), 0xddf2);
    cr_assert_eq(tarn_csum_finish(sum), (uint16_t)~0xddf2);
}

Test(csum, every_length_at_every_alignment) {
    uint8_t data[8 + 300];
    fill(data, sizeof data, 1);
    for (size_t off = 0; off < 8; off++)
        for (size_t n = 0; n <= 300; n++)
            cr_assert(same(tarn_csum_fold(tarn_csum_add(0, tarn_span_of(data + off, n))),
                           naive(data + off, n)),
                      "offset %zu, length %zu", off, n);
}

Test(csum, copying_sums_alike_and_copies_no_more) {
    uint8_t data[8 + 100], copy[120];
    fill(data, sizeof data, 6);
    for (size_t off = 0; off < 8; off++)
        for (size_t n = 0; n <= 100; n++) {
            struct tarn_span s = tarn_span_of(data + off, n);
            tarn_bytes_fill(TARN_BYTES_ARRAY(copy), 0xee);
            cr_assert_eq(tarn_csum_copy(77, tarn_bytes_of(copy + 9, n), s), tarn_csum_add(77, s));
            cr_assert(tarn_span_equal(tarn_span_of(copy + 9, n), s));
            cr_assert(copy[8] == 0xee && copy[9 + n] == 0xee, "offset %zu, length %zu", off, n);
        }
}

Test(csum, copying_to_too_little_room_traps, .signal = SIGILL) {
    uint8_t data[8] = {0}, copy[8];
    (void)tarn_csum_copy(0, tarn_bytes_of(copy, 7), TARN_SPAN_ARRAY(data));
}

Test(csum, longest_packet_of_ones_does_not_overflow) {
    static uint8_t data[65536];
    tarn_bytes_fill(TARN_BYTES_ARRAY(data), 0xff);
    cr_assert(same(tarn_csum_fold(tarn_csum_add(UINT32_MAX, TARN_SPAN_ARRAY(data))), 0xffff));
    data[65535] = 0xfe;
    cr_assert_eq(tarn_csum_fold(tarn_csum_add(0, TARN_SPAN_ARRAY(data))), 0xfffe);
}

Test(csum, pieces_join_at_any_offsets) {
    uint8_t data[97];
    fill(data, sizeof data, 2);
    uint16_t whole = naive(data, sizeof data);
    for (size_t a = 0; a <= sizeof data; a++)
        for (size_t b = a; b <= sizeof data; b++) {
            uint32_t sum = tarn_csum_add(0, tarn_span_of(data, a));
            sum = tarn_csum_join(sum, tarn_csum_add(0, tarn_span_of(data + a, b - a)), a);
            sum = tarn_csum_join(sum, tarn_csum_add(0, tarn_span_of(data + b, sizeof data - b)), b);
            cr_assert(same(tarn_csum_fold(sum), whole), "cut at %zu and %zu", a, b);
        }
}

Test(csum, any_number_joins) {
    cr_assert_eq(tarn_csum_fold(tarn_csum_join(0, 0x12345678, 0)), 0x1234 + 0x5678);
    cr_assert(same(tarn_csum_fold(tarn_csum_join(UINT32_MAX, UINT32_MAX, 0)), 0));
    cr_assert_eq(tarn_csum_fold(tarn_csum_join(0, 0x1234, 1)), 0x3412);
}

Test(csum, data_with_its_checksum_sums_to_minus_zero) {
    uint8_t data[20];
    fill(data, sizeof data, 3);
    data[10] = data[11] = 0;
    uint16_t sum = tarn_csum_finish(tarn_csum_add(0, TARN_SPAN_ARRAY(data)));
    data[10] = (uint8_t)(sum >> 8);
    data[11] = (uint8_t)sum;
    cr_assert_eq(tarn_csum_finish(tarn_csum_add(0, TARN_SPAN_ARRAY(data))), 0);
}

Test(csum, rfc1624_section_4_example) {
    cr_assert_eq(tarn_csum_update16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

Test(csum, rfc1624_update_equals_recomputing) {
    uint8_t data[64];
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 4);
    fill(data, sizeof data, 5);
    for (int round = 0; round < 2000; round++) {
        uint16_t before = tarn_csum_finish(tarn_csum_add(0, TARN_SPAN_ARRAY(data)));
        size_t at = 2 * tarn_random_below(&r.random, sizeof data / 2);
        uint16_t old = (uint16_t)(data[at] << 8 | data[at + 1]);
        uint16_t new = (uint16_t)tarn_random_u32(&r.random);
        data[at] = (uint8_t)(new >> 8);
        data[at + 1] = (uint8_t) new;
        cr_assert(same(tarn_csum_update16(before, old, new),
                       tarn_csum_finish(tarn_csum_add(0, TARN_SPAN_ARRAY(data)))));
    }
}
