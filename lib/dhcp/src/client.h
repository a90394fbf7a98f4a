/* SPDX-License-Identifier: ISC */
#ifndef TARN_DHCP_CLIENT_INTERNAL_H
#define TARN_DHCP_CLIENT_INTERNAL_H

#include <tarn/dhcp_client.h>

struct tarn_dhcp_client {
    struct tarn_dhcp_client_config config;
    uint8_t client_id[TARN_DHCP_CLIENT_ID_MAX];
    uint8_t host_name[63];
    size_t client_id_len, host_name_len;

    enum tarn_dhcp_client_state state;
    tarn_time timer;    /* the next transmission or change of state */
    tarn_time nak_wait; /* before starting again after the next refusal */
    tarn_time retry;    /* RFC 2131 section 4.1's delay, before jitter */
    uint32_t tries;
    uint32_t xid;
    tarn_time begun;   /* when this exchange started, for secs */
    tarn_time sent_at; /* the latest REQUEST or DISCOVER: leases are counted from there */
    struct tarn_ip_addr previous, wanted, server;

    enum tarn_dhcp_type out;
    bool out_due;
    bool event_lost, event_probe, event_bound, event_renewed;
    bool told_bound; /* the owner has heard BOUND and not LOST */

    bool has_lease;
    struct tarn_dhcp_lease lease;
    struct tarn_dhcp_lease gone; /* what a DECLINE or RELEASE is about */
    struct tarn_dhcp_client_stats stats;
};

/* client.c */
void client_lose(struct tarn_dhcp_client *c);
void client_restart(struct tarn_dhcp_client *c, tarn_time delay, tarn_time now);
void client_request(struct tarn_dhcp_client *c, tarn_time now);
void client_granted(struct tarn_dhcp_client *c, const struct tarn_dhcp_lease *lease, tarn_time now);

#endif
