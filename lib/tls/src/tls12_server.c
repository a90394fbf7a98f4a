/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define RANDOMS 64 /* what is signed in front of the key: both randoms */

/* In both of these an empty one is the only right one: no handshake was before. */
static enum tarn_tls_alert check_bindings(struct tarn_tls *t, const struct hello *h) {
    if (h->has_renegotiation && !tarn_span_equal(h->renegotiation, TARN_SPAN_LIT("\0")))
        return TARN_TLS_HANDSHAKE_FAILURE;
    if (h->master_secret.len > 0)
        return TARN_TLS_DECODE_ERROR;
    t->extended = h->has_master_secret;
    return t->extended || t->config->old_master_secret ? FINE : TARN_TLS_HANDSHAKE_FAILURE;
}

static enum tarn_tls_alert choose_curve(struct tarn_tls *t, const struct hello *h) {
    struct tarn_span ext = h->groups, groups;
    if (!h->has_groups)
        return TARN_TLS_HANDSHAKE_FAILURE;
    if (!vector16(&ext, &groups) || ext.len > 0 || groups.len == 0 || groups.len % 2)
        return TARN_TLS_DECODE_ERROR;
    t->key_types = 1u << TARN_PK_RSA | 1u << TARN_PK_ED25519 | 1u << TARN_PK_ED448;
    t->key_types |= (uint16_t)((list_has(groups, 0x17) ? 1u << TARN_PK_P256 : 0)
                               | (list_has(groups, 0x18) ? 1u << TARN_PK_P384 : 0)
                               | (list_has(groups, 0x19) ? 1u << TARN_PK_P521 : 0));
    for (size_t i = TARN_TLS_X25519; i < GROUPS; i++)
        if (group_is_on(t, i) && list_has(groups, group_id(i))) {
            t->group = (uint8_t)i;
            return FINE;
        }
    return TARN_TLS_HANDSHAKE_FAILURE;
}

static bool has_suite(const struct tarn_tls *t, const struct hello *h, size_t i, bool by_rsa) {
    uint16_t id = by_rsa ? suite_at(i)->id_12_rsa : suite_at(i)->id_12_ecdsa;
    return suite_is_on(t, i) && id != NO_SUITE && list_has(h->suites, id);
}

/* The certificate decides between the two kinds of suites; so it must be one that the client has a
 * suite for. */
static enum tarn_tls_alert choose_identity_and_suite(struct tarn_tls *t, const struct hello *h) {
    bool any[2] = {false, false};
    for (size_t i = 0; i < SUITES; i++) {
        any[0] |= has_suite(t, h, i, false);
        any[1] |= has_suite(t, h, i, true);
    }
    uint16_t rsa = 1u << TARN_PK_RSA;
    t->key_types &= (uint16_t)((any[0] ? (uint16_t)~rsa : 0) | (any[1] ? rsa : 0));
    if (!choose_identity(t))
        return TARN_TLS_HANDSHAKE_FAILURE;
    bool by_rsa = t->scheme->ops->serves(TARN_PK_RSA);
    for (size_t i = 0; i < SUITES; i++)
        if (has_suite(t, h, i, by_rsa)) {
            t->suite = (uint8_t)i;
            return FINE;
        }
    return TARN_TLS_HANDSHAKE_FAILURE;
}

static enum tarn_tls_alert negotiate(struct tarn_tls *t, const struct hello *h) {
    size_t at;
    if (!tarn_span_find(h->compressions, 0, &at))
        return TARN_TLS_ILLEGAL_PARAMETER;
    enum tarn_tls_alert alert = check_bindings(t, h);
    if (alert == FINE && h->has_points)
        alert = tls12_take_points(h->points);
    if (alert == FINE && !h->has_schemes) /* that would be SHA-1 */
        alert = TARN_TLS_HANDSHAKE_FAILURE;
    if (alert == FINE && !schemes_parse(h->schemes, &t->peer_schemes))
        alert = TARN_TLS_DECODE_ERROR;
    if (alert == FINE && h->has_name)
        alert = take_name(t, h->name);
    if (alert == FINE)
        alert = choose_curve(t, h);
    if (alert == FINE)
        alert = choose_identity_and_suite(t, h);
    if (alert == FINE && h->has_alpn)
        alert = alpn_choose(t, h->alpn);
    if (alert == FINE && h->has_limit)
        alert = take_limit(t, h->limit);
    return alert;
}

/* A client that could have had TLS 1.3 sees that it was asked for less (RFC 8446 section 4.1.3). */
static void make_random(struct tarn_tls *t) {
    tarn_random_fill(t->config->random, TARN_BYTES_ARRAY(t->server_random));
    if (version_is_on(t, TARN_TLS_13))
        tarn_bytes_copy(tarn_bytes_after(TARN_BYTES_ARRAY(t->server_random), 24),
                        TARN_SPAN_LIT("DOWNGRD\x01"));
}

