/* SPDX-License-Identifier: ISC */
/* The machine of RFC 2131 figure 5: states, timers, output. What replies mean is in client_reply.c.
 */
#include "client.h"

#define RETRY_FIRST TARN_SEC(4) /* RFC 2131 section 4.1: 4 s, doubled up to 64 s, each +-1 s */
#define RETRY_LAST TARN_SEC(64)
#define REQUEST_TRIES 4u /* section 3.1 item 5: about a minute in all */
#define REBOOT_TRIES 3u
#define RENEW_RETRY_MIN TARN_SEC(60) /* section 4.4.5 */
#define CONFLICT_WAIT TARN_SEC(10)   /* section 3.1 item 5 */

static bool make_ids(struct tarn_dhcp_client *c) {
    const struct tarn_dhcp_client_config *cfg = &c->config;
    struct tarn_writer id = TARN_WRITER_ARRAY(c->client_id);
    struct tarn_writer name = TARN_WRITER_ARRAY(c->host_name);
    if (cfg->client_id.len) {
        tarn_writer_span_put(&id, cfg->client_id);
    } else {
        tarn_writer_u8(&id, 255); /* RFC 4361 section 6.1 */
        tarn_writer_u32be(&id, cfg->iaid);
        tarn_writer_u16be(&id, 3); /* DUID-LL, Ethernet */
        tarn_writer_u16be(&id, 1);
        tarn_writer_mem(&id, cfg->mac, sizeof cfg->mac);
    }
    tarn_writer_span_put(&name, cfg->host_name);
    c->client_id_len = id.len;
    c->host_name_len = name.len;
    return tarn_writer_ok(&id) && tarn_writer_ok(&name) && id.len >= 2;
}

enum tarn_err tarn_dhcp_client_new(const struct tarn_dhcp_client_config *config,
                                   struct tarn_dhcp_client **out) {
    struct tarn_dhcp_client *c = TARN_NEW(config->alloc, struct tarn_dhcp_client);
    if (!c)
        return TARN_LIMIT;
    c->config = *config;
    c->timer = TARN_NEVER;
    if (!make_ids(c))
        return TARN_INVALID;
    c->previous = config->previous;
    *out = c;
    return TARN_OK;
}

/* `base` +- a second, uniformly. */
static tarn_time jittered(struct tarn_dhcp_client *c, tarn_time base) {
    return base - TARN_SEC(1) + TARN_US(tarn_random_below(c->config.random, 2000001));
}

static bool has_address(enum tarn_dhcp_client_state s) {
    return s == TARN_DHCP_BOUND || s == TARN_DHCP_RENEWING || s == TARN_DHCP_REBINDING;
}

void client_lose(struct tarn_dhcp_client *c) {
    if (c->told_bound)
        c->event_lost = true;
    c->told_bound = c->event_bound = c->event_renewed = c->event_probe = false;
    c->has_lease = false;
}

static void send_soon(struct tarn_dhcp_client *c, enum tarn_dhcp_type type) {
    c->out = type;
    c->out_due = true;
}

/* Back to the start after `delay`; what was leased is gone. */
void client_restart(struct tarn_dhcp_client *c, tarn_time delay, tarn_time now) {
    client_lose(c);
    c->state = TARN_DHCP_INIT;
    c->timer = tarn_time_after(now, delay);
    c->tries = 0;
    c->retry = RETRY_FIRST;
}

static void new_exchange(struct tarn_dhcp_client *c, enum tarn_dhcp_client_state state,
                         tarn_time now) {
    c->state = state;
    c->xid = tarn_random_u32(c->config.random);
    c->begun = now;
    c->tries = 0;
    c->retry = RETRY_FIRST;
}

static void transmit_with_backoff(struct tarn_dhcp_client *c, enum tarn_dhcp_type type,
                                  tarn_time now) {
    send_soon(c, type);
    c->tries++;
    c->timer = tarn_time_after(now, jittered(c, c->retry));
    c->retry = TARN_MIN(c->retry * 2, RETRY_LAST);
}

