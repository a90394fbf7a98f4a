/* SPDX-License-Identifier: ISC */
/* Batches. A change is staged in memory, and written by fat_commit in an order that no loss of
 * power can turn into more than lost clusters. A batch of several is tried first, without writing:
 * what cannot be made is found out before anything of it is. */
#include "fat.h"

#include <tarn/kv_impl.h>

static struct fat_place below(const struct fat_entry *e) {
    return (struct fat_place){e->cluster};
}

static bool is_root(const struct fat_path *p) {
    return p->depth == 0;
}
static bool is_there(const struct fat_path *p) {
    return p->found == p->depth;
}

/* -- trees ----------------------------------------------------------------------------------------
 */

/* Frees a directory and all below it, deepest first; nothing names it any more. What lies deeper
 * than anybody can name stays lost. */
static enum tarn_err free_tree(struct tarn_kv_fat *f, uint32_t first) {
    struct fat_walk stack[FAT_DEPTH_MAX];
    uint32_t depth = 1;
    fat_walk_begin(f, (struct fat_place){first}, &TARN_AT(stack, 0));
    while (depth) {
        struct fat_walk *w = &TARN_AT(stack, depth - 1);
        struct fat_entry e;
        enum tarn_err err = fat_walk_next(f, w, &e);
        bool is_free = false;
        if (!err && fat_is_cluster(f, e.cluster))
            err = fat_is_free(f, e.cluster, &is_free);
        if (err == TARN_EOF) {
            err = fat_free_chain(f, w->dir.cluster);
            depth--;
        } else if (!err && fat_is_directory(&e) && depth < FAT_DEPTH_MAX && !is_free
                   && fat_is_cluster(f, e.cluster)) {
            fat_walk_begin(f, below(&e), &TARN_AT(stack, depth++));
        } else if (!err && !fat_is_directory(&e)) {
            err = fat_free_chain(f, e.cluster);
        }
        if (err)
            return err;
    }
    return TARN_OK;
}

static enum tarn_err free_entry(struct tarn_kv_fat *f, const struct fat_entry *e) {
    enum tarn_err err =
        fat_is_directory(e) ? free_tree(f, e->cluster) : fat_free_chain(f, e->cluster);
    /* Damage in what is thrown away is nobody's loss. */
    if (err == TARN_IO && !f->failed)
        err = TARN_OK;
    return err ? err : fat_commit(f);
}

/* The uppermost directory on the way that would be empty without the entry goes with it: so no
 * dictionary is left without a value. */
static enum tarn_err climb(struct tarn_kv_fat *f, const struct fat_path *p, struct fat_place *dir,
                           struct fat_entry *e) {
    uint32_t level = p->depth - 1;
    *e = p->entry;
    for (; level > 0; level--) {
        struct fat_units name;
        struct fat_entry above;
        bool empty = false;
        enum tarn_err err = fat_dir_empty(f, TARN_AT(p->dirs, level), e, &empty);
        if (!err && empty && !fat_units_of(TARN_AT(p->names, level - 1), &name))
            err = TARN_IO;
        if (!err && empty)
            err = fat_dir_find(f, TARN_AT(p->dirs, level - 1), &name, &above);
        if (err)
            return err == TARN_NOT_FOUND ? TARN_IO : err;
        if (!empty)
            break;
        *e = above;
    }
    *dir = TARN_AT(p->dirs, level);
    return TARN_OK;
}

/* -- a value --------------------------------------------------------------------------------------
 */

/* Stages the entry for what a path names, with the directories that are not there yet. The first of
 * them that is missing is reserved before. */
static enum tarn_err name_it(struct tarn_kv_fat *f, const struct fat_path *p, struct fat_entry *e) {
    struct fat_place dir = TARN_AT(p->dirs, p->found), top = dir, next;
    struct fat_entry outer = *e;
    bool fresh = false;
    enum tarn_err err = TARN_OK;
    for (uint32_t i = p->found; !err && i + 1 < p->depth; i++) {
        err = fat_dir_new(f, dir, e->modified, &next);
        if (err)
            return err;
        struct fat_entry d = {.attributes = FAT_ATTRIBUTE_DIRECTORY,
                              .cluster = next.cluster,
                              .modified = e->modified};
        if (!fat_units_of(TARN_AT(p->names, i), &d.name))
            return TARN_INVALID;
        if (fresh) {
            err = fat_dir_reserve(f, dir, &d.name, true);
            if (!err)
                err = fat_dir_insert(f, dir, &d, true);
        } else {
            outer = d;
        }
        dir = next;
        fresh = true;
    }
    if (!err && fresh) {
        err = fat_dir_reserve(f, dir, &e->name, true);
        if (!err)
            err = fat_dir_insert(f, dir, e, true);
    }
    return err ? err : fat_dir_insert(f, top, &outer, false);
}

