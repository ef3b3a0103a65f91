/* Made by tools/ort_abi.py from tools/ort_api.txt.
 *
 * The part of ONNX Runtime's function table that ortmmap calls. A program that uses the official
 * header includes it first; its declarations then replace these. */
/* clang-format off */
#ifndef ORTMMAP_ORT_ABI_H
#define ORTMMAP_ORT_ABI_H

#include "ort_types.h"

#include <string.h>

#define ORTMMAP_ORT_API_VERSION 23

#ifdef ORT_API_VERSION

#if ORT_API_VERSION < ORTMMAP_ORT_API_VERSION
#error "ortmmap needs the header of ONNX Runtime 1.23 or newer"
#endif

#else

/* ONNX Runtime appends to the table and changes nothing before its end, so this declaration stops
 * after the last function that is called. unused_N stands for the slots from N on. */
struct OrtApi {
  OrtStatus *(ORT_API_CALL *CreateStatus)(OrtErrorCode code, const char *message);
  OrtErrorCode (ORT_API_CALL *GetErrorCode)(const OrtStatus *status);
  const char *(ORT_API_CALL *GetErrorMessage)(const OrtStatus *status);
  void *unused_3[1];
  OrtStatus *(ORT_API_CALL *CreateEnvWithCustomLogger)(OrtLoggingFunction log, void *param, OrtLoggingLevel severity, const char *log_id, OrtEnv **env);
  OrtStatus *(ORT_API_CALL *EnableTelemetryEvents)(const OrtEnv *env);
  OrtStatus *(ORT_API_CALL *DisableTelemetryEvents)(const OrtEnv *env);
  OrtStatus *(ORT_API_CALL *CreateSession)(const OrtEnv *env, const ORTCHAR_T *path, const OrtSessionOptions *options, OrtSession **session);
  OrtStatus *(ORT_API_CALL *CreateSessionFromArray)(const OrtEnv *env, const void *data, size_t size, const OrtSessionOptions *options, OrtSession **session);
  OrtStatus *(ORT_API_CALL *Run)(OrtSession *session, const OrtRunOptions *options, const char *const *input_names, const OrtValue *const *inputs, size_t input_count, const char *const *output_names, size_t output_count, OrtValue **outputs);
  OrtStatus *(ORT_API_CALL *CreateSessionOptions)(OrtSessionOptions **options);
  OrtStatus *(ORT_API_CALL *SetOptimizedModelFilePath)(OrtSessionOptions *options, const ORTCHAR_T *path);
  void *unused_12[1];
  OrtStatus *(ORT_API_CALL *SetSessionExecutionMode)(OrtSessionOptions *options, ExecutionMode mode);
  OrtStatus *(ORT_API_CALL *EnableProfiling)(OrtSessionOptions *options, const ORTCHAR_T *file_prefix);
  void *unused_15[2];
  OrtStatus *(ORT_API_CALL *DisableMemPattern)(OrtSessionOptions *options);
  void *unused_18[1];
  OrtStatus *(ORT_API_CALL *DisableCpuMemArena)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *SetSessionLogId)(OrtSessionOptions *options, const char *log_id);
  OrtStatus *(ORT_API_CALL *SetSessionLogVerbosityLevel)(OrtSessionOptions *options, int level);
  OrtStatus *(ORT_API_CALL *SetSessionLogSeverityLevel)(OrtSessionOptions *options, int level);
  OrtStatus *(ORT_API_CALL *SetSessionGraphOptimizationLevel)(OrtSessionOptions *options, GraphOptimizationLevel level);
  OrtStatus *(ORT_API_CALL *SetIntraOpNumThreads)(OrtSessionOptions *options, int count);
  OrtStatus *(ORT_API_CALL *SetInterOpNumThreads)(OrtSessionOptions *options, int count);
  void *unused_26[4];
  OrtStatus *(ORT_API_CALL *SessionGetInputCount)(const OrtSession *session, size_t *count);
  OrtStatus *(ORT_API_CALL *SessionGetOutputCount)(const OrtSession *session, size_t *count);
  OrtStatus *(ORT_API_CALL *SessionGetOverridableInitializerCount)(const OrtSession *session, size_t *count);
  OrtStatus *(ORT_API_CALL *SessionGetInputTypeInfo)(const OrtSession *session, size_t index, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *SessionGetOutputTypeInfo)(const OrtSession *session, size_t index, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *SessionGetOverridableInitializerTypeInfo)(const OrtSession *session, size_t index, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *SessionGetInputName)(const OrtSession *session, size_t index, OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *SessionGetOutputName)(const OrtSession *session, size_t index, OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *SessionGetOverridableInitializerName)(const OrtSession *session, size_t index, OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *CreateRunOptions)(OrtRunOptions **options);
  OrtStatus *(ORT_API_CALL *RunOptionsSetRunLogVerbosityLevel)(OrtRunOptions *options, int level);
  OrtStatus *(ORT_API_CALL *RunOptionsSetRunLogSeverityLevel)(OrtRunOptions *options, int level);
  OrtStatus *(ORT_API_CALL *RunOptionsSetRunTag)(OrtRunOptions *options, const char *tag);
  OrtStatus *(ORT_API_CALL *RunOptionsGetRunLogVerbosityLevel)(const OrtRunOptions *options, int *level);
  OrtStatus *(ORT_API_CALL *RunOptionsGetRunLogSeverityLevel)(const OrtRunOptions *options, int *level);
  OrtStatus *(ORT_API_CALL *RunOptionsGetRunTag)(const OrtRunOptions *options, const char **tag);
  OrtStatus *(ORT_API_CALL *RunOptionsSetTerminate)(OrtRunOptions *options);
  OrtStatus *(ORT_API_CALL *RunOptionsUnsetTerminate)(OrtRunOptions *options);
  OrtStatus *(ORT_API_CALL *CreateTensorAsOrtValue)(OrtAllocator *allocator, const int64_t *shape, size_t rank, ONNXTensorElementDataType type, OrtValue **value);
  OrtStatus *(ORT_API_CALL *CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *memory, void *data, size_t size, const int64_t *shape, size_t rank, ONNXTensorElementDataType type, OrtValue **value);
  void *unused_50[1];
  OrtStatus *(ORT_API_CALL *GetTensorMutableData)(OrtValue *value, void **data);
  void *unused_52[1];
  OrtStatus *(ORT_API_CALL *GetStringTensorDataLength)(const OrtValue *value, size_t *size);
  OrtStatus *(ORT_API_CALL *GetStringTensorContent)(const OrtValue *value, void *data, size_t size, size_t *offsets, size_t offset_count);
  OrtStatus *(ORT_API_CALL *CastTypeInfoToTensorInfo)(const OrtTypeInfo *type, const OrtTensorTypeAndShapeInfo **tensor_type);
  OrtStatus *(ORT_API_CALL *GetOnnxTypeFromTypeInfo)(const OrtTypeInfo *type, ONNXType *onnx_type);
  void *unused_57[3];
  OrtStatus *(ORT_API_CALL *GetTensorElementType)(const OrtTensorTypeAndShapeInfo *info, ONNXTensorElementDataType *type);
  OrtStatus *(ORT_API_CALL *GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *info, size_t *rank);
  OrtStatus *(ORT_API_CALL *GetDimensions)(const OrtTensorTypeAndShapeInfo *info, int64_t *dimensions, size_t rank);
  OrtStatus *(ORT_API_CALL *GetSymbolicDimensions)(const OrtTensorTypeAndShapeInfo *info, const char **names, size_t rank);
  void *unused_64[1];
  OrtStatus *(ORT_API_CALL *GetTensorTypeAndShape)(const OrtValue *value, OrtTensorTypeAndShapeInfo **info);
  OrtStatus *(ORT_API_CALL *GetTypeInfo)(const OrtValue *value, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *GetValueType)(const OrtValue *value, ONNXType *type);
  OrtStatus *(ORT_API_CALL *CreateMemoryInfo)(const char *name, OrtAllocatorType type, int device_id, OrtMemType memory_type, OrtMemoryInfo **memory);
  OrtStatus *(ORT_API_CALL *CreateCpuMemoryInfo)(OrtAllocatorType type, OrtMemType memory_type, OrtMemoryInfo **memory);
  void *unused_70[1];
  OrtStatus *(ORT_API_CALL *MemoryInfoGetName)(const OrtMemoryInfo *memory, const char **name);
  OrtStatus *(ORT_API_CALL *MemoryInfoGetId)(const OrtMemoryInfo *memory, int *device_id);
  OrtStatus *(ORT_API_CALL *MemoryInfoGetMemType)(const OrtMemoryInfo *memory, OrtMemType *type);
  OrtStatus *(ORT_API_CALL *MemoryInfoGetType)(const OrtMemoryInfo *memory, OrtAllocatorType *type);
  void *unused_75[1];
  OrtStatus *(ORT_API_CALL *AllocatorFree)(OrtAllocator *allocator, void *block);
  void *unused_77[1];
  OrtStatus *(ORT_API_CALL *GetAllocatorWithDefaultOptions)(OrtAllocator **allocator);
  OrtStatus *(ORT_API_CALL *AddFreeDimensionOverride)(OrtSessionOptions *options, const char *denotation, int64_t size);
  OrtStatus *(ORT_API_CALL *GetValue)(const OrtValue *value, int index, OrtAllocator *allocator, OrtValue **item);
  OrtStatus *(ORT_API_CALL *GetValueCount)(const OrtValue *value, size_t *count);
  OrtStatus *(ORT_API_CALL *CreateValue)(const OrtValue *const *items, size_t count, ONNXType type, OrtValue **value);
  void *unused_83[10];
  void (ORT_API_CALL *ReleaseStatus)(OrtStatus *status);
  void (ORT_API_CALL *ReleaseMemoryInfo)(OrtMemoryInfo *memory);
  void (ORT_API_CALL *ReleaseSession)(OrtSession *session);
  void (ORT_API_CALL *ReleaseValue)(OrtValue *value);
  void (ORT_API_CALL *ReleaseRunOptions)(OrtRunOptions *options);
  void (ORT_API_CALL *ReleaseTypeInfo)(OrtTypeInfo *type);
  void (ORT_API_CALL *ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *info);
  void (ORT_API_CALL *ReleaseSessionOptions)(OrtSessionOptions *options);
  void *unused_101[2];
  OrtStatus *(ORT_API_CALL *CastTypeInfoToMapTypeInfo)(const OrtTypeInfo *type, const OrtMapTypeInfo **map_type);
  OrtStatus *(ORT_API_CALL *CastTypeInfoToSequenceTypeInfo)(const OrtTypeInfo *type, const OrtSequenceTypeInfo **sequence_type);
  OrtStatus *(ORT_API_CALL *GetMapKeyType)(const OrtMapTypeInfo *map_type, ONNXTensorElementDataType *type);
  OrtStatus *(ORT_API_CALL *GetMapValueType)(const OrtMapTypeInfo *map_type, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *GetSequenceElementType)(const OrtSequenceTypeInfo *sequence_type, OrtTypeInfo **type);
  void *unused_108[2];
  OrtStatus *(ORT_API_CALL *SessionEndProfiling)(OrtSession *session, OrtAllocator *allocator, char **path);
  OrtStatus *(ORT_API_CALL *SessionGetModelMetadata)(const OrtSession *session, OrtModelMetadata **metadata);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetProducerName)(const OrtModelMetadata *metadata, OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetGraphName)(const OrtModelMetadata *metadata, OrtAllocator *allocator, char **name);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetDomain)(const OrtModelMetadata *metadata, OrtAllocator *allocator, char **domain);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetDescription)(const OrtModelMetadata *metadata, OrtAllocator *allocator, char **description);
  OrtStatus *(ORT_API_CALL *ModelMetadataLookupCustomMetadataMap)(const OrtModelMetadata *metadata, OrtAllocator *allocator, const char *key, char **value);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetVersion)(const OrtModelMetadata *metadata, int64_t *version);
  void (ORT_API_CALL *ReleaseModelMetadata)(OrtModelMetadata *metadata);
  void *unused_119[1];
  OrtStatus *(ORT_API_CALL *DisablePerSessionThreads)(OrtSessionOptions *options);
  OrtStatus *(ORT_API_CALL *CreateThreadingOptions)(OrtThreadingOptions **threading);
  void (ORT_API_CALL *ReleaseThreadingOptions)(OrtThreadingOptions *threading);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetCustomMetadataMapKeys)(const OrtModelMetadata *metadata, OrtAllocator *allocator, char ***keys, int64_t *count);
  OrtStatus *(ORT_API_CALL *AddFreeDimensionOverrideByName)(OrtSessionOptions *options, const char *name, int64_t size);
  OrtStatus *(ORT_API_CALL *GetAvailableProviders)(char ***names, int *count);
  OrtStatus *(ORT_API_CALL *ReleaseAvailableProviders)(char **names, int count);
  void *unused_127[3];
  OrtStatus *(ORT_API_CALL *AddSessionConfigEntry)(OrtSessionOptions *options, const char *key, const char *value);
  OrtStatus *(ORT_API_CALL *CreateAllocator)(const OrtSession *session, const OrtMemoryInfo *memory, OrtAllocator **allocator);
  void *unused_132[1];
  OrtStatus *(ORT_API_CALL *RunWithBinding)(OrtSession *session, const OrtRunOptions *options, const OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *CreateIoBinding)(OrtSession *session, OrtIoBinding **binding);
  void (ORT_API_CALL *ReleaseIoBinding)(OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *BindInput)(OrtIoBinding *binding, const char *name, const OrtValue *value);
  OrtStatus *(ORT_API_CALL *BindOutput)(OrtIoBinding *binding, const char *name, const OrtValue *value);
  OrtStatus *(ORT_API_CALL *BindOutputToDevice)(OrtIoBinding *binding, const char *name, const OrtMemoryInfo *memory);
  void *unused_139[1];
  OrtStatus *(ORT_API_CALL *GetBoundOutputValues)(const OrtIoBinding *binding, OrtAllocator *allocator, OrtValue ***values, size_t *count);
  void (ORT_API_CALL *ClearBoundInputs)(OrtIoBinding *binding);
  void (ORT_API_CALL *ClearBoundOutputs)(OrtIoBinding *binding);
  void *unused_143[1];
  OrtStatus *(ORT_API_CALL *CreateAndRegisterAllocator)(OrtEnv *env, const OrtMemoryInfo *memory, const OrtArenaCfg *arena);
  void *unused_145[1];
  OrtStatus *(ORT_API_CALL *SessionGetProfilingStartTimeNs)(const OrtSession *session, uint64_t *start);
  OrtStatus *(ORT_API_CALL *SetGlobalIntraOpNumThreads)(OrtThreadingOptions *threading, int count);
  OrtStatus *(ORT_API_CALL *SetGlobalInterOpNumThreads)(OrtThreadingOptions *threading, int count);
  void *unused_149[1];
  OrtStatus *(ORT_API_CALL *AddInitializer)(OrtSessionOptions *options, const char *name, const OrtValue *value);
  OrtStatus *(ORT_API_CALL *CreateEnvWithCustomLoggerAndGlobalThreadPools)(OrtLoggingFunction log, void *param, OrtLoggingLevel severity, const char *log_id, const OrtThreadingOptions *threading, OrtEnv **env);
  void *unused_152[1];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_ROCM)(OrtSessionOptions *options, const OrtROCMProviderOptions *provider_options);
  void *unused_154[3];
  void (ORT_API_CALL *ReleaseArenaCfg)(OrtArenaCfg *arena);
  OrtStatus *(ORT_API_CALL *ModelMetadataGetGraphDescription)(const OrtModelMetadata *metadata, OrtAllocator *allocator, char **description);
  void *unused_159[5];
  OrtStatus *(ORT_API_CALL *CreateArenaCfgV2)(const char *const *keys, const size_t *values, size_t count, OrtArenaCfg **arena);
  OrtStatus *(ORT_API_CALL *AddRunConfigEntry)(OrtRunOptions *options, const char *key, const char *value);
  void *unused_166[4];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_TensorRT_V2)(OrtSessionOptions *options, const OrtTensorRTProviderOptionsV2 *provider_options);
  OrtStatus *(ORT_API_CALL *CreateTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 **provider_options);
  OrtStatus *(ORT_API_CALL *UpdateTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 *provider_options, const char *const *keys, const char *const *values, size_t count);
  void *unused_173[1];
  void (ORT_API_CALL *ReleaseTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 *provider_options);
  void *unused_175[1];
  OrtStatus *(ORT_API_CALL *RegisterAllocator)(OrtEnv *env, OrtAllocator *allocator);
  OrtStatus *(ORT_API_CALL *UnregisterAllocator)(OrtEnv *env, const OrtMemoryInfo *memory);
  void *unused_178[1];
  OrtStatus *(ORT_API_CALL *CreateSparseTensorAsOrtValue)(OrtAllocator *allocator, const int64_t *shape, size_t rank, ONNXTensorElementDataType type, OrtValue **value);
  OrtStatus *(ORT_API_CALL *FillSparseTensorCoo)(OrtValue *value, const OrtMemoryInfo *memory, const int64_t *values_shape, size_t values_rank, const void *values, const int64_t *indices, size_t count);
  OrtStatus *(ORT_API_CALL *FillSparseTensorCsr)(OrtValue *value, const OrtMemoryInfo *memory, const int64_t *values_shape, size_t values_rank, const void *values, const int64_t *inner, size_t inner_count, const int64_t *outer, size_t outer_count);
  void *unused_182[1];
  OrtStatus *(ORT_API_CALL *CreateSparseTensorWithValuesAsOrtValue)(const OrtMemoryInfo *memory, void *data, const int64_t *shape, size_t rank, const int64_t *values_shape, size_t values_rank, ONNXTensorElementDataType type, OrtValue **value);
  OrtStatus *(ORT_API_CALL *UseCooIndices)(OrtValue *value, int64_t *indices, size_t count);
  OrtStatus *(ORT_API_CALL *UseCsrIndices)(OrtValue *value, int64_t *inner, size_t inner_count, int64_t *outer, size_t outer_count);
  void *unused_186[1];
  OrtStatus *(ORT_API_CALL *GetSparseTensorFormat)(const OrtValue *value, OrtSparseFormat *format);
  OrtStatus *(ORT_API_CALL *GetSparseTensorValuesTypeAndShape)(const OrtValue *value, OrtTensorTypeAndShapeInfo **info);
  OrtStatus *(ORT_API_CALL *GetSparseTensorValues)(const OrtValue *value, const void **data);
  OrtStatus *(ORT_API_CALL *GetSparseTensorIndicesTypeShape)(const OrtValue *value, enum OrtSparseIndicesFormat format, OrtTensorTypeAndShapeInfo **info);
  OrtStatus *(ORT_API_CALL *GetSparseTensorIndices)(const OrtValue *value, enum OrtSparseIndicesFormat format, size_t *count, const void **indices);
  OrtStatus *(ORT_API_CALL *HasValue)(const OrtValue *value, int *answer);
  void *unused_193[3];
  OrtStatus *(ORT_API_CALL *SessionOptionsSetCustomCreateThreadFn)(OrtSessionOptions *options, OrtCustomCreateThreadFn create);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetCustomThreadCreationOptions)(OrtSessionOptions *options, void *creation_options);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetCustomJoinThreadFn)(OrtSessionOptions *options, OrtCustomJoinThreadFn join);
  void *unused_199[3];
  OrtStatus *(ORT_API_CALL *SynchronizeBoundInputs)(OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *SynchronizeBoundOutputs)(OrtIoBinding *binding);
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_CUDA_V2)(OrtSessionOptions *options, const OrtCUDAProviderOptionsV2 *provider_options);
  OrtStatus *(ORT_API_CALL *CreateCUDAProviderOptions)(OrtCUDAProviderOptionsV2 **provider_options);
  OrtStatus *(ORT_API_CALL *UpdateCUDAProviderOptions)(OrtCUDAProviderOptionsV2 *provider_options, const char *const *keys, const char *const *values, size_t count);
  void *unused_207[1];
  void (ORT_API_CALL *ReleaseCUDAProviderOptions)(OrtCUDAProviderOptionsV2 *provider_options);
  void *unused_209[1];
  OrtStatus *(ORT_API_CALL *AddExternalInitializers)(OrtSessionOptions *options, const char *const *names, const OrtValue *const *values, size_t count);
  void *unused_211[5];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider)(OrtSessionOptions *options, const char *provider, const char *const *keys, const char *const *values, size_t count);
  void *unused_217[3];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_CANN)(OrtSessionOptions *options, const OrtCANNProviderOptions *provider_options);
  OrtStatus *(ORT_API_CALL *CreateCANNProviderOptions)(OrtCANNProviderOptions **provider_options);
  OrtStatus *(ORT_API_CALL *UpdateCANNProviderOptions)(OrtCANNProviderOptions *provider_options, const char *const *keys, const char *const *values, size_t count);
  void *unused_223[1];
  void (ORT_API_CALL *ReleaseCANNProviderOptions)(OrtCANNProviderOptions *provider_options);
  void (ORT_API_CALL *MemoryInfoGetDeviceType)(const OrtMemoryInfo *memory, OrtMemoryInfoDeviceType *type);
  OrtStatus *(ORT_API_CALL *UpdateEnvWithCustomLogLevel)(OrtEnv *env, OrtLoggingLevel severity);
  void *unused_227[1];
  OrtStatus *(ORT_API_CALL *RegisterCustomOpsLibrary_V2)(OrtSessionOptions *options, const ORTCHAR_T *path);
  void *unused_229[10];
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_Dnnl)(OrtSessionOptions *options, const OrtDnnlProviderOptions *provider_options);
  OrtStatus *(ORT_API_CALL *CreateDnnlProviderOptions)(OrtDnnlProviderOptions **provider_options);
  OrtStatus *(ORT_API_CALL *UpdateDnnlProviderOptions)(OrtDnnlProviderOptions *provider_options, const char *const *keys, const char *const *values, size_t count);
  void *unused_242[1];
  void (ORT_API_CALL *ReleaseDnnlProviderOptions)(OrtDnnlProviderOptions *provider_options);
  void *unused_244[6];
  OrtStatus *(ORT_API_CALL *CastTypeInfoToOptionalTypeInfo)(const OrtTypeInfo *type, const OrtOptionalTypeInfo **optional_type);
  OrtStatus *(ORT_API_CALL *GetOptionalContainedTypeInfo)(const OrtOptionalTypeInfo *optional_type, OrtTypeInfo **type);
  OrtStatus *(ORT_API_CALL *GetResizedStringTensorElementBuffer)(OrtValue *value, size_t index, size_t size, char **buffer);
  void *unused_253[1];
  const char *(ORT_API_CALL *GetBuildInfoString)(void);
  OrtStatus *(ORT_API_CALL *CreateROCMProviderOptions)(OrtROCMProviderOptions **provider_options);
  OrtStatus *(ORT_API_CALL *UpdateROCMProviderOptions)(OrtROCMProviderOptions *provider_options, const char *const *keys, const char *const *values, size_t count);
  void *unused_257[1];
  void (ORT_API_CALL *ReleaseROCMProviderOptions)(OrtROCMProviderOptions *provider_options);
  OrtStatus *(ORT_API_CALL *CreateAndRegisterAllocatorV2)(OrtEnv *env, const char *provider, const OrtMemoryInfo *memory, const OrtArenaCfg *arena, const char *const *keys, const char *const *values, size_t count);
  OrtStatus *(ORT_API_CALL *RunAsync)(OrtSession *session, const OrtRunOptions *options, const char *const *input_names, const OrtValue *const *inputs, size_t input_count, const char *const *output_names, size_t output_count, OrtValue **outputs, RunAsyncCallbackFn callback, void *user_data);
  void *unused_261[12];
  OrtStatus *(ORT_API_CALL *SetDeterministicCompute)(OrtSessionOptions *options, bool enabled);
  void *unused_274[5];
  OrtStatus *(ORT_API_CALL *AddExternalInitializersFromFilesInMemory)(OrtSessionOptions *options, const ORTCHAR_T *const *names, char *const *buffers, const size_t *sizes, size_t count);
  OrtStatus *(ORT_API_CALL *CreateLoraAdapter)(const ORTCHAR_T *path, OrtAllocator *allocator, OrtLoraAdapter **adapter);
  void *unused_281[1];
  void (ORT_API_CALL *ReleaseLoraAdapter)(OrtLoraAdapter *adapter);
  OrtStatus *(ORT_API_CALL *RunOptionsAddActiveLoraAdapter)(OrtRunOptions *options, const OrtLoraAdapter *adapter);
  OrtStatus *(ORT_API_CALL *SetEpDynamicOptions)(OrtSession *session, const char *const *keys, const char *const *values, size_t count);
  void *unused_285[8];
  OrtStatus *(ORT_API_CALL *SessionOptionsSetLoadCancellationFlag)(OrtSessionOptions *options, bool cancel);
  void *unused_294[4];
  void (ORT_API_CALL *GetKeyValuePairs)(const OrtKeyValuePairs *pairs, const char *const **keys, const char *const **values, size_t *count);
  void *unused_299[2];
  OrtStatus *(ORT_API_CALL *RegisterExecutionProviderLibrary)(OrtEnv *env, const char *name, const ORTCHAR_T *path);
  OrtStatus *(ORT_API_CALL *UnregisterExecutionProviderLibrary)(OrtEnv *env, const char *name);
  OrtStatus *(ORT_API_CALL *GetEpDevices)(const OrtEnv *env, const OrtEpDevice *const **devices, size_t *count);
  OrtStatus *(ORT_API_CALL *SessionOptionsAppendExecutionProvider_V2)(OrtSessionOptions *options, OrtEnv *env, const OrtEpDevice *const *devices, size_t device_count, const char *const *keys, const char *const *values, size_t count);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetEpSelectionPolicy)(OrtSessionOptions *options, OrtExecutionProviderDevicePolicy policy);
  OrtStatus *(ORT_API_CALL *SessionOptionsSetEpSelectionPolicyDelegate)(OrtSessionOptions *options, EpSelectionDelegate delegate, void *state);
  OrtHardwareDeviceType (ORT_API_CALL *HardwareDevice_Type)(const OrtHardwareDevice *device);
  uint32_t (ORT_API_CALL *HardwareDevice_VendorId)(const OrtHardwareDevice *device);
  const char *(ORT_API_CALL *HardwareDevice_Vendor)(const OrtHardwareDevice *device);
  uint32_t (ORT_API_CALL *HardwareDevice_DeviceId)(const OrtHardwareDevice *device);
  const OrtKeyValuePairs *(ORT_API_CALL *HardwareDevice_Metadata)(const OrtHardwareDevice *device);
  const char *(ORT_API_CALL *EpDevice_EpName)(const OrtEpDevice *device);
  const char *(ORT_API_CALL *EpDevice_EpVendor)(const OrtEpDevice *device);
  const OrtKeyValuePairs *(ORT_API_CALL *EpDevice_EpMetadata)(const OrtEpDevice *device);
  const OrtKeyValuePairs *(ORT_API_CALL *EpDevice_EpOptions)(const OrtEpDevice *device);
  const OrtHardwareDevice *(ORT_API_CALL *EpDevice_Device)(const OrtEpDevice *device);
  void *unused_317[3];
  OrtStatus *(ORT_API_CALL *CreateMemoryInfo_V2)(const char *name, OrtMemoryInfoDeviceType device_type, uint32_t vendor_id, int32_t device_id, OrtDeviceMemoryType memory_type, size_t alignment, OrtAllocatorType allocator_type, OrtMemoryInfo **memory);
  OrtDeviceMemoryType (ORT_API_CALL *MemoryInfoGetDeviceMemType)(const OrtMemoryInfo *memory);
  uint32_t (ORT_API_CALL *MemoryInfoGetVendorId)(const OrtMemoryInfo *memory);
  void *unused_323[57];
  OrtStatus *(ORT_API_CALL *SessionGetMemoryInfoForInputs)(const OrtSession *session, const OrtMemoryInfo **memory, size_t count);
  OrtStatus *(ORT_API_CALL *SessionGetMemoryInfoForOutputs)(const OrtSession *session, const OrtMemoryInfo **memory, size_t count);
  OrtStatus *(ORT_API_CALL *SessionGetEpDeviceForInputs)(const OrtSession *session, const OrtEpDevice **devices, size_t count);
};

