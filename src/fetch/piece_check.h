// PieceCheck: hashes the pieces of FILE.part as they become whole, in any order, on the offload pool; reads them back, which
// finds them in the page cache. Loop-affine.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cache/range_set.h"
#include "core/loop.h"
#include "core/offload.h"
#include "core/result.h"
#include "fetch/metalink.h"
#include "fetch/part_io.h"

namespace tributary::fetch {

class PieceCheck {
 public:
  static constexpr uint64_t kStep = 8 << 20;  // bytes of one job, at least one piece

  // There is a hash for every piece of `length` bytes. `checked` runs after every job: look at rejected() and error().
  PieceCheck(core::Loop& loop, core::OffloadPool& offload, std::shared_ptr<const PartPlace> place,
             std::shared_ptr<const PieceHashes> hashes, uint64_t length, core::Callback<void()> checked);
  ~PieceCheck();

  // What is in the file and stays as it is, but for what is rejected. Starts a job where there is something to check.
  void look(const cache::RangeSet& written);

  const cache::RangeSet& verified() const { return verified_; }
  bool is_busy() const { return static_cast<bool>(job_); }
  // The piece that was being hashed was taken back meanwhile: what comes of it says nothing.
  void forget(http::ByteRange range);
  // What the last job found wrong; taken.
  std::vector<http::ByteRange> take_rejected() { return std::exchange(rejected_, {}); }
  const std::optional<core::Error>& error() const { return error_; }

 private:
  struct Work;
  void on_done();

  core::Loop& loop_;
  core::OffloadPool& offload_;
  const std::shared_ptr<const PieceHashes> hashes_;
  const uint64_t length_;
  const core::Callback<void()> checked_;
  const std::shared_ptr<const PartPlace> place_;
  std::shared_ptr<Work> work_;
  cache::RangeSet verified_;
  std::vector<http::ByteRange> rejected_;
  bool is_stale_ = false;
  std::optional<core::Error> error_;
  core::Job job_;
};

// Whether there is a hash for every piece of `length` bytes, no more and no less.
bool covers(const PieceHashes& hashes, uint64_t length);

}  // namespace tributary::fetch
