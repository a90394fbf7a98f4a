/* SPDX-License-Identifier: ISC */
#include "serve.h"
#include <criterion/criterion.h>

#define APEX "$TTL 60\n@ SOA ns root 1 2 3 4 5\n@ NS ns\n"

static struct serve s;
static const char *why;

static void setup(void) {
    serve_init(&s, (struct tarn_dns_server_config){0});
}
static void teardown(void) {
    tarn_dns_server_free(s.server);
    cr_assert_eq(s.mem.bytes, 0, "everything is given back");
}

static uint8_t data[4096];
static struct tarn_dns_record record(const char *owner, const char *type, const char *text) {
    struct tarn_dns_record r = {.owner = wire_of(owner), .klass = TARN_DNS_IN, .ttl = 60};
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    uint32_t column;
    cr_assert(tarn_dns_type_parse(tarn_span_str(type), &r.type));
    cr_assert(
        tarn_dns_rdata_parse(tarn_span_str(text), r.type, TARN_SPAN_LIT("\0"), &w, &why, &column));
    r.rdata = tarn_writer_span(&w);
    return r;
}

static struct tarn_dns_zone_stats stats(struct tarn_dns_zone *z) {
    struct tarn_dns_zone_stats st;
    tarn_dns_zone_stats(z, &st);
    return st;
}

static int add(struct tarn_dns_zone *z, const char *owner, const char *type, const char *text) {
    struct tarn_dns_record r = record(owner, type, text);
    return tarn_dns_zone_add(z, &r, &why);
}
static int drop(struct tarn_dns_zone *z, const char *owner, const char *type, const char *text) {
    struct tarn_dns_record r = record(owner, type, text);
    return tarn_dns_zone_remove(z, &r);
}

Test(zone, what_is_added_is_there_and_what_is_removed_is_not, .init = setup, .fini = teardown) {
    struct tarn_dns_zone *z = zone_of(&s, "example.", APEX);
    struct tarn_dns_record r;
    uint64_t names = stats(z).names;
    cr_assert_eq(add(z, "a.b.c.example.", "A", "1.2.3.4"), TARN_OK);
    cr_assert_eq(add(z, "A.b.c.example.", "A", "1.2.3.5"), TARN_OK);
    cr_assert_eq(add(z, "a.b.c.example.", "A", "1.2.3.4"), TARN_OK, "twice is once");
    cr_assert_eq(stats(z).records, 4);
    cr_assert_eq(stats(z).names, names + 3, "with the names in between");
    cr_assert(tarn_dns_zone_get(z, wire_of("a.B.c.example."), TARN_DNS_A, 1, &r));
    cr_assert(!tarn_dns_zone_get(z, wire_of("a.b.c.example."), TARN_DNS_A, 2, &r));
    cr_assert(!tarn_dns_zone_get(z, wire_of("b.c.example."), TARN_DNS_A, 0, &r));
    cr_assert_eq(drop(z, "a.b.c.example.", "A", "1.2.3.6"), TARN_NOT_FOUND);
    cr_assert_eq(drop(z, "a.b.c.example.", "A", "1.2.3.4"), TARN_OK);
    cr_assert_eq(stats(z).names, names + 3);
    cr_assert_eq(drop(z, "a.b.c.example.", "A", "1.2.3.5"), TARN_OK);
    cr_assert_eq(stats(z).names, names, "empty names are none (RFC 8020)");
    cr_assert_eq(stats(z).records, 2);
    tarn_dns_zone_free(z);
}

Test(zone, what_does_not_belong_is_refused, .init = setup, .fini = teardown) {
    struct tarn_dns_zone *z = zone_of(&s, "example.", APEX);
    struct tarn_dns_record other = record("a.example.", "A", "1.2.3.4");
    cr_assert_eq(add(z, "example.org.", "A", "1.2.3.4"), TARN_INVALID);
    cr_assert_eq(add(z, "xexample.", "A", "1.2.3.4"), TARN_INVALID);
    cr_assert_eq(add(z, "a.example.", "SOA", "a. b. 1 2 3 4 5"), TARN_INVALID);
    cr_assert_eq(add(z, "a.example.", "TSIG", "hmac-sha256. 1 300 AQID 1 0 -"), TARN_INVALID);
    other.klass = TARN_DNS_CH;
    cr_assert_eq(tarn_dns_zone_add(z, &other, &why), TARN_INVALID);
    cr_assert_eq(stats(z).names, 1, "and nothing of it is left");
    tarn_dns_zone_free(z);
}

Test(rfc1034_3_6_2, a_cname_is_alone, .init = setup, .fini = teardown) {
    struct tarn_dns_zone *z = zone_of(&s, "example.", APEX);
    cr_assert_eq(add(z, "a.example.", "CNAME", "b."), TARN_OK);
    cr_assert_eq(add(z, "a.example.", "CNAME", "c."), TARN_INVALID);
    cr_assert_eq(add(z, "a.example.", "A", "1.2.3.4"), TARN_INVALID);
    cr_assert_eq(add(z, "a.example.", "NSEC", "b. CNAME"), TARN_OK, "but for DNSSEC");
    cr_assert_eq(add(z, "b.example.", "A", "1.2.3.4"), TARN_OK);
    cr_assert_eq(add(z, "b.example.", "CNAME", "c."), TARN_INVALID);
    tarn_dns_zone_free(z);
}

