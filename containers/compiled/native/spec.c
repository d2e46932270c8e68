/* A Model made from engine.py's dictionary of numbers, lists and arrays (bytes, little-endian). */
#include "spec.h"

#include <stdlib.h>
#include <string.h>

static PyObject *item(PyObject *dict, const char *key) {
    PyObject *value = PyDict_GetItemString(dict, key);
    if (value == NULL && !PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "no %s", key);
    return value;
}

static int whole(PyObject *dict, const char *key, Py_ssize_t *out) {
    PyObject *value = item(dict, key);
    if (value == NULL)
        return FAILED;
    *out = PyLong_AsSsize_t(value);
    return *out == -1 && PyErr_Occurred() ? FAILED : DONE;
}

static int real(PyObject *dict, const char *key, double *out) {
    PyObject *value = item(dict, key);
    if (value == NULL)
        return FAILED;
    *out = PyFloat_AsDouble(value);
    return *out == -1.0 && PyErr_Occurred() ? FAILED : DONE;
}

/* A copy of an array of `*count` elements of `size` bytes; with *count below 0, of as many as there are. */
static void *array(PyObject *dict, const char *key, size_t size, Py_ssize_t *count) {
    PyObject *value = item(dict, key);
    if (value == NULL)
        return NULL;
    if (!PyBytes_CheckExact(value) || (size_t)PyBytes_GET_SIZE(value) % size != 0) {
        PyErr_Format(PyExc_ValueError, "%s is no array of %zu bytes each", key, size);
        return NULL;
    }
    Py_ssize_t found = PyBytes_GET_SIZE(value) / (Py_ssize_t)size;
    if (*count >= 0 && found != *count) {
        PyErr_Format(PyExc_ValueError, "%s has %zd elements, expected %zd", key, found, *count);
        return NULL;
    }
    *count = found;
    void *copy = malloc(found > 0 ? (size_t)found * size : 1);
    if (copy == NULL)
        return PyErr_NoMemory();
    memcpy(copy, PyBytes_AS_STRING(value), (size_t)found * size);
    return copy;
}

#define TAKE(target, dict, key, count)                                                                       \
    do {                                                                                                     \
        (target) = array((dict), (key), sizeof *(target), &(count));                                         \
        if ((target) == NULL)                                                                                \
            return FAILED;                                                                                   \
    } while (0)

static void *zeros(Py_ssize_t count, size_t size) {
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (memory == NULL)
        PyErr_NoMemory();
    return memory;
}

static int read_fill(Fill *fill, PyObject *dict) {
    Py_ssize_t codes, edges, filled = -1;
    if (whole(dict, "keys", &fill->keys) != DONE)
        return FAILED;
    codes = fill->keys + 2;
    edges = codes + 1;
    TAKE(fill->refused, dict, "refused", codes);
    TAKE(fill->start, dict, "start", edges);
    TAKE(fill->slot, dict, "slot", filled);
    TAKE(fill->value, dict, "value", filled);
    return DONE;
}

static int read_column(Column *c, PyObject *dict) {
    Py_ssize_t type, category, nullable, typed = -1;
    PyObject *lookup, *texts;
    if (whole(dict, "type", &type) != DONE || whole(dict, "category", &category) != DONE ||
        whole(dict, "nullable", &nullable) != DONE || (lookup = item(dict, "lookup")) == NULL ||
        (c->name = item(dict, "name")) == NULL)
        return FAILED;
    Py_INCREF(c->name);
    c->type = (uint8_t)type;
    c->category = category != 0;
    c->nullable = nullable != 0;
    c->used = lookup != Py_None;
    if (!c->used)
        return DONE;
    if ((texts = item(lookup, "texts")) == NULL || make_texts(&c->lookup.texts, texts) != DONE)
        return FAILED;
    TAKE(c->lookup.typed, lookup, "typed", typed);
    TAKE(c->lookup.typed_code, lookup, "typed_code", typed);
    c->lookup.typed_count = typed;
    return read_fill(&c->lookup.fill, lookup);
}

