/* SPDX-License-Identifier: ISC */
/* Service parameters of SVCB and HTTPS (RFC 9460). */
#include "text.h"
#include "types.h"

#include <tarn/ip_addr.h>

#define PARAMS_MAX 64

enum { MANDATORY, ALPN, NO_DEFAULT_ALPN, PORT, IPV4HINT, ECH, IPV6HINT, DOHPATH, OHTTP };
static const char *const names[] = {"mandatory", "alpn",     "no-default-alpn", "port", "ipv4hint",
                                    "ech",       "ipv6hint", "dohpath",         "ohttp"};

/* -- wire ---------------------------------------------------------------------------------------
 */

static bool next(struct tarn_span *s, uint16_t *key, struct tarn_span *value) {
    uint16_t len;
    return tarn_span_u16be(s, key) && tarn_span_u16be(s, &len) && tarn_span_take(s, len, value);
}

static bool check_mandatory(struct tarn_span value) {
    int last = MANDATORY; /* which may not name itself: RFC 9460 section 8 */
    uint16_t key;
    bool any = value.len > 0;
    while (tarn_span_u16be(&value, &key)) {
        if (key <= last)
            return false;
        last = key;
    }
    return any && value.len == 0;
}

static bool check_alpn(struct tarn_span value) {
    uint8_t len;
    bool any = value.len > 0;
    while (tarn_span_u8(&value, &len))
        if (len == 0 || !tarn_span_skip(&value, len))
            return false;
    return any;
}

static bool check_value(uint16_t key, struct tarn_span value) {
    switch (key) {
    case MANDATORY: return check_mandatory(value);
    case ALPN: return check_alpn(value);
    case NO_DEFAULT_ALPN:
    case OHTTP: return value.len == 0;
    case PORT: return value.len == 2;
    case IPV4HINT: return value.len && value.len % 4 == 0;
    case IPV6HINT: return value.len && value.len % 16 == 0;
    case ECH: return value.len > 0;
    default: return true;
    }
}

bool dns_check_svc(struct tarn_span s) {
    int last = -1;
    while (s.len) {
        uint16_t key;
        struct tarn_span value;
        if (!next(&s, &key, &value) || key <= last || key == 65535 || !check_value(key, value))
            return false;
        last = key;
    }
    return true;
}

/* -- printing -----------------------------------------------------------------------------------
 */

static void print_key(struct tarn_writer *w, uint16_t key) {
    if (key < TARN_COUNT_OF(names)) {
        tarn_writer_str(w, TARN_AT(names, key));
    } else {
        tarn_writer_str(w, "key");
        tarn_writer_dec(w, key);
    }
}

/* A comma and a backslash in an item are escaped twice (RFC 9460 appendix A.1). */
static void print_alpn(struct tarn_writer *w, struct tarn_span value) {
    struct tarn_span item;
    uint8_t len, c;
    bool first = true;
    tarn_writer_u8(w, '"');
    while (tarn_span_u8(&value, &len) && tarn_span_take(&value, len, &item)) {
        if (!first)
            tarn_writer_u8(w, ',');
        first = false;
        while (tarn_span_u8(&item, &c)) {
            if (c == ',' || c == '\\')
                tarn_writer_str(w, "\\\\");
            dns_print_byte(w, c, false);
        }
    }
    tarn_writer_u8(w, '"');
}

static void print_addrs(struct tarn_writer *w, struct tarn_span value, bool v4) {
    struct tarn_ip_addr addr;
    for (bool first = true; v4 ? tarn_span_ipv4(&value, &addr) : tarn_span_ipv6(&value, &addr);
         first = false) {
        if (!first)
            tarn_writer_u8(w, ',');
        dns_print_addr(w, &addr, v4);
    }
}

static void print_value(struct tarn_writer *w, uint16_t key, struct tarn_span value) {
    uint16_t v;
    tarn_writer_u8(w, '=');
    switch (key) {
    case MANDATORY:
        for (bool first = true; tarn_span_u16be(&value, &v); first = false) {
            if (!first)
                tarn_writer_u8(w, ',');
            print_key(w, v);
        }
        return;
    case ALPN: print_alpn(w, value); return;
    case PORT:
        if (tarn_span_u16be(&value, &v))
            tarn_writer_dec(w, v);
        return;
    case IPV4HINT: print_addrs(w, value, true); return;
    case IPV6HINT: print_addrs(w, value, false); return;
    case ECH: dns_print_base64(w, value); return;
    default: dns_print_string(w, value);
    }
}

void dns_print_svc(struct tarn_writer *w, struct tarn_span s) {
    uint16_t key;
    struct tarn_span value;
    while (next(&s, &key, &value)) {
        tarn_writer_u8(w, ' ');
        print_key(w, key);
        if (value.len)
            print_value(w, key, value);
    }
}

/* -- parsing ------------------------------------------------------------------------------------
 */

static bool parse_key(struct tarn_span text, uint16_t *key) {
    uint64_t v;
    for (size_t i = 0; i < TARN_COUNT_OF(names); i++)
        if (tarn_span_equal(text, tarn_span_str(TARN_AT(names, i)))) {
            *key = (uint16_t)i;
            return true;
        }
    if (!tarn_span_starts(text, TARN_SPAN_LIT("key"))
        || !tarn_span_parse_dec(tarn_span_after(text, 3), 65534, &v))
        return false;
    *key = (uint16_t)v;
    return true;
}

