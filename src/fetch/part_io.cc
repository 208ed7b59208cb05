#include "fetch/part_io.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace tributary::fetch {
namespace {

using Kind = OpenedPart::Kind;

constexpr int kNames = 10000;            // FILE.1 to FILE.9999
constexpr off_t kMaxState = 16 << 20;    // bytes; a state is far smaller

core::Error storage_error(int sys) {
  const bool is_full = sys == ENOSPC || sys == EDQUOT;
  return {.code = is_full ? core::ErrorCode::StorageFull : core::ErrorCode::StorageIo, .sys = sys};
}

bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 || errno != ENOENT;
}

std::string numbered(const std::string& path, int number) {
  return number == 0 ? path : path + "." + std::to_string(number);
}

std::optional<PartState> read_state(const std::string& path) {
  const core::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > kMaxState) return {};
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t have = 0;
  while (have < text.size()) {
    const ssize_t n = ::pread(fd.get(), text.data() + have, text.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    have += static_cast<size_t>(n);
  }
  return parse_part_state(text);
}

core::Result<void> write_all(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return storage_error(errno);
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

// A whole new file or the old one, whatever happens in between.
core::Result<void> replace_file(const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  {
    const core::Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return storage_error(errno);
    const core::Result<void> written = write_all(fd.get(), text, 0);
    if (!written || ::fdatasync(fd.get()) != 0) {
      const core::Error error = written ? storage_error(errno) : written.error();
      ::unlink(fresh.c_str());
      return error;
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return storage_error(errno);
  return {};
}

enum class Attempt : uint8_t { Opened, Taken, Failed };

// FILE.part under this name, if it is free or ours.
Attempt try_open(const OpenPart& request, std::string path, OpenedPart& opened) {
  opened.place.path = std::move(path);
  const std::string part = opened.place.part_path();
  if (exists(opened.place.path)) return Attempt::Taken;
  core::Fd fd(::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
  if (!fd) {
    opened.error = storage_error(errno);
    return errno == ELOOP || errno == EISDIR || errno == ENXIO ? Attempt::Taken : Attempt::Failed;
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return Attempt::Taken;
  // Who held it may have renamed or removed it between our open and our lock.
  struct stat ours {}, named {};
  if (::fstat(fd.get(), &ours) != 0 || ::lstat(part.c_str(), &named) != 0 || ours.st_ino != named.st_ino ||
      ours.st_dev != named.st_dev || !S_ISREG(ours.st_mode) || exists(opened.place.path)) {
    return Attempt::Taken;
  }
  std::optional<PartState> state = read_state(opened.place.state_path());
  const bool is_ours = state ? state->url == request.url : ours.st_size == 0 && !exists(opened.place.state_path());
  if (!is_ours) return Attempt::Taken;
  opened.kind = Kind::Fresh;
  opened.place.fd = std::move(fd);
  if (request.resume && state && state->can_be_resumed() && !state->present.empty()) {
    state->present.remove(static_cast<uint64_t>(ours.st_size), UINT64_MAX);
    opened.state = std::move(*state);
    if (request.unpacks) opened.state.unpacks = PartState::has_coding(opened.state.content_encoding);
    opened.kind = Kind::Resumed;
  }
  return Attempt::Opened;
}

// -c: the first of FILE.part, FILE.1.part … that is of this URL; the names end where nothing is.
bool find_resumable(const OpenPart& request, OpenedPart& opened) {
  for (int number = 0; number < kNames; ++number) {
    const std::string path = numbered(request.path, number);
    const bool has_part = exists(path + ".part");
    if (has_part && try_open(request, path, opened) == Attempt::Opened && opened.kind == Kind::Resumed) return true;
    opened = {};
    if (!has_part && !exists(path)) return false;
  }
  return false;
}

}  // namespace

OpenedPart open_part(const OpenPart& request) {
  OpenedPart opened;
  if (request.resume) {
    if (find_resumable(request, opened)) return opened;
    if (request.only_find) {
      opened.kind = Kind::Nothing;
      return opened;
    }
    struct stat info {};
    if (::stat(request.path.c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      opened.kind = Kind::Existing;
      opened.place.path = request.path;
      opened.size = static_cast<uint64_t>(info.st_size);
      return opened;
    }
  }
  for (int number = 0; number < kNames; ++number) {
    opened = {};
    switch (try_open(request, numbered(request.path, number), opened)) {
      case Attempt::Opened: return opened;
      case Attempt::Taken: continue;
      case Attempt::Failed: opened.kind = Kind::Failed; return opened;
    }
  }
  opened.error = storage_error(EEXIST);
  return opened;
}

core::Result<void> reserve(const PartPlace& place, uint64_t length) {
  if (length == 0) return {};
  if (length > static_cast<uint64_t>(INT64_MAX)) return storage_error(EFBIG);
  if (::fallocate(place.fd.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(length)) == 0) return {};
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) return storage_error(errno);
  return {};  // a file system that cannot
}

core::Result<void> write_batch(const PartPlace& place, const WriteBatch& batch) {
  for (const auto& [offset, bytes] : batch) {
    if (core::Result<void> written = write_all(place.fd.get(), bytes.view(), offset); !written) return written;
  }
  return {};
}

core::Result<void> read_part(const PartPlace& place, uint64_t first, uint64_t last,
                             const std::function<void(std::string_view)>& take) {
  std::vector<char> buffer(static_cast<size_t>(std::min<uint64_t>(last - first, 256 * 1024)));
  while (first < last) {
    const size_t size = static_cast<size_t>(std::min<uint64_t>(last - first, buffer.size()));
    const ssize_t n = ::pread(place.fd.get(), buffer.data(), size, static_cast<off_t>(first));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return storage_error(errno);
    if (n == 0) return core::Error{.code = core::ErrorCode::StorageCorrupt};
    take({buffer.data(), static_cast<size_t>(n)});
    first += static_cast<uint64_t>(n);
  }
  return {};
}

core::Result<void> save_state(const PartPlace& place, const PartState& state) {
  if (::fdatasync(place.fd.get()) != 0) return storage_error(errno);
  return replace_file(place.state_path(), to_json(state));
}

core::Result<void> restart_part(const PartPlace& place, const PartState& state) {
  // The state first: bytes of one version must never stand beside the state of another.
  if (core::Result<void> saved = replace_file(place.state_path(), to_json(state)); !saved) return saved;
  if (::ftruncate(place.fd.get(), 0) != 0) return storage_error(errno);
  return {};
}

core::Result<void> write_bytes(const core::Fd& file, uint64_t offset, std::string_view bytes) {
  return write_all(file.get(), bytes, offset);
}

core::Result<core::Fd> create_plain(const PartPlace& place) {
  ::unlink(place.plain_path().c_str());
  core::Fd fd(::open(place.plain_path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd) return storage_error(errno);
  return fd;
}

core::Result<void> commit_part(PartPlace& place, uint64_t length, const core::Fd& plain) {
  const int fd = plain ? plain.get() : place.fd.get();
  // Cuts what was reserved beyond, too.
  if (::ftruncate(fd, static_cast<off_t>(length)) != 0 || ::fsync(fd) != 0) return storage_error(errno);
  const std::string coded = place.part_path(), part = plain ? place.plain_path() : coded, state = place.state_path(), wished = place.path;
  for (int number = 0; number < kNames; ++number) {
    place.path = numbered(wished, number);
    bool done = ::renameat2(AT_FDCWD, part.c_str(), AT_FDCWD, place.path.c_str(), RENAME_NOREPLACE) == 0;
    if (!done && (errno == EINVAL || errno == ENOSYS)) {  // a file system without it
      done = ::link(part.c_str(), place.path.c_str()) == 0;
      if (done) ::unlink(part.c_str());
    }
    if (!done && errno == EEXIST) continue;
    if (!done) return storage_error(errno);
    ::unlink(state.c_str());
    if (plain) ::unlink(coded.c_str());
    const size_t slash = place.path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : place.path.substr(0, slash + 1);
    const core::Fd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) ::fsync(folder.get());
    return {};
  }
  return storage_error(EEXIST);
}

void remove_part(const PartPlace& place) {
  ::unlink(place.part_path().c_str());
  ::unlink(place.state_path().c_str());
  ::unlink(place.plain_path().c_str());
}

}  // namespace tributary::fetch
