/* A service manager's end of sd_notify(3): prints what is sent to the socket at the path, or for '@name' of that name in the abstract
 * namespace; each message as a line, its
 * line ends as '|', behind the time in milliseconds. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

int main(int count, char **arguments)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timespec now;
	char message[4096];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	size_t length = strlen(arguments[1]);
	if (count != 2 || length >= sizeof address.sun_path)
		return 2;
	memcpy(address.sun_path, arguments[1], length);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = 0;
	else
		length++;
	if (bind(fd, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + length) == -1) {
		perror("bind");
		return 1;
	}
	puts("listening");
	fflush(stdout);
	for (;;) {
		ssize_t bytes = recv(fd, message, sizeof message - 1, 0);
		if (bytes < 0)
			return 1;
		clock_gettime(CLOCK_MONOTONIC, &now);
		printf("%lld ", now.tv_sec * 1000LL + now.tv_nsec / 1000000);
		for (ssize_t at = 0; at < bytes; at++)
			putchar(message[at] == '\n' ? '|' : message[at]);
		putchar('\n');
		fflush(stdout);
	}
}
