/* SPDX-License-Identifier: ISC */
/* Name constraints (RFC 5280 section 4.2.1.10). A name of a kind that a constraint is about and
 * that is not compared here, or whose parts cannot be told, is refused: what is not understood is
 * not let through. */
#include "constraints.h"

#include "internal.h"

#include <tarn/ip_addr.h>

static bool dns_within(struct tarn_span name, struct tarn_span base) {
    if (base.len == 0)
        return true;
    if (name.len < base.len)
        return false;
    struct tarn_span tail = tarn_span_after(name, name.len - base.len);
    if (name.len > base.len && tarn_span_at(name, name.len - base.len - 1) != '.')
        return false;
    return tarn_span_equal_nocase(name.len == base.len ? name : tail, base);
}

/* `*.a` may stand for what `base` excludes: where a name under it is within the base. */
static bool dns_touches(struct tarn_span name, struct tarn_span base) {
    struct tarn_span label;
    if (!tarn_span_starts(name, TARN_SPAN_LIT("*.")))
        return dns_within(name, base);
    name = tarn_span_after(name, 2);
    if (dns_within(name, base))
        return true;
    return tarn_span_split(&base, '.', &label) && tarn_span_equal_nocase(base, name);
}

/* A host as constraints on mail and URIs name it: itself, or with a dot in front all below it. */
static bool host_within(struct tarn_span host, struct tarn_span base) {
    if (!tarn_span_starts(base, TARN_SPAN_LIT(".")))
        return tarn_span_equal_nocase(host, base);
    return host.len > base.len
           && tarn_span_equal_nocase(tarn_span_after(host, host.len - base.len), base);
}

/* The mailbox's local part keeps its case (RFC 5280 section 7.5). */
static bool mail_within(struct tarn_span name, struct tarn_span base, bool excluded) {
    struct tarn_span local, base_local;
    size_t at;
    if (!tarn_span_split(&name, '@', &local) || local.len == 0 || name.len == 0
        || tarn_span_find(name, '@', &at))
        return excluded;
    if (!tarn_span_find(base, '@', &at))
        return host_within(name, base);
    tarn_span_split(&base, '@', &base_local);
    return tarn_span_equal(local, base_local) && tarn_span_equal_nocase(name, base);
}

/* The host of scheme://user@host:port/path; empty where there is none, or it is an address. */
static struct tarn_span uri_host(struct tarn_span uri) {
    struct tarn_span scheme, host = uri, user;
    struct tarn_ip_addr addr;
    size_t at;
    if (!tarn_span_split(&host, ':', &scheme) || !tarn_span_starts(host, TARN_SPAN_LIT("//")))
        return TARN_SPAN_EMPTY;
    host = tarn_span_after(host, 2);
    for (size_t i = 0; i < 3; i++)
        if (tarn_span_find(host, (uint8_t)tarn_span_at(TARN_SPAN_LIT("/?#"), i), &at))
            host = tarn_span_first(host, at);
    while (tarn_span_find(host, '@', &at))
        tarn_span_split(&host, '@', &user);
    if (tarn_span_find(host, ':', &at))
        host = tarn_span_first(host, at);
    return dns_is_valid(host, false) && !tarn_ip_addr_parse(host, &addr) ? host : TARN_SPAN_EMPTY;
}

static bool uri_within(struct tarn_span name, struct tarn_span base, bool excluded) {
    struct tarn_span host = uri_host(name);
    return host.len == 0 ? excluded : host_within(host, base);
}

/* Address and mask; the mask is ones, then zeros. */
static bool ip_within(struct tarn_span addr, struct tarn_span base) {
    size_t half = base.len / 2;
    if (addr.len != half)
        return false;
    for (size_t i = 0; i < half; i++) {
        uint8_t mask = tarn_span_at(base, half + i);
        if ((tarn_span_at(addr, i) & mask) != (tarn_span_at(base, i) & mask))
            return false;
    }
    return true;
}

static bool mask_is_valid(struct tarn_span base) {
    bool ended = false;
    for (size_t i = base.len / 2; i < base.len; i++)
        for (unsigned bit = 0x80; bit > 0; bit >>= 1) {
            bool one = (tarn_span_at(base, i) & bit) != 0;
            if (one && ended)
                return false;
            ended |= !one;
        }
    return true;
}

/* Whether the Name begins with all RDNs of the base (both contents of a SEQUENCE). */
static bool directory_within(struct tarn_span name, struct tarn_span base) {
    while (base.len > 0) {
        struct tarn_span a, b;
        if (name.len == 0 || !tarn_der_take_whole(&name, TARN_DER_SET, &a)
            || !tarn_der_take_whole(&base, TARN_DER_SET, &b))
            return false;
        uint8_t one[512], two[512];
        struct tarn_der_writer wa = tarn_der_writer_over(TARN_BYTES_ARRAY(one)),
                               wb = tarn_der_writer_over(TARN_BYTES_ARRAY(two));
        if (tarn_span_equal(a, b))
            continue;
        tarn_der_put(&wa, TARN_DER_SEQUENCE, a);
        tarn_der_put(&wb, TARN_DER_SEQUENCE, b);
        if (wa.overflow || wb.overflow
            || !tarn_x509_name_equal(tarn_der_written(&wa), tarn_der_written(&wb)))
            return false;
    }
    return true;
}

