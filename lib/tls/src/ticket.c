/* SPDX-License-Identifier: ISC */
/* A server's tickets: sealed with a key of its own, and good once. */
#include "internal.h"

#define KEY_NAME_BYTES 8
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define AFTER_FULL 2 /* a browser comes back with several connections */
#define AFTER_RESUMED 1

void tarn_tls_tickets_init(struct tarn_tls_tickets *tickets, uint64_t *used, size_t used_words,
                           uint32_t lifetime_s) {
    TARN_ASSERT(used_words > 1);
    *tickets = (struct tarn_tls_tickets){
        .used = used,
        .used_words = used_words,
        .lifetime_s = TARN_MIN(lifetime_s, (uint32_t)TARN_TLS_TICKET_LIFE_MAX),
    };
    for (size_t i = 0; i < used_words; i++)
        TARN_AT_N(used, used_words, i) = 0;
}

static uint64_t *word_of(struct tarn_tls_tickets *tickets, uint64_t number) {
    size_t i = (size_t)(number / 64 % tickets->used_words);
    return &TARN_AT_N(tickets->used, tickets->used_words, i);
}

bool ticket_use(struct tarn_tls_tickets *tickets, uint64_t number) {
    uint64_t window = 64 * (uint64_t)tickets->used_words, bit = (uint64_t)1 << number % 64;
    uint64_t *word = word_of(tickets, number);
    if (number >= tickets->issued || tickets->issued - number > window - 64 || *word & bit) {
        tickets->stats.replayed++;
        return false;
    }
    *word |= bit;
    return true;
}

/* The next number; a word of the window is cleared as a whole when the first of its numbers is
 * given out, so the oldest 64 of the window are not counted on. */
static uint64_t next_number(struct tarn_tls_tickets *tickets) {
    uint64_t number = tickets->issued++;
    if (number % 64 == 0)
        *word_of(tickets, number) = 0;
    return number;
}

static void make_key(struct tarn_tls_ticket_key *key, struct tarn_random *random, int64_t now) {
    tarn_random_fill(random, TARN_BYTES_ARRAY(key->name));
    tarn_random_fill(random, TARN_BYTES_ARRAY(key->key));
    key->made = now;
    key->on = true;
}

/* The key that is sealed with now: the one before stays for as long as its tickets may live. A
 * connection may have begun before the newest was made; a clock that is set back further than a
 * ticket lives makes another. */
static const struct tarn_tls_ticket_key *current(struct tarn_tls *t) {
    struct tarn_tls_tickets *s = t->config->tickets;
    struct tarn_tls_ticket_key *newest = &TARN_AT(s->keys, 0);
    int64_t age = t->now - newest->made, lifetime = s->lifetime_s;
    if (newest->on && age > -lifetime && age < lifetime)
        return newest;
    TARN_AT(s->keys, 1) = *newest;
    make_key(newest, t->config->random, t->now);
    return newest;
}

void name_hash(const struct tarn_tls *t, uint8_t out[16]) {
    uint8_t hash[32];
    tarn_digest_of(&tarn_sha256, tarn_tls_name(t), TARN_BYTES_ARRAY(hash));
    tarn_bytes_copy(tarn_bytes_of(out, 16), TARN_SPAN_ARRAY(hash));
}

static enum tarn_err crypt(const struct tarn_tls *t, const struct tarn_tls_ticket_key *key,
                           struct tarn_span nonce, struct tarn_span from, struct tarn_bytes to,
                           bool seal) {
    struct tarn_aead_ctx c;
    const struct tarn_aead *alg = &tarn_chacha20_poly1305;
    size_t n;
    if (t->has_fast)
        alg = tarn_aead_fast_of(alg);
    enum tarn_err err = tarn_aead_init(&c, alg, TARN_SPAN_ARRAY(key->key), 0);
    if (!err && seal)
        err = tarn_aead_seal(&c, nonce, TARN_SPAN_ARRAY(key->name), from, to);
    else if (!err)
        err = tarn_aead_open(&c, nonce, TARN_SPAN_ARRAY(key->name), from, to, &n);
    tarn_bytes_wipe(tarn_bytes_of(&c, tarn_aead_ctx_bytes(alg)));
    return err;
}

static void put_plain(struct tarn_tls *t, struct tarn_writer *w, const struct ticket *k) {
    tarn_writer_u8(w, k->suite);
    tarn_writer_u64be(w, k->number);
    tarn_writer_u64be(w, (uint64_t)k->issued);
    tarn_writer_u64be(w, (uint64_t)k->expires);
    tarn_writer_u32be(w, k->age_add);
    tarn_writer_u32be(w, k->early_max);
    tarn_writer_u8(w, (uint8_t)k->psk.len);
    tarn_writer_span_put(w, k->psk);
    tarn_writer_span_put(w, k->name_hash);
    tarn_writer_u8(w, t->alpn_len);
    tarn_writer_mem(w, t->alpn, t->alpn_len);
    tarn_writer_u16be(w, (uint16_t)k->spki.len);
    tarn_writer_span_put(w, k->spki);
}

