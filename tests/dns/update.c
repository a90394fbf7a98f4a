/* SPDX-License-Identifier: ISC */
/* RFC 2136, section by section. */
#include "serve.h"
#include <criterion/criterion.h>
#include <tarn/dns_update.h>

static struct serve s;
static struct tarn_dns_zone *zone;
static struct tarn_dns_builder b;
static uint8_t message[4000];

static void setup(void) {
    serve_init(&s, (struct tarn_dns_server_config){0});
    zone = zone_of(&s, "example.",
                   "$TTL 60\n@ SOA ns root 5 1 1 1 60\n@ NS ns\n@ NS ns2\n@ MX 1 a\na A 192.0.2.1\n"
                   "a A 192.0.2.2\na TXT x\nc CNAME a\nd.ent A 192.0.2.3\n");
}
static void teardown(void) {
    tarn_dns_zone_free(zone);
    tarn_dns_server_free(s.server);
    cr_assert_eq(s.mem.bytes, 0);
}
TestSuite(rfc2136, .init = setup, .fini = teardown);

static void begin(void) {
    tarn_dns_build(&b, TARN_BYTES_ARRAY(message), 1, TARN_DNS_UPDATE << 11);
    cr_assert(tarn_dns_put_question(&b, wire_of("example."), TARN_DNS_SOA, TARN_DNS_IN));
}
#define PREREQ TARN_DNS_ANSWER
#define CHANGE TARN_DNS_AUTHORITY
static void put(enum tarn_dns_section section, const char *owner, const char *type_text,
                uint16_t klass, uint32_t ttl, const char *text) {
    uint8_t data[300];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    uint16_t type;
    const char *why;
    uint32_t column;
    cr_assert(tarn_dns_type_parse(tarn_span_str(type_text), &type));
    cr_assert(
        !text
        || tarn_dns_rdata_parse(tarn_span_str(text), type, TARN_SPAN_LIT("\0"), &w, &why, &column));
    cr_assert(tarn_dns_put_rr(&b, section, wire_of(owner), type, klass, ttl, tarn_writer_span(&w)));
}
/* The response's code; the zone is the new one where there is one. */
static bool changed;
static unsigned run(void) {
    struct tarn_dns_update_config c = {
        .alloc = &s.mem.alloc, .random = &s.random.random, .memory_max = 1 << 24};
    struct tarn_dns_zone *out;
    unsigned rcode = tarn_dns_update(&c, zone, tarn_dns_finish(&b), &out);
    changed = out != NULL;
    if (out) {
        tarn_dns_zone_free(zone);
        zone = out;
    }
    return rcode;
}
static unsigned one(enum tarn_dns_section section, const char *owner, const char *type,
                    uint16_t klass, uint32_t ttl, const char *text) {
    begin();
    put(section, owner, type, klass, ttl, text);
    return run();
}
static bool there(const char *owner, const char *type_text) {
    struct tarn_dns_record r;
    uint16_t type;
    cr_assert(tarn_dns_type_parse(tarn_span_str(type_text), &type));
    return tarn_dns_zone_get(zone, wire_of(owner), type, 0, &r);
}
static uint32_t serial(void) {
    uint32_t v;
    cr_assert(tarn_dns_zone_serial(zone, &v));
    return v;
}
#define ANY TARN_DNS_CLASS_ANY
#define NONE TARN_DNS_CLASS_NONE
#define IN TARN_DNS_IN

