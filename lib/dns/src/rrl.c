/* SPDX-License-Identifier: ISC */
/* Response rate limiting: a bucket of credit for each network and kind of answer, in a table under
 * a keyed hash, where the newest takes the place. A newcomer starts with a second's credit. */
#include "server.h"

#define THOUSAND 1000u
#define WINDOW_SECONDS 15 /* how far into debt one goes: it is paid off before anything is sent */

static uint64_t network_of(const struct tarn_ip_addr *a) {
    if (tarn_ip_addr_is_v4(a))
        return tarn_ip_addr_v4(a) >> 8 | (uint64_t)1 << 63;
    return __builtin_bswap64(a->halves[0]) >> 8;
}

enum dns_rrl_verdict dns_rrl_check(struct dns_rrl *r, const struct tarn_ip_addr *client,
                                   uint64_t what, tarn_time now) {
    uint8_t buf[16];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    if (!r->count)
        return DNS_RRL_SEND;
    tarn_writer_u64be(&w, network_of(client));
    tarn_writer_u64be(&w, what);
    uint64_t hash = tarn_hash(&r->key, tarn_writer_span(&w));
    struct dns_rrl_entry *e = &TARN_AT_N(r->entries, r->count, hash & (r->count - 1));
    uint32_t tag = (uint32_t)(hash >> 32) | 1u, at_ms = (uint32_t)(now / TARN_MS(1));
    int64_t full = (int64_t)r->per_second * THOUSAND;
    int64_t credit = full;
    if (e->tag == tag)
        credit = TARN_MIN(full, e->credit + (int64_t)(at_ms - e->at_ms) * r->per_second);
    e->tag = tag;
    e->at_ms = at_ms;
    credit = TARN_MAX(credit - (int64_t)THOUSAND, -full * WINDOW_SECONDS);
    e->credit = (int32_t)TARN_MAX(credit, (int64_t)INT32_MIN);
    if (credit >= 0)
        return DNS_RRL_SEND;
    return r->slip && ++r->turn % r->slip == 0 ? DNS_RRL_SLIP : DNS_RRL_DROP;
}
