/* SPDX-License-Identifier: ISC */
/* One question on its way to servers: who is asked, how, for how long, and which answer is
 * believed. */
#include "client.h"

#define UDP_BYTES 1232u
#define PADDING 128u /* RFC 8467 section 4.1 */
#define OPEN_FOR TARN_SEC(300)
#define TURN_MAX 16u  /* datagrams that are looked at before others have their turn */
#define STALE_TTL 30u /* RFC 8767 section 4 */

static void next_attempt(struct dns_question *q);

static struct dns_asked *server_of(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    return &TARN_AT(c->servers, q->attempt % TARN_MAX(c->server_count, 1u));
}

static void close_ways(struct dns_question *q) {
    if (q->udp)
        q->udp->ops->close(q->udp);
    if (q->flow)
        tarn_flow_abort(q->flow);
    if (q->stream)
        tarn_pool_put(&q->client->streams, q->stream);
    q->udp = NULL;
    q->flow = NULL;
    q->stream = NULL;
}

static void drop(struct dns_question *q) {
    close_ways(q);
    tarn_timer_clear(&q->client->timers, &q->timer);
    tarn_pool_put(&q->client->questions, q);
}

static void finish(struct dns_question *q, const struct dns_result *result) {
    struct tarn_dns_client *c = q->client;
    struct tarn_resolver_request *r;
    close_ways(q);
    q->finishing = true;
    while ((r = q->waiting) != NULL) {
        q->waiting = r->next;
        r->at = NULL;
        dns_request_result(c, r, result);
    }
    drop(q);
}

/* Nobody answers: what was known once, as long as that may be (RFC 8767). */
static void give_up(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    struct dns_cache_entry *e = dns_cache_find(&c->cache, tarn_dns_name_span(&q->name), q->type);
    tarn_time now = tarn_clock_now(c->config.clock);
    struct dns_result result = {.err = q->refused ? TARN_PEER : TARN_IO};
    if (e && now < tarn_time_after(e->expires, c->config.stale_ns)) {
        struct tarn_writer w = TARN_WRITER_ARRAY(c->records);
        tarn_writer_span_put(&w, dns_cache_records(e));
        result = (struct dns_result){.err = e->kind ? TARN_NOT_FOUND : TARN_OK,
                                     .kind = (enum dns_cached)e->kind,
                                     .records = tarn_writer_span(&w),
                                     .ttl = STALE_TTL,
                                     .stale = true};
        c->stats.stale++;
    }
    finish(q, &result);
}

/* -- the query ----------------------------------------------------------------------------------
 */

static void random_case(struct dns_question *q) {
    uint8_t bits[TARN_DNS_NAME_MAX];
    q->asked = q->name;
    if (q->client->config.no_random_case)
        return;
    tarn_random_fill(q->client->config.random, TARN_BYTES_ARRAY(bits));
    for (size_t i = 0; i < q->asked.len; i++) {
        uint8_t *c = &TARN_AT(q->asked.bytes, i);
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        if (letter && (TARN_AT(bits, i) & 1))
            *c ^= 0x20;
    }
}

static struct tarn_span build(struct dns_question *q, struct tarn_bytes out) {
    struct dns_asked *server = server_of(q);
    struct tarn_dns_builder b;
    uint8_t cookie[8 + DNS_SERVER_COOKIE_MAX], option[4 + sizeof cookie];
    struct tarn_writer w = TARN_WRITER_ARRAY(cookie), o = TARN_WRITER_ARRAY(option);
    tarn_writer_mem(&w, server->client_cookie, sizeof server->client_cookie);
    tarn_writer_span_put(
        &w, tarn_span_first(TARN_SPAN_ARRAY(server->server_cookie), server->server_cookie_len));
    tarn_dns_option_put(&o, TARN_DNS_OPT_COOKIE, tarn_writer_span(&w));
    q->id = (uint16_t)tarn_random_u32(q->client->config.random);
    random_case(q);
    tarn_dns_build(&b, out, q->id, TARN_DNS_RD);
    bool ok = tarn_dns_put_question(&b, tarn_dns_name_span(&q->asked), q->type, TARN_DNS_IN);
    bool secure = q->stream && q->stream->secure;
    struct tarn_dns_edns e = {.udp_bytes = UDP_BYTES,
                              .options = secure ? TARN_SPAN_EMPTY : tarn_writer_span(&o)};
    if (!server->no_edns)
        ok = ok && tarn_dns_put_opt(&b, &e, secure ? PADDING : 0);
    TARN_ASSERT(ok);
    return tarn_dns_finish(&b);
}

/* -- answers ------------------------------------------------------------------------------------
 */

