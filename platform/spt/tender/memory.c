/* SPDX-License-Identifier: ISC */
/* The guest's memory is this process's own, at fixed addresses: [0x10000, mem_size). Below it
 * nothing is ever mapped, so a null pointer faults; the page above it is held by a mapping without
 * rights. */
#include "spt.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>

static uint8_t *at(uint64_t addr) {
    return (uint8_t *)(uintptr_t)addr;
}

static void protect(uint64_t from, uint64_t to, int rights) {
    if (to > from && mprotect(at(from), to - from, rights) != 0)
        die("cannot protect the guest's memory: %s", strerror(errno));
}

static void map_region(const struct tender *t) {
    size_t bytes = t->mem_size - SPT_MEM_BASE;
    void *got = mmap(at(SPT_MEM_BASE), bytes + SPT_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED && (errno == EPERM || errno == EACCES))
        die("cannot map memory at 0x10000: vm.mmap_min_addr must be 65536 or less");
    if (got == MAP_FAILED && errno == EEXIST)
        die("--mem is more than fits below the tender itself");
    if (got == MAP_FAILED)
        die("cannot get %zu MB of memory: %s", (size_t)(t->mem_size >> 20), strerror(errno));
    /* A kernel older than the flag takes the address as a hint. */
    if (got != at(SPT_MEM_BASE))
        die("cannot map memory at 0x10000: this needs Linux 4.17 or newer");
    protect(t->mem_size, t->mem_size + SPT_PAGE, PROT_NONE);
}

/* Not where somebody wants addresses as they are: a debugger, or setarch --addr-no-randomize. */
static bool may_move(const struct tender *t) {
    return (t->granted & SPT_FEATURE_MOVE) && !(personality(0xffffffff) & ADDR_NO_RANDOMIZE);
}

void memory_map(struct tender *t) {
    const struct image *image = &t->image;
    if (image->end > t->mem_size)
        die("%s needs %zu MB of memory: give it with --mem=MB", t->image_path,
            (size_t)((image->end + (1 << 20) - 1) >> 20));
    if (may_move(t))
        tender_move_image(t);
    map_region(t);
    const char *wrong =
        image_load(&t->file.source, image,
                   tarn_bytes_of(at(SPT_MEM_BASE), t->mem_size - SPT_MEM_BASE), SPT_MEM_BASE);
    if (wrong)
        die("%s: %s", t->image_path, wrong);
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *seg = &image->segment[i];
        protect(seg->page_first, seg->page_end,
                (seg->readable ? PROT_READ : 0) | (seg->writable ? PROT_WRITE : 0)
                    | (seg->executable ? PROT_EXEC : 0));
    }
}

static void write_grant(const struct tender *t) {
    struct spt_grant grant = {
        .magic = SPT_GRANT_MAGIC,
        .version = 1,
        .features = t->granted,
        .blk_bytes_max = t->granted & SPT_FEATURE_RANGES ? BLK_BYTES_MAX : 0,
    };
    tender_random(TARN_BYTES_ARRAY(grant.seed));
    memcpy(grant.device, t->device, sizeof grant.device);
    memcpy(at(SPT_MEM_BASE), &grant, sizeof grant);
    memset(&grant, 0, sizeof grant);
}

void memory_fill(struct tender *t, char **args) {
    const struct solo5_manifest *m = &t->image.manifest;
    struct spt_boot boot = {
        .mem_size = t->mem_size,
        .kernel_end = t->image.end,
        .manifest = SPT_BOOT_BASE + sizeof boot,
        .cmdline = SPT_BOOT_BASE + sizeof boot + SOLO5_MANIFEST_BYTES(m->entries),
        .epollfd = t->epollfd,
        .timerfd = t->timerfd,
    };
    memcpy(at(SPT_BOOT_BASE), &boot, sizeof boot);
    memcpy(at(boot.manifest), m, SOLO5_MANIFEST_BYTES(m->entries));
    tender_write_words(t, tarn_bytes_of(at(boot.cmdline), SPT_CMDLINE_BYTES_MAX), args);
    if (t->image.asks) {
        uint64_t low_end =
            (boot.cmdline + SPT_CMDLINE_BYTES_MAX + SPT_PAGE - 1) & ~(uint64_t)(SPT_PAGE - 1);
        write_grant(t);
        protect(SPT_MEM_BASE, low_end, PROT_READ);
        protect(low_end, SPT_IMAGE_BASE, PROT_NONE);
    }
}
