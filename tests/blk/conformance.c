/* SPDX-License-Identifier: ISC */
#include "conformance.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { IN_FLIGHT = 40 };

static bool inside;
static unsigned dones;

static void on_done(struct tarn_blk_req *req) {
    cr_assert(!inside, "done from inside submit");
    cr_assert_eq(req->done, on_done);
    dones++;
}

static size_t submit(struct blk_conf *c, struct tarn_blk_req **reqs, size_t n) {
    inside = true;
    size_t taken = c->blk->ops->submit(c->blk, reqs, n);
    inside = false;
    cr_assert_leq(taken, n);
    return taken;
}

static void wait_for(struct blk_conf *c, unsigned count) {
    for (unsigned turns = 0; dones < count; turns++) {
        cr_assert_lt(turns, 1000000, "a request is never done");
        (void)c->waiter->ops->wait(c->waiter, c->waiter->ops->now(c->waiter) + TARN_MS(1));
    }
    cr_assert_eq(dones, count, "done more than once");
}

static enum tarn_err one(struct blk_conf *c, struct tarn_blk_req req) {
    struct tarn_blk_req *p = &req, before;
    req.done = on_done;
    before = req;
    dones = 0;
    cr_assert_eq(submit(c, &p, 1), 1, "an idle device has room");
    wait_for(c, 1);
    cr_assert(req.op == before.op && req.block == before.block && req.blocks == before.blocks
                  && req.data.ptr == before.data.ptr && req.data.len == before.data.len,
              "a field changed");
    return req.result;
}

static enum tarn_err io(struct blk_conf *c, enum tarn_blk_op op, uint64_t block, uint8_t *ptr,
                        size_t blocks) {
    return one(c, (struct tarn_blk_req){
                      .op = op, .block = block, .data = {ptr, blocks * c->blk->block_bytes}});
}

static uint8_t *blocks_new(const struct blk_conf *c, size_t n, int byte) {
    uint8_t *p = malloc(n * c->blk->block_bytes);
    memset(p, byte, n * c->blk->block_bytes);
    return p;
}

static bool holds(const struct blk_conf *c, const uint8_t *p, size_t block, int byte) {
    for (size_t i = 0; i < c->blk->block_bytes; i++)
        if (p[block * c->blk->block_bytes + i] != byte)
            return false;
    return true;
}

static void the_numbers_make_sense(struct blk_conf *c) {
    const struct tarn_blk *b = c->blk;
    cr_assert(b->block_bytes >= 512 && (b->block_bytes & (b->block_bytes - 1)) == 0);
    cr_assert_geq(b->blocks, 64);
    cr_assert_geq(b->blocks_per_request_max, 1);
    cr_assert(b->atomic_bytes > 0 && (b->atomic_bytes & (b->atomic_bytes - 1)) == 0);
    cr_assert((b->align_bytes & (b->align_bytes - 1)) == 0);
}

static void what_is_written_is_read(struct blk_conf *c) {
    uint64_t last = c->blk->blocks - 1;
    uint8_t *p = blocks_new(c, 3, 0xa5);
    size_t len = 3 * (size_t)c->blk->block_bytes;
    cr_assert_eq(tarn_blk_write(c->blk, c->waiter, 10, tarn_span_of(p, len)), TARN_OK);
    memset(p, 0x5a, c->blk->block_bytes);
    cr_assert_eq(io(c, TARN_BLK_WRITE, 11, p, 1), TARN_OK);
    cr_assert_eq(io(c, TARN_BLK_WRITE, last, p, 1), TARN_OK);
    memset(p, 0, len);
    cr_assert_eq(tarn_blk_read(c->blk, c->waiter, 10, tarn_bytes_of(p, len)), TARN_OK);
    cr_assert(holds(c, p, 0, 0xa5) && holds(c, p, 1, 0x5a) && holds(c, p, 2, 0xa5));
    cr_assert_eq(io(c, TARN_BLK_READ, last, p, 1), TARN_OK);
    cr_assert(holds(c, p, 0, 0x5a));
    free(p);
}

