#include "main/get_command.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>

#include "core/fd.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/metrics.h"
#include "core/offload.h"
#include "fetch/batch.h"
#include "fetch/cookie_file.h"
#include "fetch/list_file.h"
#include "fetch/proxy_choice.h"
#include "fetch/visitor.h"
#include "main/get_console.h"
#include "main/get_metalink.h"
#include "main/start_up.h"
#include "main/private_file.h"
#include "net/resolver.h"
#include "net/socket.h"
#include "net/tls.h"
#include "upstream/client.h"

namespace tributary {
namespace {

using fetch::ExitStatus;

int refuse(ExitStatus status, const std::string& what) {
  std::fprintf(stderr, "tributary get: %s\n", what.c_str());
  return static_cast<int>(status);
}

// Nothing when it cannot be read; `is_missing`: because there is none.
std::optional<std::string> read_file(const std::string& path, bool* is_missing = nullptr) {
  std::stringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  errno = 0;
  std::ifstream file(path);
  if (is_missing) *is_missing = !file && errno == ENOENT;
  if (!file) return {};
  text << file.rdbuf();
  if (file.bad()) return {};
  return text.str();
}

bool read_list(const std::string& input, std::vector<std::string>& urls) {
  const std::optional<std::string> text = read_file(input);
  if (!text) return false;
  for (std::string& url : fetch::parse_list(*text)) urls.push_back(std::move(url));
  return true;
}

upstream::UpstreamSettings upstream_settings(const GetOptions& options) {
  upstream::UpstreamSettings settings;
  settings.max_connections_per_host = std::max(settings.max_connections_per_host, options.connections);
  upstream::Timeouts& timeouts = settings.timeouts;
  timeouts.dns = timeouts.connect = timeouts.tls = timeouts.first_byte = timeouts.read = timeouts.write = options.timeout;
  timeouts.acquire = core::Duration::zero();  // many files of one host wait for one another
  return settings;
}

upstream::AccelerateSettings accelerate_settings(const GetOptions& options) {
  upstream::AccelerateSettings settings;
  settings.enabled = options.connections > 1;
  settings.max_connections = options.connections;
  settings.max_connections_per_host = std::max(options.connections, settings.max_connections_per_host);
  settings.max_downloads = options.settings.downloads;
  return settings;
}

core::UnixTime unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// What the files of the command line say; 0, or the exit status.
int prepare(const GetOptions& options, fetch::Visitor& visitor) {
  if (!options.user.empty()) {
    core::Secret password;
    if (!options.password_file.empty()) {
      std::optional<std::string> text = read_file(options.password_file);
      if (!text) return refuse(ExitStatus::File, options.password_file + " cannot be read");
      password = core::Secret(std::string_view(*text).substr(0, text->find_first_of("\r\n")));
      explicit_bzero(text->data(), text->size());
    }
    visitor.set_user(options.user, std::move(password));
  }
  if (!options.netrc_file.empty()) {
    const std::optional<std::string> text = read_file(options.netrc_file);
    if (!text) return refuse(ExitStatus::File, options.netrc_file + " cannot be read");
    std::string why;
    std::optional<fetch::Netrc> netrc = fetch::Netrc::parse(*text, why);
    if (!netrc) return refuse(ExitStatus::Usage, options.netrc_file + ": " + why);
    visitor.set_netrc(std::move(*netrc));
  }
  for (const std::string* path : {&options.cookie_file, &options.hsts_file}) {
    if (path->empty()) continue;
    bool is_missing = false;
    const std::optional<std::string> text = read_file(*path, &is_missing);
    if (!text && !is_missing) return refuse(ExitStatus::File, *path + " cannot be read");
    if (!text) continue;
    if (path == &options.cookie_file) fetch::read_cookie_file(*text, unix_now(), visitor.cookies());
    if (path == &options.hsts_file) visitor.hsts().read(*text, unix_now());
  }
  return 0;
}

// 0, or the exit status.
int write_back(const GetOptions& options, fetch::Visitor& visitor) {
  int status = 0;
  if (!options.cookie_file.empty() && !write_private_file(options.cookie_file, fetch::write_cookie_file(visitor.cookies(), unix_now()))) {
    status = refuse(ExitStatus::File, options.cookie_file + " cannot be written");
  }
  if (!options.hsts_file.empty() && !write_private_file(options.hsts_file, visitor.hsts().write(unix_now()))) {
    status = refuse(ExitStatus::File, options.hsts_file + " cannot be written");
  }
  return status;
}

// The environment's proxies, unless the command line says otherwise; 0, or the exit status.
int choose_proxies(const GetOptions& options, fetch::ProxyChoice& proxies) {
  fetch::ProxyEnvironment environment = fetch::proxy_environment([](const char* name) { return std::getenv(name); });
  if (options.proxy) {
    std::string why;
    if (!options.proxy->empty() && !upstream::parse_route(*options.proxy, why)) return refuse(ExitStatus::Usage, "--proxy: " + why);
    environment = {*options.proxy, *options.proxy, "", environment.no_proxy};
  }
  if (options.no_proxy) environment.no_proxy = *options.no_proxy;
  proxies = fetch::ProxyChoice(std::move(environment));
  return 0;
}

// The parts, in the order in which they are needed.
class Run {
 public:
  Run(const GetOptions& options, const net::TlsClientContext& tls, fetch::Visitor& visitor, fetch::ProxyChoice& proxies, bool many)
      : upstream_settings_(upstream_settings(options)),
        accelerate_(accelerate_settings(options)),
        shared_(upstream_settings_, accelerate_),
        resolver_(loop_, offload_, registry_, net::ResolverSettings{}),
        client_(loop_, resolver_, &tls, shared_, upstream_settings_, registry_),
        console_(loop_, offload_, options, many),
        batch_(loop_, offload_, client_, accelerate_, options.settings, visitor, proxies, console_, core::Callback<void()>::to<&Run::on_done>(this)) {
    watch(interrupt_, SIGINT);
    watch(terminate_, SIGTERM);
    watch(hang_up_, SIGHUP);
  }

