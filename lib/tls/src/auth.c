/* SPDX-License-Identifier: ISC */
/* Certificate, CertificateVerify and Finished (RFC 8446 section 4.4), ours and theirs; what TLS 1.2
 * (RFC 5246 section 7.4) has of them in common stands here, too. */
#include "internal.h"

#include <tarn/x509_revoke.h>

#define STATUS_OCSP 1

struct scheme {
    uint16_t id;
    const struct tarn_scheme *scheme;
    enum tarn_pk_type type; /* TARN_PK_NONE: with TLS 1.3 for signatures of certificates only */
};
#define SCHEMES 11

static struct scheme scheme_at(size_t i) {
    static const struct scheme schemes[SCHEMES] = {
        {0x0403, &tarn_ecdsa_sha256, TARN_PK_P256}, {0x0807, &tarn_ed25519, TARN_PK_ED25519},
        {0x0503, &tarn_ecdsa_sha384, TARN_PK_P384}, {0x0603, &tarn_ecdsa_sha512, TARN_PK_P521},
        {0x0808, &tarn_ed448, TARN_PK_ED448},       {0x0804, &tarn_pss_sha256, TARN_PK_RSA},
        {0x0805, &tarn_pss_sha384, TARN_PK_RSA},    {0x0806, &tarn_pss_sha512, TARN_PK_RSA},
        {0x0401, &tarn_rsa_sha256, TARN_PK_NONE},   {0x0501, &tarn_rsa_sha384, TARN_PK_NONE},
        {0x0601, &tarn_rsa_sha512, TARN_PK_NONE}};
    return TARN_AT(schemes, i);
}

/* With the digest in place of the message. */
static const struct tarn_scheme *prehashed(const struct tarn_scheme *s) {
    static const struct tarn_scheme all[] = {
        {"ecdsa-sha256", &tarn_ecdsa_ops, &tarn_sha256, NULL, 0, true},
        {"ecdsa-sha384", &tarn_ecdsa_ops, &tarn_sha384, NULL, 0, true},
        {"rsa-pss-sha256", &tarn_rsa_pss_ops, &tarn_sha256, &tarn_sha256, 32, true},
        {"rsa-pss-sha384", &tarn_rsa_pss_ops, &tarn_sha384, &tarn_sha384, 48, true},
        {"rsa-sha256", &tarn_rsa_pkcs1_ops, &tarn_sha256, NULL, 0, true},
        {"rsa-sha384", &tarn_rsa_pkcs1_ops, &tarn_sha384, NULL, 0, true}};
    for (size_t i = 0; i < TARN_COUNT_OF(all); i++)
        if (TARN_AT(all, i).ops == s->ops && TARN_AT(all, i).digest == s->digest)
            return &TARN_AT(all, i);
    return NULL;
}

void put_schemes(struct tarn_writer *w) {
    tarn_writer_u16be(w, EXT_SIG_ALGS);
    size_t ext = vector_open(w), list = vector_open(w);
    for (size_t i = 0; i < SCHEMES; i++)
        tarn_writer_u16be(w, scheme_at(i).id);
    vector_close(w, list);
    vector_close(w, ext);
}

void put_transcript_schemes(struct tarn_writer *w) {
    size_t list = vector_open(w);
    for (size_t i = 0; i < SCHEMES; i++)
        if (prehashed(scheme_at(i).scheme))
            tarn_writer_u16be(w, scheme_at(i).id);
    vector_close(w, list);
}

bool schemes_parse(struct tarn_span ext, uint16_t *bits) {
    struct tarn_span list;
    uint16_t id;
    *bits = 0;
    if (!vector16(&ext, &list) || ext.len > 0 || list.len == 0 || list.len % 2)
        return false;
    while (tarn_span_u16be(&list, &id))
        for (size_t i = 0; i < SCHEMES; i++)
            if (scheme_at(i).id == id)
                *bits |= (uint16_t)(1u << i);
    return true;
}

/* In TLS 1.2 ECDSA's digest and curve are independent, RSA-PKCS1 is there, and what signs for a
 * client must do so over a digest. */
static bool scheme_fits(const struct tarn_tls *t, struct scheme s, enum tarn_pk_type type) {
    if (t->version != TARN_TLS_12)
        return s.type == type;
    return s.scheme->ops->serves(type) && t->key_types >> type & 1
           && (t->config->server || prehashed(s.scheme));
}

/* The first scheme for that type of key that the other side takes; -1: none. */
static int scheme_for(const struct tarn_tls *t, enum tarn_pk_type type) {
    for (size_t i = 0; i < SCHEMES; i++)
        if (type != TARN_PK_NONE && t->peer_schemes >> i & 1 && scheme_fits(t, scheme_at(i), type))
            return (int)i;
    return -1;
}

