// The fields of a stored response (RFC 9111 3.1) and its validation (4.3): the conditional request,
// what a 304 or a HEAD changes. Any thread; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cache/policy.h"
#include "http/fields.h"
#include "http/message.h"

namespace tributary::cache {

// The field lines to store of a response (3.1), ready for the wire and without an empty line: not those of the connection
// and of the proxy before us, not those that depend on who asks (Content-Length, Age) or on the part (Content-Range of a
// 206), and not those that no-cache="…" and private="…" name.
std::string stored_fields(const http::ResponseHead& response, const http::CacheControl& response_cc);

// The lines that these two name, for the one client whose request brought the response (5.2.2.4, 5.2.2.7).
std::string left_out_fields(const http::FieldSection& response, const http::CacheControl& response_cc);

// Turns `request` into one that validates `stored` (4.3.1): the client's own conditions and Range
// are removed, then If-None-Match is set from a stored ETag and If-Modified-Since from a stored
// Last-Modified. False, and the request only stripped, when there is no validator: then it fetches
// anew.
bool make_conditional(const http::FieldSection& stored, http::FieldSection& request);

// Is the stored response the one this 304 is about (4.3.4)? `stored_date` is the stored Date as a
// time. False: the stored one must not be used, fetch without conditions. Nor when the 304 names other fields in Vary: the
// stored one is filed under the old.
bool not_modified_selects(const http::FieldSection& stored, const http::FieldSection& not_modified);

// Copies into `stored` what a 304 or HEAD response updates (3.2): every field but those of the
// connection, of framing and of the content as it was stored (Content-Length, -Encoding, -Range,
// digests, ETag).
void update_fields(http::FieldSection& stored, const http::FieldSection& update);

// update_fields() and the new digest (4.3.4): the stored response is as fresh as if it came now.
// `stored` is the stored head, fields changed in place; its status and content stay. Whether it may still be stored is to
// be asked again (storable()): the update may have brought no-store.
StoredMeta freshen(const PolicySettings& settings, http::ResponseHead& stored,
                   const http::FieldSection& update, const StoredMeta& meta, bool has_query,
                   core::UnixTime request_time, core::UnixTime response_time);

// What a 200 to HEAD says about a stored GET response (4.3.5) whose content has `stored_length`.
enum class HeadSays : uint8_t { Freshen, Outdated };
HeadSays judge_head(const http::FieldSection& stored, std::optional<uint64_t> stored_length,
                    const http::FieldSection& head_response);

}  // namespace tributary::cache
