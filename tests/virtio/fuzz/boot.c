/* SPDX-License-Identifier: ISC */
/* The start information, a memory map and a module list, a command line. */
#include <boot.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span all = tarn_span_of(data, size), map = tarn_span_first(all, 96);
    struct boot_range range;
    struct boot_machine machine = {0};
    struct pvh_info info;
    uint8_t keys[128];
    struct tarn_writer w = TARN_WRITER_ARRAY(keys);
    (void)!pvh_read(all, &info);
    if (pvh_memory(map, tarn_span_after(all, 96), 0x140000, &range))
        TARN_ASSERT(range.from == 0x140000 && range.to > range.from);
    boot_cmdline(all, &w, &machine);
    TARN_ASSERT(machine.mmio_count <= BOOT_DEVICES_MAX);
    return 0;
}
