/* SPDX-License-Identifier: ISC */
/* The header, making an image, and opening one. */
#include "qcow2.h"

#define V2_BYTES 72u
#define V3_BYTES 104u
#define NAME_BYTES_MAX 1023u
#define EXTENSION_END 0u
#define EXTENSION_BACKING_FORMAT 0xe2792acau
#define L1_BYTES_MAX (32u << 20)
#define KNOWN_INCOMPATIBLE                                                                         \
    (Q2_INCOMPATIBLE_DIRTY | Q2_INCOMPATIBLE_CORRUPT | Q2_INCOMPATIBLE_COMPRESSION)

/* -- reading --------------------------------------------------------------------------------------
 */

static bool parse_v3(struct tarn_span in, struct q2_header *h) {
    if (h->version == 2) {
        h->refcount_order = 4;
        h->header_bytes = V2_BYTES;
        return true;
    }
    return tarn_span_u64be(&in, &h->incompatible) && tarn_span_u64be(&in, &h->compatible)
           && tarn_span_u64be(&in, &h->autoclear) && tarn_span_u32be(&in, &h->refcount_order)
           && tarn_span_u32be(&in, &h->header_bytes);
}

/* Everything of the header that can be checked by itself. TARN_UNSUPPORTED: an image of this kind,
 * and not one for here. */
enum tarn_err q2_header_parse(struct tarn_span block, struct q2_header *h) {
    struct tarn_span in = block;
    uint32_t magic, crypt;
    *h = (struct q2_header){0};
    if (!tarn_span_u32be(&in, &magic) || magic != Q2_MAGIC || !tarn_span_u32be(&in, &h->version)
        || !tarn_span_u64be(&in, &h->backing_at) || !tarn_span_u32be(&in, &h->backing_bytes)
        || !tarn_span_u32be(&in, &h->cluster_bits) || !tarn_span_u64be(&in, &h->size)
        || !tarn_span_u32be(&in, &crypt) || !tarn_span_u32be(&in, &h->l1_count)
        || !tarn_span_u64be(&in, &h->l1_at) || !tarn_span_u64be(&in, &h->reftable_at)
        || !tarn_span_u32be(&in, &h->reftable_clusters) || !tarn_span_u32be(&in, &h->snapshots)
        || !tarn_span_u64be(&in, &h->snapshots_at))
        return TARN_PEER;
    if (h->version != 2 && h->version != 3)
        return TARN_UNSUPPORTED;
    if (!parse_v3(in, h))
        return TARN_PEER;
    if (crypt || h->incompatible & ~(uint64_t)KNOWN_INCOMPATIBLE)
        return TARN_UNSUPPORTED;
    if (h->cluster_bits < 9 || h->cluster_bits > 21 || h->refcount_order > 6
        || h->header_bytes < (h->version == 2 ? V2_BYTES : V3_BYTES) || h->header_bytes % 8
        || h->header_bytes > 1u << h->cluster_bits || h->size > INT64_MAX / 2)
        return TARN_PEER;
    uint64_t cluster = 1ull << h->cluster_bits, per_l1 = cluster * (cluster / 8);
    if (h->l1_at % cluster || h->reftable_at % cluster || h->reftable_at == 0
        || h->reftable_clusters == 0 || h->snapshots_at % cluster || h->l1_count > L1_BYTES_MAX / 8
        || h->l1_count < h->size / per_l1 + (h->size % per_l1 != 0))
        return TARN_PEER;
    if (h->backing_at
        && (h->backing_bytes > NAME_BYTES_MAX || h->backing_at > cluster
            || h->backing_bytes > cluster - h->backing_at))
        return TARN_PEER;
    return TARN_OK;
}

static struct tarn_span backing_format(struct tarn_span first, const struct q2_header *h) {
    struct tarn_span in = tarn_span_after(first, h->header_bytes), data;
    uint32_t type, bytes;
    while (tarn_span_u32be(&in, &type) && tarn_span_u32be(&in, &bytes) && type != EXTENSION_END) {
        if (!tarn_span_take(&in, bytes, &data) || !tarn_span_skip(&in, (0u - bytes) % 8))
            break;
        if (type == EXTENSION_BACKING_FORMAT)
            return data;
    }
    return TARN_SPAN_EMPTY;
}

