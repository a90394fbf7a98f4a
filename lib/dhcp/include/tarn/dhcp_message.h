/* SPDX-License-Identifier: ISC */
/* tarn/dhcp_message.h: DHCP messages for IPv4, read and written (RFC 2131 section 2, RFC 2132).
 *
 * Reading checks the whole message once: afterwards every option is inside it. An option may be
 * split over several, and over the header's file and sname fields (RFC 2132 section 9.3, RFC 3396):
 * reading one puts it together in memory of the caller, which also is its bound.
 *
 * No allocation, no I/O, no clock. Spans in a message borrow the payload that was parsed.
 */
#ifndef TARN_DHCP_MESSAGE_H
#define TARN_DHCP_MESSAGE_H

#include <tarn/ip_addr.h>

#define TARN_DHCP_SERVER_PORT 67
#define TARN_DHCP_CLIENT_PORT 68
/* The longest message that anything here writes: one Ethernet frame's UDP payload. */
#define TARN_DHCP_MESSAGE_BYTES_MAX 1472

enum tarn_dhcp_op { TARN_DHCP_BOOTREQUEST = 1, TARN_DHCP_BOOTREPLY = 2 };

enum tarn_dhcp_type {
    TARN_DHCP_DISCOVER = 1,
    TARN_DHCP_OFFER,
    TARN_DHCP_REQUEST,
    TARN_DHCP_DECLINE,
    TARN_DHCP_ACK,
    TARN_DHCP_NAK,
    TARN_DHCP_RELEASE,
    TARN_DHCP_INFORM,
};

/* The options that are understood here (RFC 2132 unless noted). */
enum tarn_dhcp_option_code {
    TARN_DHCP_OPT_PAD = 0,
    TARN_DHCP_OPT_SUBNET_MASK = 1,
    TARN_DHCP_OPT_ROUTER = 3,
    TARN_DHCP_OPT_DNS = 6,
    TARN_DHCP_OPT_HOST_NAME = 12,
    TARN_DHCP_OPT_DOMAIN_NAME = 15,
    TARN_DHCP_OPT_MTU = 26,
    TARN_DHCP_OPT_NTP = 42,
    TARN_DHCP_OPT_REQUESTED_ADDR = 50,
    TARN_DHCP_OPT_LEASE_TIME = 51,
    TARN_DHCP_OPT_OVERLOAD = 52,
    TARN_DHCP_OPT_TYPE = 53,
    TARN_DHCP_OPT_SERVER_ID = 54,
    TARN_DHCP_OPT_PARAMETERS = 55,
    TARN_DHCP_OPT_MAX_SIZE = 57,
    TARN_DHCP_OPT_T1 = 58,
    TARN_DHCP_OPT_T2 = 59,
    TARN_DHCP_OPT_CLIENT_ID = 61,
    TARN_DHCP_OPT_RAPID_COMMIT = 80, /* RFC 4039 */
    TARN_DHCP_OPT_SEARCH = 119,      /* RFC 3397 */
    TARN_DHCP_OPT_ROUTES = 121,      /* RFC 3442 */
    TARN_DHCP_OPT_END = 255,
};

#define TARN_DHCP_FLAG_BROADCAST 0x8000u

/* The fixed fields, and where the options are. Addresses that are zero are 0.0.0.0. */
struct tarn_dhcp_message {
    uint8_t op, hops;
    uint8_t type; /* enum tarn_dhcp_type */
    uint32_t xid;
    uint16_t secs, flags;
    struct tarn_ip_addr ciaddr, yiaddr, giaddr;
    uint8_t mac[6]; /* chaddr */
    struct tarn_span
        options[3]; /* the options field, then file and sname where they hold options */
};

/* False: too short, not Ethernet, no magic cookie, an option that reaches out of its field, or no
 * message type. */
TARN_MUST_USE bool tarn_dhcp_parse(struct tarn_span payload, struct tarn_dhcp_message *out);

/* The whole value of an option, put together in `buf`. False: it is not there, or longer than that.
 */
TARN_MUST_USE bool tarn_dhcp_option(const struct tarn_dhcp_message *msg, uint8_t code,
                                    struct tarn_bytes buf, struct tarn_span *value);
/* Options of exactly that size; false also where the size is another. */
TARN_MUST_USE bool tarn_dhcp_option_u16(const struct tarn_dhcp_message *msg, uint8_t code,
                                        uint16_t *out);
TARN_MUST_USE bool tarn_dhcp_option_u32(const struct tarn_dhcp_message *msg, uint8_t code,
                                        uint32_t *out);
TARN_MUST_USE bool tarn_dhcp_option_addr(const struct tarn_dhcp_message *msg, uint8_t code,
                                         struct tarn_ip_addr *out);
/* A list of addresses: how many of the first `max` were stored. */
size_t tarn_dhcp_option_addrs(const struct tarn_dhcp_message *msg, uint8_t code,
                              struct tarn_ip_addr *out, size_t max);

/* A static route (RFC 3442): gateway 0.0.0.0 means that the destination is on the link. */
struct tarn_dhcp_route {
    struct tarn_ip_prefix dst;
    struct tarn_ip_addr gateway;
};
/* Takes the next route off the value of option 121. False: no more, or malformed (then the value is
 * not empty). */
TARN_MUST_USE bool tarn_dhcp_route_next(struct tarn_span *value, struct tarn_dhcp_route *out);

/* The value of option 119 as text: names with single spaces between. Compression pointers must go
 * backwards (RFC 3397 section 2), so the work is bounded by the value's square at worst; names with
 * bytes that no host name has are refused. False: malformed, or the writer is full. */
TARN_MUST_USE bool tarn_dhcp_search_text(struct tarn_span value, struct tarn_writer *out);

/* Writing: the header, the options in any order, the end (which pads to BOOTP's 300 bytes, since
 * some relays want them). Check the writer once. */
void tarn_dhcp_write_header(struct tarn_writer *w, const struct tarn_dhcp_message *msg);
/* A value of more than 255 bytes is split (RFC 3396). */
void tarn_dhcp_write_option(struct tarn_writer *w, uint8_t code, struct tarn_span value);
void tarn_dhcp_write_u8(struct tarn_writer *w, uint8_t code, uint8_t value);
void tarn_dhcp_write_u16(struct tarn_writer *w, uint8_t code, uint16_t value);
void tarn_dhcp_write_u32(struct tarn_writer *w, uint8_t code, uint32_t value);
void tarn_dhcp_write_addr(struct tarn_writer *w, uint8_t code, const struct tarn_ip_addr *value);
void tarn_dhcp_write_end(struct tarn_writer *w);

/* How a message is to be sent. */
struct tarn_dhcp_path {
    struct tarn_ip_addr src, dst; /* src 0.0.0.0: no address is configured yet */
    uint16_t dst_port;
};

#endif
