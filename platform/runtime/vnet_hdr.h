/* SPDX-License-Identifier: ISC */
/* vnet_hdr.h: the header in front of a frame that carries a packet's offload metadata (VIRTIO 1.2,
 * section 5.1.6.2, struct virtio_net_hdr with num_buffers): what Linux taps with IFF_VNET_HDR and
 * virtio devices have in both directions. Pure: it reads and writes the header and the packet's
 * metadata, and moves no bytes. */
#ifndef TARN_VNET_HDR_H
#define TARN_VNET_HDR_H

#include <tarn/pkt.h>

/* One call of a driver's recv ends behind so many bytes, whatever number of packets it could take:
 * they are still in the cache when they are looked at, and a sender who has a window's worth in a
 * few super-segments is answered before the last of them. */
#define TARN_RECV_BYTES (128u << 10)

/* As on the wire: little-endian, 12 bytes. */
struct tarn_vnet_hdr {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
    uint16_t num_buffers;
};
_Static_assert(sizeof(struct tarn_vnet_hdr) == 12, "fixed by VIRTIO");

/* Sending: the header that says what the packet's metadata does. */
void tarn_vnet_hdr_of(const struct tarn_pkt *pkt, struct tarn_vnet_hdr *out);

/* Receiving: sets the metadata of a packet that holds the frame in its head. False: the header
 * contradicts itself or the frame, which whoever is at the other end of it may have brought about;
 * drop the packet. */
TARN_MUST_USE bool tarn_vnet_hdr_apply(const struct tarn_vnet_hdr *hdr, struct tarn_pkt *pkt);

#endif
