#include "cache/store_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

namespace tributary::cache {
namespace {

constexpr char kUnsynced[] = "unsynced";

bool is_ours(const struct stat& info) {
  return S_ISREG(info.st_mode) && info.st_uid == ::geteuid() && info.st_nlink == 1;
}

// What a small file holds, without a final newline.
std::string read_text(int file) {
  char text[64];
  const ssize_t n = ::pread(file, text, sizeof(text), 0);
  std::string result(text, n > 0 ? static_cast<size_t>(n) : 0);
  while (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

bool write_text(int file, std::string_view text) {
  return ::ftruncate(file, 0) == 0 && ::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

OpenFailure failure_of(int sys) {
  return sys == ENOTDIR || sys == ELOOP || sys == ENAMETOOLONG ? OpenFailure::Refused : OpenFailure::Unavailable;
}

}  // namespace

core::Error storage_error(int sys) {
  const bool full = sys == ENOSPC || sys == EDQUOT || sys == EFBIG;
  return {.code = full ? core::ErrorCode::StorageFull : core::ErrorCode::StorageIo, .sys = sys};
}

std::string StoreFiles::boot_id() {
  core::Fd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  const std::string text = fd ? read_text(fd.get()) : "";
  return text.empty() ? std::string(kNoBootId) : text;
}

OpenFailure StoreFiles::open(const std::string& directory, std::string& why) {
  namespace fs = std::filesystem;
  path_ = directory;
  std::error_code error;
  const fs::path parent = fs::path(directory).parent_path();
  if (!parent.empty()) fs::create_directories(parent, error);
  const bool made = ::mkdir(directory.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) {
    const int sys = errno;
    why = fmt::format("cache.directory {}: cannot be made: {}", directory, std::strerror(sys));
    return failure_of(sys);
  }
  directory_ = core::Fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!directory_ || ::fstat(directory_.get(), &info) != 0) {
    const int sys = errno;
    why = fmt::format("cache.directory {}: cannot be opened: {}", directory, std::strerror(sys));
    return failure_of(sys);
  }
  if (info.st_uid != ::geteuid()) {
    why = fmt::format("cache.directory {} belongs to user {}, and this process runs as user {}", directory, info.st_uid, ::geteuid());
    return OpenFailure::Refused;
  }
  // Nobody else's to read, and above all not to write.
  if ((info.st_mode & 0777) != 0700 && ::fchmod(directory_.get(), 0700) != 0) {
    why = fmt::format("cache.directory {}: mode 0700 cannot be set: {}", directory, std::strerror(errno));
    return OpenFailure::Unavailable;
  }
  if (made && !parent.empty()) {
    const core::Fd above(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (above) ::fsync(above.get());
  }
  if (const OpenFailure failure = lock(why); failure != OpenFailure::None) return failure;
  for (const char* name : {"data.mdb", "lock.mdb"}) {
    if (::fstatat(directory_.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0 && !is_ours(info)) {
      why = fmt::format("{} in {} is not a file of ours", name, directory);
      return OpenFailure::Refused;
    }
  }
  return OpenFailure::None;
}

void StoreFiles::close() {
  lock_.reset();
  directory_.reset();
}

OpenFailure StoreFiles::lock(std::string& why) {
  auto file = open_file("lock", true);
  if (!file) {
    const int sys = file.error().sys;
    why = fmt::format("cache.directory {}: not writable: lock: {}", path_, std::strerror(sys));
    return sys == EINVAL || sys == ELOOP ? OpenFailure::Refused : OpenFailure::Unavailable;
  }
  if (::flock(file->get(), LOCK_EX | LOCK_NB) != 0) {
    const int sys = errno;
    if (sys != EWOULDBLOCK) {
      why = fmt::format("cache.directory {}: cannot be locked: {}", path_, std::strerror(sys));
      return OpenFailure::Unavailable;
    }
    const std::string pid = read_text(file->get());
    why = fmt::format("cache.directory {} is in use by another process{}{}", path_, pid.empty() ? "" : ", pid ", pid);
    return OpenFailure::Refused;
  }
  write_text(file->get(), std::to_string(::getpid()) + "\n");  // for people: that it fails on a full disk is no harm
  lock_ = std::move(*file);
  return OpenFailure::None;
}

core::Result<core::Fd> StoreFiles::open_file(const std::string& name, bool create) const {
  core::Fd fd(::openat(directory_.get(), name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT : 0), 0600));
  if (!fd) return storage_error(errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return storage_error(errno);
  if (!is_ours(info)) return storage_error(EINVAL);
  return fd;
}

core::Result<void> StoreFiles::sync() const {
  if (::fsync(directory_.get()) != 0) return storage_error(errno);
  return {};
}

void StoreFiles::remove(const std::string& name) const { ::unlinkat(directory_.get(), name.c_str(), 0); }

bool StoreFiles::exists(const std::string& name) const {
  struct stat info {};
  return ::fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
}

void StoreFiles::remove_store() const {
  struct Closer {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Closer> listing(::opendir(path_.c_str()));
  if (!listing) return;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with("seg-") || name == "data.mdb" || name == "lock.mdb") remove(std::string(name));
  }
}

bool StoreFiles::lost_unsynced() const {
  const auto file = open_file(kUnsynced, false);
  if (!file) return file.error().sys != ENOENT;
  const std::string text = read_text(file->get());
  return text == kNoBootId || text != boot_id();
}

core::Result<void> StoreFiles::mark_unsynced() const {
  const auto file = open_file(kUnsynced, true);
  if (!file) return file.error();
  if (!write_text(file->get(), boot_id()) || ::fsync(file->get()) != 0) return storage_error(errno);
  return sync();
}

core::Result<void> StoreFiles::clear_unsynced() const {
  if (::unlinkat(directory_.get(), kUnsynced, 0) != 0) {
    if (errno == ENOENT) return {};
    return storage_error(errno);
  }
  return sync();
}

}  // namespace tributary::cache
