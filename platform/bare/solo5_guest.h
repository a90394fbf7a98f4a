/* SPDX-License-Identifier: ISC */
/* solo5_guest.h: what the guests of both Solo5 ABIs (spt, hvt) have in common: the manifest that
 * the tender fills in, and a queue of requests in front of block devices whose calls block. */
#ifndef TARN_BARE_SOLO5_GUEST_H
#define TARN_BARE_SOLO5_GUEST_H

#include "../solo5.h"
#include "bare.h"
#include <platform.h>

/* Whether the tender hands back our own manifest: the same devices, with what is attached filled
 * in. From then on it is the one that devices are looked up in. */
bool solo5_take_manifest(const struct solo5_manifest *m);
/* The manifest's entry of that name and type, attached; NULL after saying so on the console. */
const struct solo5_entry *solo5_entry(const char *name, enum solo5_entry_type type,
                                      uint32_t *index);
/* Whether manifest and command line lie between `low` and the image; the line, without its NUL. */
bool solo5_find_cmdline(uint64_t low, uint64_t manifest, uint64_t cmdline, struct tarn_span *out);

struct solo5_disk {
    struct tarn_blk blk;
    const struct solo5_entry *entry;
    uint32_t index;
    struct tarn_blk_req *first, **last;
};
/* Does what the disks were asked for, a bounded piece at a time, in the order in which it came;
 * whether there was any. */
bool solo5_blk_poll(uint64_t *ready);
/* The target's: one request that has been checked; and whether the tender can flush. */
enum tarn_err guest_blk_perform(const struct solo5_disk *disk, const struct tarn_blk_req *req);
bool guest_blk_can_flush(void);

#endif
