/* SPDX-License-Identifier: ISC */
#include "view.h"

enum tarn_err view_get(struct view *v, struct tarn_span key, struct tarn_span *value) {
    for (size_t i = 0; i < VIEW_TABLES; i++) {
        uint32_t table = TARN_AT(v->tables, i);
        const struct row *r = table ? rows_get(v->rows, table, key) : NULL;
        if (r && r->gone)
            return TARN_NOT_FOUND;
        if (r) {
            *value = row_value(r);
            return TARN_OK;
        }
    }
    return v->base ? v->base->get(v->base, key, value) : TARN_NOT_FOUND;
}

/* The first row behind `key` in any layer; of equal keys the uppermost layer's. */
static enum tarn_err seek_any(struct view *v, struct tarn_span key, bool behind,
                              struct tarn_span *found, struct tarn_span *value, bool *gone) {
    enum tarn_err err = TARN_EOF;
    *gone = false;
    if (v->base)
        err = v->base->seek(v->base, key, behind, found, value);
    if (err && err != TARN_EOF)
        return err;
    for (size_t i = VIEW_TABLES; i-- > 0;) {
        uint32_t table = TARN_AT(v->tables, i);
        const struct row *r = table ? rows_seek(v->rows, table, key, behind) : NULL;
        if (!r || (!err && tarn_span_compare(*found, row_key(r)) < 0))
            continue;
        err = TARN_OK;
        *found = row_key(r);
        *value = row_value(r);
        *gone = r->gone;
    }
    return err;
}

enum tarn_err view_seek(struct view *v, struct tarn_span key, bool behind, struct tarn_span *found,
                        struct tarn_span *value) {
    for (;;) {
        bool gone;
        enum tarn_err err = seek_any(v, key, behind, found, value, &gone);
        if (err || !gone)
            return err;
        key = tarn_span_first(TARN_SPAN_ARRAY(v->key),
                              tarn_bytes_copy(TARN_BYTES_ARRAY(v->key), *found));
        behind = true;
    }
}

enum tarn_err view_put(struct view *v, struct tarn_span key, struct tarn_span value) {
    return rows_put(v->rows, &TARN_AT(v->tables, 0), key, value, false);
}

enum tarn_err view_remove(struct view *v, struct tarn_span key) {
    return rows_put(v->rows, &TARN_AT(v->tables, 0), key, TARN_SPAN_EMPTY, true);
}
