/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define SSL_3 0x0300
#define EARLY_BYTES_MAX (32u << 10) /* of early data that is passed over */

static enum tarn_tls_alert note(struct hello *h, uint16_t id, struct tarn_span ext) {
    struct {
        uint16_t id;
        bool *has;
        struct tarn_span *value;
    } const known[] = {{EXT_STATUS_REQUEST, &h->has_status, &h->status},
                       {EXT_MAX_FRAGMENT, &h->has_fragment, &h->fragment},
                       {EXT_VERSIONS, &h->has_versions, &h->versions},
                       {EXT_GROUPS, &h->has_groups, &h->groups},
                       {EXT_SIG_ALGS, &h->has_schemes, &h->schemes},
                       {EXT_KEY_SHARE, &h->has_shares, &h->shares},
                       {EXT_SERVER_NAME, &h->has_name, &h->name},
                       {EXT_ALPN, &h->has_alpn, &h->alpn},
                       {EXT_RECORD_SIZE_LIMIT, &h->has_limit, &h->limit},
                       {EXT_PSK_MODES, &h->has_psk_modes, &h->psk_modes},
                       {EXT_PRE_SHARED_KEY, &h->has_psk, &h->psk},
                       {EXT_POINT_FORMATS, &h->has_points, &h->points},
                       {EXT_MASTER_SECRET, &h->has_master_secret, &h->master_secret},
                       {EXT_RENEGOTIATION, &h->has_renegotiation, &h->renegotiation}};
    for (size_t i = 0; i < TARN_COUNT_OF(known); i++)
        if (TARN_AT(known, i).id == id) {
            *TARN_AT(known, i).has = true;
            *TARN_AT(known, i).value = ext;
        }
    h->has_early |= id == EXT_EARLY_DATA;
    if (id == EXT_COOKIE) /* none was given out */
        return TARN_TLS_ILLEGAL_PARAMETER;
    return FINE;
}

static enum tarn_tls_alert extensions(struct hello *h, struct tarn_span list) {
    uint8_t seen[1 << 13]; /* a bit for each number there is: a client may send thousands */
    struct tarn_span ext;
    uint16_t id;
    tarn_bytes_fill(TARN_BYTES_ARRAY(seen), 0);
    while (list.len > 0) {
        if (h->has_psk) /* pre_shared_key is the last (section 4.2.11) */
            return TARN_TLS_ILLEGAL_PARAMETER;
        if (!tarn_span_u16be(&list, &id) || !vector16(&list, &ext))
            return TARN_TLS_DECODE_ERROR;
        if (TARN_AT(seen, id / 8u) >> id % 8 & 1)
            return TARN_TLS_ILLEGAL_PARAMETER;
        TARN_AT(seen, id / 8u) |= (uint8_t)(1u << id % 8);
        enum tarn_tls_alert alert = note(h, id, ext);
        if (alert != FINE)
            return alert;
    }
    return FINE;
}

