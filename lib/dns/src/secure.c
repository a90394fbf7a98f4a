/* SPDX-License-Identifier: ISC */
/* How queries and answers stand in a stream: behind their length (RFC 1035 section 4.2.2, RFC
 * 7858), or as HTTP/1.1 (RFC 8484). */
#include "client.h"

static bool is_https(const struct dns_question *q) {
    return q->stream->secure && q->client->config.secrecy.https_host.len;
}

bool dns_frame_query(const struct dns_question *q, struct tarn_span query, struct tarn_writer *w) {
    const struct tarn_dns_secrecy *s = &q->client->config.secrecy;
    if (!is_https(q)) {
        tarn_writer_u16be(w, (uint16_t)query.len);
        tarn_writer_span_put(w, query);
        return tarn_writer_ok(w);
    }
    tarn_writer_str(w, "POST ");
    tarn_writer_span_put(w, s->https_path.len ? s->https_path : TARN_SPAN_LIT("/dns-query"));
    tarn_writer_str(w, " HTTP/1.1\r\nHost: ");
    tarn_writer_span_put(w, s->https_host);
    tarn_writer_str(w, "\r\nAccept: application/dns-message\r\n"
                       "Content-Type: application/dns-message\r\nContent-Length: ");
    tarn_writer_dec(w, query.len);
    tarn_writer_str(w, "\r\n\r\n");
    tarn_writer_span_put(w, query);
    return tarn_writer_ok(w);
}

static bool take_line(struct tarn_span *in, struct tarn_span *line) {
    size_t end;
    if (!tarn_span_find(*in, '\n', &end))
        return false;
    *line = tarn_span_trim(tarn_span_first(*in, end), "\r");
    *in = tarn_span_after(*in, end + 1);
    return true;
}

/* Only what RFC 8484 section 4.2.1 wants of an answer: 200, its type, and a length. */
static enum tarn_err take_http(struct tarn_span *in, struct tarn_span *message, bool *last) {
    struct tarn_span s = *in, line, name;
    uint64_t length = UINT64_MAX, value;
    bool typed = false;
    if (!take_line(&s, &line))
        return in->len > DNS_HTTP_HEAD_MAX ? TARN_PEER : TARN_AGAIN;
    if (!tarn_span_starts(line, TARN_SPAN_LIT("HTTP/1."))
        || !tarn_span_starts(tarn_span_after(line, 8), TARN_SPAN_LIT(" 200")))
        return TARN_PEER;
    *last = !tarn_span_starts(line, TARN_SPAN_LIT("HTTP/1.1"));
    for (;;) {
        if (!take_line(&s, &line))
            return in->len > DNS_HTTP_HEAD_MAX ? TARN_PEER : TARN_AGAIN;
        if (!line.len)
            break;
        if (!tarn_span_split(&line, ':', &name))
            return TARN_PEER;
        line = tarn_span_trim(line, " \t");
        if (tarn_span_equal_nocase(name, TARN_SPAN_LIT("content-length"))) {
            if (!tarn_span_parse_dec(line, TARN_DNS_MESSAGE_MAX, &value)
                || (length != UINT64_MAX && length != value))
                return TARN_PEER;
            length = value;
        } else if (tarn_span_equal_nocase(name, TARN_SPAN_LIT("content-type"))) {
            typed = tarn_span_equal_nocase(line, TARN_SPAN_LIT("application/dns-message"));
        } else if (tarn_span_equal_nocase(name, TARN_SPAN_LIT("connection"))) {
            *last |= tarn_span_equal_nocase(line, TARN_SPAN_LIT("close"));
        } else if (tarn_span_equal_nocase(name, TARN_SPAN_LIT("transfer-encoding"))) {
            return TARN_PEER;
        }
    }
    if (!typed || length == UINT64_MAX)
        return TARN_PEER;
    if (!tarn_span_take(&s, length, message))
        return TARN_AGAIN;
    *in = s;
    return TARN_OK;
}

enum tarn_err dns_unframe_answer(const struct dns_question *q, struct tarn_span *in,
                                 struct tarn_span *message, bool *last) {
    struct tarn_span s = *in;
    uint16_t len;
    *last = false;
    if (is_https(q))
        return take_http(in, message, last);
    if (!tarn_span_u16be(&s, &len) || !tarn_span_take(&s, len, message))
        return TARN_AGAIN;
    *in = s;
    return TARN_OK;
}

/* -- connections that wait for the next question ------------------------------------------------
 */

static void idle_event(struct tarn_flow *flow, unsigned events) {
    struct dns_asked *server = flow->user;
    uint8_t byte[1];
    size_t n;
    (void)events;
    if (tarn_flow_read(flow, TARN_BYTES_ARRAY(byte), &n) == TARN_AGAIN)
        return;
    /* Its end, or what nobody asked for. */
    server->idle = NULL;
    tarn_flow_abort(flow);
}

void dns_idle_keep(struct dns_asked *server, struct tarn_flow *flow, tarn_time now) {
    dns_idle_end(server);
    server->idle = flow;
    server->idle_since = now;
    flow->user = server;
    flow->on_event = idle_event;
}

struct tarn_flow *dns_idle_take(struct dns_asked *server, tarn_time now) {
    if (server->idle && now - server->idle_since > DNS_IDLE_MAX)
        dns_idle_end(server);
    struct tarn_flow *flow = server->idle;
    server->idle = NULL;
    return flow;
}

void dns_idle_end(struct dns_asked *server) {
    if (server->idle)
        tarn_flow_abort(server->idle);
    server->idle = NULL;
}
