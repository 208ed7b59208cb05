// The only file that knows spdlog.
#include "core/log.h"

#include <spdlog/async.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/details/file_helper.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <mutex>

namespace tributary::core::log {

std::atomic<Level> g_level{Level::Info};

namespace {

constexpr size_t kQueueLines = 8192;

// Appends to a file that log rotation may move away: reopen() makes the next line open the name anew.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(const std::string& name) { file_.open(name); }
  void reopen() { reopen_.store(true, std::memory_order_release); }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (reopen_.exchange(false, std::memory_order_acq_rel)) file_.reopen(false);
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    file_.write(line);
  }
  void flush_() override { file_.flush(); }

  spdlog::details::file_helper file_;
  std::atomic<bool> reopen_{false};
};

struct State {
  std::mutex mutex;  // start, stop, reopen; lines go through spdlog's queue
  Settings settings;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
  std::shared_ptr<FileSink> file;
};

State& state() {
  static State instance;
  return instance;
}
std::atomic<spdlog::async_logger*> g_logger{nullptr};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::Trace: return spdlog::level::trace;
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warn: return spdlog::level::warn;
    case Level::Error: return spdlog::level::err;
    case Level::Fatal: return spdlog::level::critical;
    case Level::Off: break;
  }
  return spdlog::level::off;
}

std::string_view level_name(Level level) {
  static constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "fatal", "off"};
  return kNames[static_cast<size_t>(level)];
}

// Control characters become \xNN (in JSON \u00NN), so that no peer can forge a line or a field.
void append_escaped(std::string& out, std::string_view text, bool json) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), fmt::runtime(json ? "\\u{:04x}" : "\\x{:02x}"), byte);
    } else if (json && (c == '"' || c == '\\')) {
      out += '\\';
      out += c;
    } else {
      out += c;
    }
  }
}

std::string render(Level level, std::string_view component, std::string_view line, bool json) {
  std::string out;
  out.reserve(line.size() + 64);
  if (json) {
    out += "\"level\":\"";
    out += level_name(level);
    out += "\",\"component\":\"";
    append_escaped(out, component, true);
    out += "\",\"message\":\"";
    append_escaped(out, line, true);
    out += '"';
  } else {
    fmt::format_to(std::back_inserter(out), "{:5} {}: ", level_name(level), component);
    append_escaped(out, line, false);
  }
  return out;
}

}  // namespace

void start(const Settings& settings) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  s.settings = settings;
  g_level.store(settings.level, std::memory_order_relaxed);
  s.pool = std::make_shared<spdlog::details::thread_pool>(kQueueLines, 1);
  spdlog::sink_ptr sink;
  if (settings.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = s.file = std::make_shared<FileSink>(settings.file);
  }
  sink->set_pattern(settings.json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z",%v})" : "%Y-%m-%d %H:%M:%S.%e %v");
  s.logger = std::make_shared<spdlog::async_logger>("tributary", std::move(sink), s.pool,
                                                    spdlog::async_overflow_policy::overrun_oldest);
  s.logger->set_level(spdlog::level::trace);
  s.logger->flush_on(spdlog::level::warn);
  g_logger.store(s.logger.get(), std::memory_order_release);
}

void stop() {
  State& s = state();
  std::lock_guard lock(s.mutex);
  g_logger.store(nullptr, std::memory_order_release);
  if (s.logger) s.logger->flush();
  s.pool.reset();  // joins, after the queue is empty; so that the logger's last owner is here
  s.logger.reset();
  s.file.reset();
}

void reopen() {
  State& s = state();
  std::lock_guard lock(s.mutex);
  if (s.file) s.file->reopen();
}

void set_level(Level level) { g_level.store(level, std::memory_order_relaxed); }

void write(Level level, std::string_view component, std::string_view line) {
  if (spdlog::async_logger* logger = g_logger.load(std::memory_order_acquire)) {
    logger->log(to_spdlog(level), render(level, component, line, state().settings.json));
    return;
  }
  std::string out = render(level, component, line, false);
  out += '\n';
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, out.data(), out.size());
}

}  // namespace tributary::core::log
