// Reads the configuration: built-in defaults < file < environment < command line.
//
// Every key comes from the one table in conf/keys.h. Whatever is wrong is reported, up to
// kMaxProblems at once, each as
//   FILE:LINE: KEY: found WHAT; allowed: WHAT
// with `environment NAME` or the option in place of FILE:LINE for the other sources. Start-up code:
// it reads files and blocks; no state is kept, so it may run on any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/config.h"

namespace tributary::conf {

inline constexpr size_t kMaxProblems = 20;

// One key set from outside the file. `origin` is what the user wrote, for messages: "--cache-size",
// "--set".
struct Assignment {
  std::string key, value, origin;
};

struct Sources {
  std::string file;  // empty: no file
  std::vector<std::pair<std::string, std::string>>
      environment;  // all of it; TRIBUTARY_* and what finds the cache directory
  std::vector<Assignment> command_line;  // in order; the last one wins; see `listen` below
};

struct Loaded {
  Config config;                      // of use only when there are no problems
  std::vector<std::string> problems;  // one line each, in the order of the sources and their lines
  bool ok() const { return problems.empty(); }
};

// `listen.address` from the environment or the command line replaces all listeners of the file by
// the given addresses (comma-separated; several assignments of the command line add up);
// `listen.protocols` then applies to every listener.
Loaded load(const Sources& sources);

// The file part alone, over the defaults; `name` stands for the file in messages.
Loaded parse(std::string_view toml, std::string_view name);

std::vector<std::pair<std::string, std::string>> environment_of(const char* const* environ);

// Where the cache lives when cache.directory is empty: $XDG_CACHE_HOME/tributary,
// ~/.cache/tributary, or /var/cache/tributary where there is no home.
std::string default_cache_directory(
    const std::vector<std::pair<std::string, std::string>>& environment);

}  // namespace tributary::conf
