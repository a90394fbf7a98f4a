/* SPDX-License-Identifier: ISC */
/* Key exchange: X25519, P-256, P-384, and X25519 beside ML-KEM-768 (draft-ietf-tls-ecdhe-mlkem). */
#include "internal.h"

#include <tarn/mlkem.h>

static const uint16_t ids[GROUPS] = {
    [TARN_TLS_X25519MLKEM768] = 0x11ec,
    [TARN_TLS_X25519] = 0x001d,
    [TARN_TLS_P256] = 0x0017,
    [TARN_TLS_P384] = 0x0018,
};

uint16_t group_id(size_t i) {
    return TARN_AT(ids, i);
}

bool group_is_on(const struct tarn_tls *t, size_t i) {
    return !(t->config->groups_off >> i & 1)
           && (i != TARN_TLS_X25519MLKEM768 || version_is_on(t, TARN_TLS_13));
}

int group_of(const struct tarn_tls *t, uint16_t id) {
    for (size_t i = 0; i < GROUPS; i++)
        if (TARN_AT(ids, i) == id && group_is_on(t, i))
            return (int)i;
    return -1;
}

static enum tarn_pk_type curve_of(size_t group) {
    return group == TARN_TLS_P256   ? TARN_PK_P256
           : group == TARN_TLS_P384 ? TARN_PK_P384
                                    : TARN_PK_X25519;
}

/* The secret scalar of a curve; X25519 alone and beside ML-KEM have the same one. */
static struct tarn_bytes own_scalar(struct tarn_tls *t, size_t group) {
    size_t at = group == TARN_TLS_X25519MLKEM768 ? TARN_TLS_X25519 : group;
    return tarn_bytes_of(TARN_AT(t->own_secrets, at), tarn_pk_scalar_bytes(curve_of(group)));
}

static struct tarn_bytes seed_of(struct tarn_tls *t) {
    return tarn_bytes_of(TARN_AT(t->own_secrets, (size_t)TARN_TLS_X25519MLKEM768), 64);
}

enum tarn_tls_alert group_offer(struct tarn_tls *t, size_t group, struct tarn_writer *w) {
    uint8_t point[TARN_EC_POINT_BYTES_MAX];
    enum tarn_pk_type type = curve_of(group);
    struct tarn_bytes p = {point, tarn_pk_point_bytes(type)}, scalar = own_scalar(t, group);
    /* One key for X25519, alone and beside ML-KEM. */
    bool made = type == TARN_PK_X25519
                && t->offered & (1 << TARN_TLS_X25519 | 1 << TARN_TLS_X25519MLKEM768);
    if (made ? tarn_pk_public(type, tarn_bytes_span(scalar), p)
             : tarn_pk_generate(type, t->config->random, scalar, p))
        return TARN_TLS_INTERNAL_ERROR;
    if (group == TARN_TLS_X25519MLKEM768) {
        uint8_t pub[TARN_MLKEM768_PUBLIC_BYTES], secret[TARN_MLKEM768_SECRET_BYTES];
        tarn_random_fill(t->config->random, seed_of(t));
        tarn_mlkem768_from_seed(seed_of(t).ptr, pub, secret);
        tarn_writer_mem(w, pub, sizeof pub);
        tarn_bytes_wipe(TARN_BYTES_ARRAY(secret));
    }
    tarn_writer_span_put(w, tarn_bytes_span(p));
    t->offered |= (uint8_t)(1u << group);
    return FINE;
}

static enum tarn_tls_alert agree(struct tarn_tls *t, size_t group, struct tarn_span share,
                                 struct tarn_bytes out, size_t *len) {
    enum tarn_pk_type type = curve_of(group);
    struct tarn_bytes part = tarn_bytes_first(out, tarn_pk_scalar_bytes(type));
    enum tarn_err err = tarn_agree(type, tarn_bytes_span(own_scalar(t, group)), share, part);
    *len += part.len;
    return err == TARN_OK     ? FINE
           : err == TARN_PEER ? TARN_TLS_ILLEGAL_PARAMETER
                              : TARN_TLS_INTERNAL_ERROR;
}

enum tarn_tls_alert group_finish(struct tarn_tls *t, size_t group, struct tarn_span share,
                                 uint8_t shared[64], size_t *len) {
    struct tarn_bytes out = tarn_bytes_of(shared, 64);
    *len = 0;
    if (group == TARN_TLS_X25519MLKEM768) {
        uint8_t pub[TARN_MLKEM768_PUBLIC_BYTES], secret[TARN_MLKEM768_SECRET_BYTES];
        struct tarn_span ct;
        if (!tarn_span_take(&share, TARN_MLKEM768_CIPHERTEXT_BYTES, &ct))
            return TARN_TLS_ILLEGAL_PARAMETER;
        tarn_mlkem768_from_seed(seed_of(t).ptr, pub, secret);
        enum tarn_err err = tarn_mlkem768_decapsulate(TARN_SPAN_ARRAY(secret), ct, shared);
        tarn_bytes_wipe(TARN_BYTES_ARRAY(secret));
        if (err)
            return TARN_TLS_ILLEGAL_PARAMETER;
        *len = TARN_MLKEM768_SHARED_BYTES;
        out = tarn_bytes_after(out, *len);
    }
    return agree(t, group, share, out, len);
}

enum tarn_tls_alert group_answer(struct tarn_tls *t, size_t group, struct tarn_span share,
                                 struct tarn_writer *w, uint8_t shared[64], size_t *len) {
    uint8_t point[TARN_EC_POINT_BYTES_MAX];
    enum tarn_pk_type type = curve_of(group);
    struct tarn_bytes p = {point, tarn_pk_point_bytes(type)}, out = tarn_bytes_of(shared, 64);
    *len = 0;
    if (group == TARN_TLS_X25519MLKEM768) {
        uint8_t ct[TARN_MLKEM768_CIPHERTEXT_BYTES];
        struct tarn_span key;
        if (!tarn_span_take(&share, TARN_MLKEM768_PUBLIC_BYTES, &key)
            || tarn_mlkem768_encapsulate(t->config->random, key, ct, shared) != TARN_OK)
            return TARN_TLS_ILLEGAL_PARAMETER;
        tarn_writer_mem(w, ct, sizeof ct);
        *len = TARN_MLKEM768_SHARED_BYTES;
        out = tarn_bytes_after(out, *len);
    }
    if (tarn_pk_generate(type, t->config->random, own_scalar(t, group), p))
        return TARN_TLS_INTERNAL_ERROR;
    tarn_writer_span_put(w, tarn_bytes_span(p));
    return agree(t, group, share, out, len);
}
