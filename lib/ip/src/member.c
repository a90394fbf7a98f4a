/* SPDX-License-Identifier: ISC */
/* A host's side of IGMPv3 (RFC 3376) and MLDv2 (RFC 3810), which are one protocol in two encodings
 * (igmp.c, mld.c): changes are reported at once and a few times again, queries are answered after a
 * random delay, and older queriers in their own version. */
#include "internal.h"

#define ROBUSTNESS_DEFAULT 2
#define QUERY_INTERVAL_DEFAULT TARN_SEC(125)
#define UNSOLICITED_INTERVAL TARN_SEC(1)
#define UNSOLICITED_INTERVAL_OLD TARN_SEC(10)
/* A query may ask for an answer at once, and come again: none is given sooner than this. */
#define RESPONSE_LEAST TARN_MS(50)

enum record { IS_IN = 1, IS_EX = 2, TO_IN = 3, TO_EX = 4, ALLOW = 5, BLOCK = 6 };

static struct member *member_of(const struct group *g) {
    return tarn_ip_addr_is_v4(&g->addr) ? &g->iface->igmp : &g->iface->mld;
}

static struct group *group_at(struct tarn_lru_link *l) {
    return l ? TARN_CONTAINER_OF(l, struct group, lru) : NULL;
}

/* The next group of the member's family. */
static struct group *next_of(const struct member *m, struct tarn_lru_link *l) {
    while (l && tarn_ip_addr_is_v4(&group_at(l)->addr) != m->v4)
        l = l->older;
    return group_at(l);
}
#define FOR_GROUPS(g, m)                                                                           \
    for (struct group * next_, *g = next_of((m), (m)->iface->groups.newest);                       \
         g && (next_ = next_of((m), g->lru.older), true); g = next_)

enum tarn_err member_init(struct tarn_ip *ip) {
    struct tarn_alloc *alloc = ip->config.alloc;
    enum tarn_err err = tarn_timers_init(&ip->group_timers, alloc, ip->config.limits.groups_max);
    if (!err)
        err = tarn_timers_init(&ip->general_timers, alloc, 2 * TARN_IP_IFACES_MAX);
    if (!err)
        err = tarn_timers_init(&ip->change_timers, alloc, 2 * TARN_IP_IFACES_MAX);
    return err;
}

void member_start(struct iface *iface) {
    struct member m = {
        .iface = iface, .robustness = ROBUSTNESS_DEFAULT, .interval = QUERY_INTERVAL_DEFAULT};
    iface->mld = m;
    m.v4 = true;
    iface->igmp = m;
}

static enum member_version version(const struct member *m, tarn_time now) {
    return now < m->v1_until ? MEMBER_V1 : now < m->v2_until ? MEMBER_V2 : MEMBER_V3;
}

/* -- reports of the current version: records, as many in one as fit -- */

struct report {
    struct tarn_ip *ip;
    const struct member *m;
    tarn_time now;
    uint16_t records;
    struct tarn_writer w;
    uint8_t buf[1200];
};

static void begin(struct report *r) {
    r->records = 0;
    r->w = TARN_WRITER_ARRAY(r->buf);
    size_t mtu = r->m->v4 ? r->m->iface->mtu - 24u : r->m->iface->mtu6 - 48u;
    r->w.cap = TARN_MIN(r->w.cap, mtu);
    uint32_t type = r->m->v4 ? (uint32_t)IGMP_REPORT_V3 : (uint32_t)MLD_REPORT_V2;
    tarn_writer_u32be(&r->w, type << 24);
    tarn_writer_u32be(&r->w, 0);
}

static void send(struct report *r, const struct tarn_ip_addr *dst) {
    if (r->m->v4)
        igmp_send(r->ip, r->m->iface, dst, tarn_writer_span(&r->w), r->now);
    else
        mld_send(r->ip, r->m->iface, dst, tarn_writer_span(&r->w), r->now);
    r->ip->stats.group_reports_out++;
}

static void end(struct report *r) {
    static const struct tarn_ip_addr routers = {.bytes = {0xff, 2, [15] = 0x16}};
    const struct tarn_ip_addr routers4 = TARN_IP_ADDR_V4(224, 0, 0, 22);
    if (r->records == 0)
        return;
    tarn_writer_patch_u16be(&r->w, 6, r->records);
    send(r, r->m->v4 ? &routers4 : &routers);
}

