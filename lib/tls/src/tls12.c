/* SPDX-License-Identifier: ISC */
/* TLS 1.2 (RFC 5246): what both roles need. The master secret is bound to the handshake (RFC
 * 7627) unless the configuration has it otherwise, and there is one handshake: who asks for another
 * is refused (RFC 5746). */
#include "internal.h"

#define FINISHED_BYTES 12
#define NOT_AGAIN_MAX 4 /* so often a new handshake is refused politely */

/* PRF (section 5), over a label and up to three pieces of seed. */
static void prf(const struct tarn_digest *hash, struct tarn_span secret, const char *label,
                const struct tarn_span seed[3], struct tarn_bytes out) {
    uint8_t a[TARN_DIGEST_BYTES_MAX], block[TARN_DIGEST_BYTES_MAX];
    struct tarn_bytes ab = {a, hash->digest_bytes}, bb = {block, hash->digest_bytes};
    struct tarn_span text = tarn_span_str(label);
    struct tarn_hmac keyed, h;
    tarn_hmac_init(&keyed, hash, secret);
    for (bool first = true; out.len > 0; first = false) {
        h = keyed; /* A(i), from the seed or from A(i - 1) */
        tarn_hmac_update(&h, first ? text : tarn_bytes_span(ab));
        for (size_t i = 0; first && i < 3; i++)
            tarn_hmac_update(&h, TARN_AT_N(seed, 3, i));
        tarn_hmac_final(&h, ab);
        h = keyed;
        tarn_hmac_update(&h, tarn_bytes_span(ab));
        tarn_hmac_update(&h, text);
        for (size_t i = 0; i < 3; i++)
            tarn_hmac_update(&h, TARN_AT_N(seed, 3, i));
        tarn_hmac_final(&h, bb);
        out = tarn_bytes_after(out, tarn_bytes_copy(out, tarn_bytes_span(bb)));
    }
    tarn_bytes_wipe(tarn_bytes_of(&keyed, sizeof keyed));
    tarn_bytes_wipe(tarn_bytes_of(&h, sizeof h));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(a));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
}

/* Uncompressed points are the only ones there are. */
enum tarn_tls_alert tls12_take_points(struct tarn_span ext) {
    struct tarn_span formats;
    size_t at;
    if (!vector8(&ext, &formats) || ext.len > 0 || formats.len == 0)
        return TARN_TLS_DECODE_ERROR;
    return tarn_span_find(formats, 0, &at) ? FINE : TARN_TLS_ILLEGAL_PARAMETER;
}

void tls12_master(struct tarn_tls *t, struct tarn_span shared) {
    uint8_t hash[64];
    const struct tarn_span all[3] = {transcript_hash(t, hash)};
    const struct tarn_span randoms[3] = {TARN_SPAN_ARRAY(t->client_random),
                                         TARN_SPAN_ARRAY(t->server_random)};
    prf(t->hash, shared, t->extended ? "extended master secret" : "master secret",
        t->extended ? all : randoms, TARN_BYTES_ARRAY(t->exporter));
    tell(t, "CLIENT_RANDOM", TARN_SPAN_ARRAY(t->exporter));
}

/* One direction's keys out of the key block (section 6.3). */
static void set_keys(struct tarn_tls *t, struct tarn_tls_keys *k, bool of_client) {
    const struct suite *s = suite_at(t->suite);
    const struct tarn_span seed[3] = {TARN_SPAN_ARRAY(t->server_random),
                                      TARN_SPAN_ARRAY(t->client_random)};
    uint8_t block[2 * (32 + 12)];
    size_t key = s->aead->key_bytes, iv = sizeof k->iv - s->explicit_bytes;
    struct tarn_bytes all = {block, 2 * (key + iv)};
    prf(t->hash, TARN_SPAN_ARRAY(t->exporter), "key expansion", seed, all);
    struct tarn_span keys = tarn_bytes_span(all), ivs = tarn_span_after(keys, 2 * key);
    tarn_bytes_fill(TARN_BYTES_ARRAY(k->iv), 0);
    tarn_bytes_copy(tarn_bytes_first(TARN_BYTES_ARRAY(k->iv), iv),
                    tarn_span_after(ivs, of_client ? 0 : iv));
    k->explicit_bytes = s->explicit_bytes;
    keys_install(t, k, tarn_span_first(tarn_span_after(keys, of_client ? 0 : key), key));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(block));
}

