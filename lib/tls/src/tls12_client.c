/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define KEY_AT (32 + 32 + 4) /* the server's key in what it signed */

void tls12_put_hello(struct tarn_writer *w) {
    tarn_writer_u32be(w, (uint32_t)EXT_MASTER_SECRET << 16);
    tarn_writer_u32be(w, (uint32_t)EXT_RENEGOTIATION << 16 | 1);
    tarn_writer_u8(w, 0);
    tarn_writer_u32be(w, (uint32_t)EXT_POINT_FORMATS << 16 | 2);
    tarn_writer_u16be(w, 0x0100);
}

struct answer {
    uint16_t version, suite;
    uint8_t compression;
    struct tarn_span random, session_id, extensions;
    bool has_renegotiation;
};

static enum tarn_tls_alert parse(struct answer *a, struct tarn_span body) {
    *a = (struct answer){.version = 0};
    if (!tarn_span_u16be(&body, &a->version) || !tarn_span_take(&body, 32, &a->random)
        || !vector8(&body, &a->session_id) || a->session_id.len > 32
        || !tarn_span_u16be(&body, &a->suite) || !tarn_span_u8(&body, &a->compression))
        return TARN_TLS_DECODE_ERROR;
    if (body.len > 0 && (!vector16(&body, &a->extensions) || body.len > 0))
        return TARN_TLS_DECODE_ERROR;
    return FINE;
}

static enum tarn_tls_alert extension(struct tarn_tls *t, struct answer *a, uint16_t id,
                                     struct tarn_span ext) {
    switch (id) {
    case EXT_MASTER_SECRET: t->extended = true; return ext.len ? TARN_TLS_DECODE_ERROR : FINE;
    case EXT_RENEGOTIATION:
        a->has_renegotiation = true;
        return tarn_span_equal(ext, TARN_SPAN_LIT("\0")) ? FINE : TARN_TLS_HANDSHAKE_FAILURE;
    case EXT_POINT_FORMATS: return tls12_take_points(ext);
    case EXT_SERVER_NAME:
        if (t->name_len > 0)
            return ext.len ? TARN_TLS_DECODE_ERROR : FINE;
        return TARN_TLS_UNSUPPORTED_EXTENSION;
    case EXT_ALPN:
        return t->config->alpn_count > 0 ? alpn_accept(t, ext) : TARN_TLS_UNSUPPORTED_EXTENSION;
    case EXT_STATUS_REQUEST:
        t->wants_staple = true; /* CertificateStatus may come */
        return ext.len ? TARN_TLS_DECODE_ERROR : FINE;
    case EXT_RECORD_SIZE_LIMIT: return take_limit(t, ext);
    case EXT_GROUPS: return FINE; /* some servers say it here, where it means nothing */
    default: return TARN_TLS_UNSUPPORTED_EXTENSION;
    }
}

static enum tarn_tls_alert extensions(struct tarn_tls *t, struct answer *a) {
    struct tarn_span list = a->extensions, ext;
    uint32_t seen = 0;
    uint16_t id;
    while (list.len > 0) {
        if (!tarn_span_u16be(&list, &id) || !vector16(&list, &ext))
            return TARN_TLS_DECODE_ERROR;
        uint32_t bit = id == EXT_RENEGOTIATION ? 1u << 31 : id < 31 ? 1u << id : 0;
        if (seen & bit)
            return TARN_TLS_DECODE_ERROR;
        seen |= bit;
        enum tarn_tls_alert alert = extension(t, a, id, ext);
        if (alert != FINE)
            return alert;
    }
    bool bound = t->extended || t->config->old_master_secret;
    return bound && a->has_renegotiation ? FINE : TARN_TLS_HANDSHAKE_FAILURE;
}

/* Whether somebody in between made two that could do better come down to this (RFC 8446 section
 * 4.1.3). */
static bool was_downgraded(const struct tarn_tls *t, struct tarn_span random) {
    struct tarn_span tail = tarn_span_after(random, 24);
    return version_is_on(t, TARN_TLS_13)
           && (tarn_span_equal(tail, TARN_SPAN_LIT("DOWNGRD\x01"))
               || tarn_span_equal(tail, TARN_SPAN_LIT("DOWNGRD\x00")));
}

enum tarn_tls_alert tls12_client_server_hello(struct tarn_tls *t, struct tarn_span message,
                                              struct tarn_span body) {
    struct answer a;
    bool by_rsa;
    enum tarn_tls_alert alert = parse(&a, body);
    if (alert != FINE)
        return alert;
    if (a.version != TARN_TLS_12 || !version_is_on(t, TARN_TLS_12))
        return TARN_TLS_PROTOCOL_VERSION;
    if (t->early == TARN_TLS_EARLY_OFFERED) /* to a server that had TLS 1.3 (appendix D.3) */
        return TARN_TLS_PROTOCOL_VERSION;
    int suite = suite12_of(t, a.suite, &by_rsa);
    /* A session that there was not cannot be gone on with, nor TLS 1.3 that was begun be left. */
    bool resumes = t->session_id_len > 0
                   && tarn_span_equal(a.session_id, tarn_span_of(t->session_id, t->session_id_len));
    if (was_downgraded(t, a.random) || suite < 0 || a.compression != 0 || t->retried || resumes)
        return TARN_TLS_ILLEGAL_PARAMETER;
    t->version = TARN_TLS_12;
    alert = extensions(t, &a);
    if (alert != FINE)
        return alert;
    t->suite = (uint8_t)suite;
    t->key_types = by_rsa ? 1u << TARN_PK_RSA
                          : 1u << TARN_PK_P256 | 1u << TARN_PK_P384 | 1u << TARN_PK_ED25519
                                | 1u << TARN_PK_ED448;
    tarn_bytes_copy(TARN_BYTES_ARRAY(t->server_random), a.random);
    transcript_add(t, message);
    transcript_choose(t);
    t->phase = WAIT12_CERTIFICATE;
    return FINE;
}

