/* SPDX-License-Identifier: ISC */
/* Several IP packets and jumps of time. Each is a length whose top bits say how far time jumps and
 * whether the checksum of an IPv4 header is put right, then the bytes. */
#include "../world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct world w;
    struct tarn_span in = tarn_span_of(data, size), bytes;
    uint16_t len;
    world_init(&w, (struct tarn_ip_limits){
                       .reass_max = 4, .reass_pieces_max = 8, .path_mtus_max = 4, .loop_max = 8});
    w.reject = size & 1;
    while (tarn_span_u16be(&in, &len)) {
        uint8_t buf[0x800];
        tick(&w, (tarn_time)(len >> 12 & 7) * (len >> 12 & 7) * TARN_MS(800));
        if (!tarn_span_take(&in, TARN_MIN((size_t)(len & 0x7ff), in.len), &bytes))
            abort();
        memcpy(buf, bytes.ptr, bytes.len);
        size_t hl = bytes.len >= 20 ? (buf[0] & 15u) * 4u : 0;
        if (!(len & 0x8000) && hl >= 20 && hl <= bytes.len) {
            put16(buf + 10, 0);
            put16(buf + 10, slow_csum(buf, hl));
        }
        struct tarn_link_meta meta = {.cast = len >> 11 & 1 ? TARN_LINK_TO_ALL : TARN_LINK_TO_US};
        tarn_ip_input(w.ip, 0, &meta, raw(&w, buf, bytes.len), w.now);
        tick(&w, 0);
        world_forget(&w);
    }
    tick(&w, TARN_SEC(61));
    tick(&w, 0);
    if (stats(&w).reass != 0 || stats(&w).reass_bytes != 0 || !world_end(&w))
        abort();
    return 0;
}
