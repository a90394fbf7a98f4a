/* SPDX-License-Identifier: ISC */
#include <tarn/dns_stream.h>
#include <tarn/writer.h>

#define LENGTH_BYTES 2u

static void touch(struct tarn_dns_stream *s) {
    if (!s->of)
        return;
    s->deadline = tarn_time_after(tarn_clock_now(s->of->clock), s->of->idle_ns);
    tarn_lru_touch(&s->of->idle, &s->idle);
}

void tarn_dns_stream_init(struct tarn_dns_stream *s, struct tarn_dns_streams *of,
                          struct tarn_flow *flow, struct tarn_bytes in, struct tarn_bytes out) {
    *s = (struct tarn_dns_stream){.flow = flow, .of = of, .in = in, .out = out};
    if (of)
        tarn_lru_add(&of->idle, &s->idle);
    touch(s);
}

void tarn_dns_stream_end(struct tarn_dns_stream *s, bool rudely) {
    if (s->of)
        tarn_lru_remove(&s->of->idle, &s->idle);
    if (rudely)
        tarn_flow_abort(s->flow);
    else
        tarn_flow_close(s->flow);
    s->flow = NULL;
}

tarn_time tarn_dns_streams_deadline(const struct tarn_dns_streams *of) {
    struct tarn_lru_link *l = of->idle.oldest;
    return l ? TARN_CONTAINER_OF(l, struct tarn_dns_stream, idle)->deadline : TARN_NEVER;
}

/* -- in -----------------------------------------------------------------------------------------
 */

enum tarn_err tarn_dns_stream_read(struct tarn_dns_stream *s) {
    struct tarn_bytes room = tarn_bytes_after(s->in, s->in_len);
    size_t n;
    if (!room.len)
        return TARN_PEER;
    enum tarn_err err = tarn_flow_read(s->flow, room, &n);
    if (err)
        return err;
    s->in_len += n;
    touch(s);
    return TARN_OK;
}

bool tarn_dns_stream_peek(const struct tarn_dns_stream *s, struct tarn_span *message) {
    struct tarn_span in = tarn_span_first(tarn_bytes_span(s->in), s->in_len);
    uint16_t len;
    return tarn_span_u16be(&in, &len) && tarn_span_take(&in, len, message);
}

void tarn_dns_stream_drop(struct tarn_dns_stream *s) {
    struct tarn_span in = tarn_span_first(tarn_bytes_span(s->in), s->in_len), message;
    bool whole = tarn_dns_stream_peek(s, &message);
    TARN_ASSERT(whole);
    s->in_len = tarn_bytes_move(s->in, tarn_span_after(in, LENGTH_BYTES + message.len));
}

/* -- out ----------------------------------------------------------------------------------------
 */

struct tarn_bytes tarn_dns_stream_room(const struct tarn_dns_stream *s) {
    return tarn_bytes_after(s->out, s->out_len + LENGTH_BYTES);
}

void tarn_dns_stream_made(struct tarn_dns_stream *s, size_t len) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(s->out, s->out_len));
    if (!len)
        return;
    tarn_writer_u16be(&w, (uint16_t)len);
    s->out_len += LENGTH_BYTES + len;
}

bool tarn_dns_stream_put(struct tarn_dns_stream *s, struct tarn_span message) {
    struct tarn_bytes room = tarn_dns_stream_room(s);
    if (message.len > room.len)
        return false;
    tarn_bytes_copy(room, message);
    tarn_dns_stream_made(s, message.len);
    return true;
}

enum tarn_err tarn_dns_stream_write(struct tarn_dns_stream *s) {
    while (s->out_at < s->out_len) {
        struct tarn_span all = tarn_span_first(tarn_bytes_span(s->out), s->out_len);
        size_t n;
        enum tarn_err err = tarn_flow_write(s->flow, tarn_span_after(all, s->out_at), &n);
        if (err)
            return err;
        s->out_at += n;
        touch(s);
    }
    s->out_at = s->out_len = 0;
    return TARN_OK;
}
