/* Sums of trees: a branchless walk, eight trees in step for a single row, eight rows in step for a batch.
 *
 * Why this layout and no other: docs/decisions/0007-the-compiled-scorer.md.
 */
#include "model.h"

#include <stdlib.h>

enum { LANES = 8 };

static inline uint32_t step(const Node *node, uint32_t at, const double *slots) {
    const Node *n = node + at;
    double value = slots[n->where >> SLOT_SHIFT];
    /* value <= threshold is false for a NaN; so is value > threshold. */
    uint32_t right = (uint32_t)(value > n->threshold) | ((uint32_t)(value != value) & ~n->where & 1u);
    return n->left + right;
}

/* LightGBM and scikit-learn test a category by its whole number: tree.h, CategoricalDecision; _predictor.pyx. */
static uint32_t step_any(const Trees *t, uint32_t at, const double *slots) {
    const Node *n = t->node + at;
    if (!(n->where & CATEGORICAL))
        return step(t->node, at, slots);
    double value = slots[n->where >> SLOT_SHIFT];
    if (!(value > -1.0))
        return n->left + (~n->where & 1u);
    size_t set = (size_t)n->threshold;
    uint32_t first = t->set_start[set], words = t->set_start[set + 1] - first;
    if (value >= (double)words * 32.0)
        return n->left + 1;
    uint32_t bit = (uint32_t)value;
    return n->left + !((t->set_words[first + bit / 32] >> (bit % 32)) & 1u);
}

static inline uint32_t walk_any(const Trees *t, Py_ssize_t tree, const double *slots) {
    uint32_t at = t->root[tree];
    for (uint32_t d = t->depth[tree]; d > 0; d--)
        at = step_any(t, at, slots);
    return at;
}

static inline void add(const Trees *t, Py_ssize_t outputs, Py_ssize_t tree, uint32_t leaf, double *raw) {
    if (t->width == 1) {
        double *sum = raw + (outputs == 1 ? 0 : tree % outputs);
        /* The sum of two binary32 values, rounded to binary64 first, rounds to the same binary32. */
        *sum = t->single ? (double)(float)(*sum + t->leaf[leaf]) : *sum + t->leaf[leaf];
        return;
    }
    const double *row = t->values + (size_t)t->row[leaf] * (size_t)t->width;
    for (Py_ssize_t k = 0; k < outputs; k++)
        raw[k] += row[k];
}

static int sum_row(const Model *m, const double *slots, double *raw) {
    const Trees *t = &m->trees;
    if (t->categorical) {
        for (Py_ssize_t i = 0; i < t->trees; i++)
            add(t, m->outputs, i, walk_any(t, i, slots), raw);
        return DONE;
    }
    uint32_t few[1024];
    uint32_t *leaf = few;
    if (t->trees > 1024) {
        leaf = malloc((size_t)t->trees * sizeof *leaf);
        if (leaf == NULL)
            return FAILED;
    }
    Py_ssize_t i = 0;
    for (; i + LANES <= t->trees; i += LANES) {
        const uint32_t *tree = t->by_depth + i;
        uint32_t at[LANES];
        for (int j = 0; j < LANES; j++)
            at[j] = t->root[tree[j]];
        for (uint32_t d = t->depth[tree[LANES - 1]]; d > 0; d--)
            for (int j = 0; j < LANES; j++)
                at[j] = step(t->node, at[j], slots);
        for (int j = 0; j < LANES; j++)
            leaf[tree[j]] = at[j];
    }
    for (; i < t->trees; i++) {
        uint32_t tree = t->by_depth[i], at = t->root[tree];
        for (uint32_t d = t->depth[tree]; d > 0; d--)
            at = step(t->node, at, slots);
        leaf[tree] = at;
    }
    /* In the trees' own order: floating-point sums depend on it. */
    if (t->width == 1 && m->outputs == 1 && !t->single) {
        double sum = raw[0];
        for (i = 0; i < t->trees; i++)
            sum += t->leaf[leaf[i]];
        raw[0] = sum;
    } else {
        for (i = 0; i < t->trees; i++)
            add(t, m->outputs, i, leaf[i], raw);
    }
    if (leaf != few)
        free(leaf);
    return DONE;
}

static void sum_rows(const Model *m, Py_ssize_t tree, const double *slots, Py_ssize_t rows, double *raw) {
    const Trees *t = &m->trees;
    Py_ssize_t r = 0;
    if (!t->categorical) {
        for (; r + LANES <= rows; r += LANES) {
            const double *x = slots + r * m->slots;
            uint32_t at[LANES];
            for (int j = 0; j < LANES; j++)
                at[j] = t->root[tree];
            for (uint32_t d = t->depth[tree]; d > 0; d--)
                for (int j = 0; j < LANES; j++)
                    at[j] = step(t->node, at[j], x + j * m->slots);
            for (int j = 0; j < LANES; j++)
                add(t, m->outputs, tree, at[j], raw + (r + j) * m->outputs);
        }
    }
    for (; r < rows; r++)
        add(t, m->outputs, tree, walk_any(t, tree, slots + r * m->slots), raw + r * m->outputs);
}

int sum_trees(const Model *m, const double *slots, Py_ssize_t rows, double *raw) {
    if (rows < LANES) {
        for (Py_ssize_t r = 0; r < rows; r++)
            if (sum_row(m, slots + r * m->slots, raw + r * m->outputs) != DONE)
                return FAILED;
        return DONE;
    }
    for (Py_ssize_t tree = 0; tree < m->trees.trees; tree++)
        sum_rows(m, tree, slots, rows, raw);
    return DONE;
}
