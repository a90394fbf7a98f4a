/* SPDX-License-Identifier: ISC */
#include "types.h"

struct type {
    uint16_t type;
    const char *name, *fields; /* fields NULL: no data of its own, or opaque */
};

/* In the order of the numbers. */
static const struct type types[] = {
    {1, "A", "a"},
    {2, "NS", "c"},
    {3, "MD", "c"},
    {4, "MF", "c"},
    {5, "CNAME", "c"},
    {6, "SOA", "cc4tttt"},
    {7, "MB", "c"},
    {8, "MG", "c"},
    {9, "MR", "c"},
    {10, "NULL", NULL},
    {11, "WKS", NULL},
    {12, "PTR", "c"},
    {13, "HINFO", "ss"},
    {14, "MINFO", "cc"},
    {15, "MX", "2c"},
    {16, "TXT", "S"},
    {17, "RP", "nn"},
    {18, "AFSDB", "2n"},
    {19, "X25", "s"},
    {20, "ISDN", "so"},
    {21, "RT", "2n"},
    {22, "NSAP", "N"},
    {24, "SIG", "yg1tee2nb"},
    {25, "KEY", "21gb"},
    {26, "PX", "2nn"},
    {27, "GPOS", "sss"},
    {28, "AAAA", "A"},
    {29, "LOC", "l"},
    {30, "NXT", NULL},
    {33, "SRV", "222n"},
    {35, "NAPTR", "22sssn"},
    {36, "KX", "2n"},
    {37, "CERT", "C2gb"},
    {39, "DNAME", "n"},
    {41, "OPT", NULL},
    {42, "APL", "L"},
    {43, "DS", "2g1h"},
    {44, "SSHFP", "11h"},
    {45, "IPSECKEY", "Gb"},
    {46, "RRSIG", "yg1tee2nb"},
    {47, "NSEC", "nY"},
    {48, "DNSKEY", "21gb"},
    {49, "DHCID", "b"},
    {50, "NSEC3", "112HBY"},
    {51, "NSEC3PARAM", "112H"},
    {52, "TLSA", "111h"},
    {53, "SMIMEA", "111h"},
    {55, "HIP", "I"},
    {56, "NINFO", "S"},
    {57, "RKEY", "21gb"},
    {58, "TALINK", "nn"},
    {59, "CDS", "2g1h"},
    {60, "CDNSKEY", "21gb"},
    {61, "OPENPGPKEY", "b"},
    {62, "CSYNC", "42Y"},
    {63, "ZONEMD", "411h"},
    {64, "SVCB", "2np"},
    {65, "HTTPS", "2np"},
    {99, "SPF", "S"},
    {104, "NID", "2i"},
    {105, "L32", "2a"},
    {106, "L64", "2i"},
    {107, "LP", "2n"},
    {108, "EUI48", "6"},
    {109, "EUI64", "8"},
    {249, "TKEY", "nee22MM"},
    {250, "TSIG", "nW2M22M"},
    {251, "IXFR", NULL},
    {252, "AXFR", NULL},
    {253, "MAILB", NULL},
    {254, "MAILA", NULL},
    {255, "ANY", NULL},
    {256, "URI", "22q"},
    {257, "CAA", "1uq"},
    {258, "AVC", "S"},
    {32768, "TA", "2g1h"},
    {32769, "DLV", "2g1h"},
};

