// Runs a command and tells what it cost: exact, since the kernel counts it, for the whole process and the children it waited
// for. On descriptor 3 a line with the pid at once, and at the end one with times in microseconds and memory in KiB.
// measure COMMAND…
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <fcntl.h>

static double microseconds(struct timeval time) { return time.tv_sec * 1e6 + time.tv_usec; }

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  // Nobody is left behind when the bench is killed.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // A shell's background job ignores them, and what is ignored stays so.
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    _exit(127);
  }
  dprintf(3, "{\"pid\":%d}\n", child);
  int status;
  struct rusage usage;
  while (wait4(child, &status, 0, &usage) != child) continue;
  clock_gettime(CLOCK_MONOTONIC, &end);
  dprintf(3,
          "{\"userUs\":%.0f,\"systemUs\":%.0f,\"wallUs\":%.0f,\"peakKib\":%ld,\"switches\":%ld,\"status\":%d,\"signal\":%d}\n",
          microseconds(usage.ru_utime), microseconds(usage.ru_stime),
          (end.tv_sec - start.tv_sec) * 1e6 + (end.tv_nsec - start.tv_nsec) / 1e3, usage.ru_maxrss,
          usage.ru_nvcsw + usage.ru_nivcsw, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  return 0;
}
