/* The part of ONNX Runtime's C ABI that ortmmap calls, at API version 23.
 *
 * tests/native/check_abi.py compares every declaration with the official header. A program that
 * uses the official header too includes it first; its declarations then stand for these. */
#ifndef ORTMMAP_ORT_ABI_H
#define ORTMMAP_ORT_ABI_H

#define ORTMMAP_ORT_API_VERSION 23

#ifdef ORT_API_VERSION

#if ORT_API_VERSION < ORTMMAP_ORT_API_VERSION
#error "ortmmap needs the header of ONNX Runtime 1.23 or newer"
#endif

#else

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define ORT_API_CALL __stdcall
#define ORTCHAR_T wchar_t
#else
#define ORT_API_CALL
#define ORTCHAR_T char
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ONNXTensorElementDataType {
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED = 0,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8 = 2,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8 = 3,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16 = 4,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16 = 5,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32 = 6,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 = 7,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING = 8,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL = 9,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 = 10,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE = 11,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32 = 12,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64 = 13,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64 = 14,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128 = 15,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16 = 16,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN = 17,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ = 18,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2 = 19,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ = 20,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4 = 21,
  ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4 = 22
} ONNXTensorElementDataType;

typedef enum ONNXType {
  ONNX_TYPE_UNKNOWN = 0,
  ONNX_TYPE_TENSOR = 1,
  ONNX_TYPE_SEQUENCE = 2,
  ONNX_TYPE_MAP = 3,
  ONNX_TYPE_OPAQUE = 4,
  ONNX_TYPE_SPARSETENSOR = 5,
  ONNX_TYPE_OPTIONAL = 6
} ONNXType;

typedef enum OrtSparseFormat {
  ORT_SPARSE_UNDEFINED = 0,
  ORT_SPARSE_COO = 1,
  ORT_SPARSE_CSRC = 2,
  ORT_SPARSE_BLOCK_SPARSE = 4
} OrtSparseFormat;

/* No typedef: the official header has none either. */
enum OrtSparseIndicesFormat {
  ORT_SPARSE_COO_INDICES = 0,
  ORT_SPARSE_CSR_INNER_INDICES = 1,
  ORT_SPARSE_CSR_OUTER_INDICES = 2,
  ORT_SPARSE_BLOCK_SPARSE_INDICES = 3
};

typedef enum OrtLoggingLevel {
  ORT_LOGGING_LEVEL_VERBOSE = 0,
  ORT_LOGGING_LEVEL_INFO = 1,
  ORT_LOGGING_LEVEL_WARNING = 2,
  ORT_LOGGING_LEVEL_ERROR = 3,
  ORT_LOGGING_LEVEL_FATAL = 4
} OrtLoggingLevel;

typedef enum OrtErrorCode {
  ORT_OK = 0,
  ORT_FAIL = 1,
  ORT_INVALID_ARGUMENT = 2,
  ORT_NO_SUCHFILE = 3,
  ORT_NO_MODEL = 4,
  ORT_ENGINE_ERROR = 5,
  ORT_RUNTIME_EXCEPTION = 6,
  ORT_INVALID_PROTOBUF = 7,
  ORT_MODEL_LOADED = 8,
  ORT_NOT_IMPLEMENTED = 9,
  ORT_INVALID_GRAPH = 10,
  ORT_EP_FAIL = 11,
  ORT_MODEL_LOAD_CANCELED = 12,
  ORT_MODEL_REQUIRES_COMPILATION = 13,
  ORT_NOT_FOUND = 14
} OrtErrorCode;

typedef enum GraphOptimizationLevel {
  ORT_DISABLE_ALL = 0,
  ORT_ENABLE_BASIC = 1,
  ORT_ENABLE_EXTENDED = 2,
  ORT_ENABLE_LAYOUT = 3,
  ORT_ENABLE_ALL = 99
} GraphOptimizationLevel;

typedef enum ExecutionMode { ORT_SEQUENTIAL = 0, ORT_PARALLEL = 1 } ExecutionMode;

typedef enum OrtAllocatorType {
  OrtInvalidAllocator = -1,
  OrtDeviceAllocator = 0,
  OrtArenaAllocator = 1,
  OrtReadOnlyAllocator = 2
} OrtAllocatorType;

typedef enum OrtMemType {
  OrtMemTypeCPUInput = -2,
  OrtMemTypeCPUOutput = -1,
  OrtMemTypeCPU = OrtMemTypeCPUOutput,
  OrtMemTypeDefault = 0
} OrtMemType;

typedef enum OrtExecutionProviderDevicePolicy {
  OrtExecutionProviderDevicePolicy_DEFAULT = 0,
  OrtExecutionProviderDevicePolicy_PREFER_CPU = 1,
  OrtExecutionProviderDevicePolicy_PREFER_NPU = 2,
  OrtExecutionProviderDevicePolicy_PREFER_GPU = 3,
  OrtExecutionProviderDevicePolicy_MAX_PERFORMANCE = 4,
  OrtExecutionProviderDevicePolicy_MAX_EFFICIENCY = 5,
  OrtExecutionProviderDevicePolicy_MIN_OVERALL_POWER = 6
} OrtExecutionProviderDevicePolicy;

