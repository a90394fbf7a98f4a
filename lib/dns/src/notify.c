/* SPDX-License-Identifier: ISC */
#include <tarn/dns_notify.h>
#include <tarn/pool.h>
#include <tarn/timer.h>

#define PENDING_DEFAULT 64u
#define MESSAGE_BYTES 1024u
#define TURN_MAX 32u

struct pending {
    struct tarn_dns_notifier *notifier;
    struct tarn_dns_name origin;
    struct tarn_timer timer;
    struct tarn_dns_tsig tsig; /* of the newest message */
    unsigned target, tries;
    uint16_t id;
};
struct tarn_dns_notifier {
    struct tarn_dns_notifier_config config;
    struct tarn_datagram *udp;
    struct tarn_pool pending;
    struct tarn_timers timers;
    struct tarn_dns_notifier_stats stats;
};

static uint64_t wall_seconds(const struct tarn_dns_notifier *n) {
    return tarn_clock_wall_ns(n->config.clock) / 1000000000u;
}

static const struct tarn_endpoint *target_of(const struct tarn_dns_notifier *n, unsigned i) {
    return &TARN_AT(n->config.targets, i);
}

static void drop(struct pending *p) {
    struct tarn_dns_notifier *n = p->notifier;
    tarn_timer_clear(&n->timers, &p->timer);
    tarn_pool_put(&n->pending, p);
}

static void send(struct pending *p) {
    struct tarn_dns_notifier *n = p->notifier;
    uint8_t buf[MESSAGE_BYTES];
    struct tarn_dns_builder b;
    struct tarn_datagram_info to = {.remote = *target_of(n, p->target)};
    struct tarn_span message = TARN_SPAN_EMPTY;
    tarn_dns_build(&b, TARN_BYTES_ARRAY(buf), p->id, TARN_DNS_NOTIFY << 11 | TARN_DNS_AA);
    bool ok = tarn_dns_put_question(&b, tarn_dns_name_span(&p->origin), TARN_DNS_SOA, TARN_DNS_IN);
    tarn_dns_tsig_start(&p->tsig, n->config.key);
    if (ok && n->config.key)
        ok = tarn_dns_tsig_sign(&p->tsig, &b, wall_seconds(n), &message);
    else
        message = tarn_dns_finish(&b);
    /* What cannot be sent now is as good as lost on the way, and tried again. */
    if (ok && !tarn_datagram_send(n->udp, &to, message))
        n->stats.sent++;
    tarn_time pause = TARN_DNS_NOTIFY_PAUSE << p->tries;
    p->tries++;
    tarn_timer_set(&n->timers, &p->timer, tarn_time_after(tarn_clock_now(n->config.clock), pause));
}

static struct pending *find(struct tarn_dns_notifier *n, struct tarn_span origin, unsigned target) {
    uint32_t cursor = 0;
    for (struct pending *p; (p = tarn_pool_next(&n->pending, &cursor)) != NULL;)
        if (p->target == target && tarn_dns_name_equal(tarn_dns_name_span(&p->origin), origin))
            return p;
    return NULL;
}

void tarn_dns_notifier_changed(struct tarn_dns_notifier *n, struct tarn_span origin) {
    for (unsigned i = 0; i < n->config.target_count; i++) {
        struct pending *p = find(n, origin, i);
        if (!p) {
            p = tarn_pool_take(&n->pending);
            if (!p) {
                n->stats.untold++;
                continue;
            }
            *p = (struct pending){.notifier = n, .target = i};
            tarn_dns_name_copy(&p->origin, origin);
        }
        p->tries = 0;
        p->id = (uint16_t)tarn_random_u32(n->config.random);
        send(p);
    }
}

void tarn_dns_notifier_tick(struct tarn_dns_notifier *n, tarn_time now) {
    for (struct tarn_timer *t; (t = tarn_timers_pop(&n->timers, now)) != NULL;) {
        struct pending *p = TARN_CONTAINER_OF(t, struct pending, timer);
        if (p->tries < TARN_DNS_NOTIFY_TRIES) {
            send(p);
        } else {
            n->stats.given_up++;
            drop(p);
        }
    }
}

