// A client of fanotifyd in C, for docs/PROTOCOL.md: client SOCKET names|permission PATH COUNT. Marks a tree, says what happens in it, and with
// `permission` answers: no for files whose name begins with "no". Ends after COUNT events.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BIND = 1, ADD_MARK = 2, RESPOND = 5, SUBTREE = 2, VERSION = 1 };
enum { COOKIE = 0xc0, PATH = 0xc1, ANSWER = 0xc3, REPORT_PATH = 0x01000000, MOST_FDS = 253 };
struct request {
  uint32_t type, number;
  union {
    struct { uint64_t mask; uint32_t priority, event_flags, flags, version; } bind;
    struct { uint64_t mask, ignored; uint32_t scope, survives, number; } mark;
    struct { uint64_t cookie; uint32_t response; } respond;
    char bytes[32];
  };
};
static int sock, last;

static void ask(struct request *request, int fd) {
  request->number = ++last;
  struct { struct cmsghdr header; int fd; } control = {{CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS}, fd};
  struct iovec iov = {request, sizeof *request};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  if (fd >= 0) message.msg_control = &control, message.msg_controllen = CMSG_LEN(sizeof fd);
  if (sendmsg(sock, &message, MSG_NOSIGNAL) < 0) perror("sendmsg"), exit(1);
}

static int hear(const struct fanotify_event_metadata *event, const int *fds, int count) {
  uint64_t cookie = 0;
  char name[PATH_MAX] = "", path[PATH_MAX] = "", link[32];
  const char *bytes = (const char *)event;
  for (unsigned at = event->metadata_len; at + 4 <= event->event_len;) {
    uint16_t length;
    memcpy(&length, bytes + at + 2, 2);
    unsigned char type = bytes[at];
    if (type == COOKIE) memcpy(&cookie, bytes + at + 8, 8);
    if (type == PATH && !*path) snprintf(path, sizeof path, "%.*s", length - 8, bytes + at + 8);
    if (type == FAN_EVENT_INFO_TYPE_DFID_NAME) {
      uint32_t handle;
      memcpy(&handle, bytes + at + 12, 4);
      snprintf(name, sizeof name, "%s", bytes + at + 20 + handle);
    }
    if (type == ANSWER) {
      uint32_t number, error;
      memcpy(&number, bytes + at + 4, 4), memcpy(&error, bytes + at + 8, 4);
      printf("answer %u %s %.*s\n", number, error ? strerrorname_np(error) : "ok", length - 12, bytes + at + 12);
      if (error && number <= 2) exit(1);
    }
    at += length;
  }
  if (event->mask == 0) return 0;
  if (event->fd >= 0 && event->fd < count) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fds[event->fd]);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
  }
  printf("event %llx %s%s%s\n", (unsigned long long)event->mask, path, *path && *name ? "/" : "", name);
  if (cookie) {
    const char *base = strrchr(path, '/');
    struct request answer = {RESPOND, .respond = {cookie, base && !strncmp(base, "/no", 3) ? FAN_DENY : FAN_ALLOW}};
    ask(&answer, -1);
  }
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 5) return fprintf(stderr, "client SOCKET names|permission PATH COUNT\n"), 2;
  int names = !strcmp(argv[2], "names"), left = atoi(argv[4]), target = open(argv[3], O_PATH | O_CLOEXEC);
  struct sockaddr_un address = {AF_UNIX, ""};
  strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
  sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (target < 0 || connect(sock, (void *)&address, sizeof address)) return perror("client"), 1;
  uint32_t flags = names ? FAN_REPORT_DFID_NAME | REPORT_PATH : FAN_CLASS_CONTENT;
  struct request group = {BIND, .bind = {0, 10, O_RDONLY | O_LARGEFILE, flags, VERSION}};
  struct request mark = {ADD_MARK, .mark = {names ? FAN_CREATE | FAN_DELETE | FAN_ONDIR : FAN_OPEN_PERM, 0, SUBTREE, 0, 7}};
  setvbuf(stdout, NULL, _IOLBF, 0);
  ask(&group, -1), ask(&mark, target);
  static char buffer[65536], control[CMSG_SPACE(MOST_FDS * sizeof(int))];
  while (left > 0) {
    struct iovec iov = {buffer, sizeof buffer};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    if (length <= 0) return fprintf(stderr, "the daemon has ended\n"), 1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    const int *fds = header ? (const int *)CMSG_DATA(header) : NULL;
    int count = header ? (header->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    const struct fanotify_event_metadata *event = (void *)buffer;
    for (; FAN_EVENT_OK(event, length); event = FAN_EVENT_NEXT(event, length)) left -= hear(event, fds, count);
    for (int at = 0; at < count; at++) close(fds[at]);
  }
}
