/* SPDX-License-Identifier: ISC */
#include "text.h"
#include <criterion/criterion.h>
#include <tarn/dns_sec.h>

static struct tarn_dns_sec_work work;

/* The data of a record from its text; with its length before it where it is one of a set. */
static struct tarn_span data_of(uint16_t type, const char *text, bool framed) {
    uint8_t *data = malloc(2000);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(data, 2000));
    const char *why;
    uint32_t column;
    if (framed)
        tarn_writer_u16be(&w, 0);
    cr_assert(tarn_dns_rdata_parse(tarn_span_str(text), type, TARN_SPAN_EMPTY, &w, &why, &column),
              "%s", why);
    if (framed)
        tarn_writer_patch_u16be(&w, 0, (uint16_t)(w.len - 2));
    return tarn_writer_span(&w);
}

struct vector {
    const char *zone, *key, *ds, *owner, *data, *signature;
    uint16_t type, tag;
    uint32_t now;
};
static const struct vector vectors[] = {
    /* RFC 8080 section 6.1 */
    {"example.com.", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
     "3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b", "example.com.",
     "10 mail.example.com.",
     "MX 15 2 3600 1440021600 1438207200 3613 example.com. "
     "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
     TARN_DNS_MX, 3613, 1439000000},
    /* RFC 6605 section 6.1 */
    {"example.net.",
     "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
     "55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
     "www.example.net.", "192.0.2.1",
     "A 13 3 3600 20100909100439 20100812100439 55648 example.net. "
     "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
     TARN_DNS_A, 55648, 1283000000},
};

static enum tarn_err verify(const struct vector *v, struct tarn_span records,
                            struct tarn_span rrsig, struct tarn_span key, uint32_t now,
                            bool *wildcard) {
    struct tarn_dns_rrset set = {wire_of(v->owner), records, v->type, TARN_DNS_IN};
    return tarn_dns_verify(&set, rrsig, key, wire_of(v->zone), now, &work, wildcard);
}

Test(dnssec, published_signatures_and_digests) {
    for (size_t i = 0; i < TARN_COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct tarn_span key = data_of(TARN_DNS_DNSKEY, v->key, false);
        struct tarn_span records = data_of(v->type, v->data, true);
        struct tarn_span rrsig = data_of(TARN_DNS_RRSIG, v->signature, false);
        bool wildcard;
        cr_assert_eq(tarn_dns_key_tag(key), v->tag);
        cr_assert_eq(tarn_dns_ds_matches(wire_of(v->zone), key, data_of(TARN_DNS_DS, v->ds, false)),
                     TARN_OK);
        cr_assert_eq(verify(v, records, rrsig, key, v->now, &wildcard), TARN_OK, "%zu", i);
        cr_assert(!wildcard);
        /* Any change is found. */
        for (size_t at = 0; at < records.len; at++) {
            uint8_t *byte = (uint8_t *)(uintptr_t)records.ptr + at;
            *byte ^= 1;
            cr_assert_neq(verify(v, records, rrsig, key, v->now, &wildcard), TARN_OK, "%zu", at);
            *byte ^= 1;
        }
        for (size_t at = 0; at < rrsig.len; at++) {
            uint8_t *byte = (uint8_t *)(uintptr_t)rrsig.ptr + at;
            *byte ^= 1;
            cr_assert_neq(verify(v, records, rrsig, key, v->now, &wildcard), TARN_OK, "%zu", at);
            *byte ^= 1;
        }
        for (size_t at = 0; at < key.len; at++) {
            uint8_t *byte = (uint8_t *)(uintptr_t)key.ptr + at;
            *byte ^= 1;
            cr_assert_neq(verify(v, records, rrsig, key, v->now, &wildcard), TARN_OK, "%zu", at);
            cr_assert_neq(
                tarn_dns_ds_matches(wire_of(v->zone), key, data_of(TARN_DNS_DS, v->ds, false)),
                TARN_OK);
            *byte ^= 1;
        }
    }
}

Test(rfc4035_5_3_1, times_keys_and_names_must_fit) {
    const struct vector *v = &vectors[0];
    struct tarn_span key = data_of(TARN_DNS_DNSKEY, v->key, false);
    struct tarn_span records = data_of(v->type, v->data, true);
    struct tarn_span rrsig = data_of(TARN_DNS_RRSIG, v->signature, false);
    struct vector other = *v;
    bool wildcard;
    cr_assert_eq(verify(v, records, rrsig, key, 1440021600, &wildcard), TARN_OK);
    cr_assert_eq(verify(v, records, rrsig, key, 1440021601, &wildcard), TARN_AGAIN, "expired");
    cr_assert_eq(verify(v, records, rrsig, key, 1438207199, &wildcard), TARN_AGAIN,
                 "of the future");
    other.zone = "com.";
    cr_assert_eq(verify(&other, records, rrsig, key, v->now, &wildcard), TARN_INVALID);
    other = *v;
    other.owner = "com.";
    cr_assert_eq(verify(&other, records, rrsig, key, v->now, &wildcard), TARN_INVALID);
    other.owner = "EXAMPLE.com.";
    cr_assert_eq(verify(&other, records, rrsig, key, v->now, &wildcard), TARN_OK, "case is none");
    other.owner = "a.example.com."; /* as if it were *.example.com's */
    cr_assert_eq(verify(&other, records, rrsig, key, v->now, &wildcard), TARN_PEER);
    cr_assert(wildcard);
    cr_assert_eq(verify(v, data_of(TARN_DNS_MX, "10 MAIL.Example.com.", true), rrsig, key, v->now,
                        &wildcard),
                 TARN_OK, "nor in an MX");
    struct tarn_span twice = records;
    uint8_t both[200];
    struct tarn_writer w = TARN_WRITER_ARRAY(both);
    tarn_writer_span_put(&w, records);
    tarn_writer_span_put(&w, twice);
    cr_assert_eq(verify(v, tarn_writer_span(&w), rrsig, key, v->now, &wildcard), TARN_OK,
                 "the same twice is once");
    cr_assert_eq(verify(v, TARN_SPAN_EMPTY, rrsig, key, v->now, &wildcard), TARN_LIMIT);
}

Test(dnssec, algorithms) {
    static const uint8_t known[] = {8, 10, 13, 14, 15, 16};
    unsigned count = 0;
    for (unsigned a = 0; a < 256; a++)
        count += tarn_dns_sec_supports((uint8_t)a);
    cr_assert_eq(count, sizeof known);
    for (size_t i = 0; i < sizeof known; i++)
        cr_assert(tarn_dns_sec_supports(known[i]));
}
