// Changes a file in the way that is asked for: change WAY PATH [BYTES].
//
// BYTES go to the beginning of the file; a change of something else than content takes no notice of them. A way that begins with
// "held-" opens the file (and maps it) first, prints a line, and changes it when it reads one: what a writer does who was there
// before. Ends with 2 where the kernel or file system knows no such way.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PAGE = 4096, OTHER_MODE = 0640, NO_SUCH_WAY = 2 };

static const char *bytes = "changed";

static void fail(const char *what) {
  int error = errno;
  perror(what);
  exit(error == ENOSYS || error == EOPNOTSUPP ? NO_SUCH_WAY : 1);
}

static long check(long result, const char *what) {
  if (result < 0) fail(what);
  return result;
}

static void whole(long result, const char *what) {
  if (check(result, what) == (long)strlen(bytes)) return;
  fprintf(stderr, "%s: %ld bytes\n", what, result);
  exit(1);
}

static int opened(const char *path, int flags) { return check(open(path, flags | O_CLOEXEC, 0644), path); }

// Says that all is prepared, and waits for a line.
static void wait_for_line(void) {
  char byte;
  check(write(STDOUT_FILENO, "ready\n", 6), "stdout");
  while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') continue;
}

static char *mapped(int fd, int flags) {
  void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (at == MAP_FAILED) fail("mmap");
  return at;
}

static void store(char *at) { memcpy(at, bytes, strlen(bytes)); }

static void write_at_start(int fd) { whole(pwrite(fd, bytes, strlen(bytes), 0), "pwrite"); }

static int pipe_with_bytes(void) {
  int ends[2];
  check(pipe(ends), "pipe");
  whole(write(ends[1], bytes, strlen(bytes)), "write to a pipe");
  return ends[0];
}

static int other_with_bytes(const char *path) {
  static char name[PAGE];
  snprintf(name, sizeof name, "%s.other", path);
  int fd = opened(name, O_RDWR | O_CREAT | O_TRUNC);
  write_at_start(fd);
  return fd;
}

static void remove_other(const char *path) {
  char name[PAGE];
  snprintf(name, sizeof name, "%s.other", path);
  check(unlink(name), name);
}

// io_submit(2): with O_DIRECT a page at a time, from memory so aligned.
static void aio(int fd, int is_direct) {
  aio_context_t context = 0;
  check(syscall(SYS_io_setup, 1, &context), "io_setup");
  char *page = mapped(-1, MAP_PRIVATE | MAP_ANONYMOUS);
  store(page);
  struct iocb request = {
      .aio_lio_opcode = IOCB_CMD_PWRITE,
      .aio_fildes = fd,
      .aio_buf = (unsigned long)page,
      .aio_nbytes = is_direct ? PAGE : strlen(bytes),
  };
  struct iocb *requests[] = {&request};
  struct io_event done;
  check(syscall(SYS_io_submit, context, 1, requests), "io_submit");
  check(syscall(SYS_io_getevents, context, 1, 1, &done, NULL), "io_getevents");
  if (done.res < 0) {
    errno = (int)-done.res;
    fail("aio");
  }
}

static int ring_open(struct io_uring_params *params) { return check(syscall(SYS_io_uring_setup, 1, params), "io_uring_setup"); }

