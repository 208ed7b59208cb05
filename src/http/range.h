// Byte ranges: the Range request field, Content-Range, and the framing of multipart/byteranges (RFC
// 9110, 14). Pure; any thread. All arithmetic is safe for any 64-bit input. ByteRange
// (range_sink.h) is half open.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/range_sink.h"

namespace tributary::http {

// One range as it was asked for: "first-last", "first-" or "-suffix".
struct RangeSpec {
  uint64_t first = 0;
  uint64_t last = UINT64_MAX;  // inclusive; UINT64_MAX: to the end
  bool suffix = false;         // the last `first` bytes

  // Against a representation of `length` bytes; nothing when unsatisfiable (RFC 9110, 14.1.2).
  std::optional<ByteRange> resolve(uint64_t length) const;
  friend bool operator==(const RangeSpec&, const RangeSpec&) = default;
};

inline constexpr size_t kMaxRanges = 64;

// A valid `bytes` Range value, nothing otherwise: another unit, bad syntax, first > last, or more
// than `max_ranges` ranges; then the field is ignored (RFC 9110, 14.2). A number above 2^64 - 1
// counts as that number.
std::optional<std::vector<RangeSpec>> parse_range(std::string_view value,
                                                  size_t max_ranges = kMaxRanges);

// "bytes=first-last", to send.
void append_range(const ByteRange& range, std::string& out);
// "bytes=a-b,c-d".
void append_ranges(const std::vector<RangeSpec>& ranges, std::string& out);

struct RangeSelection {
  enum class Kind : uint8_t {
    Whole,          // ignore the field, answer 200
    Partial,        // 206 with `ranges`, at least one
    Unsatisfiable,  // 416 with "bytes */length"
  };
  Kind kind = Kind::Whole;
  std::vector<ByteRange> ranges;  // in the order asked for, unsatisfiable ones left out
};

// What to answer for these specs and this length. Whole also when they ask for more bytes in all
// than there are: overlapping ranges are an attack or an accident (RFC 9110, 14.2).
RangeSelection select_ranges(const std::vector<RangeSpec>& specs, uint64_t length);

// Content-Range (RFC 9110, 14.4).
struct ContentRange {
  std::optional<ByteRange> range;  // nothing: unsatisfied ("bytes */length")
  std::optional<uint64_t> length;  // nothing: unknown ("*")
  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};

// Strict: unit "bytes", decimal numbers that fit, first <= last < length; anything else is nothing
// and the response is not to be used as partial content.
std::optional<ContentRange> parse_content_range(std::string_view value);
void append_content_range(const ContentRange& value, std::string& out);

// The framing of a multipart/byteranges body, so that its length is known before the first byte is
// sent:
//   for each part: prefix(i), the bytes of ranges[i]; then suffix().
class MultipartRanges {
 public:
  // `content_type` of the representation, empty when unknown. `boundary`: 1 to 70 characters that
  // do not occur in the content (random); see make_boundary.
  MultipartRanges(std::vector<ByteRange> ranges, uint64_t length, std::string_view content_type,
                  std::string_view boundary);

  // 22 characters from 128 bits of randomness given by the caller.
  static std::string make_boundary(uint64_t random_high, uint64_t random_low);

  std::string content_type() const;  // of the whole answer
  uint64_t content_length() const;
  size_t parts() const { return ranges_.size(); }
  const ByteRange& range(size_t part) const { return ranges_[part]; }
  std::string prefix(size_t part) const;
  std::string suffix() const;

 private:
  std::vector<ByteRange> ranges_;
  uint64_t length_;
  std::string type_;
  std::string boundary_;
};

}  // namespace tributary::http
