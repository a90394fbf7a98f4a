/* SPDX-License-Identifier: ISC */
/* What the caller sees: four windows and a state. */
#include "internal.h"

#include <tarn/cipher.h>

static bool config_is_whole(const struct tarn_tls_config *c) {
    bool judges = !c->server || c->client_auth != TARN_TLS_NO_CLIENT_AUTH;
    uint16_t max = c->version_max ? c->version_max : TARN_TLS_13;
    if (max < TARN_TLS_12 || c->version_min > max)
        return false;
    if (!c->random || (judges && !c->trust && !c->trust_anybody))
        return false;
    return !c->server || c->identity_count > 0;
}

enum tarn_err tarn_tls_init(struct tarn_tls *t, const struct tarn_tls_config *config,
                            struct tarn_bytes memory, struct tarn_span name, int64_t now) {
    if (memory.len < TARN_TLS_MEMORY_BYTES || name.len > TARN_TLS_NAME_BYTES_MAX
        || !config_is_whole(config))
        return TARN_INVALID;
    *t = (struct tarn_tls){
        .config = config,
        .in = tarn_bytes_first(memory, TARN_TLS_RECORD_BYTES_MAX),
        .out = tarn_bytes_first(tarn_bytes_after(memory, TARN_TLS_RECORD_BYTES_MAX),
                                TARN_TLS_RECORD_BYTES_MAX),
        .message = tarn_bytes_first(tarn_bytes_after(memory, 2 * TARN_TLS_RECORD_BYTES_MAX),
                                    TARN_TLS_MESSAGE_BYTES_MAX),
        .phase = WAIT_CLIENT_HELLO,
        .alert = FINE,
        .now = now,
        .record_max = RECORD_PLAIN_MAX,
    };
    t->has_fast = tarn_aead_has_fast();
    t->has_aes = t->has_fast || tarn_aes_is_constant_time();
    t->name_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(t->name), name);
    transcript_start(t);
    if (!config->server && client_start(t) != FINE)
        return TARN_INVALID;
    return TARN_OK;
}

void tarn_tls_wipe(struct tarn_tls *t) {
    tarn_bytes_wipe(t->in);
    tarn_bytes_wipe(t->out);
    tarn_bytes_wipe(t->message);
    tarn_bytes_wipe(tarn_bytes_of(t, sizeof *t));
}

static bool can_recv(const struct tarn_tls *t) {
    /* Nothing more is taken in while an answer to what came has no room. */
    return !t->closed && !t->peer_closed && t->plain.len == 0 && t->phase != WAIT_SIGNATURE
           && (t->phase == CONNECTED || t->out_len == 0);
}

/* A client's early data, until the server's Finished. */
static bool can_write_early(const struct tarn_tls *t) {
    return !t->config->server && t->phase != CONNECTED && t->tx.on && t->early_used < t->early_max
           && (t->early == TARN_TLS_EARLY_OFFERED || t->early == TARN_TLS_EARLY_TAKEN);
}

static bool can_write(const struct tarn_tls *t) {
    return !t->closed && !t->close_sent && t->out_len == 0
           && (t->phase == CONNECTED || can_write_early(t));
}

unsigned tarn_tls_state(const struct tarn_tls *t) {
    unsigned s = 0;
    if (can_recv(t))
        s |= TARN_TLS_RECV;
    if (t->out_len > t->out_sent)
        s |= TARN_TLS_SEND;
    if (t->plain.len > 0)
        s |= TARN_TLS_READ;
    if (can_write(t) && t->app_len < t->record_max)
        s |= TARN_TLS_WRITE;
    if (t->phase == WAIT_SIGNATURE && !t->closed)
        s |= TARN_TLS_WANTS_SIGNATURE;
    if (t->phase == CONNECTED)
        s |= TARN_TLS_CONNECTED;
    else if (s & (TARN_TLS_READ | TARN_TLS_WRITE))
        s |= TARN_TLS_EARLY;
    if (t->peer_closed)
        s |= TARN_TLS_PEER_CLOSED;
    if (t->closed)
        s |= TARN_TLS_CLOSED;
    return s;
}

