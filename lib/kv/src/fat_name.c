/* SPDX-License-Identifier: ISC */
#include "fat.h"

/* Code page 437 from 0x80 on, which short names without a long one are taken to be in. */
static const uint16_t page_437[128] = {
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
    0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
    0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
    0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
    0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
    0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
    0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

static bool unit_put(struct fat_units *u, uint32_t unit) {
    if (u->count == FAT_UNITS_MAX)
        return false;
    TARN_AT(u->unit, u->count++) = (uint16_t)unit;
    return true;
}

static bool contains(const char *set, uint32_t c) {
    struct tarn_span s = tarn_span_str(set);
    size_t at;
    return c < 128 && tarn_span_find(s, (uint8_t)c, &at);
}

/* -- UTF-8 ----------------------------------------------------------------------------------------
 */

/* One character; shortest forms only, no surrogates. */
static bool utf8_take(struct tarn_span *s, uint32_t *out) {
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first, more;
    if (!tarn_span_u8(s, &first))
        return false;
    uint32_t length = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4)
        return false;
    *out = length ? first & (0x3fu >> length) : first;
    for (uint32_t i = 0; i < length; i++) {
        if (!tarn_span_u8(s, &more) || (more & 0xc0) != 0x80)
            return false;
        *out = *out << 6 | (more & 0x3f);
    }
    return *out >= TARN_AT(least, length) && *out <= 0x10ffff && !(*out >= 0xd800 && *out < 0xe000);
}

static void utf8_put(struct tarn_writer *w, uint32_t c) {
    uint32_t length = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    if (!length) {
        tarn_writer_u8(w, (uint8_t)c);
        return;
    }
    tarn_writer_u8(w, (uint8_t)((0xff00u >> (length + 1)) | c >> (6 * length)));
    while (length--)
        tarn_writer_u8(w, (uint8_t)(0x80 | (c >> (6 * length) & 0x3f)));
}

static bool char_allowed(uint32_t c) {
    return c >= ' ' && c != 0x7f && !contains("\"*/:<>?\\|", c);
}

bool fat_units_of(struct tarn_span name, struct fat_units *out) {
    uint32_t c = 0;
    out->count = 0;
    while (name.len) {
        if (!utf8_take(&name, &c) || !char_allowed(c))
            return false;
        bool fits = c < 0x10000
                        ? unit_put(out, c)
                        : unit_put(out, 0xd7c0 + (c >> 10)) && unit_put(out, 0xdc00 | (c & 0x3ff));
        if (!fits)
            return false;
    }
    return out->count && c != '.' && c != ' ';
}

bool fat_units_name(const struct fat_units *u, struct tarn_writer *out) {
    uint32_t last = 0;
    for (uint32_t i = 0; i < u->count; i++) {
        uint32_t c = TARN_AT(u->unit, i);
        if (c >= 0xd800 && c < 0xdc00 && i + 1 < u->count) {
            uint32_t low = TARN_AT(u->unit, ++i);
            if (low < 0xdc00 || low >= 0xe000)
                return false;
            c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
        } else if (c >= 0xd800 && c < 0xe000) {
            return false;
        }
        if (!char_allowed(c))
            return false;
        utf8_put(out, c);
        last = c;
    }
    return u->count && last != '.' && last != ' ' && tarn_writer_ok(out);
}

static uint32_t folded(uint32_t unit) {
    return unit >= 'a' && unit <= 'z' ? unit - 'a' + 'A' : unit;
}

bool fat_units_equal(const struct fat_units *a, const struct fat_units *b) {
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (folded(TARN_AT(a->unit, i)) != folded(TARN_AT(b->unit, i)))
            return false;
    return true;
}

/* -- short names ----------------------------------------------------------------------------------
 */

