/* SPDX-License-Identifier: ISC */
/* Record sets as the cache has them, and messages of servers as records.
 *
 * An answer's data is sets one after the other: section, TTL, type, owner, records and signatures,
 * each of the last two as records behind their 16-bit lengths, behind a 32-bit length of all. */
#ifndef TARN_RECURSOR_SETS_H
#define TARN_RECURSOR_SETS_H

#include <tarn/dns_message.h>

struct set {
    enum tarn_dns_section section;
    uint16_t type;
    uint32_t ttl;
    struct tarn_span owner, records, sigs;
};
/* Takes the next set off the front. False: no more. */
bool set_next(struct tarn_span *data, struct set *out);
bool set_find(struct tarn_span data, enum tarn_dns_section section, uint16_t type, struct set *out);
void set_put(struct tarn_writer *w, const struct set *s);
/* Takes the next record's data off the front of records or signatures. */
bool record_next(struct tarn_span *records, struct tarn_span *one);

/* A signature's fields (RFC 4034 section 3.1). */
struct sig {
    uint16_t covered, tag;
    uint8_t algorithm, labels;
    uint32_t ttl, expires, begins;
    struct tarn_span signer;
};
bool sig_read(struct tarn_span rdata, struct sig *out);

#define RECORDS_MAX 3000u
struct record {
    uint8_t section;
    uint16_t type, covered; /* of an RRSIG: what it signs */
    uint32_t ttl;
    struct tarn_span owner, data;
};
/* A server's message, taken apart. */
struct parsed {
    struct tarn_dns_header header;
    unsigned rcode;
    struct tarn_dns_question question;
    bool has_question, has_edns;
    struct tarn_dns_edns edns;
    uint32_t count;
    struct record records[RECORDS_MAX];
    uint8_t bytes[3 * TARN_DNS_RDATA_MAX]; /* names and data, expanded */
};
/* False: malformed, or not of one question at most. What is there of another class, and of types
 * that are no data, is left out. */
TARN_MUST_USE bool parse_message(struct parsed *p, struct tarn_span message);
/* The first record of that owner and type in a section; NULL: none. */
const struct record *parsed_find(const struct parsed *p, enum tarn_dns_section section,
                                 struct tarn_span owner, uint16_t type);
/* Appends the set with its signatures, as one of `as`. False: it is not there. */
bool parsed_set(const struct parsed *p, enum tarn_dns_section section, struct tarn_span owner,
                uint16_t type, enum tarn_dns_section as, struct tarn_writer *w, uint32_t *ttl);

#endif
