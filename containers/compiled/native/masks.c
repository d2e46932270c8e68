/* Sums of small trees by bit masks, after QuickScorer (Lucchese et al., SIGIR 2015), with whole columns precomputed.
 *
 * A leaf of a tree is a bit. A test that sends a row to the right rules out the leaves on its left, whatever the
 * other tests say; what all tests leave standing, its lowest bit, is the leaf the row ends in. Which tests of a
 * column fail follows from the column's bin alone (between which thresholds a number lies, or a category's code):
 * the masks of all trees are stored for each bin, and a row costs one AND per column and tree.
 */
#include "steps.h"

#include <stdlib.h>
#include <string.h>

enum { LEAVES = 32, WIDTH = 16 /* trees at once */, MOST_BYTES = 32 << 20, MOST_SOURCES = 128 };

typedef struct {
    double threshold;
    uint32_t slot, tree, left; /* left: the bits of the leaves on the left */
    int null_left;
} Edge;

typedef struct {
    Py_ssize_t thresholds;
    double *threshold;
    uint32_t *rows; /* thresholds + 1 bins and null */
} Bins;

struct Masks {
    Py_ssize_t padded; /* trees, up to a multiple of WIDTH */
    uint32_t *always;  /* what no column decides */
    Bins *number;
    uint32_t **lookup, **text; /* rows by code: of number lookups, of columns */
    uint32_t *first;           /* of each tree, in `leaf` */
    double *leaf;
};

typedef struct {
    Edge *edge;
    Py_ssize_t edges;
    Py_ssize_t *of_slot; /* (slots + 1) where a slot's edges begin */
    double *leaf;
    uint32_t *first;
    uint32_t leaves;
} Build;

static int count_leaves(const Trees *t, uint32_t node, uint32_t depth) {
    if (t->node[node].left == node)
        return 1;
    if (depth >= LEAVES)
        return LEAVES + 1;
    int left = count_leaves(t, t->node[node].left, depth + 1);
    return left > LEAVES ? left : left + count_leaves(t, t->node[node].left + 1, depth + 1);
}

static uint32_t take_tree(Build *b, const Trees *t, uint32_t node, uint32_t tree) {
    const Node *n = t->node + node;
    if (n->left == node) {
        b->leaf[b->leaves] = t->leaf[node];
        return 1u << (b->leaves++ - b->first[tree]);
    }
    Edge *e = b->edge + b->edges++;
    uint32_t left = take_tree(b, t, n->left, tree), right = take_tree(b, t, n->left + 1, tree);
    *e = (Edge){n->threshold, n->where >> SLOT_SHIFT, tree, left, (int)(n->where & NULL_LEFT)};
    return left | right;
}

static int compare_edges(const void *a, const void *b) {
    const Edge *x = a, *y = b;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return (x->threshold > y->threshold) - (x->threshold < y->threshold);
}

static inline int goes_right(const Edge *e, double value) {
    return value != value ? !e->null_left : value > e->threshold;
}

static void rule_out(const Build *b, uint32_t slot, double value, uint32_t *row) {
    for (Py_ssize_t i = b->of_slot[slot]; i < b->of_slot[slot + 1]; i++)
        if (goes_right(b->edge + i, value))
            row[b->edge[i].tree] &= ~b->edge[i].left;
}

static uint32_t *full_rows(Py_ssize_t rows, Py_ssize_t padded) {
    size_t bytes = (size_t)rows * (size_t)padded * sizeof(uint32_t);
    uint32_t *made = malloc(bytes);
    if (made != NULL)
        memset(made, 0xff, bytes);
    return made;
}

static int make_bins(const Build *b, uint32_t slot, Py_ssize_t padded, Bins *bins) {
    Py_ssize_t begin = b->of_slot[slot], end = b->of_slot[slot + 1];
    bins->threshold = malloc((size_t)(end - begin + 1) * sizeof(double));
    if (bins->threshold == NULL)
        return FAILED;
    for (Py_ssize_t i = begin; i < end; i++)
        if (i == begin || b->edge[i].threshold != b->edge[i - 1].threshold)
            bins->threshold[bins->thresholds++] = b->edge[i].threshold;
    bins->rows = full_rows(bins->thresholds + 2, padded);
    if (bins->rows == NULL)
        return FAILED;
    Py_ssize_t i = begin;
    for (Py_ssize_t bin = 0; bin < bins->thresholds; bin++) {
        uint32_t *row = bins->rows + (bin + 1) * padded;
        memcpy(row, row - padded, (size_t)padded * sizeof *row);
        for (; i < end && b->edge[i].threshold == bins->threshold[bin]; i++)
            row[b->edge[i].tree] &= ~b->edge[i].left;
    }
    rule_out(b, slot, Py_NAN, bins->rows + (bins->thresholds + 1) * padded);
    return DONE;
}

