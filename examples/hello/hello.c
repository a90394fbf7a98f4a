/* SPDX-License-Identifier: ISC */
/* Prints "hello" four times, a second apart. */
#include <tarn/app.h>

int tarn_main(struct tarn_env *env) {
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            tarn_sleep(env, TARN_SEC(1));
        tarn_puts(env, "hello\n");
    }
    return 0;
}
