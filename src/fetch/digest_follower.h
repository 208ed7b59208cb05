// DigestFollower: hashes FILE.part from its beginning to its end while it is being filled, on the offload pool: it follows the
// stretch that is there without a gap, and reads it back, which finds it in the page cache. Loop-affine.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/loop.h"
#include "core/offload.h"
#include "core/result.h"
#include "fetch/hasher.h"
#include "fetch/part_io.h"
#include "http/digest_fields.h"

namespace tributary::fetch {

class DigestFollower {
 public:
  static constexpr uint64_t kStep = 8 << 20;  // bytes of one job

  // `moved` runs after every step: look at position() and error().
  DigestFollower(core::Loop& loop, core::OffloadPool& offload, std::shared_ptr<const PartPlace> place,
                 std::vector<http::Digest> expected, core::Callback<void()> moved);
  ~DigestFollower();

  // Bytes [0, end) are in the file and stay as they are.
  void follow(uint64_t end);

  uint64_t position() const { return position_; }  // that many are hashed
  uint64_t end() const { return end_; }            // as many as it was told of: hashed, being hashed, or to be
  bool is_busy() const { return static_cast<bool>(job_); }
  const std::optional<core::Error>& error() const { return error_; }

  // Once, when everything is hashed: empty, or which digest differs and how.
  std::string verdict();

 private:
  struct Work;
  void on_done();

  core::Loop& loop_;
  core::OffloadPool& offload_;
  const core::Callback<void()> moved_;
  std::shared_ptr<Work> work_;
  uint64_t position_ = 0, end_ = 0, taken_ = 0;
  std::optional<core::Error> error_;
  core::Job job_;
};

}  // namespace tributary::fetch
