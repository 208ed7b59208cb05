// OriginFile: keeps an upstream::OriginBook in the file `origins` of the cache's directory: read at the start, written every few
// minutes when something is new, and at the end. What cannot be read or written is said once and does no harm: the
// numbers are found out again. Loop-affine; the constructor and save() block.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/loop.h"
#include "core/offload.h"
#include "upstream/origin_book.h"

namespace tributary {

class OriginFile {
 public:
  static constexpr core::Duration kEvery = std::chrono::minutes(5);
  static constexpr size_t kLongest = 1 << 20;  // bytes that are read

  // An empty `directory`: nothing is kept. All outlive it.
  OriginFile(core::Loop& loop, core::OffloadPool& offload, upstream::OriginBook& book, const std::string& directory);

  // At the end, when the loops are over.
  void save();

 private:
  void start_timer();
  void on_time();
  bool is_new() const { return !path_.empty() && book_.edition() != written_; }

  core::OffloadPool& offload_;
  upstream::OriginBook& book_;
  std::string path_;
  uint64_t written_ = 0;  // edition
  core::Timer timer_;
};

}  // namespace tributary
