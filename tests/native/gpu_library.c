/* A library that wraps ONNX Runtime's and adds stubs of providers that the wheel for the CPU lacks.
 *
 * The environment variable ORTMMAP_TEST_LIBRARY is the path of the wrapped library. Calls of the
 * stubs are written to the file ORTMMAP_TEST_CALLS. The stubs refuse an option "nonsense", and to
 * append a provider whose name occurs in ORTMMAP_TEST_BROKEN. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ortmmap/ort_abi.h>

static const OrtApiBase *real;
static OrtApi table;

static void tell(const char *function, const char *detail) {
  FILE *calls = fopen(getenv("ORTMMAP_TEST_CALLS"), "a");
  fprintf(calls, "%s %s\n", function, detail);
  fclose(calls);
}

static OrtStatus *update(const char *function, const char *const *keys, const char *const *values,
                         size_t count) {
  char detail[256];
  for (size_t index = 0; index < count; ++index) {
    snprintf(detail, sizeof detail, "%s=%s", keys[index], values[index]);
    tell(function, detail);
    if (strcmp(keys[index], "nonsense") == 0) {
      return table.CreateStatus(ORT_INVALID_ARGUMENT, "Unknown provider option: \"nonsense\".");
    }
  }
  return NULL;
}

static OrtStatus *append(const char *name) {
  const char *broken = getenv("ORTMMAP_TEST_BROKEN");
  tell("Append", name);
  if (broken != NULL && strstr(broken, name) != NULL) {
    return table.CreateStatus(ORT_FAIL, "Failed to load shared library");
  }
  return NULL;
}

#define PROVIDER(NAME, TYPE)                                                                       \
  static OrtStatus *create_##NAME(TYPE **made) {                                                   \
    tell("Create", #NAME);                                                                         \
    *made = malloc(1);                                                                             \
    return NULL;                                                                                   \
  }                                                                                                \
  static OrtStatus *update_##NAME(TYPE *made, const char *const *keys, const char *const *values,  \
                                  size_t count) {                                                  \
    return made == NULL ? NULL : update("Update " #NAME, keys, values, count);                     \
  }                                                                                                \
  static OrtStatus *append_##NAME(OrtSessionOptions *options, const TYPE *made) {                  \
    return options == NULL || made == NULL ? NULL : append(#NAME);                                 \
  }                                                                                                \
  static void release_##NAME(TYPE *made) {                                                         \
    tell("Release", #NAME);                                                                        \
    free(made);                                                                                    \
  }

PROVIDER(CANN, OrtCANNProviderOptions)
PROVIDER(CUDA, OrtCUDAProviderOptionsV2)
PROVIDER(Dnnl, OrtDnnlProviderOptions)
PROVIDER(ROCM, OrtROCMProviderOptions)
PROVIDER(TensorRT, OrtTensorRTProviderOptionsV2)

static OrtStatus *append_by_name(OrtSessionOptions *options, const char *provider,
                                 const char *const *keys, const char *const *values, size_t count) {
  OrtStatus *status = options == NULL ? NULL : update("Options", keys, values, count);
  return status == NULL ? append(provider) : status;
}

static char *names[] = {
    "TensorrtExecutionProvider", "CUDAExecutionProvider",     "MIGraphXExecutionProvider",
    "ROCMExecutionProvider",     "OpenVINOExecutionProvider", "DnnlExecutionProvider",
    "CANNExecutionProvider",     "CPUExecutionProvider",
};

static OrtStatus *available(char ***found, int *count) {
  *found = names;
  *count = sizeof names / sizeof *names;
  return NULL;
}

static OrtStatus *release_available(char **found, int count) {
  return found == names && count > 0 ? NULL : table.CreateStatus(ORT_FAIL, "not ours");
}

#define REPLACE(NAME, APPEND)                                                                      \
  table.Create##NAME##ProviderOptions = create_##NAME;                                             \
  table.Update##NAME##ProviderOptions = update_##NAME;                                             \
  table.Release##NAME##ProviderOptions = release_##NAME;                                           \
  table.SessionOptionsAppendExecutionProvider_##APPEND = append_##NAME

static const OrtApi *get_api(uint32_t version) {
  const OrtApi *found = real->GetApi(version);
  if (version != ORTMMAP_ORT_API_VERSION || found == NULL) {
    return found;
  }
  memcpy(&table, found, sizeof table);
  REPLACE(CANN, CANN);
  REPLACE(CUDA, CUDA_V2);
  REPLACE(Dnnl, Dnnl);
  REPLACE(ROCM, ROCM);
  REPLACE(TensorRT, TensorRT_V2);
  table.SessionOptionsAppendExecutionProvider = append_by_name;
  table.GetAvailableProviders = available;
  table.ReleaseAvailableProviders = release_available;
  return &table;
}

static const char *get_version_string(void) { return real->GetVersionString(); }

const OrtApiBase *OrtGetApiBase(void) {
  static const OrtApiBase base = {get_api, get_version_string};
  void *library = dlopen(getenv("ORTMMAP_TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
  const OrtApiBase *(*get_base)(void);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return NULL;
  }
  *(void **)&get_base = dlsym(library, "OrtGetApiBase");
  real = get_base();
  return &base;
}
