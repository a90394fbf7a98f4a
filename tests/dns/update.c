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
/* The response's code. */
static bool changed;
static struct tarn_span delta;
static unsigned run(void) {
    unsigned rcode = tarn_dns_update(&s.mem.alloc, zone, tarn_dns_finish(&b), &delta);
    changed = delta.len > 0;
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
    begin();
    put(CHANGE, "good.example.", "A", IN, 9, "1.2.3.4");
    put(CHANGE, "other.", "A", IN, 9, "1.2.3.4");
    cr_assert_eq(run(), TARN_DNS_NOTZONE);
    begin();
    put(PREREQ, "no.example.", "ANY", ANY, 0, NULL);
    put(CHANGE, "good.example.", "A", IN, 9, "1.2.3.4");
    cr_assert_eq(run(), TARN_DNS_NXDOMAIN);
    cr_assert(!there("good.example.", "A") && serial() == 5);
    begin();
    put(CHANGE, "c.example.", "CNAME", ANY, 0, NULL);
    put(CHANGE, "c.example.", "A", IN, 9, "1.2.3.4");
    put(CHANGE, "a.example.", "ANY", ANY, 0, NULL);
    cr_assert_eq(run(), TARN_DNS_NOERROR);
    cr_assert(there("c.example.", "A") && !there("a.example.", "A") && serial() == 6, "in order");
}

/* The zone as text, its records in the order of the text. */
static int by_text(const void *a, const void *b2) {
    return strcmp(*(char *const *)a, *(char *const *)b2);
}
static void print_zone(char *out, size_t size) {
    struct tarn_dns_zone_walk walk = {0};
    struct tarn_dns_record r;
    static char lines[200][300];
    char *sorted[200];
    size_t n = 0, at = 0;
    while (tarn_dns_zone_next(zone, &walk, &r)) {
        struct tarn_writer w = tarn_writer_over(tarn_bytes_of(lines[n], sizeof lines[n] - 1));
        tarn_dns_record_print(&w, r.owner, r.type, r.klass, r.ttl, r.rdata);
        lines[n][w.len] = 0;
        sorted[n] = lines[n];
        cr_assert(++n < 200);
    }
    qsort(sorted, n, sizeof *sorted, by_text);
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, size - at, "%s\n", sorted[i]);
}

/* Every allocation in turn fails: the zone is then as before, to the record, name and byte. */
Test(rfc2136, section_3_1_without_memory_nothing_has_changed) {
    static char before[20000], after[20000];
    struct tarn_dns_zone_stats was, now;
    unsigned failures = 0, rcode = TARN_DNS_SERVFAIL;
    print_zone(before, sizeof before);
    tarn_dns_zone_stats(zone, &was);
    for (size_t more = 0; rcode == TARN_DNS_SERVFAIL; more += 128, failures++) {
        begin();
        put(CHANGE, "a.example.", "ANY", ANY, 0, NULL);
        put(CHANGE, "d.ent.example.", "A", ANY, 0, NULL);
        put(CHANGE, "c.example.", "CNAME", ANY, 0, NULL);
        put(CHANGE, "c.example.", "A", IN, 9, "1.2.3.4");
        for (unsigned i = 0; i < 20; i++) {
            char owner[40];
            snprintf(owner, sizeof owner, "n%u.deep.new.example.", i);
            put(CHANGE, owner, "A", IN, 9, "1.2.3.4");
        }
        s.mem.bytes_max = s.mem.bytes + more;
        rcode = run();
        s.mem.bytes_max = 1 << 30;
        if (rcode != TARN_DNS_SERVFAIL)
            break;
        print_zone(after, sizeof after);
        cr_assert_str_eq(after, before);
        tarn_dns_zone_stats(zone, &now);
        cr_assert(now.names == was.names && now.sets == was.sets && now.records == was.records);
    }
    cr_assert_eq(rcode, TARN_DNS_NOERROR);
    cr_assert(failures > 10, "%u", failures);
    print_zone(after, sizeof after);
    cr_assert(strstr(after, "n19.deep.new.example. 9 IN A 1.2.3.4\n"));
    tarn_dns_zone_stats(zone, &now);
    cr_assert(!there("d.ent.example.", "A") && now.names == was.names - 3 + 22);
}

