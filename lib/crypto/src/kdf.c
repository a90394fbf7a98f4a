/* SPDX-License-Identifier: ISC */
#include <tarn/digest.h>
#include <tarn/writer.h>

/* The key, padded with zeros to a block and xored with `pad`, opens a hash. */
static void keyed(struct tarn_digest_ctx *c, const struct tarn_digest *alg, struct tarn_span key,
                  uint8_t pad) {
    uint8_t block[TARN_DIGEST_BLOCK_BYTES_MAX] = {0};
    tarn_bytes_copy(TARN_BYTES_ARRAY(block), key);
    for (size_t i = 0; i < alg->block_bytes; i++)
        TARN_AT(block, i) ^= pad;
    tarn_digest_init(c, alg);
    tarn_digest_update(c, tarn_span_of(block, alg->block_bytes));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
}

void tarn_hmac_init(struct tarn_hmac *h, const struct tarn_digest *alg, struct tarn_span key) {
    uint8_t hashed[TARN_DIGEST_BYTES_MAX];
    if (key.len > alg->block_bytes) {
        tarn_digest_of(alg, key, tarn_bytes_of(hashed, alg->digest_bytes));
        key = tarn_span_of(hashed, alg->digest_bytes);
    }
    keyed(&h->inner, alg, key, 0x36);
    keyed(&h->outer, alg, key, 0x5c);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(hashed));
}

void tarn_hmac_update(struct tarn_hmac *h, struct tarn_span data) {
    tarn_digest_update(&h->inner, data);
}

void tarn_hmac_final(struct tarn_hmac *h, struct tarn_bytes out) {
    uint8_t inner[TARN_DIGEST_BYTES_MAX];
    struct tarn_bytes whole = {inner, h->inner.alg->digest_bytes};
    tarn_digest_final(&h->inner, whole);
    tarn_digest_update(&h->outer, tarn_bytes_span(whole));
    tarn_digest_final(&h->outer, out);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(inner));
}

void tarn_hmac_of(const struct tarn_digest *alg, struct tarn_span key, struct tarn_span data,
                  struct tarn_bytes out) {
    struct tarn_hmac h;
    tarn_hmac_init(&h, alg, key);
    tarn_hmac_update(&h, data);
    tarn_hmac_final(&h, out);
    tarn_bytes_wipe(tarn_bytes_of(&h, sizeof h));
}

void tarn_hkdf_extract(const struct tarn_digest *alg, struct tarn_span salt, struct tarn_span ikm,
                       struct tarn_bytes prk) {
    TARN_ASSERT(prk.len == alg->digest_bytes);
    tarn_hmac_of(alg, salt, ikm, prk);
}

enum tarn_err tarn_hkdf_expand(const struct tarn_digest *alg, struct tarn_span prk,
                               struct tarn_span info, struct tarn_bytes out) {
    uint8_t block[TARN_DIGEST_BYTES_MAX];
    struct tarn_bytes t = {block, 0};
    struct tarn_hmac keyed_once, h;
    if (out.len > 255 * alg->digest_bytes)
        return TARN_INVALID;
    tarn_hmac_init(&keyed_once, alg, prk);
    for (uint8_t i = 1; out.len > 0; i++) {
        h = keyed_once;
        tarn_hmac_update(&h, tarn_bytes_span(t));
        tarn_hmac_update(&h, info);
        tarn_hmac_update(&h, tarn_span_of(&i, 1));
        t.len = alg->digest_bytes;
        tarn_hmac_final(&h, t);
        out = tarn_bytes_after(out, tarn_bytes_copy(out, tarn_bytes_span(t)));
    }
    tarn_bytes_wipe(tarn_bytes_of(&keyed_once, sizeof keyed_once));
    tarn_bytes_wipe(tarn_bytes_of(&h, sizeof h));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
    return TARN_OK;
}

static void pbkdf2_block(const struct tarn_hmac *keyed_once, struct tarn_span salt, uint32_t rounds,
                         uint32_t number, struct tarn_bytes sum) {
    uint8_t u[TARN_DIGEST_BYTES_MAX], be[4];
    struct tarn_bytes last = {u, sum.len};
    struct tarn_writer w = TARN_WRITER_ARRAY(be);
    struct tarn_hmac h = *keyed_once;
    tarn_writer_u32be(&w, number);
    tarn_hmac_update(&h, salt);
    tarn_hmac_update(&h, TARN_SPAN_ARRAY(be));
    tarn_hmac_final(&h, last);
    tarn_bytes_copy(sum, tarn_bytes_span(last));
    for (uint32_t round = 1; round < rounds; round++) {
        h = *keyed_once;
        tarn_hmac_update(&h, tarn_bytes_span(last));
        tarn_hmac_final(&h, last);
        for (size_t i = 0; i < sum.len; i++)
            *tarn_bytes_at(sum, i) ^= TARN_AT(u, i);
    }
    tarn_bytes_wipe(tarn_bytes_of(&h, sizeof h));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(u));
}

enum tarn_err tarn_pbkdf2(const struct tarn_digest *alg, struct tarn_span password,
                          struct tarn_span salt, uint32_t rounds, struct tarn_bytes out) {
    uint8_t block[TARN_DIGEST_BYTES_MAX];
    struct tarn_bytes sum = {block, alg->digest_bytes};
    struct tarn_hmac keyed_once;
    if (rounds == 0 || out.len / alg->digest_bytes >= UINT32_MAX)
        return TARN_INVALID;
    tarn_hmac_init(&keyed_once, alg, password);
    for (uint32_t number = 1; out.len > 0; number++) {
        pbkdf2_block(&keyed_once, salt, rounds, number, sum);
        out = tarn_bytes_after(out, tarn_bytes_copy(out, tarn_bytes_span(sum)));
    }
    tarn_bytes_wipe(tarn_bytes_of(&keyed_once, sizeof keyed_once));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
    return TARN_OK;
}
