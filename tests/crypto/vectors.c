/* SPDX-License-Identifier: ISC */
/* Answers one operation a line, for vectors.py: words, hex where they are bytes and "-" for none.
 * The answer is hex, or a short word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/aead.h>
#include <tarn/cipher.h>
#include <tarn/mlkem.h>
#include <tarn/pk.h>

#define BYTES_MAX 70000
#define WORDS_MAX 16

static char *words[WORDS_MAX];
static uint8_t *mem[WORDS_MAX], out[BYTES_MAX + 64];
static struct tarn_random_seeded rnd;

static const char *word(int i) {
    return words[i] ? words[i] : "-";
}

static struct tarn_span named(int i) {
    return tarn_span_str(word(i));
}

/* In an allocation of exactly its size, so that a sanitizer sees who reads beyond. */
static struct tarn_span bytes(int i) {
    const char *hex = word(i);
    size_t n = strcmp(hex, "-") ? strlen(hex) / 2 : 0;
    free(mem[i]);
    mem[i] = malloc(n ? n : 1);
    for (size_t k = 0; k < n; k++) {
        unsigned v;
        if (sscanf(hex + 2 * k, "%2x", &v) != 1)
            exit(2);
        mem[i][k] = (uint8_t)v;
    }
    return tarn_span_of(mem[i], n);
}

static size_t number(int i) {
    return strtoul(word(i), NULL, 10);
}

static void say(const char *text) {
    puts(text);
}

static void say_hex(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        printf("%02x", p[i]);
    puts(n ? "" : "-");
}

static void say_err(enum tarn_err err) {
    say(err == TARN_OK ? "ok" : err == TARN_PEER ? "peer" : err == TARN_INVALID ? "invalid" : "?");
}

static void say_result(enum tarn_err err, size_t n) {
    if (err)
        say_err(err);
    else
        say_hex(out, n);
}

static void digest(void) {
    const struct tarn_digest *d = tarn_digest_named(named(1));
    struct tarn_span data = bytes(2);
    struct tarn_digest_ctx c;
    tarn_digest_of(d, data, tarn_bytes_of(out, d->digest_bytes));
    /* The same in pieces of 1, 2, 3... bytes. */
    tarn_digest_init(&c, d);
    for (size_t n = 1; data.len > 0; n++) {
        tarn_digest_update(&c, tarn_span_first(data, n));
        data = tarn_span_after(data, n);
    }
    tarn_digest_final(&c, tarn_bytes_of(out + 64, d->digest_bytes));
    if (memcmp(out, out + 64, d->digest_bytes))
        say("pieces differ");
    else
        say_hex(out, d->digest_bytes);
}

static void hmac(void) {
    size_t n = number(4);
    tarn_hmac_of(tarn_digest_named(named(1)), bytes(2), bytes(3), tarn_bytes_of(out, n));
    say_hex(out, n);
}

static void hkdf(void) {
    const struct tarn_digest *d = tarn_digest_named(named(1));
    uint8_t prk[64];
    struct tarn_bytes p = {prk, d->digest_bytes};
    size_t n = number(5);
    tarn_hkdf_extract(d, bytes(3), bytes(2), p);
    say_result(tarn_hkdf_expand(d, tarn_bytes_span(p), bytes(4), tarn_bytes_of(out, n)), n);
}

static void pbkdf2(void) {
    size_t n = number(5);
    say_result(tarn_pbkdf2(tarn_digest_named(named(1)), bytes(2), bytes(3), (uint32_t)number(4),
                           tarn_bytes_of(out, n)),
               n);
}

static void shake(void) {
    struct tarn_shake s;
    size_t n = number(3);
    if (number(1) == 128)
        tarn_shake128_init(&s);
    else
        tarn_shake256_init(&s);
    tarn_shake_absorb(&s, bytes(2));
    for (size_t at = 0, step = 1; at < n; at += step, step = step * 3 % 101 + 1)
        tarn_shake_squeeze(&s, tarn_bytes_of(out + at, TARN_MIN(step, n - at)));
    say_hex(out, n);
}

static void checksum(void) {
    struct tarn_span data = bytes(2);
    uint32_t v = !strcmp(word(1), "crc32")    ? tarn_crc32(TARN_CRC32_START, data)
                 : !strcmp(word(1), "crc32c") ? tarn_crc32c(0, data)
                 : !strcmp(word(1), "crc24")  ? tarn_crc24(0xb704ce, data)
                                              : tarn_adler32(TARN_ADLER32_START, data);
    printf("%08x\n", v);
}

