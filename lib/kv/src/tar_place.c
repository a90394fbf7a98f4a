/* SPDX-License-Identifier: ISC */
#include "tar_rw.h"

/* -- the device -----------------------------------------------------------------------------------
 */

static struct tarn_waiter *waiter(struct tarn_kv_tar_rw *t) {
    return t->config.waiter(t->config.user);
}

enum tarn_err tar_blocks_read(struct tarn_kv_tar_rw *t, uint64_t block, struct tarn_bytes data) {
    return tarn_blk_read(t->config.blk, waiter(t), block, data) ? TARN_IO : TARN_OK;
}

static enum tarn_err blocks_write(struct tarn_kv_tar_rw *t, uint64_t block, struct tarn_span data) {
    enum tarn_err err = tarn_blk_write(t->config.blk, waiter(t), block, data);
    t->failed |= err != TARN_OK;
    return err ? TARN_IO : TARN_OK;
}

static enum tarn_err flush(struct tarn_kv_tar_rw *t) {
    if (!(t->config.blk->features & TARN_BLK_CAN_FLUSH))
        return TARN_OK;
    enum tarn_err err = tarn_blk_flush(t->config.blk, waiter(t));
    t->failed |= err != TARN_OK;
    return err ? TARN_IO : TARN_OK;
}

/* -- headers --------------------------------------------------------------------------------------
 */

/* Octal digits and a NUL; or, where they are not enough, GNU's base-256. */
static void number_put(struct tarn_writer *w, uint64_t v, unsigned width) {
    bool fits = v >> 3 * (width - 1) == 0;
    if (!fits)
        tarn_writer_u8(w, 0x80);
    for (unsigned i = width - 1; i-- > 0;) {
        if (fits)
            tarn_writer_u8(w, (uint8_t)('0' + (v >> 3 * i & 7)));
        else
            tarn_writer_u8(w, (uint8_t)(i < 8 ? v >> 8 * i : 0));
    }
    if (fits)
        tarn_writer_u8(w, 0);
}

static void header_put(struct tarn_bytes block, char type, struct tarn_span name, uint64_t bytes,
                       int64_t mtime) {
    struct tarn_writer w = tarn_writer_over(block);
    tarn_writer_span_put(&w, tarn_span_first(name, 100));
    tarn_writer_zero(&w, 100 - w.len);
    number_put(&w, 0644, 8);
    number_put(&w, 0, 8);
    number_put(&w, 0, 8);
    number_put(&w, bytes, 12);
    number_put(&w, mtime < 0 ? 0 : (uint64_t)mtime, 12);
    tarn_writer_zero(&w, 8);
    tarn_writer_u8(&w, (uint8_t)type);
    tarn_writer_zero(&w, 100);
    tarn_writer_mem(&w, "ustar\00000", 8);
    tarn_writer_zero(&w, TAR_BLOCK - w.len);
    w = tarn_writer_over(tarn_bytes_after(block, 148));
    number_put(&w, tar_checksum(tarn_bytes_span(block)), 7);
    tarn_writer_u8(&w, ' ');
}

/* "LEN KEY=VALUE\n"; LEN counts itself. */
static void record_put(struct tarn_writer *w, const char *key, struct tarn_span value) {
    size_t rest = tarn_span_str(key).len + value.len + 3, digits = 1;
    for (size_t n = 10; rest + digits >= n; n *= 10)
        digits++;
    tarn_writer_dec(w, rest + digits);
    tarn_writer_u8(w, ' ');
    tarn_writer_str(w, key);
    tarn_writer_u8(w, '=');
    tarn_writer_span_put(w, value);
    tarn_writer_u8(w, '\n');
}

uint64_t tar_head_build(struct tarn_kv_tar_rw *t, struct tarn_span path, uint64_t bytes,
                        int64_t mtime) {
    struct tarn_bytes head = TARN_BYTES_ARRAY(t->head);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_after(head, TAR_BLOCK));
    if (path.len > 100)
        record_put(&w, "path", path);
    if (mtime < 0) {
        uint8_t text[24];
        struct tarn_writer number = TARN_WRITER_ARRAY(text);
        tarn_writer_u8(&number, '-');
        tarn_writer_dec(&number, 0 - (uint64_t)mtime);
        record_put(&w, "mtime", tarn_writer_span(&number));
    }
    TARN_ASSERT(tarn_writer_ok(&w));
    uint64_t extra = 0;
    if (w.len) {
        size_t len = w.len;
        tarn_writer_zero(&w, (TAR_BLOCK - len % TAR_BLOCK) % TAR_BLOCK);
        header_put(tarn_bytes_first(head, TAR_BLOCK), 'x', TARN_SPAN_LIT(".tarn-kv/pax"), len, 0);
        extra = 1 + w.len / TAR_BLOCK;
    }
    head = tarn_bytes_after(head, (size_t)extra * TAR_BLOCK);
    TARN_ASSERT(head.len >= TAR_BLOCK);
    header_put(tarn_bytes_first(head, TAR_BLOCK), '0', path, bytes, mtime);
    return extra + 1;
}

