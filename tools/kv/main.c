/* SPDX-License-Identifier: ISC */
/* tarn-kv: a store on a device, from the host's command line. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tar.h"

#include <tarn/kv_fat.h>

#define PIECE (64u << 10)  /* a value is moved in such pieces */
#define TABLE (8u << 20)   /* memory for what is not merged yet */
#define BATCH (128u << 10) /* what a store takes at once: an eighth of the library's own table */

static const char help[] =
    "usage: tarn-kv COMMAND IMAGE [ARGUMENT...]\n"
    "\n"
    "A key-value store in an image file or on a disk (docs/kv-format.md), or a FAT volume as one.\n"
    "KEY is a path: a/b/c.\n"
    "\n"
    "  mkfs IMAGE [--size=64M] [--log=BYTES] [--force]\n"
    "                              make an empty store; a file is made as large as --size\n"
    "  mkfs IMAGE --fat[=12|16|32] [--size=64M] [--force]\n"
    "                              make an empty FAT volume\n"
    "  get IMAGE KEY               write the value to standard output\n"
    "  set IMAGE KEY [VALUE]       set it; without VALUE, to what comes from standard input\n"
    "  rm IMAGE KEY                remove it, and all below it\n"
    "  mv IMAGE KEY KEY            rename it\n"
    "  ls IMAGE [KEY]              list a dictionary; dictionaries end with /\n"
    "  check IMAGE                 read and check everything\n"
    "  stat IMAGE                  say how large and how full it is\n"
    "  dump IMAGE                  write all values to standard output, as a tar archive\n"
    "  load IMAGE ARCHIVE          set all values of a tar archive\n"
    "  settle IMAGE                merge the log into the tree and remove waste\n"
    "  shrink IMAGE BYTES          move everything to the front, and cut a file off behind it\n"
    "\n"
    "Status: 0 done; 1 failed, and standard error says why; 64 not understood.\n";

static struct file file;
static struct tarn_kv_tree *tree; /* one of the two */
static struct tarn_kv_fat *fat;
static struct tarn_kv *kv;

static _Noreturn __attribute__((format(printf, 2, 3))) void quit(int status, const char *format,
                                                                 ...) {
    va_list args;
    va_start(args, format);
    fputs("tarn-kv: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(status);
}

static const char *reason(enum tarn_err err) {
    switch (err) {
    case TARN_NOT_FOUND: return "there is no such key";
    case TARN_INVALID:
        return "not a key, or a dictionary where a value is meant (or a value on the way)";
    case TARN_LIMIT: return "no space, or the name is too long";
    case TARN_IO: return "the device failed or the store is damaged: tarn-kv check says more";
    default: return tarn_err_name(err);
    }
}
static void must(enum tarn_err err, const char *what) {
    if (err)
        quit(1, "%s: %s", what, reason(err));
}

/* A number of bytes: 100, 64K, 64M, 1G. */
static uint64_t bytes_of(const char *text) {
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno || end == text || end[shift != 0] || n > UINT64_MAX >> 30)
        quit(64, "%s is not a number of bytes (100, 64K, 64M, 1G)", text);
    return n << shift;
}

static struct tarn_kv_fat_config fat_config(const struct tarn_kv_tree_config *c) {
    return (struct tarn_kv_fat_config){.alloc = c->alloc,
                                       .blk = c->blk,
                                       .waiter = c->waiter,
                                       .user = c->user,
                                       .clock = c->clock,
                                       .sectors_cached = 4096};
}

static void image_open(const char *path, bool write) {
    /* Also reading may have to merge a long log first. */
    const char *why = file_open(&file, path, true, 0);
    if (why && !write)
        why = file_open(&file, path, false, 0);
    if (why)
        quit(1, "%s: %s", path, why);
    struct tarn_kv_tree_config config = file_config(&file);
    config.table_bytes = TABLE;
    config.cache_bytes = TABLE;
    enum tarn_err err = tarn_kv_tree_open(&config, &tree);
    if (err == TARN_NOT_FOUND) {
        struct tarn_kv_fat_config other = fat_config(&config);
        if (tarn_kv_fat_open(&other, &fat))
            quit(1, "%s: there is no store in it: make one with tarn-kv mkfs", path);
        kv = tarn_kv_fat_kv(fat);
        return;
    }
    if (err == TARN_INVALID)
        quit(1, "%s: smaller than the store in it, or made for a larger memory", path);
    must(err, path);
    kv = tarn_kv_tree_kv(tree);
}

/* For what only the store of docs/kv-format.md has. */
static void tree_open(const char *path, bool write) {
    image_open(path, write);
    if (!tree)
        quit(1, "%s: a FAT volume: it has no such thing", path);
}

/* -- commands -------------------------------------------------------------------------------------
 */

