/* The interpreter lock, taken from any thread for as long as there is an interpreter.
 *
 * A thread that waits for the lock while Python finalizes is ended or hung by it. So whoever does
 * not hold the lock is counted before it waits, and turned away once the end has begun; the end
 * (an atexit function) waits for those that were counted. Not for embedders: one module of a
 * process has these two numbers. */
#ifndef ORTMMAP_INTERPRETER_LOCK_H
#define ORTMMAP_INTERPRETER_LOCK_H

#include <Python.h>

#include "process/atomic_count.h"

#ifndef _WIN32
#include <pthread.h>
#endif

typedef struct ortmmap_interpreter_lock {
  PyGILState_STATE state;
  int counted;
  PyObject *type, *value, *traceback; /* an exception that the caller has set meanwhile */
} ortmmap_interpreter_lock;

static ortmmap_count ortmmap_interpreter_users; /* threads that wait for the lock, or hold it */
static ortmmap_count ortmmap_interpreter_ended;

/* Not PyGILState_Check, which answers "yes" to everyone once there was a sub-interpreter. */
static int ortmmap_interpreter_lock_held(void) {
  PyThreadState *own = PyGILState_GetThisThreadState();
  return own != NULL && own == _PyThreadState_UncheckedGet();
}

#if PY_VERSION_HEX >= 0x030c0000
static void ortmmap_exception_save(ortmmap_interpreter_lock *lock) {
  lock->value = PyErr_GetRaisedException();
}

static void ortmmap_exception_restore(ortmmap_interpreter_lock *lock) {
  PyErr_SetRaisedException(lock->value);
}
#else
static void ortmmap_exception_save(ortmmap_interpreter_lock *lock) {
  PyErr_Fetch(&lock->type, &lock->value, &lock->traceback);
}

static void ortmmap_exception_restore(ortmmap_interpreter_lock *lock) {
  PyErr_Restore(lock->type, lock->value, lock->traceback);
}
#endif

/* Takes the lock, whether the caller has it or not; false once the interpreter has ended. */
static int ortmmap_interpreter_lock_take(ortmmap_interpreter_lock *lock) {
  lock->counted = !ortmmap_interpreter_lock_held();
  if (lock->counted) {
    ortmmap_count_add(&ortmmap_interpreter_users, 1);
    if (ortmmap_count_get(&ortmmap_interpreter_ended)) {
      ortmmap_count_add(&ortmmap_interpreter_users, -1);
      return 0;
    }
  }
  lock->state = PyGILState_Ensure();
  ortmmap_exception_save(lock);
  return 1;
}

static void ortmmap_interpreter_lock_give(ortmmap_interpreter_lock *lock) {
  ortmmap_exception_restore(lock);
  PyGILState_Release(lock->state);
  if (lock->counted)
    ortmmap_count_add(&ortmmap_interpreter_users, -1);
}

/* Turns away whoever comes from now on, and says how many are still to be waited for. */
static long ortmmap_interpreter_end(void) {
  ortmmap_count_set(&ortmmap_interpreter_ended, 1);
  return ortmmap_count_get(&ortmmap_interpreter_users);
}

/* In the child of a fork, which has none of its parent's other threads. */
static void ortmmap_interpreter_forget_users(void) {
  ortmmap_count_set(&ortmmap_interpreter_users, 0);
}

/* Once in a process; returns 0 or an errno. */
static int ortmmap_interpreter_watch_forks(void) {
#ifdef _WIN32
  (void)ortmmap_interpreter_forget_users;
  return 0;
#else
  return pthread_atfork(NULL, NULL, ortmmap_interpreter_forget_users);
#endif
}

#endif /* ORTMMAP_INTERPRETER_LOCK_H */
