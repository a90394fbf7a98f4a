/* SPDX-License-Identifier: ISC */
#include "rig.h"
#include <criterion/criterion.h>

static struct memory mem;
static struct tarn_dhcp_server *s;
static uint8_t reply_bytes[TARN_DHCP_MESSAGE_BYTES_MAX];
static struct tarn_dhcp_message reply;
static struct tarn_dhcp_path path;

static void start(struct tarn_dhcp_server_config config) {
    memory_init(&mem, 1 << 18, 1);
    s = server_new(&mem, config);
}

/* Asks as the client with that number; `more` are raw options. */
static bool ask(uint8_t type, uint8_t who, uint32_t ciaddr, struct tarn_span more, tarn_time now) {
    uint8_t buf[600];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf), out = TARN_WRITER_ARRAY(reply_bytes);
    struct tarn_dhcp_message m = {.op = 1, .type = type, .mac = {2, 0, 0, 0, 0, who}};
    m.ciaddr = tarn_ip_addr_from_v4(ciaddr);
    tarn_dhcp_write_header(&w, &m);
    tarn_writer_span_put(&w, more);
    tarn_dhcp_write_end(&w);
    return tarn_dhcp_server_input(s, tarn_writer_span(&w), &out, &path, now)
           && tarn_dhcp_parse(tarn_writer_span(&out), &reply);
}

static uint8_t last_byte(void) {
    return reply.yiaddr.bytes[15];
}

#define OURS "\x36\x04\x0a\0\0\x01"
#define THEIRS "\x36\x04\x0a\0\0\x02"
#define ASK(n) "\x32\x04\x0a\0\0" n

static bool discover(uint8_t who, tarn_time now) {
    return ask(TARN_DHCP_DISCOVER, who, 0, TARN_SPAN_EMPTY, now) && reply.type == TARN_DHCP_OFFER;
}

Test(rfc2131_4_3_1, offers_what_is_free_and_keeps_it_for_the_client) {
    struct tarn_ip_addr all = ALL4;
    uint32_t lease;
    start((struct tarn_dhcp_server_config){.lease_seconds = 600});
    cr_assert(discover(1, 0) && last_byte() == 100);
    cr_assert(tarn_ip_addr_equal(&path.dst, &all) && path.dst_port == 68);
    cr_assert(discover(2, 0) && last_byte() == 101);
    cr_assert(discover(1, 1) && last_byte() == 100, "asking twice takes one address");
    cr_assert(ask(TARN_DHCP_REQUEST, 1, 0, TARN_SPAN_LIT(OURS ASK("\x64")), 1));
    cr_assert(reply.type == TARN_DHCP_ACK && last_byte() == 100);
    cr_assert(tarn_dhcp_option_u32(&reply, TARN_DHCP_OPT_LEASE_TIME, &lease) && lease == 600);
    cr_assert_eq(tarn_dhcp_server_in_use(s), 2);
    cr_assert(ask(TARN_DHCP_DISCOVER, 3, 0, TARN_SPAN_LIT(ASK("\x69")), 1) && last_byte() == 105,
              "a wish is granted where it is free");
    cr_assert(ask(TARN_DHCP_DISCOVER, 4, 0, TARN_SPAN_LIT(ASK("\x69")), 1) && last_byte() != 105);
}

Test(expiry, offers_and_leases_come_free_again) {
    start((struct tarn_dhcp_server_config){.lease_seconds = 600});
    cr_assert(discover(1, 0));
    cr_assert_eq(tarn_dhcp_server_deadline(s), TARN_SEC(120));
    tarn_dhcp_server_tick(s, TARN_SEC(120));
    cr_assert_eq(tarn_dhcp_server_in_use(s), 0);
    cr_assert(discover(1, TARN_SEC(130)) && last_byte() == 100, "its old one");
    cr_assert(ask(TARN_DHCP_REQUEST, 1, 0, TARN_SPAN_LIT(OURS ASK("\x64")), TARN_SEC(130)));
    cr_assert(discover(2, TARN_SEC(729)) && last_byte() == 101);
    cr_assert(ask(TARN_DHCP_REQUEST, 1, 0x0a000064, TARN_SPAN_EMPTY, TARN_SEC(729)), "renewed");
    cr_assert(reply.type == TARN_DHCP_ACK);
    cr_assert_eq(tarn_ip_addr_v4(&path.dst), 0x0a000064);
    tarn_dhcp_server_tick(s, TARN_SEC(1328));
    cr_assert_eq(tarn_dhcp_server_in_use(s), 1);
    tarn_dhcp_server_tick(s, TARN_SEC(1329));
    cr_assert_eq(tarn_dhcp_server_in_use(s), 0);
}