typedef enum OrtHardwareDeviceType {
  OrtHardwareDeviceType_CPU = 0,
  OrtHardwareDeviceType_GPU = 1,
  OrtHardwareDeviceType_NPU = 2
} OrtHardwareDeviceType;

typedef enum OrtMemoryInfoDeviceType {
  OrtMemoryInfoDeviceType_CPU = 0,
  OrtMemoryInfoDeviceType_GPU = 1,
  OrtMemoryInfoDeviceType_FPGA = 2,
  OrtMemoryInfoDeviceType_NPU = 3
} OrtMemoryInfoDeviceType;

typedef enum OrtDeviceMemoryType {
  OrtDeviceMemoryType_DEFAULT = 0,
  OrtDeviceMemoryType_HOST_ACCESSIBLE = 5
} OrtDeviceMemoryType;

typedef struct OrtArenaCfg OrtArenaCfg;
typedef struct OrtCANNProviderOptions OrtCANNProviderOptions;
typedef struct OrtCUDAProviderOptionsV2 OrtCUDAProviderOptionsV2;
typedef struct OrtDnnlProviderOptions OrtDnnlProviderOptions;
typedef struct OrtEnv OrtEnv;
typedef struct OrtEpDevice OrtEpDevice;
typedef struct OrtHardwareDevice OrtHardwareDevice;
typedef struct OrtIoBinding OrtIoBinding;
typedef struct OrtKeyValuePairs OrtKeyValuePairs;
typedef struct OrtLoraAdapter OrtLoraAdapter;
typedef struct OrtMapTypeInfo OrtMapTypeInfo;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtModelMetadata OrtModelMetadata;
typedef struct OrtOptionalTypeInfo OrtOptionalTypeInfo;
typedef struct OrtROCMProviderOptions OrtROCMProviderOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtSequenceTypeInfo OrtSequenceTypeInfo;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtStatus OrtStatus;
typedef struct OrtSyncStream OrtSyncStream;
typedef struct OrtTensorRTProviderOptionsV2 OrtTensorRTProviderOptionsV2;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtThreadingOptions OrtThreadingOptions;
typedef struct OrtTypeInfo OrtTypeInfo;
typedef struct OrtValue OrtValue;

/* `version` tells ORT which members exist: Reserve since 18, GetStats and AllocOnStream since 23.
 * Each of those may be NULL. */
typedef struct OrtAllocator {
  uint32_t version;
  void *(ORT_API_CALL *Alloc)(struct OrtAllocator *self, size_t size);
  void(ORT_API_CALL *Free)(struct OrtAllocator *self, void *block);
  const OrtMemoryInfo *(ORT_API_CALL *Info)(const struct OrtAllocator *self);
  void *(ORT_API_CALL *Reserve)(struct OrtAllocator *self, size_t size);
  OrtStatus *(ORT_API_CALL *GetStats)(const struct OrtAllocator *self, OrtKeyValuePairs **stats);
  void *(ORT_API_CALL *AllocOnStream)(struct OrtAllocator *self, size_t size,
                                      OrtSyncStream *stream);
} OrtAllocator;

/* Called on a thread of ORT's; the callee owns `status`. */
typedef void (*RunAsyncCallbackFn)(void *user_data, OrtValue **outputs, size_t output_count,
                                   OrtStatus *status);

/* Chooses among `devices` into `selected`, which has room for `room`; ORT owns what it returns. */
typedef OrtStatus *(*EpSelectionDelegate)(const OrtEpDevice **devices, size_t count,
                                          const OrtKeyValuePairs *model_metadata,
                                          const OrtKeyValuePairs *runtime_metadata,
                                          const OrtEpDevice **selected, size_t room,
                                          size_t *selected_count, void *state);

/* The work of a thread of ORT's pool, what makes such a thread, and what waits for its end. */
typedef void (*OrtThreadWorkerFn)(void *argument);
typedef const struct OrtCustomHandleType *OrtCustomThreadHandle;
typedef OrtCustomThreadHandle (*OrtCustomCreateThreadFn)(void *creation_options,
                                                         OrtThreadWorkerFn run, void *argument);
typedef void (*OrtCustomJoinThreadFn)(OrtCustomThreadHandle thread);

typedef struct OrtApi OrtApi;

typedef struct OrtApiBase {
  const OrtApi *(ORT_API_CALL *GetApi)(uint32_t version);
  const char *(ORT_API_CALL *GetVersionString)(void);
} OrtApiBase;

/* The table only ever grows at its end, so ours stops after the last function that is called.
 * unused_N holds the slots from N on. */