static int cmd_mkfs(int count, char **args) {
    struct tarn_kv_fat_format format = {0};
    uint64_t size = 0, log = 0;
    bool force = false, as_fat = false;
    struct stat st;
    for (int i = 1; i < count; i++) {
        if (!strncmp(args[i], "--size=", 7))
            size = bytes_of(args[i] + 7);
        else if (!strncmp(args[i], "--log=", 6))
            log = bytes_of(args[i] + 6);
        else if (!strcmp(args[i], "--force"))
            force = true;
        else if (!strncmp(args[i], "--fat", 5) && (!args[i][5] || args[i][5] == '=')) {
            as_fat = true;
            format.type = args[i][5] ? (uint32_t)bytes_of(args[i] + 6) : 0;
        } else
            quit(64, "mkfs does not know %s", args[i]);
    }
    bool there = stat(args[0], &st) == 0 && (st.st_size > 0 || S_ISBLK(st.st_mode));
    const char *why = file_open(&file, args[0], true, size ? size : there ? 1 : 64u << 20);
    if (why)
        quit(1, "%s: %s", args[0], why);
    struct tarn_kv_tree_config config = file_config(&file);
    config.batch_bytes_max = BATCH;
    config.table_bytes = TABLE;
    struct tarn_kv_fat_config other = fat_config(&config);
    if (there && !force
        && (tarn_kv_tree_open(&config, &tree) != TARN_NOT_FOUND
            || tarn_kv_fat_open(&other, &fat) != TARN_NOT_FOUND))
        quit(1, "%s: there is a store in it already: --force makes a new one", args[0]);
    if (as_fat) {
        format.serial = (uint32_t)time(NULL);
        if (tarn_kv_fat_format(&other, &format) == TARN_INVALID)
            quit(1, "%s: a FAT volume of that kind has another size", args[0]);
        return 0;
    }
    enum tarn_err err = tarn_kv_tree_format(&config, log);
    if (err == TARN_INVALID)
        quit(1, "%s: too small: a store takes 1 MiB, its log 64 KiB", args[0]);
    must(err, args[0]);
    return 0;
}

static int cmd_get(int count, char **args) {
    static uint8_t piece[PIECE];
    uint64_t offset = 0;
    size_t n;
    (void)count;
    image_open(args[0], false);
    do {
        must(kv->ops->get_partial(kv, tarn_span_str(args[1]), offset, TARN_BYTES_ARRAY(piece), &n),
             args[1]);
        offset += n;
        if (fwrite(piece, 1, n, stdout) != n)
            quit(1, "standard output: %s", strerror(errno));
    } while (n);
    return 0;
}

/* What a batch certainly takes. */
static size_t piece_bytes(void) {
    struct tarn_kv_tree_stat s;
    if (fat)
        return SIZE_MAX; /* a part of a value is written as all of it */
    tarn_kv_tree_stat(tree, &s);
    return s.batch_bytes_max / 2 < PIECE ? s.batch_bytes_max / 2 : PIECE;
}

static void set_whole(FILE *in, const char *name) {
    size_t len = 0, room = PIECE, n;
    uint8_t *all = malloc(room);
    while (all && (n = fread(all + len, 1, room - len, in)) > 0) {
        len += n;
        if (len == room)
            all = realloc(all, room *= 2);
    }
    if (!all || ferror(in))
        quit(1, "standard input: %s", strerror(errno));
    must(tarn_kv_set(kv, tarn_span_str(name), tarn_span_of(all, len)), name);
    free(all);
}

/* A value that comes in pieces is written beside, and has its name when it is whole. */
static void set_from(FILE *in, const char *name) {
    static uint8_t piece[PIECE];
    struct tarn_span part = TARN_SPAN_LIT(".tarn-kv-part"), key = tarn_span_str(name);
    size_t room = piece_bytes(), n = fread(piece, 1, room, in);
    uint64_t offset = 0;
    if (n < room && !ferror(in)) {
        must(tarn_kv_set(kv, key, tarn_span_of(piece, n)), name);
        return;
    }
    must(tarn_kv_set(kv, part, TARN_SPAN_EMPTY), name);
    for (; n; n = fread(piece, 1, room, in)) {
        must(tarn_kv_set_partial(kv, part, offset, tarn_span_of(piece, n)), name);
        offset += n;
    }
    if (ferror(in))
        quit(1, "standard input: %s", strerror(errno));
    must(tarn_kv_rename(kv, part, key), name);
}

static int cmd_set(int count, char **args) {
    image_open(args[0], true);
    if (count == 3)
        must(tarn_kv_set(kv, tarn_span_str(args[1]), tarn_span_str(args[2])), args[1]);
    else if (fat)
        set_whole(stdin, args[1]);
    else
        set_from(stdin, args[1]);
    return 0;
}

static int cmd_rm(int count, char **args) {
    (void)count;
    image_open(args[0], true);
    must(tarn_kv_remove(kv, tarn_span_str(args[1])), args[1]);
    return 0;
}

static int cmd_mv(int count, char **args) {
    (void)count;
    image_open(args[0], true);
    must(tarn_kv_rename(kv, tarn_span_str(args[1]), tarn_span_str(args[2])), args[1]);
    return 0;
}

