/* SPDX-License-Identifier: ISC */
#include "sign.h"

#include <tarn/pk.h>

#define FLAG_ZONE 0x0100u
#define FLAG_REVOKED 0x0080u /* RFC 5011 */
#define PROTOCOL 3u
#define RSA_BYTES_MAX 512u

/* -- keys ---------------------------------------------------------------------------------------
 */

struct key {
    uint16_t flags;
    uint8_t protocol, algorithm;
    struct tarn_span bytes;
};

static bool read_key(struct tarn_span s, struct key *k) {
    bool ok = tarn_span_u16be(&s, &k->flags) && tarn_span_u8(&s, &k->protocol)
              && tarn_span_u8(&s, &k->algorithm);
    k->bytes = s;
    return ok;
}

uint16_t tarn_dns_key_tag(struct tarn_span dnskey) {
    uint32_t sum = 0;
    uint8_t c;
    for (size_t i = 0; tarn_span_u8(&dnskey, &c); i++)
        sum += i & 1 ? c : (uint32_t)c << 8;
    return (uint16_t)(sum + (sum >> 16));
}

enum tarn_err tarn_dns_ds_matches(struct tarn_span owner, struct tarn_span dnskey,
                                  struct tarn_span ds) {
    uint16_t tag;
    uint8_t algorithm, type, hash[TARN_DIGEST_BYTES_MAX];
    struct tarn_dns_name lower;
    struct tarn_digest_ctx digest;
    struct key key;
    if (!tarn_span_u16be(&ds, &tag) || !tarn_span_u8(&ds, &algorithm) || !tarn_span_u8(&ds, &type)
        || !read_key(dnskey, &key) || key.algorithm != algorithm || !(key.flags & FLAG_ZONE)
        || key.protocol != PROTOCOL || tarn_dns_key_tag(dnskey) != tag)
        return TARN_PEER;
    const struct tarn_digest *alg = type == 1   ? &tarn_sha1
                                    : type == 2 ? &tarn_sha256
                                    : type == 4 ? &tarn_sha384
                                                : NULL;
    if (!alg)
        return TARN_UNSUPPORTED;
    tarn_dns_name_copy(&lower, owner);
    tarn_dns_name_lower(&lower);
    struct tarn_bytes out = tarn_bytes_first(TARN_BYTES_ARRAY(hash), alg->digest_bytes);
    tarn_digest_init(&digest, alg);
    tarn_digest_update(&digest, tarn_dns_name_span(&lower));
    tarn_digest_update(&digest, dnskey);
    tarn_digest_final(&digest, out);
    return tarn_span_equal(tarn_bytes_span(out), ds) ? TARN_OK : TARN_PEER;
}

static const struct tarn_scheme *scheme_of(uint8_t algorithm) {
    switch (algorithm) {
    case 3:
    case 6: return &tarn_dsa_sha1; /* RFC 2536 */
    case 5:
    case 7: return &tarn_rsa_sha1;   /* RFC 3110, RFC 5155 */
    case 8: return &tarn_rsa_sha256; /* RFC 5702 */
    case 10: return &tarn_rsa_sha512;
    case 13: return &tarn_ecdsa_raw_sha256; /* RFC 6605 */
    case 14: return &tarn_ecdsa_raw_sha384;
    case 15: return &tarn_ed25519; /* RFC 8080 */
    case 16: return &tarn_ed448;
    default: return NULL;
    }
}

bool tarn_dns_sec_supports(uint8_t algorithm) {
    return algorithm >= 8 && scheme_of(algorithm) != NULL;
}
bool tarn_dns_sec_knows(uint8_t algorithm) {
    return scheme_of(algorithm) != NULL;
}

/* RFC 3110 section 2: the exponent's length, the exponent, the modulus */
static bool rsa_key(struct tarn_span s, struct tarn_public_key *out) {
    uint8_t one;
    uint16_t len;
    if (!tarn_span_u8(&s, &one))
        return false;
    len = one;
    if (one == 0 && !tarn_span_u16be(&s, &len))
        return false;
    out->type = TARN_PK_RSA;
    bool ok = tarn_span_take(&s, len, &out->e);
    out->n = s;
    return ok && s.len <= RSA_BYTES_MAX;
}

/* RFC 2536 section 2: T, Q, and P, G and Y of 64 + 8T bytes each. */
static bool dsa_key(struct tarn_span s, struct tarn_public_key *out) {
    uint8_t t;
    out->type = TARN_PK_DSA;
    if (!tarn_span_u8(&s, &t) || t > 8)
        return false;
    size_t len = 64 + 8u * t;
    return tarn_span_take(&s, 20, &out->q) && tarn_span_take(&s, len, &out->p)
           && tarn_span_take(&s, len, &out->g) && tarn_span_take(&s, len, &out->y) && s.len == 0;
}

