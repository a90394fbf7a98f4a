/* SPDX-License-Identifier: ISC */
#include <tarn/digest.h>

/* The remainders of the sixteen half bytes, reflected: 0xedb88320 and 0x82f63b78. */
static const uint32_t crc32_half[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
static const uint32_t crc32c_half[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};

static uint32_t reflected(const uint32_t half[16], uint32_t crc, struct tarn_span data) {
    uint8_t byte;
    crc = ~crc;
    while (tarn_span_u8(&data, &byte)) {
        crc ^= byte;
        crc = crc >> 4 ^ TARN_AT_N(half, 16, crc & 15);
        crc = crc >> 4 ^ TARN_AT_N(half, 16, crc & 15);
    }
    return ~crc;
}

uint32_t tarn_crc32(uint32_t crc, struct tarn_span data) {
    return reflected(crc32_half, crc, data);
}

uint32_t tarn_crc32c(uint32_t crc, struct tarn_span data) {
    return reflected(crc32c_half, crc, data);
}

uint32_t tarn_crc24(uint32_t crc, struct tarn_span data) {
    uint8_t byte;
    while (tarn_span_u8(&data, &byte)) {
        crc ^= (uint32_t)byte << 16;
        for (int bit = 0; bit < 8; bit++) {
            crc <<= 1;
            if (crc & 0x1000000)
                crc ^= 0x1864cfb;
        }
    }
    return crc & 0xffffff;
}

uint32_t tarn_adler32(uint32_t adler, struct tarn_span data) {
    uint32_t a = adler & 0xffff, b = adler >> 16;
    while (data.len > 0) {
        /* So many that neither sum overflows before it is reduced. */
        struct tarn_span piece = tarn_span_first(data, 5552);
        uint8_t byte;
        data = tarn_span_after(data, piece.len);
        while (tarn_span_u8(&piece, &byte)) {
            a += byte;
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    return b << 16 | a;
}