static void free_header(struct extent e, uint8_t block[TAR_BLOCK]) {
    header_put(tarn_bytes_of(block, TAR_BLOCK), '0', TARN_SPAN_LIT(TAR_FREE),
               (e.end - e.first - 1) * TAR_BLOCK, 0);
}

static enum tarn_err free_header_write(struct tarn_kv_tar_rw *t, struct extent e) {
    uint8_t block[TAR_BLOCK];
    free_header(e, block);
    return blocks_write(t, e.first, TARN_SPAN_ARRAY(block));
}

/* -- room -----------------------------------------------------------------------------------------
 */

static struct extent *free_at(struct tarn_kv_tar_rw *t, uint32_t i) {
    return &TARN_AT_N(t->free, t->config.values_max + 1, i);
}

static void free_remove(struct tarn_kv_tar_rw *t, uint32_t i) {
    for (t->free_count--; i < t->free_count; i++)
        *free_at(t, i) = *free_at(t, i + 1);
}

/* False: too many to remember; the room comes back when the archive is opened again. */
static bool free_insert(struct tarn_kv_tar_rw *t, struct extent e) {
    uint32_t i = t->free_count;
    if (i == t->config.values_max + 1)
        return false;
    for (t->free_count++; i && free_at(t, i - 1)->first > e.first; i--)
        *free_at(t, i) = *free_at(t, i - 1);
    *free_at(t, i) = e;
    return true;
}

/* `rest` is what stays free behind, or, at the archive's end, empty with the end mark's place. */
static enum tarn_err room_take(struct tarn_kv_tar_rw *t, uint64_t blocks, uint64_t *first,
                               struct extent *rest) {
    for (uint32_t i = 0; i < t->free_count; i++) {
        struct extent e = *free_at(t, i);
        if (e.end - e.first < blocks)
            continue;
        *first = e.first;
        *rest = (struct extent){e.first + blocks, e.end};
        if (rest->first == rest->end)
            free_remove(t, i);
        else
            *free_at(t, i) = *rest;
        return TARN_OK;
    }
    if (t->config.blk->blocks < 2 || blocks > t->config.blk->blocks - 2
        || t->end > t->config.blk->blocks - 2 - blocks)
        return TARN_LIMIT;
    *first = t->end;
    t->end += blocks;
    *rest = (struct extent){t->end, t->end};
    return TARN_OK;
}

/* -- members --------------------------------------------------------------------------------------
 */

static enum tarn_err piece_compose(struct tarn_kv_tar_rw *t, const struct tar_content *c,
                                   uint64_t from, struct tarn_bytes piece) {
    uint64_t to = from + piece.len, end = c->offset + c->part.len;
    enum tarn_err err = TARN_OK;
    size_t n;
    tarn_bytes_fill(piece, 0);
    if (c->old && from < c->old->value.len)
        err = tar_value_read(t, c->old, from, piece, &n);
    if (!err && c->offset < to && end > from) {
        uint64_t first = TARN_MAX(c->offset, from);
        tarn_bytes_copy(tarn_bytes_after(piece, (size_t)(first - from)),
                        tarn_span_after(c->part, (size_t)(first - c->offset)));
    }
    return err;
}