static void finished_data(const struct tarn_tls *t, bool of_client, uint8_t out[FINISHED_BYTES]) {
    uint8_t hash[64];
    const struct tarn_span seed[3] = {transcript_hash(t, hash)};
    prf(t->hash, TARN_SPAN_ARRAY(t->exporter), of_client ? "client finished" : "server finished",
        seed, tarn_bytes_of(out, FINISHED_BYTES));
}

enum tarn_tls_alert tls12_send_finished(struct tarn_tls *t) {
    uint8_t data[FINISHED_BYTES];
    enum tarn_tls_alert alert = ccs_put(t);
    if (alert != FINE)
        return alert;
    set_keys(t, &t->tx, !t->config->server);
    finished_data(t, !t->config->server, data);
    struct tarn_writer w = message_begin(t, MSG_FINISHED);
    tarn_writer_mem(&w, data, sizeof data);
    return message_end(t, &w);
}

enum tarn_tls_alert tls12_change_cipher_spec(struct tarn_tls *t, struct tarn_span body) {
    if (t->phase != WAIT12_CCS || t->message_len > 0)
        return TARN_TLS_UNEXPECTED_MESSAGE;
    if (!tarn_span_equal(body, TARN_SPAN_LIT("\x01")))
        return TARN_TLS_UNEXPECTED_MESSAGE;
    set_keys(t, &t->rx, t->config->server);
    t->phase = WAIT12_FINISHED;
    return FINE;
}

static enum tarn_tls_alert take_finished_12(struct tarn_tls *t, struct tarn_span message,
                                            struct tarn_span body) {
    uint8_t data[FINISHED_BYTES];
    enum tarn_tls_alert alert = FINE;
    if (t->message_len != message.len)
        return TARN_TLS_UNEXPECTED_MESSAGE; /* nothing comes behind it */
    if (body.len != FINISHED_BYTES)
        return TARN_TLS_DECODE_ERROR;
    finished_data(t, t->config->server, data);
    if (!tarn_equal_ct(body, TARN_SPAN_ARRAY(data)))
        return TARN_TLS_DECRYPT_ERROR;
    transcript_add(t, message);
    if (t->config->server)
        alert = tls12_send_finished(t);
    if (alert == FINE)
        t->phase = CONNECTED;
    return alert;
}

/* A ClientHello or HelloRequest while connected: no, and what there is goes on (RFC 5246 section
 * 7.2.2). Where there is no room to say so, silence means the same. */
static enum tarn_tls_alert not_again(struct tarn_tls *t) {
    static const uint8_t text[2] = {1, TARN_TLS_NO_RENEGOTIATION};
    if (++t->key_updates > NOT_AGAIN_MAX)
        return TARN_TLS_NO_RENEGOTIATION;
    tarn_tls_flush(t);
    if (tarn_bytes_copy(record_room(t), TARN_SPAN_ARRAY(text)) < sizeof text)
        return FINE;
    return record_put(t, CONTENT_ALERT, sizeof text);
}

