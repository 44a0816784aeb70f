// The bare reader of descriptors: hears closeWrite of a file system, and closes the descriptor that comes with each event.
// descriptors DIRECTORY [timed]: reads until SIGINT, then says how many events there were. With "timed" each file is one of the load
// "stamps", and it says how long after the close its event was read, in nanoseconds.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TIMED = 1000000 };
static volatile sig_atomic_t ended;
static int64_t delays[MOST_TIMED];

static void end(int signal) {
  (void)signal;
  ended = 1;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  const int64_t *x = a, *y = b;
  return *x < *y ? -1 : *x > *y;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGINT, &action, NULL);
  int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
  if (fd < 0 || fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_CLOSE_WRITE, AT_FDCWD, argv[1])) {
    perror("fanotify");
    return 1;
  }
  static char buffer[256 * sizeof(struct fanotify_event_metadata)] __attribute__((aligned(8)));
  long events = 0, overflows = 0, timed = 0;
  struct pollfd entry = {fd, POLLIN, 0};
  while (!ended) {
    if (poll(&entry, 1, -1) < 0) continue;
    ssize_t left = read(fd, buffer, sizeof buffer);
    int64_t readNs = now(), closedNs;
    struct fanotify_event_metadata *event = (void *)buffer;
    for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
      if (event->mask & FAN_Q_OVERFLOW) overflows++;
      else events++;
      if (event->fd < 0) continue;
      if (argc > 2 && timed < MOST_TIMED && pread(event->fd, &closedNs, sizeof closedNs, 0) == sizeof closedNs) {
        delays[timed++] = readNs - closedNs;
      }
      close(event->fd);
    }
  }
  qsort(delays, timed, sizeof *delays, ascending);
  printf("{\"events\":%ld,\"reads\":0,\"overflows\":%ld", events, overflows);
  if (timed > 0) printf(",\"p50Ns\":%ld,\"p99Ns\":%ld", (long)delays[timed / 2], (long)delays[timed * 99 / 100]);
  printf("}\n");
  return 0;
}
