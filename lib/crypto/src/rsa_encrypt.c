/* SPDX-License-Identifier: ISC */
/* RSAES-PKCS1-v1_5 and RSAES-OAEP (RFC 8017 section 7). Unpadding looks at every byte alike, and
 * the one branch is on the whole verdict. */
#include "internal.h"
#include "rsa.h"

enum tarn_err tarn_rsa_pkcs1_encrypt(const struct tarn_public_key *key, struct tarn_random *random,
                                     struct tarn_span message, struct tarn_bytes out) {
    uint8_t em[RSA_BYTES_MAX];
    size_t bytes = rsa_bytes(key);
    struct tarn_writer w = {em, 0, bytes};
    if (key->type != TARN_PK_RSA || tarn_public_key_check(key) || out.len != bytes
        || message.len + 11 > bytes)
        return TARN_INVALID;
    tarn_writer_u16be(&w, 2);
    for (size_t i = 0; i < bytes - message.len - 3; i++)
        tarn_writer_u8(&w, (uint8_t)(1 + tarn_random_below(random, 255)));
    tarn_writer_u8(&w, 0);
    tarn_writer_span_put(&w, message);
    return rsa_public_op(key, tarn_span_of(em, bytes), out);
}

/* All ones where a == b, and otherwise zero. */
static uint32_t same(uint32_t a, uint32_t b) {
    uint32_t d = a ^ b;
    return ((d | (0 - d)) >> 31) - 1;
}

enum tarn_err tarn_rsa_pkcs1_decrypt(const struct tarn_private_key *key, struct tarn_random *random,
                                     struct tarn_span in, struct tarn_bytes out, size_t *len) {
    uint8_t em[RSA_BYTES_MAX];
    size_t bytes = rsa_bytes(&key->pub);
    if (key->pub.type != TARN_PK_RSA || bytes > sizeof em)
        return TARN_INVALID;
    if (in.len != bytes)
        return TARN_PEER;
    enum tarn_err err = rsa_private_op(key, random, in, tarn_bytes_of(em, bytes));
    if (err)
        return err;
    uint32_t good = same(TARN_AT(em, 0), 0) & same(TARN_AT(em, 1), 2), found = 0, at = 0;
    for (size_t i = 2; i < bytes; i++) {
        uint32_t zero = same(TARN_AT(em, i), 0);
        at |= ~found & zero & (uint32_t)i;
        found |= zero;
    }
    good &= found & ~(((at - 10) >> 31) * 0xffffffff); /* eight bytes of padding at least */
    if (good) {
        struct tarn_span message = tarn_span_after(tarn_span_of(em, bytes), at + 1);
        *len = message.len;
        err = message.len <= out.len ? TARN_OK : TARN_INVALID;
        tarn_bytes_copy(out, message);
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(em));
    return good ? err : TARN_PEER;
}

enum tarn_err tarn_rsa_oaep_encrypt(const struct tarn_public_key *key,
                                    const struct tarn_digest *digest, struct tarn_random *random,
                                    struct tarn_span label, struct tarn_span message,
                                    struct tarn_bytes out) {
    uint8_t em[RSA_BYTES_MAX] = {0};
    size_t bytes = rsa_bytes(key), hash = digest->digest_bytes;
    if (key->type != TARN_PK_RSA || tarn_public_key_check(key) || out.len != bytes
        || message.len + 2 * hash + 2 > bytes)
        return TARN_INVALID;
    struct tarn_bytes seed = {&TARN_AT(em, 1), hash};
    struct tarn_bytes db = tarn_bytes_after(tarn_bytes_of(em, bytes), 1 + hash);
    struct tarn_bytes tail = tarn_bytes_after(db, db.len - message.len - 1);
    tarn_digest_of(digest, label, tarn_bytes_first(db, hash));
    *tarn_bytes_at(tail, 0) = 1;
    tarn_bytes_copy(tarn_bytes_after(tail, 1), message);
    tarn_random_fill(random, seed);
    rsa_mask(digest, tarn_bytes_span(seed), db);
    rsa_mask(digest, tarn_bytes_span(db), seed);
    return rsa_public_op(key, tarn_span_of(em, bytes), out);
}

enum tarn_err tarn_rsa_oaep_decrypt(const struct tarn_private_key *key,
                                    const struct tarn_digest *digest, struct tarn_random *random,
                                    struct tarn_span label, struct tarn_span in,
                                    struct tarn_bytes out, size_t *len) {
    uint8_t em[RSA_BYTES_MAX], want[TARN_DIGEST_BYTES_MAX];
    size_t bytes = rsa_bytes(&key->pub), hash = digest->digest_bytes;
    if (key->pub.type != TARN_PK_RSA || bytes > sizeof em || bytes < 2 * hash + 2)
        return TARN_INVALID;
    if (in.len != bytes)
        return TARN_PEER;
    enum tarn_err err = rsa_private_op(key, random, in, tarn_bytes_of(em, bytes));
    if (err)
        return err;
    struct tarn_bytes seed = {&TARN_AT(em, 1), hash};
    struct tarn_bytes db = tarn_bytes_after(tarn_bytes_of(em, bytes), 1 + hash);
    rsa_mask(digest, tarn_bytes_span(db), seed);
    rsa_mask(digest, tarn_bytes_span(seed), db);
    tarn_digest_of(digest, label, tarn_bytes_of(want, hash));
    uint32_t bad = TARN_AT(em, 0), found = 0, at = 0;
    for (size_t i = 0; i < hash; i++)
        bad |= *tarn_bytes_at(db, i) ^ TARN_AT(want, i);
    for (size_t i = hash; i < db.len; i++) {
        uint32_t one = same(*tarn_bytes_at(db, i), 1), zero = same(*tarn_bytes_at(db, i), 0);
        at |= ~found & one & (uint32_t)i;
        bad |= ~found & ~one & ~zero;
        found |= one;
    }
    bad |= ~found;
    if (!bad) {
        struct tarn_span message = tarn_span_after(tarn_bytes_span(db), at + 1);
        *len = message.len;
        err = message.len <= out.len ? TARN_OK : TARN_INVALID;
        tarn_bytes_copy(out, message);
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(em));
    return bad ? TARN_PEER : err;
}
