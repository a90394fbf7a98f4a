/* SPDX-License-Identifier: ISC */
/* abi.h: what guest and tender of the spt target agree on: the Solo5 spt ABI (version 2) and what
 * Tarn's tender offers beyond it. README.md beside this file has the same byte for byte.
 *
 * The image is an ELF64 executable; the tender puts it into its own address space, drops every
 * privilege, and jumps. What is below is all that the two then share.
 */
#ifndef TARN_SPT_ABI_H
#define TARN_SPT_ABI_H

#include "../solo5.h"

#define SPT_PAGE SOLO5_PAGE
#define SPT_MEM_BASE 0x10000u  /* memory starts here; nothing is mapped below */
#define SPT_BOOT_BASE 0x11000u /* struct spt_boot, then the manifest, then the command line */
#define SPT_IMAGE_BASE SOLO5_IMAGE_BASE
#define SPT_CMDLINE_BYTES_MAX SOLO5_CMDLINE_BYTES_MAX

/* In RDI at the entry point. RSP is mem_size - 8, nothing else is defined. */
struct spt_boot {
    uint64_t mem_size; /* the address behind the last byte of memory */
    uint64_t kernel_end;
    uint64_t cmdline; /* address of a C string */
    uint64_t manifest;
    int32_t epollfd, timerfd;
};
_Static_assert(sizeof(struct spt_boot) == 40, "fixed by the ABI");

/* -- Tarn's extension ---------------------------------------------------------------------------
 */

/* An image asks with a note; a tender that does not know it ignores it, and leaves the first page
 * of memory zero. Tarn's tender puts a struct spt_grant there, and allows the system calls that
 * belong to what it granted: an image that does not ask runs under the plain ABI's filter. */
#define SPT_NOTE_TARN 0x31545053u /* struct solo5_wish */

enum spt_feature {
    SPT_FEATURE_ENTROPY = 1 << 0, /* the seed below is set; getrandom(buf, up to 256, 0) */
    SPT_FEATURE_VNET = 1 << 1,    /* taps have offloads, frames a header: see `device` */
    SPT_FEATURE_SCATTER = 1 << 2, /* readv and writev on every network device */
    SPT_FEATURE_RANGES = 1 << 3,  /* pread64 and pwrite64 of many blocks: see blk_bytes_max */
    SPT_FEATURE_FLUSH = 1 << 4,   /* fdatasync on every block device */
    SPT_FEATURE_PROTECT = 1 << 5, /* mprotect of one page, to no rights or to reading alone */
    SPT_FEATURE_MOVE = 1 << 6,    /* the image corrects its own pointers: it may be loaded anywhere
                                     behind where it was linked, by whole pages */
};

#define SPT_GRANT_MAGIC 0x315450536e726154ull /* "TarnSPT1" in memory */
struct spt_grant {
    uint64_t magic;
    uint32_t version;  /* 1 */
    uint32_t features; /* those wished for that this tender has */
    uint8_t seed[32];  /* from the host's getrandom, for this run only */
    /* Up to this many bytes from any offset up to capacity - blk_bytes_max; nearer to the end one
     * block at a time, as in the plain ABI. 0: the plain ABI's rule everywhere. */
    uint32_t blk_bytes_max;
    uint32_t reserved;
    /* By manifest entry, as enum solo5_device_grant. */
    uint32_t device[SOLO5_ENTRIES_MAX];
};
_Static_assert(sizeof(struct spt_grant) == 312 && sizeof(struct spt_grant) <= SPT_PAGE,
               "one page below struct spt_boot");

#endif
