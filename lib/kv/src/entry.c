/* SPDX-License-Identifier: ISC */
#include "entry.h"

struct entry_key entry_key_name(uint64_t dictionary, struct tarn_span name) {
    struct entry_key k;
    struct tarn_writer w = TARN_WRITER_ARRAY(k.bytes);
    tarn_writer_u64be(&w, dictionary);
    tarn_writer_span_put(&w, name);
    TARN_ASSERT(tarn_writer_ok(&w));
    k.len = w.len;
    return k;
}

struct entry_key entry_key_number(uint64_t id, uint64_t number) {
    uint8_t bytes[8];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    tarn_writer_u64be(&w, number);
    return entry_key_name(id, tarn_writer_span(&w));
}

bool entry_key_split(struct tarn_span key, uint64_t *id, struct tarn_span *rest) {
    *rest = key;
    return tarn_span_u64be(rest, id);
}

bool entry_decode(struct tarn_span row, struct catalog_entry *out) {
    uint8_t type;
    uint64_t modified;
    *out = (struct catalog_entry){0};
    if (!tarn_span_u8(&row, &type) || !tarn_span_u64le(&row, &modified))
        return false;
    out->type = (enum entry_type)type;
    out->last_modified = (int64_t)modified;
    switch (out->type) {
    case ENTRY_INLINE:
        out->value = row;
        out->bytes = row.len;
        return row.len <= INLINE_BYTES_MAX;
    case ENTRY_CHUNKED:
        return tarn_span_u64le(&row, &out->id) && tarn_span_u64le(&row, &out->bytes) && row.len == 0
               && out->id >= CATALOG_FIRST_FREE;
    case ENTRY_DICTIONARY:
        return tarn_span_u64le(&row, &out->id) && row.len == 0 && out->id >= CATALOG_FIRST_FREE;
    case ENTRY_NONE: break;
    }
    return false;
}

struct tarn_span entry_encode(struct tarn_bytes room, const struct catalog_entry *entry) {
    struct tarn_writer w = tarn_writer_over(room);
    tarn_writer_u8(&w, (uint8_t)entry->type);
    tarn_writer_u64le(&w, (uint64_t)entry->last_modified);
    if (entry->type == ENTRY_INLINE)
        tarn_writer_span_put(&w, entry->value);
    else
        tarn_writer_u64le(&w, entry->id);
    if (entry->type == ENTRY_CHUNKED)
        tarn_writer_u64le(&w, entry->bytes);
    TARN_ASSERT(tarn_writer_ok(&w));
    return tarn_writer_span(&w);
}