enum tarn_err tarn_blk_qcow2_info(struct tarn_blk *lower, struct tarn_waiter *waiter,
                                  struct tarn_bytes buffer, struct tarn_blk_qcow2_info *info) {
    struct q2_header h;
    if (buffer.len < 4096 || buffer.len % lower->block_bytes)
        return TARN_INVALID;
    uint64_t all = lower->blocks * lower->block_bytes;
    buffer = tarn_bytes_first(buffer, blk_min(buffer.len, all));
    enum tarn_err err = tarn_blk_read(lower, waiter, 0, buffer);
    struct tarn_span first = tarn_bytes_span(buffer), name = TARN_SPAN_EMPTY;
    if (!err)
        err = q2_header_parse(first, &h);
    if (err)
        return err;
    if (h.backing_at && !tarn_span_sub(first, (size_t)h.backing_at, h.backing_bytes, &name))
        return TARN_PEER;
    *info = (struct tarn_blk_qcow2_info){
        .format = {.bytes = h.size,
                   .cluster_bits = h.cluster_bits,
                   .version = h.version,
                   .backing_name = name,
                   .backing_format = backing_format(first, &h)},
        .incompatible_features = h.incompatible,
        .compatible_features = h.compatible,
        .autoclear_features = h.autoclear,
        .refcount_bits = 1u << h.refcount_order,
        .snapshots = h.snapshots,
    };
    return TARN_OK;
}

/* -- writing --------------------------------------------------------------------------------------
 */

enum tarn_err q2_header_update(struct tarn_blk_qcow2 *q, struct tarn_waiter *waiter) {
    const struct q2_header *h = &q->header;
    struct tarn_bytes block = tarn_bytes_first(q->scratch, q->lower->block_bytes);
    enum tarn_err err = q2_io(q, waiter, TARN_BLK_READ, 0, block);
    if (err)
        return err;
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(block, 24));
    tarn_writer_u64be(&w, h->size);
    tarn_writer_u32be(&w, 0);
    tarn_writer_u32be(&w, h->l1_count);
    tarn_writer_u64be(&w, h->l1_at);
    tarn_writer_u64be(&w, h->reftable_at);
    tarn_writer_u32be(&w, h->reftable_clusters);
    if (h->version == 3) {
        /* Whoever writes and does not know such a feature clears its bit. */
        w = tarn_writer_over(tarn_bytes_after(block, 88));
        tarn_writer_u64be(&w, 0);
    }
    return q2_io(q, waiter, TARN_BLK_WRITE, 0, block);
}

/* Where a new image has its tables, in clusters: the header, refcounts, L1 table. */
struct layout {
    uint32_t cluster_bits;
    uint64_t l1_count, l1_clusters, end;
};
enum { REFTABLE_CLUSTER = 1, REFBLOCK_CLUSTER = 2, L1_CLUSTER = 3 };

static void put_header(struct tarn_writer *w, const struct tarn_blk_qcow2_format *f,
                       const struct layout *l) {
    bool backing = f->backing_name.len != 0;
    uint32_t extensions = 8;
    if (f->backing_format.len)
        extensions += 8 + (uint32_t)(f->backing_format.len + 7) / 8 * 8;
    uint32_t header_bytes = f->version == 2 ? V2_BYTES : V3_BYTES;
    tarn_writer_u32be(w, Q2_MAGIC);
    tarn_writer_u32be(w, f->version);
    tarn_writer_u64be(w, backing ? header_bytes + extensions : 0);
    tarn_writer_u32be(w, (uint32_t)f->backing_name.len);
    tarn_writer_u32be(w, l->cluster_bits);
    tarn_writer_u64be(w, f->bytes);
    tarn_writer_u32be(w, 0);
    tarn_writer_u32be(w, (uint32_t)l->l1_count);
    tarn_writer_u64be(w, (uint64_t)L1_CLUSTER << l->cluster_bits);
    tarn_writer_u64be(w, (uint64_t)REFTABLE_CLUSTER << l->cluster_bits);
    tarn_writer_u32be(w, 1);
    tarn_writer_u32be(w, 0);
    tarn_writer_u64be(w, 0);
    if (f->version == 3) {
        tarn_writer_zero(w, 24);
        tarn_writer_u32be(w, 4);
        tarn_writer_u32be(w, header_bytes);
    }
    if (f->backing_format.len) {
        tarn_writer_u32be(w, EXTENSION_BACKING_FORMAT);
        tarn_writer_u32be(w, (uint32_t)f->backing_format.len);
        tarn_writer_span_put(w, f->backing_format);
        tarn_writer_zero(w, (0u - f->backing_format.len) % 8);
    }
    tarn_writer_zero(w, 8);
    tarn_writer_span_put(w, f->backing_name);
}

