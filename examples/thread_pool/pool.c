/* A C extension that runs a model on threads of its own, which never take the interpreter lock.
 *
 *   pool = Pool(session, threads)
 *   pool.run(inputs, outputs)    # C-contiguous float32 arrays with the same number of rows
 *
 * A row is an input of the model with a batch of 1. Rows are read and written in place. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <ortmmap/capi.h>

#include <pthread.h>
#include <string.h>

enum { MOST_THREADS = 64, MOST_DIMENSIONS = 8 };

typedef struct Tensor {
  int64_t shape[MOST_DIMENSIONS];
  size_t rank, size; /* bytes of one row */
} Tensor;

typedef struct Pool {
  PyObject_HEAD ortmmap_session *session;
  Tensor input, output;
  pthread_t threads[MOST_THREADS];
  int thread_count;
  pthread_mutex_t lock; /* guards everything below */
  pthread_cond_t work, done;
  const char *inputs;
  char *outputs;
  size_t rows, next, finished;
  int stopping;
  ortmmap_error error; /* of the last row that failed */
} Pool;

static const ortmmap_capi *capi;

/* --- the threads, without Python --- */

static int run_row(Pool *pool, size_t row, ortmmap_error *error) {
  const Tensor *in = &pool->input, *out = &pool->output;
  ortmmap_input input = {
      NULL, pool->inputs + row * in->size, in->size, in->shape, in->rank, ORTMMAP_FLOAT, 0};
  ortmmap_output output = {
      NULL, pool->outputs + row * out->size, out->size, out->shape, out->rank, ORTMMAP_FLOAT, 0,
      NULL};
  return capi->run(pool->session, &input, 1, &output, 1, NULL, error);
}

static void *work(void *argument) {
  Pool *pool = argument;
  ortmmap_error error;
  pthread_mutex_lock(&pool->lock);
  while (!pool->stopping) {
    if (pool->next == pool->rows) {
      pthread_cond_wait(&pool->work, &pool->lock);
      continue;
    }
    size_t row = pool->next++;
    pthread_mutex_unlock(&pool->lock);
    int code = run_row(pool, row, &error);
    pthread_mutex_lock(&pool->lock);
    if (code != ORTMMAP_OK)
      pool->error = error;
    if (++pool->finished == pool->rows)
      pthread_cond_signal(&pool->done);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

static void compute(Pool *pool, const void *inputs, void *outputs, size_t rows) {
  pthread_mutex_lock(&pool->lock);
  memset(&pool->error, 0, sizeof(pool->error));
  pool->inputs = inputs;
  pool->outputs = outputs;
  pool->next = pool->finished = 0;
  pool->rows = rows;
  pthread_cond_broadcast(&pool->work);
  while (pool->finished < pool->rows)
    pthread_cond_wait(&pool->done, &pool->lock);
  pool->next = pool->rows = 0;
  pthread_mutex_unlock(&pool->lock);
}

/* --- the Python type --- */

static int describe(const ortmmap_value_info *info, Tensor *tensor) {
  if (info->element_type != ORTMMAP_FLOAT || info->rank > MOST_DIMENSIONS) {
    PyErr_Format(PyExc_ValueError, "%s is %s, expected tensor(float) of rank %d or less",
                 info->name, info->type, MOST_DIMENSIONS);
    return -1;
  }
  tensor->rank = info->rank;
  tensor->size = sizeof(float);
  for (size_t i = 0; i < info->rank; i++) {
    tensor->shape[i] = info->shape[i] < 0 ? 1 : info->shape[i];
    tensor->size *= (size_t)tensor->shape[i];
  }
  return 0;
}

static int Pool_init(Pool *pool, PyObject *args, PyObject *kwargs) {
  static char *names[] = {"session", "threads", NULL};
  PyObject *session;
  int threads;
  ortmmap_error error;
  if (pool->session != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the pool was made already");
    return -1;
  }
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oi", names, &session, &threads))
    return -1;
  if (threads < 1 || threads > MOST_THREADS) {
    PyErr_Format(PyExc_ValueError, "threads: expected 1 to %d, found %d", MOST_THREADS, threads);
    return -1;
  }
  if (capi->session_from_python(session, &pool->session, &error) != ORTMMAP_OK) {
    PyErr_SetString(PyExc_ValueError, error.message);
    return -1;
  }
  if (describe(capi->session_input(pool->session, 0), &pool->input) < 0 ||
      describe(capi->session_output(pool->session, 0), &pool->output) < 0)
    return -1;
  for (; pool->thread_count < threads; pool->thread_count++) {
    if (pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) != 0) {
      PyErr_SetString(PyExc_RuntimeError, "cannot make a thread");
      return -1;
    }
  }
  return 0;
}

static PyObject *Pool_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
  (void)args, (void)kwargs;
  Pool *pool = (Pool *)type->tp_alloc(type, 0);
  if (pool == NULL)
    return NULL;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->work, NULL);
  pthread_cond_init(&pool->done, NULL);
  return (PyObject *)pool;
}

/* Ends the threads, then releases the session that they run. */
static void Pool_dealloc(Pool *pool) {
  pthread_mutex_lock(&pool->lock);
  pool->stopping = 1;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->lock);
  Py_BEGIN_ALLOW_THREADS;
  for (int i = 0; i < pool->thread_count; i++)
    pthread_join(pool->threads[i], NULL);
  Py_END_ALLOW_THREADS;
  capi->session_release(pool->session);
  pthread_cond_destroy(&pool->done);
  pthread_cond_destroy(&pool->work);
  pthread_mutex_destroy(&pool->lock);
  Py_TYPE(pool)->tp_free((PyObject *)pool);
}

static PyObject *Pool_run(Pool *pool, PyObject *args) {
  Py_buffer inputs, outputs;
  if (!PyArg_ParseTuple(args, "y*w*", &inputs, &outputs))
    return NULL;
  size_t rows = pool->input.size ? (size_t)inputs.len / pool->input.size : 0;
  int fits = rows > 0 && (size_t)inputs.len == rows * pool->input.size &&
             (size_t)outputs.len == rows * pool->output.size;
  if (fits) {
    Py_BEGIN_ALLOW_THREADS;
    compute(pool, inputs.buf, outputs.buf, rows);
    Py_END_ALLOW_THREADS;
  }
  PyBuffer_Release(&inputs);
  PyBuffer_Release(&outputs);
  if (!fits)
    return PyErr_Format(PyExc_ValueError, "expected rows of %zu bytes in, and as many of %zu out",
                        pool->input.size, pool->output.size);
  if (pool->error.code != ORTMMAP_OK)
    return PyErr_Format(PyExc_RuntimeError, "%s", pool->error.message);
  Py_RETURN_NONE;
}

static PyMethodDef Pool_methods[] = {
    {"run", (PyCFunction)Pool_run, METH_VARARGS, "Compute rows of outputs from rows of inputs."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject Pool_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pool.Pool",
    .tp_doc = "Threads that run a session. One thread may call run() at a time.",
    .tp_basicsize = sizeof(Pool),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = Pool_new,
    .tp_init = (initproc)Pool_init,
    .tp_dealloc = (destructor)Pool_dealloc,
    .tp_methods = Pool_methods,
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "pool", .m_size = -1};

PyMODINIT_FUNC PyInit_pool(void) {
  capi = ortmmap_capi_import();
  if (capi == NULL || PyType_Ready(&Pool_type) < 0)
    return NULL;
  PyObject *made = PyModule_Create(&module);
  if (made != NULL && PyModule_AddObjectRef(made, "Pool", (PyObject *)&Pool_type) < 0)
    Py_CLEAR(made);
  return made;
}
