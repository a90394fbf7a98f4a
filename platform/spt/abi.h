/* SPDX-License-Identifier: ISC */
/* abi.h: what guest and tender of the spt target agree on: the Solo5 spt ABI (version 2) and what
 * Tarn's tender offers beyond it. README.md beside this file has the same byte for byte.
 *
 * The image is an ELF64 executable; the tender puts it into its own address space, drops every
 * privilege, and jumps. What is below is all that the two then share.
 */
#ifndef TARN_SPT_ABI_H
#define TARN_SPT_ABI_H

#include <tarn/compiler.h>

#define SPT_PAGE 4096u
#define SPT_MEM_BASE 0x10000u       /* memory starts here; nothing is mapped below */
#define SPT_BOOT_BASE 0x11000u      /* struct spt_boot, then the manifest, then the command line */
#define SPT_IMAGE_BASE 0x100000u    /* no segment of an image lies below */
#define SPT_CMDLINE_BYTES_MAX 8192u /* with its NUL */

/* In RDI at the entry point. RSP is mem_size - 8, nothing else is defined. */
struct spt_boot {
    uint64_t mem_size; /* the address behind the last byte of memory */
    uint64_t kernel_end;
    uint64_t cmdline; /* address of a C string */
    uint64_t manifest;
    int32_t epollfd, timerfd;
};
_Static_assert(sizeof(struct spt_boot) == 40, "fixed by the ABI");

/* What epoll_pwait says of the timer; every other event carries the index of a manifest entry. */
#define SPT_EVENT_TIMER 0xfffffffeu

/* -- notes --------------------------------------------------------------------------------------
 */

#define SPT_NOTE_NAME "Solo5"
#define SPT_NOTE_ABI 0x31494241u      /* struct spt_note_abi, at offset 20 of the note */
#define SPT_NOTE_MANIFEST 0x3154464du /* struct spt_manifest, at offset 24: 4 bytes of padding */
#define SPT_ABI_TARGET 2u
#define SPT_ABI_VERSION 2u

struct spt_note_abi {
    uint32_t target, version, reserved[2];
};

#define SPT_MANIFEST_VERSION 1u
#define SPT_ENTRIES_MAX 64u
#define SPT_NAME_BYTES 68u /* with its NUL */
enum spt_entry_type { SPT_ENTRY_BLK = 1, SPT_ENTRY_NET = 2, SPT_ENTRY_FIRST = 1 << 30 };

struct spt_entry {
    char name[SPT_NAME_BYTES];
    uint32_t type; /* enum spt_entry_type; entry 0 is SPT_ENTRY_FIRST and has no name */
    union {
        struct {
            uint64_t capacity; /* bytes */
            uint16_t block_bytes;
        } blk;
        struct {
            uint8_t mac[6];
            uint16_t mtu;
        } net;
    } u;
    union {
        int32_t fd;
        uint64_t whole;
    } host;
    uint8_t attached;
    uint8_t padding[7];
};
_Static_assert(sizeof(struct spt_entry) == 104 && offsetof(struct spt_entry, u) == 72
                   && offsetof(struct spt_entry, host) == 88
                   && offsetof(struct spt_entry, attached) == 96,
               "fixed by the ABI");

struct spt_manifest {
    uint32_t version, entries;
    struct spt_entry entry[SPT_ENTRIES_MAX]; /* the first `entries` of them */
};
#define SPT_MANIFEST_BYTES(entries) (8u + (entries) * sizeof(struct spt_entry))

/* -- Tarn's extension ---------------------------------------------------------------------------
 */

/* An image asks with a note; a tender that does not know it ignores it, and leaves the first page
 * of memory zero. Tarn's tender puts a struct spt_grant there, and allows the system calls that
 * belong to what it granted: an image that does not ask runs under the plain ABI's filter. */
#define SPT_NOTE_TARN_NAME "Tarn"
#define SPT_NOTE_TARN 0x31545053u /* struct spt_wish, at offset 20 of the note */

enum spt_feature {
    SPT_FEATURE_ENTROPY = 1 << 0, /* the seed below is set; getrandom(buf, up to 256, 0) */
    SPT_FEATURE_VNET = 1 << 1,    /* taps have offloads, frames a header: see `device` */
    SPT_FEATURE_SCATTER = 1 << 2, /* readv and writev on every network device */
    SPT_FEATURE_RANGES = 1 << 3,  /* pread64 and pwrite64 of many blocks: see blk_bytes_max */
    SPT_FEATURE_FLUSH = 1 << 4,   /* fdatasync on every block device */
};

struct spt_wish {
    uint32_t version; /* 1 */
    uint32_t features;
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
    /* By manifest entry: bit 0: each of its frames has a struct tarn_vnet_hdr in front, both ways;
     * from bit 1 on: what the host takes over, as enum tarn_netif_features. */
    uint32_t device[SPT_ENTRIES_MAX];
};
enum { SPT_DEVICE_VNET = 1, SPT_DEVICE_FEATURES_SHIFT = 1 };
_Static_assert(sizeof(struct spt_grant) == 312 && sizeof(struct spt_grant) <= SPT_PAGE,
               "one page below struct spt_boot");

#endif
