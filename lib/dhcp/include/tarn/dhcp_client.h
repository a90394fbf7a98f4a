/* SPDX-License-Identifier: ISC */
/* tarn/dhcp_client.h: a DHCP client for IPv4 (RFC 2131, with RFC 2132, 3396, 3397, 3442, 4039, 4361
 * and 6842), as a machine without I/O.
 *
 * It takes the UDP payloads that arrive at port 68, and now; it gives the payloads to send with
 * their addresses, the events that the owner acts on, and the next deadline. It owns no socket,
 * sets no address and reads no clock. The owner's loop, after each input, tick or call:
 *
 *     while (tarn_dhcp_client_output(c, &writer, &path, now)) send it from port 68;
 *     while ((event = tarn_dhcp_client_event(c)) != TARN_DHCP_CLIENT_NONE) act on it;
 *
 * Before an address is used, the owner may probe it (RFC 5227): with config.probe the client says
 * PROBE, and waits for tarn_dhcp_client_confirm or tarn_dhcp_client_conflict.
 *
 * What a server sends is checked: its transaction, our hardware address and identifier, that the
 * address can be a host's. Disordered or absurd times are replaced by RFC 2131's defaults, and a
 * lease is never taken for shorter than TARN_DHCP_LEASE_SECONDS_MIN. There is no authentication in
 * DHCP: a server on the link is believed.
 *
 * Limits: fixed memory, arrays below. One thread for each client.
 */
#ifndef TARN_DHCP_CLIENT_H
#define TARN_DHCP_CLIENT_H

#include <tarn/alloc.h>
#include <tarn/dhcp_message.h>
#include <tarn/env.h>
#include <tarn/err.h>
#include <tarn/time.h>

#define TARN_DHCP_SERVERS_MAX 4 /* of DNS, and of NTP */
#define TARN_DHCP_ROUTES_MAX 16
#define TARN_DHCP_TEXT_MAX 255
#define TARN_DHCP_CLIENT_ID_MAX 64
#define TARN_DHCP_LEASE_SECONDS_MIN 60

struct tarn_dhcp_client_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random; /* transaction numbers and jitter */
    uint8_t mac[6];
    /* The client identifier, type byte first, 2 to 64 bytes; empty: RFC 4361's, of `iaid` and a
     * DUID-LL (RFC 8415 section 11.4) of the MAC address. Copied. */
    struct tarn_span client_id;
    uint32_t iaid;
    struct tarn_span host_name; /* sent as it is, up to 63 bytes; empty: none. Copied. */
    /* An address that was leased before: tried first (INIT-REBOOT). Any: none. */
    struct tarn_ip_addr previous;
    bool rapid_commit; /* offer to do with two messages (RFC 4039) */
    bool probe;        /* the owner probes addresses */
    tarn_time
        start_delay; /* ns; start after a random part of it (RFC 2131 section 4.4.1: 1 to 10 s) */
};

enum tarn_dhcp_client_state {
    TARN_DHCP_STOPPED,
    TARN_DHCP_INIT,       /* waits before (re)starting */
    TARN_DHCP_SELECTING,  /* DISCOVER is out */
    TARN_DHCP_REQUESTING, /* REQUEST for an offer is out */
    TARN_DHCP_REBOOTING,  /* REQUEST for the previous address is out */
    TARN_DHCP_PROBING,    /* acknowledged; the owner probes */
    TARN_DHCP_BOUND,
    TARN_DHCP_RENEWING,  /* asks its server */
    TARN_DHCP_REBINDING, /* asks any server */
};

/* What was leased. Counts may be 0, text empty, mtu 0, gateway 0.0.0.0. */
struct tarn_dhcp_lease {
    struct tarn_ip_prefix addr;
    struct tarn_ip_addr server;
    struct tarn_ip_addr gateway; /* the default route's; not set where `routes` came (RFC 3442) */
    struct tarn_ip_addr dns[TARN_DHCP_SERVERS_MAX], ntp[TARN_DHCP_SERVERS_MAX];
    uint32_t dns_count, ntp_count;
    struct tarn_dhcp_route routes[TARN_DHCP_ROUTES_MAX];
    uint32_t route_count;
    uint16_t mtu;
    char domain[TARN_DHCP_TEXT_MAX + 1]; /* checked to be a host name; NUL-terminated */
    char search[TARN_DHCP_TEXT_MAX + 1]; /* names with a space between */
    tarn_time t1, t2, expires;           /* all TARN_NEVER: for good */
};

enum tarn_dhcp_client_event {
    TARN_DHCP_CLIENT_NONE,
    TARN_DHCP_CLIENT_PROBE,   /* probe lease->addr, then say confirm or conflict */
    TARN_DHCP_CLIENT_BOUND,   /* configure lease */
    TARN_DHCP_CLIENT_RENEWED, /* the same address; the rest of the lease may have changed */
    TARN_DHCP_CLIENT_LOST,    /* stop using the address at once */
};

struct tarn_dhcp_client_stats {
    uint64_t sent, received, malformed; /* malformed: not a DHCP message */
    uint64_t ignored;                   /* not ours, not expected now, or nothing to lease */
    uint64_t naks, conflicts, expired;
};

struct tarn_dhcp_client;

/* TARN_INVALID: an identifier or name of wrong length; TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_dhcp_client_new(const struct tarn_dhcp_client_config *config,
                                                 struct tarn_dhcp_client **out);

/* From STOPPED. */
void tarn_dhcp_client_start(struct tarn_dhcp_client *c, tarn_time now);
/* Gives the lease back and stops; LOST is an event where there was one. */
void tarn_dhcp_client_release(struct tarn_dhcp_client *c, tarn_time now);
/* The link was gone and is back: asks whether the lease still holds here (RFC 2131 section 3.7). */
void tarn_dhcp_client_link_up(struct tarn_dhcp_client *c, tarn_time now);

/* A UDP payload that arrived at port 68. */
void tarn_dhcp_client_input(struct tarn_dhcp_client *c, struct tarn_span payload, tarn_time now);
void tarn_dhcp_client_tick(struct tarn_dhcp_client *c, tarn_time now);
/* When to tick; 0 while output or an event waits. */
tarn_time tarn_dhcp_client_deadline(const struct tarn_dhcp_client *c);

/* Whether there is a message to send: writes it. The writer needs TARN_DHCP_MESSAGE_BYTES_MAX. */
TARN_MUST_USE bool tarn_dhcp_client_output(struct tarn_dhcp_client *c, struct tarn_writer *w,
                                           struct tarn_dhcp_path *path, tarn_time now);
enum tarn_dhcp_client_event tarn_dhcp_client_event(struct tarn_dhcp_client *c);

/* While PROBING: the address is free. */
void tarn_dhcp_client_confirm(struct tarn_dhcp_client *c, tarn_time now);
/* Somebody else uses the address, found by the probe or later (RFC 5227 section 2.4): it is
 * declined, and a new one asked for after ten seconds (RFC 2131 section 3.1.5). */
void tarn_dhcp_client_conflict(struct tarn_dhcp_client *c, tarn_time now);

enum tarn_dhcp_client_state tarn_dhcp_client_state(const struct tarn_dhcp_client *c);
/* The lease, or NULL without one (from PROBE on it is there). Dies with the next call that takes
 * `now`. */
const struct tarn_dhcp_lease *tarn_dhcp_client_lease(const struct tarn_dhcp_client *c);
const struct tarn_dhcp_client_stats *tarn_dhcp_client_stats(const struct tarn_dhcp_client *c);

#endif
