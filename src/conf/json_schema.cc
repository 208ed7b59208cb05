#include <nlohmann/json.hpp>

#include "conf/keys.h"
#include "conf/schema.h"

namespace tributary::conf {
namespace {

using Json = nlohmann::ordered_json;

// Form of one value or, for a list, one item. Ranges of sizes and durations are said in words: JSON
// Schema cannot compare "10GiB" with "512MiB".
Json form_of(const Key& key) {
  switch (key.kind) {
    case Kind::Bool:
      return {{"type", "boolean"}};
    case Kind::Count: {
      Json form = {{"type", "integer"}, {"minimum", key.or_zero ? 0 : key.min}};
      if (key.max != UINT64_MAX) form["maximum"] = key.max;
      return form;
    }
    case Kind::Size:
      return {{"type", Json::array({"string", "integer"})},
              {"pattern", "^[0-9]+ ?([kKMGT]i?B|B)?$"}};
    case Kind::Period:
      return {{"type", Json::array({"string", "integer"})},
              {"pattern", "^([0-9]+ ?(ms|s|m|h|d)|0)$"}};
    case Kind::Choice:
    case Kind::Protocols:
      return {{"type", "string"}, {"enum", key.choices}};
    case Kind::Ports:
      return {{"type", Json::array({"integer", "string"})},
              {"pattern", "^([0-9]+(-[0-9]+)?|\\*)$"}};
    default:
      return {{"type", "string"}};
  }
}

Json value_of(const Key& key, const Value& value) {
  if (key.kind == Kind::Bool) return std::get<bool>(value);
  if (key.kind == Kind::Count) return std::get<uint64_t>(value);
  if (!is_list(key.kind)) {
    const std::string quoted = format_value(key, value);
    return quoted.substr(1, quoted.size() - 2);  // no default has a character that needs escaping
  }
  return std::get<std::vector<std::string>>(value);
}

Json property(const Key& key, const Config& defaults) {
  Json form = form_of(key);
  if (is_list(key.kind)) form = {{"type", "array"}, {"items", form}};
  form["description"] = std::string(key.help) + " Allowed: " + allowed(key) + ".";
  form["default"] = value_of(key, key.get(defaults, 0));
  return form;
}

}  // namespace

std::string json_schema() {
  const Config defaults;
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "tributary"},
                 {"type", "object"},
                 {"additionalProperties", false},
                 {"properties", Json::object()}};
  for (const Section& section : sections()) {
    Json object = {{"type", "object"},
                   {"description", section.help},
                   {"additionalProperties", false},
                   {"properties", Json::object()}};
    for (const Key& key : keys()) {
      if (key.section() == section.name)
        object["properties"][std::string(key.name())] = property(key, defaults);
    }
    const size_t dot = section.name.rfind('.');
    Json& parent =
        dot == std::string_view::npos
            ? schema["properties"]
            : schema["properties"][std::string(section.name.substr(0, dot))]["properties"];
    Json& place =
        parent[std::string(section.name.substr(dot == std::string_view::npos ? 0 : dot + 1))];
    if (section.name == "listen")
      place = {{"type", "array"}, {"minItems", 1}, {"items", std::move(object)}};
    else
      place = std::move(object);
  }
  return schema.dump(2) + "\n";
}

}  // namespace tributary::conf
