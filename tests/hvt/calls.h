/* SPDX-License-Identifier: ISC */
/* A machine without a machine: memory, an image of a text, a guard and a data segment, a network
 * device (entry 1) and a disk (entry 2), and a host that checks what it is asked for. */
#ifndef TESTS_HVT_CALLS_H
#define TESTS_HVT_CALLS_H

#include <errno.h>
#include <hypercall.h>
#include <stdlib.h>
#include <string.h>

enum { NET_FD = 11, BLK_FD = 12 };
#define MEMORY_BYTES ((size_t)2 << 20)
#define DISK_BYTES 8192u
#define TEXT 0x100000u
#define GUARD 0x104000u
#define DATA 0x105000u
#define FREE 0x110000u

struct machine {
    struct hvt_host host;
    struct hvt_calls calls;
    struct image image;
    uint8_t *memory;
    uint8_t disk[DISK_BYTES];
    unsigned frames_in;    /* that read() still has */
    size_t frames_out;     /* that write() took */
    struct tarn_span said; /* the last text */
    uint64_t timeout_ns;
};

static inline struct machine *of(struct hvt_host *host) {
    return TARN_CONTAINER_OF(host, struct machine, host);
}

/* Whether the host was handed the guest's memory and nothing else. */
static inline void check_memory(struct hvt_host *host, const uint8_t *ptr, size_t len, bool write) {
    const struct machine *m = of(host);
    size_t at = (size_t)(ptr - m->memory);
    TARN_ASSERT(ptr >= m->memory && at < MEMORY_BYTES && len < MEMORY_BYTES - at);
    TARN_ASSERT(len == 0 || at >= (write ? DATA : HVT_BOOT));
    TARN_ASSERT(len == 0 || at + len <= GUARD || at >= DATA);
}

static inline void host_console(struct hvt_host *host, struct tarn_span text) {
    check_memory(host, text.ptr, text.len, false);
    of(host)->said = text;
}
static inline uint64_t host_wall_ns(struct hvt_host *host) {
    (void)host;
    return 1234567890123456789u;
}
static inline int host_poll(struct hvt_host *host, uint64_t timeout_ns, uint64_t *ready) {
    of(host)->timeout_ns = timeout_ns;
    *ready = of(host)->frames_in ? 2 : 0;
    return of(host)->frames_in != 0;
}
static inline long host_read(struct hvt_host *host, int fd, struct tarn_bytes out) {
    TARN_ASSERT(fd == NET_FD);
    check_memory(host, out.ptr, out.len, true);
    if (!of(host)->frames_in)
        return -EAGAIN;
    of(host)->frames_in--;
    tarn_bytes_fill(tarn_bytes_first(out, 60), 0xee);
    return (long)TARN_MIN(out.len, (size_t)60);
}
static inline long host_write(struct hvt_host *host, int fd, struct tarn_span in) {
    TARN_ASSERT(fd == NET_FD);
    check_memory(host, in.ptr, in.len, false);
    if (in.len < 14)
        return -EINVAL;
    of(host)->frames_out++;
    return (long)in.len;
}
static inline long host_pread(struct hvt_host *host, int fd, struct tarn_bytes out,
                              uint64_t offset) {
    TARN_ASSERT(fd == BLK_FD && offset < DISK_BYTES && out.len <= DISK_BYTES - offset);
    check_memory(host, out.ptr, out.len, true);
    memcpy(out.ptr, of(host)->disk + offset, out.len);
    return (long)out.len;
}
static inline long host_pwrite(struct hvt_host *host, int fd, struct tarn_span in,
                               uint64_t offset) {
    TARN_ASSERT(fd == BLK_FD && offset < DISK_BYTES && in.len <= DISK_BYTES - offset);
    check_memory(host, in.ptr, in.len, false);
    memcpy(of(host)->disk + offset, in.ptr, in.len);
    return (long)in.len;
}
static inline long host_sync(struct hvt_host *host, int fd) {
    (void)host;
    TARN_ASSERT(fd == BLK_FD);
    return 0;
}

static inline struct image_segment segment_at(uint64_t from, uint64_t to, bool r, bool w, bool x) {
    return (struct image_segment){.addr = from,
                                  .mem_bytes = to - from,
                                  .page_first = from,
                                  .page_end = to,
                                  .readable = r,
                                  .writable = w,
                                  .executable = x};
}

/* `memory` is MEMORY_BYTES of the caller's. */
static inline void machine_init(struct machine *m, uint8_t *memory, uint32_t granted) {
    static const struct hvt_host_ops ops = {
        .console = host_console,
        .wall_ns = host_wall_ns,
        .poll = host_poll,
        .read = host_read,
        .write = host_write,
        .pread = host_pread,
        .pwrite = host_pwrite,
        .sync = host_sync,
    };
    memset(m, 0, sizeof *m);
    m->memory = memory;
    m->host.ops = &ops;
    m->image.segment[0] = segment_at(TEXT, GUARD, false, false, true);
    m->image.segment[1] = segment_at(GUARD, DATA, false, false, false);
    m->image.segment[2] = segment_at(DATA, DATA + 0x4000, true, true, false);
    m->image.segment_count = 3;
    m->image.manifest.version = 1;
    m->image.manifest.entries = 4;
    m->image.manifest.entry[0].type = SOLO5_ENTRY_FIRST;
    m->image.manifest.entry[1] = (struct solo5_entry){
        .name = "service", .type = SOLO5_ENTRY_NET, .host.fd = NET_FD, .attached = 1};
    m->image.manifest.entry[2] = (struct solo5_entry){.name = "storage",
                                                      .type = SOLO5_ENTRY_BLK,
                                                      .u.blk = {DISK_BYTES, 512},
                                                      .host.fd = BLK_FD,
                                                      .attached = 1};
    m->image.manifest.entry[3] = (struct solo5_entry){.name = "other", .type = SOLO5_ENTRY_NET};
    m->calls = (struct hvt_calls){.host = &m->host,
                                  .image = &m->image,
                                  .granted = granted,
                                  .memory = tarn_bytes_of(memory, MEMORY_BYTES)};
}

#endif
