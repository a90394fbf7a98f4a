/* SPDX-License-Identifier: ISC */
/* A program for tests of whole processes: does what it is told. */
#include <tarn/app.h>

#include "platform.h"

TARN_NET(service);
TARN_BLK(storage);
TARN_KEY_(act_key, "act", "nothing", "what to do", TARN_KEY_TYPE_CHOICE, 0,
          .choices = "nothing|title|check|null|overflow|divide|net|serve|blk|sleep|memory");
TARN_KEY_STR(title, "", "a text to print");

/* Kept apart, to be seen in reports. */
__attribute__((noinline)) static int recurse_without_end(volatile uint8_t *above) {
    volatile uint8_t frame[512];
    frame[0] = above[0];
    if (frame[0] == 1) /* never, but the compiler cannot know */
        return 0;
    return recurse_without_end(frame) + frame[0];
}

__attribute__((noinline)) static void fail_a_check(struct tarn_span empty) {
    (void)tarn_span_at(empty, 0);
}

__attribute__((noinline)) static int read_null(void) {
    /* A field behind a null pointer: the pointer itself is checked before it is used. */
    volatile int *nothing = (volatile int *)8;
    __asm__("" : "+r"(nothing));
    return *nothing;
}

__attribute__((noinline)) static int divide(int by) {
    __asm__("" : "+r"(by));
    return 100 / by;
}

static int open_blk(struct tarn_env *env) {
    struct tarn_blk *blk;
    uint8_t text[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (tarn_env_blk(env, &storage, &blk))
        return 1;
    tarn_writer_dec(&w, blk->blocks);
    tarn_writer_str(&w, " blocks\n");
    tarn_put(env, tarn_writer_span(&w));
    return 0;
}

static int show_memory(struct tarn_env *env) {
    return tarn_alloc_get(tarn_env_alloc(env), 3 << 20, 64)
                   && !tarn_alloc_get(tarn_env_alloc(env), 3 << 20, 64)
               ? 0
               : 1;
}

int tarn_main(struct tarn_env *env) {
    struct tarn_span act = tarn_key_str(env, &act_key);
    uint8_t top[1] = {0};
    if (tarn_span_equal(act, TARN_SPAN_LIT("title")))
        tarn_put(env, tarn_key_str(env, &title));
    if (tarn_span_equal(act, TARN_SPAN_LIT("check")))
        fail_a_check(TARN_SPAN_EMPTY);
    if (tarn_span_equal(act, TARN_SPAN_LIT("null")))
        return 1 + read_null(); /* no tail call */
    if (tarn_span_equal(act, TARN_SPAN_LIT("overflow")))
        return recurse_without_end(top);
    if (tarn_span_equal(act, TARN_SPAN_LIT("divide")))
        return 1 + divide(0); /* no tail call */
    if (tarn_span_equal(act, TARN_SPAN_LIT("blk")))
        return open_blk(env);
    if (tarn_span_equal(act, TARN_SPAN_LIT("memory")))
        return show_memory(env);
    if (tarn_span_equal(act, TARN_SPAN_LIT("sleep")))
        for (int i = 0; i < 3; i++)
            tarn_sleep(env, TARN_US(300));
    if (tarn_span_equal(act, TARN_SPAN_LIT("serve"))) {
        struct tarn_net *net;
        if (tarn_env_net(env, &service, &net))
            return 1;
        tarn_run_forever(env); /* the layers answer by themselves */
    }
    if (tarn_span_equal(act, TARN_SPAN_LIT("net"))) {
        struct tarn_netif *netif;
        return tarn_platform_netif(service.name, tarn_env_pkts(env), &netif) ? 1 : 0;
    }
    return 0;
}
