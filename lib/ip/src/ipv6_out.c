/* SPDX-License-Identifier: ISC */
#include "internal.h"

static void write_header(struct tarn_pkt *pkt, const struct tarn_ip_meta *meta, uint8_t next,
                         uint8_t hops) {
    size_t payload = pkt->len;
    struct tarn_writer w = tarn_pkt_prepend(pkt, IPV6_HEADER_BYTES);
    tarn_writer_u32be(&w, 6u << 28 | (uint32_t)meta->tos << 20);
    tarn_writer_u16be(&w, (uint16_t)payload);
    tarn_writer_u8(&w, next);
    tarn_writer_u8(&w, hops);
    tarn_writer_ipv6(&w, &meta->src);
    tarn_writer_ipv6(&w, &meta->dst);
}

static enum tarn_err refuse(struct tarn_pkt *pkt, uint64_t *counter, enum tarn_err err) {
    ++*counter;
    tarn_pkt_free(pkt);
    return err;
}

enum tarn_err ipv6_transmit(struct tarn_ip *ip, struct iface *iface,
                            const struct tarn_ip_addr *next_hop, const uint8_t *mac,
                            const struct tarn_ip_meta *meta, struct tarn_pkt *pkt, tarn_time now) {
    struct tarn_link_dst dst = {.kind = TARN_LINK_MULTICAST, .ip = *next_hop};
    write_header(pkt, meta, meta->proto, meta->hops);
    if (!tarn_ip_addr_is_multicast(next_hop)) {
        if (!mac)
            return ndp_output(ip, iface, next_hop, pkt, now);
        struct tarn_span s = tarn_span_of(mac, 6);
        dst.kind = TARN_LINK_ADDRESS;
        TARN_ASSERT(tarn_span_copy(&s, dst.mac, 6));
    }
    enum tarn_err err = iface->link->ops->send(iface->link, &dst, pkt, now);
    ip->stats.out++;
    ip->stats.drops_link += err != TARN_OK;
    return err;
}

static enum tarn_err send_one(struct tarn_ip *ip, const struct path *path, struct tarn_pkt *pkt,
                              tarn_time now) {
    if (path->kind == TARN_LINK_NEIGHBOUR)
        return ndp_output(ip, path->iface, &path->next_hop, pkt, now);
    return ip_link_send(ip, path->iface, path, pkt, now);
}

/* RFC 8200 section 4.5. As for IPv4: all pieces or none. */
static enum tarn_err send_fragments(struct tarn_ip *ip, const struct path *path,
                                    const struct tarn_ip_meta *meta, uint8_t hops, uint16_t mtu,
                                    struct tarn_pkt *pkt, tarn_time now) {
    size_t chunk = (mtu - IPV6_HEADER_BYTES - 8u) & ~7u;
    uint32_t id = fragment_id(ip, meta, 1);
    struct tarn_pkt_queue pieces = {0};
    tarn_pkt_csum_complete(pkt);
    for (size_t off = 0; off < pkt->len; off += chunk) {
        size_t n = TARN_MIN(chunk, pkt->len - off);
        bool more = off + n < pkt->len;
        struct tarn_pkt *piece = fragment_slice(ip->config.pkts, pkt, off, n);
        if (!piece) {
            tarn_pkt_queue_clear(&pieces);
            return refuse(pkt, &ip->stats.drops_memory, TARN_LIMIT);
        }
        struct tarn_writer w = tarn_pkt_prepend(piece, 8);
        tarn_writer_u8(&w, meta->proto);
        tarn_writer_u8(&w, 0);
        tarn_writer_u16be(&w, (uint16_t)(off | more));
        tarn_writer_u32be(&w, id);
        write_header(piece, meta, IPV6_FRAGMENT, hops);
        tarn_pkt_queue_push(&pieces, piece);
    }
    tarn_pkt_free(pkt);
    enum tarn_err err = TARN_OK;
    struct tarn_pkt *piece;
    while (!err && (piece = tarn_pkt_queue_pop(&pieces))) {
        ip->stats.fragments_out++;
        err = send_one(ip, path, piece, now);
    }
    tarn_pkt_queue_clear(&pieces);
    return err;
}

enum tarn_err ipv6_send(struct tarn_ip *ip, const struct tarn_ip_meta *asked, struct tarn_pkt *pkt,
                        tarn_time now) {
    struct tarn_ip_meta meta = *asked;
    struct path path;
    enum tarn_err err = path_find(ip, asked->iface, &asked->src, &asked->dst, &path);
    if (!err && tarn_ip_addr_is_v4(&path.src))
        err = TARN_INVALID;
    if (err == TARN_INVALID)
        return refuse(pkt, &ip->stats.drops_no_source, err);
    if (err)
        return refuse(pkt, &ip->stats.drops_no_route, err);
    if (pkt->len > 65535)
        return refuse(pkt, &ip->stats.drops_too_big, TARN_INVALID);
    meta.src = path.src;
    uint8_t hops = path.iface->hops ? path.iface->hops : ip->config.hops;
    if (path.kind == TARN_LINK_MULTICAST)
        hops = 1;
    if (meta.hops)
        hops = meta.hops;
    uint16_t mtu = path.local ? 65535 : pmtu_get(ip, &meta.dst, path.iface->mtu6);
    struct tarn_pkt *copy = ip_group_copy(ip, &path, &meta, pkt);
    if (copy) {
        write_header(copy, &meta, meta.proto, hops);
        ip_loop(ip, path.iface, copy);
    }
    bool cut_below = pkt->gso_size != 0 && pkt->gso_type != TARN_GSO_NONE;
    if (!cut_below && pkt->len + IPV6_HEADER_BYTES > mtu && !path.local) {
        if (meta.no_fragment)
            return refuse(pkt, &ip->stats.drops_too_big, TARN_LIMIT);
        return send_fragments(ip, &path, &meta, hops, mtu, pkt, now);
    }
    write_header(pkt, &meta, meta.proto, hops);
    if (path.local) {
        ip_loop(ip, path.iface, pkt);
        return TARN_OK;
    }
    return send_one(ip, &path, pkt, now);
}
