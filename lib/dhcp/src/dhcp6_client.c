/* SPDX-License-Identifier: ISC */
/* The machine of RFC 8415 section 18.2. */
#include "dhcp6.h"

#define FOREVER UINT32_MAX
#define MAX_DELAY_MS 1000u    /* SOL_MAX_DELAY, INF_MAX_DELAY, CNF_MAX_DELAY */
#define MAX_RT TARN_SEC(3600) /* SOL_MAX_RT and INF_MAX_RT, until a server says otherwise */
#define RT_OPTION_MIN 60u     /* RFC 7083 section 4: outside these it is ignored */
#define RT_OPTION_MAX 86400u
#define REFRESH_DEFAULT 86400u /* IRT_DEFAULT, IRT_MINIMUM */
#define REFRESH_MIN 600u
#define T1_MIN 30u /* against servers that would be asked without end */
#define PREFERENCE_AT_ONCE 255

enum tarn_err tarn_dhcp6_client_new(const struct tarn_dhcp6_client_config *config,
                                    struct tarn_dhcp6_client **out) {
    struct tarn_dhcp6_client *c = TARN_NEW(config->alloc, struct tarn_dhcp6_client);
    if (!c)
        return TARN_LIMIT;
    c->config = *config;
    c->timer = c->ends = TARN_NEVER;
    c->sol_max_rt = c->inf_max_rt = MAX_RT;
    struct tarn_writer w = TARN_WRITER_ARRAY(c->duid);
    tarn_writer_u16be(&w, 3); /* DUID-LL, Ethernet */
    tarn_writer_u16be(&w, 1);
    tarn_writer_mem(&w, config->mac, sizeof config->mac);
    *out = c;
    return TARN_OK;
}

/* -- transmission -------------------------------------------------------------------------------
 */

/* `base` times 1 + RAND, RAND in [-0.1, 0.1]. */
static tarn_time randomised(struct tarn_dhcp6_client *c, tarn_time base) {
    return base - base / 10 + base / 10000 * tarn_random_below(c->config.random, 2001);
}

static void transmit(struct tarn_dhcp6_client *c, tarn_time now) {
    const struct dhcp6_timing *t = &c->timing;
    if (c->tries++ == 0)
        c->rt = randomised(c, t->irt);
    else
        c->rt = c->rt + randomised(c, c->rt);
    if (c->tries == 1 && c->state == TARN_DHCP6_SOLICIT && c->rt <= t->irt)
        c->rt = 2 * t->irt - c->rt; /* section 18.2.1: the first RAND is above 0 */
    if (t->mrt && c->rt > t->mrt)
        c->rt = randomised(c, t->mrt);
    c->timer = TARN_MIN(tarn_time_after(now, c->rt), c->ends);
    c->out_due = true;
}

static void exchange(struct tarn_dhcp6_client *c, enum tarn_dhcp6_state state,
                     struct dhcp6_timing timing, tarn_time now) {
    c->state = state;
    c->timing = timing;
    c->xid = tarn_random_u32(c->config.random) & 0xffffff;
    c->tries = 0;
    c->begun = now;
    c->ends = timing.mrd ? tarn_time_after(now, timing.mrd) : TARN_NEVER;
    transmit(c, now);
}

static void solicit(struct tarn_dhcp6_client *c, tarn_time now) {
    c->best_preference = -1;
    exchange(c, TARN_DHCP6_SOLICIT, (struct dhcp6_timing){TARN_SEC(1), c->sol_max_rt, 0, 0}, now);
}

static void request(struct tarn_dhcp6_client *c, tarn_time now) {
    exchange(c, TARN_DHCP6_REQUEST, (struct dhcp6_timing){TARN_SEC(1), TARN_SEC(30), 10, 0}, now);
}

static void ask_information(struct tarn_dhcp6_client *c, tarn_time now) {
    exchange(c, TARN_DHCP6_INFORMATION, (struct dhcp6_timing){TARN_SEC(1), c->inf_max_rt, 0, 0},
             now);
}

