/* SPDX-License-Identifier: ISC */
/* What Linux calls the surface's options and counters. */
#include "linux.h"

#include <netinet/in.h>
#include <string.h>

int linux_option(int level, int name) {
    if (level == SOL_SOCKET)
        switch (name) {
        case SO_REUSEADDR: return TARN_SURFACE_REUSEADDR;
        case SO_KEEPALIVE: return TARN_SURFACE_KEEPALIVE;
        case SO_SNDBUF: return TARN_SURFACE_SNDBUF;
        case SO_RCVBUF: return TARN_SURFACE_RCVBUF;
        case SO_ERROR: return TARN_SURFACE_ERROR;
        default: return -1;
        }
    if (level == IPPROTO_TCP)
        switch (name) {
        case TCP_NODELAY: return TARN_SURFACE_NODELAY;
        case TCP_KEEPIDLE: return TARN_SURFACE_KEEPIDLE;
        case TCP_KEEPINTVL: return TARN_SURFACE_KEEPINTVL;
        case TCP_KEEPCNT: return TARN_SURFACE_KEEPCNT;
        case TCP_USER_TIMEOUT: return TARN_SURFACE_USER_TIMEOUT;
        case TCP_CORK: return TARN_SURFACE_CORK;
        case TCP_MAXSEG: return TARN_SURFACE_MAXSEG;
        case TCP_NOTSENT_LOWAT: return TARN_SURFACE_NOTSENT_LOWAT;
        case TCP_FASTOPEN: return TARN_SURFACE_FASTOPEN;
        case TCP_FASTOPEN_CONNECT: return TARN_SURFACE_FASTOPEN_CONNECT;
        default: return -1;
        }
    return -1;
}

static uint8_t linux_state(const char *state) {
    static const char *const names[] = {"",           "ESTABLISHED", "SYN-SENT",  "SYN-RECEIVED",
                                        "FIN-WAIT-1", "FIN-WAIT-2",  "TIME-WAIT", "CLOSED",
                                        "CLOSE-WAIT", "LAST-ACK",    "LISTEN",    "CLOSING"};
    for (uint8_t i = 1; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], state) == 0)
            return i;
    return 0;
}

static uint32_t segments(uint32_t bytes, const struct tarn_surface_info *info) {
    return info->snd_mss ? (bytes + info->snd_mss - 1) / info->snd_mss : 0;
}

struct tcp_info linux_info(const struct tarn_surface_info *i) {
    struct tcp_info t = {
        .tcpi_state = linux_state(i->state),
        .tcpi_ca_state = (uint8_t)(i->in_loss                                 ? TCP_CA_Loss
                                   : i->in_recovery && !i->lost && !i->resent ? TCP_CA_CWR
                                   : i->in_recovery                           ? TCP_CA_Recovery
                                   : i->sacked                                ? TCP_CA_Disorder
                                                                              : TCP_CA_Open),
        .tcpi_retransmits = (uint8_t)i->backoffs,
        .tcpi_backoff = (uint8_t)i->backoffs,
        .tcpi_options =
            (uint8_t)((i->timestamps ? TCPI_OPT_TIMESTAMPS : 0) | (i->sack ? TCPI_OPT_SACK : 0)
                      | (i->fast_open ? TCPI_OPT_SYN_DATA : 0)
                      | (i->window_scaling ? TCPI_OPT_WSCALE : 0) | (i->ecn ? TCPI_OPT_ECN : 0)),
        .tcpi_snd_wscale = i->snd_wscale & 15,
        .tcpi_rcv_wscale = i->rcv_wscale & 15,
        .tcpi_rto = (uint32_t)(i->rto / 1000),
        .tcpi_snd_mss = i->snd_mss,
        .tcpi_unacked = segments(i->unacked, i),
        .tcpi_sacked = segments(i->sacked, i),
        .tcpi_lost = segments(i->lost + i->resent, i), /* until it is acknowledged, as there */
        .tcpi_retrans = segments(i->resent, i),
        .tcpi_pmtu = i->path_mtu,
        .tcpi_rtt = (uint32_t)(i->srtt / 1000),
        .tcpi_rttvar = (uint32_t)(i->rttvar / 1000),
        .tcpi_snd_ssthresh = i->ssthresh == UINT32_MAX ? INT32_MAX : segments(i->ssthresh, i),
        .tcpi_snd_cwnd = i->snd_mss ? i->cwnd / i->snd_mss : 0,
        .tcpi_reordering = i->reordering > 3 ? i->reordering : 3,
        .tcpi_total_retrans = i->retransmits,
        .tcpi_bytes_acked = i->bytes_acked,
        .tcpi_bytes_received = i->bytes_received,
        .tcpi_notsent_bytes = i->unsent,
        .tcpi_min_rtt = (uint32_t)(i->rtt_min / 1000),
        .tcpi_snd_wnd = i->snd_wnd,
        .tcpi_last_data_sent = (uint32_t)(i->since_data_out / 1000000),
        .tcpi_last_data_recv = (uint32_t)(i->since_data_in / 1000000),
        .tcpi_last_ack_recv = (uint32_t)(i->since_ack_in / 1000000),
        .tcpi_segs_in = i->segments_in,
        .tcpi_segs_out = i->segments_out,
        .tcpi_data_segs_in = i->data_segments_in,
        .tcpi_data_segs_out = i->data_segments_out,
        .tcpi_bytes_sent = i->bytes_sent,
        .tcpi_bytes_retrans = i->bytes_resent,
        .tcpi_dsack_dups = i->duplicate_segments,
        .tcpi_rcv_ooopack = i->out_of_order_segments,
        .tcpi_busy_time = i->busy / 1000,
        .tcpi_rwnd_limited = i->window_limited / 1000,
        .tcpi_sndbuf_limited = i->buffer_limited / 1000,
    };
    return t;
}
