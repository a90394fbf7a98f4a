/* SPDX-License-Identifier: ISC */
/* The record layer (RFC 8446 section 5). */
#include "internal.h"

#define EMPTY_RECORDS_MAX 32
#define WARNINGS_MAX 4
/* Of a client, which sends one; a server may be behind something that adds to it. */
#define COMPAT_MAX 1
/* Then new keys, well below what AES-GCM bears (section 5.5). */
#define SEQ_MAX ((uint64_t)1 << 23)
#define RECORDS_12_MAX ((uint64_t)1 << 24) /* TLS 1.2 has no way to new keys */
#define OVERHEAD (RECORD_HEAD + 1 + TARN_AEAD_TAG_BYTES_MAX)

/* Where the text of the next record begins, behind its head and what of the nonce is sent. */
static size_t text_at(const struct tarn_tls *t) {
    return RECORD_HEAD + t->tx.explicit_bytes;
}

static struct tarn_bytes room(const struct tarn_tls *t, size_t reserve) {
    struct tarn_bytes rest = tarn_bytes_after(t->out, t->out_len + text_at(t));
    size_t take = OVERHEAD - RECORD_HEAD + reserve;
    return tarn_bytes_first(rest, TARN_MIN(t->record_max, rest.len > take ? rest.len - take : 0));
}

struct tarn_bytes record_room(struct tarn_tls *t) {
    return room(t, OUT_RESERVE);
}

static void nonce_of(const struct tarn_tls_keys *k, uint64_t number, uint8_t out[12]) {
    uint8_t be[8];
    struct tarn_writer w = TARN_WRITER_ARRAY(be);
    tarn_writer_u64be(&w, number);
    for (size_t i = 0; i < 12; i++)
        TARN_AT_N(out, 12, i) = TARN_AT(k->iv, i) ^ (i < 4 ? 0 : TARN_AT(be, i - 4));
}

/* A client's first record says TLS 1.0, for servers that know nothing newer (section 5.1). */
static uint16_t head_version(const struct tarn_tls *t, uint8_t type) {
    bool first = type == CONTENT_HANDSHAKE && t->phase == WAIT_SERVER_HELLO && !t->retried;
    return first && !t->tx.on ? 0x0301 : 0x0303;
}

static void put_head(const struct tarn_tls *t, struct tarn_bytes at, uint8_t type, size_t len) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_first(at, RECORD_HEAD));
    tarn_writer_u8(&w, type);
    tarn_writer_u16be(&w, head_version(t, type));
    tarn_writer_u16be(&w, (uint16_t)len);
}

/* TLS 1.2 (RFC 5246 section 6.2.3.3, RFC 5288 section 3): the type stands in the open, and what is
 * not encrypted is sealed with its number. The part of the nonce that is sent is that number. */
static struct tarn_span sealed_head_12(uint64_t seq, uint8_t type, size_t len, uint8_t out[13]) {
    struct tarn_writer w = {out, 0, 13};
    tarn_writer_u64be(&w, seq);
    tarn_writer_u8(&w, type);
    tarn_writer_u16be(&w, TARN_TLS_12);
    tarn_writer_u16be(&w, (uint16_t)len);
    return tarn_writer_span(&w);
}

static enum tarn_tls_alert record_put_12(struct tarn_tls *t, uint8_t type, size_t len) {
    struct tarn_bytes record = tarn_bytes_after(t->out, t->out_len);
    struct tarn_bytes body = tarn_bytes_after(record, RECORD_HEAD);
    struct tarn_writer number = tarn_writer_over(tarn_bytes_first(body, t->tx.explicit_bytes));
    struct tarn_bytes text = tarn_bytes_after(body, t->tx.explicit_bytes);
    size_t sealed = len + t->tx.aead.tag_bytes;
    uint8_t nonce[12], head[13];
    if (sealed > text.len)
        return TARN_TLS_INTERNAL_ERROR;
    put_head(t, record, type, t->tx.explicit_bytes + sealed);
    tarn_writer_u64be(&number, t->tx.seq);
    nonce_of(&t->tx, t->tx.seq, nonce);
    if (tarn_aead_seal(
            &t->tx.aead, TARN_SPAN_ARRAY(nonce), sealed_head_12(t->tx.seq, type, len, head),
            tarn_bytes_span(tarn_bytes_first(text, len)), tarn_bytes_first(text, sealed)))
        return TARN_TLS_INTERNAL_ERROR;
    t->tx.seq++;
    t->out_len += RECORD_HEAD + t->tx.explicit_bytes + sealed;
    return FINE;
}

