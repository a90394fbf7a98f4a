/* SPDX-License-Identifier: ISC */
#include "rig.h"
#include <criterion/criterion.h>

static struct memory mem;
static struct tarn_dhcp6_client *c;

/* The last message of the client, taken apart. */
static struct {
    uint8_t type;
    uint32_t xid;
    bool has_server, has_rapid, has_ia, has_addr;
    uint16_t elapsed;
    struct tarn_ip_addr addr;
} sent;

static bool take(tarn_time now) {
    static uint8_t buf[TARN_DHCP6_MESSAGE_BYTES_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    uint32_t head;
    uint16_t code, len;
    if (!tarn_dhcp6_client_output(c, &w, now))
        return false;
    struct tarn_span s = tarn_writer_span(&w), v;
    memset(&sent, 0, sizeof sent);
    cr_assert(tarn_span_u32be(&s, &head));
    sent.type = (uint8_t)(head >> 24);
    sent.xid = head & 0xffffff;
    while (s.len) {
        cr_assert(tarn_span_u16be(&s, &code) && tarn_span_u16be(&s, &len)
                  && tarn_span_take(&s, len, &v));
        sent.has_server |= code == 2;
        sent.has_rapid |= code == 14;
        if (code == 8)
            cr_assert(tarn_span_u16be(&v, &sent.elapsed));
        if (code == 3) {
            sent.has_ia = true;
            sent.has_addr = tarn_span_skip(&v, 16) && tarn_span_ipv6(&v, &sent.addr);
        }
    }
    return true;
}

#define DUID "\0\3\0\1\2\0\0\0\0\7"
#define CLIENT_ID "\0\1\0\x0a" DUID
#define SERVER_ID(x) "\0\2\0\4\0\3\0" x
#define ADDR "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x42"
#define IAADDR(pref, valid) "\0\5\0\x18" ADDR pref valid
#define IA(t1, t2, pref, valid) "\0\3\0\x28\0\0\0\0" t1 t2 IAADDR(pref, valid)
#define S(n) "\0\0" n
#define GOOD_IA IA(S("\1\xf4"), S("\3\x20"), S("\3\xe8"), S("\7\xd0")) /* 500, 800, 1000, 2000 */

static void reply(uint8_t type, struct tarn_span options, tarn_time now) {
    uint8_t *exact = malloc(4 + options.len);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(exact, 4 + options.len));
    tarn_writer_u32be(&w, (uint32_t)type << 24 | sent.xid);
    tarn_writer_span_put(&w, options);
    tarn_dhcp6_client_input(c, tarn_writer_span(&w), now);
    free(exact);
}
#define REPLY(type, opts, now) reply(type, TARN_SPAN_LIT(CLIENT_ID opts), now)
enum {
    SOLICIT = 1,
    ADVERTISE,
    REQUEST,
    CONFIRM,
    RENEW,
    REBIND,
    REPLY_,
    RELEASE,
    DECLINE,
    INFO = 11
};

static tarn_time next_tick(void) {
    tarn_time at = tarn_dhcp6_client_deadline(c);
    tarn_dhcp6_client_tick(c, at);
    return at;
}

static tarn_time start(struct tarn_dhcp6_client_config config) {
    const uint8_t mac[6] = MAC;
    memory_init(&mem, 1 << 16, 3);
    config.alloc = &mem.arena.alloc;
    config.random = &mem.random.random;
    memcpy(config.mac, mac, 6);
    cr_assert(!tarn_dhcp6_client_new(&config, &c));
    tarn_dhcp6_client_start(c, 0);
    tarn_time now = next_tick();
    cr_assert_leq(now, TARN_SEC(1));
    cr_assert(take(now));
    return now;
}

static tarn_time bind(struct tarn_dhcp6_client_config config) {
    config.stateful = true;
    start(config);
    REPLY(ADVERTISE, SERVER_ID("\1") GOOD_IA "\0\7\0\1\xff", 0);
    cr_assert(take(0) && sent.type == REQUEST);
    REPLY(REPLY_, SERVER_ID("\1") GOOD_IA, 0);
    return 0;
}

