/* SPDX-License-Identifier: ISC */
/* The shortest program: what starting and ending cost. */
#include <tarn/app.h>

int tarn_main(struct tarn_env *env) {
    (void)env;
    return 42;
}
