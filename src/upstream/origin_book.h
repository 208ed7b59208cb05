// OriginBook: how many fetches at a time paid for an origin, for all workers and over restarts. A download that begins at an
// origin it knows starts there instead of finding it out again.
//
// As text, a line an origin: "16 http://example.org:80". Only what is reached directly and under the usual TLS settings is
// kept; what a proxy on the way helps is another matter. Any thread; a lock once a download.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "upstream/origin.h"

namespace tributary::upstream {

class OriginBook {
 public:
  static constexpr size_t kMost = 4096;     // origins; the one that was longest not noted is forgotten
  static constexpr unsigned kLargest = 128;  // fetches, as in accelerate.max_connections

  // 0: unknown.
  unsigned useful(const Origin& origin) const;
  // Of one fetch, or none, nothing is to be remembered.
  void note(const Origin& origin, unsigned useful);

  // What was noted longest ago first. `edition`, if given, changes whenever a number does.
  std::string text(uint64_t* edition = nullptr) const;
  uint64_t edition() const;
  // Takes what text() gave. Lines that are none are left out; how many.
  size_t read(std::string_view text);

 private:
  struct Entry {
    unsigned useful = 0;
    uint64_t noted = 0;
  };
  static bool is_kept(const Origin& origin) { return !origin.route && origin.tls_identity == 0; }
  void put(std::string origin, unsigned useful);

  mutable std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  uint64_t notes_ = 0;
  uint64_t edition_ = 0;
};

}  // namespace tributary::upstream
