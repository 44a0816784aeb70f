// A load of files that say when they were closed: BURSTS times EACH of the files that the load "accesses" has made are opened for
// writing, written with the time (CLOCK_MONOTONIC, nanoseconds, 8 bytes) and closed, round and round; a burst begins each INTERVAL_US.
// stamps DIRECTORY FILES BURSTS EACH INTERVAL_US
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int stamp(const char *path) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  uint64_t ns = time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
  int isWritten = pwrite(fd, &ns, sizeof ns, 0) == sizeof ns;
  close(fd);
  return isWritten;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  long files = atol(argv[2]), bursts = atol(argv[3]), each = atol(argv[4]), intervalUs = atol(argv[5]);
  char path[512];
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  for (long file = 0, burst = 0; burst < bursts; burst++) {
    for (long i = 0; i < each; i++, file = (file + 1) % files) {
      snprintf(path, sizeof path, "%s/d%ld/f%ld", argv[1], file % 100, file);
      if (!stamp(path)) {
        perror(path);
        return 1;
      }
    }
    at.tv_nsec += intervalUs % 1000000 * 1000;
    at.tv_sec += intervalUs / 1000000 + at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
  }
  return 0;
}
