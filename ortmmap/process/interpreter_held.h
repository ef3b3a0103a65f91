/* Whether the calling thread holds the interpreter lock, and whether there is one. */
#ifndef ORTMMAP_INTERPRETER_HELD_H
#define ORTMMAP_INTERPRETER_HELD_H

#include <Python.h>

static inline PyThreadState *ortmmap_current_thread_state(void) {
#if PY_VERSION_HEX >= 0x030D0000
  return PyThreadState_GetUnchecked();
#else
  return _PyThreadState_UncheckedGet();
#endif
}

/* PyGILState_Check would not do: it returns 1 in every thread once a sub-interpreter existed. */
static inline int ortmmap_interpreter_lock_held(void) {
  PyThreadState *own = PyGILState_GetThisThreadState();
  return own != NULL && own == ortmmap_current_thread_state();
}

/* A thread that "holds the lock" of a free-threaded interpreter may call it, beside others. */
#ifdef Py_GIL_DISABLED
enum { ORTMMAP_FREE_THREADED = 1 };
#else
enum { ORTMMAP_FREE_THREADED = 0 };
#endif

#endif /* ORTMMAP_INTERPRETER_HELD_H */
