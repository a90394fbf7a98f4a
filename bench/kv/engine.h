/* SPDX-License-Identifier: ISC */
/* engine.h: what the benchmark asks of a store. A failure ends the process with a message. */
#ifndef BENCH_KV_ENGINE_H
#define BENCH_KV_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEY_BYTES = 16, VALUE_BYTES = 100 };

struct engine {
    const char *name;
    void (*open)(const char *folder, uint64_t records, size_t cache_bytes);
    /* Durable when it returns. */
    void (*put)(const uint8_t (*keys)[KEY_BYTES], const uint8_t (*values)[VALUE_BYTES],
                size_t count);
    bool (*get)(const uint8_t key[KEY_BYTES], uint8_t value[VALUE_BYTES]);
    uint64_t (*scan)(void); /* how many records it saw, in order */
    void (*close)(void);
    uint64_t (*flushes)(void); /* made so far; NULL: it cannot say */
};

extern const struct engine engine_tarn;
extern const struct engine engine_lmdb, engine_leveldb, engine_rocksdb, engine_sqlite;

_Noreturn void engine_fail(const char *what, const char *why);

#endif
