/* SPDX-License-Identifier: ISC */
/* What tarn/blk.h promises, checked on any implementation: fill in a rig and run every case. */
#ifndef TESTS_BLK_CONFORMANCE_H
#define TESTS_BLK_CONFORMANCE_H

#include <tarn/blk_wait.h>

struct blk_conf {
    /* Makes a fresh device of 64 blocks or more, and says what waits for it. */
    void (*open)(struct blk_conf *conf);
    void (*close)(struct blk_conf *conf);
    struct tarn_blk *blk;
    struct tarn_waiter *waiter;
};

struct blk_case {
    const char *name;
    void (*run)(struct blk_conf *conf);
};
extern const struct blk_case blk_cases[];
extern const size_t blk_case_count;

/* All of them, each on a device of its own. */
void blk_conformance(struct blk_conf *conf);

#endif
