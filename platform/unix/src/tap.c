/* SPDX-License-Identifier: ISC */
/* A tap interface of the host, with its offloads both ways.
 *
 * Each frame is one system call in each direction, with a header in front (IFF_VNET_HDR,
 * vnet_hdr.h) that carries the packet's metadata: the host cuts and sums what is sent, and hands
 * over uncut and unsummed what comes from the same machine. Nothing is copied here but the
 * first 1.5 KB of a received super-segment. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vnet_hdr.h>

#include "net.h"

/* Linux 6.2; the headers of Debian 12 are older than its backported kernels. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define FRAME_ROOM 1536u /* what a packet of the frame class has behind its headroom */

struct tap {
    struct tarn_netif netif;
    struct unix_watch watch;
    struct tarn_pkt_pool *pkts;
    /* Where a received frame goes: the first bytes to `frame`, and what is longer on into `super`,
     * behind room for those, so that one copy of at most FRAME_ROOM makes it contiguous. */
    struct tarn_pkt *frame, *super;
    size_t vnet_bytes;         /* 0: the device gives plain frames */
    bool has_frames;           /* said by epoll, and until a read finds none */
    bool is_full;              /* waits for EPOLLOUT */
    uint8_t unattended[65536]; /* read into where there is no packet memory: counted and dropped */
};

static struct tap *tap_of(struct tarn_netif *netif) {
    return TARN_CONTAINER_OF(netif, struct tap, netif);
}

/* -- sending --------------------------------------------------------------------------------------
 */

/* False: the device is full. */
static bool send_one(struct tap *tap, const struct tarn_pkt *pkt) {
    struct tarn_vnet_hdr hdr;
    struct iovec v[2 + TARN_PKT_FRAGS_MAX];
    struct tarn_span head = tarn_pkt_head(pkt);
    int n = 0;
    tarn_vnet_hdr_of(pkt, &hdr);
    if (tap->vnet_bytes)
        v[n++] = (struct iovec){&hdr, tap->vnet_bytes};
    v[n++] = (struct iovec){(void *)(uintptr_t)head.ptr, head.len};
    for (unsigned i = 0; i < pkt->nfrags; i++)
        v[n++] = (struct iovec){(void *)(uintptr_t)pkt->frag[i].ptr, pkt->frag[i].len};
    while (writev(tap->watch.fd, v, n) < 0) {
        if (errno == EAGAIN)
            return false;
        if (errno != EINTR) {
            tap->netif.stats.tx_drops++;
            return true;
        }
    }
    tap->netif.stats.tx_pkts++;
    tap->netif.stats.tx_bytes += pkt->len;
    return true;
}

static size_t tap_send(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct tap *tap = tap_of(netif);
    size_t sent = 0;
    while (sent < n && send_one(tap, pkts[sent]))
        tarn_pkt_free(pkts[sent++]);
    if (sent < n && !tap->is_full) {
        tap->is_full = true;
        unix_watch_change(&tap->watch, EPOLLIN | EPOLLOUT);
    }
    netif->stats.tx_calls += sent > 0;
    return sent;
}

/* -- receiving ------------------------------------------------------------------------------------
 */

static bool have_memory(struct tap *tap) {
    if (!tap->frame)
        tap->frame = tarn_pkt_alloc(tap->pkts, FRAME_ROOM);
    if (!tap->super)
        tap->super = tarn_pkt_alloc(tap->pkts, TARN_PKT_LEN_MAX);
    return tap->frame && tap->super;
}

static ssize_t read_frame(struct tap *tap, struct tarn_vnet_hdr *hdr) {
    struct iovec v[3];
    int n = 0;
    ssize_t got;
    if (tap->vnet_bytes)
        v[n++] = (struct iovec){hdr, tap->vnet_bytes};
    if (have_memory(tap)) {
        struct tarn_bytes first = tarn_bytes_first(tarn_pkt_tailroom(tap->frame), FRAME_ROOM);
        struct tarn_bytes rest = tarn_bytes_after(tarn_pkt_tailroom(tap->super), FRAME_ROOM);
        v[n++] = (struct iovec){first.ptr, first.len};
        v[n++] = (struct iovec){rest.ptr, rest.len};
    } else {
        v[n++] = (struct iovec){tap->unattended, sizeof tap->unattended};
    }
    do
        got = readv(tap->watch.fd, v, n);
    while (got < 0 && errno == EINTR);
    return got < 0 ? got : got - (ssize_t)tap->vnet_bytes;
}

/* The packet that holds the `len` bytes just read. */
static struct tarn_pkt *take_frame(struct tap *tap, size_t len) {
    struct tarn_pkt *pkt;
    if (len <= FRAME_ROOM) {
        pkt = tap->frame;
        tap->frame = NULL;
        tarn_pkt_grow(pkt, len);
        return pkt;
    }
    pkt = tap->super;
    tap->super = NULL;
    tarn_bytes_copy(tarn_pkt_tailroom(pkt),
                    tarn_span_of(tarn_pkt_tailroom(tap->frame).ptr, FRAME_ROOM));
    tarn_pkt_grow(pkt, len);
    return pkt;
}

static size_t tap_recv(struct tarn_netif *netif, struct tarn_pkt **pkts, size_t n) {
    struct tap *tap = tap_of(netif);
    size_t count = 0, bytes = 0;
    while (count < n && bytes < TARN_RECV_BYTES && tap->has_frames) {
        struct tarn_vnet_hdr hdr = {0};
        ssize_t len = read_frame(tap, &hdr);
        if (len < 0) {
            tap->has_frames = false;
            break;
        }
        if (!tap->frame || !tap->super) {
            netif->stats.rx_drops++;
            continue;
        }
        struct tarn_pkt *pkt = take_frame(tap, (size_t)len);
        if (!tarn_vnet_hdr_apply(&hdr, pkt)) {
            tarn_pkt_free(pkt);
            netif->stats.rx_drops++;
            continue;
        }
        netif->stats.rx_pkts++;
        netif->stats.rx_bytes += pkt->len;
        bytes += pkt->len;
        pkts[count++] = pkt;
    }
    netif->stats.rx_calls += count > 0;
    return count;
}

