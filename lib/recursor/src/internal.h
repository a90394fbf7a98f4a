/* SPDX-License-Identifier: ISC */
/* Tasks. Each finds something out and leaves it in the cache; each waits for at most one other, and
 * is run again from its start when that is done. What it found out before is then in the cache, so
 * a run goes a little further each time. A task that would wait for itself is told so instead. */
#ifndef TARN_RECURSOR_INTERNAL_H
#define TARN_RECURSOR_INTERNAL_H

#include "cache.h"
#include "sets.h"
#include <tarn/dns_sec.h>
#include <tarn/lru.h>
#include <tarn/recursor.h>
#include <tarn/timer.h>

#define CANDIDATES_MAX 24u /* addresses of a zone's servers that are looked at */
#define AVOID_MAX 3u
#define SERVER_COOKIE_MAX 32u

/* -- servers (infra.c) --------------------------------------------------------------------------
 */

struct server {
    struct tarn_map_link link;
    struct tarn_lru_link lru;
    struct tarn_ip_addr addr;
    uint16_t port;
    uint32_t srtt_us, var_us; /* srtt 0: never asked */
    uint8_t timeouts;         /* one after the other */
    bool no_edns, no_case, edns_works;
    tarn_time quiet_until; /* not asked before, unless there is no other */
    uint8_t cookie_len, cookie[SERVER_COOKIE_MAX];
    uint32_t lame_zone; /* hash of a zone that it does not serve */
    tarn_time lame_until;
};
struct servers {
    struct tarn_pool pool;
    struct tarn_map map;
    struct tarn_lru lru;
    struct tarn_hash_key key;
};
enum tarn_err servers_init(struct servers *s, struct tarn_alloc *alloc, struct tarn_random *random,
                           uint32_t count);
void servers_fini(struct servers *s, struct tarn_alloc *alloc);
/* Never NULL: the one that was used longest ago makes room. */
struct server *server_of(struct servers *s, const struct tarn_endpoint *e);
void server_answered(struct server *s, uint64_t rtt_us);
void server_timed_out(struct server *s, tarn_time now);
/* How long to wait for it. */
tarn_time server_patience(const struct server *s, unsigned tries);
/* The smaller, the rather it is asked. */
uint64_t server_cost(const struct server *s, tarn_time now);
uint32_t zone_hash(const struct servers *s, struct tarn_span zone);

/* -- budgets ------------------------------------------------------------------------------------
 */

/* What one question of a client may cost, with all that it brings about. */
struct budget {
    uint32_t tasks;                                                         /* that have it */
    uint32_t queries, verifications, failures, hash_rounds, steps, targets; /* left */
    tarn_time started;
};

/* -- tasks (task.c) -----------------------------------------------------------------------------
 */

enum task_kind {
    TASK_QUESTION, /* of clients: a name, and where its aliases lead */
    TASK_CHECK,    /* is the answer to a name and type to be believed? */
    TASK_FETCH,    /* ask servers for a name and type */
    TASK_KEYS,     /* what a zone's signatures are verified with */
    TASK_FOLLOW,   /* the keys of the anchor that is followed, anew */
};
enum outcome { WAIT, DONE, FAILED };

struct query;
struct waiting { /* a client */
    struct waiting *next;
    struct tarn_recursor_client client;
    uint16_t id, flags, udp_bytes, type;
    bool edns, dnssec, told; /* told: it has had something stale */
    struct quota *quota;
    struct tarn_dns_name name; /* as it asked, case and all */
};

struct candidate {
    struct tarn_endpoint endpoint;
    uint8_t tries;
    bool bad;
};
struct fetch {
    struct tarn_dns_name zone, asked;
    uint16_t asked_type;
    uint8_t labels;    /* of `asked` */
    uint8_t minimised; /* steps so far */
    uint8_t referrals, restarts;
    bool started, whole; /* whole: no more minimising */
    bool forward, no_forward;
    bool saw_lame, accept_lame; /* who is not responsible is believed when nobody else answers */
    bool prime;
    uint8_t target, waited; /* twice the zone's server names: the next to look for */
    uint8_t sent;           /* queries */
    enum outcome outcome;   /* WAIT: not known yet */
    uint8_t candidate_count;
    struct candidate candidates[CANDIDATES_MAX];
    struct tarn_ip_addr avoid[AVOID_MAX]; /* gave what did not validate */
    uint8_t avoid_count;
    struct query *query;
    uint8_t current; /* candidate */
};

