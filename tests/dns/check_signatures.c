/* SPDX-License-Identifier: ISC */
/* Verifies every signature of a signed zone file with the zone's keys: check_signatures FILE ORIGIN
 * TIME Prints how many are right. Status 1 where one is wrong, or, once a byte of its data is
 * changed, is not. */
#include "serve.h"
#include <tarn/dns_sec.h>

static struct tarn_dns_sec_work work;

static enum tarn_err verify(struct tarn_dns_zone *z, const struct tarn_dns_rrset *set,
                            struct tarn_span rrsig, uint32_t now, bool *wildcard) {
    struct tarn_dns_record key;
    enum tarn_err err = TARN_NOT_FOUND;
    for (uint32_t i = 0;
         err && tarn_dns_zone_get(z, tarn_dns_zone_origin(z), TARN_DNS_DNSKEY, i, &key); i++)
        err = tarn_dns_verify(set, rrsig, key.rdata, tarn_dns_zone_origin(z), now, &work, wildcard);
    return err;
}

static bool check(struct tarn_dns_zone *z, const struct tarn_dns_record *sig, uint32_t now) {
    static uint8_t data[TARN_DNS_RDATA_MAX];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    uint16_t covered = (uint16_t)(sig->rdata.ptr[0] << 8 | sig->rdata.ptr[1]);
    struct tarn_dns_record r;
    bool wildcard;
    for (uint32_t i = 0; tarn_dns_zone_get(z, sig->owner, covered, i, &r); i++) {
        tarn_writer_u16be(&w, (uint16_t)r.rdata.len);
        tarn_writer_span_put(&w, r.rdata);
    }
    struct tarn_dns_rrset set = {sig->owner, tarn_writer_span(&w), covered, TARN_DNS_IN};
    enum tarn_err good = verify(z, &set, sig->rdata, now, &wildcard);
    data[w.len - 1] ^= 0x80;
    enum tarn_err bad = verify(z, &set, sig->rdata, now, &wildcard);
    if (good || !bad)
        fprintf(stderr, "%s type %u: %s, changed: %s\n", text_of(sig->owner), covered,
                tarn_err_name(good), tarn_err_name(bad));
    return !good && bad;
}

int main(int argc, char **argv) {
    static struct serve s;
    static char text[4 << 20];
    FILE *f = argc == 4 ? fopen(argv[1], "rb") : NULL;
    struct tarn_dns_zone_walk walk = {0};
    struct tarn_dns_record r;
    unsigned good = 0;
    if (!f)
        return 64;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    serve_init(&s, (struct tarn_dns_server_config){0});
    struct tarn_dns_zone *z = zone_of(&s, argv[2], text);
    while (tarn_dns_zone_next(z, &walk, &r)) {
        if (r.type != TARN_DNS_RRSIG)
            continue;
        struct tarn_dns_name owner;
        tarn_dns_name_copy(&owner, r.owner);
        r.owner = tarn_dns_name_span(&owner);
        if (!check(z, &r, (uint32_t)atoll(argv[3])))
            return 1;
        good++;
    }
    printf("%u\n", good);
    tarn_dns_zone_free(z);
    tarn_dns_server_free(s.server);
    return good == 0;
}
