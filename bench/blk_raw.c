/* SPDX-License-Identifier: ISC */
/* Random reads or writes on a device, so many at a time: what `fio --rw=randread` does. Prints the
 * seconds that they took. */
#include <tarn/app.h>

TARN_BLK(storage);
TARN_KEY_U32(count, 100000, "how many requests");
TARN_KEY_U32(bytes, 4096, "of each request");
TARN_KEY_U16(depth, 32, "requests in flight, 64 at most");
TARN_KEY_BOOL(write, "write instead of reading");

struct request {
    struct tarn_blk_req req;
    uint8_t data[65536];
};
static struct request requests[64];
static struct tarn_blk *blk;
static struct tarn_waiter *waiter;
static struct tarn_random_seeded dice;
static uint64_t left, in_flight;

static void next(struct tarn_blk_req *req) {
    struct tarn_blk_req *one = req;
    uint64_t per = req->data.len / blk->block_bytes;
    if (left == 0)
        return;
    left--;
    req->block = tarn_random_u64(&dice.random) % (blk->blocks / per) * per;
    if (blk->ops->submit(blk, &one, 1) == 1)
        in_flight++;
}

static void done(struct tarn_blk_req *req) {
    in_flight--;
    if (req->result)
        left = 0;
    next(req);
    if (in_flight == 0)
        waiter->ops->wake(waiter);
}

int tarn_main(struct tarn_env *env) {
    uint64_t size = tarn_key_u64(env, &bytes), n = tarn_key_u64(env, &depth);
    char text[40];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (tarn_env_blk(env, &storage, &blk))
        return 1;
    if (size == 0 || size % blk->block_bytes || size > sizeof requests[0].data || n == 0
        || n > TARN_COUNT_OF(requests))
        return 2;
    waiter = tarn_env_waiter(env);
    tarn_random_seeded_init(&dice, 1);
    left = tarn_key_u64(env, &count);
    tarn_time begun = tarn_now(env);
    for (uint64_t i = 0; i < n; i++) {
        requests[i].req =
            (struct tarn_blk_req){.op = tarn_key_bool(env, &write) ? TARN_BLK_WRITE : TARN_BLK_READ,
                                  .data = {requests[i].data, size},
                                  .done = done};
        next(&requests[i].req);
    }
    while (in_flight)
        if (waiter->ops->wait(waiter, TARN_NEVER))
            return 3;
    tarn_writer_dec(&w, (tarn_now(env) - begun) / 1000);
    tarn_writer_str(&w, " us\n");
    tarn_put(env, tarn_writer_span(&w));
    return left ? 1 : 0;
}
