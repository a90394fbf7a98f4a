/* SPDX-License-Identifier: ISC */
#include "internal.h"

static void write_header(struct tarn_pkt *pkt, const struct tarn_ip_meta *meta, uint8_t hops,
                         uint16_t id, uint16_t frag) {
    struct tarn_writer w = tarn_pkt_prepend(pkt, IPV4_HEADER_BYTES);
    tarn_writer_u8(&w, 0x45);
    tarn_writer_u8(&w, meta->tos);
    tarn_writer_u16be(&w, (uint16_t)pkt->len);
    tarn_writer_u16be(&w, id);
    tarn_writer_u16be(&w, frag);
    tarn_writer_u8(&w, hops);
    tarn_writer_u8(&w, meta->proto);
    tarn_writer_u16be(&w, 0);
    tarn_writer_ipv4(&w, &meta->src);
    tarn_writer_ipv4(&w, &meta->dst);
    tarn_writer_patch_u16be(&w, 10, tarn_csum_finish(tarn_csum_add(0, tarn_writer_span(&w))));
}

static enum tarn_err refuse(struct tarn_pkt *pkt, uint64_t *counter, enum tarn_err err) {
    ++*counter;
    tarn_pkt_free(pkt);
    return err;
}

/* RFC 791 section 2.3. Checksums are completed first, once over the whole: no device can do it over
 * several packets. All pieces or none: one alone is of no use to anybody. */
enum tarn_err ipv4_send_fragments(struct tarn_ip *ip, const struct path *path,
                                  const struct tarn_ip_meta *meta, uint8_t hops, uint16_t mtu,
                                  uint16_t id, struct tarn_pkt *pkt, tarn_time now) {
    size_t chunk = (mtu - IPV4_HEADER_BYTES) & ~7u;
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
        write_header(piece, meta, hops, id, (uint16_t)(off / 8 | (more ? IPV4_MF : 0)));
        tarn_pkt_queue_push(&pieces, piece);
    }
    tarn_pkt_free(pkt);
    enum tarn_err err = TARN_OK;
    struct tarn_pkt *piece;
    while (!err && (piece = tarn_pkt_queue_pop(&pieces))) {
        ip->stats.fragments_out++;
        err = ip_link_send(ip, path->iface, path, piece, now);
    }
    tarn_pkt_queue_clear(&pieces);
    return err;
}

enum tarn_err ipv4_send(struct tarn_ip *ip, const struct tarn_ip_meta *asked, struct tarn_pkt *pkt,
                        tarn_time now) {
    struct tarn_ip_meta meta = *asked;
    struct path path;
    enum tarn_err err = path_find(ip, asked->iface, &asked->src, &asked->dst, &path);
    if (err == TARN_INVALID)
        return refuse(pkt, &ip->stats.drops_no_source, err);
    if (err)
        return refuse(pkt, &ip->stats.drops_no_route, err);
    if (pkt->len > 65535 - IPV4_HEADER_BYTES)
        return refuse(pkt, &ip->stats.drops_too_big, TARN_INVALID);
    meta.src = path.src;
    /* A group is only reached on the link unless the sender says otherwise (RFC 1112 section 6.1).
     */
    uint8_t hops = meta.hops ? meta.hops : path.kind == TARN_LINK_MULTICAST ? 1 : ip->config.hops;
    uint16_t mtu = path.local ? 65535 : pmtu_get(ip, &meta.dst, path.iface->mtu);
    struct tarn_pkt *copy = ip_group_copy(ip, &path, &meta, pkt);
    if (copy) {
        write_header(copy, &meta, hops, 0, IPV4_DF);
        ip_loop(ip, path.iface, copy);
    }
    bool cut_below = pkt->gso_size != 0 && pkt->gso_type != TARN_GSO_NONE;
    if (!cut_below && pkt->len + IPV4_HEADER_BYTES > mtu) {
        if (meta.no_fragment)
            return refuse(pkt, &ip->stats.drops_too_big, TARN_LIMIT);
        return ipv4_send_fragments(ip, &path, &meta, hops, mtu, (uint16_t)fragment_id(ip, &meta, 1),
                                   pkt, now);
    }
    /* RFC 6864 section 4.1: what cannot be fragmented needs no identification. */
    uint16_t id = 0;
    if (!meta.no_fragment)
        id = (uint16_t)fragment_id(ip, &meta, cut_below ? 1 + pkt->len / pkt->gso_size : 1);
    write_header(pkt, &meta, hops, id, meta.no_fragment ? IPV4_DF : 0);
    if (path.local) {
        ip_loop(ip, path.iface, pkt);
        return TARN_OK;
    }
    return ip_link_send(ip, path.iface, &path, pkt, now);
}
