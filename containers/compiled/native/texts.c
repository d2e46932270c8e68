/* Texts and their numbers: a category's values, the columns' names. */
#include "model.h"

#include <stdlib.h>
#include <string.h>

static inline uint64_t mixed(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}

/* No protection against flooding is needed: a table's texts are the model's, and it does not grow. */
static uint64_t hash_of(const char *text, Py_ssize_t length) {
    uint64_t h = (uint64_t)length * 0x9e3779b97f4a7c15u, word;
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&word, text, 8);
        h = mixed(h ^ word) * 0x9e3779b97f4a7c15u;
    }
    word = 0;
    if (length >= 4) {
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + length - 4, 4);
        word = (uint64_t)first << 32 | last;
    } else {
        for (Py_ssize_t i = 0; i < length; i++)
            word = word << 8 | (unsigned char)text[i];
    }
    return mixed(h ^ word);
}

int32_t find_text(const Texts *t, const char *text, Py_ssize_t length) {
    uint64_t hash = hash_of(text, length);
    for (uint32_t i = (uint32_t)hash & t->mask;; i = (i + 1) & t->mask) {
        const Entry *e = t->entry + i;
        if (e->number < 0)
            return -1;
        if (e->hash == hash && (Py_ssize_t)e->length == length &&
            memcmp(t->text + e->offset, text, (size_t)length) == 0)
            return e->number;
    }
}

int make_texts(Texts *t, PyObject *texts) {
    Py_ssize_t count = PyList_GET_SIZE(texts), size = 0;
    uint32_t capacity = 4, offset = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        size += PyBytes_GET_SIZE(PyList_GET_ITEM(texts, i));
    while ((Py_ssize_t)capacity < 3 * count)
        capacity *= 2;
    t->mask = capacity - 1;
    t->entry = calloc(capacity, sizeof *t->entry);
    t->text = calloc(size > 0 ? (size_t)size : 1, 1);
    if (t->entry == NULL || t->text == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    for (uint32_t i = 0; i < capacity; i++)
        t->entry[i].number = -1;
    for (Py_ssize_t number = 0; number < count; number++) {
        PyObject *text = PyList_GET_ITEM(texts, number);
        uint32_t length = (uint32_t)PyBytes_GET_SIZE(text);
        uint64_t hash = hash_of(PyBytes_AS_STRING(text), length);
        uint32_t i = (uint32_t)hash & t->mask;
        while (t->entry[i].number >= 0)
            i = (i + 1) & t->mask;
        memcpy(t->text + offset, PyBytes_AS_STRING(text), length);
        t->entry[i] = (Entry){hash, offset, length, (int32_t)number};
        offset += length;
    }
    return DONE;
}

void free_texts(Texts *t) {
    free(t->entry);
    free(t->text);
}
