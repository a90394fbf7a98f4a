/* SPDX-License-Identifier: ISC */
/* tarn/env.h: the three things a pure library must be given: a clock (only where `now` cannot be an
 * argument), randomness, and a sink for log lines. Each is an interface of one call. */
#ifndef TARN_ENV_H
#define TARN_ENV_H

#include <tarn/span.h>
#include <tarn/time.h>

struct tarn_clock;
struct tarn_clock_ops {
    tarn_time (*now)(struct tarn_clock *c);    /* monotonic, ns */
    uint64_t (*wall_ns)(struct tarn_clock *c); /* since 1970-01-01 00:00 UTC */
};
struct tarn_clock {
    const struct tarn_clock_ops *ops;
};
static inline tarn_time tarn_clock_now(struct tarn_clock *c) {
    return c->ops->now(c);
}
static inline uint64_t tarn_clock_wall_ns(struct tarn_clock *c) {
    return c->ops->wall_ns(c);
}

/* Unpredictable bytes; cannot fail (an implementation without entropy refuses at its own init). */
struct tarn_random;
struct tarn_random_ops {
    void (*fill)(struct tarn_random *r, struct tarn_bytes out);
};
struct tarn_random {
    const struct tarn_random_ops *ops;
};
static inline void tarn_random_fill(struct tarn_random *r, struct tarn_bytes out) {
    r->ops->fill(r, out);
}
uint32_t tarn_random_u32(struct tarn_random *r);
uint64_t tarn_random_u64(struct tarn_random *r);
/* Uniform in [0, bound); bound > 0. */
uint32_t tarn_random_below(struct tarn_random *r, uint32_t bound);

/* A generator for tests and the simulator: the same bytes for the same seed. Not for secrets. */
struct tarn_random_seeded {
    struct tarn_random random;
    uint64_t state;
};
void tarn_random_seeded_init(struct tarn_random_seeded *r, uint64_t seed);

enum tarn_log_level { TARN_LOG_ERROR, TARN_LOG_WARN, TARN_LOG_INFO, TARN_LOG_DEBUG };

/* Takes whole lines without a newline. `who` is the library's name. A sink with ops NULL is silent.
 */
struct tarn_log;
struct tarn_log_ops {
    void (*line)(struct tarn_log *log, enum tarn_log_level level, const char *who,
                 struct tarn_span text);
};
struct tarn_log {
    const struct tarn_log_ops *ops;
    enum tarn_log_level level; /* the most talkative level that is let through */
};
static inline bool tarn_log_wants(const struct tarn_log *log, enum tarn_log_level level) {
    return log && log->ops && level <= log->level;
}
/* Build the text with a writer over a local array, and only where tarn_log_wants. */
void tarn_log_line(struct tarn_log *log, enum tarn_log_level level, const char *who,
                   struct tarn_span text);

#endif
