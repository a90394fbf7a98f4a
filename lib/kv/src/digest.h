/* SPDX-License-Identifier: ISC */
/* digest.h: one digest for the values of every store: equal for equal values. It is fed in pieces
 * of DIGEST_PIECE bytes, the last one shorter, so a value that lies in pieces never has to be
 * whole. Four lanes of SipHash-2-4, each keyed by itself after the piece before; the keys at the
 * start are public and fixed, since clients keep digests. */
#ifndef TARN_KV_DIGEST_H
#define TARN_KV_DIGEST_H

#include <tarn/kv.h>

#define DIGEST_PIECE 512u

struct digest {
    uint64_t lanes[TARN_KV_DIGEST_BYTES / 8];
};
void digest_begin(struct digest *d);
void digest_add(struct digest *d, struct tarn_span piece);
void digest_end(const struct digest *d, uint8_t out[TARN_KV_DIGEST_BYTES]);

#endif
