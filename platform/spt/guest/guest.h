/* SPDX-License-Identifier: ISC */
/* guest.h: what the files of the spt guest know of each other. */
#ifndef TARN_SPT_GUEST_H
#define TARN_SPT_GUEST_H

#include "../abi.h"
#include <platform.h>
#include <solo5_guest.h>

/* What the tender said, checked: the addresses below point where they should. */
struct guest {
    const struct spt_boot *boot;
    struct tarn_span cmdline;
    const struct spt_grant *grant; /* NULL: a tender that offers no more than the plain ABI */
};
extern struct guest tarn_spt_guest;

static inline bool guest_has(enum spt_feature feature) {
    return tarn_spt_guest.grant && (tarn_spt_guest.grant->features & feature);
}

/* Ends writing to what is SEALED. */
void guest_seal(void);

/* The network devices that could not send go into `ready`; when to come back for them. */
tarn_time guest_nic_retry(uint64_t *ready);

#endif
