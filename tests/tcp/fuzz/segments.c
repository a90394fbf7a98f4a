/* SPDX-License-Identifier: ISC */
/* Segments and time as the input says, into a stack with a listener and a connection of its own.
 * The numbers of what the stack has sent last are known to the input, so that it gets past the
 * checks for them. Under any input: no trap, and when all flows are closed and time has passed, no
 * memory is held. */
#include <stdlib.h>
#include <string.h>
#include <tarn/base.h>
#include <tarn/tcp.h>

#define ARENA_BYTES ((size_t)2 << 20)
#define FLOWS_MAX 8

struct rig {
    struct tarn_ip_lower lower;
    struct tarn_arena arena;
    struct tarn_pkt_pool pkts;
    struct tarn_tasks tasks;
    struct tarn_random_seeded random;
    struct tarn_tcp *tcp;
    tarn_time now;
    uint16_t port, peer; /* of the stack's last segment */
    uint32_t seq, ack;   /* and behind it */
    struct tarn_flow *flows[FLOWS_MAX];
};

static enum tarn_err route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                           const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    (void)lower, (void)src, (void)dst;
    *out = (struct tarn_ip_route){.src = TARN_IP_ADDR_V4(10, 0, 0, 1), .mtu = 600};
    return TARN_OK;
}

static enum tarn_err send_datagram(struct tarn_ip_lower *lower, const struct tarn_ip_meta *meta,
                                   struct tarn_pkt *pkt, tarn_time now) {
    struct rig *rig = TARN_CONTAINER_OF(lower, struct rig, lower);
    struct tarn_span s = tarn_pkt_head(pkt);
    uint16_t word;
    (void)meta, (void)now;
    if (tarn_span_u16be(&s, &rig->port) && tarn_span_u16be(&s, &rig->peer)
        && tarn_span_u32be(&s, &rig->seq) && tarn_span_u32be(&s, &rig->ack)
        && tarn_span_u16be(&s, &word))
        rig->seq += pkt->len - (uint32_t)(word >> 12) * 4 + (word & 1) + (word >> 1 & 1);
    tarn_pkt_free(pkt);
    return TARN_OK;
}

static const struct tarn_ip_lower_ops lower_ops = {.route = route, .send = send_datagram};

static void require(bool cond) {
    if (!cond)
        abort();
}

static void turn(struct rig *rig) {
    for (int i = 0; i < 20; i++) {
        size_t ran = tarn_tasks_run(&rig->tasks);
        if (ran == 0 && tarn_tcp_deadline(rig->tcp) > rig->now)
            return;
        tarn_tcp_tick(rig->tcp, rig->now);
    }
}

static void give(struct rig *rig, struct tarn_span bytes) {
    struct tarn_ip_meta meta = {.src = TARN_IP_ADDR_V4(10, 0, 0, 2),
                                .dst = TARN_IP_ADDR_V4(10, 0, 0, 1),
                                .proto = TARN_IP_PROTO_TCP};
    struct tarn_pkt *pkt = tarn_pkt_alloc(&rig->pkts, bytes.len);
    if (!pkt)
        return;
    require(tarn_pkt_append(pkt, bytes));
    pkt->csum_state = TARN_CSUM_VERIFIED;
    tarn_tcp_input(rig->tcp, &meta, pkt, rig->now);
}

/* A header that fits, as far as the input wants it to, and then the input's options and payload. */
static void give_fitting(struct rig *rig, struct tarn_span *in) {
    uint8_t bytes[400], flags = 0, offset = 0x50, seq_off = 0, ack_off = 0, len = 0;
    uint16_t wnd = 0;
    struct tarn_span body;
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    if (!tarn_span_u8(in, &flags) || !tarn_span_u8(in, &offset) || !tarn_span_u8(in, &seq_off)
        || !tarn_span_u8(in, &ack_off) || !tarn_span_u16be(in, &wnd) || !tarn_span_u8(in, &len))
        return;
    body = tarn_span_first(*in, len);
    *in = tarn_span_after(*in, len);
    tarn_writer_u16be(&w, rig->peer);
    tarn_writer_u16be(&w, rig->port);
    tarn_writer_u32be(&w, rig->ack + (uint32_t)(int8_t)seq_off);
    tarn_writer_u32be(&w, rig->seq + (uint32_t)(int8_t)ack_off);
    tarn_writer_u8(&w, offset);
    tarn_writer_u8(&w, flags);
    tarn_writer_u16be(&w, wnd);
    tarn_writer_u32be(&w, 0);
    tarn_writer_span_put(&w, body);
    give(rig, tarn_writer_span(&w));
}

