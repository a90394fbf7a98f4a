/* SPDX-License-Identifier: ISC */
/* Any bytes, whole and in two cuts: one answer, and nothing outside of the head. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <tarn/http_date.h>
#include <tarn/http_request.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int cond) {
    if (!cond)
        abort();
}

static int inside(struct tarn_span part, struct tarn_span whole) {
    return part.len == 0 || part.ptr[0] == '/'
           || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct tarn_http_head_limits limits = {512, 2048, 20};
    static struct tarn_http_parser whole, cut;
    struct tarn_span all = {data, size}, path;
    enum tarn_err err, again;
    uint8_t room[512];
    int64_t date;
    tarn_http_parser_init(&whole, &limits);
    tarn_http_parser_init(&cut, &limits);
    err = tarn_http_parse(&whole, all);
    again = size ? tarn_http_parse(&cut, tarn_span_first(all, data[0] % size)) : TARN_AGAIN;
    if (again == TARN_AGAIN)
        again = tarn_http_parse(&cut, all);
    check(err == again && whole.status == cut.status);
    if (tarn_http_date_parse(all, 0, &date))
        check(size >= 24);
    if (tarn_http_path_decode(tarn_span_first(all, sizeof room), TARN_BYTES_ARRAY(room), &path)
        == TARN_OK)
        check(path.len <= size && path.len && path.ptr[0] == '/');
    if (err != TARN_OK) {
        check(err == TARN_AGAIN ? size < 2048 : whole.status >= 400 && whole.status <= 505);
        return 0;
    }
    const struct tarn_http_request *r = &whole.request;
    check(r->head.len <= size && r->head.len == cut.request.head.len);
    check(inside(r->path, all) && inside(r->host, all) && inside(r->query, all));
    check(r->framing != TARN_HTTP_CHUNKED || r->minor == 1);
    for (size_t i = 0; i < r->field_count; i++) {
        struct tarn_span value, name = tarn_http_field_name(r, i);
        size_t cursor = 0;
        check(name.len && inside(name, r->head) && inside(tarn_http_field_value(r, i), r->head));
        check(tarn_http_field_find(r, name, &cursor, &value));
    }
    return 0;
}
