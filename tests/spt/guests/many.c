/* SPDX-License-Identifier: ISC */
/* Gives back what it is sent, over 10,000 TCP connections at once in 16 MB: memory is divided here
 * for many connections that do little, not as the runtime does for few that do much. Ends when one
 * says "stop now". */
#include <platform.h>
#include <tarn/app.h>
#include <tarn/stack.h>

TARN_NET(service);

#define CONNECTIONS 10016u
#define TCP_BYTES ((size_t)1 << 20)

struct many {
    struct tarn_poller poller;
    struct tarn_env *env;
    struct tarn_stack *stack;
    struct tarn_pkt_pool pkts;
    struct tarn_waiter *waiter;
    bool stopped;
};

static struct many many;

static void serve(struct tarn_flow *flow, unsigned events) {
    struct tarn_bytes data;
    enum tarn_err err;
    size_t n;
    (void)events;
    while ((err = tarn_flow_peek(flow, &data)) == TARN_OK) {
        many.stopped |= tarn_span_equal(tarn_bytes_span(data), TARN_SPAN_LIT("stop now"));
        if (tarn_flow_write(flow, tarn_bytes_span(data), &n) != TARN_OK)
            return;
        tarn_flow_consume(flow, n);
    }
    if (many.stopped)
        many.waiter->ops->wake(many.waiter);
    if (err != TARN_AGAIN)
        tarn_flow_abort(flow);
}

static void accept_all(struct tarn_listener *listener) {
    struct tarn_flow *flow;
    while (tarn_listener_accept(listener, &flow) == TARN_OK) {
        flow->on_event = serve;
        serve(flow, TARN_FLOW_READABLE);
    }
}

static void poll(struct tarn_poller *p, tarn_time now, uint64_t ready) {
    (void)p, (void)ready;
    tarn_stack_input(many.stack, now);
}
static void flush(struct tarn_poller *p, tarn_time now) {
    (void)p;
    tarn_stack_flush(many.stack, now);
}
static tarn_time deadline(struct tarn_poller *p) {
    (void)p;
    return tarn_stack_deadline(many.stack);
}

static bool start(struct tarn_env *env, struct tarn_listener **listener) {
    struct tarn_pkt_pool_config pkts = {.count = {256, 512, 2}};
    struct tarn_stack_config config = {
        .alloc = tarn_env_alloc(env),
        .random = tarn_env_random(env),
        .tasks = tarn_env_tasks(env),
        .pkts = &many.pkts,
        .ipv4 = {TARN_IP_ADDR_V4(10, 0, 0, 2), 24},
        .ip = {.reass_bytes_max = 1 << 16, .neighbours_max = 16, .path_mtus_max = 16},
        .tcp = {.connections_max = CONNECTIONS,
                .memory_bytes = TCP_BYTES,
                .rcv_buf_bytes_max = 1 << 15,
                .rcv_buf_bytes_min = 1 << 14},
    };
    struct tarn_endpoint any = {.port = 7};
    return !tarn_pkt_pool_init(&many.pkts, config.alloc, &pkts)
           && !tarn_platform_netif(service.name, &many.pkts, &config.netif)
           && !tarn_stack_new(&config, tarn_now(env), &many.stack)
           && !tarn_net_listen(tarn_stack_net(many.stack), &any, 64, listener);
}

int tarn_main(struct tarn_env *env) {
    struct tarn_listener *listener;
    struct tarn_tcp_stats stats;
    char text[32];
    many = (struct many){.poller = {.poll = poll, .flush = flush, .deadline = deadline},
                         .env = env,
                         .waiter = tarn_env_waiter(env)};
    if (!start(env, &listener)) {
        tarn_puts(env, "not enough memory\n");
        return 1;
    }
    listener->on_event = accept_all;
    tarn_env_add_poller(env, &many.poller);
    tarn_puts(env, "ready\n");
    while (!many.stopped)
        if (many.waiter->ops->wait(many.waiter, TARN_NEVER))
            return 2;
    tarn_tcp_stats(tarn_stack_tcp(many.stack), &stats);
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_dec(&w, stats.connections);
    tarn_writer_str(&w, " connections\n");
    tarn_put(env, tarn_writer_span(&w));
    return 0;
}