#endif /* ORT_API_VERSION */

/* Functions of later API versions; NULL if the library lacks them. The layout is ortmmap's own. */
typedef struct ortmmap_newer_api {
  OrtStatus *(ORT_API_CALL *Session_GetEpGraphAssignmentInfo)(const OrtSession *session, const OrtEpAssignedSubgraph *const **subgraphs, size_t *count);
  OrtStatus *(ORT_API_CALL *EpAssignedSubgraph_GetEpName)(const OrtEpAssignedSubgraph *subgraph, const char **name);
  OrtStatus *(ORT_API_CALL *EpAssignedSubgraph_GetNodes)(const OrtEpAssignedSubgraph *subgraph, const OrtEpAssignedNode *const **nodes, size_t *count);
  OrtStatus *(ORT_API_CALL *EpAssignedNode_GetName)(const OrtEpAssignedNode *node, const char **name);
  OrtStatus *(ORT_API_CALL *EpAssignedNode_GetDomain)(const OrtEpAssignedNode *node, const char **domain);
  OrtStatus *(ORT_API_CALL *EpAssignedNode_GetOperatorType)(const OrtEpAssignedNode *node, const char **operator_type);
  OrtStatus *(ORT_API_CALL *GetTensorElementTypeAndShapeDataReference)(const OrtValue *value, ONNXTensorElementDataType *type, const int64_t **shape, size_t *rank);
} ortmmap_newer_api;

