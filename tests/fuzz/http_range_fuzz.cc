// Range and Content-Range: what is accepted is written and read back alike, and selections stay
// inside the length.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/range.h"

using namespace tributary;

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto specs = http::parse_range(text)) {
    require(!specs->empty() && specs->size() <= http::kMaxRanges);
    std::string out;
    http::append_ranges(*specs, out);
    require(http::parse_range(out) == specs);
    for (uint64_t length :
         {uint64_t{0}, uint64_t{1}, uint64_t{1000}, uint64_t{INT64_MAX}, uint64_t{UINT64_MAX}}) {
      const auto selection = http::select_ranges(*specs, length);
      require((selection.kind == http::RangeSelection::Kind::Partial) == !selection.ranges.empty());
      uint64_t total = 0;
      for (const http::ByteRange& range : selection.ranges) {
        require(range.first < range.last && range.last <= length && range.size() <= length - total);
        total += range.size();
        std::string single;
        http::append_range(range, single);
        const auto again = http::parse_range(single);
        require(again && (*again)[0].resolve(length) == range);
      }
      if (selection.ranges.size() > 1 && length < INT64_MAX) {
        const http::MultipartRanges parts(selection.ranges, length, "text/plain", "b");
        uint64_t sum = parts.suffix().size();
        for (size_t i = 0; i < parts.parts(); ++i)
          sum += parts.prefix(i).size() + parts.range(i).size();
        require(parts.content_length() == sum);
      }
    }
  }
  if (const auto range = http::parse_content_range(text)) {
    require(range->range || range->length);
    if (range->range) {
      require(range->range->first < range->range->last);
      require(!range->length || range->range->last <= *range->length);
    }
    std::string out;
    http::append_content_range(*range, out);
    require(http::parse_content_range(out) == range);
  }
  return 0;
}
