/* SPDX-License-Identifier: ISC */
#ifndef TARN_DNS_ZONEFILE_INTERNAL_H
#define TARN_DNS_ZONEFILE_INTERNAL_H

#include "rdata_text.h"

#include <tarn/dns_zonefile.h>

struct dns_zonefile {
    const struct tarn_dns_zonefile_config *config;
    struct tarn_dns_zonefile_error *error;
    enum tarn_err err;
    uint64_t generated;
    bool have_ttl, have_last_ttl;
    uint32_t ttl, last_ttl; /* $TTL; of the record before */
    uint16_t klass;
};
/* A file that is being read. */
struct dns_zonefile_in {
    struct tarn_span name;
    struct dns_lexer l;
    struct tarn_dns_name origin, owner;
    unsigned depth;
};

/* Notes the first error, at a place; always false. */
bool dns_zonefile_fail(struct dns_zonefile *z, const struct dns_zonefile_in *in, uint32_t line,
                       uint32_t column, const char *why);
/* At the lexer's word. */
bool dns_zonefile_fail_here(struct dns_zonefile *z, const struct dns_zonefile_in *in,
                            const char *why);
/* A record that starts at the lexer's word. */
bool dns_zonefile_record(struct dns_zonefile *z, struct dns_zonefile_in *in);
/* $GENERATE; the lexer's word is the one behind it. */
bool dns_zonefile_generate(struct dns_zonefile *z, struct dns_zonefile_in *in);

#endif
