/* SPDX-License-Identifier: ISC */
/* tarn/trust_anchors.h: the trusted keys of one zone, followed through their changes (RFC 5011).
 *
 * Starts with what is trusted by configuration, as DS or DNSKEY. Whoever owns it asks for the
 * zone's DNSKEYs when they are due and hands over what came; here it is verified, and decided which
 * keys are trusted. A new key is, after it was seen for 30 days in sets that a trusted key signed;
 * one that revokes itself is not any more, at once and for good. tarn/recursor.h does the asking.
 *
 * What is known should outlive a restart: _save makes bytes of it, _load takes them, and
 * `version` tells that they are others than before. Order: _init, _load, _add what is configured.
 *
 * Never allocates, blocks or reads a clock. Times are seconds of the wall, since 1970. One set
 * costs at most TARN_TRUST_VERIFICATIONS_MAX signatures. A zone has at most TARN_TRUST_KEYS_MAX
 * keys here, those that were removed included, of which the oldest make room; where there is none a
 * new key is passed by. All keys revoked: nothing is trusted, and the zone is as if it never was
 * (section 5).
 */
#ifndef TARN_TRUST_ANCHORS_H
#define TARN_TRUST_ANCHORS_H

#include <tarn/dns_sec.h>

#define TARN_TRUST_KEYS_MAX 16u
#define TARN_TRUST_KEY_BYTES_MAX 1100u   /* a key that is longer is passed by */
#define TARN_TRUST_VERIFICATIONS_MAX 32u /* of one set */
#define TARN_TRUST_ADD_SECONDS (30u * 86400u)
#define TARN_TRUST_REMOVE_SECONDS (30u * 86400u)
#define TARN_TRUST_SAVED_MAX (300u + TARN_TRUST_KEYS_MAX * (16u + TARN_TRUST_KEY_BYTES_MAX))

/* Section 4. START: there is no key in that place. */
enum tarn_trust_state {
    TARN_TRUST_START,
    TARN_TRUST_ADD_PEND,
    TARN_TRUST_VALID,
    TARN_TRUST_MISSING, /* not in the set, but trusted */
    TARN_TRUST_REVOKED,
    TARN_TRUST_REMOVED, /* kept, so that it is not taken for a new one */
};
struct tarn_trust_key {
    enum tarn_trust_state state;
    uint16_t type; /* DNSKEY; DS while the key itself was not seen */
    uint16_t len;
    uint64_t until_s; /* ADD_PEND, REVOKED: the hold-down's end; REMOVED: since when */
    uint8_t rdata[TARN_TRUST_KEY_BYTES_MAX]; /* REVOKE never set */
};
struct tarn_trust_anchors {
    struct tarn_dns_name zone;
    struct tarn_trust_key keys[TARN_TRUST_KEYS_MAX];
    uint64_t due_s;   /* when to ask */
    uint32_t retry_s; /* ... after a failure */
    uint32_t version; /* another one after every change of what is saved */
    uint32_t changes; /* ... of what is trusted */
    uint32_t passed_by;
};

void tarn_trust_anchors_init(struct tarn_trust_anchors *a, struct tarn_span zone);
/* A configured DS or DNSKEY. One that is known, revoked say, stays what it is; one that waits to be
 * trusted is at once. TARN_INVALID: neither of the two, or malformed; TARN_LIMIT: no room. */
TARN_MUST_USE enum tarn_err tarn_trust_anchors_add(struct tarn_trust_anchors *a, uint16_t type,
                                                   struct tarn_span rdata);
/* Is this one trusted now? */
static inline bool tarn_trust_key_trusted(const struct tarn_trust_key *k) {
    return k->state == TARN_TRUST_VALID || k->state == TARN_TRUST_MISSING;
}
static inline struct tarn_span tarn_trust_key_span(const struct tarn_trust_key *k) {
    return tarn_span_first(TARN_SPAN_ARRAY(k->rdata), k->len);
}

/* When the zone's DNSKEYs are to be asked for, past every cache; UINT64_MAX: not any more. */
uint64_t tarn_trust_anchors_due(const struct tarn_trust_anchors *a, uint64_t now_s);
/* They came: keys and RRSIGs, each one's plain data behind its 16-bit length. TARN_OK: a trusted
 * key signed them. TARN_PEER: none did, and nothing is taken from them but keys that revoke
 * themselves. Either way _due is another. */
TARN_MUST_USE enum tarn_err tarn_trust_anchors_input(struct tarn_trust_anchors *a,
                                                     struct tarn_span keys, struct tarn_span sigs,
                                                     uint64_t now_s,
                                                     struct tarn_dns_sec_work *work);
/* They did not come. */
void tarn_trust_anchors_failed(struct tarn_trust_anchors *a, uint64_t now_s);

/* Appends at most TARN_TRUST_SAVED_MAX bytes. */
void tarn_trust_anchors_save(const struct tarn_trust_anchors *a, struct tarn_writer *w);
/* After _init. TARN_INVALID: not what _save made, or of another zone: nothing was taken. */
TARN_MUST_USE enum tarn_err tarn_trust_anchors_load(struct tarn_trust_anchors *a,
                                                    struct tarn_span saved);

#endif