static enum tarn_tls_alert parse(struct hello *h, struct tarn_span body) {
    struct tarn_span list;
    *h = (struct hello){.has_psk = false};
    if (!tarn_span_u16be(&body, &h->version) || !tarn_span_take(&body, 32, &h->random)
        || !vector8(&body, &h->session_id) || h->session_id.len > 32 || !vector16(&body, &h->suites)
        || h->suites.len == 0 || h->suites.len % 2 || !vector8(&body, &h->compressions)
        || h->compressions.len == 0)
        return TARN_TLS_DECODE_ERROR;
    if (body.len == 0) /* no extensions: a version of long ago */
        return FINE;
    if (!vector16(&body, &list) || body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    return extensions(h, list);
}

/* The newest version of both; a client that came down to it for no good reason is told (RFC 7507).
 */
static enum tarn_tls_alert choose_version(struct tarn_tls *t, const struct hello *h) {
    struct tarn_span ext = h->versions, list;
    uint16_t version, best = 0;
    if (!h->has_versions) {
        best = h->version >= TARN_TLS_12 && version_is_on(t, TARN_TLS_12) ? TARN_TLS_12 : 0;
    } else {
        if (!vector8(&ext, &list) || ext.len > 0 || list.len == 0 || list.len % 2)
            return TARN_TLS_DECODE_ERROR;
        while (tarn_span_u16be(&list, &version))
            if ((version == TARN_TLS_12 || version == TARN_TLS_13) && version_is_on(t, version))
                best = version > best ? version : best;
    }
    bool newest = best == TARN_TLS_13 || (best && !version_is_on(t, TARN_TLS_13));
    if (!newest && list_has(h->suites, SUITE_FALLBACK))
        return TARN_TLS_INAPPROPRIATE_FALLBACK;
    if (best == 0 || h->version <= SSL_3) /* section 4.1.2, appendix D.5 */
        return TARN_TLS_PROTOCOL_VERSION;
    if (t->retried && best != t->version)
        return TARN_TLS_ILLEGAL_PARAMETER;
    t->version = best;
    return FINE;
}

bool list_has(struct tarn_span list, uint16_t wanted) {
    uint16_t id;
    while (tarn_span_u16be(&list, &id))
        if (id == wanted)
            return true;
    return false;
}

static bool choose_suite(struct tarn_tls *t, const struct hello *h) {
    for (size_t i = 0; i < SUITES; i++)
        if (suite_is_on(t, i) && suite_at(i)->id != NO_SUITE
            && list_has(h->suites, suite_at(i)->id)) {
            t->suite = (uint8_t)i;
            return true;
        }
    return false;
}

/* Shares stand in the order of the groups, each of which is there once and among the groups; one
 * whose group is not known is passed over. */
static enum tarn_tls_alert find_share(struct tarn_span shares, struct tarn_span groups,
                                      size_t group, struct tarn_span *found) {
    struct tarn_span share;
    uint16_t id, other;
    *found = TARN_SPAN_EMPTY;
    while (shares.len > 0) {
        if (!tarn_span_u16be(&shares, &id) || !vector16(&shares, &share))
            return TARN_TLS_DECODE_ERROR;
        bool listed = false;
        while (!listed && tarn_span_u16be(&groups, &other))
            listed = other == id;
        if (!listed || share.len == 0)
            return TARN_TLS_ILLEGAL_PARAMETER;
        if (id == group_id(group))
            *found = share;
    }
    return FINE;
}

/* The first group of ours with a share, else the first that the client has at all. */
static enum tarn_tls_alert choose_group(struct tarn_tls *t, const struct hello *h,
                                        struct tarn_span *share) {
    struct tarn_span ext = h->groups, groups, shares_ext = h->shares, shares;
    int fallback = -1;
    if (!vector16(&ext, &groups) || ext.len > 0 || groups.len == 0 || groups.len % 2
        || !vector16(&shares_ext, &shares) || shares_ext.len > 0)
        return TARN_TLS_DECODE_ERROR;
    for (size_t i = 0; i < GROUPS; i++) {
        if (!group_is_on(t, i) || !list_has(groups, group_id(i)))
            continue;
        enum tarn_tls_alert alert = find_share(shares, groups, i, share);
        if (alert != FINE)
            return alert;
        fallback = fallback < 0 ? (int)i : fallback;
        if (share->len > 0) {
            fallback = (int)i;
            break;
        }
    }
    if (fallback < 0)
        return TARN_TLS_HANDSHAKE_FAILURE;
    /* After a retry: that group, and nothing but a share of it (section 4.1.2). */
    if (t->retried && (fallback != t->group || share->len == 0 || share->len + 4 != shares.len))
        return TARN_TLS_ILLEGAL_PARAMETER;
    t->group = (uint8_t)fallback;
    return FINE;
}

/* What a name is made of; an underscore is no letter of it, but is met. */
static bool is_name(struct tarn_span name) {
    uint8_t c;
    while (tarn_span_u8(&name, &c))
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
              || c == '.' || c == '_'))
            return false;
    return true;
}

