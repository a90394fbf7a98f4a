/* SPDX-License-Identifier: ISC */
/* nettle 3.8 expands AES keys with a table of 256 bytes, also where it then encrypts with the
 * processor's instructions. One of those gives the S-box without a table. */
#include "aes_key.h"

#include <tarn/cipher.h>

/* The S-box on four bytes. The compiler's header for the instruction wants a C library. Some
 * targets are compiled for general registers only, whence the attribute. */
__attribute__((target("sse2"))) static uint32_t sub_word(uint32_t word) {
    uint32_t out;
    __asm__("movd %1, %%xmm0\n\t"
            "pshufd $0, %%xmm0, %%xmm0\n\t"
            "aeskeygenassist $0, %%xmm0, %%xmm0\n\t"
            "movd %%xmm0, %0"
            : "=r"(out)
            : "r"(word)
            : "xmm0");
    return out;
}

bool aes_key_expand(uint32_t *words, size_t count, struct tarn_span key) {
    size_t nk = key.len / 4;
    uint32_t rcon = 1;
    if (!tarn_aes_is_constant_time())
        return false;
    for (size_t i = 0; i < count; i++) {
        uint32_t w;
        if (tarn_span_u32le(&key, &w)) {
            TARN_AT_N(words, count, i) = w;
            continue;
        }
        w = TARN_AT_N(words, count, i - 1);
        if (i % nk == 0) {
            w = sub_word(w >> 8 | w << 24) ^ rcon;
            rcon = rcon << 1 ^ (rcon >> 7) * 0x11b;
        } else if (nk > 6 && i % nk == 4) {
            w = sub_word(w);
        }
        TARN_AT_N(words, count, i) = TARN_AT_N(words, count, i - nk) ^ w;
    }
    return true;
}
