/* SPDX-License-Identifier: ISC */
#include <tarn/kv_impl.h>
#include <tarn/kv_path.h>

void tarn_kv_watches_add(struct tarn_kv_watch **list, struct tarn_kv_watch *watch) {
    watch->next = *list;
    *list = watch;
}

void tarn_kv_watches_remove(struct tarn_kv_watch **list, struct tarn_kv_watch *watch) {
    while (*list != watch)
        list = &(*list)->next;
    *list = watch->next;
    tarn_task_cancel(&watch->task);
}

/* A change concerns a watch at, below or above it: what is removed takes all below it along. */
static bool concerns(struct tarn_span changed, struct tarn_span watched) {
    struct tarn_span c, w;
    if (!tarn_kv_path_canonical(changed, &c) || !tarn_kv_path_canonical(watched, &w))
        return false;
    return tarn_span_equal(c, w) || tarn_kv_path_below(c, w) || tarn_kv_path_below(w, c);
}

void tarn_kv_watches_notify(struct tarn_kv_watch *list, const struct tarn_kv_change *changes,
                            size_t count) {
    for (struct tarn_kv_watch *w = list; w; w = w->next) {
        for (size_t i = 0; i < count && !tarn_task_is_posted(&w->task); i++) {
            const struct tarn_kv_change *c = &TARN_AT_N(changes, count, i);
            if (concerns(c->key, w->key)
                || (c->verb == TARN_KV_RENAME && concerns(c->dest, w->key)))
                tarn_task_post(w->tasks, &w->task);
        }
    }
}
