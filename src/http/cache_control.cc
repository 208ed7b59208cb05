#include "http/cache_control.h"

#include <algorithm>

#include "http/structured_fields.h"

namespace tributary::http {
namespace {

struct Directive {
  std::string_view name;
  std::string_view argument;  // without quotes
  bool has_argument = false;
  bool malformed = false;  // space around "=", an open quote, something after the closing one
};

Directive split(std::string_view element) {
  Directive directive;
  const size_t equals = element.find('=');
  directive.name = trim_ows(element.substr(0, equals));
  if (equals == std::string_view::npos) return directive;
  directive.has_argument = true;
  directive.malformed = directive.name.size() != equals;
  directive.argument = element.substr(equals + 1);
  if (directive.argument.starts_with('"')) {
    const size_t close = directive.argument.find('"', 1);
    directive.malformed |=
        close == std::string_view::npos || close + 1 != directive.argument.size();
    directive.argument =
        directive.argument.substr(1, close == std::string_view::npos ? close : close - 1);
  }
  return directive;
}

// Seconds of a lifetime; what cannot be read is 0, so that the response counts as stale.
uint32_t lifetime(const Directive& directive) {
  if (directive.malformed || !directive.has_argument) return 0;
  return parse_delta_seconds(directive.argument).value_or(0);
}

void keep_smallest(std::optional<uint32_t>& value, uint32_t seconds) {
  value = value ? std::min(*value, seconds) : seconds;
}

// Sets `flag` for the bare directive and adds to `names` for the one with a list.
void names_or_flag(const Directive& directive, bool& flag, std::vector<std::string_view>& names) {
  const size_t before = names.size();
  if (directive.has_argument && !directive.malformed) {
    ListCursor cursor(directive.argument);
    for (std::string_view name; cursor.next(name);) {
      if (is_token(name)) names.push_back(name);
    }
  }
  // A list that names nothing cannot be honoured as one: the stricter reading is the bare
  // directive.
  if (names.size() == before) flag = true;
}

// What a targeted field says (RFC 9213, 2.1): spans are Integers, directives without argument Booleans. A member of another
// type is no directive; but for those that forbid, where "no" wins.
void apply(const StructuredMember& member, CacheControl& cc) {
  using Type = StructuredItem::Type;
  const StructuredItem& item = member.item;
  const bool is_boolean = !member.is_inner_list && item.type == Type::Boolean;
  if (is_boolean && !item.boolean) return;
  const auto flag = [&](bool& out) { out = out || is_boolean; };
  const auto span = [&](std::optional<uint32_t>& out) {
    if (member.is_inner_list || item.type != Type::Integer) return;
    out = static_cast<uint32_t>(std::clamp<int64_t>(item.integer, 0, CacheControl::kMaxSeconds));
  };
  // Names come as a String with a list in it, as in Cache-Control, or as an inner list.
  const auto names_or_flag = [&](bool& out, std::vector<std::string_view>& names) {
    const size_t before = names.size();
    const auto add = [&](std::string_view list) {
      ListCursor cursor(list);
      for (std::string_view name; cursor.next(name);) {
        if (is_token(name)) names.push_back(name);
      }
    };
    if (!member.is_inner_list && item.type == Type::String) add(item.text);
    for (const StructuredItem& element : member.list) add(element.text);
    if (names.size() == before) out = true;
  };
  const std::string_view key = member.key;
  if (key == "max-age") return span(cc.max_age);
  if (key == "s-maxage") return span(cc.s_maxage);
  if (key == "stale-while-revalidate") return span(cc.stale_while_revalidate);
  if (key == "stale-if-error") return span(cc.stale_if_error);
  if (key == "no-cache") return names_or_flag(cc.no_cache, cc.no_cache_fields);
  if (key == "private") return names_or_flag(cc.is_private, cc.private_fields);
  if (key == "no-store") cc.no_store = true;
  if (key == "public") flag(cc.is_public);
  if (key == "must-revalidate") flag(cc.must_revalidate);
  if (key == "proxy-revalidate") flag(cc.proxy_revalidate);
  if (key == "must-understand") flag(cc.must_understand);
  if (key == "immutable") flag(cc.immutable);
  if (key == "no-transform") flag(cc.no_transform);
}

std::optional<CacheControl> of_targeted(const FieldSection& fields, std::string_view name) {
  std::vector<StructuredMember> members;
  bool is_valid = true;
  fields.for_each(name, [&](std::string_view line) { is_valid = is_valid && append_dictionary(line, members); });
  if (!is_valid || members.empty()) return std::nullopt;
  CacheControl cc;
  cc.present = cc.is_targeted = true;
  for (const StructuredMember& member : members) apply(member, cc);
  return cc;
}

}  // namespace

std::optional<uint32_t> parse_delta_seconds(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  const uint64_t value = parse_decimal(text).value_or(UINT64_MAX);
  return static_cast<uint32_t>(std::min<uint64_t>(value, CacheControl::kMaxSeconds));
}

void CacheControl::merge(std::string_view value) {
  ListCursor cursor(value);
  for (std::string_view element; cursor.next(element);) {
    const Directive directive = split(element);
    const auto is = [&](std::string_view name) {
      return equal_ignoring_case(directive.name, name);
    };
    present = true;
    if (is("max-age")) {
      keep_smallest(max_age, lifetime(directive));
    } else if (is("s-maxage")) {
      keep_smallest(s_maxage, lifetime(directive));
    } else if (is("no-store")) {
      no_store = true;
    } else if (is("no-cache")) {
      names_or_flag(directive, no_cache, no_cache_fields);
    } else if (is("private")) {
      names_or_flag(directive, is_private, private_fields);
    } else if (is("public")) {
      is_public = true;
    } else if (is("must-revalidate")) {
      must_revalidate = true;
    } else if (is("proxy-revalidate")) {
      proxy_revalidate = true;
    } else if (is("must-understand")) {
      must_understand = true;
    } else if (is("immutable")) {
      immutable = true;
    } else if (is("no-transform")) {
      no_transform = true;
    } else if (is("only-if-cached")) {
      only_if_cached = true;
    } else if (is("stale-while-revalidate")) {
      keep_smallest(stale_while_revalidate, lifetime(directive));
    } else if (is("stale-if-error")) {
      keep_smallest(stale_if_error, lifetime(directive));
    } else if (is("max-stale")) {
      keep_smallest(max_stale, directive.has_argument ? lifetime(directive) : kMaxSeconds);
    } else if (is("min-fresh")) {
      min_fresh = std::max(min_fresh.value_or(0), lifetime(directive));
    }
  }
}

CacheControl CacheControl::of(const FieldSection& fields, FieldName name) {
  CacheControl result;
  fields.for_each(name, [&](std::string_view value) { result.merge(value); });
  return result;
}

CacheControl CacheControl::of_response(const FieldSection& fields, std::span<const std::string> targeted) {
  for (const std::string& name : targeted) {
    if (auto cc = of_targeted(fields, name)) return *std::move(cc);
  }
  return of(fields);
}

CacheControl CacheControl::of_request(const FieldSection& fields) {
  CacheControl result = of(fields);
  if (!fields.has(FieldName::CacheControl) && fields.has_element(FieldName::Pragma, "no-cache")) {
    result.no_cache = true;
  }
  return result;
}

}  // namespace tributary::http
