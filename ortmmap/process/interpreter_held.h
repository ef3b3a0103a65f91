/* Whether the calling thread holds the interpreter lock. */
#ifndef ORTMMAP_INTERPRETER_HELD_H
#define ORTMMAP_INTERPRETER_HELD_H

#include <Python.h>

/* PyGILState_Check would not do: it returns 1 in every thread once a sub-interpreter existed. */
static inline int ortmmap_interpreter_lock_held(void) {
  PyThreadState *own = PyGILState_GetThisThreadState();
  return own != NULL && own == _PyThreadState_UncheckedGet();
}

#endif /* ORTMMAP_INTERPRETER_HELD_H */
