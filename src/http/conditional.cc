#include "http/conditional.h"

#include "http/date.h"

namespace tributary::http {
namespace {

std::optional<int64_t> date_of(const FieldSection& fields, FieldName name, int64_t now) {
  const auto value = fields.find_only(name);
  return value ? parse_date(*value, now) : std::nullopt;
}

}  // namespace

Validators Validators::of(const FieldSection& fields, int64_t now) {
  Validators result;
  if (const auto etag = fields.find_only(FieldName::ETag)) result.etag = parse_etag(*etag);
  result.last_modified = date_of(fields, FieldName::LastModified, now);
  result.date = date_of(fields, FieldName::Date, now);
  return result;
}

Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    int64_t now) {
  const FieldSection& fields = request.fields;
  // RFC 9111, 4.3.2: Date stands in for a missing Last-Modified.
  const auto modified = validators.last_modified ? validators.last_modified : validators.date;

  const auto if_match =
      match_etags(fields, FieldName::IfMatch, validators.etag, Comparison::Strong);
  if (if_match == EtagListMatch::NoMatch) return Precondition::Failed;
  if (if_match == EtagListMatch::Absent) {
    const auto unmodified_since = date_of(fields, FieldName::IfUnmodifiedSince, now);
    if (unmodified_since && validators.last_modified &&
        *validators.last_modified > *unmodified_since) {
      return Precondition::Failed;
    }
  }

  const bool reads = request.method == Method::Get || request.method == Method::Head;
  switch (match_etags(fields, FieldName::IfNoneMatch, validators.etag, Comparison::Weak)) {
    case EtagListMatch::Any:
    case EtagListMatch::Match:
      return reads ? Precondition::NotModified : Precondition::Failed;
    case EtagListMatch::NoMatch:
      return Precondition::Proceed;
    case EtagListMatch::Absent:
      break;
  }
  if (reads && modified) {
    const auto since = date_of(fields, FieldName::IfModifiedSince, now);
    if (since && *modified <= *since) return Precondition::NotModified;
  }
  return Precondition::Proceed;
}

bool has_preconditions(const FieldSection& request) {
  return request.has(FieldName::IfMatch) || request.has(FieldName::IfNoneMatch) ||
         request.has(FieldName::IfModifiedSince) || request.has(FieldName::IfUnmodifiedSince);
}

bool if_range_holds(const FieldSection& request, const Validators& validators, int64_t now) {
  if (!request.has(FieldName::IfRange)) return true;
  const auto value = request.find_only(FieldName::IfRange);
  if (!value) return false;
  if (const auto tag = parse_etag(*value)) {
    return validators.etag && strong_equal(*tag, *validators.etag);
  }
  const auto date = parse_date(*value, now);
  return date && validators.last_modified_is_strong() && *date == *validators.last_modified;
}

}  // namespace tributary::http
