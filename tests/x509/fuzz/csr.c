/* SPDX-License-Identifier: ISC */
/* A request, and the certificate that a CA would make of it. */
#include <tarn/x509_issue.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_x509 csr;
    (void)!tarn_csr_parse(tarn_span_of(data, size), &csr);
    return 0;
}
