/* SPDX-License-Identifier: ISC */
/* A batch of received frames: each is a length, then its bytes. */
#include "../frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world w;
    struct tarn_span in = tarn_span_of(data, size), frame;
    struct tarn_pkt *pkts[32];
    uint16_t len;
    size_t n = 0;
    world_init(&w, 1);
    while (n < 32 && tarn_span_u16be(&in, &len)) {
        bool trusted = len & 0x8000;
        if (!tarn_span_take(&in, TARN_MIN((size_t)(len & 0x7ff), in.len), &frame))
            abort();
        pkts[n] = tarn_pkt_alloc(&w.pkts, frame.len);
        if (!tarn_pkt_append(pkts[n], frame))
            abort();
        pkts[n++]->csum_state = trusted ? TARN_CSUM_VERIFIED : TARN_CSUM_NONE;
    }
    n = tarn_offload_join(pkts, n, &w.pkts);
    for (size_t i = 0; i < n; i++)
        tarn_pkt_free(pkts[i]);
    if (world_live(&w) != 0)
        abort();
    world_end(&w);
    return 0;
}
