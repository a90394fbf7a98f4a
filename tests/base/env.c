/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <tarn/env.h>
#include <tarn/err.h>

/* Answers with given 32-bit numbers, one a call. */
struct script {
    struct tarn_random random;
    const uint32_t *numbers;
    size_t used;
};

static void script_fill(struct tarn_random *random, struct tarn_bytes out) {
    struct script *s = TARN_CONTAINER_OF(random, struct script, random);
    cr_assert_eq(out.len, 4);
    tarn_bytes_copy(out, tarn_span_of(&s->numbers[s->used++], 4));
}

static const struct tarn_random_ops script_ops = {.fill = script_fill};

Test(random, below_rejects_what_would_favour_some) {
    /* For bound 3: 2^32 mod 3 = 1, so exactly one number in 2^32 must be drawn again: 0. */
    static const uint32_t numbers[] = {0, 0, UINT32_MAX, 1};
    struct script s = {.random = {&script_ops}, .numbers = numbers};
    cr_assert_eq(tarn_random_below(&s.random, 3), 2);
    cr_assert_eq(s.used, 3);
    cr_assert_eq(tarn_random_below(&s.random, 3), 0);
}

Test(random, below_a_power_of_two_never_draws_again) {
    static const uint32_t numbers[] = {0, UINT32_MAX, 1u << 31};
    struct script s = {.random = {&script_ops}, .numbers = numbers};
    cr_assert_eq(tarn_random_below(&s.random, 1u << 31), 0);
    cr_assert_eq(tarn_random_below(&s.random, 1u << 31), (1u << 31) - 1);
    cr_assert_eq(tarn_random_below(&s.random, 1), 0);
    cr_assert_eq(s.used, 3);
}

Test(random, below_is_even_over_its_range) {
    struct tarn_random_seeded r;
    unsigned counts[7] = {0};
    tarn_random_seeded_init(&r, 9);
    for (int i = 0; i < 70000; i++)
        TARN_AT(counts, tarn_random_below(&r.random, 7))++;
    for (size_t i = 0; i < 7; i++) /* 10,000 expected; the standard deviation is 93 */
        cr_assert(counts[i] > 9500 && counts[i] < 10500, "%zu came %u times", i, counts[i]);
}

Test(random, below_zero_traps, .signal = SIGILL) {
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 1);
    (void)tarn_random_below(&r.random, 0);
}

Test(random, a_seed_is_a_stream) {
    struct tarn_random_seeded a, b, c;
    tarn_random_seeded_init(&a, 7);
    tarn_random_seeded_init(&b, 7);
    tarn_random_seeded_init(&c, 8);
    for (int i = 0; i < 100; i++) {
        uint64_t v = tarn_random_u64(&a.random);
        cr_assert_eq(v, tarn_random_u64(&b.random));
        cr_assert_neq(v, tarn_random_u64(&c.random));
    }
}

Test(random, splitmix64_published_first_numbers_for_seed_1234567) {
    static const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
                                        9817491932198370423u, 4593380528125082431u,
                                        16408922859458223821u};
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 1234567);
    for (size_t i = 0; i < TARN_COUNT_OF(expected); i++)
        cr_assert_eq(tarn_random_u64(&r.random), expected[i]);
}

Test(random, odd_lengths_are_filled_whole_and_no_further) {
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 3);
    for (size_t n = 0; n < 40; n++) {
        uint8_t seen[48] = {0};
        for (int round = 0; round < 64; round++) {
            uint8_t buf[48] = {0};
            tarn_random_fill(&r.random, tarn_bytes_of(buf, n));
            for (size_t i = 0; i < sizeof buf; i++)
                seen[i] |= buf[i];
        }
        for (size_t i = 0; i < sizeof seen; i++)
            cr_assert_eq(seen[i] != 0, i < n, "length %zu, byte %zu", n, i);
    }
}

struct sink {
    struct tarn_log log;
    unsigned lines;
    enum tarn_log_level last;
};

static void sink_line(struct tarn_log *log, enum tarn_log_level level, const char *who,
                      struct tarn_span text) {
    struct sink *s = TARN_CONTAINER_OF(log, struct sink, log);
    cr_assert_str_eq(who, "test");
    cr_assert(tarn_span_equal(text, TARN_SPAN_LIT("text")));
    s->lines++;
    s->last = level;
}

static const struct tarn_log_ops sink_ops = {.line = sink_line};

Test(log, lets_through_up_to_its_level) {
    struct sink s = {.log = {&sink_ops, TARN_LOG_WARN}};
    for (unsigned level = TARN_LOG_ERROR; level <= TARN_LOG_DEBUG; level++)
        tarn_log_line(&s.log, (enum tarn_log_level)level, "test", TARN_SPAN_LIT("text"));
    cr_assert_eq(s.lines, 2);
    cr_assert_eq(s.last, TARN_LOG_WARN);
}

Test(log, no_log_and_a_silent_one_take_lines) {
    struct tarn_log silent = {NULL, TARN_LOG_DEBUG};
    tarn_log_line(NULL, TARN_LOG_ERROR, "test", TARN_SPAN_LIT("text"));
    tarn_log_line(&silent, TARN_LOG_ERROR, "test", TARN_SPAN_LIT("text"));
    cr_assert_not(tarn_log_wants(&silent, TARN_LOG_ERROR));
}

Test(err, every_error_has_its_own_name) {
    for (int a = TARN_OK; a <= TARN_NOT_FOUND; a++) {
        cr_assert_str_neq(tarn_err_name((enum tarn_err)a), "unknown error");
        for (int b = TARN_OK; b < a; b++)
            cr_assert_str_neq(tarn_err_name((enum tarn_err)a), tarn_err_name((enum tarn_err)b));
    }
    cr_assert_str_eq(tarn_err_name((enum tarn_err)1000), "unknown error");
}
