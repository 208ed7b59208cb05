/* Preloaded into the proxy: a disk that answers when it is let. While the file $SLOW_DISK_GATE exists, whoever reads a
   segment with pread waits; each one that waits has written a line into $SLOW_DISK_GATE.waiting. A sendfile of what is not
   in the page cache would wait inside the kernel, where no test can see it: it is told in $SLOW_DISK_GATE.cold. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

static const char* gate;

__attribute__((constructor)) static void find_gate(void) { gate = getenv("SLOW_DISK_GATE"); }

static void tell(const char* suffix) {
  char path[4096];
  snprintf(path, sizeof path, "%s.%s", gate, suffix);
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  if (write(fd, "x\n", 2) != 2) abort();
  close(fd);
}

static int is_segment(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  return strstr(path, "/seg-") != NULL;
}

static void pass_gate(int fd) {
  if (!gate || access(gate, F_OK) != 0 || !is_segment(fd)) return;
  tell("waiting");
  while (access(gate, F_OK) == 0) usleep(1000);
}

ssize_t pread(int fd, void* to, size_t size, off_t offset) {
  static ssize_t (*next)(int, void*, size_t, off_t);
  if (!next) *(void**)&next = dlsym(RTLD_NEXT, "pread");
  pass_gate(fd);
  return next(fd, to, size, offset);
}

ssize_t pread64(int fd, void* to, size_t size, off64_t offset) { return pread(fd, to, size, offset); }

ssize_t sendfile(int to, int from, off_t* offset, size_t size) {
  static ssize_t (*next)(int, int, off_t*, size_t);
  if (!next) *(void**)&next = dlsym(RTLD_NEXT, "sendfile");
  char byte;
  const struct iovec part = {&byte, 1};
  if (gate && offset && preadv2(from, &part, 1, *offset, RWF_NOWAIT) != 1) tell("cold");
  return next(to, from, offset, size);
}

ssize_t sendfile64(int to, int from, off64_t* offset, size_t size) { return sendfile(to, from, offset, size); }
