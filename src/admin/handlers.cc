#include "admin/handlers.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "admin/exposition.h"
#include "core/fsm.h"
#include "http/message.h"
#include "net/address.h"

namespace tributary::admin {
namespace {

// The registry's, and what core counts without one: steps of state machines that no table allows,
// always 0 unless we have a bug (core/fsm.h).
std::vector<core::FamilySnapshot> all_families(const Context& context) {
  std::vector<core::FamilySnapshot> families = context.sources.registry.snapshot();
  core::FamilySnapshot illegal;
  illegal.name = "tributary_illegal_transitions_total";
  illegal.help = "Steps of a state machine that its table does not allow";
  illegal.samples.push_back({{}, static_cast<double>(core::illegal_transitions()), {}});
  families.push_back(std::move(illegal));
  return families;
}

Response metrics(const Context& context) {
  return {200,
          "text/plain; version=0.0.4; charset=utf-8",
          prometheus_text(all_families(context), process_metrics()),
          {}};
}

// That this answer is made at all is the health: the main loop runs.
Response health(const Context&) {
  return {200, "text/plain; charset=utf-8", "ok\n", {}};
}

Response readiness(const Context& context) {
  const std::string reason =
      context.sources.not_ready ? context.sources.not_ready() : std::string();
  if (!reason.empty()) return problem(503, reason);
  return {200, "text/plain; charset=utf-8", "ready\n", {}};
}

Response stats(const Context& context) {
  const core::UnixTime now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return {200,
          "application/json",
          stats_json(all_families(context), process_metrics(), context.settings.version,
                     context.started, now),
          {}};
}

struct Route {
  std::string_view path;
  Response (*answer)(const Context&);
};

// All of them are read-only: GET and HEAD.
constexpr Route kRoutes[] = {
    {"/metrics", metrics},
    {"/healthz", health},
    {"/readyz", readiness},
    {"/api/v1/stats", stats},
};
constexpr std::string_view kAllow = "GET, HEAD";

}  // namespace

bool is_own_host(std::string_view host, const std::vector<std::string>& names) {
  const std::optional<net::HostPort> parsed = net::HostPort::parse(host, uint16_t{80});
  if (!parsed) return false;
  const std::string& name = parsed->host;
  return net::IpAddress::parse(name) || name == "localhost" || name.ends_with(".localhost") ||
         std::find(names.begin(), names.end(), name) != names.end();
}

Response problem(uint16_t status, std::string_view detail) {
  const nlohmann::ordered_json body = {{"type", "about:blank"},
                                       {"title", http::reason_phrase(status)},
                                       {"status", status},
                                       {"detail", detail}};
  return {status,
          "application/problem+json",
          body.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n",
          {}};
}

std::variant<Response, CacheCommand> handle(const Request& request, const Context& context) {
  std::string_view path = request.target, host = request.host;
  bool has_host = request.has_host;
  if (path.starts_with(
          "http://")) {  // RFC 9112 3.2.2: absolute-form must be taken, and its host counts
    path.remove_prefix(7);
    const size_t end = std::min(path.find_first_of("/?"), path.size());
    host = path.substr(0, end);
    has_host = true;
    path.remove_prefix(end);
  }
  // HTTP/1.0 may come without Host; a browser, which is what rebinding needs, never does.
  if (has_host && !is_own_host(host, context.settings.host_names)) {
    return problem(421,
                   "This is the admin listener of tributary. Ask for it by IP address or as "
                   "localhost: the name in "
                   "the Host field is not its own.");
  }
  // RFC 6454 7: a page of another origin has no business here, whatever it was able to make a browser send.
  if (!request.origin.empty() && request.origin != "http://" + std::string(host)) {
    return problem(403, "Pages of other origins may not use the admin listener.");
  }
  const std::string_view target = path;
  path = path.substr(0, path.find('?'));
  if (context.sources.cache && is_cache_path(path)) {
    Request command = request;
    command.target = target;
    auto parsed = parse_cache_command(command);
    if (Response* refused = std::get_if<Response>(&parsed)) return std::move(*refused);
    return std::move(std::get<CacheCommand>(parsed));
  }
  for (const Route& route : kRoutes) {
    if (route.path != path) continue;
    if (request.method == "GET" || request.method == "HEAD") return route.answer(context);
    Response refused = problem(405, fmt::format("{} can only be read.", path));
    refused.allow = kAllow;
    return refused;
  }
  std::string list;
  for (const Route& route : kRoutes)
    list += fmt::format("{}{}", list.empty() ? "" : ", ", route.path);
  if (context.sources.cache) list += ", /api/v1/cache, /api/v1/cache/objects, /api/v1/cache/objects/URL, "
                                     "and to POST to: /api/v1/cache/purge, /api/v1/cache/verify, /api/v1/cache/warm";
  return problem(404, fmt::format("There is: {}.", list));
}

}  // namespace tributary::admin
