/* SPDX-License-Identifier: ISC */
/* Messages, the transcript over them, and which one may come when. */
#include "internal.h"

/* SHA-256 of "HelloRetryRequest" (RFC 8446 section 4.1.3). */
const uint8_t hello_retry_random[32] = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

struct tarn_writer message_begin(struct tarn_tls *t, uint8_t type) {
    struct tarn_writer w = tarn_writer_over(message_room(t));
    tarn_writer_u32be(&w, (uint32_t)type << 24);
    return w;
}

void message_close(struct tarn_writer *w) {
    uint32_t type = (uint32_t)tarn_span_at(tarn_writer_span(w), 0) << 24;
    tarn_writer_patch_u32be(w, 0, type | (uint32_t)(w->len - 4));
}

enum tarn_tls_alert message_end(struct tarn_tls *t, struct tarn_writer *w) {
    if (!tarn_writer_ok(w))
        return TARN_TLS_INTERNAL_ERROR;
    message_close(w);
    transcript_add(t, tarn_writer_span(w));
    return records_put(t, w->len);
}

void transcript_start(struct tarn_tls *t) {
    tarn_digest_init(&t->transcript_256, &tarn_sha256);
    tarn_digest_init(&t->transcript_384, &tarn_sha384);
}

void transcript_choose(struct tarn_tls *t) {
    t->hash = suite_at(t->suite)->hash;
}

static struct tarn_digest_ctx *chosen(struct tarn_tls *t) {
    return t->hash == &tarn_sha384 ? &t->transcript_384 : &t->transcript_256;
}

void transcript_add(struct tarn_tls *t, struct tarn_span message) {
    /* In TLS 1.2 a client's signature may be over either. */
    if (t->hash && t->version != TARN_TLS_12) {
        tarn_digest_update(chosen(t), message);
        return;
    }
    tarn_digest_update(&t->transcript_256, message);
    tarn_digest_update(&t->transcript_384, message);
}

struct tarn_span transcript_hash(const struct tarn_tls *t, uint8_t out[64]) {
    return transcript_hash_with(t, t->hash, TARN_SPAN_EMPTY, out);
}

struct tarn_span transcript_hash_with(const struct tarn_tls *t, const struct tarn_digest *hash,
                                      struct tarn_span more, uint8_t out[64]) {
    struct tarn_digest_ctx c = hash == &tarn_sha384 ? t->transcript_384 : t->transcript_256;
    struct tarn_bytes all = {out, c.alg->digest_bytes};
    tarn_digest_update(&c, more);
    tarn_digest_final(&c, all);
    return tarn_bytes_span(all);
}

void transcript_retry(struct tarn_tls *t) {
    uint8_t hash[64], head[4] = {MSG_MESSAGE_HASH, 0, 0, 0};
    struct tarn_span first = transcript_hash(t, hash);
    head[3] = (uint8_t)first.len;
    tarn_digest_init(chosen(t), t->hash);
    transcript_add(t, TARN_SPAN_ARRAY(head));
    transcript_add(t, first);
}

size_t vector_open(struct tarn_writer *w) {
    tarn_writer_u16be(w, 0);
    return w->len;
}

void vector_close(struct tarn_writer *w, size_t at) {
    if (tarn_writer_ok(w))
        tarn_writer_patch_u16be(w, at - 2, (uint16_t)(w->len - at));
}

bool vector8(struct tarn_span *in, struct tarn_span *out) {
    uint8_t n;
    return tarn_span_u8(in, &n) && tarn_span_take(in, n, out);
}

bool vector16(struct tarn_span *in, struct tarn_span *out) {
    uint16_t n;
    return tarn_span_u16be(in, &n) && tarn_span_take(in, n, out);
}

bool vector24(struct tarn_span *in, struct tarn_span *out) {
    uint8_t high;
    uint16_t low;
    return tarn_span_u8(in, &high) && tarn_span_u16be(in, &low)
           && tarn_span_take(in, (size_t)high << 16 | low, out);
}

/* Keys change behind this message, so it must be the last of its record (section 5.1). */
static bool is_last(const struct tarn_tls *t, struct tarn_span message) {
    return t->message_len == message.len;
}

