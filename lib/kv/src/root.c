/* SPDX-License-Identifier: ISC */
/* The ring of roots: root n is in slot n modulo ROOT_SLOTS, one write of one block
 * (docs/kv-format.md).
 */
#include "tree.h"
#include "xxh64.h"

#define MAGIC 0x3130766b6e726174u /* "tarnkv01" */
#define VERSION 1u
#define ROOT_BYTES 512u

static enum tarn_err decode(struct tarn_span s, uint32_t slot, struct root_block *out) {
    struct tarn_span all = tarn_span_first(s, ROOT_BYTES - 8), sum = tarn_span_after(s, all.len);
    uint64_t magic, checksum;
    uint32_t version, page_bytes, level = 0;
    bool whole = tarn_span_u64le(&s, &magic) && tarn_span_u32le(&s, &version)
                 && tarn_span_u32le(&s, &page_bytes) && tarn_span_u64le(&s, &out->generation)
                 && tarn_span_u64le(&s, &out->store) && tarn_span_u64le(&s, &out->pages)
                 && tarn_span_u64le(&s, &out->log_pages) && tarn_span_u32le(&s, &out->unit_bytes)
                 && tarn_span_u32le(&s, &out->record_bytes) && tarn_span_u32le(&s, &level)
                 && tarn_span_u64le(&s, &out->root.ref.page)
                 && tarn_span_u64le(&s, &out->root.ref.birth)
                 && tarn_span_u64le(&s, &out->root.ref.checksum)
                 && tarn_span_u64le(&s, &out->log.unit) && tarn_span_u64le(&s, &out->log.seq)
                 && tarn_span_u64le(&s, &out->log.chain) && tarn_span_u64le(&s, &out->next_id)
                 && tarn_span_u64le(&s, &out->base) && tarn_span_u64le(&s, &out->reach)
                 && tarn_span_u64le(&s, &out->reach_chain) && tarn_span_u64le(&sum, &checksum);
    out->root.level = level;
    if (!whole || magic != MAGIC || checksum != xxh64(all, slot))
        return TARN_NOT_FOUND;
    bool known = version == VERSION && page_bytes == PAGE_BYTES
                 && out->generation % ROOT_SLOTS == slot && out->generation < GENERATION_MAX
                 && out->base < out->generation && level < PAGE_LEVELS_MAX;
    return known ? TARN_OK : TARN_NOT_FOUND;
}

static void encode(struct tarn_bytes block, uint32_t slot, const struct root_block *r) {
    struct tarn_writer w = tarn_writer_over(block);
    tarn_writer_u64le(&w, MAGIC);
    tarn_writer_u32le(&w, VERSION);
    tarn_writer_u32le(&w, PAGE_BYTES);
    tarn_writer_u64le(&w, r->generation);
    tarn_writer_u64le(&w, r->store);
    tarn_writer_u64le(&w, r->pages);
    tarn_writer_u64le(&w, r->log_pages);
    tarn_writer_u32le(&w, r->unit_bytes);
    tarn_writer_u32le(&w, r->record_bytes);
    tarn_writer_u32le(&w, r->root.level);
    page_ref_encode(&w, &r->root.ref);
    tarn_writer_u64le(&w, r->log.unit);
    tarn_writer_u64le(&w, r->log.seq);
    tarn_writer_u64le(&w, r->log.chain);
    tarn_writer_u64le(&w, r->next_id);
    tarn_writer_u64le(&w, r->base);
    tarn_writer_u64le(&w, r->reach);
    tarn_writer_u64le(&w, r->reach_chain);
    tarn_writer_zero(&w, ROOT_BYTES - 8 - w.len);
    tarn_writer_u64le(&w, xxh64(tarn_writer_span(&w), slot));
    tarn_writer_zero(&w, block.len - w.len);
    TARN_ASSERT(tarn_writer_ok(&w));
}

/* A slot is a page, but only its first block is used: what is never torn. */
static uint64_t block_of(const struct tarn_kv_tree *t, uint32_t slot) {
    return (uint64_t)slot * (PAGE_BYTES / t->blk->block_bytes);
}

