/* SPDX-License-Identifier: ISC */
/* tarn-blk: makes, converts and checks disk images, shows and makes partitions, and serves them to
 * others. */
#include "tool.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/blk_copy.h>
#include <time.h>

static const char usage[] =
    "usage: tarn-blk COMMAND\n"
    "  info IMAGE\n"
    "  create FORMAT IMAGE BYTES [cluster_bits=N] [version=2] [backing=IMAGE]\n"
    "  convert FROM FORMAT TO     what is zero takes no room\n"
    "  compare A B                status 1 where they differ\n"
    "  check IMAGE [repair]       status 2: damaged, 3: clusters lost\n"
    "  compact IMAGE              moves clusters into holes and cuts the file\n"
    "  grow IMAGE BYTES\n"
    "  parts IMAGE                the partition table inside\n"
    "  mkparts IMAGE gpt|mbr NUMBER:FIRST+BLOCKS...    a new one\n"
    "  bench IMAGE read|write BYTES COUNT STEP    seconds for so many requests, one at a time\n"
    "  serve IMAGE SOCKET         NBD, one client at a time, until SIGTERM\n"
    "FORMAT is raw, qcow2, vhd or vhd-fixed; which one an existing image has is found by looking.\n";

struct loop loop;
static uint8_t buffer[8 << 20];

/* -- the loop -------------------------------------------------------------------------------------
 */

static void *heap_get(struct tarn_alloc *a, size_t bytes, size_t align) {
    void *p;
    (void)a;
    if (posix_memalign(&p, TARN_MAX(align, sizeof(void *)), bytes ? bytes : 1) != 0)
        return NULL;
    return memset(p, 0, bytes);
}

static void heap_put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a, (void)bytes;
    free(ptr);
}

static bool idle(struct tarn_blk_pump *pump, tarn_time deadline) {
    (void)pump, (void)deadline;
    return false;
}

void loop_init(void) {
    static const struct tarn_alloc_ops ops = {heap_get, heap_put};
    loop.heap.ops = &ops;
    tarn_tasks_init(&loop.tasks);
    tarn_blk_pump_init(&loop.pump, &loop.tasks, idle);
}

void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("tarn-blk: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(1);
}

void must(enum tarn_err err, const char *path, const char *what) {
    if (err)
        fail("%s: %s: %s", path, what, tarn_err_name(err));
}

static uint64_t number(const char *text) {
    uint64_t n;
    if (!tarn_span_parse_dec(tarn_span_str(text), UINT64_MAX, &n))
        fail("%s: not a number", text);
    return n;
}

/* -- commands -------------------------------------------------------------------------------------
 */

static int info(const char *path) {
    struct tarn_blk_qcow2_info i;
    struct image *image = image_open(path, false, 0);
    printf("format: %s\nbytes: %llu\nfile bytes: %llu\n", format_name(image->format),
           (unsigned long long)(image->blk->blocks * SECTOR_BYTES),
           (unsigned long long)file_bytes(&image->file));
    if (image->format == FORMAT_QCOW2) {
        must(tarn_blk_qcow2_info(&image->file.blk, &loop.pump.waiter, tarn_bytes_of(buffer, 65536),
                                 &i),
             path, "its header");
        printf("version: %u\ncluster bytes: %u\nrefcount bits: %u\nsnapshots: %u\n",
               i.format.version, 1u << i.format.cluster_bits, i.refcount_bits, i.snapshots);
        if (i.format.backing_name.len)
            printf("backing: %.*s (%.*s)\n", (int)i.format.backing_name.len,
                   (const char *)i.format.backing_name.ptr, (int)i.format.backing_format.len,
                   (const char *)i.format.backing_format.ptr);
    }
    image_close(image);
    return 0;
}

static int create(char **args, int n) {
    uint64_t cluster_bits = 0, version = 0;
    const char *backing = NULL;
    for (int i = 3; i < n; i++) {
        if (strncmp(args[i], "cluster_bits=", 13) == 0)
            cluster_bits = number(args[i] + 13);
        else if (strncmp(args[i], "version=", 8) == 0)
            version = number(args[i] + 8);
        else if (strncmp(args[i], "backing=", 8) == 0)
            backing = args[i] + 8;
        else
            fail("%s: no such option", args[i]);
    }
    image_make(args[1], format_by_name(args[0]), number(args[2]), backing, (uint32_t)cluster_bits,
               (uint32_t)version);
    return 0;
}

static int convert(char **args) {
    struct image *from = image_open(args[0], false, 0);
    image_make(args[2], format_by_name(args[1]), from->blk->blocks * SECTOR_BYTES, NULL, 0, 0);
    struct image *to = image_open(args[2], true, 0);
    /* Looks for zeroes by the cluster. */
    must(tarn_blk_copy_sparse(from->blk, to->blk, &loop.pump.waiter, tarn_bytes_of(buffer, 2 << 20),
                              true, NULL),
         args[2], "copying");
    image_close(to);
    image_close(from);
    return 0;
}

