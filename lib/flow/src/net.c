/* SPDX-License-Identifier: ISC */
/* Listening and connecting by port: a loopback network of pipes. */
#include "internal.h"

static struct tarn_pipes *pipes_of(struct tarn_net *net) {
    return TARN_CONTAINER_OF(net, struct tarn_pipes, net);
}

static struct pipe_listener *listener_on(struct tarn_pipes *pipes, uint16_t port) {
    for (uint32_t i = 0; i < pipes->config.listeners_max; i++) {
        struct pipe_listener *l = &TARN_AT_N(pipes->listeners, pipes->config.listeners_max, i);
        if (l->open && l->local.port == port)
            return l;
    }
    return NULL;
}

static struct pipe_listener *free_listener(struct tarn_pipes *pipes) {
    for (uint32_t i = 0; i < pipes->config.listeners_max; i++) {
        struct pipe_listener *l = &TARN_AT_N(pipes->listeners, pipes->config.listeners_max, i);
        if (!l->open)
            return l;
    }
    return NULL;
}

static void listener_run(struct tarn_task *task) {
    struct pipe_listener *l = TARN_CONTAINER_OF(task, struct pipe_listener, task);
    if (l->listener.on_event)
        l->listener.on_event(&l->listener);
}

static enum tarn_err listener_accept(struct tarn_listener *listener, struct tarn_flow **out) {
    struct pipe_listener *l = TARN_CONTAINER_OF(listener, struct pipe_listener, listener);
    struct pipe *pipe = l->head;
    TARN_ASSERT(l->open);
    if (!pipe) {
        l->want_accept = true;
        return TARN_AGAIN;
    }
    l->head = pipe->next;
    l->waiting--;
    *out = &TARN_AT(pipe->end, 1).flow;
    return TARN_OK;
}

static void listener_close(struct tarn_listener *listener) {
    struct pipe_listener *l = TARN_CONTAINER_OF(listener, struct pipe_listener, listener);
    TARN_ASSERT(l->open);
    for (struct pipe *pipe = l->head, *next; pipe; pipe = next) {
        next = pipe->next;
        tarn_flow_abort(&TARN_AT(pipe->end, 1).flow);
    }
    tarn_task_cancel(&l->task);
    l->open = false;
}

static const struct tarn_listener_ops listener_ops = {
    .accept = listener_accept,
    .close = listener_close,
};

static enum tarn_err net_listen(struct tarn_net *net, const struct tarn_endpoint *local,
                                uint32_t backlog, struct tarn_listener **out) {
    struct tarn_pipes *pipes = pipes_of(net);
    struct pipe_listener *l;
    if (local->port == 0 || backlog == 0)
        return TARN_INVALID;
    l = free_listener(pipes);
    if (!l || listener_on(pipes, local->port))
        return TARN_LIMIT;
    *l = (struct pipe_listener){
        .listener.ops = &listener_ops,
        .task.run = listener_run,
        .pipes = pipes,
        .local = {TARN_IP_ADDR_V4(127, 0, 0, 1), local->port},
        .backlog = backlog,
        .open = true,
    };
    *out = &l->listener;
    return TARN_OK;
}

static void enqueue(struct pipe_listener *l, struct pipe *pipe) {
    if (l->head)
        l->tail->next = pipe;
    else
        l->head = pipe;
    l->tail = pipe;
    l->waiting++;
    if (l->want_accept) {
        l->want_accept = false;
        tarn_task_post(l->pipes->config.tasks, &l->task);
    }
}

static enum tarn_err net_connect(struct tarn_net *net, const struct tarn_endpoint *remote,
                                 struct tarn_flow **out) {
    struct tarn_pipes *pipes = pipes_of(net);
    struct pipe_listener *l = listener_on(pipes, remote->port);
    struct pipe *pipe;
    struct pipe_end *client, *server;
    if (remote->port == 0)
        return TARN_INVALID;
    pipe = pipe_take(pipes);
    if (!pipe)
        return TARN_LIMIT;
    client = &TARN_AT(pipe->end, 0);
    server = &TARN_AT(pipe->end, 1);
    client->local = (struct tarn_endpoint){TARN_IP_ADDR_V4(127, 0, 0, 1), pipes->port_next};
    server->local = (struct tarn_endpoint){TARN_IP_ADDR_V4(127, 0, 0, 1), remote->port};
    pipes->port_next = pipes->port_next == UINT16_MAX ? 49152 : (uint16_t)(pipes->port_next + 1);
    *out = &client->flow;
    if (!l || l->waiting == l->backlog) {
        server->gone = true;
        pipe_end_fail(client, TARN_PEER);
        return TARN_OK;
    }
    enqueue(l, pipe);
    pipe_end_post(client, TARN_FLOW_CONNECTED | TARN_FLOW_WRITABLE);
    return TARN_OK;
}

const struct tarn_net_ops pipe_net_ops = {.listen = net_listen, .connect = net_connect};
