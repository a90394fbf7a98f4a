/* SPDX-License-Identifier: ISC */
/* The guest's memory is a mapping of this process's, whose pages have no more rights than the
 * image's segments: so the machine itself cannot write to code, whatever its page tables say. */
#include "hvt.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { PRESENT = 1, WRITABLE = 2, LARGE = 1 << 7 };

static void put(const struct hvt *h, uint64_t at, const void *what, size_t bytes) {
    memcpy(h->memory.ptr + at, what, bytes);
}

static void put_entry(const struct hvt *h, uint64_t table, uint64_t index, uint64_t entry) {
    put(h, table + 8 * index, &entry, sizeof entry);
}

static void write_page_tables(const struct hvt *h) {
    put_entry(h, HVT_PML4, 0, HVT_PDPT | PRESENT | WRITABLE);
    for (uint64_t i = 0; i < 4; i++)
        put_entry(h, HVT_PDPT, i, (HVT_PD + i * SOLO5_PAGE) | PRESENT | WRITABLE);
    put_entry(h, HVT_PD, 0, HVT_PT | PRESENT | WRITABLE);
    for (uint64_t at = HVT_LARGE_PAGE; at < h->memory.len; at += HVT_LARGE_PAGE)
        put_entry(h, HVT_PD, at / HVT_LARGE_PAGE, at | PRESENT | WRITABLE | LARGE);
    for (uint64_t at = HVT_BOOT; at < HVT_LARGE_PAGE; at += SOLO5_PAGE)
        put_entry(h, HVT_PT, at / SOLO5_PAGE,
                  at | PRESENT | (at >= SOLO5_IMAGE_BASE ? WRITABLE : 0));
}

static void write_segments(const struct hvt *h) {
    static const uint64_t gdt[] = {0, 0x00af99000000ffff, 0x00cf93000000ffff};
    put(h, HVT_GDT, gdt, sizeof gdt);
}

static void protect(const struct hvt *h, const struct image_segment *seg) {
    int rights = seg->readable || seg->executable ? PROT_READ : PROT_NONE;
    if (seg->writable)
        rights |= PROT_READ | PROT_WRITE;
    if (seg->executable && h->gdb) /* a debugger puts its breakpoints there */
        rights |= PROT_WRITE;
    if (mprotect(h->memory.ptr + seg->page_first, seg->page_end - seg->page_first, rights) != 0)
        die("cannot protect the guest's memory: %s", strerror(errno));
}

static bool may_move(const struct tender *t) {
    return (t->granted & HVT_FEATURE_MOVE) && !(t->granted & HVT_FEATURE_STAY);
}

void memory_map(struct hvt *h) {
    const struct image *image = &h->t.image;
    if (image->end > h->t.mem_size)
        die("%s needs %zu MB of memory: give it with --mem=MB", h->t.image_path,
            (size_t)((image->end + HVT_LARGE_PAGE - 1) / HVT_LARGE_PAGE * 2));
    if (may_move(&h->t))
        tender_move_image(&h->t);
    void *got = mmap(NULL, h->t.mem_size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED)
        die("cannot get %zu MB of memory: %s", (size_t)(h->t.mem_size >> 20), strerror(errno));
    h->memory = h->calls.memory = tarn_bytes_of(got, h->t.mem_size);
    const char *wrong = image_load(&h->t.file.source, image, h->memory, 0);
    if (wrong)
        die("%s: %s", h->t.image_path, wrong);
    write_segments(h);
    write_page_tables(h);
    for (uint32_t i = 0; i < image->segment_count; i++)
        protect(h, &image->segment[i]);
    struct kvm_userspace_memory_region region = {
        .memory_size = h->memory.len,
        .userspace_addr = (uintptr_t)h->memory.ptr,
    };
    if (ioctl(h->vmfd, KVM_SET_USER_MEMORY_REGION, &region) != 0)
        die("KVM does not take the guest's memory: %s", strerror(errno));
}

void memory_fill(struct hvt *h, char **args) {
    const struct solo5_manifest *m = &h->t.image.manifest;
    struct hvt_boot boot = {
        .mem_size = h->memory.len,
        .kernel_end = h->t.image.end,
        .tsc_hz = h->tsc_hz,
        .manifest = HVT_BOOT + sizeof boot,
        .cmdline = HVT_BOOT + sizeof boot + SOLO5_MANIFEST_BYTES(m->entries),
    };
    put(h, HVT_BOOT, &boot, sizeof boot);
    put(h, boot.manifest, m, SOLO5_MANIFEST_BYTES(m->entries));
    tender_write_words(&h->t, tarn_bytes_of(h->memory.ptr + boot.cmdline, SOLO5_CMDLINE_BYTES_MAX),
                       args);
    if (!h->t.image.asks)
        return;
    struct hvt_grant grant = {.magic = HVT_GRANT_MAGIC, .version = 1, .features = h->t.granted};
    tender_random(TARN_BYTES_ARRAY(grant.seed));
    put(h, HVT_GRANT, &grant, sizeof grant);
    explicit_bzero(&grant, sizeof grant);
}
