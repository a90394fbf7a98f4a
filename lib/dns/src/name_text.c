/* SPDX-License-Identifier: ISC */
#include "text.h"

bool dns_text_byte(struct tarn_span *s, uint8_t *out, bool *plain) {
    uint8_t c;
    if (!tarn_span_u8(s, &c))
        return false;
    *plain = c != '\\';
    *out = c;
    if (*plain)
        return true;
    if (!tarn_span_u8(s, &c))
        return false;
    *out = c;
    if (c < '0' || c > '9')
        return true;
    struct tarn_span digits;
    uint64_t value;
    if (!tarn_span_take(s, 2, &digits) || !tarn_span_parse_dec(digits, 99, &value))
        return false;
    value += 100u * (unsigned)(c - '0');
    *out = (uint8_t)value;
    return value <= 255;
}

bool dns_text_bytes(struct tarn_span text, struct tarn_writer *out) {
    uint8_t c;
    bool plain;
    while (text.len) {
        if (!dns_text_byte(&text, &c, &plain))
            return false;
        tarn_writer_u8(out, c);
    }
    return true;
}

/* RFC 4343 section 2.1; and what a zone file gives a meaning to. */
void dns_print_byte(struct tarn_writer *w, uint8_t c, bool in_name) {
    bool special = c == '"' || c == '\\';
    if (in_name)
        special |= c == '.' || c == ';' || c == '(' || c == ')' || c == '@' || c == '$';
    if (c < ' ' || c > '~' || (in_name && c == ' ')) {
        tarn_writer_u8(w, '\\');
        tarn_writer_dec_pad(w, c, 3);
        return;
    }
    if (special)
        tarn_writer_u8(w, '\\');
    tarn_writer_u8(w, c);
}

void dns_print_string(struct tarn_writer *w, struct tarn_span bytes) {
    uint8_t c;
    tarn_writer_u8(w, '"');
    while (tarn_span_u8(&bytes, &c))
        dns_print_byte(w, c, false);
    tarn_writer_u8(w, '"');
}

void tarn_dns_name_print(struct tarn_writer *w, struct tarn_span name) {
    if (name.len <= 1)
        tarn_writer_u8(w, '.');
    for (; name.len > 1; name = tarn_dns_name_parent(name)) {
        struct tarn_span label = tarn_dns_name_label(name);
        uint8_t c;
        while (tarn_span_u8(&label, &c))
            dns_print_byte(w, c, true);
        tarn_writer_u8(w, '.');
    }
}

static bool put_label(struct tarn_writer *w, const struct tarn_writer *label) {
    struct tarn_span bytes = tarn_writer_span(label);
    if (bytes.len == 0)
        return false; /* empty, or longer than its array */
    tarn_writer_u8(w, (uint8_t)bytes.len);
    tarn_writer_span_put(w, bytes);
    return true;
}

bool tarn_dns_name_parse(struct tarn_span text, struct tarn_span origin,
                         struct tarn_dns_name *out) {
    uint8_t bytes[TARN_DNS_LABEL_MAX], c;
    struct tarn_writer w = TARN_WRITER_ARRAY(out->bytes), label = TARN_WRITER_ARRAY(bytes);
    bool absolute = false, plain;
    if (tarn_span_equal(text, TARN_SPAN_LIT("."))) {
        *out = TARN_DNS_ROOT;
        return true;
    }
    if (tarn_span_equal(text, TARN_SPAN_LIT("@")) && origin.len) {
        tarn_dns_name_copy(out, origin);
        return true;
    }
    if (text.len == 0)
        return false;
    while (text.len) {
        if (!dns_text_byte(&text, &c, &plain))
            return false;
        if (c != '.' || !plain) {
            tarn_writer_u8(&label, c);
            continue;
        }
        if (!put_label(&w, &label))
            return false;
        label = TARN_WRITER_ARRAY(bytes);
        absolute = text.len == 0;
    }
    if (absolute)
        tarn_writer_u8(&w, 0);
    else if (origin.len == 0 || !put_label(&w, &label))
        return false;
    else
        tarn_writer_span_put(&w, origin);
    out->len = (uint8_t)tarn_writer_span(&w).len;
    return tarn_writer_ok(&w);
}

bool dns_parse_addr(struct tarn_span text, bool v4, struct tarn_ip_addr *out) {
    size_t colon;
    return tarn_span_find(text, ':', &colon) != v4 && tarn_ip_addr_parse(text, out);
}

void dns_print_addr(struct tarn_writer *w, const struct tarn_ip_addr *addr, bool v4) {
    if (!v4 && tarn_ip_addr_is_v4(addr))
        tarn_writer_str(w, "::ffff:");
    tarn_writer_ip_addr(w, addr);
}