/* seal ALG KEY NONCE AAD DATA TAG: also in place, which must give the same. */
static void aead(bool seal) {
    static struct tarn_aead_ctx c;
    struct tarn_span data = bytes(5), nonce = bytes(3), aad = bytes(4);
    struct tarn_span name = named(1);
    bool fast = tarn_span_ends(name, TARN_SPAN_LIT("-fast"));
    const struct tarn_aead *alg = tarn_aead_named(tarn_span_first(name, name.len - (fast ? 5 : 0)));
    enum tarn_err again,
        err = tarn_aead_init(&c, fast ? tarn_aead_fastest(alg) : alg, bytes(2), number(6));
    size_t n = data.len + number(6), m;
    static uint8_t place[BYTES_MAX];
    if (err) {
        say_err(err);
        return;
    }
    memcpy(place, data.ptr, data.len);
    if (seal) {
        err = tarn_aead_seal(&c, nonce, aad, data, tarn_bytes_of(out, n));
        again =
            tarn_aead_seal(&c, nonce, aad, tarn_span_of(place, data.len), tarn_bytes_of(place, n));
        m = n;
    } else {
        n = m = 0;
        err = tarn_aead_open(&c, nonce, aad, data, tarn_bytes_of(out, data.len), &n);
        again = tarn_aead_open(&c, nonce, aad, tarn_span_of(place, data.len),
                               tarn_bytes_of(place, data.len), &m);
    }
    if (err != again || m != n || (!err && memcmp(out, place, n)))
        say("in place differs");
    else
        say_result(err, n);
}

static void cipher(bool encrypt, bool padded) {
    struct tarn_cipher_ctx c;
    struct tarn_span data = bytes(4);
    size_t n = data.len;
    enum tarn_err err =
        tarn_cipher_init(&c, tarn_cipher_named(named(1)), bytes(2), bytes(3), encrypt);
    memcpy(out, data.ptr, data.len);
    if (!err && encrypt && padded)
        err = tarn_pkcs7_pad(TARN_BYTES_ARRAY(out), n, c.alg->block_bytes, &n);
    if (!err)
        err = tarn_cipher_crypt(&c, TARN_BYTES_ARRAY(out), tarn_span_of(out, n));
    if (!err && !encrypt && padded)
        err = tarn_pkcs7_unpad(tarn_span_of(out, n), c.alg->block_bytes, &n);
    say_result(err, n);
}

static void xts(bool encrypt) {
    struct tarn_xts x;
    uint8_t tweak[16] = {0};
    struct tarn_span data = bytes(3);
    enum tarn_err err = tarn_xts_init(&x, bytes(1));
    tarn_bytes_copy(TARN_BYTES_ARRAY(tweak), bytes(2));
    if (!err)
        err =
            (encrypt ? tarn_xts_encrypt : tarn_xts_decrypt)(&x, tweak, TARN_BYTES_ARRAY(out), data);
    say_result(err, data.len);
}

static enum tarn_pk_type type_of(int i) {
    static const char *const names[] = {"none",    "rsa",   "p256",   "p384", "p521",
                                        "ed25519", "ed448", "x25519", "x448", "dsa"};
    for (size_t t = 0; t < TARN_COUNT_OF(names); t++)
        if (!strcmp(word(i), names[t]))
            return (enum tarn_pk_type)t;
    exit(2);
}

static const struct tarn_scheme *scheme_of(int i) {
    static const struct tarn_scheme *const all[] = {&tarn_ecdsa_sha256,     &tarn_ecdsa_sha384,
                                                    &tarn_ecdsa_sha512,     &tarn_rsa_sha256,
                                                    &tarn_rsa_sha512,       &tarn_ecdsa_raw_sha256,
                                                    &tarn_ecdsa_raw_sha384, &tarn_dsa_sha256,
                                                    &tarn_ed25519,          &tarn_ed448};
    for (size_t s = 0; s < TARN_COUNT_OF(all); s++)
        if (!strcmp(word(i), all[s]->name))
            return all[s];
    exit(2);
}

/* verify SCHEME TYPE MSG SIG KEY... */
static void verify(void) {
    struct tarn_public_key key = {.type = type_of(2)};
    if (key.type == TARN_PK_RSA) {
        key.n = bytes(5);
        key.e = bytes(6);
    } else if (key.type == TARN_PK_DSA) {
        key.p = bytes(5);
        key.q = bytes(6);
        key.g = bytes(7);
        key.y = bytes(8);
    } else {
        key.point = bytes(5);
    }
    say_err(tarn_verify(&key, scheme_of(1), bytes(3), bytes(4)));
}

