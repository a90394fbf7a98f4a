/* SPDX-License-Identifier: ISC */
/* The IPv4 packets of a capture, for programs that are about something else. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include <tarn/base.h>

static inline pcap_t *capture_open(const char *path) {
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
    if (!p) {
        fprintf(stderr, "%s: %s\n", path, error);
        exit(1);
    }
    return p;
}

/* The next IPv4 packet, at its header, and when it came. False: no more. */
static inline bool capture_next(pcap_t *p, struct tarn_span *packet, tarn_time *at) {
    struct pcap_pkthdr *header;
    const u_char *data;
    uint16_t type = 0x0800;
    while (pcap_next_ex(p, &header, &data) == 1) {
        *packet = tarn_span_of(data, header->caplen);
        *at = TARN_SEC((tarn_time)header->ts.tv_sec) + (tarn_time)header->ts.tv_usec;
        if (pcap_datalink(p) == DLT_EN10MB
            && (!tarn_span_skip(packet, 12) || !tarn_span_u16be(packet, &type)))
            continue;
        if (type == 0x0800 && packet->len > 0 && tarn_span_at(*packet, 0) >> 4 == 4)
            return true;
    }
    return false;
}

#endif
