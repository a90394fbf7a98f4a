/* SPDX-License-Identifier: ISC */
/* tarn/dhcp6_client.h: a DHCPv6 client (RFC 8415; RFC 3646, RFC 7083), as a machine without I/O:
 * stateless (information only) or stateful (one address).
 *
 * It takes the UDP payloads that arrive at port 546, and now; it gives the payloads to send, the
 * events that the owner acts on, and the next deadline. Everything goes from a link-local address
 * of the interface and port 546 to TARN_DHCP6_SERVERS, port 547. The loop is tarn/dhcp_client.h's.
 *
 * With config.probe the client says PROBE before an address is used, and waits for the result of
 * duplicate address detection (RFC 4862): tarn_dhcp6_client_confirm or tarn_dhcp6_client_conflict.
 *
 * What a server sends is checked: transaction, both DUIDs, lifetimes and timers that contradict
 * themselves. There is no authentication: a server on the link is believed; Reconfigure is ignored.
 * Limits: one address, one server's answer kept, fixed memory. One thread for each client.
 */
#ifndef TARN_DHCP6_CLIENT_H
#define TARN_DHCP6_CLIENT_H

#include <tarn/alloc.h>
#include <tarn/env.h>
#include <tarn/err.h>
#include <tarn/ip_addr.h>
#include <tarn/time.h>

#define TARN_DHCP6_CLIENT_PORT 546
#define TARN_DHCP6_SERVER_PORT 547
/* ff02::1:2, All_DHCP_Relay_Agents_and_Servers */
#define TARN_DHCP6_SERVERS                                                                         \
    ((struct tarn_ip_addr){{{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2}}})
#define TARN_DHCP6_MESSAGE_BYTES_MAX 512
#define TARN_DHCP6_DNS_MAX 4
#define TARN_DHCP6_TEXT_MAX 255
#define TARN_DHCP6_DUID_MAX 130 /* RFC 8415 section 11.1: a type and up to 128 bytes */

struct tarn_dhcp6_client_config {
    struct tarn_alloc *alloc;
    struct tarn_random *random;
    uint8_t mac[6]; /* the DUID-LL is made of it (section 11.4) */
    uint32_t iaid;
    bool stateful;     /* wants an address; otherwise information only */
    bool rapid_commit; /* offer to do with two messages (section 18.2.1) */
    bool probe;        /* the owner does duplicate address detection */
};

enum tarn_dhcp6_state {
    TARN_DHCP6_STOPPED,
    TARN_DHCP6_WAITING, /* the random delay before the first message */
    TARN_DHCP6_SOLICIT,
    TARN_DHCP6_REQUEST,
    TARN_DHCP6_PROBING,
    TARN_DHCP6_BOUND,
    TARN_DHCP6_RENEW,
    TARN_DHCP6_REBIND,
    TARN_DHCP6_CONFIRM, /* the link was gone: is the address still right here? */
    TARN_DHCP6_DECLINE,
    TARN_DHCP6_RELEASE,
    TARN_DHCP6_INFORMATION,
    TARN_DHCP6_INFORMED, /* stateless: has what it asked for, until `refresh` */
};

struct tarn_dhcp6_lease {
    struct tarn_ip_addr
        addr; /* "::" when stateless; on link is only what a router says (section 18.2.10.1) */
    tarn_time preferred, valid, t1, t2; /* TARN_NEVER: for good */
    tarn_time refresh;                  /* stateless: when to ask again */
    struct tarn_ip_addr dns[TARN_DHCP6_DNS_MAX];
    uint32_t dns_count;
    char search[TARN_DHCP6_TEXT_MAX + 1]; /* names with a space between; NUL-terminated */
};

enum tarn_dhcp6_event {
    TARN_DHCP6_NONE,
    TARN_DHCP6_PROBE,   /* do duplicate address detection, then say confirm or conflict */
    TARN_DHCP6_GRANTED, /* configure the lease's address */
    TARN_DHCP6_RENEWED, /* lifetimes or the rest have changed */
    TARN_DHCP6_LOST,    /* stop using the address at once */
    TARN_DHCP6_LEARNED, /* stateless: the information is there, or new */
};

struct tarn_dhcp6_stats {
    uint64_t sent, received;
    uint64_t malformed, ignored; /* not a message; not ours or not expected */
    uint64_t refused;            /* a status other than success */
    uint64_t conflicts, expired;
};

struct tarn_dhcp6_client;

/* TARN_LIMIT: no memory. */
TARN_MUST_USE enum tarn_err tarn_dhcp6_client_new(const struct tarn_dhcp6_client_config *config,
                                                  struct tarn_dhcp6_client **out);
/* From STOPPED. */
void tarn_dhcp6_client_start(struct tarn_dhcp6_client *c, tarn_time now);
/* Gives the address back; STOPPED follows, after an answer or four tries. */
void tarn_dhcp6_client_release(struct tarn_dhcp6_client *c, tarn_time now);
/* The link was gone and is back (section 18.2.3). */
void tarn_dhcp6_client_link_up(struct tarn_dhcp6_client *c, tarn_time now);

void tarn_dhcp6_client_input(struct tarn_dhcp6_client *c, struct tarn_span payload, tarn_time now);
void tarn_dhcp6_client_tick(struct tarn_dhcp6_client *c, tarn_time now);
/* When to tick; 0 while output or an event waits. */
tarn_time tarn_dhcp6_client_deadline(const struct tarn_dhcp6_client *c);
/* Whether there is a message to send: writes it. */
TARN_MUST_USE bool tarn_dhcp6_client_output(struct tarn_dhcp6_client *c, struct tarn_writer *w,
                                            tarn_time now);
enum tarn_dhcp6_event tarn_dhcp6_client_event(struct tarn_dhcp6_client *c);

/* While PROBING: the address is free; or somebody else has it, and it is declined. */
void tarn_dhcp6_client_confirm(struct tarn_dhcp6_client *c, tarn_time now);
void tarn_dhcp6_client_conflict(struct tarn_dhcp6_client *c, tarn_time now);

enum tarn_dhcp6_state tarn_dhcp6_client_state(const struct tarn_dhcp6_client *c);
/* What is known, or NULL. Dies with the next call that takes `now`. */
const struct tarn_dhcp6_lease *tarn_dhcp6_client_lease(const struct tarn_dhcp6_client *c);
const struct tarn_dhcp6_stats *tarn_dhcp6_client_stats(const struct tarn_dhcp6_client *c);

#endif
