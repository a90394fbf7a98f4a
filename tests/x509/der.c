/* SPDX-License-Identifier: ISC */
/* DER and nothing else is read, and what is written is DER. */
#include <criterion/criterion.h>
#include <tarn/der.h>
#include <tarn/x509.h>

#define LIT(s) TARN_SPAN_LIT(s)

static bool any(struct tarn_span s) {
    struct tarn_span value, whole;
    uint8_t tag;
    return tarn_der_any(&s, &tag, &value, &whole) && s.len == 0;
}

Test(der, lengths_are_definite_and_as_short_as_can_be) {
    cr_assert(any(LIT("\x04\x01x")));
    cr_assert(any(LIT("\x04\x00")));
    cr_assert(!any(LIT("\x04\x02x")));             /* too long */
    cr_assert(!any(LIT("\x04\x81\x01x")));         /* not the shortest */
    cr_assert(!any(LIT("\x04\x82\x00\x01x")));     /* a leading zero */
    cr_assert(!any(LIT("\x24\x80\x04\x01x\0\0"))); /* indefinite */
    cr_assert(!any(LIT("\x04\x85\x01\0\0\0\0")));  /* five bytes of length */
    cr_assert(!any(LIT("\x1f\x81\x01\x00")));      /* a tag of more than a byte */
    cr_assert(!any(LIT("\x04")));
    cr_assert(!any(LIT("")));
}

static bool positive(struct tarn_span s) {
    struct tarn_span n;
    return tarn_der_positive(&s, &n) && s.len == 0;
}

Test(der, numbers_are_as_short_as_can_be_and_not_negative) {
    cr_assert(positive(LIT("\x02\x01\x00")));
    cr_assert(positive(LIT("\x02\x02\x00\x80")));
    cr_assert(!positive(LIT("\x02\x02\x00\x7f")));
    cr_assert(!positive(LIT("\x02\x01\x80")));
    cr_assert(!positive(LIT("\x02\x00")));
}

static bool small(struct tarn_span contents, uint32_t want) {
    uint32_t got;
    return tarn_der_u32_of(contents, &got) && got == want;
}

Test(der, small_numbers_have_four_bytes) {
    cr_assert(small(LIT("\x00"), 0));
    cr_assert(small(LIT("\x01\x02"), 0x102));
    cr_assert(small(LIT("\x00\xff\xff\xff\xff"), UINT32_MAX));
    cr_assert(!small(LIT("\x01\x00\x00\x00\x00"), 0));
    cr_assert(!small(LIT("\x00\x01"), 1));
    cr_assert(!small(LIT("\xff"), 255));
    cr_assert(!small(TARN_SPAN_EMPTY, 0));
}

static bool flags(struct tarn_span s, uint32_t want) {
    uint32_t got;
    return tarn_der_flags(&s, &got) && got == want;
}

Test(der, flags_have_no_trailing_zeros) {
    cr_assert(flags(LIT("\x03\x02\x07\x80"), 1));
    cr_assert(flags(LIT("\x03\x02\x01\x06"), 3 << 5));
    cr_assert(flags(LIT("\x03\x01\x00"), 0));
    cr_assert(!flags(LIT("\x03\x02\x00\x80"), 1));
    cr_assert(!flags(LIT("\x03\x02\x07\xc0"), 1));
    cr_assert(!flags(LIT("\x03\x01\x01"), 0));
    cr_assert(!flags(LIT("\x03\x02\x08\x80"), 1));
}

static bool truth(struct tarn_span s) {
    bool b;
    return tarn_der_bool(&s, &b) && b;
}

Test(der, booleans_are_00_or_ff) {
    cr_assert(truth(LIT("\x01\x01\xff")));
    cr_assert(!truth(LIT("\x01\x01\x01")));
    cr_assert(!truth(LIT("\x01\x02\xff\xff")));
}

static int64_t when(struct tarn_span s, bool x509) {
    int64_t t;
    return tarn_der_time(&s, x509, &t) ? t : -1;
}

