/* SPDX-License-Identifier: ISC */
#include "text.h"

#include <tarn/dns_tsig.h>

#define OTHER_BYTES 6u /* the server's time, where the client's is wrong */
#define MAC_BYTES_MIN 10u

static const struct {
    const char *name;
    const struct tarn_digest *digest;
} algorithms[] = {
    {"hmac-sha1.", &tarn_sha1},     {"hmac-sha224.", &tarn_sha224}, {"hmac-sha256.", &tarn_sha256},
    {"hmac-sha384.", &tarn_sha384}, {"hmac-sha512.", &tarn_sha512},
};

static bool algorithm_name(const struct tarn_digest *digest, struct tarn_dns_name *out) {
    for (size_t i = 0; i < TARN_COUNT_OF(algorithms); i++)
        if (TARN_AT(algorithms, i).digest == digest)
            return tarn_dns_name_parse(tarn_span_str(TARN_AT(algorithms, i).name), TARN_SPAN_EMPTY,
                                       out);
    return false;
}

bool tarn_dns_tsig_key_parse(struct tarn_span text, struct tarn_dns_tsig_key *out) {
    struct tarn_span algorithm, name;
    struct tarn_dns_name wanted, known;
    struct dns_decoder decoder = {.width = 6};
    struct tarn_writer w = TARN_WRITER_ARRAY(out->secret);
    out->digest = NULL;
    if (!tarn_span_split(&text, ':', &algorithm) || !tarn_span_split(&text, ':', &name)
        || !tarn_dns_name_parse(algorithm, TARN_SPAN_LIT("\0"), &wanted)
        || !tarn_dns_name_parse(name, TARN_SPAN_LIT("\0"), &out->name))
        return false;
    for (size_t i = 0; i < TARN_COUNT_OF(algorithms); i++)
        if (algorithm_name(TARN_AT(algorithms, i).digest, &known)
            && tarn_dns_name_equal(tarn_dns_name_span(&known), tarn_dns_name_span(&wanted)))
            out->digest = TARN_AT(algorithms, i).digest;
    if (!out->digest || !dns_decode(&decoder, text, &w) || !dns_decode_end(&decoder)
        || !tarn_writer_ok(&w) || w.len == 0)
        return false;
    tarn_dns_name_lower(&out->name);
    out->secret_len = w.len;
    return true;
}

/* -- what is signed -----------------------------------------------------------------------------
 */

struct record {
    struct tarn_span algorithm, mac, other;
    uint64_t time;
    uint16_t fudge, id, error;
};

static bool read_u48(struct tarn_span *s, uint64_t *out) {
    uint16_t high;
    uint32_t low;
    if (!tarn_span_u16be(s, &high) || !tarn_span_u32be(s, &low))
        return false;
    *out = (uint64_t)high << 32 | low;
    return true;
}

static bool read_record(struct tarn_span s, struct record *r) {
    uint16_t len;
    return tarn_dns_name_take(&s, &r->algorithm) && read_u48(&s, &r->time)
           && tarn_span_u16be(&s, &r->fudge) && tarn_span_u16be(&s, &len)
           && tarn_span_take(&s, len, &r->mac) && tarn_span_u16be(&s, &r->id)
           && tarn_span_u16be(&s, &r->error) && tarn_span_u16be(&s, &len)
           && tarn_span_take(&s, len, &r->other) && s.len == 0;
}

static void put_u48(struct tarn_writer *w, uint64_t v) {
    tarn_writer_u16be(w, (uint16_t)(v >> 32));
    tarn_writer_u32be(w, (uint32_t)v);
}

static void put_record(struct tarn_writer *w, const struct record *r) {
    tarn_writer_span_put(w, r->algorithm);
    put_u48(w, r->time);
    tarn_writer_u16be(w, r->fudge);
    tarn_writer_u16be(w, (uint16_t)r->mac.len);
    tarn_writer_span_put(w, r->mac);
    tarn_writer_u16be(w, r->id);
    tarn_writer_u16be(w, r->error);
    tarn_writer_u16be(w, (uint16_t)r->other.len);
    tarn_writer_span_put(w, r->other);
}

/* RFC 8945 section 4.3.3; of a transfer's later messages, section 5.3.1. */
static void put_variables(struct tarn_writer *w, const struct tarn_dns_tsig *t,
                          const struct record *r) {
    struct tarn_dns_name algorithm; /* in lower case, however it was written */
    if (!t->later && algorithm_name(t->key->digest, &algorithm)) {
        tarn_writer_span_put(w, tarn_dns_name_span(&t->key->name));
        tarn_writer_u16be(w, TARN_DNS_CLASS_ANY);
        tarn_writer_u32be(w, 0);
        tarn_writer_span_put(w, tarn_dns_name_span(&algorithm));
    }
    put_u48(w, r->time);
    tarn_writer_u16be(w, r->fudge);
    if (t->later)
        return;
    tarn_writer_u16be(w, r->error);
    tarn_writer_u16be(w, (uint16_t)r->other.len);
    tarn_writer_span_put(w, r->other);
}

