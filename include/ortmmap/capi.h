/* ortmmap for C, C++, and other languages that call C: sessions over mapped model files, which run
 * without Python's interpreter lock.
 *
 * One table of functions is the whole interface, so nothing is linked against. Get its address
 *   - in a C extension: by ortmmap_capi_import(), below, with Python.h included before;
 *   - in Python, for cffi, ctypes or another language's library: by ortmmap.get_capi(), an int;
 *   - elsewhere: by PyCapsule_Import("ortmmap._C_API", 0).
 * The table lives as long as the process.
 *
 * VERSIONS. Within a major version, everything here only grows, at marked ends: functions are
 * added at the end of struct ortmmap_capi (which raises the minor version), members at the end of
 * struct ortmmap_session_options and struct ortmmap_value_info, and error codes, kinds and element
 * types get new numbers. A program that is compiled with this header works with every ortmmap of
 * the same major and the same or a later minor version; ortmmap_capi_usable() checks that. Treat
 * an unknown code as a failure.
 *
 * THREADS. Any thread may call any function, also a thread that Python does not know, and several
 * may use one session at once. Functions that need the interpreter lock take it themselves, and
 * their comments say so; the caller may hold it or not. Running neither takes the lock nor gives
 * up the caller's: release it around a run (Py_BEGIN_ALLOW_THREADS), or other Python threads wait
 * for the model.
 *
 * ERRORS. A function that can fail returns a code, and writes the code and a text into the
 * caller's struct ortmmap_error unless that is NULL. A result that it returns by pointer is then
 * NULL or unchanged. Invalid arguments that can be detected are errors; pointers other than NULL,
 * counts and sizes must be valid.
 *
 * LIFETIMES. A struct ortmmap_session is counted: the caller that opens or retains one releases
 * it. It keeps the model mapped and ONNX Runtime's session alive, and while there is one,
 * Session.close() in Python raises RuntimeError. After Session.set_providers() it stays with the
 * former session, which close() does not count. A "borrowed" result lives as long as the handle.
 * Once the interpreter ends (after its atexit functions), functions that need the interpreter lock
 * fail with ORTMMAP_INTERPRETER_ENDED, and releasing does nothing: the memory goes with the
 * process. Running still works then.
 *
 * FORKS. In a forked child, handles of the parent work if their session has no threads, the forking
 * thread held the interpreter lock (without one: if Python forked), and no other thread was inside
 * ONNX Runtime. Otherwise runs fail with ORTMMAP_FORKED. Releasing handles is allowed; their memory
 * goes with the process. A Python session opens itself again in the child: session_from_python()
 * makes a handle of that one.
 */
#ifndef ORTMMAP_CAPI_H
#define ORTMMAP_CAPI_H

#include <stddef.h>
#include <stdint.h>

#define ORTMMAP_CAPI_VERSION_MAJOR 1
#define ORTMMAP_CAPI_VERSION_MINOR 0
#define ORTMMAP_CAPI_CAPSULE "ortmmap._C_API"

