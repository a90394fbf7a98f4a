/* SPDX-License-Identifier: ISC */
#include "seq_tree.h"

void seq_tree_insert(struct seq_tree *tree, struct seq_node *node) {
    struct seq_node **at = &tree->root;
    while (*at && (*at)->priority >= node->priority)
        at = seq_lt(node->seq, (*at)->seq) ? &(*at)->left : &(*at)->right;
    /* What is below here has lower priority: it is split around the new node. */
    struct seq_node *rest = *at;
    struct seq_node **below = &node->left, **above = &node->right;
    while (rest) {
        if (seq_lt(rest->seq, node->seq)) {
            *below = rest;
            below = &rest->right;
            rest = rest->right;
        } else {
            *above = rest;
            above = &rest->left;
            rest = rest->left;
        }
    }
    *below = *above = NULL;
    *at = node;
}

void seq_tree_remove(struct seq_tree *tree, struct seq_node *node) {
    struct seq_node **at = &tree->root;
    while (*at != node) {
        TARN_ASSERT(*at);
        at = seq_lt(node->seq, (*at)->seq) ? &(*at)->left : &(*at)->right;
    }
    struct seq_node *low = node->left, *high = node->right;
    while (low && high) {
        if (low->priority >= high->priority) {
            *at = low;
            at = &low->right;
            low = low->right;
        } else {
            *at = high;
            at = &high->left;
            high = high->left;
        }
    }
    *at = low ? low : high;
}

struct seq_node *seq_tree_floor(const struct seq_tree *tree, uint32_t seq) {
    struct seq_node *best = NULL;
    for (struct seq_node *n = tree->root; n;) {
        if (seq_le(n->seq, seq)) {
            best = n;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return best;
}

struct seq_node *seq_tree_above(const struct seq_tree *tree, uint32_t seq) {
    struct seq_node *best = NULL;
    for (struct seq_node *n = tree->root; n;) {
        if (seq_lt(seq, n->seq)) {
            best = n;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}
