/* SPDX-License-Identifier: ISC */
/* A source and a sink of bytes, to measure a network with (bench/bulk.py). A client whose first
 * byte is 'd' gets zeroes for as long as it stays; what any other sends is thrown away up to its
 * end, and then answered with ours. */
#include <tarn/app.h>

TARN_NET(service);
TARN_KEY_U16(port, 5001, "TCP port to listen on");

static uint8_t zeroes[256 * 1024];
static char sourcing, sinking; /* a flow's `user`: what its first byte has asked for */

static enum tarn_err source(struct tarn_flow *flow) {
    enum tarn_err err;
    size_t n;
    do
        err = tarn_flow_lend(flow, TARN_SPAN_ARRAY(zeroes), NULL, &n);
    while (err == TARN_OK);
    return err;
}

static enum tarn_err sink(struct tarn_flow *flow) {
    struct tarn_bytes data;
    enum tarn_err err;
    while ((err = tarn_flow_peek(flow, &data)) == TARN_OK) {
        if (!flow->user)
            flow->user = tarn_span_at(tarn_bytes_span(data), 0) == 'd' ? &sourcing : &sinking;
        tarn_flow_consume(flow, data.len);
        if (flow->user == &sourcing)
            return source(flow);
    }
    return err;
}

static void serve(struct tarn_flow *flow, unsigned events) {
    (void)events;
    enum tarn_err err = flow->user == &sourcing ? source(flow) : sink(flow);
    if (err == TARN_EOF)
        tarn_flow_close(flow);
    else if (err != TARN_AGAIN)
        tarn_flow_abort(flow);
}

static void accept_all(struct tarn_listener *listener) {
    struct tarn_flow *flow;
    while (tarn_listener_accept(listener, &flow) == TARN_OK) {
        flow->user = NULL;
        flow->on_event = serve;
        serve(flow, TARN_FLOW_READABLE);
    }
}

int tarn_main(struct tarn_env *env) {
    struct tarn_endpoint any = {.port = (uint16_t)tarn_key_u64(env, &port)};
    struct tarn_listener *listener;
    struct tarn_net *net;
    if (tarn_env_net(env, &service, &net) || tarn_net_listen(net, &any, 8, &listener)) {
        tarn_puts(env, "bulk: no network, or the port is taken\n");
        return 1;
    }
    listener->on_event = accept_all;
    accept_all(listener);
    tarn_run_forever(env);
}
