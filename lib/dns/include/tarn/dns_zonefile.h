/* SPDX-License-Identifier: ISC */
/* tarn/dns_zonefile.h: zone files (RFC 1035 section 5), read one record at a time.
 *
 * $ORIGIN, $TTL, $INCLUDE and $GENERATE are understood. The text is in memory, and stays there for
 * the call; a file that another includes comes from the caller. The first error ends the parse, and
 * says in which file, line and column it is.
 *
 * No allocation, no I/O, no clock. The work is bounded by the length of the texts, the depth of
 * includes and generate_max.
 */
#ifndef TARN_DNS_ZONEFILE_H
#define TARN_DNS_ZONEFILE_H

#include <tarn/dns_types.h>

#define TARN_DNS_INCLUDE_DEPTH_MAX 8

/* One record, borrowed for the call. */
struct tarn_dns_record {
    struct tarn_span owner, rdata; /* rdata: plain */
    uint16_t type, klass;
    uint32_t ttl;
};

struct tarn_dns_zonefile_error {
    struct tarn_span file; /* as the configuration or an $INCLUDE names it */
    uint32_t line, column; /* from 1 */
    const char *why;       /* lower case, without an end */
};
/* "FILE:LINE:COLUMN: why" */
void tarn_dns_zonefile_error_print(struct tarn_writer *w, const struct tarn_dns_zonefile_error *e);

struct tarn_dns_zonefile_config {
    struct tarn_span name, text; /* the file's name, for errors; what is in it */
    struct tarn_span origin;     /* empty: the file says $ORIGIN first */
    uint16_t klass;              /* 0: IN */
    uint64_t generate_max;       /* records of all $GENERATE together; 0: 1 << 20 */
    struct tarn_bytes scratch;   /* for a record's data: TARN_DNS_RDATA_MAX allows any */
    /* Called for each record. What is not TARN_OK ends the parse with it, and *why (set before to a
     * word on the error) is the reason. */
    enum tarn_err (*record)(void *user, const struct tarn_dns_record *record, const char **why);
    /* The text of another file, valid until the parse ends. NULL: there is no $INCLUDE. */
    enum tarn_err (*include)(void *user, struct tarn_span file, struct tarn_span *text);
    void *user;
};

/* TARN_INVALID, or what a callback answered: *error says more. */
TARN_MUST_USE enum tarn_err tarn_dns_zonefile_parse(const struct tarn_dns_zonefile_config *config,
                                                    struct tarn_dns_zonefile_error *error);

#endif
