/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"
#include "unix.h"

static unsigned done_count;
static bool inside_submit;

static void on_done(struct tarn_blk_req *req) {
    (void)req;
    cr_assert(!inside_submit, "completed from inside submit");
    done_count++;
}

static size_t submit(struct tarn_blk *blk, struct tarn_blk_req **reqs, size_t n) {
    inside_submit = true;
    size_t taken = blk->ops->submit(blk, reqs, n);
    inside_submit = false;
    return taken;
}

static void turn(void) {
    struct tarn_ready ready;
    tarn_platform_yield(0, &ready);
}

static void turn_until(unsigned count) {
    struct tarn_ready ready;
    tarn_time end = tarn_platform_now() + TARN_SEC(20);
    while (done_count < count && tarn_platform_now() < end)
        tarn_platform_yield(end, &ready);
    cr_assert_eq(done_count, count);
}

static enum tarn_err serve(struct tarn_blk *blk, struct tarn_blk_req *req) {
    unsigned before = done_count;
    req->done = on_done;
    cr_assert_eq(submit(blk, &req, 1), 1u);
    turn_until(before + 1);
    return req->result;
}

/* A device over a file that is gone when the process is. NULL: the file system has no direct
 * access. */
static struct tarn_blk *open_as(const char *how, off_t bytes) {
    static char names[UNIX_ATTACH_MAX][16], values[UNIX_ATTACH_MAX][64];
    size_t n = unix_options.block_count++;
    char path[] = "/tmp/tarn-blk-XXXXXX";
    struct tarn_blk *blk, *same;
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && ftruncate(fd, bytes) == 0);
    close(fd);
    snprintf(names[n], sizeof names[n], "storage%zu", n);
    snprintf(values[n], sizeof values[n], "%s%s", how, path);
    unix_options.block[n] = (struct unix_attach){names[n], values[n]};
    enum tarn_err err = tarn_platform_blk(names[n], &blk);
    if (!err)
        cr_assert(tarn_platform_blk(names[n], &same) == TARN_OK && same == blk);
    unlink(path);
    return err ? NULL : blk;
}

static struct tarn_blk *open_blk(void) {
    struct tarn_blk *blk = open_as("", 64 * 512);
    cr_assert_eq(blk->block_bytes, 512u);
    cr_assert_eq(blk->blocks, 64u);
    return blk;
}

/* -- as a device
 * ------------------------------------------------------------------------------------
 */

static bool woken;
static enum tarn_err waiter_wait(struct tarn_waiter *w, tarn_time deadline) {
    struct tarn_ready ready;
    (void)w;
    while (!woken) {
        if (tarn_platform_now() >= deadline)
            return TARN_AGAIN;
        tarn_platform_yield(deadline, &ready);
    }
    woken = false;
    return TARN_OK;
}
static void waiter_wake(struct tarn_waiter *w) {
    (void)w;
    woken = true;
}
static tarn_time waiter_now(struct tarn_waiter *w) {
    (void)w;
    return tarn_platform_now();
}

static const char *conf_how;
static void conf_open(struct blk_conf *conf) {
    static const struct tarn_waiter_ops ops = {waiter_wait, waiter_wake, waiter_now};
    static struct tarn_waiter waiter = {&ops};
    conf->blk = open_as(conf_how, 1 << 20);
    conf->waiter = &waiter;
    if (!conf->blk)
        cr_skip("no direct access to files in /tmp");
}
static void conf_close(struct blk_conf *conf) {
    (void)conf;
}

Test(blk, through_io_uring) {
    struct blk_conf conf = {.open = conf_open, .close = conf_close};
    conf_how = "";
    blk_conformance(&conf);
}
Test(blk, without_io_uring) {
    struct blk_conf conf = {.open = conf_open, .close = conf_close};
    conf_how = "sync:";
    blk_conformance(&conf);
}
Test(blk, past_the_page_cache) {
    struct blk_conf conf = {.open = conf_open, .close = conf_close};
    conf_how = "direct:";
    blk_conformance(&conf);
}

