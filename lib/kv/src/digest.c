/* SPDX-License-Identifier: ISC */
#include "digest.h"

#include <tarn/hash.h>
#include <tarn/kv_impl.h>
#include <tarn/writer.h>

void digest_begin(struct digest *d) {
    for (uint64_t i = 0; i < TARN_COUNT_OF(d->lanes); i++)
        TARN_AT(d->lanes, i) = 0x7461726e2d6b7631u + i;
}

void digest_add(struct digest *d, struct tarn_span piece) {
    for (uint64_t i = 0; i < TARN_COUNT_OF(d->lanes); i++) {
        struct tarn_hash_key key = {TARN_AT(d->lanes, i), 0x6469676573742d31u ^ (i << 32)};
        TARN_AT(d->lanes, i) = tarn_hash(&key, piece);
    }
}

void digest_end(const struct digest *d, uint8_t out[TARN_KV_DIGEST_BYTES]) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(out, TARN_KV_DIGEST_BYTES));
    for (size_t i = 0; i < TARN_COUNT_OF(d->lanes); i++)
        tarn_writer_u64be(&w, TARN_AT(d->lanes, i));
    TARN_ASSERT(tarn_writer_ok(&w));
}

enum tarn_err tarn_kv_digest_by_reading(struct tarn_kv *kv, struct tarn_span key,
                                        uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    uint8_t piece[DIGEST_PIECE];
    uint64_t offset = 0;
    struct digest d;
    size_t n;
    digest_begin(&d);
    do {
        enum tarn_err err = kv->ops->get_partial(kv, key, offset, TARN_BYTES_ARRAY(piece), &n);
        if (err)
            return err;
        /* Of a value whose last piece is full, nothing more is fed. */
        if (n || !offset)
            digest_add(&d, tarn_span_first(TARN_SPAN_ARRAY(piece), n));
        offset += n;
    } while (n == DIGEST_PIECE);
    digest_end(&d, digest);
    return TARN_OK;
}
