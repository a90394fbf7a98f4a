/* SPDX-License-Identifier: ISC */
#include <nettle/md5.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <nettle/sha3.h>
#include <tarn/digest.h>

#define DIGEST(id, text, nettle, bytes, block)                                                     \
    _Static_assert(sizeof(struct nettle##_ctx) <= TARN_DIGEST_STATE_WORDS * 8, "fits");            \
    static void of_##id##_init(struct tarn_digest_ctx *c) {                                        \
        nettle##_init((struct nettle##_ctx *)c->state);                                            \
    }                                                                                              \
    static void of_##id##_update(struct tarn_digest_ctx *c, struct tarn_span data) {               \
        nettle##_update((struct nettle##_ctx *)c->state, data.len, data.ptr);                      \
    }                                                                                              \
    static void of_##id##_final(struct tarn_digest_ctx *c, size_t len, uint8_t *out) {             \
        nettle##_digest((struct nettle##_ctx *)c->state, len, out);                                \
    }                                                                                              \
    const struct tarn_digest tarn_##id = {                                                         \
        text, bytes, block, of_##id##_init, of_##id##_update, of_##id##_final};

DIGEST(md5, "md5", md5, 16, 64)
DIGEST(sha1, "sha1", sha1, 20, 64)
DIGEST(sha224, "sha224", sha224, 28, 64)
DIGEST(sha256, "sha256", sha256, 32, 64)
DIGEST(sha384, "sha384", sha384, 48, 128)
DIGEST(sha512, "sha512", sha512, 64, 128)
DIGEST(sha512_224, "sha512-224", sha512_224, 28, 128)
DIGEST(sha512_256, "sha512-256", sha512_256, 32, 128)
DIGEST(sha3_224, "sha3-224", sha3_224, 28, 144)
DIGEST(sha3_256, "sha3-256", sha3_256, 32, 136)
DIGEST(sha3_384, "sha3-384", sha3_384, 48, 104)
DIGEST(sha3_512, "sha3-512", sha3_512, 64, 72)

const struct tarn_digest *tarn_digest_named(struct tarn_span name) {
    static const struct tarn_digest *const all[] = {
        &tarn_md5,      &tarn_sha1,       &tarn_sha224,     &tarn_sha256,   &tarn_sha384,
        &tarn_sha512,   &tarn_sha512_224, &tarn_sha512_256, &tarn_sha3_224, &tarn_sha3_256,
        &tarn_sha3_384, &tarn_sha3_512,   &tarn_blake2b,    &tarn_blake2s};
    for (size_t i = 0; i < TARN_COUNT_OF(all); i++)
        if (tarn_span_equal(name, tarn_span_str(TARN_AT(all, i)->name)))
            return TARN_AT(all, i);
    return NULL;
}

void tarn_digest_init(struct tarn_digest_ctx *c, const struct tarn_digest *alg) {
    c->alg = alg;
    alg->init(c);
}

void tarn_digest_update(struct tarn_digest_ctx *c, struct tarn_span data) {
    if (data.len)
        c->alg->update(c, data);
}

void tarn_digest_final(struct tarn_digest_ctx *c, struct tarn_bytes out) {
    TARN_ASSERT(out.len <= c->alg->digest_bytes);
    c->alg->final(c, out.len, out.ptr);
}

void tarn_digest_of(const struct tarn_digest *alg, struct tarn_span data, struct tarn_bytes out) {
    struct tarn_digest_ctx c;
    tarn_digest_init(&c, alg);
    tarn_digest_update(&c, data);
    tarn_digest_final(&c, out);
}

bool tarn_equal_ct(struct tarn_span a, struct tarn_span b) {
    uint32_t differs = 0;
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        differs |= tarn_span_at(a, i) ^ tarn_span_at(b, i);
    return differs == 0;
}
