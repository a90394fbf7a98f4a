/* SPDX-License-Identifier: ISC */
#include "text.h"
#include <criterion/criterion.h>

static uint8_t out[65535];

static struct tarn_dns_builder start(size_t bytes) {
    struct tarn_dns_builder b;
    tarn_dns_build(&b, tarn_bytes_of(out, bytes), 0x1234, TARN_DNS_QR | TARN_DNS_AA);
    return b;
}

static bool put(struct tarn_dns_builder *b, enum tarn_dns_section section, const char *owner,
                uint16_t type, const char *text) {
    uint8_t data[4096];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    const char *why;
    uint32_t column;
    cr_assert(
        tarn_dns_rdata_parse(tarn_span_str(text), type, TARN_SPAN_LIT("\0"), &w, &why, &column),
        "%s: %s", text, why);
    return tarn_dns_put_rr(b, section, wire_of(owner), type, TARN_DNS_IN, 300,
                           tarn_writer_span(&w));
}

static const char *printed(struct tarn_span msg) {
    static char text[20000];
    static uint8_t scratch[65535];
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(text, sizeof text - 1));
    tarn_dns_message_print(&w, msg, TARN_BYTES_ARRAY(scratch));
    text[tarn_writer_span(&w).len] = 0;
    return text;
}

Test(rfc1035_4, what_is_written_is_read) {
    struct tarn_dns_builder b = start(512);
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    uint8_t data[512];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    cr_assert(tarn_dns_put_question(&b, wire_of("Www.Example.org."), TARN_DNS_MX, TARN_DNS_IN));
    cr_assert(put(&b, TARN_DNS_ANSWER, "www.example.org.", TARN_DNS_MX, "10 mail.example.ORG."));
    cr_assert(put(&b, TARN_DNS_EXTRA, "mail.example.org.", TARN_DNS_A, "192.0.2.1"));
    struct tarn_span msg = tarn_dns_finish(&b);
    cr_assert_eq(msg.len, 12 + 17 + 4 + (2 + 10 + 2 + 5 + 2) + (2 + 10 + 4), "%zu: compressed",
                 msg.len);
    cr_assert(tarn_dns_reader_init(&r, msg));
    cr_assert(r.header.id == 0x1234 && r.header.flags == (TARN_DNS_QR | TARN_DNS_AA));
    cr_assert_eq(tarn_dns_read_question(&r, &q), TARN_OK);
    cr_assert_str_eq(text_of(tarn_dns_name_span(&q.name)), "Www.Example.org.", "case is kept");
    cr_assert_eq(tarn_dns_read_question(&r, &q), TARN_EOF);
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_OK);
    cr_assert(rr.section == TARN_DNS_ANSWER && rr.type == TARN_DNS_MX && rr.ttl == 300);
    cr_assert(tarn_dns_rr_data(&r, &rr, &w));
    cr_assert_eq(w.len, 2 + 18, "expanded");
    cr_assert(!tarn_dns_reader_done(&r));
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_OK);
    cr_assert_eq(rr.section, TARN_DNS_EXTRA);
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_EOF);
    cr_assert(tarn_dns_reader_done(&r));
    cr_assert_str_eq(printed(msg),
                     ";; opcode 0, status NOERROR, id 4660\n"
                     ";; flags: qr aa, question 1, answer 1, authority 0, additional 1\n"
                     "\n;; QUESTION\n;Www.Example.org. IN MX\n"
                     "\n;; ANSWER\nWww.Example.org. 300 IN MX 10 mail.Example.org.\n"
                     "\n;; ADDITIONAL\nmail.Example.org. 300 IN A 192.0.2.1\n");
}

Test(rfc3597_4, newer_types_are_not_compressed) {
    struct tarn_dns_builder b = start(512);
    cr_assert(tarn_dns_put_question(&b, wire_of("example.org."), TARN_DNS_SRV, TARN_DNS_IN));
    size_t before = b.w.len;
    cr_assert(put(&b, TARN_DNS_ANSWER, "example.org.", TARN_DNS_SRV, "1 2 3 a.example.org."));
    cr_assert_eq(b.w.len - before, 2 + 10 + 6 + 15);
}

