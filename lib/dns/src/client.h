/* SPDX-License-Identifier: ISC */
#ifndef TARN_DNS_CLIENT_INTERNAL_H
#define TARN_DNS_CLIENT_INTERNAL_H

#include "cache.h"

#include <tarn/dns_client.h>
#include <tarn/timer.h>

#define DNS_SERVER_COOKIE_MAX 32u

struct dns_asked {
    struct tarn_endpoint at;
    uint8_t client_cookie[8], server_cookie[DNS_SERVER_COOKIE_MAX];
    uint8_t server_cookie_len; /* 0: it has not sent one */
    bool no_edns;
    tarn_time open_until;   /* a secure stream has failed: in the open until then */
    struct tarn_flow *idle; /* a secure stream that waits, since then */
    tarn_time idle_since;
};
#define DNS_HTTP_HEAD_MAX 4096u
#define DNS_IDLE_MAX TARN_SEC(10)
struct dns_stream {
    size_t out_at, out_len, in_len, in_taken;
    bool secure, used; /* used: it had a question before */
    uint8_t out[1400], in[DNS_HTTP_HEAD_MAX + TARN_DNS_MESSAGE_MAX];
};
/* What is under way, for one or more requests. */
struct dns_question {
    struct tarn_dns_client *client;
    struct tarn_resolver_request *waiting;
    struct tarn_dns_name name, asked; /* asked: in the case that went out */
    uint16_t type, id;
    unsigned attempt;
    bool secure;    /* it is asked by a secure stream */
    bool refused;   /* somebody answered, but not with an answer */
    bool finishing; /* its requests are being told */
    struct tarn_timer timer;
    struct tarn_datagram *udp;
    struct tarn_flow *flow;
    struct dns_stream *stream;
};
struct tarn_dns_client {
    struct tarn_resolver resolver;
    struct tarn_dns_client_config config;
    struct dns_asked servers[TARN_DNS_SERVERS_MAX];
    unsigned server_count;
    struct tarn_pool questions, streams;
    struct tarn_timers timers;
    struct dns_cache cache;
    struct tarn_resolver_request *ready; /* to be looked at from the loop */
    struct tarn_task task;
    uint32_t requests;
    struct tarn_dns_client_stats stats;
    uint8_t message[4096];
    uint8_t records[TARN_DNS_MESSAGE_MAX + 1024];
};

/* How a question ended. */
struct dns_result {
    enum tarn_err err; /* as a request's */
    enum dns_cached kind;
    struct tarn_span records;
    uint32_t ttl; /* seconds */
    bool stale;
};

/* question.c. The request waits for it from now on. */
void dns_question_ask(struct tarn_dns_client *c, struct tarn_span name, uint16_t type,
                      struct tarn_resolver_request *request);
void dns_question_leave(struct dns_question *q, struct tarn_resolver_request *request);
void dns_question_timeout(struct dns_question *q);
/* client.c: tells a request, or goes on with its next name. */
void dns_request_result(struct tarn_dns_client *c, struct tarn_resolver_request *request,
                        const struct dns_result *result);
/* secure.c. False: it does not fit. */
bool dns_frame_query(const struct dns_question *q, struct tarn_span query, struct tarn_writer *w);
/* Takes a message off the front of `in`; *last: nothing comes after it. */
enum tarn_err dns_unframe_answer(const struct dns_question *q, struct tarn_span *in,
                                 struct tarn_span *message, bool *last);
void dns_idle_keep(struct dns_asked *server, struct tarn_flow *flow, tarn_time now);
struct tarn_flow *dns_idle_take(struct dns_asked *server, tarn_time now); /* NULL: none */
void dns_idle_end(struct dns_asked *server);
/* reply.c: what a message says of a question. False: it does not answer it. `c` has the memory. */
bool dns_reply_read(struct tarn_dns_client *c, const struct dns_question *q,
                    struct tarn_span message, struct dns_result *out);

#endif