enum tarn_err root_read(struct tarn_kv_tree *t, uint32_t slot, struct root_block *out) {
    uint8_t room[PAGE_BYTES];
    struct tarn_bytes block = tarn_bytes_first(TARN_BYTES_ARRAY(room), t->blk->block_bytes);
    *out = (struct root_block){0};
    enum tarn_err err = tarn_blk_read(t->blk, tree_waiter(t), block_of(t, slot), block);
    return err ? err : decode(tarn_bytes_span(block), slot, out);
}

enum tarn_err root_write(struct tarn_kv_tree *t, const struct root_block *root) {
    uint8_t room[PAGE_BYTES];
    struct tarn_bytes block = tarn_bytes_first(TARN_BYTES_ARRAY(room), t->blk->block_bytes);
    uint32_t slot = (uint32_t)(root->generation % ROOT_SLOTS);
    encode(block, slot, root);
    return tarn_blk_write(t->blk, tree_waiter(t), block_of(t, slot), tarn_bytes_span(block));
}

/* -- which roots are kept -------------------------------------------------------------------------
 */

static struct pin *pin_at(struct roots *r, uint32_t i) {
    return &TARN_AT(r->pins, i);
}

static bool slot_is_kept(const struct roots *r, uint64_t generation) {
    for (uint32_t i = 0; i < r->count; i++)
        if (TARN_AT(r->pins, i).generation % ROOT_SLOTS == generation % ROOT_SLOTS)
            return true;
    return false;
}

/* Behind all there ever were, so that no page of another line of roots has the same birth; and in a
 * slot that can be spared. */
static void next_set(struct tarn_kv_tree *t, uint64_t last) {
    struct roots *r = &t->roots;
    r->next = last + 1;
    while (slot_is_kept(r, r->next) || r->next % ROOT_SLOTS == t->newest.generation % ROOT_SLOTS)
        r->next++;
}

static void pin_add(struct roots *r, const struct root_block *root, tarn_time at) {
    *pin_at(r, r->count++) =
        (struct pin){.generation = root->generation, .at = at, .log = root->log};
}

void roots_init(struct tarn_kv_tree *t, const struct root_block *base, uint64_t last) {
    struct roots *r = &t->roots;
    struct tarn_waiter *waiter = tree_waiter(t);
    r->count = 0;
    if (base) {
        pin_add(r, base, 0);
        pin_at(r, 0)->sure = true;
    }
    pin_add(r, &t->newest, waiter->ops->now(waiter));
    next_set(t, last);
}

const struct pin *roots_base(const struct roots *r) {
    return &TARN_AT(r->pins, 0);
}

uint64_t roots_next_base(const struct roots *r, tarn_time now) {
    uint64_t generation = roots_base(r)->generation;
    for (uint32_t i = 1; i < r->count; i++) {
        const struct pin *p = &TARN_AT(r->pins, i);
        if (p->generation + r->lag <= r->next && now - p->at >= r->settle)
            generation = p->generation;
    }
    return generation;
}

static void base_move(struct tarn_kv_tree *t) {
    struct roots *r = &t->roots;
    uint32_t base = 0;
    while (pin_at(r, base)->generation < t->newest.base)
        base++;
    for (uint32_t i = base; base && i < r->count; i++)
        *pin_at(r, i - base) = *pin_at(r, i);
    r->count -= base;
    space_release(&t->space, pin_at(r, 0)->generation);
}

void roots_commit(struct tarn_kv_tree *t, tarn_time now) {
    struct roots *r = &t->roots;
    base_move(t);
    /* A slot for the next root, and one for this if it is not pinned, must be left. */
    bool room = r->count + 2 < ROOT_SLOTS;
    if (room && now - pin_at(r, r->count - 1)->at >= r->settle / 4)
        pin_add(r, &t->newest, now);
    next_set(t, t->newest.generation);
}

/* When the next pin is settled, or the next root can be pinned. */
static tarn_time advance_at(const struct roots *r) {
    const struct pin *base = roots_base(r);
    return r->count > 1 ? TARN_AT(r->pins, 1).at + r->settle
           : base->sure ? 0
                        : base->at + r->settle / 4;
}

enum tarn_err roots_advance(struct tarn_kv_tree *t) {
    struct tarn_waiter *waiter = tree_waiter(t);
    tarn_time at = advance_at(&t->roots);
    if (waiter->ops->now(waiter) >= at)
        return merge_commit(t, &t->newest.root, &t->newest.log);
    enum tarn_err err = waiter->ops->wait(waiter, at);
    return err == TARN_IO ? TARN_IO : TARN_OK;
}
