/* SPDX-License-Identifier: ISC */
/* Where a test's captures lie: in a folder that tests/peers/captures.py names, who reads them
 * afterwards, or for the test's time only. */
#ifndef TESTS_UNIX_CAPTURES_H
#define TESTS_UNIX_CAPTURES_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void capture_path(char *path, size_t cap, const char *name) {
    const char *folder = getenv("TARN_CAPTURES");
    snprintf(path, cap, "%s/tarn-%s-%d.pcap", folder ? folder : "/tmp", name, getpid());
}
static inline void capture_done(const char *path) {
    if (!getenv("TARN_CAPTURES"))
        unlink(path);
}

#endif
