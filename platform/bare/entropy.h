/* SPDX-License-Identifier: ISC */
/* entropy.h: makes one good seed of several sources that may each be bad. Every byte goes through
 * its source's health tests (NIST SP 800-90B, section 4.4: repetition count and adaptive
 * proportion, at one false alarm in 2^30) and then into a sponge over the ChaCha permutation, with
 * a capacity of 256 bits. A source that fails is mixed in all the same, and counts for nothing. */
#ifndef TARN_BARE_ENTROPY_H
#define TARN_BARE_ENTROPY_H

#include <tarn/span.h>

enum entropy_kind {
    ENTROPY_FULL,   /* a generator of the machine's: 8 bits a byte */
    ENTROPY_JITTER, /* the low byte of how long something took: an eighth of a bit */
};

struct entropy_source {
    enum entropy_kind kind;
    bool failed;             /* for good */
    uint8_t last, reference; /* the sample before; the one that its window counts */
    uint16_t repeats, window, matches;
    uint64_t samples;
};

#define ENTROPY_BITS_WANTED 256u
struct entropy {
    uint32_t state[16];
    uint32_t eighths; /* of a bit, that the healthy sources claim */
};

void entropy_add(struct entropy *e, struct entropy_source *source, struct tarn_span samples);
bool entropy_is_ready(const struct entropy *e);
/* Fills `out`, and goes on from a state that does not tell what it was. */
void entropy_draw(struct entropy *e, struct tarn_bytes out);

#endif
