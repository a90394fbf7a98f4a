/* SPDX-License-Identifier: ISC */
#ifndef TARN_DNS_SERVER_INTERNAL_H
#define TARN_DNS_SERVER_INTERNAL_H

#include "zone.h"

#include <tarn/dns_sec.h>
#include <tarn/dns_server.h>

struct dns_rrl_entry {
    uint32_t tag, at_ms; /* whose; when it was last filled */
    int32_t credit;      /* thousandths of an answer */
};
struct dns_rrl {
    struct dns_rrl_entry *entries;
    uint32_t count; /* a power of two; 0: off */
    uint32_t per_second, slip, turn;
    struct tarn_hash_key key;
};
enum dns_rrl_verdict { DNS_RRL_SEND, DNS_RRL_SLIP, DNS_RRL_DROP };
/* `what`: which answers are alike. */
enum dns_rrl_verdict dns_rrl_check(struct dns_rrl *r, const struct tarn_ip_addr *client,
                                   uint64_t what, tarn_time now);

struct tarn_dns_server {
    struct tarn_dns_server_config config;
    struct tarn_dns_zone **zones; /* open addressing under the hash of the lower-cased origin */
    uint32_t slots, zone_count;
    unsigned labels_max; /* of any zone's origin */
    struct tarn_hash_key key, cookie_key;
    struct dns_rrl rrl;
    struct tarn_dns_tsig tsig; /* of the query that is being answered */
    bool holds;                /* its answer is to be held back */
    struct tarn_dns_server_stats stats;
};

#define DNS_PROOFS_MAX (4 + 2 * TARN_DNS_CHAIN_MAX)

/* A query that was read, and the answer in the making. */
struct dns_query {
    struct tarn_dns_server *server;
    const struct tarn_dns_request *request;
    const struct tarn_dns_zone *zone;
    struct tarn_span message;
    struct tarn_dns_question question;
    struct tarn_dns_header header;
    struct tarn_dns_edns edns;
    bool has_edns, has_serial, has_tsig;
    uint32_t serial; /* of the SOA in an IXFR's authority section */
    uint8_t client_cookie[8];
    bool has_cookie, cookie_ok, cookie_bad;
    struct tarn_dns_builder b;
    unsigned rcode;                     /* all 12 bits */
    bool truncated;                     /* something that had to be there does not fit */
    struct tarn_dns_transfer *transfer; /* that has begun */
    dns_ref like;                       /* for rate limiting: answers with the same are alike */
    /* For the sections behind the answers: the SOA; owners of NSEC or NSEC3; NS whose addresses
     * are to be added, and how many labels of the last name are below their owner; the answer whose
     * hosts' addresses are. */
    bool soa;
    dns_ref proofs[DNS_PROOFS_MAX], glue, hosts;
    uint32_t proof_count, glue_depth;
    /* Where the zone is signed as it is served: the name that an NSEC is made for, and its node (0:
     * there is no such name). */
    struct tarn_span denied;
    dns_ref denied_node;
    uint16_t ede; /* an extended error, or NONE */
};
#define DNS_EDE_NONE UINT16_MAX

/* answer.c: fills the sections from q->zone. */
void dns_answer(struct dns_query *q);
/* A set, and what signs it where that is wanted. False: it did not fit, and is not there at all. */
bool dns_put_set(struct dns_query *q, enum tarn_dns_section section, struct tarn_span owner,
                 dns_ref node, dns_ref set, uint32_t ttl);
static inline bool dns_wants_dnssec(const struct dns_query *q) {
    return q->has_edns && (q->edns.flags & TARN_DNS_EDNS_DO);
}

/* denial.c: what proves, in a signed zone, that something is not there. */
void dns_deny_name(struct dns_query *q, const struct dns_path *p, dns_ref encloser, unsigned depth);
void dns_deny_type(struct dns_query *q, struct tarn_span name, dns_ref node);
void dns_deny_closer(struct dns_query *q, const struct dns_path *p, unsigned depth,
                     dns_ref wildcard);

/* compact.c: for zones that are signed as they are served. False: it does not fit. */
bool dns_compact_sign(struct dns_query *q, enum tarn_dns_section section,
                      const struct tarn_dns_rrset *set, uint32_t original_ttl, uint32_t ttl);
/* The NSEC of q->denied. */
bool dns_compact_put(struct dns_query *q, enum tarn_dns_section section, uint32_t ttl);

/* cookie.c */
void dns_cookie_read(struct dns_query *q, struct tarn_span value);
void dns_cookie_put(const struct dns_query *q, struct tarn_writer *w);

#endif