  int run(std::vector<fetch::Target> targets) {
    console_.start(batch_);
    batch_.start(std::move(targets));
    loop_.run();
    return signal_ ? 128 + signal_ : static_cast<int>(batch_.status());
  }

 private:
  // What whoever started us ignores (nohup, a shell's background) stays ignored.
  void watch(core::SignalWatcher& watcher, int signal) {
    struct sigaction now {};
    if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) return;
    watcher.start(signal, core::Callback<void(int)>::to<&Run::on_signal>(this));
  }

  void on_done() {
    console_.finish();
    loop_.stop();
  }

  void on_signal(int signal) {
    if (signal_) ::_exit(128 + signal);  // who asks twice does not want to wait for the disk
    signal_ = signal;
    console_.note("interrupted");
    batch_.stop();
  }

  core::Registry registry_;
  core::Loop loop_;
  const upstream::UpstreamSettings upstream_settings_;
  const upstream::AccelerateSettings accelerate_;
  upstream::Shared shared_;  // its blocks may live on in jobs
  core::OffloadPool offload_;
  net::Resolver resolver_;
  upstream::Client client_;
  GetConsole console_;
  fetch::Batch batch_;
  core::SignalWatcher interrupt_{loop_}, terminate_{loop_}, hang_up_{loop_};
  int signal_ = 0;
};

}  // namespace

int run_get(GetOptions options, std::string_view version) {
  if (!options.input.empty() && !read_list(options.input, options.urls)) {
    return refuse(ExitStatus::File, options.input + " cannot be read");
  }
  std::vector<fetch::Target> targets;
  for (const std::string& path : options.metalinks) {
    const std::optional<std::string> text = read_file(path);
    if (!text) return refuse(ExitStatus::File, path + " cannot be read");
    std::string why;
    if (!add_metalink(*text, targets, why)) return refuse(ExitStatus::Usage, path + ": " + why);
  }
  const size_t count = targets.size() + options.urls.size();
  if (std::string path; !make_folders(options.settings.directory, targets, path)) {
    return refuse(ExitStatus::File, path + " cannot be made");
  }
  if (count == 1 && !targets.empty() && !options.output.empty()) targets.front().output = options.output;
  if (count == 0) return refuse(ExitStatus::Usage, "there is no URL to get; see tributary get --help");
  if (!options.output.empty() && count > 1) {
    return refuse(ExitStatus::Usage, "-o names one file, but there are several URLs; -P names a directory for them");
  }
  if (!options.settings.digests.empty() && count > 1) {
    return refuse(ExitStatus::Usage, "--checksum is of one file, but there are several URLs");
  }
  if (!options.mirrors.empty() && (count > 1 || options.urls.empty())) {
    return refuse(ExitStatus::Usage, "--mirror-of is of one file, but there are several URLs");
  }
  for (std::string& mirror : options.mirrors) {
    if (fetch::take_login(mirror)) return refuse(ExitStatus::Usage, "credentials are for the URL alone, not for a --mirror-of it");
  }
  for (std::string& url : options.urls) {
    std::optional<fetch::Login> login = fetch::take_login(url);
    targets.push_back({.url = std::move(url), .output = options.output, .login = std::move(login), .mirrors = options.mirrors});
  }
  if (options.settings.user_agent.empty()) options.settings.user_agent = "tributary/" + std::string(version);

  net::ignore_sigpipe();
  ::signal(SIGXFSZ, SIG_IGN);  // a file at its limit (RLIMIT_FSIZE) is an errno
  core::log::set_level(core::log::Level::Off);  // what matters is told in the console's words
  raise_open_files(4096);
  std::string why;
  const auto tls = net::TlsClientContext::create({.verify = !options.insecure, .ca_file = options.ca_file}, &why);
  if (!tls) return refuse(ExitStatus::Tls, why);
  const bool many = targets.size() > 1;
  fetch::Visitor visitor(!options.insecure);
  if (const int status = prepare(options, visitor)) return status;
  fetch::ProxyChoice proxies;
  if (const int status = choose_proxies(options, proxies)) return status;
  const int status = Run(options, **tls, visitor, proxies, many).run(std::move(targets));
  return std::max(status, write_back(options, visitor));
}

}  // namespace tributary