Test(exhaustion, is_counted_and_ends) {
    start((struct tarn_dhcp_server_config){0});
    for (uint8_t i = 0; i < 10; i++)
        cr_assert(discover(i, 0));
    cr_assert(!discover(77, 0));
    cr_assert_eq(tarn_dhcp_server_stats(s)->exhausted, 1);
    cr_assert(discover(77, TARN_SEC(121)));
}

Test(rfc2131_4_3_2, requests_are_granted_refused_or_left_to_others) {
    start((struct tarn_dhcp_server_config){0});
    cr_assert(discover(1, 0));
    cr_assert(!ask(TARN_DHCP_REQUEST, 1, 0, TARN_SPAN_LIT(THEIRS ASK("\x64")), 0));
    cr_assert_eq(tarn_dhcp_server_in_use(s), 0, "the offer it did not take is free");
    cr_assert(discover(1, 0) && discover(2, 0));
    cr_assert(ask(TARN_DHCP_REQUEST, 2, 0, TARN_SPAN_LIT(OURS ASK("\x64")), 0));
    cr_assert_eq(reply.type, TARN_DHCP_NAK, "another's address");
    cr_assert(!ask(TARN_DHCP_REQUEST, 9, 0, TARN_SPAN_LIT(ASK("\x68")), 0),
              "INIT-REBOOT of a stranger: silence");
    cr_assert(ask(TARN_DHCP_REQUEST, 9, 0, TARN_SPAN_LIT("\x32\x04\xc0\xa8\0\x01"), 0)
                  && reply.type == TARN_DHCP_NAK,
              "on the wrong network");
    cr_assert(ask(TARN_DHCP_REQUEST, 9, 0, TARN_SPAN_LIT(OURS "\x32\x04\x0a\0\0\x01"), 0)
                  && reply.type == TARN_DHCP_NAK,
              "the server's own");
}

Test(authoritative, a_restarted_server_knows_its_clients_again) {
    start((struct tarn_dhcp_server_config){.authoritative = true});
    cr_assert(ask(TARN_DHCP_REQUEST, 9, 0x0a000068, TARN_SPAN_EMPTY, 0));
    cr_assert(reply.type == TARN_DHCP_ACK && last_byte() == 0x68);
    cr_assert(ask(TARN_DHCP_REQUEST, 8, 0x0a000068, TARN_SPAN_EMPTY, 0));
    cr_assert_eq(reply.type, TARN_DHCP_NAK);
}

Test(authoritative, a_client_that_moves_leaves_its_old_address) {
    start((struct tarn_dhcp_server_config){.authoritative = true});
    cr_assert(ask(TARN_DHCP_REQUEST, 9, 0x0a000068, TARN_SPAN_EMPTY, 0));
    cr_assert(ask(TARN_DHCP_REQUEST, 9, 0x0a000069, TARN_SPAN_EMPTY, 0));
    cr_assert(reply.type == TARN_DHCP_ACK && last_byte() == 0x69);
    cr_assert_eq(tarn_dhcp_server_in_use(s), 1);
    cr_assert(ask(TARN_DHCP_REQUEST, 8, 0x0a000068, TARN_SPAN_EMPTY, 0));
    cr_assert_eq(reply.type, TARN_DHCP_ACK, "another may have it");
}

