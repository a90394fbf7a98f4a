/* SPDX-License-Identifier: ISC */
/* The cache against a table: what is found is what was put, nothing is larger than its budget. */
#include "../../../lib/recursor/src/cache.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void *get(struct tarn_alloc *a, size_t bytes, size_t align) {
    (void)a;
    (void)align;
    return calloc(1, bytes);
}
static void put(struct tarn_alloc *a, void *ptr, size_t bytes) {
    (void)a;
    (void)bytes;
    free(ptr);
}
static const struct tarn_alloc_ops ops = {get, put};

static struct tarn_span name_of(uint8_t n, uint8_t out[8]) {
    out[0] = 2;
    out[1] = (uint8_t)('a' + n % 16);
    out[2] = (uint8_t)('A' + n / 16);
    out[3] = 0;
    return tarn_span_of(out, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct cache c;
    static uint8_t data[70000];
    struct tarn_alloc alloc = {&ops};
    struct tarn_random_seeded random;
    uint8_t last[256] = {0}, name[8], n, what, len;
    struct tarn_span in = tarn_span_of(bytes, size);
    memset(&c, 0, sizeof c);
    tarn_random_seeded_init(&random, 1);
    if (cache_init(&c, &alloc, &random.random, CACHE_BYTES_MIN))
        return 0;
    while (tarn_span_u8(&in, &what) && tarn_span_u8(&in, &n) && tarn_span_u8(&in, &len)) {
        uint16_t type = n & 1 ? TARN_DNS_NSEC : TARN_DNS_NSEC3;
        struct tarn_span key = name_of(n, name);
        struct entry *e = cache_find(&c, CACHED_SET, key, type);
        if (e && (entry_data(&c, e).len == 0 || tarn_span_at(entry_data(&c, e), 0) != last[n]))
            abort();
        if (what & 1) {
            last[n] = what;
            memset(data, what, sizeof data);
            struct entry_new put_this = {.kind = CACHED_SET,
                                         .name = key,
                                         .type = type,
                                         .ttl = 1,
                                         .data = tarn_span_of(data, 1 + len * 250u)};
            if (!cache_put(&c, &put_this))
                abort();
        } else if (what & 2 && e) {
            cache_drop(&c, e);
        } else {
            struct entry *before = cache_before(&c, type, key),
                         *behind = cache_behind(&c, type, key);
            if ((before && tarn_dns_name_compare(entry_name(&c, before), key) > 0)
                || (behind && tarn_dns_name_compare(entry_name(&c, behind), key) <= 0)
                || (e && before != e))
                abort();
        }
        if (c.bytes > c.mem.len || c.used > c.mem.len)
            abort();
    }
    cache_fini(&c, &alloc);
    return 0;
}
