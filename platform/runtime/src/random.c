/* SPDX-License-Identifier: ISC */
/* The generator behind tarn_env_random: ChaCha20 keystream (RFC 8439 section 2.3) with key erasure.
 *
 * Each refill makes eight blocks from the current key: the first half block becomes the next key,
 * the rest is given out and wiped byte for byte as it is. So whoever reads the state later learns
 * nothing of what was given out before (forward secrecy). It is seeded once, from the platform;
 * nothing is mixed in afterwards, so whoever reads the state knows what comes from then on. */
#include "internal.h"

#define BLOCK_WORDS 16u
#define BLOCK_BYTES 64u
#define KEY_BYTES 32u

static void quarter(uint32_t x[BLOCK_WORDS], unsigned a, unsigned b, unsigned c, unsigned d) {
#define ROTATED(v, n) (((v) << (n)) | ((v) >> (32 - (n))))
    x[a] += x[b], x[d] ^= x[a], x[d] = ROTATED(x[d], 16);
    x[c] += x[d], x[b] ^= x[c], x[b] = ROTATED(x[b], 12);
    x[a] += x[b], x[d] ^= x[a], x[d] = ROTATED(x[d], 8);
    x[c] += x[d], x[b] ^= x[c], x[b] = ROTATED(x[b], 7);
#undef ROTATED
}

/* Nonce zero: a key makes one run of blocks and is gone. */
static void block(const uint32_t key[8], uint32_t counter, uint32_t out[BLOCK_WORDS]) {
    uint32_t start[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0], key[1],
                                   key[2],     key[3],     key[4],     key[5],     key[6], key[7],
                                   counter,    0,          0,          0};
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        out[i] = start[i];
    for (unsigned round = 0; round < 20; round += 2) {
        quarter(out, 0, 4, 8, 12), quarter(out, 1, 5, 9, 13);
        quarter(out, 2, 6, 10, 14), quarter(out, 3, 7, 11, 15);
        quarter(out, 0, 5, 10, 15), quarter(out, 1, 6, 11, 12);
        quarter(out, 2, 7, 8, 13), quarter(out, 3, 4, 9, 14);
    }
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        out[i] += start[i];
    tarn_bytes_wipe(TARN_BYTES_ARRAY(start));
}

static void refill(struct drbg *d) {
    uint32_t words[BLOCK_WORDS];
    struct tarn_bytes pool = TARN_BYTES_ARRAY(d->pool);
    uint32_t key[8];
    _Static_assert((sizeof d->pool + KEY_BYTES) % BLOCK_BYTES == 0, "whole blocks");
    tarn_bytes_copy(TARN_BYTES_ARRAY(key), TARN_SPAN_ARRAY(d->key));
    for (uint32_t counter = 0; pool.len > 0; counter++) {
        block(key, counter, words);
        struct tarn_span made = TARN_SPAN_ARRAY(words);
        if (counter == 0) {
            tarn_bytes_copy(TARN_BYTES_ARRAY(d->key), made);
            made = tarn_span_after(made, KEY_BYTES);
        }
        pool = tarn_bytes_after(pool, tarn_bytes_copy(pool, made));
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(key));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(words));
    d->used = 0;
}

static void fill(struct tarn_random *r, struct tarn_bytes out) {
    struct drbg *d = TARN_CONTAINER_OF(r, struct drbg, random);
    while (out.len > 0) {
        if (d->used == sizeof d->pool)
            refill(d);
        struct tarn_bytes left = tarn_bytes_after(TARN_BYTES_ARRAY(d->pool), d->used);
        size_t n = tarn_bytes_copy(out, tarn_bytes_span(left));
        tarn_bytes_wipe(tarn_bytes_first(left, n));
        d->used += n;
        out = tarn_bytes_after(out, n);
    }
}

enum tarn_err tarn_runtime_random(struct tarn_env *env, struct tarn_random **out) {
    static const struct tarn_random_ops ops = {.fill = fill};
    struct drbg *d = &env->drbg;
    if (!d->seeded) {
        enum tarn_err err = tarn_platform_entropy(TARN_BYTES_ARRAY(d->key));
        if (err) {
            tarn_platform_console(
                TARN_SPAN_LIT("no entropy: this platform has no source of randomness, and what "
                              "this program does is not safe without\n"));
            return TARN_UNSUPPORTED;
        }
        d->random.ops = &ops;
        d->used = sizeof d->pool;
        d->seeded = true;
    }
    *out = &d->random;
    return TARN_OK;
}

struct tarn_random *tarn_env_random(struct tarn_env *env) {
    struct tarn_random *random = NULL;
    if (tarn_runtime_random(env, &random))
        tarn_platform_exit(1);
    return random;
}