static int read_columns(Model *m, PyObject *spec) {
    PyObject *columns = item(spec, "columns"), *names = item(spec, "names");
    if (columns == NULL || names == NULL || make_texts(&m->names, names) != DONE)
        return FAILED;
    Py_ssize_t count = PyList_GET_SIZE(columns);
    if (count == 0) {
        PyErr_SetString(PyExc_ValueError, "a model takes at least one column");
        return FAILED;
    }
    if ((m->column = zeros(count, sizeof *m->column)) == NULL)
        return FAILED;
    for (; m->columns < count; m->columns++) {
        Column *c = m->column + m->columns;
        if (read_column(c, PyList_GET_ITEM(columns, m->columns)) != DONE) {
            m->columns++; /* what was read of it is to be freed */
            return FAILED;
        }
        if ((c->text = PyUnicode_AsUTF8AndSize(c->name, &c->length)) == NULL)
            return FAILED;
        unsigned char start = (unsigned char)c->text[0];
        m->name_start[start >> 3] |= (uint8_t)(1 << (start & 7));
    }
    return DONE;
}

static int read_nulls(Model *m, PyObject *spec) {
    PyObject *nulls = item(spec, "nulls");
    if (nulls == NULL)
        return FAILED;
    Py_ssize_t count = PyList_GET_SIZE(nulls);
    if ((m->null = zeros(count, sizeof *m->null)) == NULL)
        return FAILED;
    for (; m->nulls < count; m->nulls++) {
        PyObject *text = PyList_GET_ITEM(nulls, m->nulls);
        m->null[m->nulls].length = PyBytes_GET_SIZE(text);
        if ((m->null[m->nulls].text = zeros(PyBytes_GET_SIZE(text), 1)) == NULL)
            return FAILED;
        memcpy(m->null[m->nulls].text, PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text));
    }
    return DONE;
}

static int read_numbers(Model *m, PyObject *spec) {
    Py_ssize_t steps = -1;
    PyObject *lookups;
    uint32_t *op = NULL;
    double *operand = NULL;
    TAKE(op, spec, "step_op", steps);
    operand = array(spec, "step_operand", sizeof *operand, &steps);
    m->step = operand == NULL ? NULL : zeros(steps, sizeof *m->step);
    if (m->step != NULL)
        for (Py_ssize_t i = 0; i < steps; i++)
            m->step[i] = (Step){op[i], operand[i]};
    free(op);
    free(operand);
    if (m->step == NULL)
        return FAILED;
    m->numbers = -1;
    TAKE(m->number, spec, "numbers", m->numbers);
    if ((lookups = item(spec, "number_lookups")) == NULL)
        return FAILED;
    Py_ssize_t count = PyList_GET_SIZE(lookups);
    if ((m->number_lookup = zeros(count, sizeof *m->number_lookup)) == NULL)
        return FAILED;
    for (; m->number_lookups < count;) {
        PyObject *dict = PyList_GET_ITEM(lookups, m->number_lookups);
        NumberLookup *l = m->number_lookup + m->number_lookups++;
        Py_ssize_t column, first, end, keys = -1;
        if (whole(dict, "column", &column) != DONE || whole(dict, "first", &first) != DONE ||
            whole(dict, "end", &end) != DONE)
            return FAILED;
        l->column = (uint32_t)column;
        l->first = (uint32_t)first;
        l->end = (uint32_t)end;
        TAKE(l->keys, dict, "key_values", keys);
        if (read_fill(&l->fill, dict) != DONE)
            return FAILED;
    }
    return DONE;
}

static int compare_depth(const void *a, const void *b) {
    const uint64_t *x = a, *y = b; /* depth in the upper half, number in the lower */
    return (*x > *y) - (*x < *y);
}

static int order_by_depth(Trees *t) {
    uint64_t *pairs = zeros(t->trees, sizeof *pairs);
    t->by_depth = zeros(t->trees, sizeof *t->by_depth);
    if (pairs == NULL || t->by_depth == NULL) {
        free(pairs);
        return FAILED;
    }
    for (Py_ssize_t i = 0; i < t->trees; i++)
        pairs[i] = (uint64_t)t->depth[i] << 32 | (uint64_t)i;
    qsort(pairs, (size_t)t->trees, sizeof *pairs, compare_depth);
    for (Py_ssize_t i = 0; i < t->trees; i++)
        t->by_depth[i] = (uint32_t)pairs[i];
    free(pairs);
    return DONE;
}

