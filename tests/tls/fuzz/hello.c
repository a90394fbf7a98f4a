/* SPDX-License-Identifier: ISC */
/* Anything, to a server: as a record stream, and as the body of a ClientHello. */
#include "../rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rig rig;
    static uint8_t framed[20000];
    if (!rig.server.config.random)
        rig_init(&rig, 1);
    rig_start(&rig, 1);
    rig_feed(&rig.server, data, size, 1 << 20);
    (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
    if (size > 16000)
        return 0;
    struct tarn_writer w = TARN_WRITER_ARRAY(framed);
    tarn_writer_u8(&w, 22);
    tarn_writer_u16be(&w, 0x0301);
    tarn_writer_u16be(&w, (uint16_t)(size + 4));
    tarn_writer_u32be(&w, 1u << 24 | (uint32_t)size);
    tarn_writer_mem(&w, data, size);
    rig_start(&rig, 1);
    rig_feed(&rig.server, framed, w.len, 1 << 20);
    (void)rig_take(&rig.server, rig.wire, sizeof rig.wire);
    return 0;
}
