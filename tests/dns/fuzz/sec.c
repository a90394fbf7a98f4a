/* SPDX-License-Identifier: ISC */
/* A type, a signature and a key, each behind its length, and the records that they are about. The
 * tag of the key is set into the signature, so that more is looked at. */
#include "../text.h"
#include <tarn/dns_sec.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool part(struct tarn_span *in, struct tarn_span *out) {
    uint16_t len;
    return tarn_span_u16be(in, &len) && tarn_span_take(in, len, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct tarn_dns_sec_work work;
    struct tarn_span in = tarn_span_of(bytes, size), rrsig, key;
    struct tarn_dns_rrset set = {.owner = TARN_SPAN_LIT("\1w\1x\0"), .klass = TARN_DNS_IN};
    uint8_t *copy;
    bool wildcard;
    if (!tarn_span_u16be(&in, &set.type) || !part(&in, &rrsig) || !part(&in, &key) || size > 60000)
        return 0;
    set.records = in;
    copy = malloc(rrsig.len + 1);
    memcpy(copy, rrsig.ptr, rrsig.len);
    if (rrsig.len > 18) {
        copy[16] = (uint8_t)(tarn_dns_key_tag(key) >> 8);
        copy[17] = (uint8_t)tarn_dns_key_tag(key);
    }
    (void)!tarn_dns_verify(&set, tarn_span_of(copy, rrsig.len), key, TARN_SPAN_LIT("\1x\0"),
                           1700000000, &work, &wildcard);
    (void)!tarn_dns_ds_matches(set.owner, key, rrsig);
    free(copy);
    return 0;
}
