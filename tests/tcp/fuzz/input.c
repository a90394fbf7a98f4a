/* SPDX-License-Identifier: ISC */
/* One TCP that listens, has asked for a connection and has an established one; the input is the
 * rest of the world. Its first byte chooses options; then a record is an operation, a variant, and
 * for segments a length and the bytes, whose sequence and acknowledgment numbers may count from the
 * connection's own, so that they lie in its window. Whatever comes, the limits hold, the loop comes
 * to rest, and in the end everything is given back. */
#include "world.h"

#define RECORDS_MAX 64
#define LISTEN_PORT 80u
#define PEER_PORT 5555u

enum { LISTENER, SYN_SENT, ESTABLISHED, ACCEPTED, STRANGER, PLACES };

/* A four-tuple, and where its two streams are as the segments sent on it say. */
struct place {
    struct tarn_flow *flow;
    uint32_t local_port, remote_port;
    uint32_t snd_nxt, rcv_nxt; /* of our TCP */
};
static struct place places[PLACES];
static struct host host;
static struct tarn_listener *all; /* NULL: nobody stands in */
static struct tarn_handle last_call;
static struct tarn_listener *listener;
static tarn_time now;
static const struct tarn_ip_addr peer = TARN_IP_ADDR_V4(10, 0, 0, 2);

static void sent(struct host *from, const uint8_t *tcp, size_t len) {
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    (void)from;
    must(len <= MTU - 20);
    for (unsigned i = 0; i < PLACES; i++) {
        struct place *p = &places[i];
        uint32_t ports = get32(tcp);
        if (p->local_port == 0 && (ports & 0xffff) == p->remote_port)
            p->local_port = ports >> 16; /* as our TCP chose it */
        if (ports != (p->local_port << 16 | p->remote_port) || tcp[13] & 4)
            continue;
        p->snd_nxt =
            get32(tcp + 4) + (uint32_t)(len - header) + (tcp[13] & 1u) + (tcp[13] >> 1 & 1u);
        if (tcp[13] & 16)
            p->rcv_nxt = get32(tcp + 8);
    }
}

static void segment(const struct place *p, uint8_t how, uint8_t *tcp, size_t len) {
    if (len >= 20) {
        put16(tcp, p->remote_port);
        put16(tcp + 2, p->local_port);
        if (how & 1)
            put32(tcp + 4, get32(tcp + 4) + p->rcv_nxt);
        if (how & 2)
            put32(tcp + 8, get32(tcp + 8) + p->snd_nxt);
        if (!(how & 4))
            seal(&peer, &host.addr, tcp, len);
    }
    host_input(&host, &peer, tcp, len, how >> 6, now);
}

/* A segment of our peer's that is as it should be. */
static void good(const struct place *p, uint8_t flags) {
    uint8_t tcp[24] = {[12] = 0x60, [13] = flags, [14] = 0xff, [20] = 2, 4, 5, 180};
    segment(p, 3, tcp, sizeof tcp);
    host_turn(&host, now);
}

static void begin(uint8_t options) {
    memset(places, 0, sizeof places);
    all = NULL;
    last_call = TARN_HANDLE_NONE;
    now = TARN_SEC(1000);
    host_init(&host, 1, options);
    must(!tarn_tcp_listen(host.tcp, &(struct tarn_endpoint){TARN_IP_ADDR_NONE, LISTEN_PORT}, 2,
                          &listener));
    if (options & 0x80)
        must(!tarn_tcp_listen_all(host.tcp, 2, &all));
    for (unsigned i = 0; i < PLACES; i++)
        places[i].remote_port = PEER_PORT + i;
    places[LISTENER].local_port = places[ACCEPTED].local_port = LISTEN_PORT;
    places[STRANGER].local_port = 4;
    places[STRANGER].remote_port = 4;
    for (unsigned i = SYN_SENT; i <= ESTABLISHED; i++) {
        struct tarn_endpoint remote = {peer, (uint16_t)(PEER_PORT + i)};
        size_t n;
        must(!tarn_tcp_connect_with(host.tcp, NULL, &remote, TARN_SPAN_LIT("early"), now,
                                    &places[i].flow, &n));
    }
    host_turn(&host, now);
    good(&places[ESTABLISHED], 0x12);
    good(&places[ACCEPTED], 2);
    good(&places[ACCEPTED], 16);
    must(!tarn_listener_accept(listener, &places[ACCEPTED].flow));
}