static void lose(struct tarn_dhcp6_client *c) {
    if (c->told_granted)
        c->event_lost = true;
    c->told_granted = c->event_granted = c->event_renewed = c->event_probe = false;
    c->has_lease = false;
}

static void wait_bound(struct tarn_dhcp6_client *c) {
    c->state = TARN_DHCP6_BOUND;
    c->timer = TARN_MIN(c->lease.t1, c->lease.valid);
}

static void idle(struct tarn_dhcp6_client *c) {
    c->state = TARN_DHCP6_STOPPED;
    c->timer = c->ends = TARN_NEVER;
}

/* -- the owner's calls --------------------------------------------------------------------------
 */

static bool has_address(const struct tarn_dhcp6_client *c) {
    switch (c->state) {
    case TARN_DHCP6_BOUND:
    case TARN_DHCP6_RENEW:
    case TARN_DHCP6_REBIND:
    case TARN_DHCP6_CONFIRM: return true;
    default: return false;
    }
}

void tarn_dhcp6_client_start(struct tarn_dhcp6_client *c, tarn_time now) {
    if (c->state != TARN_DHCP6_STOPPED)
        return;
    c->state = TARN_DHCP6_WAITING;
    c->timer = tarn_time_after(now, TARN_MS(tarn_random_below(c->config.random, MAX_DELAY_MS + 1)));
}

void tarn_dhcp6_client_release(struct tarn_dhcp6_client *c, tarn_time now) {
    bool had = has_address(c);
    c->gone = c->lease.addr;
    lose(c);
    c->out_due = c->event_learned = false;
    if (had)
        exchange(c, TARN_DHCP6_RELEASE, (struct dhcp6_timing){TARN_SEC(1), 0, 4, 0}, now);
    else
        idle(c);
}

void tarn_dhcp6_client_link_up(struct tarn_dhcp6_client *c, tarn_time now) {
    if (has_address(c))
        exchange(c, TARN_DHCP6_CONFIRM,
                 (struct dhcp6_timing){TARN_SEC(1), TARN_SEC(4), 0, TARN_SEC(10)}, now);
    else if (c->state == TARN_DHCP6_INFORMED || c->state == TARN_DHCP6_INFORMATION)
        ask_information(c, now);
    else if (c->state == TARN_DHCP6_SOLICIT || c->state == TARN_DHCP6_REQUEST)
        solicit(c, now);
}

void tarn_dhcp6_client_confirm(struct tarn_dhcp6_client *c, tarn_time now) {
    (void)now;
    if (c->state != TARN_DHCP6_PROBING)
        return;
    c->event_probe = false;
    c->event_granted = true;
    wait_bound(c);
}

void tarn_dhcp6_client_conflict(struct tarn_dhcp6_client *c, tarn_time now) {
    if (c->state != TARN_DHCP6_PROBING && !has_address(c))
        return;
    c->stats.conflicts++;
    c->gone = c->lease.addr;
    lose(c);
    exchange(c, TARN_DHCP6_DECLINE, (struct dhcp6_timing){TARN_SEC(1), 0, 4, 0}, now);
}

/* -- time ---------------------------------------------------------------------------------------
 */

static void renew_or_rebind(struct tarn_dhcp6_client *c, tarn_time now) {
    bool rebind = now >= c->lease.t2;
    struct dhcp6_timing timing = {TARN_SEC(10), TARN_SEC(600), 0, 0};
    exchange(c, rebind ? TARN_DHCP6_REBIND : TARN_DHCP6_RENEW, timing, now);
    c->ends = rebind ? c->lease.valid : TARN_MIN(c->lease.t2, c->lease.valid);
    c->timer = TARN_MIN(c->timer, c->ends);
}

/* The exchange has had all its tries, or all its time. */
static void give_up(struct tarn_dhcp6_client *c, tarn_time now) {
    switch (c->state) {
    case TARN_DHCP6_RENEW: renew_or_rebind(c, now); break;
    case TARN_DHCP6_CONFIRM: wait_bound(c); break; /* section 18.2.3: goes on using it */
    case TARN_DHCP6_RELEASE: idle(c); break;
    default: solicit(c, now); break;
    }
}

