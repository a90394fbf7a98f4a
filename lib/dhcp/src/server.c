/* SPDX-License-Identifier: ISC */
#include <tarn/dhcp_server.h>
#include <tarn/hash.h>
#include <tarn/timer.h>

#define OFFER_TIME TARN_SEC(120)
#define DECLINE_TIME                                                                               \
    TARN_SEC(3600) /* somebody uses it without asking: leave it alone for a while */
#define ID_BYTES_MAX 64u
#define NOBODY UINT32_MAX

enum use { FREE, OFFERED, LEASED, DECLINED };

/* An address of the range. While FREE it waits in a list, the one that was used last at its end,
 * and still knows its last client. */
struct slot {
    struct tarn_timer timer;
    struct tarn_map_link by_client; /* in the table while id_len != 0 */
    uint32_t prev, next;            /* in the list of free ones */
    enum use use;
    uint8_t id_len;
    uint8_t id[ID_BYTES_MAX];
};

struct tarn_dhcp_server {
    struct tarn_dhcp_server_config config;
    struct tarn_hash_key key;
    struct tarn_map by_client;
    struct tarn_timers timers;
    struct slot *slots;
    uint32_t first, count, in_use;
    uint32_t free_head, free_tail;
    struct tarn_dhcp_server_stats stats;
};

static struct slot *slot_at(const struct tarn_dhcp_server *s, uint32_t i) {
    return &TARN_AT_N(s->slots, s->count, i);
}

static uint32_t index_of(const struct tarn_dhcp_server *s, const struct slot *slot) {
    return (uint32_t)(((uintptr_t)slot - (uintptr_t)s->slots) / sizeof *slot);
}

static struct tarn_ip_addr addr_of(const struct tarn_dhcp_server *s, const struct slot *slot) {
    return tarn_ip_addr_from_v4(s->first + index_of(s, slot));
}

static void free_push(struct tarn_dhcp_server *s, struct slot *slot) {
    uint32_t i = index_of(s, slot);
    slot->use = FREE;
    slot->prev = s->free_tail;
    slot->next = NOBODY;
    if (s->free_tail == NOBODY)
        s->free_head = i;
    else
        slot_at(s, s->free_tail)->next = i;
    s->free_tail = i;
}

static void free_remove(struct tarn_dhcp_server *s, struct slot *slot) {
    if (slot->prev == NOBODY)
        s->free_head = slot->next;
    else
        slot_at(s, slot->prev)->next = slot->next;
    if (slot->next == NOBODY)
        s->free_tail = slot->prev;
    else
        slot_at(s, slot->next)->prev = slot->prev;
}

enum tarn_err tarn_dhcp_server_new(const struct tarn_dhcp_server_config *config,
                                   struct tarn_dhcp_server **out) {
    uint32_t first = tarn_ip_addr_v4(&config->first), last = tarn_ip_addr_v4(&config->last);
    if (!tarn_ip_prefix_contains(&config->addr, &config->first)
        || !tarn_ip_prefix_contains(&config->addr, &config->last) || first > last
        || last - first >= TARN_DHCP_SERVER_LEASES_MAX || config->domain.len > 255)
        return TARN_INVALID;
    struct tarn_dhcp_server *s = TARN_NEW(config->alloc, struct tarn_dhcp_server);
    enum tarn_err err;
    if (!s)
        return TARN_LIMIT;
    s->config = *config;
    if (s->config.lease_seconds == 0)
        s->config.lease_seconds = 3600;
    s->first = first;
    s->count = last - first + 1;
    s->free_head = s->free_tail = NOBODY;
    tarn_hash_key_init(&s->key, config->random);
    s->slots = TARN_NEW_ARRAY(config->alloc, s->count, struct slot);
    if (!s->slots)
        return TARN_LIMIT;
    if ((err = tarn_map_init(&s->by_client, config->alloc, s->count))
        || (err = tarn_timers_init(&s->timers, config->alloc, s->count)))
        return err;
    for (uint32_t i = 0; i < s->count; i++) {
        if (first + i == tarn_ip_addr_v4(&config->addr.addr))
            slot_at(s, i)->use = DECLINED; /* our own, for good */
        else
            free_push(s, slot_at(s, i));
    }
    *out = s;
    return TARN_OK;
}

