/* SPDX-License-Identifier: ISC */
/* Certificates and requests made, from their ends to their beginnings (tarn/der.h). */
#include "internal.h"

#include <tarn/x509_issue.h>

const struct tarn_scheme *tarn_x509_scheme_for(enum tarn_pk_type type) {
    switch (type) {
    case TARN_PK_RSA: return &tarn_rsa_sha256;
    case TARN_PK_P256: return &tarn_ecdsa_sha256;
    case TARN_PK_P384: return &tarn_ecdsa_sha384;
    case TARN_PK_P521: return &tarn_ecdsa_sha512;
    case TARN_PK_ED25519: return &tarn_ed25519;
    case TARN_PK_ED448: return &tarn_ed448;
    default: return NULL;
    }
}

static void put_sig_alg(struct tarn_der_writer *w, enum tarn_pk_type type) {
    size_t end = w->len;
    struct tarn_span oid = TARN_SPAN_EMPTY;
    switch (type) {
    case TARN_PK_RSA: oid = TARN_SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"); break;
    case TARN_PK_P256: oid = TARN_SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x02"); break;
    case TARN_PK_P384: oid = TARN_SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x03"); break;
    case TARN_PK_P521: oid = TARN_SPAN_LIT("\x2a\x86\x48\xce\x3d\x04\x03\x04"); break;
    case TARN_PK_ED25519: oid = TARN_SPAN_LIT(OID_ED25519); break;
    default: oid = TARN_SPAN_LIT(OID_ED448); break;
    }
    if (type == TARN_PK_RSA)
        tarn_der_put(w, TARN_DER_NULL, TARN_SPAN_EMPTY);
    tarn_der_put(w, TARN_DER_OID, oid);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
}

static void put_name(struct tarn_der_writer *w, struct tarn_span common_name) {
    size_t end = w->len;
    if (common_name.len > 0) {
        tarn_der_put(w, TARN_DER_UTF8, common_name);
        tarn_der_put(w, TARN_DER_OID, TARN_SPAN_LIT(OID_COMMON_NAME));
        tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
        tarn_der_put_head(w, TARN_DER_SET, end);
    }
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
}

/* The head of an extension around the contents written since `end`. */
static void put_extension(struct tarn_der_writer *w, uint8_t id, bool critical, size_t end) {
    uint8_t oid[3] = {0x55, 0x1d, id};
    tarn_der_put_head(w, TARN_DER_OCTETS, end);
    if (critical)
        tarn_der_put_true(w);
    tarn_der_put(w, TARN_DER_OID, TARN_SPAN_ARRAY(oid));
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
}

static bool put_alt_names(struct tarn_der_writer *w, const struct tarn_x509_request *r,
                          bool critical) {
    size_t end = w->len;
    if (r->dns_name_count == 0)
        return true;
    for (size_t i = r->dns_name_count; i-- > 0;) {
        struct tarn_span name = TARN_AT_N(r->dns_names, r->dns_name_count, i);
        uint8_t addr[16];
        size_t n;
        if (ip_text_parse(name, addr, &n))
            tarn_der_put(w, TARN_X509_IP_NAME, tarn_span_of(addr, n));
        else if (dns_is_valid(name, true))
            tarn_der_put(w, TARN_X509_DNS_NAME, name);
        else
            return false;
    }
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
    put_extension(w, 17, critical, end);
    return true;
}

/* SHA-1 of the key's bits (RFC 5280 section 4.2.1.2, method 1): an identifier, no protection. */
static bool key_id_of(const struct tarn_public_key *key, uint8_t id[20]) {
    uint8_t mem[TARN_RSA_BITS_MAX / 8 + 64];
    struct tarn_der_writer w = tarn_der_writer_over(TARN_BYTES_ARRAY(mem));
    struct tarn_span spki, alg, bits;
    if (tarn_spki_put(&w, key) != TARN_OK || w.overflow)
        return false;
    struct tarn_span der = tarn_der_written(&w);
    if (!tarn_der_take(&der, TARN_DER_SEQUENCE, &spki)
        || !tarn_der_take(&spki, TARN_DER_SEQUENCE, &alg) || !tarn_der_bit_bytes(&spki, &bits))
        return false;
    tarn_digest_of(&tarn_sha1, bits, tarn_bytes_of(id, 20));
    return true;
}

