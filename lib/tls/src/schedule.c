/* SPDX-License-Identifier: ISC */
/* The key schedule (RFC 8446 section 7). */
#include "internal.h"

void expand_label(const struct tarn_digest *hash, struct tarn_span secret, const char *label,
                  struct tarn_span context, struct tarn_bytes out) {
    uint8_t info[2 + 1 + 255 + 1 + 255];
    struct tarn_writer w = TARN_WRITER_ARRAY(info);
    tarn_writer_u16be(&w, (uint16_t)out.len);
    tarn_writer_u8(&w, (uint8_t)(6 + tarn_span_str(label).len));
    tarn_writer_str(&w, "tls13 ");
    tarn_writer_str(&w, label);
    tarn_writer_u8(&w, (uint8_t)context.len);
    tarn_writer_span_put(&w, context);
    TARN_ASSERT(tarn_writer_ok(&w));
    TARN_ASSERT(tarn_hkdf_expand(hash, secret, tarn_writer_span(&w), out) == TARN_OK);
}

static struct tarn_bytes sized(const struct tarn_tls *t, uint8_t *secret) {
    return tarn_bytes_of(secret, t->hash->digest_bytes);
}

static struct tarn_span sized_span(const struct tarn_tls *t, const uint8_t *secret) {
    return tarn_span_of(secret, t->hash->digest_bytes);
}

void tell(const struct tarn_tls *t, const char *label, struct tarn_span secret) {
    if (t->config->keylog)
        t->config->keylog(t->config->keylog_user, label, TARN_SPAN_ARRAY(t->client_random), secret);
}

/* Derive-Secret over the transcript as it is. */
static void derive(const struct tarn_tls *t, const char *label, uint8_t *out) {
    uint8_t hash[64];
    expand_label(t->hash, sized_span(t, t->secret), label, transcript_hash(t, hash), sized(t, out));
}

/* From one stage to the next: Derive-Secret(., "derived", ""), then HKDF-Extract. */
static void advance(struct tarn_tls *t, struct tarn_span ikm) {
    uint8_t empty[64], salt[64];
    struct tarn_bytes e = sized(t, empty), s = sized(t, salt);
    tarn_digest_of(t->hash, TARN_SPAN_EMPTY, e);
    expand_label(t->hash, sized_span(t, t->secret), "derived", tarn_bytes_span(e), s);
    tarn_hkdf_extract(t->hash, tarn_bytes_span(s), ikm, sized(t, t->secret));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(salt));
}

void schedule_start(struct tarn_tls *t) {
    tarn_hkdf_extract(t->hash, TARN_SPAN_EMPTY, sized_span(t, t->psk), sized(t, t->secret));
}

void schedule_early(struct tarn_tls *t, struct tarn_tls_keys *k) {
    uint8_t secret[48] = {0};
    derive(t, "c e traffic", secret);
    tell(t, "CLIENT_EARLY_TRAFFIC_SECRET", sized_span(t, secret));
    keys_set(t, k, secret);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(secret));
}