/* A directoryName holds a Name: the contents of its SEQUENCE. */
static struct tarn_span rdns_of(struct tarn_span value) {
    struct tarn_span rdns;
    return tarn_der_take(&value, TARN_DER_SEQUENCE, &rdns) ? rdns : TARN_SPAN_EMPTY;
}

static bool matches(uint8_t tag, struct tarn_span name, struct tarn_span base, bool excluded) {
    switch (tag) {
    case TARN_X509_DNS_NAME: return (excluded ? dns_touches : dns_within)(name, base);
    case TARN_X509_IP_NAME: return mask_is_valid(base) && ip_within(name, base);
    case TARN_X509_DIRECTORY_NAME: return directory_within(rdns_of(name), rdns_of(base));
    case TARN_X509_EMAIL_NAME: return mail_within(name, base, excluded);
    case TARN_X509_URI_NAME: return uri_within(name, base, excluded);
    default: return excluded; /* not understood: excluded, and never permitted */
    }
}

/* One name against one list: whether it matched any, and whether there was any of its kind. */
static bool in_list(struct tarn_span list, uint8_t tag, struct tarn_span name, bool excluded,
                    bool *any, uint32_t *budget) {
    struct tarn_span subtree, base;
    uint8_t kind;
    *any = false;
    while (list.len > 0 && *budget > 0) {
        --*budget;
        if (!tarn_der_take(&list, TARN_DER_SEQUENCE, &subtree)
            || !tarn_x509_general_name(&subtree, &kind, &base))
            return excluded;
        if (kind != tag)
            continue;
        *any = true;
        if (matches(tag, name, base, excluded))
            return true;
    }
    return false;
}

static enum tarn_x509_reason check_name(struct tarn_span constraints, uint8_t tag,
                                        struct tarn_span name, uint32_t *budget) {
    struct tarn_span permitted, excluded;
    bool has_permitted, has_excluded, any;
    if (!tarn_der_optional(&constraints, TARN_DER_EXPLICIT | 0, &permitted, &has_permitted)
        || !tarn_der_optional(&constraints, TARN_DER_EXPLICIT | 1, &excluded, &has_excluded))
        return TARN_X509_MALFORMED;
    if (in_list(excluded, tag, name, true, &any, budget))
        return TARN_X509_NAME_CONSTRAINED;
    bool inside = in_list(permitted, tag, name, false, &any, budget);
    if (*budget == 0)
        return TARN_X509_BUDGET;
    return any && !inside ? TARN_X509_NAME_CONSTRAINED : TARN_X509_GOOD;
}

/* A mail address in the subject counts as an rfc822Name (section 4.2.1.10). */
static enum tarn_x509_reason check_subject(struct tarn_span constraints, struct tarn_span subject,
                                           uint32_t *budget) {
    struct tarn_span rdns = rdns_of(subject), set, pair, oid, mail, whole;
    uint8_t tag;
    if (rdns.len == 0)
        return TARN_X509_GOOD;
    enum tarn_x509_reason bad = check_name(constraints, TARN_X509_DIRECTORY_NAME, subject, budget);
    while (!bad && rdns.len > 0 && tarn_der_take(&rdns, TARN_DER_SET, &set))
        while (!bad && set.len > 0 && tarn_der_take(&set, TARN_DER_SEQUENCE, &pair))
            if (tarn_der_take(&pair, TARN_DER_OID, &oid) && OID_IS(oid, OID_EMAIL_ADDRESS))
                bad = tarn_der_any(&pair, &tag, &mail, &whole)
                          ? check_name(constraints, TARN_X509_EMAIL_NAME, mail, budget)
                          : TARN_X509_MALFORMED;
    return bad;
}

enum tarn_x509_reason constraints_check(const struct tarn_x509 *issuer,
                                        const struct tarn_x509 *cert, uint32_t *budget) {
    struct tarn_span rest = cert->alt_names, name;
    uint8_t tag;
    if (!(issuer->extensions & TARN_X509_EXT_NAME_CONSTRAINTS))
        return TARN_X509_GOOD;
    enum tarn_x509_reason bad = check_subject(issuer->name_constraints, cert->subject, budget);
    while (!bad && rest.len > 0) {
        if (!tarn_x509_general_name(&rest, &tag, &name))
            return TARN_X509_MALFORMED;
        bad = check_name(issuer->name_constraints, tag, name, budget);
    }
    return bad;
}
