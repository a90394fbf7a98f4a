/* SPDX-License-Identifier: ISC */
/* DSA and finite-field Diffie-Hellman: for what is old. */
#include "internal.h"

#include <nettle/dsa.h>

static bool serves(enum tarn_pk_type type) {
    return type == TARN_PK_DSA;
}

static void params_from(struct dsa_params *params, const struct tarn_public_key *key) {
    dsa_params_init(params);
    number_set(params->p, key->p);
    number_set(params->q, key->q);
    number_set(params->g, key->g);
}

/* The leftmost bits of the digest, as many as q has (FIPS 186-4 section 4.6). */
static struct tarn_span digest_for(const struct tarn_scheme *s, const struct tarn_public_key *key,
                                   struct tarn_span message, uint8_t *hash) {
    scheme_digest(s, message, hash);
    return tarn_span_first(tarn_span_of(hash, s->digest->digest_bytes),
                           (number_bits(key->q) + 7) / 8);
}

static enum tarn_err verify(const struct tarn_scheme *s, const struct tarn_public_key *key,
                            struct tarn_span message, struct tarn_span signature) {
    uint8_t hash[TARN_DIGEST_BYTES_MAX];
    struct tarn_span r, sv, digest = digest_for(s, key, message, hash);
    struct dsa_params params;
    struct dsa_signature sig;
    mpz_t y;
    if (!der_pair_read(signature, &r, &sv) || r.len > key->q.len + 1 || sv.len > key->q.len + 1)
        return TARN_PEER;
    params_from(&params, key);
    dsa_signature_init(&sig);
    mpz_init(y);
    number_set(sig.r, r);
    number_set(sig.s, sv);
    number_set(y, key->y);
    int good = dsa_verify(&params, y, digest.len, digest.ptr, &sig);
    mpz_clear(y);
    dsa_signature_clear(&sig);
    dsa_params_clear(&params);
    return good ? TARN_OK : TARN_PEER;
}

static enum tarn_err sign(const struct tarn_scheme *s, const struct tarn_private_key *key,
                          struct tarn_random *random, struct tarn_span message,
                          struct tarn_writer *w) {
    uint8_t hash[TARN_DIGEST_BYTES_MAX], rs[128];
    struct dsa_params params;
    struct dsa_signature sig;
    mpz_t x;
    if (tarn_public_key_check(&key->pub))
        return TARN_INVALID;
    struct tarn_span digest = digest_for(s, &key->pub, message, hash);
    size_t bytes = (number_bits(key->pub.q) + 7) / 8;
    struct tarn_bytes r = {rs, bytes}, sv = tarn_bytes_of(&TARN_AT(rs, bytes), bytes);
    params_from(&params, &key->pub);
    dsa_signature_init(&sig);
    mpz_init(x);
    number_set(x, key->secret);
    bool good = mpz_sgn(x) > 0 && mpz_cmp(x, params.q) < 0
                && dsa_sign(&params, x, random, random_for_nettle, digest.len, digest.ptr, &sig)
                && number_get(r, sig.r) && number_get(sv, sig.s);
    number_wipe(x);
    dsa_signature_clear(&sig);
    dsa_params_clear(&params);
    if (good)
        der_pair_write(w, tarn_bytes_span(r), tarn_bytes_span(sv));
    return good ? TARN_OK : TARN_INVALID;
}

const struct tarn_scheme_ops tarn_dsa_ops = {serves, verify, sign};
const struct tarn_scheme tarn_dsa_sha1 = {"dsa-sha1", &tarn_dsa_ops, &tarn_sha1};
const struct tarn_scheme tarn_dsa_sha256 = {"dsa-sha256", &tarn_dsa_ops, &tarn_sha256};

static bool served(struct tarn_span p, struct tarn_bytes out) {
    return number_bits(p) >= 512 && number_bits(p) <= TARN_DH_BITS_MAX && out.len == p.len
           && tarn_span_at(p, p.len - 1) & 1;
}

/* base^secret mod p; the base in [2, p - 2]. */
static enum tarn_err power(struct tarn_span p, struct tarn_span base, struct tarn_span secret,
                           struct tarn_bytes out) {
    mpz_t m, b, x, limit;
    mpz_init(m);
    mpz_init(b);
    mpz_init(x);
    mpz_init(limit);
    number_set(m, p);
    number_set(b, base);
    number_set(x, secret);
    mpz_sub_ui(limit, m, 2);
    bool good = mpz_cmp_ui(b, 2) >= 0 && mpz_cmp(b, limit) <= 0 && mpz_sgn(x) > 0;
    if (good) {
        mpz_powm_sec(b, b, x, m);
        good = number_get(out, b);
    }
    mpz_clear(limit);
    number_wipe(x);
    number_wipe(b);
    mpz_clear(m);
    return good ? TARN_OK : TARN_PEER;
}

enum tarn_err tarn_dh_public(struct tarn_span p, struct tarn_span g, struct tarn_span secret,
                             struct tarn_bytes out) {
    if (!served(p, out))
        return TARN_INVALID;
    return power(p, g, secret, out) ? TARN_INVALID : TARN_OK;
}

enum tarn_err tarn_dh_agree(struct tarn_span p, struct tarn_span secret, struct tarn_span peer,
                            struct tarn_bytes out) {
    if (!served(p, out) || number_bits(secret) == 0)
        return TARN_INVALID;
    if (peer.len > p.len)
        return TARN_PEER;
    return power(p, peer, secret, out);
}
