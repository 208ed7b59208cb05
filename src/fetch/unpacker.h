// Unpacker: what came in a content coding becomes the file that it stands for: FILE.part, whole, is decoded into FILE.part.plain, step
// by step on the offload pool, and hashed on the way. Loop-affine.
//
// Expansion is bounded: beyond kFreely the file may be kMostTimes as long as what came. A few hundred kilobytes must not fill
// a disk; what really compresses better than that can be fetched as it is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/offload.h"
#include "core/result.h"
#include "fetch/part_io.h"
#include "http/digest_fields.h"

namespace tributary::fetch {

class Unpacker {
 public:
  static constexpr uint64_t kFreely = 64 << 20;  // bytes
  static constexpr uint64_t kMostTimes = 250;
  static constexpr uint64_t kStep = 16 << 20;    // bytes in and out of one job

  // `coded`: bytes of FILE.part. `expected`: of the file that comes out. `done` runs once, later.
  Unpacker(core::Loop& loop, core::OffloadPool& offload, std::shared_ptr<const PartPlace> place, const std::string& coding,
           uint64_t coded, const std::vector<http::Digest>& expected, core::Callback<void()> done);
  ~Unpacker();

  // In or after `done`.
  const std::optional<core::Error>& error() const;  // of the disk
  const std::string& problem() const;               // what came is not good: in words; empty: it is
  uint64_t length() const;                          // of the file
  core::Fd take_file();                             // FILE.part.plain, written and not synced

 private:
  struct Work;
  void step();
  void on_step();

  core::Loop& loop_;
  core::OffloadPool& offload_;
  const core::Callback<void()> done_;
  std::shared_ptr<Work> work_;
  core::Job job_;
  core::Deferred deferred_;
};

}  // namespace tributary::fetch
