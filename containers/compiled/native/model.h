/* What a compiled model is in memory, and what each of this folder's files offers the others.
 *
 * The Python side (containers/compiled/plan.py) has checked every index before anything gets here; engine.py is
 * the only caller of the constructor. Doubles are IEEE 754 binary64, evaluated without contraction or fast-math:
 * the results are compared with scikit-learn's bit for bit.
 */
#ifndef SLUICE_MODEL_H
#define SLUICE_MODEL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

/* A node of a tree. Children are neighbours: right = left + 1. A leaf is its own left child and always goes
 * left, so that a walk may go on past it: trees of different depth are walked in step, without a branch. */
typedef struct {
    double threshold; /* value <= threshold goes left; in a categorical node, the number of its set */
    uint32_t left;
    uint32_t where; /* slot * 4 + categorical * 2 + null goes left */
} Node;

enum { NULL_LEFT = 1, CATEGORICAL = 2, SLOT_SHIFT = 2 };

typedef struct {
    Py_ssize_t trees, nodes, width, sets;
    Node *node;
    uint32_t *root, *depth, *by_depth; /* of each tree; the trees' numbers, shallow ones first */
    double *leaf;                      /* width 1: a node's value */
    uint32_t *row;                     /* width above 1: a node's row of `values` */
    double *values;
    uint32_t *set_start, *set_words;
    int categorical, single; /* has categorical nodes; sums are rounded to binary32 */
    double divisor;
} Trees;

typedef struct {
    double *weights; /* (outputs, slots) */
} Linear;

/* The steps of plan.py's Op, under the same numbers. */
enum {
    FILL_NULL, SUBTRACT, DIVIDE, MULTIPLY, ADD, AT_LEAST, AT_MOST, TO_FLOAT32, IS_NULL, REFUSE_NULL,
    REFUSE_INFINITE, TINY_TO_ZERO, OPS
};

typedef struct {
    uint32_t op;
    double operand;
} Step;

/* The slots that a code fills with something else than the base: of code c, start[c] up to start[c + 1].
 * Codes: the keys' own, then the unknown, then null. */
typedef struct {
    Py_ssize_t keys;
    uint32_t *start, *slot;
    double *value;
    uint8_t *refused;
} Fill;

typedef struct {
    uint32_t column, slot, first, end; /* steps */
} Number;

typedef struct {
    uint32_t column, first, end;
    double *keys; /* ascending */
    Fill fill;
} NumberLookup;

/* A category column's codes: by text, and for a column of numbers or booleans also by value. */
typedef struct {
    uint64_t hash;
    uint32_t offset, length;
    int32_t code;
} Entry;

typedef struct {
    Entry *entry;
    uint32_t mask;
    char *text;
    uint64_t *typed; /* bits of the doubles, ascending, with their codes */
    int32_t *typed_code;
    Py_ssize_t typed_count;
    Fill fill;
} TextLookup;

enum { STRING, INTEGER, NUMBER, BOOLEAN };

typedef struct {
    PyObject *name;
    uint8_t category, type, nullable, used; /* used: has a TextLookup */
    TextLookup lookup;
} Column;

/* plan.py's Link and Labels, under the same numbers. */
enum { IDENTITY, LOGISTIC, SOFTMAX, EXPONENTIAL, LOGISTIC32, SOFTMAX32, EXPONENTIAL32, SHARE };
enum { NO_LABELS, RAW_ABOVE_ZERO, RAW_FROM_ZERO, RAW_LARGEST, VALUE_LARGEST, VALUE_ABOVE_HALF };
enum { SEQUENTIAL, PAIRWISE, PAIRWISE_IF_SINGLE };

typedef struct {
    int kind, labels, sum, numpy_exp;
    double factor;
} Link;

typedef struct Masks Masks;

typedef struct {
    Py_ssize_t columns, numbers, number_lookups, slots, outputs, values; /* values: per row, after the link */
    Column *column;
    PyObject *positions; /* name -> column */
    Py_ssize_t nulls;
    struct { char *text; Py_ssize_t length; } *null;
    uint8_t name_start[32]; /* bit set: some column's name starts with this byte */
    Step *step;
    Number *number;
    NumberLookup *number_lookup;
    double *base;  /* (slots) */
    double *start; /* (outputs): what sums start from */
    int linear_kind;
    Linear linear;
    Trees trees;
    Masks *masks; /* where they suit the trees */
    Link link;
    PyObject *exponential; /* numpy's exp, in place, on a writable memoryview; where libm's differs from it */
} Model;

/* One received value: a number, or a category's code. */
typedef union {
    double number;
    int64_t code;
} Cell;

enum { DONE = 0, REFUSED = 1, FAILED = -1 }; /* FAILED: a Python error is set */

/* cells.c: (rows, columns) cells of values; REFUSED where a value is not plainly right. */
int cells_of_record(const Model *m, PyObject *record, Cell *out);
int cells_of_list(const Model *m, PyObject *list, Cell *out);
int cells_of_columns(const Model *m, PyObject *columns, Py_ssize_t rows, Cell *out);
int32_t code_of_text(const TextLookup *l, const char *text, Py_ssize_t length);
int32_t code_of_number(const TextLookup *l, int type, double value);
uint64_t hash_of(const char *text, Py_ssize_t length);
int is_null_text(const Model *m, const char *text, Py_ssize_t length);
static inline int32_t unknown_code(const Fill *f) { return (int32_t)f->keys; }
static inline int32_t null_code(const Fill *f) { return (int32_t)f->keys + 1; }

/* csv.c: the number of rows read, -1 where one is not plainly right; `out` has room for a row a line. */
Py_ssize_t cells_of_csv(const Model *m, const char *at, const char *end, Cell *out);

/* trees.c: adds up `rows` rows of slots, (rows, slots), into raw, (rows, outputs), which holds the start. */
int sum_trees(const Model *m, const double *slots, Py_ssize_t rows, double *raw);

/* masks.c: FAILED with a Python error; adds up one row into raw, (outputs). */
int make_masks(Model *m);
void free_masks(Model *m);
int sum_masks(const Model *m, const Cell *cells, double *raw);

/* steps.h has run_steps and code_of_double, which both ways from cells to sums share. */

/* evaluate.c: from cells to values, (rows, values), and labels, (rows), without the GIL for large batches. */
int evaluate(const Model *m, const Cell *cells, Py_ssize_t rows, double *values, int32_t *labels);

/* links.c */
int apply_link(const Model *m, double *raw, Py_ssize_t rows, double *values, int32_t *labels);

#endif
