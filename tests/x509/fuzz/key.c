/* SPDX-License-Identifier: ISC */
/* Private and public keys; what a private key file gave signs. */
#include <tarn/x509_issue.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t point[TARN_EC_POINT_BYTES_MAX], sig[TARN_SIGNATURE_BYTES_MAX];
    struct tarn_private_key key;
    struct tarn_public_key pub;
    struct tarn_random_seeded rnd;
    struct tarn_writer w = TARN_WRITER_ARRAY(sig);
    tarn_random_seeded_init(&rnd, 1);
    (void)!tarn_spki_parse(tarn_span_of(data, size), &pub);
    if (tarn_private_key_parse(tarn_span_of(data, size), point, &key) == TARN_OK) {
        const struct tarn_scheme *scheme = tarn_x509_scheme_for(key.pub.type);
        if (scheme)
            (void)!tarn_sign(&key, scheme, &rnd.random, TARN_SPAN_LIT("x"), &w);
    }
    return 0;
}
