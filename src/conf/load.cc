#include "conf/load.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include <fmt/core.h>

#include "conf/keys.h"
#include "conf/toml_reader.h"
#include "conf/value.h"
#include "core/fd.h"

namespace tributary::conf {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kNotImplemented = "a key that is not implemented in this version";
constexpr std::string_view kPrefix = "TRIBUTARY_";

// What a message shows of a text that somebody wrote: short, and without control characters.
std::string escaped(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string result;
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return result + (text.size() > kLongest ? "…" : "");
}

std::string shown(std::string_view text) {
  return '"' + escaped(text) + '"';
}

std::string describe(const TomlNode& node) {
  switch (node.type) {
    case TomlNode::Type::Bool:
      return node.boolean ? "true" : "false";
    case TomlNode::Type::Integer:
      return fmt::format("{}", node.integer);
    case TomlNode::Type::Float:
      return "the fraction " + node.text;
    case TomlNode::Type::String:
      return shown(node.text);
    case TomlNode::Type::Date:
      return "the date or time " + node.text;
    case TomlNode::Type::Array:
      return "a list";
    case TomlNode::Type::Table:
      return "a table";
  }
  return "";
}

// Levenshtein's distance, for "did you mean".
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, substituted}));
    }
  }
  return row[b.size()];
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& names) {
  std::string best;
  size_t best_distance = 3;  // three typing errors are another word
  if (name.size() > 40) return "";
  for (const std::string& candidate : names) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best.empty() ? "" : fmt::format(" (did you mean {}?)", best);
}

std::string unknown_key(std::string_view name, const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& candidate : names) list += (list.empty() ? "" : ", ") + candidate;
  return fmt::format("found an unknown key; allowed: {}{}", list, did_you_mean(name, names));
}

bool is_section(std::string_view path) {
  return std::any_of(sections().begin(), sections().end(),
                     [&](const Section& s) { return s.name == path; });
}

bool is_not_implemented(std::string_view path) {
  const auto refused = keys_not_implemented();
  return std::find(refused.begin(), refused.end(), path) != refused.end();
}

// Names that may stand in a section: its keys, then its own sections; "" is the top of the file.
std::vector<std::string> names_in(std::string_view section) {
  std::vector<std::string> names;
  for (const Key& key : keys()) {
    if (key.section() == section) names.emplace_back(key.name());
  }
  for (const Section& inner : sections()) {
    const size_t dot = inner.name.rfind('.');
    const std::string_view outer = dot == std::string_view::npos ? "" : inner.name.substr(0, dot);
    if (outer == section)
      names.emplace_back(inner.name.substr(dot == std::string_view::npos ? 0 : dot + 1));
  }
  return names;
}

class Loader {
 public:
  explicit Loader(Loaded& loaded) : config_(loaded.config), problems_(loaded.problems) {}

  void read_text(std::string_view toml, std::string_view name);
  void read_environment(const Environment& environment);
  void read_command_line(const std::vector<Assignment>& assignments);
  void finish(const Environment& environment);

 private:
  void problem(std::string_view where, std::string_view key, std::string_view what) {
    if (problems_.size() < kMaxProblems)
      problems_.push_back(fmt::format("{}: {}: {}", where, key, what));
  }
  void problem(uint32_t line, std::string_view key, std::string_view what) {
    file_problems_.emplace(line, fmt::format("{}:{}: {}: {}", file_, line, key, what));
  }
  void refuse(const TomlNode& node, const Key& key) {
    problem(node.line, key.path,
            fmt::format("found {}; allowed: {}", describe(node), allowed(key)));
  }

  void read_table(const TomlNode& table, const std::string& section, size_t index);
  void read_listeners(const TomlNode& node);
  void read_key(const Key& key, const TomlNode& node, size_t index);
  std::optional<Value> value_of(const Key& key, const TomlNode& node);
  void assign(const std::string& where, std::string_view path, std::string_view text);
  void assign_value(const Key& key, const Value& value);
  void check_relations();

  Config& config_;
  std::vector<std::string>& problems_;
  std::string file_;
  std::multimap<uint32_t, std::string> file_problems_;  // toml++ sorts by name, people read by line
  std::map<std::string, std::string, std::less<>>
      set_at_;  // where each key got its value, for the relations
  bool listeners_replaced_ = false;
};

// --- the file

