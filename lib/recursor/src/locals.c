/* SPDX-License-Identifier: ISC */
/* What is built in: the root's servers and keys, and names that no server is to be asked for. */
#include "internal.h"

#define V6(...)                                                                                    \
    {                                                                                              \
        {                                                                                          \
            { __VA_ARGS__ }                                                                        \
        }                                                                                          \
    }
const struct tarn_endpoint root_hints[] = {
    {TARN_IP_ADDR_V4(198, 41, 0, 4), 53},
    {TARN_IP_ADDR_V4(170, 247, 170, 2), 53},
    {TARN_IP_ADDR_V4(192, 33, 4, 12), 53},
    {TARN_IP_ADDR_V4(199, 7, 91, 13), 53},
    {TARN_IP_ADDR_V4(192, 203, 230, 10), 53},
    {TARN_IP_ADDR_V4(192, 5, 5, 241), 53},
    {TARN_IP_ADDR_V4(192, 112, 36, 4), 53},
    {TARN_IP_ADDR_V4(198, 97, 190, 53), 53},
    {TARN_IP_ADDR_V4(192, 36, 148, 17), 53},
    {TARN_IP_ADDR_V4(192, 58, 128, 30), 53},
    {TARN_IP_ADDR_V4(193, 0, 14, 129), 53},
    {TARN_IP_ADDR_V4(199, 7, 83, 42), 53},
    {TARN_IP_ADDR_V4(202, 12, 27, 33), 53},
    {V6(0x20, 1, 5, 3, 0xba, 0x3e, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x30), 53},
    {V6(0x20, 1, 5, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc), 53},
    {V6(0x20, 1, 5, 0, 0, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd), 53},
    {V6(0x20, 1, 5, 0, 0, 0x2f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf), 53},
    {V6(0x20, 1, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53), 53},
    {V6(0x20, 1, 7, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53), 53},
    {V6(0x20, 1, 7, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 53},
    {V6(0x20, 1, 0xd, 0xc3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x35), 53},
};
const unsigned root_hint_count = TARN_COUNT_OF(root_hints);

/* KSK-2017 and KSK-2024, as IANA publishes them (https://data.iana.org/root-anchors/). */
static const uint8_t ksk_2017[] = {0x4f, 0x66, 8,    2,    0xe0, 0x6d, 0x44, 0xb8, 0x0b,
                                   0x8f, 0x1d, 0x39, 0xa9, 0x5c, 0x0b, 0x0d, 0x7c, 0x65,
                                   0xd0, 0x84, 0x58, 0xe8, 0x80, 0x40, 0x9b, 0xbc, 0x68,
                                   0x34, 0x57, 0x10, 0x42, 0x37, 0xc7, 0xf8, 0xec, 0x8d};
static const uint8_t ksk_2024[] = {0x97, 0x28, 8,    2,    0x68, 0x3d, 0x2d, 0x0a, 0xcb,
                                   0x8c, 0x9b, 0x71, 0x2a, 0x19, 0x48, 0xb2, 0x7f, 0x74,
                                   0x12, 0x19, 0x29, 0x8d, 0x0a, 0x45, 0x0d, 0x61, 0x2c,
                                   0x48, 0x3a, 0xf4, 0x44, 0xa4, 0xc0, 0xfb, 0x2b, 0x16};
static const uint8_t root[] = {0};
const struct tarn_recursor_anchor root_anchors[] = {
    {{root, 1}, {ksk_2017, sizeof ksk_2017}, TARN_DNS_DS},
    {{root, 1}, {ksk_2024, sizeof ksk_2024}, TARN_DNS_DS},
};
const unsigned root_anchor_count = TARN_COUNT_OF(root_anchors);

/* Special names (RFC 6761, RFC 6762, RFC 7686), and the reverse of addresses that nobody has
 * (RFC 6303): asking the root for them is of no use to anybody. */
static const struct tarn_span locals[] = {
    {(const uint8_t *)"\7invalid", 9},
    {(const uint8_t *)"\5local", 7},
    {(const uint8_t *)"\5onion", 7},
    {(const uint8_t *)"\003127\7in-addr\4arpa", 18},
    {(const uint8_t *)"\1"
                      "0\7in-addr\4arpa",
     16},
    {(const uint8_t *)"\00210\7in-addr\4arpa", 17},
    {(const uint8_t *)"\003168\003192\7in-addr\4arpa", 22},
    {(const uint8_t *)"\003254\003169\7in-addr\4arpa", 22},
    {(const uint8_t *)"\003255\003255\003255\003255\7in-addr\4arpa", 30},
};

bool is_local(struct tarn_span name) {
    for (unsigned i = 0; i < TARN_COUNT_OF(locals); i++)
        if (tarn_dns_name_within(name, TARN_AT(locals, i)))
            return true;
    return false;
}
