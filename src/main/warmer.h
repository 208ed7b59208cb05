// Warmer: fetches URLs into the cache, through the proxy itself: a connection from inside the process to one of its workers,
// and on it the request that any client would send. So what it fetches is judged, coalesced, split, stored and logged like
// everything else, and nothing here knows how.
//
// At most kAtOnce fetches run, whoever asked for them; the others wait in the order in which they came. Content is read and
// thrown away, as fast as it comes; of what was in the cache already nothing but the head is waited for. Loop-affine.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fd.h"
#include "core/loop.h"
#include "core/result.h"

namespace tributary {

struct Warmed {
  std::string url;
  bool ok = false;            // it was served whole, with a status below 400
  uint16_t status = 0;        // 0: there was no response
  uint64_t bytes = 0;         // of content that was fetched
  std::string cache_status;   // what our own Cache-Status said
  std::string error;          // why there was no whole response; empty: there was one
};

class Warmer {
 public:
  static constexpr size_t kAtOnce = 16;
  static constexpr core::Duration kSilence = std::chrono::minutes(5);  // without a byte: given up

  using Connect = std::function<core::Result<core::Fd>()>;
  using Fields = std::vector<std::pair<std::string, std::string>>;
  using Done = std::function<void(std::vector<Warmed>)>;

  Warmer(core::Loop& loop, Connect connect);
  ~Warmer();
  Warmer(const Warmer&) = delete;
  Warmer& operator=(const Warmer&) = delete;

  // Some URLs, in the order in which their results come. Destroying it gives up what is not done; not from inside `done`,
  // which is never called from inside start().
  class Batch;
  struct BatchDeleter {
    void operator()(Batch* batch) const;
  };
  using BatchPtr = std::unique_ptr<Batch, BatchDeleter>;
  BatchPtr start(std::vector<std::string> urls, Fields fields, Done done);

 private:
  class Fetch;
  void schedule();
  void pump();

  core::Loop& loop_;
  Connect connect_;
  std::deque<Batch*> batches_;  // with URLs that wait
  size_t running_ = 0;
  core::Deferred pump_;
};

}  // namespace tributary
