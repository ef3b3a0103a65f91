"""ONNX Runtime's C API. Made by tools/ort_abi.py from tools/ort_api.txt and ort_types.h."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef extern from "ortmmap/ort_abi.h" nogil:
    enum:
        ORTMMAP_ORT_API_VERSION

    ctypedef char ORTCHAR_T

    ctypedef enum ONNXTensorElementDataType:
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
        ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING
        ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
        ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64
        ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64
        ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128
        ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FN
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E4M3FNUZ
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT8E5M2FNUZ
        ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT4
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4

    ctypedef enum ONNXType:
        ONNX_TYPE_UNKNOWN
        ONNX_TYPE_TENSOR
        ONNX_TYPE_SEQUENCE
        ONNX_TYPE_MAP
        ONNX_TYPE_OPAQUE
        ONNX_TYPE_SPARSETENSOR
        ONNX_TYPE_OPTIONAL

    ctypedef enum OrtSparseFormat:
        ORT_SPARSE_UNDEFINED
        ORT_SPARSE_COO
        ORT_SPARSE_CSRC
        ORT_SPARSE_BLOCK_SPARSE

    enum OrtSparseIndicesFormat:
        ORT_SPARSE_COO_INDICES
        ORT_SPARSE_CSR_INNER_INDICES
        ORT_SPARSE_CSR_OUTER_INDICES
        ORT_SPARSE_BLOCK_SPARSE_INDICES

    ctypedef enum OrtLoggingLevel:
        ORT_LOGGING_LEVEL_VERBOSE
        ORT_LOGGING_LEVEL_INFO
        ORT_LOGGING_LEVEL_WARNING
        ORT_LOGGING_LEVEL_ERROR
        ORT_LOGGING_LEVEL_FATAL

    ctypedef enum OrtErrorCode:
        ORT_OK
        ORT_FAIL
        ORT_INVALID_ARGUMENT
        ORT_NO_SUCHFILE
        ORT_NO_MODEL
        ORT_ENGINE_ERROR
        ORT_RUNTIME_EXCEPTION
        ORT_INVALID_PROTOBUF
        ORT_MODEL_LOADED
        ORT_NOT_IMPLEMENTED
        ORT_INVALID_GRAPH
        ORT_EP_FAIL
        ORT_MODEL_LOAD_CANCELED
        ORT_MODEL_REQUIRES_COMPILATION
        ORT_NOT_FOUND

    ctypedef enum GraphOptimizationLevel:
        ORT_DISABLE_ALL
        ORT_ENABLE_BASIC
        ORT_ENABLE_EXTENDED
        ORT_ENABLE_LAYOUT
        ORT_ENABLE_ALL

    ctypedef enum ExecutionMode:
        ORT_SEQUENTIAL
        ORT_PARALLEL

    ctypedef enum OrtAllocatorType:
        OrtInvalidAllocator
        OrtDeviceAllocator
        OrtArenaAllocator
        OrtReadOnlyAllocator

    ctypedef enum OrtMemType:
        OrtMemTypeCPUInput
        OrtMemTypeCPUOutput
        OrtMemTypeCPU
        OrtMemTypeDefault

    ctypedef enum OrtExecutionProviderDevicePolicy:
        OrtExecutionProviderDevicePolicy_DEFAULT
        OrtExecutionProviderDevicePolicy_PREFER_CPU
        OrtExecutionProviderDevicePolicy_PREFER_NPU
        OrtExecutionProviderDevicePolicy_PREFER_GPU
        OrtExecutionProviderDevicePolicy_MAX_PERFORMANCE
        OrtExecutionProviderDevicePolicy_MAX_EFFICIENCY
        OrtExecutionProviderDevicePolicy_MIN_OVERALL_POWER

    ctypedef enum OrtHardwareDeviceType:
        OrtHardwareDeviceType_CPU
        OrtHardwareDeviceType_GPU
        OrtHardwareDeviceType_NPU

    ctypedef enum OrtMemoryInfoDeviceType:
        OrtMemoryInfoDeviceType_CPU
        OrtMemoryInfoDeviceType_GPU
        OrtMemoryInfoDeviceType_FPGA
        OrtMemoryInfoDeviceType_NPU

    ctypedef enum OrtDeviceMemoryType:
        OrtDeviceMemoryType_DEFAULT
        OrtDeviceMemoryType_HOST_ACCESSIBLE

    ctypedef struct OrtArenaCfg:
        pass
    ctypedef struct OrtCANNProviderOptions:
        pass
    ctypedef struct OrtCUDAProviderOptionsV2:
        pass
    ctypedef struct OrtDnnlProviderOptions:
        pass
    ctypedef struct OrtEnv:
        pass
    ctypedef struct OrtEpDevice:
        pass
    ctypedef struct OrtHardwareDevice:
        pass
    ctypedef struct OrtIoBinding:
        pass
    ctypedef struct OrtKeyValuePairs:
        pass
    ctypedef struct OrtLoraAdapter:
        pass
    ctypedef struct OrtMapTypeInfo:
        pass
    ctypedef struct OrtMemoryInfo:
        pass
    ctypedef struct OrtModelMetadata:
        pass
    ctypedef struct OrtOptionalTypeInfo:
        pass
    ctypedef struct OrtROCMProviderOptions:
        pass
    ctypedef struct OrtRunOptions:
        pass
    ctypedef struct OrtSequenceTypeInfo:
        pass
    ctypedef struct OrtSession:
        pass
    ctypedef struct OrtSessionOptions:
        pass
    ctypedef struct OrtStatus:
        pass
    ctypedef struct OrtSyncStream:
        pass
    ctypedef struct OrtTensorRTProviderOptionsV2:
        pass
    ctypedef struct OrtTensorTypeAndShapeInfo:
        pass
    ctypedef struct OrtThreadingOptions:
        pass
    ctypedef struct OrtTypeInfo:
        pass
    ctypedef struct OrtValue:
        pass
    ctypedef struct OrtEpAssignedNode:
        pass
    ctypedef struct OrtEpAssignedSubgraph:
        pass

    ctypedef struct OrtApi

    struct OrtCustomHandleType:
        pass

    ctypedef const OrtCustomHandleType *OrtCustomThreadHandle

    ctypedef void (*OrtLoggingFunction)(
        void *, OrtLoggingLevel, const char *, const char *, const char *, const char *
    ) noexcept nogil
    ctypedef void (*RunAsyncCallbackFn)(void *, OrtValue **, size_t, OrtStatus *) noexcept nogil
    ctypedef OrtStatus *(*EpSelectionDelegate)(
        const OrtEpDevice **, size_t, const OrtKeyValuePairs *, const OrtKeyValuePairs *,
        const OrtEpDevice **, size_t, size_t *, void *
    ) noexcept nogil
    ctypedef void (*OrtThreadWorkerFn)(void *) noexcept nogil
    ctypedef OrtCustomThreadHandle (*OrtCustomCreateThreadFn)(
        void *, OrtThreadWorkerFn, void *
    ) noexcept nogil
    ctypedef void (*OrtCustomJoinThreadFn)(OrtCustomThreadHandle) noexcept nogil

    ctypedef struct OrtAllocator:
        uint32_t version
        void *(*Alloc)(OrtAllocator *, size_t) noexcept nogil
        void (*Free)(OrtAllocator *, void *) noexcept nogil
        const OrtMemoryInfo *(*Info)(const OrtAllocator *) noexcept nogil
        void *(*Reserve)(OrtAllocator *, size_t) noexcept nogil
        OrtStatus *(*GetStats)(const OrtAllocator *, OrtKeyValuePairs **) noexcept nogil
        void *(*AllocOnStream)(OrtAllocator *, size_t, OrtSyncStream *) noexcept nogil

    ctypedef struct OrtApiBase:
        const OrtApi *(*GetApi)(uint32_t) noexcept nogil
        const char *(*GetVersionString)() noexcept nogil

    ctypedef struct OrtApi:
        OrtStatus *(*CreateStatus)(OrtErrorCode, const char *) noexcept nogil
        OrtErrorCode (*GetErrorCode)(const OrtStatus *) noexcept nogil
        const char *(*GetErrorMessage)(const OrtStatus *) noexcept nogil
        OrtStatus *(*CreateEnvWithCustomLogger)(
            OrtLoggingFunction, void *, OrtLoggingLevel, const char *, OrtEnv **
        ) noexcept nogil
        OrtStatus *(*EnableTelemetryEvents)(const OrtEnv *) noexcept nogil
        OrtStatus *(*DisableTelemetryEvents)(const OrtEnv *) noexcept nogil
        OrtStatus *(*CreateSession)(
            const OrtEnv *, const ORTCHAR_T *, const OrtSessionOptions *, OrtSession **
        ) noexcept nogil
        OrtStatus *(*CreateSessionFromArray)(
            const OrtEnv *, const void *, size_t, const OrtSessionOptions *, OrtSession **
        ) noexcept nogil
        OrtStatus *(*Run)(
            OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *,
            size_t, const char *const *, size_t, OrtValue **
        ) noexcept nogil
        OrtStatus *(*CreateSessionOptions)(OrtSessionOptions **) noexcept nogil
        OrtStatus *(*SetOptimizedModelFilePath)(
            OrtSessionOptions *, const ORTCHAR_T *
        ) noexcept nogil
        OrtStatus *(*SetSessionExecutionMode)(OrtSessionOptions *, ExecutionMode) noexcept nogil
        OrtStatus *(*EnableProfiling)(OrtSessionOptions *, const ORTCHAR_T *) noexcept nogil
        OrtStatus *(*DisableMemPattern)(OrtSessionOptions *) noexcept nogil
        OrtStatus *(*DisableCpuMemArena)(OrtSessionOptions *) noexcept nogil
        OrtStatus *(*SetSessionLogId)(OrtSessionOptions *, const char *) noexcept nogil
        OrtStatus *(*SetSessionLogVerbosityLevel)(OrtSessionOptions *, int) noexcept nogil
        OrtStatus *(*SetSessionLogSeverityLevel)(OrtSessionOptions *, int) noexcept nogil
        OrtStatus *(*SetSessionGraphOptimizationLevel)(
            OrtSessionOptions *, GraphOptimizationLevel
        ) noexcept nogil
        OrtStatus *(*SetIntraOpNumThreads)(OrtSessionOptions *, int) noexcept nogil
        OrtStatus *(*SetInterOpNumThreads)(OrtSessionOptions *, int) noexcept nogil
        OrtStatus *(*SessionGetInputCount)(const OrtSession *, size_t *) noexcept nogil
        OrtStatus *(*SessionGetOutputCount)(const OrtSession *, size_t *) noexcept nogil
        OrtStatus *(*SessionGetOverridableInitializerCount)(
            const OrtSession *, size_t *
        ) noexcept nogil
        OrtStatus *(*SessionGetInputTypeInfo)(
            const OrtSession *, size_t, OrtTypeInfo **
        ) noexcept nogil
        OrtStatus *(*SessionGetOutputTypeInfo)(
            const OrtSession *, size_t, OrtTypeInfo **
        ) noexcept nogil
        OrtStatus *(*SessionGetOverridableInitializerTypeInfo)(
            const OrtSession *, size_t, OrtTypeInfo **
        ) noexcept nogil
        OrtStatus *(*SessionGetInputName)(
            const OrtSession *, size_t, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*SessionGetOutputName)(
            const OrtSession *, size_t, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*SessionGetOverridableInitializerName)(
            const OrtSession *, size_t, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*CreateRunOptions)(OrtRunOptions **) noexcept nogil
        OrtStatus *(*RunOptionsSetRunLogVerbosityLevel)(OrtRunOptions *, int) noexcept nogil
        OrtStatus *(*RunOptionsSetRunLogSeverityLevel)(OrtRunOptions *, int) noexcept nogil
        OrtStatus *(*RunOptionsSetRunTag)(OrtRunOptions *, const char *) noexcept nogil
        OrtStatus *(*RunOptionsGetRunLogVerbosityLevel)(const OrtRunOptions *, int *) noexcept nogil
        OrtStatus *(*RunOptionsGetRunLogSeverityLevel)(const OrtRunOptions *, int *) noexcept nogil
        OrtStatus *(*RunOptionsGetRunTag)(const OrtRunOptions *, const char **) noexcept nogil
        OrtStatus *(*RunOptionsSetTerminate)(OrtRunOptions *) noexcept nogil
        OrtStatus *(*RunOptionsUnsetTerminate)(OrtRunOptions *) noexcept nogil
        OrtStatus *(*CreateTensorAsOrtValue)(
            OrtAllocator *, const int64_t *, size_t, ONNXTensorElementDataType, OrtValue **
        ) noexcept nogil
        OrtStatus *(*CreateTensorWithDataAsOrtValue)(
            const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t,
            ONNXTensorElementDataType, OrtValue **
        ) noexcept nogil
        OrtStatus *(*GetTensorMutableData)(OrtValue *, void **) noexcept nogil
        OrtStatus *(*GetStringTensorDataLength)(const OrtValue *, size_t *) noexcept nogil
        OrtStatus *(*GetStringTensorContent)(
            const OrtValue *, void *, size_t, size_t *, size_t
        ) noexcept nogil
        OrtStatus *(*CastTypeInfoToTensorInfo)(
            const OrtTypeInfo *, const OrtTensorTypeAndShapeInfo **
        ) noexcept nogil
        OrtStatus *(*GetOnnxTypeFromTypeInfo)(const OrtTypeInfo *, ONNXType *) noexcept nogil
        OrtStatus *(*GetTensorElementType)(
            const OrtTensorTypeAndShapeInfo *, ONNXTensorElementDataType *
        ) noexcept nogil
        OrtStatus *(*GetDimensionsCount)(const OrtTensorTypeAndShapeInfo *, size_t *) noexcept nogil
        OrtStatus *(*GetDimensions)(
            const OrtTensorTypeAndShapeInfo *, int64_t *, size_t
        ) noexcept nogil
        OrtStatus *(*GetSymbolicDimensions)(
            const OrtTensorTypeAndShapeInfo *, const char **, size_t
        ) noexcept nogil
        OrtStatus *(*GetTensorTypeAndShape)(
            const OrtValue *, OrtTensorTypeAndShapeInfo **
        ) noexcept nogil
        OrtStatus *(*GetTypeInfo)(const OrtValue *, OrtTypeInfo **) noexcept nogil
        OrtStatus *(*GetValueType)(const OrtValue *, ONNXType *) noexcept nogil
        OrtStatus *(*CreateMemoryInfo)(
            const char *, OrtAllocatorType, int, OrtMemType, OrtMemoryInfo **
        ) noexcept nogil
        OrtStatus *(*CreateCpuMemoryInfo)(
            OrtAllocatorType, OrtMemType, OrtMemoryInfo **
        ) noexcept nogil
        OrtStatus *(*MemoryInfoGetName)(const OrtMemoryInfo *, const char **) noexcept nogil
        OrtStatus *(*MemoryInfoGetId)(const OrtMemoryInfo *, int *) noexcept nogil
        OrtStatus *(*MemoryInfoGetMemType)(const OrtMemoryInfo *, OrtMemType *) noexcept nogil
        OrtStatus *(*MemoryInfoGetType)(const OrtMemoryInfo *, OrtAllocatorType *) noexcept nogil
        OrtStatus *(*AllocatorFree)(OrtAllocator *, void *) noexcept nogil
        OrtStatus *(*GetAllocatorWithDefaultOptions)(OrtAllocator **) noexcept nogil
        OrtStatus *(*AddFreeDimensionOverride)(
            OrtSessionOptions *, const char *, int64_t
        ) noexcept nogil
        OrtStatus *(*GetValue)(const OrtValue *, int, OrtAllocator *, OrtValue **) noexcept nogil
        OrtStatus *(*GetValueCount)(const OrtValue *, size_t *) noexcept nogil
        OrtStatus *(*CreateValue)(
            const OrtValue *const *, size_t, ONNXType, OrtValue **
        ) noexcept nogil
        void (*ReleaseStatus)(OrtStatus *) noexcept nogil
        void (*ReleaseMemoryInfo)(OrtMemoryInfo *) noexcept nogil
        void (*ReleaseSession)(OrtSession *) noexcept nogil
        void (*ReleaseValue)(OrtValue *) noexcept nogil
        void (*ReleaseRunOptions)(OrtRunOptions *) noexcept nogil
        void (*ReleaseTypeInfo)(OrtTypeInfo *) noexcept nogil
        void (*ReleaseTensorTypeAndShapeInfo)(OrtTensorTypeAndShapeInfo *) noexcept nogil
        void (*ReleaseSessionOptions)(OrtSessionOptions *) noexcept nogil
        OrtStatus *(*CastTypeInfoToMapTypeInfo)(
            const OrtTypeInfo *, const OrtMapTypeInfo **
        ) noexcept nogil
        OrtStatus *(*CastTypeInfoToSequenceTypeInfo)(
            const OrtTypeInfo *, const OrtSequenceTypeInfo **
        ) noexcept nogil
        OrtStatus *(*GetMapKeyType)(
            const OrtMapTypeInfo *, ONNXTensorElementDataType *
        ) noexcept nogil
        OrtStatus *(*GetMapValueType)(const OrtMapTypeInfo *, OrtTypeInfo **) noexcept nogil
        OrtStatus *(*GetSequenceElementType)(
            const OrtSequenceTypeInfo *, OrtTypeInfo **
        ) noexcept nogil
        OrtStatus *(*SessionEndProfiling)(OrtSession *, OrtAllocator *, char **) noexcept nogil
        OrtStatus *(*SessionGetModelMetadata)(
            const OrtSession *, OrtModelMetadata **
        ) noexcept nogil
        OrtStatus *(*ModelMetadataGetProducerName)(
            const OrtModelMetadata *, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*ModelMetadataGetGraphName)(
            const OrtModelMetadata *, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*ModelMetadataGetDomain)(
            const OrtModelMetadata *, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*ModelMetadataGetDescription)(
            const OrtModelMetadata *, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*ModelMetadataLookupCustomMetadataMap)(
            const OrtModelMetadata *, OrtAllocator *, const char *, char **
        ) noexcept nogil
        OrtStatus *(*ModelMetadataGetVersion)(const OrtModelMetadata *, int64_t *) noexcept nogil
        void (*ReleaseModelMetadata)(OrtModelMetadata *) noexcept nogil
        OrtStatus *(*DisablePerSessionThreads)(OrtSessionOptions *) noexcept nogil
        OrtStatus *(*CreateThreadingOptions)(OrtThreadingOptions **) noexcept nogil
        void (*ReleaseThreadingOptions)(OrtThreadingOptions *) noexcept nogil
        OrtStatus *(*ModelMetadataGetCustomMetadataMapKeys)(
            const OrtModelMetadata *, OrtAllocator *, char ***, int64_t *
        ) noexcept nogil
        OrtStatus *(*AddFreeDimensionOverrideByName)(
            OrtSessionOptions *, const char *, int64_t
        ) noexcept nogil
        OrtStatus *(*GetAvailableProviders)(char ***, int *) noexcept nogil
        OrtStatus *(*ReleaseAvailableProviders)(char **, int) noexcept nogil
        OrtStatus *(*AddSessionConfigEntry)(
            OrtSessionOptions *, const char *, const char *
        ) noexcept nogil
        OrtStatus *(*CreateAllocator)(
            const OrtSession *, const OrtMemoryInfo *, OrtAllocator **
        ) noexcept nogil
        OrtStatus *(*RunWithBinding)(
            OrtSession *, const OrtRunOptions *, const OrtIoBinding *
        ) noexcept nogil
        OrtStatus *(*CreateIoBinding)(OrtSession *, OrtIoBinding **) noexcept nogil
        void (*ReleaseIoBinding)(OrtIoBinding *) noexcept nogil
        OrtStatus *(*BindInput)(OrtIoBinding *, const char *, const OrtValue *) noexcept nogil
        OrtStatus *(*BindOutput)(OrtIoBinding *, const char *, const OrtValue *) noexcept nogil
        OrtStatus *(*BindOutputToDevice)(
            OrtIoBinding *, const char *, const OrtMemoryInfo *
        ) noexcept nogil
        OrtStatus *(*GetBoundOutputValues)(
            const OrtIoBinding *, OrtAllocator *, OrtValue ***, size_t *
        ) noexcept nogil
        void (*ClearBoundInputs)(OrtIoBinding *) noexcept nogil
        void (*ClearBoundOutputs)(OrtIoBinding *) noexcept nogil
        OrtStatus *(*CreateAndRegisterAllocator)(
            OrtEnv *, const OrtMemoryInfo *, const OrtArenaCfg *
        ) noexcept nogil
        OrtStatus *(*SessionGetProfilingStartTimeNs)(const OrtSession *, uint64_t *) noexcept nogil
        OrtStatus *(*SetGlobalIntraOpNumThreads)(OrtThreadingOptions *, int) noexcept nogil
        OrtStatus *(*SetGlobalInterOpNumThreads)(OrtThreadingOptions *, int) noexcept nogil
        OrtStatus *(*AddInitializer)(
            OrtSessionOptions *, const char *, const OrtValue *
        ) noexcept nogil
        OrtStatus *(*CreateEnvWithCustomLoggerAndGlobalThreadPools)(
            OrtLoggingFunction, void *, OrtLoggingLevel, const char *, const OrtThreadingOptions *,
            OrtEnv **
        ) noexcept nogil
        OrtStatus *(*SessionOptionsAppendExecutionProvider_ROCM)(
            OrtSessionOptions *, const OrtROCMProviderOptions *
        ) noexcept nogil
        void (*ReleaseArenaCfg)(OrtArenaCfg *) noexcept nogil
        OrtStatus *(*ModelMetadataGetGraphDescription)(
            const OrtModelMetadata *, OrtAllocator *, char **
        ) noexcept nogil
        OrtStatus *(*CreateArenaCfgV2)(
            const char *const *, const size_t *, size_t, OrtArenaCfg **
        ) noexcept nogil
        OrtStatus *(*AddRunConfigEntry)(OrtRunOptions *, const char *, const char *) noexcept nogil
        OrtStatus *(*SessionOptionsAppendExecutionProvider_TensorRT_V2)(
            OrtSessionOptions *, const OrtTensorRTProviderOptionsV2 *
        ) noexcept nogil
        OrtStatus *(*CreateTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 **) noexcept nogil
        OrtStatus *(*UpdateTensorRTProviderOptions)(
            OrtTensorRTProviderOptionsV2 *, const char *const *, const char *const *, size_t
        ) noexcept nogil
        void (*ReleaseTensorRTProviderOptions)(OrtTensorRTProviderOptionsV2 *) noexcept nogil
        OrtStatus *(*RegisterAllocator)(OrtEnv *, OrtAllocator *) noexcept nogil
        OrtStatus *(*UnregisterAllocator)(OrtEnv *, const OrtMemoryInfo *) noexcept nogil
        OrtStatus *(*CreateSparseTensorAsOrtValue)(
            OrtAllocator *, const int64_t *, size_t, ONNXTensorElementDataType, OrtValue **
        ) noexcept nogil
        OrtStatus *(*FillSparseTensorCoo)(
            OrtValue *, const OrtMemoryInfo *, const int64_t *, size_t, const void *,
            const int64_t *, size_t
        ) noexcept nogil
        OrtStatus *(*FillSparseTensorCsr)(
            OrtValue *, const OrtMemoryInfo *, const int64_t *, size_t, const void *,
            const int64_t *, size_t, const int64_t *, size_t
        ) noexcept nogil
        OrtStatus *(*CreateSparseTensorWithValuesAsOrtValue)(
            const OrtMemoryInfo *, void *, const int64_t *, size_t, const int64_t *, size_t,
            ONNXTensorElementDataType, OrtValue **
        ) noexcept nogil
        OrtStatus *(*UseCooIndices)(OrtValue *, int64_t *, size_t) noexcept nogil
        OrtStatus *(*UseCsrIndices)(OrtValue *, int64_t *, size_t, int64_t *, size_t) noexcept nogil
        OrtStatus *(*GetSparseTensorFormat)(const OrtValue *, OrtSparseFormat *) noexcept nogil
        OrtStatus *(*GetSparseTensorValuesTypeAndShape)(
            const OrtValue *, OrtTensorTypeAndShapeInfo **
        ) noexcept nogil
        OrtStatus *(*GetSparseTensorValues)(const OrtValue *, const void **) noexcept nogil
        OrtStatus *(*GetSparseTensorIndicesTypeShape)(
            const OrtValue *, OrtSparseIndicesFormat, OrtTensorTypeAndShapeInfo **
        ) noexcept nogil
        OrtStatus *(*GetSparseTensorIndices)(
            const OrtValue *, OrtSparseIndicesFormat, size_t *, const void **
        ) noexcept nogil
        OrtStatus *(*HasValue)(const OrtValue *, int *) noexcept nogil
        OrtStatus *(*SessionOptionsSetCustomCreateThreadFn)(
            OrtSessionOptions *, OrtCustomCreateThreadFn
        ) noexcept nogil
        OrtStatus *(*SessionOptionsSetCustomThreadCreationOptions)(
            OrtSessionOptions *, void *
        ) noexcept nogil
        OrtStatus *(*SessionOptionsSetCustomJoinThreadFn)(
            OrtSessionOptions *, OrtCustomJoinThreadFn
        ) noexcept nogil
        OrtStatus *(*SynchronizeBoundInputs)(OrtIoBinding *) noexcept nogil
        OrtStatus *(*SynchronizeBoundOutputs)(OrtIoBinding *) noexcept nogil
        OrtStatus *(*SessionOptionsAppendExecutionProvider_CUDA_V2)(
            OrtSessionOptions *, const OrtCUDAProviderOptionsV2 *
        ) noexcept nogil
        OrtStatus *(*CreateCUDAProviderOptions)(OrtCUDAProviderOptionsV2 **) noexcept nogil
        OrtStatus *(*UpdateCUDAProviderOptions)(
            OrtCUDAProviderOptionsV2 *, const char *const *, const char *const *, size_t
        ) noexcept nogil
        void (*ReleaseCUDAProviderOptions)(OrtCUDAProviderOptionsV2 *) noexcept nogil
        OrtStatus *(*AddExternalInitializers)(
            OrtSessionOptions *, const char *const *, const OrtValue *const *, size_t
        ) noexcept nogil
        OrtStatus *(*SessionOptionsAppendExecutionProvider)(
            OrtSessionOptions *, const char *, const char *const *, const char *const *, size_t
        ) noexcept nogil
        OrtStatus *(*SessionOptionsAppendExecutionProvider_CANN)(
            OrtSessionOptions *, const OrtCANNProviderOptions *
        ) noexcept nogil
        OrtStatus *(*CreateCANNProviderOptions)(OrtCANNProviderOptions **) noexcept nogil
        OrtStatus *(*UpdateCANNProviderOptions)(
            OrtCANNProviderOptions *, const char *const *, const char *const *, size_t
        ) noexcept nogil
        void (*ReleaseCANNProviderOptions)(OrtCANNProviderOptions *) noexcept nogil
        void (*MemoryInfoGetDeviceType)(
            const OrtMemoryInfo *, OrtMemoryInfoDeviceType *
        ) noexcept nogil
        OrtStatus *(*UpdateEnvWithCustomLogLevel)(OrtEnv *, OrtLoggingLevel) noexcept nogil
        OrtStatus *(*RegisterCustomOpsLibrary_V2)(
            OrtSessionOptions *, const ORTCHAR_T *
        ) noexcept nogil
        OrtStatus *(*SessionOptionsAppendExecutionProvider_Dnnl)(
            OrtSessionOptions *, const OrtDnnlProviderOptions *
        ) noexcept nogil
        OrtStatus *(*CreateDnnlProviderOptions)(OrtDnnlProviderOptions **) noexcept nogil
        OrtStatus *(*UpdateDnnlProviderOptions)(
            OrtDnnlProviderOptions *, const char *const *, const char *const *, size_t
        ) noexcept nogil
        void (*ReleaseDnnlProviderOptions)(OrtDnnlProviderOptions *) noexcept nogil
        OrtStatus *(*CastTypeInfoToOptionalTypeInfo)(
            const OrtTypeInfo *, const OrtOptionalTypeInfo **
        ) noexcept nogil
        OrtStatus *(*GetOptionalContainedTypeInfo)(
            const OrtOptionalTypeInfo *, OrtTypeInfo **
        ) noexcept nogil
        OrtStatus *(*GetResizedStringTensorElementBuffer)(
            OrtValue *, size_t, size_t, char **
        ) noexcept nogil
        const char *(*GetBuildInfoString)() noexcept nogil
        OrtStatus *(*CreateROCMProviderOptions)(OrtROCMProviderOptions **) noexcept nogil
        OrtStatus *(*UpdateROCMProviderOptions)(
            OrtROCMProviderOptions *, const char *const *, const char *const *, size_t
        ) noexcept nogil
        void (*ReleaseROCMProviderOptions)(OrtROCMProviderOptions *) noexcept nogil
        OrtStatus *(*CreateAndRegisterAllocatorV2)(
            OrtEnv *, const char *, const OrtMemoryInfo *, const OrtArenaCfg *, const char *const *,
            const char *const *, size_t
        ) noexcept nogil
        OrtStatus *(*RunAsync)(
            OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *,
            size_t, const char *const *, size_t, OrtValue **, RunAsyncCallbackFn, void *
        ) noexcept nogil
        OrtStatus *(*SetDeterministicCompute)(OrtSessionOptions *, bint) noexcept nogil
        OrtStatus *(*AddExternalInitializersFromFilesInMemory)(
            OrtSessionOptions *, const ORTCHAR_T *const *, char *const *, const size_t *, size_t
        ) noexcept nogil
        OrtStatus *(*CreateLoraAdapter)(
            const ORTCHAR_T *, OrtAllocator *, OrtLoraAdapter **
        ) noexcept nogil
        void (*ReleaseLoraAdapter)(OrtLoraAdapter *) noexcept nogil
        OrtStatus *(*RunOptionsAddActiveLoraAdapter)(
            OrtRunOptions *, const OrtLoraAdapter *
        ) noexcept nogil
        OrtStatus *(*SetEpDynamicOptions)(
            OrtSession *, const char *const *, const char *const *, size_t
        ) noexcept nogil
        OrtStatus *(*SessionOptionsSetLoadCancellationFlag)(
            OrtSessionOptions *, bint
        ) noexcept nogil
        void (*GetKeyValuePairs)(
            const OrtKeyValuePairs *, const char *const **, const char *const **, size_t *
        ) noexcept nogil
        OrtStatus *(*RegisterExecutionProviderLibrary)(
            OrtEnv *, const char *, const ORTCHAR_T *
        ) noexcept nogil
        OrtStatus *(*UnregisterExecutionProviderLibrary)(OrtEnv *, const char *) noexcept nogil
        OrtStatus *(*GetEpDevices)(
            const OrtEnv *, const OrtEpDevice *const **, size_t *
        ) noexcept nogil
        OrtStatus *(*SessionOptionsAppendExecutionProvider_V2)(
            OrtSessionOptions *, OrtEnv *, const OrtEpDevice *const *, size_t, const char *const *,
            const char *const *, size_t
        ) noexcept nogil
        OrtStatus *(*SessionOptionsSetEpSelectionPolicy)(
            OrtSessionOptions *, OrtExecutionProviderDevicePolicy
        ) noexcept nogil
        OrtStatus *(*SessionOptionsSetEpSelectionPolicyDelegate)(
            OrtSessionOptions *, EpSelectionDelegate, void *
        ) noexcept nogil
        OrtHardwareDeviceType (*HardwareDevice_Type)(const OrtHardwareDevice *) noexcept nogil
        uint32_t (*HardwareDevice_VendorId)(const OrtHardwareDevice *) noexcept nogil
        const char *(*HardwareDevice_Vendor)(const OrtHardwareDevice *) noexcept nogil
        uint32_t (*HardwareDevice_DeviceId)(const OrtHardwareDevice *) noexcept nogil
        const OrtKeyValuePairs *(*HardwareDevice_Metadata)(const OrtHardwareDevice *) noexcept nogil
        const char *(*EpDevice_EpName)(const OrtEpDevice *) noexcept nogil
        const char *(*EpDevice_EpVendor)(const OrtEpDevice *) noexcept nogil
        const OrtKeyValuePairs *(*EpDevice_EpMetadata)(const OrtEpDevice *) noexcept nogil
        const OrtKeyValuePairs *(*EpDevice_EpOptions)(const OrtEpDevice *) noexcept nogil
        const OrtHardwareDevice *(*EpDevice_Device)(const OrtEpDevice *) noexcept nogil
        OrtStatus *(*CreateMemoryInfo_V2)(
            const char *, OrtMemoryInfoDeviceType, uint32_t, int32_t, OrtDeviceMemoryType, size_t,
            OrtAllocatorType, OrtMemoryInfo **
        ) noexcept nogil
        OrtDeviceMemoryType (*MemoryInfoGetDeviceMemType)(const OrtMemoryInfo *) noexcept nogil
        uint32_t (*MemoryInfoGetVendorId)(const OrtMemoryInfo *) noexcept nogil
        OrtStatus *(*SessionGetMemoryInfoForInputs)(
            const OrtSession *, const OrtMemoryInfo **, size_t
        ) noexcept nogil
        OrtStatus *(*SessionGetMemoryInfoForOutputs)(
            const OrtSession *, const OrtMemoryInfo **, size_t
        ) noexcept nogil
        OrtStatus *(*SessionGetEpDeviceForInputs)(
            const OrtSession *, const OrtEpDevice **, size_t
        ) noexcept nogil

    ctypedef struct ortmmap_newer_api:
        OrtStatus *(*Session_GetEpGraphAssignmentInfo)(
            const OrtSession *, const OrtEpAssignedSubgraph *const **, size_t *
        ) noexcept nogil
        OrtStatus *(*EpAssignedSubgraph_GetEpName)(
            const OrtEpAssignedSubgraph *, const char **
        ) noexcept nogil
        OrtStatus *(*EpAssignedSubgraph_GetNodes)(
            const OrtEpAssignedSubgraph *, const OrtEpAssignedNode *const **, size_t *
        ) noexcept nogil
        OrtStatus *(*EpAssignedNode_GetName)(
            const OrtEpAssignedNode *, const char **
        ) noexcept nogil
        OrtStatus *(*EpAssignedNode_GetDomain)(
            const OrtEpAssignedNode *, const char **
        ) noexcept nogil
        OrtStatus *(*EpAssignedNode_GetOperatorType)(
            const OrtEpAssignedNode *, const char **
        ) noexcept nogil
        OrtStatus *(*GetTensorElementTypeAndShapeDataReference)(
            const OrtValue *, ONNXTensorElementDataType *, const int64_t **, size_t *
        ) noexcept nogil

    void ortmmap_newer_api_load(const OrtApiBase *base, long version, ortmmap_newer_api *newer)
