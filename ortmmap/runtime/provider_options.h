/* Execution providers that ONNX Runtime's C API appends by a function of their own.
 *
 * What SessionOptionsAppendExecutionProvider does for the others: options are given as texts. */
#ifndef ORTMMAP_PROVIDER_OPTIONS_H
#define ORTMMAP_PROVIDER_OPTIONS_H

#include <ortmmap/ort_abi.h>

typedef OrtStatus *(*ortmmap_append_fn)(const OrtApi *api, OrtSessionOptions *options,
                                        const char *const *keys, const char *const *values,
                                        size_t count);

/* Defines ortmmap_append_NAME, for options of TYPE. */
#define ORTMMAP_APPEND(NAME, TYPE, APPEND)                                                         \
  static inline OrtStatus *ortmmap_append_##NAME(const OrtApi *api, OrtSessionOptions *options,    \
                                                 const char *const *keys,                          \
                                                 const char *const *values, size_t count) {        \
    TYPE *made = NULL;                                                                             \
    OrtStatus *status = api->Create##NAME##ProviderOptions(&made);                                 \
    if (status == NULL && count != 0) {                                                            \
      status = api->Update##NAME##ProviderOptions(made, keys, values, count);                      \
    }                                                                                              \
    if (status == NULL) {                                                                          \
      status = api->SessionOptionsAppendExecutionProvider_##APPEND(options, made);                 \
    }                                                                                              \
    if (made != NULL) {                                                                            \
      api->Release##NAME##ProviderOptions(made);                                                   \
    }                                                                                              \
    return status;                                                                                 \
  }

ORTMMAP_APPEND(CANN, OrtCANNProviderOptions, CANN)
ORTMMAP_APPEND(CUDA, OrtCUDAProviderOptionsV2, CUDA_V2)
ORTMMAP_APPEND(Dnnl, OrtDnnlProviderOptions, Dnnl)
ORTMMAP_APPEND(ROCM, OrtROCMProviderOptions, ROCM)
ORTMMAP_APPEND(TensorRT, OrtTensorRTProviderOptionsV2, TensorRT_V2)

#undef ORTMMAP_APPEND

#endif /* ORTMMAP_PROVIDER_OPTIONS_H */
