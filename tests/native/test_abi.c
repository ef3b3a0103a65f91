/* test_abi LIBRARY FOLDER: the functions of a real libonnxruntime do what ort_abi.h declares.
 * FOLDER is empty and writable. POSIX only. */
#include "check.h"

#include <ortmmap/library.h>
#include <ortmmap/ort_abi.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const OrtApi *api;
static ortmmap_newer_api newer;
static OrtAllocator *allocator;
static OrtMemoryInfo *cpu;
static const char *folder;

#define OK(call) succeeds((call), #call, __LINE__)
#define FAILS(code, call) fails((code), (call), #call, __LINE__)

static void succeeds(OrtStatus *status, const char *call, int line) {
  if (!check(status == NULL, call, "call", line))
    fprintf(stderr, "  %s\n", api->GetErrorMessage(status));
  api->ReleaseStatus(status);
}

static void fails(OrtErrorCode code, OrtStatus *status, const char *call, int line) {
  if (!check(status != NULL, call, "call that must fail", line))
    return;
  if (!check(api->GetErrorCode(status) == code, call, "wrong code", line))
    fprintf(stderr, "  %d: %s\n", (int)api->GetErrorCode(status), api->GetErrorMessage(status));
  check(strlen(api->GetErrorMessage(status)) > 0, call, "no message", line);
  api->ReleaseStatus(status);
}

/* Compares a text that ORT allocated, and frees it. */
static void expect_text(char *text, const char *expected, int line) {
  check(text != NULL && strcmp(text, expected) == 0, expected, "text", line);
  OK(api->AllocatorFree(allocator, text));
}

#define TEXT(text, expected) expect_text((text), (expected), __LINE__)

/* A protobuf message under construction. */
typedef struct message {
  unsigned char bytes[1024];
  size_t size;
} message;

static void put_varint(message *into, uint64_t value) {
  for (; value >= 128; value >>= 7)
    into->bytes[into->size++] = (unsigned char)(value | 128);
  into->bytes[into->size++] = (unsigned char)value;
}

static void put_number(message *into, unsigned field, uint64_t value) {
  put_varint(into, field << 3);
  put_varint(into, value);
}

static void put_bytes(message *into, unsigned field, const void *bytes, size_t size) {
  put_varint(into, field << 3 | 2);
  put_varint(into, size);
  memcpy(into->bytes + into->size, bytes, size);
  into->size += size;
}

static void put_text(message *into, unsigned field, const char *text) {
  put_bytes(into, field, text, strlen(text));
}

static void put_message(message *into, unsigned field, const message *inner) {
  put_bytes(into, field, inner->bytes, inner->size);
}

