/* Preloaded into the proxy: stands between it and the disk under one directory (DISK_DIR).
 *
 * Journal (DISK_JOURNAL): every change of a file there, in order, with its data, and every sync. A power cut is then made after
 * the fact: harness/disk.py builds what the disk may hold, from what was synced and any part of what was not.
 *
 * Faults (DISK_FAULTS): a file of lines "CALL ERRNO NAME", read at every call; while a line is there, CALL (open, write, allocate,
 * sync, read) on a file whose name contains NAME fails with that errno. DISK_BOOT_ID replaces the machine's boot id.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FDS 65536
#define NAME_SIZE 48

enum { WRITE = 1, ZERO, SIZE, GROW, CREATE, UNLINK, SYNC, SYNC_NAMES };

struct head {
  uint8_t op, durable;
  uint16_t name_size;
  uint32_t zero;
  uint64_t offset, length, upto; /* SYNC: changes before `upto` are on the disk */
};

static struct watched {
  char name[NAME_SIZE]; /* empty: none of ours; ".": the directory */
  int durable;          /* O_DSYNC */
} fds[MOST_FDS];

/* Recursive: a sanitizer that finds something while it is held opens files to say what. */
static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const char *directory;
static size_t directory_size;
static int journal = -1;
static uint64_t changes;
static const char *faults;

