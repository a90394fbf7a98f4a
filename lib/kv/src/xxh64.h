/* SPDX-License-Identifier: ISC */
/* xxh64.h: XXH64 (Collet, xxHash specification 0.1.1): 64 bits that tell damaged pages and torn
 * records apart from whole ones. Fast without special instructions; not for security. */
#ifndef TARN_KV_XXH64_H
#define TARN_KV_XXH64_H

#include <tarn/span.h>

uint64_t xxh64(struct tarn_span data, uint64_t seed);

#endif
