#include "main/cache_command.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "conf/settings.h"
#include "conf/value.h"
#include "core/log.h"
#include "core/loop.h"
#include "main/cache_target.h"
#include "net/socket.h"

namespace tributary {
namespace {

using admin::CacheCommand;
using admin::Response;
using Json = nlohmann::json;
using Kind = CacheCommand::Kind;
using Problem = CacheTarget::Problem;

constexpr int kDone = 0, kNotAll = 1, kUsage = 2, kDirectory = 3, kNoProxy = 4;

// "17.3 MiB", for people.
std::string bytes_text(uint64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (value /= 1024; value >= 1024 && unit + 1 < std::size(kUnits); value /= 1024) ++unit;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

// What came from elsewhere may hold anything; a terminal gets no control characters of it.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}
std::string text_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? printable(found->get<std::string>()) : std::string();
}
uint64_t number_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number() ? found->get<uint64_t>() : 0;
}
int64_t signed_of(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number() ? found->get<int64_t>() : 0;
}

class Command {
 public:
  Command(const CacheOptions& options, const conf::Config& config)
      : options_(options), target_(loop_, target_settings(options, config)) {}

  int run() {
    const auto stop = core::Callback<void(int)>::to<&Command::on_signal>(this);
    interrupt_.start(SIGINT, stop);
    terminate_.start(SIGTERM, stop);
    if (const Problem problem = target_.open(); problem != Problem::None) return report(problem);
    switch (options_.action) {
      case CacheAction::Stat: return stat();
      case CacheAction::List: return list();
      case CacheAction::Show: return show();
      case CacheAction::Purge: return purge();
      case CacheAction::Verify: return verify();
      case CacheAction::Warm: return warm();
    }
    return kUsage;
  }
  // The signal that ended us, or that a closed pipe stands for; 0: none.
  int signal() const { return is_pipe_ ? SIGPIPE : signal_; }

 private:
  static CacheTarget::Settings target_settings(const CacheOptions& options, const conf::Config& config) {
    CacheTarget::Settings settings;
    settings.store = conf::store_settings(config);
    settings.policy = conf::policy_settings(config);
    settings.directory_only = options.directory_given;
    const auto address = config.admin.enabled() ? net::ListenAddress::parse(config.admin.address) : std::nullopt;
    if (address) settings.admin = address->address;
    return settings;
  }

  void on_signal(int signal) {
    signal_ = signal;
    interrupted_ = true;
  }

  int report(Problem problem) {
    if (problem == Problem::Interrupted) return kNotAll;
    std::fprintf(stderr, "tributary: %s\n", target_.why().c_str());
    return problem == Problem::Directory ? kDirectory : kNoProxy;
  }

  // A line of output. False: it cannot be written, to a pipe because nobody reads it any more.
  bool put(const std::string& line) {
    return written(closed_ || (std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fputc('\n', stdout) != EOF));
  }
  bool flush() { return written(closed_ || std::fflush(stdout) == 0); }
  bool written(bool ok) {
    if (ok) return !closed_;
    closed_ = true;
    is_pipe_ = errno == EPIPE;
    if (!is_pipe_) std::fprintf(stderr, "tributary: standard output: %s\n", std::strerror(errno));
    return false;
  }

  // Runs it and reads the answer; the exit status when it is no document of ours.
  std::optional<int> ask(const CacheCommand& command, Json& document, bool may_be_absent = false) {
    Response response;
    if (const Problem problem = target_.run(command, interrupted_, response); problem != Problem::None) return report(problem);
    return read(response, document, may_be_absent);
  }
  std::optional<int> read(const Response& response, Json& document, bool may_be_absent) {
    document = Json::parse(response.content, nullptr, false);
    const bool is_ours = document.is_object() && (response.status == 200 || (may_be_absent && document.contains("stored")));
    if (is_ours) return std::nullopt;
    const std::string detail = document.is_object() ? text_of(document, "detail") : std::string();
    std::fprintf(stderr, "tributary: %s\n",
                 detail.empty() ? fmt::format("the proxy answered with status {}", response.status).c_str() : detail.c_str());
    return response.status == 400 ? kUsage : kNotAll;
  }

  int stat();
  int list();
  int show();
  int purge();
  int verify();
  int warm();

