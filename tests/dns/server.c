/* SPDX-License-Identifier: ISC */
/* What is answered, case by case. */
#include "serve.h"
#include <criterion/criterion.h>

static const char example[] =
    "$TTL 3600\n"
    "@ SOA ns root 5 7200 900 1209600 300\n"
    "@ NS ns\n"
    "@ MX 10 mail\n"
    "ns A 192.0.2.53\n"
    "ns AAAA 2001:db8::53\n"
    "mail A 192.0.2.25\n"
    "www CNAME web\n"
    "web A 192.0.2.80\n"
    "web A 192.0.2.81\n"
    "out CNAME www.elsewhere.net.\n"
    "dangling CNAME nowhere\n"
    "loop CNAME pool\n"
    "pool CNAME loop\n"
    "a.b.c TXT deep\n"
    "*.wild TXT wild\n"
    "*.wild MX 5 mail\n"
    "real.wild A 192.0.2.1\n"
    "*.cn CNAME web\n"
    "sub NS ns.sub\n"
    "sub NS ns.elsewhere.net.\n"
    "sub DS 1 8 2 AABB\n"
    "ns.sub A 192.0.2.99\n"
    "glueless NS ns\n"
    "old DNAME new\n"
    "x.new A 192.0.2.7\n"
    "_sip._udp SRV 0 0 5060 web\n"
    "big TXT \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n"
    "$GENERATE 1-40 big TXT \"$ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n";

static struct serve s;
static const char *const origins[] = {"example.", "sub.other.", "other.", "signed.", NULL};

static bool may_transfer(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                         const struct tarn_dns_tsig_key *key) {
    (void)key;
    (void)user;
    (void)zone;
    return client->port == 5353;
}
static bool on_notify(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                      const struct tarn_dns_tsig_key *key) {
    (void)key;
    (void)user;
    return client->port == 5353 && tarn_dns_name_equal(zone, TARN_SPAN_LIT("\7example\0"));
}
static void setup(void) {
    serve_init(&s, (struct tarn_dns_server_config){.nsid = TARN_SPAN_LIT("one"),
                                                   .may_transfer = may_transfer,
                                                   .on_notify = on_notify});
    serve_zone(&s, "example.", example);
}
static void teardown(void) {
    serve_fini(&s, origins);
}
#define SOA "ns example. 300 IN SOA ns.example. root.example. 5 7200 900 1209600 300\n"
#define ASK(name, type, expected)                                                                  \
    cr_expect_str_eq(ask(&s, name, type), expected, "%s %s: %s", name, type, ask(&s, name, type))

TestSuite(answer, .init = setup, .fini = teardown);

Test(answer, rfc1034_names_that_are_there) {
    ASK("web.example.", "A",
        "NOERROR aa\nan web.example. 3600 IN A 192.0.2.80\nan web.example. 3600 IN A 192.0.2.81\n");
    ASK("WEB.eXample.", "A",
        "NOERROR aa\nan WEB.eXample. 3600 IN A 192.0.2.80\nan WEB.eXample. 3600 IN A 192.0.2.81\n");
    ASK("example.", "MX",
        "NOERROR aa\nan example. 3600 IN MX 10 mail.example.\nar mail.example. 3600 IN A "
        "192.0.2.25\n");
    ASK("example.", "NS",
        "NOERROR aa\nan example. 3600 IN NS ns.example.\nar ns.example. 3600 IN A 192.0.2.53\n"
        "ar ns.example. 3600 IN AAAA 2001:db8::53\n");
    ASK("_sip._udp.example.", "SRV",
        "NOERROR aa\nan _sip._udp.example. 3600 IN SRV 0 0 5060 web.example.\n"
        "ar web.example. 3600 IN A 192.0.2.80\nar web.example. 3600 IN A 192.0.2.81\n");
}

Test(answer, rfc2308_negative_answers_have_the_soa) {
    ASK("web.example.", "AAAA", "NOERROR aa\n" SOA);
    ASK("nowhere.example.", "A", "NXDOMAIN aa\n" SOA);
    ASK("x.web.example.", "A", "NXDOMAIN aa\n" SOA);
    ASK("c.example.", "A", "NOERROR aa\n" SOA); /* RFC 8020: an empty name between */
    ASK("b.c.example.", "TXT", "NOERROR aa\n" SOA);
    ASK("z.b.c.example.", "TXT", "NXDOMAIN aa\n" SOA);
}

