/* SPDX-License-Identifier: ISC */
/* Clients: what they may ask, what is known at once, and what is found out for them. */
#include "internal.h"

#define PREFETCH_TTL_MIN 10u
#define EDE_PROHIBITED 18u
#define EDE_NOT_READY 14u
#define EDE_NOT_SUPPORTED 21u

/* -- a question of clients, as a task -----------------------------------------------------------
 */

static bool wants_validation(const struct tarn_recursor *r, const struct task *t) {
    return !t->cd && !r->config.no_validation;
}

enum outcome question_run(struct tarn_recursor *r, struct task *t) {
    struct tarn_dns_name name = t->name, target;
    uint16_t ede;
    for (unsigned i = 0; i <= TARN_RECURSOR_CHAIN_MAX; i++) {
        struct tarn_span n = tarn_dns_name_span(&name);
        struct entry *e = link_find(r, t, n, t->type, false);
        bool check = wants_validation(r, t);
        if (!e && known_failure(r, t, n, t->type, &ede)) {
            t->ede = ede;
            return FAILED;
        }
        if (!e || (check && e->status == UNCHECKED)) {
            if (t->child_outcome == FAILED)
                return FAILED;
            return task_wait(r, t, check ? TASK_CHECK : TASK_FETCH, n, t->type);
        }
        if (e->status == BOGUS && !t->cd)
            return DONE;
        if (!link_leads(r, e, t->type, &target))
            return DONE;
        name = target;
    }
    return FAILED;
}

/* -- what is stale, rather than waiting ---------------------------------------------------------
 */

static bool has_stale(struct tarn_recursor *r, struct tarn_dns_name name, uint16_t type) {
    struct tarn_dns_name target;
    for (unsigned i = 0; i <= TARN_RECURSOR_CHAIN_MAX && r->config.stale_seconds; i++) {
        struct entry *e = link_find(r, NULL, tarn_dns_name_span(&name), type, true);
        if (!e || e->status == BOGUS)
            return false;
        if (!link_leads(r, e, type, &target))
            return true;
        name = target;
    }
    return false;
}

void question_early(struct tarn_recursor *r, struct task *t) {
    if (t->kind != TASK_QUESTION || !t->clients || !has_stale(r, t->name, t->type))
        return;
    while (t->clients) {
        struct waiting *w = t->clients;
        t->clients = w->next;
        w->next = NULL;
        *r->early_end = w;
        r->early_end = &w->next;
        r->stats.stale++;
    }
}

/* -- a client's message -------------------------------------------------------------------------
 */

static bool may_ask(const struct tarn_recursor *r, const struct tarn_ip_addr *a) {
    for (unsigned i = 0; i < r->config.client_count; i++)
        if (tarn_ip_prefix_contains(&TARN_AT_N(r->config.clients, r->config.client_count, i), a))
            return true;
    return !r->config.client_count;
}

enum reading { IGNORE, ASK, ERROR };

/* *rcode: what is wrong with it. */
static enum reading read_query(struct tarn_span query, struct waiting *w, unsigned *rcode) {
    struct tarn_dns_reader rd;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    struct tarn_dns_edns e;
    enum tarn_err err;
    if (!tarn_dns_reader_init(&rd, query) || (rd.header.flags & TARN_DNS_QR))
        return IGNORE;
    w->id = rd.header.id;
    w->flags = rd.header.flags;
    *rcode = TARN_DNS_NOTIMP;
    if (TARN_DNS_OPCODE(w->flags) != TARN_DNS_QUERY)
        return ERROR;
    *rcode = TARN_DNS_FORMERR;
    if (TARN_AT(rd.header.counts, TARN_DNS_QUESTION) != 1
        || tarn_dns_read_question(&rd, &q) != TARN_OK)
        return ERROR;
    w->name = q.name;
    w->type = q.type;
    while ((err = tarn_dns_read_rr(&rd, &rr)) == TARN_OK) {
        if (rr.type != TARN_DNS_OPT)
            continue;
        if (w->edns || !tarn_dns_edns_read(&rr, &e))
            return ERROR;
        w->edns = true;
        w->udp_bytes = e.udp_bytes;
        w->dnssec = e.flags & TARN_DNS_EDNS_DO;
        if (e.version)
            *rcode = TARN_DNS_BADVERS;
    }
    if (err != TARN_EOF || *rcode == TARN_DNS_BADVERS)
        return ERROR;
    *rcode = TARN_DNS_REFUSED;
    if (q.klass != TARN_DNS_IN)
        return ERROR;
    *rcode = TARN_DNS_NOTIMP;
    bool meta = q.type >= 128 && q.type < 255; /* TKEY, TSIG, transfers, mail */
    return meta || q.type == TARN_DNS_OPT || q.type == 0 ? ERROR : ASK;
}

static void refresh(struct tarn_recursor *r, const struct waiting *w) {
    enum task_kind kind = r->config.no_validation ? TASK_FETCH : TASK_CHECK;
    struct tarn_span name = tarn_dns_name_span(&w->name);
    if (task_find(r, kind, name, w->type, false))
        return;
    struct task *t = task_new(r, NULL, kind, name, w->type, false);
    if (t) {
        t->refresh = true;
        r->stats.prefetched++;
    }
}

