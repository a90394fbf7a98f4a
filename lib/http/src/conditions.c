/* SPDX-License-Identifier: ISC */
#include "conditions.h"

#include <tarn/http_date.h>

/* One entity tag off the front of a list, by its own grammar (a tag may have commas in it). */
static bool etag_next(struct tarn_span *list, bool *is_weak, struct tarn_span *tag) {
    struct tarn_span rest, opaque;
    *list = tarn_span_trim(*list, " \t,");
    if (list->len == 0)
        return false;
    *is_weak = tarn_span_starts(*list, TARN_SPAN_LIT("W/"));
    *tag = *list = tarn_span_after(*list, *is_weak ? 2 : 0);
    if (!tarn_span_starts(*list, TARN_SPAN_LIT("\"")))
        return false;
    rest = tarn_span_after(*list, 1);
    if (!tarn_span_split(&rest, '"', &opaque))
        return false;
    *tag = tarn_span_first(*tag, opaque.len + 2);
    *list = rest;
    return true;
}

/* Whether a field that lists tags names ours. Ours is strong, so a weak one matches it only where
 * weak comparison is asked for (RFC 9110 section 8.8.3.2). */
static bool tags_match(struct tarn_span list, struct tarn_span etag, bool weakly) {
    struct tarn_span tag;
    bool is_weak;
    if (tarn_span_equal(tarn_span_trim(list, " \t"), TARN_SPAN_LIT("*")))
        return true;
    while (etag_next(&list, &is_weak, &tag))
        if ((weakly || !is_weak) && tarn_span_equal(tag, etag))
            return true;
    return false;
}

/* Any number of fields of that name are one list (RFC 9110 section 5.3). *given: there is one. */
static bool field_tags_match(const struct tarn_http_request *r, struct tarn_span name,
                             struct tarn_span etag, bool weakly, bool *given) {
    struct tarn_span list;
    size_t cursor = 0;
    bool match = false;
    *given = false;
    while (tarn_http_field_find(r, name, &cursor, &list)) {
        *given = true;
        match = match || tags_match(list, etag, weakly);
    }
    return match;
}

static bool field_date(const struct tarn_http_request *r, struct tarn_span name, int64_t now,
                       int64_t *date) {
    struct tarn_span text;
    return tarn_http_field_only(r, name, &text) && tarn_http_date_parse(text, now, date);
}

/* RFC 9110 section 13.2.2, step by step; the method is GET or HEAD. */
uint16_t conditions_check(const struct tarn_http_request *r, const struct validators *v,
                          int64_t now) {
    int64_t date;
    bool given, match;
    match = field_tags_match(r, TARN_SPAN_LIT("If-Match"), v->etag, false, &given);
    if (given) {
        if (!match)
            return 412;
    } else if (field_date(r, TARN_SPAN_LIT("If-Unmodified-Since"), now, &date)
               && v->modified > date) {
        return 412;
    }
    match = field_tags_match(r, TARN_SPAN_LIT("If-None-Match"), v->etag, true, &given);
    if (given)
        return match ? 304 : 0;
    if (field_date(r, TARN_SPAN_LIT("If-Modified-Since"), now, &date) && v->modified <= date)
        return 304;
    return 0;
}

/* RFC 9110 section 13.1.5: a tag has to match strongly, a date exactly. */
static bool if_range_holds(const struct tarn_http_request *r, const struct validators *v,
                           int64_t now) {
    struct tarn_span value;
    size_t cursor = 0;
    int64_t date;
    if (!tarn_http_field_find(r, TARN_SPAN_LIT("If-Range"), &cursor, &value))
        return true;
    if (tarn_span_starts(value, TARN_SPAN_LIT("\"")))
        return tarn_span_equal(value, v->etag);
    return tarn_http_date_parse(value, now, &date) && date == v->modified;
}

/* One range-spec. False: not of the grammar. `len` 0: it cannot be satisfied. */
static bool range_parse(struct tarn_span spec, uint64_t size, struct range *out) {
    struct tarn_span first_text;
    uint64_t first, last = UINT64_MAX;
    *out = (struct range){0};
    if (!tarn_span_split(&spec, '-', &first_text))
        return false;
    if (first_text.len == 0) {
        uint64_t suffix;
        if (!tarn_span_parse_dec(spec, UINT64_MAX, &suffix))
            return false;
        suffix = TARN_MIN(suffix, size);
        *out = (struct range){size - suffix, suffix};
        return true;
    }
    if (!tarn_span_parse_dec(first_text, UINT64_MAX - 1, &first))
        return false;
    if (spec.len && (!tarn_span_parse_dec(spec, UINT64_MAX, &last) || last < first))
        return false;
    if (first < size)
        *out = (struct range){first, TARN_MIN(last, size - 1) - first + 1};
    return true;
}

