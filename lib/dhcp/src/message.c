/* SPDX-License-Identifier: ISC */
#include <tarn/dhcp_message.h>

#define MAGIC_COOKIE 0x63825363u
#define SNAME_BYTES 64u
#define FILE_BYTES 128u
#define HTYPE_ETHERNET 1u
#define MESSAGE_BYTES_MIN 300u /* RFC 951: a BOOTP message, which some relays still insist on */

enum overload { OVERLOAD_FILE = 1, OVERLOAD_SNAME = 2 };

/* The next option of one field; false at its end or where it is broken. */
static bool next_option(struct tarn_span *area, uint8_t *code, struct tarn_span *value,
                        bool *broken) {
    uint8_t len;
    *broken = false;
    do {
        if (!tarn_span_u8(area, code) || *code == TARN_DHCP_OPT_END)
            return false;
    } while (*code == TARN_DHCP_OPT_PAD);
    *broken = !tarn_span_u8(area, &len) || !tarn_span_take(area, len, value);
    return !*broken;
}

static bool well_formed(struct tarn_span area) {
    struct tarn_span value;
    uint8_t code;
    bool broken;
    while (next_option(&area, &code, &value, &broken))
        ;
    return !broken;
}

static bool parse_fixed(struct tarn_span *s, struct tarn_dhcp_message *m, struct tarn_span *sname,
                        struct tarn_span *file) {
    uint8_t htype, hlen;
    struct tarn_ip_addr siaddr;
    uint32_t cookie;
    return tarn_span_u8(s, &m->op) && tarn_span_u8(s, &htype) && tarn_span_u8(s, &hlen)
           && tarn_span_u8(s, &m->hops) && tarn_span_u32be(s, &m->xid)
           && tarn_span_u16be(s, &m->secs) && tarn_span_u16be(s, &m->flags)
           && tarn_span_ipv4(s, &m->ciaddr) && tarn_span_ipv4(s, &m->yiaddr)
           && tarn_span_ipv4(s, &siaddr) && tarn_span_ipv4(s, &m->giaddr)
           && tarn_span_copy(s, m->mac, sizeof m->mac) && tarn_span_skip(s, 10)
           && tarn_span_take(s, SNAME_BYTES, sname) && tarn_span_take(s, FILE_BYTES, file)
           && tarn_span_u32be(s, &cookie) && cookie == MAGIC_COOKIE && htype == HTYPE_ETHERNET
           && hlen == sizeof m->mac;
}

bool tarn_dhcp_parse(struct tarn_span payload, struct tarn_dhcp_message *out) {
    struct tarn_dhcp_message m = {0};
    struct tarn_span sname, file, value;
    uint8_t overload, type;
    if (!parse_fixed(&payload, &m, &sname, &file))
        return false;
    TARN_AT(m.options, 0) = payload;
    if (!well_formed(payload))
        return false;
    /* RFC 2132 section 9.3: only the options field may say so; RFC 3396 section 5: file, then
     * sname. */
    if (tarn_dhcp_option(&m, TARN_DHCP_OPT_OVERLOAD, tarn_bytes_of(&overload, 1), &value)
        && value.len == 1) {
        if (overload & OVERLOAD_FILE)
            TARN_AT(m.options, 1) = file;
        if (overload & OVERLOAD_SNAME)
            TARN_AT(m.options, 2) = sname;
    }
    if (!well_formed(TARN_AT(m.options, 1)) || !well_formed(TARN_AT(m.options, 2)))
        return false;
    if (!tarn_dhcp_option(&m, TARN_DHCP_OPT_TYPE, tarn_bytes_of(&type, 1), &value)
        || value.len != 1)
        return false;
    m.type = type;
    *out = m;
    return true;
}

bool tarn_dhcp_option(const struct tarn_dhcp_message *msg, uint8_t code, struct tarn_bytes buf,
                      struct tarn_span *value) {
    struct tarn_writer w = tarn_writer_over(buf);
    bool found = false, broken;
    for (size_t i = 0; i < TARN_COUNT_OF(msg->options); i++) {
        struct tarn_span area = TARN_AT(msg->options, i), piece;
        uint8_t at;
        while (next_option(&area, &at, &piece, &broken)) {
            if (at != code)
                continue;
            found = true;
            tarn_writer_span_put(&w, piece);
        }
    }
    *value = tarn_writer_span(&w);
    return found && tarn_writer_ok(&w);
}

bool tarn_dhcp_option_u16(const struct tarn_dhcp_message *msg, uint8_t code, uint16_t *out) {
    uint8_t buf[2];
    struct tarn_span value;
    return tarn_dhcp_option(msg, code, TARN_BYTES_ARRAY(buf), &value)
           && tarn_span_u16be(&value, out);
}

bool tarn_dhcp_option_u32(const struct tarn_dhcp_message *msg, uint8_t code, uint32_t *out) {
    uint8_t buf[4];
    struct tarn_span value;
    return tarn_dhcp_option(msg, code, TARN_BYTES_ARRAY(buf), &value)
           && tarn_span_u32be(&value, out);
}

bool tarn_dhcp_option_addr(const struct tarn_dhcp_message *msg, uint8_t code,
                           struct tarn_ip_addr *out) {
    uint32_t v;
    if (!tarn_dhcp_option_u32(msg, code, &v))
        return false;
    *out = tarn_ip_addr_from_v4(v);
    return true;
}

size_t tarn_dhcp_option_addrs(const struct tarn_dhcp_message *msg, uint8_t code,
                              struct tarn_ip_addr *out, size_t max) {
    uint8_t buf[255];
    struct tarn_span value;
    size_t n = 0;
    if (!tarn_dhcp_option(msg, code, TARN_BYTES_ARRAY(buf), &value))
        return 0;
    while (n < max && tarn_span_ipv4(&value, &TARN_AT_N(out, max, n)))
        n++;
    return n;
}

