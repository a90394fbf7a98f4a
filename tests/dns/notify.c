/* SPDX-License-Identifier: ISC */
/* NOTIFY going out (RFC 1996), in virtual time. */
#include "serve.h"
#include <criterion/criterion.h>
#include <tarn/dns_notify.h>

static tarn_time now;
static tarn_time clock_now(struct tarn_clock *c) {
    (void)c;
    return now;
}
static uint64_t clock_wall(struct tarn_clock *c) {
    (void)c;
    return 1700000000000000000u + now;
}
static struct tarn_clock clock_of = {&(struct tarn_clock_ops){clock_now, clock_wall}};

/* What was sent last, how often, and what waits to be read. */
static struct {
    struct tarn_datagram d;
    struct tarn_datagram_info to, from;
    uint8_t sent[1024], waiting[1024];
    size_t sent_len, waiting_len;
    unsigned count[3];
} udp;

static enum tarn_err udp_send(struct tarn_datagram *d, const struct tarn_datagram_info *to,
                              const struct tarn_span *v, size_t nv) {
    (void)d;
    cr_assert(nv == 1 && to->remote.port < 3);
    udp.to = *to;
    udp.count[to->remote.port]++;
    udp.sent_len = tarn_bytes_copy(TARN_BYTES_ARRAY(udp.sent), *v);
    return TARN_OK;
}
static enum tarn_err udp_peek(struct tarn_datagram *d, struct tarn_bytes *out,
                              struct tarn_datagram_info *info) {
    (void)d;
    *out = tarn_bytes_of(udp.waiting, udp.waiting_len);
    *info = udp.from;
    return udp.waiting_len ? TARN_OK : TARN_AGAIN;
}
static void udp_consume(struct tarn_datagram *d) {
    (void)d;
    udp.waiting_len = 0;
}
static void udp_close(struct tarn_datagram *d) {
    (void)d;
}
static const struct tarn_datagram_ops udp_ops = {
    .send = udp_send, .peek = udp_peek, .consume = udp_consume, .close = udp_close};
static enum tarn_err net_datagram(struct tarn_net *net, const struct tarn_datagram_config *config,
                                  struct tarn_datagram **out) {
    (void)net, (void)config;
    udp.d.ops = &udp_ops;
    *out = &udp.d;
    return TARN_OK;
}
static const struct tarn_net_ops net_ops = {.datagram = net_datagram};
static struct tarn_net net = {.ops = &net_ops};

static struct memory mem;
static struct tarn_random_seeded seed;
static struct tarn_dns_notifier *notifier;
static struct tarn_dns_tsig_key key;

static void start(const struct tarn_dns_tsig_key *with, uint32_t pending_max) {
    struct tarn_dns_notifier_config c = {
        .alloc = &mem.alloc,
        .random = &seed.random,
        .net = &net,
        .clock = &clock_of,
        .targets = {{TARN_IP_ADDR_V4(192, 0, 2, 1), 1}, {TARN_IP_ADDR_V4(192, 0, 2, 2), 2}},
        .target_count = 2,
        .key = with,
        .pending_max = pending_max};
    mem = MEMORY(1 << 20);
    memset(&udp, 0, sizeof udp);
    tarn_random_seeded_init(&seed, 1);
    now = TARN_SEC(1);
    cr_assert_eq(tarn_dns_notifier_new(&c, &notifier), TARN_OK);
}
static void end(void) {
    tarn_dns_notifier_free(notifier);
    cr_assert_eq(mem.bytes, 0);
}
/* To the next deadline; false: there is none. */
static bool wait_next(void) {
    tarn_time at = tarn_dns_notifier_deadline(notifier);
    if (at == TARN_NEVER)
        return false;
    cr_assert_gt(at, now);
    now = at;
    tarn_dns_notifier_tick(notifier, now);
    return true;
}
static void answer(struct tarn_span message, unsigned target) {
    udp.from = (struct tarn_datagram_info){
        .remote = {TARN_IP_ADDR_V4(192, 0, 2, (uint8_t)target), (uint16_t)target}};
    udp.waiting_len = tarn_bytes_copy(TARN_BYTES_ARRAY(udp.waiting), message);
    udp.d.on_event(&udp.d, TARN_DATAGRAM_READABLE);
}
static struct tarn_dns_notifier_stats stats(void) {
    struct tarn_dns_notifier_stats st;
    tarn_dns_notifier_stats(notifier, &st);
    return st;
}

