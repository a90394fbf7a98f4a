/* SPDX-License-Identifier: ISC */
#include <tarn/ip_addr.h>

bool tarn_ip_addr_is_multicast(const struct tarn_ip_addr *a) {
    return tarn_ip_addr_is_v4(a) ? (a->bytes[12] & 0xf0) == 0xe0 : a->bytes[0] == 0xff;
}

bool tarn_ip_addr_is_loopback(const struct tarn_ip_addr *a) {
    return tarn_ip_addr_is_v4(a) ? a->bytes[12] == 127
                                 : a->halves[0] == 0 && a->halves[1] == TARN_BE64_(1);
}

bool tarn_ip_addr_is_link_local(const struct tarn_ip_addr *a) {
    return tarn_ip_addr_is_v4(a) ? a->bytes[12] == 169 && a->bytes[13] == 254
                                 : a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool tarn_span_ipv4(struct tarn_span *s, struct tarn_ip_addr *out) {
    uint32_t v;
    if (!tarn_span_u32be(s, &v))
        return false;
    *out = tarn_ip_addr_from_v4(v);
    return true;
}

bool tarn_span_ipv6(struct tarn_span *s, struct tarn_ip_addr *out) {
    return tarn_span_copy(s, out->bytes, sizeof out->bytes);
}

void tarn_writer_ipv4(struct tarn_writer *w, const struct tarn_ip_addr *a) {
    tarn_writer_mem(w, a->bytes + 12, 4);
}

void tarn_writer_ipv6(struct tarn_writer *w, const struct tarn_ip_addr *a) {
    tarn_writer_mem(w, a->bytes, 16);
}

static bool parse_v4(struct tarn_span text, uint8_t out[4]) {
    for (int i = 0; i < 4; i++) {
        struct tarn_span part;
        uint64_t v;
        bool dot = tarn_span_split(&text, '.', &part);
        if (dot != (i < 3) || part.len > 3 || !tarn_span_parse_dec(part, 255, &v))
            return false;
        if (part.len > 1 && part.ptr[0] == '0') /* elsewhere this means octal: refuse both */
            return false;
        out[i] = (uint8_t)v;
    }
    return true;
}

/* RFC 4291 section 2.2: up to eight groups, one "::" for at least one of them, dotted tail. */
static bool parse_v6(struct tarn_span text, uint8_t out[16]) {
    uint8_t bytes[16] = {0};
    size_t n = 0, gap = SIZE_MAX;
    if (tarn_span_starts(text, TARN_SPAN_LIT("::"))) {
        gap = 0;
        text = tarn_span_after(text, 2);
    }
    while (text.len) {
        struct tarn_span group;
        uint64_t v;
        bool colon = tarn_span_split(&text, ':', &group);
        size_t dot;
        if (tarn_span_find(group, '.', &dot)) {
            if (colon || n > 12 || !parse_v4(group, bytes + n))
                return false;
            n += 4;
            break;
        }
        if (n > 14 || group.len > 4 || !tarn_span_parse_hex(group, 0xffff, &v))
            return false;
        bytes[n] = (uint8_t)(v >> 8);
        bytes[n + 1] = (uint8_t)v;
        n += 2;
        if (colon && text.len == 0)
            return false; /* a single colon at the end */
        if (colon && text.ptr[0] == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = n;
            text = tarn_span_after(text, 1);
        }
    }
    if (gap == SIZE_MAX ? n != 16 : n > 14)
        return false;
    __builtin_memset(out, 0, 16);
    if (gap == SIZE_MAX)
        gap = n;
    __builtin_memcpy(out, bytes, gap);
    __builtin_memcpy(out + 16 - (n - gap), bytes + gap, n - gap);
    return true;
}

bool tarn_ip_addr_parse(struct tarn_span text, struct tarn_ip_addr *out) {
    size_t colon;
    if (tarn_span_find(text, ':', &colon))
        return parse_v6(text, out->bytes);
    struct tarn_ip_addr a = TARN_IP_ADDR_V4(0, 0, 0, 0);
    if (!parse_v4(text, a.bytes + 12))
        return false;
    *out = a;
    return true;
}

static uint16_t group_at(const struct tarn_ip_addr *a, unsigned i) {
    return (uint16_t)(a->bytes[2 * i] << 8 | a->bytes[2 * i + 1]);
}

/* RFC 5952: lower case, no leading zeros, "::" for the first longest run of two or more zeros. */
void tarn_writer_ip_addr(struct tarn_writer *w, const struct tarn_ip_addr *a) {
    if (tarn_ip_addr_is_v4(a)) {
        for (unsigned i = 12; i < 16; i++) {
            if (i > 12)
                tarn_writer_u8(w, '.');
            tarn_writer_dec(w, a->bytes[i]);
        }
        return;
    }
    unsigned best = 8, best_len = 1;
    for (unsigned i = 0; i < 8;) {
        unsigned run = 0;
        while (i + run < 8 && group_at(a, i + run) == 0)
            run++;
        if (run > best_len) {
            best = i;
            best_len = run;
        }
        i += run ? run : 1;
    }
    for (unsigned i = 0; i < 8;) {
        if (i == best) {
            tarn_writer_str(w, "::");
            i += best_len;
            continue;
        }
        if (i > 0 && i != best + best_len)
            tarn_writer_u8(w, ':');
        tarn_writer_hex(w, group_at(a, i), 1);
        i++;
    }
}

bool tarn_ip_prefix_parse(struct tarn_span text, struct tarn_ip_prefix *out) {
    struct tarn_span addr;
    struct tarn_ip_prefix p;
    uint64_t bits;
    bool slash = tarn_span_split(&text, '/', &addr);
    if (!tarn_ip_addr_parse(addr, &p.addr))
        return false;
    unsigned max = tarn_ip_addr_is_v4(&p.addr) ? 32 : 128;
    bits = max;
    if (slash && !tarn_span_parse_dec(text, max, &bits))
        return false;
    p.bits = (uint8_t)bits;
    *out = p;
    return true;
}

bool tarn_ip_prefix_contains(const struct tarn_ip_prefix *p, const struct tarn_ip_addr *a) {
    bool v4 = tarn_ip_addr_is_v4(&p->addr);
    if (v4 != tarn_ip_addr_is_v4(a))
        return false;
    unsigned bits = p->bits + (v4 ? 96u : 0u);
    TARN_ASSERT(bits <= 128);
    unsigned whole = bits / 8, rest = bits % 8;
    if (__builtin_memcmp(p->addr.bytes, a->bytes, whole) != 0)
        return false;
    return rest == 0 || (p->addr.bytes[whole] ^ a->bytes[whole]) >> (8 - rest) == 0;
}
