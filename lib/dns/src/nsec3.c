/* SPDX-License-Identifier: ISC */
#include "text.h"

#include <tarn/digest.h>
#include <tarn/dns_sec.h>

void tarn_dns_nsec3_hash(struct tarn_span name, struct tarn_span salt, uint16_t iterations,
                         uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES]) {
    struct tarn_bytes out = tarn_bytes_of(hash, TARN_DNS_NSEC3_HASH_BYTES);
    struct tarn_digest_ctx sha1;
    struct tarn_dns_name lower;
    tarn_dns_name_copy(&lower, name);
    tarn_dns_name_lower(&lower);
    struct tarn_span in = tarn_dns_name_span(&lower);
    for (unsigned i = 0; i <= iterations; i++) {
        tarn_digest_init(&sha1, &tarn_sha1);
        tarn_digest_update(&sha1, in);
        tarn_digest_update(&sha1, salt);
        tarn_digest_final(&sha1, out);
        in = tarn_bytes_span(out);
    }
}

void tarn_dns_nsec3_print(const uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES],
                          uint8_t label[TARN_DNS_NSEC3_LABEL_BYTES]) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(label, TARN_DNS_NSEC3_LABEL_BYTES));
    dns_print_base32(&w, tarn_span_of(hash, TARN_DNS_NSEC3_HASH_BYTES));
}

bool tarn_dns_nsec3_parse(struct tarn_span label, uint8_t hash[TARN_DNS_NSEC3_HASH_BYTES]) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(hash, TARN_DNS_NSEC3_HASH_BYTES));
    struct dns_decoder d = {.width = 5};
    return label.len == TARN_DNS_NSEC3_LABEL_BYTES && dns_decode(&d, label, &w)
           && tarn_writer_ok(&w) && w.len == TARN_DNS_NSEC3_HASH_BYTES;
}
