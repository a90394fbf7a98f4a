/* SPDX-License-Identifier: ISC */
#include "seeds.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char replay[512];

const char *sim_replay_line(void) {
    return replay;
}

static void set_replay(const char *suite, const char *name, uint64_t seed) {
    char self[256] = "";
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    snprintf(replay, sizeof replay, "repeat with: TARN_SIM_SEED=%llu %s --filter '%s/%s'\n",
             (unsigned long long)seed, n > 0 ? self : "this program", suite, name);
}

static void on_signal(int sig) {
    if (write(STDERR_FILENO, replay, strlen(replay)) < 0)
        _exit(1);
    signal(sig, SIG_DFL);
    raise(sig);
}

static void watch_signals(void) {
    static const int watched[] = {
        SIGILL,
        SIGTRAP,
        SIGABRT,
        SIGFPE,
        SIGALRM,
#if !defined(__SANITIZE_ADDRESS__)
        SIGSEGV,
        SIGBUS, /* the sanitizer's own report is better */
#endif
    };
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
        signal(watched[i], on_signal);
}

static void run_one(const char *suite, const char *name, uint64_t seed,
                    void (*run)(uint64_t seed)) {
    set_replay(suite, name, seed);
    run(seed);
}

/* Lines are "suite/name seed", anything after that is why; '#' starts a comment. */
static void run_listed(const char *suite, const char *name, void (*run)(uint64_t seed)) {
    FILE *file = fopen(SIM_SEEDS_FILE, "r");
    cr_assert(file, "cannot open %s", SIM_SEEDS_FILE);
    char line[512], wanted[256], who[256];
    snprintf(wanted, sizeof wanted, "%s/%s", suite, name);
    while (fgets(line, sizeof line, file)) {
        unsigned long long seed;
        if (line[0] == '#' || sscanf(line, "%255s %llu", who, &seed) != 2)
            continue;
        if (strcmp(who, wanted) == 0)
            run_one(suite, name, seed, run);
    }
    fclose(file);
}

void sim_seeds_run(const char *suite, const char *name, unsigned count,
                   void (*run)(uint64_t seed)) {
    const char *one = getenv("TARN_SIM_SEED"), *many = getenv("TARN_SIM_SEEDS");
    watch_signals();
    if (one) {
        run_one(suite, name, strtoull(one, NULL, 0), run);
        return;
    }
    if (many)
        count = (unsigned)strtoul(many, NULL, 0);
    run_listed(suite, name, run);
    for (uint64_t seed = 1; seed <= count; seed++)
        run_one(suite, name, seed, run);
}