bool choose_identity(struct tarn_tls *t) {
    struct tarn_x509 leaf;
    for (size_t i = 0; i < t->config->identity_count; i++) {
        const struct tarn_tls_identity *id =
            &TARN_AT_N(t->config->identities, t->config->identity_count, i);
        if (id->chain_len == 0
            || tarn_x509_parse(TARN_AT_N(id->chain, id->chain_len, 0), &leaf) != TARN_OK)
            continue;
        int scheme = scheme_for(t, leaf.key.type);
        if (scheme < 0)
            continue;
        bool named = t->name_len > 0 && tarn_x509_is_for(&leaf, tarn_tls_name(t));
        if (t->identity && !named)
            continue;
        t->identity = id;
        t->scheme = scheme_at((size_t)scheme).scheme;
        t->scheme_id = scheme_at((size_t)scheme).id;
        if (named || !t->config->server)
            return true;
    }
    return t->identity != NULL;
}

/* An OCSP response beside the leaf (RFC 8446 section 4.4.2.1). */
static void put_staple(struct tarn_writer *w, struct tarn_span staple) {
    tarn_writer_u16be(w, EXT_STATUS_REQUEST);
    size_t ext = vector_open(w);
    tarn_writer_u8(w, STATUS_OCSP);
    tarn_writer_u8(w, (uint8_t)(staple.len >> 16));
    tarn_writer_u16be(w, (uint16_t)staple.len);
    tarn_writer_span_put(w, staple);
    vector_close(w, ext);
}

enum tarn_tls_alert send_certificate(struct tarn_tls *t, struct tarn_span context) {
    struct tarn_writer w = message_begin(t, MSG_CERTIFICATE);
    bool is_12 = t->version == TARN_TLS_12;
    if (!is_12) {
        tarn_writer_u8(&w, (uint8_t)context.len);
        tarn_writer_span_put(&w, context);
    }
    tarn_writer_u8(&w, 0);
    size_t list = vector_open(&w);
    for (size_t i = 0; t->identity && i < t->identity->chain_len; i++) {
        struct tarn_span der = TARN_AT_N(t->identity->chain, t->identity->chain_len, i);
        tarn_writer_u8(&w, (uint8_t)(der.len >> 16));
        tarn_writer_u16be(&w, (uint16_t)der.len);
        tarn_writer_span_put(&w, der);
        if (is_12)
            continue;
        size_t extensions = vector_open(&w);
        if (i == 0 && t->wants_staple && t->identity->staple.len > 0)
            put_staple(&w, t->identity->staple);
        vector_close(&w, extensions);
    }
    vector_close(&w, list);
    return message_end(t, &w);
}

/* What is signed (section 4.4.3): 64 spaces, whose signature it is, and the transcript. */
static struct tarn_span signed_text(const struct tarn_tls *t, bool by_server, uint8_t out[160]) {
    uint8_t hash[64];
    struct tarn_writer w = {out, 0, 160};
    for (int i = 0; i < 64; i++)
        tarn_writer_u8(&w, ' ');
    tarn_writer_str(&w, by_server ? "TLS 1.3, server CertificateVerify"
                                  : "TLS 1.3, client CertificateVerify");
    tarn_writer_u8(&w, 0);
    tarn_writer_span_put(&w, transcript_hash(t, hash));
    return tarn_writer_span(&w);
}

enum tarn_tls_alert send_certificate_verify(struct tarn_tls *t) {
    if (t->version == TARN_TLS_12) {
        t->scheme = prehashed(t->scheme);
        t->to_sign_len =
            (uint8_t)transcript_hash_with(t, t->scheme->digest, TARN_SPAN_EMPTY, t->to_sign).len;
    } else {
        t->to_sign_len = (uint8_t)signed_text(t, t->config->server, t->to_sign).len;
    }
    return sign_or_ask(t);
}

enum tarn_tls_alert sign_or_ask(struct tarn_tls *t) {
    uint8_t sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    if (!t->identity->key) {
        t->phase = WAIT_SIGNATURE;
        return FINE;
    }
    if (tarn_sign(t->identity->key, t->scheme, t->config->random,
                  tarn_span_of(t->to_sign, t->to_sign_len), &w)
            != TARN_OK
        || !tarn_writer_ok(&w))
        return TARN_TLS_INTERNAL_ERROR;
    return signature_ready(t, tarn_writer_span(&w));
}