/* TypeProto of a float tensor; a negative size is the symbolic dimension "batch". */
static message tensor_type(int rank, const int *shape) {
  message type = {.size = 0}, tensor = type, dimensions = type;
  put_number(&tensor, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  for (int i = 0; i < rank; i++) {
    message dimension = {.size = 0};
    if (shape[i] < 0)
      put_text(&dimension, 2, "batch");
    else
      put_number(&dimension, 1, (uint64_t)shape[i]);
    put_message(&dimensions, 1, &dimension);
  }
  put_message(&tensor, 2, &dimensions);
  put_message(&type, 1, &tensor);
  return type;
}

/* The type that holds `element`: field 4 of TypeProto is a sequence, field 9 an optional. */
static message type_around(unsigned field, const message *element) {
  message type = {.size = 0}, inner = type;
  put_message(&inner, 1, element);
  put_message(&type, field, &inner);
  return type;
}

static message map_type(const message *value) {
  message type = {.size = 0}, map = type;
  put_number(&map, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
  put_message(&map, 2, value);
  put_message(&type, 5, &map);
  return type;
}

static void put_value_info(message *graph, unsigned field, const char *name, const message *type) {
  message info = {.size = 0};
  put_text(&info, 1, name);
  put_message(&info, 2, type);
  put_message(graph, field, &info);
}

static message node(const char *operator_type, const char *input, const char *second_input,
                    const char *output) {
  message made = {.size = 0};
  put_text(&made, 1, input);
  if (second_input != NULL)
    put_text(&made, 1, second_input);
  put_text(&made, 2, output);
  put_text(&made, 4, operator_type);
  return made;
}

static void put_operator_set(message *model, const char *domain, uint64_t version) {
  message set = {.size = 0};
  put_text(&set, 1, domain);
  put_number(&set, 2, version);
  put_message(model, 8, &set);
}

static message model_of(const message *graph) {
  message model = {.size = 0}, property = model;
  put_number(&model, 1, 8);
  put_text(&model, 2, "a producer");
  put_text(&model, 4, "a.domain");
  put_number(&model, 5, 7);
  put_text(&model, 6, "a description");
  put_message(&model, 7, graph);
  put_operator_set(&model, "", 16);
  put_operator_set(&model, "ai.onnx.ml", 1);
  put_text(&property, 1, "a key");
  put_text(&property, 2, "a value");
  put_message(&model, 14, &property);
  return model;
}

/* y[batch, 3] = x[batch, 3] + w[3], where w is an initializer that an input may override. */
static message addition_model(void) {
  static const float weights[3] = {10, 20, 30};
  message graph = {.size = 0}, initializer = graph;
  message matrix = tensor_type(2, (int[]){-1, 3}), vector = tensor_type(1, (int[]){3});
  message add = node("Add", "x", "w", "y");
  put_message(&graph, 1, &add);
  put_text(&graph, 2, "a graph");
  put_number(&initializer, 1, 3);
  put_number(&initializer, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  put_text(&initializer, 8, "w");
  put_bytes(&initializer, 9, weights, sizeof weights);
  put_message(&graph, 5, &initializer);
  put_text(&graph, 10, "a graph description");
  put_value_info(&graph, 11, "x", &matrix);
  put_value_info(&graph, 11, "w", &vector);
  put_value_info(&graph, 12, "y", &matrix);
  return model_of(&graph);
}

/* maps = ZipMap(x), a sequence of maps; list and maybe are passed through. */
static message container_model(void) {
  message graph = {.size = 0}, labels = graph;
  message matrix = tensor_type(2, (int[]){-1, 3}), number = tensor_type(0, NULL);
  message sequence = type_around(4, &matrix), optional = type_around(9, &matrix);
  message map = map_type(&number), maps = type_around(4, &map);
  message zip = node("ZipMap", "x", NULL, "maps");
  message pass_list = node("Identity", "list", NULL, "same list");
  message pass_maybe = node("Identity", "maybe", NULL, "same maybe");
  put_text(&labels, 1, "classlabels_int64s");
  put_number(&labels, 8, 100), put_number(&labels, 8, 200), put_number(&labels, 8, 300);
  put_number(&labels, 20, 7);
  put_message(&zip, 5, &labels);
  put_text(&zip, 7, "ai.onnx.ml");
  put_message(&graph, 1, &zip), put_message(&graph, 1, &pass_list);
  put_message(&graph, 1, &pass_maybe);
  put_text(&graph, 2, "containers");
  put_value_info(&graph, 11, "x", &matrix);
  put_value_info(&graph, 11, "list", &sequence);
  put_value_info(&graph, 11, "maybe", &optional);
  put_value_info(&graph, 12, "maps", &maps);
  put_value_info(&graph, 12, "same list", &sequence);
  put_value_info(&graph, 12, "same maybe", &optional);
  return model_of(&graph);
}

static const OrtApi *load(const char *path) {
  char error[1024] = "";
  const OrtApiBase *(ORT_API_CALL * get_base)(void);
  void *library = ortmmap_library_open(path, error, sizeof error), *symbol;
  long version;
  if (library == NULL) {
    fprintf(stderr, "%s\n", error);
    return NULL;
  }
  symbol = ortmmap_library_symbol(library, "OrtGetApiBase");
  CHECK(ortmmap_library_symbol(library, "OrtGetNothing") == NULL);
  memcpy(&get_base, &symbol, sizeof symbol);
  CHECK(strncmp(get_base()->GetVersionString(), "1.", 2) == 0);
  version = strtol(get_base()->GetVersionString() + 2, NULL, 10);
  CHECK(version >= ORTMMAP_ORT_API_VERSION);
  ortmmap_newer_api_load(get_base(), version, &newer);
  CHECK((version >= 24) == (newer.GetTensorElementTypeAndShapeDataReference != NULL));
  CHECK(get_base()->GetApi(9999) == NULL);
  printf("test_abi: onnxruntime %s\n", get_base()->GetVersionString());
  return get_base()->GetApi(ORTMMAP_ORT_API_VERSION);
}

static void a_missing_library_is_an_error(void) {
  char error[1024] = "", small[8] = "1234567";
  CHECK(ortmmap_library_open("/nonexistent/libnothing.so", error, sizeof error) == NULL);
  CHECK(strstr(error, "libnothing") != NULL);
  CHECK(ortmmap_library_open("/nonexistent/libnothing.so", small, sizeof small) == NULL);
  CHECK(strlen(small) == sizeof small - 1);
}

static int get_api_calls;

static const OrtApi *ORT_API_CALL no_such_version(uint32_t version) {
  get_api_calls += version > ORTMMAP_ORT_API_VERSION;
  return NULL;
}

static void only_a_library_that_has_later_functions_is_asked_for_them(void) {
  const OrtApiBase base = {no_such_version, NULL};
  ortmmap_newer_api loaded;
  memset(&loaded, 1, sizeof loaded);
  ortmmap_newer_api_load(&base, ORTMMAP_ORT_API_VERSION, &loaded);
  CHECK(get_api_calls == 0 && loaded.GetTensorElementTypeAndShapeDataReference == NULL);
  ortmmap_newer_api_load(&base, ORTMMAP_ORT_API_VERSION + 1, &loaded);
  CHECK(get_api_calls == 1 && loaded.GetTensorElementTypeAndShapeDataReference == NULL);
}

static void no_slot_of_the_table_is_empty(void) {
  const void *slots[sizeof(OrtApi) / sizeof(void *)];
  memcpy(slots, api, sizeof slots);
  for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
    CHECK(slots[i] != NULL);
}

static void a_status_keeps_code_and_message(void) {
  for (int code = ORT_FAIL; code <= ORT_NOT_FOUND; code++) {
    OrtStatus *status = api->CreateStatus((OrtErrorCode)code, "what happened");
    CHECK(api->GetErrorCode(status) == (OrtErrorCode)code);
    CHECK(strcmp(api->GetErrorMessage(status), "what happened") == 0);
    api->ReleaseStatus(status);
  }
}

static void the_build_describes_itself(void) {
  char **names = NULL;
  int count = 0, has_cpu = 0;
  CHECK(strstr(api->GetBuildInfoString(), "ORT Build Info") != NULL);
  OK(api->GetAvailableProviders(&names, &count));
  for (int i = 0; i < count; i++)
    has_cpu |= strcmp(names[i], "CPUExecutionProvider") == 0;
  CHECK(has_cpu);
  OK(api->ReleaseAvailableProviders(names, count));
}

static int has_pair(const OrtKeyValuePairs *pairs, const char *key) {
  const char *const *keys = NULL, *const *values = NULL;
  size_t count = 0;
  int found = 0;
  api->GetKeyValuePairs(pairs, &keys, &values, &count);
  for (size_t i = 0; i < count; i++)
    found |= strcmp(keys[i], key) == 0 && values[i][0] != 0;
  return found;
}

static void the_environment_describes_its_devices(const OrtEnv *env) {
  const OrtEpDevice *const *devices = NULL;
  const OrtHardwareDevice *hardware;
  size_t count = 0;
  OK(api->GetEpDevices(env, &devices, &count));
  if (!CHECK(count > 0))
    return;
  CHECK(strcmp(api->EpDevice_EpName(devices[0]), "CPUExecutionProvider") == 0);
  CHECK(strcmp(api->EpDevice_EpVendor(devices[0]), "Microsoft") == 0);
  CHECK(has_pair(api->EpDevice_EpMetadata(devices[0]), "version"));
  CHECK(!has_pair(api->EpDevice_EpOptions(devices[0]), "version"));
  hardware = api->EpDevice_Device(devices[0]);
  CHECK(api->HardwareDevice_Type(hardware) == OrtHardwareDeviceType_CPU);
  CHECK(api->HardwareDevice_Vendor(hardware) != NULL);
  CHECK(api->HardwareDevice_VendorId(hardware) < 0x10000);
  CHECK(api->HardwareDevice_DeviceId(hardware) < 0x10000);
  CHECK(!has_pair(api->HardwareDevice_Metadata(hardware), "version"));
}

static void the_environment_takes_settings(OrtEnv *env) {
  OK(api->DisableTelemetryEvents(env));
  OK(api->EnableTelemetryEvents(env));
  OK(api->UpdateEnvWithCustomLogLevel(env, ORT_LOGGING_LEVEL_ERROR));
  OK(api->UpdateEnvWithCustomLogLevel(env, ORT_LOGGING_LEVEL_FATAL));
  FAILS(ORT_FAIL, api->RegisterExecutionProviderLibrary(env, "nothing", "/nonexistent/lib.so"));
  FAILS(ORT_FAIL, api->UnregisterExecutionProviderLibrary(env, "nothing"));
}

static OrtValue *tensor_on(void *data, size_t size, const int64_t *shape, size_t rank,
                           ONNXTensorElementDataType type) {
  OrtValue *value = NULL;
  OK(api->CreateTensorWithDataAsOrtValue(cpu, data, size, shape, rank, type, &value));
  return value;
}

static OrtValue *floats(float *data, int64_t rows) {
  return tensor_on(data, (size_t)rows * 3 * sizeof *data, (int64_t[]){rows, 3}, 2,
                   ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
}

static void expect_info(OrtTensorTypeAndShapeInfo *info, ONNXTensorElementDataType type,
                        int64_t rows, int64_t columns) {
  ONNXTensorElementDataType found = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  int64_t shape[2] = {-7, -7};
  OK(api->GetTensorElementType(info, &found));
  OK(api->GetDimensionsCount(info, &rank));
  CHECK(found == type && rank == 2);
  OK(api->GetDimensions(info, shape, 2));
  CHECK(shape[0] == rows && shape[1] == columns);
}

static void expect_reference(const OrtValue *value, ONNXTensorElementDataType type, int64_t rows,
                             int64_t columns) {
  ONNXTensorElementDataType found = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  const int64_t *shape = NULL;
  size_t rank = 0;
  OK(newer.GetTensorElementTypeAndShapeDataReference(value, &found, &shape, &rank));
  CHECK(found == type && rank == 2 && shape[0] == rows && shape[1] == columns);
}

static void expect_tensor(const OrtValue *value, ONNXTensorElementDataType type, int64_t rows,
                          int64_t columns) {
  OrtTensorTypeAndShapeInfo *info = NULL;
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  int has_value = 0;
  OK(api->HasValue(value, &has_value));
  OK(api->GetValueType(value, &kind));
  CHECK(has_value == 1 && kind == ONNX_TYPE_TENSOR);
  OK(api->GetTensorTypeAndShape(value, &info));
  expect_info(info, type, rows, columns);
  api->ReleaseTensorTypeAndShapeInfo(info);
  if (newer.GetTensorElementTypeAndShapeDataReference != NULL)
    expect_reference(value, type, rows, columns);
}

static size_t element_size(int type) {
  switch (type) {
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16:
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16:
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
    return 2;
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32:
    return 4;
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE:
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64:
  case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64:
    return 8;
  default:
    return 1;
  }
}

/* ORT has no tensors of complex numbers. */
static int has_tensors_of(int type) {
  return type != ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING &&
         type != ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64 &&
         type != ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX128;
}

static void tensors_keep_type_and_shape(void) {
  static const int64_t shape[2] = {2, 6};
  static uint64_t memory[12];
  for (int type = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; type <= ONNX_TENSOR_ELEMENT_DATA_TYPE_INT4;
       type++) {
    ONNXTensorElementDataType element = (ONNXTensorElementDataType)type;
    OrtValue *owned = NULL, *borrowed;
    void *data = NULL;
    if (!has_tensors_of(type))
      continue;
    OK(api->CreateTensorAsOrtValue(allocator, shape, 2, element, &owned));
    expect_tensor(owned, element, 2, 6);
    api->ReleaseValue(owned);
    borrowed = tensor_on(memory, 12 * element_size(type), shape, 2, element);
    expect_tensor(borrowed, element, 2, 6);
    OK(api->GetTensorMutableData(borrowed, &data));
    CHECK(data == memory);
    api->ReleaseValue(borrowed);
  }
  FAILS(ORT_NOT_IMPLEMENTED,
        api->CreateTensorAsOrtValue(allocator, shape, 2, ONNX_TENSOR_ELEMENT_DATA_TYPE_COMPLEX64,
                                    &(OrtValue *){NULL}));
}

static void string_tensors_keep_their_bytes(void) {
  static const char *const texts[3] = {"one", "", "fourteen bytes"};
  OrtValue *value = NULL;
  char *buffer = NULL, content[17];
  size_t total = 0, offsets[3] = {9, 9, 9};
  OK(api->CreateTensorAsOrtValue(allocator, (int64_t[]){1, 3}, 2,
                                 ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &value));
  for (size_t i = 0; i < 3; i++) {
    OK(api->GetResizedStringTensorElementBuffer(value, i, strlen(texts[i]), &buffer));
    memcpy(buffer, texts[i], strlen(texts[i]));
  }
  expect_tensor(value, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, 1, 3);
  OK(api->GetStringTensorDataLength(value, &total));
  CHECK(total == sizeof content);
  OK(api->GetStringTensorContent(value, content, sizeof content, offsets, 3));
  CHECK(memcmp(content, "onefourteen bytes", sizeof content) == 0);
  CHECK(offsets[0] == 0 && offsets[1] == 3 && offsets[2] == 3);
  api->ReleaseValue(value);
}

static void sequences_and_maps_give_back_their_parts(void) {
  float data[6] = {0};
  int64_t keys_data[3] = {5, 6, 7};
  OrtValue *items[2] = {floats(data, 1), floats(data + 3, 1)}, *sequence = NULL, *item = NULL;
  OrtValue *parts[2], *map = NULL;
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  size_t count = 0;
  OK(api->CreateValue((const OrtValue *const *)items, 2, ONNX_TYPE_SEQUENCE, &sequence));
  OK(api->GetValueType(sequence, &kind));
  OK(api->GetValueCount(sequence, &count));
  CHECK(kind == ONNX_TYPE_SEQUENCE && count == 2);
  OK(api->GetValue(sequence, 1, allocator, &item));
  expect_tensor(item, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 1, 3);
  api->ReleaseValue(item);
  api->ReleaseValue(sequence);
  parts[0] = tensor_on(keys_data, sizeof keys_data, (int64_t[]){3}, 1,
                       ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64);
  parts[1] =
      tensor_on(data, 3 * sizeof *data, (int64_t[]){3}, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  OK(api->CreateValue((const OrtValue *const *)parts, 2, ONNX_TYPE_MAP, &map));
  OK(api->GetValueType(map, &kind));
  CHECK(kind == ONNX_TYPE_MAP);
  api->ReleaseValue(map);
  for (int i = 0; i < 2; i++)
    api->ReleaseValue(items[i]), api->ReleaseValue(parts[i]);
}

static OrtValue *sparse_tensor(float *values) {
  OrtValue *value = NULL;
  OK(api->CreateSparseTensorWithValuesAsOrtValue(cpu, values, (int64_t[]){3, 3}, 2, (int64_t[]){2},
                                                 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
  return value;
}

/* `info` is of a vector of `length`; releases it. */
static void expect_vector_info(OrtTensorTypeAndShapeInfo *info, size_t length) {
  size_t rank = 0;
  int64_t dimension = -7;
  OK(api->GetDimensionsCount(info, &rank));
  OK(api->GetDimensions(info, &dimension, 1));
  CHECK(rank == 1 && dimension == (int64_t)length);
  api->ReleaseTensorTypeAndShapeInfo(info);
}

static void expect_indices(const OrtValue *value, enum OrtSparseIndicesFormat format,
                           const int64_t *expected, size_t expected_count) {
  OrtTensorTypeAndShapeInfo *info = NULL;
  const void *indices = NULL;
  size_t count = 0;
  OK(api->GetSparseTensorIndices(value, format, &count, &indices));
  CHECK(count == expected_count && indices == expected);
  OK(api->GetSparseTensorIndicesTypeShape(value, format, &info));
  expect_vector_info(info, expected_count);
}

static void sparse_tensors_keep_values_and_indices(void) {
  float values[2] = {1, 2};
  int64_t positions[2] = {1, 5}, inner[2] = {1, 2}, outer[4] = {0, 1, 2, 2};
  OrtValue *coo = sparse_tensor(values), *csr = sparse_tensor(values);
  OrtTensorTypeAndShapeInfo *info = NULL;
  OrtSparseFormat format = ORT_SPARSE_UNDEFINED;
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  const void *data = NULL;
  OK(api->GetValueType(coo, &kind));
  CHECK(kind == ONNX_TYPE_SPARSETENSOR);
  OK(api->UseCooIndices(coo, positions, 2));
  OK(api->GetSparseTensorFormat(coo, &format));
  OK(api->GetSparseTensorValues(coo, &data));
  CHECK(format == ORT_SPARSE_COO && data == values);
  OK(api->GetSparseTensorValuesTypeAndShape(coo, &info));
  expect_vector_info(info, 2);
  expect_indices(coo, ORT_SPARSE_COO_INDICES, positions, 2);
  OK(api->UseCsrIndices(csr, inner, 2, outer, 4));
  OK(api->GetSparseTensorFormat(csr, &format));
  CHECK(format == ORT_SPARSE_CSRC);
  expect_indices(csr, ORT_SPARSE_CSR_INNER_INDICES, inner, 2);
  expect_indices(csr, ORT_SPARSE_CSR_OUTER_INDICES, outer, 4);
  api->ReleaseValue(coo);
  api->ReleaseValue(csr);
}

static void memory_infos_are_made(void) {
  OrtMemoryInfo *memory = NULL;
  OK(api->CreateMemoryInfo("Cpu", OrtArenaAllocator, 0, OrtMemTypeDefault, &memory));
  api->ReleaseMemoryInfo(memory);
  FAILS(ORT_INVALID_ARGUMENT,
        api->CreateMemoryInfo("Nowhere", OrtArenaAllocator, 0, OrtMemTypeDefault, &memory));
}

static void the_default_allocator_allocates(void) {
  unsigned char *block = allocator->Alloc(allocator, 1000);
  CHECK(block != NULL && allocator->Info(allocator) != NULL);
  memset(block, 1, 1000);
  allocator->Free(allocator, block);
  block = allocator->Alloc(allocator, 1000);
  OK(api->AllocatorFree(allocator, block));
}

static void run_options_keep_what_is_set(void) {
  OrtRunOptions *options = NULL;
  int level = -1;
  const char *tag = NULL;
  OK(api->CreateRunOptions(&options));
  OK(api->RunOptionsSetRunLogVerbosityLevel(options, 5));
  OK(api->RunOptionsGetRunLogVerbosityLevel(options, &level));
  CHECK(level == 5);
  OK(api->RunOptionsSetRunLogSeverityLevel(options, 3));
  OK(api->RunOptionsGetRunLogSeverityLevel(options, &level));
  CHECK(level == 3);
  OK(api->RunOptionsSetRunTag(options, "a tag"));
  OK(api->RunOptionsGetRunTag(options, &tag));
  CHECK(strcmp(tag, "a tag") == 0);
  OK(api->AddRunConfigEntry(options, "a.key", "a value"));
  FAILS(ORT_INVALID_ARGUMENT, api->AddRunConfigEntry(options, "", "a value"));
  OK(api->RunOptionsSetTerminate(options));
  OK(api->RunOptionsUnsetTerminate(options));
  api->ReleaseRunOptions(options);
}

/* Quiet, and two threads: RunAsync needs a pool. */
static OrtSessionOptions *session_options(void) {
  OrtSessionOptions *options = NULL;
  OK(api->CreateSessionOptions(&options));
  OK(api->SetSessionLogSeverityLevel(options, ORT_LOGGING_LEVEL_FATAL));
  OK(api->SetIntraOpNumThreads(options, 2));
  return options;
}

static void session_options_take_every_setting(void) {
  OrtSessionOptions *options = session_options();
  float data[3] = {0};
  OrtValue *value = floats(data, 1);
  OK(api->SetInterOpNumThreads(options, 2));
  OK(api->SetSessionExecutionMode(options, ORT_PARALLEL));
  OK(api->SetSessionExecutionMode(options, ORT_SEQUENTIAL));
  OK(api->SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL));
  OK(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
  OK(api->DisableMemPattern(options));
  OK(api->DisableCpuMemArena(options));
  OK(api->SetSessionLogId(options, "an id"));
  OK(api->SetSessionLogVerbosityLevel(options, 1));
  OK(api->SetDeterministicCompute(options, true));
  OK(api->AddFreeDimensionOverride(options, "DATA_BATCH", 4));
  OK(api->AddFreeDimensionOverrideByName(options, "batch", 4));
  OK(api->AddSessionConfigEntry(options, "session.disable_prepacking", "1"));
  OK(api->AddInitializer(options, "unused", value));
  OK(api->AddExternalInitializers(options, (const char *[]){"also unused"},
                                  (const OrtValue *[]){value}, 1));
  FAILS(ORT_INVALID_ARGUMENT,
        api->SetSessionGraphOptimizationLevel(options, (GraphOptimizationLevel)1000));
  FAILS(ORT_FAIL, api->RegisterCustomOpsLibrary_V2(options, "/nonexistent/libnothing.so"));
  FAILS(ORT_INVALID_ARGUMENT,
        api->SessionOptionsAppendExecutionProvider(options, "Nonexistent", (const char *[]){"key"},
                                                   (const char *[]){"value"}, 1));
  api->ReleaseValue(value);
  api->ReleaseSessionOptions(options);
}

static OrtSession *session_from(const OrtEnv *env, const message *model,
                                const OrtSessionOptions *options) {
  OrtSession *session = NULL;
  OK(api->CreateSessionFromArray(env, model->bytes, model->size, options, &session));
  if (session == NULL)
    exit(1);
  return session;
}

static void expect_sum(OrtValue *value, float addend) {
  float *data = NULL;
  void *memory = NULL;
  expect_tensor(value, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, 2, 3);
  OK(api->GetTensorMutableData(value, &memory));
  data = memory;
  for (int i = 0; i < 6; i++)
    CHECK(data[i] == (float)i + addend * (float)(i % 3 + 1));
}

static float six[6] = {0, 1, 2, 3, 4, 5};

static void a_session_runs(OrtSession *session) {
  float weights[3] = {100, 200, 300};
  OrtValue *x = floats(six, 2), *y = NULL, *overridden = NULL;
  OrtValue *w =
      tensor_on(weights, sizeof weights, (int64_t[]){3}, 1, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  OrtRunOptions *options = NULL;
  const char *names[] = {"x", "w"}, *output[] = {"y"}, *wrong[] = {"z"};
  OK(api->Run(session, NULL, names, (const OrtValue *[]){x}, 1, output, 1, &y));
  expect_sum(y, 10);
  OK(api->Run(session, NULL, names, (const OrtValue *[]){x, w}, 2, output, 1, &overridden));
  expect_sum(overridden, 100);
  FAILS(ORT_INVALID_ARGUMENT,
        api->Run(session, NULL, wrong, (const OrtValue *[]){x}, 1, output, 1, &(OrtValue *){NULL}));
  OK(api->CreateRunOptions(&options));
  OK(api->RunOptionsSetTerminate(options));
  FAILS(ORT_FAIL, api->Run(session, options, names, (const OrtValue *[]){x}, 1, output, 1,
                           &(OrtValue *){NULL}));
  api->ReleaseRunOptions(options);
  api->ReleaseValue(overridden);
  api->ReleaseValue(y);
  api->ReleaseValue(w);
  api->ReleaseValue(x);
}

typedef struct finished_run {
  OrtValue *output;
  OrtStatus *status;
  size_t output_count;
  atomic_int done;
} finished_run;

static void on_finished(void *user_data, OrtValue **outputs, size_t output_count,
                        OrtStatus *status) {
  finished_run *run = user_data;
  run->output = outputs == NULL ? NULL : outputs[0];
  run->output_count = output_count;
  run->status = status;
  atomic_store(&run->done, 1);
}

static void a_session_runs_asynchronously(OrtSession *session) {
  OrtValue *x = floats(six, 2), *outputs[1] = {NULL};
  finished_run run = {.done = 0};
  const char *input[] = {"x"}, *output[] = {"y"};
  OK(api->RunAsync(session, NULL, input, (const OrtValue *[]){x}, 1, output, 1, outputs,
                   on_finished, &run));
  while (!atomic_load(&run.done))
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  OK(run.status);
  CHECK(run.output_count == 1 && run.output == outputs[0]);
  expect_sum(outputs[0], 10);
  api->ReleaseValue(outputs[0]);
  api->ReleaseValue(x);
}

static void expect_bound_output(OrtIoBinding *binding) {
  size_t count = 0;
  OrtValue **values = NULL;
  OK(api->GetBoundOutputValues(binding, allocator, &values, &count));
  CHECK(count == 1);
  expect_sum(values[0], 10);
  api->ReleaseValue(values[0]);
  OK(api->AllocatorFree(allocator, values));
}

static void a_session_runs_with_bindings(OrtSession *session) {
  float result[6] = {0};
  OrtIoBinding *binding = NULL;
  OrtStatus *without_input;
  OrtValue *x = floats(six, 2), *y = floats(result, 2);
  OK(api->CreateIoBinding(session, &binding));
  OK(api->BindInput(binding, "x", x));
  OK(api->BindOutputToDevice(binding, "y", cpu));
  OK(api->SynchronizeBoundInputs(binding));
  OK(api->RunWithBinding(session, NULL, binding));
  OK(api->SynchronizeBoundOutputs(binding));
  expect_bound_output(binding);
  api->ClearBoundOutputs(binding);
  OK(api->BindOutput(binding, "y", y));
  OK(api->RunWithBinding(session, NULL, binding));
  expect_sum(y, 10);
  CHECK(result[5] == 35);
  api->ClearBoundInputs(binding);
  without_input = api->RunWithBinding(session, NULL, binding);
  CHECK(without_input != NULL); /* its code depends on ORT's version */
  api->ReleaseStatus(without_input);
  api->ReleaseIoBinding(binding);
  api->ReleaseValue(y);
  api->ReleaseValue(x);
}

/* `type` is a tensor of floats, [batch, 3]. */
static void expect_matrix_type(OrtTypeInfo *type) {
  const OrtTensorTypeAndShapeInfo *tensor = NULL;
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  const char *names[2] = {NULL, NULL};
  int64_t shape[2] = {0, 0};
  size_t rank = 0;
  OK(api->CastTypeInfoToTensorInfo(type, &tensor));
  if (!CHECK(tensor != NULL))
    return;
  OK(api->GetTensorElementType(tensor, &element));
  OK(api->GetDimensionsCount(tensor, &rank));
  CHECK(element == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT && rank == 2);
  OK(api->GetDimensions(tensor, shape, 2));
  OK(api->GetSymbolicDimensions(tensor, names, 2));
  CHECK(shape[0] == -1 && shape[1] == 3);
  CHECK(strcmp(names[0], "batch") == 0 && strcmp(names[1], "") == 0);
}

static void a_session_describes_its_arguments(const OrtSession *session) {
  OrtTypeInfo *type = NULL;
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  char *name = NULL;
  size_t inputs = 0, outputs = 0, initializers = 0;
  OK(api->SessionGetInputCount(session, &inputs));
  OK(api->SessionGetOutputCount(session, &outputs));
  OK(api->SessionGetOverridableInitializerCount(session, &initializers));
  CHECK(inputs == 1 && outputs == 1 && initializers == 1);
  OK(api->SessionGetInputName(session, 0, allocator, &name));
  TEXT(name, "x");
  OK(api->SessionGetOutputName(session, 0, allocator, &name));
  TEXT(name, "y");
  OK(api->SessionGetOverridableInitializerName(session, 0, allocator, &name));
  TEXT(name, "w");
  OK(api->SessionGetInputTypeInfo(session, 0, &type));
  OK(api->GetOnnxTypeFromTypeInfo(type, &kind));
  CHECK(kind == ONNX_TYPE_TENSOR);
  expect_matrix_type(type);
  api->ReleaseTypeInfo(type);
  OK(api->SessionGetOutputTypeInfo(session, 0, &type));
  expect_matrix_type(type);
  api->ReleaseTypeInfo(type);
  OK(api->SessionGetOverridableInitializerTypeInfo(session, 0, &type));
  api->ReleaseTypeInfo(type);
  FAILS(ORT_FAIL, api->SessionGetInputName(session, 1, allocator, &name));
}

static void a_session_has_places_for_its_arguments(const OrtSession *session) {
  const OrtMemoryInfo *memory = NULL;
  const OrtEpDevice *device = NULL;
  OrtMemoryInfoDeviceType type = OrtMemoryInfoDeviceType_GPU;
  const char *name = NULL;
  OK(api->SessionGetMemoryInfoForInputs(session, &memory, 1));
  OK(api->MemoryInfoGetName(memory, &name));
  CHECK(strcmp(name, "Cpu") == 0);
  api->MemoryInfoGetDeviceType(memory, &type);
  CHECK(type == OrtMemoryInfoDeviceType_CPU);
  OK(api->SessionGetMemoryInfoForOutputs(session, &memory, 1));
  OK(api->MemoryInfoGetName(memory, &name));
  CHECK(strcmp(name, "Cpu") == 0);
  OK(api->SessionGetEpDeviceForInputs(session, &device, 1));
  CHECK(device != NULL && strcmp(api->EpDevice_EpName(device), "CPUExecutionProvider") == 0);
}

static void a_session_records_the_providers_of_its_nodes(const OrtEnv *env) {
  const OrtEpAssignedSubgraph *const *subgraphs = NULL;
  const OrtEpAssignedNode *const *nodes = NULL;
  const char *text = NULL;
  size_t count = 0, node_count = 0;
  OrtSessionOptions *options = session_options();
  message model = addition_model();
  OrtSession *session;
  OK(api->AddSessionConfigEntry(options, "session.record_ep_graph_assignment_info", "1"));
  session = session_from(env, &model, options);
  if (newer.Session_GetEpGraphAssignmentInfo != NULL) {
    OK(newer.Session_GetEpGraphAssignmentInfo(session, &subgraphs, &count));
    CHECK(count == 1);
    OK(newer.EpAssignedSubgraph_GetEpName(subgraphs[0], &text));
    CHECK(strcmp(text, "CPUExecutionProvider") == 0);
    OK(newer.EpAssignedSubgraph_GetNodes(subgraphs[0], &nodes, &node_count));
    CHECK(node_count == 1);
    OK(newer.EpAssignedNode_GetOperatorType(nodes[0], &text));
    CHECK(strcmp(text, "Add") == 0);
    OK(newer.EpAssignedNode_GetDomain(nodes[0], &text));
    CHECK(strcmp(text, "") == 0);
    OK(newer.EpAssignedNode_GetName(nodes[0], &text));
    CHECK(text != NULL);
  }
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
}

static void a_session_has_metadata(const OrtSession *session) {
  OrtModelMetadata *metadata = NULL;
  char *text = NULL, **keys = NULL;
  int64_t version = 0, count = 0;
  OK(api->SessionGetModelMetadata(session, &metadata));
  OK(api->ModelMetadataGetProducerName(metadata, allocator, &text));
  TEXT(text, "a producer");
  OK(api->ModelMetadataGetGraphName(metadata, allocator, &text));
  TEXT(text, "a graph");
  OK(api->ModelMetadataGetDomain(metadata, allocator, &text));
  TEXT(text, "a.domain");
  OK(api->ModelMetadataGetDescription(metadata, allocator, &text));
  TEXT(text, "a description");
  OK(api->ModelMetadataGetGraphDescription(metadata, allocator, &text));
  TEXT(text, "a graph description");
  OK(api->ModelMetadataGetVersion(metadata, &version));
  CHECK(version == 7);
  OK(api->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "a key", &text));
  TEXT(text, "a value");
  OK(api->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "another key", &text));
  CHECK(text == NULL);
  OK(api->ModelMetadataGetCustomMetadataMapKeys(metadata, allocator, &keys, &count));
  CHECK(count == 1);
  TEXT(keys[0], "a key");
  OK(api->AllocatorFree(allocator, keys));
  api->ReleaseModelMetadata(metadata);
}

static void a_session_lends_its_allocator(const OrtSession *session) {
  static OrtAllocator *arena; /* kept: ortmmap releases none */
  void *block;
  OK(api->CreateAllocator(session, cpu, &arena));
  block = arena->Alloc(arena, 1000);
  CHECK(block != NULL);
  arena->Free(arena, block);
}

static void expect_sequence_of_maps(OrtTypeInfo *type) {
  const OrtSequenceTypeInfo *sequence = NULL;
  const OrtMapTypeInfo *map = NULL;
  OrtTypeInfo *element = NULL, *value = NULL;
  ONNXTensorElementDataType key = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  OK(api->CastTypeInfoToSequenceTypeInfo(type, &sequence));
  OK(api->GetSequenceElementType(sequence, &element));
  OK(api->CastTypeInfoToMapTypeInfo(element, &map));
  OK(api->GetMapKeyType(map, &key));
  OK(api->GetMapValueType(map, &value));
  OK(api->GetOnnxTypeFromTypeInfo(value, &kind));
  CHECK(key == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 && kind == ONNX_TYPE_TENSOR);
  api->ReleaseTypeInfo(value);
  api->ReleaseTypeInfo(element);
}

static void expect_optional_matrix(OrtTypeInfo *type) {
  const OrtOptionalTypeInfo *optional = NULL;
  OrtTypeInfo *contained = NULL;
  OK(api->CastTypeInfoToOptionalTypeInfo(type, &optional));
  OK(api->GetOptionalContainedTypeInfo(optional, &contained));
  expect_matrix_type(contained);
  api->ReleaseTypeInfo(contained);
}

static void containers_are_described(const OrtEnv *env) {
  OrtSessionOptions *options = session_options();
  message model = container_model();
  OrtSession *session = session_from(env, &model, options);
  OrtTypeInfo *type = NULL;
  OK(api->SessionGetOutputTypeInfo(session, 0, &type));
  expect_sequence_of_maps(type);
  api->ReleaseTypeInfo(type);
  OK(api->SessionGetInputTypeInfo(session, 2, &type));
  expect_optional_matrix(type);
  api->ReleaseTypeInfo(type);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
}

static void a_run_gives_a_sequence_of_maps(const OrtEnv *env) {
  OrtSessionOptions *options = session_options();
  message model = container_model();
  OrtSession *session = session_from(env, &model, options);
  OrtValue *x = floats(six, 2), *maps = NULL, *map = NULL, *keys = NULL, *list = NULL;
  const char *inputs[] = {"x", "list", "maybe"}, *output[] = {"maps"};
  size_t count = 0;
  void *data = NULL;
  OK(api->CreateValue((const OrtValue *[]){x}, 1, ONNX_TYPE_SEQUENCE, &list));
  OK(api->Run(session, NULL, inputs, (const OrtValue *[]){x, list, x}, 3, output, 1, &maps));
  OK(api->GetValueCount(maps, &count));
  CHECK(count == 2);
  OK(api->GetValue(maps, 1, allocator, &map));
  OK(api->GetValue(map, 0, allocator, &keys));
  OK(api->GetTensorMutableData(keys, &data));
  CHECK(data != NULL && ((int64_t *)data)[2] == 300);
  api->ReleaseValue(keys);
  api->ReleaseValue(map);
  api->ReleaseValue(maps);
  api->ReleaseValue(list);
  api->ReleaseValue(x);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
}

static void in_folder(char *path, size_t size, const char *name) {
  snprintf(path, size, "%s/%s", folder, name);
}

static int exists(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file != NULL)
    fclose(file);
  return file != NULL;
}

static void a_session_profiles_and_saves(const OrtEnv *env) {
  OrtSessionOptions *options = session_options();
  message model = addition_model();
  OrtSession *session, *reopened = NULL;
  char optimized[4096], prefix[4096], *profile = NULL;
  uint64_t start = 0;
  in_folder(optimized, sizeof optimized, "optimized.onnx");
  in_folder(prefix, sizeof prefix, "profile");
  OK(api->SetOptimizedModelFilePath(options, optimized));
  OK(api->EnableProfiling(options, prefix));
  session = session_from(env, &model, options);
  OK(api->SessionGetProfilingStartTimeNs(session, &start));
  CHECK(start > 0);
  OK(api->SessionEndProfiling(session, allocator, &profile));
  CHECK(strncmp(profile, prefix, strlen(prefix)) == 0 && exists(profile));
  OK(api->AllocatorFree(allocator, profile));
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
  options = session_options();
  OK(api->CreateSession(env, optimized, options, &reopened));
  a_session_runs(reopened);
  api->ReleaseSession(reopened);
  FAILS(ORT_NO_SUCHFILE, api->CreateSession(env, "/nonexistent/model.onnx", options, &reopened));
  api->ReleaseSessionOptions(options);
}

static void loading_can_be_cancelled(const OrtEnv *env) {
  OrtSessionOptions *options = session_options();
  message model = addition_model();
  OrtSession *session = NULL;
  OK(api->SessionOptionsSetLoadCancellationFlag(options, true));
  FAILS(ORT_MODEL_LOAD_CANCELED,
        api->CreateSessionFromArray(env, model.bytes, model.size, options, &session));
  api->ReleaseSessionOptions(options);
}

static void broken_models_are_refused(const OrtEnv *env) {
  OrtSessionOptions *options = session_options();
  OrtSession *session = NULL;
  FAILS(ORT_INVALID_PROTOBUF, api->CreateSessionFromArray(env, "\xff\xff", 2, options, &session));
  api->ReleaseSessionOptions(options);
}

static OrtMemoryInfo *device; /* ORT refuses to register an arena */
static atomic_int blocks_made, blocks_freed;

static void *ORT_API_CALL count_alloc(OrtAllocator *self, size_t size) {
  (void)self;
  atomic_fetch_add(&blocks_made, 1);
  return aligned_alloc(64, (size + 63) / 64 * 64);
}

static void ORT_API_CALL count_free(OrtAllocator *self, void *block) {
  (void)self;
  atomic_fetch_add(&blocks_freed, block != NULL);
  free(block);
}

static const OrtMemoryInfo *ORT_API_CALL info_of_device(const OrtAllocator *self) {
  (void)self;
  return device;
}

static void a_registered_allocator_is_used(OrtEnv *env) {
  OrtAllocator counting = {.version = ORTMMAP_ORT_API_VERSION,
                           .Alloc = count_alloc,
                           .Free = count_free,
                           .Info = info_of_device,
                           .Reserve = count_alloc};
  OrtSessionOptions *options = session_options();
  message model = addition_model();
  OrtSession *session;
  OK(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &device));
  OK(api->RegisterAllocator(env, &counting));
  OK(api->AddSessionConfigEntry(options, "session.use_env_allocators", "1"));
  session = session_from(env, &model, options);
  a_session_runs(session);
  api->ReleaseSession(session);
  OK(api->UnregisterAllocator(env, device));
  api->ReleaseMemoryInfo(device);
  CHECK(blocks_made > 0 && blocks_made == blocks_freed);
  api->ReleaseSessionOptions(options);
}

static OrtCustomThreadHandle start_counted(void *counter, OrtThreadWorkerFn run, void *argument) {
  pthread_t *thread = malloc(sizeof *thread);
  void *(*entry)(void *) = NULL;
  memcpy(&entry, &run, sizeof run); /* its result is not read */
  atomic_fetch_add((atomic_int *)counter, 1);
  CHECK(pthread_create(thread, NULL, entry, argument) == 0);
  return (OrtCustomThreadHandle)thread;
}

static atomic_int threads_joined;

static void join_counted(OrtCustomThreadHandle handle) {
  pthread_join(*(const pthread_t *)(const void *)handle, NULL);
  atomic_fetch_add(&threads_joined, 1);
  free((void *)(uintptr_t)handle);
}

static void a_session_has_threads_made_for_it(const OrtEnv *env) {
  OrtSessionOptions *options = session_options();
  message model = addition_model();
  OrtSession *session;
  atomic_int made = 0;
  OK(api->SetIntraOpNumThreads(options, 3));
  OK(api->SessionOptionsSetCustomCreateThreadFn(options, start_counted));
  OK(api->SessionOptionsSetCustomThreadCreationOptions(options, &made));
  OK(api->SessionOptionsSetCustomJoinThreadFn(options, join_counted));
  session = session_from(env, &model, options);
  a_session_runs(session);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
  CHECK(made == 2 && threads_joined == 2);
}

static int lines_logged;

static void ORT_API_CALL count_lines(void *param, OrtLoggingLevel severity, const char *category,
                                     const char *log_id, const char *code_location,
                                     const char *text) {
  CHECK(severity >= 0 && severity <= 4 && category && log_id && code_location && text);
  ++*(int *)param;
}

static void sessions_share_global_threads(void) {
  OrtThreadingOptions *threading = NULL;
  OrtEnv *env = NULL;
  OrtSessionOptions *options = session_options();
  message model = addition_model();
  OrtSession *session;
  OK(api->CreateThreadingOptions(&threading));
  OK(api->SetGlobalIntraOpNumThreads(threading, 2));
  OK(api->SetGlobalInterOpNumThreads(threading, 1));
  OK(api->CreateEnvWithCustomLoggerAndGlobalThreadPools(
      count_lines, &lines_logged, ORT_LOGGING_LEVEL_FATAL, "global", threading, &env));
  api->ReleaseThreadingOptions(threading);
  OK(api->DisablePerSessionThreads(options));
  session = session_from(env, &model, options);
  a_session_runs(session);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
}

/* ORT creates one environment in a process, and ortmmap releases none. */
static void test_in_child(void (*test)(void)) {
  int status = 1;
  pid_t child = fork();
  if (child == 0) {
    checks_failed = 0;
    test();
    _exit(checks_failed != 0);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void test_values(void) {
  tensors_keep_type_and_shape();
  string_tensors_keep_their_bytes();
  sequences_and_maps_give_back_their_parts();
  sparse_tensors_keep_values_and_indices();
}

static void test_one_session(const OrtEnv *env) {
  OrtSessionOptions *options = session_options();
  message model = addition_model();
  OrtSession *session = session_from(env, &model, options);
  a_session_describes_its_arguments(session);
  a_session_has_places_for_its_arguments(session);
  a_session_has_metadata(session);
  a_session_lends_its_allocator(session);
  a_session_runs(session);
  a_session_runs_asynchronously(session);
  a_session_runs_with_bindings(session);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
}

static void test_sessions(void) {
  static OrtEnv *env; /* never released, and no leak as long as it is reachable */
  OK(api->CreateEnvWithCustomLogger(count_lines, &lines_logged, ORT_LOGGING_LEVEL_VERBOSE,
                                    "test_abi", &env));
  CHECK(lines_logged > 0);
  OK(api->UpdateEnvWithCustomLogLevel(env, ORT_LOGGING_LEVEL_FATAL));
  the_environment_describes_its_devices(env);
  the_environment_takes_settings(env);
  session_options_take_every_setting();
  test_one_session(env);
  a_session_records_the_providers_of_its_nodes(env);
  containers_are_described(env);
  a_run_gives_a_sequence_of_maps(env);
  a_session_profiles_and_saves(env);
  loading_can_be_cancelled(env);
  broken_models_are_refused(env);
  a_registered_allocator_is_used(env);
  a_session_has_threads_made_for_it(env);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: test_abi LIBRARY FOLDER\n");
    return 2;
  }
  folder = argv[2];
  setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* exit() would wait for its thread */
  a_missing_library_is_an_error();
  api = load(argv[1]);
  if (!CHECK(api != NULL))
    return 1;
  OK(api->GetAllocatorWithDefaultOptions(&allocator));
  OK(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &cpu));
  no_slot_of_the_table_is_empty();
  only_a_library_that_has_later_functions_is_asked_for_them();
  a_status_keeps_code_and_message();
  the_build_describes_itself();
  memory_infos_are_made();
  the_default_allocator_allocates();
  run_options_keep_what_is_set();
  test_in_child(sessions_share_global_threads);
  test_values();
  test_sessions();
  api->ReleaseMemoryInfo(cpu);
  return checks_report("test_abi");
}
