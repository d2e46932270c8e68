/* JSON as cells, without a Python object a value: a record, a list of records or of lists, the same under
 * "instances", or one record or list a line.
 *
 * What is taken here is what orjson and contract.py's from_json take with the same result; whatever is not plainly so
 * is REFUSED and read by them.
 */
#include "model.h"

#include <math.h>
#include <string.h>

enum { ESCAPED = 256 /* bytes of a text with escapes, at most */, FEW_COLUMNS = 512 };

typedef struct {
    const Model *m;
    const char *at, *end;
    char row_kind; /* of the first row: { or [ */
    char *seen;    /* (columns) of the record that is read */
    char scratch[ESCAPED];
} Reader;

static inline void skip_blanks(Reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static inline int take(Reader *r, char c) {
    skip_blanks(r);
    if (r->at == r->end || *r->at != c)
        return 0;
    r->at++;
    return 1;
}

static inline int take_word(Reader *r, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return REFUSED;
    r->at += length;
    return DONE;
}

static int hexadecimal(const char *p, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i] | 0x20; /* lower case; a digit stays one */
        int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return REFUSED;
        *out = *out << 4 | (uint32_t)digit;
    }
    return DONE;
}

static char *put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3f));
        *to++ = (char)(0x80 | (c >> 6 & 0x3f));
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

/* \uXXXX, and the second half of a pair; `at` is behind the u. */
static int read_code_point(Reader *r, uint32_t *out) {
    uint32_t second;
    if (r->end - r->at < 4 || hexadecimal(r->at, out) != DONE)
        return REFUSED;
    r->at += 4;
    if (*out < 0xd800 || *out > 0xdfff)
        return DONE;
    if (*out > 0xdbff || r->end - r->at < 6 || r->at[0] != '\\' || r->at[1] != 'u' ||
        hexadecimal(r->at + 2, &second) != DONE || second < 0xdc00 || second > 0xdfff)
        return REFUSED; /* a lone surrogate */
    r->at += 6;
    *out = 0x10000 + ((*out - 0xd800) << 10) + (second - 0xdc00);
    return DONE;
}

/* The rest of a string with escapes, whose first `length` bytes at `begin` have none, in `scratch`. */
static int read_escaped(Reader *r, const char *begin, const char **text, Py_ssize_t *length) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char *to = r->scratch, *last = r->scratch + ESCAPED - 4;
    if (r->at - begin > ESCAPED - 4)
        return REFUSED;
    memcpy(to, begin, (size_t)(r->at - begin));
    to += r->at - begin;
    while (r->at < r->end && to <= last) {
        char c = *r->at++;
        if (c == '"') {
            *text = r->scratch;
            *length = to - r->scratch;
            return DONE;
        }
        if ((unsigned char)c < 0x20)
            return REFUSED;
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        if (r->at == r->end)
            return REFUSED;
        c = *r->at++;
        uint32_t point;
        const char *known = c == 0 ? NULL : strchr(from, c);
        if (known != NULL)
            *to++ = into[known - from];
        else if (c == 'u' && read_code_point(r, &point) == DONE)
            to = put_utf8(to, point);
        else
            return REFUSED;
    }
    return REFUSED;
}

/* A string, `at` behind its first quote: its UTF-8, if it is some; it lives until the next one is read. */
static inline int read_string(Reader *r, const char **text, Py_ssize_t *length) {
    const char *begin = r->at;
    for (; r->at < r->end; r->at++) {
        unsigned char c = (unsigned char)*r->at;
        if (c == '"') {
            *text = begin;
            *length = r->at++ - begin;
            return DONE;
        }
        if (c == '\\')
            return read_escaped(r, begin, text, length);
        if (c < 0x20)
            return REFUSED;
    }
    return REFUSED;
}

static inline int skip_digits(Reader *r) {
    const char *begin = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
        r->at++;
    return r->at > begin;
}

/* -?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)? */
static int read_json_number(Reader *r, double *out) {
    const char *begin = r->at;
    int negative = *r->at == '-', whole = 1;
    r->at += negative;
    if (r->at < r->end && *r->at == '0')
        r->at++;
    else if (!skip_digits(r))
        return REFUSED;
    if (r->at < r->end && *r->at == '.') {
        whole = 0;
        r->at++;
        if (!skip_digits(r))
            return REFUSED;
    }
    if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        whole = 0;
        r->at++;
        if (r->at < r->end && (*r->at == '+' || *r->at == '-'))
            r->at++;
        if (!skip_digits(r))
            return REFUSED;
    }
    if (read_number(begin, r->at, out) != DONE)
        return REFUSED;
    /* Python's integers hold more than a double, and know no -0. */
    return whole && (fabs(*out) >= 9007199254740992.0 || (negative && *out == 0.0)) ? REFUSED : DONE;
}

