/* SPDX-License-Identifier: ISC */
/* runtime.h: between a target's entry point and tarn_main: keys, loop, fibers. All its state is in
 * the tarn_env of one program, so the simulator runs many of them side by side. */
#ifndef TARN_RUNTIME_H
#define TARN_RUNTIME_H

#include <tarn/app.h>

struct tarn_program {
    int (*main)(struct tarn_env *env);
    const struct tarn_key *keys;
    size_t key_count;
    struct tarn_device *devices;
    size_t device_count;
    const char *baked; /* a command line given at build, read before the operator's; NULL: none */
};

/* The program linked into this image, from its sections (the linker makes the symbols). */
struct tarn_program tarn_program_linked(void);

/* Parses the command line ("--port=80 --ipv4=10.0.0.2/24"; quotes group), runs main as the first
 * fiber and the loop until main returns, and answers with the exit status. Bad keys, --help: said
 * on the console, status 64 and 0. */
int tarn_runtime_run(const struct tarn_program *program, struct tarn_span cmdline);

#endif
