/* SPDX-License-Identifier: ISC */
#include <tarn/dns_message.h>

bool tarn_dns_reader_init(struct tarn_dns_reader *r, struct tarn_span msg) {
    struct tarn_span s = msg;
    *r = (struct tarn_dns_reader){.msg = msg, .at = TARN_DNS_HEADER_BYTES};
    if (!tarn_span_u16be(&s, &r->header.id) || !tarn_span_u16be(&s, &r->header.flags))
        return false;
    for (size_t i = 0; i < 4; i++) {
        if (!tarn_span_u16be(&s, &TARN_AT(r->header.counts, i)))
            return false;
        TARN_AT(r->left, i) = TARN_AT(r->header.counts, i);
    }
    return true;
}

static enum tarn_err malformed(struct tarn_dns_reader *r) {
    for (size_t i = 0; i < 4; i++)
        TARN_AT(r->left, i) = 0;
    r->at = 0; /* never done */
    return TARN_PEER;
}

enum tarn_err tarn_dns_read_question(struct tarn_dns_reader *r, struct tarn_dns_question *out) {
    if (TARN_AT(r->left, TARN_DNS_QUESTION) == 0)
        return TARN_EOF;
    TARN_AT(r->left, TARN_DNS_QUESTION)--;
    if (!tarn_dns_name_read(r->msg, &r->at, &out->name))
        return malformed(r);
    struct tarn_span s = tarn_span_after(r->msg, r->at);
    if (!tarn_span_u16be(&s, &out->type) || !tarn_span_u16be(&s, &out->klass))
        return malformed(r);
    r->at += 4;
    return TARN_OK;
}

enum tarn_err tarn_dns_read_rr(struct tarn_dns_reader *r, struct tarn_dns_rr *out) {
    size_t section = TARN_DNS_ANSWER;
    uint16_t len;
    while (section < 4 && TARN_AT(r->left, section) == 0)
        section++;
    if (section == 4)
        return TARN_EOF;
    if (TARN_AT(r->left, TARN_DNS_QUESTION))
        return malformed(r); /* the caller has not read them */
    TARN_AT(r->left, section)--;
    out->section = (enum tarn_dns_section)section;
    out->at = r->at;
    if (!tarn_dns_name_read(r->msg, &r->at, &out->owner))
        return malformed(r);
    struct tarn_span s = tarn_span_after(r->msg, r->at);
    if (!tarn_span_u16be(&s, &out->type) || !tarn_span_u16be(&s, &out->klass)
        || !tarn_span_u32be(&s, &out->ttl) || !tarn_span_u16be(&s, &len)
        || !tarn_span_take(&s, len, &out->rdata))
        return malformed(r);
    out->rdata_at = r->at + 10;
    r->at = out->rdata_at + len;
    /* RFC 2181 section 8: the top bit says nothing good. */
    if (out->ttl > INT32_MAX && out->type != TARN_DNS_OPT)
        out->ttl = 0;
    return TARN_OK;
}

bool tarn_dns_reader_done(const struct tarn_dns_reader *r) {
    for (size_t i = 0; i < 4; i++)
        if (TARN_AT(r->left, i))
            return false;
    return r->at == r->msg.len;
}

bool tarn_dns_rr_data(const struct tarn_dns_reader *r, const struct tarn_dns_rr *rr,
                      struct tarn_writer *out) {
    return tarn_dns_rdata_read(r->msg, rr->rdata_at, rr->rdata.len, rr->type, out);
}

/* -- EDNS ---------------------------------------------------------------------------------------
 */

bool tarn_dns_option_next(struct tarn_span *options, uint16_t *code, struct tarn_span *value) {
    uint16_t len;
    struct tarn_span s = *options;
    if (!tarn_span_u16be(&s, code) || !tarn_span_u16be(&s, &len) || !tarn_span_take(&s, len, value))
        return false;
    *options = s;
    return true;
}

bool tarn_dns_edns_read(const struct tarn_dns_rr *rr, struct tarn_dns_edns *out) {
    struct tarn_span options = rr->rdata, value;
    uint16_t code;
    if (rr->type != TARN_DNS_OPT || rr->owner.len != 1)
        return false;
    *out = (struct tarn_dns_edns){
        .udp_bytes = (uint16_t)TARN_MAX((unsigned)rr->klass,
                                        TARN_DNS_UDP_PLAIN_MAX + 0u), /* RFC 6891 6.2.3 */
        .flags = (uint16_t)rr->ttl,
        .rcode_high = (uint8_t)(rr->ttl >> 24),
        .version = (uint8_t)(rr->ttl >> 16),
        .options = rr->rdata,
    };
    while (options.len)
        if (!tarn_dns_option_next(&options, &code, &value))
            return false;
    return true;
}

bool tarn_dns_option_find(struct tarn_span options, uint16_t code, struct tarn_span *value) {
    uint16_t c;
    while (tarn_dns_option_next(&options, &c, value))
        if (c == code)
            return true;
    return false;
}

void tarn_dns_option_put(struct tarn_writer *w, uint16_t code, struct tarn_span value) {
    tarn_writer_u16be(w, code);
    tarn_writer_u16be(w, (uint16_t)value.len);
    tarn_writer_span_put(w, value);
}

void tarn_dns_option_put_ede(struct tarn_writer *w, uint16_t info, struct tarn_span text) {
    tarn_writer_u16be(w, TARN_DNS_OPT_EDE);
    tarn_writer_u16be(w, (uint16_t)(2 + text.len));
    tarn_writer_u16be(w, info);
    tarn_writer_span_put(w, text);
}

struct tarn_span tarn_dns_rcode_name(unsigned rcode) {
    static const char *const names[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                        "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                        "NXRRSET", "NOTAUTH", "NOTZONE"};
    if (rcode < TARN_COUNT_OF(names))
        return tarn_span_str(TARN_AT(names, rcode));
    if (rcode == TARN_DNS_BADVERS)
        return TARN_SPAN_LIT("BADVERS");
    return rcode == TARN_DNS_BADCOOKIE ? TARN_SPAN_LIT("BADCOOKIE") : TARN_SPAN_EMPTY;
}
