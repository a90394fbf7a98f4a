/* SPDX-License-Identifier: ISC */
#include "text.h"

#include <tarn/dns_message.h>

static void print_flags(struct tarn_writer *w, uint16_t flags) {
    static const struct {
        uint16_t flag;
        const char *name;
    } names[] = {{TARN_DNS_QR, " qr"}, {TARN_DNS_AA, " aa"}, {TARN_DNS_TC, " tc"},
                 {TARN_DNS_RD, " rd"}, {TARN_DNS_RA, " ra"}, {TARN_DNS_AD, " ad"},
                 {TARN_DNS_CD, " cd"}};
    for (size_t i = 0; i < TARN_COUNT_OF(names); i++)
        if (flags & TARN_AT(names, i).flag)
            tarn_writer_str(w, TARN_AT(names, i).name);
}

static void print_rcode(struct tarn_writer *w, unsigned rcode) {
    struct tarn_span name = tarn_dns_rcode_name(rcode);
    tarn_writer_str(w, name.len ? "" : "RCODE");
    if (name.len)
        tarn_writer_span_put(w, name);
    else
        tarn_writer_dec(w, rcode);
}

static void print_option(struct tarn_writer *w, uint16_t code, struct tarn_span value) {
    static const struct {
        uint16_t code;
        const char *name;
    } names[] = {{TARN_DNS_OPT_NSID, "NSID"},          {TARN_DNS_OPT_ECS, "CLIENT-SUBNET"},
                 {TARN_DNS_OPT_EXPIRE, "EXPIRE"},      {TARN_DNS_OPT_COOKIE, "COOKIE"},
                 {TARN_DNS_OPT_PADDING, "PADDING"},    {TARN_DNS_OPT_EDE, "EDE"},
                 {TARN_DNS_OPT_KEEPALIVE, "KEEPALIVE"}};
    const char *name = NULL;
    uint16_t info;
    for (size_t i = 0; i < TARN_COUNT_OF(names); i++)
        if (TARN_AT(names, i).code == code)
            name = TARN_AT(names, i).name;
    tarn_writer_str(w, "; ");
    tarn_writer_str(w, name ? name : "OPTION");
    if (!name)
        tarn_writer_dec(w, code);
    tarn_writer_str(w, ": ");
    if (code == TARN_DNS_OPT_EDE && tarn_span_u16be(&value, &info)) {
        tarn_writer_dec(w, info);
        tarn_writer_u8(w, ' ');
        dns_print_string(w, value);
    } else if (code == TARN_DNS_OPT_PADDING) {
        tarn_writer_dec(w, value.len);
        tarn_writer_str(w, " bytes");
    } else {
        dns_print_hex(w, value);
    }
    tarn_writer_u8(w, '\n');
}

static void print_edns(struct tarn_writer *w, const struct tarn_dns_edns *e) {
    struct tarn_span options = e->options, value;
    uint16_t code;
    tarn_writer_str(w, "\n;; EDNS: version ");
    tarn_writer_dec(w, e->version);
    tarn_writer_str(w, e->flags & TARN_DNS_EDNS_DO ? ", flags: do, udp: " : ", flags:, udp: ");
    tarn_writer_dec(w, e->udp_bytes);
    tarn_writer_u8(w, '\n');
    while (tarn_dns_option_next(&options, &code, &value))
        print_option(w, code, value);
}

static void print_header(struct tarn_writer *w, const struct tarn_dns_reader *r) {
    static const char *const sections[] = {", question ", ", answer ", ", authority ",
                                           ", additional "};
    struct tarn_dns_reader all = *r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    struct tarn_dns_edns e = {0};
    while (tarn_dns_read_question(&all, &q) == TARN_OK)
        ;
    while (tarn_dns_read_rr(&all, &rr) == TARN_OK)
        if (rr.type == TARN_DNS_OPT && !tarn_dns_edns_read(&rr, &e))
            e.rcode_high = 0;
    tarn_writer_str(w, ";; opcode ");
    tarn_writer_dec(w, TARN_DNS_OPCODE(r->header.flags));
    tarn_writer_str(w, ", status ");
    print_rcode(w, (unsigned)e.rcode_high << 4 | TARN_DNS_RCODE(r->header.flags));
    tarn_writer_str(w, ", id ");
    tarn_writer_dec(w, r->header.id);
    tarn_writer_str(w, "\n;; flags:");
    print_flags(w, r->header.flags);
    for (size_t i = 0; i < 4; i++) {
        tarn_writer_str(w, TARN_AT(sections, i));
        tarn_writer_dec(w, TARN_AT(r->header.counts, i));
    }
    tarn_writer_u8(w, '\n');
}

static void print_rr(struct tarn_writer *w, const struct tarn_dns_reader *r,
                     const struct tarn_dns_rr *rr, struct tarn_bytes scratch) {
    struct tarn_writer data = tarn_writer_over(scratch);
    if (!tarn_dns_rr_data(r, rr, &data)) {
        tarn_writer_str(w, ";; data that is malformed\n");
        return;
    }
    tarn_dns_record_print(w, tarn_dns_name_span(&rr->owner), rr->type, rr->klass, rr->ttl,
                          tarn_writer_span(&data));
    tarn_writer_u8(w, '\n');
}

void tarn_dns_message_print(struct tarn_writer *w, struct tarn_span msg,
                            struct tarn_bytes scratch) {
    static const char *const titles[] = {"", "\n;; ANSWER\n", "\n;; AUTHORITY\n",
                                         "\n;; ADDITIONAL\n"};
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    struct tarn_dns_edns e;
    enum tarn_dns_section section = TARN_DNS_QUESTION;
    enum tarn_err err = TARN_EOF;
    if (!tarn_dns_reader_init(&r, msg)) {
        tarn_writer_str(w, ";; not a message\n");
        return;
    }
    print_header(w, &r);
    if (r.header.counts[0])
        tarn_writer_str(w, "\n;; QUESTION\n");
    while ((err = tarn_dns_read_question(&r, &q)) == TARN_OK) {
        tarn_writer_u8(w, ';');
        tarn_dns_name_print(w, tarn_dns_name_span(&q.name));
        tarn_writer_u8(w, ' ');
        tarn_dns_class_print(w, q.klass);
        tarn_writer_u8(w, ' ');
        tarn_dns_type_print(w, q.type);
        tarn_writer_u8(w, '\n');
    }
    while (err == TARN_EOF && (err = tarn_dns_read_rr(&r, &rr)) == TARN_OK) {
        err = TARN_EOF;
        if (tarn_dns_edns_read(&rr, &e)) {
            print_edns(w, &e);
            continue;
        }
        if (rr.section != section)
            tarn_writer_str(w, TARN_AT(titles, rr.section));
        section = rr.section;
        print_rr(w, &r, &rr, scratch);
        if (!tarn_writer_ok(w))
            return;
    }
    if (err == TARN_PEER)
        tarn_writer_str(w, ";; what follows is malformed\n");
}
