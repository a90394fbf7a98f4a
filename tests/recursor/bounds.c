/* SPDX-License-Identifier: ISC */
/* Hostile servers, and what one question may cost at most: tarn/recursor.h states N and M. */
#include "net.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <tarn/pk.h>

static struct tarn_recursor_stats before;

static void setup_with(struct tarn_recursor_config config) {
    memset(&net, 0, sizeof net);
    cr_assert(net_new(config));
}
static void setup(void) {
    setup_with((struct tarn_recursor_config){.no_validation = true});
    tarn_recursor_stats(net.r, &before);
}
static void teardown(void) {
    net_free();
    cr_assert_eq(net.live, 0);
}
TestSuite(bounds, .init = setup, .fini = teardown, .timeout = 30);

/* One question, and what it cost. */
static int costs(const char *name, uint16_t type) {
    struct tarn_recursor_stats st;
    tarn_recursor_stats(net.r, &before);
    net.sent = 0;
    int rcode = net_ask(name, type, 0);
    tarn_recursor_stats(net.r, &st);
    cr_assert_leq(net.sent, TARN_RECURSOR_QUERIES_MAX, "N: %llu", (unsigned long long)net.sent);
    cr_assert_leq(st.steps - before.steps, TARN_RECURSOR_STEPS_MAX, "M");
    cr_assert_leq(st.verifications - before.verifications, TARN_RECURSOR_VERIFICATIONS_MAX);
    cr_assert_leq(st.failed_verifications - before.failed_verifications, TARN_RECURSOR_FAILED_MAX);
    cr_assert_leq(st.hash_rounds - before.hash_rounds, 2 * TARN_RECURSOR_HASH_ROUNDS_MAX);
    return rcode;
}

static char text[8000];
static const char *lines(unsigned n, const char *format) {
    size_t len = 0;
    for (unsigned i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, format, i, i);
    return text;
}

/* -- delegations --------------------------------------------------------------------------------
 */

static void nxns(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    struct tarn_span name = tarn_dns_name_span(&q->name);
    (void)e;
    (void)stream;
    if (q->name.len == 1)
        net_say(TARN_DNS_AA, ". 3600 NS a.root.\n", NULL, "a.root. 3600 A 10.0.0.1\n");
    else if (tarn_dns_name_within(name, net_name("attacker.")))
        net_say(0, NULL, lines(20, "attacker. 3600 NS ns%u.x%u.victim.\n"), NULL);
    else
        net_say(TARN_DNS_AA | TARN_DNS_NXDOMAIN, NULL, ". 60 SOA a. b. 1 1 1 1 60\n", NULL);
}

Test(bounds, nxns_attack_names_of_servers_without_addresses) {
    net.script = nxns;
    cr_assert_eq(costs("www.attacker.", TARN_DNS_A), TARN_DNS_SERVFAIL);
    cr_assert_leq(net.sent, 3 + 2 * TARN_RECURSOR_TARGETS_MAX, "%llu",
                  (unsigned long long)net.sent);
}

static void cyclic(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    struct tarn_span name = tarn_dns_name_span(&q->name);
    (void)e;
    (void)stream;
    if (q->name.len == 1)
        net_say(TARN_DNS_AA, ". 3600 NS a.root.\n", NULL, "a.root. 3600 A 10.0.0.1\n");
    else if (tarn_dns_name_within(name, net_name("one.")))
        net_say(0, NULL, "one. 3600 NS ns.two.\n", NULL);
    else
        net_say(0, NULL, "two. 3600 NS ns.one.\n", NULL);
}

Test(bounds, tsuname_zones_whose_servers_are_in_each_other) {
    struct tarn_recursor_stats st;
    net.script = cyclic;
    cr_assert_eq(costs("www.one.", TARN_DNS_A), TARN_DNS_SERVFAIL);
    tarn_recursor_stats(net.r, &st);
    cr_assert_gt(st.cycles, 0);
    cr_assert_leq(net.sent, 12, "%llu", (unsigned long long)net.sent);
    uint64_t sent = net.sent;
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(net_ask("www.one.", TARN_DNS_A, 0), TARN_DNS_SERVFAIL);
    cr_assert_eq(net.sent, sent, "clients that ask again make nobody be asked again");
}

