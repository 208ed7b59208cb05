// Cache-Control of requests and responses (RFC 9111, 5.2; RFC 5861; RFC 8246), Pragma, and targeted
// fields (RFC 9213).
//
// Directives are folded over all lines of the field. Numbers: both token and quoted form; above
// 2^31 they are 2^31 (RFC 9111, 1.2.2); an invalid or negative number makes a lifetime 0 (RFC
// 9111, 4.2.1: treat as stale); of repeated ones the smallest counts, as "no" wins over "yes".
// Field-name lists are views into the fields given to of(). Pure; any thread.
//
// A targeted field (CDN-Cache-Control and others by configuration) is a dictionary of structured fields: it replaces
// Cache-Control and Expires as a whole where it is valid and not empty.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/fields.h"

namespace tributary::http {

struct CacheControl {
  static constexpr uint32_t kMaxSeconds = uint32_t{1} << 31;

  // both directions
  bool no_store = false;
  bool no_cache = false;  // unqualified; with field names see no_cache_fields
  bool no_transform = false;
  std::optional<uint32_t> max_age;
  std::optional<uint32_t> stale_if_error;
  // requests
  bool only_if_cached = false;
  std::optional<uint32_t> max_stale;  // kMaxSeconds when any staleness will do
  std::optional<uint32_t> min_fresh;
  // responses
  bool is_public = false;
  bool is_private = false;  // unqualified; with field names see private_fields
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool immutable = false;
  std::optional<uint32_t> s_maxage;
  std::optional<uint32_t> stale_while_revalidate;
  // The names in no-cache="…" and private="…" (RFC 9111, 5.2.2.4 and 5.2.2.7).
  std::vector<std::string_view> no_cache_fields;
  std::vector<std::string_view> private_fields;

  bool present = false;      // the field was there at all, with any directive
  bool is_targeted = false;  // from a targeted field: Expires counts for nothing (RFC 9213, 2.2)

  // From the lines of `name` in `fields`.
  static CacheControl of(const FieldSection& fields, FieldName name = FieldName::CacheControl);
  // Of a response: from the first of the fields named in `targeted` that is there, valid and not empty (RFC 9213, 2.2),
  // else from Cache-Control. The names are in any case.
  static CacheControl of_response(const FieldSection& fields, std::span<const std::string> targeted);
  // Of a request: with "Pragma: no-cache" as no-cache when there is no Cache-Control (RFC
  // 9111, 5.4).
  static CacheControl of_request(const FieldSection& fields);

  // Folds one field line in.
  void merge(std::string_view value);
};

// delta-seconds (RFC 9111, 1.2.2), capped at kMaxSeconds; nothing when it is not a non-empty run of
// digits.
std::optional<uint32_t> parse_delta_seconds(std::string_view text);

}  // namespace tributary::http
