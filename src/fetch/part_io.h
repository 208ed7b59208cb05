// The file calls of a download: FILE.part, its state FILE.part.json, and the FILE that they become. Every function may
// block: offload pool only.
//
// A name is taken when FILE is there, when FILE.part is there and not ours (no state beside it, the state of another URL),
// or when a running download holds it (flock); then FILE.1, FILE.2 … are tried, as wget and aria2 do. Nothing is ever overwritten.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/result.h"
#include "core/slice.h"
#include "fetch/part_state.h"

namespace tributary::fetch {

// Where a download's bytes are. Shared with the jobs that write there; immutable but for its end.
struct PartPlace {
  core::Fd fd;       // of FILE.part, locked; for reading and writing
  std::string path;  // of FILE; grows a number when somebody takes the name meanwhile
  std::string part_path() const { return path + ".part"; }
  std::string state_path() const { return path + ".part.json"; }
  std::string plain_path() const { return path + ".part.plain"; }  // what FILE.part stands for, while it is decoded
};

struct OpenPart {
  std::string path;     // of FILE as wished
  std::string url;      // only a .part of this URL is ours
  bool resume = false;  // -c
  bool unpacks = false;    // what came in a content coding is to be decoded, whatever was meant before
  bool only_find = false;  // a .part to resume, or nothing
};

struct OpenedPart {
  enum class Kind : uint8_t {
    Fresh,     // an empty FILE.part
    Resumed,   // with `state`
    Existing,  // resume: FILE is there, of `size` bytes, and no part of this URL; nothing was opened
    Nothing,   // only_find: there is none
    Failed,
  };
  Kind kind = Kind::Failed;
  PartPlace place;
  PartState state;
  uint64_t size = 0;
  core::Error error;
};
OpenedPart open_part(const OpenPart& request);

// Room for `length` bytes where the file system can promise it; its size does not change. StorageFull when there is none.
core::Result<void> reserve(const PartPlace& place, uint64_t length);

using WriteBatch = std::vector<std::pair<uint64_t, core::Slice>>;  // offset, bytes
core::Result<void> write_batch(const PartPlace& place, const WriteBatch& batch);

// The bytes [first, last), in order, in stretches of up to 256 KiB. StorageCorrupt when the file is shorter.
core::Result<void> read_part(const PartPlace& place, uint64_t first, uint64_t last,
                             const std::function<void(std::string_view)>& take);

core::Result<void> write_bytes(const core::Fd& file, uint64_t offset, std::string_view bytes);

// FILE.part.plain, empty. It is no more than an aid: what a crash leaves of it is overwritten.
core::Result<core::Fd> create_plain(const PartPlace& place);

// What `state` lists is on the disk before the state says so: neither a crash nor a power cut makes it a lie.
core::Result<void> save_state(const PartPlace& place, const PartState& state);

// Empties FILE.part, with `state` in its file.
core::Result<void> restart_part(const PartPlace& place, const PartState& state);

// Makes FILE.part, which is complete with `length` bytes, FILE; `place.path` is where it is then. With `plain`, the open
// FILE.part.plain, that becomes FILE instead.
core::Result<void> commit_part(PartPlace& place, uint64_t length, const core::Fd& plain = {});

// Removes FILE.part and its state.
void remove_part(const PartPlace& place);

}  // namespace tributary::fetch
