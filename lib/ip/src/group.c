/* SPDX-License-Identifier: ISC */
/* Multicast groups: which are heard on an interface, and from whom (RFC 3376 section 3, RFC 3810
 * section 4). Listeners are counted rather than kept: how many there are of a group, how many of
 * those hear everybody but some, and for each source named by any, how many want it and how many do
 * not. That is all that merging their filters takes. */
#include "internal.h"

#define SOURCES_OF_GROUP_MAX 64u

enum tarn_err group_init(struct tarn_ip *ip) {
    const struct tarn_ip_limits *l = &ip->config.limits;
    struct tarn_alloc *alloc = ip->config.alloc;
    enum tarn_err err = tarn_pool_init(&ip->groups, alloc, sizeof(struct group),
                                       _Alignof(struct group), l->groups_max);
    if (!err)
        err = tarn_pool_init(&ip->sources, alloc, sizeof(struct source), _Alignof(struct source),
                             l->sources_max);
    if (!err)
        err = tarn_map_init(&ip->group_by_addr, alloc, l->groups_max);
    return err;
}

static uint64_t hash_of(const struct tarn_ip *ip, const struct iface *iface,
                        const struct tarn_ip_addr *addr) {
    return tarn_hash(&ip->key, TARN_SPAN_ARRAY(addr->bytes)) + iface->index;
}

struct group *group_find(const struct tarn_ip *ip, const struct iface *iface,
                         const struct tarn_ip_addr *addr) {
    struct tarn_map_link *l = tarn_map_first(&ip->group_by_addr, hash_of(ip, iface, addr));
    for (; l; l = tarn_map_following(l)) {
        struct group *g = TARN_CONTAINER_OF(l, struct group, link);
        if (g->iface == iface && tarn_ip_addr_equal(&g->addr, addr))
            return g;
    }
    return NULL;
}

bool group_is_joined(const struct tarn_ip *ip, const struct iface *iface,
                     const struct tarn_ip_addr *addr) {
    const struct group *g = group_find(ip, iface, addr);
    return g && g->joins > 0;
}

static struct source *source_find(const struct group *g, const struct tarn_ip_addr *addr) {
    struct source *s = g->sources;
    while (s && !tarn_ip_addr_equal(&s->addr, addr))
        s = s->next;
    return s;
}

struct source *group_source(struct tarn_ip *ip, struct group *g, const struct tarn_ip_addr *addr) {
    struct source **at = &g->sources;
    while (*at && !tarn_ip_addr_equal(&(*at)->addr, addr))
        at = &(*at)->next;
    if (*at || g->source_count == SOURCES_OF_GROUP_MAX)
        return *at;
    struct source *s = tarn_pool_take(&ip->sources);
    if (!s)
        return NULL;
    *s = (struct source){.addr = *addr};
    g->source_count++;
    return *at = s;
}

/* RFC 3376 section 3.2: as soon as one listener hears everybody but some, the list is of those that
 * nobody at all wants; otherwise of those that anybody does. */
bool group_lists(const struct group *g, const struct source *s) {
    return g->excludes > 0 ? s->blocked == g->excludes && s->included == 0 : s->included > 0;
}

bool group_hears(const struct tarn_ip *ip, const struct iface *iface,
                 const struct tarn_ip_addr *addr, const struct tarn_ip_addr *source) {
    const struct group *g = group_find(ip, iface, addr);
    if (!g || g->joins == 0)
        return false;
    const struct source *s = source_find(g, source);
    return (s && group_lists(g, s)) != (g->excludes > 0);
}

/* What nobody listens to and no report has to name any more goes. */
void group_clean(struct tarn_ip *ip, struct group *g) {
    struct source **at = &g->sources;
    while (*at) {
        struct source *s = *at;
        if (s->included || s->blocked || s->left || s->asked || s->listed) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        g->source_count--;
        tarn_pool_put(&ip->sources, s);
    }
    if (g->joins || g->sources || g->left || !g->include)
        return;
    tarn_timer_clear(&ip->group_timers, &g->timer);
    tarn_lru_remove(&g->iface->groups, &g->lru);
    tarn_map_remove(&ip->group_by_addr, &g->link);
    tarn_pool_put(&ip->groups, g);
}

