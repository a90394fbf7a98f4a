/* SPDX-License-Identifier: ISC */
/* A frame with metadata from a device that is not to be trusted, cut in every way, then joined. */
#include "../frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world w;
    struct tarn_span in = tarn_span_of(data, size), head;
    uint8_t how, type, lent;
    uint16_t start, offset, gso;
    if (!tarn_span_u8(&in, &how) || !tarn_span_u8(&in, &type) || !tarn_span_u8(&in, &lent)
        || !tarn_span_u16be(&in, &start) || !tarn_span_u16be(&in, &offset)
        || !tarn_span_u16be(&in, &gso) || in.len > 4000)
        return 0;
    world_init(&w, 1);
    struct tarn_pkt *pkt = tarn_pkt_alloc(&w.pkts, in.len), *pieces[64];
    size_t l3 = 14, count = 0, lent_bytes = TARN_MIN(in.len, (size_t)lent * 8);
    if (!tarn_span_take(&in, in.len - lent_bytes, &head) || !tarn_pkt_append(pkt, head)
        || !tarn_pkt_lend(pkt, in, NULL))
        abort();
    pkt->csum_state = how & 4 ? TARN_CSUM_NONE : TARN_CSUM_PARTIAL;
    pkt->gso_type = type & 3;
    pkt->csum_start = start;
    pkt->csum_offset = offset;
    pkt->gso_size = gso;
    struct tarn_offload_cut cut;
    if (tarn_offload_cut_begin(&cut, pkt, l3, how & 3) == TARN_OK) {
        while (count < 64 && !tarn_offload_cut_next(&cut, &w.pkts, &pieces[count]))
            count++;
        tarn_offload_cut_end(&cut);
    }
    for (size_t i = 0; i < count; i++) {
        struct tarn_pkt *linear = tarn_pkt_copy(&w.pkts, pieces[i]);
        tarn_pkt_free(pieces[i]);
        pieces[i] = linear;
    }
    count = tarn_offload_join(pieces, count, &w.pkts);
    for (size_t i = 0; i < count; i++)
        tarn_pkt_free(pieces[i]);
    if (world_live(&w) != 0)
        abort();
    world_end(&w);
    return 0;
}
