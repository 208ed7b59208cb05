// Ranking: which of several sources of one object the planner's next fetch goes to. Sans-I/O, loop-affine.
//
// A source is ranked by what one fetch of it delivers, divided among the fetches it has: so many connections go to a source
// as it serves well, equally good ones share evenly, and one that was never measured is tried before the others get more. What
// was measured long ago counts as unknown, for a slow source may have become a fast one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/time.h"

namespace tributary::upstream {

struct OriginMemory;
using SourceId = uint32_t;  // in the order they were added, from 0

struct RankedSource {
  OriginMemory* memory = nullptr;
  double rate = 0;                // bytes/s of one fetch, smoothed; 0: unknown, then it gets one fetch at a time
  core::TimePoint measured_at{};
  core::TimePoint not_before{};   // no fetch before then
  unsigned live = 0;              // fetches
  unsigned failures = 0;          // in a row, without a byte in between
  bool did_ranges = false;
  bool is_dropped = false;        // no further fetch
};

class Ranking {
 public:
  static constexpr unsigned kMaxFailures = 3;  // in a row; then a source is dropped while there are others
  static constexpr core::Duration kForget = std::chrono::seconds(30);

  explicit Ranking(OriginMemory& first) { add(first); }
  SourceId add(OriginMemory& memory);

  RankedSource& operator[](SourceId source) { return sources_[source]; }
  size_t size() const { return sources_.size(); }
  bool is_single() const { return sources_.size() == 1; }

  // Where a fetch is best started now; an unknown one is taken for as good as the best known, or
  // for `typical` bytes/s. A source other than `avoid`
  // where there is one. Nothing: all are dropped, busy or waiting.
  std::optional<SourceId> best(double typical, core::TimePoint now, std::optional<SourceId> avoid = {}) const;
  double rate(SourceId source, double typical, core::TimePoint now) const;
  void measured(SourceId source, double rate, double weight, core::TimePoint now);

  bool is_usable(SourceId source) const { return !sources_[source].is_dropped; }
  bool has_others(SourceId source) const;  // that are usable
  bool has_any() const { return usable() > 0; }
  unsigned usable() const;
  // Fetches that all of them allow at once.
  unsigned allowed(core::TimePoint now) const;
  // When the next one that waits may be asked again; max(): none waits.
  core::TimePoint next(core::TimePoint now) const;

 private:
  std::vector<RankedSource> sources_;
};

}  // namespace tributary::upstream
