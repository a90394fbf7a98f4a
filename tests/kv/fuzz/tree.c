/* SPDX-License-Identifier: ISC */
/* Any bytes as a device, with what only chance could give them: right checksums. The input says
 * what the root, two pages and a record of the log hold; opening, walking, reading, writing and
 * checking answer, whatever it is. */
#include "../rig.h"

#include <stdlib.h>
#include <string.h>

#include "../../../lib/kv/src/page.h"
#include "../../../lib/kv/src/xxh64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGES = 256, LOG_PAGES = 16, FIRST = 8 + LOG_PAGES, STORE = 77, BIRTH = 8 };

static void check(int cond) {
    if (!cond)
        abort();
}

/* The next piece of the input: its length in two bytes in front. */
static struct tarn_span piece(struct tarn_span *in) {
    struct tarn_span out = TARN_SPAN_EMPTY;
    uint16_t len = 0;
    if (tarn_span_u16le(in, &len)) {
        out = tarn_span_first(*in, len);
        *in = tarn_span_after(*in, out.len);
    }
    return out;
}

/* A page whose header is right but for the count and the rows; what it sums up to. */
static uint64_t page_make(uint8_t *image, uint64_t number, uint16_t level, struct tarn_span in) {
    struct tarn_bytes page = tarn_bytes_of(image + number * PAGE_BYTES, PAGE_BYTES);
    struct tarn_writer w = tarn_writer_over(page);
    uint16_t count = 0;
    check(tarn_span_u16le(&in, &count) || in.len < 2);
    tarn_writer_u32le(&w, 0x70766b74);
    tarn_writer_u16le(&w, level);
    tarn_writer_u16le(&w, count);
    tarn_writer_u64le(&w, number);
    tarn_writer_u64le(&w, BIRTH);
    tarn_writer_u64le(&w, STORE);
    tarn_writer_span_put(&w, tarn_span_first(in, PAGE_PAYLOAD));
    return xxh64(tarn_bytes_span(page), BIRTH);
}

static void root_make(uint8_t *image, uint64_t page, uint32_t level, uint64_t checksum,
                      struct tarn_span in) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(image, 512));
    tarn_writer_u64le(&w, 0x3130766b6e726174);
    tarn_writer_u32le(&w, 1);
    tarn_writer_u32le(&w, PAGE_BYTES);
    tarn_writer_u64le(&w, BIRTH);
    tarn_writer_u64le(&w, STORE);
    tarn_writer_u64le(&w, PAGES);
    tarn_writer_u64le(&w, LOG_PAGES);
    tarn_writer_u32le(&w, 512);
    tarn_writer_u32le(&w, 4096 + 48);
    tarn_writer_u32le(&w, level);
    tarn_writer_u64le(&w, page);
    tarn_writer_u64le(&w, BIRTH);
    tarn_writer_u64le(&w, checksum);
    tarn_writer_u64le(&w, 0);
    tarn_writer_u64le(&w, 1);
    tarn_writer_u64le(&w, 0);
    tarn_writer_u64le(&w, 100);
    /* What the input gives replaces all of that, from some place on. */
    uint8_t at = 0;
    if (tarn_span_u8(&in, &at) && in.len)
        memcpy(image + at, in.ptr, in.len < 200 ? in.len : 200);
    w = tarn_writer_over(tarn_bytes_of(image + 504, 8));
    tarn_writer_u64le(&w, xxh64(tarn_span_of(image, 504), 0));
}

static void record_make(uint8_t *image, struct tarn_span in) {
    uint8_t *record = image + 8 * PAGE_BYTES;
    struct tarn_span rows = tarn_span_first(in, 4096);
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(record + 8, 4096 + 48 - 8));
    tarn_writer_u32le(&w, 0x6c766b74);
    tarn_writer_u32le(&w, (uint32_t)(48 + rows.len));
    tarn_writer_u64le(&w, 1);
    tarn_writer_u64le(&w, 0);
    tarn_writer_u64le(&w, 5);
    tarn_writer_u64le(&w, 200);
    tarn_writer_span_put(&w, rows);
    uint64_t sum = xxh64(tarn_span_of(record + 8, 40 + rows.len), 0);
    w = tarn_writer_over(tarn_bytes_of(record, 8));
    tarn_writer_u64le(&w, sum);
}

