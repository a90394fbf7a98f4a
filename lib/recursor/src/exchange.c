/* SPDX-License-Identifier: ISC */
/* One query on its way to a server: what is sent, which answer is believed, and what is tried when
 * there is none. */
#include "internal.h"

#define UDP_BYTES 1232u
#define STRANGERS_MAX 24u /* answers that do not fit: someone guesses, so ask by TCP */
#define STREAM_PATIENCE TARN_SEC(4)

/* -- sending ------------------------------------------------------------------------------------
 */

static void enqueue(struct tarn_recursor *r, struct query *q) {
    if (q->queued)
        return;
    q->queued = true;
    q->next = NULL;
    *r->out_end = q;
    r->out_end = &q->next;
}

static void random_case(struct tarn_recursor *r, struct query *q) {
    uint8_t bits[TARN_DNS_NAME_MAX];
    if (r->config.no_random_case)
        return;
    tarn_random_fill(r->config.random, TARN_BYTES_ARRAY(bits));
    for (size_t i = 0; i < q->asked.len; i++) {
        uint8_t *c = &TARN_AT(q->asked.bytes, i);
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (letter && (TARN_AT(bits, i) & 1))
            *c ^= 0x20;
    }
}

/* The client's half of a cookie is a server's own, and nobody else's to know (RFC 7873). */
static void client_cookie(struct tarn_recursor *r, struct query *q) {
    uint64_t hash = tarn_hash(&r->servers.key, TARN_SPAN_ARRAY(q->server.addr.bytes));
    struct tarn_writer w = TARN_WRITER_ARRAY(q->cookie);
    tarn_writer_u64be(&w, hash);
}

void exchange_end(struct tarn_recursor *r, struct task *t) {
    struct query *q = t->fetch.query;
    if (!q)
        return;
    t->fetch.query = NULL;
    q->task = NULL;
    q->state = QUERY_ENDED;
    enqueue(r, q);
}

void exchange_start(struct tarn_recursor *r, struct task *t, const struct tarn_endpoint *server,
                    bool stream, unsigned tries) {
    struct query *q;
    exchange_end(r, t);
    if (!spend(r, &t->budget->queries, 1) || !(q = tarn_pool_take(&r->queries))) {
        t->fetch.candidate_count = 0;
        t->fetch.target = UINT8_MAX;
        task_ready(r, t);
        return;
    }
    struct server *s = server_of(&r->servers, server);
    tarn_time now = clock_of(r);
    *q = (struct query){.task = t,
                        .server = *server,
                        .stream = stream,
                        .edns = !s->no_edns && !r->config.no_edns,
                        .id = (uint16_t)tarn_random_u32(r->config.random),
                        .asked = t->fetch.asked,
                        .sent = now};
    client_cookie(r, q);
    random_case(r, q);
    t->fetch.query = q;
    r->stats.sent++;
    r->stats.streams += stream;
    tarn_time patience = server_patience(s, tries);
    tarn_timer_set(&r->timers, &t->timer,
                   tarn_time_after(now, stream ? patience + STREAM_PATIENCE : patience));
    enqueue(r, q);
}

static struct tarn_span query_build(struct tarn_recursor *r, const struct query *q,
                                    struct tarn_bytes out) {
    const struct task *t = q->task;
    const struct server *s = server_of(&r->servers, &q->server);
    struct tarn_dns_builder b;
    uint8_t cookie[8 + SERVER_COOKIE_MAX], option[4 + sizeof cookie];
    struct tarn_writer w = TARN_WRITER_ARRAY(cookie), o = TARN_WRITER_ARRAY(option);
    tarn_writer_mem(&w, q->cookie, sizeof q->cookie);
    tarn_writer_span_put(&w, tarn_span_first(TARN_SPAN_ARRAY(s->cookie), s->cookie_len));
    tarn_dns_option_put(&o, TARN_DNS_OPT_COOKIE, tarn_writer_span(&w));
    uint16_t flags = t->fetch.forward ? TARN_DNS_RD : 0;
    if (t->fetch.forward && !r->config.no_validation)
        flags |= TARN_DNS_CD; /* who validates wants what is bogus, too */
    tarn_dns_build(&b, out, q->id, flags);
    bool ok =
        tarn_dns_put_question(&b, tarn_dns_name_span(&q->asked), t->fetch.asked_type, TARN_DNS_IN);
    struct tarn_dns_edns e = {
        .udp_bytes = UDP_BYTES, .flags = TARN_DNS_EDNS_DO, .options = tarn_writer_span(&o)};
    if (q->edns)
        ok = ok && tarn_dns_put_opt(&b, &e, 0);
    TARN_ASSERT(ok);
    return tarn_dns_finish(&b);
}

