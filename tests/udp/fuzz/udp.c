/* SPDX-License-Identifier: ISC */
/* Several datagrams, ICMP errors and calls of an owner in one case, at two cores' worth of
 * endpoints. The input is a program: an operation, a length, its bytes. Whatever comes, nothing may
 * leak. */
#define BENCH_BYTES (256u << 10)
#include "../bench.h"

static struct tarn_ip_addr addr_of(uint8_t b) {
    const struct tarn_ip_addr all[] = {US4, PEER4, OTHER4, ALL4, SUBNET4, GROUP4, ANY4, US6, PEER6};
    return all[b % TARN_COUNT_OF(all)];
}

static void input(struct bench *b, uint8_t how, struct tarn_span data, tarn_time now) {
    struct tarn_ip_meta meta = {.src = addr_of(how), .dst = addr_of(how >> 4), .proto = 17};
    struct tarn_pkt *pkt = tarn_pkt_alloc(&b->pkts, data.len);
    meta.cast = how % 3;
    if (!pkt || !tarn_pkt_append(pkt, data))
        abort();
    if (how & 8)
        pkt->csum_state = TARN_CSUM_VERIFIED;
    if ((how & 0x88) == 0x88) {
        pkt->gso_size = (uint16_t)(1 + how % 7);
        pkt->gso_type = TARN_GSO_UDP;
    }
    tarn_udp_input(b->udp, &meta, pkt, now);
}

static void read_some(struct bench *b, struct tarn_handle h) {
    struct tarn_bytes data;
    struct tarn_datagram_info info;
    if (tarn_udp_peek(b->udp, h, &data, &info) == TARN_OK) {
        tarn_bytes_fill(data, 0xaa); /* the reader may write all of it */
        tarn_udp_consume(b->udp, h);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct tarn_span s = tarn_span_of(bytes, size);
    struct bench *b = bench_new_with(
        &(struct tarn_udp_config){
            .endpoints_max = 4, .rx_datagrams_max = 6, .rx_endpoint_max = 4, .tx_datagrams_max = 2},
        &(struct tarn_pkt_pool_config){.count = {16, 16, 1}});
    struct tarn_handle h[4] = {{0}};
    struct tarn_ip_addr group = GROUP4;
    uint8_t op, how, len;
    tarn_time now = 0;
    while (tarn_span_u8(&s, &op) && tarn_span_u8(&s, &how) && tarn_span_u8(&s, &len)) {
        struct tarn_span data = tarn_span_first(s, len);
        struct tarn_handle *at = &h[how % 4];
        s = tarn_span_after(s, len);
        struct tarn_datagram_config c = {
            .local = {addr_of(how), len}, .broadcast = how & 0x40, .shared = how & 0x80};
        struct tarn_datagram_info info = {
            .remote = {addr_of(len), how}, .local.port = op >> 4, .gso_size = how & 7};
        struct tarn_ip_meta ours = {.src = addr_of(how), .dst = addr_of(how >> 4)};
        struct tarn_datagram *d;
        now += (tarn_time)how * 1000000;
        struct tarn_ip_addr sources[] = {addr_of(len), addr_of(len >> 4)};
        struct tarn_group_filter filter = {how & 1, op % 3, sources};
        switch (op % 11) {
        case 0: input(b, how, data, now); break;
        case 1: tarn_udp_error(b->udp, &ours, (enum tarn_ip_error)(len % 6), data); break;
        case 2:
            if (!tarn_udp_local(b->udp, *at, &info.local) && tarn_udp_close(b->udp, *at))
                abort();
            (void)!(how & 0x20 ? tarn_udp_open_all(b->udp, at) : tarn_udp_open(b->udp, &c, at));
            break;
        case 3: (void)!tarn_udp_connect(b->udp, *at, len & 1 ? &info.remote : NULL); break;
        case 4: (void)!tarn_udp_send(b->udp, *at, &info, &data, 1, now); break;
        case 5:
            if ((d = tarn_udp_datagram(b->udp, *at)))
                (void)!tarn_datagram_send(d, &info, data);
            break;
        case 6: read_some(b, *at); break;
        case 7: tarn_udp_tick(b->udp, now); break;
        case 8: (void)!tarn_udp_join(b->udp, *at, &group, how >> 6, len & 1); break;
        case 9: (void)!tarn_udp_listen(b->udp, *at, &group, how >> 6, &filter); break;
        default: tarn_tasks_run(&b->tasks); break;
        }
        bench_drop_sent(b);
    }
    for (int i = 0; i < 4; i++)
        (void)!tarn_udp_close(b->udp, h[i]);
    tarn_udp_tick(b->udp, now);
    bench_drop_sent(b);
    if (bench_live_pkts(b) != 0 || b->joined != b->left)
        abort();
    bench_free(b);
    return 0;
}