void schedule_handshake(struct tarn_tls *t, struct tarn_span shared) {
    advance(t, shared);
    derive(t, "c hs traffic", t->client_secret);
    derive(t, "s hs traffic", t->server_secret);
    tell(t, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", sized_span(t, t->client_secret));
    tell(t, "SERVER_HANDSHAKE_TRAFFIC_SECRET", sized_span(t, t->server_secret));
}

/* After the server's Finished. The traffic secrets of the application replace those of the
 * handshake in client_secret and server_secret: whoever still needs one has set keys with it. */
void schedule_master(struct tarn_tls *t) {
    static const uint8_t zeros[48];
    advance(t, sized_span(t, zeros));
    derive(t, "c ap traffic", t->client_secret);
    derive(t, "s ap traffic", t->server_secret);
    derive(t, "exp master", t->exporter);
    tell(t, "CLIENT_TRAFFIC_SECRET_0", sized_span(t, t->client_secret));
    tell(t, "SERVER_TRAFFIC_SECRET_0", sized_span(t, t->server_secret));
    tell(t, "EXPORTER_SECRET", sized_span(t, t->exporter));
}

/* The iv is there already. */
void keys_install(struct tarn_tls *t, struct tarn_tls_keys *k, struct tarn_span key) {
    const struct tarn_aead *aead = suite_at(t->suite)->aead;
    if (t->has_fast)
        aead = tarn_aead_fast_of(aead);
    TARN_ASSERT(tarn_aead_init(&k->aead, aead, key, 0) == TARN_OK);
    k->seq = 0;
    k->on = true;
}

void schedule_resumption(struct tarn_tls *t) {
    derive(t, "res master", t->resumption);
}

void psk_from_nonce(const struct tarn_tls *t, struct tarn_span nonce, uint8_t out[48]) {
    expand_label(t->hash, sized_span(t, t->resumption), "resumption", nonce, sized(t, out));
}

void binder_mac(const struct tarn_digest *hash, const uint8_t psk[48], struct tarn_span transcript,
                uint8_t out[48]) {
    uint8_t empty[64], early[48], binder[48];
    size_t n = hash->digest_bytes;
    struct tarn_bytes e = {empty, n}, s = {early, n}, b = {binder, n};
    tarn_digest_of(hash, TARN_SPAN_EMPTY, e);
    tarn_hkdf_extract(hash, TARN_SPAN_EMPTY, tarn_span_of(psk, n), s);
    expand_label(hash, tarn_bytes_span(s), "res binder", tarn_bytes_span(e), b);
    expand_label(hash, tarn_bytes_span(b), "finished", TARN_SPAN_EMPTY, s);
    tarn_hmac_of(hash, tarn_bytes_span(s), transcript, tarn_bytes_of(out, n));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(early));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(binder));
}

void keys_set(struct tarn_tls *t, struct tarn_tls_keys *k, const uint8_t secret[48]) {
    uint8_t key[32];
    struct tarn_bytes kb = {key, suite_at(t->suite)->aead->key_bytes};
    tarn_bytes_move(TARN_BYTES_ARRAY(k->secret), tarn_span_of(secret, 48));
    expand_label(t->hash, sized_span(t, k->secret), "key", TARN_SPAN_EMPTY, kb);
    expand_label(t->hash, sized_span(t, k->secret), "iv", TARN_SPAN_EMPTY, TARN_BYTES_ARRAY(k->iv));
    keys_install(t, k, tarn_bytes_span(kb));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(key));
}

void keys_next(struct tarn_tls *t, struct tarn_tls_keys *k) {
    uint8_t next[48] = {0};
    expand_label(t->hash, sized_span(t, k->secret), "traffic upd", TARN_SPAN_EMPTY, sized(t, next));
    keys_set(t, k, next);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(next));
}

void finished_mac(const struct tarn_tls *t, const uint8_t secret[48], uint8_t out[48]) {
    uint8_t key[48], hash[64];
    struct tarn_bytes k = sized(t, key);
    expand_label(t->hash, sized_span(t, secret), "finished", TARN_SPAN_EMPTY, k);
    tarn_hmac_of(t->hash, tarn_bytes_span(k), transcript_hash(t, hash), sized(t, out));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(key));
}

enum tarn_err tarn_tls_export(const struct tarn_tls *t, const char *label, struct tarn_span context,
                              struct tarn_bytes out) {
    uint8_t empty[64], hash[64], secret[48];
    if (t->phase != CONNECTED || tarn_span_str(label).len > 249
        || out.len > 255 * t->hash->digest_bytes)
        return TARN_INVALID;
    if (t->version == TARN_TLS_12)
        return tls12_export(t, label, context, out);
    struct tarn_bytes e = sized(t, empty), h = sized(t, hash), s = sized(t, secret);
    tarn_digest_of(t->hash, TARN_SPAN_EMPTY, e);
    tarn_digest_of(t->hash, context, h);
    expand_label(t->hash, sized_span(t, t->exporter), label, tarn_bytes_span(e), s);
    expand_label(t->hash, tarn_bytes_span(s), "exporter", tarn_bytes_span(h), out);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(secret));
    return TARN_OK;
}
