/* SPDX-License-Identifier: ISC */
/* seeds.h: running one test over many seeds, and saying how to repeat the one that failed.
 *
 * SIM_TEST(suite, name, count) { ... seed ... } is a Criterion test whose body runs once for each
 * seed: first those that tests/sim/seeds lists for it (each found a mistake once), then 1 to
 * `count`. In the environment, TARN_SIM_SEEDS=N sets the count, and TARN_SIM_SEED=S runs just that
 * one. Inside, SIM_CHECK fails with a line to repeat the run; so does a trap or a crash. */
#ifndef TESTS_SIM_SEEDS_H
#define TESTS_SIM_SEEDS_H

#include <criterion/criterion.h>
#include <stdint.h>

void sim_seeds_run(const char *suite, const char *name, unsigned count, void (*run)(uint64_t seed));
/* "repeat with: ...", for the seed that runs. */
const char *sim_replay_line(void);

#define SIM_TEST(suite, name, count)                                                               \
    static void suite##_##name##_with(uint64_t seed);                                              \
    Test(suite, name) {                                                                            \
        sim_seeds_run(#suite, #name, (count), suite##_##name##_with);                              \
    }                                                                                              \
    static void suite##_##name##_with(uint64_t seed)

#define SIM_CHECK(cond, ...)                                                                       \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            char sim_why_[256] = "";                                                               \
            snprintf(sim_why_, sizeof sim_why_, " " __VA_ARGS__);                                  \
            cr_assert_fail("%s:%d: %s %s\n%s", __FILE__, __LINE__, #cond, sim_why_,                \
                           sim_replay_line());                                                     \
        }                                                                                          \
    } while (0)

#endif
