/* SPDX-License-Identifier: ISC */
/* Datagram endpoints over the host's sockets, on loopback: what every one promises, and what is the
 * host's. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../udp/conformance.h"
#include "host.h"

/* The time of these tests is real, and nothing here waits for longer than this without an event. */
#define QUIET TARN_MS(2)
#define LOOPBACK4 TARN_IP_ADDR_V4(127, 0, 0, 1)
#define LOOPBACK6 ((struct tarn_ip_addr){{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}})

struct host_rig {
    struct datagram_rig rig;
    struct host_net net;
    struct tarn_tasks tasks;
};

static void rig_run(struct datagram_rig *rig) {
    struct host_rig *r = TARN_CONTAINER_OF(rig, struct host_rig, rig);
    struct tarn_ready ready;
    do {
        tarn_platform_yield(tarn_platform_now() + QUIET, &ready);
        while (tarn_tasks_run(&r->tasks))
            ready.devices = 1;
    } while (ready.devices);
}

static enum tarn_err rig_open(struct datagram_rig *rig, unsigned host,
                              const struct tarn_datagram_config *config,
                              struct tarn_datagram **out) {
    (void)host;
    return tarn_net_datagram(&TARN_CONTAINER_OF(rig, struct host_rig, rig)->net.net, config, out);
}

static unsigned rig_live(struct datagram_rig *rig) {
    return TARN_CONTAINER_OF(rig, struct host_rig, rig)->net.datagrams.live;
}

static bool has_v6(void) {
    struct tarn_endpoint loopback = {LOOPBACK6, 0};
    struct sockaddr_storage address;
    socklen_t len = host_sockaddr(&loopback, &address);
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0;
    close(fd);
    return has;
}

static void rig_init(struct host_rig *r, uint32_t datagrams_max) {
    static uint8_t memory[3 * 1024 * 1024];
    struct tarn_arena arena;
    *r = (struct host_rig){.rig = {.open = rig_open,
                                   .run = rig_run,
                                   .live = rig_live,
                                   .v4 = {LOOPBACK4, LOOPBACK4},
                                   .v6 = {LOOPBACK6, LOOPBACK6},
                                   .no_v6 = !has_v6()}};
    tarn_arena_init(&arena, TARN_BYTES_ARRAY(memory));
    tarn_tasks_init(&r->tasks);
    cr_assert_eq(host_net_init(&r->net, &arena.alloc, &r->tasks, 1, datagrams_max), TARN_OK);
}

ParameterizedTestParameters(host_datagram, conforms) {
    static size_t cases[64];
    for (size_t i = 0; i < datagram_case_count; i++)
        cases[i] = i;
    return cr_make_param_array(size_t, cases, datagram_case_count);
}
ParameterizedTest(size_t *index, host_datagram, conforms, .timeout = 60) {
    struct host_rig r;
    cr_log_info("%s", datagram_cases[*index].name);
    rig_init(&r, 4);
    datagram_cases[*index].run(&r.rig);
}

Test(host_datagram, endpoints_have_a_bound) {
    struct host_rig r;
    struct tarn_datagram *first, *second;
    struct tarn_datagram_config config = {.local.addr = LOOPBACK4};
    rig_init(&r, 1);
    cr_assert_eq(rig_open(&r.rig, 0, &config, &first), TARN_OK);
    cr_assert_eq(rig_open(&r.rig, 0, &config, &second), TARN_LIMIT);
    tarn_datagram_close(first);
    cr_assert_eq(rig_open(&r.rig, 0, &config, &second), TARN_OK);
}

Test(host_datagram, interfaces_have_no_numbers) {
    struct host_rig r;
    struct tarn_datagram *d;
    struct tarn_ip_addr group = TARN_IP_ADDR_V4(239, 1, 2, 3);
    struct tarn_datagram_config config = {.local.addr = LOOPBACK4, .iface = 1};
    rig_init(&r, 1);
    cr_assert_eq(rig_open(&r.rig, 0, &config, &d), TARN_UNSUPPORTED);
    config.iface = 0;
    cr_assert_eq(rig_open(&r.rig, 0, &config, &d), TARN_OK);
    cr_assert_eq(tarn_datagram_join(d, &group, 1, true), TARN_UNSUPPORTED);
    struct tarn_ip_addr no_group = LOOPBACK4;
    cr_assert_eq(tarn_datagram_join(d, &no_group, 0, true), TARN_INVALID);
}

Test(host_datagram, a_broadcast_needs_permission) {
    struct host_rig r;
    struct tarn_datagram *d;
    struct tarn_datagram_config config = {.local.addr = LOOPBACK4};
    struct tarn_datagram_info all = {.remote = {TARN_IP_ADDR_V4(127, 255, 255, 255), 9}};
    rig_init(&r, 1);
    cr_assert_eq(rig_open(&r.rig, 0, &config, &d), TARN_OK);
    cr_assert_eq(tarn_datagram_send(d, &all, TARN_SPAN_LIT("x")), TARN_INVALID);
    tarn_datagram_close(d);
    config.broadcast = true;
    cr_assert_eq(rig_open(&r.rig, 0, &config, &d), TARN_OK);
    cr_assert_eq(tarn_datagram_send(d, &all, TARN_SPAN_LIT("x")), TARN_OK);
}