/* Begins with the signature before, if there is one. */
static void begin(struct tarn_dns_tsig *t) {
    uint8_t len[2] = {(uint8_t)(t->mac_len >> 8), (uint8_t)t->mac_len};
    tarn_hmac_init(&t->running, t->key->digest,
                   tarn_span_first(TARN_SPAN_ARRAY(t->key->secret), t->key->secret_len));
    if (!t->mac_len)
        return;
    tarn_hmac_update(&t->running, TARN_SPAN_ARRAY(len));
    tarn_hmac_update(&t->running, tarn_span_first(TARN_SPAN_ARRAY(t->mac), t->mac_len));
}

/* A message up to its TSIG, with the id that was signed and without it in the count. */
static void add_message(struct tarn_dns_tsig *t, struct tarn_span message, size_t end, uint16_t id,
                        bool has_tsig) {
    uint8_t head[TARN_DNS_HEADER_BYTES];
    struct tarn_span s = message, extra = tarn_span_after(message, 10);
    uint16_t count = 0;
    TARN_ASSERT(tarn_span_copy(&s, head, sizeof head) && tarn_span_u16be(&extra, &count));
    struct tarn_writer w = {head, sizeof head, sizeof head};
    tarn_writer_patch_u16be(&w, 0, id);
    tarn_writer_patch_u16be(&w, 10, (uint16_t)(count - has_tsig));
    tarn_hmac_update(&t->running, TARN_SPAN_ARRAY(head));
    tarn_hmac_update(&t->running,
                     tarn_span_after(tarn_span_first(message, end), TARN_DNS_HEADER_BYTES));
}

static void finish(struct tarn_dns_tsig *t, const struct record *r, struct tarn_bytes mac) {
    uint8_t buf[2 * TARN_DNS_NAME_MAX + 64 + OTHER_BYTES];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    put_variables(&w, t, r);
    tarn_hmac_update(&t->running, tarn_writer_span(&w));
    tarn_hmac_final(&t->running, mac);
}

/* -- verifying ----------------------------------------------------------------------------------
 */

/* The TSIG of a message: it is its last record, or it is wrong. */
static enum tarn_err find(struct tarn_span message, struct tarn_dns_rr *rr) {
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr one;
    enum tarn_err err;
    bool found = false;
    if (!tarn_dns_reader_init(&r, message))
        return TARN_PEER;
    while ((err = tarn_dns_read_question(&r, &q)) == TARN_OK)
        ;
    while (err == TARN_EOF && (err = tarn_dns_read_rr(&r, &one)) == TARN_OK) {
        if (found)
            return TARN_PEER; /* something behind it */
        found = one.type == TARN_DNS_TSIG;
        if (found)
            *rr = one;
        err = TARN_EOF;
    }
    if (err != TARN_EOF
        || (found
            && (rr->section != TARN_DNS_EXTRA || rr->klass != TARN_DNS_CLASS_ANY || rr->ttl != 0)))
        return TARN_PEER;
    return found ? TARN_OK : TARN_NOT_FOUND;
}

static const struct tarn_dns_tsig_key *key_of(const struct tarn_dns_tsig_key *keys, size_t count,
                                              struct tarn_span name, struct tarn_span algorithm) {
    for (size_t i = 0; i < count; i++) {
        const struct tarn_dns_tsig_key *k = &TARN_AT_N(keys, count, i);
        struct tarn_dns_name known;
        if (tarn_dns_name_equal(tarn_dns_name_span(&k->name), name)
            && algorithm_name(k->digest, &known)
            && tarn_dns_name_equal(tarn_dns_name_span(&known), algorithm))
            return k;
    }
    return NULL;
}

static enum tarn_err wrong(struct tarn_dns_tsig *t, uint16_t error) {
    t->error = error;
    return TARN_PEER;
}

/* RFC 8945 section 5.2: key, signature, time. */
static enum tarn_err check(struct tarn_dns_tsig *t, const struct record *r,
                           struct tarn_span message, size_t end, uint64_t now) {
    uint8_t mac[TARN_DIGEST_BYTES_MAX];
    size_t whole = t->key->digest->digest_bytes;
    struct tarn_bytes ours = tarn_bytes_first(TARN_BYTES_ARRAY(mac), whole);
    if (r->mac.len > whole || r->other.len > OTHER_BYTES)
        return wrong(t, 0);
    if (!t->skipped)
        begin(t);
    add_message(t, message, end, r->id, true);
    finish(t, r, ours);
    t->skipped = 0;
    if (r->mac.len < MAC_BYTES_MIN || r->mac.len < whole / 2)
        return wrong(t, TARN_DNS_BADTRUNC);
    if (!tarn_equal_ct(tarn_span_first(tarn_bytes_span(ours), r->mac.len), r->mac))
        return wrong(t, TARN_DNS_BADSIG);
    t->mac_len = (uint16_t)tarn_bytes_copy(TARN_BYTES_ARRAY(t->mac), r->mac);
    t->time_signed = r->time;
    if (now > r->time + r->fudge || now + r->fudge < r->time)
        return wrong(t, TARN_DNS_BADTIME);
    return TARN_OK;
}

