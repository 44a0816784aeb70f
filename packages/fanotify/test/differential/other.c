// The other processes of a sequence: what operations.mjs does, by C, so that sixty steps take a few milliseconds.
//
// The first process is told over a SOCK_SEQPACKET socket (descriptor 3): "fork" with two descriptors starts another that reads
// requests from the first and writes outcomes to the second; "wait PID" waits for one that has ended. It answers with a number.
// A request is a line of fields with tabs between them, the operation first, then name=value. An outcome is a line: "ok", a count,
// or a negative errno; before that of "spawn", "!" and the
// process id. Descriptors are known by name; one that nobody opened is EBADF.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CONTROL 3
#define MOST_FIELDS 16
#define MOST_OPEN 64
#define PAGE 4096
// In place of an outcome: what has no number.
#define DONE (-100000L)

static struct { char name[16]; int fd; } opened[MOST_OPEN];
static int opened_count;
static char *field_names[MOST_FIELDS], *field_values[MOST_FIELDS];
static int field_count;

static const char *text(const char *name, const char *otherwise) {
  for (int i = 0; i < field_count; i++)
    if (strcmp(field_names[i], name) == 0) return field_values[i];
  return otherwise;
}

static long number(const char *name, long otherwise) {
  const char *value = text(name, NULL);
  return value == NULL ? otherwise : strtol(value, NULL, 10);
}

static int named(const char *name) {
  for (int i = opened_count; i-- > 0;)
    if (name == NULL || strcmp(opened[i].name, name) == 0) return opened[i].fd;
  return 9998;
}

static int descriptor(void) { return named(text("fd", NULL)); }

static void forget(int fd) {
  for (int i = 0; i < opened_count; i++) {
    if (opened[i].fd != fd) continue;
    memmove(&opened[i], &opened[i + 1], (opened_count - i - 1) * sizeof opened[0]);
    opened_count--;
    return;
  }
}

static long keep(int fd, const char *name) {
  if (fd < 0) return -errno;
  if (opened_count == MOST_OPEN) abort();
  // A name means what was opened by it last.
  for (int i = 0; name[0] != '\0' && i < opened_count; i++)
    if (strcmp(opened[i].name, name) == 0) opened[i].name[0] = '\0';
  snprintf(opened[opened_count].name, sizeof opened[0].name, "%s", name);
  opened[opened_count++].fd = fd;
  return DONE;
}

static long done(long result) { return result < 0 ? -errno : DONE; }
static long counted(long result) { return result < 0 ? -errno : result; }

static int open_it(int flags) { return open(text("path", ""), flags | O_CLOEXEC, (mode_t)number("mode", 0666)); }

static long closed(int fd, long result) {
  int error = errno;
  close(fd);
  return result < 0 ? -error : DONE;
}

static void empty(const char *path);

/** Unmounts what is mounted on or below `M`, `B` and `T` in this folder, the last one first. */
static void unmount_below(const char *folder) {
  static char text[1 << 18];
  int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  size_t filled = 0;
  for (ssize_t bytes; (bytes = read(fd, text + filled, sizeof text - 1 - filled)) > 0;) filled += bytes;
  close(fd);
  text[filled] = '\0';
  char *lines[4096], *rest = text;
  int count = 0;
  for (char *line; count < 4096 && (line = strsep(&rest, "\n")) != NULL;) lines[count++] = line;
  for (int i = 0; i < count; i++) {
    char *at = lines[i], *place = "";
    for (int field = 0; field < 5 && at != NULL; field++) place = strsep(&at, " ");
    lines[i] = place;
  }
  size_t length = strlen(folder);
  while (count-- > 0) {
    char *place = lines[count];
    if (strncmp(place, folder, length) != 0 || place[length] != '/') continue;
    // The first one at M, B and T themselves stays.
    int is_first = strlen(place) == length + 2;
    for (int i = 0; i < count; i++) is_first &= strcmp(lines[i], place) != 0;
    if (!is_first) umount2(place, MNT_DETACH);
  }
}

static void drop(const char *path) {
  if (unlink(path) == 0 || errno == ENOENT) return;
  empty(path);
  if (rmdir(path) == 0) return;
  fprintf(stderr, "cannot wipe %s: %s\n", path, strerror(errno));
  abort();
}

static void empty(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) return;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char below[PATH_MAX];
    snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
    drop(below);
  }
  closedir(directory);
}

static long put(const char *path, const char *bytes, long count, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return -errno;
  return closed(fd, count > 0 ? write(fd, bytes, count) : 0);
}

static long map(int writes) {
  int fd = descriptor();
  long offset = number("offset", 0);
  // As operations.mjs: read through a private mapping, written through a shared one.
  char *at = writes ? mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset)
                    : mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, offset);
  if (at == MAP_FAILED) return -errno;
  if (number("touch", 1)) {
    if (writes) *at = '1';
    else (void)*(volatile char *)at;
  }
  return done(munmap(at, PAGE));
}