/* Ranges that cover more than there is are somebody's attack (RFC 9110 section 14.2). */
static bool ranges_are_sane(const struct ranges *ranges, uint64_t size) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < ranges->count; i++)
        total += TARN_AT(ranges->at, i).len;
    return ranges->count == 1 || total <= size;
}

uint16_t ranges_choose(const struct tarn_http_request *r, const struct validators *v, uint64_t size,
                       int64_t now, struct ranges *out) {
    struct tarn_span value, unit, spec;
    out->count = 0;
    /* Range is for GET only (RFC 9110 section 14.2), and a broken one is as none. */
    if (r->method != TARN_HTTP_GET || !tarn_http_field_only(r, TARN_SPAN_LIT("Range"), &value)
        || !if_range_holds(r, v, now))
        return 200;
    if (!tarn_span_split(&value, '=', &unit)
        || !tarn_span_equal_nocase(unit, TARN_SPAN_LIT("bytes")))
        return 200;
    bool any = false;
    while (tarn_http_list_next(&value, &spec)) {
        struct range range;
        if (!range_parse(spec, size, &range))
            return 200;
        any = true;
        if (range.len == 0)
            continue;
        if (out->count == TARN_HTTP_RANGES_MAX)
            return 200;
        TARN_AT(out->at, out->count++) = range;
    }
    if (!any)
        return 200;
    if (out->count == 0)
        return 416;
    return ranges_are_sane(out, size) ? 206 : 200;
}

/* "0", "0.5", "1.000": in thousandths. Broken: 0, so that nothing is sent that was not asked for.
 */
static uint64_t weight_of(struct tarn_span text) {
    static const uint16_t scale[] = {1000, 100, 10, 1};
    struct tarn_span whole;
    uint64_t v, fraction = 0;
    if (tarn_span_split(&text, '.', &whole) && text.len > 3)
        return 0;
    if (!tarn_span_parse_dec(whole, 1, &v)
        || (text.len && !tarn_span_parse_dec(text, 999, &fraction)))
        return 0;
    return TARN_MIN(v * 1000 + fraction * TARN_AT(scale, text.len), (uint64_t)1000);
}

/* The weight of one element of Accept-Encoding: "gzip;q=0.5". */
static uint64_t element_weight(struct tarn_span element, struct tarn_span *coding) {
    uint64_t weight = 1000;
    bool more = tarn_span_split(&element, ';', coding);
    *coding = tarn_span_trim(*coding, " \t");
    while (more) {
        struct tarn_span parameter;
        more = tarn_span_split(&element, ';', &parameter);
        parameter = tarn_span_trim(parameter, " \t");
        if (tarn_span_equal_nocase(tarn_span_first(parameter, 2), TARN_SPAN_LIT("q=")))
            weight = weight_of(tarn_span_after(parameter, 2));
    }
    return weight;
}

bool accepts_gzip(const struct tarn_http_request *r) {
    uint64_t gzip = 0, identity = 0;
    bool gzip_named = false;
    struct tarn_span list, element;
    size_t cursor = 0;
    while (tarn_http_field_find(r, TARN_SPAN_LIT("Accept-Encoding"), &cursor, &list)) {
        while (tarn_http_list_next(&list, &element)) {
            struct tarn_span coding;
            uint64_t weight = element_weight(element, &coding);
            if (tarn_span_equal_nocase(coding, TARN_SPAN_LIT("gzip"))
                || tarn_span_equal_nocase(coding, TARN_SPAN_LIT("x-gzip"))) {
                gzip = weight;
                gzip_named = true;
            } else if (tarn_span_equal(coding, TARN_SPAN_LIT("*"))) {
                if (!gzip_named)
                    gzip = weight;
            } else if (tarn_span_equal_nocase(coding, TARN_SPAN_LIT("identity"))) {
                identity = weight;
            }
        }
    }
    return gzip != 0 && gzip >= identity;
}
