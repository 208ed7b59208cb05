#include "admin/cache_routes.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "admin/handlers.h"
#include "http/text.h"

namespace tributary::admin {
namespace {

using Json = nlohmann::json;
using Kind = CacheCommand::Kind;
using By = CacheCommand::By;

constexpr std::string_view kRoot = "/api/v1/cache";
constexpr std::string_view kObjects = "/api/v1/cache/objects";
constexpr std::string_view kPosts[] = {"/api/v1/cache/purge", "/api/v1/cache/verify", "/api/v1/cache/warm"};
constexpr int kMaxDepth = 8;             // what we take needs three
constexpr size_t kMaxText = 16 * 1024;   // of one URL, prefix or tag

bool is_post(std::string_view path) { return std::find(std::begin(kPosts), std::end(kPosts), path) != std::end(kPosts); }

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

// RFC 3986 2.1; nothing for a "%" that begins no escape. A "+" is a "+".
std::optional<std::string> decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = http::hex_value(text[i + 1]), low = http::hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

// Calls take(name, value) for each parameter; false for what is no query, or what take() refuses.
template <class Take>
bool parse_query(std::string_view query, Take take) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    const size_t equals = std::min(pair.find('='), pair.size());
    const auto name = decode(pair.substr(0, equals));
    const auto value = decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!name || !value || !take(*name, *value)) return false;
  }
  return true;
}

std::variant<CacheCommand, Response> parse_get(std::string_view path, std::string_view query) {
  CacheCommand command;
  if (path == kRoot) {
    if (!query.empty()) return problem(400, "The summary takes no parameters.");
    return command;
  }
  if (path == kObjects) {
    command.kind = Kind::List;
    std::string refused;
    const bool good = parse_query(query, [&](const std::string& name, const std::string& value) {
      if (name == "prefix") {
        command.text = value;
        return value.size() <= kMaxText;
      }
      if (name == "cursor") {
        command.cursor = value;
        return value.size() <= 128;
      }
      if (name != "limit") return false;
      const auto limit = http::parse_decimal(value);
      if (!limit || *limit < 1 || *limit > CacheCommand::kMostListed) return false;
      command.limit = static_cast<size_t>(*limit);
      return true;
    });
    if (!good) {
      return problem(400, fmt::format("Allowed: prefix=URL, limit=1 to {}, cursor as the page before gave it.",
                                      CacheCommand::kMostListed));
    }
    return command;
  }
  command.kind = Kind::Show;
  auto key = decode(path.substr(kObjects.size() + 1));
  const bool good = key && parse_query(query, [&](const std::string& name, const std::string& value) {
    if (name != "header" || command.fields.size() == CacheCommand::kMostFields) return false;
    const size_t colon = value.find(':');
    if (colon == std::string::npos) return false;
    const std::string_view text = http::trim_ows(std::string_view(value).substr(colon + 1));
    command.fields.emplace_back(value.substr(0, colon), text);
    return http::is_token(command.fields.back().first) && http::is_field_value(text);
  });
  if (!good || key->size() > kMaxText) {
    return problem(400, "Allowed: /api/v1/cache/objects/URL, percent-encoded as one segment, with header=NAME:VALUE for fields of the request.");
  }
  command.text = std::move(*key);
  return command;
}

// How deep brackets go, outside of strings: a parser that builds what it reads should not be asked to build a tower.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

Response wrong(std::string_view allowed) { return problem(400, fmt::format("The content is not what is wanted. Allowed: {}.", allowed)); }

std::optional<std::string> text_of(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  if (text.empty() || text.size() > kMaxText) return std::nullopt;
  return text;
}

