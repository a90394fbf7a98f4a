/* SPDX-License-Identifier: ISC */
/* Reassembly for both families. Fragments stay in the packets they came in until the last one is
 * there; then one copy makes the datagram. Work for a fragment is bounded by reass_pieces_max, and
 * small for fragments in order. */
#include "internal.h"

enum tarn_err reass_init(struct tarn_ip *ip) {
    const struct tarn_ip_limits *l = &ip->config.limits;
    struct reass *r = &ip->reass;
    struct tarn_alloc *alloc = ip->config.alloc;
    enum tarn_err err = tarn_pool_init(&r->datagrams, alloc, sizeof(struct datagram),
                                       _Alignof(struct datagram), l->reass_max);
    if (!err)
        err =
            tarn_pool_init(&r->pieces, alloc, sizeof(struct piece), _Alignof(struct piece),
                           l->reass_max * TARN_MIN(l->reass_pieces_max, 16u) + l->reass_pieces_max);
    if (!err)
        err = tarn_map_init(&r->by_key, alloc, l->reass_max);
    if (!err)
        err = tarn_timers_init(&ip->timers, alloc, l->reass_max);
    return err;
}

static uint64_t hash_of(const struct tarn_ip *ip, const struct reass_key *key) {
    return tarn_hash(&ip->key, tarn_span_of(key, sizeof *key));
}

static struct datagram *find(const struct tarn_ip *ip, const struct reass_key *key, uint64_t hash) {
    struct tarn_map_link *l = tarn_map_first(&ip->reass.by_key, hash);
    for (; l; l = tarn_map_following(l)) {
        struct datagram *d = TARN_CONTAINER_OF(l, struct datagram, link);
        if (d->key.id == key->id && d->key.proto == key->proto && d->key.iface == key->iface
            && tarn_ip_addr_equal(&d->key.src, &key->src)
            && tarn_ip_addr_equal(&d->key.dst, &key->dst))
            return d;
    }
    return NULL;
}

static void drop_pieces(struct tarn_ip *ip, struct datagram *d) {
    while (d->first) {
        struct piece *p = d->first;
        d->first = p->next;
        ip->reass.bytes -= tarn_pkt_truesize(p->pkt);
        tarn_pkt_free(p->pkt);
        tarn_pool_put(&ip->reass.pieces, p);
    }
    d->last = NULL;
    d->pieces = d->have = 0;
}

static void forget(struct tarn_ip *ip, struct datagram *d) {
    struct reass *r = &ip->reass;
    drop_pieces(ip, d);
    tarn_lru_remove(&r->lru, &d->lru);
    tarn_timer_clear(&ip->timers, &d->timer);
    tarn_map_remove(&r->by_key, &d->link);
    tarn_pool_put(&r->datagrams, d);
}

static struct datagram *oldest(const struct reass *r) {
    return TARN_CONTAINER_OF(r->lru.oldest, struct datagram, lru);
}

static struct datagram *start(struct tarn_ip *ip, const struct reass_key *key, uint64_t hash,
                              tarn_time now) {
    struct reass *r = &ip->reass;
    if (r->datagrams.live == r->datagrams.count) {
        ip->stats.drops_reass_limit++;
        forget(ip, oldest(r));
    }
    struct datagram *d = tarn_pool_take(&r->datagrams);
    TARN_ASSERT(d);
    *d = (struct datagram){.key = *key};
    tarn_lru_add(&r->lru, &d->lru);
    tarn_map_insert(&r->by_key, &d->link, hash);
    bool v4 = tarn_ip_addr_is_v4(&key->src);
    tarn_timer_set(&ip->timers, &d->timer,
                   tarn_time_after(now, v4 ? ip->config.limits.reass_timeout : TARN_SEC(60)));
    return d;
}

enum place { PLACE_FOUND, PLACE_DUPLICATE, PLACE_OVERLAP };

/* The piece that the new one goes behind (NULL: in front of all). */
static enum place find_place(const struct datagram *d, uint32_t off, uint32_t len,
                             struct piece **behind) {
    *behind = d->last;
    if (!d->last || off >= d->last->off + d->last->len)
        return PLACE_FOUND;
    *behind = NULL;
    for (struct piece *p = d->first; p; p = p->next) {
        if (p->off == off && p->len == len)
            return PLACE_DUPLICATE;
        if (off + len <= p->off)
            return PLACE_FOUND;
        if (off < p->off + p->len)
            return PLACE_OVERLAP;
        *behind = p;
    }
    return PLACE_FOUND;
}

static void insert(struct datagram *d, struct piece *p, struct piece *behind) {
    struct piece **at = behind ? &behind->next : &d->first;
    p->next = *at;
    *at = p;
    if (!p->next)
        d->last = p;
    d->pieces++;
    d->have += p->len;
}