struct tarn_bytes tarn_tls_recv_window(struct tarn_tls *t) {
    if (!can_recv(t))
        return tarn_bytes_of(NULL, 0);
    return tarn_bytes_first(tarn_bytes_after(t->in, t->in_len), record_wanted(t) - t->in_len);
}

void tarn_tls_recv_done(struct tarn_tls *t, size_t n) {
    TARN_ASSERT(n <= tarn_tls_recv_window(t).len);
    t->in_len += n;
    if (n > 0)
        record_input(t);
}

struct tarn_span tarn_tls_send_window(const struct tarn_tls *t) {
    return tarn_span_after(tarn_bytes_span(tarn_bytes_first(t->out, t->out_len)), t->out_sent);
}

void tarn_tls_send_done(struct tarn_tls *t, size_t n) {
    TARN_ASSERT(n <= t->out_len - t->out_sent);
    t->out_sent += n;
    if (t->out_sent < t->out_len)
        return;
    t->out_sent = t->out_len = 0;
    if (t->update_owed && tarn_tls_update_keys(t, false) == TARN_OK)
        t->update_owed = false;
}

struct tarn_bytes tarn_tls_read_window(struct tarn_tls *t) {
    return t->plain;
}

void tarn_tls_read_done(struct tarn_tls *t, size_t n) {
    TARN_ASSERT(n <= t->plain.len);
    t->plain = tarn_bytes_after(t->plain, n);
}

struct tarn_bytes tarn_tls_write_window(struct tarn_tls *t) {
    if (!can_write(t))
        return tarn_bytes_of(NULL, 0);
    struct tarn_bytes room = tarn_bytes_after(record_room(t), t->app_len);
    return t->phase == CONNECTED ? room : tarn_bytes_first(room, t->early_max - t->early_used);
}

void tarn_tls_write_done(struct tarn_tls *t, size_t n) {
    TARN_ASSERT(n <= tarn_tls_write_window(t).len);
    t->app_len += n;
    /* Early data does not wait: its keys may be gone with the next record that comes. */
    if (t->phase != CONNECTED || tarn_tls_write_window(t).len == 0)
        tarn_tls_flush(t);
}

struct tarn_span tarn_tls_sign_request(const struct tarn_tls *t, const struct tarn_scheme **scheme,
                                       const struct tarn_tls_identity **identity) {
    *scheme = t->scheme;
    *identity = t->identity;
    return t->phase == WAIT_SIGNATURE ? tarn_span_of(t->to_sign, t->to_sign_len) : TARN_SPAN_EMPTY;
}

void tarn_tls_sign_done(struct tarn_tls *t, struct tarn_span signature) {
    if (t->phase != WAIT_SIGNATURE || t->closed)
        return;
    enum tarn_tls_alert alert =
        signature.len ? signature_ready(t, signature) : TARN_TLS_INTERNAL_ERROR;
    if (alert != FINE)
        fail(t, alert);
}

enum tarn_err tarn_tls_update_keys(struct tarn_tls *t, bool both) {
    if (t->closed || t->close_sent || t->phase != CONNECTED || t->version == TARN_TLS_12)
        return TARN_INVALID;
    tarn_tls_flush(t);
    uint8_t text[5] = {MSG_KEY_UPDATE, 0, 0, 1, both};
    struct tarn_bytes rest = tarn_bytes_after(t->out, t->out_len + RECORD_HEAD);
    if (rest.len < sizeof text + 1 + TARN_AEAD_TAG_BYTES_MAX + OUT_RESERVE / 2)
        return TARN_AGAIN;
    tarn_bytes_copy(rest, TARN_SPAN_ARRAY(text));
    if (record_put(t, CONTENT_HANDSHAKE, sizeof text) != FINE)
        return TARN_INVALID;
    keys_next(t, &t->tx);
    return TARN_OK;
}

