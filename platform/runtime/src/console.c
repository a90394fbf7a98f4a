/* SPDX-License-Identifier: ISC */
#include "internal.h"

void tarn_put(struct tarn_env *env, struct tarn_span text) {
    (void)env;
    tarn_platform_console(text);
}

void tarn_puts(struct tarn_env *env, const char *text) {
    tarn_put(env, tarn_span_str(text));
}

/* A line that did not fit is cut, not lost. */
void tarn_runtime_say(struct tarn_writer *line) {
    if (line->len >= line->cap)
        line->len = line->cap - 1;
    tarn_writer_u8(line, '\n');
    tarn_platform_console(tarn_writer_span(line));
}
