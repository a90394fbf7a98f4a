/* SPDX-License-Identifier: ISC */
/* Any note: either refused, or every name in it ends and every device is unattached. */
#include <image.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct solo5_manifest m;
    if (image_read_manifest(tarn_span_of(data, size), &m))
        return 0;
    TARN_ASSERT(m.entries >= 1 && m.entries <= SOLO5_ENTRIES_MAX);
    for (uint32_t i = 0; i < m.entries; i++) {
        const struct solo5_entry *e = &TARN_AT(m.entry, i);
        TARN_ASSERT(memchr(e->name, 0, sizeof e->name) && !e->attached && e->host.whole == 0);
    }
    return 0;
}