Test(rfc2136, section_2_4_prerequisites) {
    cr_assert_eq(one(PREREQ, "a.example.", "ANY", ANY, 0, NULL), TARN_DNS_NOERROR);
    cr_assert_eq(one(PREREQ, "no.example.", "ANY", ANY, 0, NULL), TARN_DNS_NXDOMAIN);
    cr_assert_eq(one(PREREQ, "ent.example.", "ANY", ANY, 0, NULL), TARN_DNS_NXDOMAIN, "not in use");
    cr_assert_eq(one(PREREQ, "no.example.", "ANY", NONE, 0, NULL), TARN_DNS_NOERROR);
    cr_assert_eq(one(PREREQ, "a.example.", "ANY", NONE, 0, NULL), TARN_DNS_YXDOMAIN);
    cr_assert_eq(one(PREREQ, "a.example.", "A", ANY, 0, NULL), TARN_DNS_NOERROR);
    cr_assert_eq(one(PREREQ, "a.example.", "MX", ANY, 0, NULL), TARN_DNS_NXRRSET);
    cr_assert_eq(one(PREREQ, "a.example.", "MX", NONE, 0, NULL), TARN_DNS_NOERROR);
    cr_assert_eq(one(PREREQ, "a.example.", "A", NONE, 0, NULL), TARN_DNS_YXRRSET);
    cr_assert_eq(one(PREREQ, "a.example.", "TXT", IN, 0, "x"), TARN_DNS_NOERROR);
    cr_assert_eq(one(PREREQ, "a.example.", "TXT", IN, 0, "y"), TARN_DNS_NXRRSET);
    cr_assert_eq(one(PREREQ, "a.example.", "A", IN, 0, "192.0.2.1"), TARN_DNS_NXRRSET, "not all");
    begin();
    put(PREREQ, "a.example.", "A", IN, 0, "192.0.2.2");
    put(PREREQ, "A.example.", "A", IN, 0, "192.0.2.1");
    cr_assert_eq(run(), TARN_DNS_NOERROR, "all, in any order");
    cr_assert_eq(one(PREREQ, "other.", "A", ANY, 0, NULL), TARN_DNS_NOTZONE);
    cr_assert_eq(one(PREREQ, "a.example.", "A", ANY, 1, NULL), TARN_DNS_FORMERR);
    cr_assert_eq(one(PREREQ, "a.example.", "A", ANY, 0, "1.2.3.4"), TARN_DNS_FORMERR);
    cr_assert_eq(one(PREREQ, "a.example.", "A", TARN_DNS_CH, 0, NULL), TARN_DNS_FORMERR);
    cr_assert(!changed && serial() == 5);
}

Test(rfc2136, section_2_5_1_add) {
    cr_assert_eq(one(CHANGE, "new.x.example.", "A", IN, 9, "192.0.2.9"), TARN_DNS_NOERROR);
    cr_assert(changed && there("new.x.example.", "A") && serial() == 6);
    cr_assert_eq(one(CHANGE, "new.x.example.", "A", IN, 9, "192.0.2.9"), TARN_DNS_NOERROR);
    cr_assert(!changed && serial() == 6, "it is there already");
    cr_assert_eq(one(CHANGE, "new.x.example.", "A", IN, 10, "192.0.2.9"), TARN_DNS_NOERROR);
    cr_assert(changed, "another TTL");
    cr_assert_eq(one(CHANGE, "other.", "A", IN, 9, "192.0.2.9"), TARN_DNS_NOTZONE);
    cr_assert_eq(one(CHANGE, "a.example.", "ANY", IN, 9, NULL), TARN_DNS_FORMERR);
    cr_assert_eq(one(CHANGE, "a.example.", "A", IN, 9, NULL), TARN_DNS_FORMERR, "no data");
}

Test(rfc2136, section_3_4_2_2_what_does_not_go_together_is_passed_over) {
    cr_assert_eq(one(CHANGE, "a.example.", "CNAME", IN, 9, "b."), TARN_DNS_NOERROR);
    cr_assert(!changed);
    cr_assert_eq(one(CHANGE, "c.example.", "A", IN, 9, "1.2.3.4"), TARN_DNS_NOERROR);
    cr_assert(!changed);
    cr_assert_eq(one(CHANGE, "c.example.", "CNAME", IN, 9, "b."), TARN_DNS_NOERROR);
    cr_assert(changed, "a CNAME replaces another");
    cr_assert_eq(one(CHANGE, "example.", "SOA", IN, 9, "ns. root. 4 1 1 1 1"), TARN_DNS_NOERROR);
    cr_assert(!changed, "an older SOA");
    cr_assert_eq(one(CHANGE, "example.", "SOA", IN, 9, "ns. root. 50 1 1 1 1"), TARN_DNS_NOERROR);
    cr_assert_eq(serial(), 50);
}

