/* SPDX-License-Identifier: ISC */
/* Linked in front of a platform: one that has no entropy. */
#include "platform.h"

enum tarn_err tarn_platform_entropy(struct tarn_bytes out) {
    tarn_bytes_fill(out, 0x55); /* nothing may be keyed from this */
    return TARN_UNSUPPORTED;
}