#define REAL(result, name, ...)                                   \
  static result (*real_##name)(__VA_ARGS__);                      \
  if (!real_##name) *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

static int plain_open(const char *path, int flags, int mode) {
  REAL(int, open, const char *, int, ...);
  return real_open(path, flags, mode);
}

__attribute__((constructor)) static void start(void) {
  directory = getenv("DISK_DIR");
  directory_size = directory ? strlen(directory) : 0;
  const char *path = getenv("DISK_JOURNAL");
  if (path) journal = plain_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  path = getenv("DISK_FAULTS");
  if (path) {
    int fd = plain_open(path, O_RDONLY | O_CLOEXEC, 0);
    void *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) faults = mapped;
  }
}

static struct watched *watched(int fd) {
  return fd >= 0 && fd < MOST_FDS && fds[fd].name[0] ? &fds[fd] : NULL;
}

/* The errno that `call` on `name` is to fail with, or 0. */
static int fault(const char *call, const char *name) {
  if (!faults || !faults[0]) return 0;
  char text[4096];
  memcpy(text, faults, sizeof text - 1);
  text[sizeof text - 1] = 0;
  char *rest = text, *line;
  while ((line = strsep(&rest, "\n")) && line[0]) {
    char what[16], of[NAME_SIZE];
    int number;
    if (sscanf(line, "%15s %d %47s", what, &number, of) == 3 && !strcmp(what, call) && strstr(name, of)) return number;
  }
  return 0;
}

#define FAIL(call, name)                       \
  do {                                         \
    int number_ = fault(call, name);           \
    if (number_) return errno = number_, -1;   \
  } while (0)

/* Under the mutex. */
static void note(int op, const char *name, int durable, uint64_t offset, uint64_t length, uint64_t upto, const struct iovec *data, int count) {
  if (journal < 0) return;
  struct head head = {op, (uint8_t)durable, (uint16_t)strlen(name), 0, offset, length, upto};
  struct iovec parts[66] = {{&head, sizeof head}, {(void *)name, head.name_size}};
  uint64_t left = length;
  int used = 2;
  for (int i = 0; i < count && left > 0 && used < 66; ++i, ++used) {
    parts[used] = data[i];
    if (parts[used].iov_len > left) parts[used].iov_len = left;
    left -= parts[used].iov_len;
  }
  REAL(ssize_t, writev, int, const struct iovec *, int);
  if (real_writev(journal, parts, used) < 0) abort();
  if (op < SYNC) ++changes;
}

static ssize_t written(int fd, const struct iovec *data, int count, off_t offset) {
  REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
  struct watched *file = watched(fd);
  if (!file) return real_pwritev(fd, data, count, offset);
  FAIL("write", file->name);
  pthread_mutex_lock(&mutex);
  ssize_t n = real_pwritev(fd, data, count, offset);
  int number = errno;
  if (n > 0) note(WRITE, file->name, file->durable, (uint64_t)offset, (uint64_t)n, 0, data, count);
  pthread_mutex_unlock(&mutex);
  errno = number;
  return n;
}

ssize_t pwritev(int fd, const struct iovec *data, int count, off_t offset) { return written(fd, data, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *data, int count, off_t offset) { return written(fd, data, count, offset); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  struct iovec part = {(void *)data, size};
  if (watched(fd)) return written(fd, &part, 1, offset);
  REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
  return real_pwrite(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset) { return pwrite(fd, data, size, offset); }

/* LMDB writes consecutive pages with lseek and writev. */
ssize_t writev(int fd, const struct iovec *data, int count) {
  if (watched(fd)) {
    off_t at = lseek(fd, 0, SEEK_CUR);
    ssize_t n = written(fd, data, count, at);
    if (n > 0) lseek(fd, at + n, SEEK_SET);
    return n;
  }
  REAL(ssize_t, writev, int, const struct iovec *, int);
  return real_writev(fd, data, count);
}
ssize_t write(int fd, const void *data, size_t size) {
  if (watched(fd)) {
    struct iovec part = {(void *)data, size};
    return writev(fd, &part, 1);
  }
  REAL(ssize_t, write, int, const void *, size_t);
  return real_write(fd, data, size);
}

static ssize_t has_read(int fd, ssize_t (*real)(int, void *, size_t, off_t), void *data, size_t size, off_t offset) {
  struct watched *file = watched(fd);
  if (file) FAIL("read", file->name);
  return real(fd, data, size, offset);
}
ssize_t pread(int fd, void *data, size_t size, off_t offset) {
  REAL(ssize_t, pread, int, void *, size_t, off_t);
  return has_read(fd, real_pread, data, size, offset);
}
ssize_t pread64(int fd, void *data, size_t size, off_t offset) { return pread(fd, data, size, offset); }

static int synced(int fd, int (*real)(int)) {
  struct watched *file = watched(fd);
  if (!file) return real(fd);
  FAIL("sync", file->name);
  pthread_mutex_lock(&mutex);
  uint64_t upto = changes;
  pthread_mutex_unlock(&mutex);
  int result = real(fd), number = errno;
  if (result == 0) {
    pthread_mutex_lock(&mutex);
    note(file->name[0] == '.' ? SYNC_NAMES : SYNC, file->name, 1, 0, 0, upto, NULL, 0);
    pthread_mutex_unlock(&mutex);
  }
  errno = number;
  return result;
}
int fsync(int fd) {
  REAL(int, fsync, int);
  return synced(fd, real_fsync);
}
int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  return synced(fd, real_fdatasync);
}

int ftruncate(int fd, off_t size) {
  REAL(int, ftruncate, int, off_t);
  struct watched *file = watched(fd);
  if (!file) return real_ftruncate(fd, size);
  FAIL("write", file->name);
  pthread_mutex_lock(&mutex);
  int result = real_ftruncate(fd, size), number = errno;
  if (result == 0) note(SIZE, file->name, 0, (uint64_t)size, 0, 0, NULL, 0);
  pthread_mutex_unlock(&mutex);
  errno = number;
  return result;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t offset, off_t size) {
  REAL(int, fallocate, int, int, off_t, off_t);
  struct watched *file = watched(fd);
  if (!file) return real_fallocate(fd, mode, offset, size);
  FAIL("allocate", file->name);
  pthread_mutex_lock(&mutex);
  int result = real_fallocate(fd, mode, offset, size), number = errno;
  struct iovec span = {&size, sizeof size};
  if (result == 0) note(mode ? ZERO : GROW, file->name, 0, (uint64_t)offset, sizeof size, 0, &span, 1);
  pthread_mutex_unlock(&mutex);
  errno = number;
  return result;
}
int fallocate64(int fd, int mode, off_t offset, off_t size) { return fallocate(fd, mode, offset, size); }

/* The name below the directory that a path means; "." for the directory; NULL when it is none of ours. */
static const char *name_of(int at, const char *path) {
  if (!directory) return NULL;
  if (path[0] != '/') {
    struct watched *base = watched(at);
    return base && base->name[0] == '.' ? path : NULL;
  }
  if (strncmp(path, directory, directory_size)) return NULL;
  if (!path[directory_size]) return ".";
  return path[directory_size] == '/' ? path + directory_size + 1 : NULL;
}

static int opened(int at, const char *path, int flags, int mode) {
  REAL(int, openat, int, const char *, int, ...);
  if (!strcmp(path, "/proc/sys/kernel/random/boot_id") && getenv("DISK_BOOT_ID")) path = getenv("DISK_BOOT_ID");
  const char *name = name_of(at, path);
  if (name) FAIL("open", name);
  pthread_mutex_lock(&mutex);
  int is_new = name && (flags & O_CREAT) && faccessat(at, path, F_OK, 0) != 0;
  int fd = real_openat(at, path, flags, mode), number = errno;
  if (fd >= 0 && fd < MOST_FDS) {
    memset(&fds[fd], 0, sizeof fds[fd]);
    if (name && strlen(name) < NAME_SIZE) {
      strcpy(fds[fd].name, name);
      fds[fd].durable = (flags & O_DSYNC) != 0;
      if (is_new) note(CREATE, name, 0, 0, 0, 0, NULL, 0);
    }
  }
  pthread_mutex_unlock(&mutex);
  errno = number;
  return fd;
}

#define OPEN_MODE(flags)                    \
  int mode = 0;                             \
  if ((flags) & (O_CREAT | __O_TMPFILE)) {  \
    va_list list;                           \
    va_start(list, flags);                  \
    mode = va_arg(list, int);               \
    va_end(list);                           \
  }
int open(const char *path, int flags, ...) {
  OPEN_MODE(flags)
  return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  OPEN_MODE(flags)
  return opened(AT_FDCWD, path, flags, mode);
}
int openat(int at, const char *path, int flags, ...) {
  OPEN_MODE(flags)
  return opened(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
  OPEN_MODE(flags)
  return opened(at, path, flags, mode);
}
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return opened(at, path, flags, 0); }

int close(int fd) {
  REAL(int, close, int);
  if (fd >= 0 && fd < MOST_FDS) {
    pthread_mutex_lock(&mutex);
    fds[fd].name[0] = 0; /* the next to open gets this number, in any thread */
    pthread_mutex_unlock(&mutex);
  }
  return real_close(fd);
}

static int unlinked(int at, const char *path, int result) {
  const char *name = name_of(at, path);
  int number = errno;
  if (name && result == 0) {
    pthread_mutex_lock(&mutex);
    note(UNLINK, name, 0, 0, 0, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
  }
  errno = number;
  return result;
}
int unlink(const char *path) {
  REAL(int, unlink, const char *);
  return unlinked(AT_FDCWD, path, real_unlink(path));
}
int unlinkat(int at, const char *path, int flags) {
  REAL(int, unlinkat, int, const char *, int);
  return unlinked(at, path, real_unlinkat(at, path, flags));
}