enum verdict { STRANGER, ANSWER, OTHER_CASE, CUT_OFF, TRY_PLAIN, TRY_AGAIN, TRY_NEXT };

/* RFC 7873 section 5.3: who has sent a cookie before sends ours back. */
static bool cookie_fits(struct dns_asked *server, const struct tarn_dns_edns *e) {
    struct tarn_span value, ours;
    if (!tarn_dns_option_find(e->options, TARN_DNS_OPT_COOKIE, &value))
        return server->server_cookie_len == 0;
    if (!tarn_span_take(&value, 8, &ours)
        || !tarn_span_equal(ours, TARN_SPAN_ARRAY(server->client_cookie)) || value.len < 8
        || value.len > DNS_SERVER_COOKIE_MAX)
        return false;
    server->server_cookie_len =
        (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(server->server_cookie), value);
    return true;
}

static bool read_edns(struct tarn_dns_reader *r, struct tarn_dns_edns *e) {
    struct tarn_dns_rr rr;
    enum tarn_err err;
    while ((err = tarn_dns_read_rr(r, &rr)) == TARN_OK)
        if (rr.type == TARN_DNS_OPT && !tarn_dns_edns_read(&rr, e))
            return false;
    return err == TARN_EOF;
}

static enum verdict judge(struct dns_question *q, struct tarn_span message, bool stream) {
    struct dns_asked *server = server_of(q);
    struct tarn_dns_reader r;
    struct tarn_dns_question asked = {0};
    struct tarn_dns_edns e = {0};
    if (!tarn_dns_reader_init(&r, message) || r.header.id != q->id
        || !(r.header.flags & TARN_DNS_QR) || TARN_DNS_OPCODE(r.header.flags) != TARN_DNS_QUERY)
        return STRANGER;
    unsigned rcode = TARN_DNS_RCODE(r.header.flags);
    /* A server that knows no EDNS may send nothing but a header (RFC 6891 section 7). */
    if (rcode == TARN_DNS_FORMERR && !server->no_edns && r.header.counts[0] == 0)
        return TRY_PLAIN;
    if (tarn_dns_read_question(&r, &asked) != TARN_OK || asked.type != q->type
        || asked.klass != TARN_DNS_IN
        || !tarn_dns_name_equal(tarn_dns_name_span(&asked.name), tarn_dns_name_span(&q->asked)))
        return STRANGER;
    if (!stream && !tarn_span_equal(tarn_dns_name_span(&asked.name), tarn_dns_name_span(&q->asked)))
        return OTHER_CASE;
    bool truncated = r.header.flags & TARN_DNS_TC;
    if (!read_edns(&r, &e) && !truncated)
        return STRANGER;
    if (!stream && !server->no_edns && !cookie_fits(server, &e))
        return STRANGER;
    rcode |= (unsigned)e.rcode_high << 4;
    if (rcode == TARN_DNS_BADCOOKIE)
        return TRY_AGAIN; /* with the cookie that came along */
    if ((rcode == TARN_DNS_FORMERR || rcode == TARN_DNS_NOTIMP || rcode == TARN_DNS_BADVERS)
        && !server->no_edns)
        return TRY_PLAIN;
    if (rcode != TARN_DNS_NOERROR && rcode != TARN_DNS_NXDOMAIN)
        return TRY_NEXT;
    return truncated ? CUT_OFF : ANSWER;
}

static void answered(struct dns_question *q, struct tarn_span message) {
    struct tarn_dns_client *c = q->client;
    struct dns_result result;
    if (!dns_reply_read(c, q, message, &result)) {
        q->refused = true;
        next_attempt(q);
        return;
    }
    c->stats.answers++;
    if (result.ttl)
        dns_cache_put(&c->cache, tarn_dns_name_span(&q->name), q->type, result.kind, result.records,
                      tarn_time_after(tarn_clock_now(c->config.clock), TARN_SEC(result.ttl)));
    finish(q, &result);
}

static void ask_by_stream(struct dns_question *q);
static void ask_again(struct dns_question *q);
static void stream_failed(struct dns_question *q);

/* False: it was a stranger's, and the wait goes on. */
static bool heard(struct dns_question *q, struct tarn_span message, bool stream) {
    switch (judge(q, message, stream)) {
    case STRANGER: q->client->stats.strangers++; return false;
    case ANSWER: answered(q, message); return true;
    case CUT_OFF:
    case OTHER_CASE:
        if (stream)
            next_attempt(q);
        else
            ask_by_stream(q);
        return true;
    case TRY_PLAIN:
        server_of(q)->no_edns = true;
        ask_again(q);
        return true;
    case TRY_AGAIN:
        if (stream)
            next_attempt(q);
        else
            ask_by_stream(q); /* RFC 7873 section 5.3: and no loop */
        return true;
    default:
        q->refused = true;
        next_attempt(q);
        return true;
    }
}