static int outcomes;

static long spawn(const char *path) {
  pid_t pid = vfork();
  if (pid < 0) return -errno;
  if (pid == 0) {
    // So that the listener knows whom it holds.
    char line[32];
    int length = sprintf(line, "!%d\n", getpid());
    if (write(outcomes, line, length) != length) _exit(EIO);
    char *arguments[] = {(char *)path, NULL};
    execv(path, arguments);
    _exit(errno);
  }
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  // The program ends with 0: any other status is why it was not executed.
  if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? DONE : -WEXITSTATUS(status);
  return -ECANCELED;
}

static void become(uid_t uid) { syscall(SYS_setresuid, -1, uid, -1); }

static long perform(const char *op) {
  const char *path = text("path", ""), *to = text("to", "");
#define IS(name) (strcmp(op, name) == 0)
  if (IS("open")) return keep(open_it(number("flags", O_RDONLY)), text("as", ""));
  if (IS("close")) {
    int fd = descriptor();
    forget(fd);
    return done(close(fd));
  }
  if (IS("openclose")) {
    int fd = open_it(number("flags", O_RDONLY));
    return fd < 0 ? -errno : closed(fd, 0);
  }
  if (IS("opencloseMany")) {
    for (long i = 0, count = number("count", 1); i < count; i++) {
      char each[PATH_MAX], *mark = strstr(path, "%d");
      if (mark == NULL) snprintf(each, sizeof each, "%s", path);
      else snprintf(each, sizeof each, "%.*s%ld%s", (int)(mark - path), path, i, mark + 2);
      int fd = open(each, number("flags", O_RDONLY) | O_CLOEXEC);
      if (fd < 0) return -errno;
      close(fd);
    }
    return DONE;
  }
  if (IS("read") || IS("write")) {
    static char buffer[1 << 16];
    long count = number("bytes", IS("read") ? 256 : 1), offset = number("offset", -1);
    if (IS("read")) return counted(offset < 0 ? read(descriptor(), buffer, count) : pread(descriptor(), buffer, count, offset));
    memset(buffer, '1', count);
    return counted(offset < 0 ? write(descriptor(), buffer, count) : pwrite(descriptor(), buffer, count, offset));
  }
  if (IS("lseek")) return done(lseek(descriptor(), number("offset", 0), SEEK_SET));
  if (IS("exec")) {
    char *arguments[] = {(char *)path, NULL};
    return done(execv(path, arguments));
  }
  if (IS("spawn")) return spawn(path);
  if (IS("mkdir")) return done(mkdir(path, (mode_t)number("mode", 0755)));
  if (IS("rmdir")) return done(rmdir(path));
  if (IS("unlink")) return done(unlink(path));
  if (IS("rename")) return done(rename(path, to));
  if (IS("exchange")) return done(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, to, RENAME_EXCHANGE));
  if (IS("renameNew")) return done(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE));
  if (IS("link")) return done(link(path, to));
  if (IS("symlink")) return done(symlink(to, path));
  if (IS("mknod")) return done(mknod(path, S_IFREG | (mode_t)number("mode", 0644), 0));
  if (IS("bindSelf")) return done(mount(path, path, NULL, MS_BIND, NULL));
  if (IS("bind")) return done(mount(path, to, NULL, MS_BIND, NULL));
  if (IS("mountTmpfs")) return done(mount("tmpfs", path, "tmpfs", 0, NULL));
  if (IS("umount")) return done(umount2(path, UMOUNT_NOFOLLOW));
  if (IS("umountLazily")) return done(umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW));
  if (IS("chmod")) return done(chmod(path, (mode_t)number("mode", 0644)));
  if (IS("fchmod")) return done(fchmod(descriptor(), (mode_t)number("mode", 0644)));
  if (IS("chown")) return done(chown(path, number("uid", 0), number("gid", 0)));
  if (IS("utimes")) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    return done(utimensat(AT_FDCWD, path, times, 0));
  }
  if (IS("setxattr")) return done(setxattr(path, text("name", "user.conformance"), "1", 1, 0));
  if (IS("removexattr")) return done(removexattr(path, text("name", "user.conformance")));
  if (IS("truncate")) {
    // As fs.truncateSync: through a descriptor.
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd < 0 ? -errno : closed(fd, ftruncate(fd, number("size", 0)));
  }
  if (IS("truncatePath")) return done(truncate(path, number("size", 0)));
  if (IS("ftruncate")) return done(ftruncate(descriptor(), number("size", 0)));
  if (IS("fallocate"))
    return done(fallocate(descriptor(), number("mode", 0), number("offset", 0), number("count", 1)));
  if (IS("mmapRead")) return map(0);
  if (IS("mmapWrite")) return map(1);
  if (IS("copyRange"))
    return counted(copy_file_range(named(text("from", "")), NULL, named(to), NULL, number("count", 1), 0));
  if (IS("sendfile")) return counted(sendfile(named(to), named(text("from", "")), NULL, number("count", 1)));
  if (IS("readdir")) {
    DIR *directory = opendir(path);
    if (directory == NULL) return -errno;
    errno = 0;
    while (readdir(directory) != NULL) {}
    int error = errno;
    closedir(directory);
    return error == 0 ? DONE : -error;
  }
  if (IS("stat")) {
    struct stat status;
    return done(stat(path, &status));
  }
  if (IS("fsync")) {
    if (text("path", NULL) == NULL) return done(fsync(descriptor()));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : closed(fd, fsync(fd));
  }
  if (IS("syncfs")) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : closed(fd, syncfs(fd));
  }
  if (IS("dropCaches")) {
    for (long i = 0, times = number("times", 1); i < times; i++) put("/proc/sys/vm/drop_caches", "3", 1, 0);
    return DONE;
  }
  if (IS("reclaim")) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long outcome = fd < 0 ? -errno : closed(fd, syncfs(fd));
    for (int i = 0; i < 3 && outcome == DONE; i++) outcome = put("/proc/sys/vm/drop_caches", "3", 1, 0);
    return outcome;
  }
  if (IS("put")) {
    const char *bytes = text("text", "1");
    return put(path, bytes, strlen(bytes), 0666);
  }
  if (IS("become")) {
    become(0);
    become(number("uid", 0));
    return DONE;
  }
  // What begins and ends a sequence.
  if (IS("reset")) {
    become(0);
    while (opened_count > 0) close(opened[--opened_count].fd);
    return DONE;
  }
  if (IS("unmountBelow")) {
    unmount_below(path);
    return DONE;
  }
  if (IS("wipe")) {
    empty(path);
    removexattr(path, "user.conformance");
    if (chown(path, 0, 0) < 0) return -errno;
    return done(chmod(path, 0755));
  }
  if (IS("fill")) {
    char *bytes = malloc(number("size", 1) + 1);
    memset(bytes, '1', number("size", 1));
    long outcome = put(path, bytes, number("size", 1), 0644);
    free(bytes);
    return outcome;
  }
  if (IS("copy")) {
    static char bytes[1 << 16];
    int from = open(text("from", ""), O_RDONLY | O_CLOEXEC);
    long count = read(from, bytes, sizeof bytes);
    close(from);
    return put(path, bytes, count, 0755);
  }
  fprintf(stderr, "no such operation: %s\n", op);
  abort();
}