/* One host name, among kinds that nobody has defined (RFC 6066 section 3). */
enum tarn_tls_alert take_name(struct tarn_tls *t, struct tarn_span ext) {
    struct tarn_span list, name, host = TARN_SPAN_EMPTY;
    uint8_t type;
    if (!vector16(&ext, &list) || ext.len > 0 || list.len == 0)
        return TARN_TLS_DECODE_ERROR;
    while (list.len > 0) {
        if (!tarn_span_u8(&list, &type) || !vector16(&list, &name) || name.len == 0)
            return TARN_TLS_DECODE_ERROR;
        if (type != 0)
            continue;
        if (host.len > 0 || !is_name(name))
            return TARN_TLS_ILLEGAL_PARAMETER;
        host = name;
    }
    if (host.len <= sizeof t->name)
        t->name_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(t->name), host);
    return FINE;
}

/* In TLS 1.3 the type of what is sealed counts (RFC 8449 section 4). */
enum tarn_tls_alert take_limit(struct tarn_tls *t, struct tarn_span ext) {
    uint16_t limit;
    if (!tarn_span_u16be(&ext, &limit) || ext.len > 0)
        return TARN_TLS_DECODE_ERROR;
    if (limit < 64)
        return TARN_TLS_ILLEGAL_PARAMETER;
    size_t text = t->version == TARN_TLS_12 ? limit : limit - 1u;
    t->record_max = TARN_MIN(text, (size_t)RECORD_PLAIN_MAX);
    return FINE;
}

/* A request for an OCSP response (RFC 6066 section 8), or for something unknown. */
static enum tarn_tls_alert take_status(struct tarn_tls *t, struct tarn_span ext) {
    struct tarn_span responders, extensions;
    uint8_t type;
    if (!tarn_span_u8(&ext, &type))
        return TARN_TLS_DECODE_ERROR;
    if (type == 1 && (!vector16(&ext, &responders) || !vector16(&ext, &extensions) || ext.len > 0))
        return TARN_TLS_DECODE_ERROR;
    t->wants_staple = type == 1;
    return FINE;
}

/* Records of at most 512 to 4096 bytes (RFC 6066 section 4); a record size limit goes before. */
static enum tarn_tls_alert take_fragment(struct tarn_tls *t, struct tarn_span ext) {
    uint8_t code;
    if (!tarn_span_u8(&ext, &code) || ext.len > 0)
        return TARN_TLS_DECODE_ERROR;
    if (code < 1 || code > 4)
        return TARN_TLS_ILLEGAL_PARAMETER;
    t->max_fragment = code;
    t->record_max = (size_t)256 << code;
    return FINE;
}

/* A ticket, or a certificate that the client can judge. */
static enum tarn_tls_alert authenticate(struct tarn_tls *t, const struct hello *h,
                                        struct tarn_span message) {
    enum tarn_tls_alert alert = FINE;
    if (h->has_psk_modes)
        alert = psk_take_modes(t, h->psk_modes);
    if (alert == FINE && h->has_psk)
        alert = psk_choose(t, message, h->psk, h->suites, h->has_early);
    if (alert != FINE || t->resumed)
        return alert;
    if (!h->has_schemes)
        return TARN_TLS_MISSING_EXTENSION;
    return choose_identity(t) ? FINE : TARN_TLS_HANDSHAKE_FAILURE;
}

static enum tarn_tls_alert negotiate(struct tarn_tls *t, const struct hello *h,
                                     struct tarn_span message, struct tarn_span *share) {
    enum tarn_tls_alert alert = FINE;
    uint8_t before = t->suite;
    if (!tarn_span_equal(h->compressions, TARN_SPAN_LIT("\0")))
        return TARN_TLS_ILLEGAL_PARAMETER;
    if (h->has_psk && !h->has_psk_modes)
        return TARN_TLS_MISSING_EXTENSION;
    if (!h->has_groups || !h->has_shares || (!h->has_schemes && !h->has_psk))
        return TARN_TLS_MISSING_EXTENSION;
    if (h->has_schemes && !schemes_parse(h->schemes, &t->peer_schemes))
        return TARN_TLS_DECODE_ERROR;
    if (h->has_name)
        alert = take_name(t, h->name);
    if (alert == FINE && !choose_suite(t, h))
        alert = TARN_TLS_HANDSHAKE_FAILURE;
    if (alert == FINE && t->retried && t->suite != before)
        alert = TARN_TLS_ILLEGAL_PARAMETER;
    if (alert == FINE)
        alert = choose_group(t, h, share);
    if (alert == FINE && h->has_alpn)
        alert = alpn_choose(t, h->alpn);
    if (alert == FINE && h->has_limit)
        alert = take_limit(t, h->limit);
    else if (alert == FINE && h->has_fragment)
        alert = take_fragment(t, h->fragment);
    if (alert == FINE && h->has_status)
        alert = take_status(t, h->status);
    if (alert == FINE && share->len > 0) /* before a retry nothing is settled */
        alert = authenticate(t, h, message);
    return alert;
}

