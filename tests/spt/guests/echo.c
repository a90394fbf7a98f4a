/* SPDX-License-Identifier: ISC */
/* Sends every frame back, in two fragments and with its metadata, until one says "stop now". An
 * IPv4 datagram goes back to whoever sent it: what is swapped leaves every checksum as it was. */
#include <platform.h>
#include <tarn/app.h>

TARN_NET(service);

static bool stopped;

static void swap(struct tarn_bytes frame, size_t a, size_t b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = *tarn_bytes_at(frame, a + i);
        *tarn_bytes_at(frame, a + i) = *tarn_bytes_at(frame, b + i);
        *tarn_bytes_at(frame, b + i) = byte;
    }
}

static void turn_round(struct tarn_bytes frame) {
    if (frame.len < 42 || *tarn_bytes_at(frame, 12) != 8 || *tarn_bytes_at(frame, 13) != 0)
        return;
    swap(frame, 0, 6, 6);   /* MAC */
    swap(frame, 26, 30, 4); /* IPv4 */
    swap(frame, 34, 36, 2); /* ports */
}

/* The checksum's field is in the head, wherever the split is. */
#define HEAD_BYTES 60u

static void answer(struct tarn_env *env, struct tarn_netif *netif, struct tarn_pkt *in) {
    static uint8_t head[HEAD_BYTES], body[TARN_PKT_LEN_MAX];
    size_t head_bytes = TARN_MIN((size_t)in->len, (size_t)HEAD_BYTES);
    turn_round(tarn_pkt_head_bytes(in));
    if (in->len > sizeof body || !tarn_pkt_read(in, 0, head, head_bytes)
        || !tarn_pkt_read(in, head_bytes, body, in->len - head_bytes))
        return;
    struct tarn_pkt *out = tarn_pkt_alloc(tarn_env_pkts(env), head_bytes);
    bool made = out && tarn_pkt_append(out, tarn_span_of(head, head_bytes))
                && tarn_pkt_lend(out, tarn_span_of(body, in->len - head_bytes), NULL);
    if (made) {
        out->csum_state = in->csum_state;
        out->csum_start = in->csum_start;
        out->csum_offset = in->csum_offset;
        out->gso_type = in->gso_type;
        out->gso_size = in->gso_size;
    }
    if (!made || tarn_netif_send(netif, &out, 1) != 1)
        tarn_pkt_free(out);
    stopped = stopped || tarn_span_starts(TARN_SPAN_ARRAY(head), TARN_SPAN_LIT("stop now"));
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
