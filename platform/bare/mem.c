/* SPDX-License-Identifier: ISC */
/* The functions that a compiler may call anywhere. Short copies dominate (headers, fields): they
 * are two overlapping moves and no loop. Long ones go to the processor's own string move, which has
 * been the fastest there is since it says so in CPUID (ERMS), and needs no wide registers saved. */
#include "bare.h"

typedef uint64_t u64u __attribute__((aligned(1), may_alias));
typedef uint32_t u32u __attribute__((aligned(1), may_alias));
typedef uint16_t u16u __attribute__((aligned(1), may_alias));
typedef long long v16 __attribute__((vector_size(16), aligned(1), may_alias));

#define LONG_COPY 512u /* from here on `rep movsb` pays for its start */

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    return memmove(to, from, n);
}

void *memmove(void *to, const void *from, size_t n) {
    char *d = to;
    const char *s = from;
    if (n <= 16) {
        if (n >= 8) {
            uint64_t a = *(const u64u *)s, b = *(const u64u *)(s + n - 8);
            *(u64u *)d = a;
            *(u64u *)(d + n - 8) = b;
        } else if (n >= 4) {
            uint32_t a = *(const u32u *)s, b = *(const u32u *)(s + n - 4);
            *(u32u *)d = a;
            *(u32u *)(d + n - 4) = b;
        } else if (n >= 2) {
            uint16_t a = *(const u16u *)s, b = *(const u16u *)(s + n - 2);
            *(u16u *)d = a;
            *(u16u *)(d + n - 2) = b;
        } else if (n) {
            *d = *s;
        }
        return to;
    }
    if ((uintptr_t)d - (uintptr_t)s >= n) { /* forwards is right: apart, or `to` is the lower one */
        if (n >= LONG_COPY) {
            __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
            return to;
        }
        v16 last = *(const v16 *)(s + n - 16);
        for (size_t i = 0; i + 16 < n; i += 16)
            *(v16 *)(d + i) = *(const v16 *)(s + i);
        *(v16 *)(d + n - 16) = last;
    } else {
        v16 first = *(const v16 *)s;
        for (; n > 16; n -= 16)
            *(v16 *)(d + n - 16) = *(const v16 *)(s + n - 16);
        *(v16 *)d = first;
    }
    return to;
}

void *memset(void *to, int byte, size_t n) {
    char *d = to;
    uint64_t word = 0x0101010101010101u * (uint8_t)byte;
    if (n < 16) {
        if (n >= 8) {
            *(u64u *)d = word;
            *(u64u *)(d + n - 8) = word;
        } else if (n >= 4) {
            *(u32u *)d = (uint32_t)word;
            *(u32u *)(d + n - 4) = (uint32_t)word;
        } else {
            while (n)
                d[--n] = (char)byte;
        }
        return to;
    }
    if (n >= LONG_COPY) {
        __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(byte) : "memory");
        return to;
    }
    v16 v = {(long long)word, (long long)word};
    for (size_t i = 0; i + 16 < n; i += 16)
        *(v16 *)(d + i) = v;
    *(v16 *)(d + n - 16) = v;
    return to;
}

int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *p = a, *q = b;
    for (; n >= 8; n -= 8, p += 8, q += 8) {
        uint64_t x = *(const u64u *)p, y = *(const u64u *)q;
        if (x != y)
            return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
    }
    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p < *q ? -1 : 1;
    return 0;
}

size_t strlen(const char *s) {
    const char *end = s;
    while (*end)
        end++;
    return (size_t)(end - s);
}
