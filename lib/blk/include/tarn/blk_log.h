/* SPDX-License-Identifier: ISC */
/* tarn/blk_log.h: a device that also writes down every write, in order, on another device, in the
 * format of Linux' dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst), so that
 * a replayer can make the state after any prefix: that of a machine which lost its power there.
 *
 * An entry is logged after the device has answered, so the log is one order in which the device may
 * have stored what it was given. A flush, and tarn_blk_log_mark, make the log itself durable. When
 * the log is full, writes are refused with TARN_LIMIT and change nothing.
 *
 * The writer is a worker (tarn/blk_worker.h). The reader is straight-line code and believes
 * nothing.
 */
#ifndef TARN_BLK_LOG_H
#define TARN_BLK_LOG_H

#include <tarn/alloc.h>
#include <tarn/blk_worker.h>

struct tarn_blk_log;
struct tarn_blk_log_config {
    struct tarn_alloc *alloc;
    struct tarn_tasks *tasks;
    struct tarn_blk *lower, *log; /* blocks of the same size */
};
/* Starts an empty log; what was on the log device is gone. TARN_INVALID: the blocks differ in size.
 */
TARN_MUST_USE enum tarn_err tarn_blk_log_new(const struct tarn_blk_log_config *config,
                                             struct tarn_waiter *waiter, struct tarn_blk_log **out);
struct tarn_blk_worker *tarn_blk_log_worker(struct tarn_blk_log *log);
/* Writes a mark with a text of up to 256 bytes, as `dmsetup message ... mark` does. Only while the
 * worker is idle. */
TARN_MUST_USE enum tarn_err tarn_blk_log_mark(struct tarn_blk_log *log, struct tarn_waiter *waiter,
                                              struct tarn_span text);
uint64_t tarn_blk_log_entries(const struct tarn_blk_log *log);
/* Entries since the last flush are lost. The worker must be idle. */
void tarn_blk_log_delete(struct tarn_blk_log *log);

/* -- reading one
 * ------------------------------------------------------------------------------------
 */

enum tarn_blk_log_flags {
    TARN_BLK_LOG_FLUSH = 1,
    TARN_BLK_LOG_FUA = 2,
    TARN_BLK_LOG_DISCARD = 4,
    TARN_BLK_LOG_MARK = 8,
    TARN_BLK_LOG_METADATA = 16,
};
struct tarn_blk_log_entry {
    uint64_t block, blocks; /* of the device that was written to */
    uint64_t flags;         /* enum tarn_blk_log_flags */
    uint64_t data_at;       /* the log's block where the data begins */
    struct tarn_span mark;  /* MARK: its text; in the reader's buffer */
};
struct tarn_blk_log_reader {
    struct tarn_blk *log;
    struct tarn_waiter *waiter;
    struct tarn_bytes buffer;
    uint64_t entries, index; /* all there are; how many have been read */
    uint64_t next_at;
};
/* `buffer`: a block or more, the reader's from now on. TARN_PEER: not such a log, or one of another
 * block size. */
TARN_MUST_USE enum tarn_err tarn_blk_log_open(struct tarn_blk_log_reader *reader,
                                              struct tarn_blk *log, struct tarn_waiter *waiter,
                                              struct tarn_bytes buffer);
/* TARN_EOF: that was the last. TARN_PEER: damaged. */
TARN_MUST_USE enum tarn_err tarn_blk_log_next(struct tarn_blk_log_reader *reader,
                                              struct tarn_blk_log_entry *entry);
/* Does to `target` what the entry says. A discard is done where the target can. TARN_INVALID: not
 * inside it. */
TARN_MUST_USE enum tarn_err tarn_blk_log_apply(struct tarn_blk_log_reader *reader,
                                               const struct tarn_blk_log_entry *entry,
                                               struct tarn_blk *target);

#endif
