// mkdir -p a/b/c, TRIPLES times, and a file written into each of the three at once; with another NAME, later, another file.
// mkdirs DIRECTORY TRIPLES NAME
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  char paths[3][4096], file[4200];
  for (long i = 0; i < atol(argv[2]); i++) {
    snprintf(paths[0], sizeof paths[0], "%s/a%ld", argv[1], i);
    snprintf(paths[1], sizeof paths[1], "%s/a%ld/b", argv[1], i);
    snprintf(paths[2], sizeof paths[2], "%s/a%ld/b/c", argv[1], i);
    for (int level = 0; level < 3; level++) mkdir(paths[level], 0755);
    for (int level = 0; level < 3; level++) {
      snprintf(file, sizeof file, "%s/%s", paths[level], argv[3]);
      int fd = open(file, O_CREAT | O_WRONLY, 0644);
      if (fd < 0 || write(fd, "x", 1) != 1) return 1;
      close(fd);
    }
  }
  return 0;
}