enum tarn_tls_alert signature_ready(struct tarn_tls *t, struct tarn_span signature) {
    if (t->version == TARN_TLS_12 && t->config->server)
        return tls12_server_signed(t, signature);
    struct tarn_writer w = message_begin(t, MSG_CERTIFICATE_VERIFY);
    tarn_writer_u16be(&w, t->scheme_id);
    size_t at = vector_open(&w);
    tarn_writer_span_put(&w, signature);
    vector_close(&w, at);
    enum tarn_tls_alert alert = message_end(t, &w);
    if (alert != FINE)
        return alert;
    return t->config->server ? server_after_signature(t) : client_after_signature(t);
}

enum tarn_tls_alert send_finished(struct tarn_tls *t) {
    uint8_t mac[48];
    finished_mac(t, t->tx.secret, mac);
    struct tarn_writer w = message_begin(t, MSG_FINISHED);
    tarn_writer_mem(&w, mac, t->hash->digest_bytes);
    return message_end(t, &w);
}

static enum tarn_tls_alert alert_for(enum tarn_x509_reason reason) {
    switch (reason) {
    case TARN_X509_NO_PATH: return TARN_TLS_UNKNOWN_CA;
    case TARN_X509_EXPIRED:
    case TARN_X509_NOT_YET_VALID: return TARN_TLS_CERTIFICATE_EXPIRED;
    case TARN_X509_USAGE: return TARN_TLS_UNSUPPORTED_CERTIFICATE;
    case TARN_X509_REVOKED: return TARN_TLS_CERTIFICATE_REVOKED;
    default: return TARN_TLS_BAD_CERTIFICATE;
    }
}

/* What came beside the leaf must be good, and must be there where the leaf says so (RFC 7633). */
static enum tarn_tls_alert check_staple(struct tarn_tls *t, const struct tarn_x509_path *path,
                                        struct tarn_span staple) {
    const struct tarn_x509 *leaf = TARN_AT(path->certs, 0);
    enum tarn_ocsp_status status;
    struct tarn_ocsp ocsp;
    if (t->config->server || path->count < 2)
        return FINE;
    if (staple.len == 0)
        return leaf->must_staple ? TARN_TLS_BAD_CERTIFICATE_STATUS_RESPONSE : FINE;
    if (tarn_ocsp_parse(staple, &ocsp) != TARN_OK
        || tarn_ocsp_check(&ocsp, leaf, TARN_AT(path->certs, 1), t->now, &status) != TARN_OK)
        return TARN_TLS_BAD_CERTIFICATE_STATUS_RESPONSE;
    if (status == TARN_OCSP_REVOKED)
        t->peer_reason = TARN_X509_REVOKED;
    return status == TARN_OCSP_GOOD      ? FINE
           : status == TARN_OCSP_REVOKED ? TARN_TLS_CERTIFICATE_REVOKED
                                         : TARN_TLS_BAD_CERTIFICATE_STATUS_RESPONSE;
}

/* The extensions of one certificate: of a server's leaf, an OCSP response, as was asked for. */
static enum tarn_tls_alert take_extensions(const struct tarn_tls *t, struct tarn_span list,
                                           bool leaf, struct tarn_span *staple) {
    struct tarn_span ext, value;
    uint16_t id;
    uint8_t type;
    while (list.len > 0) {
        if (!tarn_span_u16be(&list, &id) || !vector16(&list, &ext))
            return TARN_TLS_DECODE_ERROR;
        if (id != EXT_STATUS_REQUEST || t->config->server)
            return TARN_TLS_UNSUPPORTED_EXTENSION;
        if (!tarn_span_u8(&ext, &type) || type != STATUS_OCSP || !vector24(&ext, &value)
            || ext.len > 0 || value.len == 0)
            return TARN_TLS_DECODE_ERROR;
        if (leaf && staple->len > 0)
            return TARN_TLS_ILLEGAL_PARAMETER;
        if (leaf)
            *staple = value;
    }
    return FINE;
}

static enum tarn_tls_alert believe(struct tarn_tls *t, const struct tarn_x509 *certs, size_t n,
                                   struct tarn_span staple) {
    struct tarn_x509_path path;
    if (t->config->trust_anybody)
        return FINE;
    struct tarn_x509_policy policy = *t->config->trust;
    policy.now = t->now;
    policy.purpose = t->config->server ? TARN_X509_FOR_CLIENT : TARN_X509_FOR_SERVER;
    policy.name = t->config->server ? TARN_SPAN_EMPTY : tarn_tls_name(t);
    const struct tarn_x509 *others = n > 1 ? &TARN_AT_N(certs, n, 1) : NULL;
    if (tarn_x509_verify(&policy, certs, others, n - 1, &path) == TARN_OK)
        return check_staple(t, &path, staple);
    t->peer_reason = path.reason;
    return alert_for(path.reason);
}

