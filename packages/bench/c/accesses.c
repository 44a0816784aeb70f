// A load of accesses: FILES files in a hundred directories opened and closed (with "read" a byte of each is read, too), ROUNDS
// times over, as fast as one core can. ROUNDS 0: makes the files. accesses DIRECTORY FILES ROUNDS open|read
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make(const char *directory, long files) {
  char path[4096];
  for (int d = 0; d < 100; d++) {
    snprintf(path, sizeof path, "%s/d%d", directory, d);
    mkdir(path, 0755);
  }
  for (long i = 0; i < files; i++) {
    snprintf(path, sizeof path, "%s/d%ld/f%ld", directory, i % 100, i);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1) return 1;
    close(fd);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  long files = atol(argv[2]), rounds = atol(argv[3]);
  if (rounds == 0) return make(argv[1], files);
  int reads = strcmp(argv[4], "read") == 0;
  char path[4096], byte;
  for (long round = 0; round < rounds; round++) {
    for (long i = 0; i < files; i++) {
      snprintf(path, sizeof path, "%s/d%ld/f%ld", argv[1], i % 100, i);
      int fd = open(path, O_RDONLY);
      if (fd < 0 || (reads && read(fd, &byte, 1) != 1)) return 1;
      close(fd);
    }
  }
  return 0;
}