static void ring_do(int ring, const struct io_uring_params *params, struct io_uring_sqe request) {
  size_t sq_bytes = params->sq_off.array + params->sq_entries * sizeof(unsigned);
  size_t cq_bytes = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
  char *sq = mmap(NULL, sq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  char *cq = mmap(NULL, cq_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe *entries = mmap(NULL, sizeof request, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || entries == MAP_FAILED) fail("mmap of a ring");
  entries[0] = request;
  *(unsigned *)(sq + params->sq_off.array) = 0;
  __atomic_store_n((unsigned *)(sq + params->sq_off.tail), 1, __ATOMIC_RELEASE);
  check(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), "io_uring_enter");
  int result = ((struct io_uring_cqe *)(cq + params->cq_off.cqes))->res;
  if (result < 0) errno = -result;
  whole(result, "io_uring");
}

static void uring_write(int fd) {
  struct io_uring_params params = {0};
  int ring = ring_open(&params);
  ring_do(ring, &params,
          (struct io_uring_sqe){
              .opcode = IORING_OP_WRITE, .fd = fd, .addr = (unsigned long)bytes, .len = strlen(bytes)});
}

// The file's page, held by a registered buffer, outlives mapping and descriptor: a writer whom nobody counts.
static void write_through_pin(const char *path) {
  struct io_uring_params params = {0};
  int ring = ring_open(&params);
  int fd = opened(path, O_RDWR);
  char *at = mapped(fd, MAP_SHARED | MAP_POPULATE);
  struct iovec buffer = {at, PAGE};
  if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1) < 0) {
    // Refused where pages are written back to a disk (Linux 6.5).
    if (errno == EFAULT) errno = EOPNOTSUPP;
    fail("io_uring_register");
  }
  munmap(at, PAGE);
  close(fd);
  wait_for_line();
  ring_do(ring, &params,
          (struct io_uring_sqe){.opcode = IORING_OP_READ_FIXED,
                                .fd = pipe_with_bytes(),
                                .addr = (unsigned long)at,
                                .len = strlen(bytes),
                                .off = -1});
}

// A POSIX access control list as its extended attribute: user 65533 may read, too.
static void set_acl(const char *path) {
  static const unsigned char list[] = {
      2, 0, 0, 0,                         // version
      1, 0, 6, 0, 255, 255, 255, 255,     // the owner: rw-
      2, 0, 4, 0, 253, 255, 0,   0,       // user 65533: r--
      4, 0, 4, 0, 255, 255, 255, 255,     // the group: r--
      16, 0, 4, 0, 255, 255, 255, 255,    // mask: r--
      32, 0, 4, 0, 255, 255, 255, 255,    // others: r--
  };
  check(setxattr(path, "system.posix_acl_access", list, sizeof list, 0), "setxattr of an access control list");
}

// The same content, as another file under the name.
static void replace(const char *path) {
  char name[PAGE];
  snprintf(name, sizeof name, "%s.other", path);
  close(other_with_bytes(path));
  check(rename(name, path), "rename");
}

static int is(const char *way, const char *name) { return strcmp(way, name) == 0; }

