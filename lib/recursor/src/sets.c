/* SPDX-License-Identifier: ISC */
#include "sets.h"

/* -- sets ---------------------------------------------------------------------------------------
 */

bool record_next(struct tarn_span *records, struct tarn_span *one) {
    uint16_t len;
    return tarn_span_u16be(records, &len) && tarn_span_take(records, len, one);
}

bool set_next(struct tarn_span *data, struct set *out) {
    uint8_t section;
    uint32_t records, sigs;
    if (!tarn_span_u8(data, &section) || !tarn_span_u32be(data, &out->ttl)
        || !tarn_span_u16be(data, &out->type) || !tarn_dns_name_take(data, &out->owner)
        || !tarn_span_u32be(data, &records) || !tarn_span_take(data, records, &out->records)
        || !tarn_span_u32be(data, &sigs) || !tarn_span_take(data, sigs, &out->sigs))
        return false;
    out->section = section;
    return true;
}

bool set_find(struct tarn_span data, enum tarn_dns_section section, uint16_t type,
              struct set *out) {
    while (set_next(&data, out))
        if (out->section == section && out->type == type)
            return true;
    return false;
}

void set_put(struct tarn_writer *w, const struct set *s) {
    tarn_writer_u8(w, (uint8_t)s->section);
    tarn_writer_u32be(w, s->ttl);
    tarn_writer_u16be(w, s->type);
    tarn_writer_span_put(w, s->owner);
    tarn_writer_u32be(w, (uint32_t)s->records.len);
    tarn_writer_span_put(w, s->records);
    tarn_writer_u32be(w, (uint32_t)s->sigs.len);
    tarn_writer_span_put(w, s->sigs);
}

bool sig_read(struct tarn_span s, struct sig *g) {
    return tarn_span_u16be(&s, &g->covered) && tarn_span_u8(&s, &g->algorithm)
           && tarn_span_u8(&s, &g->labels) && tarn_span_u32be(&s, &g->ttl)
           && tarn_span_u32be(&s, &g->expires) && tarn_span_u32be(&s, &g->begins)
           && tarn_span_u16be(&s, &g->tag) && tarn_dns_name_take(&s, &g->signer);
}

/* -- messages -----------------------------------------------------------------------------------
 */

static bool is_data(uint16_t type) {
    return type != TARN_DNS_OPT && type != TARN_DNS_TSIG && type != TARN_DNS_TKEY
           && type != TARN_DNS_ANY && type != TARN_DNS_AXFR && type != TARN_DNS_IXFR && type != 0;
}

/* False: malformed data, or no room. */
static bool take(struct parsed *p, const struct tarn_dns_reader *r, const struct tarn_dns_rr *rr,
                 struct tarn_writer *w) {
    struct record *rec = &TARN_AT(p->records, p->count);
    struct tarn_span rest, covered;
    size_t at = w->len;
    tarn_writer_span_put(w, tarn_dns_name_span(&rr->owner));
    if (!tarn_dns_rr_data(r, rr, w) || !tarn_writer_ok(w))
        return false;
    *rec = (struct record){.section = (uint8_t)rr->section, .type = rr->type, .ttl = rr->ttl};
    if (rec->ttl > INT32_MAX)
        rec->ttl = 0; /* RFC 2181 section 8 */
    rest = tarn_span_after(tarn_span_first(TARN_SPAN_ARRAY(p->bytes), w->len), at);
    if (!tarn_span_take(&rest, rr->owner.len, &rec->owner))
        return false;
    rec->data = covered = rest;
    if (rr->type == TARN_DNS_RRSIG && !tarn_span_u16be(&covered, &rec->covered))
        return false;
    p->count++;
    return true;
}

