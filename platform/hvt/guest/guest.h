/* SPDX-License-Identifier: ISC */
/* guest.h: what the files of the hvt guest know of each other. */
#ifndef TARN_HVT_GUEST_H
#define TARN_HVT_GUEST_H

#include "../abi.h"
#include <cpu.h>
#include <machine.h>
#include <solo5_guest.h>

/* What the tender said, checked: the addresses below point where they should. */
struct guest {
    const struct hvt_boot *boot;
    struct tarn_span cmdline;
    const struct hvt_grant *grant; /* NULL: a tender that offers no more than the plain ABI */
};
extern struct guest guest;

static inline bool guest_has(enum hvt_feature feature) {
    return guest.grant && (guest.grant->features & feature);
}

/* Every address of the image and of the heap is its own physical address, and memory ends below
 * 4 GB, so a pointer is what the port wants. */
static inline void guest_call(enum hvt_call nr, void *arguments) {
    __asm__ volatile("outl %0, %1"
                     :
                     : "a"((uint32_t)(uintptr_t)arguments), "d"((uint16_t)(HVT_PORT + (unsigned)nr))
                     : "memory");
}

/* The grant lies where an upstream tender leaves zeros. */
static inline const struct hvt_grant *guest_find_grant(void) {
    const struct hvt_grant *grant = (const struct hvt_grant *)(uintptr_t)HVT_GRANT;
    __asm__("" : "+r"(grant)); /* an address that no object of ours has */
    return grant->magic == HVT_GRANT_MAGIC && grant->version == 1 ? grant : NULL;
}

void guest_clock_init(void);

/* The network devices that have more than was taken, or could not send, go into `ready`; whether
 * there was any of the former. *retry: when to come back for the latter. */
bool guest_nic_poll(uint64_t *ready, tarn_time *retry);

#endif
