/* SPDX-License-Identifier: ISC */
/* Keys in memory, over lib/crypto; a program that has them elsewhere does not link this. */
#include "text.h"

#include <tarn/dns_sec.h>
#include <tarn/dns_sign.h>
#include <tarn/pk.h>

#define HEAD_BYTES 4u
#define PROTOCOL 3u

static enum tarn_pk_type type_of(uint8_t algorithm) {
    return algorithm == TARN_DNS_ECDSAP256SHA256 ? TARN_PK_P256
           : algorithm == TARN_DNS_ED25519       ? TARN_PK_ED25519
                                                 : TARN_PK_NONE;
}

/* DNS leaves out the 4 in front of a point (RFC 6605 section 4). */
static void set_public(struct tarn_dns_key *key, uint16_t flags, uint8_t algorithm,
                       struct tarn_span point) {
    uint8_t data[sizeof key->dnskey];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    tarn_writer_u16be(&w, flags);
    tarn_writer_u8(&w, PROTOCOL);
    tarn_writer_u8(&w, algorithm);
    tarn_writer_span_put(&w, tarn_span_after(point, algorithm == TARN_DNS_ECDSAP256SHA256));
    key->dnskey_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(key->dnskey), tarn_writer_span(&w));
}

enum tarn_err tarn_dns_key_init(struct tarn_dns_key *key, uint16_t flags, uint8_t algorithm,
                                struct tarn_span secret) {
    uint8_t room[TARN_EC_POINT_BYTES_MAX];
    enum tarn_pk_type type = type_of(algorithm);
    struct tarn_bytes point = tarn_bytes_first(TARN_BYTES_ARRAY(room), tarn_pk_point_bytes(type));
    if (type == TARN_PK_NONE)
        return TARN_UNSUPPORTED;
    if (secret.len != sizeof key->secret || tarn_pk_public(type, secret, point))
        return TARN_INVALID;
    tarn_bytes_copy(TARN_BYTES_ARRAY(key->secret), secret);
    set_public(key, flags, algorithm, tarn_bytes_span(point));
    return TARN_OK;
}

enum tarn_err tarn_dns_key_generate(struct tarn_dns_key *key, uint16_t flags, uint8_t algorithm,
                                    struct tarn_random *random) {
    uint8_t room[TARN_EC_POINT_BYTES_MAX];
    enum tarn_pk_type type = type_of(algorithm);
    struct tarn_bytes point = tarn_bytes_first(TARN_BYTES_ARRAY(room), tarn_pk_point_bytes(type));
    if (type == TARN_PK_NONE)
        return TARN_UNSUPPORTED;
    enum tarn_err err = tarn_pk_generate(type, random, TARN_BYTES_ARRAY(key->secret), point);
    if (!err)
        set_public(key, flags, algorithm, tarn_bytes_span(point));
    return err;
}

static bool value_of(struct tarn_span line, struct tarn_span field, struct tarn_span *value) {
    struct tarn_span name;
    if (!tarn_span_split(&line, ':', &name) || !tarn_span_equal_nocase(name, field))
        return false;
    *value = tarn_span_trim(line, " \t\r");
    return true;
}