void Loader::read_text(std::string_view toml, std::string_view name) {
  file_ = name;
  const TomlDocument document = read_toml(toml);
  if (!document.error.empty()) {
    problems_.push_back(
        fmt::format("{}:{}: not TOML: {}", file_, document.error_line, document.error));
    return;
  }
  read_table(document.root, "", 0);
  for (auto& [line, text] : file_problems_) {
    if (problems_.size() < kMaxProblems) problems_.push_back(std::move(text));
  }
}

void Loader::read_table(const TomlNode& table, const std::string& section, size_t index) {
  for (const TomlNode& node : table.members) {
    const std::string& name = node.name;
    const std::string path = section.empty() ? name : section + "." + name;
    if (const Key* key = find_key(path)) {
      read_key(*key, node, index);
    } else if (path == "listen") {
      read_listeners(node);
    } else if (is_section(path)) {
      if (node.type == TomlNode::Type::Table)
        read_table(node, path, index);
      else
        problem(node.line, path,
                fmt::format("found {}; allowed: a table, [{}]", describe(node), path));
    } else if (is_not_implemented(path)) {
      problem(node.line, path, fmt::format("found {}; allowed: leaving it out", kNotImplemented));
    } else {
      problem(node.line, escaped(path), unknown_key(name, names_in(section)));
    }
  }
}

void Loader::read_listeners(const TomlNode& node) {
  const bool is_tables =
      node.type == TomlNode::Type::Array && !node.items.empty() &&
      std::all_of(node.items.begin(), node.items.end(),
                  [](const TomlNode& item) { return item.type == TomlNode::Type::Table; });
  if (!is_tables) {
    problem(node.line, "listen",
            fmt::format("found {}; allowed: one table or more, each [[listen]]", describe(node)));
    return;
  }
  config_.listen.assign(node.items.size(), ListenSection{});
  for (size_t i = 0; i < node.items.size(); ++i) read_table(node.items[i], "listen", i);
}

void Loader::read_key(const Key& key, const TomlNode& node, size_t index) {
  if (!is_list(key.kind)) {
    if (const std::optional<Value> value = value_of(key, node)) {
      key.set(config_, index, *value);
      set_at_.insert_or_assign(std::string(key.path), fmt::format("{}:{}", file_, node.line));
    } else {
      refuse(node, key);
    }
    return;
  }
  if (node.type != TomlNode::Type::Array) return refuse(node, key);
  std::vector<std::string> items;
  for (const TomlNode& item : node.items) {
    const std::optional<Value> value = value_of(key, item);
    if (value)
      items.push_back(std::get<std::string>(*value));
    else
      refuse(item, key);
  }
  if (key.kind == Kind::Protocols && node.items.empty()) {
    return problem(node.line, key.path,
                   fmt::format("found an empty list; allowed: {}", allowed(key)));
  }
  if (items.size() == node.items.size()) key.set(config_, index, items);
}

// The TOML type must be the one of the key: a number for a count, a number or text for a size, text
// for the rest; so that "30" is not taken for 30 seconds, nor 5 for a path.
std::optional<Value> Loader::value_of(const Key& key, const TomlNode& node) {
  const bool takes_integer = key.kind == Kind::Count || key.kind == Kind::Size ||
                             key.kind == Kind::Ports ||
                             (key.kind == Kind::Period && node.integer == 0);
  switch (node.type) {
    case TomlNode::Type::Bool:
      return key.kind == Kind::Bool ? std::optional<Value>(node.boolean) : std::nullopt;
    case TomlNode::Type::Integer:
      return takes_integer ? parse_value(key, fmt::format("{}", node.integer)) : std::nullopt;
    case TomlNode::Type::String:
      return key.kind == Kind::Bool || key.kind == Kind::Count ? std::nullopt
                                                               : parse_value(key, node.text);
    default:
      return std::nullopt;
  }
}

// --- environment and command line

