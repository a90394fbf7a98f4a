/* SPDX-License-Identifier: ISC */
/* Trust anchors through their changes (RFC 5011), by section and in virtual time; at the end with a
 * recursor that asks for them. */
#include "net.h"
#include <criterion/criterion.h>
#include <tarn/dns_sign.h>

#define DAY 86400u
#define KEYS 20u

static struct tarn_dns_key keys[KEYS]; /* all with SEP */
static struct tarn_trust_anchors a;
static struct tarn_dns_sec_work work;
static struct tarn_random_seeded seed;
static uint64_t now;
static uint32_t ttl = 2 * DAY, lifetime = 10 * DAY;
static bool spoil; /* signatures are wrong */

/* What the zone has: `revoked` sets REVOKE in the key, which makes it another. */
struct published {
    unsigned key;
    bool revoked, signs;
};
static uint8_t records[8192], sigs[8192];
static struct tarn_writer rw, sw;

static struct tarn_dns_key as_published(struct published p) {
    struct tarn_dns_key k = keys[p.key];
    if (p.revoked)
        k.dnskey[1] |= 0x80;
    return k;
}
static struct tarn_span data_of(const struct tarn_dns_key *k) {
    return tarn_span_of(k->dnskey, k->dnskey_len);
}
static int by_data(const void *x, const void *y) {
    const struct tarn_dns_key *p = x, *q = y;
    return memcmp(p->dnskey, q->dnskey, p->dnskey_len); /* all of one length */
}

static void put_sig(struct tarn_dns_key *set, unsigned count, const struct tarn_dns_key *by) {
    static uint8_t message[8192];
    uint8_t sig[200];
    struct tarn_writer g = TARN_WRITER_ARRAY(sig), m = TARN_WRITER_ARRAY(message);
    struct tarn_dns_keys signer;
    tarn_dns_keys_init(&signer, by, 1, &seed.random);
    tarn_writer_u16be(&g, TARN_DNS_DNSKEY);
    tarn_writer_u8(&g, 15);
    tarn_writer_u8(&g, 0);
    tarn_writer_u32be(&g, ttl);
    tarn_writer_u32be(&g, (uint32_t)now + lifetime);
    tarn_writer_u32be(&g, (uint32_t)now - 3600);
    tarn_writer_u16be(&g, tarn_dns_key_tag(data_of(by)));
    tarn_writer_u8(&g, 0);
    tarn_writer_span_put(&m, tarn_writer_span(&g));
    for (unsigned i = 0; i < count; i++) {
        tarn_writer_u8(&m, 0);
        tarn_writer_u16be(&m, TARN_DNS_DNSKEY);
        tarn_writer_u16be(&m, TARN_DNS_IN);
        tarn_writer_u32be(&m, ttl);
        tarn_writer_u16be(&m, (uint16_t)data_of(&set[i]).len);
        tarn_writer_span_put(&m, data_of(&set[i]));
    }
    cr_assert_eq(signer.signer.ops->sign(&signer.signer, 0, tarn_writer_span(&m), &g), TARN_OK);
    sig[g.len - 1] ^= spoil;
    tarn_writer_u16be(&sw, (uint16_t)g.len);
    tarn_writer_span_put(&sw, tarn_writer_span(&g));
}

static void publish(const struct published *p, unsigned count) {
    struct tarn_dns_key set[KEYS];
    for (unsigned i = 0; i < count; i++)
        set[i] = as_published(p[i]);
    qsort(set, count, sizeof set[0], by_data);
    rw = TARN_WRITER_ARRAY(records);
    sw = TARN_WRITER_ARRAY(sigs);
    for (unsigned i = 0; i < count; i++) {
        tarn_writer_u16be(&rw, (uint16_t)data_of(&set[i]).len);
        tarn_writer_span_put(&rw, data_of(&set[i]));
    }
    for (unsigned i = 0; i < count; i++) {
        struct tarn_dns_key by = as_published(p[i]);
        if (p[i].signs)
            put_sig(set, count, &by);
    }
}
#define SEES(...)                                                                                  \
    (publish((struct published[]){__VA_ARGS__},                                                    \
             sizeof((struct published[]){__VA_ARGS__}) / sizeof(struct published)),                \
     tarn_trust_anchors_input(&a, tarn_writer_span(&rw), tarn_writer_span(&sw), now, &work))