static bool parse_plain(struct tarn_span in, struct ticket *k) {
    uint64_t issued = 0, expires = 0;
    bool ok = tarn_span_u8(&in, &k->suite) && tarn_span_u64be(&in, &k->number)
              && tarn_span_u64be(&in, &issued) && tarn_span_u64be(&in, &expires)
              && tarn_span_u32be(&in, &k->age_add) && tarn_span_u32be(&in, &k->early_max)
              && vector8(&in, &k->psk) && tarn_span_take(&in, 16, &k->name_hash)
              && vector8(&in, &k->alpn) && vector16(&in, &k->spki) && in.len == 0;
    k->issued = (int64_t)issued;
    k->expires = (int64_t)expires;
    return ok;
}

bool ticket_open(struct tarn_tls *t, struct tarn_span sealed, struct tarn_bytes plain,
                 struct ticket *out) {
    struct tarn_tls_tickets *s = t->config->tickets;
    struct tarn_span name, nonce;
    if (!tarn_span_take(&sealed, KEY_NAME_BYTES, &name)
        || !tarn_span_take(&sealed, NONCE_BYTES, &nonce) || sealed.len < TAG_BYTES
        || sealed.len - TAG_BYTES > plain.len)
        return false;
    for (size_t i = 0; i < 2; i++) {
        const struct tarn_tls_ticket_key *key = &TARN_AT(s->keys, i);
        plain.len = sealed.len - TAG_BYTES;
        if (!key->on || !tarn_span_equal(name, TARN_SPAN_ARRAY(key->name)))
            continue;
        if (crypt(t, key, nonce, sealed, plain, false) || !parse_plain(tarn_bytes_span(plain), out))
            break;
        bool good = t->now >= out->issued - 1 && t->now <= out->expires;
        s->stats.expired += !good;
        return good;
    }
    s->stats.foreign++;
    return false;
}

static enum tarn_tls_alert send_ticket(struct tarn_tls *t, uint8_t index) {
    struct tarn_tls_tickets *s = t->config->tickets;
    uint8_t psk[48], name[16], plain[TICKET_PLAIN_BYTES_MAX], nonce[NONCE_BYTES];
    const struct tarn_tls_ticket_key *key = current(t);
    int64_t lifetime = s->lifetime_s;
    /* No longer than the certificate that the client showed, or the ticket it came with. */
    if (t->peer_not_after > 0)
        lifetime = TARN_MIN(lifetime, t->peer_not_after - t->now);
    if (lifetime <= 0)
        return FINE;
    psk_from_nonce(t, tarn_span_of(&index, 1), psk);
    name_hash(t, name);
    struct ticket ticket = {
        .suite = t->suite,
        .number = next_number(s),
        .issued = t->now,
        .expires = t->now + lifetime,
        .age_add = tarn_random_u32(t->config->random),
        .early_max = s->early_bytes_max,
        .psk = tarn_span_of(psk, t->hash->digest_bytes),
        .name_hash = TARN_SPAN_ARRAY(name),
        .spki = tarn_span_of(t->peer_spki, t->peer_has_cert ? t->peer_spki_len : 0),
    };
    struct tarn_writer p = TARN_WRITER_ARRAY(plain);
    put_plain(t, &p, &ticket);
    tarn_random_fill(t->config->random, TARN_BYTES_ARRAY(nonce));

    struct tarn_writer w = message_begin(t, MSG_NEW_TICKET);
    tarn_writer_u32be(&w, (uint32_t)lifetime);
    tarn_writer_u32be(&w, ticket.age_add);
    tarn_writer_u8(&w, 1);
    tarn_writer_u8(&w, index);
    size_t at = vector_open(&w);
    tarn_writer_mem(&w, key->name, sizeof key->name);
    tarn_writer_mem(&w, nonce, sizeof nonce);
    size_t sealed = p.len + TAG_BYTES;
    uint8_t *to = tarn_writer_reserve(&w, sealed);
    enum tarn_err err = to && tarn_writer_ok(&p)
                            ? crypt(t, key, TARN_SPAN_ARRAY(nonce), tarn_writer_span(&p),
                                    tarn_bytes_of(to, sealed), true)
                            : TARN_LIMIT;
    vector_close(&w, at);
    at = vector_open(&w);
    if (s->early_bytes_max > 0) {
        tarn_writer_u16be(&w, EXT_EARLY_DATA);
        tarn_writer_u16be(&w, 4);
        tarn_writer_u32be(&w, s->early_bytes_max);
    }
    vector_close(&w, at);
    tarn_bytes_wipe(TARN_BYTES_ARRAY(psk));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(plain));
    return err ? TARN_TLS_INTERNAL_ERROR : message_end(t, &w);
}

enum tarn_tls_alert send_tickets(struct tarn_tls *t) {
    enum tarn_tls_alert alert = FINE;
    if (!t->config->tickets || !t->may_resume)
        return FINE;
    schedule_resumption(t);
    for (uint8_t i = 0; i < (t->resumed ? AFTER_RESUMED : AFTER_FULL) && alert == FINE; i++)
        alert = send_ticket(t, i);
    return alert;
}