static void der_number(struct tarn_writer *w, struct tarn_span n) {
    while (n.len > 1 && tarn_span_at(n, 0) == 0)
        n = tarn_span_after(n, 1);
    bool high = n.len && tarn_span_at(n, 0) & 0x80;
    tarn_writer_u8(w, 2);
    tarn_writer_u8(w, (uint8_t)(n.len + high));
    if (high)
        tarn_writer_u8(w, 0);
    tarn_writer_span_put(w, n);
}

/* T, R and S (section 3), as DER has the two; early signers wrote DER itself. */
static struct tarn_span dsa_signature(struct tarn_span s, struct tarn_writer *w) {
    struct tarn_span r;
    if (s.len != 41 || !tarn_span_skip(&s, 1) || !tarn_span_take(&s, 20, &r))
        return s;
    tarn_writer_u8(w, 0x30);
    tarn_writer_u8(w, 0);
    der_number(w, r);
    der_number(w, s);
    *tarn_bytes_at(tarn_bytes_of(w->ptr, w->cap), 1) = (uint8_t)(w->len - 2);
    return tarn_writer_span(w);
}

static bool public_key(const struct key *k, struct tarn_bytes room, struct tarn_public_key *out) {
    struct tarn_writer w = tarn_writer_over(room);
    *out = (struct tarn_public_key){.point = k->bytes};
    switch (k->algorithm) {
    case 13: out->type = TARN_PK_P256; break;
    case 14: out->type = TARN_PK_P384; break;
    case 15: out->type = TARN_PK_ED25519; return true;
    case 16: out->type = TARN_PK_ED448; return true;
    case 3:
    case 6: return dsa_key(k->bytes, out);
    default: return rsa_key(k->bytes, out);
    }
    tarn_writer_u8(&w, 4); /* as it is elsewhere: DNS leaves it out (RFC 6605 section 4) */
    tarn_writer_span_put(&w, k->bytes);
    out->point = tarn_writer_span(&w);
    return tarn_writer_ok(&w);
}

/* -- what is signed -----------------------------------------------------------------------------
 */

struct signature {
    uint16_t covered, tag;
    uint8_t algorithm, labels;
    uint32_t ttl, expires, begins;
    struct tarn_span head, signer, bytes; /* head: up to the signer */
};

static bool read_signature(struct tarn_span s, struct signature *g) {
    g->head = tarn_span_first(s, 18);
    if (!tarn_span_u16be(&s, &g->covered) || !tarn_span_u8(&s, &g->algorithm)
        || !tarn_span_u8(&s, &g->labels) || !tarn_span_u32be(&s, &g->ttl)
        || !tarn_span_u32be(&s, &g->expires) || !tarn_span_u32be(&s, &g->begins)
        || !tarn_span_u16be(&s, &g->tag) || !tarn_dns_name_take(&s, &g->signer))
        return false;
    g->bytes = s;
    return true;
}

/* RFC 4035 section 5.3.2: with as many labels as were signed, behind a * where there are more. */
static bool signed_owner(struct tarn_span owner, unsigned labels, struct tarn_dns_name *out,
                         bool *wildcard) {
    unsigned has = tarn_dns_name_labels(owner);
    bool is_star = tarn_span_equal(tarn_dns_name_label(owner), TARN_SPAN_LIT("*"));
    *wildcard = labels < has - is_star;
    if (labels > has - is_star)
        return false;
    tarn_dns_name_copy(out, owner);
    if (*wildcard) {
        for (; has > labels; has--)
            owner = tarn_dns_name_parent(owner);
        if (!tarn_dns_name_child(TARN_SPAN_LIT("*"), owner, out))
            return false;
    }
    tarn_dns_name_lower(out);
    return true;
}

/* Copies the data in its canonical form. False: more than there is room for. */
static bool take_items(const struct tarn_dns_rrset *set, struct tarn_dns_sec_work *work,
                       uint32_t *count) {
    struct tarn_bytes room = TARN_BYTES_ARRAY(work->data);
    struct tarn_span in = set->records, one;
    uint16_t len;
    *count = 0;
    while (in.len) {
        if (!tarn_span_u16be(&in, &len) || !tarn_span_take(&in, len, &one) || len > room.len
            || *count == TARN_DNS_SEC_RECORDS_MAX)
            return false;
        struct tarn_bytes copy = tarn_bytes_first(room, tarn_bytes_copy(room, one));
        tarn_dns_rdata_canonical(copy, set->type);
        TARN_AT(work->items, *count) = tarn_bytes_span(copy);
        (*count)++;
        room = tarn_bytes_after(room, len);
    }
    return *count > 0;
}

static void sink(struct tarn_dns_sec_work *work, uint32_t root, uint32_t count) {
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        struct tarn_span *a = &TARN_AT(work->items, root), *b, was = *a;
        if (child + 1 < count
            && tarn_span_compare(TARN_AT(work->items, child), TARN_AT(work->items, child + 1)) < 0)
            child++;
        b = &TARN_AT(work->items, child);
        if (tarn_span_compare(*a, *b) >= 0)
            return;
        *a = *b;
        *b = was;
    }
}

