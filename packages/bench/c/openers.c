// A load that waits for its opens: PROCESSES processes open the files that the load "accesses" has made, round and round, OPENS times
// each. What is measured is open(2) alone: BATCH opens are timed at once and closed afterwards, since reading the clock twice takes
// part of the time of an open that nobody holds. Says how long an open took, in nanoseconds, and the whole load.
// openers DIRECTORY PROCESSES OPENS FILES BATCH
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const long LONGEST_PATH = 256;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * UINT64_C(1000000000) + time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  const float *x = a, *y = b;
  return *x < *y ? -1 : *x > *y;
}

static int run(const char *paths, long files, long first, long batches, long batch, float *eachNs) {
  int *fds = malloc(batch * sizeof *fds);
  for (long at = first, k = 0; k < batches; k++) {
    uint64_t start = now();
    for (long i = 0; i < batch; i++) {
      fds[i] = open(paths + at * LONGEST_PATH, O_RDONLY | O_CLOEXEC);
      if (fds[i] < 0) {
        perror(paths + at * LONGEST_PATH);
        return 1;
      }
      if (++at == files) at = 0;
    }
    eachNs[k] = (double)(now() - start) / batch;
    for (long i = 0; i < batch; i++) close(fds[i]);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 6) return 2;
  long processes = atol(argv[2]), files = atol(argv[4]), batch = atol(argv[5]), batches = atol(argv[3]) / batch;
  if (batches < 1) batches = 1;
  char *paths = malloc(files * LONGEST_PATH);
  for (long i = 0; i < files; i++) snprintf(paths + i * LONGEST_PATH, LONGEST_PATH, "%s/d%ld/f%ld", argv[1], i % 100, i);
  long timings = processes * batches;
  float *eachNs = mmap(NULL, timings * sizeof *eachNs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  int gate[2];
  if (eachNs == MAP_FAILED || pipe(gate) != 0) return 1;
  for (long i = 0; i < processes; i++) {
    if (fork() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(gate[1]);
    char nothing;
    if (read(gate[0], &nothing, 1) != 0) _exit(1);
    _exit(run(paths, files, i * files / processes, batches, batch, eachNs + i * batches));
  }
  uint64_t start = now();
  close(gate[1]);
  int status, failed = 0;
  while (wait(&status) > 0) failed |= status;
  uint64_t totalNs = now() - start;
  if (failed) return 1;
  qsort(eachNs, timings, sizeof *eachNs, ascending);
  printf("{\"opens\":%ld,\"p50Ns\":%.1f,\"p99Ns\":%.1f,\"p999Ns\":%.1f,\"maxNs\":%.1f,\"totalNs\":%lu}\n", timings * batch,
         eachNs[timings / 2], eachNs[timings * 99 / 100], eachNs[timings * 999 / 1000], eachNs[timings - 1], totalNs);
  return 0;
}
