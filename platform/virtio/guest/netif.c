/* SPDX-License-Identifier: ISC */
#include "../core/net.h"
#include "guest.h"

#define NICS_MAX 8u

struct nic {
    struct virtio_net net;
    struct guest_driver driver;
};
static struct nic nics[NICS_MAX];
static size_t nic_count;

static struct nic *of(struct guest_driver *d) {
    return TARN_CONTAINER_OF(d, struct nic, driver);
}

static bool nic_idle(struct guest_driver *d) {
    return virtio_net_idle(&of(d)->net);
}

static void nic_busy(struct guest_driver *d) {
    virtio_net_busy(&of(d)->net);
}

enum tarn_err tarn_platform_netif(const char *name, struct tarn_pkt_pool *pkts,
                                  struct tarn_netif **out) {
    uint32_t device;
    struct virtio_dev *dev = guest_device_named(name, VIRTIO_NET, &device);
    if (!dev)
        return TARN_NOT_FOUND;
    for (size_t i = 0; i < nic_count; i++) {
        if (nics[i].driver.dev == dev) {
            *out = &nics[i].net.netif;
            return TARN_OK;
        }
    }
    if (nic_count == NICS_MAX)
        return TARN_LIMIT;
    struct nic *nic = &TARN_AT(nics, nic_count);
    if (virtio_net_open(&nic->net, dev, guest_ring_memory())) {
        guest_device_refuse(name, "no driver for the machine's device for ");
        return TARN_IO;
    }
    nic_count++;
    nic->net.netif.device = device;
    nic->driver = (struct guest_driver){
        .dev = dev, .device = device, .netif = &nic->net.netif, .idle = nic_idle, .busy = nic_busy};
    virtio_net_start(&nic->net, pkts);
    guest_driver_add(&nic->driver);
    *out = &nic->net.netif;
    return TARN_OK;
}
