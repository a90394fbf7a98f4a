/* SPDX-License-Identifier: ISC */
#include "fat.h"

/* Cluster number `index` of a value's chain. */
static enum tarn_err cluster_at(struct tarn_kv_fat *f, uint32_t first, uint32_t index,
                                uint32_t *out) {
    uint32_t cluster = first, at = 0;
    if (f->finger_first == first && f->finger_index <= index) {
        cluster = f->finger_cluster;
        at = f->finger_index;
    }
    for (; at < index; at++) {
        enum tarn_err err = fat_next(f, cluster, &cluster);
        if (err)
            return err;
    }
    if (!fat_is_cluster(f, cluster))
        return TARN_IO; /* shorter than its size says */
    f->finger_first = first;
    f->finger_index = index;
    f->finger_cluster = cluster;
    *out = cluster;
    return TARN_OK;
}

enum tarn_err fat_value_read(struct tarn_kv_fat *f, const struct fat_entry *e, uint64_t offset,
                             struct tarn_bytes buf, size_t *n) {
    uint32_t cluster_bytes = f->volume.cluster_bytes, cluster;
    *n = 0;
    while (buf.len && offset < e->bytes) {
        uint32_t within = (uint32_t)(offset % cluster_bytes);
        enum tarn_err err = cluster_at(f, e->cluster, (uint32_t)(offset / cluster_bytes), &cluster);
        /* Up to the sector that the last byte asked for is in. */
        size_t some = (size_t)TARN_MIN((uint64_t)(cluster_bytes - within), e->bytes - offset);
        some = TARN_MIN(some, buf.len);
        size_t sectors = (within + some + f->volume.sector_bytes - 1) / f->volume.sector_bytes;
        if (!err)
            err = fat_data_read(f, fat_cluster_sector(f, cluster),
                                tarn_bytes_first(f->old, sectors * f->volume.sector_bytes));
        if (err)
            return TARN_IO;
        struct tarn_span piece = tarn_span_after(tarn_bytes_span(f->old), within);
        tarn_bytes_copy(buf, tarn_span_first(piece, some));
        buf = tarn_bytes_after(buf, some);
        offset += some;
        *n += some;
    }
    return TARN_OK;
}

/* The bytes of the value's cluster that begins at `from`, in f->new. */
static enum tarn_err compose(struct tarn_kv_fat *f, const struct fat_entry *old, uint64_t from,
                             uint64_t offset, struct tarn_span part) {
    uint64_t to = from + f->volume.cluster_bytes, end = offset + part.len;
    enum tarn_err err = TARN_OK;
    size_t n;
    tarn_bytes_fill(f->new, 0);
    if (old && from < old->bytes)
        err = fat_value_read(f, old, from, f->new, &n);
    if (!err && offset < to && end > from) {
        uint64_t first = TARN_MAX(offset, from);
        struct tarn_span piece = tarn_span_after(part, (size_t)(first - offset));
        tarn_bytes_copy(tarn_bytes_after(f->new, (size_t)(first - from)), piece);
    }
    return err;
}

static enum tarn_err clusters_write(struct tarn_kv_fat *f, const struct fat_entry *old,
                                    uint64_t bytes, uint64_t offset, struct tarn_span part,
                                    uint32_t *first) {
    uint32_t cluster_bytes = f->volume.cluster_bytes, last = 0;
    for (uint64_t from = 0; from < bytes; from += cluster_bytes) {
        uint32_t cluster;
        enum tarn_err err = fat_take(f, last, &cluster);
        if (err)
            return err;
        if (!*first)
            *first = cluster;
        last = cluster;
        if (f->trying)
            continue;
        err = compose(f, old, from, offset, part);
        size_t rest = (size_t)TARN_MIN(bytes - from, (uint64_t)cluster_bytes);
        size_t sectors = (rest + f->volume.sector_bytes - 1) / f->volume.sector_bytes;
        if (!err)
            err = fat_data_write(
                f, fat_cluster_sector(f, cluster),
                tarn_span_first(tarn_bytes_span(f->new), sectors * f->volume.sector_bytes));
        if (err)
            return err;
    }
    return TARN_OK;
}

enum tarn_err fat_value_write(struct tarn_kv_fat *f, const struct fat_entry *old, uint64_t bytes,
                              uint64_t offset, struct tarn_span part, uint32_t *first) {
    *first = 0;
    if (bytes > UINT32_MAX)
        return TARN_LIMIT;
    /* Not even as many clusters as there are at all: said before any is taken. */
    if (bytes / f->volume.cluster_bytes > f->volume.clusters)
        return TARN_LIMIT;
    return clusters_write(f, old, bytes, offset, part, first);
}
