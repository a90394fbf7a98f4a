/* SPDX-License-Identifier: ISC */
#ifndef TARN_RECURSOR_SERVICE_INTERNAL_H
#define TARN_RECURSOR_SERVICE_INTERNAL_H

#include <tarn/dns_stream.h>
#include <tarn/pool.h>
#include <tarn/recursor_service.h>

/* A query to a server, at its index. */
struct upstream {
    struct tarn_recursor_service *service;
    struct tarn_handle query;
    struct tarn_endpoint server;
    struct tarn_datagram *udp;
    struct tarn_flow *flow;
    struct upstream_stream *stream;
};
struct upstream_stream {
    struct tarn_dns_stream dns;
    uint8_t in[2 + TARN_DNS_MESSAGE_MAX], out[600];
};
struct tarn_recursor_service {
    struct tarn_recursor_service_config config;
    struct tarn_pool clients, streams;
    struct upstream *upstreams;
    uint32_t upstream_count;
    struct tarn_dns_streams open;
    struct tarn_task datagrams, pump;
    struct tarn_recursor_service_stats stats;
    uint8_t out[TARN_DNS_MESSAGE_MAX], in[TARN_DNS_MESSAGE_MAX];
};

/* service_upstream.c */
void upstream_send(struct tarn_recursor_service *s, const struct tarn_recursor_event *event);
void upstream_close(struct tarn_recursor_service *s, uint32_t index);
/* service.c: what the recursor wants to have sent now, from a task: never inside another call. */
void service_pump(struct tarn_recursor_service *s);

#endif