static void put_hello_head(struct tarn_tls *t, struct tarn_writer *w, struct tarn_span random) {
    tarn_writer_u16be(w, 0x0303);
    tarn_writer_span_put(w, random);
    tarn_writer_u8(w, t->session_id_len);
    tarn_writer_mem(w, t->session_id, t->session_id_len);
    tarn_writer_u16be(w, suite_at(t->suite)->id);
    tarn_writer_u8(w, 0);
}

static void put_version(struct tarn_writer *w) {
    tarn_writer_u16be(w, EXT_VERSIONS);
    tarn_writer_u16be(w, 2);
    tarn_writer_u16be(w, 0x0304);
}

static enum tarn_tls_alert send_retry(struct tarn_tls *t) {
    transcript_retry(t);
    t->retried = true;
    struct tarn_writer w = message_begin(t, MSG_SERVER_HELLO);
    put_hello_head(t, &w, TARN_SPAN_ARRAY(hello_retry_random));
    size_t ext = vector_open(&w);
    put_version(&w);
    tarn_writer_u16be(&w, EXT_KEY_SHARE);
    tarn_writer_u16be(&w, 2);
    tarn_writer_u16be(&w, group_id(t->group));
    vector_close(&w, ext);
    enum tarn_tls_alert alert = message_end(t, &w);
    return alert == FINE ? compat_put(t) : alert;
}

static enum tarn_tls_alert send_hello(struct tarn_tls *t, struct tarn_span share) {
    uint8_t random[32], shared[64];
    size_t len;
    tarn_random_fill(t->config->random, TARN_BYTES_ARRAY(random));
    struct tarn_writer w = message_begin(t, MSG_SERVER_HELLO);
    put_hello_head(t, &w, TARN_SPAN_ARRAY(random));
    size_t ext = vector_open(&w);
    put_version(&w);
    tarn_writer_u16be(&w, EXT_KEY_SHARE);
    size_t key_share = vector_open(&w);
    tarn_writer_u16be(&w, group_id(t->group));
    size_t key = vector_open(&w);
    enum tarn_tls_alert alert = group_answer(t, t->group, share, &w, shared, &len);
    vector_close(&w, key);
    vector_close(&w, key_share);
    if (t->resumed) {
        tarn_writer_u16be(&w, EXT_PRE_SHARED_KEY);
        tarn_writer_u16be(&w, 2);
        tarn_writer_u16be(&w, t->psk_index);
    }
    vector_close(&w, ext);
    if (alert == FINE)
        alert = message_end(t, &w);
    if (alert == FINE)
        alert = compat_put(t);
    if (alert != FINE)
        return alert;
    schedule_handshake(t, tarn_span_of(shared, len));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(shared));
    keys_set(t, &t->tx, t->server_secret);
    if (t->early == TARN_TLS_EARLY_TAKEN) /* the client's keys of the handshake come later */
        tarn_bytes_copy(TARN_BYTES_ARRAY(t->later_secret), TARN_SPAN_ARRAY(t->client_secret));
    else
        keys_set(t, &t->rx, t->client_secret);
    return FINE;
}

