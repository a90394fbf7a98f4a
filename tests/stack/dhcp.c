/* SPDX-License-Identifier: ISC */
#include "wire.h"
#include <criterion/criterion.h>
#include <tarn/dhcp_server.h>

#define SERVER TARN_IP_ADDR_V4(10, 0, 0, 1)

/* A DHCP server on a stack's own datagrams. */
static struct {
    struct tarn_dhcp_server *server;
    struct host *host;
    tarn_time *now;
    bool silent;
} dhcpd;

static void serve(struct tarn_datagram *d, unsigned events) {
    uint8_t buf[TARN_DHCP_MESSAGE_BYTES_MAX];
    struct tarn_datagram_info info;
    struct tarn_bytes data;
    (void)events;
    while (tarn_datagram_peek(d, &data, &info) == TARN_OK) {
        struct tarn_writer w = TARN_WRITER_ARRAY(buf);
        struct tarn_dhcp_path path;
        if (!dhcpd.silent
            && tarn_dhcp_server_input(dhcpd.server, tarn_bytes_span(data), &w, &path, *dhcpd.now)) {
            struct tarn_datagram_info to = {.remote = {path.dst, path.dst_port},
                                            .local = {path.src, 0}};
            cr_assert(!tarn_datagram_send(d, &to, tarn_writer_span(&w)));
        }
        tarn_datagram_consume(d);
    }
}

static void serve_on(struct host *h, tarn_time *now) {
    struct tarn_dhcp_server_config config = {.alloc = &h->arena.alloc,
                                             .random = &h->random.random,
                                             .addr = {SERVER, 24},
                                             .first = TARN_IP_ADDR_V4(10, 0, 0, 50),
                                             .last = TARN_IP_ADDR_V4(10, 0, 0, 59),
                                             .gateway = SERVER,
                                             .lease_seconds = 600};
    struct tarn_datagram_config port = {.local = {TARN_IP_ADDR_V4(0, 0, 0, 0), 67},
                                        .broadcast = true};
    struct tarn_datagram *d;
    dhcpd.host = h;
    dhcpd.now = now;
    dhcpd.silent = false;
    cr_assert(!tarn_dhcp_server_new(&config, &dhcpd.server));
    cr_assert(!tarn_net_datagram(tarn_stack_net(h->stack), &port, &d));
    d->on_event = serve;
}

static struct host client, server;

static void start(bool probe, unsigned loss, uint64_t seed, tarn_time *now) {
    struct tarn_stack_config fixed = {.ipv4 = {SERVER, 24}};
    struct tarn_stack_config leased = {.ipv4_dhcp = true, .ipv4_probe = probe};
    *now = 0;
    host_init(&server, &client, 1, fixed, seed);
    host_init(&client, &server, 2, leased, seed);
    client.loss_percent = server.loss_percent = loss;
    serve_on(&server, now);
}

static void stop(void) {
    free(client.mem);
    free(server.mem);
}

static unsigned echoed;
static void note(struct tarn_datagram *d, unsigned events) {
    uint8_t buf[16];
    size_t n;
    (void)events;
    while (tarn_datagram_recv(d, TARN_BYTES_ARRAY(buf), &n, NULL) == TARN_OK)
        echoed++;
}

Test(dhcp, the_stack_gets_an_address_and_uses_it) {
    tarn_time now;
    struct tarn_datagram *d, *to;
    struct tarn_ip_addr leased = TARN_IP_ADDR_V4(10, 0, 0, 50);
    start(false, 0, 1, &now);
    cr_assert_null(tarn_stack_lease(client.stack));
    wire_run(&client, &server, &now, TARN_SEC(1));
    const struct tarn_dhcp_lease *l = tarn_stack_lease(client.stack);
    cr_assert_not_null(l);
    cr_assert(tarn_ip_addr_equal(&l->addr.addr, &leased));
    cr_assert_eq(tarn_ip_addr_state(tarn_stack_ip(client.stack), 0, &leased), TARN_IP_ADDR_READY);

    struct tarn_datagram_config at = {.local = {TARN_IP_ADDR_NONE, 7}};
    cr_assert(!tarn_net_datagram(tarn_stack_net(server.stack), &at, &d));
    d->on_event = note;
    at.local.port = 0;
    cr_assert(!tarn_net_datagram(tarn_stack_net(client.stack), &at, &to));
    cr_assert(!tarn_datagram_connect(to, &(struct tarn_endpoint){SERVER, 7}));
    echoed = 0;
    cr_assert(!tarn_datagram_send(to, NULL, TARN_SPAN_LIT("hello")));
    struct tarn_endpoint far = {TARN_IP_ADDR_V4(192, 0, 2, 1), 9};
    cr_assert(!tarn_datagram_connect(to, &far), "the default route is there");
    wire_run(&client, &server, &now, TARN_SEC(2));
    cr_assert_eq(echoed, 1);
    stop();
}

Test(udp, a_closed_port_refuses) {
    tarn_time now;
    struct tarn_datagram *d;
    struct tarn_datagram_config at = {.local = {TARN_IP_ADDR_NONE, 0}};
    start(false, 0, 1, &now);
    wire_run(&client, &server, &now, TARN_SEC(1));
    cr_assert(!tarn_net_datagram(tarn_stack_net(client.stack), &at, &d));
    cr_assert(!tarn_datagram_connect(d, &(struct tarn_endpoint){SERVER, 9}));
    cr_assert(!tarn_datagram_send(d, NULL, TARN_SPAN_LIT("anybody?")));
    wire_run(&client, &server, &now, TARN_SEC(2));
    cr_assert_eq(tarn_datagram_send(d, NULL, TARN_SPAN_LIT("?")), TARN_PEER);
    stop();
}

Test(dhcp, a_probed_address_comes_later) {
    tarn_time now;
    start(true, 0, 1, &now);
    wire_run(&client, &server, &now, TARN_MS(500));
    cr_assert_null(tarn_stack_lease(client.stack));
    wire_run(&client, &server, &now, TARN_SEC(12));
    cr_assert_not_null(tarn_stack_lease(client.stack));
    stop();
}

Test(dhcp, the_address_goes_when_the_server_does) {
    tarn_time now;
    struct tarn_ip_addr leased = TARN_IP_ADDR_V4(10, 0, 0, 50);
    start(false, 0, 1, &now);
    wire_run(&client, &server, &now, TARN_SEC(1));
    cr_assert_not_null(tarn_stack_lease(client.stack));
    wire_run(&client, &server, &now, TARN_SEC(3600));
    cr_assert_not_null(tarn_stack_lease(client.stack), "renewed");
    dhcpd.silent = true;
    wire_run(&client, &server, &now, TARN_SEC(4300));
    cr_assert_null(tarn_stack_lease(client.stack));
    cr_assert_eq(tarn_ip_addr_state(tarn_stack_ip(client.stack), 0, &leased), TARN_IP_ADDR_ABSENT);
    dhcpd.silent = false;
    wire_run(&client, &server, &now, TARN_SEC(4500));
    cr_assert_not_null(tarn_stack_lease(client.stack), "and comes again");
    stop();
}

Test(dhcp, loss_is_survived) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        tarn_time now;
        start(seed & 1, 30, seed, &now);
        wire_run(&client, &server, &now, TARN_SEC(400));
        cr_assert_not_null(tarn_stack_lease(client.stack), "seed %lu", (unsigned long)seed);
        stop();
    }
}
