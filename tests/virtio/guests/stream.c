/* SPDX-License-Identifier: ISC */
/* Gives back what it is sent over TCP, from where it was received, and ends with its first peer. */
#include <tarn/app.h>

TARN_NET(service);

static struct tarn_waiter *program;
static bool ended;

static void serve(struct tarn_flow *flow, unsigned events) {
    struct tarn_bytes data;
    enum tarn_err err;
    size_t n;
    (void)events;
    while ((err = tarn_flow_peek(flow, &data)) == TARN_OK) {
        err = tarn_flow_write(flow, tarn_bytes_span(data), &n);
        if (err)
            break;
        tarn_flow_consume(flow, n);
    }
    if (err == TARN_AGAIN)
        return;
    tarn_flow_close(flow);
    ended = true;
    program->ops->wake(program);
}

static void accept_all(struct tarn_listener *listener) {
    struct tarn_flow *flow;
    while (tarn_listener_accept(listener, &flow) == TARN_OK) {
        flow->on_event = serve;
        serve(flow, TARN_FLOW_READABLE);
    }
}

int tarn_main(struct tarn_env *env) {
    struct tarn_endpoint any = {.port = 7};
    struct tarn_listener *listener;
    struct tarn_net *net;
    program = tarn_env_waiter(env);
    if (tarn_env_net(env, &service, &net) || tarn_net_listen(net, &any, 8, &listener))
        return 1;
    listener->on_event = accept_all;
    while (!ended)
        (void)!program->ops->wait(program, TARN_NEVER);
    return 0;
}
