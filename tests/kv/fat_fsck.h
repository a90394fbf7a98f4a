/* SPDX-License-Identifier: ISC */
/* A checker of FAT volumes that shares nothing with the store: from the specification alone. */
#ifndef TESTS_KV_FAT_FSCK_H
#define TESTS_KV_FAT_FSCK_H

#include <stddef.h>
#include <stdint.h>

struct fsck {
    const char *problem;         /* NULL: none */
    unsigned files, directories; /* the root not counted */
    unsigned used, lost;         /* clusters with a name; marked without one */
    unsigned orphans;            /* pieces of long names without their short one */
};
struct fsck fsck(const uint8_t *image, size_t bytes);

#endif
