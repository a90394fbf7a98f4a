/* SPDX-License-Identifier: ISC */
#include <tarn/env.h>

uint32_t tarn_random_u32(struct tarn_random *r) {
    uint32_t v;
    tarn_random_fill(r, tarn_bytes_of(&v, sizeof v));
    return v;
}

uint64_t tarn_random_u64(struct tarn_random *r) {
    uint64_t v;
    tarn_random_fill(r, tarn_bytes_of(&v, sizeof v));
    return v;
}

/* Lemire's multiplication, rejecting the short last interval so that the result is uniform. */
uint32_t tarn_random_below(struct tarn_random *r, uint32_t bound) {
    TARN_ASSERT(bound > 0);
    uint32_t threshold = -bound % bound;
    for (;;) {
        uint64_t m = (uint64_t)tarn_random_u32(r) * bound;
        if ((uint32_t)m >= threshold)
            return (uint32_t)(m >> 32);
    }
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t seeded_next(struct tarn_random_seeded *r) {
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void seeded_fill(struct tarn_random *random, struct tarn_bytes out) {
    struct tarn_random_seeded *r = TARN_CONTAINER_OF(random, struct tarn_random_seeded, random);
    while (out.len) {
        uint64_t v = seeded_next(r);
        out = tarn_bytes_after(out, tarn_bytes_copy(out, tarn_span_of(&v, sizeof v)));
    }
}

static const struct tarn_random_ops seeded_ops = {.fill = seeded_fill};

void tarn_random_seeded_init(struct tarn_random_seeded *r, uint64_t seed) {
    *r = (struct tarn_random_seeded){.random = {&seeded_ops}, .state = seed};
}

void tarn_log_line(struct tarn_log *log, enum tarn_log_level level, const char *who,
                   struct tarn_span text) {
    if (tarn_log_wants(log, level))
        log->ops->line(log, level, who, text);
}
