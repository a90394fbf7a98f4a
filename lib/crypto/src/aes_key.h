/* SPDX-License-Identifier: ISC */
/* AES encryption keys for nettle's contexts, expanded without looking a table up. */
#ifndef TARN_CRYPTO_AES_KEY_H
#define TARN_CRYPTO_AES_KEY_H

#include <tarn/span.h>

/* FIPS 197 section 5.2: `key` has 16, 24 or 32 bytes, `words` has 44, 52 or 60 words in the byte
 * order of memory. False, and nothing done, where the processor has no AES instructions. */
bool aes_key_expand(uint32_t *words, size_t count, struct tarn_span key);

#endif
