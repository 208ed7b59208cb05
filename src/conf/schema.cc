#include "conf/schema.h"

#include <fmt/core.h>

#include "conf/keys.h"

namespace tributary::conf {
namespace {

// "# " lines of at most 100 columns.
std::string as_comment(std::string_view text) {
  constexpr size_t kWidth = 98;
  std::string result;
  while (!text.empty()) {
    size_t end = text.size();
    if (end > kWidth) end = text.rfind(' ', kWidth);
    if (end == std::string_view::npos) end = text.size();
    result += fmt::format("# {}\n", text.substr(0, end));
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return result;
}

std::string line_of(const Key& key, const Config& config, size_t index) {
  return fmt::format("{} = {}\n", key.name(), format_value(key, key.get(config, index)));
}

}  // namespace

std::string to_toml(const Config& config) {
  std::string text;
  for (const Section& section : sections()) {
    const bool is_array = section.name == "listen";
    for (size_t i = 0; i < (is_array ? config.listen.size() : 1); ++i) {
      if (!text.empty()) text += '\n';
      text += fmt::format(fmt::runtime(is_array ? "[[{}]]\n" : "[{}]\n"), section.name);
      for (const Key& key : keys()) {
        if (key.section() == section.name) text += line_of(key, config, i);
      }
    }
  }
  return text;
}

std::string documented_toml() {
  const Config defaults;
  std::string text = as_comment(
      "tributary: every key of the configuration with its default. What follows \"#\" without a "
      "space is a setting: take "
      "the \"#\" away to change it.");
  text += "#\n";
  text += as_comment(
      "Precedence: built-in default < this file < environment (TRIBUTARY_CACHE_SIZE for "
      "cache.size) < command line (--set "
      "cache.size=20GiB). An unknown key or a value that is not allowed stops the start. "
      "`tributary config check` "
      "tells without starting, `tributary config show` prints what is in force.");
  for (const Section& section : sections()) {
    text += "\n" + as_comment(section.help);
    text +=
        fmt::format(fmt::runtime(section.name == "listen" ? "[[{}]]\n" : "[{}]\n"), section.name);
    for (const Key& key : keys()) {
      if (key.section() != section.name) continue;
      text += "\n" + as_comment(key.help);
      text += as_comment(fmt::format("Allowed: {}.", allowed(key)));
      text += "#" + line_of(key, defaults, 0);
    }
  }
  return text;
}

}  // namespace tributary::conf