/* Where the server is asked in the open. */
static struct tarn_endpoint open_endpoint(struct dns_question *q) {
    const struct tarn_dns_client_config *c = &q->client->config;
    struct tarn_endpoint at = server_of(q)->at;
    if (c->secure)
        at.port = c->secrecy.open_port ? c->secrecy.open_port : TARN_DNS_PORT;
    return at;
}

static bool asks_securely(struct dns_question *q) {
    const struct tarn_dns_client_config *c = &q->client->config;
    return c->secure
           && !(c->secrecy.opportunistic && tarn_clock_now(c->clock) < server_of(q)->open_until);
}

/* -- by datagrams -------------------------------------------------------------------------------
 */

static void udp_event(struct tarn_datagram *d, unsigned events) {
    struct dns_question *q = d->user;
    struct tarn_dns_client *c = q->client;
    (void)events;
    for (unsigned i = 0; i < TURN_MAX; i++) {
        size_t n;
        enum tarn_err err = tarn_datagram_recv(d, TARN_BYTES_ARRAY(c->message), &n, NULL);
        if (err == TARN_AGAIN)
            return;
        if (err) { /* nobody listens there, or it cannot be reached */
            next_attempt(q);
            return;
        }
        if (n <= sizeof c->message
            && heard(q, tarn_span_first(TARN_SPAN_ARRAY(c->message), n), false))
            return;
    }
    next_attempt(q); /* a flood of guesses on this port: another one */
}

static bool open_udp(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    struct tarn_endpoint open = open_endpoint(q), *to = &open;
    bool v4 = tarn_ip_addr_is_v4(&to->addr);
    struct tarn_datagram_config config = {.local.addr =
                                              v4 ? TARN_IP_ADDR_V4(0, 0, 0, 0) : TARN_IP_ADDR_NONE};
    if (tarn_net_datagram(c->config.net, &config, &q->udp)) {
        q->udp = NULL;
        return false;
    }
    q->udp->user = q;
    q->udp->on_event = udp_event;
    return tarn_datagram_connect(q->udp, to) == TARN_OK;
}

static bool send_udp(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    if (tarn_datagram_send(q->udp, NULL, build(q, TARN_BYTES_ARRAY(c->message))))
        return false;
    c->stats.sent++;
    return true;
}

static void ask_again(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    unsigned round = q->attempt / TARN_MAX(c->server_count, 1u);
    close_ways(q);
    if (asks_securely(q)) {
        ask_by_stream(q);
        return;
    }
    q->secure = false;
    tarn_timer_set(&c->timers, &q->timer,
                   tarn_time_after(tarn_clock_now(c->config.clock),
                                   c->config.patience_ns << TARN_MIN(round, 10u)));
    if (open_udp(q) && send_udp(q))
        udp_event(q->udp, 0); /* events are edges behind a TARN_AGAIN: a near server was as fast */
    else
        close_ways(q); /* the timer goes on to the next */
}

static void next_attempt(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    q->attempt++;
    if (q->attempt >= c->server_count * c->config.rounds)
        give_up(q);
    else
        ask_again(q);
}

/* What a stream did not bring: a waiting one was perhaps closed meanwhile; a server that is not
 * reached securely is asked in the open, where that is allowed; otherwise it is another's turn. */
static void stream_failed(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    if (q->secure && q->stream && q->stream->used) {
        ask_again(q);
    } else if (q->secure && c->config.secrecy.opportunistic) {
        server_of(q)->open_until = tarn_time_after(tarn_clock_now(c->config.clock), OPEN_FOR);
        ask_again(q);
    } else {
        next_attempt(q);
    }
}

void dns_question_timeout(struct dns_question *q) {
    stream_failed(q);
}

/* -- by a stream --------------------------------------------------------------------------------
 */

static enum tarn_err write_query(struct dns_question *q) {
    struct dns_stream *s = q->stream;
    while (s->out_at < s->out_len) {
        size_t n;
        struct tarn_span all = tarn_span_first(TARN_SPAN_ARRAY(s->out), s->out_len);
        enum tarn_err err = tarn_flow_write(q->flow, tarn_span_after(all, s->out_at), &n);
        if (err)
            return err;
        s->out_at += n;
    }
    return TARN_OK;
}

