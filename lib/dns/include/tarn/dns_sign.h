/* SPDX-License-Identifier: ISC */
/* tarn/dns_sign.h: zones signed as they are served (RFC 4034, RFC 4035), with denials that are made
 * for the question (compact denial of existence, RFC 9824).
 *
 * A zone's records stay as they are, and go on taking UPDATEs; only its DNSKEYs are added. Each
 * record set of an answer is signed when it is first asked for; signatures are remembered under a
 * hash of what they sign, so nothing ever has to be made invalid. What denies is remembered apart,
 * as anybody can ask for names without end. Signatures are good for a week from the start of a
 * period of a day and three quarters, so at least for five days.
 *
 * Keys are behind an interface, so that they may be anywhere; tarn_dns_keys has them in memory,
 * over tarn/pk.h. All memory is taken by _new (290 KiB, and 80 bytes for each place).
 */
#ifndef TARN_DNS_SIGN_H
#define TARN_DNS_SIGN_H

#include <tarn/alloc.h>
#include <tarn/dns_zone.h>
#include <tarn/writer.h>

#define TARN_DNS_SIGNING_KEYS_MAX 8

/* Who signs. `dnskey` is a DNSKEY's data; a key with the flag SEP signs the DNSKEYs, one without
 * signs all else, and where there is only one kind, it signs both (RFC 6781 section 3.1). */
struct tarn_dns_signer;
struct tarn_dns_signer_ops {
    /* Appends the signature of a message by key `i`. From answering, so it should not wait. */
    enum tarn_err (*sign)(struct tarn_dns_signer *s, unsigned i, struct tarn_span message,
                          struct tarn_writer *signature);
};
struct tarn_dns_signer {
    const struct tarn_dns_signer_ops *ops;
    struct tarn_span dnskeys[TARN_DNS_SIGNING_KEYS_MAX]; /* borrowed */
    unsigned count;
};

struct tarn_dns_signing;
struct tarn_dns_signing_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    struct tarn_dns_signer *signer; /* borrowed */
    uint32_t places;                /* for signatures of what is there; 0: 16384 */
    uint32_t denial_places;         /* 0: 2048 */
};
/* TARN_LIMIT: no memory; TARN_INVALID: no key, or a DNSKEY that is malformed. */
TARN_MUST_USE enum tarn_err tarn_dns_signing_new(const struct tarn_dns_signing_config *config,
                                                 struct tarn_dns_signing **out);
/* No zone uses it any more. */
void tarn_dns_signing_free(struct tarn_dns_signing *s);

/* From now on a sealed zone is served signed: its DNSKEYs are replaced by the signer's. The signing
 * may be of several zones. TARN_INVALID: it is signed already, elsewhere; TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_dns_zone_sign(struct tarn_dns_zone *zone,
                                               struct tarn_dns_signing *signing, const char **why);

struct tarn_dns_signing_stats {
    uint64_t made, remembered, failed;
};
void tarn_dns_signing_stats(const struct tarn_dns_signing *s, struct tarn_dns_signing_stats *out);

/* -- keys in memory -----------------------------------------------------------------------------
 */

enum tarn_dns_algorithm {
    TARN_DNS_ECDSAP256SHA256 = 13, /* RFC 6605 */
    TARN_DNS_ED25519 = 15,         /* RFC 8080 */
};
#define TARN_DNS_KEY_ZONE 256u /* flags */
#define TARN_DNS_KEY_SEP 257u
struct tarn_dns_key {
    uint8_t dnskey[4 + 64], secret[32];
    uint8_t dnskey_len;
};
/* A key from its secret: the scalar, or the seed. TARN_UNSUPPORTED: the algorithm; TARN_INVALID: no
 * secret of it. */
TARN_MUST_USE enum tarn_err tarn_dns_key_init(struct tarn_dns_key *key, uint16_t flags,
                                              uint8_t algorithm, struct tarn_span secret);
/* A new one. */
TARN_MUST_USE enum tarn_err tarn_dns_key_generate(struct tarn_dns_key *key, uint16_t flags,
                                                  uint8_t algorithm, struct tarn_random *random);
/* The private key file that dnssec-keygen and ldns-keygen write ("Private-key-format: v1.2" and
 * after, of these algorithms). TARN_INVALID: it is none. */
TARN_MUST_USE enum tarn_err tarn_dns_key_parse(struct tarn_dns_key *key, uint16_t flags,
                                               struct tarn_span text);
/* A DS's data, with SHA-256, for the parent. */
void tarn_dns_key_ds(const struct tarn_dns_key *key, struct tarn_span zone, struct tarn_writer *w);

struct tarn_dns_keys {
    struct tarn_dns_signer signer;
    const struct tarn_dns_key *keys; /* borrowed */
    struct tarn_random *random;
};
void tarn_dns_keys_init(struct tarn_dns_keys *k, const struct tarn_dns_key *keys, unsigned count,
                        struct tarn_random *random);

#endif
