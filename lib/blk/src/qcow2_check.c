/* SPDX-License-Identifier: ISC */
/* Counting every reference, and comparing that with the counts in the image: in windows of as many
 * clusters as the caller has memory for. */
#include "qcow2.h"

#define COUNT_BYTES 2u /* of a cluster in the scratch; stays at its maximum */
#define SNAPSHOT_BYTES 40u
#define SNAPSHOTS_MAX 65536u

struct check {
    struct tarn_blk_qcow2 *q;
    struct tarn_waiter *waiter;
    struct tarn_bytes counts;
    uint64_t first, end;  /* the window, in clusters */
    uint64_t counted_end; /* in clusters: behind it nothing is counted */
    struct tarn_blk_qcow2_report *report;
};

/* In every window the same things are wrong; they count in the first. */
static void corrupt(struct check *c) {
    c->report->corruptions += c->first == 0;
}

static void count(struct check *c, uint64_t cluster) {
    uint16_t n;
    if (cluster < c->first || cluster >= c->end)
        return;
    struct tarn_bytes at = tarn_bytes_after(c->counts, (size_t)(cluster - c->first) * COUNT_BYTES);
    struct tarn_span in = tarn_bytes_span(at);
    TARN_ASSERT(tarn_span_u16le(&in, &n));
    struct tarn_writer w = tarn_writer_over(at);
    tarn_writer_u16le(&w, n < UINT16_MAX ? n + 1 : n);
}

/* [at, at + bytes) is used once more. */
static bool use(struct check *c, uint64_t at, uint64_t bytes) {
    uint32_t bits = c->q->header.cluster_bits;
    uint64_t last = (at + bytes - 1) >> bits;
    if (bytes == 0)
        return true;
    if (at + bytes < at || last >= c->counted_end) {
        corrupt(c);
        return false;
    }
    for (uint64_t i = TARN_MAX(at >> bits, c->first); i <= last && i < c->end; i++)
        count(c, i);
    return true;
}

/* -- references -----------------------------------------------------------------------------------
 */

/* COPIED says that the count is 1, and nothing else does. */
static enum tarn_err check_copied(struct check *c, uint64_t entry, uint64_t at) {
    uint64_t n;
    enum tarn_err err = q2_refcount_get(c->q, c->waiter, at >> c->q->header.cluster_bits, &n);
    if (!err && (n == 1) != ((entry & Q2_COPIED) != 0))
        corrupt(c);
    return err;
}

static enum tarn_err use_entry(struct check *c, uint64_t entry, bool active) {
    uint32_t bits = c->q->header.cluster_bits;
    if (entry & Q2_COMPRESSED) {
        uint32_t shift = 62 - (bits - 8);
        uint64_t at = entry & ((1ull << shift) - 1);
        uint64_t sectors = (entry >> shift & ((1ull << (bits - 8)) - 1)) + 1;
        (void)use(c, at & ~511ull, sectors * 512);
        return TARN_OK;
    }
    uint64_t at = entry & Q2_OFFSET;
    if (at == 0)
        return TARN_OK;
    if (at % q2_cluster_bytes(c->q)) {
        corrupt(c);
        return TARN_OK;
    }
    if (!use(c, at, q2_cluster_bytes(c->q)))
        return TARN_OK;
    c->report->data_clusters += active && c->first == 0;
    return active && c->first == 0 ? check_copied(c, entry, at) : TARN_OK;
}

static enum tarn_err use_l2(struct check *c, uint64_t l1_entry, bool active) {
    uint64_t at = l1_entry & Q2_OFFSET;
    enum tarn_err err = TARN_OK;
    if (at == 0)
        return TARN_OK;
    if (!q2_is_cluster(c->q, at)) {
        corrupt(c);
        return TARN_OK;
    }
    (void)use(c, at, q2_cluster_bytes(c->q));
    if (active && c->first == 0)
        err = check_copied(c, l1_entry, at);
    for (uint64_t i = 0; i < 1ull << q2_l2_bits(c->q) && !err; i++) {
        struct q2_slot *slot;
        err = q2_l2_load(c->q, c->waiter, at, &slot);
        if (!err)
            err = use_entry(c, q2_table_get(slot, i), active);
    }
    return err;
}

/* Reads `data` from anywhere in the image. */
static enum tarn_err read_bytes(struct check *c, uint64_t at, struct tarn_bytes data) {
    struct tarn_blk *lower = c->q->lower;
    while (data.len) {
        uint64_t inside = at % lower->block_bytes;
        struct tarn_bytes block = tarn_bytes_first(c->q->scratch, lower->block_bytes);
        enum tarn_err err = tarn_blk_read(lower, c->waiter, at / lower->block_bytes, block);
        if (err)
            return err;
        size_t n = tarn_bytes_copy(data, tarn_span_after(tarn_bytes_span(block), (size_t)inside));
        at += n;
        data = tarn_bytes_after(data, n);
    }
    return TARN_OK;
}

static enum tarn_err use_snapshot_l1(struct check *c, uint64_t l1_at, uint32_t l1_count) {
    enum tarn_err err = TARN_OK;
    if (!use(c, l1_at, l1_count * 8ull))
        return TARN_OK;
    for (uint32_t i = 0; i < l1_count && !err; i++) {
        uint8_t entry[8];
        struct tarn_span in = TARN_SPAN_ARRAY(entry);
        uint64_t l1_entry;
        err = read_bytes(c, l1_at + i * 8ull, TARN_BYTES_ARRAY(entry));
        if (!err && tarn_span_u64be(&in, &l1_entry))
            err = use_l2(c, l1_entry, false);
    }
    return err;
}