static void walk(struct tarn_kv *kv, struct tarn_span dir, unsigned depth, unsigned *budget) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry e;
    while (*budget && kv->ops->list(kv, dir, &cursor, &e) == TARN_OK) {
        uint8_t path[1024], buf[700];
        struct tarn_writer w = TARN_WRITER_ARRAY(path);
        size_t n;
        --*budget;
        if (dir.len) {
            tarn_writer_span_put(&w, dir);
            tarn_writer_u8(&w, '/');
        }
        tarn_writer_span_put(&w, e.name);
        struct tarn_span key = tarn_writer_span(&w);
        if (e.kind == TARN_KV_DICTIONARY && depth < 3)
            walk(kv, key, depth + 1, budget);
        else if (kv->ops->get_partial(kv, key, 5, TARN_BYTES_ARRAY(buf), &n) == TARN_OK)
            check(n <= sizeof buf);
    }
}

static void use(struct tarn_kv_tree *tree) {
    struct tarn_kv *kv = tarn_kv_tree_kv(tree);
    struct tarn_kv_tree_report report;
    unsigned budget = 300;
    walk(kv, TARN_SPAN_EMPTY, 0, &budget);
    enum tarn_err err = tarn_kv_tree_check(tree, &report);
    check(err == TARN_OK || err == TARN_IO);
    static const char *const keys[] = {"a", "b/c", "d", ""};
    for (size_t i = 0; i < 4; i++) {
        err = tarn_kv_set_partial(kv, tarn_span_str(keys[i]), 900, TARN_SPAN_LIT("value"));
        check(err != TARN_OK || keys[i][0]);
        err = tarn_kv_remove(kv, tarn_span_str(keys[(i + 1) % 4]));
        check(err != TARN_AGAIN);
    }
    err = tarn_kv_tree_shrink(tree, 512 << 10);
    check(err != TARN_AGAIN);
    tarn_kv_tree_close(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rig rig;
    struct tarn_span in = {data, size};
    uint8_t level = 0;
    if (!tarn_span_u8(&in, &level))
        return 0;
    rig_init(&rig, PAGES * PAGE_BYTES);
    uint64_t leaf = page_make(rig.bytes, FIRST, 0, piece(&in));
    struct tarn_span inner = piece(&in);
    uint64_t sum = leaf;
    if (level & 1) {
        /* The first row of the inner page refers to the leaf, wherever the input put it. */
        page_make(rig.bytes, FIRST + 1, 1, inner);
        uint8_t *page = rig.bytes + (FIRST + 1) * PAGE_BYTES;
        uint16_t at = (uint16_t)(page[32] | page[33] << 8);
        if (at && at < PAGE_BYTES - 300 && page[at + 1] == 0 && page[at + 2] == 24) {
            struct tarn_writer w =
                tarn_writer_over(tarn_bytes_of(page + at + 4 + page[at], PAGE_REF_BYTES));
            tarn_writer_u64le(&w, FIRST);
            tarn_writer_u64le(&w, BIRTH);
            tarn_writer_u64le(&w, leaf);
        }
        sum = xxh64(tarn_span_of(page, PAGE_BYTES), BIRTH);
    }
    root_make(rig.bytes, FIRST + (level & 1), level & 1, sum, piece(&in));
    record_make(rig.bytes, piece(&in));
    rig.config.snapshots_max = level & 2 ? 1 : 0;
    struct tarn_kv_tree *tree;
    if (tarn_kv_tree_open(&rig.config, &tree) == TARN_OK)
        use(tree);
    rig_done(&rig);
    return 0;
}
