/* SPDX-License-Identifier: ISC */
#ifndef TARN_DHCP6_INTERNAL_H
#define TARN_DHCP6_INTERNAL_H

#include <tarn/dhcp6_client.h>
#include <tarn/dhcp_message.h>

enum dhcp6_type {
    DHCP6_NOTHING,
    DHCP6_SOLICIT,
    DHCP6_ADVERTISE,
    DHCP6_REQUEST,
    DHCP6_CONFIRM,
    DHCP6_RENEW,
    DHCP6_REBIND,
    DHCP6_REPLY,
    DHCP6_RELEASE,
    DHCP6_DECLINE,
    DHCP6_INFORMATION = 11,
};

enum dhcp6_option {
    DHCP6_OPT_CLIENTID = 1,
    DHCP6_OPT_SERVERID = 2,
    DHCP6_OPT_IA_NA = 3,
    DHCP6_OPT_IAADDR = 5,
    DHCP6_OPT_ORO = 6,
    DHCP6_OPT_PREFERENCE = 7,
    DHCP6_OPT_ELAPSED = 8,
    DHCP6_OPT_STATUS = 13,
    DHCP6_OPT_RAPID_COMMIT = 14,
    DHCP6_OPT_DNS = 23,
    DHCP6_OPT_SEARCH = 24,
    DHCP6_OPT_REFRESH = 32,
    DHCP6_OPT_SOL_MAX_RT = 82,
    DHCP6_OPT_INF_MAX_RT = 83,
};

enum dhcp6_status {
    DHCP6_SUCCESS,
    DHCP6_UNSPEC_FAIL,
    DHCP6_NO_ADDRS,
    DHCP6_NO_BINDING,
    DHCP6_NOT_ON_LINK
};

/* An Advertise or Reply. Spans borrow the payload. Times are in seconds, as sent. */
struct dhcp6_message {
    uint8_t type;
    uint32_t xid; /* 24 bits */
    struct tarn_span client_id, server_id;
    uint8_t preference;
    bool rapid_commit;
    uint16_t status;
    bool has_ia, has_addr;
    uint16_t ia_status, addr_status;
    uint32_t t1, t2, preferred, valid;
    struct tarn_ip_addr addr;
    struct tarn_span dns, search;
    uint32_t refresh, sol_max_rt, inf_max_rt; /* 0: not sent */
};

/* Of the identity associations only the one with `iaid` is looked at, of its addresses the first
 * that lives. False: truncated, or an option of impossible size. */
bool dhcp6_parse(struct tarn_span payload, uint32_t iaid, struct dhcp6_message *out);

/* RFC 8415 section 15. MRC and MRD 0: no bound. */
struct dhcp6_timing {
    tarn_time irt, mrt;
    uint32_t mrc;
    tarn_time mrd;
};

struct tarn_dhcp6_client {
    struct tarn_dhcp6_client_config config;
    uint8_t duid[10];
    enum tarn_dhcp6_state state;
    struct dhcp6_timing timing;
    uint32_t xid, tries;
    tarn_time timer, rt, begun, ends; /* ends: MRD, or the end of what a Renew or Rebind is for */
    tarn_time sent_at;
    tarn_time sol_max_rt, inf_max_rt;
    bool out_due;

    uint8_t server[TARN_DHCP6_DUID_MAX];
    size_t server_len;
    int best_preference; /* of the Advertise that is kept; -1: none */

    bool event_lost, event_probe, event_granted, event_renewed, event_learned;
    bool told_granted;
    bool has_lease;
    struct tarn_dhcp6_lease lease;
    struct tarn_ip_addr gone; /* what a Decline or Release is about */
    struct tarn_dhcp6_stats stats;
};

#endif
