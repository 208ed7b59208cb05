// Which stored responses a successful unsafe request makes invalid (RFC 9111 4.4). Any thread;
// pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "http/message.h"
#include "http/url.h"

namespace tributary::cache {

// Does Content-Location say that this response is a representation of `target` itself? A POST's may then be stored for GET
// (RFC 9110 9.3.3).
bool is_of_target(const http::Url& target, const http::FieldSection& response);

// Appends the keys (key.h) to mark invalid: the target, and what Location and Content-Location name
// within the same origin. Nothing for safe methods and for error statuses; unknown methods count as
// unsafe (4.4, last paragraph).
void invalidated_keys(http::Method method, const http::Url& target,
                      const http::ResponseHead& response, std::vector<std::string>& keys,
                      std::span<const std::string> ignored_query = {});

}  // namespace tributary::cache