Test(rfc1996, section_3_6_is_sent_again_until_it_is_given_up) {
    start(NULL, 0);
    tarn_dns_notifier_changed(notifier, wire_of("example."));
    cr_assert(udp.count[1] == 1 && udp.count[2] == 1);
    cr_assert_eq(memcmp(udp.sent + 2, "\x24\0\0\1\0\0\0\0\0\0\7example\0\0\6\0\1", 23), 0);
    while (wait_next())
        ;
    cr_assert(udp.count[1] == 6 && udp.count[2] == 6);
    cr_assert_eq(now, TARN_SEC(1 + 3 * 63));
    cr_assert(stats().given_up == 2 && stats().sent == 12);
    end();
}

Test(rfc1996, section_4_7_an_answer_ends_it) {
    start(NULL, 0);
    tarn_dns_notifier_changed(notifier, wire_of("example."));
    udp.sent[2] |= 0x80;
    struct tarn_span reply = tarn_span_of(udp.sent, udp.sent_len);
    answer(reply, 1);
    cr_assert_eq(stats().answered, 0, "that is another's id");
    udp.sent[1] ^= 1;
    answer(reply, 2);
    cr_assert_eq(stats().answered, 0, "another id");
    udp.sent[1] ^= 1;
    udp.sent[2] ^= 0x80;
    answer(reply, 2);
    cr_assert_eq(stats().answered, 0, "no answer");
    udp.sent[2] ^= 0x80;
    answer(reply, 2);
    cr_assert_eq(stats().answered, 1);
    while (wait_next())
        ;
    cr_assert(udp.count[1] == 6 && udp.count[2] == 1);
    end();
}

Test(rfc1996, a_change_meanwhile_starts_anew) {
    start(NULL, 0);
    tarn_dns_notifier_changed(notifier, wire_of("example."));
    uint16_t id = (uint16_t)(udp.sent[0] << 8 | udp.sent[1]);
    wait_next();
    tarn_dns_notifier_changed(notifier, wire_of("EXAMPLE."));
    cr_assert_neq((uint16_t)(udp.sent[0] << 8 | udp.sent[1]), id,
                  "an answer to the old one is none");
    while (wait_next())
        ;
    cr_assert_eq(udp.count[1] + udp.count[2], 2 + 2 * 6 + 1 + 1);
    end();
}

Test(rfc1996, bounded_and_signed) {
    cr_assert(
        tarn_dns_tsig_key_parse(TARN_SPAN_LIT("hmac-sha256:k.:AAECAwQFBgcICQoLDA0ODw=="), &key));
    start(&key, 2);
    tarn_dns_notifier_changed(notifier, wire_of("a."));
    tarn_dns_notifier_changed(notifier, wire_of("b."));
    cr_assert(udp.count[1] == 1 && udp.count[2] == 1 && stats().untold == 2);
    struct tarn_dns_tsig t = {0};
    struct tarn_span sent = tarn_span_of(udp.sent, udp.sent_len), reply;
    uint64_t wall = clock_wall(NULL) / 1000000000u;
    cr_assert_eq(tarn_dns_tsig_verify(&t, &key, 1, sent, wall), TARN_OK);
    struct tarn_dns_builder b;
    uint8_t out[600];
    for (int sign = 0; sign < 2; sign++) {
        tarn_dns_build(&b, TARN_BYTES_ARRAY(out), (uint16_t)(udp.sent[0] << 8 | udp.sent[1]),
                       0xa400);
        cr_assert(tarn_dns_put_question(&b, wire_of("a."), TARN_DNS_SOA, TARN_DNS_IN));
        reply = tarn_dns_finish(&b);
        cr_assert(!sign || tarn_dns_tsig_sign(&t, &b, wall, &reply));
        answer(reply, 2);
        cr_assert_eq(stats().answered, sign);
    }
    end();
}
