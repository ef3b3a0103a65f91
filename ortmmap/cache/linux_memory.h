/* Whether the system has the memory that recordings are quick by: mremap(2) that leaves its source
 * mapped, and files in memory of huge pages. ORTMMAP_POSIX_ONLY leaves it out, so that tests on
 * Linux show what other systems do without it. */
#ifndef ORTMMAP_LINUX_MEMORY_H
#define ORTMMAP_LINUX_MEMORY_H

#if defined(__linux__) && !defined(ORTMMAP_POSIX_ONLY)
#define ORTMMAP_LINUX_MEMORY
#endif

#endif /* ORTMMAP_LINUX_MEMORY_H */
