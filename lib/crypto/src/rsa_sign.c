/* SPDX-License-Identifier: ISC */
/* RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 8017 section 8). */
#include "internal.h"
#include "rsa.h"

static bool serves(enum tarn_pk_type type) {
    return type == TARN_PK_RSA;
}

/* The DER of a DigestInfo up to the digest (section 9.2, note 1). */
static struct tarn_span digest_info(const struct tarn_digest *digest) {
#define SHA2_INFO(total, id, bytes)                                                                \
    TARN_SPAN_LIT("\x30" total "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" id               \
                  "\x05\x00\x04" bytes)
    if (digest == &tarn_sha256)
        return SHA2_INFO("\x31", "\x01", "\x20");
    if (digest == &tarn_sha384)
        return SHA2_INFO("\x41", "\x02", "\x30");
    if (digest == &tarn_sha512)
        return SHA2_INFO("\x51", "\x03", "\x40");
    if (digest == &tarn_sha224)
        return SHA2_INFO("\x2d", "\x04", "\x1c");
    if (digest == &tarn_sha1)
        return TARN_SPAN_LIT("\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14");
    if (digest == &tarn_md5)
        return TARN_SPAN_LIT("\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04"
                             "\x10");
    return TARN_SPAN_EMPTY;
}

/* EMSA-PKCS1-v1_5: 00 01 ff.. 00 DigestInfo. */
static enum tarn_err pkcs1_encode(const struct tarn_scheme *s, struct tarn_span message,
                                  struct tarn_bytes em) {
    const struct tarn_digest *digest = s->digest;
    uint8_t hash[TARN_DIGEST_BYTES_MAX];
    struct tarn_span info = digest_info(digest);
    struct tarn_writer w = tarn_writer_over(em);
    size_t tail = info.len + digest->digest_bytes;
    if (info.len == 0 || em.len < tail + 11)
        return TARN_INVALID;
    scheme_digest(s, message, hash);
    tarn_writer_u16be(&w, 1);
    for (size_t i = 0; i < em.len - tail - 3; i++)
        tarn_writer_u8(&w, 0xff);
    tarn_writer_u8(&w, 0);
    tarn_writer_span_put(&w, info);
    tarn_writer_mem(&w, hash, digest->digest_bytes);
    return TARN_OK;
}

/* By making what must have been signed and comparing all of it: nothing is parsed. */
static enum tarn_err pkcs1_verify(const struct tarn_scheme *s, const struct tarn_public_key *key,
                                  struct tarn_span message, struct tarn_span signature) {
    uint8_t got[RSA_BYTES_MAX], want[RSA_BYTES_MAX];
    size_t bytes = rsa_bytes(key);
    enum tarn_err err = pkcs1_encode(s, message, tarn_bytes_of(want, bytes));
    if (!err)
        err = rsa_public_op(key, signature, tarn_bytes_of(got, bytes));
    if (err)
        return err;
    return tarn_span_equal(tarn_span_of(got, bytes), tarn_span_of(want, bytes)) ? TARN_OK
                                                                                : TARN_PEER;
}

static enum tarn_err sign_encoded(const struct tarn_private_key *key, struct tarn_random *random,
                                  struct tarn_span em, struct tarn_writer *w) {
    uint8_t out[RSA_BYTES_MAX];
    enum tarn_err err = rsa_private_op(key, random, em, tarn_bytes_of(out, em.len));
    if (err)
        return TARN_INVALID;
    tarn_writer_mem(w, out, em.len);
    return TARN_OK;
}

static enum tarn_err pkcs1_sign(const struct tarn_scheme *s, const struct tarn_private_key *key,
                                struct tarn_random *random, struct tarn_span message,
                                struct tarn_writer *w) {
    uint8_t em[RSA_BYTES_MAX];
    if (tarn_public_key_check(&key->pub))
        return TARN_INVALID;
    struct tarn_bytes whole = {em, rsa_bytes(&key->pub)};
    enum tarn_err err = pkcs1_encode(s, message, whole);
    return err ? err : sign_encoded(key, random, tarn_bytes_span(whole), w);
}

/* H of section 9.1: over eight zeros, the message's digest and the salt. */
static void pss_hash(const struct tarn_scheme *s, struct tarn_span message, struct tarn_span salt,
                     struct tarn_bytes out) {
    static const uint8_t zeros[8];
    uint8_t hash[TARN_DIGEST_BYTES_MAX];
    struct tarn_digest_ctx c;
    scheme_digest(s, message, hash);
    tarn_digest_init(&c, s->digest);
    tarn_digest_update(&c, TARN_SPAN_ARRAY(zeros));
    tarn_digest_update(&c, tarn_span_of(hash, s->digest->digest_bytes));
    tarn_digest_update(&c, salt);
    tarn_digest_final(&c, out);
}

/* The parts of an encoded message: bits - 1 of it are used, so there may be a zero byte in front.
 */
struct pss {
    struct tarn_bytes db, hash;
    uint8_t top; /* which bits of db's first byte are used */
};

