#include "proxy/covering.h"

#include <algorithm>

namespace tributary::proxy {
namespace {

uint64_t align_down(uint64_t value, uint64_t to) { return value / to * to; }
uint64_t align_up(uint64_t value, uint64_t to) { return value > UINT64_MAX - to ? UINT64_MAX : (value + to - 1) / to * to; }

}  // namespace

std::string covering_range(const std::vector<http::RangeSpec>& specs) {
  if (specs.empty()) return {};
  http::RangeSpec spec = specs.front();
  if (spec.suffix) {
    if (spec.first == 0) return {};
    spec.first = align_up(spec.first, kCoveringAlignment);
  } else {
    spec.first = align_down(spec.first, kCoveringAlignment);
    if (spec.last != UINT64_MAX) {
      const uint64_t end = align_up(spec.last + 1, kCoveringAlignment);
      spec.last = end == UINT64_MAX ? end : end - 1;
    }
  }
  std::string value;
  http::append_ranges({spec}, value);
  return value;
}

http::ByteRange whole_pieces(http::ByteRange range, uint64_t piece, uint64_t length) {
  if (piece == 0) return range;
  return {align_down(range.first, piece), std::min(align_up(range.last, piece), length)};
}

std::optional<http::ByteRange> first_lacking(std::span<const http::ByteRange> present, http::ByteRange wanted, uint64_t piece,
                                             uint64_t length) {
  uint64_t at = wanted.first;
  uint64_t before = 0;  // end of what is there before `at`
  for (const http::ByteRange& range : present) {
    if (range.first <= at) {
      before = range.last;
      at = std::max(at, range.last);
      continue;
    }
    if (at >= wanted.last) return std::nullopt;
    const http::ByteRange lacking = whole_pieces({at, std::min(wanted.last, range.first)}, piece, length);
    return http::ByteRange{std::max(lacking.first, before), std::min(lacking.last, range.first)};
  }
  if (at >= wanted.last) return std::nullopt;
  const http::ByteRange lacking = whole_pieces({at, wanted.last}, piece, length);
  return http::ByteRange{std::max(lacking.first, before), lacking.last};
}

}  // namespace tributary::proxy