static enum tarn_trust_state state(unsigned key) {
    for (unsigned i = 0; i < TARN_TRUST_KEYS_MAX; i++)
        if (a.keys[i].state && a.keys[i].type == TARN_DNS_DNSKEY
            && tarn_span_equal(tarn_trust_key_span(&a.keys[i]), data_of(&keys[key])))
            return a.keys[i].state;
    return TARN_TRUST_START;
}

static struct tarn_span ds_of(unsigned key) {
    static uint8_t ds[36];
    struct tarn_writer w = TARN_WRITER_ARRAY(ds);
    tarn_dns_key_ds(&keys[key], TARN_SPAN_LIT("\0"), &w);
    return tarn_writer_span(&w);
}

static void setup(void) {
    now = 1700000000;
    tarn_random_seeded_init(&seed, 5);
    for (unsigned i = 0; i < KEYS; i++)
        cr_assert_eq(tarn_dns_key_generate(&keys[i], TARN_DNS_KEY_SEP, 15, &seed.random), TARN_OK);
    tarn_trust_anchors_init(&a, TARN_SPAN_LIT("\0"));
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DS, ds_of(0)), TARN_OK);
}
TestSuite(anchors, .init = setup, .timeout = 30);

Test(anchors, rfc5011_2_only_sets_that_a_trusted_key_signed_count) {
    cr_assert_eq(SEES({1, false, true}), TARN_PEER, "signed by a stranger");
    cr_assert_eq(SEES({0}, {1, false, true}), TARN_PEER, "the anchor is there and did not sign");
    spoil = true;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_PEER, "the signature is wrong");
    spoil = false;
    cr_assert_eq(state(1), TARN_TRUST_START);
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_VALID, "the DS has become its key");
    cr_assert_eq(state(1), TARN_TRUST_ADD_PEND);
    cr_assert_eq(SEES({0}, {1, false, true}), TARN_PEER, "a pending key is not trusted");
}

Test(anchors, rfc5011_2_1_a_revoked_key_must_sign_itself) {
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DNSKEY, data_of(&keys[1])), TARN_OK);
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    struct tarn_dns_key r = as_published((struct published){0, true, true});
    cr_assert_neq(tarn_dns_key_tag(data_of(&r)), tarn_dns_key_tag(data_of(&keys[0])));
    cr_assert_eq(SEES({0, true, false}, {1, false, true}), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_MISSING, "others cannot revoke it");
    cr_assert_eq(SEES({0, true, true}, {1, false, true}), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_REVOKED);
    cr_assert_eq(SEES({0, false, true}), TARN_PEER, "and it is trusted no more");
    cr_assert_eq(SEES({0, false, true}, {1, false, true}), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_REVOKED, "for good");
}

Test(anchors, rfc5011_2_1_a_key_known_by_its_digest_is_revoked_before_it_was_seen) {
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DNSKEY, data_of(&keys[1])), TARN_OK);
    cr_assert_eq(SEES({0, true, true}), TARN_PEER, "a revocation needs nobody else");
    cr_assert_eq(state(0), TARN_TRUST_REVOKED);
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DS, ds_of(0)), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_REVOKED, "configuration does not bring it back");
}

Test(anchors, rfc5011_2_3_intervals_of_refresh) {
    ttl = 2 * DAY, lifetime = 10 * DAY;
    cr_assert_eq(tarn_trust_anchors_due(&a, now), 0, "at once");
    cr_assert_eq(SEES({0, false, true}), TARN_OK);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), now + DAY, "half the TTL");
    tarn_trust_anchors_failed(&a, now);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), now + 2 * DAY / 10, "a tenth after a failure");
    lifetime = DAY;
    cr_assert_eq(SEES({0, false, true}), TARN_OK);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), now + DAY / 2, "half of what signatures last");
    ttl = 60;
    cr_assert_eq(SEES({0, false, true}), TARN_OK);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), now + 3600, "an hour at least");
    tarn_trust_anchors_failed(&a, now);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), now + 3600);
    ttl = lifetime = 90 * DAY;
    cr_assert_eq(SEES({0, false, true}), TARN_OK);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), now + 15 * DAY, "15 days at most");
    tarn_trust_anchors_failed(&a, now);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), now + DAY, "a day at most");
}

