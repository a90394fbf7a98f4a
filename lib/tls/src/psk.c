/* SPDX-License-Identifier: ISC */
/* pre_shared_key (RFC 8446 section 4.2.11): a client's offer of one ticket, a server's choice among
 * those it is offered, and early data, which hangs on both (section 4.2.10). */
#include "internal.h"

#define IDENTITIES_MAX 8   /* more are not looked at */
#define AGE_TOLERANCE_S 10 /* of a ticket with early data: clocks, and the way here */
#define PSK_DHE_KE 1

static const struct tarn_digest *psk_hash(const struct tarn_tls *t) {
    return suite_at(t->psk_suite)->hash;
}

/* -- client -- */

static bool usable(const struct tarn_tls *t, const struct tarn_tls_session *s) {
    return s->suite < SUITES && suite_is_on(t, s->suite) && s->ticket_len > 0
           && s->ticket_len <= sizeof s->ticket && s->peer_spki_len <= sizeof t->peer_spki
           && s->alpn_len <= sizeof s->alpn;
}

/* The ticket stays at the end of `message`: it is needed again if the server asks for a second
 * ClientHello. */
static void keep(struct tarn_tls *t, const struct tarn_tls_session *s) {
    size_t at = t->message.len - s->ticket_len;
    struct tarn_bytes room = tarn_bytes_after(t->message, at);
    tarn_bytes_copy(room, tarn_span_of(s->ticket, s->ticket_len));
    t->message = tarn_bytes_first(t->message, at);
    t->ticket = tarn_bytes_span(room);
    tarn_bytes_copy(TARN_BYTES_ARRAY(t->psk), TARN_SPAN_ARRAY(s->psk));
    t->psk_suite = s->suite;
    t->psk_age = (uint32_t)(t->now - s->received) * 1000 + s->age_add;
    t->psk_alpn_len =
        (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(t->psk_alpn), tarn_span_of(s->alpn, s->alpn_len));
    t->peer_spki_len = tarn_bytes_copy(TARN_BYTES_ARRAY(t->peer_spki),
                                       tarn_span_of(s->peer_spki, s->peer_spki_len));
    t->peer_not_after = s->expires;
    if (t->config->early_data && s->early_bytes_max > 0) {
        t->early = TARN_TLS_EARLY_OFFERED;
        t->early_max = s->early_bytes_max;
    }
}

void psk_take_session(struct tarn_tls *t) {
    struct tarn_tls_session s;
    struct tarn_tls_sessions *store = t->config->sessions;
    if (store && t->name_len > 0 && store->ops->take(store, tarn_tls_name(t), t->now, &s)
        && usable(t, &s))
        keep(t, &s);
    tarn_bytes_wipe(tarn_bytes_of(&s, sizeof s));
}

void psk_forget(struct tarn_tls *t) {
    t->message.len += t->ticket.len;
    t->ticket = TARN_SPAN_EMPTY;
    if (t->resumed)
        return;
    tarn_bytes_wipe(TARN_BYTES_ARRAY(t->psk));
    t->peer_spki_len = 0;
    t->peer_not_after = 0;
    if (t->early == TARN_TLS_EARLY_OFFERED)
        t->early = TARN_TLS_EARLY_REFUSED;
}

bool psk_is_offered(const struct tarn_tls *t) {
    /* After a retry the suite is known; a key of another hash is of no use. */
    return t->ticket.len > 0 && (!t->hash || t->hash == psk_hash(t));
}

void psk_put_modes(struct tarn_writer *w) {
    tarn_writer_u16be(w, EXT_PSK_MODES);
    tarn_writer_u16be(w, 2);
    tarn_writer_u8(w, 1);
    tarn_writer_u8(w, PSK_DHE_KE);
}

void psk_put_offer(struct tarn_tls *t, struct tarn_writer *w) {
    size_t mac = psk_hash(t)->digest_bytes;
    t->psk_offered = true;
    tarn_writer_u16be(w, EXT_PRE_SHARED_KEY);
    size_t ext = vector_open(w), list = vector_open(w), id = vector_open(w);
    tarn_writer_span_put(w, t->ticket);
    vector_close(w, id);
    tarn_writer_u32be(w, t->psk_age);
    vector_close(w, list);
    size_t binders = vector_open(w);
    tarn_writer_u8(w, (uint8_t)mac);
    tarn_writer_zero(w, mac);
    vector_close(w, binders);
    vector_close(w, ext);
}

void psk_put_binder(struct tarn_tls *t, struct tarn_writer *w) {
    uint8_t hash[64], mac[48];
    const struct tarn_digest *digest = psk_hash(t);
    if (!tarn_writer_ok(w))
        return;
    message_close(w);
    struct tarn_span all = tarn_writer_span(w);
    size_t n = digest->digest_bytes;
    struct tarn_span cut = tarn_span_first(all, all.len - n - 3);
    binder_mac(digest, t->psk, transcript_hash_with(t, digest, cut, hash), mac);
    w->len -= n;
    tarn_writer_mem(w, mac, n);
}

void psk_start_early(struct tarn_tls *t) {
    t->suite = t->psk_suite;
    transcript_choose(t);
    schedule_start(t);
    schedule_early(t, &t->tx);
    t->hash = NULL; /* the server's choice is still to come */
}

/* -- server -- */