static void begin(struct tarn_dhcp_client *c, tarn_time now) {
    bool reboot = !tarn_ip_addr_is_any(&c->previous);
    c->wanted = c->previous;
    c->previous = TARN_IP_ADDR_NONE; /* one try; after that, whatever is offered */
    new_exchange(c, reboot ? TARN_DHCP_REBOOTING : TARN_DHCP_SELECTING, now);
    transmit_with_backoff(c, reboot ? TARN_DHCP_REQUEST : TARN_DHCP_DISCOVER, now);
}

void client_request(struct tarn_dhcp_client *c, tarn_time now) {
    c->state = TARN_DHCP_REQUESTING; /* the transaction goes on: the same xid (section 4.4.1) */
    c->tries = 0;
    c->retry = RETRY_FIRST;
    transmit_with_backoff(c, TARN_DHCP_REQUEST, now);
}

/* An address is granted. Probed first, unless we have had it all along. */
void client_granted(struct tarn_dhcp_client *c, const struct tarn_dhcp_lease *lease,
                    tarn_time now) {
    bool renewed = has_address(c->state);
    (void)now;
    c->lease = *lease;
    c->has_lease = true;
    if (!renewed && c->config.probe) {
        c->state = TARN_DHCP_PROBING;
        c->timer = lease->expires; /* the owner decides how long */
        c->event_probe = true;
        return;
    }
    c->state = TARN_DHCP_BOUND;
    c->timer = lease->t1;
    *(renewed && c->told_bound ? &c->event_renewed : &c->event_bound) = true;
}

void tarn_dhcp_client_start(struct tarn_dhcp_client *c, tarn_time now) {
    if (c->state != TARN_DHCP_STOPPED)
        return;
    tarn_time delay = c->config.start_delay / 1000000u;
    uint32_t most = (uint32_t)TARN_MIN(delay, (tarn_time)UINT32_MAX - 1);
    delay = most ? TARN_MS(tarn_random_below(c->config.random, most + 1)) : 0;
    client_restart(c, delay, now);
}

void tarn_dhcp_client_release(struct tarn_dhcp_client *c, tarn_time now) {
    bool had = has_address(c->state);
    (void)now;
    c->gone = c->lease;
    client_lose(c);
    c->state = TARN_DHCP_STOPPED;
    c->timer = TARN_NEVER;
    c->out_due = false;
    if (had) {
        c->xid = tarn_random_u32(c->config.random);
        send_soon(c, TARN_DHCP_RELEASE);
    }
}

void tarn_dhcp_client_link_up(struct tarn_dhcp_client *c, tarn_time now) {
    if (c->state == TARN_DHCP_STOPPED)
        return;
    struct tarn_ip_addr had = has_address(c->state) ? c->lease.addr.addr : TARN_IP_ADDR_NONE;
    client_restart(c, 0, now);
    c->previous = had;
}

void tarn_dhcp_client_confirm(struct tarn_dhcp_client *c, tarn_time now) {
    (void)now;
    if (c->state != TARN_DHCP_PROBING)
        return;
    c->state = TARN_DHCP_BOUND;
    c->timer = c->lease.t1;
    c->event_probe = false;
    c->event_bound = true;
}

void tarn_dhcp_client_conflict(struct tarn_dhcp_client *c, tarn_time now) {
    if (c->state != TARN_DHCP_PROBING && !has_address(c->state))
        return;
    c->stats.conflicts++;
    c->gone = c->lease;
    client_restart(c, CONFLICT_WAIT, now);
    c->xid = tarn_random_u32(c->config.random);
    send_soon(c, TARN_DHCP_DECLINE);
}

/* Section 4.4.5: again after half of what is left until `end`, but not within a minute. A new xid
 * for each, so that an answer says which one it is to, and the lease is counted from that. */
static void renew_again(struct tarn_dhcp_client *c, enum tarn_dhcp_client_state state,
                        tarn_time end, tarn_time now) {
    tarn_time left = end > now ? end - now : 0;
    new_exchange(c, state, now);
    send_soon(c, TARN_DHCP_REQUEST);
    c->timer = TARN_MIN(tarn_time_after(now, TARN_MAX(left / 2, RENEW_RETRY_MIN)), end);
}