Test(anchors, rfc5011_2_4_1_add_hold_down) {
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    now += TARN_TRUST_ADD_SECONDS - 1;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_ADD_PEND);
    now += 1;
    tarn_trust_anchors_failed(&a, now);
    cr_assert_eq(state(1), TARN_TRUST_ADD_PEND, "time alone does not make it valid");
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_VALID);
    cr_assert_eq(SEES({1, false, true}), TARN_OK, "it is an anchor like any other");
}

Test(anchors, rfc5011_2_4_1_a_long_ttl_holds_down_longer) {
    ttl = 60 * DAY;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    ttl = DAY;
    now += 59 * DAY;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_ADD_PEND);
    now += DAY;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_VALID);
}

Test(anchors, rfc5011_2_4_2_remove_hold_down) {
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DNSKEY, data_of(&keys[1])), TARN_OK);
    cr_assert_eq(SEES({0, true, true}, {1, false, true}), TARN_OK);
    now += TARN_TRUST_REMOVE_SECONDS - 1;
    cr_assert_eq(SEES({1, false, true}), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_REVOKED);
    now += 1;
    cr_assert_eq(SEES({1, false, true}), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_REMOVED);
    cr_assert_eq(SEES({0}, {1, false, true}), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_REMOVED, "it is not taken for a new one");
}

Test(anchors, rfc5011_4_1_a_pending_key_that_is_gone_starts_anew) {
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    now += 20 * DAY;
    cr_assert_eq(SEES({0, false, true}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_START);
    now += DAY;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    now += 20 * DAY;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_ADD_PEND, "41 days after it was first seen");
}