void tarn_dhcp6_client_tick(struct tarn_dhcp6_client *c, tarn_time now) {
    if (now < c->timer)
        return;
    if ((has_address(c) || c->state == TARN_DHCP6_PROBING) && now >= c->lease.valid) {
        c->stats.expired++;
        lose(c);
        solicit(c, now);
        return;
    }
    switch (c->state) {
    case TARN_DHCP6_WAITING:
    case TARN_DHCP6_INFORMED:
        if (c->config.stateful)
            solicit(c, now);
        else
            ask_information(c, now);
        break;
    case TARN_DHCP6_BOUND: renew_or_rebind(c, now); break;
    case TARN_DHCP6_STOPPED:
    case TARN_DHCP6_PROBING: c->timer = TARN_NEVER; break;
    case TARN_DHCP6_SOLICIT:
        if (c->best_preference >= 0) {
            request(c, now);
            break;
        }
        transmit(c, now);
        break;
    default:
        if (now >= c->ends || (c->timing.mrc && c->tries >= c->timing.mrc))
            give_up(c, now);
        else
            transmit(c, now);
        break;
    }
}

tarn_time tarn_dhcp6_client_deadline(const struct tarn_dhcp6_client *c) {
    bool waits = c->out_due || c->event_lost || c->event_probe || c->event_granted
                 || c->event_renewed || c->event_learned;
    return waits ? 0 : c->timer;
}

/* -- input --------------------------------------------------------------------------------------
 */

static tarn_time after_seconds(tarn_time from, uint32_t seconds) {
    return seconds == FOREVER ? TARN_NEVER : tarn_time_after(from, TARN_SEC(seconds));
}

static void read_information(const struct dhcp6_message *m, struct tarn_dhcp6_lease *l) {
    struct tarn_span dns = m->dns;
    struct tarn_bytes search = TARN_BYTES_ARRAY(l->search);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_first(search, TARN_DHCP6_TEXT_MAX));
    tarn_bytes_fill(search, 0);
    if (m->search.len && m->search.len <= TARN_DHCP6_TEXT_MAX
        && !tarn_dhcp_search_text(m->search, &w))
        tarn_bytes_fill(search, 0);
    l->dns_count = 0;
    while (l->dns_count < TARN_DHCP6_DNS_MAX
           && tarn_span_ipv6(&dns, &TARN_AT(l->dns, l->dns_count)))
        l->dns_count++;
}

/* Section 21.4: a T1 or T2 of 0 leaves it to us, and they are in the order T1 <= T2 <= valid. */
static void read_lease(struct tarn_dhcp6_client *c, const struct dhcp6_message *m) {
    struct tarn_dhcp6_lease *l = &c->lease;
    uint32_t t1 = m->t1 ? m->t1 : m->preferred == FOREVER ? FOREVER : m->preferred / 2;
    uint32_t t2 = m->t2                     ? m->t2
                  : m->preferred == FOREVER ? FOREVER
                                            : (uint32_t)((uint64_t)m->preferred * 4 / 5);
    *l = (struct tarn_dhcp6_lease){.addr = m->addr};
    t1 = TARN_MAX(t1, T1_MIN);
    t2 = TARN_MAX(t2, t1);
    l->preferred = after_seconds(c->sent_at, m->preferred);
    l->valid = after_seconds(c->sent_at, m->valid);
    l->t1 = TARN_MIN(after_seconds(c->sent_at, t1), l->valid);
    l->t2 = TARN_MIN(after_seconds(c->sent_at, t2), l->valid);
    l->refresh = TARN_NEVER;
    read_information(m, l);
    c->has_lease = true;
}

