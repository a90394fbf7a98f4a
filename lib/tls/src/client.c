/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define SAME_SHARES GROUPS /* a retry for its cookie, and not for another group */

#include <tarn/ip_addr.h>

static void put_name(struct tarn_tls *t, struct tarn_writer *w) {
    struct tarn_ip_addr addr;
    struct tarn_span name = tarn_tls_name(t);
    if (name.len == 0 || tarn_ip_addr_parse(name, &addr))
        return; /* addresses are not sent (RFC 6066 section 3) */
    tarn_writer_u16be(w, EXT_SERVER_NAME);
    size_t ext = vector_open(w), list = vector_open(w);
    tarn_writer_u8(w, 0);
    size_t host = vector_open(w);
    tarn_writer_span_put(w, name);
    vector_close(w, host);
    vector_close(w, list);
    vector_close(w, ext);
}

/* 0x0a0a, 0x1a1a, ... (RFC 8701), the same for one client in both of its ClientHellos. */
static uint16_t grease_value(const struct tarn_tls *t, size_t i) {
    return (uint16_t)(0x0a0a + 0x1010 * (TARN_AT(t->client_random, i) & 15));
}

static void put_groups(struct tarn_tls *t, struct tarn_writer *w) {
    tarn_writer_u16be(w, EXT_GROUPS);
    size_t ext = vector_open(w), list = vector_open(w);
    if (t->config->grease)
        tarn_writer_u16be(w, grease_value(t, 1));
    for (size_t i = 0; i < GROUPS; i++)
        if (group_is_on(t, i))
            tarn_writer_u16be(w, group_id(i));
    vector_close(w, list);
    vector_close(w, ext);
}

/* One share of the first group, and of X25519 where that is not it; after a retry, of the group
 * that the server named. */
static enum tarn_tls_alert put_shares(struct tarn_tls *t, struct tarn_writer *w) {
    enum tarn_tls_alert alert = FINE;
    size_t sent = 0;
    tarn_writer_u16be(w, EXT_KEY_SHARE);
    size_t ext = vector_open(w), list = vector_open(w);
    for (size_t i = 0; i < GROUPS && alert == FINE; i++) {
        bool first = sent == 0 || (sent == 1 && i == TARN_TLS_X25519);
        bool one = t->retried && t->group != SAME_SHARES;
        if (one ? i != t->group : !group_is_on(t, i) || !first)
            continue;
        sent++;
        tarn_writer_u16be(w, group_id(i));
        size_t key = vector_open(w);
        alert = group_offer(t, i, w);
        vector_close(w, key);
    }
    vector_close(w, list);
    vector_close(w, ext);
    return alert;
}

static void put_versions(const struct tarn_tls *t, struct tarn_writer *w) {
    bool both = version_is_on(t, TARN_TLS_12);
    size_t len = 2u * (1u + both + t->config->grease);
    tarn_writer_u16be(w, EXT_VERSIONS);
    tarn_writer_u16be(w, (uint16_t)(len + 1));
    tarn_writer_u8(w, (uint8_t)len);
    if (t->config->grease)
        tarn_writer_u16be(w, grease_value(t, 2));
    tarn_writer_u16be(w, TARN_TLS_13);
    if (both)
        tarn_writer_u16be(w, TARN_TLS_12);
}

static void put_suites(const struct tarn_tls *t, struct tarn_writer *w) {
    size_t suites = vector_open(w);
    if (t->config->grease)
        tarn_writer_u16be(w, grease_value(t, 0));
    for (size_t i = 0; i < SUITES && version_is_on(t, TARN_TLS_13); i++)
        if (suite_is_on(t, i) && suite_at(i)->id != NO_SUITE)
            tarn_writer_u16be(w, suite_at(i)->id);
    for (size_t i = 0; i < SUITES && version_is_on(t, TARN_TLS_12); i++) {
        if (suite_is_on(t, i))
            tarn_writer_u16be(w, suite_at(i)->id_12_ecdsa);
        if (suite_is_on(t, i) && suite_at(i)->id_12_rsa != NO_SUITE)
            tarn_writer_u16be(w, suite_at(i)->id_12_rsa);
    }
    if (t->config->fallback)
        tarn_writer_u16be(w, SUITE_FALLBACK);
    vector_close(w, suites);
}

