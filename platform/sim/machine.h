/* SPDX-License-Identifier: ISC */
/* machine.h: whole programs in the simulator: platform.h for as many machines as there are.
 *
 * Each machine runs one program on the runtime, with a stack, a heap, a clock and devices of its
 * own; when it waits, the world goes on. A program's code is shared, so its mutable globals would
 * be, too: programs for the simulator have none. Time stands still while a program computes: one
 * that spins until the clock says something never ends.
 *
 * Console text is kept; TARN_SIM_CONSOLE=1 in the environment shows it as it comes.
 */
#ifndef TARN_SIM_MACHINE_H
#define TARN_SIM_MACHINE_H

#include "sim.h"

#include <runtime.h>

#define TARN_MACHINE_DEVICES_MAX 8

struct tarn_machine_config {
    const char *name; /* for messages and captures; not copied */
    struct tarn_program program;
    size_t heap_bytes;     /* 0: what the program asks for */
    size_t stack_bytes;    /* the loop's own stack; 0: 256 KiB */
    tarn_time latency_max; /* its wake-ups are late by up to this */
    uint64_t wall_ns;      /* the wall clock when the world starts; 0: 2026-01-01 */
    bool no_entropy;
};

/* The machine is off at first. */
struct tarn_machine *tarn_machine_new(struct tarn_sim *sim,
                                      const struct tarn_machine_config *config);
/* Switches it off and frees it; before tarn_sim_free. */
void tarn_machine_free(struct tarn_machine *machine);

/* Devices, by their names in the manifest. */
struct tarn_netif *tarn_machine_attach_net(struct tarn_machine *machine, const char *name,
                                           struct tarn_sim_link *link);
void tarn_machine_attach_blk(struct tarn_machine *machine, const char *name,
                             struct tarn_sim_disk *disk);

/* Power on: the program starts from its beginning with this command line (copied). */
void tarn_machine_start(struct tarn_machine *machine, const char *cmdline);
/* Power off, wherever it is: nothing of it is left but its console and its disks. A disk that
 * should suffer is told so apart (tarn_sim_disk_power_loss). Not from inside a program. */
void tarn_machine_stop(struct tarn_machine *machine);
bool tarn_machine_is_on(const struct tarn_machine *machine);
/* The exit status, once the program has ended by itself; -1 before. */
int tarn_machine_status(const struct tarn_machine *machine);
struct tarn_span tarn_machine_console(const struct tarn_machine *machine);
/* Sets the wall clock forwards or backwards; the monotonic clock never jumps. */
void tarn_machine_wall_step(struct tarn_machine *machine, int64_t ns);

#endif
