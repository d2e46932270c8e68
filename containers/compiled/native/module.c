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

/* What the cells answer: one row's value and label, or many rows' as bytes. */
static PyObject *answer_of(const Model *m, int done, const Cells *cells, Py_ssize_t column) {
    if (done == FAILED)
        return NULL;
    if (done == REFUSED || cells->rows == 0 || cells->rows > MOST_ROWS)
        return Py_NewRef(Py_None);
    return cells->rows == 1 ? one_answer(m, cells->cell, column)
                            : values_and_labels(m, cells->cell, cells->rows);
}

enum { CSV, JSON, JSON_LINES };

static PyObject *score_body(const Model *m, PyObject *const *args, Py_ssize_t count, int format) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "a body and the number of a value, or -1 for all, are expected");
        return NULL;
    }
    Py_ssize_t column = PyLong_AsSsize_t(args[1]);
    if (column == -1 && PyErr_Occurred())
        return NULL;
    if (column < -1 || column >= m->values) {
        PyErr_SetString(PyExc_ValueError, "there is no such value");
        return NULL;
    }
    Py_buffer body;
    if (PyObject_GetBuffer(args[0], &body, PyBUF_SIMPLE) < 0)
        return NULL;
    Cells cells;
    cells.cell = NULL;
    cells.rows = cells.room = 0; /* and not `few`, which is large */
    const char *begin = body.buf, *end = begin + body.len;
    int done = format == CSV ? cells_of_csv(m, begin, end, &cells)
                             : cells_of_json(m, begin, end, format == JSON_LINES, &cells);
    PyObject *answer = answer_of(m, done, &cells, column);
    free_cells(&cells);
    PyBuffer_Release(&body);
    return answer;
}

static PyObject *score_csv(Scorer *self, PyObject *const *args, Py_ssize_t count) {
    return score_body(&self->model, args, count, CSV);
}

static PyObject *score_json(Scorer *self, PyObject *const *args, Py_ssize_t count) {
    return score_body(&self->model, args, count, JSON);
}

static PyObject *score_json_lines(Scorer *self, PyObject *const *args, Py_ssize_t count) {
    return score_body(&self->model, args, count, JSON_LINES);
}

static PyObject *score_columns(Scorer *self, PyObject *columns) {
    const Model *m = &self->model;
    if (!PyDict_CheckExact(columns) || PyDict_GET_SIZE(columns) != m->columns) {
        PyErr_SetString(PyExc_ValueError, "a dictionary of the model's columns is expected");
        return NULL;
    }
    Cells cells;
    cells.cell = NULL;
    cells.rows = cells.room = 0;
    int done = cells_of_columns(m, columns, &cells);
    PyObject *answer = done == DONE ? values_and_labels(m, cells.cell, cells.rows) : NULL;
    free_cells(&cells);
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
    {"score_csv", (PyCFunction)(void (*)(void))score_csv, METH_FASTCALL,
     "score_csv(body, value): (value, label) of one row, (values, labels) of many, or None."},
    {"score_json", (PyCFunction)(void (*)(void))score_json, METH_FASTCALL,
     "score_json(body, value): the same of a record, or of a list of records or lists."},
    {"score_json_lines", (PyCFunction)(void (*)(void))score_json_lines, METH_FASTCALL,
     "score_json_lines(body, value): the same of a record or list a line."},
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