void Loader::assign(const std::string& where, std::string_view path, std::string_view text) {
  const Key* key = find_key(path);
  if (!key) {
    const std::string_view section = path.substr(0, path.find('.'));
    if (is_not_implemented(path) || is_not_implemented(section)) {
      return problem(where, path,
                     fmt::format("found {}; allowed: leaving it out", kNotImplemented));
    }
    const size_t dot = path.rfind('.');
    const std::string_view outer = dot == std::string_view::npos ? "" : path.substr(0, dot);
    const std::string_view inner = dot == std::string_view::npos ? path : path.substr(dot + 1);
    const bool is_inside = dot != std::string_view::npos && is_section(outer);
    return problem(where, escaped(path),
                   unknown_key(is_inside ? inner : path, names_in(is_inside ? outer : "")));
  }
  const auto refused = [&](std::string_view item) {
    problem(where, key->path, fmt::format("found {}; allowed: {}", shown(item), allowed(*key)));
  };
  Value value;
  const bool takes_several = is_list(key->kind) || key->path == "listen.address";
  // As in the file: ["*"]. What only looks like it ([::1]:3128) is no TOML.
  const TomlDocument written = read_toml(takes_several && text.starts_with('[') ? fmt::format("list = {}", text) : "");
  const auto& members = written.root.members;
  if (written.error.empty() && members.size() == 1 && members[0].type == TomlNode::Type::Array) {
    std::vector<std::string> items;
    for (const TomlNode& item : members[0].items) {
      const std::optional<Value> parsed = value_of(*key, item);
      if (!parsed) return problem(where, key->path, fmt::format("found {}; allowed: {}", describe(item), allowed(*key)));
      items.push_back(std::get<std::string>(*parsed));
    }
    value = std::move(items);
  } else if (takes_several) {
    std::vector<std::string> items;
    for (size_t at = 0; at < text.size();) {
      const size_t comma = std::min(text.find(',', at), text.size());
      std::string_view item = text.substr(at, comma - at);
      while (item.starts_with(' ')) item.remove_prefix(1);
      while (item.ends_with(' ')) item.remove_suffix(1);
      const std::optional<Value> parsed = parse_value(*key, item);
      if (!parsed) return refused(item);
      items.push_back(std::get<std::string>(*parsed));
      at = comma + 1;
    }
    value = std::move(items);
  } else {
    const std::optional<Value> parsed = parse_value(*key, text);
    if (!parsed) return refused(text);
    value = *parsed;
  }
  const auto* items = std::get_if<std::vector<std::string>>(&value);
  if (items && items->empty() && (key->kind == Kind::Protocols || key->kind == Kind::ListenAddress)) {
    return refused(text);
  }
  set_at_.insert_or_assign(std::string(key->path), where);
  assign_value(*key, value);
}

void Loader::assign_value(const Key& key, const Value& value) {
  if (key.path == "listen.address") {
    // The protocols of the first listener of the file hold for those that replace it.
    ListenSection pattern = config_.listen.front();
    if (!std::exchange(listeners_replaced_, true)) config_.listen.clear();
    for (const std::string& address : std::get<std::vector<std::string>>(value)) {
      pattern.address = address;
      config_.listen.push_back(pattern);
    }
    return;
  }
  const size_t count = key.section() == "listen" ? config_.listen.size() : 1;
  for (size_t i = 0; i < count; ++i) key.set(config_, i, value);
}

// Container platforms put TRIBUTARY_PORT, TRIBUTARY_ADMIN_SERVICE_HOST and the like into the
// environment of everybody when a service has our name (Kubernetes' and Docker's links); these are
// not for us. Any other name that begins like a section is, and must be right.
bool is_for_us(std::string_view name) {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  if (name.find("SERVICE_") != std::string_view::npos || name.ends_with("_PORT") ||
      name.find("_PORT_") != std::string_view::npos) {
    return false;
  }
  const auto begins = [&](std::string_view section) {
    const std::string prefix = environment_name(section).substr(kPrefix.size()) + "_";
    return name.starts_with(prefix);
  };
  const auto refused = keys_not_implemented();
  return std::any_of(sections().begin(), sections().end(),
                     [&](const Section& s) { return begins(s.name); }) ||
         std::any_of(refused.begin(), refused.end(), [&](std::string_view key) {
           return key.find('.') == std::string_view::npos && begins(key);
         });
}

void Loader::read_environment(const Environment& environment) {
  for (const auto& [name, value] : environment) {
    if (!is_for_us(name) || value.empty())
      continue;  // empty is how shells and compose files write "not set"
    const std::string where = "environment " + name;
    const auto matches = [&name = name](std::string_view path) {
      return environment_name(path) == name;
    };
    const auto key =
        std::find_if(keys().begin(), keys().end(), [&](const Key& k) { return matches(k.path); });
    if (key != keys().end()) {
      assign(where, key->path, value);
      continue;
    }
    const auto refused = keys_not_implemented();
    const bool is_known = std::any_of(refused.begin(), refused.end(), [&](std::string_view path) {
      return matches(path) || (path.find('.') == std::string_view::npos &&
                               name.starts_with(environment_name(path) + "_"));
    });
    if (is_known) {
      problem("environment", name,
              fmt::format("found {}; allowed: leaving it out", kNotImplemented));
      continue;
    }
    std::vector<std::string> names;
    for (const Key& k : keys()) {
      const std::string candidate = environment_name(k.path);
      if (edit_distance(name.substr(0, 60), candidate) < 3) names.push_back(candidate);
    }
    problem("environment", name,
            names.empty() ? "found an unknown key; allowed: TRIBUTARY_SECTION_KEY of a key that "
                            "`tributary config schema` lists"
                          : unknown_key(name, names));
  }
  listeners_replaced_ = false;  // a list on the command line replaces this one again
}

