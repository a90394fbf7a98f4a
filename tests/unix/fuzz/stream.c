/* SPDX-License-Identifier: ISC */
/* A peer of the stream of frames, which sends anything in any pieces and reads or does not. What
 * arrives is compared with the frames that a plain reading of all its bytes has.
 *
 * Steps of one byte: two bits what, six bits how much: 0: send so many of the bytes that follow; 1:
 * send a 16-bit number of equal bytes; 2: receive so many frames; 3: send the peer a frame of a
 * 16-bit length, and let it read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAME_MAX = 65550, SENT_MAX = 1 << 20 };

static struct tarn_arena arena;
static struct tarn_pkt_pool pkts;
static struct tarn_netif *netif;
static char path[64], value[80];
static uint8_t told[SENT_MAX]; /* what the peer has got rid of ... */
static size_t told_bytes, at;  /* ... and how far it has been compared */
static bool over;              /* it has named a length that no frame has */

static void must(bool good) {
    if (!good)
        abort();
}

static void forget_path(void) {
    unlink(path);
}

static void begin_once(void) {
    const struct tarn_pkt_pool_config config = {.count = {8, 16, 4}};
    const size_t bytes = 2u << 20;
    if (netif)
        return;
    tarn_arena_init(&arena, tarn_bytes_of(calloc(1, bytes), bytes));
    snprintf(path, sizeof path, "/tmp/tarn-fuzz-stream-%d", getpid());
    snprintf(value, sizeof value, "unix:%s", path);
    atexit(forget_path);
    unix_options.net[unix_options.net_count++] = (struct unix_attach){"service", value};
    must(!tarn_pkt_pool_init(&pkts, &arena.alloc, &config));
    must(!tarn_platform_netif("service", &pkts, &netif));
}

static void wait_once(void) {
    struct tarn_ready ready;
    tarn_platform_yield(0, &ready);
}

static int dial(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strcpy(to.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

static void tell(int fd, const void *bytes, size_t n) {
    n = TARN_MIN(n, (size_t)SENT_MAX - told_bytes);
    ssize_t done = n ? send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    if (done > 0) {
        memcpy(told + told_bytes, bytes, (size_t)done);
        told_bytes += (size_t)done;
    }
}

/* The next frame as the peer meant it; what had no memory here was lost. */
static bool expected(size_t *begin, uint32_t *len) {
    struct tarn_span s = tarn_span_of(told + at, told_bytes - at);
    if (over || !tarn_span_u32be(&s, len))
        return false;
    over = *len > FRAME_MAX;
    *begin = at + 4;
    if (over || s.len < *len)
        return false;
    at += 4 + *len;
    return true;
}

static void receive(size_t n) {
    struct tarn_pkt *got[64];
    uint64_t lost = netif->stats.rx_drops;
    uint32_t len = 0;
    size_t begin = 0;
    wait_once();
    n = tarn_netif_recv(netif, got, n);
    lost = netif->stats.rx_drops - lost;
    for (size_t i = 0; i < n; i++) {
        static uint8_t bytes[FRAME_MAX];
        bool same = false;
        must(got[i]->len <= FRAME_MAX && tarn_pkt_read(got[i], 0, bytes, got[i]->len));
        for (; !same && expected(&begin, &len); lost -= !same) {
            same = len == got[i]->len && memcmp(told + begin, bytes, len) == 0;
            must(same || lost > 0);
        }
        must(same);
        tarn_pkt_free(got[i]);
    }
    for (; lost > 0; lost--)
        must(expected(&begin, &len));
}

static void answer(int fd, size_t len) {
    static uint8_t read_by_peer[1 << 17];
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, len);
    if (!pkt)
        return;
    memset(tarn_pkt_tailroom(pkt).ptr, 1, len);
    tarn_pkt_grow(pkt, len);
    if (tarn_netif_send(netif, &pkt, 1) == 0)
        tarn_pkt_free(pkt);
    if (len & 1)
        (void)!recv(fd, read_by_peer, sizeof read_by_peer, MSG_DONTWAIT);
    wait_once();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span in = tarn_span_of(data, size), bytes;
    uint8_t step;
    begin_once();
    told_bytes = at = 0;
    over = false;
    int fd = dial();
    wait_once();
    while (tarn_span_u8(&in, &step)) {
        uint16_t n = 0;
        if ((step & 3) % 2 == 1 && !tarn_span_u16be(&in, &n))
            break;
        static uint8_t fill[UINT16_MAX];
        switch (step & 3) {
        case 0:
            must(tarn_span_take(&in, TARN_MIN((size_t)(step >> 2) + 1, in.len), &bytes));
            tell(fd, bytes.ptr, bytes.len);
            break;
        case 1: tell(fd, memset(fill, step, n), n); break;
        case 2: receive((step >> 2) + 1u); break;
        default: answer(fd, n); break;
        }
    }
    for (int i = 0; i < 20; i++)
        receive(64);
    close(fd);
    for (int i = 0; i < 20; i++)
        receive(64);
    size_t begin;
    uint32_t len;
    must(!expected(&begin, &len)); /* all that was whole has come */
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++)
        must(pkts.pools[class].live == 0);
    return 0;
}