enum tarn_tls_alert psk_take_modes(struct tarn_tls *t, struct tarn_span ext) {
    struct tarn_span modes;
    size_t at;
    if (!vector8(&ext, &modes) || ext.len > 0 || modes.len == 0)
        return TARN_TLS_DECODE_ERROR;
    t->may_resume = tarn_span_find(modes, PSK_DHE_KE, &at);
    return FINE;
}

struct offer {
    struct tarn_span sealed, binder;
    uint32_t age;
    bool first;
};

static bool is_good(const struct tarn_tls *t, const struct ticket *ticket,
                    struct tarn_span suites) {
    uint8_t name[16];
    name_hash(t, name);
    if (ticket->suite >= SUITES || !suite_is_on(t, ticket->suite)
        || ticket->psk.len != suite_at(ticket->suite)->hash->digest_bytes
        || !tarn_span_equal(ticket->name_hash, TARN_SPAN_ARRAY(name)))
        return false;
    if (t->retried && ticket->suite != t->suite)
        return false;
    if (t->config->client_auth == TARN_TLS_CLIENT_MUST && ticket->spki.len == 0)
        return false;
    return list_has(suites, suite_at(ticket->suite)->id);
}

/* Early data is for the first ticket, under its suite and protocol, and soon (section 8.3). */
static bool may_be_early(const struct tarn_tls *t, const struct ticket *ticket,
                         const struct offer *o) {
    int64_t here = (t->now - ticket->issued) * 1000;
    int64_t there = (uint32_t)(o->age - ticket->age_add);
    int64_t apart = here > there ? here - there : there - here;
    return o->first && !t->retried && ticket->early_max > 0
           && t->config->tickets->early_bytes_max > 0 && apart <= AGE_TOLERANCE_S * 1000
           && tarn_span_equal(ticket->alpn, tarn_tls_alpn(t));
}

static enum tarn_tls_alert accept(struct tarn_tls *t, struct tarn_span cut,
                                  const struct ticket *ticket, const struct offer *o, bool early) {
    const struct tarn_digest *digest = suite_at(ticket->suite)->hash;
    uint8_t hash[64], mac[48];
    tarn_bytes_copy(TARN_BYTES_ARRAY(t->psk), ticket->psk);
    binder_mac(digest, t->psk, transcript_hash_with(t, digest, cut, hash), mac);
    if (!tarn_equal_ct(o->binder, tarn_span_of(mac, digest->digest_bytes)))
        return TARN_TLS_DECRYPT_ERROR;
    if (!ticket_use(t->config->tickets, ticket->number)) {
        tarn_bytes_wipe(TARN_BYTES_ARRAY(t->psk));
        return FINE;
    }
    t->resumed = true;
    t->suite = t->psk_suite = ticket->suite;
    t->peer_spki_len = tarn_bytes_copy(TARN_BYTES_ARRAY(t->peer_spki), ticket->spki);
    t->peer_has_cert = ticket->spki.len > 0;
    t->peer_not_after = ticket->expires;
    t->config->tickets->stats.resumed++;
    if (early && may_be_early(t, ticket, o)) {
        t->early = TARN_TLS_EARLY_TAKEN;
        t->early_max = TARN_MIN(ticket->early_max, t->config->tickets->early_bytes_max);
        t->config->tickets->stats.early++;
    }
    return FINE;
}

/* As many binders as identities, and nothing behind them. */
static enum tarn_tls_alert parse(struct tarn_span ext, struct tarn_span *ids,
                                 struct tarn_span *binders) {
    struct tarn_span id, binder;
    uint32_t age;
    if (!vector16(&ext, ids) || !vector16(&ext, binders) || ext.len > 0 || ids->len == 0
        || binders->len == 0)
        return TARN_TLS_DECODE_ERROR;
    struct tarn_span i = *ids, b = *binders;
    while (i.len > 0) {
        if (!vector16(&i, &id) || id.len == 0 || !tarn_span_u32be(&i, &age))
            return TARN_TLS_DECODE_ERROR;
        if (b.len == 0)
            return TARN_TLS_ILLEGAL_PARAMETER;
        if (!vector8(&b, &binder) || binder.len < 32)
            return TARN_TLS_DECODE_ERROR;
    }
    return b.len > 0 ? TARN_TLS_ILLEGAL_PARAMETER : FINE;
}

enum tarn_tls_alert psk_choose(struct tarn_tls *t, struct tarn_span message, struct tarn_span ext,
                               struct tarn_span suites, bool wants_early) {
    struct tarn_span ids, binders;
    uint8_t plain[TICKET_PLAIN_BYTES_MAX];
    struct ticket ticket;
    struct offer o;
    enum tarn_tls_alert alert = parse(ext, &ids, &binders);
    if (alert != FINE)
        return alert;
    if (!t->config->tickets || !t->may_resume)
        return FINE;
    struct tarn_span cut = tarn_span_first(message, message.len - binders.len - 2);
    for (size_t i = 0; i < IDENTITIES_MAX && ids.len > 0 && !t->resumed && alert == FINE; i++) {
        if (!vector16(&ids, &o.sealed) || !tarn_span_u32be(&ids, &o.age)
            || !vector8(&binders, &o.binder))
            return TARN_TLS_DECODE_ERROR;
        o.first = i == 0;
        t->psk_index = (uint8_t)i;
        if (ticket_open(t, o.sealed, TARN_BYTES_ARRAY(plain), &ticket)
            && is_good(t, &ticket, suites))
            alert = accept(t, cut, &ticket, &o, wants_early);
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(plain));
    return alert;
}
