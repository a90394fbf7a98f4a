/* SPDX-License-Identifier: ISC */
#include "sealed.h"

#define MAGIC "TARNCCM1"

static uint64_t data_blocks(const struct tarn_blk *lower) {
    uint64_t per_group = sealed_per_group(lower), rest = lower->blocks - 1;
    uint64_t last = rest % (per_group + 1);
    return rest / (per_group + 1) * per_group + (last ? last - 1 : 0);
}

static size_t table_bytes(const struct tarn_blk_sealed *s) {
    return (size_t)s->per_group * ENTRY_BYTES;
}

static enum tarn_err memory_take(struct tarn_blk_sealed *s) {
    struct tarn_alloc *alloc = s->config.alloc;
    uint32_t n = s->config.tables;
    size_t run = (size_t)s->per_group * s->config.lower->block_bytes;
    s->tables = TARN_NEW_ARRAY(alloc, n, struct table);
    s->memory.len = n * table_bytes(s);
    s->memory.ptr = tarn_alloc_get(alloc, s->memory.len, 8);
    s->run = tarn_bytes_of(tarn_alloc_get(alloc, run, 4096), run);
    if (!s->tables || !s->memory.ptr || !s->run.ptr)
        return TARN_LIMIT;
    for (uint32_t i = 0; i < n; i++)
        TARN_AT_N(s->tables, n, i).bytes =
            tarn_bytes_first(tarn_bytes_after(s->memory, i * table_bytes(s)), table_bytes(s));
    return TARN_OK;
}

/* All but what is on the device. */
static enum tarn_err sealed_make(const struct tarn_blk_sealed_config *config,
                                 struct tarn_blk_sealed **out) {
    const struct tarn_aead *aead = config->aead ? config->aead : &tarn_aes256_ccm;
    if (config->lower->block_bytes > BLOCK_BYTES_MAX || config->lower->blocks < 3
        || !data_blocks(config->lower))
        return TARN_INVALID;
    struct tarn_blk_sealed *s = TARN_NEW(config->alloc, struct tarn_blk_sealed);
    if (!s)
        return TARN_LIMIT;
    s->config = *config;
    s->config.aead = aead;
    s->config.key = TARN_SPAN_EMPTY;
    s->config.tables = config->tables ? config->tables : 16;
    s->per_group = sealed_per_group(config->lower);
    enum tarn_err err = tarn_aead_init(&s->aead, aead, config->key, TAG_BYTES);
    if (!err)
        err = memory_take(s);
    if (err)
        tarn_blk_sealed_delete(s);
    else
        *out = s;
    return err;
}

/* Block 0: what it is, and something sealed that tells whether the key is right. */
static enum tarn_err header_write(struct tarn_blk_sealed *s, struct tarn_waiter *waiter) {
    struct tarn_blk *lower = s->config.lower;
    uint8_t block[BLOCK_BYTES_MAX] = {0}, sealed[8];
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(block, lower->block_bytes));
    struct seal seal;
    enum tarn_err err = sealed_seal(s, 0, TARN_SPAN_LIT(MAGIC), TARN_BYTES_ARRAY(sealed), &seal);
    if (err)
        return err;
    tarn_writer_str(&w, MAGIC);
    tarn_writer_u32le(&w, lower->block_bytes);
    tarn_writer_u32le(&w, 0);
    tarn_writer_u64le(&w, lower->blocks);
    tarn_writer_mem(&w, &seal, SEAL_BYTES);
    tarn_writer_span_put(&w, TARN_SPAN_ARRAY(sealed));
    return tarn_blk_write(lower, waiter, 0, tarn_span_of(block, lower->block_bytes));
}