static inline int read_value(Reader *r, const Column *c, Cell *out) {
    const char *text;
    Py_ssize_t length;
    double number;
    skip_blanks(r);
    if (r->at == r->end)
        return REFUSED;
    switch (*r->at) {
    case '"':
        r->at++;
        if (c->type != STRING || read_string(r, &text, &length) != DONE)
            return REFUSED;
        return is_null_text(r->m, text, length) ? null_cell(c, out) : category_cell(c, text, length, out);
    case 'n':
        return take_word(r, "null") == DONE ? null_cell(c, out) : REFUSED;
    case 't':
        return c->type == BOOLEAN && take_word(r, "true") == DONE ? number_cell(c, 1.0, out) : REFUSED;
    case 'f':
        return c->type == BOOLEAN && take_word(r, "false") == DONE ? number_cell(c, 0.0, out) : REFUSED;
    default:
        if ((c->type != INTEGER && c->type != NUMBER) || read_json_number(r, &number) != DONE)
            return REFUSED;
        return number_cell(c, number, out);
    }
}

/* The column of a key; it is most often the `expected` one. */
static inline Py_ssize_t read_key(Reader *r, Py_ssize_t expected) {
    const char *text;
    Py_ssize_t length;
    if (!take(r, '"') || read_string(r, &text, &length) != DONE)
        return -1;
    if (expected < r->m->columns) {
        const Column *c = r->m->column + expected;
        if (c->length == length && memcmp(c->text, text, (size_t)length) == 0)
            return expected;
    }
    return find_text(&r->m->names, text, length);
}

static int read_record(Reader *r, Cell *out) {
    memset(r->seen, 0, (size_t)r->m->columns);
    for (Py_ssize_t k = 0;; k++) {
        Py_ssize_t c = read_key(r, k);
        if (c < 0 || r->seen[c] || !take(r, ':'))
            return REFUSED;
        r->seen[c] = 1;
        int done = read_value(r, r->m->column + c, out + c);
        if (done != DONE)
            return done;
        if (take(r, '}'))
            return k + 1 == r->m->columns ? DONE : REFUSED;
        if (!take(r, ','))
            return REFUSED;
    }
}

static int read_list(Reader *r, Cell *out) {
    for (Py_ssize_t c = 0; c < r->m->columns; c++) {
        if (c > 0 && !take(r, ','))
            return REFUSED;
        int done = read_value(r, r->m->column + c, out + c);
        if (done != DONE)
            return done;
    }
    return take(r, ']') ? DONE : REFUSED;
}

/* A record or a list, whichever the first row was. */
static int read_row(Reader *r, Cells *out) {
    skip_blanks(r);
    if (r->at == r->end || (*r->at != '{' && *r->at != '['))
        return REFUSED;
    char kind = *r->at++;
    if (r->row_kind == 0)
        r->row_kind = kind;
    if (kind != r->row_kind)
        return REFUSED;
    Cell *row = next_row(r->m, out);
    if (row == NULL)
        return FAILED;
    return kind == '{' ? read_record(r, row) : read_list(r, row);
}

/* [row, …], `at` behind the bracket. */
static int read_rows(Reader *r, Cells *out) {
    do {
        int done = read_row(r, out);
        if (done != DONE)
            return done;
    } while (take(r, ','));
    return take(r, ']') ? DONE : REFUSED;
}

/* {"instances": [ … ]}, unless a column has that name. */
static int begins_envelope(Reader *r) {
    static const char name[] = "instances";
    const char *text, *before = r->at;
    Py_ssize_t length, size = (Py_ssize_t)sizeof name - 1;
    if (find_text(&r->m->names, name, size) < 0 && take(r, '{') && take(r, '"') &&
        read_string(r, &text, &length) == DONE && length == size && memcmp(text, name, (size_t)size) == 0 &&
        take(r, ':') && take(r, '['))
        return 1;
    r->at = before;
    return 0;
}

static int read_document(Reader *r, Cells *out) {
    int done;
    if (begins_envelope(r)) {
        done = read_rows(r, out);
        if (done == DONE && !take(r, '}'))
            return REFUSED;
    } else {
        done = take(r, '[') ? read_rows(r, out) : read_row(r, out);
    }
    skip_blanks(r);
    return done == DONE && r->at != r->end ? REFUSED : done;
}

static int read_lines(Reader *r, Cells *out) {
    const char *end = r->end;
    while (r->at < end) {
        const char *newline = memchr(r->at, '\n', (size_t)(end - r->at));
        r->end = newline == NULL ? end : newline;
        if (newline != NULL && r->end > r->at && r->end[-1] == '\r')
            r->end--;
        if (memchr(r->at, '\r', (size_t)(r->end - r->at)) != NULL)
            return REFUSED;
        skip_blanks(r);
        if (r->at < r->end) {
            int done = read_row(r, out);
            skip_blanks(r);
            if (done != DONE || r->at != r->end)
                return done != DONE ? done : REFUSED;
        }
        r->at = newline == NULL ? end : newline + 1;
    }
    return DONE;
}

int cells_of_json(const Model *m, const char *at, const char *end, int lines, Cells *out) {
    char few[FEW_COLUMNS], *seen = few;
    if (m->columns > FEW_COLUMNS && (seen = PyMem_Malloc((size_t)m->columns)) == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    Reader reader = {.m = m, .at = at, .end = end, .seen = seen};
    int done = lines ? read_lines(&reader, out) : read_document(&reader, out);
    if (seen != few)
        PyMem_Free(seen);
    return done;
}
