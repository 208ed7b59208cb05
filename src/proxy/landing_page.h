// The page for a browser that was pointed straight at the proxy (an origin-form request): how to use it. Never the API.
#pragma once

#include <string>
#include <string_view>

#include "proxy/error_page.h"

namespace tributary::proxy {

// A complete 200. `authority`: the Host field of the request, how the client reaches us; any text, escaped here.
// HTML where Accept names it, else text.
std::string landing_response(std::string_view authority, const AnswerContext& answer);

}  // namespace tributary::proxy