  const CacheOptions& options_;
  core::Loop loop_;
  core::SignalWatcher interrupt_{loop_}, terminate_{loop_};
  bool interrupted_ = false;
  bool closed_ = false;   // standard output took no more
  bool is_pipe_ = false;  // and was a pipe
  int signal_ = 0;
  CacheTarget target_;
};

int Command::stat() {
  Json document;
  if (const auto status = ask({.kind = Kind::Summary}, document)) return *status;
  if (options_.json) return put(document.dump()) && flush() ? kDone : kNotAll;
  const auto bytes = [&](const char* name) { return bytes_text(number_of(document, name)); };
  put("directory  " + text_of(document, "directory"));
  put(fmt::format("objects    {}", number_of(document, "objects")));
  put(fmt::format("stored     {} of {}", bytes("bytes"), bytes("size_bytes")));
  put("disk       " + bytes("disk_bytes"));
  put("memory     " + bytes("memory_bytes"));
  put(fmt::format("filling    {}", number_of(document, "fills")));
  return flush() ? kDone : kNotAll;
}

int Command::list() {
  CacheCommand command = options_.command;
  command.kind = Kind::List;
  uint64_t left = options_.limit == 0 ? UINT64_MAX : options_.limit;
  while (left > 0) {
    command.limit = static_cast<size_t>(std::min<uint64_t>(left, CacheCommand::kMostListed));
    Json page;
    if (const auto status = ask(command, page)) return *status;
    for (const Json& object : page["objects"]) {
      --left;
      if (options_.json) {
        if (!put(object.dump())) return kNotAll;
        continue;
      }
      const int64_t ttl = signed_of(object, "ttl");
      std::string line = fmt::format("{:>3}  {:>10}  {:>10}  {}", number_of(object, "status"), bytes_text(number_of(object, "length")),
                                     ttl > 0 ? fmt::format("{} s", ttl) : std::string("expired"), text_of(object, "url"));
      if (const std::string variant = text_of(object, "variant"); !variant.empty()) line += "  [" + variant + "]";
      if (!put(line)) return kNotAll;
    }
    if (!flush()) return kNotAll;
    if (!page["cursor"].is_string()) break;
    command.cursor = page["cursor"].get<std::string>();
  }
  return kDone;
}

int Command::show() {
  CacheCommand command = options_.command;
  command.kind = Kind::Show;
  Json document;
  if (const auto status = ask(command, document, true)) return *status;
  const bool is_stored = document.value("stored", false);
  if (options_.json) {
    put(document.dump());
    return flush() && is_stored ? kDone : kNotAll;
  }
  put(text_of(document, "url"));
  const auto explain = [&](const Json& of) {
    for (const Json& line : of.value("explanation", Json::array())) {
      if (line.is_string()) put("  " + printable(line.get<std::string>()));
    }
  };
  explain(document);
  const Json variants = document.value("variants", Json::array());
  for (size_t i = 0; i < variants.size(); ++i) {
    if (variants.size() > 1) put(fmt::format("variant {} of {}", i + 1, variants.size()));
    explain(variants[i]);
  }
  return flush() && is_stored ? kDone : kNotAll;
}

int Command::purge() {
  CacheCommand command = options_.command;
  command.kind = Kind::Purge;
  Json document;
  if (const auto status = ask(command, document)) return *status;
  const uint64_t objects = number_of(document, "objects");
  put(options_.json ? document.dump() : fmt::format("{} stored response{} purged", objects, objects == 1 ? "" : "s"));
  return flush() ? kDone : kNotAll;
}

int Command::verify() {
  CacheCommand command;
  command.kind = Kind::Verify;
  uint64_t objects = 0, bytes = 0, damaged = 0;
  const core::TimePoint began = core::Clock::now();
  for (bool more = true; more;) {
    Json document;
    if (const auto status = ask(command, document)) return *status;
    objects += number_of(document, "objects");
    bytes += number_of(document, "bytes");
    for (const Json& damage : document["damaged"]) {
      ++damaged;
      const std::string url = text_of(damage, "url");
      put(options_.json ? damage.dump() : fmt::format("damaged  {}: {}", url.empty() ? "(unknown)" : url, text_of(damage, "what")));
    }
    if (!flush()) return kNotAll;
    more = document["cursor"].is_string();
    if (!more) break;
    command.cursor = document["cursor"].get<std::string>();
    // Not faster than it was asked for; signals end the wait.
    while (options_.rate > 0 && !interrupted_) {
      const auto due = began + std::chrono::milliseconds(bytes * 1000 / options_.rate);
      const auto now = core::Clock::now();
      if (now >= due) break;
      loop_.run_once(std::min<core::Duration>(due - now, std::chrono::seconds(1)));
    }
  }
  put(options_.json ? Json{{"objects", objects}, {"bytes", bytes}, {"damaged", damaged}}.dump()
                    : fmt::format("{} stored responses, {}: {} damaged{}", objects, bytes_text(bytes), damaged,
                                  damaged ? ", and dropped" : ""));
  return flush() && damaged == 0 ? kDone : kNotAll;
}

// URLs of the command line, then those of the file, one at a time: it may be endless.
class UrlList {
 public:
  UrlList(const std::vector<std::string>& urls, const std::string& input) : urls_(urls) {
    if (input == "-") {
      stream_ = &std::cin;
    } else if (!input.empty()) {
      file_.open(input);
      stream_ = &file_;
      if (!file_) why_ = fmt::format("{}: {}", input, std::strerror(errno));
    }
  }
  const std::string& why() const { return why_; }
  bool next(std::string& url) {
    if (at_ < urls_.size()) {
      url = urls_[at_++];
      return true;
    }
    while (stream_ && std::getline(*stream_, url)) {
      const size_t first = url.find_first_not_of(" \t\r"), last = url.find_last_not_of(" \t\r");
      if (first == std::string::npos || url[first] == '#') continue;
      url = url.substr(first, last - first + 1);
      return true;
    }
    return false;
  }

