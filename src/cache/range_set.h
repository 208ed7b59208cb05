// RangeSet: which bytes of a content are there. Sorted, disjoint, never adjacent; a handful of ranges at most (one a
// connection of a split download), so a vector beats any tree. Plain data.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "http/range_sink.h"

namespace tributary::cache {

class RangeSet {
 public:
  void add(uint64_t first, uint64_t last) {
    if (first >= last) return;
    auto from = lower(first);
    if (from != ranges_.begin() && std::prev(from)->last >= first) --from;
    auto to = from;
    while (to != ranges_.end() && to->first <= last) {
      first = std::min(first, to->first);
      last = std::max(last, to->last);
      ++to;
    }
    if (from == to) {
      ranges_.insert(from, {first, last});
    } else {
      *from = {first, last};
      ranges_.erase(std::next(from), to);
    }
  }

  void remove(uint64_t first, uint64_t last) {
    RangeSet rest;
    for (const http::ByteRange& range : ranges_) {
      rest.add(range.first, std::min(range.last, first));
      rest.add(std::max(range.first, last), range.last);
    }
    ranges_.swap(rest.ranges_);
  }

  // The end of the range that holds `at`, or `at` when it is not there.
  uint64_t end_from(uint64_t at) const {
    auto next = std::upper_bound(ranges_.begin(), ranges_.end(), at,
                                 [](uint64_t value, const http::ByteRange& range) { return value < range.first; });
    if (next == ranges_.begin() || std::prev(next)->last <= at) return at;
    return std::prev(next)->last;
  }
  // Where the next range begins, for an `at` that is not there; `end` when none does.
  uint64_t next_from(uint64_t at, uint64_t end) const {
    const auto next = lower(at);
    return next == ranges_.end() ? end : std::min(next->first, end);
  }
  bool covers(uint64_t first, uint64_t last) const { return first >= last || end_from(first) >= last; }

  // Calls visit(first, last) for each part of [first, last) that is not there.
  template <class Visit>
  void for_each_gap(uint64_t first, uint64_t last, Visit visit) const {
    for (auto range = lower(first); first < last && range != ranges_.end() && range->first < last; ++range) {
      if (range->first > first) visit(first, range->first);
      first = std::max(first, range->last);
    }
    if (first < last) visit(first, last);
  }

  // Bytes that are there in [first, last).
  uint64_t bytes_in(uint64_t first, uint64_t last) const {
    uint64_t missing = 0;
    for_each_gap(first, last, [&](uint64_t a, uint64_t b) { missing += b - a; });
    return (last - first) - missing;
  }

  const std::vector<http::ByteRange>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  void clear() { ranges_.clear(); }

 private:
  // The first range that ends after `at`.
  std::vector<http::ByteRange>::iterator lower(uint64_t at) {
    return std::partition_point(ranges_.begin(), ranges_.end(),
                                [at](const http::ByteRange& range) { return range.last <= at; });
  }
  std::vector<http::ByteRange>::const_iterator lower(uint64_t at) const {
    return std::partition_point(ranges_.begin(), ranges_.end(),
                                [at](const http::ByteRange& range) { return range.last <= at; });
  }

  std::vector<http::ByteRange> ranges_;
};

}  // namespace tributary::cache