void tarn_dhcp_client_tick(struct tarn_dhcp_client *c, tarn_time now) {
    if (now < c->timer)
        return;
    /* The loop may have slept through several of the lease's times. */
    if ((has_address(c->state) || c->state == TARN_DHCP_PROBING) && now >= c->lease.expires) {
        c->stats.expired++;
        client_restart(c, 0, now);
        begin(c, now);
        return;
    }
    switch (c->state) {
    case TARN_DHCP_INIT: begin(c, now); break;
    case TARN_DHCP_SELECTING: transmit_with_backoff(c, TARN_DHCP_DISCOVER, now); break;
    case TARN_DHCP_REQUESTING:
    case TARN_DHCP_REBOOTING:
        if (c->tries < (c->state == TARN_DHCP_REBOOTING ? REBOOT_TRIES : REQUEST_TRIES))
            transmit_with_backoff(c, TARN_DHCP_REQUEST, now);
        else
            client_restart(c, 0, now);
        break;
    case TARN_DHCP_BOUND:
    case TARN_DHCP_RENEWING:
    case TARN_DHCP_REBINDING:
        if (now < c->lease.t2)
            renew_again(c, TARN_DHCP_RENEWING, c->lease.t2, now);
        else
            renew_again(c, TARN_DHCP_REBINDING, c->lease.expires, now);
        break;
    case TARN_DHCP_STOPPED:
    case TARN_DHCP_PROBING: c->timer = TARN_NEVER; break;
    }
}

tarn_time tarn_dhcp_client_deadline(const struct tarn_dhcp_client *c) {
    bool waits =
        c->out_due || c->event_lost || c->event_probe || c->event_bound || c->event_renewed;
    return waits ? 0 : c->timer;
}

/* Who is spoken to, and as whom: RFC 2131 table 4 and section 4.4.4. */
static void set_path(const struct tarn_dhcp_client *c, struct tarn_dhcp_path *path) {
    const struct tarn_dhcp_lease *l = c->out == TARN_DHCP_RELEASE ? &c->gone : &c->lease;
    bool from_lease =
        c->out == TARN_DHCP_RELEASE || (c->out == TARN_DHCP_REQUEST && has_address(c->state));
    bool to_server = from_lease && (c->out == TARN_DHCP_RELEASE || c->state == TARN_DHCP_RENEWING);
    path->src = from_lease ? l->addr.addr : TARN_IP_ADDR_V4(0, 0, 0, 0);
    path->dst = to_server ? l->server : TARN_IP_ADDR_V4(255, 255, 255, 255);
    path->dst_port = TARN_DHCP_SERVER_PORT;
}

static void write_request_options(const struct tarn_dhcp_client *c, struct tarn_writer *w) {
    /* RFC 3442 wants routes before the router. */
    static const uint8_t wanted[] = {
        TARN_DHCP_OPT_SUBNET_MASK, TARN_DHCP_OPT_ROUTES, TARN_DHCP_OPT_ROUTER, TARN_DHCP_OPT_DNS,
        TARN_DHCP_OPT_DOMAIN_NAME, TARN_DHCP_OPT_SEARCH, TARN_DHCP_OPT_MTU,    TARN_DHCP_OPT_NTP,
        TARN_DHCP_OPT_LEASE_TIME,  TARN_DHCP_OPT_T1,     TARN_DHCP_OPT_T2,
    };
    tarn_dhcp_write_option(w, TARN_DHCP_OPT_PARAMETERS, TARN_SPAN_ARRAY(wanted));
    tarn_dhcp_write_u16(w, TARN_DHCP_OPT_MAX_SIZE, 1500);
    if (c->host_name_len)
        tarn_dhcp_write_option(w, TARN_DHCP_OPT_HOST_NAME,
                               tarn_span_of(c->host_name, c->host_name_len));
}

