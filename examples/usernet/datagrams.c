/* SPDX-License-Identifier: ISC */
/* UDP: each port of the guest's has a port of the host's, the same for whomever it speaks to
 * (RFC 4787 section 4.1), until neither has said anything for a while. */
#include <tarn/lru.h>

#include "usernet.h"

#define SESSIONS_MAX 200u
#define IDLE_MAX TARN_SEC(120) /* RFC 4787 section 4.3 */
#define DNS_PORT 53

struct session {
    struct tarn_map_link by_guest;
    struct tarn_lru_link used;
    tarn_time used_at;
    struct tarn_endpoint guest;
    struct tarn_datagram *host;
};

static struct usernet *net;
static struct tarn_datagram *guests; /* all that the guest sends comes here, and leaves from here */
static struct tarn_pool sessions;
static struct tarn_map by_guest;
static struct tarn_lru used;
static struct tarn_hash_key key;

static uint64_t hash_of(const struct tarn_endpoint *guest) {
    uint16_t port[1] = {guest->port};
    return tarn_hash(&key, TARN_SPAN_ARRAY(guest->addr.bytes))
           ^ tarn_hash(&key, TARN_SPAN_ARRAY(port));
}

static struct session *find(const struct tarn_endpoint *guest) {
    struct tarn_map_link *link = tarn_map_first(&by_guest, hash_of(guest));
    for (; link; link = tarn_map_following(link)) {
        struct session *s = TARN_CONTAINER_OF(link, struct session, by_guest);
        if (s->guest.port == guest->port && tarn_ip_addr_equal(&s->guest.addr, &guest->addr))
            return s;
    }
    return NULL;
}

static void touch(struct session *s) {
    s->used_at = tarn_now(net->env);
    tarn_lru_touch(&used, &s->used);
}

static void forget(struct session *s) {
    tarn_datagram_close(s->host);
    tarn_map_remove(&by_guest, &s->by_guest);
    tarn_lru_remove(&used, &s->used);
    tarn_pool_put(&sessions, s);
}

/* Who it is from in the guest's eyes: the reverse of usernet_outwards. */
static struct tarn_endpoint inwards(const struct session *s, const struct tarn_endpoint *from) {
    bool v4 = tarn_ip_addr_is_v4(&s->guest.addr);
    const struct tarn_ip_addr *gateway = v4 ? &net->gateway : &net->gateway6;
    if (net->dns.port && from->port == net->dns.port
        && tarn_ip_addr_equal(&from->addr, &net->dns.addr))
        return (struct tarn_endpoint){*gateway, DNS_PORT};
    if (tarn_ip_addr_is_loopback(&from->addr))
        return (struct tarn_endpoint){*gateway, from->port};
    return *from;
}

static void host_event(struct tarn_datagram *host, unsigned events) {
    struct session *s = host->user;
    struct tarn_datagram_info from;
    struct tarn_bytes data;
    (void)events;
    while (tarn_datagram_peek(host, &data, &from) == TARN_OK) {
        struct tarn_datagram_info to = {.remote = s->guest, .local = inwards(s, &from.remote)};
        if (tarn_datagram_send(guests, &to, tarn_bytes_span(data)) == TARN_OK)
            touch(s);
        tarn_datagram_consume(host);
    }
}

/* The one that was used least recently makes room. */
static struct session *session_new(const struct tarn_endpoint *guest) {
    struct tarn_datagram_config any = {.local.addr = TARN_IP_ADDR_NONE};
    if (used.count == SESSIONS_MAX)
        forget(TARN_CONTAINER_OF(used.oldest, struct session, used));
    struct session *s = tarn_pool_take(&sessions);
    *s = (struct session){.guest = *guest, .used_at = tarn_now(net->env)};
    if (tarn_net_datagram(net->host, &any, &s->host)) {
        tarn_pool_put(&sessions, s);
        return NULL;
    }
    s->host->user = s;
    s->host->on_event = host_event;
    tarn_map_insert(&by_guest, &s->by_guest, hash_of(guest));
    tarn_lru_add(&used, &s->used);
    return s;
}

static void guest_event(struct tarn_datagram *d, unsigned events) {
    struct tarn_datagram_info from;
    struct tarn_bytes data;
    (void)events;
    while (tarn_datagram_peek(d, &data, &from) == TARN_OK) {
        struct tarn_datagram_info to = {0};
        struct session *s = NULL;
        if (usernet_outwards(net, &from.local, &to.remote)) {
            s = find(&from.remote);
            s = s ? s : session_new(&from.remote);
        }
        /* What the host does not take now is lost, as on any path. */
        if (s && tarn_datagram_send(s->host, &to, tarn_bytes_span(data)) == TARN_OK)
            touch(s);
        tarn_datagram_consume(d);
    }
}

void datagrams_sweep(tarn_time now) {
    while (used.oldest) {
        struct session *s = TARN_CONTAINER_OF(used.oldest, struct session, used);
        if (now < tarn_time_after(s->used_at, IDLE_MAX))
            return;
        forget(s);
    }
}

enum tarn_err datagrams_start(struct usernet *u) {
    struct tarn_alloc *alloc = tarn_env_alloc(u->env);
    struct tarn_udp *udp = tarn_stack_udp(u->guest);
    struct tarn_handle handle;
    net = u;
    tarn_hash_key_init(&key, tarn_env_random(u->env));
    enum tarn_err err = tarn_pool_init(&sessions, alloc, sizeof(struct session),
                                       _Alignof(struct session), SESSIONS_MAX);
    if (!err)
        err = tarn_map_init(&by_guest, alloc, SESSIONS_MAX);
    if (!err)
        err = tarn_udp_open_all(udp, &handle);
    if (err)
        return err;
    guests = tarn_udp_datagram(udp, handle);
    guests->on_event = guest_event;
    return TARN_OK;
}
