/* What is called of version 24 of ONNX Runtime's C API, which onnxruntime 1.23 does not have.
 *
 * Ask GetApi for it only where GetVersionString says 1.24 or newer: an older library prints a
 * complaint. There is no official header of that version to check against; tests/native/test_abi.c
 * compares its answers with those of the functions that it stands for. */
#ifndef ORTMMAP_ORT_ABI_24_H
#define ORTMMAP_ORT_ABI_24_H

#include "ort_abi.h"

#define ORTMMAP_ORT_API_VERSION_24 24

typedef struct OrtApi24 {
  void *unused_0[414];
  /* Of a tensor: its type, and its shape, which is the value's own and lives as long. */
  OrtStatus *(ORT_API_CALL *GetTensorElementTypeAndShapeDataReference)(
      const OrtValue *value, ONNXTensorElementDataType *type, const int64_t **shape, size_t *rank);
} OrtApi24;

#endif /* ORTMMAP_ORT_ABI_24_H */
