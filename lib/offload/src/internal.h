/* SPDX-License-Identifier: ISC */
#ifndef TARN_OFFLOAD_INTERNAL_H
#define TARN_OFFLOAD_INTERNAL_H

#include <tarn/csum.h>
#include <tarn/offload.h>

/* Offsets of what is changed in the headers (RFC 791, 8200, 768, 9293). */
enum {
    ETH_BYTES = 14,
    VLAN_BYTES = 4,
    IP4_LENGTH = 2,
    IP4_ID = 4,
    IP4_CSUM = 10,
    IP6_BYTES = 40,
    IP6_LENGTH = 4,
    TCP_SEQ = 4,
    TCP_FLAGS = 13,
    TCP_CSUM = 16,
    UDP_BYTES = 8,
    UDP_LENGTH = 4,
    UDP_CSUM = 6,
};
enum { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_CWR = 0x80 };

/* Where the IP header of an Ethernet frame starts, or false where it carries none. */
bool tarn_offload_l3(struct tarn_span frame, size_t *l3);

/* Reads and writes at offsets that the caller has checked: outside they trap. */
uint16_t tarn_offload_get16(struct tarn_span s, size_t at);
uint32_t tarn_offload_get32(struct tarn_span s, size_t at);
void tarn_offload_put16(struct tarn_bytes b, size_t at, uint16_t v);
void tarn_offload_put32(struct tarn_bytes b, size_t at, uint32_t v);

/* Copies [off, off + n) of `pkt` behind the head of `to`, which has the room, and answers its
 * partial sum. */
uint32_t tarn_offload_copy(struct tarn_pkt *to, const struct tarn_pkt *pkt, size_t off, size_t n);

void tarn_offload_ip4_csum(struct tarn_bytes header);

#endif
