/* SPDX-License-Identifier: ISC */
/* Any file: either refused, or its segments fit where the reader said that they do. */
#include "../../../platform/spt/abi.h"
#include <image.h>
#include <stdlib.h>
#include <tarn/span.h>

static const struct image_target spt = {SOLO5_TARGET_SPT, SPT_NOTE_TARN};

#define MEMORY_BYTES ((size_t)4 << 20)

struct memory_source {
    struct image_source source;
    struct tarn_span bytes;
};

static bool memory_read(struct image_source *source, uint64_t offset, struct tarn_bytes out) {
    const struct memory_source *m = TARN_CONTAINER_OF(source, struct memory_source, source);
    struct tarn_span piece;
    if (offset > SIZE_MAX || !tarn_span_sub(m->bytes, (size_t)offset, out.len, &piece))
        return false;
    tarn_bytes_copy(out, piece);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t *memory;
    struct image image;
    struct memory_source source = {{memory_read}, tarn_span_of(data, size)};
    if (!memory)
        memory = calloc(1, MEMORY_BYTES);
    if (!memory || image_read(&source.source, &spt, &image))
        return 0;
    uint64_t end = SPT_IMAGE_BASE;
    for (uint32_t i = 0; i < image.segment_count; i++) {
        const struct image_segment *seg = &TARN_AT(image.segment, i);
        TARN_ASSERT(seg->page_first >= end && seg->page_end > seg->page_first);
        TARN_ASSERT(seg->addr >= seg->page_first && seg->addr + seg->mem_bytes <= seg->page_end);
        TARN_ASSERT(!(seg->writable && seg->executable) && seg->file_bytes <= seg->mem_bytes);
        end = seg->page_end;
    }
    TARN_ASSERT(end == image.end);
    if (!image_load(&source.source, &image, tarn_bytes_of(memory, MEMORY_BYTES), SPT_MEM_BASE))
        TARN_ASSERT(image.end <= SPT_MEM_BASE + MEMORY_BYTES);
    return 0;
}
