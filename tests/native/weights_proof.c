/* weights_proof LIBRARY GRAPH DATA WEIGHTS SEED: whether creating a session keeps anything of its
 * weights but what kernels have packed.
 *
 * Children of one process create the same session, in turn of the weights themselves and of a
 * pattern in their place. The blocks of the latter lie on folds (as in ortmmap/cache/fold.h, with
 * smaller pages): behind its beginning, a block shows one piece of memory again and again. All
 * memory that they may write is compared. Where children of one kind differ (process identifiers,
 * times), nothing is said. Where each kind has a value of its own, the session depends on the
 * weights outside of
 *   - the weights' own pages,
 *   - blocks of LEAST_BLOCK bytes and more that kernels have allocated,
 *   - the keys that ONNX Runtime makes of these blocks (prepacked_keys.h),
 *   - the part of the stack that is no longer in use.
 * Freed memory is overwritten, so nothing dead is compared.
 *
 * GRAPH is an ONNX model whose weights lie in DATA. Each line of WEIGHTS is a name, the element
 * type, offset, size, 1 if it gets a pattern, the rank, the dimensions. SEED chooses the pattern.
 * Exit status: 0 if all is equal, 3 if something depends, 4 if no block depends on the pattern, 5
 * if another seed is due, 1 after an error. Linux only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS, M_PERTURB */
#endif

#include "prepacked_keys.h"

#include <ortmmap/library.h>
#include <ortmmap/ort_abi.h>

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  LEAST_BLOCK = 64 << 10,
  MOST_WEIGHTS = 64,
  MOST_REGIONS = 4096,
  MOST_BLOCKS = 256,
  DEAD_STACK = 512 << 10,
  FOLD_PAGE = 32 << 10,
  FOLD_SIZE = 3 * FOLD_PAGE,
  CHILDREN = 5 /* those of the pattern have odd numbers */
};

static const size_t HEAP_BYTES = (size_t)1 << 30;

typedef struct weight {
  char name[256];
  int type, stands_in;
  size_t offset, size, rank;
  int64_t shape[8];
} weight;

static const OrtApi *api;
static OrtEnv *env;
static OrtMemoryInfo *cpu;
static weight weights[MOST_WEIGHTS];
static size_t weight_count;
static const char *graph;
static unsigned char *data, *large_heap, *small_heap;
static size_t data_size, large_used, small_used;
static char *stack_top; /* below main()'s frame */

/* Shared by all processes, and not compared. */
static struct shared {
  pid_t pids[CHILDREN];
  children all;
  bool folds;                    /* the next child's blocks: it is one of the pattern */
  size_t small_used, large_used; /* of the heaps; the same in all children */
  region blocks[MOST_BLOCKS];    /* the large ones that live; the same in all children */
  size_t block_count;
} *shared;

static void fail(const char *text) {
  fprintf(stderr, "weights_proof: %s\n", text);
  exit(1);
}

static void check(OrtStatus *status) {
  if (status != NULL)
    fail(api->GetErrorMessage(status));
}

/* --- the allocator: two ranges that only grow, so that addresses are the same in each child --- */

static void note_block(const unsigned char *address, size_t size) {
  if (shared->block_count == MOST_BLOCKS)
    fail("too many blocks");
  shared->blocks[shared->block_count++] = (region){(size_t)address, size, ""};
}

static void forget_block(const void *address) {
  size_t index;
  for (index = 0; index < shared->block_count; index++)
    if (shared->blocks[index].start == (size_t)address)
      break;
  for (; index + 1 < shared->block_count; index++)
    shared->blocks[index] = shared->blocks[index + 1];
  shared->block_count = index;
}

/* Map a fold of its own at a block: keys of packed buffers are computed from them at the end. */
static void map_fold(unsigned char *address, size_t size) {
  int fd = memfd_create("fold", MFD_CLOEXEC);
  size_t start, last = FOLD_SIZE - FOLD_PAGE;
  if (fd < 0 || ftruncate(fd, FOLD_SIZE) != 0)
    fail("no file in memory");
  for (start = 0; start < size; start += FOLD_PAGE)
    if (mmap(address + start, FOLD_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
             (off_t)(start < last ? start : last)) == MAP_FAILED)
      fail("no mapping of a fold");
  close(fd);
}

static void *ORT_API_CALL allocate(OrtAllocator *self, size_t size) {
  bool is_large = size >= LEAST_BLOCK;
  size_t unit = is_large ? FOLD_PAGE : 64;
  size_t whole = (64 + size + unit - 1) / unit * unit;
  unsigned char *heap = is_large ? large_heap : small_heap;
  size_t *used = is_large ? &large_used : &small_used, start = *used;
  (void)self;
  *used += whole;
  if (*used > HEAP_BYTES)
    fail("the heap is too small");
  if (shared->folds && is_large)
    map_fold(heap + start, whole);
  memcpy(heap + start, &size, sizeof size);
  if (is_large)
    note_block(heap + start + 64, size);
  return heap + start + 64;
}