Test(rfc2136, section_2_5_2_to_4_delete) {
    cr_assert_eq(one(CHANGE, "a.example.", "A", NONE, 0, "192.0.2.1"), TARN_DNS_NOERROR);
    cr_assert(there("a.example.", "A"));
    cr_assert_eq(one(CHANGE, "a.example.", "A", ANY, 0, NULL), TARN_DNS_NOERROR);
    cr_assert(!there("a.example.", "A") && there("a.example.", "TXT"));
    cr_assert_eq(one(CHANGE, "a.example.", "ANY", ANY, 0, NULL), TARN_DNS_NOERROR);
    cr_assert(!there("a.example.", "TXT") && serial() == 8);
    cr_assert_eq(one(CHANGE, "a.example.", "ANY", ANY, 0, NULL), TARN_DNS_NOERROR);
    cr_assert(!changed, "nothing is there to be deleted");
    cr_assert_eq(one(CHANGE, "a.example.", "A", NONE, 5, "192.0.2.1"), TARN_DNS_FORMERR);
    cr_assert_eq(one(CHANGE, "a.example.", "A", ANY, 0, "192.0.2.1"), TARN_DNS_FORMERR);
}

Test(rfc2136, section_3_4_2_3_an_apex_keeps_its_soa_and_an_ns) {
    cr_assert_eq(one(CHANGE, "example.", "ANY", ANY, 0, NULL), TARN_DNS_NOERROR);
    cr_assert(there("example.", "SOA") && there("example.", "NS") && !there("example.", "MX"));
    cr_assert_eq(one(CHANGE, "example.", "NS", ANY, 0, NULL), TARN_DNS_NOERROR);
    cr_assert_eq(one(CHANGE, "example.", "NS", NONE, 0, "ns.example."), TARN_DNS_NOERROR);
    cr_assert_eq(one(CHANGE, "example.", "NS", NONE, 0, "ns2.example."), TARN_DNS_NOERROR);
    cr_assert(there("example.", "NS"), "the last one stays");
    cr_assert_eq(one(CHANGE, "example.", "SOA", NONE, 0, "ns.example. root.example. 7 1 1 1 60"),
                 TARN_DNS_NOERROR);
    cr_assert(there("example.", "SOA"));
}

Test(rfc2136, section_3_1_all_or_nothing) {
    struct tarn_dns_zone *before = zone;
    begin();
    put(CHANGE, "good.example.", "A", IN, 9, "1.2.3.4");
    put(CHANGE, "other.", "A", IN, 9, "1.2.3.4");
    cr_assert_eq(run(), TARN_DNS_NOTZONE);
    begin();
    put(PREREQ, "no.example.", "ANY", ANY, 0, NULL);
    put(CHANGE, "good.example.", "A", IN, 9, "1.2.3.4");
    cr_assert_eq(run(), TARN_DNS_NXDOMAIN);
    for (size_t more = 0; more < 26000; more += 1000) { /* not enough for a copy */
        s.mem.bytes_max = s.mem.bytes + more;
        cr_assert_eq(one(CHANGE, "good.example.", "A", IN, 9, "1.2.3.4"), TARN_DNS_SERVFAIL);
    }
    s.mem.bytes_max = 1 << 30;
    cr_assert(zone == before && !there("good.example.", "A") && serial() == 5);
    begin();
    put(CHANGE, "c.example.", "CNAME", ANY, 0, NULL);
    put(CHANGE, "c.example.", "A", IN, 9, "1.2.3.4");
    put(CHANGE, "a.example.", "ANY", ANY, 0, NULL);
    cr_assert_eq(run(), TARN_DNS_NOERROR);
    cr_assert(there("c.example.", "A") && !there("a.example.", "A") && serial() == 6, "in order");
}

Test(rfc2136, signed_zones_are_not_changed) {
    tarn_dns_zone_free(zone);
    zone = zone_of(&s, "example.",
                   "$TTL 60\n@ SOA ns root 5 1 1 1 60\n@ NS ns\n@ NSEC @ SOA NS NSEC\n");
    cr_assert_eq(one(CHANGE, "a.example.", "A", IN, 9, "1.2.3.4"), TARN_DNS_REFUSED);
}

Test(rfc2136, cut_off_messages_change_nothing) {
    struct tarn_dns_update_config c = {
        .alloc = &s.mem.alloc, .random = &s.random.random, .memory_max = 1 << 24};
    struct tarn_dns_zone *out;
    begin();
    put(CHANGE, "good.example.", "A", IN, 9, "1.2.3.4");
    struct tarn_span m = tarn_dns_finish(&b);
    for (size_t n = 0; n < m.len; n++) {
        cr_assert_eq(tarn_dns_update(&c, zone, tarn_span_first(m, n), &out), TARN_DNS_FORMERR,
                     "%zu", n);
        cr_assert_null(out);
    }
}