static enum tarn_tls_alert key_update(struct tarn_tls *t, struct tarn_span message,
                                      struct tarn_span body) {
    if (body.len != 1)
        return TARN_TLS_DECODE_ERROR;
    if (tarn_span_at(body, 0) > 1)
        return TARN_TLS_ILLEGAL_PARAMETER;
    if (!is_last(t, message) || ++t->key_updates > 32)
        return TARN_TLS_UNEXPECTED_MESSAGE;
    keys_next(t, &t->rx);
    /* One answer for however many come while something else waits to be sent. */
    t->update_owed |= tarn_span_at(body, 0) == 1;
    tarn_tls_send_done(t, 0);
    return FINE;
}

static enum tarn_tls_alert connected_message(struct tarn_tls *t, uint8_t type,
                                             struct tarn_span message, struct tarn_span body) {
    if (type == MSG_KEY_UPDATE)
        return key_update(t, message, body);
    if (type == MSG_NEW_TICKET && !t->config->server)
        return take_ticket(t, body);
    return TARN_TLS_UNEXPECTED_MESSAGE;
}

/* Certificate, CertificateVerify, Finished of the other side: the same in both roles. */
static enum tarn_tls_alert authentication(struct tarn_tls *t, struct tarn_span message,
                                          struct tarn_span body) {
    enum tarn_tls_alert alert;
    switch (t->phase) {
    case WAIT_CERTIFICATE: alert = take_certificate(t, body); break;
    case WAIT_CERTIFICATE_VERIFY: alert = take_certificate_verify(t, body); break;
    default:
        alert = is_last(t, message) ? take_finished(t, body) : TARN_TLS_UNEXPECTED_MESSAGE;
        break;
    }
    if (alert != FINE)
        return alert;
    bool finished = t->phase == CONNECTED;
    transcript_add(t, message);
    if (!finished)
        return FINE;
    if (!t->config->server)
        return client_after_finished(t);
    keys_set(t, &t->rx, t->client_secret);
    return send_tickets(t);
}

static enum tarn_tls_alert end_of_early_data(struct tarn_tls *t, struct tarn_span message,
                                             struct tarn_span body) {
    if (body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    if (!is_last(t, message))
        return TARN_TLS_UNEXPECTED_MESSAGE;
    transcript_add(t, message);
    keys_set(t, &t->rx, t->later_secret);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(t->later_secret));
    t->phase = WAIT_FINISHED;
    return FINE;
}

enum tarn_tls_alert handshake_message(struct tarn_tls *t, struct tarn_span message) {
    uint8_t type = tarn_span_at(message, 0), wanted = 0;
    struct tarn_span body = tarn_span_after(message, 4);
    enum tarn_tls_alert alert;
    if (t->version == TARN_TLS_12)
        return tls12_message(t, message, body);
    switch (t->phase) {
    case WAIT_CLIENT_HELLO: wanted = MSG_CLIENT_HELLO; break;
    case WAIT_SERVER_HELLO: wanted = MSG_SERVER_HELLO; break;
    case WAIT_ENCRYPTED_EXTENSIONS: wanted = MSG_ENCRYPTED_EXTENSIONS; break;
    case WAIT_CERT_OR_REQUEST:
        if (type == MSG_CERTIFICATE_REQUEST) {
            alert = client_certificate_request(t, body);
            transcript_add(t, message);
            return alert;
        }
        t->phase = WAIT_CERTIFICATE; /* fall through */
    case WAIT_CERTIFICATE: wanted = MSG_CERTIFICATE; break;
    case WAIT_CERTIFICATE_VERIFY: wanted = MSG_CERTIFICATE_VERIFY; break;
    case WAIT_END_OF_EARLY_DATA: wanted = MSG_END_OF_EARLY_DATA; break;
    case WAIT_FINISHED: wanted = MSG_FINISHED; break;
    default: return connected_message(t, type, message, body);
    }
    if (type != wanted)
        return TARN_TLS_UNEXPECTED_MESSAGE;
    switch (type) {
    case MSG_CLIENT_HELLO:
        return is_last(t, message) ? server_hello(t, message, body) : TARN_TLS_UNEXPECTED_MESSAGE;
    case MSG_SERVER_HELLO:
        return client_server_hello(t, message, body); /* the last only in TLS 1.3 */
    case MSG_END_OF_EARLY_DATA: return end_of_early_data(t, message, body);
    case MSG_ENCRYPTED_EXTENSIONS:
        alert = client_encrypted_extensions(t, body);
        transcript_add(t, message);
        return alert;
    default: return authentication(t, message, body);
    }
}
