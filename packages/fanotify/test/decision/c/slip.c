// Tries to open what is in a subtree without being asked about: `slip WAY DIRECTORY MILLISECONDS` renames, links and mounts in
// DIRECTORY, which has sub/ (guarded, everything in it denied) and out/, while others open paths in sub/. Prints as JSON how often
// they tried, what was denied, and how often one succeeded, which never must.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

struct counts {
  long tries, denied, slips, moves;
};
static struct counts *counts;
static struct timespec end;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int isOver(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}

static void add(long *count) { __atomic_add_fetch(count, 1, __ATOMIC_RELAXED); }

static void tryOpen(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  add(&counts->tries);
  if (fd >= 0) {
    add(&counts->slips);
    close(fd);
  } else if (errno == EPERM) {
    add(&counts->denied);
  }
}

/** Opens these paths by turns until the time is over. */
static void victim(const char *const *paths) {
  while (!isOver())
    for (const char *const *path = paths; *path; path++) tryOpen(*path);
  _exit(0);
}

/** Renames to and fro. */
static void mover(const char *from, const char *to) {
  while (!isOver()) {
    if (rename(from, to) == 0) add(&counts->moves);
    rename(to, from);
  }
  _exit(0);
}

static void exchanger(const char *one, const char *other) {
  while (!isOver())
    if (syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0) add(&counts->moves);
  _exit(0);
}

/** Moves out, then what is in it out of that, and both back. */
static void deepMover(void) {
  while (!isOver()) {
    if (rename("sub/a", "out/a") == 0) add(&counts->moves);
    rename("out/a/d", "out/d");
    rename("out/d/f", "out/f");
    rename("out/f", "out/d/f");
    rename("out/d", "out/a/d");
    rename("out/a", "sub/a");
  }
  _exit(0);
}

/** Moves out, and at once puts another in its place that was always outside. */
static void swapper(void) {
  while (!isOver()) {
    if (rename("sub/d", "out/d") == 0) add(&counts->moves);
    syscall(SYS_renameat2, AT_FDCWD, "out/d", AT_FDCWD, "out/other", RENAME_EXCHANGE);
    syscall(SYS_renameat2, AT_FDCWD, "out/d", AT_FDCWD, "out/other", RENAME_EXCHANGE);
    rename("out/d", "sub/d");
  }
  _exit(0);
}

/** Gives the file a name outside, and takes the one inside away. */
static void linker(void) {
  while (!isOver()) {
    if (link("sub/d/f", "out/f") == 0) add(&counts->moves);
    unlink("sub/d/f");
    link("out/f", "sub/d/f");
    unlink("out/f");
  }
  _exit(0);
}

static void hog(void) {
  while (!isOver());
  _exit(0);
}

/** The same as the lowest of all: it is preempted wherever it is. */
static void beIdle(void) {
  struct sched_param parameters = {0};
  sched_setscheduler(0, SCHED_IDLE, &parameters);
}

/** In a user namespace with mounts of its own: opens by what shows the subtree elsewhere, and moves that about. */
static void namespaceVictim(const char *directory) {
  char *maps[] = {"/proc/self/setgroups", "/proc/self/uid_map", "/proc/self/gid_map"};
  char text[64];
  uid_t uid = getuid();
  gid_t gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) die("unshare");
  for (int i = 0; i < 3; i++) {
    int fd = open(maps[i], O_WRONLY);
    snprintf(text, sizeof text, i == 0 ? "deny" : "0 %d 1", (int)(i == 1 ? uid : gid));
    if (fd < 0 || write(fd, text, strlen(text)) < 0) die(maps[i]);
    close(fd);
  }
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) die("private");
  if (mount(directory, "out/m", NULL, MS_BIND, NULL) != 0) die("bind");
  if (mount("sub", "out/s", NULL, MS_BIND, NULL) != 0) die("bind sub");
  pid_t child = fork();
  if (child == 0) {
    // The whole file system, mounted here and there: what it is called is not where it is.
    while (!isOver()) {
      if (mount("out/m", "out/x/y", NULL, MS_MOVE, NULL) == 0) add(&counts->moves);
      rename("out/x", "out/z");
      rename("out/z", "out/x");
      mount("out/x/y", "out/m", NULL, MS_MOVE, NULL);
    }
    _exit(0);
  }
  const char *paths[] = {"out/s/d/f", "out/m/sub/d/f", "out/x/y/sub/d/f", "out/z/y/sub/d/f", NULL};
  victim(paths);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const char *way = argv[1];
  if (chdir(argv[2]) != 0) die(argv[2]);
  counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  clock_gettime(CLOCK_MONOTONIC, &end);
  long ms = atol(argv[3]);
  end.tv_sec += ms / 1000;
  end.tv_nsec += ms % 1000 * 1000000;
  if (end.tv_nsec >= 1000000000) {
    end.tv_sec++;
    end.tv_nsec -= 1000000000;
  }
  int isIdle = strncmp(way, "idle-", 5) == 0;
  if (isIdle) way += 5;
  const char *paths[8] = {"sub/d/f", NULL};
  if (strcmp(way, "ancestor") == 0 || strcmp(way, "deep") == 0) paths[0] = "sub/a/d/f";
  if (strcmp(way, "root") == 0) {
    paths[1] = "elsewhere/d/f";
  }
  if (strcmp(way, "root-ancestor") == 0) {
    paths[0] = "up/sub/d/f";
    paths[1] = "down/sub/d/f";
  }
  for (int i = 0; i < (isIdle ? 1 : 2); i++) {
    if (fork() == 0) {
      if (strcmp(way, "namespace") == 0) namespaceVictim(argv[2]);
      victim(paths);
    }
  }
  if (isIdle) for (int i = 0; i < 2; i++) if (fork() == 0) hog();
  if (fork() == 0) {
    if (isIdle) beIdle();
    if (strcmp(way, "file") == 0) mover("sub/d/f", "out/f");
    if (strcmp(way, "directory") == 0) mover("sub/d", "out/d");
    if (strcmp(way, "ancestor") == 0) mover("sub/a", "out/a");
    if (strcmp(way, "root") == 0) mover("sub", "elsewhere");
    if (strcmp(way, "root-ancestor") == 0) mover("up", "down");
    if (strcmp(way, "exchange") == 0) exchanger("sub/d", "out/other");
    if (strcmp(way, "deep") == 0) deepMover();
    if (strcmp(way, "swap") == 0) swapper();
    if (strcmp(way, "link") == 0) linker();
    _exit(0);
  }
  int status, failed = 0;
  while (wait(&status) > 0) failed |= status != 0;
  printf("{\"tries\":%ld,\"denied\":%ld,\"slips\":%ld,\"moves\":%ld}\n", counts->tries, counts->denied, counts->slips,
         counts->moves);
  return failed;
}
