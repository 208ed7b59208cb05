// The fields of a stored response (RFC 9111 3.1) and its validation (4.3): the conditional request,
// what a 304 or a HEAD changes. Any thread; pure.
#pragma once

#include "cache/policy.h"
#include "http/fields.h"
#include "http/message.h"

namespace tributary::cache {

// Makes of a response's fields what is stored (3.1): without those of the connection, of the proxy
// before us, Age (it is in StoredMeta), Content-Range of a 206; Date is added where it lacks (RFC
// 9110 6.6.1). Call describe() first: it reads Age.
void prepare_fields(http::FieldSection& fields, core::UnixTime response_time);

// Turns `request` into one that validates `stored` (4.3.1): the client's own conditions and Range
// are removed, then If-None-Match is set from a stored ETag and If-Modified-Since from a stored
// Last-Modified. False, and the request only stripped, when there is no validator: then it fetches
// anew.
bool make_conditional(const http::FieldSection& stored, http::FieldSection& request);

// Is the stored response the one this 304 is about (4.3.4)? `stored_date` is the stored Date as a
// time. False: the stored one must not be used, fetch without conditions.
bool not_modified_selects(const http::FieldSection& stored, const http::FieldSection& not_modified);

// Copies into `stored` what a 304 or HEAD response may update (3.2): every field but those of the
// connection, of framing and of the content as it was stored (Content-Length, -Encoding, -Range,
// -Type, digests, ETag). Set-Cookie never.
void update_fields(http::FieldSection& stored, const http::FieldSection& update);

// update_fields() and the new digest (4.3.4): the stored response is as fresh as if it came now.
// `stored` is the stored head, fields changed in place; its status and content stay.
StoredMeta freshen(const PolicySettings& settings, http::ResponseHead& stored,
                   const http::FieldSection& update, const StoredMeta& meta, bool has_query,
                   core::UnixTime request_time, core::UnixTime response_time);

// What a 200 to HEAD says about a stored GET response (4.3.5).
enum class HeadSays : uint8_t { Freshen, Outdated };
HeadSays judge_head(const http::FieldSection& stored, const http::FieldSection& head_response);

}  // namespace tributary::cache
