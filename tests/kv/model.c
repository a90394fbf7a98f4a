/* SPDX-License-Identifier: ISC */
#include "model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void key_of(unsigned i, char *out) {
    sprintf(out, "d%u/k%u", i % 3, i);
}
static size_t value_of(uint32_t seed, uint8_t *out) {
    size_t len = seed % 3 == 0 ? seed % MODEL_VALUE_MAX : seed % 300;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed + i * 13 + (i >> 7));
    return len;
}

enum tarn_err model_batch(struct model *m, struct tarn_kv *kv, struct tarn_random *random) {
    static uint8_t values[8][MODEL_VALUE_MAX];
    char keys[8][16], number[24];
    struct tarn_kv_change changes[9];
    struct model_state *s = model_state(m, m->batches + 1);
    size_t count = 1 + tarn_random_below(random, 5), failed;
    *s = *model_state(m, m->batches);
    for (size_t i = 0; i < count; i++) {
        unsigned k = tarn_random_below(random, MODEL_KEYS);
        key_of(k, keys[i]);
        changes[i] = (struct tarn_kv_change){.verb = TARN_KV_REMOVE, .key = tarn_span_str(keys[i])};
        if (s->seed[k] && tarn_random_below(random, 4) == 0) {
            s->seed[k] = 0;
            continue;
        }
        s->seed[k] = tarn_random_u32(random) | 1;
        changes[i].verb = TARN_KV_SET;
        changes[i].value = tarn_span_of(values[i], value_of(s->seed[k], values[i]));
    }
    sprintf(number, "%zu", m->batches + 1);
    changes[count] = (struct tarn_kv_change){
        .verb = TARN_KV_SET, .key = TARN_SPAN_LIT("batch"), .value = tarn_span_str(number)};
    m->changes += count + 1;
    return kv->ops->batch(kv, changes, count + 1, &failed);
}

enum tarn_err model_compare(struct model *m, struct tarn_kv *kv, bool damaged, size_t *n) {
    static uint8_t want[MODEL_VALUE_MAX], got[MODEL_VALUE_MAX + 1];
    char number[24] = "", key[16];
    size_t len;
    enum tarn_err err = kv->ops->get_partial(kv, TARN_SPAN_LIT("batch"), 0,
                                             tarn_bytes_of(number, sizeof number - 1), &len);
    *n = 0;
    if (err && err != TARN_NOT_FOUND)
        return err;
    number[len] = 0;
    *n = (size_t)atoll(number);
    cr_assert_leq(*n, m->batches + 1);
    cr_assert_lt(m->batches - *n + 1, MODEL_STATES, "%zu of %zu", *n, m->batches);
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        key_of(i, key);
        err = kv->ops->get_partial(kv, tarn_span_str(key), 0, TARN_BYTES_ARRAY(got), &len);
        if (damaged && err == TARN_IO)
            continue;
        uint32_t seed = model_state(m, *n)->seed[i];
        cr_assert_eq(err, seed ? TARN_OK : TARN_NOT_FOUND, "state %zu of %zu, %s: %s", *n,
                     m->batches, key, tarn_err_name(err));
        if (seed) {
            cr_assert_eq(len, value_of(seed, want), "state %zu of %zu, %s", *n, m->batches, key);
            cr_assert_arr_eq(got, want, len, "state %zu of %zu, %s", *n, m->batches, key);
        }
    }
    return TARN_OK;
}
