/* SPDX-License-Identifier: ISC */
/* The command line, which both tenders read alike, and the image's file. */
#include "tender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <tarn/writer.h>
#include <unistd.h>

#define MEM_MB_DEFAULT 512u
#define MEM_MB_MAX (1u << 20)
#define MOVED_MEM_MIN ((uint64_t)4 << 20)

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", tender_name);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    exit(1);
}

/* -- the image's file
 * ------------------------------------------------------------------------------ */

static bool file_read(struct image_source *source, uint64_t offset, struct tarn_bytes out) {
    const struct file_source *file = TARN_CONTAINER_OF(source, struct file_source, source);
    while (out.len > 0) {
        ssize_t n = pread(file->fd, out.ptr, out.len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        out = tarn_bytes_after(out, (size_t)n);
        offset += (size_t)n;
    }
    return true;
}

static struct file_source file_open(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        die("%s is not a file", path);
    return (struct file_source){.source = {file_read}, .fd = fd};
}

/* -- options
 * ----------------------------------------------------------------------------------------- */

const char *tender_behind(const char *text, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* Options end at "--" or at the first word that does not begin with '-': the image. */
static char **find_image(const struct tender_kind *kind, char **argv) {
    for (; *argv && (*argv)[0] == '-'; argv++) {
        if (strcmp(*argv, "--") == 0)
            return argv + 1;
        if (strcmp(*argv, "--help") == 0) {
            fputs(kind->usage, stdout);
            exit(0);
        }
        if (strcmp(*argv, "--version") == 0) {
            printf("%s %s (%s %u)\n", tender_name, TARN_VERSION, kind->version, SOLO5_ABI_VERSION);
            exit(0);
        }
    }
    return argv;
}

static void take_mem(struct tender *t, const char *text) {
    char *end;
    errno = 0;
    unsigned long mb = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || mb < 1 || mb > MEM_MB_MAX || errno)
        die("--mem=%s: a number of megabytes is wanted, 1 to %u", text, MEM_MB_MAX);
    t->mem_size = (uint64_t)mb << 20;
}

static void take_device(struct tender *t, const char *option) {
    static const struct {
        const char *prefix;
        void (*attach)(struct tender *t, const char *name, const char *value);
    } kinds[] = {
        {"--net:", attach_net},
        {"--net-mac:", attach_net_mac},
        {"--block:", attach_blk},
        {"--block-sector-size:", attach_blk_sector},
    };
    for (size_t i = 0; i < TARN_COUNT_OF(kinds); i++) {
        char name[SOLO5_NAME_BYTES];
        const char *rest = tender_behind(option, kinds[i].prefix);
        const char *equals = rest ? strchr(rest, '=') : NULL;
        if (!equals || (size_t)(equals - rest) >= sizeof name)
            continue;
        memcpy(name, rest, (size_t)(equals - rest));
        name[equals - rest] = 0;
        kinds[i].attach(t, name, equals + 1);
        return;
    }
    die("unknown option %s (--help lists them)", option);
}

/* Whether the word is about the tender itself, which the devices depend on and so comes first. */
static bool take_general(struct tender *t, const char *option) {
    const char *mb = tender_behind(option, "--mem="), *pcap = tender_behind(option, "--pcap=");
    if (mb)
        take_mem(t, mb);
    if (pcap)
        t->pcap_path = pcap;
    return mb || pcap || (t->kind->option && t->kind->option(t, option));
}

static void take_options(struct tender *t, char **argv, char **image) {
    char **end = argv;
    while (end < image && strcmp(*end, "--") != 0)
        take_general(t, *end++);
    t->kind->grant(t);
    for (; argv < end; argv++)
        if (!take_general(t, *argv))
            take_device(t, *argv);
}

char **tender_begin(struct tender *t, const struct tender_kind *kind, char **argv) {
    char **options = argv + 1;
    char **image = find_image(kind, options);
    if (!*image)
        die("which image? (--help says how)");
    t->kind = kind;
    t->mem_size = (uint64_t)MEM_MB_DEFAULT << 20;
    t->image_path = *image;
    /* Where this is set, every readable page would be executable. */
    int persona = personality(0xffffffff);
    if (persona < 0 || (persona & READ_IMPLIES_EXEC))
        die("this process's personality makes data executable: not run");
    t->file = file_open(t->image_path);
    const char *wrong = image_read(&t->file.source, &kind->target, &t->image);
    if (wrong)
        die("%s: %s", t->image_path, wrong);
    take_options(t, options, image);
    t->helping = t->image.asks && image[1] && strcmp(image[1], "--help") == 0 && !image[2];
    attach_finish(t);
    capture_start(t);
    return image + 1;
}

/* -- what the program is told ---------------------------------------------------------------------
 */

/* What a shell split into words: quoted for Tarn's reader, which takes the quotes off again, so
 * that a word may hold anything. */
static void write_quoted(struct tarn_writer *w, const char *word) {
    tarn_writer_u8(w, '"');
    for (; *word; word++) {
        if (*word == '"' || *word == '\\')
            tarn_writer_u8(w, '\\');
        tarn_writer_u8(w, (uint8_t)*word);
    }
    tarn_writer_u8(w, '"');
}

/* The plain ABI has spaces between the words and nothing more. */
void tender_write_words(const struct tender *t, struct tarn_bytes out, char **args) {
    struct tarn_writer w = tarn_writer_over(out);
    for (char **arg = args; *arg; arg++) {
        if (arg != args)
            tarn_writer_u8(&w, ' ');
        if (t->image.asks && (**arg == 0 || strpbrk(*arg, " \t\r\n\"\\'")))
            write_quoted(&w, *arg);
        else
            tarn_writer_str(&w, *arg);
    }
    tarn_writer_u8(&w, 0);
    if (!tarn_writer_ok(&w))
        die("the guest's command line is longer than %u bytes", SOLO5_CMDLINE_BYTES_MAX - 1);
}

void tender_forget_environment(void) {
    for (char **var = environ; *var; var++)
        explicit_bzero(*var, strlen(*var));
}

void tender_random(struct tarn_bytes out) {
    if (getrandom(out.ptr, out.len, 0) != (ssize_t)out.len)
        die("the host gives no random bytes: %s", strerror(errno));
}

void tender_move_image(struct tender *t) {
    uint64_t pages = (t->mem_size - t->image.end) / 8 / SOLO5_PAGE, word;
    if (t->mem_size < MOVED_MEM_MIN || pages == 0)
        return;
    tender_random(tarn_bytes_of(&word, sizeof word));
    image_move(&t->image, word % pages * SOLO5_PAGE);
}