/* The answer; a secure stream that is in order then waits for the next question. */
static void stream_heard(struct dns_question *q, struct tarn_span message, bool last) {
    struct tarn_dns_client *c = q->client;
    struct dns_stream *s = q->stream;
    struct tarn_flow *flow = q->flow;
    struct dns_asked *server = server_of(q);
    bool keep = s->secure && !last && s->in_len == s->in_taken;
    if (judge(q, message, true) != ANSWER) {
        if (!heard(q, message, true))
            stream_failed(q);
        return;
    }
    if (keep) {
        q->flow = NULL;
        dns_idle_keep(server, flow, tarn_clock_now(c->config.clock));
    }
    answered(q, message);
}

static void stream_event(struct tarn_flow *flow, unsigned events) {
    struct dns_question *q = flow->user;
    struct dns_stream *s = q->stream;
    enum tarn_err err = write_query(q);
    (void)events;
    while (!err) {
        struct tarn_span in = tarn_span_first(TARN_SPAN_ARRAY(s->in), s->in_len), message;
        bool last;
        size_t n;
        err = dns_unframe_answer(q, &in, &message, &last);
        if (!err) {
            s->in_taken = s->in_len - in.len;
            stream_heard(q, message, last);
            return;
        }
        if (err == TARN_AGAIN)
            err = tarn_flow_read(flow, tarn_bytes_after(TARN_BYTES_ARRAY(s->in), s->in_len), &n);
        s->in_len += err ? 0 : n;
    }
    if (err != TARN_AGAIN)
        stream_failed(q);
}

static bool open_stream(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    struct tarn_endpoint open = open_endpoint(q);
    struct dns_stream *s = q->stream;
    if (!s->secure) {
        c->stats.streams++;
        return tarn_net_connect(c->config.net, &open, &q->flow) == TARN_OK;
    }
    q->flow = dns_idle_take(server_of(q), tarn_clock_now(c->config.clock));
    s->used = q->flow != NULL;
    c->stats.reused += s->used;
    c->stats.streams += !s->used;
    return s->used
           || c->config.secure->ops->connect(c->config.secure, &server_of(q)->at, &q->flow)
                  == TARN_OK;
}

/* The same server, with twice the patience. Where all streams are in use, the timer goes on. */
static void ask_by_stream(struct dns_question *q) {
    struct tarn_dns_client *c = q->client;
    uint8_t query[1024];
    bool secure = asks_securely(q);
    close_ways(q);
    tarn_timer_set(&c->timers, &q->timer,
                   tarn_time_after(tarn_clock_now(c->config.clock), 2 * c->config.patience_ns));
    q->stream = tarn_pool_take(&c->streams);
    q->secure = secure && q->stream;
    if (!q->stream)
        return;
    q->stream->secure = secure;
    q->stream->used = false;
    struct tarn_writer w = TARN_WRITER_ARRAY(q->stream->out);
    bool ok = dns_frame_query(q, build(q, TARN_BYTES_ARRAY(query)), &w);
    q->stream->out_len = w.len;
    q->stream->out_at = q->stream->in_len = 0;
    if (!ok || !open_stream(q)) {
        q->flow = NULL;
        close_ways(q);
        if (q->secure && c->config.secrecy.opportunistic)
            stream_failed(q);
        return;
    }
    q->flow->user = q;
    q->flow->on_event = stream_event;
    if (q->stream->used)
        stream_event(q->flow, TARN_FLOW_WRITABLE);
}

/* -- who waits ----------------------------------------------------------------------------------
 */

static struct dns_question *same(struct tarn_dns_client *c, struct tarn_span name, uint16_t type) {
    uint32_t cursor = 0;
    for (struct dns_question *q; (q = tarn_pool_next(&c->questions, &cursor)) != NULL;)
        if (!q->finishing && q->type == type
            && tarn_dns_name_equal(tarn_dns_name_span(&q->name), name))
            return q;
    return NULL;
}

void dns_question_ask(struct tarn_dns_client *c, struct tarn_span name, uint16_t type,
                      struct tarn_resolver_request *request) {
    struct dns_question *q = same(c, name, type);
    bool fresh = !q;
    if (fresh) {
        q = tarn_pool_take(&c->questions);
        TARN_ASSERT(q); /* there are as many as requests */
        *q = (struct dns_question){.client = c, .type = type};
        tarn_dns_name_copy(&q->name, name);
    }
    request->at = q;
    request->next = q->waiting;
    q->waiting = request;
    if (!fresh)
        return;
    if (c->server_count)
        ask_again(q);
    else
        give_up(q);
}

void dns_question_leave(struct dns_question *q, struct tarn_resolver_request *request) {
    struct tarn_resolver_request **at = &q->waiting;
    while (*at != request)
        at = &(*at)->next;
    *at = request->next;
    if (!q->waiting && !q->finishing)
        drop(q);
}