enum tarn_tls_version tarn_tls_version(const struct tarn_tls *t) {
    return (enum tarn_tls_version)t->version;
}

struct tarn_span tarn_tls_alpn(const struct tarn_tls *t) {
    return tarn_span_of(t->alpn, t->alpn_len);
}

struct tarn_span tarn_tls_name(const struct tarn_tls *t) {
    return tarn_span_of(t->name, t->name_len);
}

bool tarn_tls_peer_key(const struct tarn_tls *t, struct tarn_public_key *key) {
    return t->peer_has_cert && t->phase == CONNECTED
           && tarn_spki_parse(tarn_span_of(t->peer_spki, t->peer_spki_len), key) == TARN_OK;
}

bool tarn_tls_resumed(const struct tarn_tls *t) {
    return t->resumed;
}

enum tarn_tls_early tarn_tls_early_of(const struct tarn_tls *t) {
    return (enum tarn_tls_early)t->early;
}

enum tarn_tls_alert tarn_tls_alert_of(const struct tarn_tls *t, bool *theirs) {
    *theirs = t->alert_was_theirs && !t->fault_is_ours;
    return t->alert;
}

const char *tarn_tls_alert_name(enum tarn_tls_alert alert) {
    switch (alert) {
    case TARN_TLS_CLOSE_NOTIFY: return "close_notify";
    case TARN_TLS_UNEXPECTED_MESSAGE: return "unexpected_message";
    case TARN_TLS_BAD_RECORD_MAC: return "bad_record_mac";
    case TARN_TLS_RECORD_OVERFLOW: return "record_overflow";
    case TARN_TLS_HANDSHAKE_FAILURE: return "handshake_failure";
    case TARN_TLS_BAD_CERTIFICATE: return "bad_certificate";
    case TARN_TLS_UNSUPPORTED_CERTIFICATE: return "unsupported_certificate";
    case TARN_TLS_CERTIFICATE_REVOKED: return "certificate_revoked";
    case TARN_TLS_CERTIFICATE_EXPIRED: return "certificate_expired";
    case TARN_TLS_CERTIFICATE_UNKNOWN: return "certificate_unknown";
    case TARN_TLS_ILLEGAL_PARAMETER: return "illegal_parameter";
    case TARN_TLS_UNKNOWN_CA: return "unknown_ca";
    case TARN_TLS_ACCESS_DENIED: return "access_denied";
    case TARN_TLS_DECODE_ERROR: return "decode_error";
    case TARN_TLS_DECRYPT_ERROR: return "decrypt_error";
    case TARN_TLS_PROTOCOL_VERSION: return "protocol_version";
    case TARN_TLS_INSUFFICIENT_SECURITY: return "insufficient_security";
    case TARN_TLS_INTERNAL_ERROR: return "internal_error";
    case TARN_TLS_INAPPROPRIATE_FALLBACK: return "inappropriate_fallback";
    case TARN_TLS_USER_CANCELED: return "user_canceled";
    case TARN_TLS_NO_RENEGOTIATION: return "no_renegotiation";
    case TARN_TLS_MISSING_EXTENSION: return "missing_extension";
    case TARN_TLS_UNSUPPORTED_EXTENSION: return "unsupported_extension";
    case TARN_TLS_UNRECOGNIZED_NAME: return "unrecognized_name";
    case TARN_TLS_BAD_CERTIFICATE_STATUS_RESPONSE: return "bad_certificate_status_response";
    case TARN_TLS_CERTIFICATE_REQUIRED: return "certificate_required";
    case TARN_TLS_NO_APPLICATION_PROTOCOL: return "no_application_protocol";
    case TARN_TLS_FINE: return "none";
    }
    return "an alert without a name";
}
