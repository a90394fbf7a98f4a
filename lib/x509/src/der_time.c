/* SPDX-License-Identifier: ISC */
#include <tarn/der.h>
#include <tarn/time.h>
#include <tarn/writer.h>

static bool digits(struct tarn_span *in, size_t n, uint64_t *out) {
    struct tarn_span text;
    return tarn_span_take(in, n, &text) && tarn_span_parse_dec(text, 9999, out);
}

bool tarn_der_time(struct tarn_span *in, bool x509, int64_t *seconds) {
    struct tarn_span text;
    bool general = tarn_der_is(*in, TARN_DER_GENERAL_TIME);
    uint64_t year, month, day, hour, minute, second;
    if (!tarn_der_take(in, general ? TARN_DER_GENERAL_TIME : TARN_DER_UTC_TIME, &text)
        || text.len != (general ? 15 : 13) || tarn_span_at(text, text.len - 1) != 'Z'
        || !digits(&text, general ? 4 : 2, &year) || !digits(&text, 2, &month)
        || !digits(&text, 2, &day) || !digits(&text, 2, &hour) || !digits(&text, 2, &minute)
        || !digits(&text, 2, &second))
        return false;
    if (!general)
        year += year < 50 ? 2000 : 1900;
    else if (x509 && year < 2050)
        return false;
    struct tarn_date date = {
        .year = (int32_t)year,
        .month = (uint8_t)month,
        .day = (uint8_t)day,
        .hour = (uint8_t)hour,
        .minute = (uint8_t)minute,
        .second = (uint8_t)second,
    };
    return tarn_date_to_unix(&date, seconds);
}

void tarn_der_put_time(struct tarn_der_writer *w, int64_t seconds) {
    uint8_t text[16];
    struct tarn_date d = tarn_date_from_unix(seconds);
    struct tarn_writer t = TARN_WRITER_ARRAY(text);
    bool general = d.year >= 2050 || d.year < 1950;
    tarn_writer_dec_pad(&t, (uint64_t)(general ? d.year : d.year % 100), general ? 4 : 2);
    tarn_writer_dec_pad(&t, d.month, 2);
    tarn_writer_dec_pad(&t, d.day, 2);
    tarn_writer_dec_pad(&t, d.hour, 2);
    tarn_writer_dec_pad(&t, d.minute, 2);
    tarn_writer_dec_pad(&t, d.second, 2);
    tarn_writer_u8(&t, 'Z');
    tarn_der_put(w, general ? TARN_DER_GENERAL_TIME : TARN_DER_UTC_TIME, tarn_writer_span(&t));
}
