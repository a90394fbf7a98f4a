/* SPDX-License-Identifier: ISC */
#include "store.h"

static struct store *store_of(struct tarn_kv *kv) {
    return TARN_CONTAINER_OF(kv, struct store, kv);
}
static enum tarn_err enter(struct store *s) {
    return s->enter ? s->enter(s) : TARN_OK;
}
static void leave(struct store *s) {
    if (s->leave)
        s->leave(s);
}

/* -- reading --------------------------------------------------------------------------------------
 */

enum tarn_err store_exists(struct tarn_kv *kv, struct tarn_span key, enum tarn_kv_kind *kind) {
    struct store *s = store_of(kv);
    struct catalog_entry e;
    enum tarn_err err = enter(s);
    if (err)
        return err;
    err = catalog_find(&s->view, key, &e);
    if (!err)
        *kind = e.type == ENTRY_NONE         ? TARN_KV_NONE
                : e.type == ENTRY_DICTIONARY ? TARN_KV_DICTIONARY
                                             : TARN_KV_VALUE;
    leave(s);
    return err;
}

enum tarn_err store_get_partial(struct tarn_kv *kv, struct tarn_span key, uint64_t offset,
                                struct tarn_bytes buf, size_t *n) {
    struct store *s = store_of(kv);
    struct catalog_entry e;
    *n = 0;
    enum tarn_err err = enter(s);
    if (err)
        return err;
    err = catalog_value(&s->view, key, &e);
    if (!err)
        err = catalog_read(&s->view, &e, offset, buf, n);
    leave(s);
    return err;
}

/* Values move when others change. */
enum tarn_err store_borrow(struct tarn_kv *kv, struct tarn_span key, struct tarn_span *value) {
    (void)kv, (void)key, (void)value;
    return TARN_UNSUPPORTED;
}

static enum tarn_err value_of(struct tarn_kv *kv, struct tarn_span key, struct catalog_entry *e) {
    struct store *s = store_of(kv);
    enum tarn_err err = enter(s);
    if (err)
        return err;
    err = catalog_value(&s->view, key, e);
    leave(s);
    return err;
}

enum tarn_err store_size(struct tarn_kv *kv, struct tarn_span key, uint64_t *bytes) {
    struct catalog_entry e;
    enum tarn_err err = value_of(kv, key, &e);
    if (!err)
        *bytes = e.bytes;
    return err;
}

enum tarn_err store_last_modified(struct tarn_kv *kv, struct tarn_span key, int64_t *seconds) {
    struct catalog_entry e;
    enum tarn_err err = value_of(kv, key, &e);
    if (!err)
        *seconds = e.last_modified;
    return err;
}

enum tarn_err store_list(struct tarn_kv *kv, struct tarn_span key, struct tarn_kv_cursor *cursor,
                         struct tarn_kv_entry *entry) {
    struct store *s = store_of(kv);
    enum tarn_err err = enter(s);
    if (err)
        return err;
    err = catalog_list(&s->view, key, cursor, entry);
    leave(s);
    return err;
}

enum tarn_err store_digest(struct tarn_kv *kv, struct tarn_span key,
                           uint8_t digest[TARN_KV_DIGEST_BYTES]) {
    struct store *s = store_of(kv);
    enum tarn_err err = enter(s);
    if (err)
        return err;
    err = catalog_digest(&s->view, key, digest);
    leave(s);
    return err;
}

/* -- a batch --------------------------------------------------------------------------------------
 */

void store_stage_end(struct view *v) {
    rows_drop(v->rows, TARN_AT(v->tables, 0));
    TARN_AT(v->tables, 0) = 0;
}

enum tarn_err store_stage(struct view *v, const struct tarn_kv_change *changes, size_t count,
                          int64_t now, size_t *failed) {
    uint64_t next_id = v->next_id, root = v->root;
    TARN_ASSERT(TARN_AT(v->tables, 0) == 0);
    for (size_t i = 0; i < count; i++) {
        enum tarn_err err = catalog_change(v, &TARN_AT_N(changes, count, i), now);
        if (err) {
            *failed = i;
            v->next_id = next_id;
            v->root = root;
            store_stage_end(v);
            return err;
        }
    }
    return TARN_OK;
}
