/* SPDX-License-Identifier: ISC */
/* An OCSP response, parsed and asked, with the certificate inside as issuer. */
#include <tarn/x509_revoke.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_ocsp ocsp;
    struct tarn_x509 issuer;
    enum tarn_ocsp_status status;
    struct tarn_span whole;
    if (tarn_ocsp_parse(tarn_span_of(data, size), &ocsp))
        return 0;
    struct tarn_span rest = ocsp.certs;
    if (tarn_der_take_whole(&rest, TARN_DER_SEQUENCE, &whole)
        && tarn_x509_parse(whole, &issuer) == TARN_OK)
        (void)!tarn_ocsp_check(&ocsp, &issuer, &issuer, ocsp.produced_at, &status);
    return 0;
}
