// TOML text as a tree of our own, so that toml++ (slow to compile) stays in toml_reader.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::conf {

struct TomlNode {
  enum class Type : uint8_t { Bool, Integer, Float, String, Date, Array, Table };
  Type type = Type::Table;
  uint32_t line = 0;
  std::string name;  // of a member of a table
  bool boolean = false;
  int64_t integer = 0;
  std::string text;               // String; Float and Date as they are shown in messages
  std::vector<TomlNode> items;    // Array
  std::vector<TomlNode> members;  // Table, sorted by name
};

struct TomlDocument {
  TomlNode root;
  std::string error;  // empty: the text is TOML
  uint32_t error_line = 0;
};

TomlDocument read_toml(std::string_view text);

}  // namespace tributary::conf
