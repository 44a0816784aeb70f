// The bare reader that the library is measured against: reads events and counts them, resolves nothing.
// reader DIRECTORY changes|opens bounded|unlimited GATHER_MS [first]: marks the file system and reads until SIGINT, then says how
// many events there were. With GATHER_MS it waits so long between two reads under load. With "first" it says when the first comes.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <time.h>
#include <unistd.h>

#ifndef FAN_REPORT_TARGET_FID
#define FAN_REPORT_TARGET_FID 0x1000
#endif
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif

// Room enough for the largest event: what did not fit is still there when less than this was left of the buffer.
enum { LARGEST_EVENT = 2048 };

static volatile sig_atomic_t ended;

static void end(int signal) {
  (void)signal;
  ended = 1;
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  struct sigaction action = {.sa_handler = end};
  sigaction(SIGINT, &action, NULL);
  unsigned flags = FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DFID_NAME | FAN_REPORT_TARGET_FID;
  if (strcmp(argv[3], "unlimited") == 0) flags |= FAN_UNLIMITED_QUEUE;
  unsigned long mask = FAN_ONDIR;
  mask |= strcmp(argv[2], "opens") == 0 ? FAN_OPEN : FAN_CREATE | FAN_DELETE | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_RENAME;
  int fd = fanotify_init(flags, 0);
  if (fd < 0 || fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, AT_FDCWD, argv[1])) {
    perror("fanotify");
    return 1;
  }
  struct timespec gather = {0, atol(argv[4]) * 1000000};
  static char buffer[256 * 1024];
  long events = 0, reads = 0, overflows = 0;
  struct pollfd entry = {fd, POLLIN, 0};
  while (!ended) {
    poll(&entry, 1, -1);
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0) {
      if (argc > 5 && events == 0) {
        puts("an event");
        fflush(stdout);
      }
      reads++;
      struct fanotify_event_metadata *event = (void *)buffer;
      ssize_t left = length;
      for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
        if (event->mask & FAN_Q_OVERFLOW) overflows++;
        else events++;
      }
      if (gather.tv_nsec > 0 && length < (ssize_t)sizeof buffer - LARGEST_EVENT) nanosleep(&gather, NULL);
    }
  }
  printf("{\"events\":%ld,\"reads\":%ld,\"overflows\":%ld}\n", events, reads, overflows);
  return 0;
}