/* The text stands where the record's body will be. */
enum tarn_tls_alert record_put(struct tarn_tls *t, uint8_t type, size_t len) {
    struct tarn_bytes record = tarn_bytes_after(t->out, t->out_len);
    struct tarn_bytes body = tarn_bytes_after(record, RECORD_HEAD);
    uint8_t nonce[12];
    if (!t->tx.on) {
        put_head(t, record, type, len);
        t->out_len += RECORD_HEAD + len;
        return FINE;
    }
    if (t->version == TARN_TLS_12)
        return record_put_12(t, type, len);
    size_t sealed = len + 1 + t->tx.aead.tag_bytes;
    if (sealed > body.len)
        return TARN_TLS_INTERNAL_ERROR;
    *tarn_bytes_at(body, len) = type;
    put_head(t, record, CONTENT_APP, sealed);
    nonce_of(&t->tx, t->tx.seq, nonce);
    struct tarn_bytes head = tarn_bytes_first(record, RECORD_HEAD);
    if (tarn_aead_seal(&t->tx.aead, TARN_SPAN_ARRAY(nonce), tarn_bytes_span(head),
                       tarn_bytes_span(tarn_bytes_first(body, len + 1)),
                       tarn_bytes_first(body, sealed)))
        return TARN_TLS_INTERNAL_ERROR;
    t->tx.seq++;
    t->out_len += RECORD_HEAD + sealed;
    return FINE;
}

enum tarn_tls_alert ccs_put(struct tarn_tls *t) {
    if (tarn_bytes_copy(record_room(t), TARN_SPAN_LIT("\x01")) != 1)
        return TARN_TLS_INTERNAL_ERROR;
    return record_put(t, CONTENT_CCS, 1);
}

enum tarn_tls_alert compat_put(struct tarn_tls *t) {
    if (t->session_id_len == 0 || t->compat_sent)
        return FINE;
    t->compat_sent = true;
    return ccs_put(t);
}

struct tarn_bytes message_room(struct tarn_tls *t) {
    struct tarn_bytes rest = tarn_bytes_after(t->out, t->out_len + text_at(t));
    size_t bytes = rest.len > OUT_RESERVE ? rest.len - OUT_RESERVE : 0;
    /* As many records as the other side's limit makes of it, each with its overhead. */
    size_t records = bytes / (t->record_max + OVERHEAD) + 1;
    return tarn_bytes_first(rest, bytes > records * OVERHEAD ? bytes - records * OVERHEAD : 0);
}

enum tarn_tls_alert records_put(struct tarn_tls *t, size_t len) {
    size_t each = t->record_max, between = text_at(t);
    struct tarn_bytes text = tarn_bytes_after(t->out, t->out_len + text_at(t));
    if (t->tx.on)
        between += 1 + t->tx.aead.tag_bytes;
    /* Apart, from the last on, to where each will be sealed. */
    for (size_t i = len > 0 ? (len - 1) / each : 0; i > 0; i--)
        tarn_bytes_move(tarn_bytes_after(text, i * (each + between)),
                        tarn_bytes_span(tarn_bytes_first(tarn_bytes_after(text, i * each),
                                                         TARN_MIN(each, len - i * each))));
    for (; len > each; len -= each) {
        enum tarn_tls_alert alert = record_put(t, CONTENT_HANDSHAKE, each);
        if (alert != FINE)
            return alert;
    }
    return record_put(t, CONTENT_HANDSHAKE, len);
}

/* A client says nothing between the ServerHello and the Finished, but has keys; what it says then
 * is protected, behind the record that is for those in between (appendix D.4). */
static void protect_early(struct tarn_tls *t) {
    (void)compat_put(t);
    keys_set(t, &t->tx, t->client_secret);
}

