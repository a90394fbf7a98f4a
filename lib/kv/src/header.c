/* SPDX-License-Identifier: ISC */
/* The ustar header: IEEE Std 1003.1-2017, pax, "ustar Interchange Format". */
#include "header.h"

static enum tarn_err refuse(struct reader *r, const char *why) {
    r->error->offset = r->offset;
    r->error->why = why;
    return TARN_PEER;
}

/* A text field: up to its NUL, or all of it. */
struct tarn_span tar_text(struct tarn_span field) {
    struct tarn_span text;
    tarn_span_split(&field, 0, &text);
    return text;
}

/* Octal digits, spaces around them, ended by the field or a NUL; or GNU's base-256 with the top bit
 * of the first byte set. An empty field is 0. */
bool tar_number(struct tarn_span field, uint64_t *out) {
    uint64_t v = 0;
    uint8_t c;
    if (field.len && tarn_span_at(field, 0) & 0x80) {
        for (bool first = true; tarn_span_u8(&field, &c); first = false) {
            c = first ? c & 0x7f : c;
            /* A negative number has all of its top bits set: it overflows here. */
            if (v >> 55)
                return false;
            v = v << 8 | c;
        }
        *out = v;
        return true;
    }
    field = tarn_span_trim(tar_text(field), " ");
    while (tarn_span_u8(&field, &c)) {
        if (c < '0' || c > '7' || v >> 60)
            return false;
        v = v << 3 | (uint64_t)(c - '0');
    }
    *out = v;
    return true;
}

bool tar_is_zero(struct tarn_span block) {
    uint8_t any = 0, c;
    while (tarn_span_u8(&block, &c))
        any |= c;
    return any == 0;
}

/* The sum of all bytes, those of the checksum itself taken as spaces. */
uint64_t tar_checksum(struct tarn_span block) {
    uint64_t sum = 0;
    for (size_t i = 0; i < block.len; i++)
        sum += i >= 148 && i < 156 ? ' ' : tarn_span_at(block, i);
    return sum;
}

const char *tar_header_parse(struct tarn_span block, struct header *h) {
    struct tarn_span rest = block, magic, skipped;
    uint64_t stored;
    bool whole = tarn_span_take(&rest, 100, &h->name) && tarn_span_skip(&rest, 24)
                 && tarn_span_take(&rest, 12, &h->size) && tarn_span_take(&rest, 12, &h->mtime)
                 && tarn_span_take(&rest, 8, &h->checksum) && tarn_span_u8(&rest, &h->type)
                 && tarn_span_take(&rest, 100, &skipped) && tarn_span_take(&rest, 8, &magic)
                 && tarn_span_skip(&rest, 80) && tarn_span_take(&rest, 155, &h->prefix);
    TARN_ASSERT(whole);
    if (!tar_number(h->checksum, &stored) || stored != tar_checksum(block))
        return "the header's checksum does not match";
    h->posix = tarn_span_equal(magic, TARN_SPAN_LIT("ustar\00000"));
    if (!h->posix && !tarn_span_equal(magic, TARN_SPAN_LIT("ustar  \0")))
        return "the header is not ustar, pax or GNU";
    return NULL;
}

/* The `bytes` behind the header at r->offset, padding included: moves to the next header. */
static enum tarn_err data_take(struct reader *r, uint64_t bytes, struct tarn_span *data) {
    struct tarn_span rest = tarn_span_after(r->archive, r->offset + TAR_BLOCK);
    uint64_t padding = (TAR_BLOCK - bytes % TAR_BLOCK) % TAR_BLOCK;
    if (bytes > rest.len || padding > rest.len - bytes)
        return refuse(r, "the archive ends inside a member");
    *data = tarn_span_first(rest, (size_t)bytes);
    r->offset += TAR_BLOCK + (size_t)(bytes + padding);
    return TARN_OK;
}