static void deeper(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    char ns[2600], owner[1100];
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(owner, sizeof owner - 1));
    (void)e;
    (void)stream;
    if (q->name.len == 1) {
        net_say(TARN_DNS_AA, ". 3600 NS a.root.\n", NULL, "a.root. 3600 A 10.0.0.1\n");
        return;
    }
    tarn_dns_name_print(&w, tarn_dns_name_span(&q->name));
    owner[w.len] = 0;
    snprintf(ns, sizeof ns, "%s 3600 NS ns.elsewhere%u.\n", owner, (unsigned)net.sent);
    net_say(0, NULL, ns, NULL);
}

Test(bounds, every_server_delegates_to_one_elsewhere) {
    char name[300] = "";
    net.script = deeper;
    for (unsigned i = 0; i < 60; i++)
        strcat(name, "a.");
    cr_assert_eq(costs(name, TARN_DNS_A), TARN_DNS_SERVFAIL);
}

/* -- answers ------------------------------------------------------------------------------------
 */

static void endless(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    char alias[2600], owner[1100];
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(owner, sizeof owner - 1));
    (void)e;
    (void)stream;
    if (q->name.len == 1) {
        net_say(TARN_DNS_AA, ". 3600 NS a.root.\n", NULL, "a.root. 3600 A 10.0.0.1\n");
        return;
    }
    tarn_dns_name_print(&w, tarn_dns_name_span(&q->name));
    owner[w.len] = 0;
    snprintf(alias, sizeof alias, "%s 0 CNAME n%u.\n", owner, (unsigned)net.sent);
    net_say(TARN_DNS_AA, alias, NULL, NULL);
}

Test(bounds, aliases_without_an_end) {
    net.script = endless;
    cr_assert_eq(costs("www.", TARN_DNS_A), TARN_DNS_SERVFAIL);
    cr_assert_leq(net.sent, TARN_RECURSOR_CHAIN_MAX + 3);
}

static void refuses(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)e;
    (void)stream;
    if (q->name.len == 1)
        net_say(TARN_DNS_AA, lines(13, ". 3600 NS n%u.root.\n"), NULL, NULL);
    else
        net_say(TARN_DNS_REFUSED, NULL, NULL, NULL);
}

Test(bounds, servers_that_refuse_everything) {
    net.script = refuses;
    cr_assert_eq(costs("a.b.c.d.e.f.g.", TARN_DNS_A), TARN_DNS_SERVFAIL);
    cr_assert_leq(net.sent, 40);
}

static void truncates(const struct tarn_endpoint *e, bool stream,
                      const struct tarn_dns_question *q) {
    (void)e;
    (void)stream;
    (void)q;
    net_say(TARN_DNS_AA | TARN_DNS_TC, NULL, NULL, NULL);
}

Test(bounds, servers_that_cut_off_everything) {
    net.script = truncates;
    cr_assert_eq(costs("a.b.c.", TARN_DNS_A), TARN_DNS_SERVFAIL);
}

/* -- clients ------------------------------------------------------------------------------------
 */

static void silent(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)e;
    (void)stream;
    (void)q;
}

Test(bounds, dnsbomb_one_client_has_few_questions_under_way) {
    net_free();
    setup_with((struct tarn_recursor_config){
        .no_validation = true, .client_questions_max = 10, .questions_max = 64});
    struct tarn_recursor_client client = {.from = {TARN_IP_ADDR_V4(192, 0, 2, 1), 1}};
    unsigned taken = 0;
    char name[40];
    net.script = silent;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "n%u.example.", i);
        taken += net_send_query(name, TARN_DNS_A, 0, &client) == TARN_AGAIN;
    }
    cr_assert_eq(taken, 10, "%u", taken);
    client.from.addr = (struct tarn_ip_addr)TARN_IP_ADDR_V4(192, 0, 2, 2);
    cr_assert_eq(net_send_query("www.example.", TARN_DNS_A, 0, &client), TARN_AGAIN,
                 "others are not hindered");
    struct tarn_recursor_stats st;
    tarn_recursor_stats(net.r, &st);
    cr_assert_eq(st.limited, 190);
}

Test(bounds, one_client_makes_servers_be_asked_so_often_a_second) {
    net_free();
    setup_with((struct tarn_recursor_config){.no_validation = true, .client_rate = 5});
    char name[40];
    unsigned refused = 0;
    net.script = nxns;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "n%u.", i);
        refused += net_ask(name, TARN_DNS_A, 0) == TARN_DNS_REFUSED;
    }
    cr_assert_geq(refused, 85, "%u", refused);
    net.now += TARN_SEC(1);
    cr_assert_eq(net_ask("more.", TARN_DNS_A, 0), TARN_DNS_NXDOMAIN);
}

