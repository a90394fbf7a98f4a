/* SPDX-License-Identifier: ISC */
/* Record data from text, field by field (src/types.h). The lexer's word is always the next one to
 * be read, so that the end of a line is seen before it is passed. */
#include "rdata_text.h"

#include <tarn/ip_addr.h>
#include <tarn/time.h>

bool dns_fail(struct dns_parse *p, const char *why) {
    if (!p->why)
        p->why = why;
    return false;
}

bool dns_at_line_end(const struct dns_parse *p) {
    return p->l->word.kind == DNS_LINE_END || p->l->word.kind == DNS_TEXT_END;
}

bool dns_want(struct dns_parse *p, struct tarn_span *text) {
    p->line = p->l->word.line;
    p->column = p->l->word.column;
    if (p->l->word.kind == DNS_BAD)
        return dns_fail(p, p->l->why);
    if (dns_at_line_end(p))
        return dns_fail(p, "the line ends too early");
    *text = p->l->word.text;
    dns_lexer_next(p->l);
    return true;
}

/* Looks before it takes, so that an error points to the word itself. */
static bool peek(struct dns_parse *p, struct tarn_span *text) {
    struct dns_lexer was = *p->l;
    bool ok = dns_want(p, text);
    if (ok)
        *p->l = was;
    return ok;
}

static bool accept(struct dns_parse *p) {
    dns_lexer_next(p->l);
    return true;
}

bool dns_want_number(struct dns_parse *p, uint64_t max, uint64_t *out) {
    struct tarn_span text;
    if (!peek(p, &text))
        return false;
    if (!tarn_span_parse_dec(text, max, out))
        return dns_fail(p, "not a number in range");
    return accept(p);
}

bool dns_want_name(struct dns_parse *p) {
    struct tarn_dns_name name;
    struct tarn_span text;
    if (!peek(p, &text))
        return false;
    if (!tarn_dns_name_parse(text, p->origin, &name))
        return dns_fail(p, "not a name");
    tarn_writer_span_put(p->out, tarn_dns_name_span(&name));
    return accept(p);
}

static bool number(struct dns_parse *p, unsigned bytes) {
    uint64_t v;
    if (!dns_want_number(p, UINT64_MAX >> (64 - 8 * bytes), &v))
        return false;
    for (unsigned i = bytes; i-- > 0;)
        tarn_writer_u8(p->out, (uint8_t)(v >> 8 * i));
    return true;
}

static bool address(struct dns_parse *p, bool v4) {
    struct tarn_span text;
    struct tarn_ip_addr addr;
    if (!peek(p, &text))
        return false;
    if (!dns_parse_addr(text, v4, &addr))
        return dns_fail(p, v4 ? "not an IPv4 address" : "not an IPv6 address");
    if (v4)
        tarn_writer_ipv4(p->out, &addr);
    else
        tarn_writer_ipv6(p->out, &addr);
    return accept(p);
}

static bool string(struct dns_parse *p) {
    uint8_t bytes[255];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    struct tarn_span text;
    if (!peek(p, &text))
        return false;
    if (!dns_text_bytes(text, &w))
        return dns_fail(p, "a bad escape");
    if (!tarn_writer_ok(&w))
        return dns_fail(p, "a string of more than 255 bytes");
    tarn_writer_u8(p->out, (uint8_t)w.len);
    tarn_writer_span_put(p->out, tarn_writer_span(&w));
    return accept(p);
}

static bool strings(struct dns_parse *p) {
    do {
        if (!string(p))
            return false;
    } while (!dns_at_line_end(p));
    return true;
}

static bool rest_as_string(struct dns_parse *p) {
    struct tarn_span text;
    if (!peek(p, &text))
        return false;
    return dns_text_bytes(text, p->out) ? accept(p) : dns_fail(p, "a bad escape");
}

