/* SPDX-License-Identifier: ISC */
/* Extensions of certificates (RFC 5280 section 4.2). */
#include "internal.h"

static bool basic_constraints(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span seq;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &seq) || value.len > 0)
        return false;
    /* FALSE is the default, which DER leaves out. */
    if (tarn_der_is(seq, TARN_DER_BOOLEAN) && (!tarn_der_bool(&seq, &c->is_ca) || !c->is_ca))
        return false;
    if (seq.len > 0 && !tarn_der_u32(&seq, &c->path_len))
        return false;
    return seq.len == 0;
}

static bool key_usage(struct tarn_span value, struct tarn_x509 *c) {
    return tarn_der_flags(&value, &c->key_usage) && value.len == 0 && c->key_usage != 0;
}

static bool ext_usage(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span seq, oid;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &seq) || value.len > 0 || seq.len == 0)
        return false;
    while (seq.len > 0) {
        struct tarn_span base = TARN_SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x03");
        uint8_t last = 0;
        if (!tarn_der_take(&seq, TARN_DER_OID, &oid) || !tarn_der_oid_is_valid(oid))
            return false;
        if (oid.len == base.len + 1 && tarn_span_starts(oid, base))
            last = tarn_span_at(oid, base.len);
        c->ext_usage |= last == 1                         ? TARN_X509_SERVER_AUTH
                        : last == 2                       ? TARN_X509_CLIENT_AUTH
                        : last == 3                       ? TARN_X509_CODE_SIGNING
                        : last == 4                       ? TARN_X509_EMAIL
                        : last == 8                       ? TARN_X509_TIME_STAMPING
                        : last == 9                       ? TARN_X509_OCSP_SIGNING
                        : OID_IS(oid, "\x55\x1d\x25\x00") ? TARN_X509_ANY_USAGE
                                                          : TARN_X509_OTHER_USAGE;
    }
    return true;
}

bool tarn_x509_general_name(struct tarn_span *in, uint8_t *tag, struct tarn_span *value) {
    struct tarn_span whole;
    return tarn_der_any(in, tag, value, &whole) && (*tag & 0xc0) == 0x80 && (*tag & 0x1f) <= 8;
}

/* A name as it may stand in subjectAltName. */
static bool alt_name_is_valid(uint8_t tag, struct tarn_span value) {
    switch (tag) {
    case TARN_X509_DNS_NAME: return dns_is_valid(value, true);
    case TARN_X509_IP_NAME: return value.len == 4 || value.len == 16;
    case TARN_X509_EMAIL_NAME:
    case TARN_X509_URI_NAME: return value.len > 0;
    default: return true;
    }
}

static bool alt_names(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span name;
    uint8_t tag;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &c->alt_names) || value.len > 0
        || c->alt_names.len == 0)
        return false;
    for (struct tarn_span rest = c->alt_names; rest.len > 0;)
        if (!tarn_x509_general_name(&rest, &tag, &name) || !alt_name_is_valid(tag, name))
            return false;
    return true;
}

/* GeneralSubtrees: minimum is 0 and left out, maximum is not used (section 4.2.1.10). */
static bool subtrees(struct tarn_span list) {
    struct tarn_span subtree, name;
    uint8_t tag;
    if (list.len == 0)
        return false;
    while (list.len > 0) {
        if (!tarn_der_take(&list, TARN_DER_SEQUENCE, &subtree)
            || !tarn_x509_general_name(&subtree, &tag, &name) || subtree.len > 0)
            return false;
        if (tag == TARN_X509_DNS_NAME && name.len > 0 && !dns_is_valid(name, false))
            return false;
        if (tag == TARN_X509_IP_NAME && name.len != 8 && name.len != 32)
            return false;
    }
    return true;
}

static bool name_constraints(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span list;
    bool permitted, excluded;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &c->name_constraints) || value.len > 0)
        return false;
    struct tarn_span rest = c->name_constraints;
    if (!tarn_der_optional(&rest, TARN_DER_EXPLICIT | 0, &list, &permitted)
        || (permitted && !subtrees(list))
        || !tarn_der_optional(&rest, TARN_DER_EXPLICIT | 1, &list, &excluded)
        || (excluded && !subtrees(list)))
        return false;
    return rest.len == 0 && (permitted || excluded);
}

static bool subject_key_id(struct tarn_span value, struct tarn_x509 *c) {
    return tarn_der_take(&value, TARN_DER_OCTETS, &c->subject_key_id) && value.len == 0
           && c->subject_key_id.len > 0;
}

static bool authority_key_id(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span seq, skip;
    bool there, serial;
    return tarn_der_take(&value, TARN_DER_SEQUENCE, &seq) && value.len == 0
           && tarn_der_optional(&seq, TARN_DER_CONTEXT | 0, &c->authority_key_id, &there)
           && tarn_der_optional(&seq, TARN_DER_EXPLICIT | 1, &skip, &c->authority_by_name)
           && tarn_der_optional(&seq, TARN_DER_CONTEXT | 2, &skip, &serial)
           && c->authority_by_name == serial && seq.len == 0;
}

static bool policies(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span info, oid, qualifiers;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &c->policies) || value.len > 0
        || c->policies.len == 0)
        return false;
    for (struct tarn_span rest = c->policies; rest.len > 0;)
        if (!tarn_der_take(&rest, TARN_DER_SEQUENCE, &info)
            || !tarn_der_take(&info, TARN_DER_OID, &oid) || !tarn_der_oid_is_valid(oid)
            || (info.len > 0 && !tarn_der_take(&info, TARN_DER_SEQUENCE, &qualifiers))
            || info.len > 0)
            return false;
    return true;
}