/* -- signatures ---------------------------------------------------------------------------------
 */

#define KEY_BYTES 68
static uint8_t keys[64][KEY_BYTES];
static unsigned key_count;
static uint8_t secret[32], ds_bytes[36];
static struct tarn_recursor_anchor anchor;

/* Keys that all have one tag: what is added to one pair of bytes is taken from another. */
static void make_keys(unsigned count) {
    uint8_t point[65];
    cr_assert_eq(tarn_pk_generate(TARN_PK_P256, &net.random.random, TARN_BYTES_ARRAY(secret),
                                  TARN_BYTES_ARRAY(point)),
                 TARN_OK);
    memcpy(keys[0], "\1\1\3\15", 4);
    memcpy(keys[0] + 4, point + 1, 64);
    keys[0][10] = 100;
    keys[0][20] = 100;
    memcpy(keys[0] + 4, point + 1, 64);
    for (unsigned i = 1; i < count; i++) {
        memcpy(keys[i], keys[0], KEY_BYTES);
        unsigned low = keys[0][30] < keys[0][40] ? 30 : 40, high = low == 30 ? 40 : 30;
        unsigned room = TARN_MIN(255u - keys[0][low], (unsigned)keys[0][high]);
        keys[i][low] = (uint8_t)(keys[0][low] + i % (room + 1));
        keys[i][high] = (uint8_t)(keys[0][high] - i % (room + 1));
        keys[i][50] ^= (uint8_t)(i / (room + 1));
        keys[i][52] ^= 0;
    }
    key_count = count;
    anchor = (struct tarn_recursor_anchor){
        .zone = TARN_SPAN_LIT("\0"), .rdata = TARN_SPAN_ARRAY(keys[0]), .type = TARN_DNS_DNSKEY};
    (void)ds_bytes;
}

static int by_bytes(const void *a, const void *b) {
    return memcmp(a, b, KEY_BYTES);
}

/* An RRSIG of the root's key set by the first key. */
static size_t sign_keys(uint8_t out[200]) {
    static uint8_t sorted[64][KEY_BYTES], message[64 * (KEY_BYTES + 11) + 64];
    struct tarn_writer g = tarn_writer_over(tarn_bytes_of(out, 200)),
                       m = TARN_WRITER_ARRAY(message);
    struct tarn_private_key key = {.secret = TARN_SPAN_ARRAY(secret)};
    uint8_t point[65] = {4};
    memcpy(point + 1, keys[0] + 4, 64);
    key.pub = (struct tarn_public_key){.type = TARN_PK_P256, .point = TARN_SPAN_ARRAY(point)};
    memcpy(sorted, keys, sizeof sorted);
    qsort(sorted, key_count, KEY_BYTES, by_bytes);
    tarn_writer_u16be(&g, TARN_DNS_DNSKEY);
    tarn_writer_u8(&g, 13);
    tarn_writer_u8(&g, 0);
    tarn_writer_u32be(&g, 3600);
    tarn_writer_u32be(&g, net.wall + 100000);
    tarn_writer_u32be(&g, net.wall - 100000);
    tarn_writer_u16be(&g, tarn_dns_key_tag(TARN_SPAN_ARRAY(keys[0])));
    tarn_writer_u8(&g, 0);
    tarn_writer_span_put(&m, tarn_writer_span(&g));
    for (unsigned i = 0; i < key_count; i++) {
        if (i && memcmp(sorted[i], sorted[i - 1], KEY_BYTES) == 0)
            continue;
        tarn_writer_u8(&m, 0);
        tarn_writer_u16be(&m, TARN_DNS_DNSKEY);
        tarn_writer_u16be(&m, TARN_DNS_IN);
        tarn_writer_u32be(&m, 3600);
        tarn_writer_u16be(&m, KEY_BYTES);
        tarn_writer_mem(&m, sorted[i], KEY_BYTES);
    }
    cr_assert_eq(
        tarn_sign(&key, &tarn_ecdsa_raw_sha256, &net.random.random, tarn_writer_span(&m), &g),
        TARN_OK);
    return g.len;
}