static bool pss_parts(const struct tarn_scheme *s, size_t bits, struct tarn_bytes em,
                      struct pss *p) {
    size_t hash = s->digest->digest_bytes, used = (bits - 1 + 7) / 8;
    if (used < hash + s->salt_bytes + 2)
        return false;
    em = tarn_bytes_after(em, em.len - used);
    p->db = tarn_bytes_first(em, used - hash - 1);
    p->hash = tarn_bytes_first(tarn_bytes_after(em, p->db.len), hash);
    p->top = (uint8_t)(0xff >> (8 * used - (bits - 1)));
    return true;
}

static enum tarn_err pss_verify(const struct tarn_scheme *s, const struct tarn_public_key *key,
                                struct tarn_span message, struct tarn_span signature) {
    uint8_t em[RSA_BYTES_MAX], want[TARN_DIGEST_BYTES_MAX];
    size_t bytes = rsa_bytes(key), bits = tarn_pk_bits(key);
    struct pss p;
    enum tarn_err err = rsa_public_op(key, signature, tarn_bytes_of(em, bytes));
    if (err)
        return err;
    if (!pss_parts(s, bits, tarn_bytes_of(em, bytes), &p) || TARN_AT(em, bytes - 1) != 0xbc
        || (bits % 8 == 1 && TARN_AT(em, 0) != 0) || *tarn_bytes_at(p.db, 0) & ~p.top)
        return TARN_PEER;
    rsa_mask(s->mgf, tarn_bytes_span(p.hash), p.db);
    *tarn_bytes_at(p.db, 0) &= p.top;
    size_t zeros = p.db.len - s->salt_bytes - 1;
    for (size_t i = 0; i < zeros; i++)
        if (*tarn_bytes_at(p.db, i) != 0)
            return TARN_PEER;
    if (*tarn_bytes_at(p.db, zeros) != 1)
        return TARN_PEER;
    pss_hash(s, message, tarn_span_after(tarn_bytes_span(p.db), zeros + 1),
             tarn_bytes_of(want, p.hash.len));
    return tarn_span_equal(tarn_bytes_span(p.hash), tarn_span_of(want, p.hash.len)) ? TARN_OK
                                                                                    : TARN_PEER;
}

static enum tarn_err pss_sign(const struct tarn_scheme *s, const struct tarn_private_key *key,
                              struct tarn_random *random, struct tarn_span message,
                              struct tarn_writer *w) {
    uint8_t em[RSA_BYTES_MAX] = {0};
    size_t bytes = rsa_bytes(&key->pub);
    struct pss p;
    if (tarn_public_key_check(&key->pub)
        || !pss_parts(s, tarn_pk_bits(&key->pub), tarn_bytes_of(em, bytes), &p))
        return TARN_INVALID;
    size_t zeros = p.db.len - s->salt_bytes - 1;
    struct tarn_bytes salt = tarn_bytes_after(p.db, zeros + 1);
    *tarn_bytes_at(p.db, zeros) = 1;
    if (salt.len)
        tarn_random_fill(random, salt);
    pss_hash(s, message, tarn_bytes_span(salt), p.hash);
    rsa_mask(s->mgf, tarn_bytes_span(p.hash), p.db);
    *tarn_bytes_at(p.db, 0) &= p.top;
    TARN_AT(em, bytes - 1) = 0xbc;
    return sign_encoded(key, random, tarn_span_of(em, bytes), w);
}

const struct tarn_scheme_ops tarn_rsa_pkcs1_ops = {serves, pkcs1_verify, pkcs1_sign};
const struct tarn_scheme_ops tarn_rsa_pss_ops = {serves, pss_verify, pss_sign};

const struct tarn_scheme tarn_rsa_md5 = {"rsa-md5", &tarn_rsa_pkcs1_ops, &tarn_md5};
const struct tarn_scheme tarn_rsa_sha1 = {"rsa-sha1", &tarn_rsa_pkcs1_ops, &tarn_sha1};
const struct tarn_scheme tarn_rsa_sha224 = {"rsa-sha224", &tarn_rsa_pkcs1_ops, &tarn_sha224};
const struct tarn_scheme tarn_rsa_sha256 = {"rsa-sha256", &tarn_rsa_pkcs1_ops, &tarn_sha256};
const struct tarn_scheme tarn_rsa_sha384 = {"rsa-sha384", &tarn_rsa_pkcs1_ops, &tarn_sha384};
const struct tarn_scheme tarn_rsa_sha512 = {"rsa-sha512", &tarn_rsa_pkcs1_ops, &tarn_sha512};
const struct tarn_scheme tarn_pss_sha256 = {"pss-sha256", &tarn_rsa_pss_ops, &tarn_sha256,
                                            &tarn_sha256, 32};
const struct tarn_scheme tarn_pss_sha384 = {"pss-sha384", &tarn_rsa_pss_ops, &tarn_sha384,
                                            &tarn_sha384, 48};
const struct tarn_scheme tarn_pss_sha512 = {"pss-sha512", &tarn_rsa_pss_ops, &tarn_sha512,
                                            &tarn_sha512, 64};