static void ORT_API_CALL release(OrtAllocator *self, void *block) {
  size_t size;
  (void)self;
  if (block == NULL)
    return;
  memcpy(&size, (unsigned char *)block - 64, sizeof size);
  memset(block, 0, size);
  if (size >= LEAST_BLOCK)
    forget_block(block);
}

static const OrtMemoryInfo *ORT_API_CALL info(const OrtAllocator *self) {
  (void)self;
  return cpu;
}

static OrtAllocator allocator = {
    .version = 18, .Alloc = allocate, .Free = release, .Info = info, .Reserve = allocate};

/* --- files --- */

/* Map a file privately, at `place` if that is not NULL. */
static unsigned char *map_file(const char *path, size_t *size, void *place) {
  struct stat found;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  void *mapped;
  if (fd < 0 || fstat(fd, &found) != 0)
    fail(path);
  *size = (size_t)found.st_size;
  mapped = mmap(place, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | (place != NULL ? MAP_FIXED : 0),
                fd, 0);
  if (mapped == MAP_FAILED)
    fail(path);
  close(fd);
  return mapped;
}

static void read_weights(const char *path) {
  FILE *file = fopen(path, "r");
  weight *each = weights;
  size_t index;
  if (file == NULL)
    fail(path);
  while (fscanf(file, "%255s %d %zu %zu %d %zu", each->name, &each->type, &each->offset,
                &each->size, &each->stands_in, &each->rank) == 6) {
    for (index = 0; index < each->rank; index++)
      if (fscanf(file, "%ld", &each->shape[index]) != 1)
        fail("a weight's shape");
    each = weights + ++weight_count;
  }
  fclose(file);
}

/* --- a child --- */

static void put_pattern(uint64_t seed) {
  uint64_t state = 88172645463325252u + seed;
  size_t index, at, stop;
  for (index = 0; index < weight_count; index++) {
    if (!weights[index].stands_in)
      continue;
    at = weights[index].offset;
    stop = at + weights[index].size;
    for (; at < stop; at += sizeof state) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      state = (state & 0x807FFFFF807FFFFFu) | 0x3F8000003F800000u;
      memcpy(data + at, &state, sizeof state < stop - at ? sizeof state : stop - at);
    }
  }
}

static void create_session(void) {
  OrtSessionOptions *options;
  OrtSession *session;
  OrtValue *value;
  size_t index;
  check(api->CreateSessionOptions(&options));
  check(api->SetIntraOpNumThreads(options, 1));
  check(api->SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL));
  check(api->AddSessionConfigEntry(options, "session.use_env_allocators", "1"));
  for (index = 0; index < weight_count; index++) {
    const weight *each = weights + index;
    check(api->CreateTensorWithDataAsOrtValue(cpu, data + each->offset, each->size, each->shape,
                                              each->rank, (ONNXTensorElementDataType)each->type,
                                              &value));
    check(api->AddInitializer(options, each->name, value));
  }
  check(api->CreateSession(env, graph, options, &session));
  api->ReleaseSessionOptions(options);
}

/* Overwrite what calls have left below the caller's frame. */
static __attribute__((noinline)) void clear_dead_stack(void) {
  volatile char dead[DEAD_STACK];
  size_t index;
  for (index = 0; index < sizeof dead; index++)
    dead[index] = 0;
}

static void child(int ready) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  shared->block_count = 0;
  create_session();
  shared->small_used = small_used;
  shared->large_used = large_used;
  clear_dead_stack();
  if (write(ready, "r", 1) != 1)
    _exit(1);
  for (;;)
    pause();
}

/* Start the next child. Nothing of its own memory says which it is. */
static void start(void) {
  int ends[2];
  char byte;
  pid_t pid;
  if (pipe(ends) != 0)
    fail("pipe");
  pid = fork();
  if (pid == 0)
    child(ends[1]);
  if (pid < 0)
    fail("fork");
  shared->pids[shared->all.count] = pid;
  close(ends[1]);
  if (read(ends[0], &byte, 1) != 1)
    fail("a child could not create the session");
  close(ends[0]);
  shared->all.count++;
}

/* --- comparing --- */

static bool overlaps(size_t start, size_t stop, const void *other, size_t size) {
  return start < (size_t)other + size && (size_t)other < stop;
}

/* The ranges that a child may write, but weights, large blocks, and the dead part of the stack. */
static size_t regions_of(pid_t pid, region *regions) {
  char path[64], line[512], modes[8];
  size_t start, stop, count = 0;
  FILE *file;
  snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
  file = fopen(path, "r");
  while (file != NULL && count < MOST_REGIONS && fgets(line, sizeof line, file) != NULL) {
    region *each = regions + count;
    each->name[0] = '\0';
    if (sscanf(line, "%zx-%zx %7s %*s %*s %*s %127s", &start, &stop, modes, each->name) < 3)
      continue;
    if (modes[1] != 'w' || overlaps(start, stop, data, data_size) ||
        overlaps(start, stop, large_heap, HEAP_BYTES) ||
        overlaps(start, stop, shared, sizeof *shared))
      continue;
    if (overlaps(start, stop, small_heap, HEAP_BYTES))
      stop = start + shared->small_used;
    if (strcmp(each->name, "[stack]") == 0)
      start = (size_t)stack_top;
    each->start = start;
    each->size = stop - start;
    count++;
  }
  if (file != NULL)
    fclose(file);
  return count;
}

