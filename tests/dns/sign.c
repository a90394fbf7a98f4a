/* SPDX-License-Identifier: ISC */
/* Zones that are signed as they are served: every signature in every answer is verified. */
#include "serve.h"
#include <criterion/criterion.h>
#include <tarn/dns_sec.h>
#include <tarn/dns_sign.h>
#include <tarn/dns_update.h>

static const char *const origins[] = {"example.", NULL};
static const char zone_text[] =
    "$TTL 3600\n@ SOA ns root 5 7200 900 1209600 300\n@ NS ns\n@ MX 10 mail\nns A 192.0.2.53\n"
    "www CNAME web\nweb A 192.0.2.80\nweb A 192.0.2.81\nweb TXT x\n*.wild TXT w\nold DNAME new\n"
    "x.new A 192.0.2.7\na.ent A 192.0.2.9\nsub NS ns.sub\nns.sub A 192.0.2.99\nsafe NS ns.safe\n"
    "safe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000\n"
    "ns.safe A 192.0.2.98\nu TYPE65280 \\# 1 00\n";
static struct serve s;
static struct tarn_dns_key keys[2];
static struct tarn_dns_keys signer;
static struct tarn_dns_signing *signing;
static struct tarn_dns_sec_work work;

static void start(uint8_t algorithm, unsigned count) {
    static const uint16_t flags[] = {TARN_DNS_KEY_SEP, TARN_DNS_KEY_ZONE};
    const char *why = NULL;
    serve_init(&s, (struct tarn_dns_server_config){0});
    serve_zone(&s, "example.", zone_text);
    for (unsigned i = 0; i < count; i++)
        cr_assert_eq(tarn_dns_key_generate(&keys[i], flags[i], algorithm, &s.random.random),
                     TARN_OK);
    tarn_dns_keys_init(&signer, keys, count, &s.random.random);
    struct tarn_dns_signing_config c = {
        .alloc = &s.mem.alloc, .random = &s.random.random, .signer = &signer.signer};
    cr_assert_eq(tarn_dns_signing_new(&c, &signing), TARN_OK);
    cr_assert_eq(
        tarn_dns_zone_sign(tarn_dns_server_zone(s.server, wire_of("example.")), signing, &why),
        TARN_OK, "%s", why);
    s.udp_bytes = 4096;
    s.flags = TARN_DNS_EDNS_DO;
}
static void end(void) {
    struct tarn_dns_signing *was = signing;
    struct tarn_dns_zone *z = tarn_dns_server_remove_zone(s.server, wire_of("example."));
    tarn_dns_zone_free(z);
    tarn_dns_signing_free(was);
    serve_fini(&s, origins);
}

/* -- reading an answer --------------------------------------------------------------------------
 */

static struct record {
    struct tarn_dns_name owner;
    uint8_t data[600];
    size_t len;
    uint16_t type;
    uint32_t ttl;
    enum tarn_dns_section section;
} records[64];
static size_t record_count;

static void read_answer(void) {
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    record_count = 0;
    cr_assert(tarn_dns_reader_init(&r, s.answer));
    while (tarn_dns_read_question(&r, &q) == TARN_OK)
        ;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK) {
        struct record *to = &records[record_count];
        struct tarn_writer w = tarn_writer_over(tarn_bytes_of(to->data, sizeof to->data));
        if (rr.type == TARN_DNS_OPT)
            continue;
        cr_assert(tarn_dns_rr_data(&r, &rr, &w) && ++record_count < 64);
        to->owner = rr.owner;
        to->len = w.len;
        to->type = rr.type;
        to->ttl = rr.ttl;
        to->section = rr.section;
    }
    cr_assert(tarn_dns_reader_done(&r));
}

