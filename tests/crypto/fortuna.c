/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/cipher.h>
#include <tarn/fortuna.h>

static struct tarn_fortuna f, g;

static void fresh(struct tarn_fortuna *x) {
    tarn_fortuna_init(x);
    tarn_fortuna_seed(x, TARN_SPAN_LIT("0123456789abcdef0123456789abcdef"));
}

Test(fortuna, the_same_seed_gives_the_same_bytes_and_another_others) {
    uint8_t a[100], b[100];
    fresh(&f);
    fresh(&g);
    tarn_random_fill(&f.random, TARN_BYTES_ARRAY(a));
    tarn_random_fill(&g.random, TARN_BYTES_ARRAY(b));
    cr_assert_arr_eq(a, b, sizeof a);
    tarn_fortuna_seed(&g, TARN_SPAN_LIT("x"));
    tarn_random_fill(&f.random, TARN_BYTES_ARRAY(a));
    tarn_random_fill(&g.random, TARN_BYTES_ARRAY(b));
    cr_assert_neq(memcmp(a, b, sizeof a), 0);
}

/* AES-256 over a little-endian counter from 1, under SHA-256 twice of the old key and the seed. */
Test(fortuna, the_first_bytes_are_what_the_book_says) {
    uint8_t key[64] = {0}, counter[16] = {1}, want[16], got[16];
    struct tarn_cipher_ctx aes;
    tarn_bytes_copy(tarn_bytes_after(TARN_BYTES_ARRAY(key), 32),
                    TARN_SPAN_LIT("0123456789abcdef0123456789abcdef"));
    tarn_digest_of(&tarn_sha256, TARN_SPAN_ARRAY(key), tarn_bytes_of(key, 32));
    tarn_digest_of(&tarn_sha256, tarn_span_of(key, 32), tarn_bytes_of(key, 32));
    cr_assert_eq(
        tarn_cipher_init(&aes, &tarn_aes256_ecb, tarn_span_of(key, 32), TARN_SPAN_EMPTY, true),
        TARN_OK);
    cr_assert_eq(tarn_cipher_crypt(&aes, TARN_BYTES_ARRAY(want), TARN_SPAN_ARRAY(counter)),
                 TARN_OK);
    fresh(&f);
    tarn_random_fill(&f.random, TARN_BYTES_ARRAY(got));
    cr_assert_arr_eq(want, got, 16);
}

Test(fortuna, the_key_is_replaced_by_each_request) {
    uint8_t before[32], byte;
    fresh(&f);
    tarn_bytes_copy(TARN_BYTES_ARRAY(before), TARN_SPAN_ARRAY(f.key));
    tarn_random_fill(&f.random, tarn_bytes_of(&byte, 1));
    cr_assert_neq(memcmp(before, f.key, 32), 0);
}

Test(fortuna, pools_reseed_in_turn_and_not_too_often) {
    tarn_time now = TARN_SEC(1);
    fresh(&f);
    for (int round = 0; round < 4 * 32; round++)
        tarn_fortuna_add(&f, 1, TARN_SPAN_LIT("sixteen bytes..."), now);
    cr_assert_eq(f.reseeds, 1);
    for (int round = 0; round < 4 * 32; round++)
        tarn_fortuna_add(&f, 1, TARN_SPAN_LIT("sixteen bytes..."), now + TARN_MS(50));
    cr_assert_eq(f.reseeds, 1);
    for (int round = 0; round < 32; round++)
        tarn_fortuna_add(&f, 1, TARN_SPAN_LIT("sixteen bytes..."), now + TARN_MS(100));
    cr_assert_eq(f.reseeds, 2);
}

Test(fortuna, what_was_never_seeded_traps, .signal = SIGILL) {
    uint8_t byte;
    tarn_fortuna_init(&f);
    tarn_random_fill(&f.random, tarn_bytes_of(&byte, 1));
}
