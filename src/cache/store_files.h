// StoreFiles: the store's directory on disk, and who may use it.
//
//   lock          held (flock) by the process that uses the directory; its pid as text
//   data.mdb      the index, and lock.mdb beside it: LMDB's own files
//   seg-NNNNNN    bodies (cache/segment_store.h)
//   unsynced      there while the index is written without sync; holds the boot id of the machine
//
// Content of users lies here: the directory is mode 0700 and ours, and a file in it is used only when it is a regular file
// of ours with one name. Everything is opened relative to the directory's descriptor and follows no link, so nobody can
// put another file in our way (V-14). Start-up and the writer thread only: these calls wait for the disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "core/result.h"

namespace tributary::cache {

// ENOSPC and the like are StorageFull, all else StorageIo; errno stays in `sys`.
core::Error storage_error(int sys);

enum class OpenFailure : uint8_t {
  None,
  Refused,      // by somebody's decision: the directory is in use, or not ours; trying again does not help
  Unavailable,  // by the disk, which may be better later
  Damaged,      // what is there is of no use: to be removed
};

class StoreFiles {
 public:
  // Makes the directory if it is missing, checks and locks it. `why` says in words what is wrong.
  OpenFailure open(const std::string& directory, std::string& why);
  void close();

  // A file of the directory for reading and writing; made when `create` and missing.
  core::Result<core::Fd> open_file(const std::string& name, bool create) const;
  // Makes the names in the directory durable.
  core::Result<void> sync() const;
  void remove(const std::string& name) const;
  bool exists(const std::string& name) const;
  // Everything but the lock.
  void remove_store() const;

  // Whether the index was being written without sync when the machine went down: it may be any mixture of old and new.
  bool lost_unsynced() const;
  core::Result<void> mark_unsynced() const;
  core::Result<void> clear_unsynced() const;

  const std::string& path() const { return path_; }

  // Identifies the boot of the machine: data that nobody synced is trusted within it, and not beyond.
  static std::string boot_id();
  static constexpr std::string_view kNoBootId = "unknown";

 private:
  OpenFailure lock(std::string& why);
  std::string path_;
  core::Fd directory_;
  core::Fd lock_;
};

}  // namespace tributary::cache
