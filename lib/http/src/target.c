/* SPDX-License-Identifier: ISC */
#include "target.h"

#include <tarn/writer.h>

#include "chars.h"

static bool is_port(struct tarn_span s) {
    uint64_t port;
    return s.len == 0 || tarn_span_parse_dec(s, 65535, &port);
}

/* Hex digits, colons and dots between brackets: whether they make an address is the resolver's
 * business. */
static bool is_ip_literal(struct tarn_span s) {
    uint8_t c;
    if (s.len == 0)
        return false;
    while (tarn_span_u8(&s, &c)) {
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!hex && c != ':' && c != '.')
            return false;
    }
    return true;
}

bool target_host_is_valid(struct tarn_span host) {
    struct tarn_span name;
    if (tarn_span_starts(host, TARN_SPAN_LIT("["))) {
        host = tarn_span_after(host, 1);
        if (!tarn_span_split(&host, ']', &name) || !is_ip_literal(name))
            return false;
        return host.len == 0 || (tarn_span_at(host, 0) == ':' && is_port(tarn_span_after(host, 1)));
    }
    tarn_span_split(&host, ':', &name);
    return char_all(name, CHAR_HOST) && is_port(host);
}

static void origin_split(struct tarn_http_request *r, struct tarn_span rest) {
    struct tarn_span path;
    r->has_query = tarn_span_split(&rest, '?', &path);
    r->query = rest;
    r->path = path.len ? path : TARN_SPAN_LIT("/");
}

/* http://authority/path?query: what it says replaces Host (RFC 9112 section 3.2.2). User
 * information is refused (RFC 9110 section 4.2.4): '@' is in no host. */
static bool absolute_split(struct tarn_http_request *r) {
    struct tarn_span rest = r->target, authority;
    size_t end = 0;
    if (tarn_span_equal_nocase(tarn_span_first(rest, 7), TARN_SPAN_LIT("http://")))
        rest = tarn_span_after(rest, 7);
    else if (tarn_span_equal_nocase(tarn_span_first(rest, 8), TARN_SPAN_LIT("https://")))
        rest = tarn_span_after(rest, 8);
    else
        return false;
    while (end < rest.len && tarn_span_at(rest, end) != '/' && tarn_span_at(rest, end) != '?')
        end++;
    authority = tarn_span_first(rest, end);
    if (authority.len == 0 || tarn_span_at(authority, 0) == ':' || !target_host_is_valid(authority))
        return false;
    r->form = TARN_HTTP_ABSOLUTE;
    r->host = authority;
    origin_split(r, tarn_span_after(rest, end));
    return true;
}

bool target_split(struct tarn_http_request *r) {
    if (r->method == TARN_HTTP_CONNECT) {
        size_t colon;
        r->form = TARN_HTTP_AUTHORITY;
        r->host = r->target;
        return target_host_is_valid(r->target) && tarn_span_find(r->target, ':', &colon);
    }
    if (tarn_span_starts(r->target, TARN_SPAN_LIT("/"))) {
        r->form = TARN_HTTP_ORIGIN;
        origin_split(r, r->target);
        return true;
    }
    if (tarn_span_equal(r->target, TARN_SPAN_LIT("*"))) {
        r->form = TARN_HTTP_ASTERISK;
        r->path = r->target;
        return r->method == TARN_HTTP_OPTIONS;
    }
    return absolute_split(r);
}

/* -- paths ----------------------------------------------------------------------------------------
 */

/* Whether decoding would change anything: an escape, or a segment that begins with a dot. */
static bool is_plain(struct tarn_span raw) {
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t c = tarn_span_at(raw, i);
        if (c == '%' || (c == '.' && i > 0 && tarn_span_at(raw, i - 1) == '/'))
            return false;
    }
    return true;
}

static bool segment_decode(struct tarn_span raw, struct tarn_writer *w) {
    uint8_t c;
    while (tarn_span_u8(&raw, &c)) {
        if (c == '%') {
            struct tarn_span digits;
            uint64_t v;
            if (!tarn_span_take(&raw, 2, &digits) || !tarn_span_parse_hex(digits, 255, &v))
                return false;
            /* An encoded slash is data in a URI and a separator in a file name: it would be two
             * different paths. */
            if (v == 0 || v == '/')
                return false;
            c = (uint8_t)v;
        }
        tarn_writer_u8(w, c);
    }
    return true;
}

/* Takes the last segment off what is written, with the slash before it. */
static bool segment_drop(struct tarn_writer *w) {
    struct tarn_span written = tarn_writer_span(w);
    if (written.len == 0)
        return false;
    while (w->len && tarn_span_at(written, w->len - 1) != '/')
        w->len--;
    w->len--;
    return true;
}

enum tarn_err tarn_http_path_decode(struct tarn_span raw, struct tarn_bytes room,
                                    struct tarn_span *path) {
    struct tarn_writer w = tarn_writer_over(room);
    bool more = true, dot = false;
    if (!tarn_span_starts(raw, TARN_SPAN_LIT("/")))
        return TARN_PEER;
    if (is_plain(raw)) {
        *path = raw;
        return TARN_OK;
    }
    if (room.len < raw.len)
        return TARN_LIMIT;
    raw = tarn_span_after(raw, 1);
    while (more) {
        struct tarn_span segment, decoded;
        size_t at = w.len;
        more = tarn_span_split(&raw, '/', &segment);
        tarn_writer_u8(&w, '/');
        if (!segment_decode(segment, &w))
            return TARN_PEER;
        decoded = tarn_span_after(tarn_writer_span(&w), at + 1);
        dot = tarn_span_equal(decoded, TARN_SPAN_LIT("."));
        if (tarn_span_equal(decoded, TARN_SPAN_LIT(".."))) {
            dot = true;
            w.len = at;
            if (!segment_drop(&w))
                return TARN_PEER;
        } else if (dot) {
            w.len = at;
        }
    }
    /* A path that ended in a dot segment names a directory. */
    if (dot)
        tarn_writer_u8(&w, '/');
    TARN_ASSERT(tarn_writer_ok(&w));
    *path = tarn_writer_span(&w);
    return TARN_OK;
}
