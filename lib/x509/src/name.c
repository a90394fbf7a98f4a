/* SPDX-License-Identifier: ISC */
/* Names: distinguished ones compared, DNS names and addresses matched (RFC 9525). */
#include "internal.h"

#include <tarn/ip_addr.h>

static bool is_text(uint8_t tag) {
    return tag == TARN_DER_UTF8 || tag == TARN_DER_PRINTABLE || tag == TARN_DER_IA5;
}

/* The next character in the form that is compared: spaces at the start and the end gone, runs of
 * them one, capitals small. */
static bool next_folded(struct tarn_span *s, bool *started, uint8_t *out) {
    bool space = false;
    for (struct tarn_span before = *s; tarn_span_u8(s, out); before = *s) {
        if (*out == ' ') {
            space = *started;
            continue;
        }
        if (space) { /* give back what was read, and the one space first */
            *s = before;
            *out = ' ';
            *started = false;
            return true;
        }
        *started = true;
        if (*out >= 'A' && *out <= 'Z')
            *out |= 0x20;
        return true;
    }
    return false;
}

static bool text_equal(struct tarn_span a, struct tarn_span b) {
    bool a_started = false, b_started = false;
    for (;;) {
        uint8_t x = 0, y = 0;
        bool more_a = next_folded(&a, &a_started, &x), more_b = next_folded(&b, &b_started, &y);
        if (more_a != more_b || x != y)
            return false;
        if (!more_a)
            return true;
    }
}

/* One SET of attributes: in the order given, which DER fixes. */
static bool rdn_equal(struct tarn_span a, struct tarn_span b) {
    while (a.len > 0 && b.len > 0) {
        struct tarn_span pa, pb, oa, ob, va, vb, whole;
        uint8_t ta, tb;
        if (!tarn_der_take(&a, TARN_DER_SEQUENCE, &pa) || !tarn_der_take(&b, TARN_DER_SEQUENCE, &pb)
            || !tarn_der_take(&pa, TARN_DER_OID, &oa) || !tarn_der_take(&pb, TARN_DER_OID, &ob)
            || !tarn_span_equal(oa, ob) || !tarn_der_any(&pa, &ta, &va, &whole)
            || !tarn_der_any(&pb, &tb, &vb, &whole))
            return false;
        if (is_text(ta) && is_text(tb) ? !text_equal(va, vb) : ta != tb || !tarn_span_equal(va, vb))
            return false;
    }
    return a.len == 0 && b.len == 0;
}

bool tarn_x509_name_equal(struct tarn_span a, struct tarn_span b) {
    struct tarn_span ra, rb, sa, sb;
    if (tarn_span_equal(a, b))
        return true;
    if (!tarn_der_take(&a, TARN_DER_SEQUENCE, &ra) || !tarn_der_take(&b, TARN_DER_SEQUENCE, &rb))
        return false;
    while (ra.len > 0 && rb.len > 0)
        if (!tarn_der_take(&ra, TARN_DER_SET, &sa) || !tarn_der_take(&rb, TARN_DER_SET, &sb)
            || !rdn_equal(sa, sb))
            return false;
    return ra.len == 0 && rb.len == 0;
}

struct tarn_span tarn_x509_common_name(struct tarn_span name) {
    struct tarn_span rdns, set, pair, oid, value, whole;
    uint8_t tag;
    if (!tarn_der_take(&name, TARN_DER_SEQUENCE, &rdns))
        return TARN_SPAN_EMPTY;
    while (rdns.len > 0 && tarn_der_take(&rdns, TARN_DER_SET, &set))
        while (set.len > 0 && tarn_der_take(&set, TARN_DER_SEQUENCE, &pair))
            if (tarn_der_take(&pair, TARN_DER_OID, &oid) && OID_IS(oid, OID_COMMON_NAME)
                && tarn_der_any(&pair, &tag, &value, &whole))
                return value;
    return TARN_SPAN_EMPTY;
}

static bool label_is_valid(struct tarn_span label) {
    uint8_t c;
    if (label.len == 0 || label.len > 63 || tarn_span_at(label, 0) == '-'
        || tarn_span_at(label, label.len - 1) == '-')
        return false;
    while (tarn_span_u8(&label, &c))
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
              || c == '_'))
            return false;
    return true;
}

bool dns_is_valid(struct tarn_span name, bool wildcard) {
    struct tarn_span label;
    bool more;
    if (name.len == 0 || name.len > 253)
        return false;
    if (wildcard && tarn_span_starts(name, TARN_SPAN_LIT("*."))) {
        name = tarn_span_after(name, 2);
        if (!tarn_span_find(name, '.', &(size_t){0}))
            return false; /* `*.com` */
    }
    do {
        more = tarn_span_split(&name, '.', &label);
        if (!label_is_valid(label))
            return false;
    } while (more);
    return true;
}

bool dns_matches(struct tarn_span pattern, struct tarn_span name) {
    struct tarn_span label;
    if (!tarn_span_starts(pattern, TARN_SPAN_LIT("*.")))
        return tarn_span_equal_nocase(pattern, name);
    return tarn_span_split(&name, '.', &label) && label.len > 0
           && tarn_span_equal_nocase(tarn_span_after(pattern, 2), name);
}

bool ip_text_parse(struct tarn_span text, uint8_t out[16], size_t *len) {
    struct tarn_ip_addr a;
    struct tarn_writer w = {out, 0, 16};
    if (!tarn_ip_addr_parse(text, &a))
        return false;
    if (tarn_ip_addr_is_v4(&a) && !tarn_span_find(text, ':', len))
        tarn_writer_ipv4(&w, &a);
    else
        tarn_writer_ipv6(&w, &a);
    *len = w.len;
    return true;
}

bool tarn_x509_is_for(const struct tarn_x509 *cert, struct tarn_span name) {
    struct tarn_span rest = cert->alt_names, value;
    uint8_t tag, addr[16];
    size_t addr_len = 0;
    bool is_ip = ip_text_parse(name, addr, &addr_len);
    if (!is_ip && !dns_is_valid(name, false))
        return false;
    while (rest.len > 0 && tarn_x509_general_name(&rest, &tag, &value)) {
        if (is_ip && tag == TARN_X509_IP_NAME
            && tarn_span_equal(value, tarn_span_of(addr, addr_len)))
            return true;
        if (!is_ip && tag == TARN_X509_DNS_NAME && dns_matches(value, name))
            return true;
    }
    return false;
}
