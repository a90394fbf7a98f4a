/* SPDX-License-Identifier: ISC */
/* Entries of scenarios against messages, and as messages. */
#include "rpl.h"
#include <string.h>

#define RRS_MAX 512

struct message {
    struct tarn_dns_header header;
    struct tarn_dns_question q;
    bool has_question, has_edns;
    struct tarn_dns_edns edns;
    unsigned rcode, count;
    struct rr rrs[RRS_MAX];
    uint8_t bytes[2 * TARN_DNS_RDATA_MAX];
};

static bool read_message(struct message *m, struct tarn_span message) {
    struct tarn_writer w = TARN_WRITER_ARRAY(m->bytes);
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    m->count = 0;
    m->has_edns = false;
    if (!tarn_dns_reader_init(&r, message))
        return false;
    m->header = r.header;
    m->rcode = TARN_DNS_RCODE(r.header.flags);
    m->has_question = tarn_dns_read_question(&r, &m->q) == TARN_OK;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK && m->count < RRS_MAX) {
        size_t at = w.len;
        if (rr.type == TARN_DNS_OPT) {
            m->has_edns = tarn_dns_edns_read(&rr, &m->edns);
            m->rcode |= (unsigned)m->edns.rcode_high << 4;
            continue;
        }
        if (!tarn_dns_rr_data(&r, &rr, &w))
            return false;
        m->rrs[m->count++] = (struct rr){.section = rr.section,
                                         .owner = rr.owner,
                                         .type = rr.type,
                                         .klass = rr.klass,
                                         .ttl = rr.ttl,
                                         .rdata = tarn_span_of(m->bytes + at, w.len - at)};
    }
    return true;
}

static bool same_data(const struct rr *a, const struct rr *b) {
    uint8_t x[4096], y[4096];
    struct tarn_span ax = a->rdata, bx = b->rdata;
    if (ax.len != bx.len || ax.len > sizeof x)
        return false;
    memcpy(x, ax.ptr, ax.len);
    memcpy(y, bx.ptr, bx.len);
    for (size_t i = 0; i < ax.len; i++) {
        x[i] = tarn_dns_lower(x[i]);
        y[i] = tarn_dns_lower(y[i]);
    }
    return memcmp(x, y, ax.len) == 0;
}

static bool same_rr(const struct rr *a, const struct rr *b, bool ttl) {
    return a->section == b->section && a->type == b->type && a->klass == b->klass
           && (!ttl || a->ttl == b->ttl)
           && tarn_dns_name_equal(tarn_dns_name_span(&a->owner), tarn_dns_name_span(&b->owner))
           && same_data(a, b);
}

static bool same_section(const struct entry *e, const struct message *m,
                         enum tarn_dns_section section, bool ttl) {
    bool used[RRS_MAX] = {0};
    unsigned expected = 0, there = 0;
    for (unsigned i = 0; i < m->count; i++)
        there += m->rrs[i].section == section;
    for (const struct rr *rr = e->rrs; rr; rr = rr->next) {
        bool found = false;
        if (rr->section != section)
            continue;
        expected++;
        for (unsigned i = 0; i < m->count && !found; i++)
            if (!used[i] && same_rr(rr, &m->rrs[i], ttl))
                used[i] = found = true;
        if (!found)
            return false;
    }
    return expected == there;
}

static bool ede_matches(const struct entry *e, const struct message *m) {
    struct tarn_span value;
    uint16_t info;
    bool has = m->has_edns && tarn_dns_option_find(m->edns.options, TARN_DNS_OPT_EDE, &value)
               && tarn_span_u16be(&value, &info);
    return has && (e->ede < 0 || e->ede == info);
}