static bool tls_feature(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span seq;
    uint32_t feature;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &seq) || value.len > 0)
        return false;
    while (seq.len > 0) {
        if (!tarn_der_u32(&seq, &feature))
            return false;
        c->must_staple |= feature == 5; /* status_request */
    }
    return true;
}

static bool policy_mappings(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span pair, from, to;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &c->mappings) || value.len > 0
        || c->mappings.len == 0)
        return false;
    for (struct tarn_span rest = c->mappings; rest.len > 0;)
        if (!tarn_der_take(&rest, TARN_DER_SEQUENCE, &pair)
            || !tarn_der_take(&pair, TARN_DER_OID, &from)
            || !tarn_der_take(&pair, TARN_DER_OID, &to) || pair.len > 0)
            return false;
    return true;
}

static bool skip_certs(struct tarn_span *in, uint8_t tag, uint32_t *count) {
    struct tarn_span value;
    bool there;
    return tarn_der_optional(in, tag, &value, &there) && (!there || tarn_der_u32_of(value, count));
}

static bool policy_constraints(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span seq;
    return tarn_der_take(&value, TARN_DER_SEQUENCE, &seq) && value.len == 0 && seq.len > 0
           && skip_certs(&seq, TARN_DER_CONTEXT | 0, &c->require_explicit)
           && skip_certs(&seq, TARN_DER_CONTEXT | 1, &c->inhibit_mapping) && seq.len == 0;
}

static bool access_info(struct tarn_span value, struct tarn_x509 *c) {
    struct tarn_span seq, one, oid, name;
    uint8_t tag;
    (void)c;
    if (!tarn_der_take(&value, TARN_DER_SEQUENCE, &seq) || value.len > 0 || seq.len == 0)
        return false;
    while (seq.len > 0)
        if (!tarn_der_take(&seq, TARN_DER_SEQUENCE, &one)
            || !tarn_der_take(&one, TARN_DER_OID, &oid)
            || !tarn_x509_general_name(&one, &tag, &name) || one.len > 0)
            return false;
    return true;
}

static bool inhibit_any(struct tarn_span value, struct tarn_x509 *c) {
    return tarn_der_u32(&value, &c->inhibit_any) && value.len == 0;
}

typedef bool parse_fn(struct tarn_span value, struct tarn_x509 *c);

/* What an identifier stands for, and who reads it. */
static enum tarn_x509_ext known(struct tarn_span oid, parse_fn **parse) {
    if (OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x01\x01")) {
        *parse = access_info;
        return TARN_X509_EXT_AIA;
    }
    if (OID_IS(oid, "\x2b\x06\x01\x05\x05\x07\x01\x18")) {
        *parse = tls_feature;
        return TARN_X509_EXT_TLS_FEATURE;
    }
    uint8_t last =
        oid.len == 3 && tarn_span_starts(oid, TARN_SPAN_LIT("\x55\x1d")) ? tarn_span_at(oid, 2) : 0;
    switch (last) {
    case 14: *parse = subject_key_id; return TARN_X509_EXT_SUBJECT_KEY_ID;
    case 15: *parse = key_usage; return TARN_X509_EXT_KEY_USAGE;
    case 17: *parse = alt_names; return TARN_X509_EXT_ALT_NAME;
    case 19: *parse = basic_constraints; return TARN_X509_EXT_BASIC_CONSTRAINTS;
    case 30: *parse = name_constraints; return TARN_X509_EXT_NAME_CONSTRAINTS;
    case 32: *parse = policies; return TARN_X509_EXT_POLICIES;
    case 33: *parse = policy_mappings; return TARN_X509_EXT_POLICY_MAPPINGS;
    case 35: *parse = authority_key_id; return TARN_X509_EXT_AUTHORITY_KEY_ID;
    case 36: *parse = policy_constraints; return TARN_X509_EXT_POLICY_CONSTRAINTS;
    case 37: *parse = ext_usage; return TARN_X509_EXT_EXT_USAGE;
    case 54: *parse = inhibit_any; return TARN_X509_EXT_INHIBIT_ANY;
    default: *parse = NULL; return TARN_X509_EXT_OTHER;
    }
}

/* Whether an extension with this identifier stands in what is before `upto`. */
static bool seen_before(struct tarn_span list, const uint8_t *upto, struct tarn_span oid) {
    struct tarn_span ext, other;
    while (list.ptr != upto) {
        if (!tarn_der_take(&list, TARN_DER_SEQUENCE, &ext)
            || !tarn_der_take(&ext, TARN_DER_OID, &other))
            return false;
        if (tarn_span_equal(oid, other))
            return true;
    }
    return false;
}

enum tarn_err extensions_parse(struct tarn_span list, struct tarn_x509 *cert) {
    struct tarn_span rest = list, ext, oid, value;
    for (size_t count = 0; rest.len > 0; count++) {
        const uint8_t *here = rest.ptr;
        bool critical = false;
        parse_fn *parse;
        if (count == TARN_X509_EXTENSIONS_MAX)
            return TARN_LIMIT;
        if (!tarn_der_take(&rest, TARN_DER_SEQUENCE, &ext)
            || !tarn_der_take(&ext, TARN_DER_OID, &oid) || !tarn_der_oid_is_valid(oid))
            return TARN_PEER;
        if (tarn_der_is(ext, TARN_DER_BOOLEAN) && (!tarn_der_bool(&ext, &critical) || !critical))
            return TARN_PEER;
        if (!tarn_der_take(&ext, TARN_DER_OCTETS, &value) || ext.len > 0
            || seen_before(list, here, oid))
            return TARN_PEER;
        enum tarn_x509_ext which = known(oid, &parse);
        cert->extensions |= which;
        if (critical)
            cert->critical |= which;
        if (parse && !parse(value, cert))
            return TARN_PEER;
    }
    return TARN_OK;
}