struct task {
    struct tarn_map_link link;
    struct task *next_ready;
    struct task *child;                 /* for which it waits */
    struct task *waiters, *next_waiter; /* which wait for it */
    struct budget *budget;
    struct tarn_timer timer;
    enum task_kind kind;
    enum outcome child_outcome;
    bool is_ready, cd, finished;
    bool refresh;        /* what is known is not enough: it is about to expire */
    uint32_t valid_left; /* seconds that what was validated stays so */
    uint8_t depth, retries;
    uint16_t type, ede;
    struct tarn_dns_name name;
    struct tarn_ip_addr source; /* whose answer it was */
    struct tarn_ip_addr avoid[AVOID_MAX];
    uint8_t avoid_count;
    struct waiting *clients; /* of a question */
    struct fetch fetch;
};

/* A message to a server. */
enum query_state { QUERY_NEW, QUERY_SENT, QUERY_ENDED };
struct query {
    struct query *next;
    struct task *task; /* NULL: ended */
    enum query_state state;
    bool queued, stream, edns, was_sent;
    uint8_t strangers, cookie_tries;
    uint16_t id;
    struct tarn_endpoint server;
    tarn_time sent;
    uint8_t cookie[8];          /* the client's half */
    struct tarn_dns_name asked; /* in the case it was sent */
};

/* What one client costs (limits.c). */
struct quota {
    struct tarn_map_link link;
    struct tarn_lru_link lru;
    struct tarn_ip_addr addr;
    uint32_t waiting;   /* questions under way */
    uint64_t tokens_us; /* of a bucket that fills with time */
    tarn_time filled;
};

struct tarn_recursor {
    struct tarn_recursor_config config;
    struct cache cache;
    struct servers servers;
    struct tarn_pool tasks, queries, budgets, waiting, quotas;
    struct tarn_map task_map, quota_map;
    struct tarn_lru quota_lru;
    struct tarn_hash_key key;
    struct tarn_timers timers;
    tarn_time follow_due; /* when to look whether the anchor's keys are to be asked for */
    struct task *ready, **ready_end;
    struct query *out, **out_end;
    struct task *done, **done_end;      /* questions whose clients are to be answered */
    struct waiting *early, **early_end; /* get what is stale now */
    struct tarn_recursor_stats stats;
    struct parsed parsed;
    struct tarn_dns_sec_work work;
    uint8_t build[2 * TARN_DNS_RDATA_MAX]; /* an entry's data while it is made */
    uint8_t keep[2 * TARN_DNS_RDATA_MAX];  /* a copy of another's */
};

static inline tarn_time clock_of(const struct tarn_recursor *r) {
    return tarn_clock_now(r->config.clock);
}
static inline uint32_t wall_of(const struct tarn_recursor *r) {
    return (uint32_t)(tarn_clock_wall_ns(r->config.clock) / 1000000000u);
}
static inline struct tarn_span task_name(const struct task *t) {
    return tarn_dns_name_span(&t->name);
}

enum tarn_err tasks_init(struct tarn_recursor *r);
void tasks_fini(struct tarn_recursor *r);
/* Waits for the task of that kind, name and type, which is made if there is none. WAIT: it will run
 * again. FAILED: no room, too deep, or it would wait for itself. */
enum outcome task_wait(struct tarn_recursor *r, struct task *t, enum task_kind kind,
                       struct tarn_span name, uint16_t type);
struct task *task_find(struct tarn_recursor *r, enum task_kind kind, struct tarn_span name,
                       uint16_t type, bool cd);
/* One that nobody waits for yet, with a budget of its own where `parent` is NULL. */
struct task *task_new(struct tarn_recursor *r, struct task *parent, enum task_kind kind,
                      struct tarn_span name, uint16_t type, bool cd);
void task_ready(struct tarn_recursor *r, struct task *t);
void task_free(struct tarn_recursor *r, struct task *t);
void tasks_run(struct tarn_recursor *r);
/* Takes from what is left. False: there is not so much. */
bool spend(struct tarn_recursor *r, uint32_t *left, uint32_t n);
/* What is cached is good for this task: fresh, or found out since its question was asked. */
bool is_fresh(const struct tarn_recursor *r, const struct task *t, const struct entry *e);

