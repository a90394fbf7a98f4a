/* SPDX-License-Identifier: ISC */
#include "rig.h"
#include <criterion/criterion.h>

#define LEASED TARN_IP_ADDR_V4(10, 0, 0, 50)
#define OTHER_SERVER TARN_IP_ADDR_V4(10, 0, 0, 2)

static struct memory mem;
static struct tarn_dhcp_client *c;
static struct sent out;
static const struct answer OFFER = {.type = TARN_DHCP_OFFER,
                                    .addr = LEASED,
                                    .server = SERVER4,
                                    .lease = 3600,
                                    .more = {(const uint8_t *)"\x01\x04\xff\xff\xff\0", 6}};

static struct answer ack_for(uint32_t lease) {
    struct answer a = OFFER;
    a.type = TARN_DHCP_ACK;
    a.lease = lease;
    return a;
}

static void start(struct tarn_dhcp_client_config config) {
    memory_init(&mem, 1 << 16, 1);
    c = client_new(&mem, config);
    tarn_dhcp_client_start(c, 0);
    tarn_dhcp_client_tick(c, 0);
}

static void bind_at(tarn_time now, struct answer ack) {
    cr_assert(take_output(c, &out, now) && out.m.type == TARN_DHCP_DISCOVER);
    answer(c, &out.m, &OFFER, now);
    cr_assert(take_output(c, &out, now) && out.m.type == TARN_DHCP_REQUEST);
    answer(c, &out.m, &ack, now);
}

static tarn_time next_tick(void) {
    tarn_time at = tarn_dhcp_client_deadline(c);
    tarn_dhcp_client_tick(c, at);
    return at;
}

Test(rfc2131_3_1, four_messages_make_a_lease) {
    uint8_t buf[64];
    struct tarn_span id;
    struct tarn_ip_addr a, leased = LEASED, server = SERVER4, any = ANY4, all = ALL4;
    start((struct tarn_dhcp_client_config){.host_name = TARN_SPAN_LIT("tarn")});
    cr_assert(take_output(c, &out, 0));
    cr_assert_eq(out.m.type, TARN_DHCP_DISCOVER);
    cr_assert(tarn_ip_addr_equal(&out.path.src, &any) && tarn_ip_addr_equal(&out.path.dst, &all));
    cr_assert(out.m.flags & TARN_DHCP_FLAG_BROADCAST);
    cr_assert(tarn_dhcp_option(&out.m, TARN_DHCP_OPT_CLIENT_ID, TARN_BYTES_ARRAY(buf), &id));
    cr_assert(id.len == 15 && buf[0] == 255 && buf[6] == 3, "RFC 4361: IAID and DUID-LL");
    uint32_t xid = out.m.xid;
    answer(c, &out.m, &OFFER, TARN_SEC(1));
    cr_assert(take_output(c, &out, TARN_SEC(1)));
    cr_assert(out.m.type == TARN_DHCP_REQUEST && out.m.xid == xid);
    cr_assert(tarn_dhcp_option_addr(&out.m, TARN_DHCP_OPT_REQUESTED_ADDR, &a)
              && tarn_ip_addr_equal(&a, &leased));
    cr_assert(tarn_dhcp_option_addr(&out.m, TARN_DHCP_OPT_SERVER_ID, &a)
              && tarn_ip_addr_equal(&a, &server));
    cr_assert(tarn_ip_addr_equal(&out.m.ciaddr, &any), "table 5: not before it is bound");
    struct answer ack = ack_for(3600);
    answer(c, &out.m, &ack, TARN_SEC(2));
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_BOUND);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_NONE);
    const struct tarn_dhcp_lease *l = tarn_dhcp_client_lease(c);
    cr_assert(tarn_ip_addr_equal(&l->addr.addr, &leased) && l->addr.bits == 24);
    cr_assert_eq(l->expires, TARN_SEC(3601), "counted from when the request went out");
    cr_assert_eq(l->t2, TARN_SEC(1 + 3150));
    cr_assert(l->t1 <= TARN_SEC(1801) && l->t1 > TARN_SEC(1700));
}