Test(answer, rfc1034_aliases) {
    ASK("www.example.", "A",
        "NOERROR aa\nan www.example. 3600 IN CNAME web.example.\n"
        "an web.example. 3600 IN A 192.0.2.80\nan web.example. 3600 IN A 192.0.2.81\n");
    ASK("www.example.", "CNAME", "NOERROR aa\nan www.example. 3600 IN CNAME web.example.\n");
    ASK("out.example.", "A", "NOERROR aa\nan out.example. 3600 IN CNAME www.elsewhere.net.\n");
    ASK("www.example.", "AAAA", "NOERROR aa\nan www.example. 3600 IN CNAME web.example.\n" SOA);
    ASK("dangling.example.", "A", /* RFC 6604 section 2.1: of the last name */
        "NXDOMAIN aa\nan dangling.example. 3600 IN CNAME nowhere.example.\n" SOA);
    cr_assert_not_null(strstr(ask(&s, "loop.example.", "A"), "NOERROR aa\n"));
    cr_assert_leq(s.answer.len, 512, "loops end");
}

Test(answer, rfc4592_wildcards) {
    ASK("x.wild.example.", "TXT", "NOERROR aa\nan x.wild.example. 3600 IN TXT \"wild\"\n");
    ASK("x.y.wild.example.", "TXT", "NOERROR aa\nan x.y.wild.example. 3600 IN TXT \"wild\"\n");
    ASK("x.wild.example.", "A", "NOERROR aa\n" SOA);
    ASK("real.wild.example.", "TXT", "NOERROR aa\n" SOA);
    ASK("y.real.wild.example.", "TXT", "NXDOMAIN aa\n" SOA);
    ASK("wild.example.", "TXT", "NOERROR aa\n" SOA);
    ASK("*.wild.example.", "TXT", "NOERROR aa\nan *.wild.example. 3600 IN TXT \"wild\"\n");
    ASK("x.*.wild.example.", "TXT", "NXDOMAIN aa\n" SOA); /* * itself is a closest encloser */
    ASK("x.cn.example.", "A",
        "NOERROR aa\nan x.cn.example. 3600 IN CNAME web.example.\n"
        "an web.example. 3600 IN A 192.0.2.80\nan web.example. 3600 IN A 192.0.2.81\n");
    ASK("x.wild.example.", "MX",
        "NOERROR aa\nan x.wild.example. 3600 IN MX 5 mail.example.\n"
        "ar mail.example. 3600 IN A 192.0.2.25\n");
}

Test(answer, rfc1034_referrals_with_glue) {
    const char *expected =
        "NOERROR\nns sub.example. 3600 IN NS ns.sub.example.\n"
        "ns sub.example. 3600 IN NS ns.elsewhere.net.\nar ns.sub.example. 3600 IN A 192.0.2.99\n";
    ASK("sub.example.", "A", expected);
    ASK("x.y.sub.example.", "A", expected);
    ASK("ns.sub.example.", "A", expected);
    ASK("sub.example.", "NS", expected);
    ASK("glueless.example.", "A",
        "NOERROR\nns glueless.example. 3600 IN NS ns.example.\n"
        "ar ns.example. 3600 IN A 192.0.2.53\nar ns.example. 3600 IN AAAA 2001:db8::53\n");
    ASK("sub.example.", "DS", "NOERROR aa\nan sub.example. 3600 IN DS 1 8 2 AABB\n");
    ASK("glueless.example.", "DS", "NOERROR aa\n" SOA);
}