/* The signatures of the set that record i is of, all right. */
static unsigned verified(size_t i) {
    uint8_t set_bytes[4000];
    struct tarn_writer w = TARN_WRITER_ARRAY(set_bytes);
    const struct record *of = &records[i];
    struct tarn_span owner = tarn_dns_name_span(&of->owner);
    unsigned good = 0;
    for (size_t k = 0; k < record_count; k++)
        if (records[k].type == of->type && records[k].section == of->section
            && tarn_dns_name_equal(tarn_dns_name_span(&records[k].owner), owner)) {
            tarn_writer_u16be(&w, (uint16_t)records[k].len);
            tarn_writer_mem(&w, records[k].data, records[k].len);
        }
    struct tarn_dns_rrset set = {owner, tarn_writer_span(&w), of->type, TARN_DNS_IN};
    for (size_t k = 0; k < record_count; k++) {
        struct tarn_span rrsig = tarn_span_of(records[k].data, records[k].len);
        bool wildcard;
        if (records[k].type != TARN_DNS_RRSIG || records[k].section != of->section
            || (rrsig.ptr[0] << 8 | rrsig.ptr[1]) != of->type
            || !tarn_dns_name_equal(tarn_dns_name_span(&records[k].owner), owner))
            continue;
        cr_assert_eq(records[k].ttl, of->ttl);
        for (unsigned n = 0; n < signer.signer.count; n++) {
            enum tarn_err err =
                tarn_dns_verify(&set, rrsig, signer.signer.dnskeys[n], wire_of("example."),
                                s.request.wall_seconds, &work, &wildcard);
            cr_assert(err == TARN_OK || err == TARN_INVALID, "%d", err);
            good += err == TARN_OK && !wildcard;
        }
    }
    return good;
}

/* Each set of the answer's first two sections has one signature, but for delegations and what a
 * DNAME makes. */
static void all_verified(const char *name, const char *type) {
    ask(&s, name, type);
    read_answer();
    for (size_t i = 0; i < record_count; i++) {
        uint16_t t = records[i].type;
        bool delegation = t == TARN_DNS_NS && records[i].section == TARN_DNS_AUTHORITY;
        bool made = t == TARN_DNS_CNAME && i && records[i - 1].type == TARN_DNS_RRSIG
                    && records[i - 2].type == TARN_DNS_DNAME;
        if (t != TARN_DNS_RRSIG)
            cr_assert_eq(verified(i),
                         records[i].section == TARN_DNS_EXTRA || delegation || made ? 0 : 1,
                         "%s %s: record %zu", name, type, i);
    }
}

/* The answer as text without signatures. */
static const char *plain(const char *name, const char *type) {
    static char out[9000];
    const char *line = ask(&s, name, type);
    out[0] = 0;
    for (const char *next; *line; line = next) {
        next = strchr(line, '\n') + 1;
        char one[2000];
        snprintf(one, sizeof one, "%.*s", (int)(next - line), line);
        if (!strstr(one, " IN RRSIG ") && !strstr(one, " IN SOA "))
            strcat(out, one);
    }
    return out;
}

static const char *const questions[][2] = {
    {"example.", "SOA"},      {"example.", "DNSKEY"},   {"example.", "MX"},
    {"www.example.", "A"},    {"web.example.", "A"},    {"web.example.", "ANY"},
    {"web.example.", "MX"},   {"no.example.", "A"},     {"a.b.wild.example.", "TXT"},
    {"b.wild.example.", "A"}, {"x.old.example.", "A"},  {"ent.example.", "A"},
    {"x.sub.example.", "A"},  {"sub.example.", "DS"},   {"x.safe.example.", "A"},
    {"safe.example.", "DS"},  {"web.example.", "NSEC"}, {"WEB.example.", "TXT"},
    {"u.example.", "A"},      {"x.ent.example.", "A"},  {"*.wild.example.", "TXT"}};

Test(online, every_signature_of_every_kind_of_answer_is_right) {
    static const uint8_t algorithms[] = {TARN_DNS_ECDSAP256SHA256, TARN_DNS_ED25519};
    for (size_t a = 0; a < 2; a++)
        for (unsigned count = 1; count <= 2; count++) {
            start(algorithms[a], count);
            for (size_t i = 0; i < TARN_COUNT_OF(questions); i++)
                all_verified(questions[i][0], questions[i][1]);
            end();
        }
}