/* pss DIGEST MGF SALT MSG SIG N E */
static void pss(void) {
    struct tarn_public_key key = {.type = TARN_PK_RSA, .n = bytes(6), .e = bytes(7)};
    struct tarn_scheme s = {"pss", &tarn_rsa_pss_ops, tarn_digest_named(named(1)),
                            tarn_digest_named(named(2)), number(3)};
    say_err(tarn_verify(&key, &s, bytes(4), bytes(5)));
}

/* sign SCHEME TYPE SECRET MSG: deterministic schemes only. */
static void sign(void) {
    struct tarn_private_key key = {.pub = {.type = type_of(2)}, .secret = bytes(3)};
    struct tarn_writer w = TARN_WRITER_ARRAY(out);
    enum tarn_err err = tarn_sign(&key, scheme_of(1), &rnd.random, bytes(4), &w);
    say_result(err, w.len);
}

static void agree(void) {
    enum tarn_pk_type type = type_of(1);
    size_t n = tarn_pk_scalar_bytes(type);
    say_result(tarn_agree(type, bytes(2), bytes(3), tarn_bytes_of(out, n)), n);
}

/* oaep|pkcs1 CT LABEL N E P Q DP DQ QINV */
static void rsa_decrypt(bool oaep) {
    struct tarn_private_key key = {.pub = {.type = TARN_PK_RSA, .n = bytes(3), .e = bytes(4)},
                                   .p = bytes(5),
                                   .q = bytes(6),
                                   .dp = bytes(7),
                                   .dq = bytes(8),
                                   .qinv = bytes(9)};
    size_t n = 0;
    struct tarn_bytes room = TARN_BYTES_ARRAY(out);
    enum tarn_err err =
        oaep ? tarn_rsa_oaep_decrypt(&key, &tarn_sha256, &rnd.random, bytes(2), bytes(1), room, &n)
             : tarn_rsa_pkcs1_decrypt(&key, &rnd.random, bytes(1), room, &n);
    say_result(err, n);
}

static void mlkem_keygen(void) {
    tarn_mlkem768_from_seed(bytes(1).ptr, out, out + 1184);
    say_hex(out, 1184 + 2400);
}

static void mlkem_encaps(void) {
    say_result(tarn_mlkem768_encapsulate_with(bytes(1).ptr, bytes(2), out, out + 1088), 1120);
}

static void mlkem_decaps(void) {
    say_result(tarn_mlkem768_decapsulate(bytes(1), bytes(2), out), 32);
}

static void answer(const char *op) {
    if (!strcmp(op, "digest"))
        digest();
    else if (!strcmp(op, "hmac"))
        hmac();
    else if (!strcmp(op, "hkdf"))
        hkdf();
    else if (!strcmp(op, "pbkdf2"))
        pbkdf2();
    else if (!strcmp(op, "shake"))
        shake();
    else if (!strcmp(op, "checksum"))
        checksum();
    else if (!strcmp(op, "seal") || !strcmp(op, "open"))
        aead(*op == 's');
    else if (!strcmp(op, "encrypt") || !strcmp(op, "decrypt"))
        cipher(*op == 'e', false);
    else if (!strcmp(op, "pad-encrypt") || !strcmp(op, "pad-decrypt"))
        cipher(op[4] == 'e', true);
    else if (!strcmp(op, "xts-encrypt") || !strcmp(op, "xts-decrypt"))
        xts(op[4] == 'e');
    else if (!strcmp(op, "verify"))
        verify();
    else if (!strcmp(op, "pss"))
        pss();
    else if (!strcmp(op, "sign"))
        sign();
    else if (!strcmp(op, "agree"))
        agree();
    else if (!strcmp(op, "oaep") || !strcmp(op, "pkcs1"))
        rsa_decrypt(*op == 'o');
    else if (!strcmp(op, "mlkem-keygen"))
        mlkem_keygen();
    else if (!strcmp(op, "mlkem-encaps"))
        mlkem_encaps();
    else if (!strcmp(op, "mlkem-decaps"))
        mlkem_decaps();
    else
        exit(2);
}

int main(void) {
    static char line[20 * 1024 + 2 * BYTES_MAX];
    tarn_random_seeded_init(&rnd, 1);
    while (fgets(line, sizeof line, stdin)) {
        memset(words, 0, sizeof words);
        char *at = strtok(line, " \n");
        for (int i = 0; at && i < WORDS_MAX; i++, at = strtok(NULL, " \n"))
            words[i] = at;
        if (words[0])
            answer(words[0]);
    }
    for (size_t i = 0; i < WORDS_MAX; i++)
        free(mem[i]);
    return 0;
}
