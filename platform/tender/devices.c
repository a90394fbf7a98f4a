/* SPDX-License-Identifier: ISC */
/* Attaches what the command line names to the devices that the image's manifest declares. */
#include "tender.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <tarn/netif.h>
#include <unistd.h>
#include <vnet_hdr.h>

static const char *type_name(uint32_t type) {
    return type == SOLO5_ENTRY_NET ? "network" : type == SOLO5_ENTRY_BLK ? "block" : "unknown";
}

static struct solo5_entry *declared(struct tender *t, const char *name,
                                    enum solo5_entry_type type) {
    struct solo5_manifest *m = &t->image.manifest;
    for (uint32_t i = 1; i < m->entries; i++)
        if (m->entry[i].type == type && strcmp(m->entry[i].name, name) == 0)
            return &m->entry[i];
    die("%s declares no %s device '%s'", t->image_path, type_name(type), name);
}

static void attached(struct solo5_entry *e, int fd) {
    if (e->attached)
        die("%s device '%s' is attached twice", type_name(e->type), e->name);
    e->host.fd = fd;
    e->attached = 1;
}

/* -- network -------------------------------------------------------------------------------------
 */

/* Opening a name that is not there would make a new interface, connected to nothing. */
static void tap_check(const char *tap) {
    struct ifreq ifr = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("cannot look at interface %s: %s", tap, strerror(errno));
    strncpy(ifr.ifr_name, tap, IFNAMSIZ - 1);
    if (ioctl(fd, SIOCGIFFLAGS, &ifr) != 0)
        die("no interface %s: make it with `ip tuntap add %s mode tap`", tap, tap);
    if (!(ifr.ifr_flags & IFF_UP))
        die("interface %s is down: `ip link set %s up`", tap, tap);
    close(fd);
}

static uint16_t tap_mtu(const char *tap) {
    struct ifreq ifr = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(ifr.ifr_name, tap, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, SIOCGIFMTU, &ifr) != 0)
        die("cannot read the MTU of %s: %s", tap, strerror(errno));
    close(fd);
    if (ifr.ifr_mtu < 68 || ifr.ifr_mtu > UINT16_MAX)
        die("interface %s has an MTU of %d: 68 to 65535 is possible", tap, ifr.ifr_mtu);
    return (uint16_t)ifr.ifr_mtu;
}

_Noreturn static void tap_refuse(const char *tap, int error) {
    switch (error) {
    case EPERM:
        die("no permission for %s: be root, or its owner (`ip tuntap add %s mode tap user $USER`)",
            tap, tap);
    case EBUSY: die("interface %s is used by another program", tap);
    case EINVAL: die("interface %s is no tap, or one made with other options", tap);
    default: die("cannot attach to %s: %s", tap, strerror(error));
    }
}

static int tap_open(const char *tap, int more_flags) {
    struct ifreq ifr = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | more_flags)};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        die("cannot open /dev/net/tun: %s", strerror(errno));
    strncpy(ifr.ifr_name, tap, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &ifr) != 0)
        tap_refuse(tap, errno);
    /* A tap keeps the offloads of whoever had it before: frames without headers would come
     * unsummed. */
    if (ioctl(fd, TUNSETOFFLOAD, 0ul) != 0)
        die("cannot reset the offloads of %s: %s", tap, strerror(errno));
    return fd;
}

/* Linux 6.2; headers may be older than the kernel. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

/* What the host takes over: all that it can. */
static uint32_t tap_offloads(const char *tap, int fd) {
    static const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    uint32_t features = TARN_NETIF_TX_CSUM | TARN_NETIF_TX_TSO4 | TARN_NETIF_TX_TSO6;
    int header_bytes = sizeof(struct tarn_vnet_hdr);
    if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) != 0)
        die("cannot use the offloads of %s: %s", tap, strerror(errno));
    if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)(tso | TUN_F_USO4 | TUN_F_USO6)) == 0)
        return features | TARN_NETIF_TX_USO;
    if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)tso) != 0)
        die("cannot use the offloads of %s: %s", tap, strerror(errno));
    return features;
}

/* "@FD": a tap, or a datagram socket, that the caller has opened. Its frames are plain. */
static int inherited(const char *text) {
    char *end;
    long fd = strtol(text, &end, 10);
    if (*text == 0 || *end != 0 || fd < 0 || fd > INT32_MAX || fcntl((int)fd, F_GETFD) < 0)
        die("no open file @%s", text);
    if (fcntl((int)fd, F_SETFL, O_NONBLOCK) != 0)
        die("cannot use file @%s: %s", text, strerror(errno));
    return (int)fd;
}

