/* SPDX-License-Identifier: ISC */
/* Anything, to a client that waits for a ServerHello: as a record stream, and as a message's body.
 */
#include "../rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rig rig;
    static uint8_t framed[20000];
    if (!rig.server.config.random) {
        rig_init(&rig, 1);
        rig.client.config.groups_off = 1; /* faster */
    }
    rig_start(&rig, 1);
    (void)rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.client, data, size, 1 << 20);
    (void)rig_take(&rig.client, rig.wire, sizeof rig.wire);
    if (size > 16000)
        return 0;
    struct tarn_writer w = TARN_WRITER_ARRAY(framed);
    tarn_writer_u8(&w, 22);
    tarn_writer_u16be(&w, 0x0303);
    tarn_writer_u16be(&w, (uint16_t)(size + 4));
    tarn_writer_u32be(&w, 2u << 24 | (uint32_t)size);
    tarn_writer_mem(&w, data, size);
    rig_start(&rig, 1);
    (void)rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.client, framed, w.len, 1 << 20);
    (void)rig_take(&rig.client, rig.wire, sizeof rig.wire);
    return 0;
}
