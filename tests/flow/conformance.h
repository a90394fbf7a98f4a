/* SPDX-License-Identifier: ISC */
/* What tarn/flow.h promises, checked on any implementation: fill in a rig and run every case. */
#ifndef TESTS_FLOW_CONFORMANCE_H
#define TESTS_FLOW_CONFORMANCE_H

#include <tarn/flow.h>

struct flow_rig {
    /* A new connected pair; both CONNECTED events have been delivered. */
    void (*connect)(struct flow_rig *rig, struct tarn_flow **a, struct tarn_flow **b);
    /* Lets the loop turn until everything that is under way has arrived: several round trips. */
    void (*run)(struct flow_rig *rig);
    /* How many connections still cost memory; the case closes all of its flows first and runs.
     * NULL: not known (TCP keeps TIME-WAIT). */
    unsigned (*live)(struct flow_rig *rig);
    bool no_endpoints; /* endpoints may answer TARN_UNSUPPORTED */
};

struct flow_case {
    const char *name;
    void (*run)(struct flow_rig *rig);
};
extern const struct flow_case flow_cases[];
extern const size_t flow_case_count;

#endif