static void put_cookie(const struct tarn_tls *t, struct tarn_writer *w) {
    tarn_writer_u16be(w, EXT_COOKIE);
    size_t ext = vector_open(w), cookie = vector_open(w);
    tarn_writer_span_put(w, t->cookie);
    vector_close(w, cookie);
    vector_close(w, ext);
}

static void put_small_extensions(struct tarn_tls *t, struct tarn_writer *w) {
    if (t->cookie.len > 0)
        put_cookie(t, w);
    put_name(t, w);
    put_groups(t, w);
    put_schemes(w);
    tarn_writer_u16be(w, EXT_STATUS_REQUEST); /* OCSP, of any responder */
    tarn_writer_u16be(w, 5);
    tarn_writer_u8(w, 1);
    tarn_writer_u32be(w, 0);
    if (t->config->alpn_count > 0)
        alpn_put(w, t);
    tarn_writer_u16be(w, EXT_RECORD_SIZE_LIMIT);
    tarn_writer_u16be(w, 2);
    tarn_writer_u16be(w, RECORD_PLAIN_MAX + 1);
    if (version_is_on(t, TARN_TLS_12))
        tls12_put_hello(w);
    if (version_is_on(t, TARN_TLS_13)) {
        if (t->config->sessions)
            psk_put_modes(w);
        put_versions(t, w);
    }
    if (t->config->grease) {
        tarn_writer_u16be(w, grease_value(t, 3));
        tarn_writer_u16be(w, 0);
    }
}

static enum tarn_tls_alert send_hello(struct tarn_tls *t) {
    struct tarn_writer w = message_begin(t, MSG_CLIENT_HELLO);
    tarn_writer_u16be(&w, 0x0303);
    tarn_writer_mem(&w, t->client_random, 32);
    tarn_writer_u8(&w, t->session_id_len);
    tarn_writer_mem(&w, t->session_id, t->session_id_len);
    put_suites(t, &w);
    tarn_writer_u16be(&w, 0x0100); /* no compression */
    size_t ext = vector_open(&w);
    put_small_extensions(t, &w);
    enum tarn_tls_alert alert = version_is_on(t, TARN_TLS_13) ? put_shares(t, &w) : FINE;
    bool psk = psk_is_offered(t);
    if (t->early == TARN_TLS_EARLY_OFFERED) {
        tarn_writer_u16be(&w, EXT_EARLY_DATA);
        tarn_writer_u16be(&w, 0);
    }
    t->psk_offered = false;
    if (psk)
        psk_put_offer(t, &w);
    vector_close(&w, ext);
    if (psk)
        psk_put_binder(t, &w);
    return alert == FINE ? message_end(t, &w) : alert;
}

/* Early data goes out behind the first ClientHello, under keys of its own. */
enum tarn_tls_alert client_start(struct tarn_tls *t) {
    tarn_random_fill(t->config->random, TARN_BYTES_ARRAY(t->client_random));
    t->phase = WAIT_SERVER_HELLO;
    if (version_is_on(t, TARN_TLS_13)) {
        tarn_random_fill(t->config->random, TARN_BYTES_ARRAY(t->session_id));
        t->session_id_len = sizeof t->session_id;
        psk_take_session(t);
    }
    enum tarn_tls_alert alert = send_hello(t);
    if (alert != FINE || t->early != TARN_TLS_EARLY_OFFERED)
        return alert;
    alert = compat_put(t);
    psk_start_early(t);
    return alert;
}

struct answer {
    struct tarn_span random, share;
    uint16_t suite, version, group, psk;
    struct tarn_span cookie;
    bool has_version, has_share, has_psk;
};

