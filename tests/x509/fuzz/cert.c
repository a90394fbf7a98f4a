/* SPDX-License-Identifier: ISC */
/* A certificate, parsed, asked for a name, and verified as its own anchor and intermediate. */
#include <tarn/x509_verify.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_x509 cert;
    struct tarn_x509_path path;
    if (tarn_x509_parse(tarn_span_of(data, size), &cert))
        return 0;
    for (int strict = 0; strict < 2; strict++) {
        struct tarn_x509_policy policy = {
            .anchors = &cert,
            .anchor_count = 1,
            .now = cert.not_before,
            .name = TARN_SPAN_LIT("www.example.com"),
            .strict = strict,
            .rsa_bits_min = 512,
            .sha1_allowed = true,
        };
        (void)!tarn_x509_verify(&policy, &cert, &cert, 1, &path);
        policy.name = TARN_SPAN_EMPTY;
        (void)!tarn_x509_verify(&policy, &cert, &cert, 1, &path);
    }
    (void)tarn_x509_common_name(cert.subject);
    (void)tarn_x509_is_for(&cert, TARN_SPAN_LIT("192.0.2.1"));
    return 0;
}
