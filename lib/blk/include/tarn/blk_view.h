/* SPDX-License-Identifier: ISC */
/* tarn/blk_view.h: a range of another device, as a device: a partition, or the whole read-only.
 *
 * Each request in flight needs a slot; all are taken at tarn_blk_view_new. The device below must
 * outlive the view.
 */
#ifndef TARN_BLK_VIEW_H
#define TARN_BLK_VIEW_H

#include <tarn/alloc.h>
#include <tarn/blk.h>
#include <tarn/task.h>

struct tarn_blk_view;
struct tarn_blk_view_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower;
    uint64_t first, blocks; /* in blocks of the device below */
    bool read_only;         /* also where the device below is not */
    uint32_t requests_max;  /* in flight; 0: 32 */
};
/* TARN_INVALID: the range is not inside the device. TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_blk_view_new(const struct tarn_blk_view_config *config,
                                              struct tarn_blk_view **out);
struct tarn_blk *tarn_blk_view_blk(struct tarn_blk_view *view);
/* No request may be in flight: traps otherwise. */
void tarn_blk_view_delete(struct tarn_blk_view *view);

#endif