static bool can_be_leased(const struct dhcp6_message *m) {
    return m->has_ia && m->has_addr && m->valid > 0 && m->ia_status == DHCP6_SUCCESS
           && m->addr_status == DHCP6_SUCCESS && !tarn_ip_addr_is_multicast(&m->addr)
           && !tarn_ip_addr_is_any(&m->addr) && !tarn_ip_addr_is_loopback(&m->addr)
           && !tarn_ip_addr_is_link_local(&m->addr) && !tarn_ip_addr_is_v4(&m->addr);
}

static void keep_server(struct tarn_dhcp6_client *c, const struct dhcp6_message *m) {
    c->server_len = tarn_bytes_copy(TARN_BYTES_ARRAY(c->server), m->server_id);
}

static void granted(struct tarn_dhcp6_client *c, const struct dhcp6_message *m) {
    bool same = has_address(c) && tarn_ip_addr_equal(&c->lease.addr, &m->addr);
    if (!same)
        lose(c);
    keep_server(c, m);
    read_lease(c, m);
    if (!same && c->config.probe) {
        c->state = TARN_DHCP6_PROBING;
        c->timer = c->lease.valid;
        c->event_probe = true;
        return;
    }
    *(same && c->told_granted ? &c->event_renewed : &c->event_granted) = true;
    wait_bound(c);
}

/* Section 18.2.9: the best preference that comes within the first RT; after that, the first. */
static bool on_advertise(struct tarn_dhcp6_client *c, const struct dhcp6_message *m,
                         tarn_time now) {
    if (c->state != TARN_DHCP6_SOLICIT)
        return false;
    if (m->status != DHCP6_SUCCESS || !can_be_leased(m)) {
        c->stats.refused++;
        return true;
    }
    if ((int)m->preference > c->best_preference) {
        c->best_preference = m->preference;
        keep_server(c, m);
        c->lease.addr = m->addr; /* asked for in the Request */
    }
    if (m->preference == PREFERENCE_AT_ONCE || c->tries > 1)
        request(c, now);
    return true;
}

/* Section 18.2.10.1. */
static void on_lease_reply(struct tarn_dhcp6_client *c, const struct dhcp6_message *m,
                           tarn_time now) {
    if (m->status == DHCP6_SUCCESS && can_be_leased(m)) {
        granted(c, m);
        return;
    }
    c->stats.refused++;
    if (m->status == DHCP6_UNSPEC_FAIL)
        return; /* the retransmission goes on */
    bool renewing = c->state == TARN_DHCP6_RENEW || c->state == TARN_DHCP6_REBIND;
    if (renewing && m->ia_status == DHCP6_NO_BINDING) {
        keep_server(c, m); /* the server has forgotten us, but is there: ask it */
        exchange(c, TARN_DHCP6_REQUEST, (struct dhcp6_timing){TARN_SEC(1), TARN_SEC(30), 10, 0},
                 now);
        lose(c);
        return;
    }
    bool gone = m->has_addr && m->valid == 0 && tarn_ip_addr_equal(&m->addr, &c->lease.addr);
    if (renewing && !gone)
        return; /* no word about our address: another try */
    lose(c);
    c->state = TARN_DHCP6_WAITING; /* not at once, or two that disagree would go on for ever */
    c->timer = tarn_time_after(now, randomised(c, TARN_SEC(10)));
    c->out_due = false;
}

