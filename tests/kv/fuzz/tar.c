/* SPDX-License-Identifier: ISC */
/* Any bytes: refused with a place inside them, or a store that agrees with itself. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <tarn/kv_tar.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a, (void)align;
    return calloc(1, bytes);
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops ops = {get, put};

static void check(int cond) {
    if (!cond)
        abort();
}

static void walk(struct tarn_kv *kv, struct tarn_span dir, unsigned depth, uint32_t *values) {
    struct tarn_kv_entry e;
    struct tarn_kv_cursor cursor = {0};
    enum tarn_err err;
    while ((err = kv->ops->list(kv, dir, &cursor, &e)) == TARN_OK) {
        enum tarn_kv_kind kind;
        struct tarn_span value;
        uint8_t digest[TARN_KV_DIGEST_BYTES];
        int64_t mtime;
        size_t len = dir.len + (dir.len != 0) + e.name.len;
        uint8_t *path = malloc(len);
        check(e.name.len != 0);
        for (size_t i = 0; i < dir.len; i++)
            path[i] = dir.ptr[i];
        if (dir.len)
            path[dir.len] = '/';
        for (size_t i = 0; i < e.name.len; i++)
            path[len - e.name.len + i] = e.name.ptr[i];
        struct tarn_span key = {path, len};
        check(kv->ops->exists(kv, key, &kind) == TARN_OK && kind == e.kind);
        if (kind == TARN_KV_VALUE) {
            ++*values;
            check(kv->ops->last_modified(kv, key, &mtime) == TARN_OK);
            check(kv->ops->borrow(kv, key, &value) == TARN_OK);
            check(kv->ops->digest(kv, key, digest) == TARN_OK);
        } else if (depth < 64) {
            walk(kv, key, depth + 1, values);
        }
        free(path);
    }
    check(err == TARN_EOF);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_alloc heap = {&ops};
    struct tarn_kv_tar_config config = {&heap, {data, size}};
    struct tarn_kv_tar_error error;
    struct tarn_kv_tar *tar;
    uint32_t values = 0;
    enum tarn_err err = tarn_kv_tar_new(&config, &error, &tar);
    if (err) {
        check(err == TARN_PEER && error.offset <= size && error.why[0]);
        return 0;
    }
    walk(tarn_kv_tar_kv(tar), TARN_SPAN_EMPTY, 0, &values);
    check(values <= tarn_kv_tar_count(tar));
    tarn_kv_tar_delete(tar);
    return 0;
}
