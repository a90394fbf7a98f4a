/* SPDX-License-Identifier: ISC */
/* What a client keeps of a connection to come back with. */
#include "internal.h"

static void keep(struct tarn_tls *t, struct tarn_span nonce, struct tarn_span ticket,
                 uint32_t lifetime, struct tarn_tls_session *s) {
    int64_t expires = t->now + (int64_t)lifetime;
    /* Certificates are not shown again: a session ends with the one it began with. */
    s->expires = t->peer_not_after ? TARN_MIN(expires, t->peer_not_after) : expires;
    s->received = t->now;
    s->suite = t->suite;
    psk_from_nonce(t, nonce, s->psk);
    s->name_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(s->name), tarn_tls_name(t));
    s->alpn_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(s->alpn), tarn_tls_alpn(t));
    s->ticket_len = (uint16_t)tarn_bytes_copy(TARN_BYTES_ARRAY(s->ticket), ticket);
    if (t->peer_has_cert)
        s->peer_spki_len = (uint16_t)tarn_bytes_copy(TARN_BYTES_ARRAY(s->peer_spki),
                                                     tarn_span_of(t->peer_spki, t->peer_spki_len));
    t->config->sessions->ops->put(t->config->sessions, s);
}

enum tarn_tls_alert take_ticket(struct tarn_tls *t, struct tarn_span body) {
    struct tarn_tls_session s = {.received = 0};
    struct tarn_span nonce, ticket, extensions, ext;
    uint32_t lifetime;
    uint16_t id;
    if (!tarn_span_u32be(&body, &lifetime) || !tarn_span_u32be(&body, &s.age_add)
        || !vector8(&body, &nonce) || !vector16(&body, &ticket) || ticket.len == 0
        || !vector16(&body, &extensions) || body.len > 0)
        return TARN_TLS_DECODE_ERROR;
    while (extensions.len > 0) {
        if (!tarn_span_u16be(&extensions, &id) || !vector16(&extensions, &ext))
            return TARN_TLS_DECODE_ERROR;
        if (id == EXT_EARLY_DATA && (!tarn_span_u32be(&ext, &s.early_bytes_max) || ext.len > 0))
            return TARN_TLS_DECODE_ERROR;
    }
    if (lifetime > TARN_TLS_TICKET_LIFE_MAX)
        return TARN_TLS_ILLEGAL_PARAMETER;
    /* A lifetime of zero means: throw it away at once (section 4.6.1). */
    if (t->config->sessions && t->name_len > 0 && lifetime > 0 && ticket.len <= sizeof s.ticket)
        keep(t, nonce, ticket, lifetime, &s);
    tarn_bytes_wipe(tarn_bytes_of(&s, sizeof s));
    return FINE;
}

/* -- the store in memory -- */

static bool take(struct tarn_tls_sessions *base, struct tarn_span name, int64_t now,
                 struct tarn_tls_session *out) {
    struct tarn_tls_session_cache *c =
        TARN_CONTAINER_OF(base, struct tarn_tls_session_cache, sessions);
    for (size_t i = 1; i <= c->count; i++) { /* from the newest on */
        struct tarn_tls_session *s =
            &TARN_AT_N(c->slots, c->count, (c->next + c->count - i) % c->count);
        if (s->ticket_len == 0 || !tarn_span_equal_nocase(tarn_span_of(s->name, s->name_len), name))
            continue;
        bool good = now <= s->expires && now >= s->received;
        if (good)
            *out = *s;
        tarn_bytes_wipe(tarn_bytes_of(s, sizeof *s));
        if (good)
            return true;
    }
    return false;
}

static void put(struct tarn_tls_sessions *base, const struct tarn_tls_session *session) {
    struct tarn_tls_session_cache *c =
        TARN_CONTAINER_OF(base, struct tarn_tls_session_cache, sessions);
    TARN_AT_N(c->slots, c->count, c->next) = *session;
    c->next = (c->next + 1) % c->count;
}

void tarn_tls_session_cache_init(struct tarn_tls_session_cache *c, struct tarn_tls_session *slots,
                                 size_t count) {
    static const struct tarn_tls_sessions_ops ops = {take, put};
    TARN_ASSERT(count > 0);
    *c = (struct tarn_tls_session_cache){.sessions = {&ops}, .slots = slots, .count = count};
    for (size_t i = 0; i < count; i++)
        TARN_AT_N(slots, count, i).ticket_len = 0;
}
