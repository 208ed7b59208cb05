// What the admin listener answers, without any socket: a request in, a response out, or a command
// for the cache. The table of routes in handlers.cc and the one in cache_routes.cc are the only
// lists of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "admin/cache_routes.h"
#include "admin/operation.h"
#include "admin/server.h"

namespace tributary::admin {

struct Request {
  std::string_view method, target;
  std::string_view host;  // the Host field's value; empty when there was none
  bool has_host = false;
  std::string_view origin{};        // the Origin field: what a browser says on behalf of a page
  std::string_view content_type{};
  std::string_view content{};
};

struct Context {
  const Settings& settings;
  const Sources& sources;
  core::UnixTime started;
};

// A response, or what the cache is to be asked for one (only where there is a Sources::cache). A
// HEAD is answered like its GET, and the caller leaves the content out.
std::variant<Response, CacheCommand> handle(const Request& request, const Context& context);

// An error as application/problem+json (RFC 9457).
Response problem(uint16_t status, std::string_view detail);

// May a request with this Host be answered: an IP literal, localhost, *.localhost or one of
// `names`, with or without port.
bool is_own_host(std::string_view host, const std::vector<std::string>& names);

}  // namespace tributary::admin
