/* SPDX-License-Identifier: ISC */
/* lib/crypto, with nettle and GMP, inside an image: a digest, AEAD, signatures and key agreement,
 * so often that memory which was not given back would run out. */
#include <tarn/aead.h>
#include <tarn/app.h>
#include <tarn/cipher.h>
#include <tarn/fortuna.h>
#include <tarn/mlkem.h>
#include <tarn/pk.h>

static struct tarn_fortuna fortuna;

static bool digest_is_right(void) {
    static const uint8_t abc[4] = {0xba, 0x78, 0x16, 0xbf};
    uint8_t out[32];
    tarn_digest_of(&tarn_sha256, TARN_SPAN_LIT("abc"), TARN_BYTES_ARRAY(out));
    return tarn_span_starts(TARN_SPAN_ARRAY(out), TARN_SPAN_ARRAY(abc));
}

static bool aead_opens(const struct tarn_aead *alg) {
    static struct tarn_aead_ctx c;
    static const uint8_t key[32] = {7}, nonce[12] = {9};
    uint8_t box[4 + 16], text[4];
    size_t n;
    return tarn_aead_init(&c, alg, tarn_span_of(key, alg->key_bytes), 0) == TARN_OK
           && tarn_aead_seal(&c, TARN_SPAN_ARRAY(nonce), TARN_SPAN_EMPTY, TARN_SPAN_LIT("text"),
                             TARN_BYTES_ARRAY(box))
                  == TARN_OK
           && tarn_aead_open(&c, TARN_SPAN_ARRAY(nonce), TARN_SPAN_EMPTY, TARN_SPAN_ARRAY(box),
                             TARN_BYTES_ARRAY(text), &n)
                  == TARN_OK
           && tarn_span_equal(tarn_span_of(text, n), TARN_SPAN_LIT("text"));
}

static bool key_signs(const struct tarn_private_key *key, const struct tarn_scheme *scheme) {
    uint8_t sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    return tarn_sign(key, scheme, &fortuna.random, TARN_SPAN_LIT("message"), &w) == TARN_OK
           && tarn_verify(&key->pub, scheme, TARN_SPAN_LIT("message"), tarn_writer_span(&w))
                  == TARN_OK
           && tarn_verify(&key->pub, scheme, TARN_SPAN_LIT("massage"), tarn_writer_span(&w))
                  == TARN_PEER;
}

static bool curve_signs(enum tarn_pk_type type, const struct tarn_scheme *scheme) {
    uint8_t secret[TARN_EC_SCALAR_BYTES_MAX], point[TARN_EC_POINT_BYTES_MAX];
    struct tarn_bytes s = {secret, tarn_pk_scalar_bytes(type)};
    struct tarn_bytes p = {point, tarn_pk_point_bytes(type)};
    if (tarn_pk_generate(type, &fortuna.random, s, p))
        return false;
    struct tarn_private_key key = {.pub = {.type = type, .point = tarn_bytes_span(p)},
                                   .secret = tarn_bytes_span(s)};
    return key_signs(&key, scheme);
}

static bool rsa_signs(void) {
    static uint8_t memory[6 * 2048 / 8];
    struct tarn_private_key key;
    if (tarn_rsa_generate(&fortuna.random, 2048, TARN_BYTES_ARRAY(memory), &key))
        return false;
    for (int i = 0; i < 5; i++)
        if (!key_signs(&key, &tarn_rsa_sha256) || !key_signs(&key, &tarn_pss_sha256))
            return false;
    return true;
}

static bool kem_agrees(void) {
    static uint8_t pub[1184], secret[2400], ct[1088];
    uint8_t one[32], two[32];
    tarn_mlkem768_generate(&fortuna.random, pub, secret);
    return tarn_mlkem768_encapsulate(&fortuna.random, TARN_SPAN_ARRAY(pub), ct, one) == TARN_OK
           && tarn_mlkem768_decapsulate(TARN_SPAN_ARRAY(secret), TARN_SPAN_ARRAY(ct), two)
                  == TARN_OK
           && tarn_equal_ct(TARN_SPAN_ARRAY(one), TARN_SPAN_ARRAY(two));
}

static int check(struct tarn_env *env, const char *what, bool good) {
    if (!good) {
        tarn_puts(env, "wrong: ");
        tarn_puts(env, what);
        tarn_puts(env, "\n");
    }
    return !good;
}

int tarn_main(struct tarn_env *env) {
    int wrong = 0;
    tarn_fortuna_init(&fortuna);
    uint8_t seed[32];
    tarn_random_fill(tarn_env_random(env), TARN_BYTES_ARRAY(seed));
    tarn_fortuna_seed(&fortuna, TARN_SPAN_ARRAY(seed));
    wrong += check(env, "sha256", digest_is_right());
    wrong += check(env, "aes-128-gcm", aead_opens(&tarn_aes128_gcm));
    wrong += check(env, "aes-256-ccm", aead_opens(&tarn_aes256_ccm));
    wrong += check(env, "chacha20-poly1305", aead_opens(&tarn_chacha20_poly1305));
    for (int i = 0; i < 50; i++) {
        wrong += check(env, "p256", curve_signs(TARN_PK_P256, &tarn_ecdsa_sha256));
        wrong += check(env, "ed25519", curve_signs(TARN_PK_ED25519, &tarn_ed25519));
        wrong += check(env, "mlkem768", kem_agrees());
    }
    wrong += check(env, "p521", curve_signs(TARN_PK_P521, &tarn_ecdsa_sha512));
    wrong += check(env, "ed448", curve_signs(TARN_PK_ED448, &tarn_ed448));
    wrong += check(env, "rsa", rsa_signs());
    if (wrong == 0)
        tarn_puts(env, "crypto works\n");
    return wrong;
}
