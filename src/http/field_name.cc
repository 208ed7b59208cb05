#include "http/field_name.h"

#include <array>

#include "http/text.h"

namespace tributary::http {
namespace {

constexpr std::string_view kTexts[] = {"",
#define TRIBUTARY_X(id, text) text,
                                       TRIBUTARY_HTTP_FIELD_NAMES(TRIBUTARY_X)
#undef TRIBUTARY_X
};

// A perfect hash over length and three characters, found by the compiler: one multiplication and
// one comparison a look-up, and adding a name needs no tool.
constexpr size_t kSlots = 1024;

constexpr uint32_t hash_key(std::string_view text) {
  const auto at = [&](size_t i) { return uint32_t{static_cast<uint8_t>(to_lower(text[i]))}; };
  return static_cast<uint32_t>(text.size()) | at(0) << 8 | at(text.size() / 2) << 16 |
         at(text.size() - 1) << 24;
}

constexpr size_t slot_of(std::string_view text, uint32_t multiplier) {
  return (hash_key(text) * multiplier) >> 22;
}

struct Table {
  uint32_t multiplier = 0;
  std::array<uint8_t, kSlots> slots{};
};

constexpr bool fill(Table& table, uint32_t multiplier) {
  table = {};
  table.multiplier = multiplier;
  for (size_t i = 1; i < kFieldNameCount; ++i) {
    uint8_t& slot = table.slots[slot_of(kTexts[i], multiplier)];
    if (slot != 0) return false;
    slot = static_cast<uint8_t>(i);
  }
  return true;
}

consteval Table make_table() {
  Table table;
  uint32_t multiplier = 0x9e3779b1;
  while (!fill(table, multiplier)) multiplier = multiplier * 1664525 + 1013904223;
  return table;
}

constexpr Table kTable = make_table();

}  // namespace

FieldName field_name(std::string_view text) {
  if (text.empty()) return FieldName::Unknown;
  const uint8_t index = kTable.slots[slot_of(text, kTable.multiplier)];
  // Nearly everybody writes the registered case, so the cheap comparison comes first.
  const std::string_view known = kTexts[index];
  if (known == text || equal_ignoring_case(known, text)) return static_cast<FieldName>(index);
  return FieldName::Unknown;
}

std::string_view field_text(FieldName name) {
  return kTexts[static_cast<size_t>(name)];
}

bool is_hop_by_hop(FieldName name) {
  switch (name) {
    case FieldName::Connection:
    case FieldName::KeepAlive:
    case FieldName::ProxyConnection:
    case FieldName::Te:
    case FieldName::TransferEncoding:
    case FieldName::Upgrade:
      return true;
    default:
      return false;
  }
}

bool is_forbidden_in_trailers(FieldName name) {
  switch (name) {
    case FieldName::Age:
    case FieldName::Authorization:
    case FieldName::CacheControl:
    case FieldName::CdnCacheControl:
    case FieldName::Connection:
    case FieldName::ContentEncoding:
    case FieldName::ContentLength:
    case FieldName::ContentLocation:
    case FieldName::ContentRange:
    case FieldName::ContentType:
    case FieldName::Cookie:
    case FieldName::Date:
    case FieldName::ETag:
    case FieldName::Expect:
    case FieldName::Expires:
    case FieldName::Host:
    case FieldName::IfMatch:
    case FieldName::IfModifiedSince:
    case FieldName::IfNoneMatch:
    case FieldName::IfRange:
    case FieldName::IfUnmodifiedSince:
    case FieldName::KeepAlive:
    case FieldName::LastModified:
    case FieldName::Location:
    case FieldName::MaxForwards:
    case FieldName::Pragma:
    case FieldName::ProxyAuthenticate:
    case FieldName::ProxyAuthorization:
    case FieldName::ProxyConnection:
    case FieldName::Range:
    case FieldName::RetryAfter:
    case FieldName::SetCookie:
    case FieldName::SurrogateControl:
    case FieldName::Te:
    case FieldName::Trailer:
    case FieldName::TransferEncoding:
    case FieldName::Upgrade:
    case FieldName::Vary:
    case FieldName::Via:
    case FieldName::Warning:
    case FieldName::WwwAuthenticate:
      return true;
    default:
      return false;
  }
}

}  // namespace tributary::http
