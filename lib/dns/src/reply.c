/* SPDX-License-Identifier: ISC */
/* From a message to the records of a question: along its aliases, or to how long nothing is there.
 */
#include "client.h"

#define CHAIN_MAX 16
#define TTL_MAX 86400u          /* RFC 8767 section 4 would allow a week */
#define NEGATIVE_TTL_MAX 10800u /* RFC 2308 section 5 */

static bool start(struct tarn_dns_reader *r, struct tarn_span message) {
    struct tarn_dns_question skipped;
    if (!tarn_dns_reader_init(r, message))
        return false;
    while (tarn_dns_read_question(r, &skipped) == TARN_OK)
        ;
    return true;
}

/* All records of a name and type in the answer section. False: malformed. */
static bool collect(struct tarn_span message, struct tarn_span name, uint16_t type,
                    struct tarn_writer *out, uint32_t *ttl) {
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    enum tarn_err err;
    if (!start(&r, message))
        return false;
    while ((err = tarn_dns_read_rr(&r, &rr)) == TARN_OK) {
        if (rr.section != TARN_DNS_ANSWER || rr.type != type || rr.klass != TARN_DNS_IN
            || !tarn_dns_name_equal(tarn_dns_name_span(&rr.owner), name))
            continue;
        size_t at = out->len;
        tarn_writer_u16be(out, 0);
        if (!tarn_dns_rr_data(&r, &rr, out) || out->len - at - 2 > UINT16_MAX)
            return false;
        tarn_writer_patch_u16be(out, at, (uint16_t)(out->len - at - 2));
        *ttl = TARN_MIN(*ttl, rr.ttl);
    }
    return err == TARN_EOF;
}

/* RFC 2308 section 5: the lesser of the SOA's TTL and its last field; without one, not at all. */
static uint32_t negative_ttl(struct tarn_span message) {
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    uint32_t minimum, ttl;
    if (!start(&r, message))
        return 0;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK) {
        struct tarn_span last = tarn_span_after(rr.rdata, rr.rdata.len < 4 ? 0 : rr.rdata.len - 4);
        if (rr.section == TARN_DNS_AUTHORITY && rr.type == TARN_DNS_SOA
            && tarn_span_u32be(&last, &minimum)) {
            ttl = TARN_MIN(rr.ttl, minimum);
            return TARN_MIN(ttl, NEGATIVE_TTL_MAX);
        }
    }
    return 0;
}

bool dns_reply_read(struct tarn_dns_client *c, const struct dns_question *q,
                    struct tarn_span message, struct dns_result *out) {
    struct tarn_dns_name name = q->name;
    struct tarn_dns_reader r;
    bool no_name =
        tarn_dns_reader_init(&r, message) && TARN_DNS_RCODE(r.header.flags) == TARN_DNS_NXDOMAIN;
    *out = (struct dns_result){.ttl = TTL_MAX};
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        struct tarn_writer w = TARN_WRITER_ARRAY(c->records);
        if (!collect(message, tarn_dns_name_span(&name), q->type, &w, &out->ttl))
            return false;
        if (w.len) {
            out->records = tarn_writer_span(&w);
            return true;
        }
        if (!collect(message, tarn_dns_name_span(&name), TARN_DNS_CNAME, &w, &out->ttl))
            return false;
        if (!w.len)
            break;
        struct tarn_span target = tarn_span_after(tarn_writer_span(&w), 2), first;
        if (!tarn_dns_name_take(&target, &first))
            return false;
        tarn_dns_name_copy(&name, first);
    }
    out->err = TARN_NOT_FOUND;
    out->kind = no_name ? DNS_CACHED_NO_NAME : DNS_CACHED_NO_DATA;
    out->ttl = negative_ttl(message);
    return true;
}
