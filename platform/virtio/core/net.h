/* SPDX-License-Identifier: ISC */
/* net.h: a virtio network device (VIRTIO 1.2, section 5.1) behind the netif interface: checksums
 * and segmentation both ways where the device has them, frames from where they lie, mergeable
 * receive buffers of one frame each. Interrupts are off while there is work; virtio_net_idle asks
 * for one. */
#ifndef TARN_VIRTIO_NET_H
#define TARN_VIRTIO_NET_H

#include "device.h"
#include <tarn/netif.h>

struct virtio_net {
    struct tarn_netif netif;
    struct virtio_dev *dev;
    struct virtq rx, tx;
    struct tarn_pkt_pool *pkts;
    uint8_t hdr_bytes; /* 12, or 10 for a legacy device that merges nothing */
    bool splits_hdr;   /* a legacy device that wants the header in a descriptor of its own */
    bool is_full;      /* send left something */
    bool failed;
    uint16_t rx_target, tx_low; /* buffers to keep posted; unreclaimed packets that are many */
};

/* `alloc` gives the rings. TARN_UNSUPPORTED: no such device as this driver can use. */
TARN_MUST_USE enum tarn_err virtio_net_open(struct virtio_net *nic, struct virtio_dev *dev,
                                            struct tarn_alloc *alloc);
/* From here on packets come, into memory of `pkts`. */
void virtio_net_start(struct virtio_net *nic, struct tarn_pkt_pool *pkts);
/* Before a wait: true where something has come already. */
TARN_MUST_USE bool virtio_net_idle(struct virtio_net *nic);
/* After a wait: no more interrupts. */
void virtio_net_busy(struct virtio_net *nic);

#endif