static void what_cannot_be_is_done_with_an_error(struct blk_conf *c) {
    const struct tarn_blk *b = c->blk;
    uint8_t *p = blocks_new(c, 2, 1);
    cr_expect_eq(io(c, TARN_BLK_READ, b->blocks, p, 1), TARN_INVALID);
    cr_expect_eq(io(c, TARN_BLK_READ, b->blocks - 1, p, 2), TARN_INVALID);
    cr_expect_eq(io(c, TARN_BLK_WRITE, UINT64_MAX, p, 1), TARN_INVALID);
    cr_expect_eq(io(c, TARN_BLK_WRITE, UINT64_MAX / b->block_bytes + 1, p, 1), TARN_INVALID);
    cr_expect_eq(io(c, TARN_BLK_READ, 0, p, 0), TARN_INVALID);
    struct tarn_blk_req odd = {.op = TARN_BLK_WRITE, .data = {p, b->block_bytes / 2}};
    cr_expect_eq(one(c, odd), TARN_INVALID);
    odd = (struct tarn_blk_req){.op = (enum tarn_blk_op)9};
    cr_expect_eq(one(c, odd), TARN_UNSUPPORTED);
    odd = (struct tarn_blk_req){.op = TARN_BLK_DISCARD, .block = 1, .blocks = UINT64_MAX};
    bool can = b->features & TARN_BLK_CAN_DISCARD;
    cr_expect_eq(one(c, odd), can ? TARN_INVALID : TARN_UNSUPPORTED);
    if (b->blocks_per_request_max < b->blocks) {
        uint8_t *all = blocks_new(c, b->blocks_per_request_max + 1u, 1);
        cr_expect_eq(io(c, TARN_BLK_READ, 0, all, b->blocks_per_request_max + 1u), TARN_INVALID);
        free(all);
    }
    free(p);
}

static void flush_and_discard_are_as_announced(struct blk_conf *c) {
    uint32_t features = c->blk->features;
    struct tarn_blk_req flush = {.op = TARN_BLK_FLUSH};
    struct tarn_blk_req discard = {.op = TARN_BLK_DISCARD, .block = 5, .blocks = 20};
    uint8_t *p = blocks_new(c, 30, 7);
    bool can = features & TARN_BLK_CAN_DISCARD;
    cr_assert_eq(one(c, flush), features & TARN_BLK_CAN_FLUSH ? TARN_OK : TARN_UNSUPPORTED);
    for (size_t i = 0; i < 30; i++)
        cr_assert_eq(io(c, TARN_BLK_WRITE, i, p, 1), TARN_OK);
    cr_assert_eq(one(c, discard), can ? TARN_OK : TARN_UNSUPPORTED);
    for (size_t i = 0; i < 30; i++) {
        memset(p, 1, c->blk->block_bytes);
        cr_assert_eq(io(c, TARN_BLK_READ, i, p, 1), TARN_OK);
        if (!can || i < 5 || i >= 25)
            cr_assert(holds(c, p, 0, 7), "block %zu", i);
        else if (features & TARN_BLK_DISCARD_ZEROES)
            cr_assert(holds(c, p, 0, 0), "block %zu", i);
    }
    free(p);
}

static void many_requests_are_each_done_once(struct blk_conf *c) {
    struct tarn_blk_req reqs[IN_FLIGHT], *list[IN_FLIGHT];
    uint8_t *p = blocks_new(c, IN_FLIGHT, 0);
    size_t taken = 0;
    for (enum tarn_blk_op op = TARN_BLK_WRITE;; op = TARN_BLK_READ) {
        for (size_t i = 0; i < IN_FLIGHT; i++) {
            uint8_t *at = p + i * c->blk->block_bytes;
            memset(at, op == TARN_BLK_WRITE ? (int)i + 1 : 0, c->blk->block_bytes);
            reqs[i] = (struct tarn_blk_req){
                .op = op, .block = i, .data = {at, c->blk->block_bytes}, .done = on_done};
            list[i] = &reqs[i];
        }
        dones = 0;
        for (taken = 0; taken < IN_FLIGHT;) {
            taken += submit(c, list + taken, IN_FLIGHT - taken);
            wait_for(c, (unsigned)taken);
        }
        for (size_t i = 0; i < IN_FLIGHT; i++) {
            cr_assert_eq(reqs[i].result, TARN_OK);
            cr_assert(holds(c, p, i, (int)i + 1));
        }
        if (op == TARN_BLK_READ)
            break;
    }
    free(p);
}

