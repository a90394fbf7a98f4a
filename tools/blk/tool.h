/* SPDX-License-Identifier: ISC */
/* tool.h: what the files of tarn-blk share: an ordinary program, with lib/blk over its own file
 * device. Errors are said on standard error and end the process. */
#ifndef TARN_BLK_TOOL_H
#define TARN_BLK_TOOL_H

#include <tarn/blk_qcow2.h>
#include <tarn/blk_vhd.h>
#include <tarn/blk_worker.h>

#define SECTOR_BYTES 512u

/* One program's loop: files answer at once, so there is never anything to wait for. */
struct loop {
    struct tarn_tasks tasks;
    struct tarn_blk_pump pump;
    struct tarn_alloc heap;
};
extern struct loop loop;
void loop_init(void);

_Noreturn void fail(const char *format, ...) TARN_PRINTF(1, 2);
/* Ends the process where `err` is one. */
void must(enum tarn_err err, const char *path, const char *what);

/* file.c: a file as a device. */
struct file {
    struct tarn_blk blk;
    struct tarn_blk_finished finished;
    int fd;
    const char *path;
};
enum file_how {
    FILE_READ,     /* as long as it is, and zeroes to the next sector */
    FILE_WRITE,    /* the same, to be written */
    FILE_IMAGE,    /* grows when it is written behind its end, where it reads as zeroes */
    FILE_IMAGE_RO, /* the same, but it is not written */
};
void file_open(struct file *file, const char *path, enum file_how how);
/* Makes it if it is not there, and empties it. */
void file_make(const char *path, uint64_t bytes);
void file_cut(struct file *file, uint64_t bytes);
uint64_t file_bytes(const struct file *file);
void file_close(struct file *file);

/* image.c: a file in any format, as a device. */
enum format { FORMAT_RAW, FORMAT_QCOW2, FORMAT_VHD, FORMAT_VHD_FIXED };
enum format format_by_name(const char *name);
const char *format_name(enum format format);
struct image {
    enum format format;
    struct file file;
    struct tarn_blk_qcow2 *qcow2;
    struct tarn_blk_vhd *vhd;
    struct tarn_blk_worker *worker; /* of whichever there is */
    struct image *backing;
    char *own_path;       /* file.path, where nobody else keeps it; or NULL */
    struct tarn_blk *blk; /* what is inside */
};
enum format image_probe(const char *path);
/* With its backing images. `grows_to`: see tarn_blk_qcow2_config. */
struct image *image_open(const char *path, bool writable, uint64_t grows_to);
void image_make(const char *path, enum format format, uint64_t bytes, const char *backing,
                uint32_t cluster_bits, uint32_t version);
void image_close(struct image *image);

/* parts.c: a partition table on a device. */
void parts_show(struct tarn_blk *blk, const char *path);
void parts_make(struct tarn_blk *blk, const char *path, const char *scheme, char **list,
                uint32_t n);

/* nbd.c: serves clients, one after the other, on a Unix socket, until SIGTERM or SIGINT. */
void nbd_serve(const char *socket_path, struct tarn_blk *blk);

#endif
