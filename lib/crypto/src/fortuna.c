/* SPDX-License-Identifier: ISC */
#include <tarn/cipher.h>
#include <tarn/fortuna.h>

static void count(struct tarn_fortuna *f) {
    if (++f->counter.low == 0)
        f->counter.high++;
}

/* Whole blocks of key stream into `out`, and the rest of the last one is thrown away. */
static void blocks(struct tarn_fortuna *f, struct tarn_bytes out) {
    struct tarn_cipher_ctx aes;
    uint8_t block[16];
    TARN_ASSERT(
        tarn_cipher_init(&aes, &tarn_aes256_ecb, TARN_SPAN_ARRAY(f->key), TARN_SPAN_EMPTY, true)
        == TARN_OK);
    while (out.len > 0) {
        TARN_ASSERT(tarn_cipher_crypt(&aes, TARN_BYTES_ARRAY(block),
                                      tarn_span_of(&f->counter, sizeof f->counter))
                    == TARN_OK);
        count(f);
        out = tarn_bytes_after(out, tarn_bytes_copy(out, TARN_SPAN_ARRAY(block)));
    }
    tarn_bytes_wipe(tarn_bytes_of(&aes, sizeof aes));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
}

static void fill(struct tarn_random *random, struct tarn_bytes out) {
    struct tarn_fortuna *f = TARN_CONTAINER_OF(random, struct tarn_fortuna, random);
    uint8_t key[32];
    TARN_ASSERT(tarn_fortuna_is_seeded(f));
    while (out.len > 0) {
        struct tarn_bytes part = tarn_bytes_first(out, TARN_FORTUNA_REQUEST_BYTES_MAX);
        blocks(f, part);
        /* A new key at once: whoever takes the state later cannot go back. */
        blocks(f, TARN_BYTES_ARRAY(key));
        tarn_bytes_copy(TARN_BYTES_ARRAY(f->key), TARN_SPAN_ARRAY(key));
        out = tarn_bytes_after(out, part.len);
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(key));
}

void tarn_fortuna_init(struct tarn_fortuna *f) {
    static const struct tarn_random_ops ops = {fill};
    *f = (struct tarn_fortuna){.random = {&ops}};
    for (size_t i = 0; i < TARN_FORTUNA_POOLS; i++)
        tarn_digest_init(&TARN_AT(f->pools, i), &tarn_sha256);
}

/* SHA-256 twice, so that a digest's length extension is of no use. */
static void twice(struct tarn_digest_ctx *c, uint8_t out[32]) {
    tarn_digest_final(c, tarn_bytes_of(out, 32));
    tarn_digest_of(&tarn_sha256, tarn_span_of(out, 32), tarn_bytes_of(out, 32));
}

void tarn_fortuna_seed(struct tarn_fortuna *f, struct tarn_span seed) {
    struct tarn_digest_ctx c;
    tarn_digest_init(&c, &tarn_sha256);
    tarn_digest_update(&c, TARN_SPAN_ARRAY(f->key));
    tarn_digest_update(&c, seed);
    twice(&c, f->key);
    count(f);
}

static void reseed(struct tarn_fortuna *f, tarn_time now) {
    uint8_t seed[32 * TARN_FORTUNA_POOLS];
    size_t used = 0;
    f->reseeds++;
    f->reseeded_at = now;
    f->pool0_bytes = 0;
    /* Pool i in every 2^i-th reseed: some pool gathers faster than any attacker can follow. */
    for (size_t i = 0; i < TARN_FORTUNA_POOLS && f->reseeds % ((uint64_t)1 << i) == 0; i++) {
        uint8_t digest[32];
        twice(&TARN_AT(f->pools, i), digest);
        tarn_bytes_copy(tarn_bytes_after(TARN_BYTES_ARRAY(seed), used), TARN_SPAN_ARRAY(digest));
        used += sizeof digest;
    }
    tarn_fortuna_seed(f, tarn_span_of(seed, used));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(seed));
}

void tarn_fortuna_add(struct tarn_fortuna *f, uint8_t source, struct tarn_span event,
                      tarn_time now) {
    TARN_ASSERT(event.len >= 1 && event.len <= 32);
    uint8_t head[2] = {source, (uint8_t)event.len};
    struct tarn_digest_ctx *pool = &TARN_AT(f->pools, f->next_pool);
    tarn_digest_update(pool, TARN_SPAN_ARRAY(head));
    tarn_digest_update(pool, event);
    if (f->next_pool == 0)
        f->pool0_bytes += event.len;
    f->next_pool = (uint8_t)((f->next_pool + 1) % TARN_FORTUNA_POOLS);
    if (f->pool0_bytes >= TARN_FORTUNA_POOL_BYTES_MIN
        && (f->reseeds == 0 || now - f->reseeded_at >= TARN_FORTUNA_RESEED_NS))
        reseed(f, now);
}