static void put_false_sigs(const struct tarn_dns_question *q, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        uint8_t sig[200];
        struct tarn_writer g = TARN_WRITER_ARRAY(sig);
        tarn_writer_u16be(&g, q->type);
        tarn_writer_u8(&g, 13);
        tarn_writer_u8(&g, (uint8_t)tarn_dns_name_labels(tarn_dns_name_span(&q->name)));
        tarn_writer_u32be(&g, 3600);
        tarn_writer_u32be(&g, net.wall + 100000);
        tarn_writer_u32be(&g, net.wall - 100000);
        tarn_writer_u16be(&g, tarn_dns_key_tag(TARN_SPAN_ARRAY(keys[0])));
        tarn_writer_u8(&g, 0);
        for (unsigned k = 0; k < 64; k++)
            tarn_writer_u8(&g, (uint8_t)(i + k + 1));
        (void)!tarn_dns_put_rr(&net_out.b, TARN_DNS_ANSWER, tarn_dns_name_span(&q->name),
                               TARN_DNS_RRSIG, TARN_DNS_IN, 3600, tarn_writer_span(&g));
    }
}

static void put_address(const struct tarn_dns_question *q, unsigned false_sigs) {
    static const uint8_t a[] = {192, 0, 2, 1};
    (void)!tarn_dns_put_rr(&net_out.b, TARN_DNS_ANSWER, tarn_dns_name_span(&q->name), TARN_DNS_A,
                           TARN_DNS_IN, 3600, TARN_SPAN_ARRAY(a));
    put_false_sigs(q, false_sigs);
}

static void keytrap(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)e;
    (void)stream;
    net_begin(TARN_DNS_AA);
    if (q->type == TARN_DNS_DNSKEY) {
        uint8_t sig[200];
        for (unsigned i = 0; i < key_count; i++)
            (void)!tarn_dns_put_rr(&net_out.b, TARN_DNS_ANSWER, TARN_SPAN_LIT("\0"),
                                   TARN_DNS_DNSKEY, TARN_DNS_IN, 3600, TARN_SPAN_ARRAY(keys[i]));
        size_t n = sign_keys(sig);
        (void)!tarn_dns_put_rr(&net_out.b, TARN_DNS_ANSWER, TARN_SPAN_LIT("\0"), TARN_DNS_RRSIG,
                               TARN_DNS_IN, 3600, tarn_span_of(sig, n));
    } else if (q->type == TARN_DNS_NS && q->name.len == 1) {
        net_put_text(TARN_DNS_ANSWER, ". 3600 NS a.root.\n");
        net_put_text(TARN_DNS_EXTRA, "a.root. 3600 A 10.0.0.1\n");
    } else {
        put_address(q, 60);
    }
    net_reply();
}

Test(bounds, keytrap_many_keys_of_one_tag_and_many_signatures_cve_2023_50387) {
    struct tarn_recursor_stats st;
    net_free();
    memset(&net, 0, sizeof net);
    tarn_random_seeded_init(&net.random, 7);
    make_keys(60);
    cr_assert(net_new((struct tarn_recursor_config){.anchors = &anchor, .anchor_count = 1}));
    net.script = keytrap;
    cr_assert_eq(costs("www.", TARN_DNS_A), TARN_DNS_SERVFAIL);
    tarn_recursor_stats(net.r, &st);
    cr_assert_gt(st.failed_verifications, 2, "the keys are found good, and the trap is entered");
    cr_assert_leq(st.verifications, 24);
}

static unsigned asked_for_www; /* a bit for each server */

static void three_servers(const struct tarn_endpoint *e, bool stream,
                          const struct tarn_dns_question *q) {
    if (q->type == TARN_DNS_NS && q->name.len == 1) {
        net_say(TARN_DNS_AA, ". 3600 NS a.root.\n. 3600 NS b.root.\n. 3600 NS c.root.\n", NULL,
                "a.root. 3600 A 10.0.0.1\nb.root. 3600 A 10.0.0.2\nc.root. 3600 A 10.0.0.3\n");
        return;
    }
    unsigned bit = 1u << e->addr.bytes[15];
    if (q->type != TARN_DNS_A) {
        if (asked_for_www & bit)
            net_say(TARN_DNS_REFUSED, NULL, NULL, NULL); /* so it is another that has the keys */
        else
            keytrap(e, stream, q);
        return;
    }
    asked_for_www |= bit;
    net_begin(TARN_DNS_AA);
    put_address(q, 1);
    net_reply();
}