/* -- what the tasks do --------------------------------------------------------------------------
 */

enum outcome fetch_run(struct tarn_recursor *r, struct task *t);    /* fetch.c */
enum outcome check_run(struct tarn_recursor *r, struct task *t);    /* check.c */
enum outcome keys_run(struct tarn_recursor *r, struct task *t);     /* keys.c */
enum outcome question_run(struct tarn_recursor *r, struct task *t); /* question.c */
enum outcome follow_run(struct tarn_recursor *r, struct task *t);   /* follow.c */
void question_early(struct tarn_recursor *r, struct task *t);

/* An answer to (name, type) that may be used, or NULL; also by what denies more than it was asked
 * for: a name above that does not exist, ranges without names (aggressive.c). */
struct entry *known_answer(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                           uint16_t type);
struct entry *known_denial(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                           uint16_t type);
/* An alias that a DNAME above makes. */
struct entry *known_dname(struct tarn_recursor *r, const struct task *t, struct tarn_span name);
/* A failure that is remembered; false: none. */
bool known_failure(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                   uint16_t type, uint16_t *ede);
void remember_failure(struct tarn_recursor *r, struct tarn_span name, uint16_t type, uint16_t ede);

/* exchange.c: one query. */
void exchange_start(struct tarn_recursor *r, struct task *t, const struct tarn_endpoint *server,
                    bool stream, unsigned tries);
void exchange_end(struct tarn_recursor *r, struct task *t);
/* A whole answer that fits the query is in r->parsed (fetch.c). */
void fetch_answered(struct tarn_recursor *r, struct task *t);
/* The server did not answer, or not well (fetch.c): the next one. */
void fetch_server_failed(struct tarn_recursor *r, struct task *t, bool for_good);
/* What came does not validate (fetch.c), which may be one server's fault: drops it and asks others,
 * `most` times. False: not any more. */
bool fetch_elsewhere(struct tarn_recursor *r, struct task *t, struct entry *e, unsigned most);
void exchange_timer(struct tarn_recursor *r, struct task *t, tarn_time now);

/* zones.c: configured zones, delegations, and where a name's servers are found. */
const struct tarn_recursor_zone *zone_configured(const struct tarn_recursor *r,
                                                 struct tarn_span name);
void zone_find(struct tarn_recursor *r, struct task *t, struct tarn_span name, bool above);
/* Of a delegation's data: takes a server's name and its addresses off the front. */
bool cut_next(struct tarn_span *data, struct tarn_span *name, struct tarn_span *addrs);
void candidates_add(struct tarn_recursor *r, struct task *t, const struct tarn_endpoint *e);
void candidates_fill(struct tarn_recursor *r, struct task *t);
/* More addresses, of names that came without. WAIT: they are looked for; FAILED: there are none. */
enum outcome candidates_more(struct tarn_recursor *r, struct task *t);

/* learn.c: what an answer says, into the cache. */
enum learned { LEARNED, LEARNED_CUT, LEARNED_NONE, LEARNED_LAME, LEARNED_NAME_ERROR };
enum learned learn(struct tarn_recursor *r, struct task *t);

/* check.c */
enum verdict { V_WAIT, V_SECURE, V_INSECURE, V_BOGUS };
/* One set, with its signatures. *wild: how many labels its wildcard has, or 255. */
enum verdict check_set(struct tarn_recursor *r, struct task *t, const struct set *s,
                       unsigned *wild);
/* Nothing that is signed is missing, since the name is in no signed zone. */
enum verdict check_unsigned(struct tarn_recursor *r, struct task *t, struct tarn_span name);
bool verify_with(struct tarn_recursor *r, struct task *t, const struct set *s,
                 struct tarn_span zone, struct tarn_span keys, unsigned *wild);
bool sec_supports(const struct tarn_recursor *r, uint8_t algorithm);
bool ds_usable(const struct tarn_recursor *r, struct tarn_span ds); /* algorithm and digest */