Test(rfc9267_5, counts_that_lie_are_refused) {
    struct tarn_dns_builder b = start(512);
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    cr_assert(tarn_dns_put_question(&b, wire_of("a."), TARN_DNS_A, TARN_DNS_IN));
    struct tarn_span msg = tarn_dns_finish(&b);
    out[5] = 2;
    cr_assert(tarn_dns_reader_init(&r, msg));
    cr_assert_eq(tarn_dns_read_question(&r, &q), TARN_OK);
    cr_assert_eq(tarn_dns_read_question(&r, &q), TARN_PEER);
    cr_assert_eq(tarn_dns_read_question(&r, &q), TARN_EOF, "and nothing after it");
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_EOF);
    cr_assert(!tarn_dns_reader_done(&r));
    out[5] = 1;
    out[7] = 1;
    cr_assert(tarn_dns_reader_init(&r, msg));
    cr_assert_eq(tarn_dns_read_question(&r, &q), TARN_OK);
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_PEER);
    cr_assert(!tarn_dns_reader_init(&r, tarn_span_first(msg, 11)));
}

Test(rfc9267_6, rdlength_that_lies_is_refused) {
    uint8_t data[64];
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    static const uint8_t msg[] =
        "\0\0\0\0\0\0\0\1\0\0\0\0"
        "\0\0\2\0\1\0\0\0\0\0\2\1a\0"; /* NS of 2 bytes, whose name has 3 */
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    cr_assert(tarn_dns_reader_init(&r, tarn_span_of(msg, sizeof msg - 1)));
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_OK);
    cr_assert(!tarn_dns_rr_data(&r, &rr, &w));
    cr_assert(!tarn_dns_reader_done(&r), "and a byte is left over");
}

Test(rfc2181_8, a_ttl_with_the_top_bit_is_zero) {
    static const uint8_t msg[] = "\0\0\0\0\0\0\0\1\0\0\0\0"
                                 "\0\0\1\0\1\x80\0\0\1\0\4\1\2\3\4";
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    cr_assert(tarn_dns_reader_init(&r, tarn_span_of(msg, sizeof msg - 1)));
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_OK);
    cr_assert_eq(rr.ttl, 0);
}

Test(builder, what_does_not_fit_is_left_out_whole) {
    struct tarn_dns_builder b = start(60);
    cr_assert(tarn_dns_put_question(&b, wire_of("example.org."), TARN_DNS_A, TARN_DNS_IN));
    cr_assert(tarn_dns_reserve(&b, TARN_DNS_OPT_BYTES));
    cr_assert(put(&b, TARN_DNS_ANSWER, "example.org.", TARN_DNS_A, "1.2.3.4"));
    size_t len = b.w.len;
    cr_assert(!put(&b, TARN_DNS_ANSWER, "longer.example.org.", TARN_DNS_A, "1.2.3.4"));
    cr_assert_eq(b.w.len, len);
    cr_assert(tarn_dns_reserve(&b, 0));
    cr_assert(tarn_dns_put_opt(&b, &(struct tarn_dns_edns){.udp_bytes = 1232}, 0));
    cr_assert(!tarn_dns_put_opt(&b, &(struct tarn_dns_edns){.udp_bytes = 1232}, 0));
    cr_assert(!tarn_dns_reserve(&b, 6));
    tarn_dns_finish(&b);
    cr_assert_eq(out[7], 1);
    cr_assert_eq(out[11], 1);
}

Test(builder, names_that_were_taken_back_are_not_pointed_to) {
    struct tarn_dns_builder b = start(64), then;
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    then = b;
    cr_assert(put(&b, TARN_DNS_ANSWER, "a.example.org.", TARN_DNS_A, "1.2.3.4"));
    tarn_dns_rewind(&b, &then);
    cr_assert(put(&b, TARN_DNS_ANSWER, "example.org.", TARN_DNS_A, "1.2.3.4"));
    cr_assert(put(&b, TARN_DNS_ANSWER, "b.example.org.", TARN_DNS_A, "1.2.3.4"));
    cr_assert(tarn_dns_reader_init(&r, tarn_dns_finish(&b)));
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_OK);
    cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_OK);
    cr_assert_str_eq(text_of(tarn_dns_name_span(&rr.owner)), "b.example.org.");
}

