/* SPDX-License-Identifier: ISC */
#include "page.h"

#include "xxh64.h"

#define MAGIC 0x70766b74u /* "tkvp" */

enum tarn_err page_check(struct tarn_span page, uint64_t store, const struct page_ref *ref,
                         uint32_t level) {
    uint32_t magic;
    uint16_t page_level, count;
    uint64_t number, birth, owner;
    if (page.len != PAGE_BYTES || xxh64(page, ref->birth) != ref->checksum)
        return TARN_IO;
    if (!tarn_span_u32le(&page, &magic) || !tarn_span_u16le(&page, &page_level)
        || !tarn_span_u16le(&page, &count) || !tarn_span_u64le(&page, &number)
        || !tarn_span_u64le(&page, &birth) || !tarn_span_u64le(&page, &owner))
        return TARN_IO;
    bool ok = magic == MAGIC && page_level == level && count && count <= PAGE_ROWS_MAX
              && number == ref->page && birth == ref->birth && owner == store;
    return ok ? TARN_OK : TARN_IO;
}

static bool u16_at(struct tarn_span page, size_t off, uint16_t *out) {
    struct tarn_span s = tarn_span_after(page, off);
    return tarn_span_u16le(&s, out);
}

uint32_t page_count(struct tarn_span page) {
    uint16_t count = 0;
    return u16_at(page, 6, &count) ? count : 0;
}

bool page_row(struct tarn_span page, uint32_t i, struct tarn_span *key, struct tarn_span *value) {
    uint16_t off, key_len, value_len;
    if (!u16_at(page, PAGE_HEADER_BYTES + 2 * (size_t)i, &off))
        return false;
    struct tarn_span row = tarn_span_after(page, off);
    return tarn_span_u16le(&row, &key_len) && tarn_span_u16le(&row, &value_len)
           && tarn_span_take(&row, key_len, key) && tarn_span_take(&row, value_len, value)
           && key_len <= ROW_KEY_MAX && (size_t)key_len + value_len <= ROW_BYTES_MAX;
}

/* The key of a row alone: what a search looks at. */
static bool key_at(struct tarn_span page, uint32_t i, struct tarn_span *key) {
    uint16_t off, len;
    return u16_at(page, PAGE_HEADER_BYTES + 2 * (size_t)i, &off) && u16_at(page, off, &len)
           && tarn_span_sub(page, (size_t)off + 4, len, key);
}

bool page_lower(struct tarn_span page, struct tarn_span key, bool equal, uint32_t *index) {
    uint32_t first = 0, last = page_count(page);
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        struct tarn_span k;
        if (!key_at(page, middle, &k))
            return false;
        int order = tarn_span_compare(k, key);
        if (order < 0 || (order == 0 && equal))
            first = middle + 1;
        else
            last = middle;
    }
    *index = first;
    return true;
}

bool page_child(struct tarn_span page, struct tarn_span key, uint32_t *index,
                struct page_ref *ref) {
    struct tarn_span k, v;
    if (!page_lower(page, key, true, index))
        return false;
    /* What is before the first child's key belongs to the first child. */
    *index -= *index ? 1 : 0;
    return page_row(page, *index, &k, &v) && page_ref_decode(v, ref);
}

bool page_ref_decode(struct tarn_span value, struct page_ref *out) {
    return value.len == PAGE_REF_BYTES && tarn_span_u64le(&value, &out->page)
           && tarn_span_u64le(&value, &out->birth) && tarn_span_u64le(&value, &out->checksum);
}

void page_ref_encode(struct tarn_writer *w, const struct page_ref *ref) {
    tarn_writer_u64le(w, ref->page);
    tarn_writer_u64le(w, ref->birth);
    tarn_writer_u64le(w, ref->checksum);
}

/* -- bunches --------------------------------------------------------------------------------------
 */

bool bunch_fits(const struct bunch *b, size_t key_len, size_t value_len) {
    return b->page_bytes + key_len + value_len + PAGE_ROW_OVERHEAD <= 2 * PAGE_PAYLOAD;
}

