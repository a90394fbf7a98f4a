/* SPDX-License-Identifier: ISC */
/* hypercall.h: what a guest asks of its tender, as a function over the guest's memory. Every
 * argument is hostile.
 *
 * Knows nothing of virtual machines or files: memory is bytes, devices are an interface, so a test
 * and a fuzzer drive it alone. Whatever a guest passes, no byte outside of its memory is touched,
 * no byte below the image or of a read-only segment is written, and no device is used beyond its
 * end.
 */
#ifndef TARN_HVT_HYPERCALL_H
#define TARN_HVT_HYPERCALL_H

#include "../abi.h"
#include <image.h>
#include <tarn/span.h>

/* What the calls are done with. A count, or -errno. */
struct hvt_host {
    const struct hvt_host_ops *ops;
};
struct hvt_host_ops {
    void (*console)(struct hvt_host *host, struct tarn_span text);
    uint64_t (*wall_ns)(struct hvt_host *host);
    /* Waits until a device is ready or the time is over; answers with how many are. */
    int (*poll)(struct hvt_host *host, uint64_t timeout_ns, uint64_t *ready);
    long (*read)(struct hvt_host *host, int fd, struct tarn_bytes out);
    long (*write)(struct hvt_host *host, int fd, struct tarn_span in);
    long (*pread)(struct hvt_host *host, int fd, struct tarn_bytes out, uint64_t offset);
    long (*pwrite)(struct hvt_host *host, int fd, struct tarn_span in, uint64_t offset);
    long (*sync)(struct hvt_host *host, int fd);
};

enum hvt_outcome {
    HVT_GOES_ON,
    HVT_HALTED, /* `status` and `trap` say how */
    HVT_WRONG,  /* `wrong` says why the guest cannot go on, `wrong_at` where */
};

struct hvt_calls {
    struct hvt_host *host;
    const struct image *image; /* its manifest, and which memory is read-only */
    struct tarn_bytes memory;  /* from address 0 on */
    uint32_t granted;          /* enum hvt_feature */
    uint64_t frames, calls;    /* counts: frames moved, hypercalls made */
    int status;
    bool has_trap;
    struct hvt_trap trap;
    const char *wrong;
    uint64_t wrong_at, wrong_len;
};

enum hvt_outcome hvt_hypercall(struct hvt_calls *c, uint16_t port, uint32_t arg);

/* [addr, addr + len) of the guest's memory, to be read, or to be written: false where it is not all
 * there, or not for that. */
bool hvt_readable(const struct hvt_calls *c, uint64_t addr, uint64_t len, struct tarn_span *out);
bool hvt_writable(const struct hvt_calls *c, uint64_t addr, uint64_t len, struct tarn_bytes *out);

#endif