Test(online, rfc9824_what_is_not_there_is_denied_by_one_record) {
    start(TARN_DNS_ED25519, 1);
    cr_assert_str_eq(
        plain("no.example.", "A"),
        "NOERROR aa\nns no.example. 300 IN NSEC \\000.no.example. RRSIG NSEC TYPE128\n");
    cr_assert_str_eq(
        plain("web.example.", "MX"),
        "NOERROR aa\nns web.example. 300 IN NSEC \\000.web.example. A TXT RRSIG NSEC\n");
    cr_assert_str_eq(plain("ent.example.", "A"),
                     "NOERROR aa\nns ent.example. 300 IN NSEC \\000.ent.example. RRSIG NSEC\n");
    cr_assert_str_eq(
        plain("b.wild.example.", "A"),
        "NOERROR aa\nns b.wild.example. 300 IN NSEC \\000.b.wild.example. TXT RRSIG NSEC\n");
    cr_assert_str_eq(plain("b.wild.example.", "TXT"),
                     "NOERROR aa\nan b.wild.example. 3600 IN TXT \"w\"\n",
                     "a wildcard's is its own");
    cr_assert_str_eq(plain("x.sub.example.", "A"),
                     "NOERROR\nns sub.example. 3600 IN NS ns.sub.example.\n"
                     "ns sub.example. 300 IN NSEC \\000.sub.example. NS RRSIG NSEC\n"
                     "ar ns.sub.example. 3600 IN A 192.0.2.99\n");
    cr_assert_str_eq(
        plain("u.example.", "A"),
        "NOERROR aa\nns u.example. 300 IN NSEC \\000.u.example. RRSIG NSEC TYPE65280\n");
    cr_assert_str_eq(plain("www.example.", "MX"),
                     "NOERROR aa\nan www.example. 3600 IN CNAME web.example.\n"
                     "ns web.example. 300 IN NSEC \\000.web.example. A TXT RRSIG NSEC\n");
    s.flags |= TARN_DNS_EDNS_CO;
    cr_assert_str_eq(
        plain("no.example.", "A"),
        "NXDOMAIN aa\nns no.example. 300 IN NSEC \\000.no.example. RRSIG NSEC TYPE128\n");
    cr_assert_str_eq(plain("no.example.", "TYPE128"), "FORMERR\n");
    s.flags = 0;
    cr_assert_str_eq(plain("no.example.", "A"), "NXDOMAIN aa\n", "who asks for no proof");
    end();
}

