/* ortmmap for C, C++, and whatever can call C: sessions over mapped model files, run without the
 * interpreter lock.
 *
 * Everything is reached through one table of functions, so nothing is linked against. Get it
 *   - in a C extension: ortmmap_capi_import(), below, once Python.h is included;
 *   - in Python, for cffi, ctypes, or a library of another language: ortmmap.get_capi() gives its
 *     address as an int;
 *   - elsewhere: PyCapsule_Import("ortmmap._C_API", 0).
 * The table lives as long as the process.
 *
 * VERSIONS. Within one major version nothing here changes but by growing at a marked end: functions
 * are added at the end of struct ortmmap_capi (then the minor version grows), members at the end of
 * struct ortmmap_session_options and struct ortmmap_value_info, and error codes, kinds and element
 * types get new numbers. So a program that is compiled with this header works with every ortmmap
 * of the same major version and of this or a later minor version; ortmmap_capi_usable() says
 * whether a table is one. Treat an unknown code as a failure.
 *
 * THREADS. Every function may be called from any thread, one that Python does not know included,
 * and by several at once with one session. Those that need the interpreter lock take it themselves
 * (they say so), whether the caller has it or not. Running takes no lock, and does not give up the
 * caller's: release the interpreter lock around it (Py_BEGIN_ALLOW_THREADS), or other Python
 * threads wait for the model.
 *
 * ERRORS. A function that can fail returns a code, ORTMMAP_OK or another, and writes code and text
 * into the caller's struct ortmmap_error, unless that is NULL. What it gives back by pointer is
 * then NULL or unchanged. Bad arguments that can be told are errors. Pointers that are not NULL,
 * counts and sizes must be true.
 *
 * LIFETIMES. A struct ortmmap_session is counted: who opens or retains it releases it. It keeps
 * the model mapped and ONNX Runtime's session alive, and while there is one, Session.close() in
 * Python raises RuntimeError. Session.set_providers() leaves it with the session of before, which
 * close() then does not count. What a function gives out "borrowed" lives as long as the handle.
 * Once the interpreter ends (after its atexit functions), what needs the interpreter lock fails
 * with ORTMMAP_INTERPRETER_ENDED, and releasing does nothing: the memory goes with the process.
 * Running still works then.
 *
 * FORKS. In the child of a fork, runs by handles of its parent fail with ORTMMAP_FORKED. Releasing
 * them is allowed, and what they held goes with the process. A Python session opens itself again
 * there: session_from_python() gives a handle of that. */
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
  ORTMMAP_FAILED = 1,            /* what has no code of its own */
  ORTMMAP_INVALID_ARGUMENT = 2,  /* a name, type, shape or size; NULL where something is needed */
  ORTMMAP_NO_SUCH_FILE = 3,      /* the model file is not there */
  ORTMMAP_FILE_ERROR = 4,        /* it cannot be mapped: a directory, no permission, ... */
  ORTMMAP_OUT_OF_MEMORY = 5,     /* of the C API's own; ONNX Runtime's has ORTMMAP_ORT_ERROR */
  ORTMMAP_NOT_SUPPORTED = 6,     /* strings, sequences, maps: use ONNX Runtime's own C API */
  ORTMMAP_ORT_ERROR = 7,         /* ONNX Runtime failed; `ort_code` is its OrtErrorCode */
  ORTMMAP_CLOSED = 8,            /* the Python session is closed */
  ORTMMAP_FORKED = 9,            /* the handle was made before this process was forked */
  ORTMMAP_MODEL_CHANGED = 10,    /* the model file is no longer the one that was opened */
  ORTMMAP_BUSY = 11,             /* another thread is running the same prepared run */
  ORTMMAP_INTERPRETER_ENDED = 12 /* Python is finalizing, or has */
};

/* What an input or an output is: the numbers of ONNX Runtime's ONNXType. */
enum ortmmap_kind {
  ORTMMAP_KIND_UNKNOWN = 0,
  ORTMMAP_KIND_TENSOR = 1,
  ORTMMAP_KIND_SEQUENCE = 2,
  ORTMMAP_KIND_MAP = 3,
  ORTMMAP_KIND_OPAQUE = 4,
  ORTMMAP_KIND_SPARSE_TENSOR = 5,
  ORTMMAP_KIND_OPTIONAL = 6
};

