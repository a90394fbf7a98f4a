/* SPDX-License-Identifier: ISC */
#include <tarn/dns_secondary.h>
#include <tarn/dns_stream.h>

#define MEMORY_MAX_DEFAULT (1ull << 30)
#define TRANSFER_DEFAULT TARN_SEC(30)
/* Until there is a first SOA that says; and bounds for what one says. */
#define RETRY_FIRST_SECONDS 5u
#define RETRY_FIRST_SECONDS_MAX 600u
#define SECONDS_MIN 1u
#define SECONDS_MAX (14u * 86400)
#define REQUEST_BYTES 600u

struct tarn_dns_secondary {
    struct tarn_dns_secondary_config config;
    struct tarn_dns_name origin;
    const struct tarn_dns_zone *zone; /* the caller's, that it got last */
    struct tarn_dns_xfr xfr;
    struct tarn_dns_stream stream; /* without a flow: no transfer */
    unsigned primary, failures;
    bool whole_next, look_again;
    uint32_t refresh, retry, expire;  /* seconds */
    tarn_time at, expires_at, silent; /* the next look; the copy's end; the transfer's end */
    tarn_time now;                    /* of the last tick, or event */
    uint8_t out[2 + REQUEST_BYTES], in[2 + TARN_DNS_MESSAGE_MAX];
};

static void log_line(struct tarn_dns_secondary *s, const char *what, const char *why) {
    char text[400];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (!tarn_log_wants(s->config.log, TARN_LOG_INFO))
        return;
    tarn_dns_name_print(&w, tarn_dns_name_span(&s->origin));
    tarn_writer_str(&w, what);
    tarn_writer_str(&w, why ? why : "");
    tarn_log_line(s->config.log, TARN_LOG_INFO, "dns", tarn_writer_span(&w));
}

static uint64_t wall_seconds(struct tarn_dns_secondary *s) {
    return s->config.key ? tarn_clock_wall_ns(s->config.clock) / 1000000000u : 0;
}

static uint32_t bounded(uint32_t seconds) {
    return TARN_MIN(TARN_MAX(seconds, SECONDS_MIN), SECONDS_MAX);
}

static void read_times(struct tarn_dns_secondary *s, const struct tarn_dns_zone *zone) {
    struct tarn_dns_record soa;
    struct tarn_span name;
    uint32_t serial, refresh, retry, expire;
    if (!tarn_dns_zone_get(zone, tarn_dns_name_span(&s->origin), TARN_DNS_SOA, 0, &soa)
        || !tarn_dns_name_take(&soa.rdata, &name) || !tarn_dns_name_take(&soa.rdata, &name)
        || !tarn_span_u32be(&soa.rdata, &serial) || !tarn_span_u32be(&soa.rdata, &refresh)
        || !tarn_span_u32be(&soa.rdata, &retry) || !tarn_span_u32be(&soa.rdata, &expire))
        return;
    s->refresh = bounded(refresh);
    s->retry = bounded(retry);
    s->expire = bounded(expire);
}

static void close_flow(struct tarn_dns_secondary *s) {
    if (s->stream.flow)
        tarn_dns_stream_end(&s->stream, true);
    tarn_dns_xfr_fini(&s->xfr);
}

/* The next look is at the next primary: at once where IXFR was the problem. */
static void failed(struct tarn_dns_secondary *s, enum tarn_err err, const char *why) {
    bool at_once = err == TARN_UNSUPPORTED && !s->whole_next;
    close_flow(s);
    s->whole_next = at_once;
    if (at_once) {
        s->at = s->now;
        return;
    }
    log_line(s, " cannot be transferred: ", why ? why : tarn_err_name(err));
    s->primary = (s->primary + 1) % s->config.primary_count;
    s->failures++;
    uint32_t first = TARN_MIN(RETRY_FIRST_SECONDS * s->failures, RETRY_FIRST_SECONDS_MAX);
    s->at = tarn_time_after(s->now, TARN_SEC(s->zone ? s->retry : first));
}

static void succeeded(struct tarn_dns_secondary *s) {
    struct tarn_dns_zone *zone = s->xfr.zone;
    s->xfr.zone = NULL;
    close_flow(s);
    s->whole_next = false;
    s->failures = 0;
    if (zone) {
        read_times(s, zone);
        s->zone = zone;
        log_line(s, " has come", NULL);
        s->config.on_zone(s->config.user, zone);
    }
    s->expires_at = tarn_time_after(s->now, TARN_SEC(s->expire));
    s->at = s->look_again ? s->now : tarn_time_after(s->now, TARN_SEC(s->refresh));
    s->look_again = false;
}

