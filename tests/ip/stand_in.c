/* SPDX-License-Identifier: ISC */
/* Standing in for other hosts: what comes for anybody's address, and speaking from it. */
#include <criterion/criterion.h>

#include "v6.h"

static struct world w;

static void begin(void) {
    world_init(&w, (struct tarn_ip_limits){0});
    cr_assert_eq(tarn_ip_stand_in(w.ip, 0, true), TARN_OK);
    cr_assert_eq(tarn_ip_stand_in(w.ip, 2, true), TARN_INVALID);
}

Test(stand_in, transports_get_what_is_for_anybody) {
    begin();
    in_v4(&w, &(struct v4){.src = PEER, .dst = FAR}, "12345678", 8);
    cr_assert_eq(w.got_count, 1);
    cr_assert_eq(tarn_ip_addr_v4(&w.meta[0].dst), FAR);
    cr_assert_eq(w.meta[0].cast, TARN_LINK_TO_US);
    /* In fragments too. */
    in_v4(&w, &(struct v4){.src = PEER, .dst = FAR, .id = 7, .frag = 0x2000}, "12345678", 8);
    in_v4(&w, &(struct v4){.src = PEER, .dst = FAR, .id = 7, .frag = 1}, "12345678", 8);
    cr_assert_eq(w.got_count, 2);
    cr_assert_eq(w.got[1]->len, 16);
    cr_assert(world_end(&w));
}

Test(stand_in, not_for_the_other_interface_nor_for_what_is_nobody) {
    static const uint32_t nobody[] = {US1, 0x7f000001, 0xe0000005, 0xa9fe0102};
    begin();
    for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
        in_v4(&w, &(struct v4){.src = PEER, .dst = nobody[i]}, "12345678", 8);
        cr_assert_eq(w.got_count, 0, "%zu", i);
    }
    /* On an interface where we do not, it is nobody's. */
    uint8_t buf[64];
    size_t n = v4_make(buf, &(struct v4){.src = 0xc0a80102, .dst = FAR}, "12345678", 8);
    tarn_ip_input(w.ip, 1, NULL, raw(&w, buf, n), w.now);
    cr_assert_eq(w.got_count, 0);
    /* Seen by accident: the link says that it was not for us. */
    struct tarn_link_meta all = {.cast = TARN_LINK_TO_ALL};
    n = v4_make(buf, &(struct v4){.src = PEER, .dst = FAR}, "12345678", 8);
    tarn_ip_input(w.ip, 0, &all, raw(&w, buf, n), w.now);
    cr_assert_eq(w.got_count, 0);
    cr_assert(world_end(&w));
}

static enum tarn_err speak(uint32_t src, uint32_t dst) {
    struct tarn_ip_meta meta = {.src = v4(src), .dst = v4(dst), .proto = TARN_IP_PROTO_UDP};
    return tarn_ip_lower(w.ip)->ops->send(tarn_ip_lower(w.ip), &meta, raw(&w, "x", 1), w.now);
}

Test(stand_in, transports_speak_from_any_unicast_address) {
    begin();
    cr_assert_eq(speak(FAR, PEER), TARN_OK);
    cr_assert_eq(w.link[0].count, 1);
    cr_assert_eq(get16(sent(&w, 0, 0) + 12), FAR >> 16);
    cr_assert_eq(speak(0xe0000005, PEER), TARN_INVALID);
    cr_assert_eq(speak(0x0a0000ff, PEER), TARN_INVALID);
    cr_assert_eq(speak(FAR, 0xc0a80102), TARN_INVALID, "by the other interface");
    cr_assert_eq(speak(FAR, US), TARN_INVALID, "to ourselves");
    cr_assert_eq(tarn_ip_stand_in(w.ip, 0, false), TARN_OK);
    cr_assert_eq(speak(FAR, PEER), TARN_INVALID);
    cr_assert(world_end(&w));
}

static void ping(uint32_t dst) {
    uint8_t echo[8] = {8, 0, 0, 0, 0, 1, 0, 1};
    put16(echo + 2, slow_csum(echo, 8));
    in_v4(&w, &(struct v4){.src = PEER, .dst = dst, .proto = 1}, echo, 8);
}

Test(stand_in, pings_are_answered_for_ourselves_only) {
    begin();
    ping(FAR);
    cr_assert_eq(w.link[0].count, 0);
    ping(US);
    cr_assert_eq(w.link[0].count, 1);
    cr_assert(world_end(&w));
}

Test(stand_in, icmp_errors_about_what_we_said_in_anothers_place_are_heard) {
    uint8_t error[8 + 28] = {3, 3};
    begin();
    (void)v4_make(error + 8, &(struct v4){.src = FAR, .dst = PEER}, "12345678", 8);
    put16(error + 2, slow_csum(error, sizeof error));
    in_v4(&w, &(struct v4){.src = PEER, .dst = FAR, .proto = 1}, error, sizeof error);
    cr_assert_eq(w.errors, 1);
    cr_assert_eq(tarn_ip_stand_in(w.ip, 0, false), TARN_OK);
    in_v4(&w, &(struct v4){.src = PEER, .dst = US, .proto = 1}, error, sizeof error);
    cr_assert_eq(w.errors, 1);
    cr_assert(world_end(&w));
}

Test(stand_in, ipv6_too) {
    world_init6(&w, (struct tarn_ip_limits){0});
    cr_assert_eq(tarn_ip_stand_in(w.ip, 0, true), TARN_OK);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = FAR6, .next = 17}, "12345678", 8);
    in_v6(&w, &(struct v6){.src = PEER6, .dst = "fe80::77", .next = 17}, "12345678", 8);
    cr_assert_eq(w.got_count, 1, "what is link-local is on the link itself");
    in_icmp6(&w, PEER6, FAR6, 64, 128, 0, "12345678", 8);
    cr_assert_eq(stats(&w).echo_replies, 0);
    in_icmp6(&w, PEER6, US6, 64, 128, 0, "12345678", 8);
    cr_assert_eq(stats(&w).echo_replies, 1);
    struct tarn_ip_meta meta = {.src = a6(FAR6), .dst = a6(PEER6), .proto = TARN_IP_PROTO_UDP};
    world_forget(&w);
    in_nd(&w, PEER6, US6, 135, 0, US6, 1, 2);
    answer(&w, PEER6, 2);
    world_forget(&w);
    cr_assert_eq(tarn_ip_lower(w.ip)->ops->send(tarn_ip_lower(w.ip), &meta, raw(&w, "x", 1), w.now),
                 TARN_OK);
    cr_assert_eq(w.link[0].count, 1);
    cr_assert(is_addr(sent(&w, 0, 0) + 8, FAR6));
    cr_assert(world_end(&w));
}
