/* SPDX-License-Identifier: ISC */
/* gmp.h includes limits.h, which the compiler has only together with a C library. This is what it
 * uses of it. */
#ifndef TARN_OUTSIDE_LIMITS_H
#define TARN_OUTSIDE_LIMITS_H

#define USHRT_MAX (2 * __SHRT_MAX__ + 1)
#define UINT_MAX (2u * __INT_MAX__ + 1)
#define ULONG_MAX (2ul * __LONG_MAX__ + 1)

#endif
