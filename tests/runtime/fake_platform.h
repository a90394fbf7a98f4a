/* SPDX-License-Identifier: ISC */
/* A platform for tests: time passes only where the program waits, the console is memory. */
#ifndef FAKE_PLATFORM_H
#define FAKE_PLATFORM_H

#include "platform.h"
#include "runtime.h"

extern struct fake {
    tarn_time now;
    uint64_t yields;
    char console[8192]; /* NUL-terminated */
    size_t console_len;
    enum tarn_err entropy; /* what asking for entropy answers */
    uint8_t entropy_byte;  /* what it is made of */
    size_t heap_bytes;     /* 0: as many as are asked for */
    bool no_stacks;        /* fibers' stacks come from the heap */
    uint64_t ready_once;   /* reported by the next wait, which does not wait then */
    void (*waiting)(void); /* called at each wait; NULL: nothing */
} fake;

/* Runs `main` with the keys and the command line, and answers its status. */
int fake_run(int (*main)(struct tarn_env *), const struct tarn_key *keys, size_t key_count,
             const char *cmdline);
bool fake_said(const char *text);

#endif
