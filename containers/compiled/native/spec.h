/* A Model made from engine.py's dictionary, and undone. */
#ifndef SLUICE_SPEC_H
#define SLUICE_SPEC_H

#include "model.h"

int read_spec(Model *m, PyObject *spec);
void free_model(Model *m);

#endif