static enum tarn_tls_alert extensions(const struct tarn_tls *t, struct answer *a,
                                      struct tarn_span list, bool retry) {
    struct tarn_span ext;
    uint16_t id;
    while (list.len > 0) {
        if (!tarn_span_u16be(&list, &id) || !vector16(&list, &ext))
            return TARN_TLS_DECODE_ERROR;
        if (id == EXT_VERSIONS && !a->has_version) {
            a->has_version = true;
            if (!tarn_span_u16be(&ext, &a->version) || ext.len > 0)
                return TARN_TLS_DECODE_ERROR;
        } else if (id == EXT_KEY_SHARE && !a->has_share) {
            a->has_share = true;
            if (!tarn_span_u16be(&ext, &a->group) || (!retry && !vector16(&ext, &a->share))
                || ext.len > 0)
                return TARN_TLS_DECODE_ERROR;
        } else if (id == EXT_COOKIE && retry && a->cookie.len == 0) {
            if (!vector16(&ext, &a->cookie) || a->cookie.len == 0 || ext.len > 0)
                return TARN_TLS_DECODE_ERROR;
        } else if (id == EXT_PRE_SHARED_KEY && t->psk_offered && !a->has_psk && !retry) {
            a->has_psk = true;
            if (!tarn_span_u16be(&ext, &a->psk) || ext.len > 0)
                return TARN_TLS_DECODE_ERROR;
        } else {
            return id == EXT_VERSIONS || id == EXT_KEY_SHARE || (id == EXT_COOKIE && retry)
                           || (a->has_psk && id == EXT_PRE_SHARED_KEY)
                       ? TARN_TLS_ILLEGAL_PARAMETER
                       : TARN_TLS_UNSUPPORTED_EXTENSION;
        }
    }
    return FINE;
}

/* Whether it is TLS 1.3 at all is asked before its extensions are judged by its rules. */
static bool is_13(struct tarn_span body) {
    struct tarn_span session_id, list, ext;
    uint16_t id;
    if (!tarn_span_skip(&body, 2 + 32) || !vector8(&body, &session_id) || !tarn_span_skip(&body, 3)
        || !vector16(&body, &list))
        return false;
    while (tarn_span_u16be(&list, &id) && vector16(&list, &ext))
        if (id == EXT_VERSIONS)
            return true;
    return false;
}

