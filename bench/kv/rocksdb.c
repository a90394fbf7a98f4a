/* SPDX-License-Identifier: ISC */
#include <rocksdb/c.h>

#define LSM(name) rocksdb_##name
#define LSM_NAME "rocksdb"
#define LSM_DB rocksdb_t
#include "lsm.h"

static void lsm_open(const char *folder, uint64_t records, size_t cache_bytes) {
    (void)records;
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    options = rocksdb_options_create();
    rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(cache_bytes));
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom(10));
    rocksdb_options_set_block_based_table_factory(options, table);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    lsm_open_with(folder);
}

const struct engine engine_rocksdb = {"rocksdb", lsm_open, lsm_put, lsm_get, lsm_scan, lsm_close};
