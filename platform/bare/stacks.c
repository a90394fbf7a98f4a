/* SPDX-License-Identifier: ISC */
#include "bare.h"
#include <platform.h>

/* stacks.ld has a page that nothing may touch in front of each stack; the loop's own, which the
 * entry point begins on, ends at guard1. */
extern uint8_t tarn_guard1[], tarn_guard2[], tarn_guard3[], tarn_guard4[], tarn_guard5[],
    tarn_guard6[];

/* Smallest first; whoever wants more, or larger ones, gets none here. */
struct tarn_bytes tarn_platform_stack(size_t bytes) {
    static uint8_t *const slots[][2] = {
        {tarn_guard2, tarn_guard3}, {tarn_guard3, tarn_guard4}, {tarn_guard4, tarn_guard5},
        {tarn_guard5, tarn_guard6}, {tarn_guard1, tarn_guard2},
    };
    static bool taken[TARN_COUNT_OF(slots)];
    for (size_t i = 0; i < TARN_COUNT_OF(slots); i++) {
        uint8_t *from = slots[i][0] + PAGE;
        size_t len = (size_t)(slots[i][1] - from);
        if (taken[i] || len < bytes)
            continue;
        taken[i] = true;
        return tarn_bytes_of(from, len);
    }
    return (struct tarn_bytes){NULL, 0};
}