Test(anchors, rfc5011_4_1_a_missing_key_stays_trusted) {
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DNSKEY, data_of(&keys[1])), TARN_OK);
    cr_assert_eq(SEES({0, false, true}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_MISSING);
    now += 400 * DAY;
    cr_assert_eq(SEES({1, false, true}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_VALID);
    cr_assert_eq(state(0), TARN_TRUST_MISSING);
}

Test(anchors, rfc5011_5_all_keys_revoked_ends_the_anchor) {
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(SEES({0, true, true}), TARN_PEER);
    cr_assert_eq(state(0), TARN_TRUST_REVOKED);
    cr_assert_eq(tarn_trust_anchors_due(&a, now), UINT64_MAX);
}

Test(anchors, keys_without_sep_are_not_anchors) {
    keys[1].dnskey[1] &= (uint8_t)~1u;
    cr_assert_eq(SEES({0, false, true}, {1}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_START);
}

Test(anchors, no_more_keys_than_there_are_places) {
    struct published p[KEYS] = {{0, false, true}};
    for (unsigned i = 1; i < KEYS; i++)
        p[i].key = i;
    publish(p, KEYS);
    cr_assert_eq(
        tarn_trust_anchors_input(&a, tarn_writer_span(&rw), tarn_writer_span(&sw), now, &work),
        TARN_OK);
    cr_assert_eq(a.passed_by, KEYS - TARN_TRUST_KEYS_MAX);
    cr_assert_eq(state(0), TARN_TRUST_VALID);
}

Test(anchors, what_is_saved_comes_back_and_nothing_else_does) {
    static uint8_t bytes[TARN_TRUST_SAVED_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DNSKEY, data_of(&keys[2])), TARN_OK);
    cr_assert_eq(SEES({0, true, true}, {1}, {2, false, true}), TARN_OK);
    tarn_trust_anchors_save(&a, &w);
    cr_assert(tarn_writer_ok(&w));
    for (size_t n = 0; n < w.len; n++) { /* keys that stand whole are good, half of one is not */
        tarn_trust_anchors_init(&a, TARN_SPAN_LIT("\0"));
        if (tarn_trust_anchors_load(&a, tarn_span_of(bytes, n)))
            cr_assert_eq(tarn_trust_anchors_due(&a, now), UINT64_MAX, "nothing was taken");
    }
    tarn_trust_anchors_init(&a, TARN_SPAN_LIT("\1a\0"));
    cr_assert_eq(tarn_trust_anchors_load(&a, tarn_writer_span(&w)), TARN_INVALID, "another zone");
    tarn_trust_anchors_init(&a, TARN_SPAN_LIT("\0"));
    cr_assert_eq(tarn_trust_anchors_load(&a, tarn_writer_span(&w)), TARN_OK);
    cr_assert_eq(tarn_trust_anchors_add(&a, TARN_DNS_DS, ds_of(0)), TARN_OK);
    cr_assert_eq(state(0), TARN_TRUST_REVOKED);
    now += TARN_TRUST_ADD_SECONDS;
    cr_assert_eq(SEES({1}, {2, false, true}), TARN_OK);
    cr_assert_eq(state(1), TARN_TRUST_VALID, "the hold-down went on meanwhile");
    cr_assert_eq(state(0), TARN_TRUST_REMOVED);
}

/* -- with a recursor ----------------------------------------------------------------------------
 */

static struct published zone[4];
static unsigned zone_count;
static uint64_t asked;

static void put_records(struct tarn_span all, uint16_t type) {
    uint16_t len;
    struct tarn_span one;
    while (tarn_span_u16be(&all, &len) && tarn_span_take(&all, len, &one))
        cr_assert(tarn_dns_put_rr(&net_out.b, TARN_DNS_ANSWER, TARN_SPAN_LIT("\0"), type,
                                  TARN_DNS_IN, ttl, one));
}

static void root(const struct tarn_endpoint *e, bool stream, const struct tarn_dns_question *q) {
    (void)e;
    (void)stream;
    net_begin(TARN_DNS_AA);
    if (q->type == TARN_DNS_DNSKEY) {
        asked++;
        now = net_wall(NULL) / 1000000000u;
        publish(zone, zone_count);
        put_records(tarn_writer_span(&rw), TARN_DNS_DNSKEY);
        put_records(tarn_writer_span(&sw), TARN_DNS_RRSIG);
    } else if (q->type == TARN_DNS_NS) {
        net_put_text(TARN_DNS_ANSWER, ". 3600 NS a.root.\n");
        net_put_text(TARN_DNS_EXTRA, "a.root. 3600 A 10.0.0.1\n");
    }
    net_reply();
}

static void days(unsigned n) {
    tarn_time until = net.now + TARN_SEC(86400) * n;
    net.answered = false;
    net_run(until);
    net.now = until;
}

/* The root's keys validate, and so its AD. */
static bool validates(void) {
    tarn_recursor_flush(net.r, TARN_SPAN_LIT("\0"), TARN_DNS_DNSKEY);
    return net_ask(".", TARN_DNS_DNSKEY, 0) == TARN_DNS_NOERROR && (net_flags() & TARN_DNS_AD);
}

Test(anchors, a_recursor_follows_a_rollover) {
    struct tarn_recursor_stats st;
    static uint8_t ds[36];
    struct tarn_writer w = TARN_WRITER_ARRAY(ds);
    ttl = 2 * DAY, lifetime = 10 * DAY;
    tarn_writer_span_put(&w, ds_of(0));
    struct tarn_recursor_anchor configured = {TARN_SPAN_LIT("\0"), tarn_writer_span(&w),
                                              TARN_DNS_DS};
    memset(&net, 0, sizeof net);
    tarn_trust_anchors_init(&a, TARN_SPAN_LIT("\0"));
    cr_assert(net_new(
        (struct tarn_recursor_config){.anchors = &configured, .anchor_count = 1, .follow = &a}));
    net.script = root;
    zone[0] = (struct published){0, false, true}, zone_count = 1;
    days(5);
    cr_assert(asked >= 4 && asked <= 7, "about once a day: %llu", (unsigned long long)asked);
    cr_assert(validates());
    zone[1] = (struct published){1, false, false}, zone_count = 2;
    days(29);
    cr_assert_eq(state(1), TARN_TRUST_ADD_PEND);
    days(4);
    cr_assert_eq(state(1), TARN_TRUST_VALID);
    zone[0].revoked = zone[1].signs = true;
    days(3);
    cr_assert_eq(state(0), TARN_TRUST_REVOKED);
    cr_assert(validates());
    zone[0] = (struct published){1, false, true}, zone_count = 1;
    days(40);
    cr_assert_eq(state(0), TARN_TRUST_REMOVED);
    cr_assert(validates(), "with a key that nobody configured");
    zone[0] = (struct published){0, false, true};
    days(4);
    cr_assert_not(validates(), "the old one is not trusted any more");
    tarn_recursor_stats(net.r, &st);
    cr_assert_gt(st.followed, 60);
    net_free();
    cr_assert_eq(net.live, 0);
}