/* A name as long as names are has no child to point at. */
Test(online, rfc4034_the_next_name_of_the_longest) {
    char name[300] = "";
    start(TARN_DNS_ED25519, 1);
    for (int i = 0; i < 3; i++)
        strcat(name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.");
    strcat(name, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.");
    cr_assert_eq(wire_of(name).len, 254);
    all_verified(name, "A");
    size_t found = 0;
    for (size_t i = 0; i < record_count; i++)
        if (records[i].type == TARN_DNS_NSEC) {
            struct tarn_span data = tarn_span_of(records[i].data, records[i].len), next;
            cr_assert(tarn_dns_name_take(&data, &next));
            cr_assert_gt(tarn_dns_name_compare(next, wire_of(name)), 0);
            found++;
        }
    cr_assert_eq(found, 1);
    end();
}

Test(online, signatures_are_remembered_for_a_while) {
    struct tarn_dns_signing_stats st;
    start(TARN_DNS_ED25519, 1);
    for (int i = 0; i < 5; i++)
        ask(&s, i & 1 ? "WEB.example." : "web.example.", "A");
    tarn_dns_signing_stats(signing, &st);
    cr_assert(st.made == 1 && st.remembered == 4);
    s.request.wall_seconds += 2 * 86400;
    all_verified("web.example.", "A");
    tarn_dns_signing_stats(signing, &st);
    cr_assert_eq(st.made, 2, "they would soon have been too old");
    /* What changes is signed anew, and names that are not there do not push it out. */
    struct tarn_dns_builder b;
    uint8_t message[300];
    struct tarn_span delta;
    tarn_dns_build(&b, TARN_BYTES_ARRAY(message), 1, TARN_DNS_UPDATE << 11);
    cr_assert(tarn_dns_put_question(&b, wire_of("example."), TARN_DNS_SOA, TARN_DNS_IN)
              && tarn_dns_put_rr(&b, TARN_DNS_AUTHORITY, wire_of("web.example."), TARN_DNS_A,
                                 TARN_DNS_IN, 3600, TARN_SPAN_LIT("\1\2\3\4")));
    cr_assert_eq(tarn_dns_update(&s.mem.alloc, tarn_dns_server_zone(s.server, wire_of("example.")),
                                 tarn_dns_finish(&b), &delta),
                 TARN_DNS_NOERROR);
    all_verified("web.example.", "A");
    for (int i = 0; i < 3000; i++) {
        char name[40];
        snprintf(name, sizeof name, "n%d.example.", i);
        ask(&s, name, "A");
    }
    tarn_dns_signing_stats(signing, &st);
    uint64_t made = st.made;
    all_verified("web.example.", "A");
    tarn_dns_signing_stats(signing, &st);
    cr_assert_eq(st.made, made);
    end();
}

Test(online, rfc6605_and_rfc8080_keys_from_files) {
    /* RFC 6605 section 6.1, RFC 8080 section 6.1 */
    static const char p256[] = "Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\n"
                               "PrivateKey: GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=\n";
    static const char ed[] = "Private-key-format: v1.2\r\nAlgorithm: 15 (ED25519)\r\n"
                             "PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\r\n";
    struct tarn_dns_key key;
    char text[200];
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(text, sizeof text - 1));
    cr_assert_eq(tarn_dns_key_parse(&key, TARN_DNS_KEY_SEP, tarn_span_str(p256)), TARN_OK);
    tarn_dns_rdata_print(&w, tarn_span_of(key.dnskey, key.dnskey_len), TARN_DNS_DNSKEY);
    text[w.len] = 0;
    cr_assert_str_eq(text,
                     "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+"
                     "e+MAnLr+Wi9xMWyQLc8NAA==");
    cr_assert_eq(tarn_dns_key_tag(tarn_span_of(key.dnskey, key.dnskey_len)), 55648);
    uint8_t ds[40];
    w = TARN_WRITER_ARRAY(ds);
    tarn_dns_key_ds(&key, wire_of("Example.NET."), &w);
    cr_assert_eq(tarn_dns_ds_matches(wire_of("example.net."),
                                     tarn_span_of(key.dnskey, key.dnskey_len),
                                     tarn_writer_span(&w)),
                 TARN_OK);
    cr_assert_eq(tarn_dns_key_parse(&key, TARN_DNS_KEY_SEP, tarn_span_str(ed)), TARN_OK);
    w = tarn_writer_over(tarn_bytes_of(text, sizeof text - 1));
    tarn_dns_rdata_print(&w, tarn_span_of(key.dnskey, key.dnskey_len), TARN_DNS_DNSKEY);
    text[w.len] = 0;
    cr_assert_str_eq(text, "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=");
    for (size_t n = 0; n < sizeof ed - 4; n++)
        cr_assert_neq(tarn_dns_key_parse(&key, TARN_DNS_KEY_SEP, tarn_span_of(ed, n)), TARN_OK);
    cr_assert_eq(tarn_dns_key_parse(&key, 0,
                                    TARN_SPAN_LIT("Algorithm: 13\nPrivateKey: "
                                                  "ZU5T/h/PRIkWMOkWsNI7qzkXECvqUKiuLZv7vXj3zw==")),
                 TARN_OK, "31 bytes, as ldns-keygen writes a scalar that begins with a zero");
    cr_assert_eq(tarn_dns_key_parse(&key, 0, TARN_SPAN_LIT("Algorithm: 13\nPrivateKey: ")),
                 TARN_INVALID);
    cr_assert_eq(tarn_dns_key_parse(&key, 0, TARN_SPAN_LIT("Algorithm: 8\nPrivateKey: AAAA\n")),
                 TARN_UNSUPPORTED);
}
