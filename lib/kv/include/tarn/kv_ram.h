/* SPDX-License-Identifier: ISC */
/* tarn/kv_ram.h: a store in memory, gone with its program: for tests, caches and scratch data.
 *
 * All of tarn/kv.h, never waiting. Memory is one budget, taken at init; what does not fit is
 * answered with TARN_LIMIT and changes nothing. A value takes its bytes, its name and about 48 more
 * (longer values lie in pieces of 992 bytes); while a batch of several changes is made, what it
 * touches is there twice. Removing gives memory back at once for a small value, and a few pieces at
 * each batch for large values and dictionaries.
 *
 * A snapshot costs nothing when it is made; what is changed later is then kept twice. One thread.
 */
#ifndef TARN_KV_RAM_H
#define TARN_KV_RAM_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/kv.h>

struct tarn_kv_ram;
struct tarn_kv_ram_config {
    struct tarn_alloc *alloc;
    struct tarn_clock *clock;   /* says when values were modified */
    struct tarn_random *random; /* so that nobody can choose keys that make it slow */
    size_t bytes;               /* for all that is stored; at least 128 KiB, of which 48
                                   are kept for removing */
    uint32_t snapshots_max;     /* at once */
};
/* TARN_INVALID: too small; TARN_LIMIT: the allocator has not enough. */
TARN_MUST_USE enum tarn_err tarn_kv_ram_new(const struct tarn_kv_ram_config *config,
                                            struct tarn_kv_ram **out);
/* No snapshot may be in use. */
void tarn_kv_ram_delete(struct tarn_kv_ram *ram);
struct tarn_kv *tarn_kv_ram_kv(struct tarn_kv_ram *ram);
/* Bytes of the budget in use (in whole pages of 8 KiB). */
size_t tarn_kv_ram_used(const struct tarn_kv_ram *ram);

#endif
