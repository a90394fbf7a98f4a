/* SPDX-License-Identifier: ISC */
/* Keys are made, sign, and agree; what is wrong about them is said. */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/mlkem.h>
#include <tarn/pk.h>

static struct tarn_random_seeded seeded;

static struct tarn_random *rnd(void) {
    if (!seeded.random.ops)
        tarn_random_seeded_init(&seeded, 7);
    return &seeded.random;
}

struct made {
    uint8_t secret[TARN_EC_SCALAR_BYTES_MAX], point[TARN_EC_POINT_BYTES_MAX];
    struct tarn_private_key key;
};

static void make(struct made *m, enum tarn_pk_type type) {
    struct tarn_bytes s = {m->secret, tarn_pk_scalar_bytes(type)};
    struct tarn_bytes p = {m->point, tarn_pk_point_bytes(type)};
    cr_assert_eq(tarn_pk_generate(type, rnd(), s, p), TARN_OK);
    m->key = (struct tarn_private_key){.pub = {.type = type, .point = tarn_bytes_span(p)},
                                       .secret = tarn_bytes_span(s)};
    cr_assert_eq(tarn_public_key_check(&m->key.pub), TARN_OK);
}

/* Signs, verifies, and sees each changed byte of the signature and a changed message refused. */
static void round_trip(const struct tarn_private_key *key, const struct tarn_scheme *scheme) {
    static const char text[] = "a message", other[] = "a massage";
    uint8_t sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    cr_assert_eq(tarn_sign(key, scheme, rnd(), TARN_SPAN_ARRAY(text), &w), TARN_OK, "%s",
                 scheme->name);
    cr_assert(tarn_writer_ok(&w));
    struct tarn_span s = tarn_writer_span(&w);
    cr_assert_eq(tarn_verify(&key->pub, scheme, TARN_SPAN_ARRAY(text), s), TARN_OK, "%s",
                 scheme->name);
    cr_assert_eq(tarn_verify(&key->pub, scheme, TARN_SPAN_ARRAY(other), s), TARN_PEER);
    cr_assert_eq(
        tarn_verify(&key->pub, scheme, TARN_SPAN_ARRAY(text), tarn_span_first(s, s.len - 1)),
        TARN_PEER);
    for (size_t i = 0; i < s.len; i += 1 + s.len / 9) {
        sig[i] ^= 0x10;
        cr_assert_neq(tarn_verify(&key->pub, scheme, TARN_SPAN_ARRAY(text), s), TARN_OK, "byte %zu",
                      i);
        sig[i] ^= 0x10;
    }
    if (!scheme->digest)
        return;
    /* The digest alone does, both ways. */
    uint8_t digest[TARN_DIGEST_BYTES_MAX], again[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_bytes d = {digest, scheme->digest->digest_bytes};
    struct tarn_scheme prehashed = *scheme;
    prehashed.prehashed = true;
    tarn_digest_of(scheme->digest, TARN_SPAN_ARRAY(text), d);
    cr_assert_eq(tarn_verify(&key->pub, &prehashed, tarn_bytes_span(d), s), TARN_OK);
    w = (struct tarn_writer)TARN_WRITER_ARRAY(again);
    cr_assert_eq(tarn_sign(key, &prehashed, rnd(), tarn_bytes_span(d), &w), TARN_OK);
    cr_assert_eq(tarn_verify(&key->pub, scheme, TARN_SPAN_ARRAY(text), tarn_writer_span(&w)),
                 TARN_OK);
}

Test(keys, ecdsa_and_eddsa) {
    struct made m;
    make(&m, TARN_PK_P256);
    round_trip(&m.key, &tarn_ecdsa_sha256);
    round_trip(&m.key, &tarn_ecdsa_raw_sha256);
    round_trip(&m.key, &tarn_ecdsa_sha512);
    make(&m, TARN_PK_P384);
    round_trip(&m.key, &tarn_ecdsa_sha384);
    make(&m, TARN_PK_P521);
    round_trip(&m.key, &tarn_ecdsa_sha512);
    round_trip(&m.key, &tarn_ecdsa_raw_sha512);
    make(&m, TARN_PK_ED25519);
    round_trip(&m.key, &tarn_ed25519);
    make(&m, TARN_PK_ED448);
    round_trip(&m.key, &tarn_ed448);
}

Test(keys, rsa) {
    uint8_t memory[6 * 1024 / 8];
    struct tarn_private_key key;
    cr_assert_eq(tarn_rsa_generate(rnd(), 1024, TARN_BYTES_ARRAY(memory), &key), TARN_OK);
    cr_assert_eq(tarn_pk_bits(&key.pub), 1024);
    round_trip(&key, &tarn_rsa_sha256);
    round_trip(&key, &tarn_rsa_sha1);
    round_trip(&key, &tarn_pss_sha256);
    uint8_t ct[128], pt[128];
    size_t n;
    struct tarn_span hi = TARN_SPAN_LIT("hi"), none = TARN_SPAN_EMPTY;
    cr_assert_eq(
        tarn_rsa_oaep_encrypt(&key.pub, &tarn_sha256, rnd(), none, hi, TARN_BYTES_ARRAY(ct)),
        TARN_OK);
    cr_assert_eq(tarn_rsa_oaep_decrypt(&key, &tarn_sha256, rnd(), none, TARN_SPAN_ARRAY(ct),
                                       TARN_BYTES_ARRAY(pt), &n),
                 TARN_OK);
    cr_assert(tarn_span_equal(tarn_span_of(pt, n), hi));
    cr_assert_eq(tarn_rsa_oaep_decrypt(&key, &tarn_sha256, rnd(), hi, TARN_SPAN_ARRAY(ct),
                                       TARN_BYTES_ARRAY(pt), &n),
                 TARN_PEER);
    cr_assert_eq(tarn_rsa_pkcs1_encrypt(&key.pub, rnd(), hi, TARN_BYTES_ARRAY(ct)), TARN_OK);
    cr_assert_eq(tarn_rsa_pkcs1_decrypt(&key, rnd(), TARN_SPAN_ARRAY(ct), TARN_BYTES_ARRAY(pt), &n),
                 TARN_OK);
    cr_assert(tarn_span_equal(tarn_span_of(pt, n), hi));
    ct[5] ^= 1;
    cr_assert_eq(tarn_rsa_pkcs1_decrypt(&key, rnd(), TARN_SPAN_ARRAY(ct), TARN_BYTES_ARRAY(pt), &n),
                 TARN_PEER);
}

Test(keys, a_private_rsa_key_that_does_not_fit_together_is_refused) {
    uint8_t memory[6 * 1024 / 8], sig[128];
    struct tarn_private_key key;
    cr_assert_eq(tarn_rsa_generate(rnd(), 1024, TARN_BYTES_ARRAY(memory), &key), TARN_OK);
    struct tarn_span *parts[] = {&key.pub.n, &key.p, &key.q, &key.dp, &key.dq, &key.qinv};
    for (size_t i = 0; i < TARN_COUNT_OF(parts); i++) {
        struct tarn_span kept = *parts[i];
        struct tarn_span bad[] = {TARN_SPAN_EMPTY, TARN_SPAN_LIT("\x02"),
                                  tarn_span_first(kept, kept.len / 2)};
        for (size_t k = 0; k < TARN_COUNT_OF(bad); k++) {
            struct tarn_writer w = TARN_WRITER_ARRAY(sig);
            *parts[i] = bad[k];
            cr_assert_eq(tarn_sign(&key, &tarn_rsa_sha256, rnd(), TARN_SPAN_LIT("x"), &w),
                         TARN_INVALID, "part %zu, %zu", i, k);
        }
        *parts[i] = kept;
    }
}

Test(keys, a_scheme_serves_its_own_keys_only) {
    struct made m;
    uint8_t sig[200];
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    make(&m, TARN_PK_ED25519);
    cr_assert_eq(tarn_sign(&m.key, &tarn_ecdsa_sha256, rnd(), TARN_SPAN_LIT("x"), &w),
                 TARN_INVALID);
    cr_assert_eq(tarn_verify(&m.key.pub, &tarn_rsa_sha256, TARN_SPAN_LIT("x"), TARN_SPAN_LIT("y")),
                 TARN_INVALID);
}

Test(keys, agreement_is_the_same_on_both_sides) {
    static const enum tarn_pk_type types[] = {TARN_PK_P256, TARN_PK_P384, TARN_PK_P521,
                                              TARN_PK_X25519, TARN_PK_X448};
    for (size_t i = 0; i < TARN_COUNT_OF(types); i++) {
        struct made a, b;
        uint8_t one[66], two[66];
        size_t n = tarn_pk_scalar_bytes(types[i]);
        make(&a, types[i]);
        make(&b, types[i]);
        cr_assert_eq(tarn_agree(types[i], a.key.secret, b.key.pub.point, tarn_bytes_of(one, n)),
                     TARN_OK);
        cr_assert_eq(tarn_agree(types[i], b.key.secret, a.key.pub.point, tarn_bytes_of(two, n)),
                     TARN_OK);
        cr_assert_arr_eq(one, two, n);
    }
}

/* Scalars are in [1, order - 1]. */
Test(keys, scalars_outside_the_group_are_refused) {
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
                                      0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    uint8_t s[32] = {0}, point[65];
    struct tarn_bytes p = TARN_BYTES_ARRAY(point);
    cr_assert_eq(tarn_pk_public(TARN_PK_P256, TARN_SPAN_ARRAY(s), p), TARN_INVALID);
    s[31] = 1;
    cr_assert_eq(tarn_pk_public(TARN_PK_P256, TARN_SPAN_ARRAY(s), p), TARN_OK);
    cr_assert_eq(point[1], 0x6b); /* the generator */
    cr_assert_eq(tarn_pk_public(TARN_PK_P256, TARN_SPAN_ARRAY(order), p), TARN_INVALID);
    tarn_bytes_copy(TARN_BYTES_ARRAY(s), TARN_SPAN_ARRAY(order));
    s[31]--;
    cr_assert_eq(tarn_pk_public(TARN_PK_P256, TARN_SPAN_ARRAY(s), p), TARN_OK);
    cr_assert_eq(point[1], 0x6b); /* its negative */
}

Test(keys, finite_field_dh) {
    uint8_t memory[6 * 1024 / 8], a[128], b[128], one[128], two[128];
    struct tarn_private_key key; /* its modulus serves as a field here */
    struct tarn_span g = TARN_SPAN_LIT("\x05"), x = TARN_SPAN_LIT("\x13\x37\x11\x22\x33\x44\x55"),
                     y = TARN_SPAN_LIT("\x70\x01\x02\x03\x04\x05\x06\x07");
    cr_assert_eq(tarn_rsa_generate(rnd(), 1024, TARN_BYTES_ARRAY(memory), &key), TARN_OK);
    struct tarn_span p = key.pub.n;
    cr_assert_eq(tarn_dh_public(p, g, x, TARN_BYTES_ARRAY(a)), TARN_OK);
    cr_assert_eq(tarn_dh_public(p, g, y, TARN_BYTES_ARRAY(b)), TARN_OK);
    cr_assert_eq(tarn_dh_agree(p, x, TARN_SPAN_ARRAY(b), TARN_BYTES_ARRAY(one)), TARN_OK);
    cr_assert_eq(tarn_dh_agree(p, y, TARN_SPAN_ARRAY(a), TARN_BYTES_ARRAY(two)), TARN_OK);
    cr_assert_arr_eq(one, two, 128);
    cr_assert_eq(tarn_dh_agree(p, x, TARN_SPAN_LIT("\x01"), TARN_BYTES_ARRAY(one)), TARN_PEER);
    cr_assert_eq(tarn_dh_agree(p, x, p, TARN_BYTES_ARRAY(one)), TARN_PEER);
}

Test(keys, mlkem_round_trip_and_implicit_rejection) {
    static uint8_t pub[1184], secret[2400], ct[1088];
    uint8_t one[32], two[32], three[32];
    tarn_mlkem768_generate(rnd(), pub, secret);
    cr_assert_eq(tarn_mlkem768_encapsulate(rnd(), TARN_SPAN_ARRAY(pub), ct, one), TARN_OK);
    cr_assert_eq(tarn_mlkem768_decapsulate(TARN_SPAN_ARRAY(secret), TARN_SPAN_ARRAY(ct), two),
                 TARN_OK);
    cr_assert_arr_eq(one, two, 32);
    ct[1000] ^= 1;
    cr_assert_eq(tarn_mlkem768_decapsulate(TARN_SPAN_ARRAY(secret), TARN_SPAN_ARRAY(ct), two),
                 TARN_OK);
    cr_assert_neq(memcmp(one, two, 32), 0);
    cr_assert_eq(tarn_mlkem768_decapsulate(TARN_SPAN_ARRAY(secret), TARN_SPAN_ARRAY(ct), three),
                 TARN_OK);
    cr_assert_arr_eq(two, three, 32);
}

Test(keys, digests_longer_than_the_algorithm_has_trap, .signal = SIGILL) {
    uint8_t out[33];
    tarn_digest_of(&tarn_sha256, TARN_SPAN_EMPTY, TARN_BYTES_ARRAY(out));
}