Test(der, times_have_one_form) {
    cr_assert_eq(when(LIT("\x17\x0d"
                          "491231235959Z"),
                      true),
                 2524607999);
    cr_assert_eq(when(LIT("\x18\x0f"
                          "20500101000000Z"),
                      true),
                 2524608000);
    cr_assert_eq(when(LIT("\x18\x0f"
                          "20491231235959Z"),
                      true),
                 -1); /* RFC 5280: UTCTime until then */
    cr_assert_eq(when(LIT("\x18\x0f"
                          "20491231235959Z"),
                      false),
                 2524607999);
    cr_assert_eq(when(LIT("\x17\x0b"
                          "4912312359Z"),
                      true),
                 -1); /* no seconds */
    cr_assert_eq(when(LIT("\x17\x11"
                          "491231235959+0100"),
                      true),
                 -1);
    cr_assert_eq(when(LIT("\x17\x0d"
                          "490231235959Z"),
                      true),
                 -1); /* the 31st of February */
    cr_assert_eq(when(LIT("\x18\x12"
                          "20500101000000.5Z"),
                      true),
                 -1);
}

Test(der, identifiers_are_well_formed) {
    cr_assert(tarn_der_oid_is_valid(LIT("\x2a\x86\x48")));
    cr_assert(!tarn_der_oid_is_valid(LIT("\x2a\x86")));
    cr_assert(!tarn_der_oid_is_valid(LIT("\x2a\x80\x01")));
    cr_assert(!tarn_der_oid_is_valid(LIT("\x80\x01")));
    cr_assert(!tarn_der_oid_is_valid(LIT("")));
}

Test(der, what_is_written_is_read_again) {
    uint8_t mem[600];
    static const uint8_t big[300];
    uint32_t n, f;
    int64_t t;
    bool b;
    struct tarn_der_writer w = tarn_der_writer_over(TARN_BYTES_ARRAY(mem));
    tarn_der_put(&w, TARN_DER_OCTETS, TARN_SPAN_ARRAY(big));
    tarn_der_put_time(&w, 2524608000);
    tarn_der_put_time(&w, 1);
    tarn_der_put_true(&w);
    tarn_der_put_flags(&w, 1 << 5 | 1 << 6);
    tarn_der_put_u32(&w, 0xffffffff);
    tarn_der_put_u32(&w, 0);
    tarn_der_put_head(&w, TARN_DER_SEQUENCE, 0);
    struct tarn_span s = tarn_der_written(&w), seq, octets;
    cr_assert(tarn_der_take(&s, TARN_DER_SEQUENCE, &seq));
    cr_assert_eq(s.len, 0);
    cr_assert(tarn_der_u32(&seq, &n) && n == 0);
    cr_assert(tarn_der_u32(&seq, &n) && n == 0xffffffff);
    cr_assert(tarn_der_flags(&seq, &f) && f == (1 << 5 | 1 << 6));
    cr_assert(tarn_der_bool(&seq, &b) && b);
    cr_assert(tarn_der_time(&seq, true, &t) && t == 1);
    cr_assert(tarn_der_time(&seq, true, &t) && t == 2524608000);
    cr_assert(tarn_der_take(&seq, TARN_DER_OCTETS, &octets) && octets.len == 300);
    cr_assert_eq(seq.len, 0);
}

Test(der, a_writer_that_is_full_stays_so) {
    uint8_t mem[5];
    struct tarn_der_writer w = tarn_der_writer_over(TARN_BYTES_ARRAY(mem));
    tarn_der_put(&w, TARN_DER_OCTETS, LIT("abcd"));
    cr_assert(w.overflow);
    tarn_der_put_u32(&w, 1);
    cr_assert_eq(tarn_der_written(&w).len, 0);
}

Test(der, names_are_equal_whatever_their_case_and_spaces) {
    struct tarn_span a = LIT("\x30\x12\x31\x10\x30\x0e\x06\x03\x55\x04\x03\x0c\x07Test CA");
    struct tarn_span b = LIT("\x30\x14\x31\x12\x30\x10\x06\x03\x55\x04\x03\x13\x09 TEST  ca");
    struct tarn_span c = LIT("\x30\x12\x31\x10\x30\x0e\x06\x03\x55\x04\x03\x0c\x07TestCAx");
    struct tarn_span d = LIT("\x30\x12\x31\x10\x30\x0e\x06\x03\x55\x04\x0a\x0c\x07Test CA");
    cr_assert(tarn_x509_name_equal(a, a));
    cr_assert(tarn_x509_name_equal(a, b));
    cr_assert(tarn_x509_name_equal(b, a));
    cr_assert(!tarn_x509_name_equal(a, c));
    cr_assert(!tarn_x509_name_equal(a, d));
    cr_assert(!tarn_x509_name_equal(a, LIT("\x30\x00")));
    cr_assert(tarn_span_equal(tarn_x509_common_name(a), LIT("Test CA")));
}
