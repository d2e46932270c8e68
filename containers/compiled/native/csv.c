/* Plain CSV as cells, in contract order: no header, no quotes, no other line ends than \n and \r\n.
 *
 * What is taken here is what Python's csv module and contract.py's from_text take with the same result; whatever is
 * not plainly so is REFUSED and read by them. Numbers come out as Python's float() reads them.
 */
#include "model.h"

#include <math.h>
#include <string.h>

enum { LONGEST_NUMBER = 40, LONGEST_FIELD = 100000 /* below csv.field_size_limit() */ };

static const double POWER[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline int is_digit(char c) { return c >= '0' && c <= '9'; }

/* [+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?, all of it; anything longer than a number needs to be is REFUSED.
 *
 * With at most 2**53 for its digits and a power of ten up to 22 both factors are exact, and one rounded operation
 * gives the nearest double (Clinger, How to read floating point numbers accurately, 1990). */
static int read_number(const char *text, const char *end, double *out) {
    if (end - text > LONGEST_NUMBER || text == end)
        return REFUSED;
    const char *p = text;
    int negative = *p == '-';
    if (*p == '-' || *p == '+')
        p++;
    uint64_t digits = 0;
    int found = 0, power = 0;
    for (; p < end && is_digit(*p); p++, found++)
        digits = digits * 10 + (uint64_t)(*p - '0');
    if (p < end && *p == '.') {
        const char *point = ++p;
        for (; p < end && is_digit(*p); p++, found++)
            digits = digits * 10 + (uint64_t)(*p - '0');
        power = (int)(point - p);
    }
    if (found == 0)
        return REFUSED;
    if (p < end && (*p == 'e' || *p == 'E')) {
        int down = 0, exponent = 0, any = 0;
        if (++p < end && (*p == '-' || *p == '+'))
            down = *p++ == '-';
        for (; p < end && is_digit(*p); p++, any = 1)
            exponent = exponent < 10000 ? exponent * 10 + (*p - '0') : exponent;
        if (!any)
            return REFUSED;
        power += down ? -exponent : exponent;
    }
    if (p != end)
        return REFUSED;
    /* Nineteen digits always fit 64 bits; leading zeros only make `found` larger than it needs to be. */
    if (found <= 19 && digits <= (uint64_t)1 << 53 && power >= -22 && power <= 22) {
        double value = (double)digits;
        value = power < 0 ? value / POWER[-power] : value * POWER[power];
        *out = negative ? -value : value;
        return DONE;
    }
    char copy[LONGEST_NUMBER + 1];
    memcpy(copy, text, (size_t)(end - text));
    copy[end - text] = 0;
    *out = PyOS_string_to_double(copy, NULL, NULL);
    if (*out == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return REFUSED;
    }
    return DONE;
}

static int is_word(const char *text, Py_ssize_t length, const char *lower, const char *title,
                   const char *upper) {
    return (Py_ssize_t)strlen(lower) == length &&
           (memcmp(text, lower, (size_t)length) == 0 || memcmp(text, title, (size_t)length) == 0 ||
            memcmp(text, upper, (size_t)length) == 0);
}

static int has_high_byte(const char *text, Py_ssize_t length) {
    for (Py_ssize_t i = 0; i < length; i++)
        if ((unsigned char)text[i] >= 0x80)
            return 1;
    return 0;
}

/* Whether what str.strip would take away begins at `text`, in UTF-8: none of it is longer than three bytes. */
static int is_blank(const char *text, Py_ssize_t length) {
    const unsigned char *b = (const unsigned char *)text;
    if (length == 1)
        return b[0] < 0x80 && Py_UNICODE_ISSPACE(b[0]);
    if (length == 2)
        return b[0] >> 5 == 6 && Py_UNICODE_ISSPACE((Py_UCS4)((b[0] & 31) << 6 | (b[1] & 63)));
    return length == 3 && b[0] >> 4 == 14 &&
           Py_UNICODE_ISSPACE((Py_UCS4)((b[0] & 15) << 12 | (b[1] & 63) << 6 | (b[2] & 63)));
}

static int has_blank_edge(const char *text, Py_ssize_t length) {
    for (Py_ssize_t width = 1; width <= 3 && width <= length; width++)
        if (is_blank(text, width) || is_blank(text + length - width, width))
            return 1;
    return 0;
}

static int category_cell(const Column *c, const char *text, Py_ssize_t length, Cell *out) {
    if (has_blank_edge(text, length))
        return REFUSED;
    out->code = c->used ? code_of_text(&c->lookup, text, length) : 0;
    /* A key is valid UTF-8; whether another text is, is for Python to say. */
    if ((!c->used || out->code == unknown_code(&c->lookup.fill)) && has_high_byte(text, length))
        return REFUSED;
    return DONE;
}

static int number_cell(const Column *c, double value, Cell *out) {
    if (!isfinite(value))
        return REFUSED;
    if (c->type == INTEGER && (fabs(value) > 9007199254740992.0 || value != floor(value)))
        return REFUSED;
    if (c->category)
        out->code = c->used ? code_of_number(&c->lookup, c->type, value) : 0;
    else
        out->number = value;
    return DONE;
}

static int cell_of(const Model *m, const Column *c, const char *text, const char *end, Cell *out) {
    int null = is_null_text(m, text, end - text), trimmed = 0;
    for (; !null && text < end && *text == ' '; trimmed = 1)
        text++;
    for (; !null && text < end && end[-1] == ' '; trimmed = 1)
        end--;
    if (trimmed && is_null_text(m, text, end - text)) {
        if (m->columns == 1 && text == end)
            return REFUSED; /* nothing but blanks may be no row at all */
        null = 1;
    }
    if (null) {
        if (!c->nullable)
            return REFUSED;
        if (c->category)
            out->code = c->used ? null_code(&c->lookup.fill) : 0;
        else
            out->number = Py_NAN;
        return DONE;
    }
    if (c->type == STRING)
        return category_cell(c, text, end - text, out);
    double value;
    if (c->type != BOOLEAN) {
        if (read_number(text, end, &value) != DONE)
            return REFUSED;
        return number_cell(c, value, out);
    }
    Py_ssize_t length = end - text;
    if (is_word(text, length, "true", "True", "TRUE") || is_word(text, length, "1", "1", "1"))
        return number_cell(c, 1.0, out);
    if (is_word(text, length, "false", "False", "FALSE") || is_word(text, length, "0", "0", "0"))
        return number_cell(c, 0.0, out);
    return REFUSED;
}

/* Whether a field of the first row may be a column's name, were it stripped: then the row may be a header. */
static int may_be_name(const Model *m, const char *text, const char *end) {
    while (text < end && (unsigned char)*text <= ' ')
        text++;
    while (text < end && (unsigned char)end[-1] <= ' ')
        end--;
    if (text == end)
        return 0;
    /* Python strips white space beyond ASCII, too: U+0085, U+00A0, U+1680, U+2000 …, U+3000. */
    unsigned char first = (unsigned char)*text, last = (unsigned char)end[-1];
    if (first == 0xc2 || (first >= 0xe1 && first <= 0xe3))
        return 1;
    if (last >= 0x80 && end - text >= 2) {
        unsigned char before = (unsigned char)end[-2];
        if (before == 0xc2 || before == 0x80 || before == 0x81 || before == 0x9a)
            return 1;
    }
    if (!(m->name_start[first >> 3] >> (first & 7) & 1))
        return 0;
    PyObject *name = PyUnicode_DecodeUTF8(text, end - text, "strict");
    if (name == NULL) {
        PyErr_Clear();
        return 1;
    }
    int found = PyDict_Contains(m->positions, name);
    Py_DECREF(name);
    if (found < 0)
        PyErr_Clear();
    return found != 0;
}

/* One line as a row of cells. */
static int row_of(const Model *m, const char *line, const char *end, int first, Cell *out) {
    Py_ssize_t c = 0;
    const char *field = line;
    for (;; c++) {
        const char *comma = memchr(field, ',', (size_t)(end - field));
        const char *stop = comma == NULL ? end : comma;
        if (c == m->columns || stop - field > LONGEST_FIELD)
            return REFUSED;
        if (first && may_be_name(m, field, stop))
            return REFUSED;
        int done = cell_of(m, m->column + c, field, stop, out + c);
        if (done != DONE)
            return done;
        if (comma == NULL)
            break;
        field = comma + 1;
    }
    return c + 1 == m->columns ? DONE : REFUSED;
}

Py_ssize_t cells_of_csv(const Model *m, const char *at, const char *end, Cell *out) {
    Py_ssize_t rows = 0;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;
        const char *next = newline == NULL ? end : newline + 1;
        if (newline != NULL && stop > at && stop[-1] == '\r')
            stop--;
        if (stop > at) { /* the csv module's empty rows are left out, too */
            if (row_of(m, at, stop, rows == 0, out + rows * m->columns) != DONE)
                return -1;
            rows++;
        }
        at = next;
    }
    return rows;
}