/* What a delta tells, applied to a zone as it was, gives the zone as it is. */
Test(rfc2136, deltas_tell_all_that_changed) {
    static char changed_here[20000], changed_there[20000];
    static uint8_t copy[4000];
    begin();
    put(CHANGE, "a.example.", "A", NONE, 0, "192.0.2.1");
    put(CHANGE, "a.example.", "A", IN, 60, "192.0.2.7");
    put(CHANGE, "a.example.", "A", NONE, 0, "192.0.2.2");
    put(CHANGE, "a.example.", "A", IN, 60, "192.0.2.2");
    put(CHANGE, "a.example.", "TXT", IN, 61, "\"x\"");
    put(CHANGE, "d.ent.example.", "ANY", ANY, 0, NULL);
    put(CHANGE, "gone.example.", "A", IN, 60, "192.0.2.7");
    put(CHANGE, "gone.example.", "A", ANY, 0, NULL);
    cr_assert_eq(run(), TARN_DNS_NOERROR);
    cr_assert(delta.len && delta.len < sizeof copy);
    memcpy(copy, delta.ptr, delta.len);
    struct tarn_span kept = tarn_span_of(copy, delta.len);
    print_zone(changed_here, sizeof changed_here);
    cr_assert_null(strstr(changed_here, "gone"));
    teardown();
    setup();
    const char *why;
    cr_assert_eq(tarn_dns_zone_apply(zone, tarn_span_first(kept, kept.len - 1), &why),
                 TARN_INVALID);
    cr_assert_eq(serial(), 5);
    cr_assert_eq(tarn_dns_zone_apply(zone, kept, &why), TARN_OK);
    print_zone(changed_there, sizeof changed_there);
    cr_assert_str_eq(changed_there, changed_here);
    cr_assert_eq(tarn_dns_zone_apply(zone, kept, &why), TARN_EOF, "once is enough");
    print_zone(changed_there, sizeof changed_there);
    cr_assert_str_eq(changed_there, changed_here);
}

static bool anyone(void *user, struct tarn_span origin, const struct tarn_endpoint *client,
                   const struct tarn_dns_tsig_key *key) {
    (void)user, (void)origin, (void)client, (void)key;
    return true;
}
static const char *ixfr(struct serve *to, uint32_t from) {
    static char all[9000];
    struct tarn_dns_builder q;
    uint8_t soa[22] = {0, 0, 0, 0, 0, (uint8_t)from};
    size_t at;
    tarn_dns_build(&q, TARN_BYTES_ARRAY(to->query), 7, 0);
    cr_assert(tarn_dns_put_question(&q, wire_of("example."), TARN_DNS_IXFR, TARN_DNS_IN));
    cr_assert(tarn_dns_put_rr(&q, TARN_DNS_AUTHORITY, wire_of("example."), TARN_DNS_SOA,
                              TARN_DNS_IN, 0, TARN_SPAN_ARRAY(soa)));
    at = (size_t)snprintf(all, sizeof all, "%s", print_answer(serve_raw(to, tarn_dns_finish(&q))));
    while (to->transfer.zone) {
        struct tarn_span m = tarn_dns_transfer_next(&to->transfer, 0, TARN_BYTES_ARRAY(to->out));
        at += (size_t)snprintf(all + at, sizeof all - at, "%s", strchr(print_answer(m), '\n') + 1);
    }
    return all;
}