Test(answer, rfc6672_dname) {
    ASK("x.old.example.", "A",
        "NOERROR aa\nan old.example. 3600 IN DNAME new.example.\n"
        "an x.old.example. 3600 IN CNAME x.new.example.\nan x.new.example. 3600 IN A 192.0.2.7\n");
    ASK("old.example.", "DNAME", "NOERROR aa\nan old.example. 3600 IN DNAME new.example.\n");
    ASK("old.example.", "A", "NOERROR aa\n" SOA);
    ASK("x.old.example.", "CNAME",
        "NOERROR aa\nan old.example. 3600 IN DNAME new.example.\n"
        "an x.old.example. 3600 IN CNAME x.new.example.\n");
    ASK("y.old.example.", "A",
        "NXDOMAIN aa\nan old.example. 3600 IN DNAME new.example.\n"
        "an y.old.example. 3600 IN CNAME y.new.example.\n" SOA);
    serve_zone(&s, "other.",
               "$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a.\n"
               "s DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x."
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.y.\n");
    char name[300] = "";
    for (int i = 0; i < 70; i++)
        strcat(name, "q.");
    strcat(name, "s.other.");
    cr_assert(strncmp(ask(&s, name, "A"), "YXDOMAIN aa\nan s.other. 1 IN DNAME ", 35) == 0);
}

Test(answer, rfc8482_any_is_one_set) {
    ASK("web.example.", "ANY",
        "NOERROR aa\nan web.example. 3600 IN A 192.0.2.80\nan web.example. 3600 IN A 192.0.2.81\n");
    ASK("nowhere.example.", "ANY", "NXDOMAIN aa\n" SOA);
    cr_assert_null(strstr(ask(&s, "ns.example.", "ANY"), "AAAA\n"));
}

Test(answer, the_deepest_zone_answers_and_the_parent_for_ds) {
    serve_zone(&s, "other.", "$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a.\nsub NS a.\nsub DS 1 8 2 AA\n");
    serve_zone(&s, "sub.other.", "$TTL 1\n@ SOA a b 2 1 1 1 1\n@ NS a.\nx A 1.2.3.4\n");
    ASK("x.sub.other.", "A", "NOERROR aa\nan x.sub.other. 1 IN A 1.2.3.4\n");
    ASK("sub.other.", "DS", "NOERROR aa\nan sub.other. 1 IN DS 1 8 2 AA\n");
    ASK("sub.other.", "A",
        "NOERROR aa\nns sub.other. 1 IN SOA a.sub.other. b.sub.other. 2 1 1 1 1\n");
    ASK("example.", "DS", "NOERROR aa\n" SOA); /* no parent here: the zone's own word */
    ASK("nobody.", "A", "REFUSED\n");
    ASK(".", "NS", "REFUSED\n");
    struct tarn_dns_zone *was = tarn_dns_server_remove_zone(s.server, wire_of("other."));
    tarn_dns_zone_free(was);
    ASK("x.sub.other.", "A", "NOERROR aa\nan x.sub.other. 1 IN A 1.2.3.4\n");
    ASK("y.other.", "A", "REFUSED\n");
}

Test(answer, rfc2181_9_truncation_leaves_out_whole_sets) {
    ASK("big.example.", "TXT", "NOERROR aa tc\n");
    cr_assert_leq(s.answer.len, 512);
    s.udp_bytes = 4096;
    ASK("big.example.", "TXT", "NOERROR aa tc\n");
    cr_assert_leq(s.answer.len, TARN_DNS_UDP_BYTES, "no more than is configured");
    s.request.stream = true;
    cr_assert_not_null(strstr(ask(&s, "big.example.", "TXT"), "NOERROR aa\n"));
    cr_assert_gt(s.answer.len, 2000);
}

Test(answer, rfc9471_a_referral_without_room_for_its_glue_is_truncated) {
    char text[6000] = "$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a.\n";
    for (int i = 0; i < 16; i++) {
        char line[200];
        snprintf(line, sizeof line,
                 "s NS long-label-of-a-name-server-%d.s\n"
                 "long-label-of-a-name-server-%d.s AAAA 2001:db8::%d\n",
                 i, i, i);
        strcat(text, line);
    }
    serve_zone(&s, "other.", text);
    cr_assert(strncmp(ask(&s, "x.s.other.", "A"), "NOERROR\n", 8) != 0, "%s",
              ask(&s, "x.s.other.", "A"));
    s.udp_bytes = 1232;
    cr_assert(strncmp(ask(&s, "x.s.other.", "A"), "NOERROR\n", 8) == 0);
}

static struct tarn_dns_edns edns_of(struct tarn_span msg) {
    struct tarn_dns_edns e = {0};
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    cr_assert(tarn_dns_reader_init(&r, msg));
    while (tarn_dns_read_question(&r, &q) == TARN_OK)
        ;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK)
        if (rr.type == TARN_DNS_OPT)
            cr_assert(tarn_dns_edns_read(&rr, &e));
    return e;
}

