/* The interpreter lock, acquired from any thread until the interpreter finalizes.
 *
 * Python ends or hangs a thread that waits for the lock while it finalizes. So a thread that does
 * not hold the lock is counted before it waits, and refused once finalization has begun; an atexit
 * function waits for the counted threads.
 *
 * One translation unit of a process includes this header, which defines the process's counters. */
#ifndef ORTMMAP_INTERPRETER_LOCK_H
#define ORTMMAP_INTERPRETER_LOCK_H

#include <Python.h>

#include "process/atomic_count.h"
#include "process/interpreter_held.h"

#ifndef _WIN32
#include <pthread.h>
#endif

typedef struct ortmmap_interpreter_lock {
  PyGILState_STATE state;
  int counted;
  PyObject *type, *value, *traceback; /* the exception that the calling thread has set */
} ortmmap_interpreter_lock;

/* Counted threads: they wait for the lock or hold it. */
static ortmmap_count ortmmap_interpreter_users;
static ortmmap_count ortmmap_interpreter_ended;

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

/* Acquires the lock, also if the thread holds it already. Returns 0 once finalization has begun. */
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

/* Refuses threads from now on, and returns how many counted ones are left. */
static long ortmmap_interpreter_end(void) {
  ortmmap_count_set(&ortmmap_interpreter_ended, 1);
  return ortmmap_count_get(&ortmmap_interpreter_users);
}

/* Runs in the child of a fork, where the counted threads do not exist. */
static void ortmmap_interpreter_forget_users(void) {
  ortmmap_count_set(&ortmmap_interpreter_users, 0);
}

/* Called once in a process. Returns 0 or an errno. */
static int ortmmap_interpreter_watch_forks(void) {
#ifdef _WIN32
  (void)ortmmap_interpreter_forget_users;
  return 0;
#else
  return pthread_atfork(NULL, NULL, ortmmap_interpreter_forget_users);
#endif
}

#endif /* ORTMMAP_INTERPRETER_LOCK_H */
