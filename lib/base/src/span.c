/* SPDX-License-Identifier: ISC */
#include <tarn/span.h>

struct tarn_span tarn_span_str(const char *str) {
    size_t len = 0; /* strlen is the C library's, which is not below this */
    /*@ loop invariant \forall integer i; 0 <= i < len ==> str[i] != 0;
      @ loop invariant \exists integer n; len <= n && \valid_read(str + (0 .. n)) && str[n] == 0;
      @ loop assigns len; */
    while (str[len] != '\0')
        len++;
    return (struct tarn_span){(const uint8_t *)str, len};
}

bool tarn_span_equal(struct tarn_span a, struct tarn_span b) {
    return a.len == b.len && (a.len == 0 || __builtin_memcmp(a.ptr, b.ptr, a.len) == 0);
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool tarn_span_equal_nocase(struct tarn_span a, struct tarn_span b) {
    if (tarn_span_equal(a, b))
        return true; /* most that is alike is so to the letter */
    if (a.len != b.len)
        return false;
    /*@ loop invariant i <= a.len;
      @ loop assigns i;
      @ loop variant a.len - i; */
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool tarn_span_starts(struct tarn_span s, struct tarn_span prefix) {
    return s.len >= prefix.len && tarn_span_equal(tarn_span_first(s, prefix.len), prefix);
}

bool tarn_span_ends(struct tarn_span s, struct tarn_span suffix) {
    return s.len >= suffix.len
           && tarn_span_equal(
               (struct tarn_span){tarn_span_ptr_(s.ptr, s.len - suffix.len), suffix.len}, suffix);
}

static uint64_t word_at(struct tarn_span s, size_t i) {
    return tarn_load_u64le(s.ptr + i);
}

/* Of two that differ: the first byte, which is the lowest, decides. */
static int word_order(uint64_t x, uint64_t y) {
    return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
}

/* Eight bytes at a time: what is compared most are keys, which are short and differ early, so that
 * calling the C library's memcmp would be most of the cost. */
int tarn_span_compare(struct tarn_span a, struct tarn_span b) {
    size_t n = TARN_MIN(a.len, b.len), i = 0, last = n - 8;
    int by_length = (a.len > b.len) - (a.len < b.len);
    if (n < 8) {
        /*@ loop invariant i <= n;
          @ loop assigns i;
          @ loop variant n - i; */
        for (; i < n; i++)
            if (a.ptr[i] != b.ptr[i])
                return a.ptr[i] < b.ptr[i] ? -1 : 1;
        return by_length;
    }
    /*@ loop invariant i <= last + 8;
      @ loop assigns i;
      @ loop variant last - i; */
    for (; i < last; i += 8)
        if (word_at(a, i) != word_at(b, i))
            return word_order(word_at(a, i), word_at(b, i));
    /* The last eight, where some may be compared again. */
    return word_at(a, last) == word_at(b, last) ? by_length
                                                : word_order(word_at(a, last), word_at(b, last));
}

bool tarn_span_find(struct tarn_span s, uint8_t byte, size_t *index) {
    const uint64_t ones = UINT64_MAX / 255, highs = ones << 7;
    size_t i = 0;
    /*@ loop invariant i <= s.len;
      @ loop assigns i;
      @ loop variant s.len - i; */
    for (; s.len - i >= 8; i += 8) {
        uint64_t x = word_at(s, i) ^ (ones * byte); /* a zero where the byte is */
        if ((x - ones) & ~x & highs)
            break;
    }
    /*@ loop invariant i <= s.len;
      @ loop assigns i;
      @ loop variant s.len - i; */
    for (; i < s.len; i++) {
        if (s.ptr[i] == byte) {
            *index = i;
            return true;
        }
    }
    return false;
}

bool tarn_span_split(struct tarn_span *s, uint8_t byte, struct tarn_span *head) {
    size_t i;
    if (!tarn_span_find(*s, byte, &i)) {
        *head = *s;
        *s = TARN_SPAN_EMPTY;
        return false;
    }
    *head = (struct tarn_span){s->ptr, i};
    *s = (struct tarn_span){s->ptr + i + 1, s->len - i - 1};
    return true;
}

static bool in_set(uint8_t c, const char *set) {
    /*@ loop invariant \exists integer n; i <= n && \valid_read(set + (0 .. n)) && set[n] == 0;
      @ loop invariant \forall integer k; 0 <= k < i ==> set[k] != 0;
      @ loop assigns i; */
    for (size_t i = 0; set[i] != '\0'; i++)
        if ((uint8_t)set[i] == c)
            return true;
    return false;
}

struct tarn_span tarn_span_trim(struct tarn_span s, const char *set) {
    /*@ loop invariant s.len <= \at(s.len, Pre);
      @ loop invariant s.ptr == \at(s.ptr, Pre) + (\at(s.len, Pre) - s.len);
      @ loop assigns s;
      @ loop variant s.len; */
    while (s.len && in_set(s.ptr[0], set)) {
        s.ptr++;
        s.len--;
    }
    /*@ loop invariant s.len <= \at(s.len, LoopEntry);
      @ loop assigns s.len;
      @ loop variant s.len; */
    while (s.len && in_set(s.ptr[s.len - 1], set))
        s.len--;
    return s;
}

static int digit_value(uint8_t c, unsigned base) {
    int v = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : -1;
    return v < (int)base ? v : -1;
}

static bool parse_number(struct tarn_span s, unsigned base, uint64_t max, uint64_t *out) {
    uint64_t v = 0;
    if (s.len == 0)
        return false;
    /*@ loop invariant i <= s.len && (i == 0 || v <= max);
      @ loop assigns i, v;
      @ loop variant s.len - i; */
    for (size_t i = 0; i < s.len; i++) {
        int d = digit_value(s.ptr[i], base);
        if (d < 0 || (uint64_t)d > max || v > (max - (uint64_t)d) / base)
            return false;
        v = v * base + (uint64_t)d;
    }
    *out = v;
    return true;
}

bool tarn_span_parse_dec(struct tarn_span s, uint64_t max, uint64_t *out) {
    return parse_number(s, 10, max, out);
}

bool tarn_span_parse_hex(struct tarn_span s, uint64_t max, uint64_t *out) {
    return parse_number(s, 16, max, out);
}

size_t tarn_bytes_copy(struct tarn_bytes dst, struct tarn_span src) {
    size_t n = TARN_MIN(dst.len, src.len);
    if (n)
        __builtin_memcpy(dst.ptr, src.ptr, n);
    return n;
}

size_t tarn_bytes_move(struct tarn_bytes dst, struct tarn_span src) {
    size_t n = TARN_MIN(dst.len, src.len);
    if (n)
        __builtin_memmove(dst.ptr, src.ptr, n);
    return n;
}

void tarn_bytes_fill(struct tarn_bytes dst, uint8_t byte) {
    if (dst.len)
        __builtin_memset(dst.ptr, byte, dst.len);
}

void tarn_bytes_wipe(struct tarn_bytes dst) {
    tarn_bytes_fill(dst, 0);
    __asm__ volatile("" : : "r"(dst.ptr) : "memory");
}