void attach_net(struct tender *t, const char *name, const char *tap) {
    struct solo5_entry *e = declared(t, name, SOLO5_ENTRY_NET);
    if (tap[0] == '@') {
        attached(e, inherited(tap + 1));
        e->u.net.mtu = 1500;
        return;
    }
    if (*tap == 0 || strlen(tap) >= IFNAMSIZ)
        die("'%s' is no interface's name", tap);
    tap_check(tap);
    t->tap[e - t->image.manifest.entry] = tap;
    attached(e, tap_open(tap, t->vnet ? IFF_VNET_HDR : 0));
    e->u.net.mtu = tap_mtu(tap);
    if (t->vnet)
        t->device[e - t->image.manifest.entry] =
            SOLO5_DEVICE_VNET | tap_offloads(tap, e->host.fd) << SOLO5_DEVICE_FEATURES_SHIFT;
}

void attach_net_mac(struct tender *t, const char *name, const char *mac) {
    struct solo5_entry *e = declared(t, name, SOLO5_ENTRY_NET);
    unsigned b[6];
    int end = 0;
    if (sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end)
            != 6
        || mac[end] != 0)
        die("'%s' is no MAC address (12:34:56:78:9a:bc)", mac);
    if (b[0] & 1)
        die("%s is a multicast address, which no device can have", mac);
    for (unsigned i = 0; i < 6; i++)
        e->u.net.mac[i] = (uint8_t)b[i];
}

/* Locally administered, unicast. */
static void mac_default(struct solo5_entry *e) {
    static const uint8_t none[6];
    if (memcmp(e->u.net.mac, none, sizeof none) != 0)
        return;
    if (getrandom(e->u.net.mac, sizeof none, 0) != (ssize_t)sizeof none)
        die("the host gives no random bytes: %s", strerror(errno));
    e->u.net.mac[0] = (uint8_t)((e->u.net.mac[0] & 0xfc) | 2);
}

/* -- block ---------------------------------------------------------------------------------------
 */

void attach_blk(struct tender *t, const char *name, const char *path) {
    struct solo5_entry *e = declared(t, name, SOLO5_ENTRY_BLK);
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0)
        die("cannot look at %s: %s", path, strerror(errno));
    e->u.blk.capacity = (uint64_t)st.st_size;
    if (S_ISBLK(st.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, &e->u.blk.capacity) != 0)
            die("cannot read the size of %s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        die("%s is neither a file nor a block device", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && !privileges_refused())
        die("%s is used by another program", path);
    attached(e, fd);
}

void attach_blk_sector(struct tender *t, const char *name, const char *bytes) {
    struct solo5_entry *e = declared(t, name, SOLO5_ENTRY_BLK);
    char *end;
    long n = strtol(bytes, &end, 10);
    if (*end != 0 || n < 512 || n > 32768 || (n & (n - 1)))
        die("'%s' is no sector size: a power of two from 512 to 32768", bytes);
    e->u.blk.block_bytes = (uint16_t)n;
}

static void blk_default(const struct tender *t, struct solo5_entry *e) {
    if (e->u.blk.block_bytes == 0)
        e->u.blk.block_bytes = 512;
    unsigned block_bytes = e->u.blk.block_bytes;
    if (e->u.blk.capacity < block_bytes || e->u.blk.capacity % block_bytes)
        die("%s: block device '%s' must be a multiple of %u bytes, and not empty", t->image_path,
            e->name, block_bytes);
}

/* -- all of them ---------------------------------------------------------------------------------
 */

static void watch(struct tender *t, int fd, uint64_t data) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
    if (epoll_ctl(t->epollfd, EPOLL_CTL_ADD, fd, &event) != 0)
        die("cannot wait for a device: %s", strerror(errno));
}

void attach_finish(struct tender *t) {
    struct solo5_manifest *m = &t->image.manifest;
    t->epollfd = epoll_create1(EPOLL_CLOEXEC);
    t->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (t->epollfd < 0 || t->timerfd < 0)
        die("cannot make a timer: %s", strerror(errno));
    watch(t, t->timerfd, SOLO5_EVENT_TIMER);
    for (uint32_t i = 1; i < m->entries; i++) {
        struct solo5_entry *e = &m->entry[i];
        if (e->type != SOLO5_ENTRY_NET && e->type != SOLO5_ENTRY_BLK)
            die("%s wants a device '%s' of a kind that this tender does not have", t->image_path,
                e->name);
        if (!e->attached && t->helping) {
            e->host.fd = -1; /* which every call refuses */
            continue;
        }
        if (!e->attached)
            die("%s wants a %s device: attach it with --%s:%s=%s", t->image_path,
                type_name(e->type), e->type == SOLO5_ENTRY_NET ? "net" : "block", e->name,
                e->type == SOLO5_ENTRY_NET ? "TAP" : "FILE");
        if (e->type == SOLO5_ENTRY_NET) {
            mac_default(e);
            watch(t, e->host.fd, i);
        } else {
            blk_default(t, e);
        }
    }
}