static void accept_one(struct place *p) {
    struct tarn_flow *flow;
    if (!listener || tarn_listener_accept(listener, &flow))
        return;
    if (p->flow)
        tarn_flow_abort(flow);
    else
        p->flow = flow;
}

/* Handshakes in another host's place: the oldest, answered, or an old one again. */
static void answer_call(uint8_t how) {
    struct tarn_tcp_call call;
    struct tarn_flow *flow;
    if (!all)
        return;
    if (!tarn_tcp_call(all, &call))
        last_call = call.handle;
    (void)!tarn_tcp_answer(host.tcp, last_call, (enum tarn_tcp_answer)(how % 3), now);
    if (!tarn_listener_accept(all, &flow))
        tarn_flow_abort(flow);
}

static void call(struct place *p, uint8_t op, uint8_t how) {
    static uint8_t bytes[4096];
    struct tarn_bytes some;
    size_t n;
    struct tarn_flow *flow = p->flow;
    if (!flow)
        return;
    switch (op) {
    case 0: (void)!tarn_flow_read(flow, tarn_bytes_of(bytes, how * 16u + 1), &n); break;
    case 1:
        if (!tarn_flow_peek(flow, &some))
            tarn_flow_consume(flow, how & 1 ? some.len : 1);
        break;
    case 2: (void)!tarn_flow_write(flow, tarn_span_of(bytes, how * 16u + 1), &n); break;
    case 3: (void)!tarn_flow_lend(flow, tarn_span_of(bytes, how * 16u + 1), NULL, &n); break;
    case 4: tarn_flow_shutdown(flow); break;
    case 5:
        tarn_flow_close(flow);
        p->flow = NULL;
        break;
    case 6:
        tarn_flow_abort(flow);
        p->flow = NULL;
        break;
    default:
        (void)!tarn_tcp_set_nodelay(flow, how & 1);
        (void)!tarn_tcp_set_keepalive(flow, TARN_SEC(how >> 1), TARN_SEC(1), 3);
    }
}

static void icmp(const struct place *p, uint8_t how, const uint8_t *quoted, size_t len) {
    struct tarn_ip_meta meta = {.src = host.addr, .dst = peer, .proto = TARN_IP_PROTO_TCP};
    uint8_t bytes[256];
    memcpy(bytes, quoted, len);
    if (len >= 8) {
        put32(bytes, p->local_port << 16 | p->remote_port);
        if (how & 1)
            put32(bytes + 4, p->snd_nxt - 1 - bytes[7]);
    }
    tarn_tcp_error(host.tcp, &meta, (enum tarn_ip_error)(how >> 1 & 7) % 6, (how >> 4) * 64u,
                   tarn_span_of(bytes, len), now);
}

static void end(void) {
    struct tarn_flow *flow;
    for (unsigned i = 0; i < PLACES; i++)
        if (places[i].flow)
            tarn_flow_abort(places[i].flow);
    while (listener && !tarn_listener_accept(listener, &flow))
        tarn_flow_abort(flow);
    if (listener)
        tarn_listener_close(listener);
    if (all)
        tarn_listener_close(all);
    host_run(&host, &now, TARN_NEVER);
    host_end(&host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span in = tarn_span_of(data, size);
    uint8_t op, how, len, options = 0;
    (void)!tarn_span_u8(&in, &options);
    begin(options);
    for (unsigned i = 0; i < RECORDS_MAX && tarn_span_u8(&in, &op) && tarn_span_u8(&in, &how);
         i++) {
        struct place *p = &places[(op >> 4) % PLACES];
        uint8_t bytes[1 + 255];
        size_t got = 0;
        if (op % 16 < 7) {
            got = tarn_span_u8(&in, &len) ? TARN_MIN((size_t)len, in.len) : 0;
            memcpy(bytes, in.ptr, got);
            in = tarn_span_after(in, got);
        }
        switch (op % 16) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5: segment(p, how, bytes, got); break;
        case 6: icmp(p, how, bytes, got); break;
        case 7: host_run(&host, &now, now + (tarn_time)how * how * TARN_MS(8)); break;
        default: call(p, op % 8, how); break;
        }
        if (how & 8) /* otherwise in one batch with the next */
            host_turn(&host, now);
        if (how & 16)
            accept_one(p);
        if (how & 32)
            answer_call(op);
    }
    end();
    return 0;
}
