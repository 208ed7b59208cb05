// Logging. One facade; spdlog (asynchronous, never blocking the caller: when its queue is full the oldest line goes)
// stands behind it in log.cc. A line below the level costs one relaxed load.
//
//   log::warn("dns", "server {} did not answer within {} ms", server, ms);
//
// Any thread. The first argument is the component, a literal. Text from peers must be passed as an argument, never as the
// format; control characters in the finished line are escaped, so nobody can forge lines.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace tributary::core::log {

enum class Level : uint8_t { Trace, Debug, Info, Warn, Error, Fatal, Off };

struct Settings {
  Level level = Level::Info;
  std::string file;   // empty: standard error
  bool json = false;  // [log] format
};

// Before any thread logs; until then lines go to standard error, synchronously.
void start(const Settings& settings);
void stop();    // flushes and ends the logging thread
void reopen();  // SIGUSR1
void set_level(Level level);

extern std::atomic<Level> g_level;
inline bool enabled(Level level) { return level >= g_level.load(std::memory_order_relaxed); }
void write(Level level, std::string_view component, std::string_view line);

template <class... Args>
void at(Level level, std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(level)) write(level, component, fmt::format(format, std::forward<Args>(args)...));
}
#define TRIBUTARY_LOG_LEVEL(name, level)                                                              \
  template <class... Args>                                                                            \
  void name(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {         \
    at(level, component, format, std::forward<Args>(args)...);                                        \
  }
TRIBUTARY_LOG_LEVEL(trace, Level::Trace)
TRIBUTARY_LOG_LEVEL(debug, Level::Debug)
TRIBUTARY_LOG_LEVEL(info, Level::Info)
TRIBUTARY_LOG_LEVEL(warn, Level::Warn)
TRIBUTARY_LOG_LEVEL(error, Level::Error)
TRIBUTARY_LOG_LEVEL(fatal, Level::Fatal)
#undef TRIBUTARY_LOG_LEVEL

}  // namespace tributary::core::log
