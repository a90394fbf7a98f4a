/* SPDX-License-Identifier: ISC */
/* platform.h: all that a target must provide, and all that the runtime asks of it.
 *
 * A target is one folder that implements these calls, hands out drivers behind the library's own
 * interfaces (netif, blk), and in its entry point calls tarn_runtime_run. Nothing above the runtime
 * includes this header. One thread.
 */
#ifndef TARN_PLATFORM_H
#define TARN_PLATFORM_H

#include <tarn/blk.h>
#include <tarn/netif.h>
#include <tarn/time.h>

/* Which devices may have something: bit i is the device whose netif or blk said `device` i. Bit 63
 * is the platform's own wake-up: drivers that are no device (the host's sockets) use it. */
struct tarn_ready {
    uint64_t devices;
};

/* The device of that name in the program's manifest. TARN_NOT_FOUND: the operator attached none
 * (the platform has said so on the console); TARN_IO: it could not be opened. The same name again
 * answers with the same device. `pkts` is where the driver takes packets for what it receives. */
enum tarn_err tarn_platform_netif(const char *name, struct tarn_pkt_pool *pkts,
                                  struct tarn_netif **out);
enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out);

tarn_time tarn_platform_now(void);    /* monotonic, ns */
uint64_t tarn_platform_wall_ns(void); /* since 1970-01-01 00:00 UTC */
/* Real entropy. TARN_UNSUPPORTED: this target has none, and nothing may be keyed from what it
 * leaves in `out`. */
enum tarn_err tarn_platform_entropy(struct tarn_bytes out);

/* Waits until a device is ready or `deadline` has come; at once where it has passed. Requests to
 * block devices are completed in here, and then it returns at once. */
void tarn_platform_yield(tarn_time deadline, struct tarn_ready *out);

void tarn_platform_console(struct tarn_span text);
_Noreturn void tarn_platform_exit(int status);

/* The memory that the program may use, zeroed, asked for once: everything there is on a
 * freestanding target, a mapping of `bytes_wanted` elsewhere. */
struct tarn_bytes tarn_platform_heap(size_t bytes_wanted);
/* From now on nothing may touch this page of the heap, whose address it is. False: the platform
 * cannot. */
bool tarn_platform_guard(uint8_t *page);
/* A fiber's stack with an unmapped page below it, where the target can; ptr is its lowest byte.
 * len 0: none to give; then the runtime takes it from the heap. */
struct tarn_bytes tarn_platform_stack(size_t bytes);

#endif