/* Which sources a record names. */
enum pick { PICK_LISTED, PICK_ALLOWED, PICK_BLOCKED, PICK_ASKED };
static bool is_picked(const struct group *g, const struct source *s, enum pick pick) {
    bool heard = s->listed == g->include;
    switch (pick) {
    case PICK_LISTED: return s->listed;
    case PICK_ALLOWED: return s->left > 0 && heard;
    case PICK_BLOCKED: return s->left > 0 && !heard;
    default: return s->asked && heard;
    }
}

static void add(struct report *r, enum record type, const struct group *g, enum pick pick) {
    size_t n = 0, addr_bytes = r->m->v4 ? 4 : 16, head = 4 + addr_bytes;
    for (const struct source *s = g->sources; s; s = s->next)
        n += is_picked(g, s, pick);
    if (n == 0 && pick != PICK_LISTED)
        return;
    if (tarn_writer_room(&r->w) < head + n * addr_bytes) {
        end(r);
        begin(r);
        /* On a link of the smallest MTU, what does not fit is left out (section 4.2.16). */
        n = TARN_MIN(n, (tarn_writer_room(&r->w) - head) / addr_bytes);
    }
    r->records++;
    tarn_writer_u8(&r->w, (uint8_t)type);
    tarn_writer_u8(&r->w, 0);
    tarn_writer_u16be(&r->w, (uint16_t)n);
    member_write_addr(&r->w, &g->addr);
    for (const struct source *s = g->sources; s && n > 0; s = s->next) {
        if (is_picked(g, s, pick)) {
            member_write_addr(&r->w, &s->addr);
            n--;
        }
    }
}

/* RFC 3376 section 4.1.1, RFC 3810 section 5.1.3: a number as it stands, or with the top bit set
 * three bits of an exponent and a mantissa. */
uint32_t member_code_value(uint32_t code, unsigned bits) {
    unsigned mantissa = bits - 4;
    if (code >> (bits - 1) == 0)
        return code;
    return ((code & ((1u << mantissa) - 1)) | 1u << mantissa) << ((code >> mantissa & 7u) + 3);
}

void member_write_addr(struct tarn_writer *w, const struct tarn_ip_addr *addr) {
    if (tarn_ip_addr_is_v4(addr))
        tarn_writer_ipv4(w, addr);
    else
        tarn_writer_ipv6(w, addr);
}

/* -- reports and farewells of the older versions: one group each -- */

static void say_old(struct report *r, const struct group *g) {
    static const struct tarn_ip_addr routers = {.bytes = {0xff, 2, [15] = 2}};
    const struct tarn_ip_addr routers4 = TARN_IP_ADDR_V4(224, 0, 0, 2);
    bool v4 = r->m->v4, v1 = version(r->m, r->now) == MEMBER_V1, stay = g->joins > 0;
    uint32_t type = v4 ? (!stay ? IGMP_LEAVE
                          : v1  ? IGMP_REPORT_V1
                                : IGMP_REPORT_V2)
                       : (stay ? MLD_REPORT_V1 : MLD_DONE);
    if (!stay && v1)
        return; /* IGMPv1 hosts leave in silence */
    r->w = TARN_WRITER_ARRAY(r->buf);
    tarn_writer_u32be(&r->w, type << 24);
    if (!v4)
        tarn_writer_u32be(&r->w, 0);
    member_write_addr(&r->w, &g->addr);
    send(r, stay ? &g->addr : v4 ? &routers4 : &routers);
}

/* -- changes (RFC 3376 section 5.1) -- */

void member_changed(struct tarn_ip *ip, struct group *g) {
    if (g->silent) {
        group_clean(ip, g);
        return;
    }
    g->changed = true;
    ip->groups_changed = true;
}

static bool has_news(const struct group *g) {
    bool news = g->left > 0;
    for (const struct source *s = g->sources; s && !news; s = s->next)
        news = s->left > 0;
    return news;
}

/* From what was told to what is: the difference is to be told `times` times. A changed mode brings
 * the whole list with it. */