/* Element types: the numbers of ONNX Runtime's ONNXTensorElementDataType. Elements of less than a
 * byte are packed, the first one lowest. */
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
  ORTMMAP_CACHE_DEFAULT = 0, /* as cache=None in Python: by size, and by ORTMMAP_CACHE */
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

/* What went wrong. It is the caller's; no function keeps it. */
typedef struct ortmmap_error {
  int32_t code;       /* enum ortmmap_code; written on success too */
  int32_t ort_code;   /* ONNX Runtime's OrtErrorCode; 0 where the error is not its */
  char message[2040]; /* UTF-8, ends with a zero byte, is cut where it is longer; "" on success */
} ortmmap_error;

/* How to open a session. All zero but for `struct_size`: the defaults. Everything that it points
 * to is needed during the call only. */
typedef struct ortmmap_session_options {
  size_t struct_size;             /* sizeof(ortmmap_session_options), as the caller was compiled */
  int32_t intra_op_num_threads;   /* threads within a node; 0: ONNX Runtime chooses */
  int32_t inter_op_num_threads;   /* threads across nodes, where `parallel`; 0: it chooses */
  int32_t parallel;               /* not 0: run independent nodes at once */
  int32_t optimization;           /* enum ortmmap_optimization */
  int32_t log_severity;           /* enum ortmmap_log */
  int32_t cache;                  /* enum ortmmap_cache */
  const char *cache_folder;       /* with ORTMMAP_CACHE_ON; NULL: the default folder */
  int32_t prefault;               /* not 0: read the whole file in first */
  int32_t lock;                   /* not 0: keep it in physical memory */
  const char *const *config_keys; /* entries of onnxruntime_session_options_config_keys.h */
  const char *const *config_values;
  size_t config_count;
  const char *const *providers; /* execution providers, first choice first; NULL: the CPU's */
  size_t provider_count;
  /* A borrowed PyObject *, an ortmmap.SessionOptions (or onnxruntime's) to start from, for what
   * has no member here; NULL: none. It is not changed. */
  void *python_options;
} ortmmap_session_options;

/* An input or an output of the model; borrowed, as everything in it is. */
typedef struct ortmmap_value_info {
  const char *name;
  const char *type;     /* as ONNX Runtime writes it: "tensor(float)", "seq(int64)" */
  int32_t kind;         /* enum ortmmap_kind */
  int32_t element_type; /* of a tensor, enum ortmmap_element_type; else ORTMMAP_UNDEFINED */
  /* Of a tensor. 0 for a scalar, and where the model says nothing of the shape. */
  size_t rank;
  const int64_t *shape;       /* `rank` sizes, -1 where one is not fixed */
  const char *const *symbols; /* `rank` names of sizes that are not fixed; NULL where there is none
                               */
} ortmmap_value_info;

/* A tensor for the model to read. */
typedef struct ortmmap_input {
  const char *name;     /* NULL: the model's input at this position */
  const void *data;     /* C-contiguous; may be NULL where there are no elements */
  size_t size;          /* bytes at `data`, as many as the shape needs or more */
  const int64_t *shape; /* `rank` sizes; may be NULL for a scalar */
  size_t rank;
  int32_t element_type; /* enum ortmmap_element_type, the model's */
  int32_t reserved;     /* 0 */
} ortmmap_input;

/* A tensor for the model to write. `data` NULL: ONNX Runtime allocates it, and the run sets every
 * member below `name`. Otherwise all are the caller's, the shape must be the one that the model
 * computes, and the run sets none. */
typedef struct ortmmap_output {
  const char *name; /* NULL: the model's output at this position */
  void *data;
  size_t size;          /* bytes at `data` */
  const int64_t *shape; /* `rank` sizes */
  size_t rank;
  int32_t element_type; /* enum ortmmap_element_type */
  int32_t process;      /* the run's: in which process `owner` was made */
  void *owner;          /* NULL before the run; what release_outputs() releases */
} ortmmap_output;

