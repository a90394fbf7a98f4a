/* SPDX-License-Identifier: ISC */
/* Pieces of memory for a zone. Segments double from 8 KiB to 512 KiB and are 1 MiB from then on, so
 * that small zones are small; a piece never spans two. */
#include "zone.h"

#define UNIT 8u
#define FIRST_BYTES 8192u
#define SMALL_SEGMENTS 7u
#define LARGE_BYTES (1u << 20)
#define SMALL_ALL (LARGE_BYTES - FIRST_BYTES) /* of all small ones */
#define FINE_MAX 512u                         /* size classes: of 8 bytes up to here, then of 512 */

static uint64_t segment_bytes(uint32_t i) {
    return i < SMALL_SEGMENTS ? (uint64_t)FIRST_BYTES << i : LARGE_BYTES;
}
static uint64_t segment_start(uint32_t i) {
    if (i < SMALL_SEGMENTS)
        return ((uint64_t)FIRST_BYTES << i) - FIRST_BYTES;
    return SMALL_ALL + (uint64_t)(i - SMALL_SEGMENTS) * LARGE_BYTES;
}
static uint32_t segment_of(uint64_t offset) {
    if (offset >= SMALL_ALL)
        return SMALL_SEGMENTS + (uint32_t)((offset - SMALL_ALL) / LARGE_BYTES);
    return 31u - (uint32_t)__builtin_clz((uint32_t)(offset / FIRST_BYTES) + 1u);
}

static size_t class_of(size_t bytes) {
    return bytes <= FINE_MAX ? (bytes + UNIT - 1) / UNIT - 1
                             : FINE_MAX / UNIT + (bytes + FINE_MAX - 1) / FINE_MAX - 2;
}
static size_t class_bytes(size_t class) {
    return class < FINE_MAX / UNIT ? (class + 1) * UNIT : (class + 2 - FINE_MAX / UNIT) * FINE_MAX;
}

bool dns_heap_init(struct dns_heap *h, struct tarn_alloc *alloc, uint64_t bytes_max) {
    uint64_t large = TARN_MIN(bytes_max, (uint64_t)UNIT << 32) / LARGE_BYTES;
    *h = (struct dns_heap){.alloc = alloc, .segments_max = (uint32_t)large + SMALL_SEGMENTS};
    h->segments = TARN_NEW_ARRAY(alloc, h->segments_max, struct tarn_bytes);
    return h->segments != NULL;
}

void dns_heap_fini(struct dns_heap *h) {
    for (uint32_t i = 0; i < h->segment_count; i++) {
        struct tarn_bytes *s = &TARN_AT_N(h->segments, h->segments_max, i);
        tarn_alloc_put(h->alloc, s->ptr, s->len);
    }
    if (h->segments)
        tarn_alloc_put(h->alloc, h->segments, h->segments_max * sizeof *h->segments);
}

struct tarn_bytes dns_heap_at(const struct dns_heap *h, dns_ref ref) {
    uint64_t offset = (uint64_t)ref * UNIT;
    uint32_t i = segment_of(offset);
    return tarn_bytes_after(TARN_AT_N(h->segments, h->segments_max, i),
                            (size_t)(offset - segment_start(i)));
}

static bool add_segment(struct dns_heap *h) {
    uint32_t i = h->segment_count;
    if (i == h->segments_max)
        return false;
    size_t bytes = (size_t)segment_bytes(i);
    uint8_t *ptr = tarn_alloc_get(h->alloc, bytes, UNIT);
    if (!ptr)
        return false;
    TARN_AT_N(h->segments, h->segments_max, i) = tarn_bytes_of(ptr, bytes);
    h->segment_count++;
    h->bytes += bytes;
    h->used = i == 0 ? UNIT : 0; /* no piece has the name 0 */
    return true;
}

dns_ref dns_heap_take(struct dns_heap *h, size_t bytes) {
    if (bytes == 0 || bytes > DNS_PIECE_MAX)
        return 0;
    size_t class = class_of(bytes);
    dns_ref *head = &TARN_AT(h->free, class);
    dns_ref ref = *head;
    if (ref) {
        struct tarn_span s = tarn_bytes_span(dns_heap_at(h, ref));
        TARN_ASSERT(tarn_span_copy(&s, head, sizeof *head));
        return ref;
    }
    bytes = class_bytes(class);
    while (h->segment_count == 0 || h->used + bytes > segment_bytes(h->segment_count - 1))
        if (!add_segment(h))
            return 0;
    ref = (dns_ref)((segment_start(h->segment_count - 1) + h->used) / UNIT);
    h->used += bytes;
    return ref;
}

void dns_heap_put(struct dns_heap *h, dns_ref ref, size_t bytes) {
    dns_ref *head = &TARN_AT(h->free, class_of(bytes));
    tarn_bytes_copy(dns_heap_at(h, ref), tarn_span_of(head, sizeof *head));
    *head = ref;
}
