/* The cost of one call of run: ONNX Runtime's own C API and ortmmap's, on one session, in turn. */
#include <ortmmap/capi.h>
#include <ortmmap/ort_abi.h>

#include <stdio.h>
#include <time.h>

enum { SIZE = 4 };

static const ortmmap_capi *table;
static ortmmap_session *session;
static const OrtApi *api;
static OrtSession *ort_session;
static OrtMemoryInfo *cpu;
static OrtRunOptions *run_options;
static OrtValue *bound_values[2];
static OrtIoBinding *binding;
static ortmmap_prepared *prepared;

static const char *const names[2] = {"x", "y"};
static const int64_t shape[2] = {1, SIZE};
static float input[SIZE] = {-1, 2, -3, 4}, output[SIZE];
static volatile float sink;

static int failed(OrtStatus *status) {
  if (status == NULL)
    return 0;
  fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  api->ReleaseStatus(status);
  return 1;
}

static int refused(int code, const ortmmap_error *error) {
  return code == ORTMMAP_OK ? 0 : fprintf(stderr, "%s\n", error->message);
}

static int new_value(float *data, OrtValue **value) {
  return failed(api->CreateTensorWithDataAsOrtValue(cpu, data, sizeof(input), shape, 2,
                                                    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, value));
}

static int run_values(const OrtValue *x, OrtValue **y) {
  return failed(api->Run(ort_session, run_options, names, &x, 1, names + 1, 1, y));
}

static int ask_size(const OrtValue *value, int64_t *size) {
  OrtTensorTypeAndShapeInfo *info;
  ONNXTensorElementDataType type;
  int64_t sizes[2];
  size_t rank;
  if (failed(api->GetTensorTypeAndShape(value, &info)) ||
      failed(api->GetTensorElementType(info, &type)) ||
      failed(api->GetDimensionsCount(info, &rank)) || failed(api->GetDimensions(info, sizes, rank)))
    return 1;
  api->ReleaseTensorTypeAndShapeInfo(info);
  *size = sizes[1];
  return 0;
}

/* Values are made for each call. The output goes into memory of the caller's, or ONNX Runtime
 * allocates it; a caller that does not know its type and shape asks for them. */
static int ort_call(float *into, int asks) {
  OrtValue *x, *y = NULL;
  float *data = into;
  int64_t size = SIZE;
  if (new_value(input, &x) || (into != NULL && new_value(into, &y)) || run_values(x, &y) ||
      (into == NULL && failed(api->GetTensorMutableData(y, (void **)&data))) ||
      (asks && ask_size(y, &size)))
    return 1;
  sink = data[size - 1];
  api->ReleaseValue(y);
  api->ReleaseValue(x);
  return 0;
}

static int our_call(float *into) {
  ortmmap_input x = {"x", input, sizeof(input), shape, 2, ORTMMAP_FLOAT, 0};
  ortmmap_output own = {"y", NULL, 0, NULL, 0, 0, 0, NULL};
  ortmmap_output given = {"y", into, sizeof(output), shape, 2, ORTMMAP_FLOAT, 0, NULL};
  ortmmap_output *y = into == NULL ? &own : &given;
  ortmmap_error error;
  if (refused(table->run(session, &x, 1, y, 1, NULL, &error), &error))
    return 1;
  sink = ((float *)y->data)[y->shape[1] - 1];
  if (into == NULL)
    table->release_outputs(y, 1);
  return 0;
}

static int ort_run(void) { return ort_call(NULL, 1); }
static int ort_run_known(void) { return ort_call(NULL, 0); }
static int our_run(void) { return our_call(NULL); }
static int ort_run_into(void) { return ort_call(output, 0); }
static int our_run_into(void) { return our_call(output); }

/* Everything is bound before. */
static int ort_run_values(void) { return run_values(bound_values[0], bound_values + 1); }
static int ort_run_binding(void) {
  return failed(api->RunWithBinding(ort_session, run_options, binding));
}
static int our_prepared_run(void) {
  ortmmap_error error;
  return refused(table->prepared_run(prepared, NULL, &error), &error);
}

static int (*const rivals[])(void) = {
    ort_run,      ort_run_known,  our_run,         ort_run_into,
    our_run_into, ort_run_values, ort_run_binding, our_prepared_run,
};
enum { RIVALS = sizeof(rivals) / sizeof(rivals[0]) };

static int set_up(const char *path) {
  ortmmap_session_options options = {.struct_size = sizeof(options), .intra_op_num_threads = 1};
  ortmmap_input x = {"x", input, sizeof(input), shape, 2, ORTMMAP_FLOAT, 0};
  ortmmap_output y = {"y", output, sizeof(output), shape, 2, ORTMMAP_FLOAT, 0, NULL};
  ortmmap_error error;
  if (refused(table->session_open(path, &options, &session, &error), &error))
    return 1;
  api = table->session_ort_api(session);
  ort_session = table->session_ort(session);
  return failed(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu)) ||
         failed(api->CreateRunOptions(&run_options)) || new_value(input, &bound_values[0]) ||
         new_value(output, &bound_values[1]) ||
         failed(api->CreateIoBinding(ort_session, &binding)) ||
         failed(api->BindInput(binding, names[0], bound_values[0])) ||
         failed(api->BindOutput(binding, names[1], bound_values[1])) ||
         refused(table->prepare(session, &x, 1, &y, 1, &prepared, &error), &error);
}

static void tear_down(void) {
  table->prepared_release(prepared);
  api->ReleaseIoBinding(binding);
  api->ReleaseValue(bound_values[1]);
  api->ReleaseValue(bound_values[0]);
  api->ReleaseRunOptions(run_options);
  api->ReleaseMemoryInfo(cpu);
  table->session_release(session);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Measure blocks of calls of the model at `path`, the rivals in turn. Writes the nanoseconds of
 * one call, `rounds` of them for each rival. Returns 0; else the error is on standard error. */
int measure(const ortmmap_capi *functions, const char *path, size_t rounds, size_t calls,
            double *nanoseconds) {
  table = functions;
  if (set_up(path))
    return 1;
  for (size_t round = 0; round < rounds; round++) {
    for (size_t rival = 0; rival < RIVALS; rival++) {
      double start = now();
      for (size_t call = 0; call < calls; call++)
        if (rivals[rival]())
          return 1;
      nanoseconds[rival * rounds + round] = (now() - start) / (double)calls;
    }
  }
  tear_down();
  return 0;
}