static void note(struct group *g, uint8_t times) {
    bool include = g->excludes == 0, turned = include != g->include;
    g->changed = false;
    g->include = include;
    if (turned)
        g->left = times;
    for (struct source *s = g->sources; s; s = s->next) {
        bool listed = group_lists(g, s);
        if (turned || listed != s->listed)
            s->left = turned ? 0 : times;
        s->listed = listed;
    }
}

static void note_all(struct tarn_ip *ip, struct member *m, tarn_time now) {
    FOR_GROUPS(g, m) {
        if (!g->changed)
            continue;
        note(g, m->robustness);
        if (has_news(g))
            tarn_timer_set(&ip->change_timers, &m->change, now);
        else
            group_clean(ip, g);
    }
}

static void tell(struct report *r, struct group *g) {
    if (version(r->m, r->now) != MEMBER_V3) {
        say_old(r, g);
    } else if (g->left > 0) {
        add(r, g->include ? TO_IN : TO_EX, g, PICK_LISTED);
    } else {
        add(r, ALLOW, g, PICK_ALLOWED);
        add(r, BLOCK, g, PICK_BLOCKED);
    }
    if (g->left > 0)
        g->left--;
    for (struct source *s = g->sources; s; s = s->next)
        if (s->left > 0)
            s->left--;
}

static void tell_changes(struct tarn_ip *ip, struct member *m, tarn_time now) {
    struct report r = {.ip = ip, .m = m, .now = now};
    bool again = false;
    begin(&r);
    FOR_GROUPS(g, m) {
        if (!has_news(g))
            continue;
        tell(&r, g);
        again |= has_news(g);
        group_clean(ip, g);
    }
    end(&r);
    tarn_time max = version(m, now) == MEMBER_V3 ? UNSOLICITED_INTERVAL : UNSOLICITED_INTERVAL_OLD;
    if (again)
        tarn_timer_set(&ip->change_timers, &m->change,
                       tarn_time_after(now, 1 + tarn_random_u64(ip->config.random) % max));
}

void member_tell_again(struct tarn_ip *ip, struct member *m, tarn_time now) {
    FOR_GROUPS(g, m)
    g->left = g->silent ? 0 : m->robustness;
    tarn_timer_set(&ip->change_timers, &m->change, now);
}

/* -- queries (RFC 3376 section 5.2, RFC 3810 section 6.2) -- */

/* Everything that waits is given up where the version changes (RFC 3376 section 7.2.1). */
static void forget_all(struct tarn_ip *ip, struct member *m) {
    tarn_timer_clear(&ip->general_timers, &m->general);
    tarn_timer_clear(&ip->change_timers, &m->change);
    FOR_GROUPS(g, m) {
        tarn_timer_clear(&ip->group_timers, &g->timer);
        g->left = 0;
        for (struct source *s = g->sources; s; s = s->next) {
            s->left = 0;
            s->asked = false;
        }
        group_clean(ip, g);
    }
}

static void hear_version(struct tarn_ip *ip, struct member *m, const struct member_query *q,
                         tarn_time now) {
    enum member_version before = version(m, now);
    if (q->version == MEMBER_V3) {
        m->robustness = q->robustness ? q->robustness : ROBUSTNESS_DEFAULT;
        m->interval = q->interval ? q->interval : QUERY_INTERVAL_DEFAULT;
        return;
    }
    tarn_time until = tarn_time_after(now, m->robustness * m->interval + q->response_max);
    *(q->version == MEMBER_V1 ? &m->v1_until : &m->v2_until) = until;
    if (version(m, now) != before)
        forget_all(ip, m);
}

static void set_sooner(struct tarn_timers *timers, struct tarn_timer *t, tarn_time at) {
    if (!tarn_timer_is_set(t) || at < t->at)
        tarn_timer_set(timers, t, at);
}

static tarn_time response_at(struct tarn_ip *ip, const struct member_query *q, tarn_time now) {
    tarn_time span = TARN_MAX(q->response_max, 2 * RESPONSE_LEAST) - RESPONSE_LEAST;
    return tarn_time_after(now, RESPONSE_LEAST + tarn_random_u64(ip->config.random) % span);
}

/* Rules 3 to 5: sources asked for add up, and a question about the group as a whole has them all in
 * it; so it stands in for what there is no room to remember. */