/* The last word: an alert, for which there is always room, and no more in either direction. */
static void put_alert(struct tarn_tls *t, enum tarn_tls_alert alert) {
    tarn_tls_flush(t);
    if (!t->config->server && t->version == TARN_TLS_13 && !t->tx.on
        && t->phase >= WAIT_ENCRYPTED_EXTENSIONS && t->phase <= WAIT_FINISHED)
        protect_early(t);
    uint8_t text[2] = {alert == TARN_TLS_CLOSE_NOTIFY ? 1 : 2, (uint8_t)alert};
    if (tarn_bytes_copy(room(t, 0), TARN_SPAN_ARRAY(text)) == sizeof text)
        (void)record_put(t, CONTENT_ALERT, sizeof text);
}

void fail(struct tarn_tls *t, enum tarn_tls_alert alert) {
    if (t->closed)
        return;
    if (!t->close_sent)
        put_alert(t, alert);
    t->alert = alert;
    t->closed = t->fault_is_ours = true;
    t->plain.len = 0;
}

void tarn_tls_close(struct tarn_tls *t) {
    if (t->closed || t->close_sent)
        return;
    put_alert(t, TARN_TLS_CLOSE_NOTIFY);
    t->close_sent = true;
    t->closed = t->peer_closed || t->phase != CONNECTED;
}

size_t record_wanted(const struct tarn_tls *t) {
    struct tarn_span head =
        tarn_span_after(tarn_bytes_span(tarn_bytes_first(t->in, RECORD_HEAD)), 3);
    uint16_t len;
    if (t->in_len < RECORD_HEAD || !tarn_span_u16be(&head, &len))
        return RECORD_HEAD;
    return RECORD_HEAD + (size_t)len;
}

/* As soon as the head is there: what cannot be right is not waited for. */
static enum tarn_tls_alert check_head(const struct tarn_tls *t) {
    uint8_t type = *tarn_bytes_at(t->in, 0);
    size_t len = record_wanted(t) - RECORD_HEAD;
    if (*tarn_bytes_at(t->in, 1) != 3)
        return t->rx.on ? TARN_TLS_DECODE_ERROR : TARN_TLS_PROTOCOL_VERSION;
    if (type < CONTENT_CCS || type > CONTENT_APP)
        return TARN_TLS_UNEXPECTED_MESSAGE;
    bool sealed = t->rx.on && (type == CONTENT_APP || t->version == TARN_TLS_12);
    if (len > (sealed ? RECORD_CIPHER_MAX : RECORD_PLAIN_MAX))
        return TARN_TLS_RECORD_OVERFLOW;
    return FINE;
}

/* Opens a protected record in place: its text and its true type. */
static enum tarn_tls_alert unprotect(struct tarn_tls *t, struct tarn_bytes *body, uint8_t *type) {
    struct tarn_span head = tarn_bytes_span(tarn_bytes_first(t->in, RECORD_HEAD));
    uint8_t nonce[12];
    size_t n;
    nonce_of(&t->rx, t->rx.seq, nonce);
    if (tarn_aead_open(&t->rx.aead, TARN_SPAN_ARRAY(nonce), head, tarn_bytes_span(*body), *body, &n)
        != TARN_OK)
        return TARN_TLS_BAD_RECORD_MAC;
    t->rx.seq++;
    if (n > RECORD_PLAIN_MAX + 1) /* padding counts (section 5.2) */
        return TARN_TLS_RECORD_OVERFLOW;
    while (n > 0 && *tarn_bytes_at(*body, n - 1) == 0)
        n--;
    if (n == 0)
        return TARN_TLS_UNEXPECTED_MESSAGE;
    *type = *tarn_bytes_at(*body, n - 1);
    body->len = n - 1;
    return FINE;
}

