/* SPDX-License-Identifier: ISC */
#include "text.h"
#include <criterion/criterion.h>

struct rig {
    char text[20000]; /* what was read, printed */
    size_t len;
    unsigned records, refuse_at;
};

static enum tarn_err record(void *user, const struct tarn_dns_record *r, const char **why) {
    struct rig *rig = user;
    struct tarn_writer w =
        tarn_writer_over(tarn_bytes_of(rig->text + rig->len, sizeof rig->text - 1 - rig->len));
    if (++rig->records == rig->refuse_at) {
        *why = "one too many";
        return TARN_LIMIT;
    }
    tarn_dns_record_print(&w, r->owner, r->type, r->klass, r->ttl, r->rdata);
    tarn_writer_u8(&w, '\n');
    rig->len += tarn_writer_span(&w).len;
    rig->text[rig->len] = 0;
    return TARN_OK;
}

static enum tarn_err include(void *user, struct tarn_span file, struct tarn_span *text) {
    (void)user;
    if (tarn_span_equal(file, TARN_SPAN_LIT("sub"))) {
        *text = TARN_SPAN_LIT("www A 192.0.2.7\n$ORIGIN deep.example.\n@ A 192.0.2.8\n");
        return TARN_OK;
    }
    if (tarn_span_equal(file, TARN_SPAN_LIT("bad"))) {
        *text = TARN_SPAN_LIT("\n  A 1.2.3\n");
        return TARN_OK;
    }
    *text = TARN_SPAN_LIT("$INCLUDE itself\n");
    return tarn_span_equal(file, TARN_SPAN_LIT("itself")) ? TARN_OK : TARN_NOT_FOUND;
}

static struct rig rig;

/* The records of a file, or its error. */
static const char *parse(const char *text) {
    static uint8_t scratch[TARN_DNS_RDATA_MAX];
    static char error_text[300];
    struct tarn_span origin = wire_of("example.");
    struct tarn_dns_zonefile_config config = {.name = TARN_SPAN_LIT("zone"),
                                              .text = tarn_span_str(text),
                                              .origin = origin,
                                              .generate_max = 300,
                                              .scratch = TARN_BYTES_ARRAY(scratch),
                                              .record = record,
                                              .include = include,
                                              .user = &rig};
    struct tarn_dns_zonefile_error error;
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(error_text, sizeof error_text - 1));
    rig.len = rig.records = 0;
    rig.text[0] = 0;
    if (tarn_dns_zonefile_parse(&config, &error) == TARN_OK)
        return rig.text;
    tarn_dns_zonefile_error_print(&w, &error);
    error_text[w.len] = 0;
    return error_text;
}

Test(rfc1035_5, the_example_of_the_rfc) {
    cr_assert_str_eq(parse("@   IN  SOA     VENERA      Action\\.domains (\n"
                           "                                 20     ; SERIAL\n"
                           "                                 7200   ; REFRESH\n"
                           "                                 600    ; RETRY\n"
                           "                                 3600000; EXPIRE\n"
                           "                                 60)    ; MINIMUM\n"
                           "\n"
                           "        NS      A.ISI.EDU.\n"
                           "        NS      VENERA\n"
                           "        MX      10      VENERA\n"
                           "\n"
                           "A       A       26.3.0.103\n"
                           "VENERA  A       10.1.0.52\n"
                           "        A       128.9.0.32\n"),
                     "example. 60 IN SOA VENERA.example. Action\\.domains.example. 20 7200 600 "
                     "3600000 60\n"
                     "example. 60 IN NS A.ISI.EDU.\n"
                     "example. 60 IN NS VENERA.example.\n"
                     "example. 60 IN MX 10 VENERA.example.\n"
                     "A.example. 60 IN A 26.3.0.103\n"
                     "VENERA.example. 60 IN A 10.1.0.52\n"
                     "VENERA.example. 60 IN A 128.9.0.32\n");
}

Test(rfc1035_5, ttl_and_class_stand_in_either_order_or_not_at_all) {
    cr_assert_str_eq(parse("$TTL 1h\na 5 IN A 1.2.3.4\nb IN 6 A 1.2.3.4\nc A 1.2.3.4\n"
                           "d 1d TYPE1 \\# 4 01020304\ne CH 7 TXT x\nf TXT x"),
                     "a.example. 5 IN A 1.2.3.4\nb.example. 6 IN A 1.2.3.4\n"
                     "c.example. 3600 IN A 1.2.3.4\nd.example. 86400 IN A 1.2.3.4\n"
                     "e.example. 7 CH TXT \"x\"\nf.example. 3600 CH TXT \"x\"\n");
}

Test(rfc2308_4, ttl_directive_before_the_record_before) {
    cr_assert_str_eq(parse("a 5 A 1.2.3.4\nb A 1.2.3.4\n$TTL 9\nc A 1.2.3.4\n"),
                     "a.example. 5 IN A 1.2.3.4\nb.example. 5 IN A 1.2.3.4\n"
                     "c.example. 9 IN A 1.2.3.4\n");
    cr_assert_str_eq(parse("a A 1.2.3.4\n"), "zone:1:1: no TTL: $TTL is missing");
}

Test(rfc1035_5, parentheses_quotes_comments_and_line_ends) {
    cr_assert_str_eq(parse("$TTL 1\r\na TXT ( one ; (\r\n \"t;wo\" ) ; x \" y\r\n\r\n ; only\r\n"
                           "b\tTXT\t\"\" \"a\\\"b\"c\n"),
                     "a.example. 1 IN TXT \"one\" \"t;wo\"\n"
                     "b.example. 1 IN TXT \"\" \"a\\\"b\" \"c\"\n");
}