/* Room for the first name that is missing, which may be written at once: before anything else of
 * the change is staged. */
static enum tarn_err reserve(struct tarn_kv_fat *f, const struct fat_path *p) {
    struct fat_units name;
    if (!fat_units_of(TARN_AT(p->names, p->found), &name))
        return TARN_INVALID;
    return fat_dir_reserve(f, TARN_AT(p->dirs, p->found), &name, false);
}

/* Whether a path may get a value: nothing but dictionaries on the way, and none at its end. */
static enum tarn_err writable(const struct fat_path *p) {
    if (is_root(p) || p->impossible)
        return TARN_INVALID;
    return fat_is_directory(&p->entry) == is_there(p) ? TARN_INVALID : TARN_OK;
}

static enum tarn_err set_size(const struct tarn_kv_change *c, const struct fat_entry *old,
                              uint64_t *bytes) {
    *bytes = c->verb == TARN_KV_ALLOCATE ? c->bytes : c->value.len;
    if (c->verb != TARN_KV_SET_PARTIAL)
        return TARN_OK;
    if (c->offset > UINT32_MAX || c->value.len > UINT32_MAX)
        return TARN_LIMIT;
    *bytes = c->value.len ? c->offset + c->value.len : 0;
    *bytes = TARN_MAX(*bytes, old ? (uint64_t)old->bytes : 0);
    return TARN_OK;
}

static enum tarn_err set(struct tarn_kv_fat *f, const struct tarn_kv_change *c, int64_t now) {
    struct fat_path p;
    uint64_t bytes;
    enum tarn_err err = fat_path_find(f, c->key, &p);
    if (!err)
        err = writable(&p);
    const struct fat_entry *old = is_there(&p) ? &p.entry : NULL;
    if (!err && old && c->verb == TARN_KV_ALLOCATE)
        err = TARN_INVALID;
    if (!err)
        err = set_size(c, old, &bytes);
    if (!err && old && c->verb == TARN_KV_SET_PARTIAL && !c->value.len)
        return TARN_OK;
    if (!err && !old)
        err = reserve(f, &p);
    if (err)
        return err;
    struct fat_entry e = {.attributes = 0x20, .bytes = (uint32_t)bytes};
    if (old)
        e = *old;
    e.bytes = (uint32_t)bytes;
    e.modified = c->last_modified ? c->last_modified : now;
    bool partial = c->verb == TARN_KV_SET_PARTIAL;
    err = fat_value_write(f, partial ? old : NULL, bytes, partial ? c->offset : 0,
                          c->verb == TARN_KV_ALLOCATE ? TARN_SPAN_EMPTY : c->value, &e.cluster);
    if (!err && old)
        err = fat_dir_update(f, &e);
    else if (!err && !fat_units_of(TARN_AT(p.names, p.depth - 1), &e.name))
        err = TARN_INVALID;
    else if (!err)
        err = name_it(f, &p, &e);
    if (!err)
        err = fat_commit(f);
    return err || !old ? err : free_entry(f, old);
}

/* -- removing -------------------------------------------------------------------------------------
 */

static enum tarn_err remove_root(struct tarn_kv_fat *f) {
    for (;;) {
        struct fat_entry e;
        struct fat_walk w;
        fat_walk_begin(f, fat_root(f), &w);
        enum tarn_err err = fat_walk_next(f, &w, &e);
        if (err)
            return err == TARN_EOF ? TARN_OK : err;
        err = fat_dir_erase(f, fat_root(f), &e);
        if (!err)
            err = fat_commit(f);
        if (!err)
            err = free_entry(f, &e);
        if (err)
            return err;
    }
}

