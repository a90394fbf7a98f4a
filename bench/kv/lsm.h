/* SPDX-License-Identifier: ISC */
/* LevelDB and RocksDB have one C interface under two names: LSM(put) is leveldb_put or rocksdb_put.
 */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static LSM_DB *db;
static LSM(options_t) * options;
static LSM(writeoptions_t) * durable;
static LSM(readoptions_t) * reading;

static void must(char *error) {
    if (error)
        engine_fail(LSM_NAME, error);
}

static void lsm_put(const uint8_t (*keys)[KEY_BYTES], const uint8_t (*values)[VALUE_BYTES],
                    size_t count) {
    char *error = NULL;
    LSM(writebatch_t) *batch = LSM(writebatch_create)();
    for (size_t i = 0; i < count; i++)
        LSM(writebatch_put)
    (batch, (const char *)keys[i], KEY_BYTES, (const char *)values[i], VALUE_BYTES);
    LSM(write)(db, durable, batch, &error);
    must(error);
    LSM(writebatch_destroy)(batch);
}

static bool lsm_get(const uint8_t key[KEY_BYTES], uint8_t value[VALUE_BYTES]) {
    char *error = NULL;
    size_t len = 0;
    char *found = LSM(get)(db, reading, (const char *)key, KEY_BYTES, &len, &error);
    must(error);
    if (!found || len != VALUE_BYTES)
        return false;
    memcpy(value, found, VALUE_BYTES);
    LSM(free)(found);
    return true;
}

static uint64_t lsm_scan(void) {
    LSM(iterator_t) *it = LSM(create_iterator)(db, reading);
    uint64_t n = 0;
    for (LSM(iter_seek_to_first)(it); LSM(iter_valid)(it); LSM(iter_next)(it)) {
        size_t len;
        LSM(iter_value)(it, &len);
        n += len == VALUE_BYTES;
    }
    LSM(iter_destroy)(it);
    return n;
}

static void lsm_close(void) {
    LSM(close)(db);
}

static void lsm_open_with(const char *folder) {
    char *error = NULL, path[512];
    snprintf(path, sizeof path, "%s/db", folder);
    LSM(options_set_create_if_missing)(options, 1);
    durable = LSM(writeoptions_create)();
    LSM(writeoptions_set_sync)(durable, 1);
    reading = LSM(readoptions_create)();
    db = LSM(open)(options, path, &error);
    must(error);
}
