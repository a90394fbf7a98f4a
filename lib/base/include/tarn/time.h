/* SPDX-License-Identifier: ISC */
/* tarn/time.h: time is an argument. Monotonic nanoseconds from an arbitrary origin; a library never
 * reads a clock, it is told `now` and answers with the next deadline. */
#ifndef TARN_TIME_H
#define TARN_TIME_H

#include <tarn/compiler.h>

typedef uint64_t tarn_time; /* ns */

#define TARN_NEVER UINT64_MAX
#define TARN_US(n) ((tarn_time)(n)*1000u)
#define TARN_MS(n) ((tarn_time)(n)*1000000u)
#define TARN_SEC(n) ((tarn_time)(n)*1000000000u)

/* now + delay, never past TARN_NEVER. */
static inline tarn_time tarn_time_after(tarn_time now, tarn_time delay) {
    return delay < TARN_NEVER - now ? now + delay : TARN_NEVER;
}

/* The calendar, for HTTP dates, certificates and logs: proleptic Gregorian, UTC, no leap seconds.
 * Years have four digits, as in all of those. */
struct tarn_date {
    int32_t year;                 /* 0..9999 */
    uint8_t month, day;           /* 1..12, 1..31 */
    uint8_t hour, minute, second; /* 0..23, 0..59, 0..59 */
    uint8_t weekday;              /* 0 is Sunday */
};
/* Seconds outside those years give their first or last second. */
struct tarn_date tarn_date_from_unix(int64_t seconds);
/* False where a field is out of range (the weekday is not looked at). */
TARN_MUST_USE bool tarn_date_to_unix(const struct tarn_date *date, int64_t *seconds);

#endif
