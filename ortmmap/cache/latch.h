/* A latch: threads wait until it is opened, once. POSIX only. */
#ifndef ORTMMAP_LATCH_H
#define ORTMMAP_LATCH_H

typedef struct ortmmap_latch ortmmap_latch;

/* A closed latch; NULL if memory is out. The other functions take NULL for an open one. */
ortmmap_latch *ortmmap_latch_make(void);

void ortmmap_latch_open(ortmmap_latch *latch);

/* Return once the latch is open, or after so many milliseconds. */
void ortmmap_latch_wait(ortmmap_latch *latch, long most_milliseconds);

/* No thread waits or will wait. */
void ortmmap_latch_free(ortmmap_latch *latch);

#endif /* ORTMMAP_LATCH_H */
