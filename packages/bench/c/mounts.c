// A load of short-lived file systems: COUNT of them, each a tmpfs that lives for LIFE_US microseconds and has a file made in it 5 ms
// before its end; one begins every INTERVAL_US. Says of each when it was mounted, in microseconds since 1970.
// mounts DIRECTORY COUNT INTERVAL_US LIFE_US
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static void until(long us) {
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL) != 0) continue;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  long count = atol(argv[2]), interval = atol(argv[3]), life = atol(argv[4]);
  long *mounted = calloc(count, sizeof *mounted);
  char path[4096];
  long made = 0, filled = 0, gone = 0;
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/m%ld", argv[1], i);
    if (mkdir(path, 0755) != 0) return 1;
  }
  for (long next = now(); gone < count;) {
    long fill = filled < made ? mounted[filled] + life - 5000 : -1, end = gone < filled ? mounted[gone] + life : -1;
    if (end >= 0 && (fill < 0 || end <= fill) && (made == count || end <= next)) {
      until(end);
      snprintf(path, sizeof path, "%s/m%ld", argv[1], gone++);
      if (umount2(path, MNT_DETACH) != 0) return 1;
    } else if (fill >= 0 && (made == count || fill <= next)) {
      until(fill);
      snprintf(path, sizeof path, "%s/m%ld/file", argv[1], filled++);
      int fd = open(path, O_CREAT | O_WRONLY, 0644);
      if (fd < 0) return 1;
      close(fd);
    } else {
      until(next);
      next = now() + interval;
      snprintf(path, sizeof path, "%s/m%ld", argv[1], made);
      if (mount("bench", path, "tmpfs", 0, "size=64k") != 0) return 1;
      mounted[made] = now();
      printf("%ld %ld\n", made, mounted[made]);
      made++;
    }
  }
  return 0;
}
