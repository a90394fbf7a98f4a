/* SPDX-License-Identifier: ISC */
/* The sink behind tarn_env_log: one console line each, "1.234567 warn tcp: text". */
#include "internal.h"

TARN_KEY_(log_key, "log", "warn", "the least important messages to show", TARN_KEY_TYPE_CHOICE, 0,
          .choices = "error|warn|info|debug");

static const char *const level_names[] = {[TARN_LOG_ERROR] = "error",
                                          [TARN_LOG_WARN] = "warn",
                                          [TARN_LOG_INFO] = "info",
                                          [TARN_LOG_DEBUG] = "debug"};

static void log_line(struct tarn_log *log, enum tarn_log_level level, const char *who,
                     struct tarn_span text) {
    (void)log;
    uint8_t memory[512];
    struct tarn_writer line = TARN_WRITER_ARRAY(memory);
    tarn_time now = tarn_platform_now();
    tarn_writer_dec(&line, now / TARN_SEC(1));
    tarn_writer_u8(&line, '.');
    tarn_writer_dec_pad(&line, now % TARN_SEC(1) / TARN_US(1), 6);
    tarn_writer_u8(&line, ' ');
    tarn_writer_str(&line, TARN_AT(level_names, level));
    tarn_writer_u8(&line, ' ');
    tarn_writer_str(&line, who);
    tarn_writer_str(&line, ": ");
    tarn_writer_span_put(&line, tarn_span_first(text, tarn_writer_room(&line) - 1));
    tarn_runtime_say(&line);
}

static const struct tarn_log_ops log_ops = {.line = log_line};

struct tarn_log *tarn_env_log(struct tarn_env *env) {
    if (!env->log.ops) {
        struct tarn_span wanted = tarn_key_str(env, &log_key);
        env->log = (struct tarn_log){.ops = &log_ops, .level = TARN_LOG_WARN};
        for (unsigned i = 0; i < TARN_COUNT_OF(level_names); i++)
            if (tarn_span_equal(wanted, tarn_span_str(TARN_AT(level_names, i))))
                env->log.level = (enum tarn_log_level)i;
    }
    return &env->log;
}