static void short_part(struct tarn_span part, bool lower, bool first, struct fat_units *out) {
    uint8_t c;
    part = tarn_span_trim(part, " ");
    while (tarn_span_u8(&part, &c)) {
        uint32_t unit = first && c == 0x05 ? 0xe5 : c; /* 0xe5 itself says "deleted" */
        first = false;
        if (unit >= 0x80)
            unit = TARN_AT(page_437, unit - 0x80);
        bool capital =
            (unit >= 'A' && unit <= 'Z') || (unit >= 0xc0 && unit < 0xdf && unit != 0xd7);
        if (lower && capital)
            unit += 0x20; /* ASCII's and Latin-1's distance */
        (void)unit_put(out, unit);
    }
}

/* Byte 12 is Windows NT's: which half is meant in small letters. */
void fat_short_units(struct tarn_span entry, struct fat_units *out) {
    uint8_t bits = tarn_span_at(entry, 12);
    struct tarn_span extension = tarn_span_first(tarn_span_after(entry, 8), 3);
    out->count = 0;
    short_part(tarn_span_first(entry, 8), bits & 0x08, true, out);
    if (tarn_span_trim(extension, " ").len) {
        (void)unit_put(out, '.');
        short_part(extension, bits & 0x10, false, out);
    }
}

uint8_t fat_short_sum(struct tarn_span name) {
    uint8_t sum = 0, c;
    name = tarn_span_first(name, 11);
    while (tarn_span_u8(&name, &c))
        sum = (uint8_t)((sum >> 1 | sum << 7) + c);
    return sum;
}

/* A unit as a byte of a short name; *changed where it is another one. 0: left out. */
static uint8_t short_char(uint32_t unit, bool *changed) {
    if (unit == ' ' || unit == '.') {
        *changed = true;
        return 0;
    }
    bool good = unit < 0x80 && !contains("+,;=[]", unit);
    *changed |= !good || folded(unit) != unit;
    return good ? (uint8_t)folded(unit) : '_';
}

static uint32_t hash_of(const struct fat_units *u, uint32_t salt) {
    uint32_t h = 2166136261u ^ salt;
    for (uint32_t i = 0; i < u->count; i++)
        h = (h ^ TARN_AT(u->unit, i)) * 16777619u;
    return h ^ h >> 16;
}

/* Up to `room` bytes of units [from, to). */
static void short_copy(const struct fat_units *u, uint32_t from, uint32_t to, uint32_t room,
                       struct tarn_writer *w, bool *changed) {
    for (size_t start = w->len; from < to; from++) {
        uint8_t c = short_char(TARN_AT(u->unit, from), changed);
        if (c && w->len - start == room)
            *changed = true;
        else if (c)
            tarn_writer_u8(w, c);
    }
}

void fat_short_of(const struct fat_units *u, uint32_t number, uint8_t out[11], bool *whole) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(out, 11));
    uint32_t dot = u->count;
    bool changed = false;
    for (uint32_t i = 1; i < u->count; i++)
        if (TARN_AT(u->unit, i) == '.')
            dot = i;
    /* Once to see whether anything is lost. */
    short_copy(u, dot + (dot < u->count), u->count, 3, &w, &changed);
    w.len = 0;
    short_copy(u, 0, dot, 8, &w, &changed);
    changed |= w.len == 0 || number > 1;
    if (changed) {
        w.len = TARN_MIN(w.len, number > 9 ? (size_t)2 : (size_t)6);
        if (number > 9)
            tarn_writer_hex(&w, hash_of(u, number) & 0xffff, 4);
        tarn_writer_u8(&w, '~');
        tarn_writer_u8(&w, (uint8_t)('0' + (number > 9 ? 1 : number)));
    }
    while (w.len < 8)
        tarn_writer_u8(&w, ' ');
    short_copy(u, dot + (dot < u->count), u->count, 3, &w, &changed);
    while (w.len < 11)
        tarn_writer_u8(&w, ' ');
    for (size_t i = 0; i < 8; i++) /* hexadecimal digits in capitals, too */
        *tarn_bytes_at(tarn_bytes_of(out, 11), i) = (uint8_t)folded(TARN_AT_N(out, 11, i));
    *whole = !changed;
}
