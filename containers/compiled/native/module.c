/* The Python module: a Scorer is made from one dictionary of arrays (engine.py), and answers rows. */
#include "model.h"

#include <stdlib.h>
#include <string.h>
#include <structmember.h>

#include "spec.h"

typedef struct {
    PyObject_HEAD
    Model model;
} Scorer;

static PyObject *values_and_labels(const Model *m, const Cell *cells, Py_ssize_t rows) {
    PyObject *values = PyBytes_FromStringAndSize(NULL, rows * m->values * (Py_ssize_t)sizeof(double));
    PyObject *labels = m->link.labels == NO_LABELS
                           ? Py_NewRef(Py_None)
                           : PyBytes_FromStringAndSize(NULL, rows * (Py_ssize_t)sizeof(int32_t));
    PyObject *answer = NULL;
    if (values != NULL && labels != NULL) {
        int32_t *label = labels == Py_None ? NULL : (int32_t *)PyBytes_AS_STRING(labels);
        int done = evaluate(m, cells, rows, (double *)PyBytes_AS_STRING(values), label);
        if (done == DONE)
            answer = PyTuple_Pack(2, values, labels);
        else if (done == REFUSED)
            answer = Py_NewRef(Py_None);
    }
    Py_XDECREF(values);
    Py_XDECREF(labels);
    return answer;
}

/* One row: (value, label) with the value of `column`, or all values in a tuple where `column` is -1. */
static PyObject *one_answer(const Model *m, const Cell *cells, Py_ssize_t column) {
    double few[32], *values = few;
    int32_t label = -1;
    PyObject *answer = NULL, *value = NULL;
    if (m->values > 32 && (values = PyMem_Malloc((size_t)m->values * sizeof *values)) == NULL)
        return PyErr_NoMemory();
    int done = evaluate(m, cells, 1, values, m->link.labels == NO_LABELS ? NULL : &label);
    if (done == REFUSED) {
        answer = Py_NewRef(Py_None);
    } else if (done == DONE) {
        if (column >= 0) {
            value = PyFloat_FromDouble(values[column]);
        } else if ((value = PyTuple_New(m->values)) != NULL) {
            for (Py_ssize_t k = 0; k < m->values; k++) {
                PyObject *one = PyFloat_FromDouble(values[k]);
                if (one == NULL) {
                    Py_CLEAR(value);
                    break;
                }
                PyTuple_SET_ITEM(value, k, one);
            }
        }
        PyObject *number = value == NULL ? NULL : PyLong_FromLong(label);
        if (number != NULL)
            answer = PyTuple_Pack(2, value, number);
        Py_XDECREF(number);
        Py_XDECREF(value);
    }
    if (values != few)
        PyMem_Free(values);
    return answer;
}

enum { FEW_CELLS = 256 };

static Cell *cells_for(const Model *m, Py_ssize_t rows, Cell *few) {
    if (rows <= FEW_CELLS / (m->columns > 0 ? m->columns : 1))
        return few;
    if (rows > PY_SSIZE_T_MAX / (Py_ssize_t)sizeof(Cell) / m->columns) {
        PyErr_NoMemory();
        return NULL;
    }
    Cell *cells = PyMem_Malloc((size_t)rows * (size_t)m->columns * sizeof *cells);
    if (cells == NULL)
        PyErr_NoMemory();
    return cells;
}

static PyObject *nothing(int done) { return done == REFUSED ? Py_NewRef(Py_None) : NULL; }

typedef int (*RowReader)(const Model *, PyObject *, Cell *);

static PyObject *score_rows(const Model *m, PyObject *rows, RowReader read) {
    if (!PyList_CheckExact(rows) || PyList_GET_SIZE(rows) == 0)
        return Py_NewRef(Py_None);
    Cell few[FEW_CELLS];
    Py_ssize_t count = PyList_GET_SIZE(rows);
    Cell *cells = cells_for(m, count, few);
    if (cells == NULL)
        return NULL;
    int done = DONE;
    for (Py_ssize_t r = 0; r < count && done == DONE; r++)
        done = read(m, PyList_GET_ITEM(rows, r), cells + r * m->columns);
    PyObject *answer = done == DONE ? values_and_labels(m, cells, count) : nothing(done);
    if (cells != few)
        PyMem_Free(cells);
    return answer;
}

static PyObject *score_records(Scorer *self, PyObject *rows) {
    return score_rows(&self->model, rows, cells_of_record);
}

static PyObject *score_lists(Scorer *self, PyObject *rows) {
    return score_rows(&self->model, rows, cells_of_list);
}

static int column_argument(const Model *m, PyObject *const *args, Py_ssize_t count, Py_ssize_t *column) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "a row and the number of a value, or -1 for all, are expected");
        return FAILED;
    }
    *column = PyLong_AsSsize_t(args[1]);
    if (*column == -1 && PyErr_Occurred())
        return FAILED;
    if (*column < -1 || *column >= m->values) {
        PyErr_SetString(PyExc_ValueError, "there is no such value");
        return FAILED;
    }
    return DONE;
}

static PyObject *score_one(const Model *m, PyObject *const *args, Py_ssize_t count, RowReader read) {
    Py_ssize_t column;
    if (column_argument(m, args, count, &column) != DONE)
        return NULL;
    Cell few[FEW_CELLS], *cells = cells_for(m, 1, few);
    if (cells == NULL)
        return NULL;
    int done = read(m, args[0], cells);
    PyObject *answer = done == DONE ? one_answer(m, cells, column) : nothing(done);
    if (cells != few)
        PyMem_Free(cells);
    return answer;
}

static PyObject *score_record(Scorer *self, PyObject *const *args, Py_ssize_t count) {
    return score_one(&self->model, args, count, cells_of_record);
}

