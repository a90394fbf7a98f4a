/* SPDX-License-Identifier: ISC */
#include <leveldb/c.h>

#define LSM(name) leveldb_##name
#define LSM_NAME "leveldb"
#define LSM_DB leveldb_t
#include "lsm.h"

static void lsm_open(const char *folder, uint64_t records, size_t cache_bytes) {
    (void)records;
    options = leveldb_options_create();
    leveldb_options_set_cache(options, leveldb_cache_create_lru(cache_bytes));
    leveldb_options_set_compression(options, leveldb_no_compression);
    leveldb_options_set_filter_policy(options, leveldb_filterpolicy_create_bloom(10));
    lsm_open_with(folder);
}

const struct engine engine_leveldb = {"leveldb", lsm_open, lsm_put, lsm_get, lsm_scan, lsm_close};
