/* SPDX-License-Identifier: ISC */
#include <tarn/http_files.h>

struct tarn_span tarn_http_content_type(struct tarn_span name) {
    static const struct {
        struct tarn_span extension, type;
    } types[] = {
        {TARN_SPAN_LIT("html"), TARN_SPAN_LIT("text/html; charset=utf-8")},
        {TARN_SPAN_LIT("css"), TARN_SPAN_LIT("text/css; charset=utf-8")},
        {TARN_SPAN_LIT("js"), TARN_SPAN_LIT("text/javascript; charset=utf-8")},
        {TARN_SPAN_LIT("mjs"), TARN_SPAN_LIT("text/javascript; charset=utf-8")},
        {TARN_SPAN_LIT("svg"), TARN_SPAN_LIT("image/svg+xml")},
        {TARN_SPAN_LIT("png"), TARN_SPAN_LIT("image/png")},
        {TARN_SPAN_LIT("jpg"), TARN_SPAN_LIT("image/jpeg")},
        {TARN_SPAN_LIT("jpeg"), TARN_SPAN_LIT("image/jpeg")},
        {TARN_SPAN_LIT("gif"), TARN_SPAN_LIT("image/gif")},
        {TARN_SPAN_LIT("webp"), TARN_SPAN_LIT("image/webp")},
        {TARN_SPAN_LIT("avif"), TARN_SPAN_LIT("image/avif")},
        {TARN_SPAN_LIT("ico"), TARN_SPAN_LIT("image/vnd.microsoft.icon")},
        {TARN_SPAN_LIT("txt"), TARN_SPAN_LIT("text/plain; charset=utf-8")},
        {TARN_SPAN_LIT("md"), TARN_SPAN_LIT("text/markdown; charset=utf-8")},
        {TARN_SPAN_LIT("csv"), TARN_SPAN_LIT("text/csv; charset=utf-8")},
        {TARN_SPAN_LIT("xml"), TARN_SPAN_LIT("application/xml")},
        {TARN_SPAN_LIT("json"), TARN_SPAN_LIT("application/json")},
        {TARN_SPAN_LIT("pdf"), TARN_SPAN_LIT("application/pdf")},
        {TARN_SPAN_LIT("wasm"), TARN_SPAN_LIT("application/wasm")},
        {TARN_SPAN_LIT("woff"), TARN_SPAN_LIT("font/woff")},
        {TARN_SPAN_LIT("woff2"), TARN_SPAN_LIT("font/woff2")},
        {TARN_SPAN_LIT("gz"), TARN_SPAN_LIT("application/gzip")},
        {TARN_SPAN_LIT("zip"), TARN_SPAN_LIT("application/zip")},
        {TARN_SPAN_LIT("mp4"), TARN_SPAN_LIT("video/mp4")},
        {TARN_SPAN_LIT("webm"), TARN_SPAN_LIT("video/webm")},
        {TARN_SPAN_LIT("mp3"), TARN_SPAN_LIT("audio/mpeg")},
    };
    struct tarn_span extension = TARN_SPAN_EMPTY, head;
    size_t slash;
    while (tarn_span_find(name, '/', &slash))
        name = tarn_span_after(name, slash + 1);
    while (tarn_span_split(&name, '.', &head))
        extension = name;
    for (size_t i = 0; i < TARN_COUNT_OF(types); i++)
        if (tarn_span_equal_nocase(TARN_AT(types, i).extension, extension))
            return TARN_AT(types, i).type;
    return TARN_SPAN_LIT("application/octet-stream");
}