/* -- what comes ---------------------------------------------------------------------------------
 */

/* RFC 7873 section 5.3: who has sent a cookie before sends ours back. */
static bool cookie_fits(struct tarn_recursor *r, const struct query *q, struct server *s) {
    struct tarn_span value, ours;
    if (!r->parsed.has_edns
        || !tarn_dns_option_find(r->parsed.edns.options, TARN_DNS_OPT_COOKIE, &value))
        return s->cookie_len == 0;
    if (!tarn_span_take(&value, 8, &ours) || !tarn_span_equal(ours, TARN_SPAN_ARRAY(q->cookie)))
        return false;
    if (value.len >= 8 && value.len <= SERVER_COOKIE_MAX)
        s->cookie_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(s->cookie), value);
    return true;
}

static bool is_stranger(const struct query *q, const struct tarn_endpoint *from,
                        struct tarn_span message) {
    uint16_t id, flags;
    struct tarn_span head = message;
    return !tarn_ip_addr_equal(&from->addr, &q->server.addr) || from->port != q->server.port
           || !tarn_span_u16be(&head, &id) || !tarn_span_u16be(&head, &flags) || id != q->id
           || !(flags & TARN_DNS_QR) || TARN_DNS_OPCODE(flags) != TARN_DNS_QUERY;
}

/* Answers that are errors may come without a question. */
static bool question_fits(const struct parsed *p, const struct query *q, bool *other_case) {
    struct tarn_span theirs = tarn_dns_name_span(&p->question.name),
                     ours = tarn_dns_name_span(&q->asked);
    if (!p->has_question)
        return p->rcode != TARN_DNS_NOERROR && p->rcode != TARN_DNS_NXDOMAIN;
    *other_case = !tarn_span_equal(theirs, ours);
    return p->question.type == q->task->fetch.asked_type && p->question.klass == TARN_DNS_IN
           && tarn_dns_name_equal(theirs, ours);
}

static void again(struct tarn_recursor *r, struct task *t, bool stream) {
    struct tarn_endpoint server = t->fetch.query->server;
    uint8_t cookie_tries = t->fetch.query->cookie_tries;
    exchange_start(r, t, &server, stream, 0);
    if (t->fetch.query)
        t->fetch.query->cookie_tries = (uint8_t)(cookie_tries + 1);
}

/* It does not know EDNS (RFC 6891 section 7): it says so, or leaves it out of an error. */
static bool wants_plain(const struct tarn_recursor *r, const struct query *q,
                        const struct server *s) {
    unsigned rcode = r->parsed.rcode;
    if (!q->edns || s->edns_works)
        return false;
    return rcode == TARN_DNS_FORMERR || rcode == TARN_DNS_NOTIMP || rcode == TARN_DNS_BADVERS;
}

static void heard(struct tarn_recursor *r, struct task *t, struct server *s) {
    struct query *q = t->fetch.query;
    if (r->parsed.header.flags & TARN_DNS_TC) {
        if (q->stream)
            fetch_server_failed(r, t, true); /* there is no more room anywhere */
        else
            again(r, t, true);
    } else if (r->parsed.rcode == TARN_DNS_BADCOOKIE && q->cookie_tries < 2) {
        again(r, t, q->cookie_tries > 0);
    } else if (wants_plain(r, q, s)) {
        s->no_edns = true;
        again(r, t, q->stream);
    } else {
        if (r->parsed.has_edns && r->parsed.rcode != TARN_DNS_FORMERR)
            s->edns_works = true;
        t->source = q->server.addr;
        exchange_end(r, t);
        tarn_timer_clear(&r->timers, &t->timer);
        fetch_answered(r, t);
    }
}

static void stranger(struct tarn_recursor *r, struct query *q) {
    r->stats.strangers++;
    if (++q->strangers >= STRANGERS_MAX && !q->stream)
        again(r, q->task, true);
}

