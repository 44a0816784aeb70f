// Deep trees that are moved about while files are written into them. RENAMES 0: makes eight trees, six directories deep, with three
// files in each. Else one process makes so many renames, of any directory to anywhere that is not below it, while another makes FILES
// files in the directories, wherever they are, and removes every third again. renames DIRECTORY RENAMES FILES
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TREES = 8, DEPTH = 6, NODES = TREES * DEPTH };
static struct {
  int fd, parent;
  char name[32];
} nodes[NODES];

static int touch(int directory, const char *name) {
  int fd = openat(directory, name, O_CREAT | O_WRONLY, 0644);
  if (fd < 0 || write(fd, "x", 1) != 1) return -1;
  return close(fd);
}

// The same on every machine, whoever is its libc.
static unsigned next(unsigned *seed) { return (*seed = *seed * 1103515245u + 12345u) >> 16; }

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int top = open(argv[1], O_RDONLY | O_DIRECTORY);
  long renames = atol(argv[2]), files = atol(argv[3]);
  char name[64];
  for (int n = 0; n < NODES; n++) {
    nodes[n].parent = n % DEPTH == 0 ? -1 : n - 1;
    int parent = n % DEPTH == 0 ? top : nodes[n - 1].fd;
    snprintf(nodes[n].name, sizeof nodes[n].name, "n%d", n);
    mkdirat(parent, nodes[n].name, 0755);
    nodes[n].fd = openat(parent, nodes[n].name, O_RDONLY | O_DIRECTORY);
    if (nodes[n].fd < 0) return 1;
    for (int i = 0; renames == 0 && i < 3; i++) {
      snprintf(name, sizeof name, "s%d", i);
      if (touch(nodes[n].fd, name) < 0) return 1;
    }
  }
  if (renames == 0) return 0;
  pid_t writer = fork();
  if (writer == 0) {
    unsigned seed = 1;
    for (long i = 0; i < files; i++) {
      int fd = nodes[next(&seed) % NODES].fd;
      snprintf(name, sizeof name, "w%ld", i);
      if (touch(fd, name) < 0 || (i % 3 == 0 && unlinkat(fd, name, 0) < 0)) _exit(1);
      if (i % 20 == 0) usleep(100);
    }
    _exit(0);
  }
  unsigned seed = 2;
  for (long i = 0; i < renames; i++) {
    int n = next(&seed) % NODES, to = (int)(next(&seed) % (NODES + 1)) - 1;
    snprintf(name, sizeof name, "n%d-%ld", n, i);
    int from = nodes[n].parent < 0 ? top : nodes[nodes[n].parent].fd;
    // Refused where `to` is below.
    if (renameat(from, nodes[n].name, to < 0 ? top : nodes[to].fd, name) == 0) {
      nodes[n].parent = to;
      snprintf(nodes[n].name, sizeof nodes[n].name, "%.31s", name);
    }
    usleep(200);
  }
  int status;
  return waitpid(writer, &status, 0) == writer && status == 0 ? 0 : 1;
}