static int open_memory(pid_t pid) {
  char path[64];
  int fd;
  snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
  fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    fail(path);
  return fd;
}

/* Whether all children of the weights have one value, and all of the pattern another. */
static bool depends(unsigned char pages[CHILDREN][PAGE], size_t index) {
  int which;
  for (which = 2; which < CHILDREN; which++)
    if (pages[which][index] != pages[which % 2][index])
      return false;
  return pages[0][index] != pages[1][index];
}

/* Count the bytes of a range that depend on the weights. If it has a name, it is not of blocks:
 * then keys do not count, and the first byte is reported. */
static size_t count_dependent(size_t start, size_t size, const char *name) {
  static unsigned char pages[CHILDREN][PAGE];
  size_t at, index, found = 0;
  int which;
  for (at = 0; at < size; at += PAGE) {
    for (which = 0; which < CHILDREN; which++)
      read_memory(&shared->all, which, start + at, pages[which], PAGE);
    for (index = 0; index < PAGE && index < size - at; index++)
      if (depends(pages, index) &&
          !(name != NULL && belongs_to_key(&shared->all, start + at + index)) && found++ == 0 &&
          name != NULL)
        fprintf(stderr, "weights_proof: %zx of %s depends on the weights\n", start + at + index,
                name[0] != '\0' ? name : "anonymous memory");
  }
  return found;
}

static void check_maps(region regions[CHILDREN][MOST_REGIONS], const size_t *counts) {
  size_t index;
  int which;
  for (which = 0; which < CHILDREN; which++) {
    if (counts[which] != counts[0])
      fail("the children have different maps");
    for (index = 0; index < counts[0]; index++)
      if (regions[which][index].start != regions[0][index].start ||
          regions[which][index].size != regions[0][index].size)
        fail("the children have different maps");
  }
}

static int compare(void) {
  static region regions[CHILDREN][MOST_REGIONS];
  size_t counts[CHILDREN], index, elsewhere = 0, packed;
  int which;
  for (which = 0; which < CHILDREN; which++) {
    counts[which] = regions_of(shared->pids[which], regions[which]);
    shared->all.memories[which] = open_memory(shared->pids[which]);
  }
  if (!find_keys(&shared->all, shared->blocks, shared->block_count, regions[0], counts[0]))
    return 5;
  check_maps(regions, counts);
  for (index = 0; index < counts[0]; index++)
    elsewhere +=
        count_dependent(regions[0][index].start, regions[0][index].size, regions[0][index].name);
  packed = count_dependent((size_t)large_heap, shared->large_used, NULL);
  printf("%zu bytes elsewhere and %zu bytes of blocks depend on the weights\n", elsewhere, packed);
  return elsewhere > 0 ? 3 : packed == 0 ? 4 : 0;
}

/* Reserve a heap with an end that nobody may write: adjacent ones would be one range in the maps.
 */
static unsigned char *reserve(void) {
  unsigned char *range = mmap(NULL, HEAP_BYTES + PAGE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED || mprotect(range + HEAP_BYTES, PAGE, PROT_NONE) != 0)
    fail("no address space");
  return range;
}

static void ORT_API_CALL ignore(void *self, OrtLoggingLevel severity, const char *category,
                                const char *id, const char *place, const char *message) {
  (void)self, (void)severity, (void)category, (void)id, (void)place, (void)message;
}

int main(int count, char **arguments) {
  const OrtApiBase *(*get_base)(void);
  char error[512], local;
  void *library, *symbol;
  int which, result;
  if (count != 6)
    fail("LIBRARY GRAPH DATA WEIGHTS SEED");
  stack_top = &local - 256;
  mallopt(M_PERTURB, 0x5A);
  setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  library = ortmmap_library_open(arguments[1], error, sizeof error);
  symbol = library == NULL ? NULL : ortmmap_library_symbol(library, "OrtGetApiBase");
  if (symbol == NULL)
    fail("no library of ONNX Runtime");
  memcpy(&get_base, &symbol, sizeof symbol);
  api = get_base()->GetApi(ORTMMAP_ORT_API_VERSION);
  graph = arguments[2];
  data = map_file(arguments[3], &data_size, NULL);
  read_weights(arguments[4]);
  large_heap = reserve();
  small_heap = reserve();
  check(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
  check(api->CreateEnvWithCustomLogger(ignore, NULL, ORT_LOGGING_LEVEL_ERROR, "proof", &env));
  check(api->RegisterAllocator(env, &allocator));
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    fail("no memory");
  while (shared->all.count < CHILDREN) {
    map_file(arguments[3], &data_size, data);
    shared->folds = shared->all.count % 2 == 1;
    if (shared->folds)
      put_pattern(strtoull(arguments[5], NULL, 10));
    start();
  }
  result = compare();
  for (which = 0; which < CHILDREN; which++) {
    kill(shared->pids[which], SIGKILL);
    waitpid(shared->pids[which], NULL, 0);
  }
  return result;
}
