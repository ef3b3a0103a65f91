/* A counter that several threads change at once; every call is a full fence. */
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

#endif

#endif /* ORTMMAP_ATOMIC_COUNT_H */
