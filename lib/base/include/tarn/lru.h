/* SPDX-License-Identifier: ISC */
/* tarn/lru.h: things in the order of their last use, and who goes when a table of them is full.
 *
 * The link is embedded in its owner, found again with TARN_CONTAINER_OF. Everything is O(1).
 */
#ifndef TARN_LRU_H
#define TARN_LRU_H

#include <tarn/compiler.h>

struct tarn_lru_link {
    struct tarn_lru_link *newer, *older; /* NULL at the ends */
};
struct tarn_lru {
    struct tarn_lru_link *newest, *oldest; /* NULL: empty */
    uint32_t count;
};
/* As the newest. The link is in no list. */
void tarn_lru_add(struct tarn_lru *lru, struct tarn_lru_link *link);
void tarn_lru_remove(struct tarn_lru *lru, struct tarn_lru_link *link);
/* It was used: the newest from now on. */
void tarn_lru_touch(struct tarn_lru *lru, struct tarn_lru_link *link);

/* A cache that strangers cannot empty. Whoever has shown itself (a neighbour that answered what we
 * asked) is proven; whatever others can bring about is not. Unproven entries may have half of the
 * table, and beyond that replace only each other; the oldest proven one goes only while those have
 * more than their half. So a flood of the unproven never evicts the last half of the proven. */
struct tarn_trust_link {
    struct tarn_lru_link lru;
    bool proven;
};
struct tarn_trust {
    struct tarn_lru proven, unproven;
    uint32_t max; /* entries in all, at least 2 */
};
/* As unproven, and the newest. There is room: see victim. */
void tarn_trust_add(struct tarn_trust *t, struct tarn_trust_link *link);
void tarn_trust_remove(struct tarn_trust *t, struct tarn_trust_link *link);
void tarn_trust_touch(struct tarn_trust *t, struct tarn_trust_link *link);
void tarn_trust_set(struct tarn_trust *t, struct tarn_trust_link *link, bool proven);
/* Which entry is to be removed before another can be added. NULL: none, there is room. */
struct tarn_trust_link *tarn_trust_victim(const struct tarn_trust *t);

#endif
