/* Wakes an event loop from a thread that does not hold the interpreter lock. The descriptor is an
 * eventfd, or the end of a pipe, and does not block. */
#ifndef ORTMMAP_LOOP_SIGNAL_H
#define ORTMMAP_LOOP_SIGNAL_H

#ifdef _WIN32

/* The event loops of Windows watch no descriptors. */
static inline void ortmmap_signal_send(int descriptor) { (void)descriptor; }
static inline void ortmmap_signal_take(int descriptor) { (void)descriptor; }
static inline void ortmmap_signal_close(int descriptor) { (void)descriptor; }

#else

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

/* An error means that the descriptor is readable already. */
static inline void ortmmap_signal_send(int descriptor) {
  uint64_t one = 1;
  while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

static inline void ortmmap_signal_take(int descriptor) {
  char taken[256];
  while (read(descriptor, taken, sizeof taken) < 0 && errno == EINTR) {
  }
}

static inline void ortmmap_signal_close(int descriptor) { close(descriptor); }

#endif

#endif /* ORTMMAP_LOOP_SIGNAL_H */
