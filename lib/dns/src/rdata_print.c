/* SPDX-License-Identifier: ISC */
#include "text.h"
#include "types.h"

#include <tarn/ip_addr.h>
#include <tarn/time.h>

/* What is printed was checked before: a short read ends the text. */
static void string(struct tarn_writer *w, struct tarn_span *s, bool quoted) {
    struct tarn_span bytes;
    uint8_t len;
    if (!tarn_span_u8(s, &len) || !tarn_span_take(s, len, &bytes))
        return;
    if (quoted)
        dns_print_string(w, bytes);
    else
        tarn_writer_span_put(w, bytes);
}

static void number(struct tarn_writer *w, struct tarn_span *s, unsigned bytes) {
    uint64_t v = 0;
    uint8_t c;
    for (unsigned i = 0; i < bytes && tarn_span_u8(s, &c); i++)
        v = v << 8 | c;
    tarn_writer_dec(w, v);
}

static void groups(struct tarn_writer *w, struct tarn_span *s, unsigned count, unsigned bytes,
                   uint8_t between) {
    for (unsigned i = 0; i < count; i++) {
        struct tarn_span part;
        uint8_t c;
        if (i)
            tarn_writer_u8(w, between);
        if (tarn_span_take(s, bytes, &part))
            while (tarn_span_u8(&part, &c))
                tarn_writer_hex(w, c, 2);
    }
}

static void counted(struct tarn_writer *w, struct tarn_span *s, uint8_t f) {
    struct tarn_span bytes;
    uint8_t one = 0;
    uint16_t len = 0;
    if (!(f == 'M' ? tarn_span_u16be(s, &len) : tarn_span_u8(s, &one))
        || !tarn_span_take(s, f == 'M' ? len : one, &bytes))
        return;
    if (bytes.len == 0)
        tarn_writer_u8(w, '-');
    else if (f == 'M')
        dns_print_base64(w, bytes);
    else if (f == 'H')
        dns_print_hex(w, bytes);
    else
        dns_print_base32(w, bytes);
}

static void name(struct tarn_writer *w, struct tarn_span *s) {
    struct tarn_span n;
    if (tarn_dns_name_take(s, &n))
        tarn_dns_name_print(w, n);
}

static void address(struct tarn_writer *w, struct tarn_span *s, bool v4) {
    struct tarn_ip_addr addr;
    if (v4 ? tarn_span_ipv4(s, &addr) : tarn_span_ipv6(s, &addr))
        dns_print_addr(w, &addr, v4);
}

void dns_print_time(struct tarn_writer *w, uint32_t seconds) {
    struct tarn_date d = tarn_date_from_unix(seconds);
    tarn_writer_dec_pad(w, (uint64_t)d.year, 4);
    tarn_writer_dec_pad(w, d.month, 2);
    tarn_writer_dec_pad(w, d.day, 2);
    tarn_writer_dec_pad(w, d.hour, 2);
    tarn_writer_dec_pad(w, d.minute, 2);
    tarn_writer_dec_pad(w, d.second, 2);
}

static void gateway(struct tarn_writer *w, struct tarn_span *s) {
    uint8_t type = s->len > 1 ? tarn_span_at(*s, 1) : 0;
    for (int i = 0; i < 3; i++) {
        number(w, s, 1);
        tarn_writer_u8(w, ' ');
    }
    if (type == 3)
        name(w, s);
    else if (type == 0)
        tarn_writer_u8(w, '.');
    else
        address(w, s, type == 1);
}

static void hip(struct tarn_writer *w, struct tarn_span *s) {
    uint8_t hit, algorithm;
    uint16_t key;
    struct tarn_span bytes;
    if (!tarn_span_u8(s, &hit) || !tarn_span_u8(s, &algorithm) || !tarn_span_u16be(s, &key))
        return;
    tarn_writer_dec(w, algorithm);
    tarn_writer_u8(w, ' ');
    if (tarn_span_take(s, hit, &bytes))
        dns_print_hex(w, bytes);
    tarn_writer_u8(w, ' ');
    if (tarn_span_take(s, key, &bytes))
        dns_print_base64(w, bytes);
    while (s->len) {
        tarn_writer_u8(w, ' ');
        name(w, s);
    }
}