static enum tarn_err remove_key(struct tarn_kv_fat *f, const struct tarn_kv_change *c) {
    struct fat_path p;
    struct fat_place dir;
    struct fat_entry e;
    enum tarn_err err = fat_path_find(f, c->key, &p);
    if (err == TARN_LIMIT || (!err && !is_there(&p)))
        return TARN_NOT_FOUND;
    if (err || is_root(&p))
        return err ? err : remove_root(f);
    err = climb(f, &p, &dir, &e);
    if (!err)
        err = fat_dir_erase(f, dir, &e);
    if (!err)
        err = fat_commit(f);
    return err ? err : free_entry(f, &e);
}

/* -- renaming -------------------------------------------------------------------------------------
 */

struct renaming {
    struct fat_path from, to;
    struct fat_entry e; /* what is there under the new name */
};

static enum tarn_err rename_check(struct tarn_kv_fat *f, const struct tarn_kv_change *c,
                                  struct renaming *r, bool *same) {
    enum tarn_err err = fat_path_find(f, c->key, &r->from);
    *same = false;
    if (!err && is_root(&r->from))
        err = TARN_INVALID;
    if (!err && !is_there(&r->from))
        err = r->from.impossible ? TARN_INVALID : TARN_NOT_FOUND;
    if (!err)
        err = fat_path_find(f, c->dest, &r->to);
    if (!err && (is_root(&r->to) || r->to.impossible))
        err = TARN_INVALID;
    if (err)
        return err;
    const struct fat_spot *a = &r->from.entry.spot, *b = &r->to.entry.spot;
    *same = is_there(&r->to) && a->sector == b->sector && a->offset == b->offset;
    if (*same)
        return TARN_OK;
    if (is_there(&r->to))
        return fat_is_directory(&r->to.entry) || fat_is_directory(&r->from.entry) ? TARN_INVALID
                                                                                  : TARN_OK;
    if (!fat_is_directory(&r->to.entry))
        return TARN_INVALID; /* a value on the way */
    for (uint32_t i = 0; fat_is_directory(&r->from.entry) && i <= r->to.found; i++)
        if (TARN_AT(r->to.dirs, i).cluster == r->from.entry.cluster)
            return TARN_INVALID; /* below itself */
    return TARN_OK;
}

/* Stages the new name. */
static enum tarn_err rename_insert(struct tarn_kv_fat *f, struct renaming *r) {
    if (is_there(&r->to)) {
        struct fat_entry e = r->to.entry;
        e.cluster = r->e.cluster;
        e.bytes = r->e.bytes;
        e.modified = r->e.modified;
        return fat_dir_update(f, &e);
    }
    if (!fat_units_of(TARN_AT(r->to.names, r->to.depth - 1), &r->e.name))
        return TARN_INVALID;
    return name_it(f, &r->to, &r->e);
}

/* Where both names lie in one sector, one write makes it: nothing has to be copied. */
static enum tarn_err rename_in_place(struct tarn_kv_fat *f, struct renaming *r, bool *done) {
    struct fat_place last = TARN_AT(r->from.dirs, r->from.depth - 1);
    bool alone = false;
    *done = false;
    if (f->trying)
        return TARN_OK;
    enum tarn_err err = rename_insert(f, r);
    if (!err && r->from.depth > 1)
        err = fat_dir_empty(f, last, &r->from.entry, &alone);
    if (!err && !alone)
        err = fat_dir_erase(f, last, &r->from.entry);
    *done = !err && !alone && fat_dirty(f, FAT_NAMES) == 1;
    if (*done)
        return fat_commit(f);
    fat_discard(f);
    return err;
}

/* A value under its new name has clusters of its own, until the old name is gone. */
static enum tarn_err rename_value(struct tarn_kv_fat *f, struct renaming *r) {
    struct fat_place dir;
    struct fat_entry gone;
    enum tarn_err err =
        fat_value_write(f, &r->from.entry, r->from.entry.bytes, 0, TARN_SPAN_EMPTY, &r->e.cluster);
    if (!err)
        err = rename_insert(f, r);
    if (!err)
        err = fat_commit(f);
    if (!err)
        err = climb(f, &r->from, &dir, &gone);
    if (!err)
        err = fat_dir_erase(f, dir, &gone);
    if (!err)
        err = fat_commit(f);
    return err ? err : free_entry(f, &gone);
}

