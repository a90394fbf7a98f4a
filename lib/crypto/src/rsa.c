/* SPDX-License-Identifier: ISC */
#include "rsa.h"

#include "internal.h"

#include <nettle/rsa.h>
#include <tarn/writer.h>

enum tarn_err rsa_public_op(const struct tarn_public_key *key, struct tarn_span in,
                            struct tarn_bytes out) {
    mpz_t n, e, x;
    if (in.len != rsa_bytes(key) || out.len != in.len)
        return TARN_PEER;
    mpz_init(n);
    mpz_init(e);
    mpz_init(x);
    number_set(n, key->n);
    number_set(e, key->e);
    number_set(x, in);
    bool below = mpz_cmp(x, n) < 0;
    if (below) {
        mpz_powm(x, x, e, n);
        below = number_get(out, x);
    }
    mpz_clear(x);
    mpz_clear(e);
    mpz_clear(n);
    return below ? TARN_OK : TARN_PEER;
}

/* nettle asserts what it takes for granted of a key; a key may come from a file. */
static bool key_is_whole(const struct rsa_public_key *pub, const struct rsa_private_key *key) {
    mpz_t t;
    mpz_init(t);
    bool odd = mpz_odd_p(key->p) && mpz_odd_p(key->q) && mpz_cmp_ui(key->p, 3) > 0
               && mpz_cmp_ui(key->q, 3) > 0;
    mpz_mul(t, key->p, key->q);
    bool whole = odd && mpz_cmp(t, pub->n) == 0 && mpz_cmp(key->a, key->p) < 0
                 && mpz_cmp(key->b, key->q) < 0 && mpz_cmp(key->c, key->p) < 0
                 && mpz_sgn(key->a) > 0 && mpz_sgn(key->b) > 0 && mpz_sgn(key->c) > 0;
    number_wipe(t);
    return whole;
}

static void private_clear(struct rsa_public_key *pub, struct rsa_private_key *key) {
    rsa_public_key_clear(pub);
    number_wipe(key->d);
    number_wipe(key->p);
    number_wipe(key->q);
    number_wipe(key->a);
    number_wipe(key->b);
    number_wipe(key->c);
}

static bool private_from(const struct tarn_private_key *key, struct rsa_public_key *pub,
                         struct rsa_private_key *priv) {
    rsa_public_key_init(pub);
    rsa_private_key_init(priv);
    number_set(pub->n, key->pub.n);
    number_set(pub->e, key->pub.e);
    number_set(priv->p, key->p);
    number_set(priv->q, key->q);
    number_set(priv->a, key->dp);
    number_set(priv->b, key->dq);
    number_set(priv->c, key->qinv);
    if (key_is_whole(pub, priv) && rsa_public_key_prepare(pub) && rsa_private_key_prepare(priv))
        return true;
    private_clear(pub, priv);
    return false;
}

enum tarn_err rsa_private_op(const struct tarn_private_key *key, struct tarn_random *random,
                             struct tarn_span in, struct tarn_bytes out) {
    struct rsa_public_key pub;
    struct rsa_private_key priv;
    mpz_t x, m;
    if (tarn_public_key_check(&key->pub) || in.len != rsa_bytes(&key->pub) || out.len != in.len
        || !private_from(key, &pub, &priv))
        return TARN_INVALID;
    mpz_init(x);
    mpz_init(m);
    number_set(m, in);
    bool good = mpz_cmp(m, pub.n) < 0
                && rsa_compute_root_tr(&pub, &priv, random, random_for_nettle, x, m)
                && number_get(out, x);
    number_wipe(m);
    number_wipe(x);
    private_clear(&pub, &priv);
    return good ? TARN_OK : TARN_PEER;
}

void rsa_mask(const struct tarn_digest *digest, struct tarn_span seed, struct tarn_bytes data) {
    uint8_t block[TARN_DIGEST_BYTES_MAX], be[4];
    for (uint32_t count = 0; data.len > 0; count++) {
        struct tarn_digest_ctx c;
        struct tarn_writer w = TARN_WRITER_ARRAY(be);
        tarn_writer_u32be(&w, count);
        tarn_digest_init(&c, digest);
        tarn_digest_update(&c, seed);
        tarn_digest_update(&c, TARN_SPAN_ARRAY(be));
        tarn_digest_final(&c, tarn_bytes_of(block, digest->digest_bytes));
        size_t n = TARN_MIN(data.len, digest->digest_bytes);
        for (size_t i = 0; i < n; i++)
            *tarn_bytes_at(data, i) ^= TARN_AT(block, i);
        data = tarn_bytes_after(data, n);
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
}

static bool number_put(struct tarn_bytes *memory, const mpz_t x, size_t bytes,
                       struct tarn_span *out) {
    struct tarn_bytes here = tarn_bytes_first(*memory, bytes);
    *memory = tarn_bytes_after(*memory, bytes);
    *out = tarn_bytes_span(here);
    return here.len == bytes && number_get(here, x);
}

enum tarn_err tarn_rsa_generate(struct tarn_random *random, unsigned bits, struct tarn_bytes memory,
                                struct tarn_private_key *key) {
    static const uint8_t f4[3] = {1, 0, 1};
    struct rsa_public_key pub;
    struct rsa_private_key priv;
    size_t bytes = bits / 8, half = bits / 16;
    if (bits % 16 != 0 || bits < 1024 || bits > 4096 || memory.len < 6 * bytes)
        return TARN_INVALID;
    rsa_public_key_init(&pub);
    rsa_private_key_init(&priv);
    mpz_set_ui(pub.e, 65537);
    bool made = rsa_generate_keypair(&pub, &priv, random, random_for_nettle, NULL, NULL, bits, 0);
    *key = (struct tarn_private_key){
        .pub = {.type = TARN_PK_RSA, .e = TARN_SPAN_ARRAY(f4)},
    };
    made = made && number_put(&memory, pub.n, bytes, &key->pub.n)
           && number_put(&memory, priv.d, bytes, &key->secret)
           && number_put(&memory, priv.p, half, &key->p)
           && number_put(&memory, priv.q, half, &key->q)
           && number_put(&memory, priv.a, half, &key->dp)
           && number_put(&memory, priv.b, half, &key->dq)
           && number_put(&memory, priv.c, half, &key->qinv);
    private_clear(&pub, &priv);
    return made ? TARN_OK : TARN_INVALID;
}
