/* From raw sums to what is answered, in the very order of operations of each library.
 *
 * scikit-learn: _loss/link.py, utils/extmath.py softmax, scipy.special.expit (1 / (1 + exp(-x)), libm's exp).
 * numpy's exp is libm's only where numpy has no vector code for the machine: engine.py compares the two, and sets
 * `exponential` where they differ. LightGBM: binary_objective.hpp, common.h Softmax. XGBoost: common/math.h.
 */
#include "model.h"

#include <math.h>

static Py_ssize_t largest(const double *x, Py_ssize_t count) {
    Py_ssize_t best = 0;
    for (Py_ssize_t k = 1; k < count; k++)
        if (x[k] > x[best])
            best = k;
    return best;
}

/* numpy's sum of a contiguous row: numpy/_core/src/umath/loops_utils.h.src, pairwise_sum. */
static double pairwise(const double *x, Py_ssize_t count) {
    if (count < 8) {
        double sum = -0.0;
        for (Py_ssize_t i = 0; i < count; i++)
            sum += x[i];
        return sum;
    }
    if (count > 128) {
        Py_ssize_t half = count / 2;
        half -= half % 8;
        return pairwise(x, half) + pairwise(x + half, count - half);
    }
    double r[8];
    for (int j = 0; j < 8; j++)
        r[j] = x[j];
    Py_ssize_t i = 8;
    for (; i < count - count % 8; i += 8)
        for (int j = 0; j < 8; j++)
            r[j] += x[i + j];
    double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < count; i++)
        sum += x[i];
    return sum;
}

static double sum_of(const Link *link, const double *x, Py_ssize_t count, Py_ssize_t rows) {
    if (link->sum == PAIRWISE || (link->sum == PAIRWISE_IF_SINGLE && rows == 1))
        return pairwise(x, count);
    double sum = 0.0;
    for (Py_ssize_t k = 0; k < count; k++)
        sum += x[k];
    return sum;
}

static int exponentials(const Model *m, double *x, Py_ssize_t count) {
    if (!m->link.numpy_exp) {
        for (Py_ssize_t i = 0; i < count; i++)
            x[i] = exp(x[i]);
        return DONE;
    }
    PyObject *view = PyMemoryView_FromMemory((char *)x, count * (Py_ssize_t)sizeof *x, PyBUF_WRITE);
    if (view == NULL)
        return FAILED;
    PyObject *done = PyObject_CallOneArg(m->exponential, view);
    Py_DECREF(view);
    Py_XDECREF(done);
    return done == NULL ? FAILED : DONE;
}

static void softmax32(const double *raw, Py_ssize_t count, double *values) {
    float most = (float)raw[0];
    for (Py_ssize_t k = 1; k < count; k++)
        most = fmaxf(most, (float)raw[k]);
    double sum = 0.0;
    for (Py_ssize_t k = 0; k < count; k++) {
        float e = expf((float)raw[k] - most);
        values[k] = (double)e;
        sum += (double)e;
    }
    for (Py_ssize_t k = 0; k < count; k++)
        values[k] = (double)((float)values[k] / (float)sum);
}

static int softmax(const Model *m, const double *raw, Py_ssize_t rows, double *values) {
    Py_ssize_t count = m->outputs;
    for (Py_ssize_t r = 0; r < rows; r++) {
        const double *x = raw + r * count;
        double most = x[largest(x, count)];
        for (Py_ssize_t k = 0; k < count; k++)
            values[r * count + k] = x[k] - most;
    }
    if (exponentials(m, values, rows * count) != DONE)
        return FAILED;
    for (Py_ssize_t r = 0; r < rows; r++) {
        double sum = sum_of(&m->link, values + r * count, count, rows);
        for (Py_ssize_t k = 0; k < count; k++)
            values[r * count + k] /= sum;
    }
    return DONE;
}

static void logistic32(double raw, double *values) {
    float x = fminf(-(float)raw, 88.7f);
    float denominator = expf(x) + 1.0f + 1e-16f;
    float p = 1.0f / denominator;
    values[0] = (double)(1.0f - p);
    values[1] = (double)p;
}

static int linked(const Model *m, const double *raw, Py_ssize_t rows, double *values) {
    const Link *link = &m->link;
    Py_ssize_t count = m->outputs;
    switch (link->kind) {
    case SOFTMAX:
        return softmax(m, raw, rows, values);
    case EXPONENTIAL:
        for (Py_ssize_t i = 0; i < rows * count; i++)
            values[i] = raw[i];
        return exponentials(m, values, rows * count);
    case LOGISTIC:
        for (Py_ssize_t r = 0; r < rows; r++) {
            double p = 1.0 / (1.0 + exp(-(link->factor * raw[r])));
            values[2 * r] = 1.0 - p;
            values[2 * r + 1] = p;
        }
        return DONE;
    case LOGISTIC32:
        for (Py_ssize_t r = 0; r < rows; r++)
            logistic32(raw[r], values + 2 * r);
        return DONE;
    case SOFTMAX32:
        for (Py_ssize_t r = 0; r < rows; r++)
            softmax32(raw + r * count, count, values + r * count);
        return DONE;
    case EXPONENTIAL32:
        for (Py_ssize_t i = 0; i < rows * count; i++)
            values[i] = (double)expf((float)raw[i]);
        return DONE;
    case SHARE: /* of one class, as by a tree ensemble that averages them */
    default:
        for (Py_ssize_t i = 0; i < rows * count; i++)
            values[i] = raw[i];
        return DONE;
    }
}

int apply_link(const Model *m, double *raw, Py_ssize_t rows, double *values, int32_t *labels) {
    if (linked(m, raw, rows, values) != DONE)
        return FAILED;
    if (labels == NULL)
        return DONE;
    for (Py_ssize_t r = 0; r < rows; r++) {
        const double *x = raw + r * m->outputs, *v = values + r * m->values;
        switch (m->link.labels) {
        case RAW_ABOVE_ZERO:
            labels[r] = x[0] > 0.0;
            break;
        case RAW_FROM_ZERO:
            labels[r] = x[0] >= 0.0;
            break;
        case RAW_LARGEST:
            labels[r] = (int32_t)largest(x, m->outputs);
            break;
        case VALUE_ABOVE_HALF:
            labels[r] = v[1] > 0.5;
            break;
        default:
            labels[r] = (int32_t)largest(v, m->values);
        }
    }
    return DONE;
}