/* `version` is the API version of the library: 24 for ONNX Runtime 1.24. GetApi prints a complaint
 * if it is asked for a later one. */
static inline void ortmmap_newer_api_load(const OrtApiBase *base, long version,
                                          ortmmap_newer_api *newer) {
  const char *table;
  memset(newer, 0, sizeof *newer);
  table = version < 24 ? NULL : (const char *)base->GetApi(24);
  if (table != NULL) {
    memcpy(&newer->Session_GetEpGraphAssignmentInfo, table + 407 * sizeof(void *), sizeof(void *));
    memcpy(&newer->EpAssignedSubgraph_GetEpName, table + 408 * sizeof(void *), sizeof(void *));
    memcpy(&newer->EpAssignedSubgraph_GetNodes, table + 409 * sizeof(void *), sizeof(void *));
    memcpy(&newer->EpAssignedNode_GetName, table + 410 * sizeof(void *), sizeof(void *));
    memcpy(&newer->EpAssignedNode_GetDomain, table + 411 * sizeof(void *), sizeof(void *));
    memcpy(&newer->EpAssignedNode_GetOperatorType, table + 412 * sizeof(void *), sizeof(void *));
    memcpy(&newer->GetTensorElementTypeAndShapeDataReference, table + 414 * sizeof(void *), sizeof(void *));
  }
}

#endif /* ORTMMAP_ORT_ABI_H */