static const struct tarn_netif_ops tap_ops = {.send = tap_send, .recv = tap_recv};

static uint64_t tap_ready(struct unix_watch *watch, uint32_t events) {
    struct tap *tap = TARN_CONTAINER_OF(watch, struct tap, watch);
    tap->has_frames = tap->has_frames || (events & ~(uint32_t)EPOLLOUT);
    if (tap->is_full && (events & EPOLLOUT)) {
        tap->is_full = false;
        unix_watch_change(&tap->watch, EPOLLIN);
    }
    return (uint64_t)1 << tap->netif.device;
}

/* -- opening --------------------------------------------------------------------------------------
 */

static enum tarn_err refuse(const struct unix_net_request *r, const char *why, const char *advice) {
    unix_say("--net:%s=%s: %s%s", r->name, r->value, why, advice);
    return TARN_IO;
}

static const char *attach_error(int error) {
    switch (error) {
    case EPERM:
        return "no permission: run as root, or make it for this user "
               "(ip tuntap add dev NAME mode tap user USER)";
    case EBUSY: return "another program has it open";
    case EINVAL: return "not a tap interface (make one with ip tuntap add dev NAME mode tap)";
    default: return strerror(error);
    }
}

/* Opens by name; the interface must exist, since whoever makes it also connects it to something. */
static enum tarn_err open_by_name(const struct unix_net_request *r, struct tap *tap) {
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    bool is_up;
    if (!unix_interface_mtu(r->value, &tap->netif.mtu, &is_up))
        return refuse(r, "no such interface: make it with ip tuntap add dev NAME mode tap",
                      " && ip link set NAME up");
    strcpy(ifr.ifr_name, r->value);
    tap->watch.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap->watch.fd < 0)
        return refuse(r, "/dev/net/tun: ",
                      errno == ENOENT ? "missing: load the kernel's module with modprobe tun"
                                      : strerror(errno));
    if (ioctl(tap->watch.fd, TUNSETIFF, &ifr) != 0) {
        int error = errno;
        close(tap->watch.fd);
        return refuse(r, attach_error(error), "");
    }
    if (!is_up)
        unix_say("--net:%s=%s: the interface is down: ip link set %s up", r->name, r->value,
                 r->value);
    tap->vnet_bytes = sizeof(struct tarn_vnet_hdr);
    return TARN_OK;
}

/* A tap that is open already, or a socket that carries one frame a message. */
static enum tarn_err open_by_fd(const struct unix_net_request *r, struct tap *tap) {
    struct ifreq ifr = {0};
    uint64_t fd;
    bool is_up;
    if (!tarn_span_parse_dec(tarn_span_str(r->value + 1), INT32_MAX, &fd)
        || fcntl((int)fd, F_SETFL, O_NONBLOCK | (fcntl((int)fd, F_GETFL) & ~O_ACCMODE)) != 0)
        return refuse(r, "not an open file descriptor", "");
    tap->watch.fd = (int)fd;
    tap->netif.mtu = 1500;
    if (ioctl(tap->watch.fd, TUNGETIFF, &ifr) == 0) {
        if (!(ifr.ifr_flags & IFF_TAP))
            return refuse(r, "a tun device: it must be a tap", "");
        if (ifr.ifr_flags & IFF_VNET_HDR)
            tap->vnet_bytes = sizeof(struct tarn_vnet_hdr);
        unix_interface_mtu(ifr.ifr_name, &tap->netif.mtu, &is_up);
    }
    return TARN_OK;
}

/* What the host can take over, from the most to the least. */
static uint32_t offer_offloads(const struct tap *tap) {
    static const struct {
        unsigned long flags;
        uint32_t features;
    } offers[] = {
        {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
         TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_TSO6 | TARN_NETIF_TX_USO},
        {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
         TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_TSO6},
        {TUN_F_CSUM, TARN_NETIF_TX_CSUM},
    };
    int bytes = sizeof(struct tarn_vnet_hdr);
    if (!tap->vnet_bytes || ioctl(tap->watch.fd, TUNSETVNETHDRSZ, &bytes) != 0)
        return 0;
    for (size_t i = 0; i < TARN_COUNT_OF(offers); i++)
        if (ioctl(tap->watch.fd, TUNSETOFFLOAD, TARN_AT(offers, i).flags) == 0)
            return TARN_AT(offers, i).features;
    return 0;
}

enum tarn_err unix_tap_new(const struct unix_net_request *r, struct tarn_netif **out) {
    struct tap *tap = calloc(1, sizeof *tap);
    if (!tap)
        return refuse(r, "no memory", "");
    enum tarn_err err = r->value[0] == '@' ? open_by_fd(r, tap) : open_by_name(r, tap);
    if (err) {
        free(tap);
        return err;
    }
    tap->netif.ops = &tap_ops;
    tap->netif.features = offer_offloads(tap);
    tap->netif.device = unix_device_new();
    memcpy(tap->netif.mac, r->mac, sizeof r->mac);
    tap->pkts = r->pkts;
    tap->watch.ready = tap_ready;
    unix_watch_add(&tap->watch, EPOLLIN);
    *out = &tap->netif;
    return TARN_OK;
}
