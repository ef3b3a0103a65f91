/* Threads that Python does not know, for tests/embed/test_lifetime.py. */
#include <ortmmap/capi.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH_IN = 8, WIDTH_OUT = 4, MOST_THREADS = 16 };

static const int64_t shape_in[2] = {1, WIDTH_IN}, shape_out[2] = {1, WIDTH_OUT};

typedef struct Task {
  const ortmmap_capi *table;
  const char *path;
  ortmmap_session *shared;
  ortmmap_prepared *prepared;
  const float *expected;
  int rounds;
  long ran, busy, failed;
} Task;

static long failure(const char *what, const ortmmap_error *error) {
  fprintf(stderr, "%s: %d: %s\n", what, (int)error->code, error->message);
  return 1;
}

/* Runs a session in every way, and returns the number of failures. */
static long run(const Task *task, ortmmap_session *session) {
  const ortmmap_capi *table = task->table;
  float x[WIDTH_IN] = {1, 1, 1, 1, 1, 1, 1, 1}, y[WIDTH_OUT] = {0};
  ortmmap_input input = {"x", x, sizeof(x), shape_in, 2, ORTMMAP_FLOAT, 0};
  ortmmap_output own = {"y", y, sizeof(y), shape_out, 2, ORTMMAP_FLOAT, 0, NULL};
  ortmmap_output theirs = {"y", NULL, 0, NULL, 0, 0, 0, NULL};
  ortmmap_prepared *prepared;
  ortmmap_error error;
  long failures = 0;
  if (table->run(session, &input, 1, &theirs, 1, NULL, &error) != ORTMMAP_OK)
    return failure("run", &error);
  failures += memcmp(theirs.data, task->expected, sizeof(y)) != 0;
  table->release_outputs(&theirs, 1);
  if (table->run(session, &input, 1, &own, 1, NULL, &error) != ORTMMAP_OK)
    return failure("run into", &error);
  failures += memcmp(y, task->expected, sizeof(y)) != 0;
  if (table->prepare(session, &input, 1, &own, 1, &prepared, &error) != ORTMMAP_OK)
    return failure("prepare", &error);
  memset(y, 0, sizeof(y));
  if (table->prepared_run(prepared, NULL, &error) != ORTMMAP_OK)
    failures += failure("prepared_run", &error);
  failures += memcmp(y, task->expected, sizeof(y)) != 0;
  table->prepared_release(prepared);
  return failures;
}

static void *churn_one(void *argument) {
  Task *task = argument;
  ortmmap_session_options options = {.struct_size = sizeof(options), .intra_op_num_threads = 1};
  ortmmap_session *own;
  ortmmap_error error;
  for (int round = 0; round < task->rounds; round++) {
    task->table->session_retain(task->shared);
    for (int i = 0; i < 20; i++)
      task->failed += run(task, task->shared);
    task->table->session_release(task->shared);
    if (task->table->session_open(task->path, &options, &own, &error) != ORTMMAP_OK) {
      task->failed += failure("session_open", &error);
      continue;
    }
    task->failed += run(task, own);
    task->table->session_release(own);
  }
  return NULL;
}

static long on_threads(void *(*function)(void *), const Task *task, int count, Task *tasks) {
  pthread_t threads[MOST_THREADS];
  long failed = 0;
  for (int i = 0; i < count; i++) {
    tasks[i] = *task;
    pthread_create(&threads[i], NULL, function, &tasks[i]);
  }
  for (int i = 0; i < count; i++) {
    pthread_join(threads[i], NULL);
    failed += tasks[i].failed;
  }
  return failed;
}

int churn(const ortmmap_capi *table, const char *path, ortmmap_session *shared,
          const float *expected, int threads, int rounds) {
  Task task = {
      .table = table, .path = path, .shared = shared, .expected = expected, .rounds = rounds};
  Task tasks[MOST_THREADS];
  return (int)on_threads(churn_one, &task, threads, tasks);
}

static void *release_one(void *argument) {
  Task *task = argument;
  task->table->session_release(task->shared);
  return NULL;
}

void release_on_thread(const ortmmap_capi *table, ortmmap_session *session) {
  Task task = {.table = table, .shared = session};
  Task tasks[MOST_THREADS];
  on_threads(release_one, &task, 1, tasks);
}

static void *contend_one(void *argument) {
  Task *task = argument;
  ortmmap_error error;
  for (int round = 0; round < task->rounds; round++) {
    int code = task->table->prepared_run(task->prepared, NULL, &error);
    task->ran += code == ORTMMAP_OK;
    task->busy += code == ORTMMAP_BUSY;
    if (code != ORTMMAP_OK && code != ORTMMAP_BUSY)
      task->failed += failure("prepared_run", &error);
  }
  return NULL;
}

void contend(const ortmmap_capi *table, ortmmap_prepared *prepared, int threads, int rounds,
             long *counts) {
  Task task = {.table = table, .prepared = prepared, .rounds = rounds};
  Task tasks[MOST_THREADS];
  on_threads(contend_one, &task, threads, tasks);
  for (int i = 0; i < threads; i++) {
    counts[0] += tasks[i].ran;
    counts[1] += tasks[i].busy;
    counts[2] += tasks[i].failed;
  }
}

/* --- the end of the interpreter --- */

static Task endless;
static pthread_t endless_threads[MOST_THREADS];
static int endless_count;

static void *churn_until_the_end(void *argument) {
  ortmmap_session *session;
  ortmmap_error error;
  (void)argument;
  for (;;) {
    int code = endless.table->session_open(endless.path, NULL, &session, &error);
    if (code == ORTMMAP_INTERPRETER_ENDED)
      return NULL;
    if (code != ORTMMAP_OK) {
      __atomic_add_fetch(&endless.failed, failure("session_open", &error), __ATOMIC_SEQ_CST);
      return NULL;
    }
    endless.table->session_release(session);
  }
}

/* Called at the end of the process, after Python has finalized: every thread must have ended. */
static void report(void) {
  ortmmap_session *session;
  ortmmap_error error;
  for (int i = 0; i < endless_count; i++)
    pthread_join(endless_threads[i], NULL);
  int code = endless.table->session_open(endless.path, NULL, &session, &error);
  printf("after the end: %s, %ld failures\n",
         code == ORTMMAP_INTERPRETER_ENDED && session == NULL ? "INTERPRETER_ENDED" : "?",
         endless.failed);
}

void churn_for_ever(const ortmmap_capi *table, const char *path, int threads) {
  endless.table = table;
  endless.path = strdup(path);
  atexit(report);
  for (; endless_count < threads; endless_count++)
    pthread_create(&endless_threads[endless_count], NULL, churn_until_the_end, NULL);
}
