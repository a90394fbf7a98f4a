/* SPDX-License-Identifier: ISC */
/* tarn/datagram.h: an endpoint for datagrams. UDP, a host's UDP socket, a test double: the same to
 * whoever stands above (DNS, DHCP, NTP, CoAP, QUIC).
 *
 * Nothing blocks: a call does what it can now and otherwise answers TARN_AGAIN, and then, once, an
 * event says when to try again. Events come from the loop, never from inside a call. Datagrams may
 * be lost, repeated and reordered by the path, and dropped (counted) by a full queue at either end.
 * An endpoint is valid until its owner calls close; after that the owner never touches it again,
 * and no event comes.
 */
#ifndef TARN_DATAGRAM_H
#define TARN_DATAGRAM_H

#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/multicast.h>
#include <tarn/pkt.h>

enum tarn_datagram_events {
    TARN_DATAGRAM_READABLE = 1 << 0, /* a datagram waits: recv until TARN_AGAIN */
    TARN_DATAGRAM_WRITABLE = 1 << 1, /* room again, after a send that answered TARN_AGAIN */
    TARN_DATAGRAM_FAILED =
        1 << 2, /* an ICMP error for a connected endpoint: the next call says it */
};

/* Whom a datagram is from or to. Zeroes are the defaults when sending. */
struct tarn_datagram_info {
    struct tarn_endpoint remote;
    struct tarn_endpoint local; /* received: what it was sent to; sending: only addr, any: chosen */
    uint8_t iface;     /* received: where it came in; sending: 0, or 1 + an interface's index */
    uint8_t hops, tos; /* hop limit (0: default, 1 to a group); DSCP and ECN */
    bool no_fragment;  /* sending: TARN_LIMIT where it does not fit the path */
    bool no_loop;      /* sending to a group: this host, though it listens, does not hear it */
    uint16_t gso_size; /* sending: cut the data into datagrams of this size; 0: one datagram */
};

struct tarn_datagram;
struct tarn_datagram_ops {
    /* From now on only to and from `remote`, whose ICMP errors are reported. NULL undoes it.
     * TARN_NOT_FOUND: no route. */
    enum tarn_err (*connect)(struct tarn_datagram *d, const struct tarn_endpoint *remote);
    /* Copies the `nv` pieces into one datagram. `info` NULL: to the connected remote. TARN_AGAIN: a
     * queue is full; TARN_INVALID: too long, no remote, a broadcast without permission;
     * TARN_NOT_FOUND: no route; TARN_LIMIT: no packet memory, or no_fragment; TARN_PEER, TARN_IO:
     * an earlier ICMP error (port closed; unreachable), told once, and nothing was sent. */
    enum tarn_err (*send)(struct tarn_datagram *d, const struct tarn_datagram_info *info,
                          const struct tarn_span *v, size_t nv);
    /* The same without a copy: holds the lease (NULL: memory that always stays) until sent. An
     * implementation may copy instead. */
    enum tarn_err (*lend)(struct tarn_datagram *d, const struct tarn_datagram_info *info,
                          struct tarn_span data, struct tarn_lease *lease);
    /* The oldest datagram, copied. *n is its whole length; what does not fit into `buf` is lost.
     * `info` may be NULL. TARN_AGAIN: none; TARN_PEER, TARN_IO: as send. */
    enum tarn_err (*recv)(struct tarn_datagram *d, struct tarn_bytes buf, size_t *n,
                          struct tarn_datagram_info *info);
    /* Zero-copy: the oldest datagram where it lies, the reader's alone to look at and to change
     * until consume. Errors as recv. */
    enum tarn_err (*peek)(struct tarn_datagram *d, struct tarn_bytes *out,
                          struct tarn_datagram_info *info);
    /* Done with the datagram that was peeked. */
    void (*consume)(struct tarn_datagram *d);
    /* Starts or stops hearing a multicast group; `iface` as when sending. Optional (NULL).
     * TARN_LIMIT: no room for another group. */
    enum tarn_err (*join)(struct tarn_datagram *d, const struct tarn_ip_addr *group, uint8_t iface,
                          bool add);
    /* Hears the group from now on as `filter` says, instead of whatever was said before: RFC 3376
     * section 2. A filter that hears nobody leaves it. TARN_LIMIT: no room for the group, or more
     * sources than an implementation keeps. Optional (NULL: joins hear everybody). */
    enum tarn_err (*listen)(struct tarn_datagram *d, const struct tarn_ip_addr *group,
                            uint8_t iface, const struct tarn_group_filter *filter);
    /* The address and port that it is bound to. */
    void (*local)(const struct tarn_datagram *d, struct tarn_endpoint *out);
    void (*close)(struct tarn_datagram *d);
};
struct tarn_datagram {
    const struct tarn_datagram_ops *ops;
    void (*on_event)(struct tarn_datagram *d, unsigned events); /* NULL: nobody listens */
    void *user;                                                 /* the owner's */
};

/* How an endpoint is opened (struct tarn_net_ops, tarn/flow.h). */
struct tarn_datagram_config {
    struct tarn_endpoint
        local;      /* addr :: is every address, 0.0.0.0 every IPv4 one; port 0: chosen */
    uint8_t iface;  /* 0, or 1 + the index of the only interface to use */
    bool broadcast; /* may send to broadcast addresses, and hears them */
    bool shared;    /* others that say so too may have the same address and port */
};

static inline TARN_MUST_USE enum tarn_err
tarn_datagram_connect(struct tarn_datagram *d, const struct tarn_endpoint *remote) {
    return d->ops->connect(d, remote);
}
static inline TARN_MUST_USE enum tarn_err tarn_datagram_send(struct tarn_datagram *d,
                                                             const struct tarn_datagram_info *info,
                                                             struct tarn_span data) {
    return d->ops->send(d, info, &data, 1);
}
static inline TARN_MUST_USE enum tarn_err tarn_datagram_lend(struct tarn_datagram *d,
                                                             const struct tarn_datagram_info *info,
                                                             struct tarn_span data,
                                                             struct tarn_lease *lease) {
    return d->ops->lend(d, info, data, lease);
}
static inline TARN_MUST_USE enum tarn_err tarn_datagram_recv(struct tarn_datagram *d,
                                                             struct tarn_bytes buf, size_t *n,
                                                             struct tarn_datagram_info *info) {
    return d->ops->recv(d, buf, n, info);
}
static inline TARN_MUST_USE enum tarn_err tarn_datagram_peek(struct tarn_datagram *d,
                                                             struct tarn_bytes *out,
                                                             struct tarn_datagram_info *info) {
    return d->ops->peek(d, out, info);
}
static inline void tarn_datagram_consume(struct tarn_datagram *d) {
    d->ops->consume(d);
}
static inline TARN_MUST_USE enum tarn_err tarn_datagram_join(struct tarn_datagram *d,
                                                             const struct tarn_ip_addr *group,
                                                             uint8_t iface, bool add) {
    return d->ops->join ? d->ops->join(d, group, iface, add) : TARN_UNSUPPORTED;
}
static inline TARN_MUST_USE enum tarn_err
tarn_datagram_listen(struct tarn_datagram *d, const struct tarn_ip_addr *group, uint8_t iface,
                     const struct tarn_group_filter *filter) {
    return d->ops->listen ? d->ops->listen(d, group, iface, filter) : TARN_UNSUPPORTED;
}
static inline void tarn_datagram_local(const struct tarn_datagram *d, struct tarn_endpoint *out) {
    d->ops->local(d, out);
}
static inline void tarn_datagram_close(struct tarn_datagram *d) {
    d->ops->close(d);
}

#endif
