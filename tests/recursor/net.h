/* SPDX-License-Identifier: ISC */
/* A recursor among servers that a test plays: a script answers each query, in virtual time. */
#ifndef RECURSOR_NET_H
#define RECURSOR_NET_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/dns_sec.h>
#include <tarn/dns_zonefile.h>
#include <tarn/recursor.h>

static struct net {
    struct tarn_recursor *r;
    tarn_time now;
    uint32_t wall;
    long live; /* allocations */
    uint64_t sent;
    /* Answers with net_reply, or not at all. */
    void (*script)(const struct tarn_endpoint *server, bool stream,
                   const struct tarn_dns_question *q);
    struct tarn_handle query;
    struct tarn_endpoint server;
    uint8_t question[1024];
    size_t question_len;
    uint8_t answer[TARN_DNS_MESSAGE_MAX];
    size_t answer_len;
    bool answered, asked_edns;
    struct tarn_random_seeded random;
} net;

static void *net_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a;
    (void)align;
    net.live++;
    return calloc(1, bytes);
}
static void net_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a;
    (void)bytes;
    net.live--;
    free(ptr);
}
static tarn_time net_now(struct tarn_clock *c) {
    (void)c;
    return net.now;
}
static uint64_t net_wall(struct tarn_clock *c) {
    (void)c;
    return net.wall * 1000000000ull + net.now;
}
static const struct tarn_alloc_ops net_alloc_ops = {net_get, net_put};
static const struct tarn_clock_ops net_clock_ops = {net_now, net_wall};
static struct tarn_alloc net_alloc = {&net_alloc_ops};
static struct tarn_clock net_clock = {&net_clock_ops};

static const struct tarn_endpoint net_root = {TARN_IP_ADDR_V4(10, 0, 0, 1), 53};

static inline bool net_new(struct tarn_recursor_config config) {
    net.now = TARN_SEC(1);
    net.wall = 1700000000;
    tarn_random_seeded_init(&net.random, 1);
    config.alloc = &net_alloc;
    config.random = &net.random.random;
    config.clock = &net_clock;
    config.hints = &net_root;
    config.hint_count = 1;
    config.no_local_zones = true;
    config.cache_bytes = config.cache_bytes ? config.cache_bytes : 4 << 20;
    config.questions_max = config.questions_max ? config.questions_max : 64;
    return tarn_recursor_new(&config, &net.r) == TARN_OK;
}

static inline struct tarn_span net_name(const char *text) {
    static struct tarn_dns_name n[8];
    static unsigned i;
    struct tarn_dns_name *one = &n[i++ % 8];
    if (!tarn_dns_name_parse(tarn_span_str(text), TARN_SPAN_LIT("\0"), one))
        abort();
    return tarn_dns_name_span(one);
}

/* -- what a script says -------------------------------------------------------------------------
 */

struct net_message {
    struct tarn_dns_builder b;
    uint8_t bytes[TARN_DNS_MESSAGE_MAX];
};
static struct net_message net_out;

static inline void net_begin(uint16_t flags) {
    struct tarn_dns_reader rd;
    struct tarn_dns_question q;
    struct tarn_span in = tarn_span_of(net.question, net.question_len);
    if (!tarn_dns_reader_init(&rd, in) || tarn_dns_read_question(&rd, &q))
        abort();
    tarn_dns_build(&net_out.b, TARN_BYTES_ARRAY(net_out.bytes), rd.header.id,
                   (uint16_t)(TARN_DNS_QR | flags));
    if (!tarn_dns_put_question(&net_out.b, tarn_dns_name_span(&q.name), q.type, q.klass))
        abort();
}
static inline enum tarn_err net_take(void *user, const struct tarn_dns_record *rec,
                                     const char **why) {
    enum tarn_dns_section *section = user;
    (void)why;
    return tarn_dns_put_rr(&net_out.b, *section, rec->owner, rec->type, rec->klass, rec->ttl,
                           rec->rdata)
               ? TARN_OK
               : TARN_LIMIT;
}
/* Lines of a zone file, into a section. */
static inline void net_put_text(enum tarn_dns_section section, const char *text) {
    static uint8_t scratch[TARN_DNS_RDATA_MAX];
    struct tarn_dns_zonefile_error error;
    struct tarn_dns_zonefile_config c = {.name = TARN_SPAN_LIT("script"),
                                         .text = tarn_span_str(text),
                                         .origin = TARN_SPAN_LIT("\0"),
                                         .scratch = TARN_BYTES_ARRAY(scratch),
                                         .record = net_take,
                                         .user = &section};
    if (tarn_dns_zonefile_parse(&c, &error))
        abort();
}
static inline void net_reply(void) {
    struct tarn_span m = tarn_dns_finish(&net_out.b);
    tarn_recursor_input(net.r, net.query, &net.server, m);
}
/* A whole answer: flags and what is in its sections, each NULL or lines. */
static inline void net_say(uint16_t flags, const char *answer, const char *authority,
                           const char *extra) {
    net_begin(flags);
    if (answer)
        net_put_text(TARN_DNS_ANSWER, answer);
    if (authority)
        net_put_text(TARN_DNS_AUTHORITY, authority);
    if (extra)
        net_put_text(TARN_DNS_EXTRA, extra);
    net_reply();
}

