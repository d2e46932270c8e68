/* One received value as a cell, by what the contract says of its column.
 *
 * Only what is plainly right is taken from texts and JSON: everything else is REFUSED, and the caller takes the way
 * through sluice/contract.py, whose wording and whose judgement hold: from_text and from_json are what these rules
 * follow.
 */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* 2**53: below it, a double that is whole was written as that integer; it is itself what 2**53 + 1 is rounded to. */
#define EXACT_INTEGERS 9007199254740992.0

int32_t code_of_text(const TextLookup *l, const char *text, Py_ssize_t length) {
    int32_t code = find_text(&l->texts, text, length);
    return code < 0 ? unknown_code(&l->fill) : code;
}

/* The category of a number is its text (contract.py, category_text): str(int(v)), repr(v), "true" or "false". */
static int32_t code_of_number(const TextLookup *l, int type, double value) {
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

int null_cell(const Column *c, Cell *out) {
    if (!c->nullable)
        return REFUSED;
    if (c->category)
        out->code = c->used ? null_code(&c->lookup.fill) : 0;
    else
        out->number = Py_NAN;
    return DONE;
}

int number_cell(const Column *c, double value, Cell *out) {
    if (!isfinite(value))
        return REFUSED;
    if (c->type == INTEGER && (fabs(value) >= EXACT_INTEGERS || value != floor(value)))
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

/* Whether these bytes are a character that str.strip takes away, in UTF-8: none of those is longer than three. */
static int is_blank(const unsigned char *b, Py_ssize_t length) {
    if (length == 1)
        return b[0] < 0x80 && Py_UNICODE_ISSPACE(b[0]);
    if (length == 2)
        return b[0] >> 5 == 6 && Py_UNICODE_ISSPACE((Py_UCS4)((b[0] & 31) << 6 | (b[1] & 63)));
    return b[0] >> 4 == 14 && Py_UNICODE_ISSPACE((Py_UCS4)((b[0] & 15) << 12 | (b[1] & 63) << 6 | (b[2] & 63)));
}

static int has_blank_edge(const char *text, Py_ssize_t length) {
    const unsigned char *b = (const unsigned char *)text, *end = b + length;
    if (*b > ' ' && *b < 0x80 && end[-1] > ' ' && end[-1] < 0x80)
        return 0;
    for (Py_ssize_t width = 1; width <= 3 && width <= length; width++)
        if (is_blank(b, width) || is_blank(end - width, width))
            return 1;
    return 0;
}

static int has_high_byte(const char *text, Py_ssize_t length) {
    for (Py_ssize_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0x80)
            return 1;
    return 0;
}

/* A text that is not null. Blanks around it are for contract.py to trim. */
int category_cell(const Column *c, const char *text, Py_ssize_t length, Cell *out) {
    if (has_blank_edge(text, length))
        return REFUSED;
    out->code = c->used ? code_of_text(&c->lookup, text, length) : 0;
    /* A key is valid UTF-8; whether another text is, is for Python to say. */
    if ((!c->used || out->code == unknown_code(&c->lookup.fill)) && has_high_byte(text, length))
        return REFUSED;
    return DONE;
}

static int columns_cell(const Column *c, PyObject *value, Cell *out) {
    if (!c->category) {
        out->number = PyFloat_AsDouble(value);
        return out->number == -1.0 && PyErr_Occurred() ? FAILED : DONE;
    }
    if (value == Py_None) {
        out->code = c->used ? null_code(&c->lookup.fill) : 0;
        return DONE;
    }
    if (!PyUnicode_CheckExact(value)) {
        PyErr_SetString(PyExc_TypeError, "a category is a string or None");
        return FAILED;
    }
    out->code = 0;
    if (!c->used)
        return DONE;
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(value, &length);
    if (text != NULL) {
        out->code = code_of_text(&c->lookup, text, length);
    } else {
        /* A lone surrogate: no model's file can hold such a key. */
        PyErr_Clear();
        out->code = unknown_code(&c->lookup.fill);
    }
    return DONE;
}

/* Columns that kept the contract: floats, NaN for null; strings, whatever the type was, and None. */
int cells_of_columns(const Model *m, PyObject *columns, Cells *out) {
    PyObject *first = PyDict_GetItemWithError(columns, m->column[0].name);
    Py_ssize_t rows = first != NULL && PyList_CheckExact(first) ? PyList_GET_SIZE(first) : 0;
    for (Py_ssize_t r = 0; r < rows; r++)
        if (next_row(m, out) == NULL)
            return FAILED;
    for (Py_ssize_t c = 0; c < m->columns; c++) {
        PyObject *list = PyDict_GetItemWithError(columns, m->column[c].name);
        if (list == NULL || !PyList_CheckExact(list) || PyList_GET_SIZE(list) != rows) {
            if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "columns of one length, in lists, are expected");
            return FAILED;
        }
        for (Py_ssize_t r = 0; r < rows; r++)
            if (columns_cell(m->column + c, PyList_GET_ITEM(list, r), out->cell + r * m->columns + c) != DONE)
                return FAILED;
    }
    return DONE;
}

Cell *next_row(const Model *m, Cells *cells) {
    if (cells->rows == cells->room) {
        /* Of few rows the cells lie on the stack; after that the room doubles. */
        Py_ssize_t room = cells->cell == NULL ? FEW_CELLS / m->columns : 2 * cells->room;
        Cell *more = cells->few;
        if (cells->cell != NULL || room == 0) {
            room = room > 0 ? room : 1;
            if (room > PY_SSIZE_T_MAX / (Py_ssize_t)sizeof(Cell) / m->columns)
                return (Cell *)PyErr_NoMemory();
            size_t size = (size_t)room * (size_t)m->columns * sizeof *more;
            more = realloc(cells->cell == cells->few ? NULL : cells->cell, size);
            if (more == NULL)
                return (Cell *)PyErr_NoMemory();
            if (cells->cell == cells->few)
                memcpy(more, cells->few, (size_t)cells->rows * (size_t)m->columns * sizeof *more);
        }
        cells->cell = more;
        cells->room = room;
    }
    return cells->cell + cells->rows++ * m->columns;
}

void free_cells(Cells *cells) {
    if (cells->cell != cells->few)
        free(cells->cell);
}
