/* SPDX-License-Identifier: ISC */
/* Every type's text and data: what is parsed is valid, prints as canonical text, and parses again
 * to the same bytes. */
#include "text.h"
#include <criterion/criterion.h>

struct sample {
    const char *type, *text;
    const char *printed; /* NULL: the same */
};
static const struct sample samples[] = {
    {"A", "192.0.2.1", NULL},
    {"NS", "ns1", "ns1.example.org."},
    {"MD", "a.", NULL},
    {"MF", "a.", NULL},
    {"CNAME", "www.example.net.", NULL},
    {"SOA", "ns1 host\\.master.x. ( 1 2h 15m ; comment\n 2w 1d )",
     "ns1.example.org. host\\.master.x. 1 7200 900 1209600 86400"},
    {"MB", "a.", NULL},
    {"MG", "a.", NULL},
    {"MR", "a.", NULL},
    {"PTR", "@", "example.org."},
    {"HINFO", "\"a b\" Linux", "\"a b\" \"Linux\""},
    {"MINFO", "a. b.", NULL},
    {"MX", "10 mail", "10 mail.example.org."},
    {"TXT", "one \"two \\\"2\\\"\" \\; \"\" \"\\000\\255\"",
     "\"one\" \"two \\\"2\\\"\" \";\" \"\" \"\\000\\255\""},
    {"RP", "a. .", NULL},
    {"AFSDB", "1 a.", NULL},
    {"X25", "\"311061700956\"", NULL},
    {"ISDN", "\"150862028003217\" \"004\"", NULL},
    {"ISDN", "\"150862028003217\"", NULL},
    {"RT", "2 a.", NULL},
    {"NSAP", "0x47.0005.80", "0x47000580"},
    {"PX", "10 a. b.", NULL},
    {"GPOS", "\"-32.6882\" \"116.8652\" \"10.0\"", NULL},
    {"AAAA", "2001:DB8:0:0::1", "2001:db8::1"},
    {"AAAA", "::ffff:192.0.2.1", NULL},
    {"LOC", "42 21 54 N 71 06 18 W -24m 30m",
     "42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m"},
    {"LOC", "90 S 180 E 100000.55 1m 0 90000000.00m",
     "90 0 0.000 S 180 0 0.000 E 100000.55m 1m 0m 90000000m"},
    {"LOC", "52 22 23.5 N 4 53 32.001 E 0", "52 22 23.500 N 4 53 32.001 E 0.00m 1m 10000m 10m"},
    {"SRV", "0 5 5060 sip", "0 5 5060 sip.example.org."},
    {"NAPTR", "100 10 \"u\" \"sip+E2U\" \"!^.*$!sip:info@x!i\" .", NULL},
    {"KX", "1 a.", NULL},
    {"CERT", "PKIX 0 RSASHA256 AQID", "1 0 8 AQID"},
    {"DNAME", "a.", NULL},
    {"APL", "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8", NULL},
    {"APL", "", NULL},
    {"DS", "60485 5 1 ( 2BB183AF5F22588179A53B0A 98631FAD1A292118 )",
     "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"},
    {"SSHFP", "2 1 123456789ABCDEF67890123456789ABCDEF67890", NULL},
    {"IPSECKEY", "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==", NULL},
    {"IPSECKEY", "10 0 2 . AQID", NULL},
    {"IPSECKEY", "10 3 2 gw.example.com. AQID", NULL},
    {"IPSECKEY", "10 2 0 2001:db8::1", NULL},
    {"RRSIG",
     "A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQ==", NULL},
    {"RRSIG", "TYPE65280 13 3 1d 1048354263 1045762263 2642 @ AQID",
     "TYPE65280 13 3 86400 20030322173103 20030220173103 2642 example.org. AQID"},
    {"SIG",
     "A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6WNGv+ldvQ3WDG0MQ==", NULL},
    {"NSEC", "host.example.com. A MX RRSIG NSEC TYPE1234", NULL},
    {"NSEC", ". ", "."},
    {"KEY", "256 3 5 AQPSKmyn", NULL},
    {"DNSKEY", "256 3 ECDSAP256SHA256 AQPS Kmyn", "256 3 13 AQPSKmyn"},
    {"DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", NULL},
    {"NSEC3", "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS",
     "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS MX DNSKEY"},
    {"NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", NULL},
    {"NSEC3PARAM", "1 0 12 AABBCCDD", NULL},
    {"NSEC3PARAM", "1 0 0 -", NULL},
    {"TLSA", "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B9", NULL},
    {"SMIMEA", "3 1 1 D2ABDE24", NULL},
    {"HIP", "2 200100107B1A74DF365639CC39F1D578 AwEAAbdx rvs1.example.com. rvs2.example.com.",
     NULL},
    {"NINFO", "\"x\"", NULL},
    {"RKEY", "0 3 5 AQID", NULL},
    {"TALINK", "a. b.", NULL},
    {"CDS", "0 0 0 00", NULL},
    {"CDNSKEY", "0 3 0 AA==", NULL},
    {"OPENPGPKEY", "AQID", NULL},
    {"CSYNC", "66 3 A NS AAAA", NULL},
    {"ZONEMD", "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE", NULL},
    {"SVCB", "1 foo port=8004 alpn=h2,h3 mandatory=port,alpn",
     "1 foo.example.org. mandatory=alpn,port alpn=\"h2,h3\" port=8004"},
    {"HTTPS",
     "16 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\" ipv4hint=192.0.2.1,192.0.2.2 ech=AQID "
     "ipv6hint=2001:db8::1 dohpath=\"/q{?dns}\" key667=hello\\210qoo",
     "16 . alpn=\"f\\\\\\\\oo\\\\,bar,h2\" ipv4hint=192.0.2.1,192.0.2.2 ech=AQID "
     "ipv6hint=2001:db8::1 dohpath=\"/q{?dns}\" key667=\"hello\\210qoo\""},
    {"HTTPS", "0 foo.", NULL},
    {"SVCB", "1 . no-default-alpn alpn=h2 key7=\"a b\" ohttp",
     "1 . alpn=\"h2\" no-default-alpn dohpath=\"a b\" ohttp"},
    {"SPF", "\"v=spf1 -all\"", NULL},
    {"NID", "10 0014:4fff:ff20:ee64", NULL},
    {"L32", "10 10.1.2.0", NULL},
    {"L64", "10 2001:0db8:1140:1000", NULL},
    {"LP", "10 l64-subnet1.example.com.", NULL},
    {"EUI48", "00-00-5e-00-53-2a", NULL},
    {"EUI64", "00-00-5e-ef-10-00-00-2a", NULL},
    {"URI", "10 1 \"ftp://ftp1.example.com/public\"", NULL},
    {"CAA", "0 issue \"ca.example.net; account=230123\"", NULL},
    {"CAA", "128 tbs Unknown", "128 tbs \"Unknown\""},
    {"AVC", "\"a\"", NULL},
    {"TA", "1 2 3 AB", NULL},
    {"DLV", "1 2 3 AB", NULL},
    {"TKEY", "gss. 20030322173103 20030322173103 3 0 AQID -", NULL},
    {"TSIG", "hmac-sha256. 1700000000 300 AQID 1 0 -", NULL},
    {"TYPE731", "\\# 6 abcdef 012345", "\\# 6 ABCDEF012345"},
    {"TYPE62347", "\\# 0", NULL},
    {"NULL", "\\# 2 0001", NULL},
    {"A", "\\# 4 0a000001", "10.0.0.1"}, /* RFC 3597 section 5 */
    {"MX", "\\# 4 000A0161 00", "!"},
    {"MX", "\\# 5 000A016100", "10 a."},
};

