/* SPDX-License-Identifier: ISC */
#include "view.h"

static const struct row *table_get(const struct view *v, size_t i, struct tarn_span key) {
    uint32_t table = TARN_AT(v->tables, i);
    const struct filter *filter = TARN_AT(v->filters, i);
    if (!table || (filter && !filter_may_have(filter, filter_hash(key))))
        return NULL;
    return rows_get(v->rows, table, key);
}

enum tarn_err view_get(struct view *v, struct tarn_span key, struct tarn_span *value) {
    for (size_t i = 0; i < VIEW_TABLES; i++) {
        const struct row *r = table_get(v, i, key);
        if (r && r->gone)
            return TARN_NOT_FOUND;
        if (r) {
            *value = row_value(r);
            return TARN_OK;
        }
    }
    return v->base ? v->base->get(v->base, key, value) : TARN_NOT_FOUND;
}

static bool finger_serves(const struct view *v, struct tarn_span key, bool behind) {
    const struct view_finger *f = &v->finger;
    return behind && f->key_len && f->version == v->rows->version
           && tarn_span_equal(tarn_span_first(TARN_SPAN_ARRAY(f->key), f->key_len), key);
}

/* The first row of table `i` not before `key`. */
static const struct row *table_seek(struct view *v, size_t i, struct tarn_span key, bool behind,
                                    bool fingered) {
    uint32_t table = TARN_AT(v->tables, i);
    const struct row **row = &TARN_AT(v->finger.rows, i);
    if (!fingered || TARN_AT(v->finger.tables, i) != table
        || (*row && tarn_span_compare(row_key(*row), key) <= 0))
        *row = table ? rows_seek(v->rows, table, key, behind) : NULL;
    TARN_AT(v->finger.tables, i) = table;
    return *row;
}

/* The first row behind `key` in any layer; of equal keys the uppermost layer's. */
static enum tarn_err seek_any(struct view *v, struct tarn_span key, bool behind,
                              struct tarn_span *found, struct tarn_span *value, bool *gone) {
    bool fingered = finger_serves(v, key, behind);
    enum tarn_err err = TARN_EOF;
    *gone = false;
    v->finger.key_len = 0;
    if (v->base)
        err = v->base->seek(v->base, key, behind, fingered, found, value);
    if (err && err != TARN_EOF)
        return err;
    for (size_t i = VIEW_TABLES; i-- > 0;) {
        const struct row *r = table_seek(v, i, key, behind, fingered);
        if (!r || (!err && tarn_span_compare(*found, row_key(r)) < 0))
            continue;
        err = TARN_OK;
        *found = row_key(r);
        *value = row_value(r);
        *gone = r->gone;
    }
    if (!err) {
        v->finger.version = v->rows->version;
        v->finger.key_len = tarn_bytes_copy(TARN_BYTES_ARRAY(v->finger.key), *found);
    }
    return err;
}

enum tarn_err view_seek(struct view *v, struct tarn_span key, bool behind, struct tarn_span *found,
                        struct tarn_span *value) {
    uint8_t room[ROW_KEY_MAX];
    for (;;) {
        bool gone;
        enum tarn_err err = seek_any(v, key, behind, found, value, &gone);
        if (err || !gone)
            return err;
        key =
            tarn_span_first(TARN_SPAN_ARRAY(room), tarn_bytes_copy(TARN_BYTES_ARRAY(room), *found));
        behind = true;
    }
}

enum tarn_err view_put(struct view *v, struct tarn_span key, struct tarn_span value) {
    return rows_put(v->rows, &TARN_AT(v->tables, 0), key, value, false);
}

enum tarn_err view_remove(struct view *v, struct tarn_span key) {
    return rows_put(v->rows, &TARN_AT(v->tables, 0), key, TARN_SPAN_EMPTY, true);
}
