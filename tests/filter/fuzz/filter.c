/* SPDX-License-Identifier: ISC */
/* Several packets in both directions, and jumps in time, in one case. A piece of input: how, a
 * length, the packet. Half of the time the addresses are set to known ones, so that flows are hit.
 * Whatever passes must be as long as before, and with right sums where they were right. */
#include "../rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void aim(struct tarn_pkt *pkt, uint8_t how) {
    const struct tarn_ip_addr all[] = {HOST, REMOTE, OUTSIDE, HOST2};
    if (pkt->head_len < 20)
        return;
    uint8_t *p = tarn_bytes_at(tarn_pkt_head_bytes(pkt), 0);
    p[0] = 0x45;
    memcpy(p + 12, all[how & 3].bytes + 12, 4);
    memcpy(p + 16, all[how >> 2 & 3].bytes + 12, 4);
    p[2] = (uint8_t)(pkt->head_len >> 8);
    p[3] = (uint8_t)pkt->head_len;
    p[10] = p[11] = 0;
    uint16_t sum = (uint16_t)~plain_sum(p, 20);
    p[10] = (uint8_t)(sum >> 8);
    p[11] = (uint8_t)sum;
    if (p[9] == ICMP && pkt->head_len >= 28) {
        p[22] = p[23] = 0;
        sum = (uint16_t)~plain_sum(p + 20, pkt->head_len - 20);
        p[22] = (uint8_t)(sum >> 8);
        p[23] = (uint8_t)sum;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct tarn_span s = tarn_span_of(bytes, size);
    struct rig *r = rig_new((struct tarn_filter_config){.translate = !(size & 1),
                                                        .outside = OUTSIDE,
                                                        .table_bytes = 2000,
                                                        .port_min = 4000,
                                                        .port_max = 4003,
                                                        .endpoint_independent_filtering = size & 2},
                            64u << 10);
    tarn_time now = 0;
    uint8_t how, len;
    (void)!tarn_filter_forward(r->f, UDP, 4001, &(struct tarn_endpoint){HOST2, 53});
    while (tarn_span_u8(&s, &how) && tarn_span_u8(&s, &len)) {
        if (how == 0xff) {
            now += TARN_SEC(len);
            tarn_filter_tick(r->f, now);
            continue;
        }
        struct tarn_span data = tarn_span_first(s, len);
        struct tarn_pkt *pkt = tarn_pkt_alloc(&r->pkts, data.len);
        if (!pkt || !tarn_pkt_append(pkt, data))
            abort();
        s = tarn_span_after(s, len);
        if (how & 0x40)
            aim(pkt, how);
        uint32_t before = pkt->len;
        bool v4 = pkt->len >= 20 && data.len && tarn_span_at(tarn_pkt_head(pkt), 0) == 0x45;
        bool right = v4 && plain_sum(tarn_pkt_head(pkt).ptr, 20) == 0xffff;
        enum tarn_filter_verdict v =
            tarn_filter_packet(r->f, how & 0x80 ? TARN_FILTER_IN : TARN_FILTER_OUT, pkt, now);
        if (pkt->len != before)
            abort();
        if (v == TARN_FILTER_PASS && right && plain_sum(tarn_pkt_head(pkt).ptr, 20) != 0xffff)
            abort();
        if (tarn_filter_flow_count(r->f) > tarn_filter_flows_max(r->f))
            abort();
        tarn_pkt_free(pkt);
    }
    for (int i = 0; i < 8; i++)
        tarn_filter_tick(r->f, now + TARN_SEC(8000));
    if (tarn_filter_flow_count(r->f) != 0 || tarn_filter_deadline(r->f) != TARN_NEVER)
        abort();
    rig_free(r);
    return 0;
}
