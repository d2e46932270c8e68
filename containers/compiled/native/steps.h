/* What is done to one number: the plan's steps, and the code it has in a lookup by value. */
#ifndef SLUICE_STEPS_H
#define SLUICE_STEPS_H

#include "model.h"

#include <math.h>

static inline int run_steps(const Step *at, const Step *end, double *value) {
    double v = *value;
    for (; at < end; at++) {
        switch (at->op) {
        case FILL_NULL:
            if (v != v)
                v = at->operand;
            break;
        case SUBTRACT:
            v -= at->operand;
            break;
        case DIVIDE:
            v /= at->operand;
            break;
        case MULTIPLY:
            v *= at->operand;
            break;
        case ADD:
            v += at->operand;
            break;
        case AT_LEAST:
            if (v < at->operand)
                v = at->operand;
            break;
        case AT_MOST:
            if (v > at->operand)
                v = at->operand;
            break;
        case TO_FLOAT32:
            v = (double)(float)v;
            break;
        case IS_NULL:
            v = v != v ? 1.0 : 0.0;
            break;
        case REFUSE_NULL:
            if (v != v)
                return REFUSED;
            break;
        case REFUSE_INFINITE:
            if (isinf(v))
                return REFUSED;
            break;
        case TINY_TO_ZERO:
            if (fabs(v) <= at->operand)
                v = 0.0;
            break;
        case EQUAL_TO_NULL:
            if (v == at->operand)
                v = Py_NAN;
            break;
        }
    }
    *value = v;
    return DONE;
}

static inline int64_t code_of_double(const NumberLookup *l, double v) {
    if (v != v)
        return null_code(&l->fill);
    Py_ssize_t low = 0, count = l->fill.keys;
    while (count > 0) {
        Py_ssize_t half = count / 2;
        if (l->keys[low + half] < v) {
            low += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return low < l->fill.keys && l->keys[low] == v ? low : unknown_code(&l->fill);
}

#endif
