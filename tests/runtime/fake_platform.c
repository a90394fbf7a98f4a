/* SPDX-License-Identifier: ISC */
#include "fake_platform.h"

#include <stdlib.h>
#include <string.h>

struct fake fake = {.now = TARN_SEC(100)};

int fake_run(int (*main)(struct tarn_env *), const struct tarn_key *keys, size_t key_count,
             const char *cmdline) {
    struct tarn_program program = {.main = main, .keys = keys, .key_count = key_count};
    return tarn_runtime_run(&program, tarn_span_str(cmdline));
}

bool fake_said(const char *text) {
    return strstr(fake.console, text) != NULL;
}

enum tarn_err tarn_platform_netif(const char *name, struct tarn_pkt_pool *pkts,
                                  struct tarn_netif **out) {
    (void)name, (void)pkts, (void)out;
    return TARN_NOT_FOUND;
}

enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out) {
    (void)name, (void)out;
    return TARN_NOT_FOUND;
}

tarn_time tarn_platform_now(void) {
    return fake.now;
}

uint64_t tarn_platform_wall_ns(void) {
    return TARN_SEC(1700000000) + fake.now;
}

enum tarn_err tarn_platform_entropy(struct tarn_bytes out) {
    tarn_bytes_fill(out, fake.entropy_byte);
    return fake.entropy;
}

void tarn_platform_yield(tarn_time deadline, struct tarn_ready *out) {
    fake.yields++;
    if (fake.waiting)
        fake.waiting();
    out->devices = fake.ready_once;
    fake.ready_once = 0;
    if (out->devices)
        return;
    if (deadline == TARN_NEVER)
        abort(); /* it would wait forever */
    if (deadline > fake.now)
        fake.now = deadline;
}

void tarn_platform_console(struct tarn_span text) {
    size_t room = sizeof fake.console - 1 - fake.console_len;
    fake.console_len += tarn_bytes_copy(tarn_bytes_of(fake.console + fake.console_len, room), text);
    fake.console[fake.console_len] = '\0';
}

void tarn_platform_exit(int status) {
    exit(status);
}

struct tarn_bytes tarn_platform_heap(size_t bytes_wanted) {
    size_t bytes = fake.heap_bytes ? fake.heap_bytes : bytes_wanted;
    static void *mem; /* of the program before, which has ended */
    free(mem);
    mem = calloc(1, bytes);
    return tarn_bytes_of(mem, bytes);
}

bool tarn_platform_guard(uint8_t *page) {
    (void)page;
    return false;
}

struct tarn_bytes tarn_platform_stack(size_t bytes) {
    static void *stacks[2048];
    static size_t count;
    if (fake.no_stacks || count == TARN_COUNT_OF(stacks))
        return (struct tarn_bytes){NULL, 0};
    stacks[count] = aligned_alloc(4096, bytes);
    return tarn_bytes_of(stacks[count++], bytes);
}
