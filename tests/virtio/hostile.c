/* SPDX-License-Identifier: ISC */
#include "hostile.h"
#include "model.h"
#include <stdlib.h>

#define SIZE 16u

struct world {
    struct virtq q;
    struct model_queue m;
    struct model_chain held[SIZE]; /* by the device */
    unsigned held_count;
    uint32_t room[SIZE]; /* by token - 1; what it may write */
    bool out[SIZE];
    struct hostile_result result;
};

static uintptr_t free_token(const struct world *w) {
    for (uintptr_t i = 0; i < SIZE; i++)
        if (!w->out[i])
            return i + 1;
    return 0;
}

static void add(struct world *w, uint8_t how) {
    struct virtq_buf bufs[8];
    unsigned out = how & 3, in = how >> 2 & 3;
    uintptr_t token = free_token(w);
    if (out + in == 0)
        in = 1;
    for (unsigned i = 0; i < out + in; i++)
        bufs[i] = (struct virtq_buf){0x1000u * (i + 1), 100u + (how >> 4)};
    unsigned free_before = w->q.free_count;
    if (!virtq_add(&w->q, bufs, out, in, (void *)token)) {
        TARN_ASSERT(w->q.broken || out + in > free_before);
        return;
    }
    TARN_ASSERT(token && w->q.free_count == free_before - out - in);
    w->out[token - 1] = true;
    w->room[token - 1] = in * (100u + (how >> 4));
    w->result.added++;
}

static void gave_back(struct world *w, void *token) {
    uintptr_t i = (uintptr_t)token - 1;
    TARN_ASSERT(i < SIZE && w->out[i]);
    w->out[i] = false;
}

static void take(struct world *w) {
    void *token;
    uint32_t written;
    enum tarn_err err = virtq_take(&w->q, &token, &written);
    TARN_ASSERT((err == TARN_PEER) == w->q.broken
                && (!err || err == TARN_PEER || err == TARN_AGAIN));
    if (err)
        return;
    gave_back(w, token);
    TARN_ASSERT(written <= w->room[(uintptr_t)token - 1]);
    w->result.taken++;
}

/* The model follows descriptors blindly, so it is honest only while nothing was a lie. */
static void answer(struct world *w, uint8_t which) {
    while (w->held_count < SIZE && model_next(&w->m, &w->held[w->held_count]))
        w->held_count++;
    if (w->held_count == 0)
        return;
    unsigned i = which % w->held_count;
    uint32_t room = 0;
    for (unsigned k = 0; k < w->held[i].in; k++)
        room += w->held[i].bufs[w->held[i].out + k].len;
    model_done(&w->m, &w->held[i], room ? which % (room + 1) : 0);
    w->held[i] = w->held[--w->held_count];
}

static bool lie(struct tarn_bytes shared, struct tarn_span *script) {
    uint16_t at, v;
    if (!tarn_span_u16le(script, &at) || !tarn_span_u16le(script, &v))
        return false;
    struct tarn_bytes where = tarn_bytes_after(shared, at % (shared.len - 2));
    tarn_bytes_copy(where, tarn_span_of(&v, sizeof v));
    return true;
}

static void end(struct world *w) {
    void *token;
    while ((token = virtq_reclaim(&w->q)) != NULL) {
        gave_back(w, token);
        w->result.reclaimed++;
    }
    TARN_ASSERT(w->result.added == w->result.taken + w->result.reclaimed);
    TARN_ASSERT(w->q.free_count == SIZE && w->q.chains == 0);
}

struct hostile_result hostile_ring(struct tarn_span script, bool lies) {
    struct world w = {0};
    uint8_t act = 0, arg;
    (void)!tarn_span_u8(&script, &act);
    unsigned flags = act & 3;
    size_t bytes = virtq_bytes(SIZE, flags);
    uint8_t *shared = aligned_alloc(VIRTQ_ALIGN, (bytes + VIRTQ_ALIGN - 1) & ~(VIRTQ_ALIGN - 1u));
    struct virtq_slot *slots = malloc(SIZE * sizeof *slots);
    struct tarn_bytes mem = tarn_bytes_of(shared, bytes);
    bool honest = true;
    tarn_bytes_fill(mem, 0);
    virtq_init(&w.q, SIZE, flags, mem, slots);
    model_queue_of(&w.m, &w.q);
    while (tarn_span_u8(&script, &act) && tarn_span_u8(&script, &arg)) {
        switch (act % 8) {
        case 0:
        case 1: add(&w, arg); break;
        case 2: (void)!virtq_publish(&w.q); break;
        case 3: take(&w); break;
        case 4:
            if (honest)
                answer(&w, arg);
            break;
        case 5: virtq_quiet(&w.q); break;
        case 6: (void)!virtq_wake(&w.q); break;
        default:
            if (lies)
                honest = !lie(mem, &script) && honest;
        }
    }
    w.result.broken = w.q.broken;
    end(&w);
    free(shared);
    free(slots);
    return w.result;
}