static PyObject *score_list(Scorer *self, PyObject *const *args, Py_ssize_t count) {
    return score_one(&self->model, args, count, cells_of_list);
}

/* Whether the bytes may be read as they stand: no quote, no NUL, no mark at the beginning, no lone \r. */
static int is_plain(const char *p, Py_ssize_t size) {
    const char *end = p + size;
    if (size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        return 0;
    if (memchr(p, '"', (size_t)size) != NULL || memchr(p, 0, (size_t)size) != NULL)
        return 0;
    for (const char *r = p; (r = memchr(r, '\r', (size_t)(end - r))) != NULL; r++)
        if (r + 1 == end || r[1] != '\n')
            return 0;
    return 1;
}

static Py_ssize_t lines_in(const char *p, Py_ssize_t size) {
    Py_ssize_t lines = 1;
    const char *end = p + size;
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

static PyObject *csv_answer(const Model *m, Py_buffer *body, int single, Py_ssize_t column) {
    const char *begin = body->buf;
    if (body->len == 0 || !is_plain(begin, body->len))
        return Py_NewRef(Py_None);
    Cell few[FEW_CELLS], *cells = cells_for(m, lines_in(begin, body->len), few);
    if (cells == NULL)
        return NULL;
    Py_ssize_t rows = cells_of_csv(m, begin, begin + body->len, cells);
    PyObject *answer;
    if (rows < 1 || (single && rows != 1))
        answer = Py_NewRef(Py_None);
    else
        answer = single ? one_answer(m, cells, column) : values_and_labels(m, cells, rows);
    if (cells != few)
        PyMem_Free(cells);
    return answer;
}

static PyObject *score_csv(Scorer *self, PyObject *object) {
    Py_buffer body;
    if (PyObject_GetBuffer(object, &body, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *answer = csv_answer(&self->model, &body, 0, -1);
    PyBuffer_Release(&body);
    return answer;
}

static PyObject *score_csv_row(Scorer *self, PyObject *const *args, Py_ssize_t count) {
    Py_ssize_t column;
    Py_buffer body;
    if (column_argument(&self->model, args, count, &column) != DONE)
        return NULL;
    if (PyObject_GetBuffer(args[0], &body, PyBUF_SIMPLE) < 0)
        return NULL;
    PyObject *answer = csv_answer(&self->model, &body, 1, column);
    PyBuffer_Release(&body);
    return answer;
}

static PyObject *score_columns(Scorer *self, PyObject *columns) {
    const Model *m = &self->model;
    if (!PyDict_CheckExact(columns) || PyDict_GET_SIZE(columns) != m->columns) {
        PyErr_SetString(PyExc_ValueError, "a dictionary of the model's columns is expected");
        return NULL;
    }
    PyObject *first = PyDict_GetItemWithError(columns, m->column[0].name);
    Py_ssize_t rows = first != NULL && PyList_CheckExact(first) ? PyList_GET_SIZE(first) : 0;
    Cell few[FEW_CELLS], *cells = cells_for(m, rows, few);
    if (cells == NULL)
        return NULL;
    int done = cells_of_columns(m, columns, rows, cells);
    PyObject *answer = done == DONE ? values_and_labels(m, cells, rows) : nothing(done);
    if (cells != few)
        PyMem_Free(cells);
    return answer;
}

static PyObject *new_scorer(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *spec;
    if (kwargs != NULL || !PyArg_ParseTuple(args, "O!", &PyDict_Type, &spec))
        return kwargs == NULL ? NULL : PyErr_Format(PyExc_TypeError, "a Scorer takes no keywords");
    Scorer *self = (Scorer *)type->tp_alloc(type, 0);
    if (self != NULL && read_spec(&self->model, spec) != DONE)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int traverse(Scorer *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->model.exponential);
    Py_VISIT(self->model.positions);
    return 0;
}

static void dealloc(Scorer *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    free_model(&self->model);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"score_record", (PyCFunction)(void (*)(void))score_record, METH_FASTCALL,
     "score_record(record, value): (value, label) of one JSON object, or None."},
    {"score_list", (PyCFunction)(void (*)(void))score_list, METH_FASTCALL,
     "score_list(values, value): (value, label) of one JSON array, or None."},
    {"score_csv_row", (PyCFunction)(void (*)(void))score_csv_row, METH_FASTCALL,
     "score_csv_row(body, value): (value, label) of a body of one row, or None."},
    {"score_records", (PyCFunction)score_records, METH_O, "(values, labels) of a list of objects, or None."},
    {"score_lists", (PyCFunction)score_lists, METH_O, "(values, labels) of a list of arrays, or None."},
    {"score_csv", (PyCFunction)score_csv, METH_O, "(values, labels) of a CSV body without header, or None."},
    {"score_columns", (PyCFunction)score_columns, METH_O,
     "(values, labels) of columns that keep the contract, or None where the model refuses one."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "A compiled model; see containers/compiled/engine.py."},
    {Py_tp_new, new_scorer},
    {Py_tp_dealloc, dealloc},
    {Py_tp_traverse, traverse},
    {Py_tp_methods, methods},
    {0, NULL},
};

static PyType_Spec scorer_type = {
    .name = "containers.compiled._native.Scorer",
    .basicsize = sizeof(Scorer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = slots,
};

#ifndef SOURCE_HASH
#error "build.py passes SOURCE_HASH: what the sources' text was when this was built"
#endif
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static int execute(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &scorer_type, NULL);
    if (type == NULL)
        return -1;
    int failed = PyModule_AddObjectRef(module, "Scorer", type);
    Py_DECREF(type);
    return failed ? -1 : PyModule_AddStringConstant(module, "SOURCE_HASH", TEXT(SOURCE_HASH));
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "The native evaluator of compiled models.",
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
