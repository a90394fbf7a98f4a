/* SPDX-License-Identifier: ISC */
/* tarn/byteorder.h: numbers as bytes, below tarn/span.h and tarn/writer.h, which check the bounds.
 *
 * Byte for byte, so that no alignment or order of the machine is supposed; a compiler makes one
 * load or store of each, and a swap where there is one to do.
 */
#ifndef TARN_BYTEORDER_H
#define TARN_BYTEORDER_H

#include <tarn/compiler.h>

/* Big-endian numbers in memory to the machine's own, and back. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TARN_BE16_ __builtin_bswap16
#define TARN_BE32_ __builtin_bswap32
#define TARN_BE64_ __builtin_bswap64
#else
#error "Tarn runs on little-endian machines: big-endian ones are untested"
#endif

/* A look at the pointer before each byte would keep the compiler from that. */
#define TARN_BYTES_ __attribute__((no_sanitize("null")))

TARN_UNSAFE_BEGIN

static inline TARN_BYTES_ uint16_t tarn_load_u16be(const uint8_t *p) {
    return (uint16_t)((uint32_t)p[0] << 8 | p[1]);
}
static inline TARN_BYTES_ uint32_t tarn_load_u32be(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline TARN_BYTES_ uint64_t tarn_load_u64be(const uint8_t *p) {
    return (uint64_t)tarn_load_u32be(p) << 32 | tarn_load_u32be(p + 4);
}
static inline TARN_BYTES_ uint16_t tarn_load_u16le(const uint8_t *p) {
    return (uint16_t)((uint32_t)p[1] << 8 | p[0]);
}
static inline TARN_BYTES_ uint32_t tarn_load_u32le(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}
static inline TARN_BYTES_ uint64_t tarn_load_u64le(const uint8_t *p) {
    return (uint64_t)tarn_load_u32le(p + 4) << 32 | tarn_load_u32le(p);
}

static inline TARN_BYTES_ void tarn_store_u16be(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline TARN_BYTES_ void tarn_store_u32be(uint8_t *p, uint32_t v) {
    tarn_store_u16be(p, (uint16_t)(v >> 16));
    tarn_store_u16be(p + 2, (uint16_t)v);
}
static inline TARN_BYTES_ void tarn_store_u64be(uint8_t *p, uint64_t v) {
    tarn_store_u32be(p, (uint32_t)(v >> 32));
    tarn_store_u32be(p + 4, (uint32_t)v);
}
static inline TARN_BYTES_ void tarn_store_u16le(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline TARN_BYTES_ void tarn_store_u32le(uint8_t *p, uint32_t v) {
    tarn_store_u16le(p, (uint16_t)v);
    tarn_store_u16le(p + 2, (uint16_t)(v >> 16));
}
static inline TARN_BYTES_ void tarn_store_u64le(uint8_t *p, uint64_t v) {
    tarn_store_u32le(p, (uint32_t)v);
    tarn_store_u32le(p + 4, (uint32_t)(v >> 32));
}

TARN_UNSAFE_END

#undef TARN_BYTES_

#endif
