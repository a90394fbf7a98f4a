/* SPDX-License-Identifier: ISC */
#include <tarn/resp.h>

/* One byte of a class; a backslash takes the next as it is. */
static bool class_byte(struct tarn_span *p, uint8_t *c) {
    if (!tarn_span_u8(p, c))
        return false;
    if (*c == '\\' && p->len)
        return tarn_span_u8(p, c);
    return true;
}

/* Behind a '[': whether `c` is in the class; `p` moves behind it. One that does not close ends with
 * the pattern. */
static bool in_class(struct tarn_span *p, uint8_t c) {
    bool negated = p->len && tarn_span_at(*p, 0) == '^', found = false;
    uint8_t from, to;
    if (negated)
        *p = tarn_span_after(*p, 1);
    while (p->len) {
        if (tarn_span_at(*p, 0) == ']') {
            *p = tarn_span_after(*p, 1);
            break;
        }
        if (!class_byte(p, &from))
            break;
        to = from;
        if (p->len >= 2 && tarn_span_at(*p, 0) == '-' && tarn_span_at(*p, 1) != ']') {
            *p = tarn_span_after(*p, 1);
            if (!class_byte(p, &to))
                break;
        }
        found |= c >= TARN_MIN(from, to) && c <= TARN_MAX(from, to);
    }
    return found != negated;
}

/* Whether the pattern's next element, which is no '*', stands for `c`; moves behind it. */
static bool one(struct tarn_span *pattern, uint8_t c) {
    uint8_t p;
    if (!tarn_span_u8(pattern, &p))
        return false;
    if (p == '?')
        return true;
    if (p == '[')
        return in_class(pattern, c);
    if (p == '\\' && pattern->len && !tarn_span_u8(pattern, &p))
        return false;
    return p == c;
}

/* Where something does not match, only the last '*' has to take one byte more: what stands between
 * two of them has matched as early as it could. */
bool tarn_resp_glob(struct tarn_span pattern, struct tarn_span text) {
    struct tarn_span retry_pattern = TARN_SPAN_EMPTY, retry_text = TARN_SPAN_EMPTY;
    bool star = false;
    for (;;) {
        if (pattern.len && tarn_span_at(pattern, 0) == '*') {
            retry_pattern = pattern = tarn_span_after(pattern, 1);
            retry_text = text;
            star = true;
            continue;
        }
        if (!text.len && !pattern.len)
            return true;
        if (text.len && one(&pattern, tarn_span_at(text, 0))) {
            text = tarn_span_after(text, 1);
            continue;
        }
        if (!star || !retry_text.len)
            return false;
        text = retry_text = tarn_span_after(retry_text, 1);
        pattern = retry_pattern;
    }
}