/* All words to the end of the line, as one. */
static bool encoded(struct dns_parse *p, uint8_t width) {
    struct dns_decoder decoder = {.width = width};
    struct tarn_span text;
    do {
        if (!peek(p, &text))
            return false;
        if (!dns_decode(&decoder, text, p->out))
            return dns_fail(p, width == 4 ? "not hexadecimal" : "not base64");
        accept(p);
    } while (!dns_at_line_end(p));
    return dns_decode_end(&decoder) || dns_fail(p, width == 4 ? "half a byte" : "cut-off base64");
}

/* One word behind a length of 8 or 16 bits; "-" is empty. */
static bool counted(struct dns_parse *p, uint8_t width, bool two) {
    struct dns_decoder decoder = {.width = width};
    uint8_t bytes[1024];
    struct tarn_writer w = TARN_WRITER_ARRAY(bytes);
    struct tarn_span text;
    if (!peek(p, &text))
        return false;
    if (!tarn_span_equal(text, TARN_SPAN_LIT("-"))
        && (!dns_decode(&decoder, text, &w) || !dns_decode_end(&decoder)))
        return dns_fail(p, "badly encoded");
    if (!tarn_writer_ok(&w) || (!two && w.len > 255))
        return dns_fail(p, "too long");
    if (two)
        tarn_writer_u16be(p->out, (uint16_t)w.len);
    else
        tarn_writer_u8(p->out, (uint8_t)w.len);
    tarn_writer_span_put(p->out, tarn_writer_span(&w));
    return accept(p);
}

static bool seconds(struct dns_parse *p, bool time) {
    struct tarn_span text;
    uint32_t v;
    if (!peek(p, &text))
        return false;
    if (!(time ? dns_parse_time(text, &v) : dns_parse_ttl(text, &v)))
        return dns_fail(p, time ? "not a time" : "not a number of seconds");
    tarn_writer_u32be(p->out, v);
    return accept(p);
}

static bool mnemonic(struct dns_parse *p, uint8_t field) {
    struct tarn_span text;
    uint16_t v;
    uint8_t algorithm;
    if (!peek(p, &text))
        return false;
    if (field == 'g') {
        if (!dns_algorithm_parse(text, &algorithm))
            return dns_fail(p, "not an algorithm");
        tarn_writer_u8(p->out, algorithm);
        return accept(p);
    }
    if (!(field == 'C' ? dns_cert_type_parse(text, &v) : tarn_dns_type_parse(text, &v)))
        return dns_fail(p, "not a type");
    tarn_writer_u16be(p->out, v);
    return accept(p);
}

/* Groups of hexadecimal digits with a character between. */
static bool groups(struct dns_parse *p, unsigned count, unsigned bytes, uint8_t between) {
    struct tarn_span text;
    if (!peek(p, &text))
        return false;
    for (unsigned i = 0; i < count; i++) {
        struct tarn_span group;
        uint64_t v;
        bool more = tarn_span_split(&text, between, &group);
        if (more != (i + 1 < count) || group.len > 2 * bytes
            || !tarn_span_parse_hex(group, UINT64_MAX >> (64 - 8 * bytes), &v))
            return dns_fail(p, "not an identifier of its form");
        if (bytes == 2)
            tarn_writer_u16be(p->out, (uint16_t)v);
        else
            tarn_writer_u8(p->out, (uint8_t)v);
    }
    return accept(p);
}

static bool nsap(struct dns_parse *p) {
    struct dns_decoder decoder = {.width = 4};
    struct tarn_span text;
    if (!peek(p, &text))
        return false;
    if (!tarn_span_equal_nocase(tarn_span_first(text, 2), TARN_SPAN_LIT("0x")))
        return dns_fail(p, "not an address behind 0x");
    text = tarn_span_after(text, 2);
    struct tarn_span part;
    for (bool more = true; more;) {
        more = tarn_span_split(&text, '.', &part);
        if (!dns_decode(&decoder, part, p->out))
            return dns_fail(p, "not hexadecimal");
    }
    return dns_decode_end(&decoder) ? accept(p) : dns_fail(p, "half a byte");
}