static enum tarn_tls_alert unprotect_12(struct tarn_tls *t, struct tarn_bytes *body, uint8_t type) {
    struct tarn_span number = tarn_bytes_span(tarn_bytes_first(*body, t->rx.explicit_bytes));
    uint64_t nonce_number = t->rx.seq;
    uint8_t nonce[12], head[13];
    if (body->len < t->rx.explicit_bytes + t->rx.aead.tag_bytes
        || (number.len > 0 && !tarn_span_u64be(&number, &nonce_number)))
        return TARN_TLS_BAD_RECORD_MAC;
    *body = tarn_bytes_after(*body, t->rx.explicit_bytes);
    nonce_of(&t->rx, nonce_number, nonce);
    struct tarn_span aad = sealed_head_12(t->rx.seq, type, body->len - t->rx.aead.tag_bytes, head);
    if (tarn_aead_open(&t->rx.aead, TARN_SPAN_ARRAY(nonce), aad, tarn_bytes_span(*body), *body,
                       &body->len)
        != TARN_OK)
        return TARN_TLS_BAD_RECORD_MAC;
    t->rx.seq++;
    return body->len > RECORD_PLAIN_MAX ? TARN_TLS_RECORD_OVERFLOW : FINE;
}

static enum tarn_tls_alert take_alert(struct tarn_tls *t, struct tarn_span body) {
    if (body.len != 2)
        return body.len ? TARN_TLS_DECODE_ERROR : TARN_TLS_UNEXPECTED_MESSAGE;
    uint8_t level = tarn_span_at(body, 0), alert = tarn_span_at(body, 1);
    if (level != 1 && level != 2)
        return TARN_TLS_ILLEGAL_PARAMETER;
    /* TLS 1.3 has no others; before the version is known, they may be. */
    bool warning = t->version == TARN_TLS_13 ? alert == TARN_TLS_USER_CANCELED
                                             : level == 1 && alert != TARN_TLS_CLOSE_NOTIFY;
    if (warning)
        return ++t->warnings > WARNINGS_MAX ? TARN_TLS_UNEXPECTED_MESSAGE : FINE;
    t->peer_closed = t->alert_was_theirs = true;
    t->alert = (enum tarn_tls_alert)alert;
    /* During the handshake, or with any other alert, that was all (section 6.2). */
    if (alert != TARN_TLS_CLOSE_NOTIFY || t->phase != CONNECTED || t->close_sent)
        t->closed = true;
    return FINE;
}

static enum tarn_tls_alert take_handshake(struct tarn_tls *t, struct tarn_span body) {
    if (body.len == 0 || body.len > t->message.len - t->message_len)
        return body.len ? TARN_TLS_ILLEGAL_PARAMETER : TARN_TLS_UNEXPECTED_MESSAGE;
    t->message_len += tarn_bytes_copy(tarn_bytes_after(t->message, t->message_len), body);
    while (t->message_len >= 4 && t->phase != WAIT_SIGNATURE && !t->closed) {
        struct tarn_span all = tarn_bytes_span(tarn_bytes_first(t->message, t->message_len)), rest;
        uint32_t head;
        rest = all;
        if (!tarn_span_u32be(&rest, &head))
            return TARN_TLS_INTERNAL_ERROR;
        size_t whole = 4 + (head & 0xffffff);
        if (whole > t->message.len)
            return TARN_TLS_ILLEGAL_PARAMETER;
        if (whole > all.len)
            break;
        enum tarn_tls_alert alert = handshake_message(t, tarn_span_first(all, whole));
        if (alert != FINE)
            return alert;
        tarn_bytes_move(t->message, tarn_span_after(all, whole));
        t->message_len -= whole;
    }
    return FINE;
}

/* A compatibility record (appendix D.4), which means nothing and may come until the handshake is
 * done. */
static enum tarn_tls_alert take_ccs(struct tarn_tls *t, struct tarn_span body) {
    if (t->phase == CONNECTED || (t->phase == WAIT_CLIENT_HELLO && !t->retried))
        return TARN_TLS_UNEXPECTED_MESSAGE;
    if (!tarn_span_equal(body, TARN_SPAN_LIT("\x01")) || t->message_len > 0
        || ++t->compats > (t->config->server ? COMPAT_MAX : WARNINGS_MAX))
        return TARN_TLS_UNEXPECTED_MESSAGE;
    return FINE;
}

/* What a client sent as early data, and was not taken, cannot be opened: it is passed over up to a
 * bound (section 4.2.10). Before a second ClientHello any protected record is such. */
