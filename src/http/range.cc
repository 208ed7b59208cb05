#include "http/range.h"

#include <algorithm>
#include <charconv>

#include "http/text.h"

namespace tributary::http {
namespace {

void append_number(uint64_t value, std::string& out) {
  char digits[20];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// 1*DIGIT; what does not fit is UINT64_MAX.
std::optional<uint64_t> parse_saturating(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  return parse_decimal(text).value_or(UINT64_MAX);
}

std::optional<RangeSpec> parse_spec(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first = text.substr(0, dash);
  const std::string_view last = text.substr(dash + 1);
  RangeSpec spec;
  if (first.empty()) {
    const auto size = parse_saturating(last);
    if (!size) return std::nullopt;
    spec.first = *size;
    spec.suffix = true;
    return spec;
  }
  const auto from = parse_saturating(first);
  if (!from) return std::nullopt;
  spec.first = *from;
  if (!last.empty()) {
    const auto to = parse_saturating(last);
    if (!to || *to < *from) return std::nullopt;
    spec.last = *to;
  }
  return spec;
}

}  // namespace

std::optional<ByteRange> RangeSpec::resolve(uint64_t length) const {
  if (length == 0) return std::nullopt;
  if (suffix) {
    if (first == 0) return std::nullopt;
    return ByteRange{length - std::min(first, length), length};
  }
  if (first >= length) return std::nullopt;
  return ByteRange{first, std::min(last, length - 1) + 1};
}

std::optional<std::vector<RangeSpec>> parse_range(std::string_view value, size_t max_ranges) {
  constexpr std::string_view kUnit = "bytes=";
  if (value.size() < kUnit.size() || !equal_ignoring_case(value.substr(0, kUnit.size()), kUnit)) {
    return std::nullopt;
  }
  std::vector<RangeSpec> specs;
  ListCursor cursor(value.substr(kUnit.size()));
  for (std::string_view element; cursor.next(element);) {
    const auto spec = parse_spec(element);
    if (!spec || specs.size() == max_ranges) return std::nullopt;
    specs.push_back(*spec);
  }
  if (specs.empty()) return std::nullopt;
  return specs;
}

void append_range(const ByteRange& range, std::string& out) {
  out += "bytes=";
  append_number(range.first, out);
  out += '-';
  append_number(range.last - 1, out);
}

void append_ranges(const std::vector<RangeSpec>& ranges, std::string& out) {
  out += "bytes=";
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0) out += ',';
    if (ranges[i].suffix) {
      out += '-';
      append_number(ranges[i].first, out);
    } else {
      append_number(ranges[i].first, out);
      out += '-';
      if (ranges[i].last != UINT64_MAX) append_number(ranges[i].last, out);
    }
  }
}

RangeSelection select_ranges(const std::vector<RangeSpec>& specs, uint64_t length) {
  using Kind = RangeSelection::Kind;
  RangeSelection result;
  uint64_t total = 0;
  for (const RangeSpec& spec : specs) {
    // "-5" of nothing is satisfiable (RFC 9110, 14.1.2) but no Content-Range can say so: the empty
    // whole does.
    if (length == 0 && spec.suffix && spec.first > 0) return {};
    const auto range = spec.resolve(length);
    if (!range) continue;
    // Asked for more than there is: overlapping on purpose or by mistake.
    if (range->size() > length - total) return {};
    total += range->size();
    result.ranges.push_back(*range);
  }
  result.kind = result.ranges.empty() ? Kind::Unsatisfiable : Kind::Partial;
  return result;
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view kUnit = "bytes ";
  if (value.size() < kUnit.size() || !equal_ignoring_case(value.substr(0, kUnit.size()), kUnit)) {
    return std::nullopt;
  }
  value.remove_prefix(kUnit.size());
  const size_t slash = value.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view range = value.substr(0, slash);
  const std::string_view length = value.substr(slash + 1);
  ContentRange result;
  if (length != "*") {
    result.length = parse_decimal(length);
    if (!result.length) return std::nullopt;
  }
  if (range == "*") return result.length ? std::optional(result) : std::nullopt;
  const size_t dash = range.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_decimal(range.substr(0, dash));
  const auto last = parse_decimal(range.substr(dash + 1));
  if (!first || !last || *first > *last || *last == UINT64_MAX) return std::nullopt;
  if (result.length && *last >= *result.length) return std::nullopt;
  result.range = ByteRange{*first, *last + 1};
  return result;
}

void append_content_range(const ContentRange& value, std::string& out) {
  out += "bytes ";
  if (value.range) {
    append_number(value.range->first, out);
    out += '-';
    append_number(value.range->last - 1, out);
  } else {
    out += '*';
  }
  out += '/';
  if (value.length) {
    append_number(*value.length, out);
  } else {
    out += '*';
  }
}

MultipartRanges::MultipartRanges(std::vector<ByteRange> ranges, uint64_t length,
                                 std::string_view content_type, std::string_view boundary)
    : ranges_(std::move(ranges)), length_(length), type_(content_type), boundary_(boundary) {}

std::string MultipartRanges::make_boundary(uint64_t random_high, uint64_t random_low) {
  constexpr std::string_view kAlphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_'";
  std::string boundary;
  for (uint64_t bits : {random_high, random_low}) {
    for (int i = 0; i < 11; ++i, bits >>= 6) boundary += kAlphabet[bits & 63];
  }
  return boundary;
}

std::string MultipartRanges::content_type() const {
  return "multipart/byteranges; boundary=\"" + boundary_ + '"';
}

std::string MultipartRanges::prefix(size_t part) const {
  std::string out = part == 0 ? "--" : "\r\n--";
  out.append(boundary_).append("\r\n");
  if (!type_.empty()) out.append("Content-Type: ").append(type_).append("\r\n");
  out += "Content-Range: ";
  append_content_range({ranges_[part], length_}, out);
  out += "\r\n\r\n";
  return out;
}

std::string MultipartRanges::suffix() const {
  return "\r\n--" + boundary_ + "--\r\n";
}

uint64_t MultipartRanges::content_length() const {
  uint64_t total = suffix().size();
  for (size_t i = 0; i < ranges_.size(); ++i) total += prefix(i).size() + ranges_[i].size();
  return total;
}

}  // namespace tributary::http
