/* SPDX-License-Identifier: ISC */
/* Frames over a Unix socket, and a peer that sends them in whatever pieces. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"

static struct tarn_pkt_pool pkts;
static struct tarn_netif *netif;
static char path[64], value[80];

static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a;
    void *p = aligned_alloc(align < 16 ? 16 : align, (bytes + 63) & ~(size_t)63);
    return p ? memset(p, 0, bytes) : NULL;
}
static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops heap_ops = {heap_get, heap_put};
static struct tarn_alloc heap = {&heap_ops};

static void begin(void) {
    const struct tarn_pkt_pool_config config = {.count = {64, 600, 16}};
    snprintf(path, sizeof path, "/tmp/tarn-stream-%d", getpid());
    snprintf(value, sizeof value, "unix:%s", path);
    cr_assert_eq(tarn_pkt_pool_init(&pkts, &heap, &config), TARN_OK);
    unix_options.net[unix_options.net_count++] = (struct unix_attach){"service", value};
    cr_assert_eq(tarn_platform_netif("service", &pkts, &netif), TARN_OK);
}

static void end(void) {
    cr_assert_eq(pkts.pools[TARN_PKT_FRAME].live + pkts.pools[TARN_PKT_SUPER].live, 0);
    unlink(path);
}

static int dial(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* A peer is let in by one wait, and what it has sent is seen by the next. */
static void wait_a_little(void) {
    struct tarn_ready ready;
    for (int i = 0; i < 3; i++)
        tarn_platform_yield(tarn_platform_now() + TARN_MS(10), &ready);
}

static struct tarn_pkt *receive(void) {
    struct tarn_pkt *pkt;
    for (int i = 0; i < 100; i++) {
        if (tarn_netif_recv(netif, &pkt, 1) == 1)
            return pkt;
        wait_a_little();
    }
    cr_assert_fail("no frame came");
    return NULL;
}

static struct tarn_pkt *frame_of(size_t len, uint8_t byte) {
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, len);
    cr_assert(pkt);
    memset(tarn_pkt_tailroom(pkt).ptr, byte, len);
    tarn_pkt_grow(pkt, len);
    return pkt;
}

static void write_all(int fd, const void *bytes, size_t n) {
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
}

Test(stream, frames_are_put_together_from_whatever_pieces) {
    uint8_t wire[4 + 100 + 4 + 60];
    memset(wire, 7, sizeof wire);
    memcpy(wire, "\0\0\0\x64", 4);
    memcpy(wire + 104, "\0\0\0\x3c", 4);
    begin();
    int fd = dial();
    struct tarn_pkt *none;
    for (size_t i = 0; i < 103; i++) {
        write_all(fd, wire + i, 1);
        cr_assert_eq(tarn_netif_recv(netif, &none, 1), 0u);
    }
    write_all(fd, wire + 103, sizeof wire - 103);
    struct tarn_pkt *a = receive(), *b = receive();
    cr_assert_eq(a->len, 100);
    cr_assert_eq(b->len, 60);
    cr_assert_eq(tarn_pkt_head(b).ptr[59], 7);
    tarn_pkt_free(a);
    tarn_pkt_free(b);
    close(fd);
    end();
}

Test(stream, sent_frames_have_their_length_in_front) {
    uint8_t got[200];
    begin();
    struct tarn_pkt *pkt = frame_of(60, 1);
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1u, "taken, and lost: nobody is there");
    cr_assert_eq(netif->stats.tx_drops, 1);
    int fd = dial();
    wait_a_little();
    struct tarn_pkt *two[] = {frame_of(60, 2), frame_of(64, 3)};
    cr_assert_eq(tarn_netif_send(netif, two, 2), 2u);
    cr_assert_eq(read(fd, got, sizeof got), 132, "in one system call");
    cr_assert_eq(memcmp(got, "\0\0\0\x3c\2", 5), 0);
    cr_assert_eq(memcmp(got + 64, "\0\0\0\x40\3", 5), 0);
    close(fd);
    end();
}

Test(stream, a_peer_that_does_not_read_makes_the_device_full) {
    static uint8_t got[1 << 20];
    begin();
    int fd = dial();
    wait_a_little();
    size_t sent = 0, received = 0;
    struct tarn_pkt *pkt = frame_of(1500, 0);
    while (tarn_netif_send(netif, &pkt, 1) == 1) {
        cr_assert_lt(++sent, 10000u);
        pkt = frame_of(1500, (uint8_t)sent);
    }
    for (int i = 0; i < 20 && received < sent * 1504; i++) {
        ssize_t n = recv(fd, got + received, sizeof got - received, MSG_DONTWAIT);
        received += n > 0 ? (size_t)n : 0;
        wait_a_little();
    }
    cr_assert_eq(received, sent * 1504, "%zu of %zu", received, sent * 1504);
    for (size_t i = 0; i < sent; i++)
        cr_assert(memcmp(got + i * 1504, "\0\0\5\xdc", 4) == 0 && got[i * 1504 + 4] == (uint8_t)i
                  && got[i * 1504 + 1503] == (uint8_t)i);
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1u, "room again");
    close(fd);
    end();
}

Test(stream, the_next_peer_comes_when_the_first_has_gone) {
    begin();
    int first = dial(), second = dial();
    write_all(first, "\0\0\0\x02", 4); /* half a frame: not the beginning of the second's */
    write_all(second, "\0\0\0\x01x", 5);
    wait_a_little();
    struct tarn_pkt *pkt;
    cr_assert_eq(tarn_netif_recv(netif, &pkt, 1), 0u);
    close(first);
    pkt = receive();
    cr_assert_eq(pkt->len, 1);
    tarn_pkt_free(pkt);
    close(second);
    end();
}

Test(stream, a_length_that_no_frame_has_ends_the_connection) {
    char byte;
    begin();
    int fd = dial();
    write_all(fd, "\0\1\0\x0f", 4);
    wait_a_little();
    struct tarn_pkt *pkt;
    cr_assert_eq(tarn_netif_recv(netif, &pkt, 1), 0u);
    cr_assert_eq(read(fd, &byte, 1), 0, "hung up");
    close(fd);
    end();
}

Test(stream, where_somebody_listens_is_left_alone_and_what_is_left_behind_is_not) {
    struct tarn_netif *again;
    struct stat st;
    begin();
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert_eq(st.st_mode & 0177, 0, "only its user connects");
    unix_options.net[unix_options.net_count++] = (struct unix_attach){"other", value};
    cr_assert_eq(tarn_platform_netif("other", &pkts, &again), TARN_IO);
    char stale[80], stale_value[100];
    snprintf(stale, sizeof stale, "%s-stale", path);
    snprintf(stale_value, sizeof stale_value, "unix:%s", stale);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(at.sun_path, stale);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    close(fd);
    unix_options.net[unix_options.net_count++] = (struct unix_attach){"third", stale_value};
    cr_assert_eq(tarn_platform_netif("third", &pkts, &again), TARN_OK);
    unlink(stale);
    end();
}