/* A decimal number of seconds, with an optional sign and fraction (which is dropped). */
static bool seconds_of(struct tarn_span text, int64_t *out) {
    bool negative = tarn_span_starts(text, TARN_SPAN_LIT("-"));
    struct tarn_span whole;
    uint64_t v, fraction;
    if (negative)
        text = tarn_span_after(text, 1);
    if (tarn_span_split(&text, '.', &whole) && text.len
        && !tarn_span_parse_dec(tarn_span_first(text, 18), UINT64_MAX, &fraction))
        return false;
    if (!tarn_span_parse_dec(whole, INT64_MAX, &v))
        return false;
    *out = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

/* One pax record: "LEN KEY=VALUE\n", where LEN counts all of it. */
static bool record_take(struct tarn_span *data, struct tarn_span *key, struct tarn_span *value) {
    struct tarn_span rest = *data, digits, record;
    uint64_t len;
    if (!tarn_span_split(&rest, ' ', &digits) || !tarn_span_parse_dec(digits, data->len, &len))
        return false;
    if (!tarn_span_take(data, (size_t)len, &record) || len < digits.len + 2
        || tarn_span_at(record, record.len - 1) != '\n')
        return false;
    record = tarn_span_after(tarn_span_first(record, record.len - 1), digits.len + 1);
    if (!tarn_span_split(&record, '=', key) || key->len == 0)
        return false;
    *value = record;
    return true;
}

const char *tar_pax_apply(struct tarn_span data, struct extras *x) {
    struct tarn_span key, value;
    while (data.len) {
        if (!record_take(&data, &key, &value))
            return "a pax record is malformed";
        if (tarn_span_equal(key, TARN_SPAN_LIT("path"))) {
            x->path = value;
            x->path_given = value.len != 0;
        } else if (tarn_span_equal(key, TARN_SPAN_LIT("size"))) {
            x->size_given = value.len != 0;
            if (value.len && !tarn_span_parse_dec(value, UINT64_MAX, &x->size))
                return "a pax size is not a number";
        } else if (tarn_span_equal(key, TARN_SPAN_LIT("mtime"))) {
            x->mtime_given = value.len != 0;
            if (value.len && !seconds_of(value, &x->mtime))
                return "a pax mtime is not a number";
        } else if (tarn_span_starts(key, TARN_SPAN_LIT("GNU.sparse."))) {
            return "sparse files are not supported";
        }
    }
    return NULL;
}

/* A global header's records stand until another changes them; a path or size for all members would
 * make no sense. */
static const char *pax_apply_global(struct reader *r, struct tarn_span data) {
    struct extras x = {.mtime_given = r->global_mtime_given, .mtime = r->global_mtime};
    const char *why = tar_pax_apply(data, &x);
    if (!why && (x.path_given || x.size_given))
        return "a global pax header has a path or a size";
    r->global_mtime_given = x.mtime_given;
    r->global_mtime = x.mtime;
    return why;
}

/* 'x', 'g', 'L', 'K': what they say is for the next member. *is_extra is false for all others. */
static enum tarn_err extra_take(struct reader *r, const struct header *h, struct extras *x,
                                bool *is_extra) {
    size_t at = r->offset;
    const char *why = NULL;
    struct tarn_span data;
    enum tarn_err err;
    uint64_t size;
    *is_extra = h->type == 'x' || h->type == 'g' || h->type == 'L' || h->type == 'K';
    if (!*is_extra)
        return TARN_OK;
    if (!tar_number(h->size, &size))
        return refuse(r, "the size is not a number");
    err = data_take(r, size, &data);
    if (err)
        return err;
    if (h->type == 'x') {
        why = tar_pax_apply(data, x);
    } else if (h->type == 'g') {
        why = pax_apply_global(r, data);
    } else if (h->type == 'L') {
        x->path = tar_text(data);
        x->path_given = true;
    }
    if (why) {
        r->offset = at;
        return refuse(r, why);
    }
    return TARN_OK;
}

/* The fields of a file or directory, extensions first. */
static enum tarn_err member_fill(struct reader *r, const struct header *h, const struct extras *x,
                                 struct member *out) {
    uint64_t size, mtime;
    if (h->type == '5')
        out->kind = MEMBER_DIRECTORY;
    else if (h->type == '0' || h->type == 0 || h->type == '7')
        out->kind = MEMBER_FILE;
    else if (h->type == '1' || h->type == '2')
        return refuse(r, "links are not supported");
    else if (h->type == '3' || h->type == '4' || h->type == '6')
        return refuse(r, "devices and pipes are not supported");
    else
        return refuse(r, "the type of a member is not known");
    if (!tar_number(h->size, &size))
        return refuse(r, "the size is not a number");
    if (!tar_number(h->mtime, &mtime) || mtime > INT64_MAX)
        return refuse(r, "the mtime is not a number");
    out->mtime = x->mtime_given          ? x->mtime
                 : r->global_mtime_given ? r->global_mtime
                                         : (int64_t)mtime;
    out->name = x->path_given ? x->path : tar_text(h->name);
    out->prefix = x->path_given || !h->posix ? TARN_SPAN_EMPTY : tar_text(h->prefix);
    if (x->size_given)
        size = x->size;
    out->header = r->offset;
    return data_take(r, out->kind == MEMBER_FILE ? size : 0, &out->value);
}

enum tarn_err reader_next(struct reader *r, struct member *out) {
    struct extras x = {0};
    bool pending = false;
    for (;;) {
        struct tarn_span block, after;
        struct header h;
        const char *why;
        enum tarn_err err;
        bool is_extra;
        if (!tarn_span_sub(r->archive, r->offset, TAR_BLOCK, &block))
            return refuse(r, "the archive has no end mark");
        if (tar_is_zero(block)) {
            if (pending)
                return refuse(r, "an extended header has no member behind it");
            if (!tarn_span_sub(r->archive, r->offset + TAR_BLOCK, TAR_BLOCK, &after)
                || !tar_is_zero(after))
                return refuse(r, "the end mark is one block of zeroes, not two");
            *out = (struct member){.kind = MEMBER_END};
            return TARN_OK;
        }
        why = tar_header_parse(block, &h);
        if (why)
            return refuse(r, why);
        err = extra_take(r, &h, &x, &is_extra);
        if (err)
            return err;
        if (!is_extra)
            return member_fill(r, &h, &x, out);
        pending = pending || h.type != 'g';
    }
}
