/* SPDX-License-Identifier: ISC */
#include "internal.h"

#define TEXT_COLUMN 34u

static void put_key(const struct tarn_key *key) {
    uint8_t text[512];
    struct tarn_writer line = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&line, "  ");
    tarn_runtime_key_name(&line, key);
    if (key->type != TARN_KEY_TYPE_BOOL) {
        tarn_writer_u8(&line, '=');
        tarn_writer_str(&line, tarn_runtime_key_shape(key));
    }
    do
        tarn_writer_u8(&line, ' ');
    while (line.len < TEXT_COLUMN);
    tarn_writer_str(&line, key->text);
    if (key->fallback && *key->fallback) {
        tarn_writer_str(&line, " (default ");
        tarn_writer_str(&line, key->fallback);
        tarn_writer_u8(&line, ')');
    }
    tarn_runtime_say(&line);
}

static bool is_first_of_its_name(const struct tarn_program *program, size_t index) {
    struct tarn_span name = tarn_span_str(program->keys[index].name);
    for (size_t i = 0; i < index; i++)
        if (tarn_span_equal(tarn_span_str(program->keys[i].name), name))
            return false;
    return true;
}

static void put_devices(const struct tarn_program *program, enum tarn_device_type type,
                        const char *title) {
    uint8_t text[256];
    struct tarn_writer line = TARN_WRITER_ARRAY(text);
    bool any = false;
    tarn_writer_str(&line, title);
    for (size_t i = 0; i < program->device_count; i++) {
        if (program->devices[i].type != (uint32_t)type)
            continue;
        tarn_writer_u8(&line, ' ');
        tarn_writer_str(&line, program->devices[i].name);
        any = true;
    }
    if (any)
        tarn_runtime_say(&line);
}

void tarn_runtime_help(struct tarn_env *env) {
    const struct tarn_program *program = env->program;
    tarn_platform_console(TARN_SPAN_LIT("Keys of this program:\n"));
    for (size_t i = 0; i < program->key_count; i++)
        if (is_first_of_its_name(program, i))
            put_key(&program->keys[i]);
    tarn_platform_console(TARN_SPAN_LIT("  --help                          this text\n"));
    put_devices(program, TARN_DEVICE_NET, "Network devices:");
    put_devices(program, TARN_DEVICE_BLK, "Block devices:");
}