static enum tarn_err put_cluster(struct tarn_blk *lower, struct tarn_waiter *waiter,
                                 const struct layout *l, uint64_t cluster, struct tarn_writer *w) {
    if (!tarn_writer_ok(w))
        return TARN_INVALID;
    tarn_writer_zero(w, tarn_writer_room(w));
    return tarn_blk_write(lower, waiter, (cluster << l->cluster_bits) / lower->block_bytes,
                          tarn_writer_span(w));
}

static enum tarn_err plan(const struct tarn_blk *lower, struct tarn_bytes buffer,
                          const struct tarn_blk_qcow2_format *f, struct layout *l) {
    *l = (struct layout){.cluster_bits = f->cluster_bits};
    if (f->cluster_bits < 9 || f->cluster_bits > 21 || (f->version != 2 && f->version != 3)
        || f->bytes % 512 || f->bytes > INT64_MAX / 2 || f->backing_name.len > NAME_BYTES_MAX
        || (f->backing_format.len && !f->backing_name.len) || f->backing_format.len > 64)
        return TARN_INVALID;
    uint64_t cluster = 1ull << f->cluster_bits, per_l1 = cluster * (cluster / 8);
    if (cluster < lower->block_bytes || buffer.len < cluster)
        return TARN_INVALID;
    l->l1_count = f->bytes / per_l1 + (f->bytes % per_l1 != 0);
    l->l1_count = TARN_MAX(l->l1_count, (uint64_t)1);
    l->l1_clusters = (l->l1_count * 8 + cluster - 1) / cluster;
    l->end = L1_CLUSTER + l->l1_clusters;
    /* One refcount block, of 16-bit counts, counts all of it. */
    bool fits = l->l1_count <= L1_BYTES_MAX / 8 && l->end <= cluster / 2
                && l->end <= lower->blocks * lower->block_bytes / cluster;
    return fits ? TARN_OK : TARN_LIMIT;
}

enum tarn_err tarn_blk_qcow2_create(struct tarn_blk *lower, struct tarn_waiter *waiter,
                                    struct tarn_bytes buffer,
                                    const struct tarn_blk_qcow2_format *format) {
    struct tarn_blk_qcow2_format f = *format;
    struct layout l;
    f.cluster_bits = f.cluster_bits ? f.cluster_bits : 16;
    f.version = f.version ? f.version : 3;
    enum tarn_err err = plan(lower, buffer, &f, &l);
    if (err)
        return err;
    struct tarn_bytes cluster = tarn_bytes_first(buffer, (size_t)1 << l.cluster_bits);
    bool can_flush = lower->features & TARN_BLK_CAN_FLUSH;
    /* An old image's header must not be found with new tables, nor the new one without them. */
    struct tarn_writer w = tarn_writer_over(cluster);
    err = put_cluster(lower, waiter, &l, 0, &w);
    if (!err && can_flush)
        err = tarn_blk_flush(lower, waiter);
    for (uint64_t i = 0; i < l.l1_clusters && !err; i++)
        err =
            tarn_blk_write(lower, waiter, ((L1_CLUSTER + i) << l.cluster_bits) / lower->block_bytes,
                           tarn_bytes_span(cluster));
    w = tarn_writer_over(cluster);
    tarn_writer_u64be(&w, (uint64_t)REFBLOCK_CLUSTER << l.cluster_bits);
    if (!err)
        err = put_cluster(lower, waiter, &l, REFTABLE_CLUSTER, &w);
    w = tarn_writer_over(cluster);
    for (uint64_t i = 0; i < l.end; i++)
        tarn_writer_u16be(&w, 1);
    if (!err)
        err = put_cluster(lower, waiter, &l, REFBLOCK_CLUSTER, &w);
    if (!err && can_flush)
        err = tarn_blk_flush(lower, waiter);
    w = tarn_writer_over(cluster);
    put_header(&w, &f, &l);
    if (!err)
        err = put_cluster(lower, waiter, &l, 0, &w);
    return !err && can_flush ? tarn_blk_flush(lower, waiter) : err;
}