static enum tarn_tls_alert send_encrypted_extensions(struct tarn_tls *t, const struct hello *h) {
    struct tarn_writer w = message_begin(t, MSG_ENCRYPTED_EXTENSIONS);
    size_t ext = vector_open(&w);
    if (t->name_len > 0) {
        tarn_writer_u16be(&w, EXT_SERVER_NAME);
        tarn_writer_u16be(&w, 0);
    }
    if (t->alpn_len > 0)
        alpn_put(&w, t);
    if (h->has_limit) {
        tarn_writer_u16be(&w, EXT_RECORD_SIZE_LIMIT);
        tarn_writer_u16be(&w, 2);
        tarn_writer_u16be(&w, RECORD_PLAIN_MAX + 1);
    }
    if (t->max_fragment > 0) {
        tarn_writer_u16be(&w, EXT_MAX_FRAGMENT);
        tarn_writer_u16be(&w, 1);
        tarn_writer_u8(&w, t->max_fragment);
    }
    if (t->early == TARN_TLS_EARLY_TAKEN) {
        tarn_writer_u16be(&w, EXT_EARLY_DATA);
        tarn_writer_u16be(&w, 0);
    }
    vector_close(&w, ext);
    return message_end(t, &w);
}

static enum tarn_tls_alert send_certificate_request(struct tarn_tls *t) {
    if (t->config->client_auth == TARN_TLS_NO_CLIENT_AUTH)
        return FINE;
    t->asked_for_cert = true;
    struct tarn_writer w = message_begin(t, MSG_CERTIFICATE_REQUEST);
    tarn_writer_u8(&w, 0);
    size_t ext = vector_open(&w);
    put_schemes(&w);
    vector_close(&w, ext);
    return message_end(t, &w);
}

/* The key schedule begins, and early data with it. */
static void start(struct tarn_tls *t, const struct hello *h) {
    schedule_start(t);
    t->early_bytes = 0; /* after a retry there is none (section 4.2.10) */
    if (t->early == TARN_TLS_EARLY_TAKEN)
        schedule_early(t, &t->rx);
    else if (h->has_early)
        t->early_bytes =
            EARLY_BYTES_MAX + (t->config->tickets ? 2 * t->config->tickets->early_bytes_max : 0);
}

static enum tarn_tls_alert send_flight(struct tarn_tls *t, const struct hello *h,
                                       struct tarn_span share) {
    enum tarn_tls_alert alert = send_hello(t, share);
    if (alert == FINE)
        alert = send_encrypted_extensions(t, h);
    if (alert == FINE && t->resumed)
        return server_after_signature(t);
    if (alert == FINE)
        alert = send_certificate_request(t);
    if (alert == FINE)
        alert = send_certificate(t, TARN_SPAN_EMPTY);
    return alert == FINE ? send_certificate_verify(t) : alert;
}

enum tarn_tls_alert server_hello(struct tarn_tls *t, struct tarn_span message,
                                 struct tarn_span body) {
    struct hello h;
    struct tarn_span share;
    enum tarn_tls_alert alert = parse(&h, body);
    if (alert == FINE)
        alert = choose_version(t, &h);
    if (alert == FINE && t->version == TARN_TLS_12)
        return tls12_server_hello(t, &h, message);
    if (alert == FINE)
        alert = negotiate(t, &h, message, &share);
    if (alert != FINE)
        return alert;
    if (t->retried && h.has_early) /* not in a second one (section 4.1.2) */
        return TARN_TLS_ILLEGAL_PARAMETER;
    transcript_add(t, message);
    transcript_choose(t);
    tarn_bytes_copy(TARN_BYTES_ARRAY(t->client_random), h.random);
    t->session_id_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(t->session_id), h.session_id);
    start(t, &h);
    return share.len == 0 ? send_retry(t) : send_flight(t, &h, share);
}

enum tarn_tls_alert server_after_signature(struct tarn_tls *t) {
    enum tarn_tls_alert alert = send_finished(t);
    if (alert != FINE)
        return alert;
    schedule_master(t);
    keys_set(t, &t->tx, t->server_secret);
    t->phase = t->asked_for_cert                  ? WAIT_CERTIFICATE
               : t->early == TARN_TLS_EARLY_TAKEN ? WAIT_END_OF_EARLY_DATA
                                                  : WAIT_FINISHED;
    return FINE;
}