bool tarn_dhcp_route_next(struct tarn_span *value, struct tarn_dhcp_route *out) {
    struct tarn_span s = *value;
    uint8_t bits, byte;
    uint32_t dst = 0;
    if (!tarn_span_u8(&s, &bits) || bits > 32)
        return false;
    for (unsigned i = 0; i < 4; i++) { /* only the significant bytes are there */
        if (i * 8 < bits && !tarn_span_u8(&s, &byte))
            return false;
        dst = dst << 8 | (i * 8 < bits ? byte : 0u);
    }
    /* RFC 3442: bits behind the prefix are zeroed by the client. */
    dst &= bits ? UINT32_MAX << (32 - bits) : 0;
    if (!tarn_span_ipv4(&s, &out->gateway))
        return false;
    out->dst = (struct tarn_ip_prefix){tarn_ip_addr_from_v4(dst), bits};
    *value = s;
    return true;
}

static bool is_name_byte(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
           || c == '_';
}

/* One label's text; what is not a host name's is refused, since programs paste it into others. */
static bool label_text(struct tarn_span label, struct tarn_writer *out) {
    tarn_writer_span_put(out, label);
    uint8_t c;
    while (tarn_span_u8(&label, &c))
        if (!is_name_byte(c))
            return false;
    return true;
}

/* RFC 1035 section 4.1.4. Each pointer goes before the start of the labels read so far, which is
 * what makes loops impossible. *at moves behind the name as it stands in the value. */
static bool name_text(struct tarn_span value, size_t *at, struct tarn_writer *out) {
    size_t pos = *at, floor = *at, text_len = 0;
    bool jumped = false;
    for (;;) {
        struct tarn_span s, label;
        uint8_t len, low;
        s = tarn_span_after(value, pos);
        if (!tarn_span_u8(&s, &len))
            return false;
        if (len >= 0xc0) {
            if (!tarn_span_u8(&s, &low))
                return false;
            if (!jumped)
                *at = pos + 2;
            size_t target = (size_t)(len & 0x3f) << 8 | low;
            if (target >= floor)
                return false;
            jumped = true;
            pos = floor = target;
            continue;
        }
        if (len > 63)
            return false;
        pos += 1u + len;
        if (len == 0)
            break;
        if (!tarn_span_take(&s, len, &label) || (text_len += 1u + len) > 254)
            return false;
        if (text_len > 1u + len)
            tarn_writer_u8(out, '.');
        if (!label_text(label, out))
            return false;
    }
    if (!jumped)
        *at = pos;
    return text_len > 0;
}

bool tarn_dhcp_search_text(struct tarn_span value, struct tarn_writer *out) {
    size_t at = 0;
    while (at < value.len) {
        if (at > 0)
            tarn_writer_u8(out, ' ');
        if (!name_text(value, &at, out) || !tarn_writer_ok(out))
            return false;
    }
    return value.len > 0;
}

void tarn_dhcp_write_header(struct tarn_writer *w, const struct tarn_dhcp_message *msg) {
    tarn_writer_u8(w, msg->op);
    tarn_writer_u8(w, HTYPE_ETHERNET);
    tarn_writer_u8(w, sizeof msg->mac);
    tarn_writer_u8(w, msg->hops);
    tarn_writer_u32be(w, msg->xid);
    tarn_writer_u16be(w, msg->secs);
    tarn_writer_u16be(w, msg->flags);
    tarn_writer_ipv4(w, &msg->ciaddr);
    tarn_writer_ipv4(w, &msg->yiaddr);
    tarn_writer_zero(w, 4);
    tarn_writer_ipv4(w, &msg->giaddr);
    tarn_writer_mem(w, msg->mac, sizeof msg->mac);
    tarn_writer_zero(w, 10 + SNAME_BYTES + FILE_BYTES);
    tarn_writer_u32be(w, MAGIC_COOKIE);
    tarn_dhcp_write_u8(w, TARN_DHCP_OPT_TYPE, msg->type);
}

void tarn_dhcp_write_option(struct tarn_writer *w, uint8_t code, struct tarn_span value) {
    do {
        struct tarn_span piece = tarn_span_first(value, 255);
        tarn_writer_u8(w, code);
        tarn_writer_u8(w, (uint8_t)piece.len);
        tarn_writer_span_put(w, piece);
        value = tarn_span_after(value, 255);
    } while (value.len);
}

void tarn_dhcp_write_u8(struct tarn_writer *w, uint8_t code, uint8_t value) {
    tarn_dhcp_write_option(w, code, tarn_span_of(&value, 1));
}

void tarn_dhcp_write_u16(struct tarn_writer *w, uint8_t code, uint16_t value) {
    tarn_writer_u8(w, code);
    tarn_writer_u8(w, sizeof value);
    tarn_writer_u16be(w, value);
}

void tarn_dhcp_write_u32(struct tarn_writer *w, uint8_t code, uint32_t value) {
    tarn_writer_u8(w, code);
    tarn_writer_u8(w, sizeof value);
    tarn_writer_u32be(w, value);
}

void tarn_dhcp_write_addr(struct tarn_writer *w, uint8_t code, const struct tarn_ip_addr *value) {
    tarn_dhcp_write_u32(w, code, tarn_ip_addr_v4(value));
}

void tarn_dhcp_write_end(struct tarn_writer *w) {
    tarn_writer_u8(w, TARN_DHCP_OPT_END);
    if (w->len < MESSAGE_BYTES_MIN)
        tarn_writer_zero(w, MESSAGE_BYTES_MIN - w->len);
}
