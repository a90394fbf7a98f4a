/* SPDX-License-Identifier: ISC */
/* Sends every frame back, in two fragments, until one says "stop". */
#include <platform.h>
#include <tarn/app.h>

TARN_NET(service);

static bool stopped;

static void answer(struct tarn_env *env, struct tarn_netif *netif, struct tarn_pkt *in) {
    static uint8_t body[65536];
    uint8_t head[8];
    if (in->len < sizeof head || !tarn_pkt_read(in, 0, head, sizeof head)
        || !tarn_pkt_read(in, sizeof head, body, in->len - sizeof head))
        return;
    struct tarn_pkt *out = tarn_pkt_alloc(tarn_env_pkts(env), sizeof head);
    bool made = out && tarn_pkt_append(out, TARN_SPAN_ARRAY(head))
                && tarn_pkt_lend(out, tarn_span_of(body, in->len - sizeof head), NULL);
    if (!made || tarn_netif_send(netif, &out, 1) != 1)
        tarn_pkt_free(out);
    stopped = stopped || tarn_span_equal(TARN_SPAN_ARRAY(head), TARN_SPAN_LIT("stop now"));
}

struct echo {
    struct tarn_poller poller;
    struct tarn_env *env;
    struct tarn_netif *netif;
    struct tarn_waiter *waiter;
};

static void poll(struct tarn_poller *p, tarn_time now, uint64_t ready) {
    struct echo *e = TARN_CONTAINER_OF(p, struct echo, poller);
    struct tarn_pkt *pkts[8];
    (void)now;
    if (!(ready & (1ull << e->netif->device)))
        return;
    size_t n = tarn_netif_recv(e->netif, pkts, 8);
    for (size_t i = 0; i < n; i++) {
        answer(e->env, e->netif, pkts[i]);
        tarn_pkt_free(pkts[i]);
    }
    if (stopped)
        e->waiter->ops->wake(e->waiter);
}

int tarn_main(struct tarn_env *env) {
    static struct echo echo;
    echo = (struct echo){.poller = {.poll = poll}, .env = env, .waiter = tarn_env_waiter(env)};
    if (tarn_platform_netif(service.name, tarn_env_pkts(env), &echo.netif))
        return 1;
    tarn_env_add_poller(env, &echo.poller);
    tarn_puts(env, "ready\n");
    while (!stopped)
        if (echo.waiter->ops->wait(echo.waiter, TARN_NEVER))
            return 2;
    return 0;
}