/* TARN_AGAIN: a message is not whole yet. */
static enum tarn_err take_message(struct tarn_dns_secondary *s) {
    struct tarn_span message;
    if (!tarn_dns_stream_peek(&s->stream, &message))
        return TARN_AGAIN;
    enum tarn_err err = tarn_dns_xfr_input(&s->xfr, wall_seconds(s), message);
    tarn_dns_stream_drop(&s->stream);
    return err == TARN_AGAIN ? TARN_EOF : err; /* EOF: with this message */
}

static void run(struct tarn_dns_secondary *s) {
    enum tarn_err err = tarn_dns_stream_write(&s->stream);
    while (!err || err == TARN_EOF) {
        while ((err = take_message(s)) == TARN_EOF)
            ;
        if (err != TARN_AGAIN)
            break;
        err = tarn_dns_stream_read(&s->stream);
        if (err == TARN_EOF) {
            failed(s, TARN_PEER, "it ends too early");
            return;
        }
        if (!err)
            s->silent = tarn_time_after(s->now, s->config.transfer_ns);
    }
    if (err == TARN_AGAIN)
        return;
    if (err)
        failed(s, err, s->xfr.why);
    else
        succeeded(s);
}

static void flow_event(struct tarn_flow *flow, unsigned events) {
    (void)events;
    run(flow->user);
}

static void look(struct tarn_dns_secondary *s) {
    const struct tarn_dns_secondary_config *c = &s->config;
    struct tarn_span request;
    tarn_dns_xfr_init(&s->xfr, c->alloc, c->random, tarn_dns_name_span(&s->origin),
                      s->whole_next ? NULL : s->zone, c->memory_max, c->key);
    tarn_dns_stream_init(&s->stream, NULL, NULL, TARN_BYTES_ARRAY(s->in), TARN_BYTES_ARRAY(s->out));
    s->silent = tarn_time_after(s->now, c->transfer_ns);
    s->at = TARN_NEVER;
    if (!tarn_dns_xfr_request(&s->xfr, wall_seconds(s), tarn_dns_stream_room(&s->stream),
                              &request)) {
        failed(s, TARN_LIMIT, "the request does not fit");
        return;
    }
    tarn_dns_stream_made(&s->stream, request.len);
    enum tarn_err err =
        tarn_net_connect(c->net, &TARN_AT(c->primaries, s->primary), &s->stream.flow);
    if (err) {
        s->stream.flow = NULL;
        failed(s, err, "no connection");
        return;
    }
    s->stream.flow->user = s;
    s->stream.flow->on_event = flow_event;
    run(s);
}

void tarn_dns_secondary_tick(struct tarn_dns_secondary *s, tarn_time now) {
    s->now = now;
    if (s->zone && now >= s->expires_at) {
        s->zone = NULL;
        if (s->stream.flow)
            failed(s, TARN_PEER, "the copy has expired");
        s->config.on_expired(s->config.user);
    }
    if (s->stream.flow && now >= s->silent)
        failed(s, TARN_IO, "the primary is silent");
    else if (!s->stream.flow && now >= s->at)
        look(s);
}

tarn_time tarn_dns_secondary_deadline(const struct tarn_dns_secondary *s) {
    tarn_time at = s->stream.flow ? s->silent : s->at;
    return s->zone ? TARN_MIN(at, s->expires_at) : at;
}

void tarn_dns_secondary_notify(struct tarn_dns_secondary *s) {
    if (s->stream.flow)
        s->look_again = true;
    else
        s->at = 0;
}

bool tarn_dns_secondary_knows(const struct tarn_dns_secondary *s, const struct tarn_ip_addr *addr) {
    for (unsigned i = 0; i < s->config.primary_count; i++)
        if (tarn_ip_addr_equal(&TARN_AT(s->config.primaries, i).addr, addr))
            return true;
    return false;
}

enum tarn_err tarn_dns_secondary_new(const struct tarn_dns_secondary_config *config,
                                     struct tarn_dns_secondary **out) {
    struct tarn_dns_secondary *s = TARN_NEW(config->alloc, struct tarn_dns_secondary);
    TARN_ASSERT(config->primary_count > 0 && config->primary_count <= TARN_DNS_PRIMARIES_MAX);
    if (!s)
        return TARN_LIMIT;
    s->config = *config;
    if (!s->config.memory_max)
        s->config.memory_max = MEMORY_MAX_DEFAULT;
    if (!s->config.transfer_ns)
        s->config.transfer_ns = TRANSFER_DEFAULT;
    tarn_dns_name_copy(&s->origin, config->origin);
    *out = s;
    return TARN_OK;
}

void tarn_dns_secondary_free(struct tarn_dns_secondary *s) {
    close_flow(s);
    tarn_alloc_put(s->config.alloc, s, sizeof *s);
}
