/* SPDX-License-Identifier: ISC */
/* A CRL, parsed and searched. */
#include <tarn/x509_revoke.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_crl crl;
    struct tarn_x509 cert = {.serial = TARN_SPAN_LIT("\x12\x34")};
    if (tarn_crl_parse(tarn_span_of(data, size), &crl) == TARN_OK) {
        (void)tarn_crl_lists(&crl, &cert);
        cert.subject = crl.issuer;
        (void)!tarn_crl_verify(&crl, &cert, crl.this_update);
    }
    return 0;
}