bool parse_message(struct parsed *p, struct tarn_span message) {
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    struct tarn_writer w = TARN_WRITER_ARRAY(p->bytes);
    enum tarn_err err;
    p->count = 0;
    p->has_edns = false;
    if (!tarn_dns_reader_init(&r, message) || TARN_AT(r.header.counts, TARN_DNS_QUESTION) > 1)
        return false;
    p->header = r.header;
    p->rcode = TARN_DNS_RCODE(r.header.flags);
    p->has_question = tarn_dns_read_question(&r, &p->question) == TARN_OK;
    if (!p->has_question && TARN_AT(r.header.counts, TARN_DNS_QUESTION))
        return false;
    while ((err = tarn_dns_read_rr(&r, &rr)) == TARN_OK) {
        if (rr.type == TARN_DNS_OPT && rr.section == TARN_DNS_EXTRA) {
            if (p->has_edns || !tarn_dns_edns_read(&rr, &p->edns))
                return false;
            p->has_edns = true;
            p->rcode |= (unsigned)p->edns.rcode_high << 4;
        }
        if (rr.klass != TARN_DNS_IN || !is_data(rr.type) || p->count == RECORDS_MAX)
            continue;
        size_t len = w.len;
        if (!take(p, &r, &rr, &w))
            w.len = len; /* one bad record spoils no others */
    }
    /* A message that was cut off says so, and then nobody looks further. */
    return err == TARN_EOF || (p->header.flags & TARN_DNS_TC);
}

static bool is_of(const struct record *rec, enum tarn_dns_section section, struct tarn_span owner) {
    return rec->section == section && tarn_dns_name_equal(rec->owner, owner);
}

const struct record *parsed_find(const struct parsed *p, enum tarn_dns_section section,
                                 struct tarn_span owner, uint16_t type) {
    for (uint32_t i = 0; i < p->count; i++) {
        const struct record *rec = &TARN_AT(p->records, i);
        if (rec->type == type && is_of(rec, section, owner))
            return rec;
    }
    return NULL;
}

static void put_data(struct tarn_writer *w, struct tarn_span data) {
    tarn_writer_u16be(w, (uint16_t)data.len);
    tarn_writer_span_put(w, data);
}

/* The same data twice is once (RFC 2181 section 5): the first `i` records have it already. Sets
 * are short; those that are not keep their doubles, which hurt nobody. */
static bool is_double(const struct parsed *p, uint32_t i, bool sigs) {
    const struct record *rec = &TARN_AT(p->records, i);
    for (uint32_t k = i, looked = 0; k-- > 0 && looked < 64; looked++) {
        const struct record *o = &TARN_AT(p->records, k);
        if (o->type == rec->type && is_of(o, sigs ? o->section : rec->section, rec->owner)
            && (!sigs || o->covered == rec->covered) && tarn_span_equal(o->data, rec->data))
            return true;
    }
    return false;
}

bool parsed_set(const struct parsed *p, enum tarn_dns_section section, struct tarn_span owner,
                uint16_t type, enum tarn_dns_section as, struct tarn_writer *w, uint32_t *ttl) {
    const struct record *first = parsed_find(p, section, owner, type);
    if (!first)
        return false;
    uint32_t least = first->ttl;
    tarn_writer_u8(w, (uint8_t)as);
    size_t ttl_at = w->len, len_at;
    tarn_writer_u32be(w, 0);
    tarn_writer_u16be(w, type);
    tarn_writer_span_put(w, owner); /* not as the server repeats it, in our random case */
    for (unsigned sigs = 0; sigs < 2; sigs++) {
        len_at = w->len;
        tarn_writer_u32be(w, 0);
        for (uint32_t i = 0; i < p->count; i++) {
            const struct record *rec = &TARN_AT(p->records, i);
            bool fits =
                sigs ? rec->type == TARN_DNS_RRSIG && rec->covered == type : rec->type == type;
            /* Some servers put signatures into another section than what they sign. */
            if (!fits || !is_of(rec, sigs ? rec->section : section, owner) || is_double(p, i, sigs))
                continue;
            put_data(w, rec->data);
            least = TARN_MIN(least, rec->ttl);
        }
        if (tarn_writer_ok(w))
            tarn_writer_patch_u32be(w, len_at, (uint32_t)(w->len - len_at - 4));
    }
    if (tarn_writer_ok(w))
        tarn_writer_patch_u32be(w, ttl_at, least);
    *ttl = TARN_MIN(*ttl, least);
    return tarn_writer_ok(w);
}
