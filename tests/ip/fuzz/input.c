/* SPDX-License-Identifier: ISC */
/* Several IP packets and jumps of time. Each is a length whose top bits say how far time jumps and
 * whether the checksums of an IPv4 header, of IGMP and of ICMPv6 are put right, then the bytes. A
 * packet for which there is no memory is lost, as at a device; the memory is little, because a
 * sanitizer pays for all of it in every case. */
#define WORLD_BYTES (576u << 10)
#define WORLD_PKTS                                                                                 \
    { 64, 64, 3 }
#include "../v6.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_icmpv6_right(uint8_t *p, size_t n) {
    uint8_t buf[0x900] = {0};
    /* MLD has a hop-by-hop header of eight bytes in front. */
    size_t at = n >= 52 && p[6] == 0 && p[40] == 58 && p[41] == 0 ? 48 : 40;
    size_t end = 40u + get16(p + 4);
    if (end < at + 4 || end > n || (at == 40 && p[6] != 58))
        return;
    memcpy(buf, p + 8, 32);
    put16(buf + 34, end - at);
    buf[39] = 58;
    put16(p + at + 2, 0);
    memcpy(buf + 40, p + at, end - at);
    put16(p + at + 2, slow_csum(buf, 40 + end - at));
}

static void put_checksums_right(uint8_t *p, size_t n) {
    size_t hl = n >= 20 ? (p[0] & 15u) * 4u : 0;
    if (n >= 44 && p[0] >> 4 == 6) {
        put_icmpv6_right(p, n);
    } else if (hl >= 20 && hl <= n && p[0] >> 4 == 4) {
        put16(p + 10, 0);
        put16(p + 10, slow_csum(p, hl));
        if (p[9] == 2 && n >= hl + 4) {
            put16(p + hl + 2, 0);
            put16(p + hl + 2, slow_csum(p + hl, n - hl));
        }
    }
}

static bool pass(struct tarn_ip_forwarder *f, unsigned iface, bool own, struct tarn_pkt *pkt,
                 tarn_time now) {
    (void)f, (void)iface, (void)own, (void)now;
    return pkt->len % 8 != 0;
}
static const struct tarn_ip_forwarder_ops forwarder_ops = {pass};

/* Groups to be asked about, heard by two with filters of their own. */
static void join_groups(struct world *w) {
    struct tarn_ip_addr g4 = v4(0xef010203), g6 = a6("ff05::123");
    struct tarn_ip_addr from4[] = {v4(PEER)}, from6[] = {a6(PEER6), a6(LL6)};
    struct tarn_group_filter only4 = {true, 1, from4}, but6 = {false, 2, from6};
    if (tarn_ip_join(w->ip, 0, &g4, &only4, true) || tarn_ip_join(w->ip, 0, &g6, &but6, true)
        || tarn_ip_join(w->ip, 0, &g6, NULL, true))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tarn_ip_forwarder forwarder = {&forwarder_ops};
    static struct world w;
    struct tarn_span in = tarn_span_of(data, size), bytes;
    uint16_t len;
    world_init(&w, (struct tarn_ip_limits){.reass_max = 4,
                                           .reass_pieces_max = 8,
                                           .path_mtus_max = 4,
                                           .redirects_max = 4,
                                           .loop_max = 8,
                                           .neighbours_max = 8,
                                           .sources_max = 6});
    struct tarn_ip_prefix ours = {a6(US6), 64};
    w.link[0].link.has_mac = true;
    if (tarn_ip_ipv6_start(w.ip, 0, TARN_IP_IPV6_SLAAC | TARN_IP_IPV6_TEMPORARY, w.now)
        || tarn_ip_addr_add(w.ip, 0, &ours, size & 2, w.now))
        abort();
    w.reject = size & 1;
    tarn_ip_forward_by(w.ip, size & 4 ? &forwarder : NULL);
    if (tarn_ip_stand_in(w.ip, 0, size & 8) || tarn_ip_follow_redirects(w.ip, 0, true))
        abort();

    join_groups(&w);
    while (tarn_span_u16be(&in, &len)) {
        uint8_t buf[0x800];
        tick(&w, (tarn_time)(len >> 12 & 7) * (len >> 12 & 7) * TARN_MS(800));
        if (!tarn_span_take(&in, TARN_MIN((size_t)(len & 0x7ff), in.len), &bytes))
            abort();
        memcpy(buf, bytes.ptr, bytes.len);
        if (!(len & 0x8000))
            put_checksums_right(buf, bytes.len);
        struct tarn_link_meta meta = {.cast = len >> 11 & 1 ? TARN_LINK_TO_ALL : TARN_LINK_TO_US};
        struct tarn_pkt *pkt = tarn_pkt_alloc(&w.pkts, bytes.len);
        if (pkt && !tarn_pkt_append(pkt, tarn_span_of(buf, bytes.len)))
            abort();
        if (pkt)
            tarn_ip_input(w.ip, 0, &meta, pkt, w.now);
        tick(&w, 0);
        world_forget(&w);
    }
    tick(&w, TARN_SEC(61));
    tick(&w, 0);
    if (stats(&w).reass != 0 || stats(&w).reass_bytes != 0 || stats(&w).neighbours > 8
        || !world_end(&w))
        abort();
    return 0;
}
