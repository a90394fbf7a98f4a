/* SPDX-License-Identifier: ISC */
/* Any bytes, whole and byte by byte: the same body, the same end. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <tarn/http_chunked.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum tarn_err decode(const uint8_t *data, size_t size, size_t step, uint64_t *body,
                            size_t *rest) {
    struct tarn_http_chunked d;
    enum tarn_err err = TARN_AGAIN;
    tarn_http_chunked_init(&d, 64);
    *body = 0;
    *rest = size;
    for (size_t at = 0; at < size && err == TARN_AGAIN; at += step) {
        size_t n = size - at < step ? size - at : step;
        struct tarn_span in = {data + at, n}, piece;
        while ((err = tarn_http_chunked_next(&d, &in, &piece)) == TARN_OK)
            for (size_t i = 0; i < piece.len; i++)
                *body = *body * 31 + piece.ptr[i] + 1;
        *rest = size - at - n + in.len;
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t whole_body, body;
    size_t whole_rest, rest;
    enum tarn_err whole = decode(data, size, size ? size : 1, &whole_body, &whole_rest);
    enum tarn_err err = decode(data, size, 1, &body, &rest);
    if (err != whole || body != whole_body || rest != whole_rest)
        abort();
    return 0;
}