static size_t parse(const char *type_text, const char *text, uint8_t *out, const char **why,
                    uint32_t *column) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(out, 4096));
    uint16_t type;
    cr_assert(tarn_dns_type_parse(tarn_span_str(type_text), &type), "%s", type_text);
    bool ok =
        tarn_dns_rdata_parse(tarn_span_str(text), type, wire_of("example.org."), &w, why, column);
    cr_assert_eq(ok, *why == NULL, "%s %s: a reason, and only then", type_text, text);
    return ok ? w.len : SIZE_MAX;
}

Test(presentation, every_type_both_ways) {
    static uint8_t data[4096], again[4096];
    static char printed[8192];
    for (size_t i = 0; i < TARN_COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        const char *why, *expected = s->printed ? s->printed : s->text;
        uint32_t column;
        uint16_t type = 0;
        size_t len = parse(s->type, s->text, data, &why, &column);
        if (expected[0] == '!') {
            cr_assert_eq(len, SIZE_MAX, "%s %s", s->type, s->text);
            continue;
        }
        cr_assert_neq(len, SIZE_MAX, "%s %s: %s at %u", s->type, s->text, why, column);
        cr_assert(tarn_dns_type_parse(tarn_span_str(s->type), &type));
        struct tarn_writer w = TARN_WRITER_ARRAY(printed);
        tarn_dns_rdata_print(&w, tarn_span_of(data, len), type);
        cr_assert_lt(w.len, sizeof printed);
        printed[w.len] = 0;
        cr_assert_str_eq(printed, expected, "%s: %s", s->type, printed);
        cr_assert_eq(parse(s->type, printed, again, &why, &column), len, "%s %s: %s", s->type,
                     printed, why);
        cr_assert_eq(memcmp(data, again, len), 0, "%s %s", s->type, printed);
    }
}

