/* SPDX-License-Identifier: ISC */
/* A pattern and a text, with a NUL between: the same answer as trying everything, where that is
 * short enough; and a pattern that is all escapes matches the text it is made of. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/resp.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int cond) {
    if (!cond)
        abort();
}

static size_t star(struct tarn_span p) {
    return p.len && tarn_span_at(p, 0) == '*';
}

/* Every length for every star. */
static bool everything(struct tarn_span p, struct tarn_span text) {
    if (!star(p)) {
        size_t next = 0;
        while (next < p.len && p.ptr[next] != '*')
            next += p.ptr[next] == '\\' || p.ptr[next] == '[' ? p.len : 1; /* up to the end */
        if (next >= p.len)
            return tarn_resp_glob(p, text);
        if (text.len < next
            || !tarn_resp_glob(tarn_span_first(p, next), tarn_span_first(text, next)))
            return false;
        return everything(tarn_span_after(p, next), tarn_span_after(text, next));
    }
    for (size_t i = 0; i <= text.len; i++)
        if (everything(tarn_span_after(p, 1), tarn_span_after(text, i)))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_span text = tarn_span_of(data, size), pattern;
    uint8_t escaped[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(escaped);
    tarn_span_split(&text, 0, &pattern);
    bool got = tarn_resp_glob(pattern, text);
    if (pattern.len <= 8 && text.len <= 12)
        check(got == everything(pattern, text));
    if (text.len <= 32) {
        for (size_t i = 0; i < text.len; i++) {
            tarn_writer_u8(&w, '\\');
            tarn_writer_u8(&w, tarn_span_at(text, i));
        }
        check(tarn_resp_glob(tarn_writer_span(&w), text));
    }
    return 0;
}