static enum tarn_tls_alert parse(struct tarn_tls *t, struct answer *a, struct tarn_span body,
                                 bool *retry) {
    struct tarn_span session_id, list;
    uint16_t version;
    uint8_t compression;
    *a = (struct answer){.has_version = false};
    if (!tarn_span_u16be(&body, &version) || !tarn_span_take(&body, 32, &a->random)
        || !vector8(&body, &session_id) || !tarn_span_u16be(&body, &a->suite)
        || !tarn_span_u8(&body, &compression))
        return TARN_TLS_DECODE_ERROR;
    if (!vector16(&body, &list) || body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    *retry = tarn_span_equal(a->random, TARN_SPAN_ARRAY(hello_retry_random));
    enum tarn_tls_alert alert = extensions(t, a, list, *retry);
    if (alert != FINE)
        return alert;
    if (version != 0x0303 || a->version != 0x0304 || compression != 0
        || !tarn_span_equal(session_id, tarn_span_of(t->session_id, t->session_id_len)))
        return TARN_TLS_ILLEGAL_PARAMETER;
    return FINE;
}

static enum tarn_tls_alert retry_hello(struct tarn_tls *t, const struct answer *a,
                                       struct tarn_span message) {
    int group = group_of(t, a->group);
    if (t->retried || (!a->has_share && a->cookie.len == 0))
        return t->retried ? TARN_TLS_UNEXPECTED_MESSAGE : TARN_TLS_ILLEGAL_PARAMETER;
    /* A group that was offered, and no share of it sent. */
    if (a->has_share && (group < 0 || t->offered >> group & 1))
        return TARN_TLS_ILLEGAL_PARAMETER;
    t->group = a->has_share ? (uint8_t)group : SAME_SHARES;
    t->cookie = a->cookie;
    t->retried = true;
    transcript_retry(t);
    transcript_add(t, message);
    if (t->early == TARN_TLS_EARLY_OFFERED)
        t->early = TARN_TLS_EARLY_REFUSED;
    t->tx.on = false;
    enum tarn_tls_alert alert = compat_put(t);
    if (alert == FINE)
        alert = send_hello(t);
    t->cookie = TARN_SPAN_EMPTY;
    return alert;
}

enum tarn_tls_alert client_server_hello(struct tarn_tls *t, struct tarn_span message,
                                        struct tarn_span body) {
    struct answer a;
    uint8_t shared[64];
    size_t len;
    bool retry;
    if (!is_13(body))
        return tls12_client_server_hello(t, message, body);
    if (!version_is_on(t, TARN_TLS_13))
        return TARN_TLS_UNSUPPORTED_EXTENSION;
    if (t->message_len != message.len) /* keys change behind it (section 5.1) */
        return TARN_TLS_UNEXPECTED_MESSAGE;
    enum tarn_tls_alert alert = parse(t, &a, body, &retry);
    if (alert != FINE)
        return alert;
    t->version = TARN_TLS_13;
    int suite = suite_of(t, a.suite);
    if (suite < 0 || (t->retried && suite != t->suite))
        return TARN_TLS_ILLEGAL_PARAMETER;
    t->suite = (uint8_t)suite;
    transcript_choose(t);
    if (a.has_psk && (a.psk != 0 || t->hash != suite_at(t->psk_suite)->hash))
        return TARN_TLS_ILLEGAL_PARAMETER; /* one was offered, for that hash */
    if (retry)
        return retry_hello(t, &a, message);
    if (!a.has_share)
        return TARN_TLS_MISSING_EXTENSION;
    int group = group_of(t, a.group);
    if (group < 0
        || (t->retried && t->group != SAME_SHARES ? group != t->group : !(t->offered >> group & 1)))
        return TARN_TLS_ILLEGAL_PARAMETER;
    t->group = (uint8_t)group;
    transcript_add(t, message);
    alert = group_finish(t, (size_t)group, a.share, shared, &len);
    if (alert != FINE)
        return alert;
    t->resumed = a.has_psk;
    t->peer_has_cert = t->resumed && t->peer_spki_len > 0;
    psk_forget(t);
    schedule_start(t);
    schedule_handshake(t, tarn_span_of(shared, len));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(shared));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(t->own_secrets));
    keys_set(t, &t->rx, t->server_secret);
    t->phase = WAIT_ENCRYPTED_EXTENSIONS;
    return FINE;
}

/* Early data is taken only with the ticket, its suite and its protocol (section 4.2.10). */
static enum tarn_tls_alert early_answer(struct tarn_tls *t, bool taken) {
    if (t->early != TARN_TLS_EARLY_OFFERED)
        return FINE;
    t->early = taken ? TARN_TLS_EARLY_TAKEN : TARN_TLS_EARLY_REFUSED;
    if (taken
        && (!t->resumed || t->suite != t->psk_suite
            || !tarn_span_equal(tarn_span_of(t->psk_alpn, t->psk_alpn_len), tarn_tls_alpn(t))))
        return TARN_TLS_ILLEGAL_PARAMETER;
    return FINE;
}

