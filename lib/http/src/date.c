/* SPDX-License-Identifier: ISC */
#include <tarn/http_date.h>

#include <tarn/time.h>

static const struct tarn_span day_names[7] = {
    TARN_SPAN_LIT("Sunday"),    TARN_SPAN_LIT("Monday"),   TARN_SPAN_LIT("Tuesday"),
    TARN_SPAN_LIT("Wednesday"), TARN_SPAN_LIT("Thursday"), TARN_SPAN_LIT("Friday"),
    TARN_SPAN_LIT("Saturday"),
};
static const struct tarn_span month_names[12] = {
    TARN_SPAN_LIT("Jan"), TARN_SPAN_LIT("Feb"), TARN_SPAN_LIT("Mar"), TARN_SPAN_LIT("Apr"),
    TARN_SPAN_LIT("May"), TARN_SPAN_LIT("Jun"), TARN_SPAN_LIT("Jul"), TARN_SPAN_LIT("Aug"),
    TARN_SPAN_LIT("Sep"), TARN_SPAN_LIT("Oct"), TARN_SPAN_LIT("Nov"), TARN_SPAN_LIT("Dec"),
};

#define YEAR_0 (-62167219200)
#define YEAR_9999_END 253402300799

void tarn_writer_http_date(struct tarn_writer *w, int64_t unix_seconds) {
    struct tarn_date d = tarn_date_from_unix(
        TARN_MIN(TARN_MAX(unix_seconds, (int64_t)YEAR_0), (int64_t)YEAR_9999_END));
    tarn_writer_span_put(w, tarn_span_first(TARN_AT(day_names, d.weekday), 3));
    tarn_writer_str(w, ", ");
    tarn_writer_dec_pad(w, d.day, 2);
    tarn_writer_u8(w, ' ');
    tarn_writer_span_put(w, TARN_AT(month_names, d.month - 1u));
    tarn_writer_u8(w, ' ');
    tarn_writer_dec_pad(w, (uint64_t)d.year, 4);
    tarn_writer_u8(w, ' ');
    tarn_writer_dec_pad(w, d.hour, 2);
    tarn_writer_u8(w, ':');
    tarn_writer_dec_pad(w, d.minute, 2);
    tarn_writer_u8(w, ':');
    tarn_writer_dec_pad(w, d.second, 2);
    tarn_writer_str(w, " GMT");
}

/* Exactly that text comes next. */
static bool literal(struct tarn_span *s, const char *text) {
    struct tarn_span want = tarn_span_str(text);
    return tarn_span_starts(*s, want) && tarn_span_skip(s, want.len);
}

static bool digits(struct tarn_span *s, size_t n, unsigned *out) {
    struct tarn_span text;
    uint64_t v;
    if (!tarn_span_take(s, n, &text) || !tarn_span_parse_dec(text, 9999, &v))
        return false;
    *out = (unsigned)v;
    return true;
}

static bool month(struct tarn_span *s, struct tarn_date *d) {
    for (uint8_t i = 0; i < 12; i++) {
        if (tarn_span_starts(*s, TARN_AT(month_names, i))) {
            d->month = (uint8_t)(i + 1);
            return tarn_span_skip(s, 3);
        }
    }
    return false;
}

/* The name of a day, whole or its first three letters. */
static bool weekday(struct tarn_span *s, bool whole) {
    for (size_t i = 0; i < 7; i++) {
        struct tarn_span name = TARN_AT(day_names, i);
        if (!whole)
            name = tarn_span_first(name, 3);
        if (tarn_span_starts(*s, name))
            return tarn_span_skip(s, name.len);
    }
    return false;
}

static bool time_of_day(struct tarn_span *s, struct tarn_date *d) {
    unsigned h, m, sec;
    if (!digits(s, 2, &h) || !literal(s, ":") || !digits(s, 2, &m) || !literal(s, ":")
        || !digits(s, 2, &sec))
        return false;
    d->hour = (uint8_t)h;
    d->minute = (uint8_t)m;
    d->second = (uint8_t)(sec == 60 ? 59 : sec); /* a leap second is valid and has no number here */
    return true;
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool imf_fixdate(struct tarn_span s, struct tarn_date *d) {
    unsigned day, year;
    bool ok = weekday(&s, false) && literal(&s, ", ") && digits(&s, 2, &day) && literal(&s, " ")
              && month(&s, d) && literal(&s, " ") && digits(&s, 4, &year) && literal(&s, " ")
              && time_of_day(&s, d) && literal(&s, " GMT") && s.len == 0;
    if (ok) {
        d->day = (uint8_t)day;
        d->year = (int32_t)year;
    }
    return ok;
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static bool rfc850(struct tarn_span s, int64_t now, struct tarn_date *d) {
    int32_t this_year = tarn_date_from_unix(now).year;
    unsigned day, year;
    bool ok = weekday(&s, true) && literal(&s, ", ") && digits(&s, 2, &day) && literal(&s, "-")
              && month(&s, d) && literal(&s, "-") && digits(&s, 2, &year) && literal(&s, " ")
              && time_of_day(&s, d) && literal(&s, " GMT") && s.len == 0;
    if (ok) {
        d->day = (uint8_t)day;
        d->year = this_year - this_year % 100 + (int32_t)year;
        if (d->year > this_year + 50)
            d->year -= 100;
    }
    return ok;
}

/* Sun Nov  6 08:49:37 1994 */
static bool asctime(struct tarn_span s, struct tarn_date *d) {
    unsigned day, year;
    bool ok = weekday(&s, false) && literal(&s, " ") && month(&s, d) && literal(&s, " ")
              && (literal(&s, " ") ? digits(&s, 1, &day) : digits(&s, 2, &day)) && literal(&s, " ")
              && time_of_day(&s, d) && literal(&s, " ") && digits(&s, 4, &year) && s.len == 0;
    if (ok) {
        d->day = (uint8_t)day;
        d->year = (int32_t)year;
    }
    return ok;
}

bool tarn_http_date_parse(struct tarn_span text, int64_t now_seconds, int64_t *unix_seconds) {
    struct tarn_date d = {0};
    return (imf_fixdate(text, &d) || rfc850(text, now_seconds, &d) || asctime(text, &d))
           && tarn_date_to_unix(&d, unix_seconds);
}