void tarn_recursor_input(struct tarn_recursor *r, struct tarn_handle handle,
                         const struct tarn_endpoint *from, struct tarn_span message) {
    struct query *q = tarn_pool_get(&r->queries, handle);
    bool other_case = false;
    if (!q || !q->task || !q->was_sent)
        return;
    if (is_stranger(q, from, message)) {
        stranger(r, q);
        tasks_run(r);
        return;
    }
    struct task *t = q->task;
    struct server *s = server_of(&r->servers, &q->server);
    if (!parse_message(&r->parsed, message)) {
        fetch_server_failed(r, t, true);
    } else if (!question_fits(&r->parsed, q, &other_case)
               || (!q->stream && q->edns && !cookie_fits(r, q, s))) {
        stranger(r, q);
    } else if (other_case && !q->stream && !r->config.no_random_case) {
        again(r, t, true); /* it does not keep the case, or is not who it says */
    } else {
        server_answered(s, (clock_of(r) - q->sent) / 1000);
        heard(r, t, s);
    }
    tasks_run(r);
}

void tarn_recursor_lost(struct tarn_recursor *r, struct tarn_handle handle) {
    struct query *q = tarn_pool_get(&r->queries, handle);
    if (!q || !q->task)
        return;
    server_timed_out(server_of(&r->servers, &q->server), clock_of(r));
    fetch_server_failed(r, q->task, true);
    tasks_run(r);
}

void exchange_timer(struct tarn_recursor *r, struct task *t, tarn_time now) {
    struct query *q = t->fetch.query;
    if (!q)
        return;
    r->stats.timeouts++;
    server_timed_out(server_of(&r->servers, &q->server), now);
    fetch_server_failed(r, t, false);
}

/* -- out ----------------------------------------------------------------------------------------
 */

static bool next_query(struct tarn_recursor *r, struct tarn_bytes out,
                       struct tarn_recursor_event *event) {
    struct query *q;
    while ((q = r->out) != NULL) {
        r->out = q->next;
        if (!r->out)
            r->out_end = &r->out;
        q->queued = false;
        *event = (struct tarn_recursor_event){
            .query = tarn_pool_handle(&r->queries, q), .server = q->server, .stream = q->stream};
        if (q->state == QUERY_ENDED) {
            bool was_sent = q->was_sent;
            event->kind = TARN_RECURSOR_CLOSE;
            tarn_pool_put(&r->queries, q);
            if (was_sent)
                return true;
        } else {
            q->state = QUERY_SENT;
            q->was_sent = true;
            event->kind = TARN_RECURSOR_SEND;
            event->message = query_build(r, q, out);
            return true;
        }
    }
    return false;
}

static void reply_put(struct tarn_recursor *r, struct waiting *w) {
    w->quota->waiting--;
    tarn_pool_put(&r->waiting, w);
}

static struct tarn_bytes room_for(struct tarn_bytes out) {
    return tarn_bytes_first(out, TARN_DNS_MESSAGE_MAX);
}

static bool next_reply(struct tarn_recursor *r, struct tarn_bytes out,
                       struct tarn_recursor_event *event) {
    struct task *t;
    while ((t = r->done) != NULL) {
        struct waiting *w = t->clients;
        if (!w) {
            r->done = t->next_ready;
            if (!r->done)
                r->done_end = &r->done;
            task_free(r, t);
            continue;
        }
        t->clients = w->next;
        *event = (struct tarn_recursor_event){.kind = TARN_RECURSOR_REPLY, .client = w->client};
        bool told = w->told;
        if (!told)
            event->message = reply_build(r, w, t, t->type, t->cd, false, room_for(out));
        reply_put(r, w);
        if (!told)
            return true;
    }
    return false;
}

bool tarn_recursor_next(struct tarn_recursor *r, struct tarn_bytes out,
                        struct tarn_recursor_event *event) {
    tasks_run(r);
    struct waiting *w = r->early;
    if (w) {
        r->early = w->next;
        if (!r->early)
            r->early_end = &r->early;
        *event = (struct tarn_recursor_event){.kind = TARN_RECURSOR_REPLY, .client = w->client};
        event->message = reply_build(r, w, NULL, w->type, false, true, room_for(out));
        reply_put(r, w);
        return true;
    }
    return next_query(r, out, event) || next_reply(r, out, event);
}
