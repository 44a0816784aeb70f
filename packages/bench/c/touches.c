// A load that never ceases and leaves room for others: one file opened, written and closed about every 200 µs, until it is
// ended. touches FILE
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  for (;;) {
    int fd = open(argv[1], O_CREAT | O_WRONLY, 0644);
    if (fd < 0 || pwrite(fd, "x", 1, 0) != 1) return 1;
    close(fd);
    usleep(150);
  }
}
