/* SPDX-License-Identifier: ISC */
/* entry.h: keys and values of the catalog's rows, to bytes and back (docs/kv-format.md). */
#ifndef TARN_KV_ENTRY_H
#define TARN_KV_ENTRY_H

#include "catalog.h"

#include <tarn/writer.h>

#define ENTRY_KEY_MAX (8u + TARN_KV_NAME_MAX)
#define ENTRY_VALUE_MAX (9u + INLINE_BYTES_MAX)
_Static_assert(ENTRY_KEY_MAX <= ROW_KEY_MAX && ENTRY_KEY_MAX + ENTRY_VALUE_MAX <= ROW_BYTES_MAX,
               "an entry is a row");
_Static_assert(16u + CHUNK_BYTES <= ROW_BYTES_MAX, "a chunk is a row");

struct entry_key {
    uint8_t bytes[ENTRY_KEY_MAX];
    size_t len;
};
static inline struct tarn_span entry_key_span(const struct entry_key *k) {
    return tarn_span_first(TARN_SPAN_ARRAY(k->bytes), k->len);
}
struct entry_key entry_key_name(uint64_t dictionary, struct tarn_span name);
struct entry_key entry_key_number(uint64_t id, uint64_t number);
/* The number in front of any key; false where there is none. */
TARN_MUST_USE bool entry_key_split(struct tarn_span key, uint64_t *id, struct tarn_span *rest);

/* False where the row is not one. */
TARN_MUST_USE bool entry_decode(struct tarn_span row, struct catalog_entry *out);
struct tarn_span entry_encode(struct tarn_bytes room, const struct catalog_entry *entry);

#endif
