/* SPDX-License-Identifier: ISC */
/* spt.h: what the files of tarn-spt know of each other. */
#ifndef TARN_SPT_TENDER_H
#define TARN_SPT_TENDER_H

#include "../abi.h"
#include <tender.h>

/* memory.c: maps the guest's memory, loads the image, and writes what the guest finds at entry. */
void memory_map(struct tender *t);
void memory_fill(struct tender *t, char **args);

/* sandbox.c: from here on the process can do what the guest may, and nothing else. */
void sandbox_install(const struct tender *t);

/* crash.c: a readable last word for whoever dies by a signal. */
void crash_prepare(const struct tender *t);

/* The largest transfer on a block device in one call, where granted. */
#define BLK_BYTES_MAX (128u << 10)

#endif