Test(answer, rfc6891_edns) {
    struct tarn_span value;
    ask(&s, "web.example.", "A");
    cr_assert_eq(edns_of(s.answer).udp_bytes, 0, "none where none was asked with");
    s.udp_bytes = 600;
    s.options = TARN_SPAN_LIT("\0\3\0\0");
    ask(&s, "web.example.", "A");
    struct tarn_dns_edns e = edns_of(s.answer);
    cr_assert_eq(e.udp_bytes, TARN_DNS_UDP_BYTES);
    cr_assert(tarn_dns_option_find(e.options, TARN_DNS_OPT_NSID, &value) && value.len == 3);
    ask(&s, "nobody.", "A");
    e = edns_of(s.answer);
    cr_assert(tarn_dns_option_find(e.options, TARN_DNS_OPT_EDE, &value) && value.ptr[1] == 20);
    struct tarn_span q = query_of(&s, "web.example.", "A");
    s.query[q.len - 9] = 1; /* the version, before flags, length and an option of 4 bytes */
    cr_assert(strncmp(print_answer(serve_raw(&s, q)), "BADVERS\n", 8) == 0, "%s",
              print_answer(s.answer));
}

Test(answer, rfc7873_cookies) {
    struct tarn_span value;
    s.udp_bytes = 1232;
    s.options = TARN_SPAN_LIT("\0\x0a\0\x08"
                              "abcdefgh");
    ask(&s, "web.example.", "A");
    cr_assert(tarn_dns_option_find(edns_of(s.answer).options, TARN_DNS_OPT_COOKIE, &value));
    cr_assert_eq(value.len, 24);
    cr_assert_eq(memcmp(value.ptr, "abcdefgh", 8), 0);
    for (size_t bad = 1; bad < 44; bad++) { /* RFC 7873 section 5.2.2: other lengths are FORMERR */
        static uint8_t other[60] = {0, 10};
        other[3] = (uint8_t)bad;
        s.options = tarn_span_of(other, 4 + bad);
        bool formerr = strncmp(ask(&s, "web.example.", "A"), "FORMERR", 7) == 0;
        cr_assert_eq(formerr, bad < 8 || (bad > 8 && bad < 16) || bad > 40, "%zu", bad);
    }
}

Test(answer, malformed_queries_are_formerr_or_silence) {
    struct tarn_span q = query_of(&s, "web.example.", "A");
    cr_assert_eq(serve_raw(&s, tarn_span_first(q, 11)).len, 0);
    for (size_t n = 12; n < q.len; n++)
        cr_assert_str_eq(print_answer(serve_raw(&s, tarn_span_first(q, n))), "FORMERR\n");
    s.query[2] |= 0x80;
    cr_assert_eq(serve_raw(&s, q).len, 0, "never an answer to an answer");
    s.query[2] = 0x08; /* IQUERY */
    cr_assert_str_eq(print_answer(serve_raw(&s, q)), "NOTIMP\n");
    s.query[2] = 0;
    s.query[5] = 2;
    cr_assert_str_eq(print_answer(serve_raw(&s, q)), "FORMERR\n");
    s.query[5] = 0;
    cr_assert_str_eq(print_answer(serve_raw(&s, tarn_span_first(q, 12))), "FORMERR\n");
}