void Loader::read_command_line(const std::vector<Assignment>& assignments) {
  for (const Assignment& assignment : assignments)
    assign(assignment.origin, assignment.key, assignment.value);
}

// --- what no single key can tell

void Loader::check_relations() {
  const auto where = [&](std::string_view a, std::string_view b) {
    const auto at = set_at_.contains(a) ? set_at_.find(a) : set_at_.find(b);
    return at == set_at_.end() ? std::string("defaults") : at->second;
  };
  if (config_.dns.min_ttl > config_.dns.max_ttl) {
    problem(
        where("dns.min_ttl", "dns.max_ttl"), "dns.min_ttl",
        fmt::format("found {}; allowed: at most dns.max_ttl, which is {}",
                    format_duration(config_.dns.min_ttl), format_duration(config_.dns.max_ttl)));
  }
  std::vector<std::string> addresses = {config_.admin.address};
  for (const ListenSection& listen : config_.listen) {
    const bool any_port = listen.address.ends_with(":0");
    if (!any_port &&
        std::find(addresses.begin(), addresses.end(), listen.address) != addresses.end()) {
      problem(where("listen.address", "admin.address"), "listen.address",
              fmt::format(
                  "found {} a second time; allowed: each address once, admin.address among them",
                  shown(listen.address)));
    }
    addresses.push_back(listen.address);
  }
}

std::string variable(const Environment& environment, std::string_view name) {
  for (const auto& [key, value] : environment) {
    if (key == name) return value;
  }
  return "";
}

void Loader::finish(const Environment& environment) {
  const std::string home = variable(environment, "HOME");
  for (const Key& key : keys()) {
    if (key.kind != Kind::Path) continue;
    const std::string path = std::get<std::string>(key.get(config_, 0));
    if (path.starts_with("~/") && !home.empty()) key.set(config_, 0, home + path.substr(1));
  }
  if (config_.cache.directory.empty())
    config_.cache.directory = default_cache_directory(environment);
  if (problems_.empty()) check_relations();
}

std::string read_whole(const std::string& path, std::string& error) {
  std::string text;
  const core::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char chunk[16 * 1024];
  ssize_t n = fd ? 1 : -1;
  while (n > 0) {
    n = ::read(fd.get(), chunk, sizeof chunk);
    if (n > 0) text.append(chunk, static_cast<size_t>(n));
  }
  if (n < 0) error = std::strerror(errno);
  return text;
}

}  // namespace

Loaded load(const Sources& sources) {
  Loaded loaded;
  Loader loader(loaded);
  if (!sources.file.empty()) {
    std::string error;
    const std::string text = read_whole(sources.file, error);
    if (error.empty())
      loader.read_text(text, sources.file);
    else
      loaded.problems.push_back(fmt::format("{}: cannot be read: {}", sources.file, error));
  }
  loader.read_environment(sources.environment);
  loader.read_command_line(sources.command_line);
  loader.finish(sources.environment);
  return loaded;
}

Loaded parse(std::string_view toml, std::string_view name) {
  Loaded loaded;
  Loader loader(loaded);
  loader.read_text(toml, name);
  loader.finish({});
  return loaded;
}

Environment environment_of(const char* const* environ) {
  Environment environment;
  for (; environ && *environ; ++environ) {
    const std::string_view entry = *environ;
    const size_t equals = entry.find('=');
    if (equals != std::string_view::npos)
      environment.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return environment;
}

std::string default_cache_directory(const Environment& environment) {
  // A relative XDG path is to be ignored (XDG Base Directory Specification).
  const std::string cache = variable(environment, "XDG_CACHE_HOME"),
                    home = variable(environment, "HOME");
  if (cache.starts_with('/')) return cache + "/tributary";
  if (home.starts_with('/') && home != "/") return home + "/.cache/tributary";
  return "/var/cache/tributary";
}

}  // namespace tributary::conf