/* RFC 2131 table 5. */
static void write_message(struct tarn_dhcp_client *c, struct tarn_writer *w, tarn_time now) {
    const struct tarn_dhcp_lease *gone = &c->gone;
    struct tarn_dhcp_message m = {
        .op = TARN_DHCP_BOOTREQUEST, .type = (uint8_t)c->out, .xid = c->xid};
    bool goodbye = c->out == TARN_DHCP_DECLINE || c->out == TARN_DHCP_RELEASE;
    bool renewing = c->out == TARN_DHCP_REQUEST && has_address(c->state);
    tarn_bytes_copy(TARN_BYTES_ARRAY(m.mac), TARN_SPAN_ARRAY(c->config.mac));
    if (!goodbye)
        m.secs = (uint16_t)TARN_MIN((now - c->begun) / TARN_SEC(1), (tarn_time)UINT16_MAX);
    if (!goodbye && !renewing) /* nobody can send to an address that is not configured */
        m.flags = TARN_DHCP_FLAG_BROADCAST;
    if (renewing)
        m.ciaddr = c->lease.addr.addr;
    if (c->out == TARN_DHCP_RELEASE)
        m.ciaddr = gone->addr.addr;
    tarn_dhcp_write_header(w, &m);
    tarn_dhcp_write_option(w, TARN_DHCP_OPT_CLIENT_ID,
                           tarn_span_of(c->client_id, c->client_id_len));
    if (goodbye) {
        tarn_dhcp_write_addr(w, TARN_DHCP_OPT_SERVER_ID, &gone->server);
        if (c->out == TARN_DHCP_DECLINE)
            tarn_dhcp_write_addr(w, TARN_DHCP_OPT_REQUESTED_ADDR, &gone->addr.addr);
    } else {
        if (c->out == TARN_DHCP_DISCOVER && c->config.rapid_commit)
            tarn_dhcp_write_option(w, TARN_DHCP_OPT_RAPID_COMMIT, TARN_SPAN_EMPTY);
        if (c->state == TARN_DHCP_REQUESTING || c->state == TARN_DHCP_REBOOTING)
            tarn_dhcp_write_addr(w, TARN_DHCP_OPT_REQUESTED_ADDR, &c->wanted);
        if (c->state == TARN_DHCP_REQUESTING)
            tarn_dhcp_write_addr(w, TARN_DHCP_OPT_SERVER_ID, &c->server);
        write_request_options(c, w);
    }
    tarn_dhcp_write_end(w);
}

bool tarn_dhcp_client_output(struct tarn_dhcp_client *c, struct tarn_writer *w,
                             struct tarn_dhcp_path *path, tarn_time now) {
    if (!c->out_due)
        return false;
    c->out_due = false;
    if (c->out == TARN_DHCP_REQUEST || c->out == TARN_DHCP_DISCOVER)
        c->sent_at = now;
    c->stats.sent++;
    write_message(c, w, now);
    set_path(c, path);
    return tarn_writer_ok(w);
}

/* Loss first: what is bound after it is another lease. */
enum tarn_dhcp_client_event tarn_dhcp_client_event(struct tarn_dhcp_client *c) {
    if (c->event_lost) {
        c->event_lost = false;
        return TARN_DHCP_CLIENT_LOST;
    }
    if (c->event_probe) {
        c->event_probe = false;
        return TARN_DHCP_CLIENT_PROBE;
    }
    if (c->event_bound) {
        c->event_bound = c->event_renewed = false;
        c->told_bound = true;
        return TARN_DHCP_CLIENT_BOUND;
    }
    if (c->event_renewed) {
        c->event_renewed = false;
        return TARN_DHCP_CLIENT_RENEWED;
    }
    return TARN_DHCP_CLIENT_NONE;
}

enum tarn_dhcp_client_state tarn_dhcp_client_state(const struct tarn_dhcp_client *c) {
    return c->state;
}

const struct tarn_dhcp_lease *tarn_dhcp_client_lease(const struct tarn_dhcp_client *c) {
    return c->has_lease ? &c->lease : NULL;
}

const struct tarn_dhcp_client_stats *tarn_dhcp_client_stats(const struct tarn_dhcp_client *c) {
    return &c->stats;
}
