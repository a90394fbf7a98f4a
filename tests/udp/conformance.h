/* SPDX-License-Identifier: ISC */
/* What tarn/datagram.h promises, checked on any implementation: fill in a rig and run every case.
 */
#ifndef TESTS_UDP_CONFORMANCE_H
#define TESTS_UDP_CONFORMANCE_H

#include <tarn/datagram.h>

struct datagram_rig {
    /* Opens an endpoint on one of two hosts, 0 and 1, that reach each other at these addresses.
     * They may be one host. */
    enum tarn_err (*open)(struct datagram_rig *rig, unsigned host,
                          const struct tarn_datagram_config *config, struct tarn_datagram **out);
    struct tarn_ip_addr v4[2], v6[2];
    bool no_v6; /* the machine has no IPv6 */
    /* Lets the loop turn until everything that is under way has arrived. */
    void (*run)(struct datagram_rig *rig);
    /* How many endpoints are open; every case closes its own. */
    unsigned (*live)(struct datagram_rig *rig);
};

struct datagram_case {
    const char *name;
    void (*run)(struct datagram_rig *rig);
};
extern const struct datagram_case datagram_cases[];
extern const size_t datagram_case_count;

#endif
