/* Prepacked keys: what ONNX Runtime itself keeps of the contents of packed weights.
 *
 * A session holds the buffers that PrePack() has made in a map whose keys are texts, such as
 * "MatMul+5417": the operator, and a digest of the buffers (PrePackedWeights::GetHash in
 * onnxruntime/core/framework/prepacked_weights.cc). It is std::unordered_map of libstdc++, so
 * memory holds, beside the text, its length and its hash in the map's node, and pointers to nodes
 * in places that depend on the hash. Only saving and loading prepacked weights reads it, no kernel.
 */
#ifndef PREPACKED_KEYS_H
#define PREPACKED_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_CHILDREN = 8, PAGE = 4096 };

/* A range of memory that has the same place in each child. */
typedef struct region {
  size_t start, size;
  char name[128];
} region;

/* Processes that have created a session of the same model, each with contents of its own. */
typedef struct children {
  int count;
  int memories[MOST_CHILDREN]; /* descriptors of /proc/PID/mem */
} children;

/* Read a child's memory; pages that cannot be read are zeros. */
void read_memory(const children *all, int which, size_t address, void *bytes, size_t size);

/* Find the keys of the buffers that were packed into `blocks`, which are in the order of their
 * allocation. Nodes and texts lie in `regions`. False if the children's keys have different
 * lengths: then what malloc has done later differs too, and nothing can be compared. */
bool find_keys(const children *all, const region *blocks, size_t block_count, const region *regions,
               size_t region_count);

/* Whether the byte at an address belongs to a key: in each child it is what follows from that
 * child's packed buffers and from nothing else. */
bool belongs_to_key(const children *all, size_t address);

#endif /* PREPACKED_KEYS_H */