Test(rfc1995, section_4_what_changed_goes_out, .init = setup) {
    static const char want[] = "NOERROR aa\n"
                               "an example. 60 IN SOA ns.example. root.example. 7 1 1 1 60\n"
                               "an example. 60 IN SOA ns.example. root.example. 5 1 1 1 60\n"
                               "an a.example. 60 IN A 192.0.2.1\n"
                               "an example. 60 IN SOA ns.example. root.example. 6 1 1 1 60\n"
                               "an new.example. 9 IN A 1.2.3.4\n"
                               "an example. 60 IN SOA ns.example. root.example. 6 1 1 1 60\n"
                               "an new.example. 9 IN A 1.2.3.4\n"
                               "an example. 60 IN SOA ns.example. root.example. 7 1 1 1 60\n"
                               "an new.example. 10 IN A 1.2.3.4\n"
                               "an example. 60 IN SOA ns.example. root.example. 7 1 1 1 60\n";
    struct serve to;
    struct tarn_dns_zone *was;
    serve_init(&to, (struct tarn_dns_server_config){.may_transfer = anyone});
    cr_assert_eq(tarn_dns_server_set_zone(to.server, zone, &was), TARN_OK);
    begin();
    put(CHANGE, "a.example.", "A", NONE, 0, "192.0.2.1");
    put(CHANGE, "new.example.", "A", IN, 9, "1.2.3.4");
    cr_assert_eq(run(), TARN_DNS_NOERROR);
    cr_assert_eq(one(CHANGE, "new.example.", "A", IN, 10, "1.2.3.4"), TARN_DNS_NOERROR);
    to.request.stream = true;
    cr_assert_str_eq(ixfr(&to, 5), want);
    cr_assert_str_eq(
        strstr(ixfr(&to, 6), " 6 1 1 1"),
        strstr(
            strstr(
                want,
                " 6 1 1 1 60\nan new.example. 9 IN A 1.2.3.4\nan example. 60 IN SOA ns.example. root.example. 7"),
            " 6 1 1 1"));
    cr_assert(strstr(ixfr(&to, 4), "an c.example. 60 IN CNAME"),
              "older than what is kept: all of it");
    to.request.stream = false;
    to.transfer = (struct tarn_dns_transfer){0};
    cr_assert_str_eq(ixfr(&to, 5), want, "by UDP, as it fits");
    /* Larger than the journal: nobody can be told. */
    for (unsigned i = 0; i < 40; i++) {
        char text[130];
        snprintf(text, sizeof text, "%0120u", i);
        cr_assert_eq(one(CHANGE, "t.example.", "TXT", IN, 9, text), TARN_DNS_NOERROR);
    }
    cr_assert_str_eq(strchr(ixfr(&to, 5), '\n'),
                     "\nan example. 60 IN SOA ns.example. root.example. 47 1 1 1 60\n");
    cr_assert(
        strstr(ixfr(&to, 46), " 47 1 1 1 60\nan example. 60 IN SOA ns.example. root.example. 46"));
    tarn_dns_server_remove_zone(to.server, wire_of("example."));
    tarn_dns_server_free(to.server);
    teardown();
}

/* The same update of a zone a hundred times as large asks for as much memory. */
Test(rfc2136, an_update_costs_what_it_changes) {
    static char text[200000];
    size_t asked[2];
    for (int large = 0; large < 2; large++) {
        size_t at =
            (size_t)snprintf(text, sizeof text, "$TTL 60\n@ SOA ns root 5 1 1 1 60\n@ NS ns\n");
        for (unsigned i = 0; i < (large ? 4000u : 40u); i++)
            at += (size_t)snprintf(text + at, sizeof text - at, "h%u A 192.0.2.1\n", i);
        tarn_dns_zone_free(zone);
        zone = zone_of(&s, "example.", text);
        asked[large] = s.mem.asked;
        cr_assert_eq(one(CHANGE, "h7.example.", "A", IN, 60, "192.0.2.9"), TARN_DNS_NOERROR);
        asked[large] = s.mem.asked - asked[large];
    }
    cr_assert_eq(asked[0], asked[1]);
}

Test(rfc2136, signed_zones_are_not_changed) {
    tarn_dns_zone_free(zone);
    zone = zone_of(&s, "example.",
                   "$TTL 60\n@ SOA ns root 5 1 1 1 60\n@ NS ns\n@ NSEC @ SOA NS NSEC\n");
    cr_assert_eq(one(CHANGE, "a.example.", "A", IN, 9, "1.2.3.4"), TARN_DNS_REFUSED);
}

Test(rfc2136, cut_off_messages_change_nothing) {
    begin();
    put(CHANGE, "good.example.", "A", IN, 9, "1.2.3.4");
    struct tarn_span m = tarn_dns_finish(&b);
    for (size_t n = 0; n < m.len; n++) {
        cr_assert_eq(tarn_dns_update(&s.mem.alloc, zone, tarn_span_first(m, n), &delta),
                     TARN_DNS_FORMERR, "%zu", n);
        cr_assert_eq(delta.len, 0);
    }
}