static void put_usage(struct tarn_der_writer *w, const struct tarn_x509_issue *issue) {
    size_t end = w->len;
    if (!issue->is_ca) {
        if (issue->client_auth)
            tarn_der_put(w, TARN_DER_OID, TARN_SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x03\x02"));
        tarn_der_put(w, TARN_DER_OID, TARN_SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x03\x01"));
        tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
        put_extension(w, 37, false, end);
    }
    end = w->len;
    tarn_der_put_flags(w, issue->is_ca ? TARN_X509_CERT_SIGN | TARN_X509_CRL_SIGN
                                       : TARN_X509_DIGITAL_SIGNATURE);
    put_extension(w, 15, true, end);
    end = w->len;
    if (issue->is_ca) {
        if (issue->path_len != TARN_X509_NO_PATH_LEN)
            tarn_der_put_u32(w, issue->path_len);
        tarn_der_put_true(w);
    }
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
    put_extension(w, 19, true, end);
}

static bool put_key_ids(struct tarn_der_writer *w, const struct tarn_x509_issue *issue) {
    uint8_t own[20], theirs[20];
    struct tarn_span authority = TARN_SPAN_ARRAY(theirs);
    size_t end = w->len;
    if (!key_id_of(issue->key, own) || !key_id_of(&issue->signer->pub, theirs))
        return false;
    if (issue->issuer && issue->issuer->subject_key_id.len > 0)
        authority = issue->issuer->subject_key_id;
    tarn_der_put(w, TARN_DER_CONTEXT | 0, authority);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
    put_extension(w, 35, false, end);
    end = w->len;
    tarn_der_put(w, TARN_DER_OCTETS, TARN_SPAN_ARRAY(own));
    put_extension(w, 14, false, end);
    return true;
}

/* `csr`: the names are a request's, copied as they stand there. */
static bool put_extensions(struct tarn_der_writer *w, const struct tarn_x509_issue *issue,
                           const struct tarn_x509 *csr) {
    size_t end = w->len;
    bool no_subject = csr ? csr->subject.len == 2 : issue->subject.common_name.len == 0;
    if (csr && csr->alt_names.len > 0) {
        tarn_der_put(w, TARN_DER_SEQUENCE, csr->alt_names);
        put_extension(w, 17, no_subject, end);
    } else if (!csr && !put_alt_names(w, &issue->subject, no_subject)) {
        return false;
    }
    put_usage(w, issue);
    if (!put_key_ids(w, issue))
        return false;
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
    tarn_der_put_head(w, TARN_DER_EXPLICIT | 3, end);
    return true;
}

static enum tarn_err put_tbs(struct tarn_der_writer *w, const struct tarn_x509_issue *issue,
                             const struct tarn_x509 *csr) {
    uint8_t serial[16];
    size_t end = w->len;
    if (!put_extensions(w, issue, csr) || tarn_spki_put(w, issue->key) != TARN_OK)
        return TARN_INVALID;
    if (csr)
        tarn_der_put_raw(w, csr->subject);
    else
        put_name(w, issue->subject.common_name);
    size_t validity = w->len;
    tarn_der_put_time(w, issue->not_after);
    tarn_der_put_time(w, issue->not_before);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, validity);
    if (issue->issuer)
        tarn_der_put_raw(w, issue->issuer->subject);
    else
        put_name(w, issue->subject.common_name);
    put_sig_alg(w, issue->signer->pub.type);
    /* Positive, not zero, and 16 bytes from the generator (CA/B 7.1: at least 64 bits). */
    tarn_random_fill(issue->random, TARN_BYTES_ARRAY(serial));
    TARN_AT(serial, 0) = (uint8_t)((TARN_AT(serial, 0) & 0x3f) | 0x40);
    tarn_der_put_positive(w, TARN_SPAN_ARRAY(serial));
    size_t version = w->len;
    tarn_der_put_u32(w, 2);
    tarn_der_put_head(w, TARN_DER_EXPLICIT | 0, version);
    tarn_der_put_head(w, TARN_DER_SEQUENCE, end);
    return TARN_OK;
}

/* What is signed was written to the end of `mem`: signs it, and puts it all together there. */
static enum tarn_err seal(struct tarn_der_writer *w, const struct tarn_private_key *signer,
                          struct tarn_random *random, struct tarn_bytes mem,
                          struct tarn_span *der) {
    uint8_t sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_writer s = TARN_WRITER_ARRAY(sig);
    const struct tarn_scheme *scheme = tarn_x509_scheme_for(signer->pub.type);
    struct tarn_span tbs = tarn_der_written(w);
    if (w->overflow)
        return TARN_LIMIT;
    if (!scheme || tarn_sign(signer, scheme, random, tbs, &s) != TARN_OK || !tarn_writer_ok(&s))
        return TARN_INVALID;
    /* The signature stands behind it, so it moves to the front of the memory first. */
    struct tarn_bytes front = tarn_bytes_first(mem, tbs.len);
    tarn_bytes_move(front, tbs);
    *w = tarn_der_writer_over(tarn_bytes_after(mem, 0));
    tarn_der_put_bit_bytes(w, tarn_writer_span(&s));
    put_sig_alg(w, signer->pub.type);
    if (w->overflow || w->len + tbs.len + 6 > mem.len)
        return TARN_LIMIT;
    struct tarn_bytes place = tarn_bytes_after(mem, mem.len - w->len - tbs.len);
    tarn_bytes_move(place, tarn_bytes_span(front));
    w->len += tbs.len;
    tarn_der_put_head(w, TARN_DER_SEQUENCE, 0);
    *der = tarn_der_written(w);
    return w->overflow ? TARN_LIMIT : TARN_OK;
}

static enum tarn_err make(const struct tarn_x509_issue *issue, const struct tarn_x509 *csr,
                          struct tarn_bytes mem, struct tarn_span *der) {
    struct tarn_der_writer w = tarn_der_writer_over(mem);
    enum tarn_err err = put_tbs(&w, issue, csr);
    return err ? err : seal(&w, issue->signer, issue->random, mem, der);
}

enum tarn_err tarn_x509_make(const struct tarn_x509_issue *issue, struct tarn_bytes mem,
                             struct tarn_span *der) {
    return make(issue, NULL, mem, der);
}

enum tarn_err tarn_csr_sign(const struct tarn_x509_issue *issue, const struct tarn_x509 *csr,
                            struct tarn_bytes mem, struct tarn_span *der) {
    struct tarn_x509_issue for_csr = *issue;
    for_csr.key = &csr->key;
    if (csr->key.type == TARN_PK_NONE || !issue->issuer)
        return TARN_INVALID;
    return make(&for_csr, csr, mem, der);
}

enum tarn_err tarn_csr_make(const struct tarn_x509_request *subject,
                            const struct tarn_private_key *key, struct tarn_random *random,
                            struct tarn_bytes mem, struct tarn_span *der) {
    struct tarn_der_writer w = tarn_der_writer_over(mem);
    if (!put_alt_names(&w, subject, false))
        return TARN_INVALID;
    if (w.len > 0) {
        tarn_der_put_head(&w, TARN_DER_SEQUENCE, 0);
        tarn_der_put_head(&w, TARN_DER_SET, 0);
        tarn_der_put(&w, TARN_DER_OID, TARN_SPAN_LIT(OID_EXTENSION_REQUEST));
        tarn_der_put_head(&w, TARN_DER_SEQUENCE, 0);
    }
    tarn_der_put_head(&w, TARN_DER_EXPLICIT | 0, 0);
    if (tarn_spki_put(&w, &key->pub) != TARN_OK)
        return TARN_INVALID;
    put_name(&w, subject->common_name);
    tarn_der_put_u32(&w, 0);
    tarn_der_put_head(&w, TARN_DER_SEQUENCE, 0);
    return seal(&w, key, random, mem, der);
}

/* The attributes of a request: only its extensions are looked at. */
static enum tarn_err attributes(struct tarn_span list, struct tarn_x509 *csr) {
    struct tarn_span one, oid, set, exts;
    while (list.len > 0) {
        if (!tarn_der_take(&list, TARN_DER_SEQUENCE, &one)
            || !tarn_der_take(&one, TARN_DER_OID, &oid) || !tarn_der_take(&one, TARN_DER_SET, &set)
            || one.len > 0)
            return TARN_PEER;
        if (!OID_IS(oid, OID_EXTENSION_REQUEST))
            continue;
        if (csr->extensions || !tarn_der_take(&set, TARN_DER_SEQUENCE, &exts) || set.len > 0)
            return TARN_PEER;
        enum tarn_err err = extensions_parse(exts, csr);
        if (err)
            return err;
    }
    return TARN_OK;
}

enum tarn_err tarn_csr_parse(struct tarn_span der, struct tarn_x509 *csr) {
    struct tarn_span seq, info, attrs;
    uint32_t version;
    *csr = (struct tarn_x509){.whole = der, .path_len = TARN_X509_NO_PATH_LEN};
    if (!tarn_der_take(&der, TARN_DER_SEQUENCE, &seq) || der.len > 0
        || !tarn_der_take_whole(&seq, TARN_DER_SEQUENCE, &csr->tbs)
        || !tarn_sig_alg_parse(&seq, &csr->scheme) || !tarn_der_bit_bytes(&seq, &csr->signature)
        || seq.len > 0)
        return TARN_PEER;
    struct tarn_span outer = csr->tbs;
    if (!tarn_der_take(&outer, TARN_DER_SEQUENCE, &info) || !tarn_der_u32(&info, &version)
        || version != 0 || !tarn_der_take_whole(&info, TARN_DER_SEQUENCE, &csr->subject)
        || !tarn_der_take_whole(&info, TARN_DER_SEQUENCE, &csr->spki)
        || !tarn_der_take(&info, TARN_DER_EXPLICIT | 0, &attrs) || info.len > 0)
        return TARN_PEER;
    enum tarn_err err = tarn_spki_parse(csr->spki, &csr->key);
    if (!err)
        err = attributes(attrs, csr);
    if (err)
        return err;
    if (!csr->scheme.ops
        || tarn_verify(&csr->key, &csr->scheme, csr->tbs, csr->signature) != TARN_OK)
        return TARN_PEER;
    return TARN_OK;
}