Test(rfc8415_18_2_1, four_messages_make_a_lease) {
    tarn_time now = start((struct tarn_dhcp6_client_config){.stateful = true});
    cr_assert(sent.type == SOLICIT && sent.has_ia && !sent.has_addr && !sent.has_server);
    REPLY(ADVERTISE, SERVER_ID("\1") GOOD_IA, now);
    cr_assert(!take(now), "the first second is for better ones");
    REPLY(ADVERTISE, SERVER_ID("\2") GOOD_IA "\0\7\0\1\7", now);
    REPLY(ADVERTISE, SERVER_ID("\3") GOOD_IA "\0\7\0\1\6", now);
    tarn_time at = next_tick();
    cr_assert(at > now + TARN_SEC(1) && at <= now + TARN_MS(1100), "RAND above 0");
    cr_assert(take(at));
    cr_assert(sent.type == REQUEST && sent.has_server && sent.has_addr);
    REPLY(REPLY_, SERVER_ID("\3") GOOD_IA, at);
    cr_assert_eq(tarn_dhcp6_client_state(c), TARN_DHCP6_REQUEST, "not who was asked");
    REPLY(REPLY_, SERVER_ID("\2") GOOD_IA "\0\x17\0\x10" ADDR "\0\x18\0\5\3lan\0", at);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_GRANTED);
    const struct tarn_dhcp6_lease *l = tarn_dhcp6_client_lease(c);
    cr_assert(l->t1 == at + TARN_SEC(500) && l->t2 == at + TARN_SEC(800)
              && l->preferred == at + TARN_SEC(1000) && l->valid == at + TARN_SEC(2000));
    cr_assert_eq(l->dns_count, 1);
    cr_assert_str_eq(l->search, "lan");
}

Test(rfc8415_15, retransmission_doubles_up_to_the_bound_that_servers_set) {
    tarn_time last = start((struct tarn_dhcp6_client_config){.stateful = true});
    REPLY(ADVERTISE, SERVER_ID("\1") "\0\x0d\0\2\0\2\0\x52\0\4\0\0\0\x78", last); /* 120 s */
    double rt = 1;
    for (int i = 0; i < 12; i++) {
        tarn_time at = next_tick();
        double got = (double)(at - last) / 1e9;
        cr_assert(got <= (rt < 120 ? rt * 1.1001 : 132.1) && got >= rt * 0.9, "%d: %f", i, got);
        rt = rt < 120 ? got * 2 : 120;
        rt = rt > 120 ? 120 : rt;
        cr_assert(take(at) && sent.type == SOLICIT);
        last = at;
    }
    cr_assert_gt(sent.elapsed, 0);
}

Test(rfc8415_18_2_4, renews_rebinds_and_expires) {
    bind((struct tarn_dhcp6_client_config){0});
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_GRANTED);
    tarn_time now = next_tick();
    cr_assert_eq(now, TARN_SEC(500));
    cr_assert(take(now) && sent.type == RENEW && sent.has_server && sent.has_addr);
    while (now < TARN_SEC(800)) {
        now = next_tick();
        cr_assert(take(now));
    }
    cr_assert(sent.type == REBIND && !sent.has_server && now == TARN_SEC(800));
    while (sent.type == REBIND) {
        now = next_tick();
        cr_assert(take(now));
    }
    cr_assert(sent.type == SOLICIT && now == TARN_SEC(2000));
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_LOST);
}

Test(rfc8415_18_2_10, answers_to_a_renewal) {
    bind((struct tarn_dhcp6_client_config){0});
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_GRANTED);
    tarn_time now = next_tick();
    cr_assert(take(now));
    REPLY(REPLY_, SERVER_ID("\1"), now);
    cr_assert_eq(tarn_dhcp6_client_state(c), TARN_DHCP6_RENEW, "no word about the address");
    REPLY(REPLY_, SERVER_ID("\1") GOOD_IA, now);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_RENEWED);
    now = next_tick();
    cr_assert(take(now) && sent.type == RENEW);
    REPLY(REPLY_, SERVER_ID("\1") "\0\3\0\x12\0\0\0\0\0\0\0\0\0\0\0\0\0\x0d\0\2\0\3", now);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_LOST);
    cr_assert(take(now) && sent.type == REQUEST, "NoBinding: asked for again");
    REPLY(REPLY_, SERVER_ID("\1") "\0\x0d\0\2\0\4", now);
    cr_assert_eq(tarn_dhcp6_client_state(c), TARN_DHCP6_WAITING, "NotOnLink: from the start");
}

Test(rfc8415_18_2_8, a_duplicate_is_declined) {
    bind((struct tarn_dhcp6_client_config){.probe = true});
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_PROBE);
    tarn_dhcp6_client_conflict(c, 0);
    cr_assert(take(0) && sent.type == DECLINE && sent.has_addr && sent.has_server);
    tarn_time now = 0;
    int declines = 1;
    while (tarn_dhcp6_client_state(c) == TARN_DHCP6_DECLINE) {
        now = next_tick();
        declines += take(now) && sent.type == DECLINE;
    }
    cr_assert_eq(declines, 4, "DEC_MAX_RC");
    cr_assert_eq(sent.type, SOLICIT);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_NONE);
}

