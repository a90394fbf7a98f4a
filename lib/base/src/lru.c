/* SPDX-License-Identifier: ISC */
#include <tarn/lru.h>

void tarn_lru_add(struct tarn_lru *lru, struct tarn_lru_link *link) {
    *link = (struct tarn_lru_link){.older = lru->newest};
    if (lru->newest)
        lru->newest->newer = link;
    else
        lru->oldest = link;
    lru->newest = link;
    lru->count++;
}

void tarn_lru_remove(struct tarn_lru *lru, struct tarn_lru_link *link) {
    if (link->newer)
        link->newer->older = link->older;
    else
        lru->newest = link->older;
    if (link->older)
        link->older->newer = link->newer;
    else
        lru->oldest = link->newer;
    *link = (struct tarn_lru_link){0};
    lru->count--;
}

void tarn_lru_touch(struct tarn_lru *lru, struct tarn_lru_link *link) {
    if (lru->newest == link)
        return;
    tarn_lru_remove(lru, link);
    tarn_lru_add(lru, link);
}

static struct tarn_lru *list_of(struct tarn_trust *t, const struct tarn_trust_link *link) {
    return link->proven ? &t->proven : &t->unproven;
}

void tarn_trust_add(struct tarn_trust *t, struct tarn_trust_link *link) {
    TARN_ASSERT(t->proven.count + t->unproven.count < t->max);
    link->proven = false;
    tarn_lru_add(&t->unproven, &link->lru);
}

void tarn_trust_remove(struct tarn_trust *t, struct tarn_trust_link *link) {
    tarn_lru_remove(list_of(t, link), &link->lru);
}

void tarn_trust_touch(struct tarn_trust *t, struct tarn_trust_link *link) {
    tarn_lru_touch(list_of(t, link), &link->lru);
}

void tarn_trust_set(struct tarn_trust *t, struct tarn_trust_link *link, bool proven) {
    tarn_lru_remove(list_of(t, link), &link->lru);
    link->proven = proven;
    tarn_lru_add(list_of(t, link), &link->lru);
}

struct tarn_trust_link *tarn_trust_victim(const struct tarn_trust *t) {
    struct tarn_lru_link *oldest = NULL;
    if (t->unproven.count >= t->max / 2)
        oldest = t->unproven.oldest;
    else if (t->unproven.count + t->proven.count == t->max)
        oldest = t->proven.oldest;
    return oldest ? TARN_CONTAINER_OF(oldest, struct tarn_trust_link, lru) : NULL;
}
