/* SPDX-License-Identifier: ISC */
/* tarn-spt: runs an spt image in this process, with nothing but the system calls of its ABI. */
#include "tender.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEM_MB_DEFAULT 512u
#define MEM_MB_MAX (1u << 20)
#define VNET_MEM_MIN ((uint64_t)8 << 20)
#define GRANTS                                                                                     \
    (SPT_FEATURE_ENTROPY | SPT_FEATURE_VNET | SPT_FEATURE_SCATTER | SPT_FEATURE_RANGES             \
     | SPT_FEATURE_FLUSH)

static const char usage[] =
    "usage: tarn-spt [OPTIONS] [--] IMAGE [ARGUMENTS]\n"
    "Runs IMAGE, an executable for the Solo5 spt ABI, in a process that can do nothing else.\n"
    "\n"
    "  --mem=MB                 memory for the program (512)\n"
    "  --net:NAME=TAP           attach the tap interface TAP, or the open file @FD, as network NAME\n"
    "  --net-mac:NAME=MAC       its address (random)\n"
    "  --block:NAME=FILE        attach a file or block device as disk NAME\n"
    "  --block-sector-size:NAME=BYTES  (512)\n"
    "  --pcap=FILE              capture every frame of every tap\n"
    "  --help, --version\n"
    "\n"
    "ARGUMENTS go to the program; IMAGE --help lists what it takes.\n";

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("tarn-spt: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    exit(1);
}

/* -- the image's file
 * ------------------------------------------------------------------------------ */

struct file_source {
    struct image_source source;
    int fd;
};

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

/* The text behind `prefix`, or NULL. */
static const char *behind(const char *text, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* Options end at "--" or at the first word that does not begin with '-': the image. */
static char **find_image(char **argv) {
    for (; *argv && (*argv)[0] == '-'; argv++) {
        if (strcmp(*argv, "--") == 0)
            return argv + 1;
        if (strcmp(*argv, "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        if (strcmp(*argv, "--version") == 0) {
            printf("tarn-spt %s (Solo5 spt ABI %u)\n", TARN_VERSION, SPT_ABI_VERSION);
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
        char name[SPT_NAME_BYTES];
        const char *rest = behind(option, kinds[i].prefix);
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
    const char *mb = behind(option, "--mem="), *pcap = behind(option, "--pcap=");
    if (mb)
        take_mem(t, mb);
    if (pcap)
        t->pcap_path = pcap;
    return mb || pcap;
}

static void take_options(struct tender *t, char **argv, char **image) {
    char **end = argv;
    while (end < image && strcmp(*end, "--") != 0)
        take_general(t, *end++);
    t->granted = t->image.wishes & GRANTS;
    /* Super-segments need packets of 64 KB, of which a small guest has none. */
    if (t->mem_size < VNET_MEM_MIN || !(t->granted & SPT_FEATURE_SCATTER))
        t->granted &= ~(uint32_t)SPT_FEATURE_VNET;
    for (; argv < end; argv++)
        if (!take_general(t, *argv))
            take_device(t, *argv);
}

/* -- into the guest -------------------------------------------------------------------------------
 */

/* The guest shares this process's memory and can read all that is left in it: what the operator's
 * environment holds is none of its business. */
static void forget_environment(void) {
    for (char **var = environ; *var; var++)
        explicit_bzero(*var, strlen(*var));
}

/* From the filter on, nothing but this: no library call, no stack check. The thread area is taken
 * away with the rest of the registers. */
__attribute__((no_stack_protector)) _Noreturn static void enter(const struct tender *t) {
    filter_install(t);
    register uint64_t stack __asm__("rbx") = t->mem_size - 8;
    register uint64_t entry __asm__("r12") = t->image.entry;
    __asm__ volatile("mov $158, %%eax\n" /* arch_prctl(ARCH_SET_FS, 0) */
                     "mov $0x1002, %%edi\n"
                     "xor %%esi, %%esi\n"
                     "syscall\n"
                     "mov %%rbx, %%rsp\n"
                     "mov %%r12, %%r11\n"
                     "mov %2, %%edi\n"
                     "xor %%eax, %%eax\n"
                     "xor %%ebx, %%ebx\n"
                     "xor %%ecx, %%ecx\n"
                     "xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n"
                     "xor %%ebp, %%ebp\n"
                     "xor %%r8d, %%r8d\n"
                     "xor %%r9d, %%r9d\n"
                     "xor %%r10d, %%r10d\n"
                     "xor %%r12d, %%r12d\n"
                     "xor %%r13d, %%r13d\n"
                     "xor %%r14d, %%r14d\n"
                     "xor %%r15d, %%r15d\n"
                     "jmp *%%r11\n"
                     :
                     : "r"(stack), "r"(entry), "i"(SPT_BOOT_BASE)
                     : "memory");
    __builtin_unreachable();
}

int main(int argc, char **argv) {
    static struct tender t = {.mem_size = (uint64_t)MEM_MB_DEFAULT << 20};
    if (argc < 1)
        return 1;
    char **options = argv + 1;
    char **image = find_image(options);
    if (!*image)
        die("which image? (--help says how)");
    t.image_path = *image;
    /* Where this is set, every readable page would be executable. */
    int persona = personality(0xffffffff);
    if (persona < 0 || (persona & READ_IMPLIES_EXEC))
        die("this process's personality makes data executable: not run");
    struct file_source file = file_open(t.image_path);
    const char *wrong = image_read(&file.source, &t.image);
    if (wrong)
        die("%s: %s", t.image_path, wrong);
    take_options(&t, options, image);
    t.helping = t.image.asks && image[1] && strcmp(image[1], "--help") == 0 && !image[2];
    attach_finish(&t);
    capture_start(&t);
    memory_map(&t, &file.source);
    memory_fill(&t, image + 1);
    forget_environment();
    crash_prepare(&t);
    privileges_drop(&t);
    enter(&t);
}
