/* SPDX-License-Identifier: ISC */
/* hvt.h: what the files of tarn-hvt know of each other. */
#ifndef TARN_HVT_TENDER_H
#define TARN_HVT_TENDER_H

#include "hypercall.h"
#include <linux/kvm.h>
#include <report.h>
#include <tender.h>

struct hvt {
    struct tender t;
    struct hvt_host host;
    struct hvt_calls calls;
    struct tarn_bytes memory; /* the guest's, from its address 0 on */
    int kvmfd, vmfd, vcpufd;
    struct kvm_run *run;
    uint64_t tsc_hz;
    const char *core_folder; /* --dumpcore; NULL: none */
    int core_fd;             /* that folder */
    const char *gdb;         /* --gdb: a port, or a socket's path; NULL: none */
    int gdb_fd;              /* the debugger's connection */
    bool counts;             /* --counters */
};

/* vm.c: the virtual machine, of one processor. */
void vm_open(struct hvt *h);
void vm_start(struct hvt *h); /* registers and page tables as the ABI says */
/* Runs it to its end; answers with the guest's exit status. */
int vm_run(struct hvt *h);
/* Steps until the next instruction is at `addr`, counting; false: it ended, or never came there. */
bool vm_step_to(struct hvt *h, uint64_t addr, uint64_t *steps);

/* memory.c: the guest's memory, and what the guest finds in it. */
void memory_map(struct hvt *h);
void memory_fill(struct hvt *h, char **args);

/* host.c: what hypercalls are done with. */
void host_init(struct hvt *h);

/* sandbox.c: from here on the process can run the machine, move the devices' data, and end. */
void sandbox_install(const struct hvt *h);

/* crash.c: says what a guest that cannot go on did, with its registers. */
void crash_report(const struct hvt *h, const char *cause, bool with_place);

/* core.c */
void core_open(struct hvt *h);
void core_write(const struct hvt *h);
int core_file(void); /* -1: none */
void core_discard(const struct hvt *h);

/* gdb.c: waits for a debugger, and serves it whenever the machine stops. */
void gdb_open(struct hvt *h);
/* Returns when the machine is to run on. */
void gdb_stopped(struct hvt *h);
/* Whether the next instruction is a breakpoint of the debugger's. */
bool gdb_at_breakpoint(const struct hvt *h);
/* Whether the debugger wants the running machine to stop. */
bool gdb_interrupts(const struct hvt *h);
void gdb_exited(struct hvt *h, int status);

#endif