static enum tarn_err value_write(struct tarn_kv_tar_rw *t, const struct tar_content *c,
                                 uint64_t block) {
    static const size_t most = TAR_PIECE_BYTES / 2; /* reading takes the other half */
    enum tarn_err err = TARN_OK;
    for (uint64_t from = 0; !err && from < c->bytes; from += most) {
        size_t bytes = (size_t)TARN_MIN(c->bytes - from, (uint64_t)most);
        size_t padded = (bytes + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        struct tarn_bytes piece = tarn_bytes_first(TARN_BYTES_ARRAY(t->piece), padded);
        err = piece_compose(t, c, from, piece);
        if (!err)
            err = blocks_write(t, block + from / TAR_BLOCK, tarn_bytes_span(piece));
    }
    return err;
}

static enum tarn_err behind_write(struct tarn_kv_tar_rw *t, struct extent rest) {
    static const uint8_t zeroes[2 * TAR_BLOCK];
    if (rest.first != rest.end)
        return free_header_write(t, rest);
    return rest.first == t->end ? blocks_write(t, t->end, TARN_SPAN_ARRAY(zeroes)) : TARN_OK;
}

static struct birth *birth_at(struct tarn_kv_tar_rw *t, uint32_t i) {
    return &TARN_AT_N(t->births, TAR_BIRTHS, i);
}

static enum tarn_err birth_add(struct tarn_kv_tar_rw *t, uint64_t at) {
    struct tarn_span first = tarn_span_first(TARN_SPAN_ARRAY(t->head), TAR_BLOCK);
    struct birth *b = NULL;
    for (uint32_t i = 0; i < t->birth_count; i++)
        if (birth_at(t, i)->at == at)
            b = birth_at(t, i);
    if (!b && t->birth_count == TAR_BIRTHS)
        return TARN_LIMIT;
    if (!b)
        b = birth_at(t, t->birth_count++);
    b->at = at;
    tarn_bytes_copy(TARN_BYTES_ARRAY(b->block), first);
    return TARN_OK;
}

enum tarn_err tar_member_write(struct tarn_kv_tar_rw *t, const struct tar_content *c,
                               struct entry *e) {
    uint64_t head = tar_head_build(t, e->path, c->bytes, e->mtime), first;
    uint64_t blocks = c->bytes / TAR_BLOCK + (c->bytes % TAR_BLOCK != 0);
    struct extent rest;
    if (blocks > t->config.blk->blocks || t->birth_count == TAR_BIRTHS)
        return TARN_LIMIT;
    enum tarn_err err = room_take(t, head + blocks, &first, &rest);
    if (err)
        return err;
    struct tarn_span more = tarn_span_after(
        tarn_span_first(TARN_SPAN_ARRAY(t->head), (size_t)head * TAR_BLOCK), TAR_BLOCK);
    if (more.len)
        err = blocks_write(t, first + 1, more);
    if (!err)
        err = value_write(t, c, first + head);
    if (!err)
        err = behind_write(t, rest);
    if (!err)
        err = birth_add(t, first);
    e->first = first;
    e->data = first + head;
    e->end = first + head + blocks;
    e->value = tarn_span_of(NULL, (size_t)c->bytes);
    return err;
}

enum tarn_err tar_member_rename(struct tarn_kv_tar_rw *t, const struct entry *e) {
    TARN_ASSERT(tar_head_build(t, e->path, e->value.len, e->mtime) == 1);
    return birth_add(t, e->first);
}

void tar_member_kill(struct tarn_kv_tar_rw *t, const struct entry *e) {
    TARN_AT_N(t->deaths, t->config.values_max + TAR_BIRTHS, t->death_count++) =
        (struct extent){e->first, e->end};
}

/* -- writing what is staged -----------------------------------------------------------------------
 */

/* The last of the archive goes: its end mark comes to `e.first`, second block first. */
static enum tarn_err cut_off(struct tarn_kv_tar_rw *t, struct extent e) {
    static const uint8_t zeroes[TAR_BLOCK];
    enum tarn_err err = TARN_OK;
    if (e.first + 1 < e.end)
        err = blocks_write(t, e.first + 1, TARN_SPAN_ARRAY(zeroes));
    if (!err)
        err = flush(t);
    if (!err)
        err = blocks_write(t, e.first, TARN_SPAN_ARRAY(zeroes));
    if (!err)
        t->end = e.first;
    return err;
}

/* Its header becomes one of free room; with the free room around it, it is one. */
static enum tarn_err death(struct tarn_kv_tar_rw *t, struct extent e) {
    struct extent left = {0, 0};
    for (uint32_t i = 0; i < t->free_count; i++) {
        if (free_at(t, i)->first == e.end) {
            e.end = free_at(t, i)->end;
            free_remove(t, i);
            break;
        }
    }
    for (uint32_t i = 0; i < t->free_count; i++) {
        if (free_at(t, i)->end == e.first) {
            left = *free_at(t, i);
            free_remove(t, i);
            break;
        }
    }
    enum tarn_err err = free_header_write(t, e);
    if (!err)
        err = flush(t);
    if (!err && left.end) {
        e.first = left.first;
        err = free_header_write(t, e);
        if (!err)
            err = flush(t);
    }
    if (!err && e.end == t->end)
        return cut_off(t, e);
    if (!err)
        (void)free_insert(t, e);
    return err;
}

/* What was staged over the second block of the end mark is not to stay there. */
enum tarn_err tar_end_mend(struct tarn_kv_tar_rw *t) {
    static const uint8_t zeroes[TAR_BLOCK];
    return blocks_write(t, t->end + 1, TARN_SPAN_ARRAY(zeroes));
}

enum tarn_err tar_commit(struct tarn_kv_tar_rw *t) {
    enum tarn_err err = t->birth_count ? flush(t) : TARN_OK;
    for (uint32_t i = 0; !err && i < t->birth_count; i++)
        err = blocks_write(t, birth_at(t, i)->at, TARN_SPAN_ARRAY(birth_at(t, i)->block));
    if (!err && t->birth_count)
        err = flush(t);
    for (uint32_t i = 0; !err && i < t->death_count; i++)
        err = death(t, TARN_AT_N(t->deaths, t->config.values_max + TAR_BIRTHS, i));
    if (!err && t->death_count)
        err = flush(t);
    t->birth_count = t->death_count = 0;
    return err;
}
