// A steady load: EACH_SECOND files a second for SECONDS seconds, each made, written and closed in one of a hundred directories, named
// by when that began (CLOCK_MONOTONIC, nanoseconds) and removed five thousand files later. steady DIRECTORY EACH_SECOND SECONDS
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DIRECTORIES = 100, STAY = 5000 };
static char paths[STAY][512];

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  long each = atol(argv[2]), files = each * atol(argv[3]);
  for (int d = 0; d < DIRECTORIES; d++) {
    snprintf(paths[0], sizeof paths[0], "%s/d%d", argv[1], d);
    mkdir(paths[0], 0755);
  }
  if (files == 0) return 0;
  struct timespec at, now;
  clock_gettime(CLOCK_MONOTONIC, &at);
  for (long i = 0; i < files; i++) {
    at.tv_nsec += 1000000000 / each;
    if (at.tv_nsec >= 1000000000) at.tv_nsec -= 1000000000, at.tv_sec++;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    char *path = paths[i % STAY];
    if (i >= STAY) unlink(path);
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(path, sizeof paths[0], "%s/d%ld/t%lld", argv[1], i % DIRECTORIES, now.tv_sec * 1000000000LL + now.tv_nsec);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1) return 1;
    close(fd);
  }
  return 0;
}
