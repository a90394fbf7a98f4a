/* SPDX-License-Identifier: ISC */
/* A network that happened already: frames come from a capture, and what is sent goes to another.
 *
 * Frames come as fast as they are taken, or with ",paced" as far apart as they were. A second after
 * the last one the process ends with status 0. */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#include "net.h"

#define LINGER TARN_SEC(1)

struct pcap_file {
    struct tarn_netif netif;
    struct unix_before_wait before_wait;
    struct tarn_pkt_pool *pkts;
    pcap_t *in;
    struct unix_pcap_dump *out; /* NULL: what is sent is thrown away */
    bool paced;
    struct pcap_pkthdr *header; /* the next frame, libpcap's memory */
    const u_char *data;
    bool has_next;
    uint64_t first_ns; /* the first frame's time in the capture ... */
    tarn_time start;   /* ... and the time that it came here */
    tarn_time end;     /* when the last one came; 0: not yet */
    uint8_t scratch[UNIX_FRAME_MAX];
};

static uint64_t frame_ns(const struct pcap_file *f) {
    return (uint64_t)f->header->ts.tv_sec * TARN_SEC(1) + (uint64_t)f->header->ts.tv_usec;
}

static void read_next(struct pcap_file *f) {
    int got = pcap_next_ex(f->in, &f->header, &f->data);
    f->has_next = got == 1;
    if (got == PCAP_ERROR)
        unix_say("capture: %s", pcap_geterr(f->in));
    if (!f->has_next)
        f->end = tarn_platform_now();
}

/* When the next frame comes. A capture whose times go back does not wait. */
static tarn_time next_at(const struct pcap_file *f) {
    uint64_t ns = f->paced ? frame_ns(f) : 0;
    return ns > f->first_ns ? f->start + (ns - f->first_ns) : 0;
}

static size_t file_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct pcap_file *f = TARN_CONTAINER_OF(netif, struct pcap_file, netif);
    size_t count = 0;
    while (count < n && f->has_next && next_at(f) <= tarn_platform_now()) {
        struct tarn_pkt *pkt = tarn_pkt_alloc(f->pkts, f->header->caplen);
        if (!pkt || !tarn_pkt_append(pkt, tarn_span_of(f->data, f->header->caplen))) {
            tarn_pkt_free(pkt);
            netif->stats.rx_drops++;
        } else {
            netif->stats.rx_pkts++;
            netif->stats.rx_bytes += pkt->len;
            pkts[count++] = pkt;
        }
        read_next(f);
    }
    netif->stats.rx_calls += count > 0;
    return count;
}

static size_t file_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct pcap_file *f = TARN_CONTAINER_OF(netif, struct pcap_file, netif);
    for (size_t i = 0; i < n; i++) {
        if (f->out)
            unix_pcap_dump_put(f->out, unix_frame_linear(pkts[i], f->scratch));
        netif->stats.tx_pkts++;
        netif->stats.tx_bytes += pkts[i]->len;
        tarn_pkt_free(pkts[i]);
    }
    if (f->out)
        unix_pcap_dump_flush(f->out);
    netif->stats.tx_calls += n > 0;
    return n;
}

static const struct tarn_netif_ops file_ops = {.send = file_send, .recv = file_recv};

static tarn_time before_wait(struct unix_before_wait *hook, uint64_t *ready) {
    struct pcap_file *f = TARN_CONTAINER_OF(hook, struct pcap_file, before_wait);
    tarn_time now = tarn_platform_now();
    if (!f->has_next) {
        if (now >= f->end + LINGER)
            tarn_platform_exit(0);
        return f->end + LINGER;
    }
    tarn_time at = next_at(f);
    if (at > now)
        return at;
    *ready |= (uint64_t)1 << f->netif.device;
    return 0;
}

static enum tarn_err refuse(const struct unix_net_request *r, const char *why) {
    unix_say("--net:%s=pcap:%s: %s", r->name, r->value, why);
    return TARN_IO;
}

/* "IN[,OUT[,paced]]", cut in place. */
static enum tarn_err open_files(const struct unix_net_request *r, char *text, struct pcap_file *f) {
    char error[PCAP_ERRBUF_SIZE];
    char *rest = text;
    const char *in = strsep(&rest, ","), *out = strsep(&rest, ",");
    if (rest && strcmp(rest, "paced") != 0)
        return refuse(r, "write it as IN.pcap, IN.pcap,OUT.pcap or IN.pcap,OUT.pcap,paced");
    f->paced = rest != NULL;
    f->in = pcap_open_offline_with_tstamp_precision(in, PCAP_TSTAMP_PRECISION_NANO, error);
    if (!f->in)
        return refuse(r, error);
    if (pcap_datalink(f->in) != DLT_EN10MB)
        return refuse(r, "not a capture of Ethernet frames");
    if (out && *out && !(f->out = unix_pcap_dump_open(out)))
        return TARN_IO;
    return TARN_OK;
}

enum tarn_err unix_pcap_file_new(const struct unix_net_request *r, struct tarn_netif **out) {
    struct pcap_file *f = calloc(1, sizeof *f);
    char *text = strdup(r->value);
    enum tarn_err err = f && text ? open_files(r, text, f) : refuse(r, "no memory");
    free(text);
    if (err) {
        if (f && f->in)
            pcap_close(f->in);
        free(f);
        return err;
    }
    f->netif = (struct tarn_netif){.ops = &file_ops,
                                   .mtu = 1500,
                                   .features = TARN_NETIF_TX_LINEAR,
                                   .device = unix_device_new()};
    memcpy(f->netif.mac, r->mac, sizeof r->mac);
    f->pkts = r->pkts;
    read_next(f);
    f->first_ns = f->has_next ? frame_ns(f) : 0;
    f->start = tarn_platform_now();
    f->before_wait.run = before_wait;
    unix_before_wait_add(&f->before_wait);
    *out = &f->netif;
    return TARN_OK;
}