Test(bounds, who_gave_the_keys_is_not_avoided_for_who_gave_the_answer) {
    for (unsigned round = 0; round < 8; round++) {
        net_free();
        memset(&net, 0, sizeof net);
        tarn_random_seeded_init(&net.random, 7);
        make_keys(1);
        cr_assert(net_new((struct tarn_recursor_config){
            .anchors = &anchor, .anchor_count = 1, .no_minimisation = true}));
        tarn_random_seeded_init(&net.random, 100 + round);
        asked_for_www = 0;
        net.script = three_servers;
        cr_assert_eq(costs("www.", TARN_DNS_A), TARN_DNS_SERVFAIL);
        cr_assert_eq(asked_for_www, 14, "each is asked once: %x, round %u", asked_for_www, round);
    }
}

static unsigned signer_asked;

/* Keys of two zones, one after the other, that no anchor names. */
static void changing_signer(const struct tarn_endpoint *e, bool stream,
                            const struct tarn_dns_question *q) {
    char answer[400];
    const char *zone = q->name.len == 3 ? "a." : "b.a.";
    (void)e;
    (void)stream;
    if (q->name.len == 1) {
        net_say(TARN_DNS_AA, ". 3600 NS a.root.\n", NULL, "a.root. 3600 A 10.0.0.1\n");
        return;
    }
    if (q->type == TARN_DNS_DNSKEY)
        snprintf(answer, sizeof answer, "%s 3600 DNSKEY 257 3 15 %s\n", zone,
                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    else
        snprintf(answer, sizeof answer,
                 "www.b.a. 3600 A 192.0.2.1\n"
                 "www.b.a. 3600 RRSIG A 15 3 3600 20400101000000 20200101000000 1 %s AAAA\n",
                 signer_asked++ ? "b.a." : "a.");
    net_say(TARN_DNS_AA, answer, NULL, NULL);
}

Test(bounds, servers_of_keys_and_of_what_they_sign_are_avoided_at_once) {
    static const uint8_t ds[36] = {0, 0, 15, 2};
    const struct tarn_recursor_anchor anchors[] = {
        {.zone = TARN_SPAN_LIT("\1a\0"), .rdata = TARN_SPAN_ARRAY(ds), .type = TARN_DNS_DS},
        {.zone = TARN_SPAN_LIT("\1b\1a\0"), .rdata = TARN_SPAN_ARRAY(ds), .type = TARN_DNS_DS}};
    net_free();
    setup_with((struct tarn_recursor_config){
        .anchors = anchors, .anchor_count = 2, .no_minimisation = true});
    signer_asked = 0;
    net.script = changing_signer;
    cr_assert_eq(costs("www.b.a.", TARN_DNS_A), TARN_DNS_SERVFAIL);
    cr_assert_eq(signer_asked, 3, "and two other servers were asked: %u", signer_asked);
}

static void iterations(const struct tarn_endpoint *e, bool stream,
                       const struct tarn_dns_question *q) {
    (void)e;
    (void)stream;
    if (q->type == TARN_DNS_DNSKEY || (q->type == TARN_DNS_NS && q->name.len == 1)) {
        keytrap(e, stream, q);
        return;
    }
    net_begin(TARN_DNS_AA | TARN_DNS_NXDOMAIN);
    net_put_text(TARN_DNS_AUTHORITY, ". 60 SOA a. b. 1 1 1 1 60\n");
    net_put_text(TARN_DNS_AUTHORITY,
                 "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom. 60 NSEC3 1 0 60000 aabbccdd "
                 "2t7b4g4vsa5smi47k61mv5bv1a22bojr A\n");
    net_reply();
}

Test(bounds, nsec3_with_many_iterations_costs_no_hashes_cve_2023_50868) {
    struct tarn_recursor_stats st;
    net_free();
    memset(&net, 0, sizeof net);
    tarn_random_seeded_init(&net.random, 7);
    make_keys(1);
    cr_assert(net_new((struct tarn_recursor_config){.anchors = &anchor, .anchor_count = 1}));
    net.script = iterations;
    (void)costs("a.b.c.d.e.f.g.h.", TARN_DNS_A);
    tarn_recursor_stats(net.r, &st);
    cr_assert_leq(st.hash_rounds, TARN_RECURSOR_HASH_ROUNDS_MAX);
}
