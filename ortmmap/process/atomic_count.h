/* A counter that several threads change at once; every call is a full fence. Other members that one
 * thread writes while others read them go through ORTMMAP_LOAD and ORTMMAP_STORE: a thread that
 * reads the new value also sees what was written before it. */
#ifndef ORTMMAP_ATOMIC_COUNT_H
#define ORTMMAP_ATOMIC_COUNT_H

#ifdef _MSC_VER
#include <intrin.h>

typedef volatile long ortmmap_count;

static inline long ortmmap_count_add(ortmmap_count *count, long more) {
  return _InterlockedExchangeAdd(count, more) + more;
}

static inline long ortmmap_count_set(ortmmap_count *count, long value) {
  return _InterlockedExchange(count, value);
}

static inline long ortmmap_count_get(const ortmmap_count *count) { return *count; }

/* Replaces `expected` by `value`; returns whether the counter was `expected`. */
static inline int ortmmap_count_replace(ortmmap_count *count, long expected, long value) {
  return _InterlockedCompareExchange(count, value, expected) == expected;
}

/* MSVC's compilers give volatile accesses these fences on x86-64, the only platform built for. */
#define ORTMMAP_LOAD(place) (*(place))
#define ORTMMAP_STORE(place, value) (*(place) = (value))
#define ORTMMAP_REPLACE(place, expected, value)                                                    \
  (_InterlockedCompareExchangePointer((void *volatile *)(place), value, expected) == (expected))

#else

typedef long ortmmap_count;

/* Returns the new value. */
static inline long ortmmap_count_add(ortmmap_count *count, long more) {
  return __atomic_add_fetch(count, more, __ATOMIC_SEQ_CST);
}

/* Returns the previous value. */
static inline long ortmmap_count_set(ortmmap_count *count, long value) {
  return __atomic_exchange_n(count, value, __ATOMIC_SEQ_CST);
}

static inline long ortmmap_count_get(const ortmmap_count *count) {
  return __atomic_load_n(count, __ATOMIC_SEQ_CST);
}

/* Replaces `expected` by `value`; returns whether the counter was `expected`. */
static inline int ortmmap_count_replace(ortmmap_count *count, long expected, long value) {
  return __atomic_compare_exchange_n(count, &expected, value, 0, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
}

#define ORTMMAP_LOAD(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
#define ORTMMAP_STORE(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#define ORTMMAP_REPLACE(place, expected, value) __sync_bool_compare_and_swap(place, expected, value)

#endif

#endif /* ORTMMAP_ATOMIC_COUNT_H */
