/* SPDX-License-Identifier: ISC */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKING_DEPTH_MAX 16u

static const char *const names[] = {[FORMAT_RAW] = "raw", [FORMAT_QCOW2] = "qcow2"};

enum format format_by_name(const char *name) {
    for (size_t i = 0; i < TARN_COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum format)i;
    fail("%s: no such format", name);
}

const char *format_name(enum format format) {
    return names[format];
}

enum format image_probe(const char *path) {
    uint8_t first[SECTOR_BYTES] = {0};
    struct file file;
    file_open(&file, path, FILE_IMAGE_RO);
    must(tarn_blk_read(&file.blk, &loop.pump.waiter, 0, TARN_BYTES_ARRAY(first)), path, "read");
    file_close(&file);
    return memcmp(first, "QFI\xfb", 4) == 0 ? FORMAT_QCOW2 : FORMAT_RAW;
}

/* The backing image's path: relative ones begin where the image is. */
static char *path_beside(const char *path, struct tarn_span name) {
    const char *slash = strrchr(path, '/');
    int folder = slash && name.ptr[0] != '/' ? (int)(slash - path + 1) : 0;
    char *out;
    if (asprintf(&out, "%.*s%.*s", folder, path, (int)name.len, (const char *)name.ptr) < 0)
        fail("no memory");
    return out;
}

static struct image *open_at(const char *path, enum format format, bool writable, uint64_t grows_to,
                             unsigned depth);

static struct image *open_backing(const char *path, struct tarn_blk *lower, unsigned depth) {
    uint8_t buffer[65536];
    struct tarn_blk_qcow2_info info;
    must(tarn_blk_qcow2_info(lower, &loop.pump.waiter, TARN_BYTES_ARRAY(buffer), &info), path,
         "its header");
    if (info.format.backing_name.len == 0)
        return NULL;
    char *backing = path_beside(path, info.format.backing_name);
    struct tarn_span named = info.format.backing_format;
    enum format format = tarn_span_equal(named, TARN_SPAN_LIT("raw"))     ? FORMAT_RAW
                         : tarn_span_equal(named, TARN_SPAN_LIT("qcow2")) ? FORMAT_QCOW2
                                                                          : image_probe(backing);
    return open_at(backing, format, false, 0, depth + 1);
}

static struct image *open_at(const char *path, enum format format, bool writable, uint64_t grows_to,
                             unsigned depth) {
    struct image *image = calloc(1, sizeof *image);
    if (!image)
        fail("no memory");
    if (depth > BACKING_DEPTH_MAX)
        fail("%s: too many backing images", path);
    image->format = format;
    if (format == FORMAT_RAW) {
        file_open(&image->file, path, writable ? FILE_WRITE : FILE_READ);
        image->blk = &image->file.blk;
        return image;
    }
    file_open(&image->file, path, writable ? FILE_IMAGE : FILE_IMAGE_RO);
    image->backing = open_backing(path, &image->file.blk, depth);
    /* Room for a copy of everything, as with a snapshot. */
    struct tarn_blk_qcow2_info info;
    static uint8_t first[65536];
    must(tarn_blk_qcow2_info(&image->file.blk, &loop.pump.waiter, TARN_BYTES_ARRAY(first), &info),
         path, "its header");
    uint64_t end = file_bytes(&image->file) + 2 * TARN_MAX(info.format.bytes, grows_to);
    struct tarn_blk_qcow2_config config = {.alloc = &loop.heap,
                                           .tasks = &loop.tasks,
                                           .lower = &image->file.blk,
                                           .backing = image->backing ? image->backing->blk : NULL,
                                           .read_only = !writable,
                                           .bytes_max = grows_to,
                                           .end_max = end + (64u << 20),
                                           .l2_tables = 32};
    must(tarn_blk_qcow2_open(&config, &loop.pump.waiter, &image->qcow2), path, "opening it");
    struct tarn_blk_worker *worker = tarn_blk_qcow2_worker(image->qcow2);
    tarn_blk_pump_add(&loop.pump, worker);
    image->blk = &worker->blk;
    return image;
}

struct image *image_open(const char *path, bool writable, uint64_t grows_to) {
    return open_at(path, image_probe(path), writable, grows_to, 0);
}

void image_make(const char *path, enum format format, uint64_t bytes, const char *backing,
                uint32_t cluster_bits, uint32_t version) {
    static uint8_t buffer[4 << 20];
    struct file file;
    if (format == FORMAT_RAW) {
        file_make(path, bytes);
        return;
    }
    file_make(path, 0);
    file_open(&file, path, FILE_IMAGE);
    struct tarn_blk_qcow2_format f = {
        .bytes = bytes, .cluster_bits = cluster_bits, .version = version};
    if (backing) {
        char *there = path_beside(path, tarn_span_str(backing));
        f.backing_name = tarn_span_str(backing);
        f.backing_format = tarn_span_str(format_name(image_probe(there)));
        free(there);
    }
    must(tarn_blk_qcow2_create(&file.blk, &loop.pump.waiter, TARN_BYTES_ARRAY(buffer), &f), path,
         "making it");
    file_close(&file);
}

void image_close(struct image *image) {
    if (image->qcow2) {
        tarn_blk_pump_remove(&loop.pump, tarn_blk_qcow2_worker(image->qcow2));
        must(tarn_blk_qcow2_close(image->qcow2, &loop.pump.waiter), image->file.path, "closing it");
    }
    if (image->backing)
        image_close(image->backing);
    file_close(&image->file);
    free(image);
}
