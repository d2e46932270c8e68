/* Numbers from text, to the nearest double, as Python's float() reads them. */
#include "model.h"

#include <math.h>
#include <string.h>

enum { LONGEST = 40 };

static const double POWER[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
static const uint64_t WHOLE_POWER[20] = {1u,
                                         10u,
                                         100u,
                                         1000u,
                                         10000u,
                                         100000u,
                                         1000000u,
                                         10000000u,
                                         100000000u,
                                         1000000000u,
                                         10000000000u,
                                         100000000000u,
                                         1000000000000u,
                                         10000000000000u,
                                         100000000000000u,
                                         1000000000000000u,
                                         10000000000000000u,
                                         100000000000000000u,
                                         1000000000000000000u,
                                         10000000000000000000u};

static inline int is_digit(char c) { return c >= '0' && c <= '9'; }

static inline int bits_of(uint64_t x) { return 64 - __builtin_clzll(x); }

/* n / d, rounded once; both above 0.
 *
 * The whole quotient of n * 2**shift by d has at least 55 bits, two more than a double holds; a remainder sets its
 * lowest bit. Rounded so ("to odd"), it is rounded to the same double as the exact quotient (Boldo and Melquiond,
 * Emulation of FMA and correctly rounded sums, 2008). */
static double quotient(uint64_t n, uint64_t d) {
    int shift = 55 + bits_of(d) - bits_of(n);
    if (shift < 0)
        shift = 0;
    unsigned __int128 wide = (unsigned __int128)n << shift;
    uint64_t whole = (uint64_t)(wide / d);
    if (wide % d != 0)
        whole |= 1;
    return ldexp((double)whole, -shift);
}

int read_number(const char *text, const char *end, double *out) {
    if (end - text > LONGEST || text == end)
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
    if (found <= 19) {
        double value = -1.0;
        /* Both factors are exact, and one rounded operation gives the nearest double (Clinger, How to read
         * floating point numbers accurately, 1990). */
        if (digits <= (uint64_t)1 << 53 && power >= -22 && power <= 22)
            value = power < 0 ? (double)digits / POWER[-power] : (double)digits * POWER[power];
        else if (power <= 0 && power >= -19)
            value = quotient(digits, WHOLE_POWER[-power]);
        if (value >= 0.0) {
            *out = negative ? -value : value;
            return DONE;
        }
    }
    char copy[LONGEST + 1];
    memcpy(copy, text, (size_t)(end - text));
    copy[end - text] = 0;
    *out = PyOS_string_to_double(copy, NULL, NULL);
    if (*out == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return REFUSED;
    }
    return DONE;
}
