// The head of a request for a file. Pure.
#pragma once

#include <optional>
#include <string>

#include "fetch/settings.h"
#include "http/message.h"
#include "http/range_sink.h"
#include "http/url.h"

namespace tributary::fetch {

// A part that lacks of what was fetched before.
struct Continuation {
  http::ByteRange range;
  std::string validator;  // for If-Range
};

// `is_at_origin`: the URL is where the user pointed, not where a redirect led away from it; credentials and cookies
// among the given fields go nowhere else.
http::RequestHead request_head(const http::Url& url, const Settings& settings, bool is_at_origin,
                               const std::optional<Continuation>& continuation);

}  // namespace tributary::fetch
