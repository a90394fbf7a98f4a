/* SPDX-License-Identifier: ISC */
/* A whole server, files and an upload handler's worth of limits, fed by any client: what the client
 * sends, in which cuts, how much it reads and when it stops are all the input's. Everything must
 * come back. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned opened, done;

static void on_request(struct tarn_http_handler *h, struct tarn_http_exchange *x) {
    struct tarn_http_response r = {.status = 200, .body = TARN_SPAN_LIT("hello, whoever you are")};
    size_t n;
    (void)h;
    opened++;
    switch (x->path.len % 4) {
    case 0:
        tarn_http_body_accept(x);
        if (x->request->framing == TARN_HTTP_NO_BODY)
            tarn_http_respond_status(x, 204, TARN_SPAN_EMPTY);
        break;
    case 1:
        if (tarn_http_respond(x, &r) != TARN_OK)
            abort();
        break;
    case 2:
        if (tarn_http_respond_stream(x, &r, TARN_HTTP_LENGTH_UNKNOWN) != TARN_OK)
            abort();
        if (tarn_http_stream_lend(x, r.body, NULL, &n) == TARN_OK)
            tarn_http_stream_end(x, true);
        break;
    default: tarn_http_respond_status(x, 404, TARN_SPAN_EMPTY);
    }
}
static void on_body(struct tarn_http_handler *h, struct tarn_http_exchange *x,
                    struct tarn_span piece, bool last) {
    (void)h, (void)piece;
    if (last)
        tarn_http_respond_status(x, 200, TARN_SPAN_EMPTY);
}
static void on_writable(struct tarn_http_handler *h, struct tarn_http_exchange *x) {
    (void)h;
    tarn_http_stream_end(x, true);
}
static void on_done(struct tarn_http_handler *h, struct tarn_http_exchange *x, bool whole) {
    (void)h, (void)x, (void)whole;
    done++;
}
static const struct tarn_http_handler_ops ops = {on_request, on_body, on_writable, on_done};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tarn_http_handler handler = {&ops};
    static struct client c;
    struct tarn_http_limits limits = tarn_http_limits_default;
    struct rig rig;
    limits.connections_max = 1;
    limits.head_bytes_max = 512;
    limits.target_bytes_max = 64;
    limits.out_bytes = 512;
    limits.body_bytes_max = 1000;
    limits.discard_bytes_max = 100;
    limits.chunk_extra_max = 64;
    opened = done = 0;
    if (size < 2)
        return 0;
    rig_init(&rig, &handler, &limits, 1u + data[0]);
    client_init(&c, &rig);
    unsigned pace = data[1];
    for (size_t at = 2; at < size;) {
        size_t n = 0, step = 1 + (pace & 15);
        if (step > size - at)
            step = size - at;
        if (tarn_flow_write(c.flow, tarn_span_of(data + at, step), &n) != TARN_OK && !(pace & 16))
            client_read(&c, 50);
        rig_run(&rig);
        if (pace & 32)
            rig_sleep(&rig, TARN_SEC(pace & 7));
        at += n ? n : step;
        c.len = 0;
        pace = pace * 37 + 11;
    }
    if (pace & 64)
        tarn_flow_shutdown(c.flow);
    client_read(&c, SIZE_MAX);
    rig_sleep(&rig, TARN_SEC(pace & 128 ? 200 : 1));
    if (pace & 8)
        tarn_flow_abort(c.flow);
    else
        tarn_flow_close(c.flow);
    rig_run(&rig);
    rig_done(&rig);
    if (opened != done)
        abort();
    return 0;
}
