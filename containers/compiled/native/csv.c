/* Plain CSV as cells, in contract order: no header, no quotes, no other line ends than \n and \r\n.
 *
 * What is taken here is what Python's csv module and contract.py's from_text take with the same result; whatever is
 * not plainly so is REFUSED and read by them.
 */
#include "model.h"

#include <string.h>

enum { LONGEST_FIELD = 100000 /* below csv.field_size_limit() */ };

static int is_word(const char *text, Py_ssize_t length, const char *lower, const char *title,
                   const char *upper) {
    return (Py_ssize_t)strlen(lower) == length &&
           (memcmp(text, lower, (size_t)length) == 0 || memcmp(text, title, (size_t)length) == 0 ||
            memcmp(text, upper, (size_t)length) == 0);
}

/* Whether a number is written as an integer is: in digits, or as pandas writes one beside a gap, 3.0. */
static int is_whole(const char *text, const char *end) {
    if (*text == '-' || *text == '+')
        text++;
    const char *digits = text;
    while (text < end && *text >= '0' && *text <= '9')
        text++;
    if (text == digits || text == end)
        return text != digits;
    if (*text != '.' || ++text == end)
        return 0;
    while (text < end && *text == '0')
        text++;
    return text == end;
}

static int cell_of(const Model *m, const Column *c, const char *text, const char *end, Cell *out) {
    if (is_null_text(m, text, end - text))
        return null_cell(c, out);
    if (*text == ' ' || end[-1] == ' ') {
        while (text < end && *text == ' ')
            text++;
        while (text < end && end[-1] == ' ')
            end--;
        if (text == end && m->columns == 1)
            return REFUSED; /* nothing but blanks may be no row at all */
        if (is_null_text(m, text, end - text))
            return null_cell(c, out);
    }
    if (c->type == STRING)
        return category_cell(c, text, end - text, out);
    double value;
    if (c->type != BOOLEAN) {
        if (read_number(text, end, &value) != DONE || (c->type == INTEGER && !is_whole(text, end)))
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
    return (m->name_start[first >> 3] >> (first & 7) & 1) && find_text(&m->names, text, end - text) >= 0;
}

/* One line as a row of cells. */
static int row_of(const Model *m, const char *line, const char *end, int first, Cell *out) {
    const char *field = line;
    for (Py_ssize_t c = 0;; c++) {
        const char *stop = field;
        while (stop < end && *stop != ',')
            stop++;
        if (c == m->columns || stop - field > LONGEST_FIELD || (first && may_be_name(m, field, stop)))
            return REFUSED;
        int done = cell_of(m, m->column + c, field, stop, out + c);
        if (done != DONE)
            return done;
        if (stop == end)
            return c + 1 == m->columns ? DONE : REFUSED;
        field = stop + 1;
    }
}

/* Whether the bytes may be read as they stand: no quote, no NUL, no mark at the beginning, no lone \r. */
static int is_plain(const char *p, const char *end) {
    if (end - p >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
        return 0;
    if (memchr(p, '"', (size_t)(end - p)) != NULL || memchr(p, 0, (size_t)(end - p)) != NULL)
        return 0;
    for (; (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
        if (p + 1 == end || p[1] != '\n')
            return 0;
    return 1;
}

int cells_of_csv(const Model *m, const char *at, const char *end, Cells *out) {
    if (!is_plain(at, end))
        return REFUSED;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;
        const char *next = newline == NULL ? end : newline + 1;
        if (newline != NULL && stop > at && stop[-1] == '\r')
            stop--;
        if (stop > at) { /* the csv module's empty rows are left out, too */
            Cell *row = next_row(m, out);
            if (row == NULL)
                return FAILED;
            int done = row_of(m, at, stop, out->rows == 1, row);
            if (done != DONE)
                return done;
        }
        at = next;
    }
    return DONE;
}
