/* SPDX-License-Identifier: ISC */
/* Scenarios for resolvers in the .rpl style that other projects publish: a configuration, servers
 * with canned answers (ranges), and steps that ask, let time pass and check. */
#ifndef RPL_H
#define RPL_H

#include <tarn/recursor.h>

enum match {
    MATCH_OPCODE = 1 << 0,
    MATCH_QTYPE = 1 << 1,
    MATCH_QNAME = 1 << 2,
    MATCH_SUBDOMAIN = 1 << 3,
    MATCH_RCODE = 1 << 4,
    MATCH_FLAGS = 1 << 5,
    MATCH_ANSWER = 1 << 6,
    MATCH_AUTHORITY = 1 << 7,
    MATCH_ADDITIONAL = 1 << 8,
    MATCH_TTL = 1 << 9,
    MATCH_DO = 1 << 10,
    MATCH_NOEDNS = 1 << 11,
    MATCH_UDP = 1 << 12,
    MATCH_TCP = 1 << 13,
    MATCH_EDE = 1 << 14,
    MATCH_QCASE = 1 << 15,
    MATCH_EDNS_DO = 1 << 16, /* of "all": the DO bit */
};
#define MATCH_ALL                                                                                  \
    (MATCH_OPCODE | MATCH_QTYPE | MATCH_QNAME | MATCH_RCODE | MATCH_FLAGS | MATCH_ANSWER           \
     | MATCH_AUTHORITY | MATCH_ADDITIONAL | MATCH_EDNS_DO)

struct rr {
    struct rr *next;
    enum tarn_dns_section section;
    struct tarn_dns_name owner;
    uint16_t type, klass;
    uint32_t ttl;
    struct tarn_span rdata;
};
struct entry {
    struct entry *next;
    unsigned match;
    int ede; /* -1: any */
    uint16_t flags;
    unsigned opcode, rcode;
    bool dnssec, copy_id, copy_query, no_answer, has_question, has_raw;
    struct tarn_dns_name qname;
    uint16_t qtype, qclass;
    struct rr *rrs;
    struct tarn_span raw;
    unsigned line;
};
struct range {
    struct range *next;
    unsigned from, to, addr_count;
    struct tarn_ip_addr addrs[16];
    struct entry *entries;
};
enum step_kind {
    STEP_NOTHING,
    STEP_QUERY,
    STEP_CHECK_ANSWER,
    STEP_CHECK_OUT_QUERY,
    STEP_REPLY,
    STEP_TIMEOUT,
    STEP_TIME_PASSES,
    STEP_TRAFFIC,
    STEP_FLUSH,
    STEP_EXPIRE,
};
struct step {
    struct step *next;
    unsigned number, line;
    enum step_kind kind;
    bool has_addr;
    struct tarn_ip_addr addr;
    double seconds;
    struct tarn_dns_name name; /* to flush or expire */
    uint16_t type;
    struct entry *entry;
};

#define ZONES_MAX 32
#define ANCHORS_MAX 64
#define LISTS_MAX 32
struct scenario {
    const char *path;
    char reason[160]; /* why it is not played; empty: it is */
    struct range *ranges;
    struct step *steps;
    struct tarn_recursor_config config;
    struct tarn_recursor_zone zones[ZONES_MAX];
    struct tarn_recursor_anchor anchors[ANCHORS_MAX];
    struct tarn_span insecure[LISTS_MAX];
    unsigned insecure_count;
    struct tarn_endpoint hints[TARN_RECURSOR_ZONE_SERVERS_MAX];
    bool has_override, ignore_dates, has_server, has_minimisation;
    uint32_t wall;
};

/* scenario.c. False: it cannot be read, and the console has said why. One at a time: what is read
 * lives until scenario_free. */
bool scenario_read(const char *path, struct scenario *s);
void scenario_free(struct scenario *s);

/* match.c. `query`: what came (or went out); NULL `why`: nobody asks. */
bool entry_matches(const struct entry *e, struct tarn_span message, bool stream, const char **why);
/* The entry as a message for `query` (which may be empty). */
struct tarn_span entry_message(const struct entry *e, struct tarn_span query,
                               struct tarn_bytes out);

#endif
