/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* A quarter of what memory there is goes to packets: half of that to whole super-segments (few and
 * large), three eighths to frames, the rest to headers in front of lent payload. A pool's memory is
 * not touched before it is used. */
static void divide(size_t budget, struct tarn_pkt_pool_config *config) {
    static const uint8_t eighths[TARN_PKT_CLASSES] = {
        [TARN_PKT_HEADER] = 1, [TARN_PKT_FRAME] = 3, [TARN_PKT_SUPER] = 4};
    for (unsigned class = 0; class < TARN_PKT_CLASSES; class ++) {
        size_t bytes = budget / 8 * eighths[class];
        size_t count = bytes / tarn_pkt_class_bytes((enum tarn_pkt_class) class);
        config->count[class] = (uint32_t)TARN_MIN(count, (size_t)1 << 20);
    }
}

struct tarn_pkt_pool *tarn_env_pkts(struct tarn_env *env) {
    if (!env->pkts) {
        struct tarn_pkt_pool_config config;
        divide((env->heap.mem.len - env->heap.used) / 4, &config);
        struct tarn_pkt_pool *pkts = TARN_NEW(&env->heap.alloc, struct tarn_pkt_pool);
        /* A quarter of what is there is there. */
        TARN_ASSERT(pkts && tarn_pkt_pool_init(pkts, &env->heap.alloc, &config) == TARN_OK);
        env->pkts = pkts;
    }
    return env->pkts;
}
