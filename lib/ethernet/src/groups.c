/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* RFC 1112 section 6.4: the low 23 bits; RFC 2464 section 7: the low 32. */
struct tarn_mac ethernet_group_mac(const struct tarn_ip_addr *group) {
    struct tarn_mac mac;
    struct tarn_writer w = TARN_WRITER_ARRAY(mac.bytes);
    if (tarn_ip_addr_is_v4(group)) {
        tarn_writer_u16be(&w, 0x0100);
        tarn_writer_u32be(&w, 0x5e000000u | (tarn_ip_addr_v4(group) & 0x7fffffu));
    } else {
        tarn_writer_u16be(&w, 0x3333);
        tarn_writer_span_put(&w, tarn_span_after(TARN_SPAN_ARRAY(group->bytes), 12));
    }
    return mac;
}

static uint64_t hash_of(const struct tarn_ethernet *eth, const struct tarn_mac *mac) {
    return tarn_hash(&eth->key, TARN_SPAN_ARRAY(mac->bytes));
}

static struct group *find(const struct tarn_ethernet *eth, const struct tarn_mac *mac) {
    struct tarn_map_link *l = tarn_map_first(&eth->by_mac, hash_of(eth, mac));
    for (; l; l = tarn_map_following(l)) {
        struct group *g = TARN_CONTAINER_OF(l, struct group, link);
        if (mac_equal(&g->mac, mac))
            return g;
    }
    return NULL;
}

bool ethernet_is_joined(const struct tarn_ethernet *eth, const struct tarn_mac *mac) {
    return find(eth, mac) != NULL;
}

enum tarn_err ethernet_join(struct tarn_link *link, const struct tarn_ip_addr *group, bool add) {
    struct tarn_ethernet *eth = TARN_CONTAINER_OF(link, struct tarn_ethernet, link);
    if (!tarn_ip_addr_is_multicast(group))
        return TARN_INVALID;
    struct tarn_mac mac = ethernet_group_mac(group);
    struct group *g = find(eth, &mac);
    if (!add) {
        if (!g)
            return TARN_NOT_FOUND;
        if (--g->joins == 0) {
            tarn_map_remove(&eth->by_mac, &g->link);
            tarn_pool_put(&eth->groups, g);
        }
        return TARN_OK;
    }
    if (!g) {
        g = tarn_pool_take(&eth->groups);
        if (!g)
            return TARN_LIMIT;
        *g = (struct group){.mac = mac};
        tarn_map_insert(&eth->by_mac, &g->link, hash_of(eth, &mac));
    }
    g->joins++;
    return TARN_OK;
}
