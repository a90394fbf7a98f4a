/* SPDX-License-Identifier: ISC */
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define BACKING_DEPTH_MAX 16u
#define SECONDS_TO_2000 946684800

static const char *const names[] = {[FORMAT_RAW] = "raw",
                                    [FORMAT_QCOW2] = "qcow2",
                                    [FORMAT_VHD] = "vhd",
                                    [FORMAT_VHD_FIXED] = "vhd-fixed"};

enum format format_by_name(const char *name) {
    for (size_t i = 0; i < TARN_COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum format)i;
    fail("%s: no such format", name);
}

const char *format_name(enum format format) {
    return names[format];
}

static bool starts_at(struct file *file, uint64_t block, const char *magic) {
    uint8_t sector[SECTOR_BYTES];
    must(tarn_blk_read(&file->blk, &loop.pump.waiter, block, TARN_BYTES_ARRAY(sector)), file->path,
         "reading");
    return memcmp(sector, magic, strlen(magic)) == 0;
}

enum format image_probe(const char *path) {
    struct file file;
    file_open(&file, path, FILE_IMAGE_RO);
    uint64_t sectors = file_bytes(&file) / SECTOR_BYTES;
    enum format format = FORMAT_RAW;
    if (starts_at(&file, 0, "QFI\xfb"))
        format = FORMAT_QCOW2;
    else if (starts_at(&file, 0, "conectix"))
        format = FORMAT_VHD;
    else if (sectors && starts_at(&file, sectors - 1, "conectix"))
        format = FORMAT_VHD_FIXED;
    file_close(&file);
    return format;
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
    struct image *image = open_at(backing, format, false, 0, depth + 1);
    image->own_path = backing;
    return image;
}

static void open_qcow2(struct image *image, bool writable, uint64_t grows_to, unsigned depth) {
    static uint8_t first[65536];
    struct tarn_blk_qcow2_info info;
    const char *path = image->file.path;
    image->backing = open_backing(path, &image->file.blk, depth);
    must(tarn_blk_qcow2_info(&image->file.blk, &loop.pump.waiter, TARN_BYTES_ARRAY(first), &info),
         path, "its header");
    /* Room for a copy of everything, as with a snapshot. */
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
    image->worker = tarn_blk_qcow2_worker(image->qcow2);
}

static void open_vhd(struct image *image, bool writable) {
    struct tarn_blk_vhd_config config = {.alloc = &loop.heap,
                                         .tasks = &loop.tasks,
                                         .lower = &image->file.blk,
                                         .read_only = !writable,
                                         .end = file_bytes(&image->file) / SECTOR_BYTES
                                                * SECTOR_BYTES};
    must(tarn_blk_vhd_open(&config, &loop.pump.waiter, &image->vhd), image->file.path,
         "opening it");
    image->worker = tarn_blk_vhd_worker(image->vhd);
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
    if (format == FORMAT_QCOW2)
        open_qcow2(image, writable, grows_to, depth);
    else
        open_vhd(image, writable);
    tarn_blk_pump_add(&loop.pump, image->worker);
    image->blk = &image->worker->blk;
    return image;
}

struct image *image_open(const char *path, bool writable, uint64_t grows_to) {
    return open_at(path, image_probe(path), writable, grows_to, 0);
}

static void make_qcow2(struct file *file, uint64_t bytes, const char *backing,
                       uint32_t cluster_bits, uint32_t version) {
    static uint8_t buffer[4 << 20];
    struct tarn_blk_qcow2_format f = {
        .bytes = bytes, .cluster_bits = cluster_bits, .version = version};
    if (backing) {
        char *there = path_beside(file->path, tarn_span_str(backing));
        f.backing_name = tarn_span_str(backing);
        f.backing_format = tarn_span_str(format_name(image_probe(there)));
        free(there);
    }
    must(tarn_blk_qcow2_create(&file->blk, &loop.pump.waiter, TARN_BYTES_ARRAY(buffer), &f),
         file->path, "making it");
}

static void make_vhd(struct file *file, uint64_t bytes, bool dynamic) {
    struct tarn_blk_vhd_format f = {.bytes = bytes, .dynamic = dynamic};
    uint64_t end;
    if (getrandom(f.id, sizeof f.id, 0) != sizeof f.id)
        fail("no randomness");
    f.timestamp = (uint32_t)(time(NULL) - SECONDS_TO_2000);
    must(tarn_blk_vhd_create(&file->blk, &loop.pump.waiter, &f, &end), file->path, "making it");
}

void image_make(const char *path, enum format format, uint64_t bytes, const char *backing,
                uint32_t cluster_bits, uint32_t version) {
    struct file file;
    file_make(path, format == FORMAT_RAW ? bytes : 0);
    if (format == FORMAT_RAW)
        return;
    file_open(&file, path, FILE_IMAGE);
    if (format == FORMAT_QCOW2)
        make_qcow2(&file, bytes, backing, cluster_bits, version);
    else
        make_vhd(&file, bytes, format == FORMAT_VHD);
    file_close(&file);
}

void image_close(struct image *image) {
    enum tarn_err err = TARN_OK;
    if (image->worker)
        tarn_blk_pump_remove(&loop.pump, image->worker);
    if (image->qcow2)
        err = tarn_blk_qcow2_close(image->qcow2, &loop.pump.waiter);
    if (image->vhd)
        err = tarn_blk_vhd_close(image->vhd, &loop.pump.waiter);
    must(err, image->file.path, "closing it");
    if (image->backing)
        image_close(image->backing);
    file_close(&image->file);
    free(image->own_path);
    free(image);
}