Test(answer, rrl_limits_what_one_network_gets) {
    struct serve r;
    unsigned sent = 0, cut = 0;
    serve_init(&r, (struct tarn_dns_server_config){.rrl = {.per_second = 10, .slip = 2}});
    serve_zone(&r, "example.", example);
    for (unsigned i = 0; i < 110; i++) {
        r.request.client.addr.bytes[15] = (uint8_t)i;
        const char *a = ask(&r, "web.example.", "A");
        sent += strstr(a, " aa\n") != NULL;
        cut += strcmp(a, "NOERROR tc\n") == 0;
    }
    cr_assert_eq(sent, 10);
    cr_assert_eq(cut, 50, "every second one of the rest: %u", cut);
    r.request.client.addr.bytes[14]++;
    cr_assert_not_null(strstr(ask(&r, "web.example.", "A"), " aa\n"), "another network");
    r.request.client.addr.bytes[14]--;
    cr_assert_not_null(strstr(ask(&r, "mail.example.", "A"), " aa\n"), "another answer");
    for (unsigned i = 0; i < 30; i++) { /* all of NXDOMAIN is alike */
        char name[40];
        snprintf(name, sizeof name, "random%u.example.", i);
        bool sent_whole = strstr(ask(&r, name, "A"), "aa\n") != NULL;
        cr_assert_eq(sent_whole, i < 10, "%u", i);
    }
    r.request.now += TARN_SEC(5);
    cr_assert_null(strstr(ask(&r, "web.example.", "A"), "aa\n"), "debts are paid first");
    r.request.now += TARN_SEC(30);
    cr_assert_not_null(strstr(ask(&r, "web.example.", "A"), "aa\n"));
    for (unsigned i = 0; i < 300; i++)
        ask(&r, "web.example.", "A");
    r.request.stream = true;
    cr_assert_not_null(strstr(ask(&r, "web.example.", "A"), "aa\n"), "TCP is not limited");
    r.request.stream = false;
    r.udp_bytes = 1232;
    r.options = TARN_SPAN_LIT("\0\x0a\0\x08"
                              "abcdefgh");
    struct tarn_span value;
    static uint8_t option[28] = {0, 10, 0, 24};
    r.request.stream = true;
    ask(&r, "web.example.", "A");
    cr_assert(tarn_dns_option_find(edns_of(r.answer).options, TARN_DNS_OPT_COOKIE, &value));
    memcpy(option + 4, value.ptr, 24);
    r.request.stream = false;
    r.options = TARN_SPAN_ARRAY(option);
    cr_assert_not_null(strstr(ask(&r, "web.example.", "A"), "aa\n"), "nor who has a cookie");
    option[20] ^= 1;
    cr_assert_null(strstr(ask(&r, "web.example.", "A"), "aa\n"), "of ours");
    option[20] ^= 1;
    r.request.client.addr.bytes[15]++;
    cr_assert_null(strstr(ask(&r, "web.example.", "A"), "aa\n"), "of this address");
    r.request.client.addr.bytes[15]--;
    r.request.wall_seconds += 3700;
    cr_assert_null(strstr(ask(&r, "web.example.", "A"), "aa\n"), "and not too old");
    serve_fini(&r, origins);
}

/* -- zones that go out --------------------------------------------------------------------------
 */

static unsigned transferred(unsigned *messages) {
    unsigned records = 0;
    uint8_t out[1000];
    for (*messages = 0;; (*messages)++) {
        struct tarn_span msg = tarn_dns_transfer_next(&s.transfer, 0, TARN_BYTES_ARRAY(out));
        struct tarn_dns_reader r;
        struct tarn_dns_rr rr;
        if (!msg.len)
            return records;
        cr_assert(tarn_dns_reader_init(&r, msg) && r.header.id == 7 && r.header.counts[0] == 0);
        while (tarn_dns_read_rr(&r, &rr) == TARN_OK) {
            records++;
            cr_assert(rr.type != TARN_DNS_SOA || r.left[1] == 0);
        }
        cr_assert(tarn_dns_reader_done(&r));
    }
}

Test(answer, rfc5936_axfr) {
    unsigned messages;
    struct tarn_dns_zone_stats st;
    tarn_dns_zone_stats(tarn_dns_server_zone(s.server, wire_of("example.")), &st);
    ASK("example.", "AXFR", "NOTIMP\n"); /* over UDP */
    s.request.stream = true;
    cr_assert(strncmp(ask(&s, "example.", "AXFR"), "NOERROR aa\nan example. 3600 IN SOA ", 34)
              == 0);
    cr_assert_eq(transferred(&messages), st.records, "all but the SOA, and it again");
    cr_assert_gt(messages, 2);
    ASK("web.example.", "AXFR", "NOTAUTH\n");
    s.request.client.port = 1;
    ASK("example.", "AXFR", "REFUSED\n");
    cr_assert_null(s.transfer.zone);
}

Test(answer, a_transfer_of_a_zone_that_changes_fails) {
    struct tarn_dns_zone *z = tarn_dns_server_zone(s.server, wire_of("example."));
    struct tarn_dns_record r = {wire_of("new.example."), TARN_SPAN_LIT("\1\2\3\4"), TARN_DNS_A,
                                TARN_DNS_IN, 5};
    const char *why;
    uint8_t out[600];
    s.request.stream = true;
    ask(&s, "example.", "AXFR");
    cr_assert_gt(tarn_dns_transfer_next(&s.transfer, 0, TARN_BYTES_ARRAY(out)).len, 0);
    cr_assert_eq(tarn_dns_zone_add(z, &r, &why), TARN_OK);
    cr_assert_eq(tarn_dns_transfer_next(&s.transfer, 0, TARN_BYTES_ARRAY(out)).len, 0);
    cr_assert(s.transfer.failed);
}