static enum tarn_err use_snapshots(struct check *c) {
    const struct q2_header *h = &c->q->header;
    uint64_t at = h->snapshots_at;
    for (uint32_t i = 0; i < h->snapshots; i++) {
        uint8_t fixed[SNAPSHOT_BYTES];
        struct tarn_span in = TARN_SPAN_ARRAY(fixed);
        uint64_t l1_at;
        uint32_t l1_count, extra;
        uint16_t id, name;
        if (i == SNAPSHOTS_MAX || at >> h->cluster_bits >= c->counted_end) {
            corrupt(c);
            return TARN_OK;
        }
        enum tarn_err err = read_bytes(c, at, TARN_BYTES_ARRAY(fixed));
        if (err)
            return err;
        if (!tarn_span_u64be(&in, &l1_at) || !tarn_span_u32be(&in, &l1_count)
            || !tarn_span_u16be(&in, &id) || !tarn_span_u16be(&in, &name)
            || !tarn_span_skip(&in, 20) || !tarn_span_u32be(&in, &extra))
            return TARN_PEER;
        err = use_snapshot_l1(c, l1_at, l1_count);
        if (err)
            return err;
        at += (SNAPSHOT_BYTES + (uint64_t)extra + id + name + 7) / 8 * 8;
    }
    (void)use(c, h->snapshots_at, at - h->snapshots_at);
    return TARN_OK;
}

static enum tarn_err use_all(struct check *c) {
    const struct q2_header *h = &c->q->header;
    enum tarn_err err = TARN_OK;
    (void)use(c, 0, q2_cluster_bytes(c->q));
    (void)use(c, h->reftable_at, (uint64_t)h->reftable_clusters << h->cluster_bits);
    (void)use(c, h->l1_at, h->l1_count * 8ull);
    for (uint32_t i = 0; i < c->q->reftable.count; i++) {
        uint64_t at = q2_array_get(&c->q->reftable, i) & Q2_OFFSET;
        if (at && !q2_is_cluster(c->q, at))
            corrupt(c);
        else if (at)
            (void)use(c, at, q2_cluster_bytes(c->q));
    }
    for (uint32_t i = 0; i < h->l1_count && !err; i++)
        err = use_l2(c, q2_array_get(&c->q->l1, i), true);
    return err ? err : use_snapshots(c);
}

/* -- comparing ------------------------------------------------------------------------------------
 */

static enum tarn_err compare_one(struct check *c, uint64_t cluster, uint16_t used, bool repair) {
    uint64_t counted;
    enum tarn_err err = q2_refcount_get(c->q, c->waiter, cluster, &counted);
    if (err)
        return err;
    if (counted)
        c->report->end = (cluster + 1) << c->q->header.cluster_bits;
    if (counted == used)
        return TARN_OK;
    if (counted > used)
        c->report->leaks++;
    else
        c->report->corruptions++;
    if (!repair)
        return TARN_OK;
    err = q2_refcount_set(c->q, c->waiter, cluster, used);
    c->report->repaired += !err;
    /* The image's counts are too narrow for it: it stays as it is. */
    return err == TARN_LIMIT ? TARN_OK : err;
}

static enum tarn_err check_window(struct check *c, bool repair) {
    tarn_bytes_fill(c->counts, 0);
    enum tarn_err err = use_all(c);
    for (uint64_t i = c->first; i < c->end && !err; i++) {
        struct tarn_span in =
            tarn_span_after(tarn_bytes_span(c->counts), (size_t)(i - c->first) * COUNT_BYTES);
        uint16_t used;
        TARN_ASSERT(tarn_span_u16le(&in, &used));
        err = compare_one(c, i, used, repair);
    }
    return err;
}

/* Where the last refcount block ends, or the device. */
static uint64_t counted_end(const struct tarn_blk_qcow2 *q) {
    uint64_t cluster = q2_cluster_bytes(q), bytes = q->lower->blocks * q->lower->block_bytes;
    uint64_t groups = q->reftable.count;
    while (groups && q2_array_get(&q->reftable, groups - 1) == 0)
        groups--;
    return TARN_MIN(groups << q2_refblock_bits(q), bytes / cluster + (bytes % cluster != 0));
}

enum tarn_err tarn_blk_qcow2_check(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter,
                                   struct tarn_bytes scratch, bool repair,
                                   struct tarn_blk_qcow2_report *report) {
    struct check c = {.q = q, .waiter = waiter, .report = report};
    uint64_t window = scratch.len / COUNT_BYTES;
    *report = (struct tarn_blk_qcow2_report){0};
    if (window == 0)
        return TARN_INVALID;
    if (repair && q->config.read_only)
        return TARN_UNSUPPORTED;
    enum tarn_err err = q->config.read_only ? TARN_OK : q2_commit(q, waiter);
    c.counted_end = counted_end(q);
    for (c.first = 0; c.first < c.counted_end && !err; c.first = c.end) {
        c.end = TARN_MIN(c.first + window, c.counted_end);
        c.counts = tarn_bytes_first(scratch, (size_t)((c.end - c.first) * COUNT_BYTES));
        err = check_window(&c, repair);
    }
    q->free_hint = 0;
    return err || !repair ? err : q2_commit(q, waiter);
}