Test(zone, a_second_soa_replaces_the_first, .init = setup, .fini = teardown) {
    struct tarn_dns_zone *z = zone_of(&s, "example.", APEX);
    uint32_t serial;
    cr_assert(tarn_dns_zone_serial(z, &serial) && serial == 1);
    cr_assert_eq(add(z, "example.", "SOA", "a. b. 9 2 3 4 5"), TARN_OK);
    cr_assert(tarn_dns_zone_serial(z, &serial) && serial == 9);
    cr_assert_eq(stats(z).records, 2);
    cr_assert_eq(drop(z, "example.", "SOA", "a. b. 9 2 3 4 5"), TARN_OK);
    cr_assert_eq(tarn_dns_zone_seal(z, &why), TARN_INVALID);
    tarn_dns_zone_free(z);
}

Test(rfc1982, serials_wrap) {
    cr_assert(tarn_dns_serial_newer(1, 0) && !tarn_dns_serial_newer(0, 1));
    cr_assert(!tarn_dns_serial_newer(5, 5) && tarn_dns_serial_newer(0, UINT32_MAX));
    cr_assert(tarn_dns_serial_newer(0x7fffffff, 0) && !tarn_dns_serial_newer(0x80000000, 0));
}

/* Against a plain list, through every size of piece and set. */
Test(zone, random_changes_against_a_model, .init = setup, .fini = teardown) {
    enum { NAMES = 60, VALUES = 12 };
    static bool there[NAMES][VALUES];
    struct tarn_dns_zone *z = zone_of(&s, "example.", APEX);
    struct tarn_random_seeded random;
    unsigned count = 0;
    tarn_random_seeded_init(&random, 99);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned n = tarn_random_below(&random.random, NAMES);
        unsigned v = tarn_random_below(&random.random, VALUES);
        static uint8_t text[TARN_DNS_RDATA_MAX];
        char owner[64];
        snprintf(owner, sizeof owner, "n%u.%s%u.example.", n, n % 3 ? "x" : "y", n % 7);
        struct tarn_dns_record r = {.owner = wire_of(owner), .type = 65280, .klass = TARN_DNS_IN};
        size_t len = v == 0 ? 0 : 1u + (n * 37 + v * 311) % 3000;
        memset(text, (int)v, len);
        r.rdata = tarn_span_of(text, len);
        if (tarn_random_u32(&random.random) & 1) {
            cr_assert_eq(tarn_dns_zone_add(z, &r, &why), TARN_OK);
            count += !there[n][v];
            there[n][v] = true;
        } else {
            cr_assert_eq(tarn_dns_zone_remove(z, &r), there[n][v] ? TARN_OK : TARN_NOT_FOUND);
            count -= there[n][v];
            there[n][v] = false;
        }
        cr_assert_eq(stats(z).records, count + 2);
        free(TARN_CONTAINER_OF((uint8_t(*)[TARN_DNS_NAME_MAX])(uintptr_t)r.owner.ptr,
                               struct tarn_dns_name, bytes));
    }
    struct tarn_dns_zone_walk walk = {0};
    struct tarn_dns_record r;
    unsigned seen = 0;
    while (tarn_dns_zone_next(z, &walk, &r))
        if (r.type == 65280) {
            unsigned n = (unsigned)atoi(text_of(r.owner) + 1);
            cr_assert(there[n][r.rdata.len ? r.rdata.ptr[0] : 0]);
            seen++;
        }
    cr_assert_eq(seen, count);
    cr_assert_lt(stats(z).bytes, 4u << 20, "what is removed is used again");
    tarn_dns_zone_free(z);
}

Test(zone, memory_is_bounded_and_refused_in_order, .init = setup, .fini = teardown) {
    for (size_t budget = 0; budget < 200000; budget += 1999) {
        struct serve small;
        struct tarn_dns_zone *z;
        struct tarn_dns_zone_config config = {.alloc = &small.mem.alloc,
                                              .random = &s.random.random,
                                              .origin = wire_of("example."),
                                              .memory_max = 1 << 20};
        small.mem = MEMORY(budget);
        if (tarn_dns_zone_new(&config, &z)) {
            cr_assert_eq(small.mem.bytes, 0);
            continue;
        }
        for (unsigned i = 0; i < 3000; i++) {
            char owner[64];
            snprintf(owner, sizeof owner, "n%u.example.", i);
            struct tarn_dns_record r = record(owner, "A", "1.2.3.4");
            uint64_t names = stats(z).names;
            enum tarn_err err = tarn_dns_zone_add(z, &r, &why);
            cr_assert(err == TARN_OK || err == TARN_LIMIT);
            cr_assert_eq(stats(z).names, names + (err == TARN_OK));
        }
        tarn_dns_zone_free(z);
        cr_assert_eq(small.mem.bytes, 0);
    }
}

Test(zone, a_set_may_be_as_large_as_a_message, .init = setup, .fini = teardown) {
    struct tarn_dns_zone *z = zone_of(&s, "example.", APEX);
    static uint8_t large[TARN_DNS_RDATA_MAX];
    struct tarn_dns_record r = {.owner = wire_of("a.example."),
                                .type = 65280,
                                .klass = TARN_DNS_IN,
                                .rdata = tarn_span_of(large, 60000)},
                           got;
    cr_assert_eq(tarn_dns_zone_add(z, &r, &why), TARN_OK);
    large[0] = 1;
    cr_assert_eq(tarn_dns_zone_add(z, &r, &why), TARN_LIMIT);
    cr_assert(tarn_dns_zone_get(z, r.owner, 65280, 0, &got) && got.rdata.len == 60000);
    tarn_dns_zone_free(z);
}