/* denial.c, nsec3.c: what sets of NSEC or NSEC3, whose signatures are right, prove. */
enum proof {
    PROOF_NONE,
    PROOF_YES,
    PROOF_OPT_OUT,  /* there may be an insecure delegation */
    PROOF_TOO_MUCH, /* iterations: as if not signed */
};
struct denial {
    struct tarn_recursor *r;
    struct task *t;
    struct tarn_span data; /* an answer's sets */
    struct tarn_span zone;
    bool is_cut; /* set: the name is that of a delegation */
};
/* The name is there, without anything of its own. */
bool nsec_is_empty(struct denial *d, struct tarn_span name);
enum proof nsec_no_name(struct denial *d, struct tarn_span name);
enum proof nsec_no_type(struct denial *d, struct tarn_span name, uint16_t type);
enum proof nsec_no_closer(struct denial *d, struct tarn_span name, unsigned wild);
enum proof nsec3_no_name(struct denial *d, struct tarn_span name);
enum proof nsec3_no_type(struct denial *d, struct tarn_span name, uint16_t type);
enum proof nsec3_no_closer(struct denial *d, struct tarn_span name, unsigned wild);
bool bitmap_has(struct tarn_span bitmap, uint16_t type);
/* The record is of the zone above a cut, or of an alias of a whole tree: it speaks of its own name
 * at most (RFC 6840 section 4.1). */
bool bitmap_ends_zone(struct tarn_span bitmap);
/* The type is not at the name that the record matches. */
enum proof bitmap_lacks(struct denial *d, struct tarn_span bitmap, struct tarn_span name,
                        uint16_t type);
/* NSEC's parts, and whether (owner, next) has the name in between. */
bool nsec_read(struct tarn_span rdata, struct tarn_span *next, struct tarn_span *bitmap);
bool nsec_covers(struct tarn_span owner, struct tarn_span next, struct tarn_span name);
/* The deepest name above that exists, as the record that covers the name shows. */
struct tarn_span nsec_encloser(struct tarn_span owner, struct tarn_span next,
                               struct tarn_span name);
struct nsec3 {
    uint8_t algorithm, flags;
    uint16_t iterations;
    struct tarn_span salt, next, bitmap;
};
bool nsec3_read(struct tarn_span rdata, struct nsec3 *out);
/* False: the budget is spent. */
bool nsec3_hash(struct tarn_recursor *r, struct budget *b, const struct nsec3 *params,
                struct tarn_span name, uint8_t out[TARN_DNS_NSEC3_HASH_BYTES]);
bool nsec3_label(struct tarn_span owner, uint8_t out[TARN_DNS_NSEC3_HASH_BYTES]);
void nsec3_owner(const uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES], struct tarn_span zone,
                 struct tarn_dns_name *out);
/* What was proven, for later (RFC 8198). */
void remember_denials(struct tarn_recursor *r, const struct entry *e);

/* follow.c: the anchors that are in use, those of what is followed included; *i starts at 0. */
bool anchor_next(const struct tarn_recursor *r, unsigned *i, struct tarn_recursor_anchor *out);
enum tarn_err follow_init(struct tarn_recursor *r);
void follow_tick(struct tarn_recursor *r, tarn_time now);

/* The deepest anchor at or above; false: none, or a negative one is deeper. */
bool anchor_above(const struct tarn_recursor *r, struct tarn_span name, struct tarn_span *zone);

/* reply.c: one link of a chain of aliases that is known; NULL: none. `stale`: also what has
 * expired, if not too long ago. */
struct entry *link_find(struct tarn_recursor *r, const struct task *t, struct tarn_span name,
                        uint16_t type, bool stale);
/* The link leads on, to *target. */
bool link_leads(struct tarn_recursor *r, const struct entry *e, uint16_t type,
                struct tarn_dns_name *target);
struct tarn_span reply_build(struct tarn_recursor *r, const struct waiting *w, struct task *t,
                             uint16_t type, bool cd, bool stale, struct tarn_bytes out);
struct tarn_span reply_error(const struct waiting *w, unsigned rcode, uint16_t ede,
                             struct tarn_bytes out);
struct tarn_span reply_localhost(const struct waiting *w, struct tarn_bytes out);

/* limits.c */
struct quota *quota_of(struct tarn_recursor *r, const struct tarn_ip_addr *client);
bool quota_spend(struct tarn_recursor *r, struct quota *q);

/* locals.c: names that are never asked for (RFC 6761, RFC 6303). */
bool is_local(struct tarn_span name);

extern const struct tarn_endpoint root_hints[];
extern const unsigned root_hint_count;
extern const struct tarn_recursor_anchor root_anchors[];
extern const unsigned root_anchor_count;

#endif
