/* SPDX-License-Identifier: ISC */
#include <tarn/pem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t out[1 << 16];
    struct tarn_span text = tarn_span_of(data, size), label, der;
    while (tarn_pem_next(&text, &label, TARN_BYTES_ARRAY(out), &der) == TARN_OK)
        ;
    return 0;
}
