/* SPDX-License-Identifier: ISC */
/* abi.h: what guest and tender of the hvt target agree on: the Solo5 hvt ABI (version 2) and what
 * Tarn's tender offers beyond it. README.md beside this file has the same byte for byte.
 *
 * The image is an ELF64 executable; the tender puts it into the memory of a virtual machine of one
 * processor, which starts at its entry point in 64-bit mode, in ring 0, with every address its own
 * physical address. A hypercall is a 32-bit OUT to HVT_PORT + n of the address of its arguments.
 */
#ifndef TARN_HVT_ABI_H
#define TARN_HVT_ABI_H

#include "../solo5.h"

#define HVT_GDT 0x1000u  /* null, 64-bit code, data */
#define HVT_PML4 0x2000u /* page tables: up to 0x8fff */
#define HVT_PDPT 0x3000u
#define HVT_PD 0x4000u /* four pages: 4 GB in pieces of 2 MB */
#define HVT_PT                                                                                     \
    0x8000u /* the first 2 MB in pages: nothing below HVT_BOOT, read-only below the image */
#define HVT_BOOT 0x10000u /* struct hvt_boot, then the manifest, then the command line */
#define HVT_GRANT 0x18000u
#define HVT_LARGE_PAGE ((uint64_t)2 << 20)
#define HVT_MEM_MAX ((uint64_t)4 << 30)

/* In RDI at the entry point. RSP is mem_size - 8. What lies behind cmdline's end is zero. */
struct hvt_boot {
    uint64_t mem_size; /* the address behind the last byte of memory */
    uint64_t kernel_end;
    uint64_t tsc_hz;
    uint64_t cmdline; /* address of a C string */
    uint64_t manifest;
    uint32_t host_features,
        guest_features; /* of rings in shared memory, which Tarn offers none of */
    uint64_t ring;
};
_Static_assert(sizeof(struct hvt_boot) == 56, "fixed by the ABI");

#define HVT_PORT 0x500u
enum hvt_call {
    HVT_CALL_WALLTIME = 1,
    HVT_CALL_PUTS,
    HVT_CALL_POLL,
    HVT_CALL_BLOCK_WRITE,
    HVT_CALL_BLOCK_READ,
    HVT_CALL_NET_WRITE,
    HVT_CALL_NET_READ,
    HVT_CALL_HALT,
    HVT_CALL_BLOCK_FLUSH = 16, /* where granted, as the two below */
    HVT_CALL_NET_WRITE_MANY,
    HVT_CALL_NET_READ_MANY,
};

/* The result of a device's call. Memory that is not the caller's is no result: it is the end. */
enum hvt_ret { HVT_OK, HVT_AGAIN, HVT_EINVAL, HVT_EUNSPEC };

/* `data` and `len`, and the arguments themselves, end below mem_size, not at it. */
struct hvt_walltime {
    uint64_t ns; /* out */
};
struct hvt_puts {
    uint64_t data, len;
};
struct hvt_poll {
    uint64_t timeout_ns;
    uint64_t ready; /* out: bit i: the manifest's entry i */
    int32_t count;  /* out */
    uint32_t unused;
};
struct hvt_block_io { /* BLOCK_WRITE and BLOCK_READ; for BLOCK_FLUSH only `handle` counts */
    uint64_t handle;  /* the manifest's index */
    uint64_t offset, data, len;
    int32_t ret; /* out: enum hvt_ret */
    uint32_t unused;
};
struct hvt_net_io { /* NET_WRITE and NET_READ: one frame */
    uint64_t handle, data;
    uint64_t len; /* of a read: in: room; out: the frame's length */
    int32_t ret;  /* out */
    uint32_t unused;
};
struct hvt_halt {
    uint64_t cookie; /* 0, or the address of a struct hvt_trap, in HVT_COOKIE_BYTES of memory */
    int32_t status;
    uint32_t unused;
};
#define HVT_COOKIE_BYTES 512u
/* Where a program was when it died: what a core file is to show. */
struct hvt_trap {
    uint64_t cr2, error, rip, cs, rflags, rsp, ss;
};

/* -- Tarn's extension ---------------------------------------------------------------------------
 */

/* An image asks with a note; a tender that does not know it ignores it, and leaves HVT_GRANT zero.
 * Tarn's tender puts a struct hvt_grant there. */
#define HVT_NOTE_TARN 0x31545648u /* "HVT1": struct solo5_wish */

enum hvt_feature {
    HVT_FEATURE_ENTROPY = 1 << 0, /* the seed below is set */
    HVT_FEATURE_FLUSH = 1 << 1,   /* BLOCK_FLUSH */
    HVT_FEATURE_MANY = 1 << 2,    /* NET_WRITE_MANY and NET_READ_MANY */
    HVT_FEATURE_STAY = 1 << 3,    /* a debugger looks on: the image is wanted where it was linked */
    HVT_FEATURE_MOVE = 1 << 4,    /* the image corrects its own pointers: it may be loaded anywhere
                                     behind where it was linked, by whole pages */
};

#define HVT_GRANT_MAGIC 0x315456486e726154ull /* "TarnHVT1" in memory */
struct hvt_grant {
    uint64_t magic;
    uint32_t version;  /* 1 */
    uint32_t features; /* those wished for that this tender has */
    uint8_t seed[32];  /* from the host's getrandom, for this run only */
};

/* Up to HVT_FRAMES_MAX frames in one call: an array of struct hvt_frame at `frames`. Done in order
 * up to the first that cannot be now; `done` says how many. */
#define HVT_FRAMES_MAX 64u
struct hvt_frame {
    uint64_t data;
    uint64_t len; /* of a read: in: room; out: the frame's length */
};
struct hvt_net_many {
    uint64_t handle, frames;
    uint32_t count;
    uint32_t done; /* out */
    int32_t ret;   /* out: HVT_OK: all of them; HVT_AGAIN: `done` of them; others: of the next */
    uint32_t unused;
};

#endif