Test(builder, names_behind_16_KiB_are_whole) {
    struct tarn_dns_builder b = start(sizeof out);
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    char owner[64];
    unsigned n = 0;
    for (; n < 2000; n++) {
        snprintf(owner, sizeof owner, "n%u.x%u.example.org.", n, n % 7);
        if (!put(&b, TARN_DNS_ANSWER, owner, TARN_DNS_NS, owner))
            break;
    }
    struct tarn_span msg = tarn_dns_finish(&b);
    cr_assert_gt(msg.len, 40000);
    cr_assert(tarn_dns_reader_init(&r, msg));
    for (unsigned i = 0; i < n; i++) {
        uint8_t data[300];
        struct tarn_writer w = TARN_WRITER_ARRAY(data);
        snprintf(owner, sizeof owner, "n%u.x%u.example.org.", i, i % 7);
        cr_assert_eq(tarn_dns_read_rr(&r, &rr), TARN_OK);
        cr_assert_str_eq(text_of(tarn_dns_name_span(&rr.owner)), owner);
        cr_assert(tarn_dns_rr_data(&r, &rr, &w));
        cr_assert(tarn_dns_name_equal(tarn_writer_span(&w), wire_of(owner)));
    }
    cr_assert(tarn_dns_reader_done(&r));
}

static bool edns_of(struct tarn_span msg, struct tarn_dns_edns *e) {
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    struct tarn_dns_question q;
    if (!tarn_dns_reader_init(&r, msg))
        return false;
    while (tarn_dns_read_question(&r, &q) == TARN_OK)
        ;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK)
        if (rr.type == TARN_DNS_OPT)
            return tarn_dns_edns_read(&rr, e);
    return false;
}

Test(rfc6891, options_both_ways) {
    struct tarn_dns_builder b = start(512);
    uint8_t options[100];
    struct tarn_writer w = TARN_WRITER_ARRAY(options);
    struct tarn_dns_edns e = {.udp_bytes = 1232, .flags = TARN_DNS_EDNS_DO, .rcode_high = 1}, got;
    struct tarn_span value;
    tarn_dns_option_put(&w, TARN_DNS_OPT_COOKIE, TARN_SPAN_LIT("12345678"));
    tarn_dns_option_put(&w, TARN_DNS_OPT_NSID, TARN_SPAN_EMPTY);
    tarn_dns_option_put_ede(&w, 22, TARN_SPAN_LIT("no \"one\""));
    e.options = tarn_writer_span(&w);
    cr_assert(tarn_dns_put_opt(&b, &e, 0));
    struct tarn_span msg = tarn_dns_finish(&b);
    cr_assert(edns_of(msg, &got));
    cr_assert(got.udp_bytes == 1232 && got.flags == TARN_DNS_EDNS_DO && got.rcode_high == 1);
    cr_assert(tarn_dns_option_find(got.options, TARN_DNS_OPT_COOKIE, &value) && value.len == 8);
    cr_assert(tarn_dns_option_find(got.options, TARN_DNS_OPT_NSID, &value) && value.len == 0);
    cr_assert(!tarn_dns_option_find(got.options, TARN_DNS_OPT_PADDING, &value));
    cr_assert_not_null(strstr(printed(msg), "; EDE: 22 \"no \\\"one\\\"\"\n"), "%s", printed(msg));
    cr_assert_not_null(
        strstr(printed(msg), "status RCODE16") || strstr(printed(msg), "BADVERS") ? "" : NULL);
    out[msg.len - 11]++; /* the last option reaches behind the record */
    cr_assert(!edns_of(msg, &got));
}

Test(rfc6891_6_2_3, smaller_sizes_than_512_are_512) {
    struct tarn_dns_builder b = start(512);
    struct tarn_dns_edns got;
    cr_assert(tarn_dns_put_opt(&b, &(struct tarn_dns_edns){.udp_bytes = 100}, 0));
    cr_assert(edns_of(tarn_dns_finish(&b), &got) && got.udp_bytes == 512);
}

Test(rfc8467, padding_fills_blocks) {
    for (size_t n = 1; n < 40; n++) {
        struct tarn_dns_builder b = start(512);
        char owner[64];
        snprintf(owner, sizeof owner, "%.*s.", (int)n,
                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        cr_assert(tarn_dns_put_question(&b, wire_of(owner), TARN_DNS_A, TARN_DNS_IN));
        cr_assert(tarn_dns_put_opt(&b, &(struct tarn_dns_edns){.udp_bytes = 1232}, 128));
        cr_assert_eq(tarn_dns_finish(&b).len, 128, "%zu", n);
    }
    struct tarn_dns_builder b = start(100); /* as far as there is room */
    cr_assert(tarn_dns_put_opt(&b, &(struct tarn_dns_edns){.udp_bytes = 1232}, 128));
    cr_assert_eq(tarn_dns_finish(&b).len, 100);
}
