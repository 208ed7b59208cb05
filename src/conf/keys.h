// The table of keys: everything that is known about a key is one row of it, and reading,
// environment, --set, messages, conf/tributary.toml and the JSON schema all come from that row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "conf/config.h"

namespace tributary::conf {

// How a key's value is written. The first group holds one value, the second a list.
enum class Kind : uint8_t {
  Bool,
  Count,
  Size,
  Period,
  Path,
  Choice,
  ListenAddress,
  AdminAddress,
  Protocols,
  Networks,
  Hosts,
  Ports,
  DnsServers,
  FieldNames,
  QueryNames,
};
constexpr bool is_list(Kind kind) {
  return kind >= Kind::Protocols;
}

// A checked value on its way into the Config: a Count or Size, or the index of a Choice, is the
// number; lists hold each item in its written form.
using Value = std::variant<bool, uint64_t, Duration, std::string, std::vector<std::string>>;

struct Key {
  std::string_view path;  // "cache.size"; "listen.address" is a member of each [[listen]]
  Kind kind;
  std::string_view help;               // sentences; what it does, and what its special values mean
  uint64_t min = 0, max = UINT64_MAX;  // Count and Size; Period in milliseconds
  bool or_zero = false;                // 0 is allowed too, though below min
  std::span<const std::string_view> choices;  // Choice, in the order of the enum; Protocols
  // `index` picks the listener for the keys of [[listen]], and is not used by others.
  void (*set)(Config&, size_t index, const Value&);
  Value (*get)(const Config&, size_t index);

  std::string_view section() const { return path.substr(0, path.rfind('.')); }
  std::string_view name() const { return path.substr(path.rfind('.') + 1); }
};

std::span<const Key> keys();
const Key* find_key(std::string_view path);

// Keys of the published interface that this version refuses; a name without a dot is a whole
// section.
std::span<const std::string_view> keys_not_implemented();

// Sections in the order of the file, each with what it is for.
struct Section {
  std::string_view name, help;
};
std::span<const Section> sections();

// TRIBUTARY_CACHE_SIZE for cache.size.
std::string environment_name(std::string_view path);

// What the messages call allowed: "a size from 1MiB to 1024TiB, such as 64KiB or 10GiB".
std::string allowed(const Key& key);

// Reads one item or value in its written form; a list key takes one item. Nothing when it is not
// allowed.
std::optional<Value> parse_value(const Key& key, std::string_view text);

// The value as TOML.
std::string format_value(const Key& key, const Value& value);

}  // namespace tributary::conf