Test(blk, what_is_written_is_read) {
    struct tarn_blk *blk = open_blk();
    uint8_t out[1024], in[1024];
    memset(out, 0xa5, sizeof out);
    struct tarn_blk_req write = {.op = TARN_BLK_WRITE, .block = 62, .data = TARN_BYTES_ARRAY(out)};
    struct tarn_blk_req flush = {.op = TARN_BLK_FLUSH};
    struct tarn_blk_req read = {.op = TARN_BLK_READ, .block = 61, .data = TARN_BYTES_ARRAY(in)};
    cr_assert_eq(serve(blk, &write), TARN_OK);
    cr_assert_eq(serve(blk, &flush), TARN_OK);
    cr_assert_eq(serve(blk, &read), TARN_OK);
    for (size_t i = 0; i < sizeof in; i++)
        cr_assert_eq(in[i], i < 512 ? 0 : 0xa5);
}

Test(blk, discarded_blocks_read_as_zeroes) {
    struct tarn_blk *blk = open_blk();
    uint8_t data[4096];
    memset(data, 1, sizeof data);
    struct tarn_blk_req write = {.op = TARN_BLK_WRITE, .data = TARN_BYTES_ARRAY(data)};
    struct tarn_blk_req discard = {.op = TARN_BLK_DISCARD, .block = 0, .blocks = 8};
    struct tarn_blk_req read = {.op = TARN_BLK_READ, .data = TARN_BYTES_ARRAY(data)};
    cr_assert_eq(serve(blk, &write), TARN_OK);
    cr_assert_eq(serve(blk, &discard), TARN_OK);
    cr_assert_eq(serve(blk, &read), TARN_OK);
    for (size_t i = 0; i < sizeof data; i++)
        cr_assert_eq(data[i], 0);
}

Test(blk, what_is_out_of_range_or_misaligned_is_done_as_invalid) {
    struct tarn_blk *blk = open_blk();
    static uint8_t data[1024];
    struct tarn_blk_req cases[] = {
        {.op = TARN_BLK_READ, .block = 63, .data = TARN_BYTES_ARRAY(data)},
        {.op = TARN_BLK_READ, .block = 64, .data = {data, 512}},
        {.op = TARN_BLK_WRITE, .block = UINT64_MAX, .data = {data, 512}},
        {.op = TARN_BLK_WRITE, .block = UINT64_MAX / 512 + 1, .data = {data, 512}},
        {.op = TARN_BLK_READ, .block = 0, .data = {data, 511}},
        {.op = TARN_BLK_DISCARD, .block = 1, .blocks = UINT64_MAX},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(cases); i++)
        cr_expect_eq(serve(blk, &cases[i]), TARN_INVALID, "case %zu", i);
}

static struct tarn_blk *chain_blk;
static struct tarn_blk_req second;
static void submit_second(struct tarn_blk_req *req) {
    struct tarn_blk_req *next = &second;
    on_done(req);
    cr_assert_eq(submit(chain_blk, &next, 1), 1u);
}

Test(blk, a_request_made_in_done_waits_for_the_next_turn) {
    static uint8_t data[512];
    chain_blk = open_as("sync:", 64 * 512);
    second =
        (struct tarn_blk_req){.op = TARN_BLK_READ, .data = TARN_BYTES_ARRAY(data), .done = on_done};
    struct tarn_blk_req first = second, *one = &first;
    first.done = submit_second;
    cr_assert_eq(submit(chain_blk, &one, 1), 1u);
    turn();
    cr_assert_eq(done_count, 1u);
    turn();
    cr_assert_eq(done_count, 2u);
}

Test(blk, the_queue_has_a_bound) {
    struct tarn_blk *blk = open_blk();
    static uint8_t data[512];
    static struct tarn_blk_req reqs[100];
    struct tarn_blk_req *list[100];
    for (size_t i = 0; i < 100; i++) {
        reqs[i] = (struct tarn_blk_req){
            .op = TARN_BLK_READ, .data = TARN_BYTES_ARRAY(data), .done = on_done};
        list[i] = &reqs[i];
    }
    size_t taken = submit(blk, list, 100);
    cr_assert(taken > 0 && taken < 100);
    cr_assert_eq(submit(blk, list + taken, 100 - taken), 0u);
    turn_until((unsigned)taken);
    cr_assert_eq(submit(blk, list + taken, 100 - taken), 100 - taken);
    turn_until(100);
}
