/* SPDX-License-Identifier: ISC */
/* tarn-hvt: runs an hvt image in a virtual machine that can do nothing but make hypercalls. */
#include "hvt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GRANTS                                                                                     \
    (HVT_FEATURE_ENTROPY | HVT_FEATURE_FLUSH | HVT_FEATURE_MANY | HVT_FEATURE_STAY                 \
     | HVT_FEATURE_MOVE)

const char tender_name[] = "tarn-hvt";
static struct hvt hvt = {.gdb_fd = -1, .core_fd = -1};

static const char usage[] =
    "usage: tarn-hvt [OPTIONS] [--] IMAGE [ARGUMENTS]\n"
    "Runs IMAGE, an executable for the Solo5 hvt ABI, in a virtual machine of its own.\n"
    "\n"
    "  --mem=MB                 memory for the program, an even number (512)\n"
    "  --net:NAME=TAP           attach the tap interface TAP, or the open file @FD, as network NAME\n"
    "  --net-mac:NAME=MAC       its address (random)\n"
    "  --block:NAME=FILE        attach a file or block device as disk NAME\n"
    "  --block-sector-size:NAME=BYTES  (512)\n"
    "  --pcap=FILE              capture every frame of every tap\n"
    "  --dumpcore=FOLDER        leave a core file there when the program crashes\n"
    "  --gdb[=PORT|PATH]        wait for gdb on that port of 127.0.0.1 (1234), or on a socket\n"
    "  --counters               say at the end how many hypercalls moved how many frames\n"
    "  --help, --version\n"
    "\n"
    "ARGUMENTS go to the program; IMAGE --help lists what it takes.\n";

static bool option(struct tender *t, const char *word) {
    struct hvt *h = TARN_CONTAINER_OF(t, struct hvt, t);
    const char *folder = tender_behind(word, "--dumpcore="), *gdb = tender_behind(word, "--gdb=");
    const char *port = tender_behind(word, "--gdb-port=");
    if (folder)
        h->core_folder = folder;
    if (gdb || port)
        h->gdb = gdb ? gdb : port;
    else if (strcmp(word, "--gdb") == 0)
        h->gdb = "1234";
    else if (strcmp(word, "--counters") == 0)
        h->counts = true;
    else
        return folder;
    return true;
}

/* A runtime's filter may be without the call: better no promise than one that fails. The disks are
 * not open yet, and the call's own complaint says that it is there. */
static bool can_sync(void) {
    return syscall(SYS_fdatasync, -1) == -1 && !privileges_refused();
}

static void grant(struct tender *t) {
    if (t->mem_size % HVT_LARGE_PAGE || t->mem_size > HVT_MEM_MAX)
        die("--mem: an even number of megabytes is wanted, 2 to %u", (unsigned)(HVT_MEM_MAX >> 20));
    t->granted = t->image.wishes & GRANTS;
    const struct hvt *h = TARN_CONTAINER_OF(t, struct hvt, t);
    if (!h->gdb && !h->core_folder)
        t->granted &= ~(uint32_t)HVT_FEATURE_STAY;
    if (!can_sync())
        t->granted &= ~(uint32_t)HVT_FEATURE_FLUSH;
}

static const struct tender_kind kind = {
    .usage = usage,
    .version = "Solo5 hvt ABI",
    .target = {SOLO5_TARGET_HVT, HVT_NOTE_TARN},
    .grant = grant,
    .option = option,
};

int main(int argc, char **argv) {
    if (argc < 1)
        return 1;
    privileges_tolerate_filter();
    char **args = tender_begin(&hvt.t, &kind, argv);
    hvt.calls =
        (struct hvt_calls){.host = &hvt.host, .image = &hvt.t.image, .granted = hvt.t.granted};
    vm_open(&hvt);
    memory_map(&hvt);
    memory_fill(&hvt, args);
    vm_start(&hvt);
    host_init(&hvt);
    core_open(&hvt);
    gdb_open(&hvt);
    tender_forget_environment();
    privileges_drop(&hvt.t);
    sandbox_install(&hvt);
    int status = vm_run(&hvt);
    if (hvt.counts)
        fprintf(stderr, "tarn-hvt: %llu hypercalls, %llu frames\n",
                (unsigned long long)hvt.calls.calls, (unsigned long long)hvt.calls.frames);
    /* Not by the library: what it does at the end, the filter does not know. */
    syscall(SYS_exit_group, status);
    return status;
}