static enum tarn_err rename_dictionary(struct tarn_kv_fat *f, struct renaming *r) {
    struct fat_place dir, above = TARN_AT(r->from.dirs, r->from.depth - 1);
    struct fat_entry gone;
    enum tarn_err err = rename_insert(f, r);
    if (!err)
        err = fat_commit(f);
    if (!err)
        err = climb(f, &r->from, &dir, &gone);
    if (!err)
        err = fat_dir_erase(f, above, &r->from.entry);
    if (!err)
        err = fat_commit(f);
    /* Its old directories, where it was all that was in them. */
    if (!err && gone.cluster != r->from.entry.cluster) {
        err = fat_dir_erase(f, dir, &gone);
        if (!err)
            err = fat_commit(f);
        if (!err)
            err = free_entry(f, &gone);
    }
    return err;
}

static enum tarn_err rename_key(struct tarn_kv_fat *f, const struct tarn_kv_change *c) {
    struct renaming r;
    bool same, done;
    enum tarn_err err = rename_check(f, c, &r, &same);
    if (err || same)
        return err;
    if (!is_there(&r.to))
        err = reserve(f, &r.to);
    r.e = r.from.entry;
    if (!err)
        err = rename_in_place(f, &r, &done);
    if (!err && !done)
        err = fat_is_directory(&r.from.entry) ? rename_dictionary(f, &r) : rename_value(f, &r);
    if (err)
        return err;
    if (fat_is_directory(&r.from.entry)) {
        struct fat_path to;
        err = fat_path_find(f, c->dest, &to);
        if (!err && is_there(&to))
            err = fat_dir_move(f, below(&to.entry), TARN_AT(to.dirs, to.depth - 1));
        if (!err)
            err = fat_commit(f);
    }
    return err || !is_there(&r.to) ? err : free_entry(f, &r.to.entry);
}

/* -- batches --------------------------------------------------------------------------------------
 */

static enum tarn_err change_one(struct tarn_kv_fat *f, const struct tarn_kv_change *c,
                                int64_t now) {
    f->finger_first = 0;
    return c->verb == TARN_KV_REMOVE   ? remove_key(f, c)
           : c->verb == TARN_KV_RENAME ? rename_key(f, c)
                                       : set(f, c, now);
}

static enum tarn_err change_all(struct tarn_kv_fat *f, const struct tarn_kv_change *changes,
                                size_t count, size_t *failed) {
    int64_t now = (int64_t)(tarn_clock_wall_ns(f->config.clock) / 1000000000u);
    enum tarn_err err = TARN_OK;
    for (size_t i = 0; !err && i < count; i++) {
        *failed = i;
        err = change_one(f, &TARN_AT_N(changes, count, i), now);
    }
    if (err || f->trying)
        fat_discard(f);
    return err;
}

static enum tarn_err batch_inside(struct tarn_kv_fat *f, const struct tarn_kv_change *changes,
                                  size_t count, size_t *failed) {
    enum tarn_err err = f->failed ? TARN_IO : TARN_OK;
    uint32_t next_free = f->next_free;
    if (!err && count > 1) {
        f->trying = true;
        err = change_all(f, changes, count, failed);
        f->trying = false;
        f->next_free = next_free;
    }
    if (!err && count && f->info_known) {
        err = fat_info_set(f, UINT32_MAX);
        f->info_known = false;
    }
    if (!err)
        err = change_all(f, changes, count, failed);
    f->finger_first = 0;
    return err;
}

enum tarn_err fat_batch(struct tarn_kv *kv, const struct tarn_kv_change *changes, size_t count,
                        size_t *failed) {
    struct tarn_kv_fat *f = TARN_CONTAINER_OF(kv, struct tarn_kv_fat, kv);
    *failed = 0;
    enum tarn_err err = fat_enter(f);
    if (err)
        return err;
    f->fill++;
    err = batch_inside(f, changes, count, failed);
    fat_leave(f);
    if (!err)
        tarn_kv_watches_notify(f->watches, changes, count);
    return err;
}
