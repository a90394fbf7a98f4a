/* SPDX-License-Identifier: ISC */
/* tarn/dns_tsig.h: messages signed with a secret that both sides have (TSIG, RFC 8945).
 *
 * A struct tarn_dns_tsig follows one exchange: it verifies a request and signs the answer, or signs
 * a request and verifies the answer, and goes on through the messages of a transfer, each of which
 * is signed together with the signature before. Signatures are compared in constant time.
 *
 * No allocation, no I/O, no clock.
 */
#ifndef TARN_DNS_TSIG_H
#define TARN_DNS_TSIG_H

#include <tarn/digest.h>
#include <tarn/dns_message.h>

#define TARN_DNS_TSIG_FUDGE 300u      /* seconds that clocks may differ */
#define TARN_DNS_TSIG_SKIPPED_MAX 99u /* unsigned messages between: RFC 8945 section 5.3.1 */
#define TARN_DNS_TSIG_SECRET_MAX 128

struct tarn_dns_tsig_key {
    struct tarn_dns_name name;
    const struct tarn_digest *digest; /* tarn_sha256, ... */
    uint8_t secret[TARN_DNS_TSIG_SECRET_MAX];
    size_t secret_len;
};
/* "hmac-sha256:NAME:SECRET in base64", as dig -y takes it. False: not so. */
TARN_MUST_USE bool tarn_dns_tsig_key_parse(struct tarn_span text, struct tarn_dns_tsig_key *out);

enum tarn_dns_tsig_error {
    TARN_DNS_BADSIG = 16,
    TARN_DNS_BADKEY = 17,
    TARN_DNS_BADTIME = 18,
    TARN_DNS_BADTRUNC = 22,
};
struct tarn_dns_tsig {
    const struct tarn_dns_tsig_key *key;  /* NULL: none, or none that is known */
    struct tarn_dns_name name, algorithm; /* as the message that was verified has them */
    uint8_t mac[TARN_DIGEST_BYTES_MAX];   /* the newest signature */
    uint16_t mac_len, error;
    bool later; /* another one of a transfer: its times only are signed with it */
    unsigned skipped;
    struct tarn_hmac running;
    uint64_t time_signed;
};

/* Looks for a signature in a whole message and checks it: with one of `keys` where t->key is NULL
 * (which then becomes it), otherwise with t->key. TARN_OK: it is right. TARN_NOT_FOUND: there is
 * none, which within a transfer is right a few times. TARN_PEER: it is wrong, see t->error, or 0
 * where it is malformed. */
TARN_MUST_USE enum tarn_err tarn_dns_tsig_verify(struct tarn_dns_tsig *t,
                                                 const struct tarn_dns_tsig_key *keys, size_t count,
                                                 struct tarn_span message, uint64_t wall_seconds);
/* How many bytes a signature takes: tarn_dns_reserve them. */
size_t tarn_dns_tsig_bytes(const struct tarn_dns_tsig *t);
/* How an exchange starts that signs its request. */
static inline void tarn_dns_tsig_start(struct tarn_dns_tsig *t,
                                       const struct tarn_dns_tsig_key *key) {
    *t = (struct tarn_dns_tsig){.key = key};
}
/* Appends the signature, or what says t->error, and ends the message. False: it does not fit. */
TARN_MUST_USE bool tarn_dns_tsig_sign(struct tarn_dns_tsig *t, struct tarn_dns_builder *b,
                                      uint64_t wall_seconds, struct tarn_span *message);

#endif
