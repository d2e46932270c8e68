/* JSON values, as orjson makes them, and columns as sluice/contract.py makes them, as cells.
 *
 * Only what is plainly right is taken here: everything else is REFUSED, and the caller takes the way through
 * sluice/contract.py, whose wording and whose judgement hold. from_json there is what these rules follow.
 */
#include "model.h"

#include <math.h>
#include <string.h>

#define LARGEST_WHOLE 9007199254740992.0 /* 2**53: up to here a double holds every integer */

static inline uint64_t mixed(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

/* No protection against flooding is needed: the table's keys are the model's, and it does not grow. */
uint64_t hash_of(const char *text, Py_ssize_t length) {
    uint64_t h = (uint64_t)length * 0x9e3779b97f4a7c15u, word;
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&word, text, 8);
        h = mixed(h ^ word) * 0x9e3779b97f4a7c15u;
    }
    word = 0;
    for (Py_ssize_t i = 0; i < length; i++)
        word = word << 8 | (unsigned char)text[i];
    return mixed(h ^ word);
}

int32_t code_of_text(const TextLookup *l, const char *text, Py_ssize_t length) {
    uint64_t hash = hash_of(text, length);
    for (uint32_t i = (uint32_t)hash & l->mask;; i = (i + 1) & l->mask) {
        const Entry *e = l->entry + i;
        if (e->code < 0)
            return unknown_code(&l->fill);
        if (e->hash == hash && (Py_ssize_t)e->length == length &&
            memcmp(l->text + e->offset, text, (size_t)length) == 0)
            return e->code;
    }
}

/* The category of a number is its text (contract.py, category_text): str(int(v)), repr(v), "true" or "false". */
int32_t code_of_number(const TextLookup *l, int type, double value) {
    uint64_t bits;
    if (type == INTEGER)
        value += 0.0; /* str(int(-0.0)) is "0" */
    memcpy(&bits, &value, sizeof bits);
    Py_ssize_t low = 0, count = l->typed_count;
    while (count > 0) {
        Py_ssize_t half = count / 2;
        if (l->typed[low + half] < bits) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low < l->typed_count && l->typed[low] == bits ? l->typed_code[low] : unknown_code(&l->fill);
}

static inline int null_cell(const Column *c, Cell *out) {
    if (!c->nullable)
        return REFUSED;
    if (c->category)
        out->code = c->used ? null_code(&c->lookup.fill) : 0;
    else
        out->number = Py_NAN;
    return DONE;
}

static inline int number_cell(const Column *c, double value, Cell *out) {
    if (!isfinite(value))
        return REFUSED;
    if (c->type == INTEGER && (fabs(value) > LARGEST_WHOLE || value != floor(value)))
        return REFUSED;
    if (c->category)
        out->code = c->used ? code_of_number(&c->lookup, c->type, value) : 0;
    else
        out->number = value;
    return DONE;
}

int is_null_text(const Model *m, const char *text, Py_ssize_t length) {
    if (length == 0)
        return 1;
    for (Py_ssize_t i = 0; i < m->nulls; i++)
        if (m->null[i].length == length && memcmp(m->null[i].text, text, (size_t)length) == 0)
            return 1;
    return 0;
}

/* NULL for a lone surrogate. */
static inline const char *utf8_of(PyObject *value, Py_ssize_t *length) {
    if (PyUnicode_IS_COMPACT_ASCII(value)) {
        *length = PyUnicode_GET_LENGTH(value);
        return (const char *)PyUnicode_1BYTE_DATA(value);
    }
    const char *text = PyUnicode_AsUTF8AndSize(value, length);
    if (text == NULL)
        PyErr_Clear();
    return text;
}

static int text_cell(const Column *c, PyObject *value, Cell *out) {
    if (!c->used) {
        out->code = 0;
        return DONE;
    }
    Py_ssize_t length;
    const char *text = utf8_of(value, &length);
    if (text == NULL)
        return REFUSED;
    out->code = code_of_text(&c->lookup, text, length);
    return DONE;
}

/* contract.py trims what has blanks around it: here it is left to it. */
static inline int has_blank_edge(PyObject *value) {
    Py_ssize_t length = PyUnicode_GET_LENGTH(value);
    return length > 0 && (Py_UNICODE_ISSPACE(PyUnicode_READ_CHAR(value, 0)) ||
                          Py_UNICODE_ISSPACE(PyUnicode_READ_CHAR(value, length - 1)));
}

static int string_cell(const Model *m, const Column *c, PyObject *value, Cell *out) {
    Py_ssize_t length;
    const char *text;
    if (!PyUnicode_CheckExact(value) || has_blank_edge(value) || (text = utf8_of(value, &length)) == NULL)
        return REFUSED;
    if (is_null_text(m, text, length))
        return null_cell(c, out);
    out->code = c->used ? code_of_text(&c->lookup, text, length) : 0;
    return DONE;
}

static inline int cell_of(const Model *m, const Column *c, PyObject *value, Cell *out) {
    if (value == Py_None)
        return null_cell(c, out);
    if (c->type == STRING)
        return string_cell(m, c, value, out);
    if (c->type == BOOLEAN)
        return PyBool_Check(value) ? number_cell(c, value == Py_True ? 1.0 : 0.0, out) : REFUSED;
    if (PyFloat_CheckExact(value))
        return number_cell(c, PyFloat_AS_DOUBLE(value), out);
    if (!PyLong_CheckExact(value))
        return REFUSED;
    int overflow;
    long long whole = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow || whole > (long long)LARGEST_WHOLE || whole < -(long long)LARGEST_WHOLE)
        return REFUSED;
    return number_cell(c, (double)whole, out);
}