static void remember_sources(struct tarn_ip *ip, struct group *g, struct member_query *q) {
    bool all = q->source_count == 0 || (tarn_timer_is_set(&g->timer) && !g->some);
    struct tarn_ip_addr addr;
    while (!all && q->source_count-- > 0) {
        bool ok = tarn_ip_addr_is_v4(&g->addr) ? tarn_span_ipv4(&q->sources, &addr)
                                               : tarn_span_ipv6(&q->sources, &addr);
        struct source *s = ok ? group_source(ip, g, &addr) : NULL;
        if (s)
            s->asked = true;
        all = s == NULL;
    }
    g->some = !all;
    for (struct source *s = g->sources; s && all; s = s->next)
        s->asked = false;
}

void member_query(struct tarn_ip *ip, struct member *m, struct member_query *q, tarn_time now) {
    ip->stats.group_queries_in++;
    hear_version(ip, m, q, now);
    tarn_time at = response_at(ip, q, now);
    if (tarn_ip_addr_is_any(&q->group) && version(m, now) == MEMBER_V3) {
        set_sooner(&ip->general_timers, &m->general, at);
    } else if (tarn_ip_addr_is_any(&q->group)) {
        FOR_GROUPS(g, m)
        if (!g->silent)
            set_sooner(&ip->group_timers, &g->timer, response_at(ip, q, now));
    } else {
        struct group *g = group_find(ip, m->iface, &q->group);
        if (!g || g->silent || g->joins == 0
            || (tarn_timer_is_set(&m->general) && m->general.at <= at))
            return;
        remember_sources(ip, g, q);
        group_clean(ip, g);
        set_sooner(&ip->group_timers, &g->timer, at);
    }
}

void member_other_report(struct tarn_ip *ip, struct member *m, const struct tarn_ip_addr *group,
                         tarn_time now) {
    struct group *g = group_find(ip, m->iface, group);
    if (g && version(m, now) != MEMBER_V3)
        tarn_timer_clear(&ip->group_timers, &g->timer);
}

static void answer(struct report *r, const struct group *g, bool some) {
    if (g->joins == 0 || g->silent)
        return;
    if (version(r->m, r->now) != MEMBER_V3)
        say_old(r, g);
    else if (some)
        add(r, IS_IN, g, PICK_ASKED);
    else
        add(r, g->include ? IS_IN : IS_EX, g, PICK_LISTED);
}

static void answer_one(struct tarn_ip *ip, struct group *g, tarn_time now) {
    struct report r = {.ip = ip, .m = member_of(g), .now = now};
    begin(&r);
    answer(&r, g, g->some);
    end(&r);
    for (struct source *s = g->sources; s; s = s->next)
        s->asked = false;
    g->some = false;
    group_clean(ip, g);
}

static void answer_all(struct tarn_ip *ip, const struct member *m, tarn_time now) {
    struct report r = {.ip = ip, .m = m, .now = now};
    begin(&r);
    FOR_GROUPS(g, m)
    answer(&r, g, false);
    end(&r);
}

/* -- time -- */

void member_tick(struct tarn_ip *ip, tarn_time now) {
    struct tarn_timer *t;
    for (unsigned i = 0; ip->groups_changed && i < ip->iface_count; i++) {
        note_all(ip, &iface_at(ip, i)->igmp, now);
        note_all(ip, &iface_at(ip, i)->mld, now);
    }
    ip->groups_changed = false;
    while ((t = tarn_timers_pop(&ip->change_timers, now)))
        tell_changes(ip, TARN_CONTAINER_OF(t, struct member, change), now);
    while ((t = tarn_timers_pop(&ip->general_timers, now)))
        answer_all(ip, TARN_CONTAINER_OF(t, struct member, general), now);
    while ((t = tarn_timers_pop(&ip->group_timers, now)))
        answer_one(ip, TARN_CONTAINER_OF(t, struct group, timer), now);
}

tarn_time member_deadline(const struct tarn_ip *ip) {
    if (ip->groups_changed)
        return 0;
    tarn_time at =
        TARN_MIN(tarn_timers_next(&ip->change_timers), tarn_timers_next(&ip->general_timers));
    return TARN_MIN(at, tarn_timers_next(&ip->group_timers));
}