Test(decline, leaves_the_address_alone) {
    start((struct tarn_dhcp_server_config){0});
    cr_assert(discover(1, 0) && last_byte() == 100);
    cr_assert(!ask(TARN_DHCP_DECLINE, 2, 0, TARN_SPAN_LIT(OURS ASK("\x64")), 0));
    cr_assert_eq(tarn_dhcp_server_stats(s)->declined, 0, "only by whom it was given to");
    cr_assert(!ask(TARN_DHCP_DECLINE, 1, 0, TARN_SPAN_LIT(OURS ASK("\x64")), 0));
    cr_assert_eq(tarn_dhcp_server_stats(s)->declined, 1);
    cr_assert(discover(1, 1) && last_byte() == 101);
    tarn_dhcp_server_tick(s, TARN_SEC(3601));
    cr_assert_eq(tarn_dhcp_server_in_use(s), 0);
}

Test(release, frees_the_clients_own) {
    start((struct tarn_dhcp_server_config){0});
    cr_assert(discover(1, 0));
    cr_assert(!ask(TARN_DHCP_RELEASE, 2, 0x0a000064, TARN_SPAN_LIT(OURS), 0));
    cr_assert_eq(tarn_dhcp_server_in_use(s), 1);
    cr_assert(!ask(TARN_DHCP_RELEASE, 1, 0x0a000064, TARN_SPAN_LIT(OURS), 0));
    cr_assert_eq(tarn_dhcp_server_in_use(s), 0);
}

Test(inform, is_answered_without_a_lease) {
    uint32_t v;
    start((struct tarn_dhcp_server_config){.gateway = SERVER4, .mtu = 1400});
    cr_assert(ask(TARN_DHCP_INFORM, 1, 0x0a000005, TARN_SPAN_EMPTY, 0));
    cr_assert(reply.type == TARN_DHCP_ACK && tarn_ip_addr_is_any(&reply.yiaddr));
    cr_assert(!tarn_dhcp_option_u32(&reply, TARN_DHCP_OPT_LEASE_TIME, &v));
    cr_assert(tarn_dhcp_option_u32(&reply, TARN_DHCP_OPT_SUBNET_MASK, &v) && v == 0xffffff00);
    cr_assert_eq(tarn_dhcp_server_in_use(s), 0);
}

Test(config, ranges_are_checked) {
    struct tarn_dhcp_server_config c = {.addr = {SERVER4, 24}};
    memory_init(&mem, 1 << 16, 1);
    c.alloc = &mem.arena.alloc;
    c.random = &mem.random.random;
    c.first = TARN_IP_ADDR_V4(10, 0, 0, 9);
    c.last = TARN_IP_ADDR_V4(10, 0, 0, 8);
    cr_assert_eq(tarn_dhcp_server_new(&c, &s), TARN_INVALID);
    c.last = TARN_IP_ADDR_V4(10, 0, 1, 8);
    cr_assert_eq(tarn_dhcp_server_new(&c, &s), TARN_INVALID);
}

Test(server, the_range_nobody_named_is_the_upper_half) {
    struct tarn_ip_prefix net = {TARN_IP_ADDR_V4(10, 0, 2, 2), 24};
    struct tarn_ip_addr first, last;
    cr_assert_eq(tarn_dhcp_server_range(&net, &first, &last), TARN_OK);
    cr_assert_eq(tarn_ip_addr_v4(&first), 0x0a00027f);
    cr_assert_eq(tarn_ip_addr_v4(&last), 0x0a0002fe, "not the broadcast address");
    net.bits = 8;
    cr_assert_eq(tarn_dhcp_server_range(&net, &first, &last), TARN_OK);
    cr_assert_eq(tarn_ip_addr_v4(&last) - tarn_ip_addr_v4(&first), 1023);
    net.bits = 30;
    cr_assert_eq(tarn_dhcp_server_range(&net, &first, &last), TARN_INVALID);
    net.bits = 7;
    cr_assert_eq(tarn_dhcp_server_range(&net, &first, &last), TARN_INVALID);
    net = (struct tarn_ip_prefix){TARN_IP_ADDR_NONE, 24};
    cr_assert_eq(tarn_dhcp_server_range(&net, &first, &last), TARN_INVALID);
}
