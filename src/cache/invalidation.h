// Which stored responses a successful unsafe request makes invalid (RFC 9111 4.4). Any thread;
// pure.
#pragma once

#include <string>
#include <vector>

#include "http/message.h"
#include "http/url.h"

namespace tributary::cache {

// Appends the keys (key.h) to mark invalid: the target, and what Location and Content-Location name
// within the same origin. Nothing for safe methods and for error statuses; unknown methods count as
// unsafe (4.4, last paragraph).
void invalidated_keys(http::Method method, const http::Url& target,
                      const http::ResponseHead& response, std::vector<std::string>& keys);

}  // namespace tributary::cache
