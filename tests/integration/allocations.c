/* Preloaded into the proxy: counts each thread's calls of malloc and its kind in the file $ALLOCATIONS, pairs of 64-bit numbers
   (thread, count). glibc only: its allocator has second names. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

enum { kThreads = 256 };
struct Cell {
  uint64_t thread;
  _Atomic uint64_t count;
};
static struct Cell* cells;
static _Atomic unsigned used;
static __thread struct Cell* mine;

__attribute__((constructor)) static void open_cells(void) {
  const char* path = getenv("ALLOCATIONS");
  const int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  if (ftruncate(fd, kThreads * sizeof(struct Cell)) == 0) {
    void* map = mmap(NULL, kThreads * sizeof(struct Cell), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) cells = map;
  }
  close(fd);
}

static void count(void) {
  if (!cells) return;
  if (!mine) {
    const unsigned at = atomic_fetch_add(&used, 1);
    if (at >= kThreads) return;
    mine = &cells[at];
    mine->thread = (uint64_t)gettid();
  }
  atomic_fetch_add_explicit(&mine->count, 1, memory_order_relaxed);
}

void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}
void* calloc(size_t n, size_t size) {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* at, size_t size) {
  count();
  return __libc_realloc(at, size);
}
void* memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** to, size_t alignment, size_t size) {
  *to = memalign(alignment, size);
  return *to ? 0 : 12;
}