/* Groups that every node is in, or that never leave it, are not reported (RFC 3376 section 6,
 * RFC 3810 section 6). */
static bool is_silent(const struct tarn_ip_addr *addr) {
    if (tarn_ip_addr_is_v4(addr))
        return tarn_ip_addr_v4(addr) == 0xe0000001;
    static const struct tarn_ip_addr all_nodes = {.bytes = {0xff, 2, [15] = 1}};
    return (TARN_AT(addr->bytes, 1) & 15) < 2 || tarn_ip_addr_equal(addr, &all_nodes);
}

static struct group *group_new(struct tarn_ip *ip, struct iface *iface,
                               const struct tarn_ip_addr *addr) {
    struct group *g = tarn_pool_take(&ip->groups);
    if (!g)
        return NULL;
    *g = (struct group){.addr = *addr, .iface = iface, .include = true, .silent = is_silent(addr)};
    tarn_lru_add(&iface->groups, &g->lru);
    tarn_map_insert(&ip->group_by_addr, &g->link, hash_of(ip, iface, addr));
    return g;
}

static enum tarn_err tell_link(const struct group *g, bool add) {
    struct tarn_link *link = g->iface->link;
    return link->ops->join ? link->ops->join(link, &g->addr, add) : TARN_OK;
}

/* One listener more, or one less. */
static void count(struct group *g, const struct tarn_group_filter *f, uint32_t one) {
    g->joins += one;
    if (!f->include)
        g->excludes += one;
    for (uint32_t i = 0; i < f->count; i++) {
        struct source *s = source_find(g, &TARN_AT_N(f->sources, f->count, i));
        *(f->include ? &s->included : &s->blocked) += one;
    }
}

static enum tarn_err join(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *addr,
                          const struct tarn_group_filter *f) {
    struct group *g = group_find(ip, iface, addr);
    if (!g)
        g = group_new(ip, iface, addr);
    if (!g)
        return TARN_LIMIT;
    enum tarn_err err = TARN_OK;
    for (uint32_t i = 0; i < f->count && !err; i++)
        err = group_source(ip, g, &TARN_AT_N(f->sources, f->count, i)) ? TARN_OK : TARN_LIMIT;
    if (!err && g->joins == 0)
        err = tell_link(g, true);
    if (!err)
        count(g, f, 1);
    member_changed(ip, g);
    return err;
}

/* Whether some listener can have joined like that. */
static bool has(const struct group *g, const struct tarn_group_filter *f) {
    if (g->joins == 0 || (!f->include && g->excludes == 0))
        return false;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct source *s = source_find(g, &TARN_AT_N(f->sources, f->count, i));
        if (!s || (f->include ? s->included : s->blocked) == 0)
            return false;
    }
    return true;
}

static enum tarn_err leave(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *addr,
                           const struct tarn_group_filter *f) {
    struct group *g = group_find(ip, iface, addr);
    if (!g || !has(g, f))
        return TARN_NOT_FOUND;
    count(g, f, UINT32_MAX);
    if (g->joins == 0)
        (void)!tell_link(g, false);
    member_changed(ip, g);
    return TARN_OK;
}

enum tarn_err group_join(struct tarn_ip *ip, struct iface *iface, const struct tarn_ip_addr *addr,
                         const struct tarn_group_filter *filter, bool add) {
    static const struct tarn_group_filter everybody = {0};
    const struct tarn_group_filter *f = filter ? filter : &everybody;
    bool speaks = tarn_ip_addr_is_v4(addr) || iface->ipv6;
    if (!speaks || !tarn_group_filter_is_valid(f, addr) || tarn_group_filter_is_empty(f))
        return TARN_INVALID;
    return add ? join(ip, iface, addr, f) : leave(ip, iface, addr, f);
}