/* -- running ------------------------------------------------------------------------------------
 */

static inline void net_on_send(const struct tarn_recursor_event *ev) {
    struct tarn_dns_reader rd;
    struct tarn_dns_question q;
    net.sent++;
    net.query = ev->query;
    net.server = ev->server;
    net.question_len = ev->message.len;
    memcpy(net.question, ev->message.ptr, ev->message.len);
    if (!tarn_dns_reader_init(&rd, ev->message) || tarn_dns_read_question(&rd, &q))
        abort();
    net.asked_edns = rd.header.counts[TARN_DNS_EXTRA] > 0;
    if (net.script)
        net.script(&ev->server, ev->stream, &q);
}

static inline void net_pump(void) {
    static uint8_t out[TARN_DNS_MESSAGE_MAX];
    struct tarn_recursor_event ev;
    while (tarn_recursor_next(net.r, TARN_BYTES_ARRAY(out), &ev)) {
        if (ev.kind == TARN_RECURSOR_SEND) {
            net_on_send(&ev);
        } else if (ev.kind == TARN_RECURSOR_REPLY) {
            net.answered = true;
            net.answer_len = ev.message.len;
            memcpy(net.answer, ev.message.ptr, ev.message.len);
        }
    }
}

/* Time goes on until there is an answer, or nothing is left to wait for. */
static inline void net_run(tarn_time until) {
    net_pump();
    while (!net.answered && tarn_recursor_deadline(net.r) <= until) {
        net.now = TARN_MAX(net.now, tarn_recursor_deadline(net.r));
        tarn_recursor_tick(net.r, net.now);
        net_pump();
    }
}

static inline enum tarn_err net_send_query(const char *name, uint16_t type, uint16_t flags,
                                           const struct tarn_recursor_client *client) {
    uint8_t query[600];
    static uint8_t out[TARN_DNS_MESSAGE_MAX];
    struct tarn_dns_builder b;
    struct tarn_span answer;
    struct tarn_dns_edns e = {.udp_bytes = 1232, .flags = TARN_DNS_EDNS_DO};
    tarn_dns_build(&b, TARN_BYTES_ARRAY(query), 99, (uint16_t)(TARN_DNS_RD | flags));
    if (!tarn_dns_put_question(&b, net_name(name), type, TARN_DNS_IN)
        || !tarn_dns_put_opt(&b, &e, 0))
        abort();
    net.answered = false;
    net.answer_len = 0;
    enum tarn_err err =
        tarn_recursor_query(net.r, client, tarn_dns_finish(&b), TARN_BYTES_ARRAY(out), &answer);
    if (!err) {
        net.answered = true;
        net.answer_len = answer.len;
        memcpy(net.answer, answer.ptr, answer.len);
    }
    return err;
}

/* The rcode of the answer, or -1. */
static inline int net_rcode(void) {
    struct tarn_dns_reader rd;
    if (!net.answered || !tarn_dns_reader_init(&rd, tarn_span_of(net.answer, net.answer_len)))
        return -1;
    return (int)TARN_DNS_RCODE(rd.header.flags);
}
static inline uint16_t net_flags(void) {
    struct tarn_dns_reader rd;
    return tarn_dns_reader_init(&rd, tarn_span_of(net.answer, net.answer_len)) ? rd.header.flags
                                                                               : 0;
}
/* How many records of a type the answer has. */
static inline unsigned net_count(enum tarn_dns_section section, uint16_t type) {
    struct tarn_dns_reader rd;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    unsigned n = 0;
    if (!tarn_dns_reader_init(&rd, tarn_span_of(net.answer, net.answer_len))
        || tarn_dns_read_question(&rd, &q))
        return 0;
    while (tarn_dns_read_rr(&rd, &rr) == TARN_OK)
        n += rr.section == section && rr.type == type;
    return n;
}

static inline int net_ask(const char *name, uint16_t type, uint16_t flags) {
    struct tarn_recursor_client client = {.from = {TARN_IP_ADDR_V4(192, 0, 2, 1), 1000}};
    net_send_query(name, type, flags, &client);
    net_run(net.now + TARN_SEC(600));
    return net_rcode();
}

static inline void net_free(void) {
    tarn_recursor_free(net.r);
    net.r = NULL;
}

#endif
