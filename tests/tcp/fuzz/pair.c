/* SPDX-License-Identifier: ISC */
/* Two TCPs and a wire that does to segments what the input says: a byte for each host's options,
 * then records of an operation and a variant. Whatever is lost, doubled, moved, broken or late,
 * what is read is a prefix of what the other side wrote; once the wire is good again and both have
 * shut down, it is all of it; and in the end everything is given back. */
#include "world.h"

#define RECORDS_MAX 64
#define WIRE_MAX 48
#define STREAM_BYTES (32u << 10)

struct on_wire {
    unsigned to;
    size_t len;
    uint8_t bytes[MTU];
};
static struct on_wire wire[WIRE_MAX];
static unsigned wire_count;
static struct host hosts[2];
static struct tarn_flow *flows[2];
static struct tarn_listener *listener;
static size_t written[2], was_read[2];
static bool failed[2], ended[2];
static uint8_t stream[2][STREAM_BYTES];
static tarn_time now;

static void sent(struct host *from, const uint8_t *tcp, size_t len) {
    if (wire_count == WIRE_MAX)
        return;
    struct on_wire *w = &wire[wire_count++];
    must(len <= MTU - 20);
    w->to = from == &hosts[0];
    w->len = len;
    memcpy(w->bytes, tcp, len);
}

static struct on_wire take(unsigned i) {
    struct on_wire w = wire[i];
    memmove(&wire[i], &wire[i + 1], (wire_count - i - 1) * sizeof w);
    wire_count--;
    return w;
}

static void last(struct on_wire w) {
    wire[wire_count++] = w;
}

static void turn(void) {
    for (unsigned i = 0; i < 2; i++)
        host_turn(&hosts[i], now);
    if (listener && !flows[1] && !tarn_listener_accept(listener, &flows[1])) {
        tarn_listener_close(listener);
        listener = NULL;
        host_turn(&hosts[1], now);
    }
}

static void deliver(uint8_t tos) {
    struct on_wire w = take(0);
    host_input(&hosts[w.to], &hosts[1 - w.to].addr, w.bytes, w.len, tos, now);
}

static void read_some(unsigned i, size_t n) {
    struct tarn_bytes got;
    enum tarn_err err = TARN_OK;
    while (flows[i] && n > 0 && !(err = tarn_flow_peek(flows[i], &got))) {
        size_t some = TARN_MIN(n, got.len);
        must(some > 0 && was_read[i] + some <= written[1 - i]);
        must(memcmp(got.ptr, stream[1 - i] + was_read[i], some) == 0);
        tarn_flow_consume(flows[i], some);
        was_read[i] += some;
        n -= some;
    }
    ended[i] = ended[i] || err == TARN_EOF;
    failed[i] = failed[i] || err == TARN_PEER || err == TARN_IO;
}

static void write_some(unsigned i, size_t n, bool lend) {
    struct tarn_span data = {stream[i] + written[i], TARN_MIN(n, STREAM_BYTES - written[i])};
    enum tarn_err err;
    if (!flows[i] || data.len == 0)
        return;
    err = lend ? tarn_flow_lend(flows[i], data, NULL, &n) : tarn_flow_write(flows[i], data, &n);
    written[i] += err ? 0 : n;
}

/* Time passes, and the wire, 10 ms long, is good. */
static void good_wire(tarn_time until, bool reading) {
    for (unsigned rounds = 0; rounds < 4000; rounds++) {
        turn();
        for (unsigned i = 0; reading && i < 2; i++)
            read_some(i, STREAM_BYTES);
        turn();
        tarn_time next = TARN_MIN(tarn_tcp_deadline(hosts[0].tcp), tarn_tcp_deadline(hosts[1].tcp));
        if (wire_count)
            next = TARN_MIN(next, now + TARN_MS(10));
        if (next > until || next == TARN_NEVER)
            return;
        now = TARN_MAX(now, next);
        for (unsigned n = wire_count; n > 0; n--)
            deliver(0);
    }
    must(until != TARN_NEVER); /* two that have shut down come to an end */
}

