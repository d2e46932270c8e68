/* From cells (one value a column) to slots (the model's own features), sums and values. */
#include "steps.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64, WITHOUT_GIL = 32 /* rows */, STACK = 512 };

static inline void apply_fill(const Fill *fill, int64_t code, double *slots) {
    for (uint32_t i = fill->start[code]; i < fill->start[code + 1]; i++)
        slots[fill->slot[i]] = fill->value[i];
}

static int fill_slots(const Model *m, const Cell *cells, double *slots) {
    memcpy(slots, m->base, (size_t)m->slots * sizeof *slots);
    for (Py_ssize_t i = 0; i < m->numbers; i++) {
        const Number *n = m->number + i;
        double v = cells[n->column].number;
        if (run_steps(m->step + n->first, m->step + n->end, &v) != DONE)
            return REFUSED;
        slots[n->slot] = v;
    }
    for (Py_ssize_t i = 0; i < m->number_lookups; i++) {
        const NumberLookup *l = m->number_lookup + i;
        double v = cells[l->column].number;
        if (run_steps(m->step + l->first, m->step + l->end, &v) != DONE)
            return REFUSED;
        int64_t code = code_of_double(l, v);
        if (l->fill.refused[code])
            return REFUSED;
        apply_fill(&l->fill, code, slots);
    }
    for (Py_ssize_t c = 0; c < m->columns; c++)
        if (m->column[c].used) {
            const Fill *fill = &m->column[c].lookup.fill;
            int64_t code = cells[c].code;
            if (fill->refused[code])
                return REFUSED;
            apply_fill(fill, code, slots);
        }
    return DONE;
}

static int sum_linear(const Model *m, const Cell *cells, Py_ssize_t rows, double *x, double *raw) {
    for (Py_ssize_t r = 0; r < rows; r++) {
        if (fill_slots(m, cells + r * m->columns, x) != DONE)
            return REFUSED;
        for (Py_ssize_t k = 0; k < m->outputs; k++) {
            const double *w = m->linear.weights + k * m->slots;
            double sum = 0.0;
            for (Py_ssize_t i = 0; i < m->slots; i++)
                sum += x[i] * w[i];
            raw[r * m->outputs + k] = sum + m->start[k];
        }
    }
    return DONE;
}

static int sum_by_masks(const Model *m, const Cell *cells, Py_ssize_t rows, double *raw) {
    for (Py_ssize_t r = 0; r < rows; r++)
        if (sum_masks(m, cells + r * m->columns, raw + r * m->outputs) != DONE)
            return REFUSED;
    return DONE;
}

static int sum_by_slots(const Model *m, const Cell *cells, Py_ssize_t rows, double *slots, double *raw) {
    for (Py_ssize_t r = 0; r < rows; r++)
        if (fill_slots(m, cells + r * m->columns, slots + r * m->slots) != DONE)
            return REFUSED;
    return sum_trees(m, slots, rows, raw);
}

static int sum_block(const Model *m, const Cell *cells, Py_ssize_t rows, double *slots, double *raw) {
    if (m->linear_kind)
        return sum_linear(m, cells, rows, slots, raw);
    for (Py_ssize_t r = 0; r < rows; r++)
        memcpy(raw + r * m->outputs, m->start, (size_t)m->outputs * sizeof *raw);
    int done = m->masks != NULL ? sum_by_masks(m, cells, rows, raw) : sum_by_slots(m, cells, rows, slots, raw);
    if (done == DONE && m->trees.divisor != 1.0)
        for (Py_ssize_t i = 0; i < rows * m->outputs; i++)
            raw[i] /= m->trees.divisor;
    return done;
}

static int sum_all(const Model *m, const Cell *cells, Py_ssize_t rows, double *slots, double *raw) {
    for (Py_ssize_t r = 0; r < rows; r += BLOCK) {
        Py_ssize_t some = rows - r < BLOCK ? rows - r : BLOCK;
        int done = sum_block(m, cells + r * m->columns, some, slots, raw + r * m->outputs);
        if (done != DONE)
            return done;
    }
    return DONE;
}

int evaluate(const Model *m, const Cell *cells, Py_ssize_t rows, double *values, int32_t *labels) {
    double stack[STACK];
    double *slots = stack, *raw;
    size_t some = (size_t)(rows < BLOCK ? rows : BLOCK) * (size_t)m->slots;
    size_t needed = some + (size_t)rows * (size_t)m->outputs;
    if (needed > STACK) {
        slots = malloc(needed * sizeof *slots);
        if (slots == NULL) {
            PyErr_NoMemory();
            return FAILED;
        }
    }
    raw = slots + some;
    int done, linked = DONE;
    PyThreadState *released = rows >= WITHOUT_GIL ? PyEval_SaveThread() : NULL;
    done = sum_all(m, cells, rows, slots, raw);
    if (done == DONE && !m->link.numpy_exp)
        linked = apply_link(m, raw, rows, values, labels);
    if (released != NULL)
        PyEval_RestoreThread(released);
    if (done == FAILED)
        PyErr_NoMemory();
    if (done == DONE && m->link.numpy_exp)
        linked = apply_link(m, raw, rows, values, labels);
    if (slots != stack)
        free(slots);
    if (done != DONE || linked != DONE)
        return done != DONE ? done : linked;
    for (Py_ssize_t i = 0; i < rows * m->values; i++)
        if (!isfinite(values[i]))
            return REFUSED;
    return DONE;
}