int cells_of_record(const Model *m, PyObject *record, Cell *out) {
    if (!PyDict_CheckExact(record) || PyDict_GET_SIZE(record) != m->columns)
        return REFUSED;
    for (Py_ssize_t c = 0; c < m->columns; c++) {
        PyObject *value = PyDict_GetItemWithError(record, m->column[c].name);
        if (value == NULL)
            return PyErr_Occurred() ? FAILED : REFUSED;
        int done = cell_of(m, m->column + c, value, out + c);
        if (done != DONE)
            return done;
    }
    return DONE;
}

int cells_of_list(const Model *m, PyObject *list, Cell *out) {
    if (!PyList_CheckExact(list) || PyList_GET_SIZE(list) != m->columns)
        return REFUSED;
    for (Py_ssize_t c = 0; c < m->columns; c++) {
        int done = cell_of(m, m->column + c, PyList_GET_ITEM(list, c), out + c);
        if (done != DONE)
            return done;
    }
    return DONE;
}

/* Columns that kept the contract: floats, NaN for null; strings, whatever the type was, and None. */
int cells_of_columns(const Model *m, PyObject *columns, Py_ssize_t rows, Cell *out) {
    for (Py_ssize_t c = 0; c < m->columns; c++) {
        const Column *column = m->column + c;
        PyObject *list = PyDict_GetItemWithError(columns, column->name);
        if (list == NULL || !PyList_CheckExact(list) || PyList_GET_SIZE(list) != rows) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "columns of one length, in lists, are expected");
            return FAILED;
        }
        for (Py_ssize_t r = 0; r < rows; r++) {
            PyObject *value = PyList_GET_ITEM(list, r);
            Cell *cell = out + r * m->columns + c;
            if (!column->category) {
                cell->number = PyFloat_AsDouble(value);
                if (cell->number == -1.0 && PyErr_Occurred())
                    return FAILED;
            } else if (value == Py_None) {
                cell->code = column->used ? null_code(&column->lookup.fill) : 0;
            } else if (!PyUnicode_CheckExact(value)) {
                PyErr_SetString(PyExc_TypeError, "a category is a string or None");
                return FAILED;
            } else if (text_cell(column, value, cell) != DONE) {
                /* A lone surrogate: no model's file can hold such a key. */
                cell->code = unknown_code(&column->lookup.fill);
            }
        }
    }
    return DONE;
}