static bool is_early_data(struct tarn_tls *t, size_t len) {
    if (t->early_bytes < len || (t->rx.on && t->rx.seq > 0))
        return false;
    t->early_bytes -= (uint32_t)len;
    return true;
}

static enum tarn_tls_alert take_content(struct tarn_tls *t, uint8_t type, struct tarn_bytes body) {
    if (type != CONTENT_HANDSHAKE && t->message_len > 0 && type != CONTENT_ALERT)
        return TARN_TLS_UNEXPECTED_MESSAGE;
    switch (type) {
    case CONTENT_HANDSHAKE: return take_handshake(t, tarn_bytes_span(body));
    case CONTENT_ALERT: return take_alert(t, tarn_bytes_span(body));
    case CONTENT_APP:
        if (t->phase == WAIT_END_OF_EARLY_DATA)
            t->early_used += (uint32_t)body.len;
        else if (t->phase != CONNECTED)
            return TARN_TLS_UNEXPECTED_MESSAGE;
        if (t->early_used > t->early_max)
            return TARN_TLS_UNEXPECTED_MESSAGE;
        t->plain = body;
        if (body.len > 0)
            t->key_updates = t->empty_records = t->warnings = 0;
        else
            t->empty_records++;
        return t->empty_records > EMPTY_RECORDS_MAX ? TARN_TLS_UNEXPECTED_MESSAGE : FINE;
    default: return TARN_TLS_UNEXPECTED_MESSAGE;
    }
}

static enum tarn_tls_alert take_record_12(struct tarn_tls *t, uint8_t type,
                                          struct tarn_bytes body) {
    enum tarn_tls_alert alert = t->rx.on ? unprotect_12(t, &body, type) : FINE;
    if (alert != FINE)
        return alert;
    if (type == CONTENT_CCS && !t->rx.on)
        return tls12_change_cipher_spec(t, tarn_bytes_span(body));
    return take_content(t, type, body);
}

static enum tarn_tls_alert take_record(struct tarn_tls *t) {
    uint8_t type = *tarn_bytes_at(t->in, 0);
    struct tarn_bytes body =
        tarn_bytes_first(tarn_bytes_after(t->in, RECORD_HEAD), t->in_len - RECORD_HEAD);
    if (t->version == TARN_TLS_12)
        return take_record_12(t, type, body);
    if (type == CONTENT_CCS)
        return take_ccs(t, tarn_bytes_span(body));
    if (t->rx.on) {
        /* A client that could not agree says so before it has keys. */
        bool plain_alert = type == CONTENT_ALERT && t->phase != CONNECTED && t->rx.seq == 0;
        if (type != CONTENT_APP && !plain_alert)
            return TARN_TLS_UNEXPECTED_MESSAGE;
        enum tarn_tls_alert alert = plain_alert ? FINE : unprotect(t, &body, &type);
        if (alert == TARN_TLS_BAD_RECORD_MAC && is_early_data(t, t->in_len))
            return FINE;
        if (alert != FINE)
            return alert;
    } else if (type == CONTENT_APP) {
        return is_early_data(t, t->in_len) ? FINE : TARN_TLS_UNEXPECTED_MESSAGE;
    }
    return take_content(t, type, body);
}

void record_input(struct tarn_tls *t) {
    enum tarn_tls_alert alert = FINE;
    if (t->in_len == RECORD_HEAD)
        alert = check_head(t);
    if (alert == FINE && t->in_len == record_wanted(t)) {
        alert = take_record(t);
        t->in_len = 0;
    }
    if (alert != FINE)
        fail(t, alert);
}

void tarn_tls_flush(struct tarn_tls *t) {
    size_t n = t->app_len;
    if (n == 0 || t->closed || t->close_sent)
        return;
    t->app_len = 0;
    if (t->phase != CONNECTED)
        t->early_used += (uint32_t)n;
    if (record_put(t, CONTENT_APP, n) != FINE)
        fail(t, TARN_TLS_INTERNAL_ERROR);
    else if (t->version == TARN_TLS_12 && t->tx.seq > RECORDS_12_MAX)
        tarn_tls_close(t);
    else if (t->tx.seq > SEQ_MAX)
        (void)!tarn_tls_update_keys(t, false);
}