/* RFC 4034 section 6.3: by their data. Heapsort, which no order makes slow. */
static void sort(struct tarn_dns_sec_work *work, uint32_t count) {
    for (uint32_t i = count / 2; i-- > 0;)
        sink(work, i, count);
    for (uint32_t end = count; end-- > 1;) {
        struct tarn_span was = TARN_AT(work->items, 0);
        TARN_AT(work->items, 0) = TARN_AT(work->items, end);
        TARN_AT(work->items, end) = was;
        sink(work, 0, end);
    }
}

/* RFC 4034 section 3.1.8.1 */
static enum tarn_err build(const struct tarn_dns_rrset *set, const struct signature *g,
                           struct tarn_dns_sec_work *work, struct tarn_span *message,
                           bool *wildcard) {
    struct tarn_writer w = TARN_WRITER_ARRAY(work->message);
    struct tarn_dns_name owner, signer;
    uint32_t count;
    if (!signed_owner(set->owner, g->labels, &owner, wildcard))
        return TARN_INVALID;
    if (!take_items(set, work, &count))
        return TARN_LIMIT;
    sort(work, count);
    tarn_dns_name_copy(&signer, g->signer);
    tarn_dns_name_lower(&signer);
    tarn_writer_span_put(&w, g->head);
    tarn_writer_span_put(&w, tarn_dns_name_span(&signer));
    for (uint32_t i = 0; i < count; i++) {
        struct tarn_span data = TARN_AT(work->items, i);
        if (i && tarn_span_equal(data, TARN_AT(work->items, i - 1)))
            continue; /* the same twice is once */
        tarn_writer_span_put(&w, tarn_dns_name_span(&owner));
        tarn_writer_u16be(&w, set->type);
        tarn_writer_u16be(&w, set->klass);
        tarn_writer_u32be(&w, g->ttl);
        tarn_writer_u16be(&w, (uint16_t)data.len);
        tarn_writer_span_put(&w, data);
    }
    *message = tarn_writer_span(&w);
    return tarn_writer_ok(&w) ? TARN_OK : TARN_LIMIT;
}

enum tarn_err dns_sec_message(const struct tarn_dns_rrset *set, struct tarn_span rrsig,
                              struct tarn_dns_sec_work *work, struct tarn_span *message) {
    struct signature g;
    bool wildcard;
    return read_signature(rrsig, &g) ? build(set, &g, work, message, &wildcard) : TARN_INVALID;
}

/* Times are serial numbers (RFC 4034 section 3.1.5). */
static bool is_in_time(const struct signature *g, uint32_t now) {
    return (int32_t)(now - g->begins) >= 0 && (int32_t)(g->expires - now) >= 0;
}

static enum tarn_err verify(const struct tarn_dns_rrset *set, struct tarn_span rrsig,
                            struct tarn_span dnskey, struct tarn_span zone, uint32_t wall_seconds,
                            bool revoked, struct tarn_dns_sec_work *work, bool *wildcard) {
    uint8_t point[TARN_EC_POINT_BYTES_MAX], der[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(der);
    struct signature g;
    struct key k;
    struct tarn_public_key pub;
    struct tarn_span message;
    if (!read_signature(rrsig, &g) || !read_key(dnskey, &k) || g.covered != set->type
        || g.algorithm != k.algorithm || g.tag != tarn_dns_key_tag(dnskey)
        || !tarn_dns_name_equal(g.signer, zone) || !tarn_dns_name_within(set->owner, zone)
        || !(k.flags & FLAG_ZONE) || k.protocol != PROTOCOL
        || ((k.flags & FLAG_REVOKED) != 0) != revoked)
        return TARN_INVALID;
    const struct tarn_scheme *scheme = scheme_of(g.algorithm);
    if (!scheme)
        return TARN_UNSUPPORTED;
    if (!is_in_time(&g, wall_seconds))
        return TARN_AGAIN;
    enum tarn_err err = build(set, &g, work, &message, wildcard);
    if (err)
        return err;
    if (!public_key(&k, TARN_BYTES_ARRAY(point), &pub) || tarn_public_key_check(&pub))
        return TARN_PEER;
    if (pub.type == TARN_PK_DSA)
        g.bytes = dsa_signature(g.bytes, &w);
    return tarn_verify(&pub, scheme, message, g.bytes) ? TARN_PEER : TARN_OK;
}

enum tarn_err tarn_dns_verify(const struct tarn_dns_rrset *set, struct tarn_span rrsig,
                              struct tarn_span dnskey, struct tarn_span zone, uint32_t wall_seconds,
                              struct tarn_dns_sec_work *work, bool *wildcard) {
    return verify(set, rrsig, dnskey, zone, wall_seconds, false, work, wildcard);
}

enum tarn_err tarn_dns_verify_revocation(const struct tarn_dns_rrset *set, struct tarn_span rrsig,
                                         struct tarn_span dnskey, uint32_t wall_seconds,
                                         struct tarn_dns_sec_work *work) {
    bool wildcard;
    if (set->type != TARN_DNS_DNSKEY)
        return TARN_INVALID;
    return verify(set, rrsig, dnskey, set->owner, wall_seconds, true, work, &wildcard);
}