static int compare(char **args) {
    struct image *a = image_open(args[0], false, 0), *b = image_open(args[1], false, 0);
    uint64_t at;
    enum tarn_err err =
        tarn_blk_compare(a->blk, b->blk, &loop.pump.waiter, TARN_BYTES_ARRAY(buffer), &at);
    if (err != TARN_NOT_FOUND)
        must(err, args[0], "comparing");
    if (err == TARN_OK)
        printf("they differ at byte %llu\n", (unsigned long long)at);
    image_close(a);
    image_close(b);
    return err == TARN_OK;
}

static struct image *open_qcow2(const char *path, bool writable, uint64_t grows_to) {
    struct image *image = image_open(path, writable, grows_to);
    if (image->format != FORMAT_QCOW2)
        fail("%s: not a qcow2 image", path);
    return image;
}

static int check(char **args, bool repair) {
    struct tarn_blk_qcow2_report report;
    struct image *image = open_qcow2(args[0], repair, 0);
    must(tarn_blk_qcow2_check(image->qcow2, &loop.pump.waiter, TARN_BYTES_ARRAY(buffer), repair,
                              &report),
         args[0], "checking");
    printf("corruptions: %llu\nleaks: %llu\nrepaired: %llu\ndata clusters: %llu\nend: %llu\n",
           (unsigned long long)report.corruptions, (unsigned long long)report.leaks,
           (unsigned long long)report.repaired, (unsigned long long)report.data_clusters,
           (unsigned long long)report.end);
    image_close(image);
    return report.corruptions ? 2 : report.leaks && !repair ? 3 : 0;
}

static int compact(const char *path) {
    struct image *image = open_qcow2(path, true, 0);
    uint64_t end;
    must(tarn_blk_qcow2_compact(image->qcow2, &loop.pump.waiter, &end), path, "compacting");
    file_cut(&image->file, end);
    image_close(image);
    return 0;
}

static int grow(char **args) {
    struct image *image = open_qcow2(args[0], true, number(args[1]));
    must(tarn_blk_qcow2_grow(image->qcow2, &loop.pump.waiter, number(args[1])), args[0], "growing");
    image_close(image);
    return 0;
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* As `qemu-img bench`: each request begins STEP bytes behind the last, and the end is followed by
 * the beginning. A flush at the end counts. */
static int bench(char **args) {
    bool writes = strcmp(args[1], "write") == 0;
    uint64_t bytes = number(args[2]), count = number(args[3]), step = number(args[4]), at = 0;
    struct image *image = image_open(args[0], writes, 0);
    uint64_t end = image->blk->blocks * SECTOR_BYTES;
    struct tarn_waiter *waiter = &loop.pump.waiter;
    if (bytes > sizeof buffer || bytes > end || bytes % SECTOR_BYTES || step % SECTOR_BYTES)
        fail("%s: no such request", args[2]);
    double begun = seconds();
    for (uint64_t i = 0; i < count; i++) {
        at = at + bytes > end ? 0 : at;
        enum tarn_err err = writes ? tarn_blk_write(image->blk, waiter, at / SECTOR_BYTES,
                                                    tarn_span_of(buffer, bytes))
                                   : tarn_blk_read(image->blk, waiter, at / SECTOR_BYTES,
                                                   tarn_bytes_of(buffer, bytes));
        must(err, args[0], args[1]);
        at = (at + step) % end;
    }
    if (writes)
        must(tarn_blk_flush(image->blk, waiter), args[0], "flush");
    printf("%.6f\n", seconds() - begun);
    image_close(image);
    return 0;
}

static int parts(char **args, int n) {
    struct image *image = image_open(args[0], n > 1, 0);
    if (n > 1)
        parts_make(image->blk, args[0], args[1], args + 2, (uint32_t)n - 2);
    else
        parts_show(image->blk, args[0]);
    image_close(image);
    return 0;
}

static int serve(char **args) {
    struct image *image = image_open(args[0], true, 0);
    nbd_serve(args[1], image->blk);
    image_close(image);
    return 0;
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    char **args = argv + 2;
    int n = argc - 2;
    loop_init();
    if (strcmp(command, "info") == 0 && n == 1)
        return info(args[0]);
    if (strcmp(command, "create") == 0 && n >= 3)
        return create(args, n);
    if (strcmp(command, "convert") == 0 && n == 3)
        return convert(args);
    if (strcmp(command, "compare") == 0 && n == 2)
        return compare(args);
    if (strcmp(command, "check") == 0 && (n == 1 || (n == 2 && strcmp(args[1], "repair") == 0)))
        return check(args, n == 2);
    if (strcmp(command, "compact") == 0 && n == 1)
        return compact(args[0]);
    if (strcmp(command, "grow") == 0 && n == 2)
        return grow(args);
    if ((strcmp(command, "parts") == 0 && n == 1) || (strcmp(command, "mkparts") == 0 && n >= 2))
        return parts(args, n);
    if (strcmp(command, "bench") == 0 && n == 5)
        return bench(args);
    if (strcmp(command, "serve") == 0 && n == 2)
        return serve(args);
    fputs(usage, stderr);
    return 64;
}
