#include "main/cache_target.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace tributary {
namespace {

using admin::CacheCommand;
using admin::Response;
using Json = nlohmann::ordered_json;
using Kind = CacheCommand::Kind;
using Problem = CacheTarget::Problem;

constexpr core::Duration kQuick = std::chrono::minutes(1);
constexpr core::Duration kLong = std::chrono::hours(24);  // a purge of millions, a download

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

AdminRequest request_for(const CacheCommand& command) {
  switch (command.kind) {
    case Kind::Summary:
      return {.target = "/api/v1/cache"};
    case Kind::List: {
      AdminRequest request{.target = fmt::format("/api/v1/cache/objects?limit={}", command.limit)};
      if (!command.text.empty()) request.target += "&prefix=" + percent_encode(command.text);
      if (!command.cursor.empty()) request.target += "&cursor=" + percent_encode(command.cursor);
      return request;
    }
    case Kind::Show: {
      AdminRequest request{.target = "/api/v1/cache/objects/" + percent_encode(command.text)};
      char separator = '?';
      for (const auto& [name, value] : command.fields) {
        request.target += separator + ("header=" + percent_encode(name + ":" + value));
        separator = '&';
      }
      return request;
    }
    case Kind::Verify:
      return {"POST", "/api/v1/cache/verify",
              command.cursor.empty() ? std::string("{}") : dumped({{"cursor", command.cursor}})};
    case Kind::Warm: {
      Json json = {{"urls", command.urls}};
      for (const auto& [name, value] : command.fields) json["headers"][name] = value;
      return {"POST", "/api/v1/cache/warm", dumped(json)};
    }
    case Kind::Purge:
      break;
  }
  constexpr const char* kBy[] = {"url", "prefix", "tag", "all"};
  Json json;
  json[kBy[static_cast<size_t>(command.by)]] = command.by == CacheCommand::By::All ? Json(true) : Json(command.text);
  return {"POST", "/api/v1/cache/purge", dumped(json)};
}

CacheTarget::CacheTarget(core::Loop& loop, Settings settings) : loop_(loop), settings_(std::move(settings)) {}
CacheTarget::~CacheTarget() = default;

Problem CacheTarget::open() {
  if (settings_.directory_only) return open_directory("");
  if (!settings_.admin) return open_directory("admin.address is off");
  Response summary;
  const bool never = false;
  const Problem problem = ask({}, never, summary);
  if (problem != Problem::None) return problem;
  if (store_) return Problem::None;
  if (summary.status != 200) {
    why_ = fmt::format("what answers at {} has no cache to look into (status {})", settings_.admin->to_string(), summary.status);
    return Problem::Proxy;
  }
  return Problem::None;
}

Problem CacheTarget::open_directory(const std::string& why_no_proxy) {
  settings_.store.enabled = true;
  settings_.store.existing_only = true;
  settings_.store.workers = 1;
  offload_.emplace(core::OffloadSettings{.threads = 1});
  store_ = cache::Store::open(settings_.store, *offload_, registry_, why_);
  if (store_) {
    settings_.policy.max_object = store_->max_object();
    return Problem::None;
  }
  if (!why_no_proxy.empty()) why_ += fmt::format(" ({})", why_no_proxy);
  return Problem::Directory;
}

Problem CacheTarget::ask(const CacheCommand& command, const bool& interrupted, Response& response) {
  const bool takes_long = command.kind == Kind::Purge;
  AdminExchange exchange(loop_, *settings_.admin, request_for(command), takes_long ? kLong : kQuick);
  while (!exchange.is_over() && !interrupted) loop_.run_once(std::chrono::seconds(1));
  if (!exchange.is_over()) return Problem::Interrupted;
  const std::string address = settings_.admin->to_string();
  switch (exchange.outcome()) {
    case AdminExchange::Outcome::Answered:
      response = exchange.response();
      return Problem::None;
    case AdminExchange::Outcome::Absent:
      if (command.kind == Kind::Summary) return open_directory("no proxy answers at " + address);
      why_ = "the proxy at " + address + " is gone";
      return Problem::Proxy;
    case AdminExchange::Outcome::Failed:
      break;
  }
  why_ = fmt::format("the proxy at {}: {}", address, exchange.why());
  return Problem::Proxy;
}

Problem CacheTarget::run(const CacheCommand& command, const bool& interrupted, Response& response) {
  if (!store_) return ask(command, interrupted, response);
  loop_.run_once();  // signals
  if (interrupted) return Problem::Interrupted;
  if (command.kind == Kind::Purge) {
    const auto selection = selection_of(command, settings_.policy);
    const auto purged = selection ? store_->purge_and_wait(*selection) : std::nullopt;
    response = purged ? purge_answer(*purged) : refuse_cache_command(command);
    return Problem::None;
  }
  cache::Inspection inspection(*store_);
  response = run_cache_command(command, inspection, {settings_.store.directory, settings_.policy}, store_->stats());
  return Problem::None;
}

}  // namespace tributary
