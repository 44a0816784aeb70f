// The bare decider that the library is measured against: holds every open on a file system and allows it, whatever it is.
// decider DIRECTORY: marks the file system and answers until SIGINT, then says how many opens there were.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/fanotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigprocmask(SIG_BLOCK, &ending, NULL);
  int signals = signalfd(-1, &ending, SFD_CLOEXEC);
  int fd = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
  if (signals < 0 || fd < 0 || fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, AT_FDCWD, argv[1])) {
    perror("fanotify");
    return 1;
  }
  static char buffer[256 * sizeof(struct fanotify_event_metadata)] __attribute__((aligned(8)));
  struct pollfd entries[2] = {{fd, POLLIN, 0}, {signals, POLLIN, 0}};
  long decisions = 0;
  for (;;) {
    poll(entries, 2, -1);
    if (entries[1].revents) break;
    ssize_t left = read(fd, buffer, sizeof buffer);
    struct fanotify_event_metadata *event = (void *)buffer;
    for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
      struct fanotify_response response = {event->fd, FAN_ALLOW};
      if (write(fd, &response, sizeof response) != sizeof response) return 1;
      close(event->fd);
      decisions++;
    }
  }
  printf("{\"decisions\":%ld}\n", decisions);
  return 0;
}