enum tarn_err tarn_dns_tsig_verify(struct tarn_dns_tsig *t, const struct tarn_dns_tsig_key *keys,
                                   size_t count, struct tarn_span message, uint64_t wall_seconds) {
    uint8_t data[2 * TARN_DNS_NAME_MAX + 256];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    struct tarn_dns_rr rr;
    struct record r;
    enum tarn_err err = find(message, &rr);
    t->error = 0;
    if (err == TARN_NOT_FOUND && t->key && t->later && t->skipped < TARN_DNS_TSIG_SKIPPED_MAX) {
        struct tarn_span s = message;
        uint16_t id;
        if (!t->skipped++)
            begin(t);
        if (tarn_span_u16be(&s, &id))
            add_message(t, message, message.len, id, false);
    }
    if (err)
        return err;
    if (!tarn_dns_rdata_read(message, rr.rdata_at, rr.rdata.len, TARN_DNS_TSIG, &w)
        || !read_record(tarn_writer_span(&w), &r))
        return TARN_PEER;
    struct tarn_span name = tarn_dns_name_span(&rr.owner);
    t->name = rr.owner;
    tarn_dns_name_copy(&t->algorithm, r.algorithm);
    const struct tarn_dns_tsig_key *key =
        t->key ? key_of(t->key, 1, name, r.algorithm) : key_of(keys, count, name, r.algorithm);
    if (!key)
        return wrong(t, TARN_DNS_BADKEY);
    t->key = key;
    err = check(t, &r, message, rr.at, wall_seconds);
    t->later = t->later || (message.len > 2 && (tarn_span_at(message, 2) & 0x80));
    return err;
}

/* -- signing ------------------------------------------------------------------------------------
 */

size_t tarn_dns_tsig_bytes(const struct tarn_dns_tsig *t) {
    /* owner, fixed fields of the record, algorithm (ours have 13 bytes at most), data */
    if (!t->key)
        return t->name.len + 10u + t->algorithm.len + 16u + OTHER_BYTES;
    return t->key->name.len + 10u + 13u + 16u + t->key->digest->digest_bytes + OTHER_BYTES;
}

bool tarn_dns_tsig_sign(struct tarn_dns_tsig *t, struct tarn_dns_builder *b, uint64_t wall_seconds,
                        struct tarn_span *message) {
    uint8_t data[TARN_DNS_NAME_MAX + 256], now[OTHER_BYTES];
    struct tarn_writer w = TARN_WRITER_ARRAY(data), other = TARN_WRITER_ARRAY(now);
    struct tarn_dns_name algorithm;
    struct record r = {
        .time = wall_seconds, .fudge = TARN_DNS_TSIG_FUDGE, .id = b->header.id, .error = t->error};
    bool is_signed = t->key && (t->error == 0 || t->error == TARN_DNS_BADTIME);
    struct tarn_span name = tarn_dns_name_span(t->key ? &t->key->name : &t->name);
    if (!tarn_dns_reserve(b, 0))
        return false;
    r.algorithm = t->key && algorithm_name(t->key->digest, &algorithm)
                      ? tarn_dns_name_span(&algorithm)
                      : tarn_dns_name_span(&t->algorithm);
    if (t->error == TARN_DNS_BADTIME) { /* RFC 8945 section 5.2.3 */
        put_u48(&other, wall_seconds);
        r.other = tarn_writer_span(&other);
        r.time = t->time_signed;
    }
    *message = tarn_dns_finish(b);
    if (is_signed) {
        struct tarn_bytes mac =
            tarn_bytes_first(TARN_BYTES_ARRAY(t->mac), t->key->digest->digest_bytes);
        begin(t);
        add_message(t, *message, message->len, b->header.id, false);
        finish(t, &r, mac);
        t->mac_len = (uint16_t)mac.len;
        r.mac = tarn_bytes_span(mac);
    }
    put_record(&w, &r);
    t->later = b->header.flags & TARN_DNS_QR;
    b->compress = false;
    if (!tarn_dns_put_rr(b, TARN_DNS_EXTRA, name, TARN_DNS_TSIG, TARN_DNS_CLASS_ANY, 0,
                         tarn_writer_span(&w)))
        return false;
    *message = tarn_dns_finish(b);
    return true;
}
