/* SPDX-License-Identifier: ISC */
/* Two UDP cores joined by a wire: what every datagram endpoint promises. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "bench.h"
#include "conformance.h"

struct wire {
    struct datagram_rig rig;
    struct bench *host[2];
};

static const struct tarn_ip_addr addrs4[2] = {US4, PEER4}, addrs6[2] = {US6, PEER6};

/* Each host's own route: bench.h has that of the first. */
static enum tarn_err route(struct tarn_ip_lower *lower, const struct tarn_ip_addr *src,
                           const struct tarn_ip_addr *dst, struct tarn_ip_route *out) {
    enum tarn_err err = bench_ops.route(lower, src, dst, out);
    out->src = !tarn_ip_addr_is_any(src) ? *src : tarn_ip_addr_is_v4(dst) ? PEER4 : PEER6;
    return err;
}

static const struct tarn_ip_lower_ops second_ops = {
    .route = route, .send = bench_send, .reject = bench_reject, .join = bench_join};

/* A copy into the other host's pool; what that one rejects comes back as an ICMP error. */
static void carry(struct bench *from, struct bench *to, unsigned i) {
    const struct tarn_ip_meta *meta = &from->sent_meta[i];
    struct tarn_pkt *pkt = tarn_pkt_copy(&to->pkts, from->sent[i]);
    unsigned rejected = to->rejected;
    uint8_t header[8];
    cr_assert_not_null(pkt);
    cr_assert(tarn_pkt_read(pkt, 0, header, sizeof header));
    tarn_udp_input(to->udp, meta, pkt, 0);
    if (to->rejected > rejected)
        tarn_udp_error(from->udp, meta, TARN_IP_ERROR_PORT, TARN_SPAN_ARRAY(header));
}

static void rig_run(struct datagram_rig *rig) {
    struct wire *w = TARN_CONTAINER_OF(rig, struct wire, rig);
    for (unsigned calm = 0; calm < 2; calm++)
        for (unsigned h = 0; h < 2; h++) {
            struct bench *b = w->host[h];
            tarn_udp_tick(b->udp, 0);
            for (unsigned i = 0; i < b->sent_count; i++)
                carry(b, w->host[1 - h], i);
            bench_drop_sent(b);
            while (tarn_tasks_run(&b->tasks) || tarn_tasks_run(&w->host[1 - h]->tasks))
                calm = 0;
        }
}

static enum tarn_err rig_open(struct datagram_rig *rig, unsigned host,
                              const struct tarn_datagram_config *config,
                              struct tarn_datagram **out) {
    struct tarn_udp *udp = TARN_CONTAINER_OF(rig, struct wire, rig)->host[host]->udp;
    struct tarn_handle h;
    enum tarn_err err = tarn_udp_open(udp, config, &h);
    if (!err)
        *out = tarn_udp_datagram(udp, h);
    return err;
}

/* An endpoint that is closed leaves nothing behind: every packet is back, too. */
static unsigned rig_live(struct datagram_rig *rig) {
    struct wire *w = TARN_CONTAINER_OF(rig, struct wire, rig);
    return bench_live_pkts(w->host[0]) + bench_live_pkts(w->host[1]);
}

ParameterizedTestParameters(datagram, conforms) {
    static size_t cases[64];
    for (size_t i = 0; i < datagram_case_count; i++)
        cases[i] = i;
    return cr_make_param_array(size_t, cases, datagram_case_count);
}
ParameterizedTest(size_t *index, datagram, conforms, .timeout = 60) {
    struct wire w = {.rig = {.open = rig_open,
                             .run = rig_run,
                             .live = rig_live,
                             .v4 = {addrs4[0], addrs4[1]},
                             .v6 = {addrs6[0], addrs6[1]}}};
    for (unsigned h = 0; h < 2; h++)
        w.host[h] = bench_new(NULL);
    w.host[1]->lower.ops = &second_ops;
    cr_log_info("%s", datagram_cases[*index].name);
    datagram_cases[*index].run(&w.rig);
    for (unsigned h = 0; h < 2; h++)
        bench_free(w.host[h]);
}
