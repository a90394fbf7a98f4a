/* SPDX-License-Identifier: ISC */
/* Memory that runs out when the test says so. */
#include "internal.h"

#include <stdlib.h>

/* Stands in front of each piece, as far as the piece's alignment asks for. */
struct sim_piece {
    struct sim_piece *next, *prev;
    void *block; /* what the host gave */
    size_t bytes;
};

static bool refuses(struct tarn_sim_alloc *a) {
    a->calls++;
    return a->fail_at && (a->calls == a->fail_at || (a->fail_on && a->calls > a->fail_at));
}

static void *counted_get(struct tarn_alloc *alloc, size_t bytes, size_t align) {
    struct tarn_sim_alloc *a = TARN_CONTAINER_OF(alloc, struct tarn_sim_alloc, alloc);
    size_t front = TARN_MAX(align, _Alignof(struct sim_piece));
    while (front < sizeof(struct sim_piece))
        front *= 2;
    if (refuses(a) || bytes > SIZE_MAX / 2)
        return NULL;
    /* calloc, and aligned by hand: large pieces cost nothing until they are touched. */
    uint8_t *block = calloc(1, bytes + 2 * front);
    if (!block)
        return NULL;
    uint8_t *mem = block + front + (-(uintptr_t)block & (front - 1));
    struct sim_piece *piece = (struct sim_piece *)(void *)(mem - sizeof *piece);
    *piece = (struct sim_piece){.next = a->pieces, .block = block, .bytes = bytes};
    if (a->pieces)
        a->pieces->prev = piece;
    a->pieces = piece;
    a->live++;
    a->live_bytes += bytes;
    return mem;
}

static void counted_put(struct tarn_alloc *alloc, void *ptr, size_t bytes) {
    struct tarn_sim_alloc *a = TARN_CONTAINER_OF(alloc, struct tarn_sim_alloc, alloc);
    struct sim_piece *piece = (struct sim_piece *)ptr - 1;
    TARN_ASSERT(a->live > 0 && piece->bytes == bytes);
    if (piece->prev)
        piece->prev->next = piece->next;
    else
        a->pieces = piece->next;
    if (piece->next)
        piece->next->prev = piece->prev;
    a->live--;
    a->live_bytes -= bytes;
    free(piece->block);
}

void tarn_sim_alloc_free_all(struct tarn_sim_alloc *a) {
    while (a->pieces)
        counted_put(&a->alloc, a->pieces + 1, a->pieces->bytes);
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