Test(rfc2131_4_1, retransmission_backs_off_with_jitter) {
    start((struct tarn_dhcp_client_config){0});
    tarn_time last = 0;
    const unsigned want[] = {4, 8, 16, 32, 64, 64, 64};
    cr_assert(take_output(c, &out, 0));
    for (size_t i = 0; i < TARN_COUNT_OF(want); i++) {
        tarn_time at = next_tick();
        cr_assert(at - last >= TARN_SEC(want[i] - 1) && at - last <= TARN_SEC(want[i] + 1));
        cr_assert(take_output(c, &out, at) && out.m.type == TARN_DHCP_DISCOVER);
        last = at;
    }
    cr_assert_eq(out.m.secs, last / TARN_SEC(1));
}

Test(rfc2131_3_1, a_request_without_answer_starts_again) {
    start((struct tarn_dhcp_client_config){0});
    cr_assert(take_output(c, &out, 0));
    answer(c, &out.m, &OFFER, 0);
    int requests = 0;
    for (tarn_time now = 0; tarn_dhcp_client_state(c) == TARN_DHCP_REQUESTING;) {
        requests += take_output(c, &out, now);
        now = next_tick();
        cr_assert_lt(now, TARN_SEC(80));
    }
    cr_assert_eq(requests, 4);
    next_tick();
    cr_assert(take_output(c, &out, TARN_SEC(80)) && out.m.type == TARN_DHCP_DISCOVER);
}

Test(rfc2131_4_4_5, renews_rebinds_and_expires) {
    struct tarn_ip_addr all = ALL4, server = SERVER4, leased = LEASED;
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    tarn_time now = next_tick();
    cr_assert(take_output(c, &out, now) && out.m.type == TARN_DHCP_REQUEST);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_RENEWING);
    cr_assert(tarn_ip_addr_equal(&out.path.dst, &server), "RENEWING is unicast");
    cr_assert(tarn_ip_addr_equal(&out.path.src, &leased)
              && tarn_ip_addr_equal(&out.m.ciaddr, &leased));
    struct tarn_ip_addr none;
    cr_assert(!tarn_dhcp_option_addr(&out.m, TARN_DHCP_OPT_SERVER_ID, &none), "table 5: MUST NOT");
    cr_assert(!tarn_dhcp_option_addr(&out.m, TARN_DHCP_OPT_REQUESTED_ADDR, &none));
    tarn_time last = now;
    int renewals = 1, rebinds = 0;
    while (tarn_dhcp_client_state(c) != TARN_DHCP_SELECTING) {
        now = next_tick();
        cr_assert(take_output(c, &out, now));
        bool rebinding = tarn_dhcp_client_state(c) == TARN_DHCP_REBINDING;
        if (rebinding) {
            cr_assert(tarn_ip_addr_equal(&out.path.dst, &all), "REBINDING is broadcast");
            cr_assert_geq(now, TARN_SEC(3150));
        }
        if (now < TARN_SEC(3150 - 60))
            cr_assert_geq(now - last, TARN_SEC(60));
        renewals += tarn_dhcp_client_state(c) == TARN_DHCP_RENEWING;
        rebinds += rebinding;
        last = now;
    }
    cr_assert_eq(now, TARN_SEC(3600));
    cr_assert(renewals > 2 && renewals < 8 && rebinds > 1 && rebinds < 6);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_LOST);
    cr_assert_null(tarn_dhcp_client_lease(c));
}

Test(rfc2131_4_4_5, an_acknowledged_renewal_goes_on) {
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    tarn_time now = next_tick();
    cr_assert(take_output(c, &out, now));
    struct answer ack = ack_for(7200);
    ack.addr = TARN_IP_ADDR_V4(10, 0, 0, 51);
    answer(c, &out.m, &ack, now);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_RENEWING, "another address is no renewal");
    ack.addr = LEASED;
    answer(c, &out.m, &ack, now + 1);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_BOUND);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_RENEWED);
    cr_assert_eq(tarn_dhcp_client_lease(c)->expires, now + TARN_SEC(7200));
}