static bool on_reply(struct tarn_dhcp6_client *c, const struct dhcp6_message *m, tarn_time now) {
    bool from_chosen = tarn_span_equal(m->server_id, tarn_span_of(c->server, c->server_len));
    switch (c->state) {
    case TARN_DHCP6_SOLICIT:
        if (!c->config.rapid_commit || !m->rapid_commit || !can_be_leased(m))
            return false;
        granted(c, m);
        return true;
    case TARN_DHCP6_REQUEST:
    case TARN_DHCP6_RENEW:
        if (!from_chosen)
            return false;
        on_lease_reply(c, m, now);
        return true;
    case TARN_DHCP6_REBIND: on_lease_reply(c, m, now); return true;
    case TARN_DHCP6_CONFIRM:
        if (m->status == DHCP6_NOT_ON_LINK) {
            lose(c);
            solicit(c, now);
        } else {
            wait_bound(c);
        }
        return true;
    case TARN_DHCP6_DECLINE: solicit(c, now); return true;
    case TARN_DHCP6_RELEASE: idle(c); return true;
    case TARN_DHCP6_INFORMATION:
        c->lease = (struct tarn_dhcp6_lease){.t1 = TARN_NEVER, .t2 = TARN_NEVER};
        read_information(m, &c->lease);
        c->lease.refresh =
            after_seconds(now, TARN_MAX(m->refresh ? m->refresh : REFRESH_DEFAULT, REFRESH_MIN));
        c->has_lease = c->event_learned = true;
        c->state = TARN_DHCP6_INFORMED;
        c->timer = c->lease.refresh;
        return true;
    default: return false;
    }
}

static void learn_max_rt(uint32_t seconds, tarn_time *out) {
    if (seconds >= RT_OPTION_MIN && seconds <= RT_OPTION_MAX)
        *out = TARN_SEC(seconds);
}

void tarn_dhcp6_client_input(struct tarn_dhcp6_client *c, struct tarn_span payload, tarn_time now) {
    struct dhcp6_message m;
    c->stats.received++;
    if (!dhcp6_parse(payload, c->config.iaid, &m)) {
        c->stats.malformed++;
        return;
    }
    /* Sections 16.3 and 16.10: both identifiers must be there, and ours be ours. Stateless servers
     * may leave ours out only where we did, which we never do. */
    bool ours = (m.type == DHCP6_ADVERTISE || m.type == DHCP6_REPLY) && m.xid == c->xid
                && m.server_id.len && c->tries > 0
                && tarn_span_equal(m.client_id, TARN_SPAN_ARRAY(c->duid));
    bool used = false;
    if (ours) {
        learn_max_rt(m.sol_max_rt, &c->sol_max_rt); /* section 18.2.9: even from a refusal */
        learn_max_rt(m.inf_max_rt, &c->inf_max_rt);
        if (c->state == TARN_DHCP6_SOLICIT)
            c->timing.mrt = c->sol_max_rt;
        used = m.type == DHCP6_REPLY ? on_reply(c, &m, now) : on_advertise(c, &m, now);
    }
    c->stats.ignored += !used;
}

/* -- output -------------------------------------------------------------------------------------
 */

static enum dhcp6_type message_type(enum tarn_dhcp6_state state) {
    switch (state) {
    case TARN_DHCP6_SOLICIT: return DHCP6_SOLICIT;
    case TARN_DHCP6_REQUEST: return DHCP6_REQUEST;
    case TARN_DHCP6_RENEW: return DHCP6_RENEW;
    case TARN_DHCP6_REBIND: return DHCP6_REBIND;
    case TARN_DHCP6_CONFIRM: return DHCP6_CONFIRM;
    case TARN_DHCP6_DECLINE: return DHCP6_DECLINE;
    case TARN_DHCP6_RELEASE: return DHCP6_RELEASE;
    case TARN_DHCP6_INFORMATION: return DHCP6_INFORMATION;
    default: return DHCP6_NOTHING;
    }
}

static void put_option(struct tarn_writer *w, uint16_t code, struct tarn_span value) {
    tarn_writer_u16be(w, code);
    tarn_writer_u16be(w, (uint16_t)value.len);
    tarn_writer_span_put(w, value);
}

static void put_ia(struct tarn_writer *w, uint32_t iaid, const struct tarn_ip_addr *addr) {
    tarn_writer_u16be(w, DHCP6_OPT_IA_NA);
    tarn_writer_u16be(w, (uint16_t)(addr ? 12 + 28 : 12));
    tarn_writer_u32be(w, iaid);
    tarn_writer_zero(w, 8); /* T1 and T2: no preference */
    if (!addr)
        return;
    tarn_writer_u16be(w, DHCP6_OPT_IAADDR);
    tarn_writer_u16be(w, 24);
    tarn_writer_ipv6(w, addr);
    tarn_writer_zero(w, 8);
}

