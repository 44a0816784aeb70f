// A burst: FILES files of a byte, spread over DIRECTORIES directories, as fast as one core can. The directories are made first, where
// they are not there, ten in each other. FILES 0: only them. burst DIRECTORY FILES DIRECTORIES
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void name(char *path, size_t size, const char *top, long d) {
  int length = snprintf(path, size, "%s", top);
  for (long part = 0; part <= d % 10; part++) length += snprintf(path + length, size - length, "/d%ld", d - d % 10 + part);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  long files = atol(argv[2]), directories = atol(argv[3]);
  char path[4096], file[4200];
  for (long d = 0; d < directories; d++) {
    name(path, sizeof path, argv[1], d);
    if (mkdir(path, 0755) < 0 && errno != EEXIST) return 1;
  }
  for (long i = 0; i < files; i++) {
    name(path, sizeof path, argv[1], i % directories);
    snprintf(file, sizeof file, "%s/f%ld", path, i);
    int fd = open(file, O_CREAT | O_WRONLY, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1) return 1;
    close(fd);
  }
  return 0;
}