/* RFC 9267 section 6: data that is shorter or longer than its fields. */
Test(rfc9267_6, every_truncation_and_extension_is_refused) {
    static uint8_t data[4096];
    for (size_t i = 0; i < TARN_COUNT_OF(samples); i++) {
        const struct sample *s = &samples[i];
        const char *why;
        uint32_t column;
        uint16_t type = 0;
        size_t len = parse(s->type, s->text, data, &why, &column);
        cr_assert(tarn_dns_type_parse(tarn_span_str(s->type), &type));
        if (len == SIZE_MAX || !tarn_dns_type_known(type))
            continue;
        for (size_t n = 0; n <= len; n++) { /* never a read behind the end, whatever the answer */
            uint8_t *exact = malloc(n ? n : 1), out[4096];
            struct tarn_writer w = TARN_WRITER_ARRAY(out);
            memcpy(exact, data, n);
            bool ok = tarn_dns_rdata_read(tarn_span_of(exact, n), 0, n, type, &w);
            cr_assert_eq(ok, tarn_dns_rdata_valid(tarn_span_of(exact, n), type), "%s %zu", s->type,
                         n);
            cr_assert(n == len ? ok : !ok || (tarn_writer_span(&w).len == n));
            free(exact);
        }
        if (type == TARN_DNS_A || type == TARN_DNS_MX || type == TARN_DNS_SOA
            || type == TARN_DNS_SRV || type == TARN_DNS_LOC) {
            data[len] = 0;
            cr_assert(!tarn_dns_rdata_valid(tarn_span_of(data, len + 1), type), "%s", s->type);
            cr_assert(!tarn_dns_rdata_valid(tarn_span_of(data, len - 1), type), "%s", s->type);
        }
    }
}

Test(presentation, errors_say_where) {
    static const struct {
        const char *type, *text;
        uint32_t column;
    } bad[] = {
        {"A", "192.0.2.256", 1},
        {"A", "", 1},
        {"A", "1.2.3.4 5", 9},
        {"AAAA", "1.2.3.4", 1},
        {"A", "::1", 1},
        {"MX", "65536 a.", 1},
        {"MX", "1 a..b.", 3},
        {"MX", "1", 2},
        {"TXT", "\"a\\999\"", 1},
        {"DS", "1 2 3 ABC", 7},
        {"DS", "1 2 3", 6},
        {"DNSKEY", "256 3 5 A!==", 9},
        {"NSEC", "a. A FROG", 6},
        {"SOA", "a. b. 1 2 3 4x 5", 13},
        {"LOC", "91 N 0 E 0", 1},
        {"LOC", "1 2 3 4 N 0 E 0", 7},
        {"SVCB", "1 . port=x", 5},
        {"SVCB", "1 . port=1 port=2", 12},
        {"SVCB", "1 . frog=1", 5},
        {"SVCB", "1 . mandatory=mandatory", 5},
        {"SVCB", "1 . alpn=h2,", 5},
        {"SVCB", "1 . ipv4hint=::1", 5},
        {"CAA", "0 is-sue x", 10},
        {"APL", "3:1.2.3.4/5", 1},
        {"EUI48", "1-2-3-4-5", 1},
        {"NSEC3", "1 0 0 - -", 9},
        {"TYPE731", "abc", 1},
        {"TYPE731", "\\# 2 AB", 6},
        {"A", "(1.2.3.4", 9},
        {"A", "1.2.3.4)", 8},
        {"TXT", "\"open", 1},
        {"RRSIG", "A 5 3 1 20031332173103 1 1 . AA==", 9},
    };
    static uint8_t data[4096];
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        const char *why;
        uint32_t column;
        cr_expect_eq(parse(bad[i].type, bad[i].text, data, &why, &column), SIZE_MAX, "%s %s",
                     bad[i].type, bad[i].text);
        cr_expect_eq(column, bad[i].column, "%s %s: %s at %u", bad[i].type, bad[i].text, why,
                     column);
    }
}

