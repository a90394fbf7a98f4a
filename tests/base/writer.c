/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/writer.h>

#define S(lit) TARN_SPAN_LIT(lit)

static uint8_t mem[80];

static struct tarn_writer over(size_t n) {
    tarn_bytes_fill(TARN_BYTES_ARRAY(mem), 0xee);
    return tarn_writer_over(tarn_bytes_of(mem, n));
}

static void is(const struct tarn_writer *w, struct tarn_span expected) {
    struct tarn_span got = tarn_writer_span(w);
    cr_assert(tarn_writer_ok(w) && tarn_span_equal(got, expected), "wrote %.*s", (int)got.len,
              (const char *)got.ptr);
}

Test(writer, numbers_in_their_byte_order) {
    struct tarn_writer w = over(sizeof mem);
    tarn_writer_u8(&w, 1);
    tarn_writer_u16be(&w, 0x0203);
    tarn_writer_u16le(&w, 0x0203);
    tarn_writer_u32be(&w, 0x04050607);
    tarn_writer_u32le(&w, 0x04050607);
    is(&w, S("\1\2\3\3\2\4\5\6\7\7\6\5\4"));
    w = over(sizeof mem);
    tarn_writer_u64be(&w, 0x0102030405060708u);
    tarn_writer_u64le(&w, 0x0102030405060708u);
    is(&w, S("\1\2\3\4\5\6\7\10\10\7\6\5\4\3\2\1"));
}

Test(writer, exactly_full_is_no_overflow) {
    struct tarn_writer w = over(4);
    tarn_writer_u32be(&w, 0x61626364);
    is(&w, S("abcd"));
    cr_assert_eq(tarn_writer_room(&w), 0);
    tarn_writer_mem(&w, NULL, 0);
    is(&w, S("abcd"));
}

Test(writer, overflow_is_sticky_leaves_the_piece_out_and_counts_what_was_needed) {
    struct tarn_writer w = over(5);
    tarn_writer_u32be(&w, 0x61626364);
    tarn_writer_u16be(&w, 0xffff); /* one byte too many: none of it is stored */
    cr_assert_not(tarn_writer_ok(&w));
    tarn_writer_u8(&w, 'x'); /* would fit, but the output has a hole already */
    cr_assert_not(tarn_writer_ok(&w));
    cr_assert_eq(w.len, 7);
    cr_assert_eq(tarn_writer_span(&w).len, 0);
    cr_assert_eq(tarn_writer_room(&w), 0);
    for (size_t i = 4; i < sizeof mem; i++)
        cr_assert_eq(mem[i], 0xee);
}

Test(writer, a_length_beyond_all_memory_saturates) {
    struct tarn_writer w = over(8);
    cr_assert_null(tarn_writer_reserve(&w, SIZE_MAX));
    cr_assert_eq(w.len, SIZE_MAX);
    tarn_writer_u64be(&w, 1);
    cr_assert_eq(w.len, SIZE_MAX);
    cr_assert_not(tarn_writer_ok(&w));
}

Test(writer, over_nothing) {
    struct tarn_writer w = tarn_writer_over((struct tarn_bytes){NULL, 0});
    tarn_writer_span_put(&w, TARN_SPAN_EMPTY);
    tarn_writer_zero(&w, 0);
    cr_assert(tarn_writer_ok(&w));
    tarn_writer_zero(&w, 1);
    cr_assert_not(tarn_writer_ok(&w));
}

Test(writer, reserve_and_zero) {
    struct tarn_writer w = over(8);
    uint8_t *p = tarn_writer_reserve(&w, 2);
    cr_assert_eq(p, mem);
    p[0] = 'a', p[1] = 'b';
    tarn_writer_zero(&w, 2);
    is(&w, S("ab\0\0"));
    cr_assert_eq(tarn_writer_room(&w), 4);
    cr_assert_null(tarn_writer_reserve(&w, 5));
}

Test(writer, text) {
    struct tarn_writer w = over(sizeof mem);
    tarn_writer_str(&w, "n=");
    tarn_writer_dec(&w, 0);
    tarn_writer_u8(&w, ' ');
    tarn_writer_dec(&w, UINT64_MAX);
    tarn_writer_u8(&w, ' ');
    tarn_writer_dec_pad(&w, 7, 2);
    tarn_writer_dec_pad(&w, 123, 2);
    tarn_writer_u8(&w, ' ');
    tarn_writer_hex(&w, 0xbeef, 8);
    tarn_writer_hex(&w, 0, 0);
    tarn_writer_span_put(&w, S("!"));
    is(&w, S("n=0 18446744073709551615 07123 0000beef0!"));
}

Test(writer, sixty_four_digits_are_the_most) {
    struct tarn_writer w = over(sizeof mem);
    tarn_writer_hex(&w, UINT64_MAX, 64);
    is(&w, S("000000000000000000000000000000000000000000000000ffffffffffffffff"));
}

Test(writer, sixty_five_digits_trap, .signal = SIGILL) {
    struct tarn_writer w = over(sizeof mem);
    tarn_writer_dec_pad(&w, 1, 65);
}

Test(writer, patching_what_is_written) {
    struct tarn_writer w = over(8);
    tarn_writer_zero(&w, 7);
    tarn_writer_patch_u16be(&w, 5, 0x6162);
    tarn_writer_patch_u32be(&w, 0, 0x63646566);
    is(&w, S("cdef\0ab"));
}

Test(writer, patching_behind_what_is_written_traps, .signal = SIGILL) {
    struct tarn_writer w = over(8);
    tarn_writer_zero(&w, 7);
    tarn_writer_patch_u16be(&w, 6, 1);
}

Test(writer, patching_after_an_overflow_traps, .signal = SIGILL) {
    struct tarn_writer w = over(8);
    tarn_writer_zero(&w, 9);
    tarn_writer_patch_u16be(&w, 0, 1);
}
