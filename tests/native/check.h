/* CHECK(condition): counts what failed, says where, goes on. */
#ifndef ORTMMAP_TESTS_CHECK_H
#define ORTMMAP_TESTS_CHECK_H

#include <stdio.h>

static int checks_made, checks_failed;

static int check(int holds, const char *condition, const char *function, int line) {
  checks_made++;
  if (holds)
    return 1;
  checks_failed++;
  fprintf(stderr, "%s, line %d: not true: %s\n", function, line, condition);
  return 0;
}

#define CHECK(condition) check((condition) != 0, #condition, __func__, __LINE__)

/* The exit status of the program. */
static int checks_report(const char *program) {
  printf("%s: %d checks, %d failed\n", program, checks_made, checks_failed);
  return checks_failed != 0;
}

#endif /* ORTMMAP_TESTS_CHECK_H */
