/* SPDX-License-Identifier: ISC */
/* tarn/multicast.h: which senders to a multicast group are heard (RFC 3376 section 2, RFC 3810
 * section 3). */
#ifndef TARN_MULTICAST_H
#define TARN_MULTICAST_H

#include <tarn/ip_addr.h>

/* Zero hears everybody. */
struct tarn_group_filter {
    bool include;                       /* none but `sources`; otherwise all but them */
    uint8_t count;                      /* of sources */
    const struct tarn_ip_addr *sources; /* unicast, of the group's family, each once; borrowed */
};

/* A filter that hears nobody: what leaving a group is. */
static inline bool tarn_group_filter_is_empty(const struct tarn_group_filter *f) {
    return f->include && f->count == 0;
}
static inline bool tarn_group_filter_hears(const struct tarn_group_filter *f,
                                           const struct tarn_ip_addr *source) {
    for (uint32_t i = 0; i < f->count; i++)
        if (tarn_ip_addr_equal(&TARN_AT_N(f->sources, f->count, i), source))
            return f->include;
    return !f->include;
}
/* Whether a group may be joined with it. */
static inline bool tarn_group_filter_is_valid(const struct tarn_group_filter *f,
                                              const struct tarn_ip_addr *group) {
    for (uint32_t i = 0; i < f->count; i++) {
        const struct tarn_ip_addr *a = &TARN_AT_N(f->sources, f->count, i);
        if (tarn_ip_addr_is_any(a) || tarn_ip_addr_is_multicast(a)
            || tarn_ip_addr_is_v4(a) != tarn_ip_addr_is_v4(group))
            return false;
        for (uint32_t j = 0; j < i; j++)
            if (tarn_ip_addr_equal(&TARN_AT_N(f->sources, f->count, j), a))
                return false;
    }
    return tarn_ip_addr_is_multicast(group);
}

#endif
