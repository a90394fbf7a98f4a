/* SPDX-License-Identifier: ISC */
/* Says what it finds: keys, clocks, random bytes, memory. */
#include <tarn/app.h>

TARN_KEY_STR(text, "none", "printed back between brackets");

static void say(struct tarn_env *env, const char *what, uint64_t value) {
    uint8_t line[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(line);
    tarn_writer_str(&w, what);
    tarn_writer_u8(&w, ' ');
    tarn_writer_dec(&w, value);
    tarn_writer_u8(&w, '\n');
    tarn_put(env, tarn_writer_span(&w));
}

static uint64_t canary(void) {
    uint64_t v;
    __asm__("mov %%fs:0x28, %0" : "=r"(v));
    return v;
}

int tarn_main(struct tarn_env *env) {
    tarn_puts(env, "text [");
    tarn_put(env, tarn_key_str(env, &text));
    tarn_puts(env, "]\n");
    say(env, "wall", tarn_wall_ns(env));
    tarn_time before = tarn_now(env);
    tarn_sleep(env, TARN_MS(20));
    say(env, "slept", tarn_now(env) - before);
    say(env, "random", tarn_random_u64(tarn_env_random(env)));
    say(env, "canary", canary());
    /* All there is, taken in pieces, and all of it zero. */
    uint64_t bytes = 0, dirty = 0;
    for (size_t piece = (size_t)1 << 20; piece >= 4096; piece /= 2) {
        uint64_t *words;
        while ((words = tarn_alloc_get(tarn_env_alloc(env), piece, 8)) != NULL) {
            for (size_t i = 0; i < piece / 8; i++)
                dirty += words[i] != 0;
            words[0] = words[piece / 8 - 1] = 1;
            bytes += piece;
        }
    }
    say(env, "heap", bytes);
    say(env, "dirty", dirty);
    return 0;
}
