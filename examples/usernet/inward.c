/* SPDX-License-Identifier: ISC */
/* Ports of the host's that lead into the guest: a connection there is made to the guest from the
 * gateway's address, and relayed. */
#include <tarn/flow_relay.h>

#include "usernet.h"

#define FORWARDS_MAX 32u
#define RELAYS_MAX 500u
#define BACKLOG 128u

struct inward {
    struct tarn_endpoint host, guest;
    struct tarn_listener *listener;
};

static struct usernet *net;
static struct tarn_pool relays;
static struct inward forwards[FORWARDS_MAX];
static uint32_t forward_count;

static void relayed(struct tarn_flow_relay *relay, enum tarn_err err) {
    (void)err; /* either side has been told */
    tarn_pool_put(&relays, relay);
}

/* What the guest refuses is reset here: the host's system had accepted it already. */
static void accepted(const struct inward *i, struct tarn_flow *host) {
    struct tarn_flow_relay *relay = tarn_pool_take(&relays);
    struct tarn_flow *flow;
    if (relay && tarn_net_connect(tarn_stack_net(net->guest), &i->guest, &flow) == TARN_OK) {
        (void)!tarn_tcp_set_nodelay(flow, true); /* whoever speaks on the host has gathered it */
        *relay = (struct tarn_flow_relay){.done = relayed};
        tarn_flow_relay_start(relay, tarn_env_tasks(net->env), host, flow);
        return;
    }
    if (relay)
        tarn_pool_put(&relays, relay);
    tarn_flow_abort(host);
}

static void host_event(struct tarn_listener *listener) {
    struct tarn_flow *host;
    while (tarn_listener_accept(listener, &host) == TARN_OK)
        accepted(listener->user, host);
}

/* -- what is asked for --------------------------------------------------------------------------
 */

static bool read_port(struct tarn_span text, uint16_t *out) {
    uint64_t port;
    if (!tarn_span_parse_dec(text, UINT16_MAX, &port) || port == 0)
        return false;
    *out = (uint16_t)port;
    return true;
}

/* "tcp:PORT:ADDRESS:PORT", or with an address of the host's before its port; its loopback address
 * where there is none, so that nobody else is let in unasked. */
static bool read_one(struct tarn_span text, struct inward *out) {
    struct tarn_span fields[5];
    uint32_t n = 0;
    while (n < TARN_COUNT_OF(fields) && text.len > 0)
        (void)tarn_span_split(&text, ':', &fields[n++]);
    if (n < 4 || text.len > 0 || !tarn_span_equal(fields[0], TARN_SPAN_LIT("tcp")))
        return false;
    out->host.addr = (struct tarn_ip_addr)TARN_IP_ADDR_V4(127, 0, 0, 1);
    return (n == 4 || tarn_ip_addr_parse(fields[1], &out->host.addr))
           && read_port(fields[n - 3], &out->host.port)
           && tarn_ip_addr_parse(fields[n - 2], &out->guest.addr)
           && read_port(fields[n - 1], &out->guest.port);
}

enum tarn_err inward_start(struct usernet *u, struct tarn_span wanted) {
    struct tarn_span one;
    net = u;
    if (wanted.len == 0)
        return TARN_OK;
    enum tarn_err err =
        tarn_pool_init(&relays, tarn_env_alloc(u->env), sizeof(struct tarn_flow_relay),
                       _Alignof(struct tarn_flow_relay), RELAYS_MAX);
    while (!err && wanted.len > 0) {
        (void)tarn_span_split(&wanted, ',', &one);
        if (forward_count == FORWARDS_MAX || !read_one(one, &forwards[forward_count]))
            return TARN_INVALID;
        struct inward *i = &forwards[forward_count++];
        err = tarn_net_listen(u->host, &i->host, BACKLOG, &i->listener);
        if (err)
            return err;
        i->listener->user = i;
        i->listener->on_event = host_event;
    }
    return err;
}
