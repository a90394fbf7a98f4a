/* SPDX-License-Identifier: ISC */
#include "vnet_hdr.h"

enum { NEEDS_CSUM = 1, DATA_VALID = 2 };
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

static const uint8_t gso_types[] = {
    [TARN_GSO_NONE] = GSO_NONE,
    [TARN_GSO_TCPV4] = GSO_TCPV4,
    [TARN_GSO_TCPV6] = GSO_TCPV6,
    [TARN_GSO_UDP] = GSO_UDP_L4,
};

/* What every piece repeats, up to the end of the transport's header: a hint, of which 0 says
 * nothing. */
static uint16_t header_bytes(const struct tarn_pkt *pkt) {
    uint8_t offset;
    if (pkt->gso_type == TARN_GSO_UDP)
        return (uint16_t)(pkt->csum_start + 8);
    if (!tarn_pkt_read(pkt, (size_t)pkt->csum_start + 12, &offset, 1))
        return 0;
    return (uint16_t)(pkt->csum_start + (offset >> 4) * 4);
}

void tarn_vnet_hdr_of(const struct tarn_pkt *pkt, struct tarn_vnet_hdr *out) {
    *out = (struct tarn_vnet_hdr){0};
    if (pkt->csum_state == TARN_CSUM_PARTIAL) {
        out->flags = NEEDS_CSUM;
        out->csum_start = pkt->csum_start;
        out->csum_offset = pkt->csum_offset;
    }
    if (pkt->gso_size != 0) {
        out->gso_type = (uint8_t)(TARN_AT(gso_types, pkt->gso_type) | (pkt->gso_ecn ? GSO_ECN : 0));
        out->gso_size = pkt->gso_size;
        out->hdr_len = header_bytes(pkt);
    }
}

bool tarn_vnet_hdr_apply(const struct tarn_vnet_hdr *hdr, struct tarn_pkt *pkt) {
    pkt->csum_state = TARN_CSUM_NONE;
    pkt->gso_type = TARN_GSO_NONE;
    pkt->gso_size = 0;
    if (hdr->flags & NEEDS_CSUM) {
        if ((size_t)hdr->csum_start + hdr->csum_offset + 2 > pkt->head_len)
            return false;
        pkt->csum_state = TARN_CSUM_PARTIAL;
        pkt->csum_start = hdr->csum_start;
        pkt->csum_offset = hdr->csum_offset;
    } else if (hdr->flags & DATA_VALID) {
        pkt->csum_state = TARN_CSUM_VERIFIED;
    }
    switch (hdr->gso_type & ~GSO_ECN) {
    case GSO_NONE: return true;
    case GSO_TCPV4: pkt->gso_type = TARN_GSO_TCPV4; break;
    case GSO_TCPV6: pkt->gso_type = TARN_GSO_TCPV6; break;
    case GSO_UDP_L4: pkt->gso_type = TARN_GSO_UDP; break;
    default: return false;
    }
    pkt->gso_size = hdr->gso_size;
    pkt->gso_ecn = (hdr->gso_type & GSO_ECN) != 0;
    return hdr->gso_size != 0;
}
