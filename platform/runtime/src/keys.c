/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* -- what a key takes ----------------------------------------------------------------------------
 */

static bool parse_bool(struct tarn_span text, bool *out) {
    *out = tarn_span_equal(text, TARN_SPAN_LIT("true"));
    return *out || tarn_span_equal(text, TARN_SPAN_LIT("false"));
}

static bool is_one_of(struct tarn_span text, struct tarn_span choices) {
    struct tarn_span choice;
    while (choices.len > 0) {
        tarn_span_split(&choices, '|', &choice);
        if (tarn_span_equal(text, choice))
            return true;
    }
    return false;
}

bool tarn_runtime_key_accepts(const struct tarn_key *key, struct tarn_span text) {
    uint64_t number;
    bool truth;
    struct tarn_ip_prefix prefix;
    struct tarn_ip_addr addr;
    switch (key->type) {
    case TARN_KEY_TYPE_U64: return tarn_span_parse_dec(text, key->max, &number);
    case TARN_KEY_TYPE_BOOL: return parse_bool(text, &truth);
    case TARN_KEY_TYPE_STR: return true;
    case TARN_KEY_TYPE_CHOICE: return is_one_of(text, tarn_span_str(key->choices));
    case TARN_KEY_TYPE_PREFIX: return tarn_ip_prefix_parse(text, &prefix);
    case TARN_KEY_TYPE_ADDR: return tarn_ip_addr_parse(text, &addr);
    }
    __builtin_trap();
}

const char *tarn_runtime_key_shape(const struct tarn_key *key) {
    switch (key->type) {
    case TARN_KEY_TYPE_U64: return "NUMBER";
    case TARN_KEY_TYPE_BOOL: return "true|false";
    case TARN_KEY_TYPE_STR: return "TEXT";
    case TARN_KEY_TYPE_CHOICE: return key->choices;
    case TARN_KEY_TYPE_PREFIX: return "ADDRESS/BITS";
    case TARN_KEY_TYPE_ADDR: return "ADDRESS";
    }
    __builtin_trap();
}

void tarn_runtime_key_name(struct tarn_writer *w, const struct tarn_key *key) {
    tarn_writer_str(w, "--");
    struct tarn_span name = tarn_span_str(key->name);
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = tarn_span_at(name, i);
        tarn_writer_u8(w, c == '_' ? '-' : c);
    }
}

static bool is_named(const struct tarn_key *key, struct tarn_span typed) {
    struct tarn_span name = tarn_span_str(key->name);
    if (name.len != typed.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = tarn_span_at(name, i);
        if (tarn_span_at(typed, i) != (c == '_' ? '-' : c))
            return false;
    }
    return true;
}

/* -- one word of the command line ----------------------------------------------------------------
 */

static enum tarn_err refuse(struct tarn_writer *line) {
    tarn_runtime_say(line);
    return TARN_INVALID;
}

static enum tarn_err refuse_word(struct tarn_span word, const char *why) {
    uint8_t text[256];
    struct tarn_writer line = TARN_WRITER_ARRAY(text);
    tarn_writer_span_put(&line, tarn_span_first(word, 100));
    tarn_writer_str(&line, why);
    return refuse(&line);
}

static void put_wanted(struct tarn_writer *line, const struct tarn_key *key) {
    tarn_runtime_key_name(line, key);
    tarn_writer_u8(line, '=');
    tarn_writer_str(line, tarn_runtime_key_shape(key));
    if (key->type == TARN_KEY_TYPE_U64) {
        tarn_writer_str(line, ", 0 to ");
        tarn_writer_dec(line, key->max);
    }
}

static enum tarn_err refuse_value(const struct tarn_key *key, struct tarn_span value, bool given) {
    uint8_t text[320];
    struct tarn_writer line = TARN_WRITER_ARRAY(text);
    tarn_runtime_key_name(&line, key);
    if (given) {
        tarn_writer_str(&line, " cannot be \"");
        tarn_writer_span_put(&line, tarn_span_first(value, 60));
        tarn_writer_str(&line, "\": give ");
    } else {
        tarn_writer_str(&line, " needs a value: give ");
    }
    put_wanted(&line, key);
    return refuse(&line);
}

static enum tarn_err take_word(struct tarn_env *env, struct tarn_span word) {
    const struct tarn_program *program = env->program;
    struct tarn_span name, value = word;
    bool known = false;
    if (tarn_span_equal(word, TARN_SPAN_LIT("--help"))) {
        tarn_runtime_help(env);
        return TARN_EOF;
    }
    if (!tarn_span_starts(word, TARN_SPAN_LIT("--")))
        return refuse_word(word, " is not a key: keys are written --name=value, --help lists them");
    bool given = tarn_span_split(&value, '=', &name);
    /* Two files of one program may declare the same key: each gets the value. */
    for (size_t i = 0; i < program->key_count; i++) {
        const struct tarn_key *key = &program->keys[i];
        if (!is_named(key, tarn_span_after(name, 2)))
            continue;
        known = true;
        bool flag = !given && key->type == TARN_KEY_TYPE_BOOL;
        struct tarn_span text = flag ? TARN_SPAN_LIT("true") : value;
        if ((!given && !flag) || !tarn_runtime_key_accepts(key, text))
            return refuse_value(key, value, given);
        env->keys[i] = (struct key_value){.text = text, .given = true};
    }
    return known ? TARN_OK : refuse_word(name, " is not a key of this program: --help lists them");
}

