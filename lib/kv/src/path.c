/* SPDX-License-Identifier: ISC */
#include <tarn/kv_path.h>

static bool segment_is_valid(struct tarn_span s) {
    size_t nul;
    bool dots =
        s.len <= 2
        && (tarn_span_equal(s, TARN_SPAN_LIT(".")) || tarn_span_equal(s, TARN_SPAN_LIT("..")));
    return s.len != 0 && !dots && !tarn_span_find(s, 0, &nul);
}

bool tarn_kv_path_next(struct tarn_span *key, struct tarn_span *segment) {
    struct tarn_span rest = *key, head;
    bool more;
    if (rest.len == 0)
        return false;
    more = tarn_span_split(&rest, '/', &head);
    /* A slash at the end would have an empty segment behind it. */
    if (!segment_is_valid(head) || (more && rest.len == 0))
        return false;
    *segment = head;
    *key = rest;
    return true;
}

bool tarn_kv_path_canonical(struct tarn_span key, struct tarn_span *out) {
    struct tarn_span rest, segment;
    if (tarn_span_starts(key, TARN_SPAN_LIT("/")))
        key = tarn_span_after(key, 1);
    rest = key;
    while (tarn_kv_path_next(&rest, &segment)) {
    }
    if (rest.len)
        return false;
    *out = key;
    return true;
}

/* '/' ends a segment, so it sorts before every byte that continues one. */
static unsigned rank(uint8_t c) {
    return c == '/' ? 0 : 1u + c;
}

int tarn_kv_path_compare(struct tarn_span a, struct tarn_span b) {
    size_t n = TARN_MIN(a.len, b.len);
    for (size_t i = 0; i < n; i++) {
        uint8_t x = tarn_span_at(a, i), y = tarn_span_at(b, i);
        if (x != y)
            return rank(x) < rank(y) ? -1 : 1;
    }
    return (a.len > b.len) - (a.len < b.len);
}

bool tarn_kv_path_below(struct tarn_span key, struct tarn_span dir) {
    if (dir.len == 0)
        return key.len != 0;
    return key.len > dir.len && tarn_span_at(key, dir.len) == '/' && tarn_span_starts(key, dir);
}
