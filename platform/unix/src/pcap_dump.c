/* SPDX-License-Identifier: ISC */
/* Writing captures, and the netif that has all its frames written. */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

struct unix_pcap_dump {
    pcap_t *format;
    pcap_dumper_t *file;
};

#define SNAP_BYTES 262144

struct unix_pcap_dump *unix_pcap_dump_open(const char *path) {
    struct unix_pcap_dump *dump = calloc(1, sizeof *dump);
    if (!dump)
        return NULL;
    dump->format =
        pcap_open_dead_with_tstamp_precision(DLT_EN10MB, SNAP_BYTES, PCAP_TSTAMP_PRECISION_NANO);
    dump->file = dump->format ? pcap_dump_open(dump->format, path) : NULL;
    if (!dump->file) {
        unix_say("capture cannot be written: %s",
                 dump->format ? pcap_geterr(dump->format) : "no memory");
        if (dump->format)
            pcap_close(dump->format);
        free(dump);
        return NULL;
    }
    return dump;
}

void unix_pcap_dump_put(struct unix_pcap_dump *dump, struct tarn_span frame) {
    uint64_t now = tarn_platform_wall_ns();
    struct pcap_pkthdr header = {
        .ts = {.tv_sec = (time_t)(now / TARN_SEC(1)), .tv_usec = (suseconds_t)(now % TARN_SEC(1))},
        .caplen = (bpf_u_int32)frame.len,
        .len = (bpf_u_int32)frame.len};
    pcap_dump((u_char *)dump->file, &header, frame.ptr);
}

void unix_pcap_dump_flush(struct unix_pcap_dump *dump) {
    pcap_dump_flush(dump->file);
}

/* -- a netif that is written down -----------------------------------------------------------------
 */

struct tee {
    struct tarn_netif netif;
    struct tarn_netif *below;
    struct unix_pcap_dump *dump;
    uint8_t scratch[UNIX_FRAME_MAX];
};

/* One at a time: what is taken is gone afterwards, and what is not must not be written down. */
static size_t tee_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct tee *tee = TARN_CONTAINER_OF(netif, struct tee, netif);
    size_t sent = 0;
    for (; sent < n; sent++) {
        struct tarn_span frame = unix_frame_linear(pkts[sent], tee->scratch);
        if (frame.ptr != tee->scratch) {
            memcpy(tee->scratch, frame.ptr, frame.len);
            frame.ptr = tee->scratch;
        }
        if (tarn_netif_send(tee->below, &pkts[sent], 1) == 0)
            break;
        unix_pcap_dump_put(tee->dump, frame);
    }
    unix_pcap_dump_flush(tee->dump);
    netif->stats = tee->below->stats;
    return sent;
}

static size_t tee_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct tee *tee = TARN_CONTAINER_OF(netif, struct tee, netif);
    size_t count = tarn_netif_recv(tee->below, pkts, n);
    for (size_t i = 0; i < count; i++)
        unix_pcap_dump_put(tee->dump, unix_frame_linear(pkts[i], tee->scratch));
    if (count > 0)
        unix_pcap_dump_flush(tee->dump);
    netif->stats = tee->below->stats;
    return count;
}

static const struct tarn_netif_ops tee_ops = {.send = tee_send, .recv = tee_recv};

enum tarn_err unix_pcap_tee_new(struct tarn_netif *below, struct unix_pcap_dump *dump,
                                struct tarn_netif **out) {
    struct tee *tee = calloc(1, sizeof *tee);
    if (!tee)
        return TARN_LIMIT;
    tee->netif = *below;
    tee->netif.ops = &tee_ops;
    tee->below = below;
    tee->dump = dump;
    *out = &tee->netif;
    return TARN_OK;
}