enum tarn_err tarn_dns_key_parse(struct tarn_dns_key *key, uint16_t flags, struct tarn_span text) {
    uint8_t secret[40], padded[32] = {0};
    struct tarn_writer w = TARN_WRITER_ARRAY(secret);
    struct tarn_span line, value, number;
    uint64_t algorithm = 0;
    for (bool more = text.len > 0; more;) {
        more = tarn_span_split(&text, '\n', &line);
        if (value_of(line, TARN_SPAN_LIT("Algorithm"), &value)) {
            tarn_span_split(&value, ' ', &number); /* 13 (ECDSAP256SHA256) */
            if (!tarn_span_parse_dec(number, 255, &algorithm))
                return TARN_INVALID;
        } else if (value_of(line, TARN_SPAN_LIT("PrivateKey"), &value)) {
            struct dns_decoder d = {.width = 6};
            w.len = 0;
            if (!dns_decode(&d, value, &w) || !dns_decode_end(&d))
                return TARN_INVALID;
        }
    }
    struct tarn_span number_bytes = tarn_writer_span(&w);
    /* A scalar is a number, of which some writers leave zeroes in front out. */
    if (algorithm == TARN_DNS_ECDSAP256SHA256 && number_bytes.len < sizeof padded) {
        size_t zeroes = sizeof padded - number_bytes.len;
        tarn_bytes_copy(tarn_bytes_after(TARN_BYTES_ARRAY(padded), zeroes), number_bytes);
        number_bytes = TARN_SPAN_ARRAY(padded);
    }
    enum tarn_err err = tarn_dns_key_init(key, flags, (uint8_t)algorithm, number_bytes);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(secret));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(padded));
    return err;
}

void tarn_dns_key_ds(const struct tarn_dns_key *key, struct tarn_span zone, struct tarn_writer *w) {
    struct tarn_span dnskey = tarn_span_first(TARN_SPAN_ARRAY(key->dnskey), key->dnskey_len);
    struct tarn_digest_ctx digest;
    struct tarn_dns_name lower;
    uint8_t hash[32];
    tarn_dns_name_copy(&lower, zone);
    tarn_dns_name_lower(&lower);
    tarn_digest_init(&digest, &tarn_sha256);
    tarn_digest_update(&digest, tarn_dns_name_span(&lower));
    tarn_digest_update(&digest, dnskey);
    tarn_digest_final(&digest, TARN_BYTES_ARRAY(hash));
    tarn_writer_u16be(w, tarn_dns_key_tag(dnskey));
    tarn_writer_u8(w, tarn_span_at(dnskey, 3));
    tarn_writer_u8(w, 2);
    tarn_writer_span_put(w, TARN_SPAN_ARRAY(hash));
}

static enum tarn_err sign(struct tarn_dns_signer *signer, unsigned i, struct tarn_span message,
                          struct tarn_writer *signature) {
    struct tarn_dns_keys *k = TARN_CONTAINER_OF(signer, struct tarn_dns_keys, signer);
    const struct tarn_dns_key *key = &TARN_AT_N(k->keys, signer->count, i);
    uint8_t point[1 + 64] = {4};
    struct tarn_writer w = {point, 1, sizeof point};
    bool p256 = TARN_AT(key->dnskey, 3) == TARN_DNS_ECDSAP256SHA256;
    tarn_writer_span_put(
        &w, tarn_span_after(tarn_span_first(TARN_SPAN_ARRAY(key->dnskey), key->dnskey_len),
                            HEAD_BYTES));
    struct tarn_span pub = tarn_span_after(tarn_writer_span(&w), !p256);
    struct tarn_private_key private_key = {
        .pub = {.type = p256 ? TARN_PK_P256 : TARN_PK_ED25519, .point = pub},
        .secret = TARN_SPAN_ARRAY(key->secret)};
    return tarn_sign(&private_key, p256 ? &tarn_ecdsa_raw_sha256 : &tarn_ed25519, k->random,
                     message, signature);
}

void tarn_dns_keys_init(struct tarn_dns_keys *k, const struct tarn_dns_key *keys, unsigned count,
                        struct tarn_random *random) {
    static const struct tarn_dns_signer_ops ops = {.sign = sign};
    TARN_ASSERT(count <= TARN_DNS_SIGNING_KEYS_MAX);
    *k = (struct tarn_dns_keys){
        .signer = {.ops = &ops, .count = count}, .keys = keys, .random = random};
    for (unsigned i = 0; i < count; i++) {
        const struct tarn_dns_key *key = &TARN_AT_N(keys, count, i);
        TARN_AT(k->signer.dnskeys, i) =
            tarn_span_first(TARN_SPAN_ARRAY(key->dnskey), key->dnskey_len);
    }
}
