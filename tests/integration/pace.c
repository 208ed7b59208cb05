/* Preloaded into the origin: the kernel sends at most PACE_BYTES_PER_S on each connection it accepted, evenly.
   nginx's own limit_rate counts whole seconds of a request, so that short ranges would escape it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>

static unsigned rate = ~0u;

/* As a constructor: nginx clears its environment before it accepts. */
__attribute__((constructor)) static void pace_read_rate(void) {
  const char* text = getenv("PACE_BYTES_PER_S");
  if (text) rate = (unsigned)strtoul(text, NULL, 10);
}

int accept4(int fd, struct sockaddr* address, socklen_t* length, int flags) {
  static int (*next)(int, struct sockaddr*, socklen_t*, int);
  if (!next) *(void**)&next = dlsym(RTLD_NEXT, "accept4");
  const int accepted = next(fd, address, length, flags);
  if (accepted >= 0) setsockopt(accepted, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
  return accepted;
}
