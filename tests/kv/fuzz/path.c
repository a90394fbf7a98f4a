/* SPDX-License-Identifier: ISC */
/* Any bytes: a key that is accepted has no segment that leaves a store, and stays as it is. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <tarn/kv_path.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int cond) {
    if (!cond)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span key = {data, size}, canonical, again, rest, segment;
    size_t total = 0;
    if (!tarn_kv_path_canonical(key, &canonical))
        return 0;
    check(tarn_kv_path_canonical(canonical, &again) && tarn_span_equal(canonical, again));
    for (rest = canonical; tarn_kv_path_next(&rest, &segment); total += segment.len + 1) {
        check(segment.len != 0);
        check(!tarn_span_equal(segment, TARN_SPAN_LIT("..")));
        check(!tarn_span_equal(segment, TARN_SPAN_LIT(".")));
    }
    check(rest.len == 0 && total == canonical.len + (canonical.len != 0));
    check(tarn_kv_path_compare(canonical, again) == 0);
    check(!tarn_kv_path_below(canonical, again));
    return 0;
}
