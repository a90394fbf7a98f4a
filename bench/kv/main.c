/* SPDX-License-Identifier: ISC */
/* One phase of one store: kv-bench-ENGINE PHASE RECORDS FOLDER. Prints operations a second, bytes
 * written for each byte of records, the peak of memory in KiB, the longest pause of a put in
 * microseconds, and flushes (-1: not known). A program for each store, so
 * that none pays for another's libraries. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"

enum { BATCH = 1000, READS = 200000 };
#define SMALL_CACHE ((size_t)4 << 20)
#define LARGE_CACHE ((size_t)512 << 20)

void engine_fail(const char *what, const char *why) {
    fprintf(stderr, "kv-bench: %s: %s\n", what, why);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A number in a file of /proc. */
static double proc_number(const char *path, const char *name) {
    char line[200];
    double n = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)))
            n = atof(line + strlen(name));
    if (f)
        fclose(f);
    return n;
}
/* What the process gave to write(2) and its like. */
static double bytes_written(void) {
    return proc_number("/proc/self/io", "wchar:");
}

/* Record i in an order without order: a bijection of 64 bits (splitmix64's), as a key that is text.
 */
static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}
static void record(uint64_t i, uint8_t key[KEY_BYTES], uint8_t value[VALUE_BYTES]) {
    char text[KEY_BYTES + 1];
    uint64_t x = mix(i + 1);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)x);
    memcpy(key, text, KEY_BYTES);
    for (size_t k = 0; value && k < VALUE_BYTES; k++) {
        value[k] = (uint8_t)(x >> (k % 8 * 8));
        x += k;
    }
}

static double longest; /* put */

static uint64_t write_all(const struct engine *e, uint64_t records, size_t batch) {
    static uint8_t keys[BATCH][KEY_BYTES], values[BATCH][VALUE_BYTES];
    for (uint64_t i = 0; i < records;) {
        size_t n = 0;
        for (; n < batch && i < records; n++, i++)
            record(i, keys[n], values[n]);
        double start = now();
        e->put(keys, values, n);
        start = now() - start;
        longest = start > longest ? start : longest;
    }
    return records;
}

static uint64_t read_some(const struct engine *e, uint64_t records, uint64_t reads) {
    uint8_t key[KEY_BYTES], value[VALUE_BYTES], want[VALUE_BYTES];
    for (uint64_t i = 0; i < reads; i++) {
        uint64_t which = mix(i * 7919) % records;
        record(which, key, NULL);
        if (!e->get(key, value))
            engine_fail(e->name, "a record is missing");
        if (i % 64 == 0) {
            record(which, key, want);
            if (memcmp(value, want, VALUE_BYTES))
                engine_fail(e->name, "a record is wrong");
        }
    }
    return reads;
}

static uint64_t scan_all(const struct engine *e, uint64_t records) {
    if (e->scan() != records)
        engine_fail(e->name, "a scan does not see all");
    return records;
}

static uint64_t phase_run(const struct engine *e, const char *phase, uint64_t records,
                          double *seconds) {
    double start = now();
    uint64_t done = 0;
    if (!strcmp(phase, "single")) {
        done = write_all(e, records, 1);
    } else if (!strcmp(phase, "batch")) {
        done = write_all(e, records, BATCH);
    } else if (!strcmp(phase, "read")) {
        done = read_some(e, records, READS);
    } else if (!strcmp(phase, "cached")) {
        scan_all(e, records);
        read_some(e, records, READS);
        start = now();
        done = read_some(e, records, READS);
    } else if (!strcmp(phase, "scan")) {
        done = scan_all(e, records);
    } else {
        engine_fail(phase, "no such phase");
    }
    *seconds = now() - start;
    return done;
}

int main(int argc, char **argv) {
    const struct engine *e = &ENGINE;
    double seconds;
    if (argc != 4)
        engine_fail("usage", "kv-bench-ENGINE single|batch|read|cached|scan RECORDS FOLDER");
    uint64_t records = strtoull(argv[2], NULL, 10);
    e->open(argv[3], records, strcmp(argv[1], "cached") ? SMALL_CACHE : LARGE_CACHE);
    double written = bytes_written();
    uint64_t before = e->flushes ? e->flushes() : 0;
    uint64_t done = phase_run(e, argv[1], records, &seconds);
    uint64_t after = e->flushes ? e->flushes() : 0;
    written = (bytes_written() - written) / (double)(done * (KEY_BYTES + VALUE_BYTES));
    e->close();
    printf("%.0f %.2f %.0f %.0f %.0f\n", (double)done / seconds, written,
           proc_number("/proc/self/status", "VmHWM:"), longest * 1e6,
           e->flushes ? (double)(after - before) : -1.0);
    return 0;
}
