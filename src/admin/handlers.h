// What the admin listener answers, without any socket: a request line and the Host field in, a
// response out. The table of routes in handlers.cc is the only list of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "admin/server.h"

namespace tributary::admin {

struct Request {
  std::string_view method, target;
  std::string_view host;  // the Host field's value; empty when there was none
  bool has_host = false;
};

struct Response {
  uint16_t status = 200;
  std::string content_type;
  std::string content;
  std::string allow;  // for 405
};

struct Context {
  const Settings& settings;
  const Sources& sources;
  core::UnixTime started;
};

// Always gives a response; a HEAD is answered like its GET, and the caller leaves the content out.
Response handle(const Request& request, const Context& context);

// An error as application/problem+json (RFC 9457).
Response problem(uint16_t status, std::string_view detail);

// May a request with this Host be answered: an IP literal, localhost, *.localhost or one of
// `names`, with or without port.
bool is_own_host(std::string_view host, const std::vector<std::string>& names);

}  // namespace tributary::admin