bool entry_matches(const struct entry *e, struct tarn_span message, bool stream, const char **why) {
    static struct message m;
    struct tarn_span ours = tarn_dns_name_span(&e->qname), theirs;
    unsigned b = e->match;
    bool ttl = b & MATCH_TTL;
    const char *ignored;
    why = why ? why : &ignored;
    if (!read_message(&m, message)) {
        *why = "not a message";
        return false;
    }
    theirs = tarn_dns_name_span(&m.q.name);
    *why = b & MATCH_OPCODE && TARN_DNS_OPCODE(m.header.flags) != e->opcode ? "opcode"
           : b & MATCH_QTYPE && e->has_question
                   && (!m.has_question || m.q.type != e->qtype || m.q.klass != e->qclass)
               ? "qtype"
           : b & MATCH_QNAME && e->has_question
                   && (!m.has_question || !tarn_dns_name_equal(theirs, ours))
               ? "qname"
           : b & MATCH_QCASE && !tarn_span_equal(theirs, ours)                    ? "qcase"
           : b & MATCH_SUBDOMAIN && !tarn_dns_name_within(theirs, ours)           ? "subdomain"
           : b & MATCH_RCODE && m.rcode != e->rcode                               ? "rcode"
           : b & MATCH_FLAGS && ((m.header.flags ^ e->flags) & 0x87b0)            ? "flags"
           : b & MATCH_ANSWER && !same_section(e, &m, TARN_DNS_ANSWER, ttl)       ? "answer"
           : b & MATCH_AUTHORITY && !same_section(e, &m, TARN_DNS_AUTHORITY, ttl) ? "authority"
           : b & MATCH_ADDITIONAL && !same_section(e, &m, TARN_DNS_EXTRA, ttl)    ? "additional"
           : b & MATCH_EDNS_DO && e->dnssec && !(m.has_edns && (m.edns.flags & TARN_DNS_EDNS_DO))
               ? "DO"
           : b & MATCH_DO && !(m.has_edns && (m.edns.flags & TARN_DNS_EDNS_DO)) ? "DO"
           : b & MATCH_NOEDNS && m.has_edns                                     ? "EDNS"
           : b & MATCH_UDP && stream                                            ? "not UDP"
           : b & MATCH_TCP && !stream                                           ? "not TCP"
           : b & MATCH_EDE && !ede_matches(e, &m)                               ? "extended error"
                                                                                : NULL;
    return *why == NULL;
}

static void put_rrs(struct tarn_dns_builder *b, const struct entry *e,
                    const struct tarn_dns_question *q) {
    for (unsigned s = TARN_DNS_ANSWER; s <= TARN_DNS_EXTRA; s++)
        for (const struct rr *rr = e->rrs; rr; rr = rr->next)
            if (rr->section == s) {
                (void)q;
                (void)!tarn_dns_put_rr(b, s, tarn_dns_name_span(&rr->owner), rr->type, rr->klass,
                                       rr->ttl, rr->rdata);
            }
}

struct tarn_span entry_message(const struct entry *e, struct tarn_span query,
                               struct tarn_bytes out) {
    struct tarn_dns_reader r;
    struct tarn_dns_question q = {.name = e->qname, .type = e->qtype, .klass = e->qclass};
    struct tarn_dns_builder b;
    uint16_t id = 1;
    bool asked = query.len && tarn_dns_reader_init(&r, query);
    if (asked) {
        struct tarn_dns_question theirs;
        id = r.header.id;
        if (tarn_dns_read_question(&r, &theirs) == TARN_OK && (e->copy_query || !e->has_question))
            q = theirs;
    }
    if (e->has_raw) {
        tarn_bytes_copy(out, e->raw);
        if (asked && e->copy_id && e->raw.len >= 2) {
            out.ptr[0] = (uint8_t)(id >> 8);
            out.ptr[1] = (uint8_t)id;
        }
        return tarn_span_of(out.ptr, e->raw.len);
    }
    tarn_dns_build(&b, out, id, (uint16_t)(e->flags | e->opcode << 11 | (e->rcode & 15)));
    if (q.name.len)
        (void)!tarn_dns_put_question(&b, tarn_dns_name_span(&q.name), q.type, q.klass);
    put_rrs(&b, e, &q);
    struct tarn_dns_edns edns = {.udp_bytes = 4096, .flags = TARN_DNS_EDNS_DO};
    if (e->dnssec)
        (void)!tarn_dns_put_opt(&b, &edns, 0);
    return tarn_dns_finish(&b);
}