enum tarn_tls_alert take_certificate(struct tarn_tls *t, struct tarn_span body) {
    struct tarn_x509 certs[TARN_TLS_PEER_CERTS_MAX];
    struct tarn_span context, list, der, extensions, staple = TARN_SPAN_EMPTY;
    size_t n = 0;
    bool is_12 = t->version == TARN_TLS_12;
    extensions = context = TARN_SPAN_EMPTY;
    if ((!is_12 && !vector8(&body, &context)) || !vector24(&body, &list) || body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    if (context.len > 0)
        return TARN_TLS_ILLEGAL_PARAMETER;
    if (list.len == 0) {
        if (!t->config->server)
            return TARN_TLS_DECODE_ERROR;
        if (t->config->client_auth == TARN_TLS_CLIENT_MUST)
            return is_12 ? TARN_TLS_HANDSHAKE_FAILURE : TARN_TLS_CERTIFICATE_REQUIRED;
        t->phase = WAIT_FINISHED;
        return FINE;
    }
    for (size_t i = 0; list.len > 0; i++) {
        if (!vector24(&list, &der) || der.len == 0 || (!is_12 && !vector16(&list, &extensions)))
            return TARN_TLS_DECODE_ERROR;
        enum tarn_tls_alert bad = take_extensions(t, extensions, i == 0, &staple);
        if (bad != FINE)
            return bad;
        bool parsed =
            n < TARN_TLS_PEER_CERTS_MAX && tarn_x509_parse(der, &TARN_AT(certs, n)) == TARN_OK;
        if (i == 0
            && (!parsed || certs[0].spki.len > sizeof t->peer_spki
                || certs[0].key.type == TARN_PK_NONE))
            return TARN_TLS_BAD_CERTIFICATE;
        if (i == 0 && certs[0].extensions & TARN_X509_EXT_KEY_USAGE
            && !(certs[0].key_usage & TARN_X509_DIGITAL_SIGNATURE))
            return TARN_TLS_UNSUPPORTED_CERTIFICATE; /* it signs nothing but that (4.4.2.2) */
        n += parsed;
    }
    enum tarn_tls_alert alert = believe(t, certs, n, staple);
    if (alert != FINE)
        return alert;
    t->peer_spki_len = tarn_bytes_copy(TARN_BYTES_ARRAY(t->peer_spki), certs[0].spki);
    t->peer_not_after = certs[0].not_after;
    t->phase = WAIT_CERTIFICATE_VERIFY;
    return FINE;
}

enum tarn_tls_alert take_certificate_verify(struct tarn_tls *t, struct tarn_span body) {
    uint8_t text[160];
    struct tarn_span over = signed_text(t, !t->config->server, text);
    enum tarn_tls_alert alert = check_signature(t, &body, over, t->version == TARN_TLS_12);
    if (alert == FINE && body.len > 0)
        alert = TARN_TLS_DECODE_ERROR;
    t->phase = WAIT_FINISHED;
    return alert;
}

enum tarn_tls_alert check_signature(struct tarn_tls *t, struct tarn_span *in, struct tarn_span text,
                                    bool by_transcript) {
    struct tarn_public_key key;
    struct tarn_span sig;
    uint8_t digest[TARN_DIGEST_BYTES_MAX];
    uint16_t id;
    if (!tarn_span_u16be(in, &id) || !vector16(in, &sig))
        return TARN_TLS_DECODE_ERROR;
    if (tarn_spki_parse(tarn_span_of(t->peer_spki, t->peer_spki_len), &key) != TARN_OK)
        return TARN_TLS_BAD_CERTIFICATE;
    for (size_t i = 0; i < SCHEMES; i++) {
        struct scheme s = scheme_at(i);
        if (s.id != id)
            continue;
        const struct tarn_scheme *scheme = by_transcript ? prehashed(s.scheme) : s.scheme;
        bool fits =
            t->version == TARN_TLS_12 ? s.scheme->ops->serves(key.type) : s.type == key.type;
        if (!scheme || !fits)
            break;
        if (by_transcript)
            text = transcript_hash_with(t, scheme->digest, TARN_SPAN_EMPTY, digest);
        if (tarn_verify(&key, scheme, text, sig) != TARN_OK)
            return TARN_TLS_DECRYPT_ERROR;
        t->peer_has_cert = true;
        return FINE;
    }
    return TARN_TLS_ILLEGAL_PARAMETER;
}

enum tarn_tls_alert take_finished(struct tarn_tls *t, struct tarn_span body) {
    uint8_t mac[48];
    finished_mac(t, t->rx.secret, mac);
    if (body.len != t->hash->digest_bytes)
        return TARN_TLS_DECODE_ERROR;
    if (!tarn_equal_ct(body, tarn_span_of(mac, t->hash->digest_bytes)))
        return TARN_TLS_DECRYPT_ERROR;
    t->phase = CONNECTED;
    return FINE;
}
