/* SPDX-License-Identifier: ISC */
/* Dies as it is told to. */
#include <tarn/app.h>
#include <tarn/pool.h>

TARN_KEY_STR(how, "", "which way to die");

/* Such that the compiler knows nothing of them. */
void *malloc(size_t n);
void free(void *p);
static void *(*volatile take)(size_t) = malloc;
static void (*volatile give)(void *) = free;

static volatile uint64_t writable = 0xc3c3c3c3c3c3c3c3; /* instructions, if it were code */

static void poke(uintptr_t addr) {
    __asm__ volatile("movb $1, (%0)" : : "r"(addr) : "memory");
}

/* A frame for every call: the result is used, so no call is the last thing done. */
static __attribute__((noinline)) unsigned recurse(unsigned depth) {
    volatile uint8_t frame[256];
    frame[depth % sizeof frame] = (uint8_t)depth;
    return writable ? recurse(depth + 1) + frame[1] : depth;
}

static __attribute__((noinline)) void smash(size_t bytes) {
    volatile uint8_t frame[16];
    volatile uint8_t *p = frame;
    __asm__("" : "+r"(p)); /* the compiler forgets how large it is, and its own check with it */
    for (size_t i = 0; i < bytes; i++)
        p[i] = 'A';
}

static void overflow_fiber(struct tarn_env *env, void *arg) {
    (void)env;
    (void)arg;
    recurse(0);
}

/* Two pools side by side, and what a program can do to them. */
static void hurt_pools(struct tarn_env *env, struct tarn_span way) {
    struct tarn_pool one, two;
    if (tarn_pool_init(&one, tarn_env_alloc(env), 64, 64, 512)
        || tarn_pool_init(&two, tarn_env_alloc(env), 64, 64, 512))
        return;
    volatile uint8_t *first = tarn_pool_take(&one), *second = tarn_pool_take(&two);
    if (tarn_span_equal(way, TARN_SPAN_LIT("pool-over")))
        for (size_t i = 0; i < 64 * 512 + 1; i++)
            first[i] = 'A';
    if (tarn_span_equal(way, TARN_SPAN_LIT("pool-under")))
        for (size_t i = 1; i < 4096; i++)
            second[-(ptrdiff_t)i] = 'A';
    if (tarn_span_equal(way, TARN_SPAN_LIT("pool-twice"))) {
        tarn_pool_put(&one, (void *)(uintptr_t)first);
        tarn_pool_put(&one, (void *)(uintptr_t)first);
    }
    if (tarn_span_equal(way, TARN_SPAN_LIT("pool-stray")))
        tarn_pool_put(&one, (uint8_t *)(uintptr_t)first + 8);
    if (tarn_span_equal(way, TARN_SPAN_LIT("pool-list"))) {
        tarn_pool_put(&one, (void *)(uintptr_t)first);
        one.free_head = 77; /* as whoever could write there would */
        (void)tarn_pool_take(&one);
    }
}

/* The memory that is lent to archives from elsewhere. */
static void hurt_heap(struct tarn_span way) {
    volatile uint8_t *p = take(40);
    if (tarn_span_equal(way, TARN_SPAN_LIT("heap-over")))
        p[40] = 'A';
    if (tarn_span_equal(way, TARN_SPAN_LIT("heap-stray")))
        p += 16;
    give((void *)(uintptr_t)p);
    if (tarn_span_equal(way, TARN_SPAN_LIT("heap-twice")))
        give((void *)(uintptr_t)p);
    if (tarn_span_equal(way, TARN_SPAN_LIT("heap-after"))) {
        p[1] = 'A';
        p = take(40);
        p[0] = 'A';
    }
}

int tarn_main(struct tarn_env *env) {
    struct tarn_span way = tarn_key_str(env, &how);
    if (tarn_span_starts(way, TARN_SPAN_LIT("heap-")))
        hurt_heap(way);
    if (tarn_span_starts(way, TARN_SPAN_LIT("pool-")))
        hurt_pools(env, way);
    if (tarn_span_equal(way, TARN_SPAN_LIT("sealed")))
        poke((uintptr_t)__builtin_thread_pointer() + 0x28);
    if (tarn_span_equal(way, TARN_SPAN_LIT("null")))
        poke(8);
    if (tarn_span_equal(way, TARN_SPAN_LIT("low")))
        poke(0x50000);
    if (tarn_span_equal(way, TARN_SPAN_LIT("boot")))
        poke(0x11000);
    if (tarn_span_equal(way, TARN_SPAN_LIT("grant")))
        poke(0x10000);
    if (tarn_span_equal(way, TARN_SPAN_LIT("rodata")))
        poke((uintptr_t) "constant");
    if (tarn_span_equal(way, TARN_SPAN_LIT("text")))
        poke((uintptr_t)tarn_main);
    if (tarn_span_equal(way, TARN_SPAN_LIT("data-code"))) {
        uintptr_t addr = (uintptr_t)&writable;
        __asm__ volatile("call *%0" : : "r"(addr) : "memory");
    }
    if (tarn_span_equal(way, TARN_SPAN_LIT("assert")))
        TARN_ASSERT(!writable);
    if (tarn_span_equal(way, TARN_SPAN_LIT("index"))) {
        uint8_t few[4] = {0};
        return TARN_AT(few, (size_t)writable);
    }
    if (tarn_span_equal(way, TARN_SPAN_LIT("divide"))) {
        unsigned zero = 0;
        __asm__ volatile("xor %%edx, %%edx; mov $1, %%eax; div %0" : : "r"(zero) : "eax", "edx");
    }
    if (tarn_span_equal(way, TARN_SPAN_LIT("stack")))
        return (int)recurse(0);
    if (tarn_span_equal(way, TARN_SPAN_LIT("fiber"))) {
        if (tarn_fiber_start(env, overflow_fiber, NULL, 32768))
            return 2;
        tarn_sleep(env, TARN_SEC(1));
    }
    if (tarn_span_equal(way, TARN_SPAN_LIT("smash")))
        smash(64);
    return 1;
}
