/* An allocator whose blocks can be replaced by the pages of a shared file.
 *
 * Prepacked weights are the same in every process that opens a model. While a session is created,
 * a recorder serves the allocations of its kernels. A block that equals one in a store (a file of
 * blocks that another process has recorded) is replaced by the file's pages. They are mapped
 * privately: a later write copies the page and never changes the file.
 *
 * Allocations outside a recording go to ONNX Runtime's own arena. POSIX only: on Windows
 * ortmmap_allocator_start() returns NULL, and the functions that follow it must not be called. */
#ifndef ORTMMAP_SHARED_PAGES_H
#define ORTMMAP_SHARED_PAGES_H

#include <ortmmap/ort_abi.h>

#include "cache/block_store.h"
#include "cache/heap.h"
#include "cache/latch.h"
#include "cache/store_range.h"

#include <stdatomic.h>

enum { ORTMMAP_SMALLEST_BLOCK = 64 << 10 }; /* smaller allocations go to the arena */

/* One creation of a session. Initialized with zeros; the session's threads point to it, so it must
 * outlive the session. Only the functions below access the fields. */
typedef struct ortmmap_recorder {
  atomic_bool active;
  atomic_size_t expected; /* place in the store's order of the block that is likely to come next */
  const ortmmap_store *store; /* may be NULL; set while no thread allocates */
  bool learning;              /* set before the recording begins */
  atomic_size_t missed;       /* blocks that are the arena's, since there can be no more mappings */
  struct ortmmap_recording_thread *threads; /* guarded by the heap's lock */
  bool keeping;                             /* guarded by the heap's lock */
  ortmmap_store_range range; /* of a recording that folds; guarded by the heap's lock */
  ortmmap_latch *packing;    /* opens with the first block, or when the recording ends; set once */
} ortmmap_recorder;

/* Start the heap, once in a process, and return the allocator to register with ONNX Runtime; NULL
 * if there is no address space. `arena` serves allocations outside a recording, `info` describes
 * the allocator; both live until the process ends. */
OrtAllocator *ortmmap_allocator_start(OrtAllocator *arena, const OrtMemoryInfo *info);

/* Replace the arena while none of its memory is in use: after a fork, where the parent's sessions
 * are neither used nor released. */
void ortmmap_allocator_set_arena(OrtAllocator *arena);

/* Record the calling thread's allocations. `store` may be NULL. False if memory is out.
 *
 * If the store has fingerprints, a block with one of these is replaced by the stored one without a
 * comparison. A block that ought to have one and does not may keep its beginning only (fold.h): a
 * session with a private block must not run then. A learning recorder takes the
 * fingerprint of each block. It keeps only the contents of blocks that the store has, so its
 * session must not run. */
bool ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store);

/* End the recording, in the thread that began it, and share the blocks that the store has. */
void ortmmap_recorder_end(ortmmap_recorder *recorder);

/* Keep the recorder's blocks readable, also those that the session frees, until
 * ortmmap_recorder_let(). */
void ortmmap_recorder_keep(ortmmap_recorder *recorder);

/* Unmap the blocks that were freed since ortmmap_recorder_keep(), and keep none from here on. */
void ortmmap_recorder_let(ortmmap_recorder *recorder);

/* Share the recorder's private blocks with `store`, after the recording. Other threads may run the
 * session, read its blocks and free them meanwhile; none may write to them. */
void ortmmap_recorder_share(ortmmap_recorder *recorder, const ortmmap_store *store);

/* Free the recorder's own memory, once its blocks are freed and its threads have ended. */
void ortmmap_recorder_release(ortmmap_recorder *recorder);

/* Add a thread to a recorder that is active: one of the session's (session_threads.h). NULL if
 * memory is out. */
struct ortmmap_recording_thread *ortmmap_recording_thread_add(ortmmap_recorder *recorder);

/* From here on, the allocations of the calling thread belong to that thread of a recorder. */
void ortmmap_recording_thread_enter(struct ortmmap_recording_thread *thread);

#endif /* ORTMMAP_SHARED_PAGES_H */
