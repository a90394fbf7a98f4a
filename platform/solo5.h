/* SPDX-License-Identifier: ISC */
/* solo5.h: what the Solo5 ABIs (spt and hvt) have in common: an image's notes, its manifest, and
 * where images lie. platform/spt/README.md has the notes byte for byte. */
#ifndef TARN_SOLO5_H
#define TARN_SOLO5_H

#include <tarn/compiler.h>

#define SOLO5_PAGE 4096u
#define SOLO5_IMAGE_BASE 0x100000u    /* no segment of an image lies below */
#define SOLO5_CMDLINE_BYTES_MAX 8192u /* with its NUL */

#define SOLO5_NOTE_NAME "Solo5"
#define SOLO5_NOTE_ABI 0x31494241u      /* struct solo5_note_abi, at offset 20 of the note */
#define SOLO5_NOTE_MANIFEST 0x3154464du /* struct solo5_manifest, at 24: 4 bytes of padding */

enum solo5_target { SOLO5_TARGET_HVT = 1, SOLO5_TARGET_SPT = 2 };
#define SOLO5_ABI_VERSION 2u /* of both */

struct solo5_note_abi {
    uint32_t target, version, reserved[2];
};

#define SOLO5_MANIFEST_VERSION 1u
#define SOLO5_ENTRIES_MAX 64u
#define SOLO5_NAME_BYTES 68u /* with its NUL */
enum solo5_entry_type { SOLO5_ENTRY_BLK = 1, SOLO5_ENTRY_NET = 2, SOLO5_ENTRY_FIRST = 1 << 30 };

struct solo5_entry {
    char name[SOLO5_NAME_BYTES];
    uint32_t type; /* enum solo5_entry_type; entry 0 is SOLO5_ENTRY_FIRST and has no name */
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
_Static_assert(sizeof(struct solo5_entry) == 104 && offsetof(struct solo5_entry, u) == 72
                   && offsetof(struct solo5_entry, host) == 88
                   && offsetof(struct solo5_entry, attached) == 96,
               "fixed by the ABI");

struct solo5_manifest {
    uint32_t version, entries;
    struct solo5_entry entry[SOLO5_ENTRIES_MAX]; /* the first `entries` of them */
};
#define SOLO5_MANIFEST_BYTES(entries) (8u + (entries) * sizeof(struct solo5_entry))

/* What epoll says of the timer; every other event carries the index of a manifest entry. */
#define SOLO5_EVENT_TIMER 0xfffffffeu

/* Tarn's own note: what an image can use of what Tarn's tenders offer beyond the ABI. Tenders that
 * do not know it ignore it. Its type is the target's. */
#define SOLO5_NOTE_TARN_NAME "Tarn"
struct solo5_wish {   /* at offset 20 of the note */
    uint32_t version; /* 1 */
    uint32_t features;
};

/* What Tarn's tenders say of a device in their answer. Bit 0: each of its frames has a struct
 * tarn_vnet_hdr in front, both ways; from bit 1 on: what the host takes over, as enum
 * tarn_netif_features. */
enum solo5_device_grant { SOLO5_DEVICE_VNET = 1, SOLO5_DEVICE_FEATURES_SHIFT = 1 };

#endif