bool dns_parse_gateway(struct dns_parse *p) {
    uint64_t precedence, type, algorithm;
    struct tarn_span text;
    if (!dns_want_number(p, 255, &precedence) || !dns_want_number(p, 3, &type)
        || !dns_want_number(p, 255, &algorithm))
        return false;
    tarn_writer_u8(p->out, (uint8_t)precedence);
    tarn_writer_u8(p->out, (uint8_t)type);
    tarn_writer_u8(p->out, (uint8_t)algorithm);
    if (type == 3)
        return dns_want_name(p);
    if (type)
        return address(p, type == 1);
    if (!peek(p, &text))
        return false;
    return tarn_span_equal(text, TARN_SPAN_LIT(".")) ? accept(p) : dns_fail(p, "a . is missing");
}

/* RFC 8005 section 6: algorithm, HIT, key, servers */
static bool hip(struct dns_parse *p) {
    struct dns_decoder hex = {.width = 4}, base64 = {.width = 6};
    uint8_t hit_bytes[255], key_bytes[4096];
    struct tarn_writer hit = TARN_WRITER_ARRAY(hit_bytes), key = TARN_WRITER_ARRAY(key_bytes);
    struct tarn_span text;
    uint64_t algorithm;
    if (!dns_want_number(p, 255, &algorithm) || !dns_want(p, &text))
        return false;
    if (!dns_decode(&hex, text, &hit) || !dns_decode_end(&hex) || !tarn_writer_ok(&hit) || !hit.len)
        return dns_fail(p, "not a tag in hexadecimal");
    if (!dns_want(p, &text))
        return false;
    if (!dns_decode(&base64, text, &key) || !dns_decode_end(&base64) || !tarn_writer_ok(&key)
        || !key.len)
        return dns_fail(p, "not a key in base64");
    tarn_writer_u8(p->out, (uint8_t)hit.len);
    tarn_writer_u8(p->out, (uint8_t)algorithm);
    tarn_writer_u16be(p->out, (uint16_t)key.len);
    tarn_writer_span_put(p->out, tarn_writer_span(&hit));
    tarn_writer_span_put(p->out, tarn_writer_span(&key));
    while (!dns_at_line_end(p))
        if (!dns_want_name(p))
            return false;
    return true;
}

static bool field(struct dns_parse *p, uint8_t f) {
    switch (f) {
    case 'c':
    case 'n': return dns_want_name(p);
    case '1': return number(p, 1);
    case '2': return number(p, 2);
    case '4': return number(p, 4);
    case 'W': return number(p, 6);
    case 't':
    case 'e': return seconds(p, f == 'e');
    case 'y':
    case 'g':
    case 'C': return mnemonic(p, f);
    case 'a':
    case 'A': return address(p, f == 'a');
    case '6': return groups(p, 6, 1, '-');
    case '8': return groups(p, 8, 1, '-');
    case 'i': return groups(p, 4, 2, ':');
    case 'o': return dns_at_line_end(p) || string(p);
    case 's':
    case 'u': return string(p);
    case 'S': return strings(p);
    case 'h': return encoded(p, 4);
    case 'b': return dns_at_line_end(p) || encoded(p, 6);
    case 'H': return counted(p, 4, false);
    case 'B': return counted(p, 5, false);
    case 'M': return counted(p, 6, true);
    case 'q': return rest_as_string(p);
    case 'l': return dns_parse_loc(p);
    case 'p': return dns_parse_svc(p);
    case 'Y': return dns_parse_bitmap(p);
    case 'L': return dns_parse_apl(p);
    case 'G': return dns_parse_gateway(p);
    case 'N': return nsap(p);
    default: return hip(p);
    }
}

/* RFC 3597 section 5: \# LENGTH HEX */
static bool generic(struct dns_parse *p, uint16_t type) {
    size_t from = p->out->len;
    uint64_t len;
    accept(p);
    if (!dns_want_number(p, TARN_DNS_RDATA_MAX, &len) || (len && !encoded(p, 4)))
        return false;
    if (p->out->len - from != len)
        return dns_fail(p, "not as long as it says");
    struct tarn_span data = tarn_span_after(tarn_writer_span(p->out), from);
    return tarn_dns_rdata_valid(data, type) || dns_fail(p, "not data of its type");
}

