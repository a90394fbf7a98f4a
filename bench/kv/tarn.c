/* SPDX-License-Identifier: ISC */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

static struct file file;
static struct tarn_kv_tree *tree;
static struct tarn_kv *kv;

static void tarn_open(const char *folder, uint64_t records, size_t cache_bytes) {
    char path[512];
    uint64_t bytes = records * 600 + (64u << 20);
    snprintf(path, sizeof path, "%s/image", folder);
    const char *why = file_open(&file, path, true, bytes);
    if (why)
        engine_fail(path, why);
    struct tarn_kv_tree_config config = file_config(&file);
    config.cache_bytes = cache_bytes;
    config.table_bytes = 12 << 20; /* with the cache, and what else a process has, 16 MB */
    config.batch_bytes_max = 512 << 10;
    enum tarn_err err = tarn_kv_tree_open(&config, &tree);
    if (err == TARN_NOT_FOUND) {
        err = tarn_kv_tree_format(&config, 32 << 20);
        if (!err)
            err = tarn_kv_tree_open(&config, &tree);
    }
    if (err)
        engine_fail(path, tarn_err_name(err));
    kv = tarn_kv_tree_kv(tree);
}

static void tarn_put(const uint8_t (*keys)[KEY_BYTES], const uint8_t (*values)[VALUE_BYTES],
                     size_t count) {
    static struct tarn_kv_change changes[1000];
    size_t failed;
    for (size_t i = 0; i < count; i++)
        changes[i] = (struct tarn_kv_change){.verb = TARN_KV_SET,
                                             .key = tarn_span_of(keys[i], KEY_BYTES),
                                             .value = tarn_span_of(values[i], VALUE_BYTES)};
    enum tarn_err err = kv->ops->batch(kv, changes, count, &failed);
    if (err)
        engine_fail("tarn", tarn_err_name(err));
}

static bool tarn_get(const uint8_t key[KEY_BYTES], uint8_t value[VALUE_BYTES]) {
    size_t n;
    return kv->ops->get_partial(kv, tarn_span_of(key, KEY_BYTES), 0,
                                tarn_bytes_of(value, VALUE_BYTES), &n)
               == TARN_OK
           && n == VALUE_BYTES;
}

static uint64_t tarn_scan(void) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    uint64_t n = 0;
    while (kv->ops->list(kv, TARN_SPAN_EMPTY, &cursor, &e) == TARN_OK)
        n += e.value.len == VALUE_BYTES;
    return n;
}

static uint64_t tarn_flushes(void) {
    return file.flushes;
}

static void tarn_close(void) {
    tarn_kv_tree_close(tree);
    file_close(&file);
}

const struct engine engine_tarn = {"tarn",    tarn_open,  tarn_put,    tarn_get,
                                   tarn_scan, tarn_close, tarn_flushes};
