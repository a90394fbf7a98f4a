/* SPDX-License-Identifier: ISC */
#include "engine.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static sqlite3 *db;
static sqlite3_stmt *put, *get, *begin, *commit;

static void must(int rc) {
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        engine_fail("sqlite", sqlite3_errmsg(db));
}

static void run(sqlite3_stmt *s) {
    must(sqlite3_step(s));
    must(sqlite3_reset(s));
}

static void sqlite_open(const char *folder, uint64_t records, size_t cache_bytes) {
    char text[600];
    (void)records;
    snprintf(text, sizeof text, "%s/db", folder);
    must(sqlite3_open(text, &db));
    snprintf(text, sizeof text,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-%zu;"
             "CREATE TABLE IF NOT EXISTS kv(k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID;",
             cache_bytes / 1024);
    must(sqlite3_exec(db, text, NULL, NULL, NULL));
    must(sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO kv VALUES(?,?)", -1, &put, NULL));
    must(sqlite3_prepare_v2(db, "SELECT v FROM kv WHERE k=?", -1, &get, NULL));
    must(sqlite3_prepare_v2(db, "BEGIN", -1, &begin, NULL));
    must(sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL));
}

static void sqlite_put(const uint8_t (*keys)[KEY_BYTES], const uint8_t (*values)[VALUE_BYTES],
                       size_t count) {
    run(begin);
    for (size_t i = 0; i < count; i++) {
        must(sqlite3_bind_blob(put, 1, keys[i], KEY_BYTES, SQLITE_STATIC));
        must(sqlite3_bind_blob(put, 2, values[i], VALUE_BYTES, SQLITE_STATIC));
        run(put);
    }
    run(commit);
}

static bool sqlite_get(const uint8_t key[KEY_BYTES], uint8_t value[VALUE_BYTES]) {
    must(sqlite3_bind_blob(get, 1, key, KEY_BYTES, SQLITE_STATIC));
    bool found = sqlite3_step(get) == SQLITE_ROW && sqlite3_column_bytes(get, 0) == VALUE_BYTES;
    if (found)
        memcpy(value, sqlite3_column_blob(get, 0), VALUE_BYTES);
    must(sqlite3_reset(get));
    return found;
}

static uint64_t sqlite_scan(void) {
    sqlite3_stmt *s;
    uint64_t n = 0;
    must(sqlite3_prepare_v2(db, "SELECT k, v FROM kv ORDER BY k", -1, &s, NULL));
    while (sqlite3_step(s) == SQLITE_ROW)
        n += sqlite3_column_bytes(s, 1) == VALUE_BYTES;
    sqlite3_finalize(s);
    return n;
}

static void sqlite_close(void) {
    sqlite3_finalize(put);
    sqlite3_finalize(get);
    sqlite3_finalize(begin);
    sqlite3_finalize(commit);
    sqlite3_close(db);
}

const struct engine engine_sqlite = {"sqlite",   sqlite_open, sqlite_put,
                                     sqlite_get, sqlite_scan, sqlite_close};