/* -- leases -------------------------------------------------------------------------------------
 */

static struct slot *find_client(const struct tarn_dhcp_server *s, struct tarn_span id) {
    struct tarn_map_link *link = tarn_map_first(&s->by_client, tarn_hash(&s->key, id));
    for (; link; link = tarn_map_following(link)) {
        struct slot *slot = TARN_CONTAINER_OF(link, struct slot, by_client);
        if (tarn_span_equal(tarn_span_of(slot->id, slot->id_len), id))
            return slot;
    }
    return NULL;
}

static struct slot *find_addr(const struct tarn_dhcp_server *s, const struct tarn_ip_addr *a) {
    uint32_t i = tarn_ip_addr_v4(a) - s->first;
    return i < s->count ? slot_at(s, i) : NULL;
}

static void forget_client(struct tarn_dhcp_server *s, struct slot *slot) {
    if (slot->id_len)
        tarn_map_remove(&s->by_client, &slot->by_client);
    slot->id_len = 0;
}

static void hold(struct tarn_dhcp_server *s, struct slot *slot, enum use use, tarn_time until) {
    if (slot->use == FREE) {
        free_remove(s, slot);
        s->in_use++;
    }
    slot->use = use;
    tarn_timer_set(&s->timers, &slot->timer, until);
}

static void let_go(struct tarn_dhcp_server *s, struct slot *slot) {
    tarn_timer_clear(&s->timers, &slot->timer);
    s->in_use--;
    free_push(s, slot);
}

static void give_to(struct tarn_dhcp_server *s, struct slot *slot, struct tarn_span id) {
    struct slot *old = find_client(s, id);
    if (old == slot)
        return;
    if (old) { /* one address for each client */
        forget_client(s, old);
        if (old->use != FREE)
            let_go(s, old);
    }
    forget_client(s, slot);
    slot->id_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(slot->id), id);
    tarn_map_insert(&s->by_client, &slot->by_client, tarn_hash(&s->key, id));
}

/* What is DECLINED, or our own, has nobody's identifier. */
static bool is_for(const struct slot *slot, struct tarn_span id) {
    return slot->use == FREE || tarn_span_equal(tarn_span_of(slot->id, slot->id_len), id);
}

/* RFC 2131 section 4.3.1: what it has or had, what it asks for, and then whatever is free longest.
 */
static struct slot *choose(struct tarn_dhcp_server *s, const struct tarn_dhcp_message *m,
                           struct tarn_span id) {
    struct tarn_ip_addr wanted;
    struct slot *slot = find_client(s, id);
    if (slot)
        return slot;
    if (tarn_dhcp_option_addr(m, TARN_DHCP_OPT_REQUESTED_ADDR, &wanted)
        && (slot = find_addr(s, &wanted)) && slot->use == FREE)
        return slot;
    if (s->free_head != NOBODY)
        return slot_at(s, s->free_head);
    s->stats.exhausted++;
    return NULL;
}

static tarn_time lease_end(const struct tarn_dhcp_server *s, tarn_time now) {
    uint32_t seconds = s->config.lease_seconds;
    return seconds == UINT32_MAX ? TARN_NEVER : tarn_time_after(now, TARN_SEC(seconds));
}

/* -- answers ------------------------------------------------------------------------------------
 */

struct exchange {
    struct tarn_dhcp_message m;
    uint8_t id_buf[ID_BYTES_MAX];
    struct tarn_span id;
    bool has_id; /* an identifier, not just a hardware address */
    struct tarn_writer *w;
    struct tarn_dhcp_path *path;
    tarn_time now;
};

static void set_path(const struct tarn_dhcp_server *s, const struct exchange *x, uint8_t type) {
    /* Section 4.1. Without control over ARP, whom has no address yet is reached by broadcast. */
    x->path->src = s->config.addr.addr;
    x->path->dst_port = TARN_DHCP_CLIENT_PORT;
    x->path->dst = type == TARN_DHCP_NAK || tarn_ip_addr_is_any(&x->m.ciaddr)
                       ? TARN_IP_ADDR_V4(255, 255, 255, 255)
                       : x->m.ciaddr;
}

