// What happens to a head on its way through the proxy: hop-by-hop fields go, Via comes, the target takes the form that the
// next hop expects (RFC 9110 7.6).
// `pseudonym` is our name in Via, another one for every process, so that two proxies in a row are no loop. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cache/cache_status.h"
#include "cache/policy.h"
#include "http/message.h"
#include "http/url.h"
#include "upstream/origin.h"

namespace tributary::proxy {

upstream::Origin origin_of(const http::UrlView& url);

// The request as it goes to the origin of `url`: origin-form target, Host from the URL (whatever Host the client sent: V-3),
// no connection-specific or proxy fields, Via appended. `keep_upgrade`: Upgrade and "Connection: upgrade" go along.
http::RequestHead request_for_origin(const http::RequestHead& client, const http::UrlView& url, bool keep_upgrade,
                                     std::string_view pseudonym);

// Does the request ask to switch protocols (RFC 9110 7.8), by HTTP/1.1 and without content?
bool wants_upgrade(const http::RequestHead& request, const http::BodyFraming& framing);

// Makes a response head what every client may see: connection-specific fields go, Via is appended, a missing Date is set.
void clean_response(http::ResponseHead& response, std::string_view date, std::string_view pseudonym);

// An empty buffer to build a head in; it is gone, or copied by the writer, when the call that built it returns.
std::string& head_buffer();

// Parts of the head of a response to a client, appended to `out`.
void append_number_field(std::string& out, std::string_view name_and_colon, uint64_t value);
void append_cache_status(std::string& out, const cache::CacheStatus& status);

}  // namespace tributary::proxy
