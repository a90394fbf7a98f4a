/* SPDX-License-Identifier: ISC */
/* Iteration among honest and broken servers. */
#include "net.h"
#include <criterion/criterion.h>

static bool is(const struct tarn_dns_question *q, const char *name) {
    return tarn_dns_name_equal(tarn_dns_name_span(&q->name), net_name(name));
}
static bool below(const struct tarn_dns_question *q, const char *name) {
    return tarn_dns_name_within(tarn_dns_name_span(&q->name), net_name(name));
}
static uint8_t last(const struct tarn_endpoint *e) {
    return e->addr.bytes[15];
}

static unsigned whole_names_at_root;
static bool root_only(const struct tarn_endpoint *e, const struct tarn_dns_question *q) {
    if (last(e) != 1)
        return false;
    if (q->name.len == 1) {
        net_say(TARN_DNS_AA, ". 3600 NS a.root.\n", NULL, "a.root. 3600 A 10.0.0.1\n");
        return true;
    }
    whole_names_at_root += tarn_dns_name_labels(tarn_dns_name_span(&q->name)) > 1;
    if (below(q, "example."))
        net_say(0, NULL, "example. 3600 NS ns.example.\n", "ns.example. 3600 A 10.0.0.2\n");
    else if (below(q, "other."))
        net_say(0, NULL, "other. 3600 NS ns.example.\n", NULL);
    else
        net_say(TARN_DNS_AA | TARN_DNS_NXDOMAIN, NULL, ". 60 SOA a. b. 1 1 1 1 60\n", NULL);
    return true;
}

static void honest(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)stream;
    if (root_only(e, q))
        return;
    if (is(q, "www.example.") && q->type == TARN_DNS_A)
        net_say(TARN_DNS_AA, "www.example. 300 A 192.0.2.80\n", NULL, NULL);
    else if (is(q, "ns.example.") && q->type == TARN_DNS_A)
        net_say(TARN_DNS_AA, "ns.example. 300 A 10.0.0.2\n", NULL, NULL);
    else if (is(q, "alias.example."))
        net_say(TARN_DNS_AA, "alias.example. 300 CNAME www.other.\n", NULL, NULL);
    else if (is(q, "www.other."))
        net_say(TARN_DNS_AA, "www.other. 300 A 192.0.2.81\n", NULL, NULL);
    else if (is(q, "other.") || is(q, "www.example.") || is(q, "example."))
        net_say(TARN_DNS_AA, NULL, "example. 300 SOA ns a 1 1 1 1 60\n", NULL);
    else
        net_say(TARN_DNS_AA | TARN_DNS_NXDOMAIN, NULL, "example. 300 SOA ns a 1 1 1 1 60\n", NULL);
}

static void setup(void) {
    memset(&net, 0, sizeof net);
    whole_names_at_root = 0;
    net.script = honest;
    cr_assert(net_new((struct tarn_recursor_config){.no_validation = true}));
}
static void teardown(void) {
    net_free();
    cr_assert_eq(net.live, 0, "all memory is given back");
}
TestSuite(iterate, .init = setup, .fini = teardown);

Test(iterate, follows_delegations_with_minimised_names_rfc9156) {
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    cr_assert_eq(net_count(TARN_DNS_ANSWER, TARN_DNS_A), 1);
    cr_assert_eq(whole_names_at_root, 0, "the root sees no more than it needs to");
    uint64_t sent = net.sent;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    cr_assert_eq(net.sent, sent, "and the second time nobody is asked");
}

Test(iterate, negative_answers_are_kept_as_long_as_they_say_rfc2308) {
    cr_assert_eq(net_ask("no.example.", TARN_DNS_A, 0), TARN_DNS_NXDOMAIN);
    cr_assert_eq(net_count(TARN_DNS_AUTHORITY, TARN_DNS_SOA), 1);
    uint64_t sent = net.sent;
    cr_assert_eq(net_ask("no.example.", TARN_DNS_MX, 0), TARN_DNS_NXDOMAIN);
    cr_assert_eq(net.sent, sent);
    net.now += TARN_SEC(61);
    cr_assert_eq(net_ask("no.example.", TARN_DNS_MX, 0), TARN_DNS_NXDOMAIN);
    cr_assert_gt(net.sent, sent);
}

