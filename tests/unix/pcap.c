/* SPDX-License-Identifier: ISC */
/* Captures as a network, and of a network. */
#include <criterion/criterion.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "captures.h"
#include "net.h"

static struct tarn_pkt_pool pkts;

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

static char in_path[128], out_path[128], tee_path[128], value[288];

static void remove_files(void) {
    capture_done(in_path);
    capture_done(out_path);
    capture_done(tee_path);
}

/* For experiments (IEEE 802): a frame with it is a good one, whatever is inside. */
static const uint8_t local_type[2] = {0x88, 0xb5};

/* A capture of `count` frames; frame i has 60 + i bytes of value i, and comes i * gap after the
 * first. */
static void write_capture(const char *path, unsigned count, tarn_time gap) {
    pcap_t *format =
        pcap_open_dead_with_tstamp_precision(DLT_EN10MB, 65535, PCAP_TSTAMP_PRECISION_NANO);
    pcap_dumper_t *file = pcap_dump_open(format, path);
    uint8_t frame[256];
    cr_assert_not_null(file);
    for (unsigned i = 0; i < count; i++) {
        struct pcap_pkthdr header = {
            .ts = {(time_t)1000, (suseconds_t)(i * gap)}, .caplen = 60 + i, .len = 60 + i};
        memset(frame, (int)i, sizeof frame);
        memcpy(frame + 12, local_type, 2);
        pcap_dump((u_char *)file, &header, frame);
    }
    pcap_dump_close(file);
    pcap_close(format);
}

/* The frames of a capture: "60:0 61:1 " for lengths and first bytes. */
static void read_capture(const char *path, char *out) {
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_pkthdr *header;
    const u_char *data;
    pcap_t *file = pcap_open_offline(path, error);
    cr_assert_not_null(file, "%s", error);
    *out = '\0';
    while (pcap_next_ex(file, &header, &data) == 1)
        sprintf(out + strlen(out), "%u:%u ", header->caplen, data[0]);
    pcap_close(file);
}

static struct tarn_netif *open_netif(unsigned count, tarn_time gap, const char *more) {
    const struct tarn_pkt_pool_config config = {.count = {16, 16, 4}};
    struct tarn_netif *netif;
    capture_path(in_path, sizeof in_path, "in");
    capture_path(out_path, sizeof out_path, "out");
    capture_path(tee_path, sizeof tee_path, "tee");
    atexit(remove_files);
    write_capture(in_path, count, gap);
    snprintf(value, sizeof value, "pcap:%s,%s%s", in_path, out_path, more);
    cr_assert_eq(tarn_pkt_pool_init(&pkts, &heap, &config), TARN_OK);
    unix_options.net[unix_options.net_count++] = (struct unix_attach){"service", value};
    cr_assert_eq(tarn_platform_netif("service", &pkts, &netif), TARN_OK);
    return netif;
}

static size_t receive(struct tarn_netif *netif, char *out) {
    struct tarn_pkt *got[8];
    size_t n = tarn_netif_recv(netif, got, 8);
    for (size_t i = 0; i < n; i++) {
        sprintf(out + strlen(out), "%u:%u ", got[i]->len, tarn_pkt_head(got[i]).ptr[0]);
        tarn_pkt_free(got[i]);
    }
    return n;
}

static void send_split(struct tarn_netif *netif, unsigned len, uint8_t fill) {
    static uint8_t lent[128];
    struct tarn_pkt *pkt = tarn_pkt_alloc(&pkts, 64);
    memset(lent, fill, sizeof lent);
    cr_assert(tarn_pkt_append(pkt, tarn_span_of(lent, 12)));
    cr_assert(tarn_pkt_append(pkt, TARN_SPAN_ARRAY(local_type)));
    cr_assert(tarn_pkt_lend(pkt, tarn_span_of(lent, len - 14), NULL));
    cr_assert_eq(tarn_netif_send(netif, &pkt, 1), 1u);
}

Test(pcap, frames_come_from_one_capture_and_go_to_another) {
    char text[512] = "";
    struct tarn_netif *netif = open_netif(10, TARN_MS(1), "");
    struct tarn_ready ready;
    tarn_platform_yield(TARN_NEVER, &ready);
    cr_assert_eq(ready.devices, (uint64_t)1 << netif->device);
    cr_assert_eq(receive(netif, text), 8u, "as fast as they are taken");
    tarn_platform_yield(TARN_NEVER, &ready);
    cr_assert_eq(ready.devices, (uint64_t)1 << netif->device, "the rest waits");
    cr_assert_eq(receive(netif, text), 2u);
    cr_assert_str_eq(text, "60:0 61:1 62:2 63:3 64:4 65:5 66:6 67:7 68:8 69:9 ");
    cr_assert_eq(receive(netif, text), 0u);
    send_split(netif, 70, 7);
    send_split(netif, 80, 8);
    read_capture(out_path, text);
    cr_assert_str_eq(text, "70:7 80:8 ");
    cr_assert_eq(netif->stats.rx_pkts, 10u);
    cr_assert_eq(netif->stats.tx_bytes, 150u);
}

Test(pcap, paced_frames_keep_their_distance) {
    char text[512] = "";
    struct tarn_netif *netif = open_netif(3, TARN_MS(5), ",paced");
    struct tarn_ready ready;
    tarn_time start = tarn_platform_now(), at[3];
    for (unsigned i = 0; i < 3;) {
        tarn_platform_yield(TARN_NEVER, &ready);
        if (receive(netif, text))
            at[i++] = tarn_platform_now() - start;
    }
    cr_assert(at[1] - at[0] >= TARN_MS(4) && at[2] - at[0] >= TARN_MS(9));
    cr_assert_str_eq(text, "60:0 61:1 62:2 ");
}

Test(pcap, after_the_last_frame_the_process_ends_well, .exit_code = 0, .timeout = 10) {
    char text[512] = "";
    struct tarn_netif *netif = open_netif(1, 0, "");
    struct tarn_ready ready;
    for (;;) {
        tarn_platform_yield(TARN_NEVER, &ready);
        receive(netif, text);
    }
}

Test(pcap, every_frame_of_a_device_can_be_captured) {
    char text[512] = "";
    struct tarn_ready ready;
    capture_path(tee_path, sizeof tee_path, "tee");
    unix_options.pcap = tee_path;
    struct tarn_netif *netif = open_netif(2, 0, "");
    tarn_platform_yield(TARN_NEVER, &ready);
    cr_assert_eq(receive(netif, text), 2u);
    send_split(netif, 70, 7);
    read_capture(tee_path, text);
    cr_assert_str_eq(text, "60:0 61:1 70:7 ");
    read_capture(out_path, text);
    cr_assert_str_eq(text, "70:7 ", "and still goes where it would have gone");
    cr_assert_eq(netif->stats.tx_pkts, 1u);
}