static enum tarn_tls_alert hello_request(struct tarn_tls *t, struct tarn_span body) {
    if (body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    if (t->phase == CONNECTED)
        return not_again(t);
    /* Passed over while a handshake is on (section 7.4.1.1), and not part of it. */
    return ++t->key_updates > NOT_AGAIN_MAX ? TARN_TLS_UNEXPECTED_MESSAGE : FINE;
}

static enum tarn_tls_alert take_certificate_12(struct tarn_tls *t, struct tarn_span body) {
    enum tarn_tls_alert alert = take_certificate(t, body);
    t->phase = t->config->server ? WAIT12_CLIENT_KEY : WAIT12_SERVER_KEY;
    return alert;
}

/* CertificateStatus, once and where it was announced: its form is looked at, and no more. */
static enum tarn_tls_alert pass_status(struct tarn_tls *t, struct tarn_span body) {
    struct tarn_span response;
    uint8_t type;
    if (!t->wants_staple)
        return TARN_TLS_UNEXPECTED_MESSAGE;
    t->wants_staple = false;
    return tarn_span_u8(&body, &type) && type == 1 && vector24(&body, &response) && body.len == 0
               ? FINE
               : TARN_TLS_DECODE_ERROR;
}

static enum tarn_tls_alert take_verify_12(struct tarn_tls *t, struct tarn_span body) {
    enum tarn_tls_alert alert = take_certificate_verify(t, body);
    t->phase = WAIT12_CCS;
    return alert;
}

enum tarn_tls_alert tls12_message(struct tarn_tls *t, struct tarn_span message,
                                  struct tarn_span body) {
    static const struct {
        uint8_t phase, type;
        enum tarn_tls_alert (*take)(struct tarn_tls *, struct tarn_span);
    } order[] = {
        {WAIT12_CERTIFICATE, MSG_CERTIFICATE, take_certificate_12},
        {WAIT12_SERVER_KEY, MSG_CERTIFICATE_STATUS, pass_status},
        {WAIT12_SERVER_KEY, MSG_SERVER_KEY_EXCHANGE, tls12_server_key},
        {WAIT12_REQUEST_OR_DONE, MSG_CERTIFICATE_REQUEST, tls12_certificate_request},
        {WAIT12_REQUEST_OR_DONE, MSG_SERVER_HELLO_DONE, tls12_server_done},
        {WAIT12_DONE, MSG_SERVER_HELLO_DONE, tls12_server_done},
        {WAIT12_CERTIFICATE_VERIFY, MSG_CERTIFICATE_VERIFY, take_verify_12},
    };
    uint8_t type = tarn_span_at(message, 0);
    if (type == MSG_HELLO_REQUEST && !t->config->server)
        return hello_request(t, body);
    if (type == MSG_CLIENT_HELLO && t->config->server && t->phase == CONNECTED)
        return not_again(t);
    if (type == MSG_FINISHED && t->phase == WAIT12_FINISHED)
        return take_finished_12(t, message, body);
    if (type == MSG_CLIENT_KEY_EXCHANGE && t->phase == WAIT12_CLIENT_KEY)
        return tls12_client_key(t, message, body);
    for (size_t i = 0; i < TARN_COUNT_OF(order); i++) {
        if (TARN_AT(order, i).phase != t->phase || TARN_AT(order, i).type != type)
            continue;
        /* A signature is over what was before it; an answer is to what it includes. */
        if (type == MSG_SERVER_HELLO_DONE)
            transcript_add(t, message);
        enum tarn_tls_alert alert = TARN_AT(order, i).take(t, body);
        if (alert == FINE && type != MSG_SERVER_HELLO_DONE)
            transcript_add(t, message);
        return alert;
    }
    return TARN_TLS_UNEXPECTED_MESSAGE;
}

enum tarn_err tls12_export(const struct tarn_tls *t, const char *label, struct tarn_span context,
                           struct tarn_bytes out) {
    uint8_t head[64 + 2];
    struct tarn_writer w = TARN_WRITER_ARRAY(head);
    if (context.len > UINT16_MAX || !t->extended)
        return TARN_INVALID;
    tarn_writer_mem(&w, t->client_random, sizeof t->client_random);
    tarn_writer_mem(&w, t->server_random, sizeof t->server_random);
    if (context.ptr)
        tarn_writer_u16be(&w, (uint16_t)context.len);
    const struct tarn_span seed[3] = {tarn_writer_span(&w), context};
    prf(t->hash, TARN_SPAN_ARRAY(t->exporter), label, seed, out);
    return TARN_OK;
}