static void write_config(const struct tarn_dhcp_server *s, struct tarn_writer *w) {
    const struct tarn_dhcp_server_config *c = &s->config;
    uint32_t mask = c->addr.bits ? UINT32_MAX << (32 - c->addr.bits) : 0;
    tarn_dhcp_write_u32(w, TARN_DHCP_OPT_SUBNET_MASK, mask);
    if (!tarn_ip_addr_is_any(&c->gateway))
        tarn_dhcp_write_addr(w, TARN_DHCP_OPT_ROUTER, &c->gateway);
    if (!tarn_ip_addr_is_any(&c->dns))
        tarn_dhcp_write_addr(w, TARN_DHCP_OPT_DNS, &c->dns);
    if (c->domain.len)
        tarn_dhcp_write_option(w, TARN_DHCP_OPT_DOMAIN_NAME, c->domain);
    if (c->mtu)
        tarn_dhcp_write_u16(w, TARN_DHCP_OPT_MTU, c->mtu);
}

/* `slot` NULL: an answer without a lease (NAK, or ACK of an INFORM). */
static bool reply(struct tarn_dhcp_server *s, const struct exchange *x, uint8_t type,
                  const struct slot *slot) {
    struct tarn_dhcp_message m = {
        .op = TARN_DHCP_BOOTREPLY,
        .type = type,
        .xid = x->m.xid,
        .flags = x->m.flags,
        .giaddr = x->m.giaddr,
    };
    tarn_bytes_copy(TARN_BYTES_ARRAY(m.mac), TARN_SPAN_ARRAY(x->m.mac));
    if (type != TARN_DHCP_NAK)
        m.ciaddr = x->m.ciaddr;
    if (slot)
        m.yiaddr = addr_of(s, slot);
    tarn_dhcp_write_header(x->w, &m);
    tarn_dhcp_write_addr(x->w, TARN_DHCP_OPT_SERVER_ID, &s->config.addr.addr);
    if (slot)
        tarn_dhcp_write_u32(x->w, TARN_DHCP_OPT_LEASE_TIME, s->config.lease_seconds);
    if (type != TARN_DHCP_NAK)
        write_config(s, x->w);
    if (x->has_id)
        tarn_dhcp_write_option(x->w, TARN_DHCP_OPT_CLIENT_ID, x->id); /* RFC 6842 */
    if (x->m.type == TARN_DHCP_DISCOVER && type == TARN_DHCP_ACK)
        tarn_dhcp_write_option(x->w, TARN_DHCP_OPT_RAPID_COMMIT, TARN_SPAN_EMPTY);
    tarn_dhcp_write_end(x->w);
    set_path(s, x, type);
    s->stats.sent++;
    s->stats.naks += type == TARN_DHCP_NAK;
    return tarn_writer_ok(x->w);
}

static bool on_discover(struct tarn_dhcp_server *s, const struct exchange *x) {
    struct tarn_span nothing;
    uint8_t none[1];
    struct slot *slot = choose(s, &x->m, x->id);
    if (!slot)
        return false;
    bool rapid =
        tarn_dhcp_option(&x->m, TARN_DHCP_OPT_RAPID_COMMIT, TARN_BYTES_ARRAY(none), &nothing);
    give_to(s, slot, x->id);
    if (rapid)
        hold(s, slot, LEASED, lease_end(s, x->now));
    else if (slot->use != LEASED) /* asking again costs nobody the lease that is running */
        hold(s, slot, OFFERED, tarn_time_after(x->now, OFFER_TIME));
    return reply(s, x, rapid ? TARN_DHCP_ACK : TARN_DHCP_OFFER, slot);
}

static bool grant(struct tarn_dhcp_server *s, const struct exchange *x, struct slot *slot) {
    give_to(s, slot, x->id);
    hold(s, slot, LEASED, lease_end(s, x->now));
    return reply(s, x, TARN_DHCP_ACK, slot);
}

