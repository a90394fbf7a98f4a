/* SPDX-License-Identifier: ISC */
/* Memory that runs out when the test says so. */
#include "internal.h"

#include <stdlib.h>

static void *counted_get(struct tarn_alloc *alloc, size_t bytes, size_t align) {
    struct tarn_sim_alloc *a = TARN_CONTAINER_OF(alloc, struct tarn_sim_alloc, alloc);
    a->calls++;
    if (a->fail_at && (a->calls == a->fail_at || (a->fail_on && a->calls > a->fail_at)))
        return NULL;
    void *mem = NULL;
    align = TARN_MAX(align, sizeof(void *));
    if (posix_memalign(&mem, align, TARN_MAX(bytes, (size_t)1)) != 0)
        return NULL;
    __builtin_memset(mem, 0, bytes);
    a->live++;
    a->live_bytes += bytes;
    return mem;
}

static void counted_put(struct tarn_alloc *alloc, void *ptr, size_t bytes) {
    struct tarn_sim_alloc *a = TARN_CONTAINER_OF(alloc, struct tarn_sim_alloc, alloc);
    TARN_ASSERT(a->live > 0 && a->live_bytes >= bytes);
    a->live--;
    a->live_bytes -= bytes;
    free(ptr);
}

static const struct tarn_alloc_ops counted_ops = {.get = counted_get, .put = counted_put};

void tarn_sim_alloc_init(struct tarn_sim_alloc *a) {
    *a = (struct tarn_sim_alloc){.alloc = {&counted_ops}};
}

void tarn_sim_hog_take(struct tarn_sim_hog *hog, struct tarn_pkt_pool *pool) {
    struct tarn_pkt *pkt;
    while ((pkt = tarn_pkt_alloc(pool, 0))) {
        pkt->next = hog->first;
        hog->first = pkt;
        hog->count++;
    }
}

void tarn_sim_hog_release(struct tarn_sim_hog *hog) {
    tarn_pkt_free_list(hog->first);
    *hog = (struct tarn_sim_hog){0};
}

uint32_t tarn_sim_pkts_live(const struct tarn_pkt_pool *pool) {
    uint32_t live = 0;
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++)
        live += pool->pools[class].live;
    return live;
}
