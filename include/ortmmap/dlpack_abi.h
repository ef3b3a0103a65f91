/* DLPack's structures for exchanging tensors between libraries, versions 0.x and 1.x.
 *
 * Our own declarations, after https://dmlc.github.io/dlpack/latest/c_api.html. */
#ifndef ORTMMAP_DLPACK_ABI_H
#define ORTMMAP_DLPACK_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The newest version with these structures. A reader that knows a major version accepts all of its
 * minor versions. */
#define ORTMMAP_DLPACK_MAJOR 1
#define ORTMMAP_DLPACK_MINOR 1

enum ortmmap_dl_device_type { ORTMMAP_DL_CPU = 1, ORTMMAP_DL_CUDA_HOST = 3 };

enum ortmmap_dl_code {
  ORTMMAP_DL_INT = 0,
  ORTMMAP_DL_UINT = 1,
  ORTMMAP_DL_FLOAT = 2,
  ORTMMAP_DL_BFLOAT = 4,
  ORTMMAP_DL_COMPLEX = 5,
  ORTMMAP_DL_BOOL = 6,
  ORTMMAP_DL_FLOAT8_E4M3FN = 10,
  ORTMMAP_DL_FLOAT8_E4M3FNUZ = 11,
  ORTMMAP_DL_FLOAT8_E5M2 = 12,
  ORTMMAP_DL_FLOAT8_E5M2FNUZ = 13,
  ORTMMAP_DL_FLOAT8_E8M0FNU = 14
};

/* Bits of ortmmap_dl_versioned.flags. */
enum ortmmap_dl_flag { ORTMMAP_DL_READ_ONLY = 1, ORTMMAP_DL_COPIED = 2 };

typedef struct ortmmap_dl_device {
  int32_t type;
  int32_t id;
} ortmmap_dl_device;

typedef struct ortmmap_dl_type {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} ortmmap_dl_type;

/* `strides` are in elements; NULL means that the tensor is compact and in C order. */
typedef struct ortmmap_dl_tensor {
  void *data;
  ortmmap_dl_device device;
  int32_t rank;
  ortmmap_dl_type type;
  int64_t *shape;
  int64_t *strides;
  uint64_t byte_offset;
} ortmmap_dl_tensor;

/* The content of a capsule named "dltensor". */
typedef struct ortmmap_dl_managed {
  ortmmap_dl_tensor tensor;
  void *context;
  void (*deleter)(struct ortmmap_dl_managed *self);
} ortmmap_dl_managed;

/* The content of a capsule named "dltensor_versioned". */
typedef struct ortmmap_dl_versioned {
  uint32_t major;
  uint32_t minor;
  void *context;
  void (*deleter)(struct ortmmap_dl_versioned *self);
  uint64_t flags;
  ortmmap_dl_tensor tensor;
} ortmmap_dl_versioned;

#ifdef __cplusplus
}
#endif

#endif /* ORTMMAP_DLPACK_ABI_H */
