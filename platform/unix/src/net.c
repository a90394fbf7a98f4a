/* SPDX-License-Identifier: ISC */
/* Network devices: what --net:NAME= attached, with --net-mac: and --pcap=. */
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

#define DEVICES_MAX UNIX_ATTACH_MAX

static struct {
    const char *name;
    struct tarn_netif *netif;
} opened[DEVICES_MAX];
static size_t opened_count;

bool unix_interface_mtu(const char *interface, uint16_t *mtu, bool *is_up) {
    struct ifreq ifr = {0};
    if (strlen(interface) >= sizeof ifr.ifr_name)
        return false;
    strcpy(ifr.ifr_name, interface);
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = s >= 0 && ioctl(s, SIOCGIFMTU, &ifr) == 0;
    if (ok) {
        *mtu = (uint16_t)TARN_MIN(ifr.ifr_mtu, 65535);
        ok = ioctl(s, SIOCGIFFLAGS, &ifr) == 0;
        *is_up = (ifr.ifr_flags & IFF_UP) != 0;
    }
    if (s >= 0)
        close(s);
    return ok;
}

struct tarn_span unix_frame_linear(const struct tarn_pkt *pkt, uint8_t scratch[UNIX_FRAME_MAX]) {
    if (pkt->nfrags == 0)
        return tarn_pkt_head(pkt);
    TARN_ASSERT(pkt->len <= UNIX_FRAME_MAX && tarn_pkt_read(pkt, 0, scratch, pkt->len));
    return tarn_span_of(scratch, pkt->len);
}

static bool parse_mac(const char *text, uint8_t mac[6]) {
    struct tarn_span rest = tarn_span_str(text), part;
    uint64_t byte;
    for (int i = 0; i < 6; i++) {
        bool more = tarn_span_split(&rest, ':', &part);
        if (part.len != 2 || !tarn_span_parse_hex(part, 255, &byte) || more != (i < 5))
            return false;
        mac[i] = (uint8_t)byte;
    }
    return (mac[0] & 1) == 0;
}

static enum tarn_err choose_mac(const char *name, uint8_t mac[6]) {
    const char *text = unix_attached(unix_options.net_mac, unix_options.net_mac_count, name);
    if (text && !parse_mac(text, mac)) {
        unix_say("--net-mac:%s=%s: not a station's hardware address, as 02:00:00:00:00:01", name,
                 text);
        return TARN_IO;
    }
    if (text)
        return TARN_OK;
    /* Locally administered (IEEE 802 section 8.2). */
    enum tarn_err err = tarn_platform_entropy(tarn_bytes_of(mac, 6));
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
    return err;
}

static bool starts(const char *text, const char *prefix, const char **rest) {
    size_t n = strlen(prefix);
    *rest = text + n;
    return strncmp(text, prefix, n) == 0;
}

static enum tarn_err open_device(struct unix_net_request *request, struct tarn_netif **out) {
    const char *rest;
    if (starts(request->value, "live:", &rest)) {
        request->value = rest;
        return unix_pcap_live_new(request, out);
    }
    if (starts(request->value, "unix:", &rest)) {
        request->value = rest;
        return unix_stream_new(request, out);
    }
    if (starts(request->value, "pcap:", &rest)) {
        request->value = rest;
        return unix_pcap_file_new(request, out);
    }
    return unix_tap_new(request, out);
}

/* --pcap=: one capture for all devices. */
static enum tarn_err capture(struct tarn_netif **netif) {
    static struct unix_pcap_dump *dump;
    if (!unix_options.pcap)
        return TARN_OK;
    if (!dump)
        dump = unix_pcap_dump_open(unix_options.pcap);
    return dump ? unix_pcap_tee_new(*netif, dump, netif) : TARN_IO;
}

enum tarn_err tarn_platform_netif(const char *name, struct tarn_pkt_pool *pkts,
                                  struct tarn_netif **out) {
    struct unix_net_request request = {.name = name, .pkts = pkts};
    for (size_t i = 0; i < opened_count; i++) {
        if (strcmp(opened[i].name, name) == 0) {
            *out = opened[i].netif;
            return TARN_OK;
        }
    }
    request.value = unix_attached(unix_options.net, unix_options.net_count, name);
    if (!request.value) {
        unix_say(
            "network device %s is not attached: give --net:%s=TAP (a tap interface; --help lists "
            "what else)",
            name, name);
        return TARN_NOT_FOUND;
    }
    if (opened_count == DEVICES_MAX || choose_mac(name, request.mac) || open_device(&request, out)
        || capture(out))
        return TARN_IO;
    opened[opened_count].name = name;
    opened[opened_count++].netif = *out;
    return TARN_OK;
}