/* The rows of a lookup's codes: what each code puts into the slots that the lookup fills, seen by their tests. */
static uint32_t *make_codes(const Model *m, const Build *b, const Fill *fill, Py_ssize_t padded, double *slots,
                            uint8_t *seen) {
    Py_ssize_t codes = fill->keys + 2;
    uint32_t filled = fill->start[codes];
    uint32_t *rows = full_rows(codes, padded);
    if (rows == NULL)
        return NULL;
    for (Py_ssize_t code = 0; code < codes; code++) {
        for (uint32_t i = fill->start[code]; i < fill->start[code + 1]; i++)
            slots[fill->slot[i]] = fill->value[i];
        for (uint32_t i = 0; i < filled; i++)
            seen[fill->slot[i]] = 0;
        for (uint32_t i = 0; i < filled; i++)
            if (!seen[fill->slot[i]]) {
                seen[fill->slot[i]] = 1;
                rule_out(b, fill->slot[i], slots[fill->slot[i]], rows + code * padded);
            }
        for (uint32_t i = fill->start[code]; i < fill->start[code + 1]; i++)
            slots[fill->slot[i]] = m->base[fill->slot[i]];
    }
    for (uint32_t i = 0; i < filled; i++)
        seen[fill->slot[i]] = 1;
    return rows;
}

/* Whether masks are possible. */
static int suits(const Model *m) {
    const Trees *t = &m->trees;
    if (m->linear_kind || t->categorical || t->width != 1)
        return 0;
    Py_ssize_t sources = m->numbers + m->number_lookups;
    for (Py_ssize_t c = 0; c < m->columns; c++)
        sources += m->column[c].used;
    if (sources > MOST_SOURCES)
        return 0;
    for (Py_ssize_t i = 0; i < t->trees; i++)
        if (t->depth[i] >= LEAVES || count_leaves(t, t->root[i], 0) > LEAVES)
            return 0;
    return 1;
}

/* Whether the masks are worth their memory: as many rows as the columns have bins and codes, all trees in each. */
static int fits(const Model *m, const Build *b, Py_ssize_t padded) {
    Py_ssize_t rows = 1;
    for (Py_ssize_t i = 0; i < m->numbers; i++) {
        uint32_t slot = m->number[i].slot;
        rows += 2;
        for (Py_ssize_t e = b->of_slot[slot]; e < b->of_slot[slot + 1]; e++)
            rows += e == b->of_slot[slot] || b->edge[e].threshold != b->edge[e - 1].threshold;
    }
    for (Py_ssize_t i = 0; i < m->number_lookups; i++)
        rows += m->number_lookup[i].fill.keys + 2;
    for (Py_ssize_t c = 0; c < m->columns; c++)
        if (m->column[c].used)
            rows += m->column[c].lookup.fill.keys + 2;
    return rows <= MOST_BYTES / (padded * (Py_ssize_t)sizeof(uint32_t));
}

static int fill_masks(const Model *m, Build *b, Masks *k) {
    const Trees *t = &m->trees;
    b->edge = malloc((size_t)(t->nodes + 1) * sizeof *b->edge);
    b->of_slot = calloc((size_t)m->slots + 2, sizeof *b->of_slot);
    b->leaf = k->leaf = malloc((size_t)t->nodes * sizeof *k->leaf);
    b->first = k->first = calloc((size_t)t->trees + 1, sizeof *k->first);
    k->padded = (t->trees + WIDTH - 1) / WIDTH * WIDTH;
    k->always = full_rows(1, k->padded);
    k->number = calloc((size_t)m->numbers + 1, sizeof *k->number);
    k->lookup = calloc((size_t)m->number_lookups + 1, sizeof *k->lookup);
    k->text = calloc((size_t)m->columns + 1, sizeof *k->text);
    double *slots = malloc((size_t)m->slots * sizeof *slots);
    uint8_t *seen = calloc((size_t)m->slots, 1);
    int done = FAILED;
    if (b->edge == NULL || b->of_slot == NULL || k->leaf == NULL || k->first == NULL || k->always == NULL ||
        k->number == NULL || k->lookup == NULL || k->text == NULL || slots == NULL || seen == NULL)
        goto end;
    for (Py_ssize_t i = 0; i < t->trees; i++) {
        k->first[i] = b->leaves;
        take_tree(b, t, t->root[i], (uint32_t)i);
    }
    qsort(b->edge, (size_t)b->edges, sizeof *b->edge, compare_edges);
    for (Py_ssize_t i = 0; i < b->edges; i++)
        b->of_slot[b->edge[i].slot + 1]++;
    for (Py_ssize_t s = 0; s < m->slots; s++)
        b->of_slot[s + 1] += b->of_slot[s];
    if (!fits(m, b, k->padded)) {
        done = REFUSED;
        goto end;
    }
    memcpy(slots, m->base, (size_t)m->slots * sizeof *slots);
    for (Py_ssize_t i = 0; i < m->numbers; i++) {
        seen[m->number[i].slot] = 1;
        if (make_bins(b, m->number[i].slot, k->padded, k->number + i) != DONE)
            goto end;
    }
    for (Py_ssize_t i = 0; i < m->number_lookups; i++)
        if (!(k->lookup[i] = make_codes(m, b, &m->number_lookup[i].fill, k->padded, slots, seen)))
            goto end;
    for (Py_ssize_t c = 0; c < m->columns; c++)
        if (m->column[c].used &&
            !(k->text[c] = make_codes(m, b, &m->column[c].lookup.fill, k->padded, slots, seen)))
            goto end;
    for (uint32_t s = 0; s < (uint32_t)m->slots; s++)
        if (!seen[s])
            rule_out(b, s, m->base[s], k->always);
    done = DONE;
end:
    free(b->edge);
    free(b->of_slot);
    free(slots);
    free(seen);
    return done;
}

