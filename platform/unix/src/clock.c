/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "unix.h"

static uint64_t read_clock(clockid_t id) {
    struct timespec t;
    TARN_ASSERT(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * TARN_SEC(1) + (uint64_t)t.tv_nsec;
}

tarn_time tarn_platform_now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t tarn_platform_wall_ns(void) {
    return read_clock(CLOCK_REALTIME);
}

enum tarn_err tarn_platform_entropy(struct tarn_bytes out) {
    while (out.len > 0) {
        ssize_t n = getrandom(out.ptr, out.len, 0);
        if (n < 0 && errno != EINTR)
            return TARN_UNSUPPORTED;
        if (n > 0)
            out = tarn_bytes_after(out, (size_t)n);
    }
    return TARN_OK;
}