static void put_wishes(struct tarn_writer *w, enum dhcp6_type type) {
    tarn_writer_u16be(w, DHCP6_OPT_ORO);
    tarn_writer_u16be(w, type == DHCP6_INFORMATION ? 8 : 6);
    tarn_writer_u16be(w, DHCP6_OPT_DNS);
    tarn_writer_u16be(w, DHCP6_OPT_SEARCH);
    /* Section 21.24, section 21.25, section 21.23: MUST be asked for. */
    tarn_writer_u16be(w, type == DHCP6_INFORMATION ? DHCP6_OPT_INF_MAX_RT : DHCP6_OPT_SOL_MAX_RT);
    if (type == DHCP6_INFORMATION)
        tarn_writer_u16be(w, DHCP6_OPT_REFRESH);
}

/* Which message has what: RFC 8415 section 18.2 and appendix B. */
bool tarn_dhcp6_client_output(struct tarn_dhcp6_client *c, struct tarn_writer *w, tarn_time now) {
    enum dhcp6_type type = message_type(c->state);
    if (!c->out_due || type == DHCP6_NOTHING) {
        c->out_due = false;
        return false;
    }
    c->out_due = false;
    c->sent_at = now;
    c->stats.sent++;
    tarn_writer_u32be(w, (uint32_t)type << 24 | c->xid);
    put_option(w, DHCP6_OPT_CLIENTID, TARN_SPAN_ARRAY(c->duid));
    tarn_writer_u16be(w, DHCP6_OPT_ELAPSED);
    tarn_writer_u16be(w, 2);
    tarn_writer_u16be(w, (uint16_t)TARN_MIN((now - c->begun) / TARN_MS(10), (tarn_time)UINT16_MAX));
    bool to_one = type == DHCP6_REQUEST || type == DHCP6_RENEW || type == DHCP6_RELEASE
                  || type == DHCP6_DECLINE;
    bool goodbye = type == DHCP6_RELEASE || type == DHCP6_DECLINE;
    if (to_one)
        put_option(w, DHCP6_OPT_SERVERID, tarn_span_of(c->server, c->server_len));
    if (type == DHCP6_SOLICIT && c->config.rapid_commit)
        put_option(w, DHCP6_OPT_RAPID_COMMIT, TARN_SPAN_EMPTY);
    if (type == DHCP6_SOLICIT)
        put_ia(w, c->config.iaid, NULL);
    else if (type != DHCP6_INFORMATION)
        put_ia(w, c->config.iaid, goodbye ? &c->gone : &c->lease.addr);
    if (!goodbye && type != DHCP6_CONFIRM)
        put_wishes(w, type);
    return tarn_writer_ok(w);
}

enum tarn_dhcp6_event tarn_dhcp6_client_event(struct tarn_dhcp6_client *c) {
    if (c->event_lost) {
        c->event_lost = false;
        return TARN_DHCP6_LOST;
    }
    if (c->event_probe) {
        c->event_probe = false;
        return TARN_DHCP6_PROBE;
    }
    if (c->event_granted) {
        c->event_granted = c->event_renewed = false;
        c->told_granted = true;
        return TARN_DHCP6_GRANTED;
    }
    if (c->event_renewed) {
        c->event_renewed = false;
        return TARN_DHCP6_RENEWED;
    }
    if (c->event_learned) {
        c->event_learned = false;
        return TARN_DHCP6_LEARNED;
    }
    return TARN_DHCP6_NONE;
}

enum tarn_dhcp6_state tarn_dhcp6_client_state(const struct tarn_dhcp6_client *c) {
    return c->state;
}

const struct tarn_dhcp6_lease *tarn_dhcp6_client_lease(const struct tarn_dhcp6_client *c) {
    return c->has_lease ? &c->lease : NULL;
}

const struct tarn_dhcp6_stats *tarn_dhcp6_client_stats(const struct tarn_dhcp6_client *c) {
    return &c->stats;
}
