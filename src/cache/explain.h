// Explaining in words, with the section of the RFC, what the cache made of a response and what it would do with a request
// now: `tributary cache show`. It decides nothing: it asks the functions of policy.h and puts what they say into words.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cache/object.h"
#include "cache/policy.h"
#include "cache/refusals.h"
#include "http/fields.h"

namespace tributary::cache {

// A few sentences, a line each, without line ends.
using Lines = std::vector<std::string>;

// Why a response with this verdict is not stored: "the response said no-store (RFC 9111 5.2.2.5)".
std::string explain(NotStorable reason);

// Of a key of which nothing is stored.
Lines explain_absent(const std::optional<Refusal>& refusal, core::UnixTime now);

// Of one stored response: what it is, why it may be kept, how fresh it is, and what happens to a GET with the fields
// `request` and the signature of its location (RequestFacts).
Lines explain_stored(const PolicySettings& settings, const Object& object, const http::FieldSection& request,
                     core::UnixTime now, uint64_t signature);

// Whether that request selects this variant (RFC 9111 4.1).
bool selects(const Object& object, const http::FieldSection& request);
// "accept-encoding = gzip; accept-language absent": what requests must say to get the variant; empty without Vary.
std::string explain_variant(std::string_view variant);

// "2026-11-21T11:04:05Z"
std::string format_time(core::UnixTime time);
// "59 s", "1 h 1 min", "3 d 4 h"
std::string format_span(int64_t seconds);

}  // namespace tributary::cache