static const char *ask_ixfr(uint32_t serial) {
    struct tarn_dns_builder b;
    uint8_t soa[22] = {0,
                       0,
                       (uint8_t)(serial >> 24),
                       (uint8_t)(serial >> 16),
                       (uint8_t)(serial >> 8),
                       (uint8_t)serial};
    tarn_dns_build(&b, TARN_BYTES_ARRAY(s.query), 7, 0);
    cr_assert(tarn_dns_put_question(&b, wire_of("example."), TARN_DNS_IXFR, TARN_DNS_IN));
    cr_assert(tarn_dns_put_rr(&b, TARN_DNS_AUTHORITY, wire_of("example."), TARN_DNS_SOA,
                              TARN_DNS_IN, 0, TARN_SPAN_ARRAY(soa)));
    return print_answer(serve_raw(&s, tarn_dns_finish(&b)));
}

Test(answer, rfc1995_ixfr_is_the_soa_or_all) {
    unsigned messages;
    const char *soa = "NOERROR aa\nan example. 3600 IN SOA ns.example. root.example. 5 7200 900 "
                      "1209600 300\n";
    cr_assert_str_eq(ask_ixfr(4), soa, "over UDP");
    cr_assert_null(s.transfer.zone);
    s.request.stream = true;
    cr_assert_str_eq(ask_ixfr(5), soa);
    cr_assert_null(s.transfer.zone, "nothing is newer");
    cr_assert_str_eq(ask_ixfr(4), soa);
    cr_assert_gt(transferred(&messages), 20);
    ASK("example.", "IXFR", "FORMERR\n"); /* without a serial */
}

Test(answer, rfc1996_notify) {
    struct tarn_span q = query_of(&s, "example.", "SOA");
    s.query[2] = 0x24;
    cr_assert_str_eq(print_answer(serve_raw(&s, q)), "NOERROR aa\n");
    s.request.client.port = 1;
    cr_assert_str_eq(print_answer(serve_raw(&s, q)), "NOTAUTH\n", "from a stranger");
}

/* -- signed zones -------------------------------------------------------------------------------
 */

#define SIG(type) type " 8 1 60 20300101000000 20200101000000 1 signed. AA=="

static const char with_nsec[] =
    "$TTL 60\n"
    "@ SOA ns root 5 7200 900 1209600 60\n@ RRSIG " SIG(
        "SOA") "\n"
               "@ NS ns\n@ RRSIG " SIG(
                   "NS") "\n"
                         "@ NSEC a NS SOA RRSIG NSEC\n@ RRSIG " SIG(
                             "NSEC") "\n"
                                     "a A 192.0.2.1\na RRSIG " SIG("A") "\na NSEC ent.d A RRSIG NSEC\na RRSIG " SIG(
                                         "NSEC") "\n"
                                                 "ent.d A 192.0.2.1\nent.d RRSIG " SIG(
                                                     "A") "\nent.d NSEC sub A RRSIG NSEC\n"
                                                          "ent.d RRSIG " SIG(
                                                              "NSEC") "\n"
                                                                      "sub NS x.\nsub NSEC *.w NS RRSIG NSEC\nsub RRSIG " SIG(
                                                                          "NSEC") "\n"
                                                                                  "*.w A 192.0.2.1\n*.w RRSIG " SIG("A") "\n*.w NSEC @ A RRSIG NSEC\n*.w RRSIG " SIG(
                                                                                      "NSEC") "\n";

/* The owners of NSEC in an answer's authority, in order. */
static const char *denials(const char *name, const char *type, const char *kind) {
    static char out[600];
    char *line = strtok(strcpy(calloc(1, 70000), ask(&s, name, type)), "\n");
    snprintf(out, sizeof out, "%s:", line);
    char want[20];
    snprintf(want, sizeof want, " IN %s ", kind);
    for (; line; line = strtok(NULL, "\n"))
        if (strncmp(line, "ns ", 3) == 0 && strstr(line, want)) {
            *strchr(line + 3, ' ') = 0;
            strcat(strcat(out, " "), line + 3);
        }
    return out;
}

