/* SPDX-License-Identifier: ISC */
#include "entropy.h"

#define RATE_BYTES 32u
#define WINDOW 512u

/* What a sample is said to be worth, and from which counts on that is not believed. */
static const struct kind {
    uint32_t eighths;
    uint16_t repeats_max, matches_max;
} kinds[] = {
    [ENTROPY_FULL] = {64, 4, 18},
    [ENTROPY_JITTER] = {1, 240, 506},
};

static void quarter(uint32_t x[16], unsigned a, unsigned b, unsigned c, unsigned d) {
#define ROTATED(v, n) (((v) << (n)) | ((v) >> (32 - (n))))
    x[a] += x[b], x[d] ^= x[a], x[d] = ROTATED(x[d], 16);
    x[c] += x[d], x[b] ^= x[c], x[b] = ROTATED(x[b], 12);
    x[a] += x[b], x[d] ^= x[a], x[d] = ROTATED(x[d], 8);
    x[c] += x[d], x[b] ^= x[c], x[b] = ROTATED(x[b], 7);
#undef ROTATED
}

/* Twenty rounds (RFC 8439, section 2.3) without the addition at their end. All zeroes would stay
 * zeroes, whence the constant. */
static void permute(uint32_t x[16]) {
    x[15] ^= 0x61707865;
    for (unsigned round = 0; round < 20; round += 2) {
        quarter(x, 0, 4, 8, 12), quarter(x, 1, 5, 9, 13);
        quarter(x, 2, 6, 10, 14), quarter(x, 3, 7, 11, 15);
        quarter(x, 0, 5, 10, 15), quarter(x, 1, 6, 11, 12);
        quarter(x, 2, 7, 8, 13), quarter(x, 3, 4, 9, 14);
    }
}

static void check(struct entropy_source *s, uint8_t sample) {
    const struct kind *kind = &TARN_AT(kinds, (unsigned)s->kind);
    s->repeats = s->samples && sample == s->last ? (uint16_t)(s->repeats + 1) : 1;
    s->last = sample;
    if (s->window == 0) {
        s->reference = sample;
        s->matches = 0;
    }
    s->matches = (uint16_t)(s->matches + (sample == s->reference));
    s->window = (uint16_t)((s->window + 1) % WINDOW);
    s->samples++;
    if (s->repeats > kind->repeats_max || s->matches > kind->matches_max)
        s->failed = true;
}

void entropy_add(struct entropy *e, struct entropy_source *source, struct tarn_span samples) {
    struct tarn_bytes rate = tarn_bytes_first(TARN_BYTES_ARRAY(e->state), RATE_BYTES);
    uint32_t worth = TARN_AT(kinds, (unsigned)source->kind).eighths, claimed = 0;
    uint8_t sample;
    size_t at = 0;
    while (tarn_span_u8(&samples, &sample)) {
        check(source, sample);
        claimed += worth;
        *tarn_bytes_at(rate, at) ^= sample;
        if (++at == RATE_BYTES) {
            permute(e->state);
            at = 0;
        }
    }
    if (at)
        permute(e->state);
    if (!source->failed)
        e->eighths += TARN_MIN(claimed, (1u << 30) - e->eighths);
}

bool entropy_is_ready(const struct entropy *e) {
    return e->eighths / 8 >= ENTROPY_BITS_WANTED;
}

void entropy_draw(struct entropy *e, struct tarn_bytes out) {
    struct tarn_bytes rate = tarn_bytes_first(TARN_BYTES_ARRAY(e->state), RATE_BYTES);
    while (out.len) {
        permute(e->state);
        size_t n = tarn_bytes_copy(out, tarn_bytes_span(rate));
        out = tarn_bytes_after(out, n);
    }
    permute(e->state);
    tarn_bytes_wipe(rate);
    permute(e->state);
    e->eighths = 0;
}