std::variant<CacheCommand, Response> parse_purge(const Json& document) {
  constexpr std::string_view kAllowed = R"(exactly one of {"url": URL}, {"prefix": URL}, {"tag": TAG}, {"all": true})";
  constexpr std::pair<const char*, By> kBy[] = {{"url", By::Url}, {"prefix", By::Prefix}, {"tag", By::Tag}, {"all", By::All}};
  CacheCommand command;
  command.kind = Kind::Purge;
  if (document.size() != 1) return wrong(kAllowed);
  const auto member = document.begin();
  for (const auto& [name, by] : kBy) {
    if (member.key() != name) continue;
    command.by = by;
    if (by == By::All) {
      if (member.value() != Json(true)) return wrong(kAllowed);
      return command;
    }
    auto text = text_of(member.value());
    if (!text) return wrong(kAllowed);
    command.text = std::move(*text);
    return command;
  }
  return wrong(kAllowed);
}

std::variant<CacheCommand, Response> parse_verify(const Json& document) {
  constexpr std::string_view kAllowed = R"({} or {"cursor": as the answer before gave it})";
  CacheCommand command;
  command.kind = Kind::Verify;
  for (const auto& [name, value] : document.items()) {
    if (name != "cursor" || !value.is_string()) return wrong(kAllowed);
    command.cursor = value.get<std::string>();
  }
  return command;
}

std::variant<CacheCommand, Response> parse_warm(const Json& document) {
  const std::string allowed = fmt::format(
      R"({{"urls": [1 to {} URLs]}}, and "headers": {{NAME: VALUE}} for fields of the requests)", CacheCommand::kMostUrls);
  CacheCommand command;
  command.kind = Kind::Warm;
  for (const auto& [name, value] : document.items()) {
    if (name == "urls" && value.is_array() && value.size() <= CacheCommand::kMostUrls) {
      for (const Json& url : value) {
        auto text = text_of(url);
        if (!text) return wrong(allowed);
        command.urls.push_back(std::move(*text));
      }
    } else if (name == "headers" && value.is_object() && value.size() <= CacheCommand::kMostFields) {
      for (const auto& [field, content] : value.items()) {
        if (!content.is_string() || !http::is_token(field) || !http::is_field_value(content.get_ref<const std::string&>())) {
          return wrong(allowed);
        }
        command.fields.emplace_back(field, content.get<std::string>());
      }
    } else {
      return wrong(allowed);
    }
  }
  if (command.urls.empty()) return wrong(allowed);
  return command;
}

}  // namespace

bool is_cache_path(std::string_view path) {
  return path == kRoot || path == kObjects || is_post(path) ||
         (path.starts_with(kObjects) && path.size() > kObjects.size() + 1 && path[kObjects.size()] == '/');
}

bool takes_content(std::string_view method, std::string_view target) { return method == "POST" && is_post(path_of(target)); }

std::variant<CacheCommand, Response> parse_cache_command(const Request& request) {
  const std::string_view path = path_of(request.target);
  const std::string_view query = path.size() < request.target.size() ? request.target.substr(path.size() + 1) : "";
  const bool posts = is_post(path);
  if (request.method != "POST" && posts) {
    Response refused = problem(405, fmt::format("{} takes POST.", path));
    refused.allow = "POST";
    return refused;
  }
  if (!posts) {
    if (request.method == "GET" || request.method == "HEAD") return parse_get(path, query);
    Response refused = problem(405, fmt::format("{} can only be read.", path));
    refused.allow = "GET, HEAD";
    return refused;
  }
  // A page of another site can make a browser post text here, but not with this type, nor without saying where it is from.
  const std::string_view type = http::trim_ows(request.content_type.substr(0, request.content_type.find(';')));
  if (!http::equal_ignoring_case(type, "application/json")) {
    return problem(415, "The content must be JSON, with Content-Type: application/json.");
  }
  if (!query.empty()) return problem(400, fmt::format("{} takes no parameters, but content.", path));
  if (is_too_deep(request.content)) return problem(400, "The content is nested too deeply.");
  const Json document = Json::parse(request.content, nullptr, false);
  if (document.is_discarded()) return problem(400, "The content is not JSON.");
  if (!document.is_object()) return problem(400, "The content must be a JSON object.");
  if (path == kPosts[0]) return parse_purge(document);
  return path == kPosts[1] ? parse_verify(document) : parse_warm(document);
}

}  // namespace tributary::admin
