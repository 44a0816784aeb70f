// A load of changes: FILES files made, written, closed and removed in a hundred directories, ROUNDS times over, as fast as one
// core can. ROUNDS 0: until it is ended. churn DIRECTORY FILES ROUNDS
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  char path[4096];
  long files = atol(argv[2]), rounds = atol(argv[3]);
  for (int d = 0; d < 100; d++) {
    snprintf(path, sizeof path, "%s/d%d", argv[1], d);
    mkdir(path, 0755);
  }
  for (long round = 0; rounds == 0 || round < rounds; round++) {
    for (long i = 0; i < files; i++) {
      snprintf(path, sizeof path, "%s/d%ld/f%ld", argv[1], i % 100, i);
      int fd = open(path, O_CREAT | O_WRONLY, 0644);
      if (fd < 0 || write(fd, "x", 1) != 1) return 1;
      close(fd);
    }
    for (long i = 0; i < files; i++) {
      snprintf(path, sizeof path, "%s/d%ld/f%ld", argv[1], i % 100, i);
      unlink(path);
    }
  }
  return 0;
}