/* -- the command line ----------------------------------------------------------------------------
 */

static bool is_space(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word, its quotes and backslashes taken away, written behind what `words` has already.
 * TARN_EOF: there is none; TARN_INVALID: a quote is left open. */
static enum tarn_err next_word(struct tarn_span *rest, struct tarn_writer *words,
                               struct tarn_span *word) {
    uint8_t c = ' ', quote = 0;
    size_t start = words->len;
    while (is_space(c))
        if (!tarn_span_u8(rest, &c))
            return TARN_EOF;
    do {
        if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? 0 : c;
        } else if (!quote && is_space(c)) {
            break;
        } else {
            if (c == '\\' && quote != '\'' && !tarn_span_u8(rest, &c))
                break;
            tarn_writer_u8(words, c);
        }
    } while (tarn_span_u8(rest, &c));
    *word = tarn_span_after(tarn_writer_span(words), start);
    return quote ? TARN_INVALID : TARN_OK;
}

static enum tarn_err take_line(struct tarn_env *env, struct tarn_span line) {
    struct tarn_span word;
    /* Words stay in the environment: keys point to them. Unquoted, they are never longer. */
    uint8_t *mem = tarn_alloc_get(&env->heap.alloc, line.len, 1);
    struct tarn_writer words = tarn_writer_over(tarn_bytes_of(mem, line.len));
    if (!mem)
        return TARN_LIMIT;
    for (;;) {
        enum tarn_err err = next_word(&line, &words, &word);
        if (err == TARN_EOF)
            return TARN_OK;
        err = err ? refuse_word(word, " has a quote that is not closed") : take_word(env, word);
        if (err)
            return err;
    }
}

enum tarn_err tarn_runtime_keys(struct tarn_env *env, struct tarn_span cmdline) {
    const struct tarn_program *program = env->program;
    env->keys = TARN_NEW_ARRAY(&env->heap.alloc, program->key_count, struct key_value);
    if (!env->keys)
        return TARN_LIMIT;
    for (size_t i = 0; i < program->key_count; i++) {
        const struct tarn_key *key = &program->keys[i];
        if (!key->fallback)
            continue;
        env->keys[i] = (struct key_value){.text = tarn_span_str(key->fallback), .given = true};
        TARN_ASSERT(tarn_runtime_key_accepts(key, env->keys[i].text));
    }
    enum tarn_err err = program->baked ? take_line(env, tarn_span_str(program->baked)) : TARN_OK;
    return err ? err : take_line(env, cmdline);
}

/* -- asked by the program ------------------------------------------------------------------------
 */

static const struct key_value *value_of(struct tarn_env *env, const struct tarn_key *key,
                                        enum tarn_key_type type) {
    const struct tarn_program *program = env->program;
    size_t i = (size_t)((uintptr_t)key - (uintptr_t)program->keys) / sizeof *key;
    TARN_ASSERT(key->type == type);
    return &TARN_AT_N(env->keys, program->key_count, i);
}

uint64_t tarn_key_u64(struct tarn_env *env, const struct tarn_key *key) {
    const struct key_value *value = value_of(env, key, TARN_KEY_TYPE_U64);
    uint64_t number = 0;
    TARN_ASSERT(!value->given || tarn_span_parse_dec(value->text, key->max, &number));
    return number;
}

bool tarn_key_bool(struct tarn_env *env, const struct tarn_key *key) {
    const struct key_value *value = value_of(env, key, TARN_KEY_TYPE_BOOL);
    bool truth = false;
    TARN_ASSERT(!value->given || parse_bool(value->text, &truth));
    return truth;
}

struct tarn_span tarn_key_str(struct tarn_env *env, const struct tarn_key *key) {
    TARN_ASSERT(key->type == TARN_KEY_TYPE_STR || key->type == TARN_KEY_TYPE_CHOICE);
    return value_of(env, key, key->type)->text;
}

bool tarn_key_given(struct tarn_env *env, const struct tarn_key *key) {
    return value_of(env, key, key->type)->given;
}

bool tarn_key_prefix(struct tarn_env *env, const struct tarn_key *key, struct tarn_ip_prefix *out) {
    const struct key_value *value = value_of(env, key, TARN_KEY_TYPE_PREFIX);
    return value->given && tarn_ip_prefix_parse(value->text, out);
}

bool tarn_key_addr(struct tarn_env *env, const struct tarn_key *key, struct tarn_ip_addr *out) {
    const struct key_value *value = value_of(env, key, TARN_KEY_TYPE_ADDR);
    return value->given && tarn_ip_addr_parse(value->text, out);
}
