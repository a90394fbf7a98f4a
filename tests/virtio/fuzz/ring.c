/* SPDX-License-Identifier: ISC */
#include "../hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    (void)hostile_ring(tarn_span_of(data, size), true);
    return 0;
}