void free_masks(Model *m) {
    Masks *k = m->masks;
    if (k == NULL)
        return;
    for (Py_ssize_t i = 0; k->number != NULL && i < m->numbers; i++) {
        free(k->number[i].threshold);
        free(k->number[i].rows);
    }
    for (Py_ssize_t i = 0; k->lookup != NULL && i < m->number_lookups; i++)
        free(k->lookup[i]);
    for (Py_ssize_t c = 0; k->text != NULL && c < m->columns; c++)
        free(k->text[c]);
    free(k->always);
    free(k->number);
    free(k->lookup);
    free(k->text);
    free(k->first);
    free(k->leaf);
    free(k);
}

int make_masks(Model *m) {
    if (!suits(m))
        return DONE;
    Build build = {0};
    m->masks = calloc(1, sizeof *m->masks);
    int done = m->masks == NULL ? FAILED : fill_masks(m, &build, m->masks);
    if (done == FAILED)
        PyErr_NoMemory();
    if (done == REFUSED) { /* the trees are walked instead */
        free_masks(m);
        m->masks = NULL;
    }
    return done == FAILED ? FAILED : DONE;
}

static inline Py_ssize_t bin_of(const Bins *bins, double value) {
    if (value != value)
        return bins->thresholds + 1;
    const double *low = bins->threshold;
    Py_ssize_t count = bins->thresholds;
    while (count > 1) {
        Py_ssize_t half = count / 2;
        low += low[half - 1] < value ? half : 0;
        count -= half;
    }
    return low - bins->threshold + (count == 1 && *low < value);
}

int sum_masks(const Model *m, const Cell *cells, double *raw) {
    const Masks *k = m->masks;
    const uint32_t *row[MOST_SOURCES + 1];
    Py_ssize_t rows = 0;
    row[rows++] = k->always;
    for (Py_ssize_t i = 0; i < m->numbers; i++) {
        const Number *n = m->number + i;
        double v = cells[n->column].number;
        if (run_steps(m->step + n->first, m->step + n->end, &v) != DONE)
            return REFUSED;
        row[rows++] = k->number[i].rows + bin_of(k->number + i, v) * k->padded;
    }
    for (Py_ssize_t i = 0; i < m->number_lookups; i++) {
        const NumberLookup *l = m->number_lookup + i;
        double v = cells[l->column].number;
        if (run_steps(m->step + l->first, m->step + l->end, &v) != DONE)
            return REFUSED;
        int64_t code = code_of_double(l, v);
        if (l->fill.refused[code])
            return REFUSED;
        row[rows++] = k->lookup[i] + code * k->padded;
    }
    for (Py_ssize_t c = 0; c < m->columns; c++)
        if (m->column[c].used) {
            if (m->column[c].lookup.fill.refused[cells[c].code])
                return REFUSED;
            row[rows++] = k->text[c] + cells[c].code * k->padded;
        }
    const Trees *t = &m->trees;
    for (Py_ssize_t tree = 0; tree < t->trees; tree += WIDTH) {
        uint32_t mask[WIDTH];
        memcpy(mask, row[0] + tree, sizeof mask);
        for (Py_ssize_t i = 1; i < rows; i++)
            for (int j = 0; j < WIDTH; j++)
                mask[j] &= row[i][tree + j];
        Py_ssize_t some = t->trees - tree < WIDTH ? t->trees - tree : WIDTH;
        if (m->outputs == 1 && !t->single) {
            double sum = raw[0];
            for (Py_ssize_t j = 0; j < some; j++)
                sum += k->leaf[k->first[tree + j] + (uint32_t)__builtin_ctz(mask[j])];
            raw[0] = sum;
            continue;
        }
        for (Py_ssize_t j = 0; j < some; j++) {
            double *sum = raw + (tree + j) % m->outputs;
            double more = *sum + k->leaf[k->first[tree + j] + (uint32_t)__builtin_ctz(mask[j])];
            *sum = t->single ? (double)(float)more : more;
        }
    }
    return DONE;
}