Test(rfc8415_18_2_7, release_ends_with_an_answer) {
    bind((struct tarn_dhcp6_client_config){0});
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_GRANTED);
    tarn_dhcp6_client_release(c, 1);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_LOST);
    cr_assert(take(1) && sent.type == RELEASE && sent.has_addr);
    REPLY(REPLY_, SERVER_ID("\1") "\0\x0d\0\2\0\0", 1);
    cr_assert_eq(tarn_dhcp6_client_deadline(c), TARN_NEVER);
}

Test(rfc8415_18_2_3, confirm_after_the_link_was_gone) {
    bind((struct tarn_dhcp6_client_config){0});
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_GRANTED);
    tarn_dhcp6_client_link_up(c, 5);
    cr_assert(take(5) && sent.type == CONFIRM && sent.has_addr && !sent.has_server);
    while (tarn_dhcp6_client_state(c) == TARN_DHCP6_CONFIRM)
        (void)take(next_tick());
    cr_assert_eq(tarn_dhcp6_client_state(c), TARN_DHCP6_BOUND, "no answer: used on");
    tarn_dhcp6_client_link_up(c, TARN_SEC(20));
    cr_assert(take(TARN_SEC(20)));
    REPLY(REPLY_, SERVER_ID("\1") "\0\x0d\0\2\0\4", TARN_SEC(20));
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_LOST);
}

Test(rfc8415_18_2_1, rapid_commit_takes_two) {
    start((struct tarn_dhcp6_client_config){.stateful = true, .rapid_commit = true});
    cr_assert(sent.has_rapid);
    REPLY(REPLY_, SERVER_ID("\1") GOOD_IA, 0);
    cr_assert_eq(tarn_dhcp6_client_state(c), TARN_DHCP6_SOLICIT, "only with the option");
    REPLY(REPLY_, SERVER_ID("\1") GOOD_IA "\0\x0e\0\0", 0);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_GRANTED);
}

Test(rfc8415_18_2_6, stateless_asks_and_asks_again) {
    tarn_time now = start((struct tarn_dhcp6_client_config){0});
    cr_assert(sent.type == INFO && !sent.has_ia);
    REPLY(REPLY_, SERVER_ID("\1") "\0\x17\0\x10" ADDR "\0\x20\0\4\0\0\0\1", now);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_LEARNED);
    cr_assert_eq(tarn_dhcp6_client_lease(c)->dns_count, 1);
    cr_assert_eq(tarn_dhcp6_client_deadline(c), now + TARN_SEC(600), "IRT_MINIMUM");
    now = next_tick();
    cr_assert(take(now) && sent.type == INFO);
}

Test(checks, what_is_not_ours_or_contradicts_itself_is_left) {
    start((struct tarn_dhcp6_client_config){.stateful = true, .rapid_commit = true});
#define RAPID "\0\x0e\0\0"
    reply(REPLY_, TARN_SPAN_LIT(SERVER_ID("\1") GOOD_IA RAPID), 0); /* no client identifier */
    reply(REPLY_, TARN_SPAN_LIT("\0\1\0\3abc" SERVER_ID("\1") GOOD_IA RAPID), 0);
    REPLY(REPLY_, GOOD_IA RAPID, 0);
    REPLY(REPLY_, SERVER_ID("\1") IA(S("\1\0"), S("\2\0"), S("\7\xd1"), S("\7\xd0")) RAPID, 0);
    REPLY(REPLY_, SERVER_ID("\1") IA(S("\3\0"), S("\2\0"), S("\7\xd0"), S("\7\xd0")) RAPID, 0);
    REPLY(REPLY_, SERVER_ID("\1") IA(S("\1\0"), S("\2\0"), S("\0\0"), S("\0\0")) RAPID, 0);
    sent.xid ^= 1;
    REPLY(REPLY_, SERVER_ID("\1") GOOD_IA RAPID, 0);
    sent.xid ^= 1;
    cr_assert_eq(tarn_dhcp6_client_state(c), TARN_DHCP6_SOLICIT);
    cr_assert_eq(tarn_dhcp6_client_stats(c)->ignored, 7);
    REPLY(REPLY_, SERVER_ID("\1") RAPID "\0\3\0\x30\0\0\0\0", 0); /* an option that is cut off */
    REPLY(REPLY_, SERVER_ID("\1") RAPID "\0\3\0\4\0\0\0\0", 0);   /* or too small */
    REPLY(REPLY_, SERVER_ID("\1") RAPID "\0\x17\0\1\0", 0);
    cr_assert_eq(tarn_dhcp6_client_stats(c)->malformed, 3);
    REPLY(REPLY_,
          SERVER_ID("\1") IA(S("\0\0"), S("\0\0"), "\xff\xff\xff\xff", "\xff\xff\xff\xff") RAPID,
          0);
    cr_assert_eq(tarn_dhcp6_client_event(c), TARN_DHCP6_GRANTED);
    cr_assert_eq(tarn_dhcp6_client_deadline(c), TARN_NEVER, "for good");
}
