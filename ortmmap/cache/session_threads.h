/* The threads of a session that is being created and recorded (shared_pages.h).
 *
 * They may prepack in parallel, so they are recorded too. Until there is something to pack they
 * rest: ONNX Runtime has a thread without work spin, which takes the processor from the thread that
 * creates the session, and time from a quota. */
#ifndef ORTMMAP_SESSION_THREADS_H
#define ORTMMAP_SESSION_THREADS_H

#include <ortmmap/ort_abi.h>

/* Thread functions for OrtSessionOptions. The creation options are the recorder. */
OrtCustomThreadHandle ortmmap_create_thread(void *recorder, OrtThreadWorkerFn run, void *argument);
void ortmmap_join_thread(OrtCustomThreadHandle handle);

#endif /* ORTMMAP_SESSION_THREADS_H */
