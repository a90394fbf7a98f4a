/* SPDX-License-Identifier: ISC */
/* tarn/fortuna.h: the generator Fortuna (Ferguson and Schneier, Practical Cryptography, chapter
 * 10): AES-256 in counter mode, 32 pools of SHA-256, a key that is replaced after every request.
 *
 * Never allocates, blocks or reads a clock. It is a struct tarn_random, so everything that takes
 * one takes it. It must be seeded before the first use: filling from an unseeded generator traps.
 * One thread per generator. A program that is copied (a VM snapshot) must add entropy afterwards.
 */
#ifndef TARN_FORTUNA_H
#define TARN_FORTUNA_H

#include <tarn/digest.h>
#include <tarn/env.h>

#define TARN_FORTUNA_POOLS 32
#define TARN_FORTUNA_POOL_BYTES_MIN 64           /* in pool 0 before it reseeds */
#define TARN_FORTUNA_RESEED_NS TARN_MS(100)      /* the least time between two reseeds */
#define TARN_FORTUNA_REQUEST_BYTES_MAX (1 << 20) /* from one key; more is made with several */

struct tarn_fortuna {
    struct tarn_random random;
    uint8_t key[32];
    struct {
        uint64_t low, high;
    } counter; /* 0: never seeded */
    struct tarn_digest_ctx pools[TARN_FORTUNA_POOLS];
    uint64_t pool0_bytes;
    uint64_t reseeds;
    tarn_time reseeded_at;
    uint8_t next_pool;
};

void tarn_fortuna_init(struct tarn_fortuna *f);
/* Mixes bytes straight into the key: what a seed at start (at least 32 bytes of real entropy) is
 * for. */
void tarn_fortuna_seed(struct tarn_fortuna *f, struct tarn_span seed);
/* An event of 1 to 32 bytes from a source (a number of the caller's choice), spread over the pools
 * in turn. Reseeds when pool 0 has enough and the last time is long enough ago. */
void tarn_fortuna_add(struct tarn_fortuna *f, uint8_t source, struct tarn_span event,
                      tarn_time now);
static inline bool tarn_fortuna_is_seeded(const struct tarn_fortuna *f) {
    return (f->counter.low | f->counter.high) != 0;
}

#endif