static struct blk_conf *chain_conf;
static struct tarn_blk_req second;
static void submit_second(struct tarn_blk_req *req) {
    struct tarn_blk_req *next = &second;
    (void)req;
    dones++;
    cr_assert_eq(submit(chain_conf, &next, 1), 1);
}

static void a_request_may_be_made_in_done(struct blk_conf *c) {
    uint8_t *p = blocks_new(c, 1, 1);
    chain_conf = c;
    second = (struct tarn_blk_req){
        .op = TARN_BLK_WRITE, .data = {p, c->blk->block_bytes}, .done = on_done};
    struct tarn_blk_req first = second, *one_req = &first;
    first.done = submit_second;
    dones = 0;
    cr_assert_eq(submit(c, &one_req, 1), 1);
    wait_for(c, 2);
    cr_assert_eq(second.result, TARN_OK);
    free(p);
}

/* A long run of everything, against an array. */
static void it_is_an_array_of_blocks(struct blk_conf *c) {
    size_t blocks = (size_t)TARN_MIN(c->blk->blocks, (uint64_t)600), b = c->blk->block_bytes;
    size_t max = TARN_MIN(blocks, (size_t)40);
    uint8_t *model = blocks_new(c, blocks, 0), *p = blocks_new(c, blocks, 0);
    uint64_t seed = 1;
    cr_assert_eq(tarn_blk_write(c->blk, c->waiter, 0, tarn_span_of(model, blocks * b)), TARN_OK);
    for (unsigned round = 0; round < 600; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t at = (seed >> 33) % blocks, n = 1 + (seed >> 20) % max, what = (seed >> 50) % 16;
        n = TARN_MIN(n, blocks - at);
        if (what < 6) {
            for (size_t i = 0; i < n * b; i++)
                p[i] = (uint8_t)(seed >> (i % 7 * 8)) | 1;
            memcpy(model + at * b, p, n * b);
            cr_assert_eq(tarn_blk_write(c->blk, c->waiter, at, tarn_span_of(p, n * b)), TARN_OK);
        } else if (what < 13) {
            memset(p, 0xee, n * b);
            cr_assert_eq(tarn_blk_read(c->blk, c->waiter, at, tarn_bytes_of(p, n * b)), TARN_OK);
            cr_assert_arr_eq(p, model + at * b, n * b, "round %u", round);
        } else if (what == 13 && c->blk->features & TARN_BLK_DISCARD_ZEROES) {
            memset(model + at * b, 0, n * b);
            cr_assert_eq(tarn_blk_discard(c->blk, c->waiter, at, n), TARN_OK);
        } else if (what == 14 && c->blk->features & TARN_BLK_CAN_FLUSH) {
            cr_assert_eq(tarn_blk_flush(c->blk, c->waiter), TARN_OK);
        }
    }
    cr_assert_eq(tarn_blk_read(c->blk, c->waiter, 0, tarn_bytes_of(p, blocks * b)), TARN_OK);
    cr_assert_arr_eq(p, model, blocks * b);
    free(p);
    free(model);
}

#define CASE(f)                                                                                    \
    { #f, f }
const struct blk_case blk_cases[] = {
    CASE(the_numbers_make_sense),
    CASE(what_is_written_is_read),
    CASE(what_cannot_be_is_done_with_an_error),
    CASE(flush_and_discard_are_as_announced),
    CASE(many_requests_are_each_done_once),
    CASE(a_request_may_be_made_in_done),
    CASE(it_is_an_array_of_blocks),
};
const size_t blk_case_count = TARN_COUNT_OF(blk_cases);

void blk_conformance(struct blk_conf *conf) {
    for (size_t i = 0; i < blk_case_count; i++) {
        conf->open(conf);
        blk_cases[i].run(conf);
        conf->close(conf);
    }
}
