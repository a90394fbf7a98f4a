/* SPDX-License-Identifier: ISC */
/* The seed of a machine: a source is believed while its samples look like one (NIST SP
 * 800-90B, 4.4), what is drawn depends on every byte, and nothing is drawn before enough was
 * claimed. */
#include <criterion/criterion.h>
#include <entropy.h>
#include <string.h>

static uint32_t state = 1;

static uint8_t noise(void) {
    state = state * 1664525u + 1013904223u;
    return (uint8_t)(state >> 24);
}

static void add(struct entropy *e, struct entropy_source *s, size_t n, uint8_t (*sample)(void)) {
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = sample();
        entropy_add(e, s, tarn_span_of(&byte, 1));
    }
}

static uint8_t stuck(void) {
    return 0xff;
}

static uint8_t mostly_stuck(void) {
    return noise() < 64 ? noise() : 7;
}

Test(hvt_entropy, a_good_source_is_enough_when_it_has_said_enough) {
    struct entropy e = {0};
    struct entropy_source full = {.kind = ENTROPY_FULL}, jitter = {.kind = ENTROPY_JITTER};
    add(&e, &full, 31, noise);
    cr_assert(!entropy_is_ready(&e) && !full.failed);
    add(&e, &full, 1, noise);
    cr_assert(entropy_is_ready(&e));
    e = (struct entropy){0};
    add(&e, &jitter, 2047, noise);
    cr_assert(!entropy_is_ready(&e));
    add(&e, &jitter, 1, noise);
    cr_assert(entropy_is_ready(&e) && !jitter.failed);
}

Test(hvt_entropy, a_source_that_is_stuck_counts_for_nothing) {
    struct entropy e = {0};
    struct entropy_source full = {.kind = ENTROPY_FULL}, jitter = {.kind = ENTROPY_JITTER};
    add(&e, &full, 1000, stuck);
    cr_assert(full.failed && !entropy_is_ready(&e));
    add(&e, &jitter, 10000, stuck);
    cr_assert(jitter.failed && e.eighths < 256 * 8);
    struct entropy_source other = {.kind = ENTROPY_FULL};
    add(&e, &other, 2000, mostly_stuck);
    cr_assert(other.failed, "a value that comes three times in four");
    struct entropy_source good = {.kind = ENTROPY_FULL};
    add(&e, &good, 32, noise);
    cr_assert(entropy_is_ready(&e), "another source is not tainted");
}

Test(hvt_entropy, what_is_drawn_depends_on_every_sample_and_comes_once) {
    uint8_t out[3][64];
    for (unsigned i = 0; i < 2; i++) {
        struct entropy e = {0};
        struct entropy_source s = {.kind = ENTROPY_FULL};
        uint8_t bytes[64];
        memset(bytes, 5, sizeof bytes);
        bytes[0] = (uint8_t)i;
        entropy_add(&e, &s, TARN_SPAN_ARRAY(bytes));
        entropy_draw(&e, TARN_BYTES_ARRAY(out[i]));
        cr_assert(!entropy_is_ready(&e), "drawn is gone");
        entropy_draw(&e, TARN_BYTES_ARRAY(out[2]));
        cr_assert_neq(memcmp(out[i], out[2], sizeof out[2]), 0);
    }
    unsigned same = 0;
    for (size_t i = 0; i < sizeof out[0]; i++)
        same += out[0][i] == out[1][i];
    cr_assert_lt(same, 10);
}
