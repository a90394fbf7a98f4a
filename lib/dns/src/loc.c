/* SPDX-License-Identifier: ISC */
/* LOC (RFC 1876): a place on the earth, in thousandths of a second of arc and in centimetres. */
#include "text.h"

#define EQUATOR 0x80000000u
#define ALTITUDE_BASE_CM 10000000u

/* A decimal number with up to `digits` behind its point, as a whole number of those units. */
static bool decimal(struct tarn_span text, unsigned digits, uint64_t max, uint64_t *out) {
    struct tarn_span whole;
    uint64_t v, part = 0;
    bool point = tarn_span_split(&text, '.', &whole);
    if (!tarn_span_parse_dec(whole, max, &v) || (point && (text.len == 0 || text.len > digits))
        || (point && !tarn_span_parse_dec(text, 1000000, &part)))
        return false;
    for (unsigned i = 0; i < digits; i++) {
        v *= 10;
        if (i >= text.len)
            part *= 10;
    }
    *out = v + part;
    return true;
}

static bool is_direction(struct tarn_span text, uint8_t plus, uint8_t minus, bool *negative) {
    uint8_t c = text.len == 1 ? (uint8_t)(tarn_span_at(text, 0) & 0xdf) : 0;
    *negative = c == minus;
    return c == plus || c == minus;
}

/* degrees [minutes [seconds]] direction */
static bool angle(struct dns_parse *p, unsigned degrees_max, uint8_t plus, uint8_t minus) {
    static const uint32_t units[] = {3600000, 60000, 1000};
    uint64_t total = 0, v;
    struct tarn_span text;
    bool negative;
    for (size_t i = 0;; i++) {
        if (!dns_want(p, &text))
            return false;
        if (i > 0 && is_direction(text, plus, minus, &negative))
            break;
        if (i == 3)
            return dns_fail(p, "a direction is missing");
        if (i < 2 ? !tarn_span_parse_dec(text, i ? 59 : degrees_max, &v)
                  : !decimal(text, 3, 59, &v))
            return dns_fail(p, "not an angle");
        total += i < 2 ? v * TARN_AT(units, i) : v;
    }
    if (total > (uint64_t)degrees_max * 3600000)
        return dns_fail(p, "not an angle");
    tarn_writer_u32be(p->out, (uint32_t)(negative ? EQUATOR - total : EQUATOR + total));
    return true;
}

/* Metres with an optional m; false where the line ends before. */
static bool metres(struct dns_parse *p, uint64_t *cm, bool *negative) {
    struct tarn_span text;
    if (!dns_want(p, &text))
        return false;
    *negative = tarn_span_starts(text, TARN_SPAN_LIT("-"));
    text = tarn_span_after(text, *negative);
    if (tarn_span_ends(text, TARN_SPAN_LIT("m")))
        text.len--;
    return decimal(text, 2, 90000000, cm) || dns_fail(p, "not a number of metres");
}

static uint8_t power_of(uint64_t cm) {
    unsigned exponent = 0;
    for (; cm > 9; cm /= 10)
        exponent++;
    return (uint8_t)(cm << 4 | exponent);
}

bool dns_parse_loc(struct dns_parse *p) {
    uint8_t bytes[8];
    struct tarn_writer angles = TARN_WRITER_ARRAY(bytes), *out = p->out;
    uint64_t altitude, sizes[3] = {100, 1000000, 1000}; /* RFC 1876 section 3: the defaults */
    bool below, negative = false;
    p->out = &angles;
    bool ok = angle(p, 90, 'N', 'S') && angle(p, 180, 'E', 'W') && metres(p, &altitude, &below);
    p->out = out;
    if (!ok)
        return false;
    if (below ? altitude > ALTITUDE_BASE_CM : altitude > UINT32_MAX - ALTITUDE_BASE_CM)
        return dns_fail(p, "not an altitude");
    for (size_t i = 0; i < 3 && !dns_at_line_end(p); i++)
        if (!metres(p, &TARN_AT(sizes, i), &negative) || negative)
            return dns_fail(p, "not a size");
    tarn_writer_u8(out, 0);
    for (size_t i = 0; i < 3; i++)
        tarn_writer_u8(out, power_of(TARN_AT(sizes, i)));
    tarn_writer_span_put(out, tarn_writer_span(&angles));
    tarn_writer_u32be(
        out, (uint32_t)(below ? ALTITUDE_BASE_CM - altitude : ALTITUDE_BASE_CM + altitude));
    return true;
}

static void print_angle(struct tarn_writer *w, uint32_t v, uint8_t plus, uint8_t minus) {
    uint32_t a = v >= EQUATOR ? v - EQUATOR : EQUATOR - v;
    tarn_writer_dec(w, a / 3600000);
    tarn_writer_u8(w, ' ');
    tarn_writer_dec(w, a / 60000 % 60);
    tarn_writer_u8(w, ' ');
    tarn_writer_dec(w, a / 1000 % 60);
    tarn_writer_u8(w, '.');
    tarn_writer_dec_pad(w, a % 1000, 3);
    tarn_writer_u8(w, ' ');
    tarn_writer_u8(w, v >= EQUATOR ? plus : minus);
    tarn_writer_u8(w, ' ');
}

/* An altitude always has its centimetres, a size only where it has some, as others print them. */
static void print_metres(struct tarn_writer *w, uint64_t cm, bool always) {
    tarn_writer_dec(w, cm / 100);
    if (always || cm % 100) {
        tarn_writer_u8(w, '.');
        tarn_writer_dec_pad(w, cm % 100, 2);
    }
    tarn_writer_u8(w, 'm');
}

void dns_print_loc(struct tarn_writer *w, struct tarn_span s) {
    struct tarn_span sizes = tarn_span_first(tarn_span_after(s, 1), 3);
    uint32_t latitude, longitude, altitude;
    uint8_t size;
    s = tarn_span_after(s, 4);
    if (!tarn_span_u32be(&s, &latitude) || !tarn_span_u32be(&s, &longitude)
        || !tarn_span_u32be(&s, &altitude))
        return;
    print_angle(w, latitude, 'N', 'S');
    print_angle(w, longitude, 'E', 'W');
    if (altitude < ALTITUDE_BASE_CM)
        tarn_writer_u8(w, '-');
    print_metres(
        w, altitude < ALTITUDE_BASE_CM ? ALTITUDE_BASE_CM - altitude : altitude - ALTITUDE_BASE_CM,
        true);
    while (tarn_span_u8(&sizes, &size)) {
        uint64_t cm = size >> 4;
        for (unsigned i = 0; i < (size & 15u); i++)
            cm *= 10;
        tarn_writer_u8(w, ' ');
        print_metres(w, cm, false);
    }
}

bool dns_loc_has_text(struct tarn_span rdata) {
    struct tarn_span sizes = tarn_span_first(tarn_span_after(rdata, 1), 3);
    uint8_t size;
    while (tarn_span_u8(&sizes, &size))
        if (size && size >> 4 == 0)
            return false;
    return true;
}