static enum tarn_err header_check(struct tarn_blk_sealed *s, struct tarn_waiter *waiter) {
    struct tarn_blk *lower = s->config.lower;
    uint8_t block[BLOCK_BYTES_MAX], plain[8];
    struct tarn_bytes all = tarn_bytes_of(block, lower->block_bytes);
    struct tarn_span in, magic, sealed;
    uint32_t block_bytes, zero;
    uint64_t blocks;
    struct seal seal;
    enum tarn_err err = tarn_blk_read(lower, waiter, 0, all);
    if (err)
        return err;
    in = tarn_bytes_span(all);
    if (!tarn_span_take(&in, 8, &magic) || !tarn_span_u32le(&in, &block_bytes)
        || !tarn_span_u32le(&in, &zero) || !tarn_span_u64le(&in, &blocks)
        || !tarn_span_copy(&in, &seal, SEAL_BYTES) || !tarn_span_take(&in, 8, &sealed)
        || !tarn_span_equal(magic, TARN_SPAN_LIT(MAGIC)) || block_bytes != lower->block_bytes
        || blocks != lower->blocks)
        return TARN_PEER;
    err = sealed_open(s, 0, &seal, sealed, TARN_BYTES_ARRAY(plain));
    return err || !tarn_span_equal(TARN_SPAN_ARRAY(plain), TARN_SPAN_LIT(MAGIC)) ? TARN_PEER
                                                                                 : TARN_OK;
}

enum tarn_err tarn_blk_sealed_format(const struct tarn_blk_sealed_config *config,
                                     struct tarn_waiter *waiter) {
    struct tarn_blk *lower = config->lower;
    struct tarn_blk_sealed *s;
    enum tarn_err err = sealed_make(config, &s);
    if (err)
        return err;
    struct tarn_bytes none = TARN_AT_N(s->tables, s->config.tables, 0).bytes;
    tarn_bytes_fill(none, 0);
    for (uint64_t group = 0; !err && sealed_table_at(s, group) < lower->blocks; group++)
        err = sealed_table_store(s, group, tarn_bytes_span(none), waiter);
    if (!err && lower->features & TARN_BLK_CAN_FLUSH)
        err = tarn_blk_flush(lower, waiter);
    if (!err)
        err = header_write(s, waiter);
    if (!err && lower->features & TARN_BLK_CAN_FLUSH)
        err = tarn_blk_flush(lower, waiter);
    tarn_blk_sealed_delete(s);
    return err;
}

enum tarn_err tarn_blk_sealed_new(const struct tarn_blk_sealed_config *config,
                                  struct tarn_waiter *waiter, struct tarn_blk_sealed **out) {
    struct tarn_blk_sealed *s;
    enum tarn_err err = sealed_make(config, &s);
    if (err)
        return err;
    err = header_check(s, waiter);
    if (err) {
        tarn_blk_sealed_delete(s);
        return err;
    }
    tarn_blk_worker_init(&s->worker, config->tasks, sealed_serve);
    const struct tarn_blk_ops *ops = s->worker.blk.ops;
    s->worker.blk = *config->lower;
    s->worker.blk.ops = ops;
    s->worker.blk.blocks = data_blocks(config->lower);
    /* A discard could not be told from damage. */
    s->worker.blk.features &= ~(uint32_t)(TARN_BLK_CAN_DISCARD | TARN_BLK_DISCARD_ZEROES);
    s->worker.blk.atomic_bytes = TARN_MIN(config->lower->atomic_bytes, config->lower->block_bytes);
    *out = s;
    return TARN_OK;
}

struct tarn_blk_worker *tarn_blk_sealed_worker(struct tarn_blk_sealed *s) {
    return &s->worker;
}

const struct tarn_blk_sealed_counters *tarn_blk_sealed_counters(const struct tarn_blk_sealed *s) {
    return &s->counters;
}

void tarn_blk_sealed_delete(struct tarn_blk_sealed *s) {
    struct tarn_alloc *alloc = s->config.alloc;
    tarn_alloc_put(alloc, s->run.ptr, s->run.len);
    tarn_alloc_put(alloc, s->memory.ptr, s->memory.len);
    tarn_alloc_put(alloc, s->tables, s->config.tables * sizeof *s->tables);
    tarn_bytes_wipe(tarn_bytes_of(&s->aead, sizeof s->aead));
    tarn_alloc_put(alloc, s, sizeof *s);
}
