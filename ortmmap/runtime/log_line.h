/* The logging function of ONNX Runtime's environment.
 *
 * A message goes to the sink that is set. If there is none, or the sink declines the message, it is
 * written to standard error in the format of ONNX Runtime's own sink.
 *
 * One translation unit of a process includes this header, which defines the process's sink. */
#ifndef ORTMMAP_LOG_LINE_H
#define ORTMMAP_LOG_LINE_H

#include <stdio.h>
#include <time.h>

#include "ortmmap/ort_types.h"
#include "process/atomic_count.h"

/* Returns 0 if it declines the message. Called on any thread. */
typedef int (*ortmmap_log_sink)(OrtLoggingLevel severity, const char *category, const char *log_id,
                                const char *code_location, const char *message);

static ortmmap_log_sink volatile ortmmap_log_to; /* by ORTMMAP_LOAD and ORTMMAP_STORE */

static void ortmmap_log_set_sink(ortmmap_log_sink sink) { ORTMMAP_STORE(&ortmmap_log_to, sink); }

static void ortmmap_log_write(OrtLoggingLevel severity, const char *category, const char *log_id,
                              const char *code_location, const char *message) {
  static const char letters[] = "VIWEF";
  static const char *const colors[] = {"", "", "\033[0;93m", "\033[1;31m", "\033[1;37;41m"};
  const int level = severity < 0 ? 0 : severity > 4 ? 4 : (int)severity;
  struct timespec now = {0};
  struct tm utc = {0};
  char date[32];
  timespec_get(&now, TIME_UTC);
#ifdef _WIN32
  gmtime_s(&utc, &now.tv_sec);
#else
  gmtime_r(&now.tv_sec, &utc);
#endif
  strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &utc);
  /* One call, so that lines of several threads do not mix. */
  fprintf(stderr, "%s%s.%09ld [%c:%s:%s, %s] %s%s\n", colors[level], date, (long)now.tv_nsec,
          letters[level], category, log_id, code_location, message, level >= 2 ? "\033[m" : "");
}

/* An OrtLoggingFunction. */
static void ORT_API_CALL ortmmap_log(void *param, OrtLoggingLevel severity, const char *category,
                                     const char *log_id, const char *code_location,
                                     const char *message) {
  const ortmmap_log_sink sink = ORTMMAP_LOAD(&ortmmap_log_to);
  (void)param;
  if (sink == NULL || !sink(severity, category, log_id, code_location, message))
    ortmmap_log_write(severity, category, log_id, code_location, message);
}

#endif /* ORTMMAP_LOG_LINE_H */
