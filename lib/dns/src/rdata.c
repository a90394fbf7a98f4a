/* SPDX-License-Identifier: ISC */
/* Record data in wire form: walked once by its format, checked, expanded. */
#include "text.h"
#include "types.h"

/* Of LOC, in thousandths of a second of arc. */
#define EQUATOR 0x80000000u
#define DEGREE 3600000u

/* Where a walk stands: the data is msg[at, end). */
struct walk {
    struct tarn_span msg; /* ends where the data does, so no name reaches behind it */
    size_t at;
    struct tarn_writer *out;
};

static struct tarn_span rest(const struct walk *w) {
    return tarn_span_after(w->msg, w->at);
}

static bool copy(struct walk *w, size_t n) {
    struct tarn_span s = rest(w), part;
    if (!tarn_span_take(&s, n, &part))
        return false;
    tarn_writer_span_put(w->out, part);
    w->at += n;
    return true;
}

static bool name(struct walk *w) {
    struct tarn_dns_name n;
    if (!tarn_dns_name_read(w->msg, &w->at, &n))
        return false;
    tarn_writer_span_put(w->out, tarn_dns_name_span(&n));
    return true;
}

/* A length of one byte, or two, and as many. */
static bool counted(struct walk *w, bool two, size_t min) {
    struct tarn_span s = rest(w);
    uint8_t one = 0;
    uint16_t len = 0;
    if (!(two ? tarn_span_u16be(&s, &len) : tarn_span_u8(&s, &one)))
        return false;
    size_t n = two ? len : one;
    return n >= min && copy(w, n + (two ? 2u : 1u));
}

static bool strings(struct walk *w) {
    do {
        if (!counted(w, false, 0))
            return false;
    } while (rest(w).len);
    return true;
}

static bool loc(struct walk *w) {
    struct tarn_span s = rest(w);
    uint8_t version, power;
    if (s.len < 16 || !tarn_span_u8(&s, &version) || version != 0)
        return false;
    for (int i = 0; i < 3; i++) /* RFC 1876 section 2: two digits, mantissa and exponent */
        if (!tarn_span_u8(&s, &power) || power >> 4 > 9 || (power & 15) > 9)
            return false;
    uint32_t latitude, longitude;
    return tarn_span_u32be(&s, &latitude) && latitude - (EQUATOR - 90 * DEGREE) <= 180 * DEGREE
           && tarn_span_u32be(&s, &longitude)
           && longitude - (EQUATOR - 180 * DEGREE) <= 360 * DEGREE && copy(w, 16);
}

/* RFC 4025 section 2.1 */
static bool gateway(struct walk *w) {
    struct tarn_span s = rest(w);
    uint8_t precedence, type, algorithm;
    if (!tarn_span_u8(&s, &precedence) || !tarn_span_u8(&s, &type) || !tarn_span_u8(&s, &algorithm)
        || !copy(w, 3))
        return false;
    return type == 3 ? name(w) : type <= 2 && copy(w, type == 0 ? 0 : type == 1 ? 4 : 16);
}

/* RFC 8005 section 5: lengths, HIT, key, rendezvous servers */
static bool hip(struct walk *w) {
    struct tarn_span s = rest(w);
    uint8_t hit, algorithm;
    uint16_t key;
    if (!tarn_span_u8(&s, &hit) || !tarn_span_u8(&s, &algorithm) || !tarn_span_u16be(&s, &key)
        || hit == 0 || key == 0 || !copy(w, 4u + hit + key))
        return false;
    while (rest(w).len)
        if (!name(w))
            return false;
    return true;
}

/* RFC 8659 section 4.1: letters and digits */
static bool caa_tag(struct walk *w) {
    struct tarn_span s = rest(w), tag;
    uint8_t len, c;
    if (!tarn_span_u8(&s, &len) || !len || !tarn_span_take(&s, len, &tag))
        return false;
    while (tarn_span_u8(&tag, &c))
        if (!((c >= '0' && c <= '9') || (tarn_dns_lower(c) >= 'a' && tarn_dns_lower(c) <= 'z')))
            return false;
    return copy(w, 1u + len);
}

static bool field(struct walk *w, uint8_t f) {
    switch (f) {
    case 'c':
    case 'n': return name(w);
    case '1':
    case 'g': return copy(w, 1);
    case '2':
    case 'y':
    case 'C': return copy(w, 2);
    case '4':
    case 't':
    case 'e':
    case 'a': return copy(w, 4);
    case '6':
    case 'W': return copy(w, 6);
    case '8':
    case 'i': return copy(w, 8);
    case 'A': return copy(w, 16);
    case 's': return counted(w, false, 0);
    case 'o': return rest(w).len == 0 || counted(w, false, 0);
    case 'S': return strings(w);
    case 'H': return counted(w, false, 0);
    case 'B': return counted(w, false, 1);
    case 'M': return counted(w, true, 0);
    case 'l': return loc(w);
    case 'p': return dns_check_svc(rest(w)) && copy(w, rest(w).len);
    case 'Y': return dns_check_bitmap(rest(w)) && copy(w, rest(w).len);
    case 'L': return dns_check_apl(rest(w)) && copy(w, rest(w).len);
    case 'G': return gateway(w);
    case 'I': return hip(w);
    case 'u': return caa_tag(w);
    case 'h': return rest(w).len > 0 && copy(w, rest(w).len);
    default: return copy(w, rest(w).len); /* b q N z: the rest, whatever it is */
    }
}

bool tarn_dns_rdata_read(struct tarn_span msg, size_t at, size_t len, uint16_t type,
                         struct tarn_writer *out) {
    const char *format = dns_type_fields(type);
    struct tarn_span fields = tarn_span_str(format ? format : "z");
    struct walk w = {.at = at, .out = out};
    uint8_t f;
    if (at > msg.len || len > msg.len - at)
        return false;
    w.msg = tarn_span_first(msg, at + len);
    while (tarn_span_u8(&fields, &f))
        if (!field(&w, f))
            return false;
    return rest(&w).len == 0 && tarn_writer_ok(out);
}

bool tarn_dns_rdata_valid(struct tarn_span rdata, uint16_t type) {
    /* Counts only: a plain form is as long as what it was read from, a compressed one is not. */
    struct tarn_writer counter = {NULL, 0, 0};
    const char *format = dns_type_fields(type);
    struct tarn_span fields = tarn_span_str(format ? format : "z");
    struct walk w = {.msg = rdata, .out = &counter};
    uint8_t f;
    while (tarn_span_u8(&fields, &f))
        if (!field(&w, f))
            return false;
    return rest(&w).len == 0 && counter.len == rdata.len && rdata.len <= TARN_DNS_RDATA_MAX;
}

void tarn_dns_rdata_canonical(struct tarn_bytes rdata, uint16_t type) {
    const char *format = dns_type_fields(type);
    struct tarn_span fields = tarn_span_str(format ? format : "");
    struct tarn_writer counter = {NULL, 0, 0};
    struct walk w = {.msg = tarn_bytes_span(rdata), .out = &counter};
    uint8_t f;
    bool lowered = type <= TARN_DNS_DNAME || type == TARN_DNS_RRSIG;
    while (lowered && tarn_span_u8(&fields, &f)) {
        size_t from = w.at;
        if (!field(&w, f))
            return;
        for (size_t i = from; (f == 'c' || f == 'n') && i < w.at; i++)
            *tarn_bytes_at(rdata, i) = tarn_dns_lower(*tarn_bytes_at(rdata, i));
    }
}
