/* SPDX-License-Identifier: ISC */
/* How long it takes to open the store after a loss of power: kv-recovery FOLDER. With logs of
 * several sizes, single sets are made until there is as much to replay as ever is; then the store
 * is opened as it lies there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "file.h"

static void must(enum tarn_err err, const char *what) {
    if (!err)
        return;
    fprintf(stderr, "kv-recovery: %s: %s\n", what, tarn_err_name(err));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put(struct tarn_kv *kv, uint64_t i) {
    char key[17], value[100];
    snprintf(key, sizeof key, "%016llx", (unsigned long long)(i * 0x9e3779b97f4a7c15u));
    memset(value, (int)i, sizeof value);
    must(tarn_kv_set(kv, tarn_span_str(key), TARN_SPAN_ARRAY(value)), "set");
}

static size_t used(struct tarn_kv_tree *tree) {
    struct tarn_kv_tree_stat s;
    tarn_kv_tree_stat(tree, &s);
    return s.table_used;
}

/* Each set takes 512 bytes of the log: once around it to see how much waits at the most, and on
 * until it is so much again. */
static void fill(struct tarn_kv_tree *tree, uint64_t log_bytes) {
    uint64_t round = log_bytes / 512, i = 0;
    size_t most = 0;
    for (; i < round; i++) {
        put(tarn_kv_tree_kv(tree), i);
        most = used(tree) > most ? used(tree) : most;
    }
    while (used(tree) < most - most / 50 && i < 3 * round)
        put(tarn_kv_tree_kv(tree), i++);
}

static void measure(const char *path, uint64_t log_mib) {
    struct file file;
    struct tarn_kv_tree *tree;
    struct tarn_kv_tree_stat after;
    const char *why = file_open(&file, path, true, (uint64_t)512 << 20);
    if (why) {
        fprintf(stderr, "kv-recovery: %s: %s\n", path, why);
        exit(1);
    }
    struct tarn_kv_tree_config config = file_config(&file);
    config.table_bytes = 16 << 20;
    config.cache_bytes = 4 << 20;
    must(tarn_kv_tree_format(&config, log_mib << 20), "format");
    must(tarn_kv_tree_open(&config, &tree), "open");
    fill(tree, log_mib << 20);
    tarn_kv_tree_close(tree); /* which writes nothing */
    double start = now();
    must(tarn_kv_tree_open(&config, &tree), "open again");
    start = now() - start;
    tarn_kv_tree_stat(tree, &after);
    printf("recovery, log of %2llu MiB: %7.1f ms for %llu rows\n", (unsigned long long)log_mib,
           start * 1e3, (unsigned long long)after.replayed);
    tarn_kv_tree_close(tree);
    file_close(&file);
    unlink(path);
}

int main(int argc, char **argv) {
    char path[1024];
    if (argc != 2) {
        fputs("usage: kv-recovery FOLDER\n", stderr);
        return 64;
    }
    snprintf(path, sizeof path, "%s/tarn-kv-recovery", argv[1]);
    for (uint64_t mib = 1; mib <= 64; mib *= 4)
        measure(path, mib);
    return 0;
}
