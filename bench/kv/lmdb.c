/* SPDX-License-Identifier: ISC */
#include "engine.h"

#include <lmdb.h>
#include <string.h>

static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *reader;

static void must(int rc) {
    if (rc)
        engine_fail("lmdb", mdb_strerror(rc));
}

static void lmdb_open(const char *folder, uint64_t records, size_t cache_bytes) {
    MDB_txn *txn;
    (void)cache_bytes; /* the kernel's */
    must(mdb_env_create(&env));
    must(mdb_env_set_mapsize(env, records * 600 + (64u << 20)));
    must(mdb_env_open(env, folder, 0, 0644));
    must(mdb_txn_begin(env, NULL, 0, &txn));
    must(mdb_dbi_open(txn, NULL, 0, &dbi));
    must(mdb_txn_commit(txn));
}

static void lmdb_put(const uint8_t (*keys)[KEY_BYTES], const uint8_t (*values)[VALUE_BYTES],
                     size_t count) {
    MDB_txn *txn;
    must(mdb_txn_begin(env, NULL, 0, &txn));
    for (size_t i = 0; i < count; i++) {
        MDB_val k = {KEY_BYTES, (void *)keys[i]}, v = {VALUE_BYTES, (void *)values[i]};
        must(mdb_put(txn, dbi, &k, &v, 0));
    }
    must(mdb_txn_commit(txn));
}

static bool lmdb_get(const uint8_t key[KEY_BYTES], uint8_t value[VALUE_BYTES]) {
    MDB_val k = {KEY_BYTES, (void *)key}, v;
    if (!reader)
        must(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader));
    if (mdb_get(reader, dbi, &k, &v) || v.mv_size != VALUE_BYTES)
        return false;
    memcpy(value, v.mv_data, VALUE_BYTES);
    return true;
}

static uint64_t lmdb_scan(void) {
    MDB_cursor *c;
    MDB_val k, v;
    uint64_t n = 0;
    must(mdb_txn_begin(env, NULL, MDB_RDONLY, &reader));
    must(mdb_cursor_open(reader, dbi, &c));
    while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0)
        n += v.mv_size == VALUE_BYTES;
    mdb_cursor_close(c);
    return n;
}

static void lmdb_close(void) {
    if (reader)
        mdb_txn_abort(reader);
    mdb_env_close(env);
}

const struct engine engine_lmdb = {"lmdb", lmdb_open, lmdb_put, lmdb_get, lmdb_scan, lmdb_close};
