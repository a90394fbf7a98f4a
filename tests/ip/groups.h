/* SPDX-License-Identifier: ISC */
/* IGMP and MLD as a router sees them: queries in, reports out as text. */
#ifndef TEST_IP_GROUPS_H
#define TEST_IP_GROUPS_H

#include "v6.h"

#define GROUP 0xef010203u /* 239.1.2.3 */
#define GROUP6 "ff05::123"

/* "TO_EX 239.1.2.3 10.0.0.2 10.0.0.3; ALLOW ..." of a report in version 3 (MLD: 2). */
static inline const char *records(const uint8_t *p) {
    static const char *const names[] = {"?", "IS_IN", "IS_EX", "TO_IN", "TO_EX", "ALLOW", "BLOCK"};
    static char text[2000];
    bool four = p[0] >> 4 == 4;
    size_t addr = four ? 4 : 16;
    const uint8_t *m = p + (four ? 24 : 48);
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    unsigned count = get16(m + 6);
    m += 8;
    for (unsigned i = 0; i < count; i++) {
        unsigned sources = get16(m + 2);
        tarn_writer_str(&w, i ? "; " : "");
        tarn_writer_str(&w, names[m[0] < 7 ? m[0] : 0]);
        m += 4;
        for (unsigned s = 0; s <= sources; s++, m += addr) {
            struct tarn_ip_addr a = four ? v4((uint32_t)get16(m) << 16 | get16(m + 2)) : a6("::");
            if (!four)
                memcpy(a.bytes, m, 16);
            tarn_writer_u8(&w, ' ');
            tarn_writer_ip_addr(&w, &a);
        }
    }
    tarn_writer_u8(&w, 0);
    return text;
}
/* The only packet that link 0 has sent, forgotten; "" where there is none, "several". */
static inline const char *reported(struct world *w) {
    if (w->link[0].count != 1)
        return w->link[0].count ? "several" : "";
    const char *text = records(sent(w, 0, 0));
    world_forget(w);
    return text;
}
static inline enum tarn_err listen4(struct world *w, uint32_t group, bool include, bool add,
                                    const char *sources) {
    struct tarn_ip_addr list[8], g = v4(group);
    struct tarn_group_filter f = {.include = include, .sources = list};
    for (; sources[f.count]; f.count++) /* "abc" is 10.0.0.97 and so on */
        list[f.count] = v4(0x0a000000u | (uint8_t)sources[f.count]);
    return tarn_ip_join(w->ip, 0, &g, &f, add);
}

struct query4 {
    uint32_t src, group;
    uint8_t code, flags, interval, ttl;
    const char *sources;
    bool no_alert, old;
    uint16_t count; /* 0: what there are */
};
static inline void in_query4(struct world *w, struct query4 q) {
    static const uint8_t alert[4] = {148, 4, 0, 0};
    uint8_t m[64] = {0x11, q.code};
    size_t n = q.old ? 8 : 12;
    put16(m + 4, q.group >> 16);
    put16(m + 6, q.group);
    m[8] = q.flags;
    m[9] = q.interval;
    for (const char *s = q.sources; s && *s; s++, n += 4) {
        put16(m + n, 0x0a00);
        put16(m + n + 2, (uint8_t)*s);
    }
    put16(m + 10, q.old ? 0 : q.count ? q.count : (n - 12) / 4);
    put16(m + 2, slow_csum(m, n));
    struct v4 h = {.src = q.src ? q.src : PEER,
                   .dst = q.group ? q.group : 0xe0000001,
                   .proto = 2,
                   .ttl = q.ttl ? q.ttl : 1,
                   .options = alert,
                   .options_len = q.no_alert ? 0 : 4};
    in_v4(w, &h, m, n);
}
/* Time goes on in small steps until something is sent, `max` at most. */
static inline bool wait_sent(struct world *w, tarn_time max) {
    tarn_time end = w->now + max;
    while (w->link[0].count == 0 && w->now < end)
        tick(w, TARN_MS(1));
    return w->link[0].count > 0;
}

#endif
