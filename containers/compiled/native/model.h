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
    REFUSE_INFINITE, TINY_TO_ZERO, EQUAL_TO_NULL, OPS
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

/* Texts by their number, in an open hash table; -1 in an entry that is free. */
typedef struct {
    uint64_t hash;
    uint32_t offset, length;
    int32_t number;
} Entry;

typedef struct {
    Entry *entry;
    uint32_t mask;
    char *text;
} Texts;

/* A category column's codes: by text, and for a column of numbers or booleans also by value. */
typedef struct {
    Texts texts;
    uint64_t *typed; /* bits of the doubles, ascending, with their codes */
    int32_t *typed_code;
    Py_ssize_t typed_count;
    Fill fill;
} TextLookup;

enum { STRING, INTEGER, NUMBER, BOOLEAN };

typedef struct {
    PyObject *name;
    const char *text; /* of the name, in UTF-8 */
    Py_ssize_t length;
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
    Texts names;         /* the columns' */
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

enum { FEW_CELLS = 256, MOST_ROWS = 1000000 /* as sluice/decoding/bounds.py has it, which words the refusal */ };

/* (rows, columns) cells, a row at a time; few of them lie in `few`. Zero rows, room and cell to begin with. */
typedef struct {
    Cell *cell;
    Py_ssize_t rows, room;
    Cell few[FEW_CELLS];
} Cells;

/* texts.c: the number of a text, -1 where it is none; make_texts takes a list of bytes. */
int32_t find_text(const Texts *t, const char *text, Py_ssize_t length);
int make_texts(Texts *t, PyObject *texts);
void free_texts(Texts *t);

/* numbers.c: [+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?, all of it; one longer than a number needs to be is REFUSED. */
int read_number(const char *text, const char *end, double *out);

/* cells.c: room for one more row, NULL with a Python error; one value as a cell; REFUSED if not plainly right. */
Cell *next_row(const Model *m, Cells *cells);
void free_cells(Cells *cells);
int null_cell(const Column *c, Cell *out);
int number_cell(const Column *c, double value, Cell *out);
int is_null_text(const Model *m, const char *text, Py_ssize_t length);
int category_cell(const Column *c, const char *text, Py_ssize_t length, Cell *out);
int32_t code_of_text(const TextLookup *l, const char *text, Py_ssize_t length);
static inline int32_t unknown_code(const Fill *f) { return (int32_t)f->keys; }
static inline int32_t null_code(const Fill *f) { return (int32_t)f->keys + 1; }

/* The ways to rows of cells: cells.c, csv.c and json.c. */
int cells_of_columns(const Model *m, PyObject *columns, Cells *out);
int cells_of_csv(const Model *m, const char *at, const char *end, Cells *out);
int cells_of_json(const Model *m, const char *at, const char *end, int lines, Cells *out);

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