Test(rfc1035_5, origin_and_relative_names) {
    cr_assert_str_eq(parse("$TTL 1\n$ORIGIN a\nx NS y\n$ORIGIN b.\nx NS @\n$ORIGIN .\nc NS x\n"),
                     "x.a.example. 1 IN NS y.a.example.\nx.b. 1 IN NS b.\nc. 1 IN NS x.\n");
}

Test(rfc1035_5, include_keeps_origin_and_owner) {
    cr_assert_str_eq(parse("$TTL 1\na A 1.2.3.4\n$INCLUDE sub\n TXT same\n$include \"sub\" other.\n"
                           "b A 1.2.3.4\n"),
                     "a.example. 1 IN A 1.2.3.4\n"
                     "www.example. 1 IN A 192.0.2.7\ndeep.example. 1 IN A 192.0.2.8\n"
                     "a.example. 1 IN TXT \"same\"\n"
                     "www.other. 1 IN A 192.0.2.7\ndeep.example. 1 IN A 192.0.2.8\n"
                     "b.example. 1 IN A 1.2.3.4\n");
}

Test(generate, as_bind_has_it) {
    cr_assert_str_eq(parse("$TTL 1\n$GENERATE 1-3/2 h$ A 10.0.0.$\n"
                           "$GENERATE 9-10 ${-8,3,d}.${0,2,x} 7 CNAME ${1}.\\$x\n"
                           "$GENERATE 18-18 ${0,3,n} MX \"${0,0,o} m${0,2,X}\"\n"
                           " TXT next\n"),
                     "h1.example. 1 IN A 10.0.0.1\nh3.example. 1 IN A 10.0.0.3\n"
                     "001.09.example. 7 IN CNAME 10.\\$x.example.\n"
                     "002.0a.example. 7 IN CNAME 11.\\$x.example.\n"
                     "2.1.example. 1 IN MX 22 m12.example.\n"
                     "2.1.example. 1 IN TXT \"next\"\n");
}

Test(errors, name_file_line_and_column) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"$TTL 1\na A 1.2.3.4\n  b A x\n", "zone:3:3: not a type"},
        {"$TTL 1\na A 1.2.3\n", "zone:2:5: not an IPv4 address"},
        {"$TTL 1\na MX 10\n", "zone:2:8: the line ends too early"},
        {"$TTL 1\na A 1.2.3.4 junk\n", "zone:2:13: more than the record has"},
        {" A 1.2.3.4\n", "zone:1:2: there is no owner before, to take over"},
        {"$TTL x\n", "zone:1:6: not a TTL"},
        {"$TTL 2147483648\n", "zone:1:6: not a TTL"},
        {"$ORIGIN a..b\n", "zone:1:9: not a name"},
        {"$ORIGIN\n", "zone:1:8: not a name"},
        {"$FROG 1\n", "zone:1:1: not a directive"},
        {"$TTL 1 2\n", "zone:1:8: more than the directive has"},
        {"$INCLUDE none\n", "zone:1:10: the file cannot be had"},
        {"$INCLUDE\n", "zone:1:9: a file is missing"},
        {"$TTL 1\nx A 1.2.3.4\n$INCLUDE bad\n", "bad:2:5: not an IPv4 address"},
        {"$INCLUDE itself\n", "itself:1:10: includes are too deep"},
        {"a\n", "zone:1:2: a type is missing"},
        {"a..b A 1.2.3.4\n", "zone:1:1: not a name"},
        {"$TTL 1\na TXT \"x\ny\"\n", "zone:2:7: a string ends with its line"},
        {"$TTL 1\na TXT ( x\n\n", "zone:4:1: a parenthesis is not closed"},
        {"$TTL 1\na TXT x )\n", "zone:2:9: a closing parenthesis without an opening one"},
        {"$TTL 1\n(\na\n) A\n( 1.2.3 )\n", "zone:4:4: the line ends too early"},
        {"$TTL 1\n$GENERATE 5-1 a A 1.2.3.4\n", "zone:2:11: not a range such as 1-10 or 0-100/5"},
        {"$TTL 1\n$GENERATE 1-2 a${0,1,q} A 1.2.3.4\n", "zone:2:11: a bad ${offset,width,base}"},
        {"$TTL 1\n$GENERATE 250-257 a$ A 1.2.3.$\n", "zone:2:11: not an IPv4 address"},
        {"$TTL 1\n$GENERATE 1-400 a$ A 1.2.3.4\n", "zone:2:11: it makes too many records"},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++)
        cr_expect_str_eq(parse(cases[i].text), cases[i].error, "%zu: %s", i, parse(cases[i].text));
    rig.refuse_at = 2;
    cr_expect_str_eq(parse("$TTL 1\na A 1.2.3.4\nb A 1.2.3.4\n"), "zone:3:1: one too many");
    rig.refuse_at = 0;
}

Test(errors, data_that_does_not_fit_is_refused) {
    uint8_t scratch[8];
    struct tarn_span origin = wire_of("example.");
    struct tarn_dns_zonefile_config config = {.text = TARN_SPAN_LIT("a 1 TXT abcdefgh\n"),
                                              .origin = origin,
                                              .scratch = TARN_BYTES_ARRAY(scratch),
                                              .record = record,
                                              .user = &rig};
    struct tarn_dns_zonefile_error error;
    cr_assert_eq(tarn_dns_zonefile_parse(&config, &error), TARN_INVALID);
    cr_assert_str_eq(error.why, "too long");
}