static enum tarn_tls_alert send_hello(struct tarn_tls *t, const struct hello *h) {
    bool by_rsa = t->scheme->ops->serves(TARN_PK_RSA);
    struct tarn_writer w = message_begin(t, MSG_SERVER_HELLO);
    tarn_writer_u16be(&w, TARN_TLS_12);
    tarn_writer_mem(&w, t->server_random, sizeof t->server_random);
    tarn_writer_u8(&w, 0); /* a session that cannot be resumed */
    tarn_writer_u16be(&w, by_rsa ? suite_at(t->suite)->id_12_rsa : suite_at(t->suite)->id_12_ecdsa);
    tarn_writer_u8(&w, 0);
    size_t ext = vector_open(&w);
    if (t->extended)
        tarn_writer_u32be(&w, (uint32_t)EXT_MASTER_SECRET << 16);
    if (h->has_renegotiation || list_has(h->suites, SUITE_RENEGOTIATION)) {
        tarn_writer_u32be(&w, (uint32_t)EXT_RENEGOTIATION << 16 | 1);
        tarn_writer_u8(&w, 0);
    }
    if (h->has_points) {
        tarn_writer_u32be(&w, (uint32_t)EXT_POINT_FORMATS << 16 | 2);
        tarn_writer_u16be(&w, 0x0100);
    }
    if (h->has_name)
        tarn_writer_u32be(&w, (uint32_t)EXT_SERVER_NAME << 16);
    if (t->alpn_len > 0)
        alpn_put(&w, t);
    if (h->has_limit) {
        tarn_writer_u32be(&w, (uint32_t)EXT_RECORD_SIZE_LIMIT << 16 | 2);
        tarn_writer_u16be(&w, RECORD_PLAIN_MAX);
    }
    vector_close(&w, ext);
    return message_end(t, &w);
}

/* The key for this handshake, behind what it is signed together with. */
static enum tarn_tls_alert make_key(struct tarn_tls *t) {
    struct tarn_writer w = TARN_WRITER_ARRAY(t->to_sign), key;
    uint8_t point[TARN_EC_POINT_BYTES_MAX];
    key = (struct tarn_writer)TARN_WRITER_ARRAY(point);
    enum tarn_tls_alert alert = group_offer(t, t->group, &key);
    if (alert != FINE)
        return alert;
    tarn_writer_mem(&w, t->client_random, sizeof t->client_random);
    tarn_writer_mem(&w, t->server_random, sizeof t->server_random);
    tarn_writer_u8(&w, NAMED_CURVE);
    tarn_writer_u16be(&w, group_id(t->group));
    tarn_writer_u8(&w, (uint8_t)key.len);
    tarn_writer_span_put(&w, tarn_writer_span(&key));
    t->to_sign_len = (uint8_t)w.len;
    return tarn_writer_ok(&w) ? FINE : TARN_TLS_INTERNAL_ERROR;
}

enum tarn_tls_alert tls12_server_hello(struct tarn_tls *t, const struct hello *h,
                                       struct tarn_span message) {
    enum tarn_tls_alert alert = negotiate(t, h);
    if (alert != FINE)
        return alert;
    transcript_add(t, message);
    transcript_choose(t);
    tarn_bytes_copy(TARN_BYTES_ARRAY(t->client_random), h->random);
    make_random(t);
    alert = send_hello(t, h);
    if (alert == FINE)
        alert = send_certificate(t, TARN_SPAN_EMPTY);
    if (alert == FINE)
        alert = make_key(t);
    return alert == FINE ? sign_or_ask(t) : alert;
}

static enum tarn_tls_alert send_request(struct tarn_tls *t) {
    if (t->config->client_auth == TARN_TLS_NO_CLIENT_AUTH)
        return FINE;
    t->asked_for_cert = true;
    struct tarn_writer w = message_begin(t, MSG_CERTIFICATE_REQUEST);
    tarn_writer_u8(&w, 2);
    tarn_writer_u16be(&w, CERT_TYPE_ECDSA << 8 | CERT_TYPE_RSA);
    put_transcript_schemes(&w);
    tarn_writer_u16be(&w, 0); /* of any authority */
    return message_end(t, &w);
}

enum tarn_tls_alert tls12_server_signed(struct tarn_tls *t, struct tarn_span signature) {
    struct tarn_writer w = message_begin(t, MSG_SERVER_KEY_EXCHANGE);
    tarn_writer_span_put(&w, tarn_span_after(tarn_span_of(t->to_sign, t->to_sign_len), RANDOMS));
    tarn_writer_u16be(&w, t->scheme_id);
    tarn_writer_u16be(&w, (uint16_t)signature.len);
    tarn_writer_span_put(&w, signature);
    enum tarn_tls_alert alert = message_end(t, &w);
    if (alert == FINE)
        alert = send_request(t);
    if (alert != FINE)
        return alert;
    w = message_begin(t, MSG_SERVER_HELLO_DONE);
    t->phase = t->asked_for_cert ? WAIT12_CERTIFICATE : WAIT12_CLIENT_KEY;
    return message_end(t, &w);
}

enum tarn_tls_alert tls12_client_key(struct tarn_tls *t, struct tarn_span message,
                                     struct tarn_span body) {
    struct tarn_span point;
    uint8_t shared[64];
    size_t len;
    if (!vector8(&body, &point) || body.len > 0 || point.len == 0)
        return TARN_TLS_DECODE_ERROR;
    enum tarn_tls_alert alert = group_finish(t, t->group, point, shared, &len);
    if (alert != FINE)
        return alert;
    transcript_add(t, message);
    tls12_master(t, tarn_span_of(shared, len));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(shared));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(t->own_secrets));
    /* Who showed a certificate has its key to prove. */
    t->phase = t->peer_spki_len > 0 ? WAIT12_CERTIFICATE_VERIFY : WAIT12_CCS;
    return FINE;
}
