/* SPDX-License-Identifier: ISC */
/* The two implementations of AEAD give the same at every length, in place and beside. */
#include <criterion/criterion.h>
#include <string.h>
#include <tarn/aead.h>

#define LEN_MAX 2100

static uint8_t text[LEN_MAX], one[LEN_MAX + 16], two[LEN_MAX + 16];

static void fill(uint8_t *p, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
}

static void compare(const struct tarn_aead *alg) {
    static struct tarn_aead_ctx slow, fast;
    uint8_t key[32], nonce[60], aad[70];
    size_t n;
    fill(text, sizeof text, 1);
    fill(key, sizeof key, 2);
    fill(nonce, sizeof nonce, 3);
    fill(aad, sizeof aad, 4);
    struct tarn_span k = tarn_span_of(key, alg->key_bytes);
    cr_assert_eq(tarn_aead_init(&slow, alg, k, 0), TARN_OK);
    cr_assert_eq(tarn_aead_init(&fast, tarn_aead_fastest(alg), k, 0), TARN_OK);
    for (size_t len = 0; len <= LEN_MAX; len += len < 700 ? 1 : 13) {
        bool odd = alg->nonce_bytes_max > 12 && len % 4 == 0;
        struct tarn_span iv = tarn_span_of(nonce, odd ? 1 + len % 60 : 12);
        struct tarn_span extra = tarn_span_of(aad, len % 70), plain = tarn_span_of(text, len);
        cr_assert_eq(tarn_aead_seal(&slow, iv, extra, plain, TARN_BYTES_ARRAY(one)), TARN_OK);
        cr_assert_eq(tarn_aead_seal(&fast, iv, extra, plain, TARN_BYTES_ARRAY(two)), TARN_OK);
        cr_assert_arr_eq(one, two, len + 16, "%zu bytes", len);
        memcpy(two, text, len);
        cr_assert_eq(
            tarn_aead_seal(&fast, iv, extra, tarn_span_of(two, len), TARN_BYTES_ARRAY(two)),
            TARN_OK);
        cr_assert_arr_eq(one, two, len + 16, "%zu bytes in place", len);
        two[len / 2] ^= 1;
        cr_assert_eq(tarn_aead_open(&fast, iv, extra, tarn_span_of(two, len + 16),
                                    TARN_BYTES_ARRAY(two), &n),
                     TARN_PEER);
        cr_assert_eq(tarn_aead_open(&fast, iv, extra, tarn_span_of(one, len + 16),
                                    TARN_BYTES_ARRAY(one), &n),
                     TARN_OK);
        cr_assert(n == len && !memcmp(one, text, len), "%zu bytes opened", len);
    }
}

Test(providers, aes_gcm_is_the_same) {
    compare(&tarn_aes128_gcm);
    compare(&tarn_aes256_gcm);
}

Test(providers, chacha20_poly1305_is_the_same) {
    compare(&tarn_chacha20_poly1305);
}

Test(providers, what_has_no_second_one_stays_what_it_is) {
    cr_assert_eq(tarn_aead_fastest(&tarn_aes192_gcm), &tarn_aes192_gcm);
    cr_assert_eq(tarn_aead_fastest(&tarn_aes128_ccm), &tarn_aes128_ccm);
}