enum tarn_tls_alert client_encrypted_extensions(struct tarn_tls *t, struct tarn_span body) {
    struct tarn_span list, ext;
    uint32_t seen = 0;
    uint16_t id;
    bool early = false;
    if (!vector16(&body, &list) || body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    while (list.len > 0) {
        enum tarn_tls_alert alert = FINE;
        if (!tarn_span_u16be(&list, &id) || !vector16(&list, &ext))
            return TARN_TLS_DECODE_ERROR;
        if (id < 32 && seen >> id & 1)
            return TARN_TLS_ILLEGAL_PARAMETER;
        seen |= id < 32 ? 1u << id : 0;
        if (id == EXT_ALPN && t->config->alpn_count > 0) {
            alert = alpn_accept(t, ext);
        } else if (id == EXT_RECORD_SIZE_LIMIT) {
            alert = take_limit(t, ext);
        } else if (id == EXT_SERVER_NAME && t->name_len > 0) {
            alert = ext.len ? TARN_TLS_DECODE_ERROR : FINE;
        } else if (id == EXT_EARLY_DATA && t->early == TARN_TLS_EARLY_OFFERED) {
            early = true;
            alert = ext.len ? TARN_TLS_DECODE_ERROR : FINE;
        } else if (id != EXT_GROUPS) { /* groups are for next time (section 4.2.7) */
            alert = TARN_TLS_UNSUPPORTED_EXTENSION;
        }
        if (alert != FINE)
            return alert;
    }
    t->phase = t->resumed ? WAIT_FINISHED : WAIT_CERT_OR_REQUEST;
    return early_answer(t, early);
}

enum tarn_tls_alert client_certificate_request(struct tarn_tls *t, struct tarn_span body) {
    struct tarn_span context, list, ext;
    bool has_schemes = false;
    uint16_t id;
    if (!vector8(&body, &context) || !vector16(&body, &list) || body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    if (context.len > 0)
        return TARN_TLS_ILLEGAL_PARAMETER; /* only after the handshake (section 4.3.2) */
    while (list.len > 0) {
        if (!tarn_span_u16be(&list, &id) || !vector16(&list, &ext))
            return TARN_TLS_DECODE_ERROR;
        if (id != EXT_SIG_ALGS)
            continue;
        if (has_schemes || !schemes_parse(ext, &t->peer_schemes))
            return TARN_TLS_DECODE_ERROR;
        has_schemes = true;
    }
    t->asked_for_cert = true;
    t->phase = WAIT_CERTIFICATE;
    return has_schemes ? FINE : TARN_TLS_MISSING_EXTENSION;
}

/* The server is who it says. Its Finished is in the transcript; ours, and a certificate where it
 * was asked for, go out with the handshake's keys. */
enum tarn_tls_alert client_after_finished(struct tarn_tls *t) {
    uint8_t handshake_secret[48];
    enum tarn_tls_alert alert = compat_put(t);
    if (alert != FINE)
        return alert;
    tarn_bytes_copy(TARN_BYTES_ARRAY(handshake_secret), TARN_SPAN_ARRAY(t->client_secret));
    schedule_master(t); /* before the transcript goes on (section 7.1) */
    keys_set(t, &t->rx, t->server_secret);
    if (t->early == TARN_TLS_EARLY_TAKEN) {
        struct tarn_writer w = message_begin(t, MSG_END_OF_EARLY_DATA);
        alert = message_end(t, &w);
    }
    keys_set(t, &t->tx, handshake_secret);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(handshake_secret));
    if (alert != FINE)
        return alert;
    if (!t->asked_for_cert)
        return client_after_signature(t);
    bool has = choose_identity(t);
    alert = send_certificate(t, TARN_SPAN_EMPTY);
    if (alert != FINE)
        return alert;
    return has ? send_certificate_verify(t) : client_after_signature(t);
}

enum tarn_tls_alert client_after_signature(struct tarn_tls *t) {
    enum tarn_tls_alert alert =
        t->version == TARN_TLS_12 ? tls12_send_finished(t) : send_finished(t);
    if (alert != FINE)
        return alert;
    if (t->version == TARN_TLS_12) {
        t->phase = WAIT12_CCS;
        return FINE;
    }
    keys_set(t, &t->tx, t->client_secret);
    if (t->config->sessions)
        schedule_resumption(t);
    t->phase = CONNECTED;
    return FINE;
}
