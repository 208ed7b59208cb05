#include "upstream/representation.h"

#include <algorithm>

#include "http/cache_control.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/range.h"
#include "http/text.h"

namespace tributary::upstream {
namespace {

using http::FieldName;
using Kind = PieceVerdict::Kind;

std::string value_of(const http::FieldSection& fields, FieldName name) {
  return std::string(fields.find(name).value_or(std::string_view()));
}

std::string coding_of(const http::FieldSection& fields) {
  std::string coding;
  fields.combined(FieldName::ContentEncoding, coding);
  return http::equal_ignoring_case(coding, "identity") ? std::string() : coding;
}

// A 206 of one part that agrees with its own framing.
std::optional<http::ContentRange> single_range(const http::ResponseHead& head, const http::BodyFraming& framing) {
  const auto value = head.fields.find_only(FieldName::ContentRange);
  if (!value) return {};
  auto range = http::parse_content_range(*value);
  if (!range || !range->range) return {};
  if (framing.kind == http::BodyKind::Length && framing.length != range->range->size()) return {};
  return range;
}

bool is_multipart(const http::FieldSection& fields) {
  const auto type = fields.find_only(FieldName::ContentType);
  return type && type->starts_with("multipart/");
}

// How the validator of a further response compares.
enum class Same : uint8_t { Yes, No, Unknown };
Same same_version(const Representation& wanted, const http::FieldSection& fields) {
  const bool by_etag = wanted.validator == wanted.etag;
  const auto value = fields.find_only(by_etag ? FieldName::ETag : FieldName::LastModified);
  if (!value) return Same::Unknown;
  return *value == wanted.validator ? Same::Yes : Same::No;
}

core::Duration retry_after(const http::FieldSection& fields, core::UnixTime now) {
  const auto value = fields.find_only(FieldName::RetryAfter);
  if (!value) return {};
  constexpr uint64_t kLongest = 3600;
  if (const auto seconds = http::parse_decimal(*value)) {
    return std::chrono::seconds(std::min(*seconds, kLongest));
  }
  const auto date = http::parse_date(*value, now);
  if (!date || *date <= now) return {};
  return std::chrono::seconds(std::min(static_cast<uint64_t>(*date - now), kLongest));
}

// RFC 9111 3: what may not be stored completes nothing that is. Said of the first response it is decided by who keeps it.
bool forbids_storing(const http::FieldSection& fields) {
  const http::CacheControl cc = http::CacheControl::of(fields);
  return cc.no_store || cc.is_private;
}

PieceVerdict judge_part(const Representation& wanted, http::ByteRange asked, const http::ResponseHead& head,
                        const http::BodyFraming& framing) {
  const auto range = single_range(head, framing);
  if (!range && is_multipart(head.fields)) return {Kind::RangeIgnored};  // RFC 9110, 15.3.7.2: never to a request for one range
  if (!range || !range->length) return {Kind::Broken};
  if (*range->length != *wanted.length) return {Kind::Changed};
  switch (same_version(wanted, head.fields)) {
    case Same::No: return {Kind::Changed};
    case Same::Unknown: return {Kind::RangeIgnored};  // RFC 9110, 15.3.7: the 206 must bear what the 200 did
    case Same::Yes: break;
  }
  // RFC 9110, 15.3.7: a 206 to If-Range need not repeat Content-Encoding; a strong ETag then vouches for it (8.8.3.3).
  const std::string coding = coding_of(head.fields);
  const bool vouched = coding.empty() && wanted.validator == wanted.etag;
  if (coding != wanted.content_encoding && !vouched) return {Kind::RangeIgnored};
  if (!wanted.forbids_storing && forbids_storing(head.fields)) return {Kind::Changed};
  const http::ByteRange content = *range->range;
  if (content.first != asked.first || content.last > asked.last) return {Kind::Broken};
  return {Kind::Good, content};
}

PieceVerdict judge_whole(const Representation& wanted, bool whole,
                         const http::ResponseHead& head, const http::BodyFraming& framing) {
  const bool other_length = framing.kind == http::BodyKind::Length && framing.length != *wanted.length;
  const Same same = same_version(wanted, head.fields);
  if (other_length || same == Same::No) return {Kind::Changed};
  if (!whole) return {Kind::RangeIgnored};
  if (!wanted.forbids_storing && forbids_storing(head.fields)) return {Kind::Changed};
  if (framing.kind != http::BodyKind::Length || same != Same::Yes ||
      coding_of(head.fields) != wanted.content_encoding) {
    return {Kind::Broken};
  }
  return {Kind::Good, {0, *wanted.length}};
}

}  // namespace

std::optional<Representation> Representation::of(const http::ResponseHead& head, const http::BodyFraming& framing,
                                                 core::UnixTime now) {
  Representation result;
  if (head.status == 206) {
    const auto range = single_range(head, framing);
    if (!range) return {};
    result.content = *range->range;
    result.length = range->length;
    result.accepts_ranges = true;
  } else if (head.status == 200) {
    const bool is_known = framing.kind == http::BodyKind::Length || framing.kind == http::BodyKind::None;
    if (is_known) result.length = framing.length;
    result.content = {0, is_known ? framing.length : UINT64_MAX};
    result.accepts_ranges = head.fields.has_element(FieldName::AcceptRanges, "bytes");
  } else {
    return {};
  }
  result.etag = value_of(head.fields, FieldName::ETag);
  result.last_modified = value_of(head.fields, FieldName::LastModified);
  result.content_encoding = coding_of(head.fields);
  result.forbids_storing = upstream::forbids_storing(head.fields);
  const http::Validators validators = http::Validators::of(head.fields, now);
  if (validators.etag && !validators.etag->weak) {
    result.validator = result.etag;
  } else if (validators.last_modified_is_strong()) {
    result.validator = result.last_modified;
  }
  return result;
}

PieceVerdict judge_source(const Representation& wanted, const std::vector<http::Digest>& digests, http::ByteRange asked,
                          bool whole, const http::ResponseHead& head, const http::BodyFraming& framing, core::UnixTime now,
                          Representation& found) {
  if (head.status != 200 && head.status != 206) return judge_piece(wanted, asked, whole, head, framing, now);
  const auto here = Representation::of(head, framing, now);
  if (!here || !here->length || (whole && head.status == 206)) return {Kind::Broken};
  if (*here->length != *wanted.length || here->content_encoding != wanted.content_encoding) return {Kind::Changed};
  for (const http::Digest& said : http::representation_digests(head.fields)) {
    for (const http::Digest& digest : digests) {
      if (digest.algorithm == said.algorithm && digest != said) return {Kind::Changed};
    }
  }
  if ((head.status == 200 && !whole) || here->validator.empty()) return {Kind::RangeIgnored};
  if (!whole && (here->content.first != asked.first || here->content.last > asked.last)) return {Kind::Broken};
  found = *here;
  return {Kind::Good, here->content};
}

PieceVerdict judge_piece(const Representation& wanted, http::ByteRange asked, bool whole, const http::ResponseHead& head,
                         const http::BodyFraming& framing, core::UnixTime now) {
  switch (head.status) {
    case 200: return judge_whole(wanted, whole, head, framing);
    case 206: return whole ? PieceVerdict{Kind::Broken} : judge_part(wanted, asked, head, framing);
    case 416: {
      const auto value = head.fields.find_only(FieldName::ContentRange);
      const auto range = value ? http::parse_content_range(*value) : std::nullopt;
      const bool other_length = range && range->length && *range->length != *wanted.length;
      return {other_length ? Kind::Changed : Kind::RangeIgnored};
    }
    // 403 is what some origins say to more connections than they like.
    case 403:
    case 429:
    case 503: return {Kind::Refused, {}, retry_after(head.fields, now)};
    default: return {Kind::Broken};
  }
}

}  // namespace tributary::upstream
