/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <tarn/pem.h>

static enum tarn_err decode(const char *text, const char *want) {
    uint8_t out[64];
    size_t n;
    enum tarn_err err = tarn_base64_decode(tarn_span_str(text), TARN_BYTES_ARRAY(out), &n);
    if (!err)
        cr_assert(tarn_span_equal(tarn_span_of(out, n), tarn_span_str(want)), "%s", text);
    return err;
}

/* RFC 4648 section 10. */
Test(pem, base64_vectors) {
    static const char *const pairs[][2] = {{"", ""},
                                           {"Zg==", "f"},
                                           {"Zm8=", "fo"},
                                           {"Zm9v", "foo"},
                                           {"Zm9vYg==", "foob"},
                                           {"Zm9vYmE=", "fooba"},
                                           {"Zm9vYmFy", "foobar"}};
    for (size_t i = 0; i < TARN_COUNT_OF(pairs); i++) {
        uint8_t text[16];
        struct tarn_writer w = TARN_WRITER_ARRAY(text);
        tarn_base64_put(&w, tarn_span_str(pairs[i][1]));
        cr_assert(tarn_span_equal(tarn_writer_span(&w), tarn_span_str(pairs[i][0])));
        cr_assert_eq(decode(pairs[i][0], pairs[i][1]), TARN_OK);
    }
}

Test(pem, what_is_no_base64_is_refused) {
    static const char *const bad[] = {
        "Zg=", "Zg", "Zh==", "Zm9=", "Z===", "=Zg=", "Zg==Zg==", "Zm9!", "Zg=a"};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert_eq(decode(bad[i], ""), TARN_PEER, "%s", bad[i]);
}

Test(pem, blocks_are_found_between_other_text) {
    uint8_t text[600], out[200], data[100];
    struct tarn_span label, der;
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    tarn_writer_str(&w, "a comment\n");
    tarn_pem_put(&w, "ONE", TARN_SPAN_ARRAY(data));
    tarn_writer_str(&w, "between\n");
    tarn_pem_put(&w, "TWO", TARN_SPAN_LIT("x"));
    cr_assert(tarn_writer_ok(&w));
    struct tarn_span rest = tarn_writer_span(&w);
    cr_assert_eq(tarn_pem_next(&rest, &label, TARN_BYTES_ARRAY(out), &der), TARN_OK);
    cr_assert(tarn_span_equal(label, TARN_SPAN_LIT("ONE")));
    cr_assert(tarn_span_equal(der, TARN_SPAN_ARRAY(data)));
    cr_assert_eq(tarn_pem_next(&rest, &label, TARN_BYTES_ARRAY(out), &der), TARN_OK);
    cr_assert(tarn_span_equal(label, TARN_SPAN_LIT("TWO")));
    cr_assert_eq(tarn_pem_next(&rest, &label, TARN_BYTES_ARRAY(out), &der), TARN_NOT_FOUND);
}

Test(pem, a_block_must_end_as_it_began) {
    uint8_t out[20];
    struct tarn_span label, der;
    struct tarn_span text = TARN_SPAN_LIT("-----BEGIN A-----\nZg==\n-----END B-----\n");
    cr_assert_eq(tarn_pem_next(&text, &label, TARN_BYTES_ARRAY(out), &der), TARN_PEER);
    text = TARN_SPAN_LIT("-----BEGIN A-----\nZg==\n");
    cr_assert_eq(tarn_pem_next(&text, &label, TARN_BYTES_ARRAY(out), &der), TARN_PEER);
    text = TARN_SPAN_LIT("-----BEGIN A-----\nZm9vYg==\n-----END A-----");
    cr_assert_eq(tarn_pem_next(&text, &label, tarn_bytes_of(out, 3), &der), TARN_LIMIT);
}
