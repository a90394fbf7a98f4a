/* SPDX-License-Identifier: ISC */
/* Entropy: the processor's generator and the host's, both where there are both; where there is
 * neither, how long the machine takes for what it does. */
#include "../core/rng.h"
#include "guest.h"
#include <cpu.h>
#include <entropy.h>

#define CPU_WORDS 16u
#define JITTER_ROUNDS 32u
#define RNG_WAIT TARN_SEC(1)

static void add_cpu(struct entropy *e) {
    static struct entropy_source source = {.kind = ENTROPY_FULL};
    uint64_t words[CPU_WORDS];
    size_t n = 0;
    while (n < CPU_WORDS && bare_cpu_random(&words[n]))
        n++;
    entropy_add(e, &source, tarn_span_of(words, n * sizeof words[0]));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(words));
}

/* The host's, opened when it is asked for first; NULL: none. */
static struct virtio_rng *host_rng(void) {
    static struct virtio_rng rng;
    static bool tried, opened;
    struct virtio_dev *dev = tried ? NULL : guest_device_any(VIRTIO_RNG);
    tried = true;
    if (dev)
        opened = virtio_rng_open(&rng, dev, guest_ring_memory()) == TARN_OK;
    return opened ? &rng : NULL;
}

static void add_host(struct entropy *e) {
    static struct entropy_source source = {.kind = ENTROPY_FULL};
    struct virtio_rng *rng = host_rng();
    uint8_t bytes[64];
    size_t n = 0;
    tarn_time end = tarn_time_after(tarn_platform_now(), RNG_WAIT);
    while (rng && tarn_platform_now() < end) {
        enum tarn_err err = virtio_rng_read(rng, TARN_BYTES_ARRAY(bytes), &n);
        if (err == TARN_AGAIN)
            continue;
        if (!err)
            entropy_add(e, &source, tarn_span_of(bytes, n));
        break;
    }
    tarn_bytes_wipe(TARN_BYTES_ARRAY(bytes));
}

/* A serializing instruction is what a hypervisor steps in for, and a shared machine is never as
 * long about it twice. */
static void add_jitter(struct entropy *e) {
    static struct entropy_source source = {.kind = ENTROPY_JITTER};
    uint8_t samples[256];
    uint64_t before = cpu_tsc();
    for (unsigned round = 0; round < JITTER_ROUNDS; round++) {
        for (size_t i = 0; i < TARN_COUNT_OF(samples); i++) {
            (void)cpuid(0, 0);
            uint64_t now = cpu_tsc();
            samples[i] = (uint8_t)(now - before);
            before = now;
        }
        entropy_add(e, &source, TARN_SPAN_ARRAY(samples));
    }
}

enum tarn_err tarn_platform_entropy(struct tarn_bytes out) {
    static struct entropy pool;
    add_cpu(&pool);
    add_host(&pool);
    if (!entropy_is_ready(&pool))
        add_jitter(&pool);
    if (!entropy_is_ready(&pool))
        return TARN_UNSUPPORTED;
    entropy_draw(&pool, out);
    return TARN_OK;
}
