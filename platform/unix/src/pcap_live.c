/* SPDX-License-Identifier: ISC */
/* The program as one more station on a network of the host's, through libpcap: a frame each way is
 * a copy, and nothing is offloaded. For machines where no tap can be made. */
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "net.h"

struct pcap_live {
    struct tarn_netif netif;
    struct unix_watch watch;
    struct tarn_pkt_pool *pkts;
    pcap_t *pcap;
    uint8_t scratch[UNIX_FRAME_MAX];
};

static size_t live_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct pcap_live *live = TARN_CONTAINER_OF(netif, struct pcap_live, netif);
    for (size_t i = 0; i < n; i++) {
        struct tarn_span frame = unix_frame_linear(pkts[i], live->scratch);
        if (pcap_inject(live->pcap, frame.ptr, frame.len) < 0) {
            netif->stats.tx_drops++;
        } else {
            netif->stats.tx_pkts++;
            netif->stats.tx_bytes += frame.len;
        }
        tarn_pkt_free(pkts[i]);
    }
    netif->stats.tx_calls += n > 0;
    return n;
}

static size_t live_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct pcap_live *live = TARN_CONTAINER_OF(netif, struct pcap_live, netif);
    struct pcap_pkthdr *header;
    const u_char *data;
    size_t count = 0;
    while (count < n && pcap_next_ex(live->pcap, &header, &data) == 1) {
        struct tarn_pkt *pkt =
            header->caplen == header->len ? tarn_pkt_alloc(live->pkts, header->caplen) : NULL;
        if (!pkt) {
            netif->stats.rx_drops++;
            continue;
        }
        TARN_ASSERT(tarn_pkt_append(pkt, tarn_span_of(data, header->caplen)));
        netif->stats.rx_pkts++;
        netif->stats.rx_bytes += pkt->len;
        pkts[count++] = pkt;
    }
    netif->stats.rx_calls += count > 0;
    return count;
}

static const struct tarn_netif_ops live_ops = {.send = live_send, .recv = live_recv};

static uint64_t live_ready(struct unix_watch *watch, uint32_t events) {
    (void)events;
    return (uint64_t)1 << TARN_CONTAINER_OF(watch, struct pcap_live, watch)->netif.device;
}

static enum tarn_err refuse(const struct unix_net_request *r, const char *why, const char *more) {
    unix_say("--net:%s=live:%s: %s%s", r->name, r->value, why, more);
    return TARN_IO;
}

/* Frames for an address that is not the interface's, each at once, and none of our own. */
static enum tarn_err configure(const struct unix_net_request *r, pcap_t *pcap) {
    char error[PCAP_ERRBUF_SIZE];
    pcap_set_snaplen(pcap, (int)UNIX_FRAME_MAX);
    pcap_set_promisc(pcap, 1);
    pcap_set_immediate_mode(pcap, 1);
    int status = pcap_activate(pcap);
    if (status == PCAP_ERROR_PERM_DENIED)
        return refuse(r, "no permission: run as root, or with the capability CAP_NET_RAW", "");
    if (status == PCAP_ERROR_NO_SUCH_DEVICE)
        return refuse(r, "no such interface: ip link lists them", "");
    if (status < 0)
        return refuse(r, pcap_statustostr(status), "");
    if (pcap_datalink(pcap) != DLT_EN10MB)
        return refuse(r, "not an Ethernet interface", "");
    if (pcap_setnonblock(pcap, 1, error) != 0 || pcap_get_selectable_fd(pcap) < 0
        || pcap_setdirection(pcap, PCAP_D_IN) != 0)
        return refuse(r, "cannot be listened to: ", pcap_geterr(pcap));
    return TARN_OK;
}

enum tarn_err unix_pcap_live_new(const struct unix_net_request *r, struct tarn_netif **out) {
    char error[PCAP_ERRBUF_SIZE];
    struct pcap_live *live = calloc(1, sizeof *live);
    bool is_up;
    if (!live)
        return refuse(r, "no memory", "");
    live->pcap = pcap_create(r->value, error);
    if (!live->pcap) {
        free(live);
        return refuse(r, error, "");
    }
    live->netif =
        (struct tarn_netif){.ops = &live_ops, .mtu = 1500, .features = TARN_NETIF_TX_LINEAR};
    unix_interface_mtu(r->value, &live->netif.mtu, &is_up);
    enum tarn_err err = configure(r, live->pcap);
    if (err) {
        pcap_close(live->pcap);
        free(live);
        return err;
    }
    live->netif.device = unix_device_new();
    memcpy(live->netif.mac, r->mac, sizeof r->mac);
    live->pkts = r->pkts;
    live->watch = (struct unix_watch){pcap_get_selectable_fd(live->pcap), live_ready};
    unix_watch_add(&live->watch, EPOLLIN);
    *out = &live->netif;
    return TARN_OK;
}