/* The server's key and its signature over both randoms and the key. */
enum tarn_tls_alert tls12_server_key(struct tarn_tls *t, struct tarn_span body) {
    struct tarn_writer w = TARN_WRITER_ARRAY(t->to_sign);
    struct tarn_span params = body, point;
    struct tarn_public_key key;
    uint16_t curve;
    uint8_t type;
    if (!tarn_span_u8(&body, &type) || !tarn_span_u16be(&body, &curve) || !vector8(&body, &point)
        || point.len == 0)
        return TARN_TLS_DECODE_ERROR;
    int group = group_of(t, curve);
    if (type != NAMED_CURVE || group < TARN_TLS_X25519)
        return TARN_TLS_ILLEGAL_PARAMETER;
    if (tarn_spki_parse(tarn_span_of(t->peer_spki, t->peer_spki_len), &key) != TARN_OK)
        return TARN_TLS_BAD_CERTIFICATE;
    if (!(t->key_types >> key.type & 1))
        return TARN_TLS_ILLEGAL_PARAMETER; /* not the kind of key that the suite has */
    t->group = (uint8_t)group;
    tarn_writer_mem(&w, t->client_random, sizeof t->client_random);
    tarn_writer_mem(&w, t->server_random, sizeof t->server_random);
    tarn_writer_span_put(&w, tarn_span_first(params, params.len - body.len));
    if (!tarn_writer_ok(&w))
        return TARN_TLS_ILLEGAL_PARAMETER; /* no point of these curves is that long */
    enum tarn_tls_alert alert = check_signature(t, &body, tarn_writer_span(&w), false);
    if (alert != FINE || body.len > 0)
        return alert != FINE ? alert : TARN_TLS_DECODE_ERROR;
    t->to_sign_len = (uint8_t)w.len; /* kept for send_key */
    t->phase = WAIT12_REQUEST_OR_DONE;
    return FINE;
}

enum tarn_tls_alert tls12_certificate_request(struct tarn_tls *t, struct tarn_span body) {
    struct tarn_span types, schemes = body, list, authorities;
    if (!vector8(&body, &types) || types.len == 0)
        return TARN_TLS_DECODE_ERROR;
    schemes = body;
    if (!vector16(&body, &list) || !vector16(&body, &authorities) || body.len > 0
        || !schemes_parse(tarn_span_first(schemes, 2 + list.len), &t->peer_schemes))
        return TARN_TLS_DECODE_ERROR;
    t->key_types = 0;
    for (uint8_t type; tarn_span_u8(&types, &type);)
        t->key_types |= type == CERT_TYPE_RSA ? 1u << TARN_PK_RSA
                        : type == CERT_TYPE_ECDSA
                            ? 1u << TARN_PK_P256 | 1u << TARN_PK_P384 | 1u << TARN_PK_P521
                            : 0;
    t->asked_for_cert = true;
    t->phase = WAIT12_DONE;
    return FINE;
}

static enum tarn_tls_alert send_key(struct tarn_tls *t) {
    uint8_t point[TARN_EC_POINT_BYTES_MAX], shared[64];
    struct tarn_writer key = TARN_WRITER_ARRAY(point);
    struct tarn_span theirs = tarn_span_after(tarn_span_of(t->to_sign, t->to_sign_len), KEY_AT);
    size_t len;
    enum tarn_tls_alert alert = group_answer(t, t->group, theirs, &key, shared, &len);
    if (alert != FINE)
        return alert;
    struct tarn_writer w = message_begin(t, MSG_CLIENT_KEY_EXCHANGE);
    tarn_writer_u8(&w, (uint8_t)key.len);
    tarn_writer_span_put(&w, tarn_writer_span(&key));
    alert = message_end(t, &w);
    if (alert == FINE)
        tls12_master(t, tarn_span_of(shared, len));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(shared));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(t->own_secrets));
    return alert;
}

enum tarn_tls_alert tls12_server_done(struct tarn_tls *t, struct tarn_span body) {
    if (body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    bool has = t->asked_for_cert && choose_identity(t);
    enum tarn_tls_alert alert = t->asked_for_cert ? send_certificate(t, TARN_SPAN_EMPTY) : FINE;
    if (alert == FINE)
        alert = send_key(t);
    if (alert != FINE)
        return alert;
    return has ? send_certificate_verify(t) : client_after_signature(t);
}
