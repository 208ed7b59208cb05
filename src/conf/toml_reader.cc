#include "conf/toml_reader.h"

#include <sstream>

#include <toml++/toml.h>

namespace tributary::conf {
namespace {

TomlNode convert(const toml::node& node) {
  TomlNode result;
  result.line = node.source().begin.line;
  if (const toml::table* table = node.as_table()) {
    for (const auto& [name, member] : *table) {
      result.members.push_back(convert(member));
      result.members.back().name = name.str();
      // A table header that only comes up in [a.b] has no place of its own: it takes its first
      // member's.
      if (result.line == 0) result.line = result.members.back().line;
    }
  } else if (const toml::array* array = node.as_array()) {
    result.type = TomlNode::Type::Array;
    for (const toml::node& item : *array) {
      result.items.push_back(convert(item));
      if (result.line == 0) result.line = result.items.back().line;
    }
  } else if (const auto* text = node.as_string()) {
    result.type = TomlNode::Type::String;
    result.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    result.type = TomlNode::Type::Integer;
    result.integer = integer->get();
  } else if (const auto* boolean = node.as_boolean()) {
    result.type = TomlNode::Type::Bool;
    result.boolean = boolean->get();
  } else {
    std::ostringstream shown;
    if (const auto* number = node.as_floating_point()) {
      result.type = TomlNode::Type::Float;
      shown << number->get();
    } else {
      result.type = TomlNode::Type::Date;
      if (const auto* date = node.as_date()) shown << date->get();
      if (const auto* time = node.as_time()) shown << time->get();
      if (const auto* both = node.as_date_time()) shown << both->get();
    }
    result.text = shown.str();
  }
  return result;
}

}  // namespace

TomlDocument read_toml(std::string_view text) {
  TomlDocument document;
  try {
    document.root = convert(toml::parse(text));
  } catch (const toml::parse_error& error) {
    document.error = error.description();
    document.error_line = error.source().begin.line;
  }
  return document;
}

}  // namespace tributary::conf