static void answer(long outcome) {
  char line[32];
  int length = outcome == DONE ? sprintf(line, "ok\n") : sprintf(line, "%ld\n", outcome);
  if (write(outcomes, line, length) != length) _exit(1);
}

static void obey(char *line) {
  field_count = 0;
  char *rest = line, *op = strsep(&rest, "\t");
  while (rest != NULL && field_count < MOST_FIELDS) {
    char *value = strsep(&rest, "\t");
    field_names[field_count] = strsep(&value, "=");
    field_values[field_count++] = value == NULL ? "" : value;
  }
  answer(perform(op));
}

static void serve(int requests) {
  static char pending[1 << 17];
  size_t filled = 0;
  for (;;) {
    ssize_t bytes = read(requests, pending + filled, sizeof pending - 1 - filled);
    if (bytes <= 0) _exit(0);
    filled += bytes;
    char *start = pending;
    for (char *end; (end = memchr(start, '\n', filled - (start - pending))) != NULL; start = end + 1) {
      *end = '\0';
      obey(start);
    }
    filled -= start - pending;
    memmove(pending, start, filled);
  }
}

int main(void) {
  fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
  for (;;) {
    char text[64] = "", control[CMSG_SPACE(2 * sizeof(int))];
    struct iovec part = {text, sizeof text - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(CONTROL, &message, MSG_CMSG_CLOEXEC) <= 0) return 0;
    char reply[32];
    long pid;
    if (sscanf(text, "wait %ld", &pid) == 1) {
      sprintf(reply, "%d", waitpid(pid, NULL, 0));
    } else {
      int fds[2];
      memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
      pid = fork();
      if (pid == 0) {
        close(CONTROL);
        outcomes = fds[1];
        serve(fds[0]);
      }
      close(fds[0]);
      close(fds[1]);
      sprintf(reply, "%ld", pid);
    }
    if (send(CONTROL, reply, strlen(reply), 0) < 0) return 1;
  }
}