/* RFC 2131 section 4.3.2 and table 4. */
static bool on_request(struct tarn_dhcp_server *s, const struct exchange *x) {
    struct tarn_ip_addr server, wanted;
    struct slot *mine = find_client(s, x->id);
    bool named = tarn_dhcp_option_addr(&x->m, TARN_DHCP_OPT_SERVER_ID, &server);
    if (named && !tarn_ip_addr_equal(&server, &s->config.addr.addr)) {
        if (mine && mine->use == OFFERED) /* it has taken another's offer */
            let_go(s, mine);
        s->stats.ignored++;
        return false;
    }
    if (!tarn_dhcp_option_addr(&x->m, TARN_DHCP_OPT_REQUESTED_ADDR, &wanted))
        wanted = x->m.ciaddr;
    struct slot *slot = find_addr(s, &wanted);
    bool on_subnet = tarn_ip_prefix_contains(&s->config.addr, &wanted);
    if (slot && slot == mine)
        return grant(s, x, slot);
    if (!named && !mine && !s->config.authoritative && on_subnet) {
        s->stats.ignored++; /* "MUST remain silent" about what it has no record of */
        return false;
    }
    if (slot && is_for(slot, x->id) && (named || s->config.authoritative))
        return grant(s, x, slot);
    return reply(s, x, TARN_DHCP_NAK, NULL);
}

static bool on_decline(struct tarn_dhcp_server *s, const struct exchange *x) {
    struct tarn_ip_addr addr;
    struct slot *mine = find_client(s, x->id);
    if (!mine || mine->use == FREE
        || !tarn_dhcp_option_addr(&x->m, TARN_DHCP_OPT_REQUESTED_ADDR, &addr)
        || find_addr(s, &addr) != mine)
        return false;
    s->stats.declined++;
    forget_client(s, mine);
    hold(s, mine, DECLINED, tarn_time_after(x->now, DECLINE_TIME));
    return false;
}

static bool on_release(struct tarn_dhcp_server *s, const struct exchange *x) {
    struct slot *mine = find_client(s, x->id);
    if (mine && mine->use != FREE && find_addr(s, &x->m.ciaddr) == mine)
        let_go(s, mine);
    return false;
}

static bool identify(struct exchange *x) {
    x->has_id =
        tarn_dhcp_option(&x->m, TARN_DHCP_OPT_CLIENT_ID, TARN_BYTES_ARRAY(x->id_buf), &x->id);
    if (x->has_id)
        return x->id.len >= 2;
    x->id = TARN_SPAN_ARRAY(x->m.mac);
    return true;
}

bool tarn_dhcp_server_input(struct tarn_dhcp_server *s, struct tarn_span payload,
                            struct tarn_writer *w, struct tarn_dhcp_path *path, tarn_time now) {
    struct exchange x = {.w = w, .path = path, .now = now};
    s->stats.received++;
    if (!tarn_dhcp_parse(payload, &x.m) || !identify(&x)) {
        s->stats.malformed++;
        return false;
    }
    tarn_dhcp_server_tick(s, now);
    if (x.m.op == TARN_DHCP_BOOTREQUEST && tarn_ip_addr_is_any(&x.m.giaddr)) {
        switch (x.m.type) {
        case TARN_DHCP_DISCOVER: return on_discover(s, &x);
        case TARN_DHCP_REQUEST: return on_request(s, &x);
        case TARN_DHCP_DECLINE: return on_decline(s, &x);
        case TARN_DHCP_RELEASE: return on_release(s, &x);
        case TARN_DHCP_INFORM: return reply(s, &x, TARN_DHCP_ACK, NULL);
        default: break;
        }
    }
    s->stats.ignored++;
    return false;
}

void tarn_dhcp_server_tick(struct tarn_dhcp_server *s, tarn_time now) {
    struct tarn_timer *timer;
    while ((timer = tarn_timers_pop(&s->timers, now)))
        let_go(s, TARN_CONTAINER_OF(timer, struct slot, timer));
}

tarn_time tarn_dhcp_server_deadline(const struct tarn_dhcp_server *s) {
    return tarn_timers_next(&s->timers);
}

uint32_t tarn_dhcp_server_in_use(const struct tarn_dhcp_server *s) {
    return s->in_use;
}

const struct tarn_dhcp_server_stats *tarn_dhcp_server_stats(const struct tarn_dhcp_server *s) {
    return &s->stats;
}
