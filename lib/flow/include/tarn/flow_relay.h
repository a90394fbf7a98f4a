/* SPDX-License-Identifier: ISC */
/* tarn/flow_relay.h: what either of two flows says, the other one hears: what a proxy does.
 *
 * Bytes go over as they come and as the other side has room, so a slow reader slows its writer
 * down. The end of one side's bytes is the end of what the other hears (a half close passes), and
 * when both have ended, both are closed. A failure of either resets the other.
 *
 * Never allocates, blocks, or keeps a byte: what is not taken stays with who has it. The relay has
 * no timers: how long a peer may be silent is the flows' matter, and their owner's. One thread.
 */
#ifndef TARN_FLOW_RELAY_H
#define TARN_FLOW_RELAY_H

#include <tarn/flow.h>
#include <tarn/task.h>

struct tarn_flow_relay {
    /* Told once, from the loop, after both flows are gone: TARN_OK, or the failure of one of them
     * (TARN_PEER, TARN_IO). Set by the owner before start; the relay may be freed in there. */
    void (*done)(struct tarn_flow_relay *relay, enum tarn_err err);
    uint64_t bytes[2]; /* taken from each flow so far */

    /* The relay's own. */
    struct tarn_flow *flow[2];
    bool ended[2];
    struct tarn_task task;
};

/* Both flows are the relay's from now on; one may still be connecting. `tasks`: the loop's. */
void tarn_flow_relay_start(struct tarn_flow_relay *relay, struct tarn_tasks *tasks,
                           struct tarn_flow *a, struct tarn_flow *b);
/* Resets both; `done` is not told. The relay is the owner's again. */
void tarn_flow_relay_abort(struct tarn_flow_relay *relay);

#endif