tarn_time tarn_dns_notifier_deadline(const struct tarn_dns_notifier *n) {
    return tarn_timers_next(&n->timers);
}

/* RFC 1996 section 4.8: whatever the code is, it was heard. */
static bool answers(struct pending *p, struct tarn_span message, const struct tarn_endpoint *from) {
    struct tarn_dns_notifier *n = p->notifier;
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    const struct tarn_endpoint *target = target_of(n, p->target);
    if (!tarn_dns_reader_init(&r, message) || r.header.id != p->id
        || !(r.header.flags & TARN_DNS_QR) || TARN_DNS_OPCODE(r.header.flags) != TARN_DNS_NOTIFY
        || from->port != target->port || !tarn_ip_addr_equal(&from->addr, &target->addr))
        return false;
    if (tarn_dns_read_question(&r, &q) == TARN_OK
        && !tarn_dns_name_equal(tarn_dns_name_span(&q.name), tarn_dns_name_span(&p->origin)))
        return false;
    struct tarn_dns_tsig tsig = p->tsig;
    return !n->config.key || !tarn_dns_tsig_verify(&tsig, NULL, 0, message, wall_seconds(n));
}

static void read_answer(struct tarn_dns_notifier *n, struct tarn_span message,
                        const struct tarn_endpoint *from) {
    uint32_t cursor = 0;
    for (struct pending *p; (p = tarn_pool_next(&n->pending, &cursor)) != NULL;)
        if (answers(p, message, from)) {
            n->stats.answered++;
            drop(p);
            return;
        }
}

static void udp_event(struct tarn_datagram *udp, unsigned events) {
    struct tarn_dns_notifier *n = udp->user;
    struct tarn_datagram_info from;
    struct tarn_bytes message;
    enum tarn_err err;
    (void)events;
    while ((err = tarn_datagram_peek(udp, &message, &from)) != TARN_AGAIN) {
        if (err)
            continue; /* an ICMP error, told once */
        read_answer(n, tarn_bytes_span(message), &from.remote);
        tarn_datagram_consume(udp);
    }
}

enum tarn_err tarn_dns_notifier_new(const struct tarn_dns_notifier_config *config,
                                    struct tarn_dns_notifier **out) {
    struct tarn_datagram_config local = {.local = {TARN_IP_ADDR_NONE, 0}};
    struct tarn_dns_notifier *n = TARN_NEW(config->alloc, struct tarn_dns_notifier);
    TARN_ASSERT(config->target_count <= TARN_DNS_NOTIFY_TARGETS_MAX);
    if (!n)
        return TARN_LIMIT;
    n->config = *config;
    if (!n->config.pending_max)
        n->config.pending_max = PENDING_DEFAULT;
    enum tarn_err err = tarn_pool_init(&n->pending, config->alloc, sizeof(struct pending),
                                       _Alignof(struct pending), n->config.pending_max);
    if (!err)
        err = tarn_timers_init(&n->timers, config->alloc, n->config.pending_max);
    if (!err)
        err = tarn_net_datagram(config->net, &local, &n->udp);
    if (err) {
        tarn_dns_notifier_free(n);
        return err;
    }
    n->udp->user = n;
    n->udp->on_event = udp_event;
    *out = n;
    return TARN_OK;
}

void tarn_dns_notifier_free(struct tarn_dns_notifier *n) {
    struct tarn_alloc *alloc = n->config.alloc;
    uint32_t cursor = 0;
    for (struct pending *p; n->udp && (p = tarn_pool_next(&n->pending, &cursor)) != NULL;)
        drop(p);
    if (n->udp)
        tarn_datagram_close(n->udp);
    if (n->timers.heap)
        tarn_timers_fini(&n->timers, alloc);
    tarn_pool_fini(&n->pending, alloc);
    tarn_alloc_put(alloc, n, sizeof *n);
}

void tarn_dns_notifier_stats(const struct tarn_dns_notifier *n,
                             struct tarn_dns_notifier_stats *out) {
    *out = n->stats;
}