bool dns_rdata_parse(struct dns_parse *p, uint16_t type) {
    const char *format = dns_type_fields(type);
    struct tarn_span fields = tarn_span_str(format ? format : ""), text;
    size_t from = p->out->len;
    uint8_t f;
    p->line = p->l->word.line;
    p->column = p->l->word.column;
    if (!dns_at_line_end(p) && !peek(p, &text))
        return false;
    if (p->l->word.kind == DNS_WORD && tarn_span_equal(text, TARN_SPAN_LIT("\\#"))) {
        if (!generic(p, type))
            return false;
    } else if (!format) {
        return dns_fail(p, "a type without a text form of its own needs \\#");
    } else
        while (tarn_span_u8(&fields, &f))
            if (!field(p, f))
                return false;
    if (!dns_at_line_end(p)) {
        p->line = p->l->word.line;
        p->column = p->l->word.column;
        return dns_fail(p, p->l->word.kind == DNS_BAD ? p->l->why : "more than the record has");
    }
    if (!tarn_writer_ok(p->out))
        return dns_fail(p, "too long");
    return tarn_dns_rdata_valid(tarn_span_after(tarn_writer_span(p->out), from), type)
           || dns_fail(p, "not data of its type");
}

bool tarn_dns_rdata_parse(struct tarn_span text, uint16_t type, struct tarn_span origin,
                          struct tarn_writer *out, const char **why, uint32_t *column) {
    struct dns_lexer l;
    struct dns_parse p = {.l = &l, .origin = origin, .out = out};
    dns_lexer_init(&l, text);
    dns_lexer_next(&l);
    bool ok = dns_rdata_parse(&p, type);
    *why = p.why;
    *column = p.column;
    return ok;
}

/* -- seconds ------------------------------------------------------------------------------------
 */

bool dns_parse_ttl(struct tarn_span text, uint32_t *out) {
    uint64_t total = 0, v = 0;
    bool digits = false, any = false;
    uint8_t c;
    while (tarn_span_u8(&text, &c)) {
        if (c >= '0' && c <= '9') {
            v = v * 10 + (uint64_t)(c - '0');
            digits = true;
            if (v > UINT32_MAX)
                return false;
            continue;
        }
        uint64_t unit;
        switch (tarn_dns_lower(c)) {
        case 's': unit = 1; break;
        case 'm': unit = 60; break;
        case 'h': unit = 3600; break;
        case 'd': unit = 86400; break;
        case 'w': unit = 604800; break;
        default: return false;
        }
        if (!digits)
            return false;
        total += v * unit;
        any = true;
        v = 0;
        digits = false;
    }
    total += v;
    *out = (uint32_t)total;
    return (digits || any) && total <= UINT32_MAX;
}

static bool two_digits(struct tarn_span *s, unsigned n, uint64_t *out) {
    struct tarn_span part;
    return tarn_span_take(s, n, &part) && tarn_span_parse_dec(part, 9999, out);
}

/* RFC 4034 section 3.2: YYYYMMDDHHmmSS, or a number of seconds. Times are modulo 2^32. */
bool dns_parse_time(struct tarn_span text, uint32_t *out) {
    uint64_t year, month, day, hour, minute, second, number_of;
    int64_t unix_seconds;
    if (text.len != 14) {
        if (!tarn_span_parse_dec(text, UINT32_MAX, &number_of))
            return false;
        *out = (uint32_t)number_of;
        return true;
    }
    if (!two_digits(&text, 4, &year) || !two_digits(&text, 2, &month) || !two_digits(&text, 2, &day)
        || !two_digits(&text, 2, &hour) || !two_digits(&text, 2, &minute)
        || !two_digits(&text, 2, &second))
        return false;
    struct tarn_date date = {.year = (int32_t)year,
                             .month = (uint8_t)month,
                             .day = (uint8_t)day,
                             .hour = (uint8_t)hour,
                             .minute = (uint8_t)minute,
                             .second = (uint8_t)second};
    if (!tarn_date_to_unix(&date, &unix_seconds) || unix_seconds < 0)
        return false;
    *out = (uint32_t)unix_seconds;
    return true;
}