static void use(struct rig *rig, struct tarn_listener *l, uint8_t what) {
    static const uint8_t data[3000];
    struct tarn_flow **slot = &rig->flows[what % FLOWS_MAX];
    struct tarn_bytes b;
    size_t n;
    if (!*slot) {
        if (tarn_listener_accept(l, slot) != TARN_OK)
            *slot = NULL;
        return;
    }
    switch (what / FLOWS_MAX % 6) {
    case 0: (void)!tarn_flow_write(*slot, TARN_SPAN_ARRAY(data), &n); break;
    case 1: (void)!tarn_flow_lend(*slot, TARN_SPAN_ARRAY(data), NULL, &n); break;
    case 2:
        if (tarn_flow_peek(*slot, &b) == TARN_OK)
            tarn_flow_consume(*slot, (b.len + 1) / 2);
        break;
    case 3: tarn_flow_shutdown(*slot); break;
    case 4:
        tarn_flow_close(*slot);
        *slot = NULL;
        break;
    default:
        tarn_flow_abort(*slot);
        *slot = NULL;
        break;
    }
}

static void play(struct rig *rig, struct tarn_listener *l, struct tarn_span in) {
    static const uint8_t quote[8];
    struct tarn_ip_meta ours = {.src = TARN_IP_ADDR_V4(10, 0, 0, 1),
                                .dst = TARN_IP_ADDR_V4(10, 0, 0, 2)};
    uint8_t op, arg;
    struct tarn_span body;
    while (tarn_span_u8(&in, &op)) {
        switch (op % 5) {
        case 0: give_fitting(rig, &in); break;
        case 1:
            if (!tarn_span_u8(&in, &arg))
                return;
            body = tarn_span_first(in, arg);
            in = tarn_span_after(in, arg);
            give(rig, body);
            break;
        case 2:
            if (tarn_span_u8(&in, &arg))
                rig->now += TARN_US(1) << (arg % 32);
            break;
        case 3:
            if (tarn_span_u8(&in, &arg))
                use(rig, l, arg);
            break;
        default:
            body = tarn_span_first(in.len >= 8 ? in : TARN_SPAN_ARRAY(quote), 8);
            tarn_tcp_error(rig->tcp, &ours, (enum tarn_ip_error)(op / 5 % 6), op, body, rig->now);
            break;
        }
        if (op & 0x80)
            turn(rig);
    }
}

static void end(struct rig *rig, struct tarn_listener *l) {
    struct tarn_tcp_stats s;
    for (unsigned i = 0; i < FLOWS_MAX; i++)
        if (rig->flows[i])
            tarn_flow_abort(rig->flows[i]);
    tarn_listener_close(l);
    for (int i = 0; i < 4000 && tarn_tcp_deadline(rig->tcp) != TARN_NEVER; i++) {
        rig->now = TARN_MAX(rig->now, tarn_tcp_deadline(rig->tcp));
        turn(rig);
    }
    tarn_tcp_stats(rig->tcp, &s);
    require(s.connections == 0 && s.half_open == 0 && s.snd_bytes == 0 && s.rcv_bytes == 0);
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++)
        require(rig->pkts.pools[class].live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct rig rig = {.lower = {&lower_ops}, .now = TARN_SEC(100)};
    void *memory = calloc(1, ARENA_BYTES);
    struct tarn_pkt_pool_config counts = {.count = {64, 64, 2}};
    struct tarn_listener *l;
    tarn_arena_init(&rig.arena, tarn_bytes_of(memory, ARENA_BYTES));
    tarn_tasks_init(&rig.tasks);
    tarn_random_seeded_init(&rig.random, 1);
    require(tarn_pkt_pool_init(&rig.pkts, &rig.arena.alloc, &counts) == TARN_OK);
    struct tarn_tcp_config config = {
        .alloc = &rig.arena.alloc,
        .random = &rig.random.random,
        .tasks = &rig.tasks,
        .pkts = &rig.pkts,
        .lower = &rig.lower,
        .limits = {.connections_max = 8,
                   .listeners_max = 2,
                   .syn_queue_max = 2,
                   .memory_bytes = 1 << 18,
                   .rcv_buf_bytes_max = 1 << 16},
    };
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, 80};
    struct tarn_endpoint remote = {TARN_IP_ADDR_V4(10, 0, 0, 2), 443};
    require(tarn_tcp_new(&config, &rig.tcp) == TARN_OK);
    require(tarn_tcp_listen(rig.tcp, &local, 4, &l) == TARN_OK);
    require(tarn_tcp_connect(rig.tcp, NULL, &remote, rig.now, &rig.flows[0]) == TARN_OK);
    turn(&rig);
    play(&rig, l, tarn_span_of(data, size));
    end(&rig, l);
    free(memory);
    return 0;
}
