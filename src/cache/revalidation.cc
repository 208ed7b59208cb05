#include "cache/revalidation.h"

#include <string>
#include <string_view>
#include <vector>

#include "cache/vary.h"
#include "http/date.h"
#include "http/etag.h"

namespace tributary::cache {

using http::FieldName;
using http::FieldSection;

namespace {

// RFC 9111 3.2 and 3.1: what a 304 or HEAD never changes, because it belongs to one connection, to
// the framing, or to the content that is stored.
bool is_kept(FieldName name) {
  switch (name) {
    case FieldName::Connection:
    case FieldName::KeepAlive:
    case FieldName::ProxyConnection:
    case FieldName::ProxyAuthenticate:
    case FieldName::ProxyAuthenticationInfo:
    case FieldName::ProxyAuthorization:
    case FieldName::ProxyStatus:
    case FieldName::Te:
    case FieldName::Trailer:
    case FieldName::TransferEncoding:
    case FieldName::Upgrade:
    case FieldName::ContentLength:
    case FieldName::ContentEncoding:
    case FieldName::ContentRange:
    case FieldName::ContentMd5:
    case FieldName::ContentDigest:
    case FieldName::ReprDigest:
    case FieldName::Digest:
    case FieldName::ETag:
    case FieldName::Via:        // of one response only, as is
    case FieldName::Age:        // this one, which goes into the digest
    case FieldName::Vary:       // the variant is filed under the names it was stored with
      return true;
    default:
      return false;
  }
}

std::optional<http::EntityTag> etag_of(const FieldSection& fields) {
  const auto value = fields.find_only(FieldName::ETag);
  return value ? http::parse_etag(*value) : std::nullopt;
}

void set_date(FieldSection& fields, core::UnixTime time) {
  char text[http::kDateSize];
  http::format_date(time, text);
  fields.set(FieldName::Date, {text, sizeof text});
}

}  // namespace

std::string stored_fields(const http::ResponseHead& response, const http::CacheControl& response_cc) {
  FieldSection fields = response.fields;
  fields.remove_hop_by_hop();
  for (const FieldName name :
       {FieldName::ProxyAuthenticate, FieldName::ProxyAuthenticationInfo, FieldName::ProxyAuthorization,
        FieldName::ProxyStatus, FieldName::Age, FieldName::ContentLength}) {
    fields.remove(name);
  }
  if (response.status == 206) fields.remove(FieldName::ContentRange);
  for (const std::string_view name : response_cc.private_fields) fields.remove(name);
  for (const std::string_view name : response_cc.no_cache_fields) fields.remove(name);
  std::string lines;
  lines.reserve(fields.size_bytes());
  fields.append_to(lines);
  return lines;
}

std::string left_out_fields(const FieldSection& response, const http::CacheControl& response_cc) {
  FieldSection fields;
  for (const auto* names : {&response_cc.private_fields, &response_cc.no_cache_fields}) {
    for (const std::string_view name : *names) {
      if (fields.has(name)) continue;
      response.for_each(name, [&](std::string_view value) { fields.add(name, value); });
    }
  }
  fields.remove_hop_by_hop();
  std::string lines;
  fields.append_to(lines);
  return lines;
}

bool make_conditional(const FieldSection& stored, FieldSection& request) {
  for (const FieldName name :
       {FieldName::IfNoneMatch, FieldName::IfModifiedSince, FieldName::IfMatch,
        FieldName::IfUnmodifiedSince, FieldName::IfRange, FieldName::Range}) {
    request.remove(name);
  }
  bool is_conditional = false;
  if (etag_of(stored))
    is_conditional |= request.set(FieldName::IfNoneMatch, *stored.find(FieldName::ETag));
  if (const auto last_modified = stored.find_only(FieldName::LastModified)) {
    is_conditional |= request.set(FieldName::IfModifiedSince, *last_modified);
  }
  return is_conditional;
}

bool not_modified_selects(const FieldSection& stored, const FieldSection& not_modified) {
  if (not_modified.has(FieldName::Vary)) {
    const VaryNames theirs = VaryNames::of(not_modified);
    if (theirs.is_star || theirs.names != VaryNames::of(stored).names) return false;
  }
  const auto theirs = etag_of(not_modified);
  const auto ours = etag_of(stored);
  if (theirs && !theirs->weak) return ours && http::strong_equal(*theirs, *ours);
  if (theirs) return ours && http::weak_equal(*theirs, *ours);
  // Only Last-Modified, or nothing at all: it answers the condition that we sent for this one.
  const auto date = not_modified.find_only(FieldName::LastModified);
  const auto stored_date = stored.find_only(FieldName::LastModified);
  return !date || !stored_date || *date == *stored_date;
}

void update_fields(FieldSection& stored, const FieldSection& update) {
  // A field that occurs several times replaces all lines of that name: remove first, then add in
  // order.
  const auto applies = [&](const http::Field& field) {
    return !is_kept(field.token) && !update.has_element(FieldName::Connection, field.name);
  };
  for (const http::Field field : update) {
    if (applies(field)) stored.remove(field.name);
  }
  for (const http::Field field : update) {
    if (applies(field)) stored.add(field.name, field.value);
  }
}

StoredMeta freshen(const PolicySettings& settings, http::ResponseHead& stored,
                   const FieldSection& update, const StoredMeta& meta, bool has_query,
                   core::UnixTime request_time, core::UnixTime response_time) {
  // A 304 without Date is dated by its arrival (RFC 9110 6.6.1), not by the stored one.
  if (!update.has(FieldName::Date)) set_date(stored.fields, response_time);
  update_fields(stored.fields, update);
  const http::CacheControl cc = response_directives(settings, stored.fields);
  StoredMeta fresh = describe(settings, stored, cc, has_query, request_time, response_time);
  fresh.status = meta.status;
  const auto age = update.find(FieldName::Age);
  fresh.age = age ? http::parse_delta_seconds(*age).value_or(0) : 0;
  stored.fields.remove(FieldName::Age);
  return fresh;
}

HeadSays judge_head(const FieldSection& stored, std::optional<uint64_t> stored_length,
                    const FieldSection& head_response) {
  const auto same = [&](FieldName name) {
    const auto theirs = head_response.find(name);
    return !theirs || theirs == stored.find(name);
  };
  const auto length = head_response.find(FieldName::ContentLength);
  const bool same_length = !length || http::parse_decimal(*length) == stored_length;
  return same(FieldName::ETag) && same(FieldName::LastModified) && same_length ? HeadSays::Freshen
                                                                               : HeadSays::Outdated;
}

}  // namespace tributary::cache