int main(int count, char **words) {
  if (count < 3) {
    fprintf(stderr, "usage: %s WAY PATH [BYTES]\n", words[0]);
    return 64;
  }
  const char *way = words[1], *path = words[2];
  if (count > 3) bytes = words[3];

  if (is(way, "write")) {
    write_at_start(opened(path, O_WRONLY));
  } else if (is(way, "append")) {
    whole(write(opened(path, O_WRONLY | O_APPEND), bytes, strlen(bytes)), "write");
  } else if (is(way, "writev")) {
    struct iovec vector = {(void *)bytes, strlen(bytes)};
    whole(pwritev2(opened(path, O_WRONLY), &vector, 1, 0, 0), "pwritev2");
  } else if (is(way, "mmap")) {
    store(mapped(opened(path, O_RDWR), MAP_SHARED));
  } else if (is(way, "mmap-read")) {
    // A page that was read first is mapped for writing already on some file systems: the store itself is seen by nobody.
    int fd = opened(path, O_RDWR);
    char *at = mapped(fd, MAP_SHARED);
    *(volatile char *)at;
    close(fd);
    store(at);
  } else if (is(way, "aio")) {
    aio(opened(path, O_WRONLY), 0);
  } else if (is(way, "aio-direct")) {
    aio(opened(path, O_WRONLY | O_DIRECT), 1);
  } else if (is(way, "io_uring")) {
    uring_write(opened(path, O_WRONLY));
  } else if (is(way, "truncate")) {
    check(truncate(path, 1), "truncate");
  } else if (is(way, "truncate-often")) {
    for (int i = 0; i < 100000; i++) check(truncate(path, 1), "truncate");
  } else if (is(way, "ftruncate")) {
    check(ftruncate(opened(path, O_WRONLY), 1), "ftruncate");
  } else if (is(way, "open-truncate")) {
    opened(path, O_WRONLY | O_TRUNC);
  } else if (is(way, "fallocate")) {
    check(fallocate(opened(path, O_WRONLY), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), "fallocate");
  } else if (is(way, "splice")) {
    whole(splice(pipe_with_bytes(), NULL, opened(path, O_WRONLY), NULL, strlen(bytes), 0), "splice");
  } else if (is(way, "sendfile")) {
    int from = other_with_bytes(path);
    off_t start = 0;
    whole(sendfile(opened(path, O_WRONLY), from, &start, strlen(bytes)), "sendfile");
    remove_other(path);
  } else if (is(way, "copy_file_range")) {
    int from = other_with_bytes(path);
    loff_t start = 0;
    whole(copy_file_range(from, &start, opened(path, O_WRONLY), NULL, strlen(bytes), 0), "copy_file_range");
    remove_other(path);
  } else if (is(way, "clone")) {
    int from = other_with_bytes(path);
    // Whole blocks, or it is refused in the middle of a file.
    check(ftruncate(from, PAGE), "ftruncate");
    check(ioctl(opened(path, O_WRONLY), FICLONE, from), "ioctl FICLONE");
    remove_other(path);
  } else if (is(way, "replace")) {
    replace(path);
  } else if (is(way, "link-write")) {
    char name[PAGE];
    snprintf(name, sizeof name, "%s.link", path);
    check(link(path, name), "link");
    write_at_start(opened(name, O_WRONLY));
    check(unlink(name), "unlink");
  } else if (is(way, "link")) {
    char name[PAGE];
    snprintf(name, sizeof name, "%s.link", path);
    check(link(path, name), "link");
  } else if (is(way, "rename")) {
    // Away and back: the content is the same, the change is noted.
    char name[PAGE];
    snprintf(name, sizeof name, "%s.elsewhere", path);
    check(rename(path, name), "rename");
    check(rename(name, path), "rename back");
  } else if (is(way, "chmod")) {
    check(chmod(path, OTHER_MODE), "chmod");
  } else if (is(way, "setuid")) {
    check(chmod(path, 04755), "chmod");
  } else if (is(way, "chown")) {
    check(chown(path, 65533, 65533), "chown");
  } else if (is(way, "chgrp")) {
    check(chown(path, -1, getegid()), "chown");
  } else if (is(way, "setxattr")) {
    check(setxattr(path, getuid() == 0 ? "trusted.note" : "user.note", bytes, strlen(bytes), 0), "setxattr");
  } else if (is(way, "acl")) {
    set_acl(path);
  } else if (is(way, "held-write")) {
    int fd = opened(path, O_RDWR);
    wait_for_line();
    write_at_start(fd);
  } else if (is(way, "held-aio")) {
    int fd = opened(path, O_RDWR);
    wait_for_line();
    aio(fd, 0);
  } else if (is(way, "held-mmap") || is(way, "held-mmap-dirty")) {
    int fd = opened(path, O_RDWR);
    char *at = mapped(fd, MAP_SHARED);
    // Its page was read, so that what is stored is noted as little as may be; or written to: nothing notes the next time.
    char first = *(volatile char *)at;
    if (is(way, "held-mmap-dirty")) *(volatile char *)at = first;
    close(fd);
    wait_for_line();
    store(at);
    munmap(at, PAGE);
  } else if (is(way, "held-pin")) {
    write_through_pin(path);
  } else if (is(way, "write-lease")) {
    // Who opens the file then waits for this process, or is refused.
    signal(SIGIO, SIG_IGN);
    int fd = opened(path, O_RDONLY);
    int leased;
    // A guard that has allowed the open may have the file open itself for a moment yet.
    while ((leased = fcntl(fd, F_SETLEASE, F_WRLCK)) == -1 && errno == EAGAIN) usleep(1000);
    check(leased, "F_SETLEASE");
    wait_for_line();
  } else {
    fprintf(stderr, "%s: no such way to change a file\n", way);
    return 64;
  }
  return 0;
}