static void type_or_time(struct tarn_writer *w, struct tarn_span *s, uint8_t f) {
    uint16_t type;
    uint32_t time;
    if (f == 'y' && tarn_span_u16be(s, &type))
        tarn_dns_type_print(w, type);
    else if (f == 'e' && tarn_span_u32be(s, &time))
        dns_print_time(w, time);
}

static struct tarn_span all(struct tarn_span *s) {
    struct tarn_span was = *s;
    *s = TARN_SPAN_EMPTY;
    return was;
}

static void strings(struct tarn_writer *w, struct tarn_span *s) {
    while (s->len) {
        string(w, s, true);
        if (s->len)
            tarn_writer_u8(w, ' ');
    }
}

static void field(struct tarn_writer *w, struct tarn_span *s, uint8_t f) {
    switch (f) {
    case 'c':
    case 'n': name(w, s); return;
    case '1':
    case 'g': number(w, s, 1); return;
    case '2':
    case 'C': number(w, s, 2); return;
    case '4':
    case 't': number(w, s, 4); return;
    case 'W': number(w, s, 6); return;
    case 'y':
    case 'e': type_or_time(w, s, f); return;
    case 'a':
    case 'A': address(w, s, f == 'a'); return;
    case '6': groups(w, s, 6, 1, '-'); return;
    case '8': groups(w, s, 8, 1, '-'); return;
    case 'i': groups(w, s, 4, 2, ':'); return;
    case 's': string(w, s, true); return;
    case 'o': strings(w, s); return;
    case 'S': strings(w, s); return;
    case 'u': string(w, s, false); return;
    case 'q': dns_print_string(w, all(s)); return;
    case 'h': dns_print_hex(w, all(s)); return;
    case 'b': dns_print_base64(w, all(s)); return;
    case 'H':
    case 'B':
    case 'M': counted(w, s, f); return;
    case 'l': dns_print_loc(w, all(s)); return;
    case 'G': gateway(w, s); return;
    case 'N':
        tarn_writer_str(w, "0x");
        dns_print_hex(w, all(s));
        return;
    default: hip(w, s);
    }
}

/* These bring their own blanks, since they may be empty. */
static bool list(struct tarn_writer *w, struct tarn_span *s, uint8_t f) {
    if (f == 'p')
        dns_print_svc(w, all(s));
    else if (f == 'Y')
        dns_print_bitmap(w, all(s));
    else if (f == 'L')
        dns_print_apl(w, all(s));
    return f == 'p' || f == 'Y' || f == 'L';
}

static void generic(struct tarn_writer *w, struct tarn_span rdata) {
    tarn_writer_str(w, "\\# ");
    tarn_writer_dec(w, rdata.len);
    if (rdata.len)
        tarn_writer_u8(w, ' ');
    dns_print_hex(w, rdata);
}

void tarn_dns_rdata_print(struct tarn_writer *w, struct tarn_span rdata, uint16_t type) {
    const char *format = dns_type_fields(type);
    struct tarn_span fields = tarn_span_str(format ? format : ""), s = rdata;
    bool first = true;
    uint8_t f;
    if (!format || !tarn_dns_rdata_valid(rdata, type)
        || (type == TARN_DNS_LOC && !dns_loc_has_text(rdata))) {
        generic(w, rdata);
        return;
    }
    while (tarn_span_u8(&fields, &f)) {
        if (list(w, &s, f))
            continue;
        if (!first && (s.len || f != 'o') && (s.len || f != 'b'))
            tarn_writer_u8(w, ' ');
        first = false;
        field(w, &s, f);
    }
}

void tarn_dns_record_print(struct tarn_writer *w, struct tarn_span owner, uint16_t type,
                           uint16_t klass, uint32_t ttl, struct tarn_span rdata) {
    tarn_dns_name_print(w, owner);
    tarn_writer_u8(w, ' ');
    tarn_writer_dec(w, ttl);
    tarn_writer_u8(w, ' ');
    tarn_dns_class_print(w, klass);
    tarn_writer_u8(w, ' ');
    tarn_dns_type_print(w, type);
    tarn_writer_u8(w, ' ');
    tarn_dns_rdata_print(w, rdata, type);
}