Test(answer, rfc4035_3_1_3_denial_with_nsec) {
    serve_zone(&s, "signed.", with_nsec);
    s.udp_bytes = 4096;
    cr_assert_null(strstr(ask(&s, "a.signed.", "A"), "RRSIG"), "only where it is asked for");
    s.flags = TARN_DNS_EDNS_DO;
    ASK("a.signed.", "A",
        "NOERROR aa\nan a.signed. 60 IN A 192.0.2.1\n"
        "an a.signed. 60 IN RRSIG A 8 1 60 20300101000000 20200101000000 1 signed. AA==\n");
    cr_assert_str_eq(denials("a.signed.", "TXT", "NSEC"), "NOERROR aa: a.signed.");
    cr_assert_str_eq(denials("b.signed.", "A", "NSEC"), "NXDOMAIN aa: a.signed. signed.");
    cr_assert_str_eq(denials("zz.signed.", "A", "NSEC"), "NXDOMAIN aa: *.w.signed. signed.");
    cr_assert_str_eq(denials("d.signed.", "A", "NSEC"), "NOERROR aa: a.signed.");
    cr_assert_str_eq(denials("q.w.signed.", "A", "NSEC"), "NOERROR aa: *.w.signed.");
    cr_assert_str_eq(denials("q.w.signed.", "TXT", "NSEC"), "NOERROR aa: *.w.signed.");
    cr_assert_str_eq(denials("w.signed.", "A", "NSEC"), "NOERROR aa: sub.signed.");
    cr_assert_str_eq(denials("x.sub.signed.", "A", "NSEC"), "NOERROR: sub.signed.");
    cr_assert_str_eq(denials("sub.signed.", "DS", "NSEC"), "NOERROR aa: sub.signed.");
    cr_assert_not_null(strstr(ask(&s, "q.w.signed.", "A"), "an q.w.signed. 60 IN RRSIG A 8 1 60"));
}

/* The zone of RFC 5155 appendix A, without its signatures: the hashes are the RFC's own. */
static const char with_nsec3[] =
    "$TTL 3600\n$ORIGIN example.\n"
    "@ SOA ns1 bugs.x.w 1 3600 300 3600000 3600\n@ NS ns1\n@ NS ns2\n@ MX 1 xx\n"
    "@ DNSKEY 257 3 7 AA==\n@ NSEC3PARAM 1 0 12 aabbccdd\n"
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX "
    "DNSKEY NS SOA NSEC3PARAM RRSIG\n"
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr A 192.0.2.127\n"
    "2t7b4g4vsa5smi47k61mv5bv1a22bojr NSEC3 1 1 12 aabbccdd 2vptu5timamqttgl4luu9kg21e0aor3s A "
    "RRSIG\n"
    "2vptu5timamqttgl4luu9kg21e0aor3s NSEC3 1 1 12 aabbccdd 35mthgpgcu1qg68fab165klnsnk3dpvl MX "
    "RRSIG\n"
    "35mthgpgcu1qg68fab165klnsnk3dpvl NSEC3 1 1 12 aabbccdd b4um86eghhds6nea196smvmlo4ors995 NS DS "
    "RRSIG\n"
    "b4um86eghhds6nea196smvmlo4ors995 NSEC3 1 1 12 aabbccdd gjeqe526plbf1g8mklp59enfd789njgi MX "
    "RRSIG\n"
    "gjeqe526plbf1g8mklp59enfd789njgi NSEC3 1 1 12 aabbccdd ji6neoaepv8b5o6k4ev33abha8ht9fgc HINFO "
    "A AAAA RRSIG\n"
    "ji6neoaepv8b5o6k4ev33abha8ht9fgc NSEC3 1 1 12 aabbccdd k8udemvp1j2f7eg6jebps17vp3n8i58h\n"
    "k8udemvp1j2f7eg6jebps17vp3n8i58h NSEC3 1 1 12 aabbccdd kohar7mbb8dc2ce8a9qvl8hon4k53uhi\n"
    "kohar7mbb8dc2ce8a9qvl8hon4k53uhi NSEC3 1 1 12 aabbccdd q04jkcevqvmu85r014c7dkba38o0ji5r A "
    "RRSIG\n"
    "q04jkcevqvmu85r014c7dkba38o0ji5r NSEC3 1 1 12 aabbccdd r53bq7cc2uvmubfu5ocmm6pers9tk9en A "
    "RRSIG\n"
    "r53bq7cc2uvmubfu5ocmm6pers9tk9en NSEC3 1 1 12 aabbccdd t644ebqk9bibcna874givr6joj62mlhv MX "
    "RRSIG\n"
    "t644ebqk9bibcna874givr6joj62mlhv NSEC3 1 1 12 aabbccdd 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom HINFO "
    "A AAAA RRSIG\n"
    "a NS ns1.a\na NS ns2.a\na DS 58470 5 1 3079F1593EBAD6DC121E202A8B766A6A4837206C\n"
    "ns1.a A 192.0.2.5\nns2.a A 192.0.2.6\nai A 192.0.2.9\nai HINFO a b\nai AAAA 2001:db8::9\n"
    "c NS ns1.c\nc NS ns2.c\nns1.c A 192.0.2.7\nns2.c A 192.0.2.8\n"
    "ns1 A 192.0.2.1\nns2 A 192.0.2.2\n*.w MX 1 ai\nx.w MX 1 xx\nx.y.w MX 1 xx\n"
    "xx A 192.0.2.10\nxx HINFO a b\nxx AAAA 2001:db8::10\n";

