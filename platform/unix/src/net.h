/* SPDX-License-Identifier: ISC */
/* net.h: the kinds of network device of this platform. */
#ifndef TARN_UNIX_NET_H
#define TARN_UNIX_NET_H

#include "unix.h"

/* Each says on the console what is wrong. `name` is the program's word for the device, `value` what
 * the operator attached. `mac` is what the netif is to have. */
struct unix_net_request {
    const char *name, *value;
    uint8_t mac[6];
    struct tarn_pkt_pool *pkts;
};
/* tap.c: "tap0" or "@5". */
enum tarn_err unix_tap_new(const struct unix_net_request *request, struct tarn_netif **out);
/* stream.c: "/run/frames": the path of a socket. */
enum tarn_err unix_stream_new(const struct unix_net_request *request, struct tarn_netif **out);
/* pcap_file.c: "IN.pcap", "IN.pcap,OUT.pcap", "IN.pcap,OUT.pcap,paced". */
enum tarn_err unix_pcap_file_new(const struct unix_net_request *request, struct tarn_netif **out);
/* pcap_live.c: "eth0". */
enum tarn_err unix_pcap_live_new(const struct unix_net_request *request, struct tarn_netif **out);

/* pcap_dump.c: a capture being written, with nanoseconds. */
struct unix_pcap_dump;
/* NULL: it could not be made, and the console has said why. */
struct unix_pcap_dump *unix_pcap_dump_open(const char *path);
void unix_pcap_dump_put(struct unix_pcap_dump *dump, struct tarn_span frame);
/* Lets everything be seen in the file. */
void unix_pcap_dump_flush(struct unix_pcap_dump *dump);
/* A netif that writes all frames of `below` to the capture, and is otherwise the same. */
enum tarn_err unix_pcap_tee_new(struct tarn_netif *below, struct unix_pcap_dump *dump,
                                struct tarn_netif **out);

/* A packet in one piece: its head where it has no fragments, otherwise a copy in `scratch`. */
#define UNIX_FRAME_MAX (TARN_PKT_LEN_MAX + 1)
struct tarn_span unix_frame_linear(const struct tarn_pkt *pkt, uint8_t scratch[UNIX_FRAME_MAX]);

/* Of an interface of the host; false: there is none of that name. */
bool unix_interface_mtu(const char *interface, uint16_t *mtu, bool *is_up);

#endif