 private:
  const std::vector<std::string>& urls_;
  size_t at_ = 0;
  std::ifstream file_;
  std::istream* stream_ = nullptr;
  std::string why_;
};

int Command::warm() {
  if (!target_.is_remote()) {
    std::fprintf(stderr, "tributary: no proxy answers: warming goes through a running one\n");
    return kNoProxy;
  }
  UrlList list(options_.urls, options_.input);
  if (!list.why().empty()) {
    std::fprintf(stderr, "tributary: %s\n", list.why().c_str());
    return kUsage;
  }
  std::vector<std::unique_ptr<AdminExchange>> running;
  uint64_t fetched = 0, present = 0, not_stored = 0, failed = 0, bytes = 0;
  std::string why;
  const auto take = [&](const AdminExchange& exchange) {
    if (exchange.outcome() != AdminExchange::Outcome::Answered) {
      why = exchange.why();
      return;
    }
    Json document;
    if (read(exchange.response(), document, false)) {
      ++failed;
      return;
    }
    for (const Json& result : document["results"]) {
      const std::string cache = text_of(result, "cache_status"), error = text_of(result, "error");
      const bool hit = cache.find("; hit") != std::string::npos;
      const bool stored = cache.find("; stored") != std::string::npos || cache.find("; collapsed") != std::string::npos ||
                          cache.find("fwd-status=304") != std::string::npos;
      const bool ok = result.value("ok", false);
      bytes += number_of(result, "bytes");
      ++(!ok ? failed : hit ? present : stored ? fetched : not_stored);
      const std::string what = !ok ? "failed" : hit ? "present" : stored ? "stored" : "not stored";
      if (options_.json) {
        put(result.dump());
        continue;
      }
      const uint64_t status = number_of(result, "status");
      put(fmt::format("{:<10}  {:>3}  {:>10}  {}{}", what, status ? std::to_string(status) : "-",
                      bytes_text(number_of(result, "bytes")), text_of(result, "url"), error.empty() ? "" : ": " + error));
    }
  };
  bool more = true;
  for (std::string url; !interrupted_ && why.empty() && !closed_;) {
    while (more && running.size() < options_.jobs) {
      more = list.next(url);
      if (!more) break;
      CacheCommand command = options_.command;
      command.kind = Kind::Warm;
      command.urls = {url};
      running.push_back(std::make_unique<AdminExchange>(loop_, target_.admin(), request_for(command), std::chrono::hours(24)));
    }
    if (running.empty()) break;
    loop_.run_once(std::chrono::seconds(1));
    for (const auto& exchange : running) {
      if (exchange->is_over()) take(*exchange);
    }
    std::erase_if(running, [](const auto& exchange) { return exchange->is_over(); });
    flush();
  }
  if (!why.empty()) {
    std::fprintf(stderr, "tributary: the proxy: %s\n", why.c_str());
    return kNoProxy;
  }
  if (!options_.json) {
    put(fmt::format("{} stored ({}), {} present already, {} not stored, {} failed", fetched, bytes_text(bytes), present,
                    not_stored, failed));
  }
  return flush() && !interrupted_ && failed == 0 ? kDone : kNotAll;
}

}  // namespace

int run_cache(const CacheOptions& options, const conf::Config& config) {
  net::ignore_sigpipe();
  core::log::set_level(core::log::Level::Error);
  int status = kDone, signal = 0;
  {
    Command command(options, config);
    status = command.run();
    signal = command.signal();
  }
  // Everything is in order again: end as the signal would have ended us, for who looks at how we ended.
  if (signal != 0) {
    ::signal(signal, SIG_DFL);
    ::raise(signal);
  }
  return status;
}

}  // namespace tributary
