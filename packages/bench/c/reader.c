// The bare reader that the library is measured against: reads events and counts them, resolves nothing, prints nothing.
// reader DIRECTORY COUNT: marks the file system, says "ready", reads COUNT events, says what that cost.
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fanotify.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef FAN_REPORT_TARGET_FID
#define FAN_REPORT_TARGET_FID 0x1000
#endif
#ifndef FAN_RENAME
#define FAN_RENAME 0x10000000
#endif

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int fd = fanotify_init(FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE | FAN_REPORT_FID | FAN_REPORT_DFID_NAME |
                             FAN_REPORT_TARGET_FID, 0);
  if (fd < 0 || fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
                              FAN_CREATE | FAN_DELETE | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_RENAME | FAN_ONDIR,
                              AT_FDCWD, argv[1])) {
    perror("fanotify");
    return 1;
  }
  static char buffer[256 * 1024];
  long wanted = atol(argv[2]), events = 0, reads = 0;
  struct pollfd entry = {fd, POLLIN, 0};
  puts("ready");
  fflush(stdout);
  while (events < wanted) {
    poll(&entry, 1, -1);
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0) {
      reads++;
      struct fanotify_event_metadata *event = (void *)buffer;
      for (; FAN_EVENT_OK(event, length); event = FAN_EVENT_NEXT(event, length)) events++;
    }
  }
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  double us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  printf("{\"events\":%ld,\"reads\":%ld,\"cpuUs\":%.0f,\"peakKb\":%ld}\n", events, reads, us, usage.ru_maxrss);
  return 0;
}