#ifdef __cplusplus
extern "C" {
#endif

/* declarations: no preprocessor from here on, so that cffi can read them as they are */

enum ortmmap_code {
  ORTMMAP_OK = 0,
  ORTMMAP_FAILED = 1,            /* any error without a code of its own */
  ORTMMAP_INVALID_ARGUMENT = 2,  /* a name, type, shape or size; or an unexpected NULL */
  ORTMMAP_NO_SUCH_FILE = 3,      /* the model file does not exist */
  ORTMMAP_FILE_ERROR = 4,        /* it cannot be mapped: a directory, no permission, ... */
  ORTMMAP_OUT_OF_MEMORY = 5,     /* in ortmmap; in ONNX Runtime it is ORTMMAP_ORT_ERROR */
  ORTMMAP_NOT_SUPPORTED = 6,     /* strings, sequences, maps: use ONNX Runtime's own C API */
  ORTMMAP_ORT_ERROR = 7,         /* ONNX Runtime failed; `ort_code` is its OrtErrorCode */
  ORTMMAP_CLOSED = 8,            /* the Python session is closed */
  ORTMMAP_FORKED = 9,            /* the handle was made before a fork that it does not survive */
  ORTMMAP_MODEL_CHANGED = 10,    /* the model file was truncated while it was in use */
  ORTMMAP_BUSY = 11,             /* another thread is running the same prepared run */
  ORTMMAP_INTERPRETER_ENDED = 12 /* Python is finalizing, or has */
};

/* Kinds of inputs and outputs: the numbers of ONNX Runtime's ONNXType. */
enum ortmmap_kind {
  ORTMMAP_KIND_UNKNOWN = 0,
  ORTMMAP_KIND_TENSOR = 1,
  ORTMMAP_KIND_SEQUENCE = 2,
  ORTMMAP_KIND_MAP = 3,
  ORTMMAP_KIND_OPAQUE = 4,
  ORTMMAP_KIND_SPARSE_TENSOR = 5,
  ORTMMAP_KIND_OPTIONAL = 6
};

/* Element types: the numbers of ONNX Runtime's ONNXTensorElementDataType. Elements smaller than a
 * byte are packed, the first in the lowest bits. */
enum ortmmap_element_type {
  ORTMMAP_UNDEFINED = 0,
  ORTMMAP_FLOAT = 1,
  ORTMMAP_UINT8 = 2,
  ORTMMAP_INT8 = 3,
  ORTMMAP_UINT16 = 4,
  ORTMMAP_INT16 = 5,
  ORTMMAP_INT32 = 6,
  ORTMMAP_INT64 = 7,
  ORTMMAP_STRING = 8,
  ORTMMAP_BOOL = 9,
  ORTMMAP_FLOAT16 = 10,
  ORTMMAP_DOUBLE = 11,
  ORTMMAP_UINT32 = 12,
  ORTMMAP_UINT64 = 13,
  ORTMMAP_COMPLEX64 = 14,
  ORTMMAP_COMPLEX128 = 15,
  ORTMMAP_BFLOAT16 = 16,
  ORTMMAP_FLOAT8E4M3FN = 17,
  ORTMMAP_FLOAT8E4M3FNUZ = 18,
  ORTMMAP_FLOAT8E5M2 = 19,
  ORTMMAP_FLOAT8E5M2FNUZ = 20,
  ORTMMAP_UINT4 = 21,
  ORTMMAP_INT4 = 22,
  ORTMMAP_FLOAT4E2M1 = 23,
  ORTMMAP_UINT2 = 24,
  ORTMMAP_INT2 = 25,
  ORTMMAP_FLOAT8E8M0 = 26
};

enum ortmmap_cache {
  ORTMMAP_CACHE_DEFAULT = 0, /* as cache=None in Python: by the model's size, or ORTMMAP_CACHE */
  ORTMMAP_CACHE_ON = 1,
  ORTMMAP_CACHE_OFF = 2
};

enum ortmmap_optimization {
  ORTMMAP_OPTIMIZE_DEFAULT = 0, /* all */
  ORTMMAP_OPTIMIZE_NONE = 1,
  ORTMMAP_OPTIMIZE_BASIC = 2,
  ORTMMAP_OPTIMIZE_EXTENDED = 3,
  ORTMMAP_OPTIMIZE_LAYOUT = 4,
  ORTMMAP_OPTIMIZE_ALL = 5
};

enum ortmmap_log {
  ORTMMAP_LOG_DEFAULT = 0, /* warnings */
  ORTMMAP_LOG_VERBOSE = 1,
  ORTMMAP_LOG_INFO = 2,
  ORTMMAP_LOG_WARNING = 3,
  ORTMMAP_LOG_ERROR = 4,
  ORTMMAP_LOG_FATAL = 5
};

/* A counted handle of a session. Immutable; any number of threads may use it. */
typedef struct ortmmap_session ortmmap_session;

/* Inputs and outputs bound once, for many runs. One thread may run it at a time. */
typedef struct ortmmap_prepared ortmmap_prepared;

/* ONNX Runtime's own; its header, or ort_abi.h, defines them. */
struct OrtApi;
struct OrtSession;
struct OrtRunOptions;

/* An error, in memory of the caller that no function keeps. */
typedef struct ortmmap_error {
  int32_t code;       /* enum ortmmap_code; also written on success */
  int32_t ort_code;   /* ONNX Runtime's OrtErrorCode; 0 if the error is another's */
  char message[2040]; /* UTF-8, zero-terminated, cut if it is longer; "" on success */
} ortmmap_error;

/* How to open a session. Members that are 0, but for `struct_size`, stand for the defaults. The
 * memory that they point to is needed during the call only. */
typedef struct ortmmap_session_options {
  size_t struct_size;             /* sizeof(ortmmap_session_options) in the caller */
  int32_t intra_op_num_threads;   /* threads within a node; 0: ONNX Runtime chooses */
  int32_t inter_op_num_threads;   /* threads across nodes, if `parallel`; 0: it chooses */
  int32_t parallel;               /* not 0: run independent nodes at the same time */
  int32_t optimization;           /* enum ortmmap_optimization */
  int32_t log_severity;           /* enum ortmmap_log */
  int32_t cache;                  /* enum ortmmap_cache */
  const char *cache_folder;       /* with ORTMMAP_CACHE_ON; NULL: the default folder */
  int32_t prefault;               /* not 0: read the whole file in while opening */
  int32_t lock;                   /* not 0: lock it in physical memory */
  const char *const *config_keys; /* entries of onnxruntime_session_options_config_keys.h */
  const char *const *config_values;
  size_t config_count;
  const char *const *providers; /* execution providers, most wanted first; NULL: the CPU's */
  size_t provider_count;
  /* A borrowed PyObject *, an ortmmap.SessionOptions (or onnxruntime's) to start from, for options
   * that have no member here; NULL: none. It is not changed. */
  void *python_options;
} ortmmap_session_options;

/* An input or an output of the model; borrowed, with everything that it points to. */
typedef struct ortmmap_value_info {
  const char *name;
  const char *type;     /* as onnxruntime spells it: "tensor(float)", "seq(int64)" */
  int32_t kind;         /* enum ortmmap_kind */
  int32_t element_type; /* of a tensor, enum ortmmap_element_type; else ORTMMAP_UNDEFINED */
  /* Of a tensor; 0 for a scalar, and if the model declares no shape. */
  size_t rank;
  const int64_t *shape;       /* `rank` sizes; -1 stands for one that is not fixed */
  const char *const *symbols; /* `rank` names of sizes; NULL stands for one without a name */
} ortmmap_value_info;

/* A tensor for the model to read. */
typedef struct ortmmap_input {
  const char *name;     /* NULL: the model's input at this position */
  const void *data;     /* C-contiguous; may be NULL if there are no elements */
  size_t size;          /* bytes at `data`: as many as the shape needs, or more */
  const int64_t *shape; /* `rank` sizes; may be NULL for a scalar */
  size_t rank;
  int32_t element_type; /* enum ortmmap_element_type: the model's */
  int32_t reserved;     /* 0 */
} ortmmap_input;

/* A tensor for the model to write. If `data` is NULL, ONNX Runtime allocates it, and the run sets
 * every member below `name`. Otherwise the caller sets them all, to the shape that the model
 * computes, and the run changes none. */
typedef struct ortmmap_output {
  const char *name; /* NULL: the model's output at this position */
  void *data;
  size_t size;          /* bytes at `data` */
  const int64_t *shape; /* `rank` sizes */
  size_t rank;
  int32_t element_type; /* enum ortmmap_element_type */
  int32_t process;      /* set by the run: the process that made `owner` */
  void *owner;          /* NULL before the run; release_outputs() releases it */
} ortmmap_output;

typedef struct ortmmap_capi {
  uint32_t version_major;
  uint32_t version_minor;
  size_t size; /* of the table in bytes; functions beyond it do not exist */

  /* --- opening: these take the interpreter lock --- */

  /* Opens the model file at `path` (the file system's encoding; UTF-8 on Windows). `options` may
   * be NULL. The caller releases the session. */
  int (*session_open)(const char *path, const ortmmap_session_options *options,
                      ortmmap_session **session, ortmmap_error *error);

  /* Opens the model in `size` bytes at `data`, which must stay unchanged until `release(context)`
   * is called: once, when no session uses them any more, or when the call fails. It is called with
   * the interpreter lock held, on any thread, and must not call this table. If it is NULL, the
   * bytes must stay for ever. Bytes that are in use when the interpreter ends are not released. */
  int (*session_open_memory)(const void *data, size_t size, void (*release)(void *context),
                             void *context, const ortmmap_session_options *options,
                             ortmmap_session **session, ortmmap_error *error);

  /* Makes a handle of a borrowed PyObject *, an ortmmap.Session. The caller releases the handle,
   * which may outlive the object. */
  int (*session_from_python)(void *object, ortmmap_session **session, ortmmap_error *error);

  /* Returns a new reference to the ortmmap.Session that a handle was made of. */
  int (*session_to_python)(ortmmap_session *session, void **object, ortmmap_error *error);

  /* --- counting --- */

  /* Adds one to the count. NULL is allowed. */
  void (*session_retain)(ortmmap_session *session);

  /* Takes one from the count; the last release takes the interpreter lock and drops the session.
   * It must come after the caller's own runs, and not on a thread of ONNX Runtime. NULL is
   * allowed. */
  void (*session_release)(ortmmap_session *session);

  /* --- inputs, outputs, mapping: no lock; results are borrowed --- */

  size_t (*session_input_count)(const ortmmap_session *session);
  size_t (*session_output_count)(const ortmmap_session *session);
  /* NULL if `index` is too large. */
  const ortmmap_value_info *(*session_input)(const ortmmap_session *session, size_t index);
  const ortmmap_value_info *(*session_output)(const ortmmap_session *session, size_t index);

  /* ONNX Runtime's session, and its table of functions of version 23, for anything that this table
   * lacks. Call session_check() before using them. Never release the session. */
  struct OrtSession *(*session_ort)(const ortmmap_session *session);
  const struct OrtApi *(*session_ort_api)(const ortmmap_session *session);

  /* The mapped file, read-only, and its size in bytes; with the cache, the optimized copy. NULL and
   * 0 if no file is mapped. */
  const void *(*session_mapping)(const ortmmap_session *session, size_t *size);

  /* Checks whether the session may be run now. */
  int (*session_check)(const ortmmap_session *session, ortmmap_error *error);

  /* --- running: no lock --- */

  /* Computes outputs, each into the caller's memory or into ONNX Runtime's. Inputs are given in any
   * order, by name or position: all that the model requires, and overridable initializers, by name
   * only, as wanted. Inputs and outputs must not overlap. `options` may be NULL. If it fails, no
   * output needs release_outputs(), and the contents of those in the caller's memory are undefined.
   */
  int (*run)(ortmmap_session *session, const ortmmap_input *inputs, size_t input_count,
             ortmmap_output *outputs, size_t output_count, const struct OrtRunOptions *options,
             ortmmap_error *error);

  /* Frees the outputs that ONNX Runtime allocated, and resets their `data` to NULL; leaves others
   * as they are. Outputs may outlive the session, and be released once, by any thread. */
  void (*release_outputs)(ortmmap_output *outputs, size_t count);

  /* Binds inputs and outputs, all in the caller's memory, for many runs. That memory must stay
   * until prepared_release(); the structs need not. Retains the session. */
  int (*prepare)(ortmmap_session *session, const ortmmap_input *inputs, size_t input_count,
                 const ortmmap_output *outputs, size_t output_count, ortmmap_prepared **prepared,
                 ortmmap_error *error);

  /* Runs with the current contents of the bound memory. `options` may be NULL. */
  int (*prepared_run)(ortmmap_prepared *prepared, const struct OrtRunOptions *options,
                      ortmmap_error *error);

  /* Releases the session too, and may take the interpreter lock for that. It must not come during
   * a run of `prepared`. NULL is allowed. */
  void (*prepared_release)(ortmmap_prepared *prepared);

  /* --- later minor versions add functions here --- */
} ortmmap_capi;

/* end of declarations */

/* Whether a program that is compiled with this header may use the table. */
static inline int ortmmap_capi_usable(const ortmmap_capi *table) {
  return table != NULL && table->version_major == ORTMMAP_CAPI_VERSION_MAJOR &&
         table->size >= sizeof(ortmmap_capi); /* an earlier minor version's is smaller */
}

#ifdef PY_VERSION_HEX
/* Imports ortmmap and returns its table. If that fails, or the table's version does not fit, sets
 * an exception and returns NULL. The caller holds the interpreter lock. */
static inline const ortmmap_capi *ortmmap_capi_import(void) {
  const ortmmap_capi *table = (const ortmmap_capi *)PyCapsule_Import(ORTMMAP_CAPI_CAPSULE, 0);
  if (table == NULL || ortmmap_capi_usable(table))
    return table;
  PyErr_Format(PyExc_ImportError,
               "ortmmap's C API has version %u.%u; this module was compiled for %d.%d or a later "
               "minor version",
               (unsigned)table->version_major, (unsigned)table->version_minor,
               ORTMMAP_CAPI_VERSION_MAJOR, ORTMMAP_CAPI_VERSION_MINOR);
  return NULL;
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* ORTMMAP_CAPI_H */