typedef struct ortmmap_capi {
  uint32_t version_major;
  uint32_t version_minor;
  size_t size; /* bytes of the table; functions beyond it do not exist */

  /* --- opening: these take the interpreter lock --- */

  /* Opens the model file at `path` (the file system's encoding; UTF-8 on Windows). `options` may
   * be NULL. The caller releases the session. */
  int (*session_open)(const char *path, const ortmmap_session_options *options,
                      ortmmap_session **session, ortmmap_error *error);

  /* Opens the model in `size` bytes at `data`, which must neither change nor go until
   * `release(context)` is called: once, when the last session over them is gone, or nothing needs
   * them any more, or the call fails. It is called with the interpreter lock held, on any thread,
   * and must not call this table. NULL: the bytes stay for ever. Bytes that are still in use when
   * the interpreter ends are not released. */
  int (*session_open_memory)(const void *data, size_t size, void (*release)(void *context),
                             void *context, const ortmmap_session_options *options,
                             ortmmap_session **session, ortmmap_error *error);

  /* Makes a handle of a borrowed PyObject *, an ortmmap.Session. The caller releases the handle;
   * the object may go before it. */
  int (*session_from_python)(void *object, ortmmap_session **session, ortmmap_error *error);

  /* Gives a new reference of the ortmmap.Session that a handle was made of. */
  int (*session_to_python)(ortmmap_session *session, void **object, ortmmap_error *error);

  /* --- counting --- */

  /* Adds one to the count. NULL is allowed. */
  void (*session_retain)(ortmmap_session *session);

  /* Takes one from the count; the last one takes the interpreter lock and lets go of the session.
   * Not while a run of that count's owner is under way, nor on a thread of ONNX Runtime's. NULL is
   * allowed. */
  void (*session_release)(ortmmap_session *session);

  /* --- what a session has: no lock; all borrowed --- */

  size_t (*session_input_count)(const ortmmap_session *session);
  size_t (*session_output_count)(const ortmmap_session *session);
  /* NULL where `index` is too large. */
  const ortmmap_value_info *(*session_input)(const ortmmap_session *session, size_t index);
  const ortmmap_value_info *(*session_output)(const ortmmap_session *session, size_t index);

  /* ONNX Runtime's session and its table of functions, of version 23, for what this table lacks.
   * Whoever calls them asks session_check() first. Never release the session. */
  struct OrtSession *(*session_ort)(const ortmmap_session *session);
  const struct OrtApi *(*session_ort_api)(const ortmmap_session *session);

  /* The mapped file: read-only bytes and their number. With the cache it is the optimized copy.
   * NULL and 0 where no file is mapped. */
  const void *(*session_mapping)(const ortmmap_session *session, size_t *size);

  /* Says whether the session may be run now. */
  int (*session_check)(const ortmmap_session *session, ortmmap_error *error);

  /* --- running: no lock --- */

  /* Computes outputs, each into the caller's memory or into ONNX Runtime's. Inputs that the model
   * requires must be given, in any order, by name or position; overridable initializers may be, by
   * name. Inputs and outputs must not overlap. `options` may be NULL. Where it fails, no output
   * needs release_outputs(), and what lies in the caller's memory is undefined. */
  int (*run)(ortmmap_session *session, const ortmmap_input *inputs, size_t input_count,
             ortmmap_output *outputs, size_t output_count, const struct OrtRunOptions *options,
             ortmmap_error *error);

  /* Frees what ONNX Runtime allocated, and sets those outputs back to `data` NULL; the others stay
   * as they are. Outputs may outlive the session, and be released by any thread, once. */
  void (*release_outputs)(ortmmap_output *outputs, size_t count);

  /* Binds inputs and outputs, all in the caller's memory, for many runs; the memory must stay
   * until prepared_release(), the structs need not. It retains the session. */
  int (*prepare)(ortmmap_session *session, const ortmmap_input *inputs, size_t input_count,
                 const ortmmap_output *outputs, size_t output_count, ortmmap_prepared **prepared,
                 ortmmap_error *error);

  /* Reads the inputs and writes the outputs as they lie now. `options` may be NULL. */
  int (*prepared_run)(ortmmap_prepared *prepared, const struct OrtRunOptions *options,
                      ortmmap_error *error);

  /* Releases the session too, so it may take the interpreter lock. Not during a run of it. NULL is
   * allowed. */
  void (*prepared_release)(ortmmap_prepared *prepared);

  /* --- functions of later minor versions follow --- */
} ortmmap_capi;

/* end of declarations */

/* Whether a program that is compiled with this header may use the table. */
static inline int ortmmap_capi_usable(const ortmmap_capi *table) {
  return table != NULL && table->version_major == ORTMMAP_CAPI_VERSION_MAJOR &&
         table->size >= sizeof(ortmmap_capi); /* which an earlier minor version's is not */
}

#ifdef PY_VERSION_HEX
/* Imports ortmmap and gives its table; NULL and an exception where that fails, or the table is of
 * another version. The interpreter lock is held. */
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
