/* What one call of run costs: ONNX Runtime's own C API and ortmmap's, on one session, in turn. */
#include <ortmmap/capi.h>
#include <ortmmap/ort_abi.h>

#include <stdio.h>
#include <string.h>
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

static int new_value(float *data, OrtValue **value) {
  return failed(api->CreateTensorWithDataAsOrtValue(cpu, data, sizeof(input), shape, 2,
                                                    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, value));
}

/* ONNX Runtime allocates the output; whoever gets it asks for its data, its type and its shape. */
static int ort_run(void) {
  OrtValue *x, *y = NULL;
  OrtTensorTypeAndShapeInfo *info;
  ONNXTensorElementDataType type;
  int64_t sizes[2];
  size_t rank;
  float *data;
  if (new_value(input, &x) ||
      failed(api->Run(ort_session, run_options, names, (const OrtValue *const *)&x, 1, names + 1, 1,
                      &y)) ||
      failed(api->GetTensorMutableData(y, (void **)&data)) ||
      failed(api->GetTensorTypeAndShape(y, &info)) ||
      failed(api->GetTensorElementType(info, &type)) ||
      failed(api->GetDimensionsCount(info, &rank)) || failed(api->GetDimensions(info, sizes, rank)))
    return 1;
  sink = data[sizes[1] - 1];
  api->ReleaseTensorTypeAndShapeInfo(info);
  api->ReleaseValue(y);
  api->ReleaseValue(x);
  return 0;
}

/* The same by whoever knows the output's type and shape. */
static int ort_run_known(void) {
  OrtValue *x, *y = NULL;
  float *data;
  if (new_value(input, &x) ||
      failed(api->Run(ort_session, run_options, names, (const OrtValue *const *)&x, 1, names + 1, 1,
                      &y)) ||
      failed(api->GetTensorMutableData(y, (void **)&data)))
    return 1;
  sink = data[SIZE - 1];
  api->ReleaseValue(y);
  api->ReleaseValue(x);
  return 0;
}

static int our_run(void) {
  ortmmap_input x = {"x", input, sizeof(input), shape, 2, ORTMMAP_FLOAT, 0};
  ortmmap_output y = {"y", NULL, 0, NULL, 0, 0, 0, NULL};
  ortmmap_error error;
  if (table->run(session, &x, 1, &y, 1, NULL, &error) != ORTMMAP_OK)
    return fprintf(stderr, "%s\n", error.message);
  sink = ((float *)y.data)[y.shape[1] - 1];
  table->release_outputs(&y, 1);
  return 0;
}

/* The output's memory is the caller's, and so is the input's; both are new to each call. */
static int ort_run_into(void) {
  OrtValue *x, *y;
  if (new_value(input, &x) || new_value(output, &y) ||
      failed(api->Run(ort_session, run_options, names, (const OrtValue *const *)&x, 1, names + 1, 1,
                      &y)))
    return 1;
  sink = output[SIZE - 1];
  api->ReleaseValue(y);
  api->ReleaseValue(x);
  return 0;
}

static int our_run_into(void) {
  ortmmap_input x = {"x", input, sizeof(input), shape, 2, ORTMMAP_FLOAT, 0};
  ortmmap_output y = {"y", output, sizeof(output), shape, 2, ORTMMAP_FLOAT, 0, NULL};
  ortmmap_error error;
  if (table->run(session, &x, 1, &y, 1, NULL, &error) != ORTMMAP_OK)
    return fprintf(stderr, "%s\n", error.message);
  sink = output[SIZE - 1];
  return 0;
}

/* Everything is bound before. */
static int ort_run_values(void) {
  return failed(api->Run(ort_session, run_options, names, (const OrtValue *const *)bound_values, 1,
                         names + 1, 1, bound_values + 1));
}

static int ort_run_binding(void) {
  return failed(api->RunWithBinding(ort_session, run_options, binding));
}

static int our_prepared_run(void) {
  ortmmap_error error;
  if (table->prepared_run(prepared, NULL, &error) != ORTMMAP_OK)
    return fprintf(stderr, "%s\n", error.message);
  return 0;
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
  if (table->session_open(path, &options, &session, &error) != ORTMMAP_OK)
    return fprintf(stderr, "%s\n", error.message);
  api = table->session_ort_api(session);
  ort_session = table->session_ort(session);
  if (failed(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu)) ||
      failed(api->CreateRunOptions(&run_options)) || new_value(input, &bound_values[0]) ||
      new_value(output, &bound_values[1]) || failed(api->CreateIoBinding(ort_session, &binding)) ||
      failed(api->BindInput(binding, names[0], bound_values[0])) ||
      failed(api->BindOutput(binding, names[1], bound_values[1])))
    return 1;
  if (table->prepare(session, &x, 1, &y, 1, &prepared, &error) != ORTMMAP_OK)
    return fprintf(stderr, "%s\n", error.message);
  return 0;
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

/* Writes the nanoseconds of a call of the model at `path`, `rounds` of them for each rival, of
 * blocks of `calls` calls that alternate. Returns 0; else what failed is on standard error. */
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
