// Conditional requests (RFC 9110, 13) against the validators of a stored or selected
// representation. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>

#include "http/etag.h"
#include "http/message.h"

namespace tributary::http {

struct Validators {
  std::optional<EntityTag> etag;
  std::optional<int64_t> last_modified;  // seconds since the epoch
  std::optional<int64_t>
      date;  // of the response that brought them: decides whether last_modified is strong

  // Views into `fields`; invalid values count as absent.
  static Validators of(const FieldSection& fields, int64_t now);

  // RFC 9110, 8.8.2.2: a Last-Modified at least a minute (we ask that much, the RFC only a second)
  // before Date cannot stand for two versions.
  bool last_modified_is_strong() const {
    return last_modified && date && *date - *last_modified >= 60;
  }
  // There is something that tells two versions apart byte for byte: splitting and If-Range need it.
  bool has_strong() const { return (etag && !etag->weak) || last_modified_is_strong(); }
};

enum class Precondition : uint8_t {
  Proceed,      // answer as if there were no condition
  NotModified,  // 304
  Failed,       // 412
};

// RFC 9110, 13.2.2, in its order, without If-Range. A cache answers only If-None-Match and
// If-Modified-Since itself: requests with the other two go to the origin (RFC 9111, 4.3.2). A
// representation exists (a cache asks about what it stores).
Precondition evaluate_preconditions(const RequestHead& request, const Validators& validators,
                                    int64_t now);

// Whether the request has any of the four conditions (If-Range apart).
bool has_preconditions(const FieldSection& request);

// RFC 9110, 13.1.5: may the Range of this request be applied? True without If-Range; strong
// comparison; a date must equal a strong Last-Modified.
bool if_range_holds(const FieldSection& request, const Validators& validators, int64_t now);

}  // namespace tributary::http
