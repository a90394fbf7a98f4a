/* SPDX-License-Identifier: ISC */
/* Runs one operation over a secret that memcheck holds for undefined, in the manner of ctgrind: a
 * branch or an address that depends on it is reported. What is public afterwards (a public key, a
 * signature, a verdict) is declared defined again. timing.py runs this under valgrind; "leak" is a
 * case that must be caught. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/aead.h>
#include <tarn/cipher.h>
#include <tarn/mlkem.h>
#include <tarn/pk.h>

/* The two client requests of valgrind/memcheck.h, so that the header is not needed. */
static void request(uint64_t code, const void *ptr, size_t len) {
    volatile uint64_t args[6] = {code, (uint64_t)(uintptr_t)ptr, len, 0, 0, 0};
    uint64_t result = 0;
    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; "
                     "xchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(&args[0])
                     : "cc", "memory");
}
static void secret(void *ptr, size_t len) {
    request(0x4d430001, ptr, len); /* 'M' 'C', make undefined */
}
static void open_up(const void *ptr, size_t len) {
    request(0x4d430002, ptr, len); /* make defined */
}

/* Secret bytes too, except where a test says otherwise. */
static void fill(struct tarn_random *r, struct tarn_bytes out) {
    (void)r;
    memset(out.ptr, 0x3b, out.len);
    secret(out.ptr, out.len);
}
static const struct tarn_random_ops ops = {fill};
static struct tarn_random rnd = {&ops};

static uint8_t text[800] = "some plain text that is nobody's business";

static void leak(void) {
    volatile int table[256] = {0};
    uint8_t key[32] = {1};
    secret(key, sizeof key);
    if (table[key[3]] != 0)
        puts("?");
}

static void hmac(void) {
    uint8_t key[32] = {1}, mac[32];
    secret(key, sizeof key);
    tarn_hmac_of(&tarn_sha256, TARN_SPAN_ARRAY(key), TARN_SPAN_ARRAY(text), TARN_BYTES_ARRAY(mac));
    tarn_hmac_of(&tarn_sha384, TARN_SPAN_ARRAY(key), TARN_SPAN_ARRAY(text), TARN_BYTES_ARRAY(mac));
}

static void compare(void) {
    uint8_t a[16] = {1}, b[16] = {2};
    secret(a, sizeof a);
    bool same = tarn_equal_ct(TARN_SPAN_ARRAY(a), TARN_SPAN_ARRAY(b));
    open_up(&same, sizeof same);
    if (same)
        abort();
}

static void aead(const struct tarn_aead *alg) {
    static struct tarn_aead_ctx c;
    uint8_t key[32] = {1}, nonce[12] = {0}, out[sizeof text + 16];
    size_t n = 0;
    secret(key, sizeof key);
    if (tarn_aead_init(&c, alg, tarn_span_of(key, alg->key_bytes), 0))
        abort();
    secret(text, sizeof text);
    if (tarn_aead_seal(&c, TARN_SPAN_ARRAY(nonce), TARN_SPAN_EMPTY, TARN_SPAN_ARRAY(text),
                       TARN_BYTES_ARRAY(out)))
        abort();
    open_up(out, sizeof out);
    if (tarn_aead_open(&c, TARN_SPAN_ARRAY(nonce), TARN_SPAN_EMPTY, TARN_SPAN_ARRAY(out),
                       TARN_BYTES_ARRAY(text), &n))
        abort();
}

static void agree(enum tarn_pk_type type) {
    uint8_t one[66] = {0}, point[133], shared[66];
    size_t n = tarn_pk_scalar_bytes(type);
    memset(one + 2, 0x45, n - 2);
    secret(one, n);
    enum tarn_err err =
        tarn_pk_public(type, tarn_span_of(one, n), tarn_bytes_of(point, tarn_pk_point_bytes(type)));
    open_up(point, sizeof point);
    if (err
        || tarn_agree(type, tarn_span_of(one, n), tarn_span_of(point, tarn_pk_point_bytes(type)),
                      tarn_bytes_of(shared, n)))
        abort();
}

static void sign(enum tarn_pk_type type, const struct tarn_scheme *scheme) {
    uint8_t one[66] = {0}, sig[200];
    size_t n = tarn_pk_scalar_bytes(type);
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    memset(one + 2, 0x45, n - 2);
    secret(one, n);
    struct tarn_private_key key = {.pub = {.type = type}, .secret = tarn_span_of(one, n)};
    if (tarn_sign(&key, scheme, &rnd, TARN_SPAN_LIT("public"), &w))
        abort();
}

static void mlkem(void) {
    static uint8_t seed[64] = {9}, pub[1184], sec[2400], ct[1088];
    uint8_t shared[32], m[32] = {4};
    secret(seed, sizeof seed);
    secret(m, sizeof m);
    tarn_mlkem768_from_seed(seed, pub, sec);
    open_up(pub, sizeof pub);
    open_up(sec + 1152, 1184 + 32); /* the public key and its hash again */
    if (tarn_mlkem768_encapsulate_with(m, TARN_SPAN_ARRAY(pub), ct, shared))
        abort();
    open_up(ct, sizeof ct);
    if (tarn_mlkem768_decapsulate(TARN_SPAN_ARRAY(sec), TARN_SPAN_ARRAY(ct), shared))
        abort();
}

static void unpad(void) {
    uint8_t block[32];
    size_t n;
    memset(block, 5, sizeof block);
    secret(block, sizeof block);
    if (tarn_pkcs7_unpad(TARN_SPAN_ARRAY(block), 16, &n))
        abort();
}

int main(int argc, char **argv) {
    const char *op = argc > 1 ? argv[1] : "";
    if (!strcmp(op, "leak"))
        leak();
    else if (!strcmp(op, "hmac"))
        hmac();
    else if (!strcmp(op, "compare"))
        compare();
    else if (!strcmp(op, "chacha20-poly1305"))
        aead(&tarn_chacha20_poly1305);
    else if (!strcmp(op, "x25519"))
        agree(TARN_PK_X25519);
    else if (!strcmp(op, "x448"))
        agree(TARN_PK_X448);
    else if (!strcmp(op, "ecdh-p256"))
        agree(TARN_PK_P256);
    else if (!strcmp(op, "ecdh-p384"))
        agree(TARN_PK_P384);
    else if (!strcmp(op, "ecdh-p521"))
        agree(TARN_PK_P521);
    else if (!strcmp(op, "ecdsa-p256"))
        sign(TARN_PK_P256, &tarn_ecdsa_sha256);
    else if (!strcmp(op, "ecdsa-p384"))
        sign(TARN_PK_P384, &tarn_ecdsa_sha384);
    else if (!strcmp(op, "ecdsa-p521"))
        sign(TARN_PK_P521, &tarn_ecdsa_sha512);
    else if (!strcmp(op, "ed25519"))
        sign(TARN_PK_ED25519, &tarn_ed25519);
    else if (!strcmp(op, "ed448"))
        sign(TARN_PK_ED448, &tarn_ed448);
    else if (!strcmp(op, "mlkem768"))
        mlkem();
    else if (!strcmp(op, "pkcs7"))
        unpad();
    else if (!strcmp(op, "aes-128-gcm"))
        aead(&tarn_aes128_gcm);
    else if (!strcmp(op, "aes-256-gcm-fast"))
        aead(tarn_aead_fastest(&tarn_aes256_gcm));
    else if (!strcmp(op, "chacha20-poly1305-fast"))
        aead(tarn_aead_fastest(&tarn_chacha20_poly1305));
    else
        return 2;
    return 0;
}