Test(answer, rfc5155_appendix_b) {
    serve_zone(&s, "example.", with_nsec3);
    s.request.stream = true;
    s.udp_bytes = 4096;
    s.flags = TARN_DNS_EDNS_DO;
    /* B.1: the closest encloser, the next closer name, the wildcard */
    cr_assert_str_eq(denials("a.c.x.w.example.", "A", "NSEC3"),
                     "NXDOMAIN aa: 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. "
                     "b4um86eghhds6nea196smvmlo4ors995.example. "
                     "35mthgpgcu1qg68fab165klnsnk3dpvl.example.");
    /* B.2, B.2.1: no data, and at an empty name */
    cr_assert_str_eq(denials("ns1.example.", "MX", "NSEC3"),
                     "NOERROR aa: 2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.");
    cr_assert_str_eq(denials("y.w.example.", "A", "NSEC3"),
                     "NOERROR aa: ji6neoaepv8b5o6k4ev33abha8ht9fgc.example.");
    /* B.3: a referral to what opted out */
    cr_assert_str_eq(denials("mc.c.example.", "MX", "NSEC3"),
                     "NOERROR: 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. "
                     "35mthgpgcu1qg68fab165klnsnk3dpvl.example.");
    /* B.4: a wildcard's answer */
    cr_assert_str_eq(denials("a.z.w.example.", "MX", "NSEC3"),
                     "NOERROR aa: q04jkcevqvmu85r014c7dkba38o0ji5r.example.");
    /* B.5: a wildcard without the type */
    cr_assert_str_eq(denials("a.z.w.example.", "AAAA", "NSEC3"),
                     "NOERROR aa: q04jkcevqvmu85r014c7dkba38o0ji5r.example. "
                     "k8udemvp1j2f7eg6jebps17vp3n8i58h.example. "
                     "r53bq7cc2uvmubfu5ocmm6pers9tk9en.example.");
    /* B.6: a DS at the apex of a child, asked here as the only zone */
    cr_assert_str_eq(denials("example.", "DS", "NSEC3"),
                     "NOERROR aa: 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.");
    /* RFC 5155 section 7.2.8: the owner of an NSEC3 alone is no name */
    cr_assert(strncmp(denials("kohar7mbb8dc2ce8a9qvl8hon4k53uhi.example.", "A", "NSEC3"),
                      "NXDOMAIN aa:", 12)
              == 0);
}

Test(answer, many_zones_in_and_out) {
    struct serve many;
    char origin[40];
    serve_init(&many, (struct tarn_dns_server_config){.zones_max = 50});
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            snprintf(origin, sizeof origin, "z%d.test.", i);
            serve_zone(&many, origin, "$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a.\n");
        }
        struct tarn_dns_zone *extra =
                                 zone_of(&many, "more.", "$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a.\n"),
                             *was;
        cr_assert_eq(tarn_dns_server_set_zone(many.server, extra, &was), TARN_LIMIT);
        tarn_dns_zone_free(extra);
        for (int i = 0; i < 50; i++) {
            snprintf(origin, sizeof origin, "z%d.test.", (i * 7 + round) % 50);
            tarn_dns_zone_free(tarn_dns_server_remove_zone(many.server, wire_of(origin)));
            cr_assert_null(tarn_dns_server_zone(many.server, wire_of(origin)));
            for (int j = i + 1; j < 50; j++) {
                snprintf(origin, sizeof origin, "z%d.test.", (j * 7 + round) % 50);
                cr_assert_not_null(tarn_dns_server_zone(many.server, wire_of(origin)));
            }
        }
    }
    serve_fini(&many, origins);
}