struct OrtApi {
  OrtStatus *(ORT_API_CALL *CreateStatus)(OrtErrorCode code, const char *message);
  OrtErrorCode(ORT_API_CALL *GetErrorCode)(const OrtStatus *status);
  const char *(ORT_API_CALL *GetErrorMessage)(const OrtStatus *status);
  OrtStatus *(ORT_API_CALL *CreateEnv)(OrtLoggingLevel severity, const char *log_id, OrtEnv **env);
  void *unused_4[1];
  OrtStatus *(ORT_API_CALL *EnableTelemetryEvents)(const OrtEnv *env);
  OrtStatus *(ORT_API_CALL *DisableTelemetryEvents)(const OrtEnv *env);
  OrtStatus *(ORT_API_CALL *CreateSession)(const OrtEnv *env, const ORTCHAR_T *path,
                                           const OrtSessionOptions *options, OrtSession **session);
  OrtStatus *(ORT_API_CALL *CreateSessionFromArray)(const OrtEnv *env, const void *data,
                                                    size_t size, const OrtSessionOptions *options,
                                                    OrtSession **session);
  OrtStatus *(ORT_API_CALL *Run)(OrtSession *session, const OrtRunOptions *options,
                                 const char *const *input_names, const OrtValue *const *inputs,
                                 size_t input_count, const char *const *output_names,
                                 size_t output_count, OrtValue **outputs);
  OrtStatus *(ORT_API_CALL *CreateSessionOptions)(OrtSessionOptions **options);
  OrtStatus *(ORT_API_CALL *SetOptimizedModelFilePath)(OrtSessionOptions *options,
                                                       const ORTCHAR_T *path);
  void *unused_12[1];
  OrtStatus *(ORT_API_CALL *SetSessionExecutionMode)(OrtSessionOptions *options,
                                                     ExecutionMode mode);
  OrtStatus *(ORT_API_CALL *EnableProfiling)(OrtSessionOptions *options,
                                             const ORTCHAR_T *file_prefix);
  OrtStatus *(ORT_API_CALL *DisableProfiling)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *EnableMemPattern)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *DisableMemPattern)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *EnableCpuMemArena)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *DisableCpuMemArena)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *SetSessionLogId)(OrtSessionOptions *options, const char *log_id);
  OrtStatus *(ORT_API_CALL *SetSessionLogVerbosityLevel)(OrtSessionOptions *options, int level);
  OrtStatus *(ORT_API_CALL *SetSessionLogSeverityLevel)(OrtSessionOptions *options, int level);
  OrtStatus *(ORT_API_CALL *SetSessionGraphOptimizationLevel)(OrtSessionOptions *options,
                                                              GraphOptimizationLevel level);
  OrtStatus *(ORT_API_CALL *SetIntraOpNumThreads)(OrtSessionOptions *options, int count);
  OrtStatus *(ORT_API_CALL *SetInterOpNumThreads)(OrtSessionOptions *options, int count);
  void *unused_26[4];
  OrtStatus *(ORT_API_CALL *SessionGetInputCount)(const OrtSession *session, size_t *count);
  OrtStatus *(ORT_API_CALL *SessionGetOutputCount)(const OrtSession *session, size_t *count);
  OrtStatus *(ORT_API_CALL *SessionGetOverridableInitializerCount)(const OrtSession *session,
                                                                   size_t *count);
  OrtStatus *(ORT_API_CALL *SessionGetInputTypeInfo)(const OrtSession *session, size_t index,
                                                     OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *SessionGetOutputTypeInfo)(const OrtSession *session, size_t index,
                                                      OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *SessionGetOverridableInitializerTypeInfo)(const OrtSession *session,
                                                                      size_t index,
                                                                      OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *SessionGetInputName)(const OrtSession *session, size_t index,
                                                 OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *SessionGetOutputName)(const OrtSession *session, size_t index,
                                                  OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *SessionGetOverridableInitializerName)(const OrtSession *session,
                                                                  size_t index,
                                                                  OrtAllocator *allocator,
                                                                  char **name);
  OrtStatus *(ORT_API_CALL *CreateRunOptions)(OrtRunOptions **options);
  OrtStatus *(ORT_API_CALL *RunOptionsSetRunLogVerbosityLevel)(OrtRunOptions *options, int level);
  OrtStatus *(ORT_API_CALL *RunOptionsSetRunLogSeverityLevel)(OrtRunOptions *options, int level);
  OrtStatus *(ORT_API_CALL *RunOptionsSetRunTag)(OrtRunOptions *options, const char *tag);
  OrtStatus *(ORT_API_CALL *RunOptionsGetRunLogVerbosityLevel)(const OrtRunOptions *options,
                                                               int *level);
  OrtStatus *(ORT_API_CALL *RunOptionsGetRunLogSeverityLevel)(const OrtRunOptions *options,
                                                              int *level);
  OrtStatus *(ORT_API_CALL *RunOptionsGetRunTag)(const OrtRunOptions *options, const char **tag);
  OrtStatus *(ORT_API_CALL *RunOptionsSetTerminate)(OrtRunOptions *options);
  OrtStatus *(ORT_API_CALL *RunOptionsUnsetTerminate)(OrtRunOptions *options);
  OrtStatus *(ORT_API_CALL *CreateTensorAsOrtValue)(OrtAllocator *allocator, const int64_t *shape,
                                                    size_t rank, ONNXTensorElementDataType type,
                                                    OrtValue **value);
  OrtStatus *(ORT_API_CALL *CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *memory, void *data,
                                                            size_t size, const int64_t *shape,
                                                            size_t rank,
                                                            ONNXTensorElementDataType type,
                                                            OrtValue **value);
  OrtStatus *(ORT_API_CALL *IsTensor)(const OrtValue *value, int *answer);
  OrtStatus *(ORT_API_CALL *GetTensorMutableData)(OrtValue *value, void **data);
  OrtStatus *(ORT_API_CALL *FillStringTensor)(OrtValue *value, const char *const *texts,
                                              size_t count);
  OrtStatus *(ORT_API_CALL *GetStringTensorDataLength)(const OrtValue *value, size_t *size);
  OrtStatus *(ORT_API_CALL *GetStringTensorContent)(const OrtValue *value, void *data, size_t size,
                                                    size_t *offsets, size_t offset_count);
  OrtStatus *(ORT_API_CALL *CastTypeInfoToTensorInfo)(
      const OrtTypeInfo *type, const OrtTensorTypeAndShapeInfo **tensor_type);
  OrtStatus *(ORT_API_CALL *GetOnnxTypeFromTypeInfo)(const OrtTypeInfo *type, ONNXType *onnx_type);
  void *unused_57[3];
  OrtStatus *(ORT_API_CALL *GetTensorElementType)(const OrtTensorTypeAndShapeInfo *info,
                                                  ONNXTensorElementDataType *type);
  OrtStatus *(ORT_API_CALL *GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *info,
                                                size_t *rank);
  OrtStatus *(ORT_API_CALL *GetDimensions)(const OrtTensorTypeAndShapeInfo *info,
                                           int64_t *dimensions, size_t rank);
  OrtStatus *(ORT_API_CALL *GetSymbolicDimensions)(const OrtTensorTypeAndShapeInfo *info,
                                                   const char **names, size_t rank);
  OrtStatus *(ORT_API_CALL *GetTensorShapeElementCount)(const OrtTensorTypeAndShapeInfo *info,
                                                        size_t *count);
  OrtStatus *(ORT_API_CALL *GetTensorTypeAndShape)(const OrtValue *value,
                                                   OrtTensorTypeAndShapeInfo **info);
  OrtStatus *(ORT_API_CALL *GetTypeInfo)(const OrtValue *value, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *GetValueType)(const OrtValue *value, ONNXType *type);
  OrtStatus *(ORT_API_CALL *CreateMemoryInfo)(const char *name, OrtAllocatorType type,
                                              int device_id, OrtMemType memory_type,
                                              OrtMemoryInfo **memory);
  OrtStatus *(ORT_API_CALL *CreateCpuMemoryInfo)(OrtAllocatorType type, OrtMemType memory_type,
                                                 OrtMemoryInfo **memory);
  void *unused_70[1];
  OrtStatus *(ORT_API_CALL *MemoryInfoGetName)(const OrtMemoryInfo *memory, const char **name);
  OrtStatus *(ORT_API_CALL *MemoryInfoGetId)(const OrtMemoryInfo *memory, int *device_id);
  OrtStatus *(ORT_API_CALL *MemoryInfoGetMemType)(const OrtMemoryInfo *memory, OrtMemType *type);
  OrtStatus *(ORT_API_CALL *MemoryInfoGetType)(const OrtMemoryInfo *memory, OrtAllocatorType *type);
  void *unused_75[1];
  OrtStatus *(ORT_API_CALL *AllocatorFree)(OrtAllocator *allocator, void *block);
  void *unused_77[1];
  OrtStatus *(ORT_API_CALL *GetAllocatorWithDefaultOptions)(OrtAllocator **allocator);
  OrtStatus *(ORT_API_CALL *AddFreeDimensionOverride)(OrtSessionOptions *options,
                                                      const char *denotation, int64_t size);
  OrtStatus *(ORT_API_CALL *GetValue)(const OrtValue *value, int index, OrtAllocator *allocator,
                                      OrtValue **item);
  OrtStatus *(ORT_API_CALL *GetValueCount)(const OrtValue *value, size_t *count);
  OrtStatus *(ORT_API_CALL *CreateValue)(const OrtValue *const *items, size_t count, ONNXType type,
                                         OrtValue **value);
  void *unused_83[9];
  void(ORT_API_CALL *ReleaseEnv)(OrtEnv *env);
  void(ORT_API_CALL *ReleaseStatus)(OrtStatus *status);
  void(ORT_API_CALL *ReleaseMemoryInfo)(OrtMemoryInfo *memory);
  void(ORT_API_CALL *ReleaseSession)(OrtSession *session);
  void(ORT_API_CALL *ReleaseValue)(OrtValue *value);
  void(ORT_API_CALL *ReleaseRunOptions)(OrtRunOptions *options);
  void(ORT_API_CALL *ReleaseTypeInfo)(OrtTypeInfo *type);
  void(ORT_API_CALL *ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *info);
  void(ORT_API_CALL *ReleaseSessionOptions)(OrtSessionOptions *options);
  void *unused_101[2];
  OrtStatus *(ORT_API_CALL *CastTypeInfoToMapTypeInfo)(const OrtTypeInfo *type,
                                                       const OrtMapTypeInfo **map_type);
  OrtStatus *(ORT_API_CALL *CastTypeInfoToSequenceTypeInfo)(
      const OrtTypeInfo *type, const OrtSequenceTypeInfo **sequence_type);
  OrtStatus *(ORT_API_CALL *GetMapKeyType)(const OrtMapTypeInfo *map_type,
                                           ONNXTensorElementDataType *type);
  OrtStatus *(ORT_API_CALL *GetMapValueType)(const OrtMapTypeInfo *map_type, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *GetSequenceElementType)(const OrtSequenceTypeInfo *sequence_type,
                                                    OrtTypeInfo **type);
  void *unused_108[2];
  OrtStatus *(ORT_API_CALL *SessionEndProfiling)(OrtSession *session, OrtAllocator *allocator,
                                                 char **path);
  OrtStatus *(ORT_API_CALL *SessionGetModelMetadata)(const OrtSession *session,
                                                     OrtModelMetadata **metadata);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetProducerName)(const OrtModelMetadata *metadata,
                                                          OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetGraphName)(const OrtModelMetadata *metadata,
                                                       OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetDomain)(const OrtModelMetadata *metadata,
                                                    OrtAllocator *allocator, char **domain);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetDescription)(const OrtModelMetadata *metadata,
                                                         OrtAllocator *allocator,
                                                         char **description);
  OrtStatus *(ORT_API_CALL *ModelMetadataLookupCustomMetadataMap)(const OrtModelMetadata *metadata,
                                                                  OrtAllocator *allocator,
                                                                  const char *key, char **value);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetVersion)(const OrtModelMetadata *metadata,
                                                     int64_t *version);
  void(ORT_API_CALL *ReleaseModelMetadata)(OrtModelMetadata *metadata);
  OrtStatus *(ORT_API_CALL *CreateEnvWithGlobalThreadPools)(OrtLoggingLevel severity,
                                                            const char *log_id,
                                                            const OrtThreadingOptions *threading,
                                                            OrtEnv **env);
  OrtStatus *(ORT_API_CALL *DisablePerSessionThreads)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *CreateThreadingOptions)(OrtThreadingOptions **threading);
  void(ORT_API_CALL *ReleaseThreadingOptions)(OrtThreadingOptions *threading);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetCustomMetadataMapKeys)(const OrtModelMetadata *metadata,
                                                                   OrtAllocator *allocator,
                                                                   char ***keys, int64_t *count);
  OrtStatus *(ORT_API_CALL *AddFreeDimensionOverrideByName)(OrtSessionOptions *options,
                                                            const char *name, int64_t size);
  OrtStatus *(ORT_API_CALL *GetAvailableProviders)(char ***names, int *count);
  OrtStatus *(ORT_API_CALL *ReleaseAvailableProviders)(char **names, int count);
  void *unused_127[3];
  OrtStatus *(ORT_API_CALL *AddSessionConfigEntry)(OrtSessionOptions *options, const char *key,
                                                   const char *value);
  OrtStatus *(ORT_API_CALL *CreateAllocator)(const OrtSession *session, const OrtMemoryInfo *memory,
                                             OrtAllocator **allocator);
  void(ORT_API_CALL *ReleaseAllocator)(OrtAllocator *allocator);
  OrtStatus *(ORT_API_CALL *RunWithBinding)(OrtSession *session, const OrtRunOptions *options,
                                            const OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *CreateIoBinding)(OrtSession *session, OrtIoBinding **binding);
  void(ORT_API_CALL *ReleaseIoBinding)(OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *BindInput)(OrtIoBinding *binding, const char *name,
                                       const OrtValue *value);
  OrtStatus *(ORT_API_CALL *BindOutput)(OrtIoBinding *binding, const char *name,
                                        const OrtValue *value);
  OrtStatus *(ORT_API_CALL *BindOutputToDevice)(OrtIoBinding *binding, const char *name,
                                                const OrtMemoryInfo *memory);
  OrtStatus *(ORT_API_CALL *GetBoundOutputNames)(const OrtIoBinding *binding,
                                                 OrtAllocator *allocator, char **names,
                                                 size_t **lengths, size_t *count);
  OrtStatus *(ORT_API_CALL *GetBoundOutputValues)(const OrtIoBinding *binding,
                                                  OrtAllocator *allocator, OrtValue ***values,
                                                  size_t *count);
  void(ORT_API_CALL *ClearBoundInputs)(OrtIoBinding *binding);
  void(ORT_API_CALL *ClearBoundOutputs)(OrtIoBinding *binding);
  void *unused_143[1];
  OrtStatus *(ORT_API_CALL *CreateAndRegisterAllocator)(OrtEnv *env, const OrtMemoryInfo *memory,
                                                        const OrtArenaCfg *arena);
  void *unused_145[1];
  OrtStatus *(ORT_API_CALL *SessionGetProfilingStartTimeNs)(const OrtSession *session,
                                                            uint64_t *start);
  OrtStatus *(ORT_API_CALL *SetGlobalIntraOpNumThreads)(OrtThreadingOptions *threading, int count);
  OrtStatus *(ORT_API_CALL *SetGlobalInterOpNumThreads)(OrtThreadingOptions *threading, int count);
  void *unused_149[1];
  OrtStatus *(ORT_API_CALL *AddInitializer)(OrtSessionOptions *options, const char *name,
                                            const OrtValue *value);
  void *unused_151[2];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_ROCM)(
      OrtSessionOptions *options, const OrtROCMProviderOptions *made);
  void *unused_154[3];
  void(ORT_API_CALL *ReleaseArenaCfg)(OrtArenaCfg *arena);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetGraphDescription)(const OrtModelMetadata *metadata,
                                                              OrtAllocator *allocator,
                                                              char **description);
  void *unused_159[5];
  OrtStatus *(ORT_API_CALL *CreateArenaCfgV2)(const char *const *keys, const size_t *values,
                                              size_t count, OrtArenaCfg **arena);
  OrtStatus *(ORT_API_CALL *AddRunConfigEntry)(OrtRunOptions *options, const char *key,
                                               const char *value);
  void *unused_166[4];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_TensorRT_V2)(
      OrtSessionOptions *options, const OrtTensorRTProviderOptionsV2 *made);
  OrtStatus *(ORT_API_CALL *CreateTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 **made);
  OrtStatus *(ORT_API_CALL *UpdateTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 *made,
                                                           const char *const *keys,
                                                           const char *const *values, size_t count);
  void *unused_173[1];
  void(ORT_API_CALL *ReleaseTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 *made);
  void *unused_175[1];
  OrtStatus *(ORT_API_CALL *RegisterAllocator)(OrtEnv *env, OrtAllocator *allocator);
  OrtStatus *(ORT_API_CALL *UnregisterAllocator)(OrtEnv *env, const OrtMemoryInfo *memory);
  OrtStatus *(ORT_API_CALL *IsSparseTensor)(const OrtValue *value, int *answer);
  OrtStatus *(ORT_API_CALL *CreateSparseTensorAsOrtValue)(OrtAllocator *allocator,
                                                          const int64_t *shape, size_t rank,
                                                          ONNXTensorElementDataType type,
                                                          OrtValue **value);
  OrtStatus *(ORT_API_CALL *FillSparseTensorCoo)(OrtValue *value, const OrtMemoryInfo *memory,
                                                 const int64_t *values_shape, size_t values_rank,
                                                 const void *values, const int64_t *indices,
                                                 size_t count);
  OrtStatus *(ORT_API_CALL *FillSparseTensorCsr)(OrtValue *value, const OrtMemoryInfo *memory,
                                                 const int64_t *values_shape, size_t values_rank,
                                                 const void *values, const int64_t *inner,
                                                 size_t inner_count, const int64_t *outer,
                                                 size_t outer_count);
  void *unused_182[1];
  OrtStatus *(ORT_API_CALL *CreateSparseTensorWithValuesAsOrtValue)(
      const OrtMemoryInfo *memory, void *data, const int64_t *shape, size_t rank,
      const int64_t *values_shape, size_t values_rank, ONNXTensorElementDataType type,
      OrtValue **value);
  OrtStatus *(ORT_API_CALL *UseCooIndices)(OrtValue *value, int64_t *indices, size_t count);
  OrtStatus *(ORT_API_CALL *UseCsrIndices)(OrtValue *value, int64_t *inner, size_t inner_count,
                                           int64_t *outer, size_t outer_count);
  void *unused_186[1];
  OrtStatus *(ORT_API_CALL *GetSparseTensorFormat)(const OrtValue *value, OrtSparseFormat *format);
  OrtStatus *(ORT_API_CALL *GetSparseTensorValuesTypeAndShape)(const OrtValue *value,
                                                               OrtTensorTypeAndShapeInfo **info);
  OrtStatus *(ORT_API_CALL *GetSparseTensorValues)(const OrtValue *value, const void **data);
  OrtStatus *(ORT_API_CALL *GetSparseTensorIndicesTypeShape)(const OrtValue *value,
                                                             enum OrtSparseIndicesFormat format,
                                                             OrtTensorTypeAndShapeInfo **info);
  OrtStatus *(ORT_API_CALL *GetSparseTensorIndices)(const OrtValue *value,
                                                    enum OrtSparseIndicesFormat format,
                                                    size_t *count, const void **indices);
  OrtStatus *(ORT_API_CALL *HasValue)(const OrtValue *value, int *answer);
  void *unused_193[3];
  OrtStatus *(ORT_API_CALL *SessionOptionsSetCustomCreateThreadFn)(OrtSessionOptions *options,
                                                                   OrtCustomCreateThreadFn create);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetCustomThreadCreationOptions)(
      OrtSessionOptions *options, void *creation_options);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetCustomJoinThreadFn)(OrtSessionOptions *options,
                                                                 OrtCustomJoinThreadFn join);
  void *unused_199[3];
  OrtStatus *(ORT_API_CALL *SynchronizeBoundInputs)(OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *SynchronizeBoundOutputs)(OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_CUDA_V2)(
      OrtSessionOptions *options, const OrtCUDAProviderOptionsV2 *made);
  OrtStatus *(ORT_API_CALL *CreateCUDAProviderOptions)(OrtCUDAProviderOptionsV2 **made);
  OrtStatus *(ORT_API_CALL *UpdateCUDAProviderOptions)(OrtCUDAProviderOptionsV2 *made,
                                                       const char *const *keys,
                                                       const char *const *values, size_t count);
  void *unused_207[1];
  void(ORT_API_CALL *ReleaseCUDAProviderOptions)(OrtCUDAProviderOptionsV2 *made);
  void *unused_209[1];
  OrtStatus *(ORT_API_CALL *AddExternalInitializers)(OrtSessionOptions *options,
                                                     const char *const *names,
                                                     const OrtValue *const *values, size_t count);
  void *unused_211[5];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider)(OrtSessionOptions *options,
                                                                   const char *provider,
                                                                   const char *const *keys,
                                                                   const char *const *values,
                                                                   size_t count);
  void *unused_217[3];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_CANN)(
      OrtSessionOptions *options, const OrtCANNProviderOptions *made);
  OrtStatus *(ORT_API_CALL *CreateCANNProviderOptions)(OrtCANNProviderOptions **made);
  OrtStatus *(ORT_API_CALL *UpdateCANNProviderOptions)(OrtCANNProviderOptions *made,
                                                       const char *const *keys,
                                                       const char *const *values, size_t count);
  void *unused_223[1];
  void(ORT_API_CALL *ReleaseCANNProviderOptions)(OrtCANNProviderOptions *made);
  void *unused_225[1];
  OrtStatus *(ORT_API_CALL *UpdateEnvWithCustomLogLevel)(OrtEnv *env, OrtLoggingLevel severity);
  void *unused_227[1];
  OrtStatus *(ORT_API_CALL *RegisterCustomOpsLibrary_V2)(OrtSessionOptions *options,
                                                         const ORTCHAR_T *path);
  void *unused_229[10];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_Dnnl)(
      OrtSessionOptions *options, const OrtDnnlProviderOptions *made);
  OrtStatus *(ORT_API_CALL *CreateDnnlProviderOptions)(OrtDnnlProviderOptions **made);
  OrtStatus *(ORT_API_CALL *UpdateDnnlProviderOptions)(OrtDnnlProviderOptions *made,
                                                       const char *const *keys,
                                                       const char *const *values, size_t count);
  void *unused_242[1];
  void(ORT_API_CALL *ReleaseDnnlProviderOptions)(OrtDnnlProviderOptions *made);
  void *unused_244[6];
  OrtStatus *(ORT_API_CALL *CastTypeInfoToOptionalTypeInfo)(
      const OrtTypeInfo *type, const OrtOptionalTypeInfo **optional_type);
  OrtStatus *(ORT_API_CALL *GetOptionalContainedTypeInfo)(const OrtOptionalTypeInfo *optional_type,
                                                          OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *GetResizedStringTensorElementBuffer)(OrtValue *value, size_t index,
                                                                 size_t size, char **buffer);
  void *unused_253[1];
  const char *(ORT_API_CALL *GetBuildInfoString)(void);
  OrtStatus *(ORT_API_CALL *CreateROCMProviderOptions)(OrtROCMProviderOptions **made);
  OrtStatus *(ORT_API_CALL *UpdateROCMProviderOptions)(OrtROCMProviderOptions *made,
                                                       const char *const *keys,
                                                       const char *const *values, size_t count);
  void *unused_257[1];
  void(ORT_API_CALL *ReleaseROCMProviderOptions)(OrtROCMProviderOptions *made);
  OrtStatus *(ORT_API_CALL *CreateAndRegisterAllocatorV2)(OrtEnv *env, const char *provider,
                                                          const OrtMemoryInfo *memory,
                                                          const OrtArenaCfg *arena,
                                                          const char *const *keys,
                                                          const char *const *values, size_t count);
  OrtStatus *(ORT_API_CALL *RunAsync)(OrtSession *session, const OrtRunOptions *options,
                                      const char *const *input_names, const OrtValue *const *inputs,
                                      size_t input_count, const char *const *output_names,
                                      size_t output_count, OrtValue **outputs,
                                      RunAsyncCallbackFn callback, void *user_data);
  void *unused_261[12];
  OrtStatus *(ORT_API_CALL *SetDeterministicCompute)(OrtSessionOptions *options, bool enabled);
  void *unused_274[5];
  OrtStatus *(ORT_API_CALL *AddExternalInitializersFromFilesInMemory)(OrtSessionOptions *options,
                                                                      const ORTCHAR_T *const *names,
                                                                      char *const *buffers,
                                                                      const size_t *sizes,
                                                                      size_t count);
  OrtStatus *(ORT_API_CALL *CreateLoraAdapter)(const ORTCHAR_T *path, OrtAllocator *allocator,
                                               OrtLoraAdapter **adapter);
  void *unused_281[1];
  void(ORT_API_CALL *ReleaseLoraAdapter)(OrtLoraAdapter *adapter);
  OrtStatus *(ORT_API_CALL *RunOptionsAddActiveLoraAdapter)(OrtRunOptions *options,
                                                            const OrtLoraAdapter *adapter);
  OrtStatus *(ORT_API_CALL *SetEpDynamicOptions)(OrtSession *session, const char *const *keys,
                                                 const char *const *values, size_t count);
  void *unused_285[8];
  OrtStatus *(ORT_API_CALL *SessionOptionsSetLoadCancellationFlag)(OrtSessionOptions *options,
                                                                   bool cancel);
  void *unused_294[4];
  void(ORT_API_CALL *GetKeyValuePairs)(const OrtKeyValuePairs *pairs, const char *const **keys,
                                       const char *const **values, size_t *count);
  void *unused_299[2];
  OrtStatus *(ORT_API_CALL *RegisterExecutionProviderLibrary)(OrtEnv *env, const char *name,
                                                              const ORTCHAR_T *path);
  OrtStatus *(ORT_API_CALL *UnregisterExecutionProviderLibrary)(OrtEnv *env, const char *name);
  OrtStatus *(ORT_API_CALL *GetEpDevices)(const OrtEnv *env, const OrtEpDevice *const **devices,
                                          size_t *count);
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_V2)(
      OrtSessionOptions *options, OrtEnv *env, const OrtEpDevice *const *devices,
      size_t device_count, const char *const *keys, const char *const *values, size_t count);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetEpSelectionPolicy)(
      OrtSessionOptions *options, OrtExecutionProviderDevicePolicy policy);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetEpSelectionPolicyDelegate)(
      OrtSessionOptions *options, EpSelectionDelegate delegate, void *state);
  OrtHardwareDeviceType(ORT_API_CALL *HardwareDevice_Type)(const OrtHardwareDevice *device);
  uint32_t(ORT_API_CALL *HardwareDevice_VendorId)(const OrtHardwareDevice *device);
  const char *(ORT_API_CALL *HardwareDevice_Vendor)(const OrtHardwareDevice *device);
  uint32_t(ORT_API_CALL *HardwareDevice_DeviceId)(const OrtHardwareDevice *device);
  const OrtKeyValuePairs *(ORT_API_CALL *HardwareDevice_Metadata)(const OrtHardwareDevice *device);
  const char *(ORT_API_CALL *EpDevice_EpName)(const OrtEpDevice *device);
  const char *(ORT_API_CALL *EpDevice_EpVendor)(const OrtEpDevice *device);
  const OrtKeyValuePairs *(ORT_API_CALL *EpDevice_EpMetadata)(const OrtEpDevice *device);
  const OrtKeyValuePairs *(ORT_API_CALL *EpDevice_EpOptions)(const OrtEpDevice *device);
  const OrtHardwareDevice *(ORT_API_CALL *EpDevice_Device)(const OrtEpDevice *device);
  void *unused_317[3];
  OrtStatus *(ORT_API_CALL *CreateMemoryInfo_V2)(
      const char *name, enum OrtMemoryInfoDeviceType device_type, uint32_t vendor_id,
      int32_t device_id, enum OrtDeviceMemoryType memory_type, size_t alignment,
      enum OrtAllocatorType allocator_type, OrtMemoryInfo **memory);
  OrtDeviceMemoryType(ORT_API_CALL *MemoryInfoGetDeviceMemType)(const OrtMemoryInfo *memory);
  uint32_t(ORT_API_CALL *MemoryInfoGetVendorId)(const OrtMemoryInfo *memory);
  void *unused_323[50];
  const char *(ORT_API_CALL *GetRunConfigEntry)(const OrtRunOptions *options, const char *key);
};

const OrtApiBase *ORT_API_CALL OrtGetApiBase(void);

#ifdef __cplusplus
}
#endif

#endif /* ORT_API_VERSION */

#endif /* ORTMMAP_ORT_ABI_H */