Test(iterate, aliases_lead_into_other_zones_whose_servers_have_no_glue) {
    cr_assert_eq(net_ask("alias.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    cr_assert_eq(net_count(TARN_DNS_ANSWER, TARN_DNS_CNAME), 1);
    cr_assert_eq(net_count(TARN_DNS_ANSWER, TARN_DNS_A), 1);
}

Test(iterate, the_same_question_is_under_way_once) {
    struct tarn_recursor_client a = {.from = {TARN_IP_ADDR_V4(192, 0, 2, 1), 1}, .tag = 1},
                                b = {.from = {TARN_IP_ADDR_V4(192, 0, 2, 2), 2}, .tag = 2};
    cr_assert_eq(net_send_query("www.example.", TARN_DNS_A, 0, &a), TARN_AGAIN);
    cr_assert_eq(net_send_query("WWW.example.", TARN_DNS_A, 0, &b), TARN_AGAIN);
    static uint8_t out[TARN_DNS_MESSAGE_MAX];
    struct tarn_recursor_event ev;
    unsigned replies = 0;
    while (tarn_recursor_next(net.r, TARN_BYTES_ARRAY(out), &ev)) {
        if (ev.kind == TARN_RECURSOR_SEND)
            net_on_send(&ev);
        replies += ev.kind == TARN_RECURSOR_REPLY;
    }
    cr_assert_eq(replies, 2);
    cr_assert_leq(net.sent, 3, "priming, root, example");
}

/* -- answers that are not believed --------------------------------------------------------------
 */

static void poison(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)stream;
    if (root_only(e, q))
        return;
    net_say(TARN_DNS_AA, "www.example. 300 A 192.0.2.80\nwww.other. 300 A 192.0.2.66\n",
            "other. 300 NS evil.example.\n", "evil.example. 300 A 192.0.2.66\n");
}

Test(iterate, what_was_not_asked_for_is_not_kept_rfc5452) {
    net.script = poison;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    net.script = honest;
    cr_assert_eq(net_ask("www.other.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    struct tarn_span m = tarn_span_of(net.answer, net.answer_len);
    struct tarn_dns_reader rd;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    cr_assert(tarn_dns_reader_init(&rd, m));
    cr_assert_eq(tarn_dns_read_question(&rd, &q), TARN_OK);
    cr_assert_eq(tarn_dns_read_rr(&rd, &rr), TARN_OK);
    cr_assert_eq(tarn_span_at(rr.rdata, 3), 81);
}

static unsigned wrong;
static void stranger(const struct tarn_endpoint *e, bool stream,
                     const struct tarn_dns_question *q) {
    if (root_only(e, q))
        return;
    if (!stream) {
        struct tarn_endpoint other = *e;
        net_begin(TARN_DNS_AA);
        net_put_text(TARN_DNS_ANSWER, "www.example. 300 A 192.0.2.66\n");
        struct tarn_span m = tarn_dns_finish(&net_out.b);
        other.port = 54;
        tarn_recursor_input(net.r, net.query, &other, m);
        other.port = 53;
        net_out.bytes[0] ^= 1; /* the id */
        for (unsigned i = 0; i < 40; i++, wrong++)
            tarn_recursor_input(net.r, net.query, &other, m);
        return;
    }
    net_say(TARN_DNS_AA, "www.example. 300 A 192.0.2.80\n", NULL, NULL);
}

Test(iterate, whoever_guesses_is_passed_by_with_tcp) {
    struct tarn_recursor_stats st;
    net.script = stranger;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    tarn_recursor_stats(net.r, &st);
    cr_assert_geq(st.strangers, 20);
    cr_assert_geq(st.streams, 1);
}

static void cut_off(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    if (!root_only(e, q))
        net_say(stream ? TARN_DNS_AA : TARN_DNS_AA | TARN_DNS_TC,
                stream ? "www.example. 300 A 192.0.2.80\n" : NULL, NULL, NULL);
}

Test(iterate, what_is_cut_off_is_asked_for_by_tcp) {
    net.script = cut_off;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    cr_assert_eq(net_count(TARN_DNS_ANSWER, TARN_DNS_A), 1);
}

static void no_edns(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)stream;
    if (root_only(e, q))
        return;
    if (net.asked_edns)
        net_say(TARN_DNS_FORMERR, NULL, NULL, NULL);
    else
        honest(e, stream, q);
}

Test(iterate, who_does_not_know_edns_is_asked_without_rfc6891) {
    net.script = no_edns;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
}

/* -- time ---------------------------------------------------------------------------------------
 */

static void dead(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)e;
    (void)stream;
    (void)q;
}

Test(iterate, nobody_answers_and_the_failure_is_kept_rfc9520) {
    net.script = dead;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_SERVFAIL);
    uint64_t sent = net.sent;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_SERVFAIL);
    cr_assert_eq(net.sent, sent);
}

Test(iterate, stale_rather_than_nothing_rfc8767) {
    net_free();
    cr_assert(
        net_new((struct tarn_recursor_config){.no_validation = true, .stale_seconds = 86400}));
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    net.script = dead;
    net.now += TARN_SEC(400);
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    cr_assert_eq(net_count(TARN_DNS_ANSWER, TARN_DNS_A), 1);
    net.now += TARN_SEC(90000);
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_SERVFAIL);
}

Test(iterate, what_is_used_is_asked_for_again_before_it_expires) {
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    uint64_t sent = net.sent;
    net.now += TARN_SEC(275);
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    net_pump();
    cr_assert_eq(net.sent, sent + 1, "in the background");
    net.now += TARN_SEC(100);
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    cr_assert_eq(net.sent, sent + 1, "so it is known when the first has expired");
}

/* -- memory -------------------------------------------------------------------------------------
 */

static unsigned counter;
static void many(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)stream;
    if (!root_only(e, q))
        net_say(TARN_DNS_AA | TARN_DNS_NXDOMAIN, NULL, "example. 300 SOA ns a 1 1 1 1 60\n", NULL);
}

Test(iterate, the_cache_keeps_to_its_budget_and_what_is_used) {
    struct tarn_recursor_stats st;
    char name[40];
    net_free();
    cr_assert(net_new((struct tarn_recursor_config){.no_validation = true,
                                                    .cache_bytes = 1 << 20,
                                                    .client_rate = 1000000,
                                                    .no_minimisation = true}));
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    net.script = many;
    for (counter = 0; counter < 20000; counter++) {
        snprintf(name, sizeof name, "n%u.example.", counter);
        cr_assert_eq(net_ask(name, TARN_DNS_A, 0), TARN_DNS_NXDOMAIN);
        if (counter % 500 == 0)
            cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    }
    tarn_recursor_stats(net.r, &st);
    cr_assert_leq(st.entry_bytes, 1 << 20);
    cr_assert_gt(st.evicted, 10000);
    cr_assert_eq(net_count(TARN_DNS_ANSWER, TARN_DNS_A), 0);
    uint64_t sent = net.sent;
    cr_assert_eq(net_ask("www.example.", TARN_DNS_A, 0), TARN_DNS_NOERROR);
    cr_assert_eq(net.sent, sent, "it was used, so it is still there");
}
