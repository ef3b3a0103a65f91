/* Windows: only ortmmap_allocator_start() is called; the rest is there to link. */
#include "cache/session_threads.h"
#include "cache/shared_pages.h"

#ifdef _WIN32

OrtAllocator *ortmmap_allocator_start(OrtAllocator *outside, const OrtMemoryInfo *info) {
  (void)outside, (void)info;
  return NULL;
}

void ortmmap_allocator_set_arena(OrtAllocator *arena) { (void)arena; }

bool ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store) {
  (void)recorder, (void)store;
  return false;
}

void ortmmap_recorder_end(ortmmap_recorder *recorder) { (void)recorder; }

void ortmmap_recorder_keep(ortmmap_recorder *recorder) { (void)recorder; }

void ortmmap_recorder_let(ortmmap_recorder *recorder) { (void)recorder; }

void ortmmap_recorder_share(ortmmap_recorder *recorder, const ortmmap_store *store) {
  (void)recorder, (void)store;
}

void ortmmap_recorder_release(ortmmap_recorder *recorder) { (void)recorder; }

OrtCustomThreadHandle ortmmap_create_thread(void *recorder, OrtThreadWorkerFn run, void *argument) {
  (void)recorder, (void)run, (void)argument;
  return NULL;
}

void ortmmap_join_thread(OrtCustomThreadHandle handle) { (void)handle; }

#endif /* _WIN32 */