Test(rfc3597, types_and_classes_by_number) {
    uint16_t v;
    cr_assert(tarn_dns_type_parse(TARN_SPAN_LIT("type65535"), &v) && v == 65535);
    cr_assert(tarn_dns_type_parse(TARN_SPAN_LIT("mx"), &v) && v == TARN_DNS_MX);
    cr_assert(!tarn_dns_type_parse(TARN_SPAN_LIT("TYPE65536"), &v));
    cr_assert(!tarn_dns_type_parse(TARN_SPAN_LIT("TYPE"), &v));
    cr_assert(!tarn_dns_type_parse(TARN_SPAN_LIT("TYPEX"), &v));
    cr_assert(tarn_dns_class_parse(TARN_SPAN_LIT("Class32"), &v) && v == 32);
    for (uint32_t t = 0; t < 65536; t++) {
        uint8_t text[16];
        struct tarn_writer w = TARN_WRITER_ARRAY(text);
        tarn_dns_type_print(&w, (uint16_t)t);
        cr_assert(tarn_dns_type_parse(tarn_writer_span(&w), &v) && v == t, "%u", t);
    }
}

Test(rfc9460_2_2, parameters_on_the_wire_are_ordered_and_of_their_size) {
    static const struct {
        const char *data;
        size_t len;
        bool ok;
    } cases[] = {
        {"\0\1\0\0\3\0\2\1\2", 9, true},
        {"\0\1\0\0\3\0\1\1", 8, false},                /* a port of one byte */
        {"\0\1\0\0\3\0\2\1\2\0\3\0\2\1\2", 15, false}, /* twice */
        {"\0\1\0\0\3\0\2\1\2\0\2\0\0", 13, false},     /* not ascending */
        {"\0\1\0\0\1\0\0", 7, false},                  /* alpn without one */
        {"\0\1\0\0\1\0\3\3h2", 9, false},              /* an alpn that reaches out */
        {"\0\1\0\0\0\0\2\0\0", 9, false},              /* mandatory names itself */
        {"\0\1\0\0\4\0\3\1\2\3", 10, false},           /* hints of 3 bytes */
        {"\0\1\0\xff\xff\0\0", 7, false},              /* the invalid key */
    };
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++)
        cr_assert_eq(tarn_dns_rdata_valid(tarn_span_of(cases[i].data, cases[i].len), TARN_DNS_SVCB),
                     cases[i].ok, "%zu", i);
}

Test(rfc4034_4_1_2, bitmaps_are_minimal_and_ordered) {
    cr_assert(tarn_dns_rdata_valid(TARN_SPAN_LIT("\0\0\1\x40"), TARN_DNS_NSEC));
    cr_assert(!tarn_dns_rdata_valid(TARN_SPAN_LIT("\0\0\2\x40\0"), TARN_DNS_NSEC), "trailing zero");
    cr_assert(!tarn_dns_rdata_valid(TARN_SPAN_LIT("\0\0\0"), TARN_DNS_NSEC), "empty window");
    cr_assert(!tarn_dns_rdata_valid(TARN_SPAN_LIT("\0\1\1\1\0\1\1"), TARN_DNS_NSEC), "order");
    cr_assert(!tarn_dns_rdata_valid(TARN_SPAN_LIT("\0\0\x21"
                                                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                                    TARN_DNS_NSEC),
              "33 bytes");
}

Test(rfc4034_6_2, canonical_data_has_lower_case_names) {
    uint8_t mx[] = "\0\1\1A\0", svcb[] = "\0\1\1A\0";
    tarn_dns_rdata_canonical(tarn_bytes_of(mx, 5), TARN_DNS_MX);
    cr_assert_eq(mx[3], 'a');
    tarn_dns_rdata_canonical(tarn_bytes_of(svcb, 5), TARN_DNS_SVCB);
    cr_assert_eq(svcb[3], 'A', "newer types keep their case");
}
