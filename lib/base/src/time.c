/* SPDX-License-Identifier: ISC */
#include <tarn/time.h>

#define DAY_SECONDS 86400
#define YEAR_0000_BEGINS INT64_C(-62167219200)
#define YEAR_9999_ENDS INT64_C(253402300799)

/* Days are counted in years that begin on 1 March, so that the leap day is the last. */
struct tarn_date tarn_date_from_unix(int64_t seconds) {
    seconds = TARN_MIN(TARN_MAX(seconds, YEAR_0000_BEGINS), YEAR_9999_ENDS);
    int64_t days = seconds / DAY_SECONDS, rest = seconds % DAY_SECONDS;
    if (rest < 0) {
        rest += DAY_SECONDS;
        days--;
    }
    int64_t z = days + 719468;                        /* since 0000-03-01 */
    int64_t era = (z >= 0 ? z : z - 146096) / 146097; /* of 400 years; -1 in early 0000 */
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    return (struct tarn_date){
        .year = (int32_t)(yoe + era * 400 + (month <= 2)),
        .month = (uint8_t)month,
        .day = (uint8_t)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (uint8_t)(rest / 3600),
        .minute = (uint8_t)(rest / 60 % 60),
        .second = (uint8_t)(rest % 60),
        .weekday = (uint8_t)(((days + 4) % 7 + 7) % 7),
    };
}

bool tarn_date_to_unix(const struct tarn_date *date, int64_t *seconds) {
    static const uint8_t month_days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t y = date->year;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (y < 0 || y > 9999 || date->month < 1 || date->month > 12 || date->day < 1 || date->hour > 23
        || date->minute > 59 || date->second > 59)
        return false;
    if (date->day > month_days[date->month - 1] + (date->month == 2 && leap))
        return false;
    y -= date->month <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t mp = (date->month + 9) % 12;
    int64_t doy = (153 * mp + 2) / 5 + date->day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    int64_t days = era * 146097 + doe - 719468;
    *seconds = days * DAY_SECONDS + date->hour * 3600 + date->minute * 60 + date->second;
    return true;
}
