/* SPDX-License-Identifier: ISC */
/* Ed25519 and Ed448 (RFC 8032). */
#include <nettle/eddsa.h>
#include <tarn/pk.h>

/* The last byte of an Ed448 signature is 0 (RFC 8032 section 5.2.7: s is below the order);
 * nettle 3.8 does not look at it, and would let the signature be changed there. */
static bool canonical(struct tarn_span sig) {
    return sig.len != ED448_SIGNATURE_SIZE || tarn_span_at(sig, sig.len - 1) == 0;
}

#define EDDSA(id, text, nettle, type, key_bytes, sig_bytes)                                        \
    static bool id##_serves(enum tarn_pk_type t) {                                                 \
        return t == type;                                                                          \
    }                                                                                              \
    static enum tarn_err id##_check(const struct tarn_scheme *s, const struct tarn_public_key *k,  \
                                    struct tarn_span message, struct tarn_span sig) {              \
        (void)s;                                                                                   \
        if (k->point.len != key_bytes || sig.len != sig_bytes || !canonical(sig))                  \
            return TARN_PEER;                                                                      \
        return nettle##_verify(k->point.ptr, message.len, message.ptr, sig.ptr) ? TARN_OK          \
                                                                                : TARN_PEER;       \
    }                                                                                              \
    static enum tarn_err id##_make(const struct tarn_scheme *s, const struct tarn_private_key *k,  \
                                   struct tarn_random *random, struct tarn_span message,           \
                                   struct tarn_writer *w) {                                        \
        uint8_t pub[key_bytes], sig[sig_bytes];                                                    \
        (void)s, (void)random;                                                                     \
        if (k->secret.len != key_bytes)                                                            \
            return TARN_INVALID;                                                                   \
        /* Not the caller's public key: a wrong one there would give the secret away. */           \
        nettle##_public_key(pub, k->secret.ptr);                                                   \
        nettle##_sign(pub, k->secret.ptr, message.len, message.ptr, sig);                          \
        tarn_writer_span_put(w, TARN_SPAN_ARRAY(sig));                                             \
        return TARN_OK;                                                                            \
    }                                                                                              \
    static const struct tarn_scheme_ops id##_ops = {id##_serves, id##_check, id##_make};           \
    const struct tarn_scheme tarn_##id = {text, &id##_ops};

EDDSA(ed25519, "ed25519", ed25519_sha512, TARN_PK_ED25519, ED25519_KEY_SIZE, ED25519_SIGNATURE_SIZE)
EDDSA(ed448, "ed448", ed448_shake256, TARN_PK_ED448, ED448_KEY_SIZE, ED448_SIGNATURE_SIZE)