Test(lease_times, disorder_is_survived) {
    const struct {
        uint32_t lease, t1, t2, want_t2, want_end;
    } cases[] = {
        {1000, 400, 800, 800, 1000},
        {1000, 800, 400, 875, 1000},
        {1000, 400, 1000, 875, 1000},
        {1000, 0, 0, 875, 1000},
        {1000, 2000, 3000, 875, 1000},
        {1, 0, 0, 53, 60},
        {1000, UINT32_MAX, UINT32_MAX, 875, 1000},
        {UINT32_MAX - 1, 0, 0, UINT32_MAX - 1 - (UINT32_MAX - 1) / 8, UINT32_MAX - 1},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++) {
        start((struct tarn_dhcp_client_config){0});
        struct answer ack = ack_for(cases[i].lease);
        ack.t1 = cases[i].t1;
        ack.t2 = cases[i].t2;
        bind_at(0, ack);
        const struct tarn_dhcp_lease *l = tarn_dhcp_client_lease(c);
        cr_assert_eq(l->t2, TARN_SEC(cases[i].want_t2), "%zu", i);
        cr_assert_eq(l->expires, TARN_SEC(cases[i].want_end), "%zu", i);
        cr_assert(l->t1 > 0 && l->t1 < l->t2, "%zu", i);
        free(mem.mem);
    }
}

Test(lease_times, infinity_never_ends) {
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack_for(UINT32_MAX));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    cr_assert_eq(tarn_dhcp_client_deadline(c), TARN_NEVER);
    tarn_dhcp_client_tick(c, TARN_SEC(100000000));
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_BOUND);
}

Test(lease_times, a_loop_that_slept_through_it_starts_again) {
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    tarn_dhcp_client_tick(c, TARN_SEC(10000));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_LOST);
    cr_assert(take_output(c, &out, TARN_SEC(10000)) && out.m.type == TARN_DHCP_DISCOVER);
}

Test(rfc2131_3_2, init_reboot_asks_for_the_old_address) {
    struct tarn_ip_addr a, leased = LEASED;
    start((struct tarn_dhcp_client_config){.previous = LEASED});
    cr_assert(take_output(c, &out, 0) && out.m.type == TARN_DHCP_REQUEST);
    cr_assert(tarn_dhcp_option_addr(&out.m, TARN_DHCP_OPT_REQUESTED_ADDR, &a)
              && tarn_ip_addr_equal(&a, &leased));
    cr_assert(!tarn_dhcp_option_addr(&out.m, TARN_DHCP_OPT_SERVER_ID, &a));
    struct answer nak = {.type = TARN_DHCP_NAK, .server = SERVER4};
    answer(c, &out.m, &nak, 1);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_INIT);
    next_tick();
    cr_assert(take_output(c, &out, 1) && out.m.type == TARN_DHCP_DISCOVER);
}

Test(naks, a_server_that_always_refuses_is_asked_less_and_less) {
    struct answer nak = {.type = TARN_DHCP_NAK, .server = SERVER4};
    unsigned sent = 0;
    start((struct tarn_dhcp_client_config){0});
    for (tarn_time now = 0; now < TARN_SEC(600);) {
        while (take_output(c, &out, now)) {
            sent++;
            answer(c, &out.m, out.m.type == TARN_DHCP_DISCOVER ? &OFFER : &nak, now);
        }
        now = next_tick();
    }
    cr_assert_lt(sent, 40);
}

Test(naks, another_server_cannot_take_a_lease_away) {
    struct answer nak = {.type = TARN_DHCP_NAK, .server = OTHER_SERVER};
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    tarn_time now = next_tick();
    cr_assert(take_output(c, &out, now));
    answer(c, &out.m, &nak, now);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_RENEWING);
    nak.server = SERVER4;
    answer(c, &out.m, &nak, now);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_INIT);
}

Test(rfc5227, a_conflict_is_declined_and_waited_out) {
    struct tarn_ip_addr a, leased = LEASED;
    start((struct tarn_dhcp_client_config){.probe = true});
    bind_at(0, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_PROBING);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_PROBE);
    tarn_dhcp_client_conflict(c, TARN_SEC(3));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_NONE, "nothing had been configured");
    cr_assert(take_output(c, &out, TARN_SEC(3)) && out.m.type == TARN_DHCP_DECLINE);
    cr_assert(tarn_dhcp_option_addr(&out.m, TARN_DHCP_OPT_REQUESTED_ADDR, &a)
              && tarn_ip_addr_equal(&a, &leased));
    cr_assert_geq(tarn_dhcp_client_deadline(c), TARN_SEC(13));
    tarn_time now = next_tick();
    bind_at(now, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_PROBE);
    tarn_dhcp_client_confirm(c, now);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    tarn_dhcp_client_conflict(c, now + 1);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_LOST);
    cr_assert_eq(tarn_dhcp_client_stats(c)->conflicts, 2);
}