/* Asks again for what is used and about to expire. */
static void prefetch(struct tarn_recursor *r, struct entry *e, const struct waiting *w) {
    tarn_time now = clock_of(r);
    if (r->config.no_prefetch || (e->flags & (ENTRY_PREFETCHED | ENTRY_ALIAS))
        || e->ttl < PREFETCH_TTL_MIN || entry_left(e, now) > e->ttl / 10)
        return;
    e->flags |= ENTRY_PREFETCHED;
    refresh(r, w);
}

/* All that it takes is known. */
static bool is_known(struct tarn_recursor *r, const struct waiting *w, bool cd) {
    struct tarn_dns_name name = w->name, target;
    for (unsigned i = 0; i <= TARN_RECURSOR_CHAIN_MAX; i++) {
        struct entry *e = link_find(r, NULL, tarn_dns_name_span(&name), w->type, false);
        if (!e || (e->status == UNCHECKED && !cd && !r->config.no_validation))
            return false;
        if (i == 0)
            prefetch(r, e, w);
        if ((e->status == BOGUS && !cd) || !link_leads(r, e, w->type, &target))
            return true;
        name = target;
    }
    return true;
}

static enum tarn_err take(struct tarn_recursor *r, const struct waiting *asked, bool cd) {
    struct tarn_span name = tarn_dns_name_span(&asked->name);
    struct waiting *w = tarn_pool_take(&r->waiting);
    struct task *t = task_find(r, TASK_QUESTION, name, asked->type, cd);
    if (w && !t) {
        t = task_new(r, NULL, TASK_QUESTION, name, asked->type, cd);
        if (t)
            t->cd = cd;
        if (t && r->config.stale_seconds && r->config.stale_wait_ns)
            tarn_timer_set(&r->timers, &t->timer,
                           tarn_time_after(clock_of(r), r->config.stale_wait_ns));
    }
    if (!w || !t) {
        if (w)
            tarn_pool_put(&r->waiting, w);
        return TARN_LIMIT;
    }
    *w = *asked;
    w->next = t->clients;
    t->clients = w;
    w->quota->waiting++;
    return TARN_AGAIN;
}

static struct tarn_span error(struct tarn_recursor *r, const struct waiting *w, unsigned rcode,
                              uint16_t ede, uint64_t *count, struct tarn_bytes out) {
    (void)r;
    (*count)++;
    return reply_error(w, rcode, ede, out);
}

static bool is_localhost(struct tarn_span name) {
    return tarn_dns_name_within(name, TARN_SPAN_LIT("\11localhost\0"));
}

/* What is not looked for anywhere. True: *answer is set. */
static bool answer_here(struct tarn_recursor *r, struct waiting *w, struct tarn_bytes out,
                        struct tarn_span *answer) {
    struct tarn_span name = tarn_dns_name_span(&w->name);
    uint64_t local = 0;
    if (!may_ask(r, &w->client.from.addr))
        *answer = error(r, w, TARN_DNS_REFUSED, EDE_PROHIBITED, &r->stats.refused, out);
    else if (!r->config.no_local_zones && is_localhost(name))
        *answer = reply_localhost(w, out);
    else if (!r->config.no_local_zones && is_local(name))
        *answer = error(r, w, TARN_DNS_NXDOMAIN, 0, &local, out);
    else
        return false;
    return true;
}

enum tarn_err tarn_recursor_query(struct tarn_recursor *r,
                                  const struct tarn_recursor_client *client, struct tarn_span query,
                                  struct tarn_bytes out, struct tarn_span *answer) {
    struct waiting w = {.client = *client};
    unsigned rcode;
    *answer = TARN_SPAN_EMPTY;
    enum reading reading = read_query(query, &w, &rcode);
    if (reading == IGNORE)
        return TARN_OK;
    r->stats.questions++;
    if (reading == ERROR) {
        *answer = error(r, &w, rcode, 0, &r->stats.refused, out);
        return TARN_OK;
    }
    bool cd = w.flags & TARN_DNS_CD;
    if (answer_here(r, &w, out, answer))
        return TARN_OK;
    if (is_known(r, &w, cd)) {
        r->stats.hits++;
        *answer = reply_build(r, &w, NULL, w.type, cd, false, out);
        return TARN_OK;
    }
    bool recurse = w.flags & TARN_DNS_RD;
    if ((r->config.stale_at_once || !recurse) && has_stale(r, w.name, w.type)) {
        r->stats.stale++;
        if (recurse)
            refresh(r, &w);
        *answer = reply_build(r, &w, NULL, w.type, cd, true, out);
        return TARN_OK;
    }
    if (!recurse) { /* who does not want recursion looks what others asked for */
        *answer = error(r, &w, TARN_DNS_REFUSED, 20, &r->stats.refused, out);
        return TARN_OK;
    }
    w.quota = quota_of(r, &client->from.addr);
    if (!w.quota || !quota_spend(r, w.quota)) {
        *answer = error(r, &w, TARN_DNS_REFUSED, EDE_PROHIBITED, &r->stats.limited, out);
        return TARN_OK;
    }
    if (take(r, &w, cd) == TARN_AGAIN)
        return TARN_AGAIN;
    *answer = error(r, &w, TARN_DNS_SERVFAIL, EDE_NOT_READY, &r->stats.limited, out);
    return TARN_OK;
}
