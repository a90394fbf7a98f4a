/* SPDX-License-Identifier: ISC */
/* Any bytes, whole and byte by byte: one answer, and every argument inside of the request. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/resp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int cond) {
    if (!cond)
        abort();
}

static uint8_t *copy(const uint8_t *data, size_t size) {
    uint8_t *c = malloc(size + 1);
    memcpy(c, data, size);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct tarn_resp_limits limits = {8, 64, 128};
    struct tarn_resp_arg args[8], cut_args[8];
    struct tarn_resp_parser whole, cut;
    uint8_t *a = copy(data, size), *b = copy(data, size);
    enum tarn_err err, again = TARN_AGAIN;
    tarn_resp_parser_init(&whole, &limits, args);
    tarn_resp_parser_init(&cut, &limits, cut_args);
    err = tarn_resp_parse(&whole, tarn_bytes_of(a, size));
    for (size_t n = 0; n <= size && again == TARN_AGAIN; n++) {
        again = tarn_resp_parse(&cut, tarn_bytes_of(b, n));
        check(again != TARN_AGAIN || tarn_resp_bytes_wanted(&cut) > n);
    }
    check(err == again);
    if (err == TARN_OK) {
        check(whole.bytes && whole.bytes <= size && whole.bytes == cut.bytes);
        check(whole.count == cut.count && whole.count <= 8);
        for (uint32_t i = 0; i < whole.count; i++)
            check(tarn_span_equal(tarn_resp_arg(&whole, tarn_span_of(a, whole.bytes), i),
                                  tarn_resp_arg(&cut, tarn_span_of(b, cut.bytes), i)));
    } else if (err == TARN_PEER) {
        check(whole.error && cut.error);
    }
    free(a);
    free(b);
    return 0;
}
