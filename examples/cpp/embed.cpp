// A C++ library that receives ortmmap's table of functions, and needs only its header. Build:
//
//   c++ -std=c++11 -shared -fPIC -pthread -I"$INCLUDE" embed.cpp -o libembed.so
//
// with INCLUDE=$(python -c 'import ortmmap; print(ortmmap.get_include())').
// It opens the model itself, and runs it on threads of its own that Python does not know.
#include <ortmmap/capi.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

class Error : public std::runtime_error {
public:
  explicit Error(const ortmmap_error &error) : std::runtime_error(error.message) {}
};

class Session {
public:
  Session(const ortmmap_capi *capi, const char *path) : capi_(capi), session_(nullptr) {
    ortmmap_session_options options = ortmmap_session_options();
    options.struct_size = sizeof(options);
    options.intra_op_num_threads = 1;
    ortmmap_error error;
    if (capi_->session_open(path, &options, &session_, &error) != ORTMMAP_OK)
      throw Error(error);
  }
  ~Session() { capi_->session_release(session_); }
  Session(const Session &) = delete;
  Session &operator=(const Session &) = delete;

  const ortmmap_value_info &input() const { return *capi_->session_input(session_, 0); }

  // Returns the first output for the first input.
  std::vector<float> run(const float *data, const std::vector<int64_t> &shape) const {
    size_t count = 1;
    for (int64_t size : shape)
      count *= static_cast<size_t>(size);
    const ortmmap_input input = {
        nullptr, data, count * sizeof(float), shape.data(), shape.size(), ORTMMAP_FLOAT, 0};
    ortmmap_output output = ortmmap_output();
    ortmmap_error error;
    if (capi_->run(session_, &input, 1, &output, 1, nullptr, &error) != ORTMMAP_OK)
      throw Error(error);
    const float *first = static_cast<const float *>(output.data);
    std::vector<float> result(first, first + output.size / sizeof(float));
    capi_->release_outputs(&output, 1);
    return result;
  }

private:
  const ortmmap_capi *capi_;
  ortmmap_session *session_;
};

} // namespace

// Computes `rows` outputs of `output_width` floats, on a thread each. Returns 0, or 1 and an error
// text.
extern "C" int embed_run(const void *table, const char *path, const float *inputs, size_t rows,
                         size_t input_width, float *outputs, size_t output_width, char *text,
                         size_t text_size) {
  const ortmmap_capi *capi = static_cast<const ortmmap_capi *>(table);
  std::string failure;
  if (!ortmmap_capi_usable(capi))
    failure = "ortmmap's C API is of another version";
  else
    try {
      const Session session(capi, path);
      std::vector<std::string> failures(rows);
      std::vector<std::thread> threads;
      for (size_t row = 0; row < rows; row++)
        threads.emplace_back([&, row] {
          try {
            const std::vector<int64_t> shape = {1, static_cast<int64_t>(input_width)};
            const std::vector<float> result = session.run(inputs + row * input_width, shape);
            if (result.size() != output_width)
              throw std::runtime_error("the output has another size than expected");
            std::memcpy(outputs + row * output_width, result.data(), output_width * sizeof(float));
          } catch (const std::exception &error) {
            failures[row] = error.what();
          }
        });
      for (std::thread &thread : threads)
        thread.join();
      for (const std::string &each : failures)
        failure += each;
    } catch (const std::exception &error) {
      failure = error.what();
    }
  std::strncpy(text, failure.c_str(), text_size - 1);
  text[text_size - 1] = 0;
  return failure.empty() ? 0 : 1;
}
