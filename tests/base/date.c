/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <tarn/env.h>
#include <tarn/time.h>
#include <time.h>

#define FIRST INT64_C(-62167219200)
#define LAST INT64_C(253402300799)

static void against_the_c_library(int64_t seconds) {
    time_t t = seconds;
    struct tm tm;
    cr_assert_not_null(gmtime_r(&t, &tm));
    struct tarn_date d = tarn_date_from_unix(seconds);
    cr_assert(d.year == tm.tm_year + 1900 && d.month == tm.tm_mon + 1 && d.day == tm.tm_mday
                  && d.hour == tm.tm_hour && d.minute == tm.tm_min && d.second == tm.tm_sec
                  && d.weekday == tm.tm_wday,
              "%lld became %d-%u-%u %u:%u:%u", (long long)seconds, d.year, d.month, d.day, d.hour,
              d.minute, d.second);
    int64_t back;
    cr_assert(tarn_date_to_unix(&d, &back));
    cr_assert_eq(back, seconds);
}

Test(date, every_day_of_ten_thousand_years) {
    for (int64_t s = FIRST; s <= LAST; s += 86400)
        against_the_c_library(s);
}

Test(date, random_seconds) {
    struct tarn_random_seeded r;
    tarn_random_seeded_init(&r, 1);
    for (int i = 0; i < 100000; i++)
        against_the_c_library(FIRST
                              + (int64_t)(tarn_random_u64(&r.random) % (uint64_t)(LAST - FIRST)));
}

Test(date, the_edges_and_beyond) {
    against_the_c_library(FIRST);
    against_the_c_library(LAST);
    against_the_c_library(-1);
    against_the_c_library(0);
    cr_assert_eq(tarn_date_from_unix(INT64_MAX).year, 9999);
    cr_assert_eq(tarn_date_from_unix(LAST + 1).second, 59);
    cr_assert_eq(tarn_date_from_unix(INT64_MIN).year, 0);
    cr_assert_eq(tarn_date_from_unix(FIRST - 1).day, 1);
}

Test(date, fields_out_of_range_are_refused) {
    static const struct tarn_date bad[] = {
        {2023, 2, 29, 0, 0, 0, 0}, {1900, 2, 29, 0, 0, 0, 0}, {2024, 2, 30, 0, 0, 0, 0},
        {2024, 4, 31, 0, 0, 0, 0}, {2024, 0, 1, 0, 0, 0, 0},  {2024, 13, 1, 0, 0, 0, 0},
        {2024, 1, 0, 0, 0, 0, 0},  {2024, 1, 32, 0, 0, 0, 0}, {2024, 1, 1, 24, 0, 0, 0},
        {2024, 1, 1, 0, 60, 0, 0}, {2024, 1, 1, 0, 0, 60, 0}, {-1, 1, 1, 0, 0, 0, 0},
        {10000, 1, 1, 0, 0, 0, 0},
    };
    static const struct tarn_date good[] = {{2024, 2, 29, 0, 0, 0, 0},
                                            {2000, 2, 29, 23, 59, 59, 0},
                                            {0, 1, 1, 0, 0, 0, 0},
                                            {9999, 12, 31, 23, 59, 59, 0}};
    int64_t s;
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert_not(tarn_date_to_unix(&bad[i], &s), "bad date %zu", i);
    for (size_t i = 0; i < TARN_COUNT_OF(good); i++)
        cr_assert(tarn_date_to_unix(&good[i], &s), "good date %zu", i);
}

Test(time, after_saturates_at_never) {
    cr_assert_eq(tarn_time_after(5, 6), 11);
    cr_assert_eq(tarn_time_after(TARN_NEVER - 1, 1), TARN_NEVER);
    cr_assert_eq(tarn_time_after(TARN_NEVER - 1, 100), TARN_NEVER);
    cr_assert_eq(tarn_time_after(1, TARN_NEVER), TARN_NEVER);
    cr_assert_eq(tarn_time_after(TARN_NEVER, 0), TARN_NEVER);
    cr_assert_eq(TARN_SEC(3), TARN_MS(3000));
    cr_assert_eq(TARN_MS(3), TARN_US(3000));
}
