/* SPDX-License-Identifier: ISC */
#include "xxh64.h"

#define P1 0x9e3779b185ebca87u
#define P2 0xc2b2ae3d27d4eb4fu
#define P3 0x165667b19e3779f9u
#define P4 0x85ebca77c2b2ae63u
#define P5 0x27d4eb2f165667c5u

static uint64_t rotl(uint64_t x, unsigned n) {
    return x << n | x >> (64 - n);
}

static uint64_t mix(uint64_t acc, uint64_t lane) {
    return rotl(acc + lane * P2, 31) * P1;
}

static uint64_t join(uint64_t h, uint64_t acc) {
    return (h ^ mix(0, acc)) * P1 + P4;
}

/* Stripes of 32 bytes, in four lanes. */
static uint64_t stripes(struct tarn_span *data, uint64_t seed) {
    uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
    struct {
        uint64_t a, b, c, d;
    } lanes;
    while (tarn_span_copy(data, &lanes, sizeof lanes)) {
        a = mix(a, lanes.a);
        b = mix(b, lanes.b);
        c = mix(c, lanes.c);
        d = mix(d, lanes.d);
    }
    uint64_t h = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
    return join(join(join(join(h, a), b), c), d);
}

uint64_t xxh64(struct tarn_span data, uint64_t seed) {
    size_t len = data.len;
    uint64_t h = len >= 32 ? stripes(&data, seed) : seed + P5, lane;
    uint32_t half;
    uint8_t byte;
    h += len;
    while (tarn_span_u64le(&data, &lane))
        h = rotl(h ^ mix(0, lane), 27) * P1 + P4;
    if (tarn_span_u32le(&data, &half))
        h = rotl(h ^ half * P1, 23) * P2 + P3;
    while (tarn_span_u8(&data, &byte))
        h = rotl(h ^ byte * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}