static int read_trees(Model *m, PyObject *trees) {
    Trees *t = &m->trees;
    Py_ssize_t categorical, single, count = -1, edges = -1, words = -1, rows = -1;
    if (whole(trees, "width", &t->width) != DONE || whole(trees, "categorical", &categorical) != DONE ||
        whole(trees, "single", &single) != DONE || real(trees, "divisor", &t->divisor) != DONE)
        return FAILED;
    t->categorical = categorical != 0;
    t->single = single != 0;
    t->trees = t->nodes = -1;
    TAKE(t->root, trees, "root", t->trees);
    count = t->trees;
    TAKE(t->depth, trees, "depth", count);
    TAKE(t->node, trees, "node", t->nodes);
    count = t->nodes;
    if (t->width == 1) {
        TAKE(t->leaf, trees, "leaf", count);
    } else {
        TAKE(t->row, trees, "row", count);
        TAKE(t->values, trees, "values", rows);
    }
    TAKE(t->set_start, trees, "set_start", edges);
    TAKE(t->set_words, trees, "set_words", words);
    return order_by_depth(t);
}

static int read_model(Model *m, PyObject *spec) {
    Py_ssize_t kind, labels, sum, numpy_exp, weights;
    PyObject *trees = item(spec, "trees");
    m->slots = m->outputs = -1;
    TAKE(m->base, spec, "base", m->slots);
    TAKE(m->start, spec, "start", m->outputs);
    if (trees == NULL || whole(spec, "values", &m->values) != DONE || whole(spec, "link", &kind) != DONE ||
        whole(spec, "labels", &labels) != DONE || whole(spec, "sum", &sum) != DONE ||
        whole(spec, "numpy_exp", &numpy_exp) != DONE || real(spec, "factor", &m->link.factor) != DONE ||
        (m->exponential = item(spec, "exponential")) == NULL)
        return FAILED;
    Py_INCREF(m->exponential);
    m->link.kind = (int)kind;
    m->link.labels = (int)labels;
    m->link.sum = (int)sum;
    m->link.numpy_exp = numpy_exp != 0;
    m->linear_kind = trees == Py_None;
    if (!m->linear_kind)
        return read_trees(m, trees);
    weights = m->outputs * m->slots;
    TAKE(m->linear.weights, spec, "weights", weights);
    return DONE;
}

int read_spec(Model *m, PyObject *spec) {
    if (read_columns(m, spec) != DONE || read_nulls(m, spec) != DONE || read_numbers(m, spec) != DONE)
        return FAILED;
    return read_model(m, spec) != DONE ? FAILED : make_masks(m);
}

static void free_fill(Fill *fill) {
    free(fill->start);
    free(fill->slot);
    free(fill->value);
    free(fill->refused);
}

/* Of a model that was read in part, too: what is not there yet is zero. */
void free_model(Model *m) {
    free_masks(m);
    for (Py_ssize_t i = 0; i < m->columns; i++) {
        TextLookup *l = &m->column[i].lookup;
        Py_XDECREF(m->column[i].name);
        free_texts(&l->texts);
        free(l->typed);
        free(l->typed_code);
        free_fill(&l->fill);
    }
    for (Py_ssize_t i = 0; i < m->nulls; i++)
        free(m->null[i].text);
    for (Py_ssize_t i = 0; i < m->number_lookups; i++) {
        free(m->number_lookup[i].keys);
        free_fill(&m->number_lookup[i].fill);
    }
    free(m->column);
    free(m->null);
    free(m->step);
    free(m->number);
    free(m->number_lookup);
    free(m->base);
    free(m->start);
    free(m->linear.weights);
    free(m->trees.node);
    free(m->trees.root);
    free(m->trees.depth);
    free(m->trees.by_depth);
    free(m->trees.leaf);
    free(m->trees.row);
    free(m->trees.values);
    free(m->trees.set_start);
    free(m->trees.set_words);
    free_texts(&m->names);
    Py_XDECREF(m->exponential);
}