void bunch_add(struct bunch *b, struct tarn_span key, struct tarn_span value) {
    struct tarn_bytes room = tarn_bytes_after(TARN_BYTES_ARRAY(b->bytes), b->used);
    TARN_ASSERT(bunch_fits(b, key.len, value.len));
    tarn_bytes_copy(room, key);
    tarn_bytes_copy(tarn_bytes_after(room, key.len), value);
    b->used += (uint32_t)(key.len + value.len);
    TARN_AT(b->ends, b->count) = (uint16_t)b->used;
    TARN_AT(b->key_lens, b->count) = (uint16_t)key.len;
    b->count++;
    b->page_bytes += key.len + value.len + PAGE_ROW_OVERHEAD;
}

void bunch_row(const struct bunch *b, uint32_t i, struct tarn_span *key, struct tarn_span *value) {
    uint32_t start = i ? TARN_AT(b->ends, i - 1) : 0, end = TARN_AT(b->ends, i);
    struct tarn_span row = tarn_span_after(tarn_span_first(TARN_SPAN_ARRAY(b->bytes), end), start);
    bool whole = tarn_span_take(&row, TARN_AT(b->key_lens, i), key);
    TARN_ASSERT(whole && i < b->count);
    *value = row;
}

uint32_t bunch_first(const struct bunch *b, size_t limit) {
    uint32_t n = 0;
    while (n < b->count && TARN_AT(b->ends, n) + (n + 1) * (size_t)PAGE_ROW_OVERHEAD <= limit)
        n++;
    return n ? n : 1;
}

void bunch_drop(struct bunch *b, uint32_t n) {
    uint32_t cut = n ? TARN_AT(b->ends, n - 1) : 0;
    for (uint32_t i = n; i < b->count; i++) {
        TARN_AT(b->ends, i - n) = (uint16_t)(TARN_AT(b->ends, i) - cut);
        TARN_AT(b->key_lens, i - n) = TARN_AT(b->key_lens, i);
    }
    tarn_bytes_move(TARN_BYTES_ARRAY(b->bytes),
                    tarn_span_after(tarn_span_first(TARN_SPAN_ARRAY(b->bytes), b->used), cut));
    b->count -= n;
    b->used -= cut;
    b->page_bytes -= cut + (size_t)n * PAGE_ROW_OVERHEAD;
}

uint64_t page_encode(struct tarn_bytes page, const struct bunch *b, uint32_t n, uint32_t level,
                     uint64_t number, uint64_t birth, uint64_t store) {
    struct tarn_writer w = tarn_writer_over(page);
    size_t at = PAGE_HEADER_BYTES + 2 * (size_t)n;
    struct tarn_span key, value;
    TARN_ASSERT(page.ptr && page.len == PAGE_BYTES);
    tarn_writer_u32le(&w, MAGIC);
    tarn_writer_u16le(&w, (uint16_t)level);
    tarn_writer_u16le(&w, (uint16_t)n);
    tarn_writer_u64le(&w, number);
    tarn_writer_u64le(&w, birth);
    tarn_writer_u64le(&w, store);
    for (uint32_t i = 0; i < n; i++) {
        bunch_row(b, i, &key, &value);
        tarn_writer_u16le(&w, (uint16_t)at);
        at += 4 + key.len + value.len;
    }
    for (uint32_t i = 0; i < n; i++) {
        bunch_row(b, i, &key, &value);
        tarn_writer_u16le(&w, (uint16_t)key.len);
        tarn_writer_u16le(&w, (uint16_t)value.len);
        tarn_writer_span_put(&w, key);
        tarn_writer_span_put(&w, value);
    }
    tarn_writer_zero(&w, PAGE_BYTES - w.len);
    TARN_ASSERT(tarn_writer_ok(&w) && w.len == PAGE_BYTES);
    return xxh64(tarn_writer_span(&w), birth);
}

struct tarn_span page_separator(struct tarn_span before, struct tarn_span key) {
    size_t i = 0;
    while (i < before.len && i < key.len && tarn_span_at(before, i) == tarn_span_at(key, i))
        i++;
    return tarn_span_first(key, i + 1);
}