Test(rfc4039, two_messages_do_where_both_want_it) {
    struct answer ack = ack_for(3600);
    ack.more = TARN_SPAN_LIT("\x50\0");
    start((struct tarn_dhcp_client_config){.rapid_commit = true});
    cr_assert(take_output(c, &out, 0));
    struct answer plain = ack_for(3600);
    answer(c, &out.m, &plain, 0);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_SELECTING, "only with the option");
    answer(c, &out.m, &ack, 0);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_BOUND);
    start((struct tarn_dhcp_client_config){0});
    cr_assert(take_output(c, &out, 0));
    answer(c, &out.m, &ack, 0);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_SELECTING, "only if it was asked for");
}

Test(release, gives_the_address_back) {
    struct tarn_ip_addr server = SERVER4, leased = LEASED;
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    tarn_dhcp_client_release(c, 1);
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_LOST);
    cr_assert(take_output(c, &out, 1) && out.m.type == TARN_DHCP_RELEASE);
    cr_assert(tarn_ip_addr_equal(&out.path.dst, &server)
              && tarn_ip_addr_equal(&out.m.ciaddr, &leased));
    cr_assert_eq(tarn_dhcp_client_deadline(c), TARN_NEVER);
}

Test(checks, only_what_is_ours_and_usable_is_taken) {
    start((struct tarn_dhcp_client_config){0});
    cr_assert(take_output(c, &out, 0));
    const struct tarn_ip_addr bad_addrs[] = {ANY4,
                                             ALL4,
                                             TARN_IP_ADDR_V4(127, 0, 0, 1),
                                             TARN_IP_ADDR_V4(224, 0, 0, 1),
                                             TARN_IP_ADDR_V4(10, 0, 0, 255),
                                             TARN_IP_ADDR_V4(10, 0, 0, 0)};
    for (size_t i = 0; i < TARN_COUNT_OF(bad_addrs); i++) {
        struct answer a = OFFER;
        a.addr = bad_addrs[i];
        answer(c, &out.m, &a, 0);
    }
    struct answer holes = OFFER, no_lease = OFFER, not_ours = OFFER;
    holes.more = TARN_SPAN_LIT("\x01\x04\xff\0\xff\0");
    answer(c, &out.m, &holes, 0);
    no_lease.lease = 0;
    answer(c, &out.m, &no_lease, 0);
    not_ours.more = TARN_SPAN_LIT("\x3d\x03"
                                  "abc"); /* RFC 6842 */
    answer(c, &out.m, &not_ours, 0);
    struct tarn_dhcp_message m = out.m;
    m.xid ^= 1;
    answer(c, &m, &OFFER, 0);
    m = out.m;
    m.mac[0] ^= 1;
    answer(c, &m, &OFFER, 0);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_SELECTING);
    cr_assert_eq(tarn_dhcp_client_stats(c)->ignored, TARN_COUNT_OF(bad_addrs) + 5);
    answer(c, &out.m, &OFFER, 0);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_REQUESTING);
    cr_assert(take_output(c, &out, 0));
    struct answer other = ack_for(3600);
    other.server = OTHER_SERVER;
    answer(c, &out.m, &other, 0);
    cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_REQUESTING, "it was not asked");
}

