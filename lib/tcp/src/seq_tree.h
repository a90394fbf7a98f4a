/* SPDX-License-Identifier: ISC */
/* seq_tree.h: an ordered tree over sequence numbers, for what is in flight and for what arrived out
 * of order. A treap: whoever chooses the keys does not choose the priorities, so the expected depth
 * is O(log n) whatever a peer does. Keys in one tree lie within 2^31 of each other. */
#ifndef TARN_TCP_SEQ_TREE_H
#define TARN_TCP_SEQ_TREE_H

#include <tarn/compiler.h>

static inline bool seq_lt(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b) {
    return (int32_t)(a - b) <= 0;
}
static inline uint32_t seq_max(uint32_t a, uint32_t b) {
    return seq_lt(a, b) ? b : a;
}
static inline uint32_t seq_min(uint32_t a, uint32_t b) {
    return seq_lt(a, b) ? a : b;
}

struct seq_node {
    struct seq_node *left, *right;
    uint32_t seq;
    uint32_t priority; /* random */
};
struct seq_tree {
    struct seq_node *root;
};

/* `node`'s seq and priority are set; no node of that seq is in the tree. */
void seq_tree_insert(struct seq_tree *tree, struct seq_node *node);
void seq_tree_remove(struct seq_tree *tree, struct seq_node *node);
/* The node with the greatest seq that is <= `seq`, or NULL. */
struct seq_node *seq_tree_floor(const struct seq_tree *tree, uint32_t seq);
/* The node with the least seq that is > `seq`, or NULL. */
struct seq_node *seq_tree_above(const struct seq_tree *tree, uint32_t seq);

#endif