static int cmd_ls(int count, char **args) {
    const char *name = count > 1 ? args[1] : "/";
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    enum tarn_err err;
    image_open(args[0], false);
    while ((err = kv->ops->list(kv, tarn_span_str(name), &cursor, &e)) == TARN_OK)
        printf("%.*s%s\n", (int)e.name.len, (const char *)e.name.ptr,
               e.kind == TARN_KV_DICTIONARY ? "/" : "");
    must(err == TARN_EOF ? TARN_OK : err, name);
    return 0;
}

static int cmd_check(int count, char **args) {
    struct tarn_kv_tree_report r;
    struct tarn_kv_tree_stat s;
    (void)count;
    tree_open(args[0], false);
    must(tarn_kv_tree_check(tree, &r), args[0]);
    tarn_kv_tree_stat(tree, &s);
    printf("%llu pages, %llu rows in the tree, %llu in the log: ", (unsigned long long)r.pages,
           (unsigned long long)r.rows, (unsigned long long)s.replayed);
    if (!r.damaged)
        return puts("good") < 0;
    printf("%llu pages are damaged, the first is %llu\n", (unsigned long long)r.damaged,
           (unsigned long long)r.first_damaged);
    return 1;
}

static int cmd_stat(int count, char **args) {
    struct tarn_kv_tree_stat s;
    (void)count;
    image_open(args[0], false);
    if (fat) {
        struct tarn_kv_fat_stat t;
        must(tarn_kv_fat_stat(fat, &t), args[0]);
        printf("FAT%u\nclusters    %u of %u bytes\nfree        %u\n", t.type, t.clusters,
               t.cluster_bytes, t.clusters_free);
        return 0;
    }
    tarn_kv_tree_stat(tree, &s);
    printf(
        "bytes       %llu\nlog         %llu\nused        %llu\nlevels      %u\ngeneration  %llu\n"
        "in the log  %llu rows\n",
        (unsigned long long)s.bytes, (unsigned long long)s.log_bytes,
        (unsigned long long)s.used_bytes, s.levels, (unsigned long long)s.generation,
        (unsigned long long)s.replayed);
    return 0;
}

static int cmd_dump(int count, char **args) {
    (void)count;
    image_open(args[0], false);
    if (isatty(STDOUT_FILENO))
        quit(64, "dump writes a tar archive: send it to a file, or to tar -t");
    must(tar_write(kv, stdout), "dump");
    return fflush(stdout) ? 1 : 0;
}

static int cmd_load(int count, char **args) {
    char why[200];
    (void)count;
    image_open(args[0], true);
    enum tarn_err err = tar_load(&file.alloc, kv, args[1], piece_bytes(), why, sizeof why);
    if (err == TARN_PEER)
        quit(1, "%s: %s", args[1], why);
    must(err, why);
    return 0;
}

static int cmd_settle(int count, char **args) {
    (void)count;
    tree_open(args[0], true);
    must(tarn_kv_tree_settle(tree), args[0]);
    return 0;
}

static int cmd_shrink(int count, char **args) {
    uint64_t bytes = bytes_of(args[1]);
    struct stat st;
    (void)count;
    tree_open(args[0], true);
    enum tarn_err err = tarn_kv_tree_shrink(tree, bytes);
    if (err == TARN_LIMIT)
        quit(1, "%s: what is in it does not fit into %s", args[0], args[1]);
    must(err, args[0]);
    if (fstat(file.fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > bytes
        && ftruncate(file.fd, (off_t)bytes) != 0)
        quit(1, "%s: %s", args[0], strerror(errno));
    return 0;
}

static const struct command {
    const char *name;
    int (*run)(int count, char **args);
    int least, most; /* arguments, the image's name included */
} commands[] = {
    {"mkfs", cmd_mkfs, 1, 4},   {"get", cmd_get, 2, 2},       {"set", cmd_set, 2, 3},
    {"rm", cmd_rm, 2, 2},       {"mv", cmd_mv, 3, 3},         {"ls", cmd_ls, 1, 2},
    {"check", cmd_check, 1, 1}, {"stat", cmd_stat, 1, 1},     {"dump", cmd_dump, 1, 1},
    {"load", cmd_load, 2, 2},   {"settle", cmd_settle, 1, 1}, {"shrink", cmd_shrink, 2, 2},
};

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return fputs(help, stdout) < 0;
    if (argc < 2)
        quit(64, "say what to do: tarn-kv --help");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];
        if (strcmp(c->name, argv[1]))
            continue;
        int count = argc - 2;
        if (count < c->least || count > c->most)
            quit(64, "%s takes other arguments: tarn-kv --help", c->name);
        int status = c->run(count, argv + 2);
        if (tree)
            tarn_kv_tree_close(tree);
        if (fat)
            tarn_kv_fat_close(fat);
        file_close(&file);
        return status;
    }
    quit(64, "there is no command %s: tarn-kv --help", argv[1]);
}