static bool put_item(struct tarn_writer *w, const struct tarn_writer *item) {
    struct tarn_span bytes = tarn_writer_span(item);
    if (bytes.len == 0)
        return false;
    tarn_writer_u8(w, (uint8_t)bytes.len);
    tarn_writer_span_put(w, bytes);
    return true;
}

/* `text` has its escapes resolved once; the list has its own. */
static bool parse_alpn(struct tarn_span text, struct tarn_writer *w) {
    uint8_t buf[255], c;
    struct tarn_writer item = TARN_WRITER_ARRAY(buf);
    while (tarn_span_u8(&text, &c)) {
        if (c == ',') {
            if (!put_item(w, &item))
                return false;
            item = TARN_WRITER_ARRAY(buf);
            continue;
        }
        if (c == '\\' && !tarn_span_u8(&text, &c))
            return false;
        tarn_writer_u8(&item, c);
    }
    return put_item(w, &item);
}

static bool parse_mandatory(struct tarn_span text, struct tarn_writer *w) {
    uint16_t keys[PARAMS_MAX], key;
    size_t n = 0;
    bool more = true;
    while (more) {
        struct tarn_span one;
        more = tarn_span_split(&text, ',', &one);
        if (!parse_key(one, &key) || n == PARAMS_MAX)
            return false;
        size_t at = n++;
        for (; at > 0 && TARN_AT(keys, at - 1) > key; at--)
            TARN_AT(keys, at) = TARN_AT(keys, at - 1);
        TARN_AT(keys, at) = key;
    }
    for (size_t i = 0; i < n; i++)
        tarn_writer_u16be(w, TARN_AT(keys, i));
    return true;
}

static bool parse_addrs(struct tarn_span text, struct tarn_writer *w, bool v4) {
    bool more = true;
    while (more) {
        struct tarn_span one;
        struct tarn_ip_addr addr;
        more = tarn_span_split(&text, ',', &one);
        if (!dns_parse_addr(one, v4, &addr))
            return false;
        if (v4)
            tarn_writer_ipv4(w, &addr);
        else
            tarn_writer_ipv6(w, &addr);
    }
    return true;
}

static bool parse_value(uint16_t key, struct tarn_span text, struct tarn_writer *w) {
    struct dns_decoder decoder = {.width = 6};
    uint64_t v;
    switch (key) {
    case MANDATORY: return parse_mandatory(text, w);
    case ALPN: return parse_alpn(text, w);
    case PORT:
        if (!tarn_span_parse_dec(text, 65535, &v))
            return false;
        tarn_writer_u16be(w, (uint16_t)v);
        return true;
    case IPV4HINT: return parse_addrs(text, w, true);
    case IPV6HINT: return parse_addrs(text, w, false);
    case ECH: return dns_decode(&decoder, text, w) && dns_decode_end(&decoder);
    default: tarn_writer_span_put(w, text); return true;
    }
}

/* One parameter: a word key, or key=value, or key= with a string behind it. */
struct param {
    uint16_t key;
    struct tarn_span text;
};

static bool take_param(struct dns_parse *p, struct param *out) {
    struct tarn_span word, key;
    if (!dns_want(p, &word))
        return false;
    bool value = tarn_span_split(&word, '=', &key);
    if (!parse_key(key, &out->key))
        return dns_fail(p, "not a service parameter");
    out->text = word;
    /* key="...": the lexer ends the word before the quote. */
    return !value || word.len || p->l->word.kind != DNS_QUOTED || dns_want(p, &out->text);
}

static bool put_param(struct dns_parse *p, const struct param *param) {
    struct tarn_bytes room = tarn_bytes_after(tarn_bytes_of(p->out->ptr, p->out->cap), p->out->len);
    uint8_t buf[4096];
    struct tarn_writer raw = TARN_WRITER_ARRAY(buf), w;
    if (!tarn_writer_ok(p->out) || room.len < 4)
        return dns_fail(p, "too long");
    w = tarn_writer_over(tarn_bytes_after(room, 4));
    if (!dns_text_bytes(param->text, &raw) || !tarn_writer_ok(&raw)
        || (param->text.len && !parse_value(param->key, tarn_writer_span(&raw), &w))
        || !tarn_writer_ok(&w) || w.len > 65535 || !check_value(param->key, tarn_writer_span(&w)))
        return dns_fail(p, "not a value for its service parameter");
    tarn_writer_u16be(p->out, param->key);
    tarn_writer_u16be(p->out, (uint16_t)w.len);
    (void)tarn_writer_reserve(p->out, w.len);
    return true;
}

/* In any order in the text, by their numbers in the data (RFC 9460 section 2.2). */
bool dns_parse_svc(struct dns_parse *p) {
    struct param params[PARAMS_MAX], param;
    size_t n = 0;
    while (!dns_at_line_end(p)) {
        if (!take_param(p, &param))
            return false;
        if (n == PARAMS_MAX)
            return dns_fail(p, "too many service parameters");
        size_t at = n++;
        for (; at > 0 && TARN_AT(params, at - 1).key > param.key; at--)
            TARN_AT(params, at) = TARN_AT(params, at - 1);
        if (at > 0 && TARN_AT(params, at - 1).key == param.key)
            return dns_fail(p, "a service parameter stands there twice");
        TARN_AT(params, at) = param;
    }
    for (size_t i = 0; i < n; i++)
        if (!put_param(p, &TARN_AT(params, i)))
            return false;
    return true;
}