/* One linear packet of all pieces, the first one's headers in front. */
static struct tarn_pkt *join(struct tarn_ip *ip, struct datagram *d) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(ip->config.pkts, (size_t)d->header_bytes + d->total);
    if (!pkt) {
        ip->stats.drops_memory++;
        return NULL;
    }
    /* The headers still lie in front of the first fragment's data: seen again, not written. */
    (void)tarn_pkt_prepend(d->first->pkt, d->header_bytes);
    for (const struct piece *p = d->first; p; p = p->next)
        TARN_ASSERT(tarn_pkt_append(pkt, tarn_pkt_head(p->pkt)));
    TARN_ASSERT(tarn_pkt_pull(pkt, d->header_bytes));
    ip->stats.reassembled++;
    return pkt;
}

/* RFC 5722 section 4: whoever overlaps is up to no good, and so is all of the datagram. */
static void kill(struct tarn_ip *ip, struct datagram *d) {
    drop_pieces(ip, d);
    d->dead = true;
    ip->stats.drops_overlap++;
}

/* Whether the fragment can be part of this datagram; a last one says where it ends. */
static bool fits(struct datagram *d, uint32_t end, bool more) {
    uint32_t have_end = d->last ? d->last->off + d->last->len : 0;
    if (d->total != 0 && (end > d->total || (!more && end != d->total)))
        return false;
    if (!more && have_end > end)
        return false;
    if (!more)
        d->total = end;
    return true;
}

static bool add_piece(struct tarn_ip *ip, struct datagram *d, uint32_t off, bool more,
                      struct tarn_pkt *pkt) {
    const struct tarn_ip_limits *l = &ip->config.limits;
    struct reass *r = &ip->reass;
    struct piece *behind;
    enum place place = find_place(d, off, pkt->len, &behind);
    if (place == PLACE_DUPLICATE)
        return false; /* the network's doing (RFC 8200 section 4.5) */
    if (place == PLACE_OVERLAP || !fits(d, off + pkt->len, more)) {
        kill(ip, d);
        return false;
    }
    while ((r->bytes + tarn_pkt_truesize(pkt) > l->reass_bytes_max
            || r->pieces.live == r->pieces.count)
           && oldest(r) != d) {
        ip->stats.drops_reass_limit++;
        forget(ip, oldest(r));
    }
    struct piece *p = NULL;
    if (d->pieces < l->reass_pieces_max && r->bytes + tarn_pkt_truesize(pkt) <= l->reass_bytes_max)
        p = tarn_pool_take(&r->pieces);
    if (!p) {
        ip->stats.drops_reass_limit++;
        drop_pieces(ip, d);
        d->dead = true;
        return false;
    }
    *p = (struct piece){.pkt = pkt, .off = off, .len = pkt->len};
    r->bytes += tarn_pkt_truesize(pkt);
    insert(d, p, behind);
    return true;
}

struct tarn_pkt *reass_add(struct tarn_ip *ip, const struct reass_key *key, uint32_t off, bool more,
                           uint16_t header_bytes, uint8_t cast, struct tarn_pkt *pkt,
                           uint16_t *first_header_bytes, tarn_time now) {
    uint64_t hash = hash_of(ip, key);
    ip->stats.fragments_in++;
    /* No datagram is longer than its length field can say (the "ping of death"). */
    if (pkt->len == 0 || off + pkt->len + header_bytes > 65535 || (more && pkt->len % 8 != 0)) {
        ip->stats.drops_fragment++;
        tarn_pkt_free(pkt);
        return NULL;
    }
    struct datagram *d = find(ip, key, hash);
    if (!d)
        d = start(ip, key, hash, now);
    if (d->dead || !add_piece(ip, d, off, more, pkt)) {
        tarn_pkt_free(pkt);
        return NULL;
    }
    if (cast > d->cast)
        d->cast = cast;
    if (off == 0)
        d->header_bytes = header_bytes;
    if (d->total == 0 || d->have < d->total)
        return NULL;
    *first_header_bytes = d->header_bytes;
    struct tarn_pkt *whole = NULL;
    if (d->header_bytes + d->total <= 65535)
        whole = join(ip, d);
    forget(ip, d);
    return whole;
}

void reass_tick(struct tarn_ip *ip, tarn_time now) {
    struct tarn_timer *t;
    while ((t = tarn_timers_pop(&ip->timers, now))) {
        struct datagram *d = TARN_CONTAINER_OF(t, struct datagram, timer);
        ip->stats.drops_reass_timeout++;
        /* Told only where the first fragment is there to be quoted (RFC 792, RFC 8200 4.5). */
        if (d->first && d->first->off == 0 && d->cast == TARN_LINK_TO_US) {
            (void)tarn_pkt_prepend(d->first->pkt, d->header_bytes);
            if (tarn_ip_addr_is_v4(&d->key.src))
                icmpv4_error(ip, d->first->pkt, ICMPV4_TIME_EXCEEDED, 1, 0, now);
            else
                icmpv6_error(ip, iface_at(ip, d->key.iface), d->first->pkt, ICMPV6_TIME_EXCEEDED, 1,
                             0, now);
        }
        forget(ip, d);
    }
}
