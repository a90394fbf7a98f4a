/* SPDX-License-Identifier: ISC */
/* Type bitmaps (RFC 4034 section 4.1.2) and address prefix lists (RFC 3123). */
#include "text.h"
#include "types.h"

#include <tarn/ip_addr.h>

/* Windows ascend; each has 1 to 32 bytes, the last of which is not zero. */
bool dns_check_bitmap(struct tarn_span s) {
    int last = -1;
    while (s.len) {
        uint8_t window, len;
        struct tarn_span bits;
        if (!tarn_span_u8(&s, &window) || !tarn_span_u8(&s, &len) || len == 0 || len > 32
            || window <= last || !tarn_span_take(&s, len, &bits)
            || tarn_span_at(bits, len - 1u) == 0)
            return false;
        last = window;
    }
    return true;
}

void dns_print_bitmap(struct tarn_writer *w, struct tarn_span s) {
    uint8_t window, len;
    struct tarn_span bits;
    while (tarn_span_u8(&s, &window) && tarn_span_u8(&s, &len) && tarn_span_take(&s, len, &bits))
        for (unsigned i = 0; i < len * 8u; i++)
            if (tarn_span_at(bits, i / 8) & 0x80u >> i % 8) {
                tarn_writer_u8(w, ' ');
                tarn_dns_type_print(w, (uint16_t)(window << 8 | i));
            }
}

static void put_window(struct tarn_writer *out, const uint8_t all[8192], unsigned window) {
    struct tarn_span bits = tarn_span_after(tarn_span_of(all, 8192), window * 32u);
    size_t used = 32;
    while (used && tarn_span_at(bits, used - 1) == 0)
        used--;
    if (!used)
        return;
    tarn_writer_u8(out, (uint8_t)window);
    tarn_writer_u8(out, (uint8_t)used);
    tarn_writer_span_put(out, tarn_span_first(bits, used));
}

void dns_put_bitmap(struct tarn_writer *out, const uint8_t all[8192], unsigned last) {
    for (unsigned window = 0; window <= last; window++)
        put_window(out, all, window);
}

bool dns_parse_bitmap(struct dns_parse *p) {
    uint8_t all[8192] = {0};
    unsigned last = 0;
    while (!dns_at_line_end(p)) {
        struct tarn_span text;
        uint16_t type;
        if (!dns_want(p, &text))
            return false;
        if (!tarn_dns_type_parse(text, &type))
            return dns_fail(p, "not a type");
        TARN_AT(all, type / 8u) |= (uint8_t)(0x80u >> type % 8);
        last = TARN_MAX(last, type / 256u);
    }
    dns_put_bitmap(p->out, all, last);
    return true;
}

bool dns_check_apl(struct tarn_span s) {
    while (s.len) {
        uint16_t family;
        uint8_t bits, len;
        struct tarn_span afd;
        if (!tarn_span_u16be(&s, &family) || !tarn_span_u8(&s, &bits) || !tarn_span_u8(&s, &len)
            || !tarn_span_take(&s, len & 0x7f, &afd))
            return false;
        size_t max = family == 1 ? 4 : family == 2 ? 16 : 0;
        if (!max || bits > max * 8 || afd.len > max
            || (afd.len && tarn_span_at(afd, afd.len - 1) == 0))
            return false;
    }
    return true;
}

void dns_print_apl(struct tarn_writer *w, struct tarn_span s) {
    uint16_t family;
    uint8_t bits, len;
    struct tarn_span afd;
    bool first = true;
    while (tarn_span_u16be(&s, &family) && tarn_span_u8(&s, &bits) && tarn_span_u8(&s, &len)
           && tarn_span_take(&s, len & 0x7f, &afd)) {
        uint8_t bytes[16] = {0};
        struct tarn_span whole = TARN_SPAN_ARRAY(bytes);
        struct tarn_ip_addr addr;
        tarn_bytes_copy(TARN_BYTES_ARRAY(bytes), afd);
        if (!(family == 1 ? tarn_span_ipv4(&whole, &addr) : tarn_span_ipv6(&whole, &addr)))
            return;
        if (!first)
            tarn_writer_u8(w, ' ');
        first = false;
        tarn_writer_str(w, len & 0x80 ? "!" : "");
        tarn_writer_dec(w, family);
        tarn_writer_u8(w, ':');
        dns_print_addr(w, &addr, family == 1);
        tarn_writer_u8(w, '/');
        tarn_writer_dec(w, bits);
    }
}

static bool apl_item(struct dns_parse *p, struct tarn_span text) {
    struct tarn_span family, addr_text;
    struct tarn_ip_addr addr;
    uint64_t number, bits;
    uint8_t bytes[16];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    bool negative = tarn_span_starts(text, TARN_SPAN_LIT("!"));
    text = tarn_span_after(text, negative);
    if (!tarn_span_split(&text, ':', &family) || !tarn_span_parse_dec(family, 2, &number) || !number
        || !tarn_span_split(&text, '/', &addr_text)
        || !dns_parse_addr(addr_text, number == 1, &addr)
        || !tarn_span_parse_dec(text, number == 1 ? 32 : 128, &bits))
        return dns_fail(p, "not an address prefix such as 1:192.0.2.0/24");
    if (number == 1)
        tarn_writer_ipv4(&w, &addr);
    else
        tarn_writer_ipv6(&w, &addr);
    struct tarn_span afd = tarn_writer_span(&w);
    while (afd.len && tarn_span_at(afd, afd.len - 1) == 0)
        afd.len--;
    tarn_writer_u16be(p->out, (uint16_t)number);
    tarn_writer_u8(p->out, (uint8_t)bits);
    tarn_writer_u8(p->out, (uint8_t)(afd.len | (negative ? 0x80u : 0)));
    tarn_writer_span_put(p->out, afd);
    return true;
}

bool dns_parse_apl(struct dns_parse *p) {
    while (!dns_at_line_end(p)) {
        struct tarn_span text;
        if (!dns_want(p, &text) || !apl_item(p, text))
            return false;
    }
    return true;
}