Test(options, the_rest_of_the_lease_is_read) {
    struct answer ack = ack_for(3600);
    struct tarn_ip_addr dns = TARN_IP_ADDR_V4(9, 9, 9, 9), gw = SERVER4;
    ack.more = TARN_SPAN_LIT("\x01\x04\xff\xff\xff\0\x03\x04\x0a\0\0\x01"
                             "\x06\x08\x09\x09\x09\x09\x08\x08\x08\x08\x0f\x0c"
                             "example.com\0"
                             "\x1a\x02\x05\x78\x77\x0c\x03"
                             "eng\x02"
                             "de\0\x01x\xc0\x04");
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack);
    const struct tarn_dhcp_lease *l = tarn_dhcp_client_lease(c);
    cr_assert(l->dns_count == 2 && tarn_ip_addr_equal(&l->dns[0], &dns));
    cr_assert(tarn_ip_addr_equal(&l->gateway, &gw) && l->route_count == 0);
    cr_assert_str_eq(l->domain, "example.com");
    cr_assert_str_eq(l->search, "eng.de x.de");
    cr_assert_eq(l->mtu, 1400);
}

Test(rfc3442, routes_replace_the_router) {
    struct answer ack = ack_for(3600);
    ack.more = TARN_SPAN_LIT("\x01\x04\xff\xff\xff\0\x03\x04\x0a\0\0\x01\x79\x05\0\x0a\0\0\x09");
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack);
    const struct tarn_dhcp_lease *l = tarn_dhcp_client_lease(c);
    cr_assert(l->route_count == 1 && tarn_ip_addr_is_any(&l->gateway));
    cr_assert_eq(tarn_ip_addr_v4(&l->routes[0].gateway), 0x0a000009);
}

Test(options, what_would_end_in_a_shell_is_not_passed_on) {
    struct answer ack = ack_for(3600);
    ack.more = TARN_SPAN_LIT("\x0f\x08"
                             "x;reboot\x1a\x02\0\x44"); /* and an MTU of 68 */
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack);
    cr_assert_str_eq(tarn_dhcp_client_lease(c)->domain, "");
    cr_assert_eq(tarn_dhcp_client_lease(c)->mtu, 0);
}

Test(link_up, asks_whether_the_lease_still_holds) {
    start((struct tarn_dhcp_client_config){0});
    bind_at(0, ack_for(3600));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
    tarn_dhcp_client_link_up(c, TARN_SEC(5));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_LOST);
    tarn_dhcp_client_tick(c, TARN_SEC(5));
    cr_assert(take_output(c, &out, TARN_SEC(5)) && out.m.type == TARN_DHCP_REQUEST);
    struct answer ack = ack_for(3600);
    answer(c, &out.m, &ack, TARN_SEC(5));
    cr_assert_eq(tarn_dhcp_client_event(c), TARN_DHCP_CLIENT_BOUND);
}

/* URGENT/11: options longer than the buffers they were copied into, and an address that no host can
 * have, configured as it came. */
Test(published, cve_2019_12257_options_of_every_length) {
    static uint8_t options[2 + 255];
    for (unsigned code = 1; code < 255; code++) {
        start((struct tarn_dhcp_client_config){.probe = true});
        cr_assert(take_output(c, &out, 0));
        memset(options, 0xff, sizeof options);
        options[0] = (uint8_t)code;
        for (unsigned len = 0; len <= 255; len += 3) {
            struct answer a = OFFER;
            options[1] = (uint8_t)len;
            a.more = tarn_span_of(options, 2 + len);
            answer(c, &out.m, &a, 0);
            uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
            size_t n = write_answer(buf, sizeof buf, &out.m, &a);
            tarn_dhcp_client_input(c, tarn_span_of(buf, n - len / 2), 0);
        }
        free(mem.mem);
    }
}
Test(published, cve_2019_12264_addresses_that_no_host_can_have) {
    const struct tarn_ip_addr bad[] = {ANY4,
                                       ALL4,
                                       TARN_IP_ADDR_V4(127, 0, 0, 1),
                                       TARN_IP_ADDR_V4(224, 0, 0, 1),
                                       TARN_IP_ADDR_V4(240, 0, 0, 1),
                                       TARN_IP_ADDR_V4(0, 0, 0, 1)};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++) {
        struct answer a = OFFER;
        a.addr = bad[i];
        start((struct tarn_dhcp_client_config){0});
        cr_assert(take_output(c, &out, 0));
        answer(c, &out.m, &a, 0);
        cr_assert_eq(tarn_dhcp_client_state(c), TARN_DHCP_SELECTING);
        free(mem.mem);
    }
}