static void record(uint8_t op, uint8_t how) {
    unsigned at = wire_count ? how % wire_count : 0, side = how & 1;
    if (op % 16 < 7 && wire_count == 0)
        return;
    switch (op % 16) {
    case 0: take(at); break;
    case 1:
        if (wire_count < WIRE_MAX)
            wire[wire_count++] = wire[at];
        break;
    case 2: last(take(at)); break;
    case 3:
        wire[at].bytes[(size_t)(op >> 4) * how % wire[at].len] ^= (uint8_t)(1 << (how & 7));
        break;
    case 4:
    case 5:
    case 6:
        for (unsigned n = 1u + (op >> 4); n > 0 && wire_count; n--)
            deliver(how & 3);
        break;
    case 7: now += (tarn_time)how * how * TARN_US(500); break;
    case 8:
    case 9: good_wire(now + (tarn_time)how * TARN_MS(10), op & 16); break;
    case 10: write_some(side, how * 24u, false); break;
    case 11: write_some(side, how * 24u, true); break;
    case 12: read_some(side, how * 24u); break;
    case 13:
        if (flows[side])
            (void)!tarn_tcp_set_nodelay(flows[side], how & 2);
        break;
    case 14:
        if (flows[side])
            tarn_flow_shutdown(flows[side]);
        break;
    default:
        if (!flows[side] || how % 16 > 3)
            break;
        (how & 2 ? tarn_flow_close : tarn_flow_abort)(flows[side]);
        flows[side] = NULL;
        failed[0] = failed[1] = true; /* nobody is owed the rest */
    }
}

static void end(void) {
    for (unsigned i = 0; i < 2; i++)
        if (flows[i])
            tarn_flow_shutdown(flows[i]);
    good_wire(now + TARN_SEC(200), true);
    for (unsigned i = 0; flows[1] && i < 2; i++) /* accepted after the other had shut down */
        if (flows[i])
            tarn_flow_shutdown(flows[i]);
    good_wire(now + TARN_SEC(1200), true);
    for (unsigned i = 0; i < 2; i++) {
        must(failed[0] || failed[1] || (ended[i] && was_read[i] == written[1 - i]));
        if (flows[i])
            tarn_flow_abort(flows[i]);
        flows[i] = NULL;
    }
    if (listener)
        tarn_listener_close(listener);
    listener = NULL;
    good_wire(TARN_NEVER, false);
    host_end(&hosts[0]);
    host_end(&hosts[1]);
}

static void fill_streams(void) {
    for (unsigned i = 0; i < 2 && !stream[1][0]; i++)
        for (size_t b = 0; b < STREAM_BYTES; b++)
            stream[i][b] = (uint8_t)(b * 31 + (b >> 8) * 7 + i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span in = tarn_span_of(data, size);
    uint8_t op = 0, how = 0;
    fill_streams();
    now = TARN_SEC(1000);
    wire_count = 0;
    for (unsigned i = 0; i < 2; i++) {
        (void)!tarn_span_u8(&in, &op);
        host_init(&hosts[i], (uint8_t)(1 + i), op);
        written[i] = was_read[i] = 0;
        failed[i] = ended[i] = false;
        flows[i] = NULL;
    }
    must(!tarn_tcp_listen(hosts[1].tcp, &(struct tarn_endpoint){TARN_IP_ADDR_NONE, 80}, 1,
                          &listener));
    must(!tarn_tcp_connect(hosts[0].tcp, NULL, &(struct tarn_endpoint){hosts[1].addr, 80}, now,
                           &flows[0]));
    turn();
    for (unsigned i = 0; i < RECORDS_MAX && tarn_span_u8(&in, &op) && tarn_span_u8(&in, &how);
         i++) {
        record(op, how);
        turn();
    }
    end();
    return 0;
}
