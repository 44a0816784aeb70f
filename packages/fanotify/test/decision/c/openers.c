// Opens a file from many threads or processes at once, and tells how long each was held.
//
//     openers threads|processes COUNT FILE CONTROL [FOR_MS]
//
// Says "ready PID..." (the processes that will open), waits for a line on standard input, and then lets all go. Each opens FILE once,
// or again and again for so many milliseconds, of which the longest open is told. Meanwhile one thread sleeps for a millisecond and
// opens CONTROL, which nobody guards: by how much that is late at worst is what the machine makes anybody wait.
//
// Then a line for each: "START END ERRNO", times in microseconds of CLOCK_MONOTONIC; "total ALLOWED DENIED"; "control WORST".

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct row {
  int64_t start, end;
  int32_t error;
  int64_t allowed, denied;
};

static struct {
  int32_t go, over;
} *shared;
static struct row *rows;
static const char *opened;
static const char *control;
static int64_t for_us;
static int64_t control_worst;

static int64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *opener(void *argument) {
  struct row *row = argument;
  while (!__atomic_load_n(&shared->go, __ATOMIC_ACQUIRE)) syscall(SYS_futex, &shared->go, FUTEX_WAIT, 0, NULL, NULL, 0);
  const int64_t until = now_us() + for_us;
  do {
    const int64_t start = now_us();
    const int fd = open(opened, O_RDONLY | O_CLOEXEC);
    const int error = fd < 0 ? errno : 0;
    const int64_t end = now_us();
    if (fd >= 0) close(fd);
    if (error) row->denied++;
    else row->allowed++;
    if (row->end == 0 || end - start > row->end - row->start) {
      row->start = start;
      row->end = end;
      row->error = error;
    }
  } while (now_us() < until);
  return NULL;
}

static void *watch_control(void *unused) {
  (void)unused;
  while (!__atomic_load_n(&shared->over, __ATOMIC_ACQUIRE)) {
    const int64_t start = now_us();
    const struct timespec nap = {0, 1000000};
    nanosleep(&nap, NULL);
    const int fd = open(control, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    const int64_t late = now_us() - start - 1000;
    if (late > control_worst) control_worst = late;
  }
  return NULL;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

int main(int count_of_arguments, char **arguments) {
  if (count_of_arguments < 5) return 2;
  const int has_threads = strcmp(arguments[1], "threads") == 0;
  const int count = atoi(arguments[2]);
  opened = arguments[3];
  control = arguments[4];
  for_us = count_of_arguments > 5 ? atoll(arguments[5]) * 1000 : 0;
  const size_t bytes = 4096 + sizeof(struct row) * (size_t)count;
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  shared = (void *)memory;
  rows = (void *)(memory + 4096);
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  printf("ready");
  fflush(stdout);
  if (has_threads) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
    pthread_attr_setguardsize(&small, 0);
    for (int i = 0; i < count; i++)
      if ((errno = pthread_create(&threads[i], &small, opener, &rows[i]))) fail("pthread_create");
    printf(" %d", getpid());
  } else {
    for (int i = 0; i < count; i++) {
      const pid_t pid = fork();
      if (pid < 0) fail("fork");
      if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        opener(&rows[i]);
        _exit(0);
      }
      printf(" %d", pid);
    }
  }
  printf("\n");
  fflush(stdout);
  char line[16];
  if (!fgets(line, sizeof line, stdin)) return 1;
  pthread_t controller;
  if ((errno = pthread_create(&controller, NULL, watch_control, NULL))) fail("pthread_create");
  __atomic_store_n(&shared->go, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &shared->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
  if (has_threads)
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  else
    while (wait(NULL) > 0 || errno == EINTR) continue;
  __atomic_store_n(&shared->over, 1, __ATOMIC_RELEASE);
  pthread_join(controller, NULL);
  int64_t allowed = 0, denied = 0;
  for (int i = 0; i < count; i++) {
    printf("%lld %lld %d\n", (long long)rows[i].start, (long long)rows[i].end, rows[i].error);
    allowed += rows[i].allowed;
    denied += rows[i].denied;
  }
  printf("total %lld %lld\ncontrol %lld\n", (long long)allowed, (long long)denied, (long long)control_worst);
  return 0;
}
