/* SPDX-License-Identifier: ISC */
/* A volume with any bytes written over it: every call answers, and nothing outside is touched. The
 * input: pairs of (where, what) over a small volume with some files, then what to do. */
#include "../rig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES (96u << 10)

static void fill(struct tarn_kv *kv) {
    static const char *const names[] = {"a", "long name with pieces", "d/one", "d/e/two",
                                        "D2/x.txt"};
    static uint8_t value[3000];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (tarn_kv_set(kv, tarn_span_str(names[i]), tarn_span_of(value, 600 * i)))
            abort();
}

static void walk(struct tarn_kv *kv, const char *dir, int depth) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    uint8_t buf[700];
    size_t n;
    for (int i = 0; i < 100 && kv->ops->list(kv, tarn_span_str(dir), &cursor, &e) == TARN_OK; i++) {
        char key[600];
        size_t len = strlen(dir);
        if (len + e.name.len + 2 > sizeof key)
            continue;
        memcpy(key, dir, len);
        key[len] = '/';
        memcpy(key + len + 1, e.name.ptr, e.name.len);
        key[len + 1 + e.name.len] = 0;
        if (e.kind == TARN_KV_DICTIONARY && depth < 4)
            walk(kv, key, depth + 1);
        else if (kv->ops->get_partial(kv, tarn_span_str(key), 300, TARN_BYTES_ARRAY(buf), &n))
            continue;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t image[BYTES];
    static int made;
    struct rig rig;
    struct tarn_kv_fat *fat;
    rig_init(&rig, BYTES);
    struct tarn_kv_fat_config config = rig_fat(&rig);
    if (!made) {
        if (tarn_kv_fat_format(&config, &(struct tarn_kv_fat_format){.cluster_bytes = 512})
            || tarn_kv_fat_open(&config, &fat))
            abort();
        fill(tarn_kv_fat_kv(fat));
        tarn_kv_fat_close(fat);
        memcpy(image, rig.bytes, BYTES);
        made = 1;
    }
    memcpy(rig.bytes, image, BYTES);
    struct tarn_span in = {data, size};
    uint8_t verb, byte;
    uint16_t where;
    if (!tarn_span_u8(&in, &verb))
        verb = 0;
    while (tarn_span_u16le(&in, &where) && tarn_span_u8(&in, &byte))
        rig.bytes[where % 16384] = byte; /* where the tables and directories are */
    config.sectors_cached = 32;
    if (tarn_kv_fat_open(&config, &fat) == TARN_OK) {
        struct tarn_kv *kv = tarn_kv_fat_kv(fat);
        struct tarn_kv_change changes[] = {
            {.verb = TARN_KV_SET_PARTIAL,
             .key = TARN_SPAN_LIT("a"),
             .value = TARN_SPAN_LIT("xyz"),
             .offset = verb * 9u},
            {.verb = TARN_KV_RENAME, .key = TARN_SPAN_LIT("d"), .dest = TARN_SPAN_LIT("new/place")},
            {.verb = TARN_KV_REMOVE, .key = TARN_SPAN_LIT("D2")},
            {.verb = TARN_KV_REMOVE, .key = TARN_SPAN_LIT("")},
        };
        size_t failed;
        walk(kv, "", 0);
        (void)kv->ops->batch(kv, changes + verb % 4, 1 + verb / 4 % (4 - verb % 4), &failed);
        walk(kv, "", 0);
        tarn_kv_fat_close(fat);
    }
    rig_done(&rig);
    return 0;
}