static const struct type *find(uint16_t type) {
    size_t low = 0, high = TARN_COUNT_OF(types);
    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct type *t = &TARN_AT(types, mid);
        if (t->type == type)
            return t;
        if (t->type < type)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const char *dns_type_fields(uint16_t type) {
    const struct type *t = find(type);
    return t ? t->fields : NULL;
}

bool tarn_dns_type_known(uint16_t type) {
    return dns_type_fields(type) != NULL;
}

static bool numbered(struct tarn_span text, struct tarn_span prefix, uint16_t *out) {
    uint64_t v;
    if (!tarn_span_equal_nocase(tarn_span_first(text, prefix.len), prefix)
        || !tarn_span_parse_dec(tarn_span_after(text, prefix.len), 65535, &v))
        return false;
    *out = (uint16_t)v;
    return true;
}

bool tarn_dns_type_parse(struct tarn_span text, uint16_t *type) {
    for (size_t i = 0; i < TARN_COUNT_OF(types); i++) {
        const struct type *t = &TARN_AT(types, i);
        if (tarn_span_equal_nocase(text, tarn_span_str(t->name))) {
            *type = t->type;
            return true;
        }
    }
    return numbered(text, TARN_SPAN_LIT("TYPE"), type);
}

void tarn_dns_type_print(struct tarn_writer *w, uint16_t type) {
    const struct type *t = find(type);
    tarn_writer_str(w, t ? t->name : "TYPE");
    if (!t)
        tarn_writer_dec(w, type);
}

bool tarn_dns_class_parse(struct tarn_span text, uint16_t *klass) {
    static const struct {
        const char *name;
        uint16_t klass;
    } classes[] = {{"IN", 1}, {"CH", 3}, {"HS", 4}, {"NONE", 254}, {"ANY", 255}};
    for (size_t i = 0; i < TARN_COUNT_OF(classes); i++)
        if (tarn_span_equal_nocase(text, tarn_span_str(TARN_AT(classes, i).name))) {
            *klass = TARN_AT(classes, i).klass;
            return true;
        }
    return numbered(text, TARN_SPAN_LIT("CLASS"), klass);
}

void tarn_dns_class_print(struct tarn_writer *w, uint16_t klass) {
    switch (klass) {
    case TARN_DNS_IN: tarn_writer_str(w, "IN"); return;
    case TARN_DNS_CH: tarn_writer_str(w, "CH"); return;
    case TARN_DNS_HS: tarn_writer_str(w, "HS"); return;
    case TARN_DNS_CLASS_NONE: tarn_writer_str(w, "NONE"); return;
    case TARN_DNS_CLASS_ANY: tarn_writer_str(w, "ANY"); return;
    default: tarn_writer_str(w, "CLASS"); tarn_writer_dec(w, klass);
    }
}

bool dns_algorithm_parse(struct tarn_span text, uint8_t *out) {
    static const struct {
        const char *name;
        uint8_t number;
    } names[] = {
        {"RSAMD5", 1},
        {"DH", 2},
        {"DSA", 3},
        {"RSASHA1", 5},
        {"DSA-NSEC3-SHA1", 6},
        {"RSASHA1-NSEC3-SHA1", 7},
        {"NSEC3DSA", 6},
        {"NSEC3RSASHA1", 7},
        {"RSASHA256", 8},
        {"RSASHA512", 10},
        {"ECC-GOST", 12},
        {"ECDSAP256SHA256", 13},
        {"ECDSAP384SHA384", 14},
        {"ED25519", 15},
        {"ED448", 16},
        {"INDIRECT", 252},
        {"PRIVATEDNS", 253},
        {"PRIVATEOID", 254},
    };
    uint64_t v;
    for (size_t i = 0; i < TARN_COUNT_OF(names); i++)
        if (tarn_span_equal_nocase(text, tarn_span_str(TARN_AT(names, i).name))) {
            *out = TARN_AT(names, i).number;
            return true;
        }
    if (!tarn_span_parse_dec(text, 255, &v))
        return false;
    *out = (uint8_t)v;
    return true;
}

bool dns_cert_type_parse(struct tarn_span text, uint16_t *out) {
    static const char *const names[] = {"",      "PKIX", "SPKI",   "PGP",    "IPKIX",
                                        "ISPKI", "IPGP", "ACPKIX", "IACPKIX"};
    uint64_t v;
    for (size_t i = 1; i < TARN_COUNT_OF(names); i++)
        if (tarn_span_equal_nocase(text, tarn_span_str(TARN_AT(names, i)))) {
            *out = (uint16_t)i;
            return true;
        }
    if (!tarn_span_parse_dec(text, 65535, &v))
        return false;
    *out = (uint16_t)v;
    return true;
}
