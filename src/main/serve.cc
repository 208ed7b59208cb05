#include "main/serve.h"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "admin/server.h"
#include "conf/settings.h"
#include "conf/value.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/metrics.h"
#include "core/offload.h"
#include "main/cache_service.h"
#include "main/origin_file.h"
#include "main/start_up.h"
#include "net/socket.h"
#include "proxy/server.h"
#include "upstream/client.h"

namespace tributary {
namespace {

constexpr std::string_view kLog = "main";
constexpr core::Duration kAdminTimeout = std::chrono::seconds(10);

// Two descriptors a client: its own and one to the origin.
uint64_t files_wanted(const conf::Config& config) {
  return 2 * config.server.max_connections + 512;
}

// The system's words for why an address cannot be listened on.
std::string reason(const core::Error& error) {
  return error.sys ? std::strerror(error.sys) : core::describe(error);
}

class Process {
 public:
  Process(const conf::Config& config, std::string_view version)
      : config_(config), version_(version) {}
  ~Process();
  int run();

 private:
  bool start();
  bool open_log();
  bool open_listeners();
  bool open_parts();
  bool open_admin();
  void watch_signals();
  void announce() const;

  void on_terminate(int signal);
  void on_hang_up(int signal);
  void on_user(int signal);

  // What could not be done, and what to do about it, for whoever started us.
  bool refuse(std::string_view what, std::string_view advice = "") const {
    std::fprintf(stderr, "tributary: %s%s%s\n", std::string(what).c_str(),
                 advice.empty() ? "" : " ", std::string(advice).c_str());
    return false;
  }

  const conf::Config& config_;
  const std::string version_;
  std::string not_ready_ = "starting";
  uint64_t open_files_ = 0;

  // In the order in which they are needed: each outlives what stands below it.
  core::Registry registry_;
  std::optional<PidFile> pid_file_;
  core::Loop loop_{{.scratch_size = 64 * 1024}};
  const proxy::Settings proxy_settings_ = [this] {
    proxy::Settings settings = conf::proxy_settings(config_);
    settings.pseudonym = via_pseudonym();
    return settings;
  }();
  const upstream::UpstreamSettings upstream_settings_ = conf::upstream_settings(config_);
  const upstream::AccelerateSettings accelerate_settings_ = conf::accelerate_settings(config_);
  const net::ResolverSettings resolver_settings_ = conf::resolver_settings(config_);
  cache::PolicySettings policy_settings_ = conf::policy_settings(config_);
  std::optional<upstream::Shared> upstream_;  // its blocks may live on in the store and in jobs
  std::optional<core::OffloadPool> offload_;
  std::unique_ptr<cache::Store> store_;
  std::optional<OriginFile> origin_file_;
  std::unique_ptr<net::TlsClientContext> tls_;
  std::optional<proxy::Metrics> metrics_;
  std::unique_ptr<proxy::AccessLog> access_log_;
  std::optional<proxy::Listeners> listeners_;
  std::vector<net::SocketAddress> addresses_;      // of the clients' listeners, as bound
  std::vector<net::SocketAddress> own_addresses_;  // the admin's too: no client is led there
  std::optional<proxy::Access> access_;
  proxy::ClientCount clients_{proxy_settings_.max_connections};
  std::optional<CacheService> cache_service_;
  std::optional<proxy::Server> server_;
  std::optional<admin::Server> admin_;
  core::SignalWatcher terminate_{loop_}, interrupt_{loop_}, hang_up_{loop_}, user1_{loop_},
      user2_{loop_};
};

Process::~Process() {
  for (const net::SocketAddress& address : own_addresses_) {
    if (address.is_unix()) ::unlink(std::string(address.path()).c_str());
  }
}

int Process::run() {
  if (!start()) return 1;
  loop_.run();
  server_->join();
  origin_file_->save();
  core::log::info(kLog, "stopped");
  return 0;
}

bool Process::start() {
  if (!open_log()) return false;
  net::ignore_sigpipe();
  ::signal(SIGXFSZ, SIG_IGN);  // a file at its limit (RLIMIT_FSIZE) is an errno to the store, not our end
  open_files_ = raise_open_files(files_wanted(config_));
  if (!open_listeners() || !open_parts() || !open_admin()) return false;
  watch_signals();
  server_->start();
  not_ready_.clear();
  announce();
  return true;
}

bool Process::open_log() {
  try {
    core::log::start(conf::log_settings(config_));
    return true;
  } catch (const std::exception& error) {
    return refuse(fmt::format("log.file cannot be opened: {}.", error.what()));
  }
}

bool Process::open_listeners() {
  std::vector<proxy::ListenSpec> specs;
  for (const conf::ListenSection& listen : config_.listen) {
    const std::optional<net::ListenAddress> address = net::ListenAddress::parse(listen.address);
    if (!address) return refuse(fmt::format("{} is not an address to listen on.", listen.address));
    // SO_REUSEPORT would let us share the port with another tributary of the same user, unnoticed.
    if (const core::Result<void> unused = net::Listener::check_unused(*address); !unused) {
      return refuse(fmt::format("cannot listen on {}: {}.", listen.address, reason(unused.error())),
                    listen_advice(unused.error()));
    }
    specs.push_back({*address, conf::protocols(listen)});
  }
  std::string why;
  core::Result<proxy::Listeners> listeners =
      proxy::open_listeners(specs, conf::worker_count(config_), &why);
  if (!listeners)
    return refuse(fmt::format("cannot listen on {}.", why), listen_advice(listeners.error()));
  own_addresses_ = addresses_ = listeners->addresses;
  listeners_ = std::move(*listeners);
  return true;
}

bool Process::open_parts() {
  offload_.emplace(conf::offload_settings(config_));
  registry_.gauge_callback("tributary_offload_queue_depth",
                           "Jobs that wait for a thread of the offload pool",
                           [this] { return static_cast<double>(offload_->queue_depth()); });
  upstream_.emplace(upstream_settings_, accelerate_settings_);
  std::string why;
  store_ = cache::Store::open(conf::store_settings(config_), *offload_, registry_, why);
  if (!store_) {
    return refuse(fmt::format("the cache cannot be opened: {}.", why),
                  "Choose another place with --cache-dir, or none with --set cache.enabled=false.");
  }
  origin_file_.emplace(loop_, *offload_, upstream_->origins, store_->enabled() ? config_.cache.directory : "");
  policy_settings_.max_object = store_->max_object();
  core::Result<std::unique_ptr<net::TlsClientContext>> tls =
      net::TlsClientContext::create(conf::tls_client_settings(config_), &why);
  if (!tls)
    return refuse(fmt::format("TLS towards origins cannot be set up: {}.", why),
                  "See [upstream.tls].");
  tls_ = std::move(*tls);
  core::Result<std::unique_ptr<proxy::AccessLog>> access_log =
      proxy::AccessLog::open(conf::access_log_settings(config_), &why);
  if (!access_log) return refuse(fmt::format("log.access_file cannot be opened: {}.", why));
  access_log_ = std::move(*access_log);
  pid_file_.emplace(config_.server.pid_file);
  if (!pid_file_->problem().empty()) {
    return refuse(fmt::format("server.pid_file {} cannot be written: {}.", config_.server.pid_file,
                              pid_file_->problem()));
  }
  metrics_.emplace(registry_, version_);
  return true;
}

bool Process::open_admin() {
  if (config_.admin.enabled()) {
    cache_service_.emplace(loop_, *offload_, *store_, CacheFacts{config_.cache.directory, policy_settings_},
                           [this]() -> core::Result<core::Fd> {
                             if (!not_ready_.empty()) return core::Error{.code = core::ErrorCode::ShuttingDown};
                             return server_->connect();
                           });
    admin_.emplace(loop_, admin::Settings{version_, {host_name()}, kAdminTimeout, conf::admin_clients(config_)},
                   admin::Sources{registry_, [this] { return not_ready_; }, &*cache_service_});
    const std::optional<net::ListenAddress> address =
        net::ListenAddress::parse(config_.admin.address);
    const core::Result<void> started =
        address ? admin_->start(*address)
                : core::Result<void>(core::Error{.code = core::ErrorCode::InvalidArgument});
    if (!started) {
      return refuse(fmt::format("cannot listen on {} for admin: {}.", config_.admin.address,
                                reason(started.error())),
                    listen_advice(started.error()));
    }
    own_addresses_.push_back(admin_->address());
  }
  access_.emplace(conf::access_settings(config_), own_addresses_);
  server_.emplace(proxy::Shared{proxy_settings_, *access_, *store_, policy_settings_, *upstream_,
                                upstream_settings_, accelerate_settings_, resolver_settings_, *tls_,
                                *offload_, registry_, *metrics_, *access_log_, clients_},
                  std::move(*listeners_), [this] { loop_.stop(); });
  return true;
}

// What a client on this machine dials to reach an address that we listen on.
std::string dialled(const net::SocketAddress& address) {
  if (!address.is_ip() || net::classify(address.ip()) != net::AddressClass::Unspecified)
    return address.to_string();
  return fmt::format("127.0.0.1:{}", address.port());
}

void Process::announce() const {
  std::string line = fmt::format("tributary {} listens on", version_);
  std::string hint;
  for (const net::SocketAddress& address : addresses_) {
    line += ' ' + address.to_string();
    if (hint.empty() && address.is_ip())
      hint = fmt::format("; try: export http_proxy=http://{0} https_proxy=http://{0}",
                         dialled(address));
  }
  line += admin_ ? fmt::format(", admin on {}", admin_->address().to_string()) : ", no admin";
  line += store_->enabled() ? fmt::format(", cache {} ({})", config_.cache.directory,
                                          conf::format_size(config_.cache.size))
                            : ", no cache";
  line += fmt::format(", {} worker{}", server_->workers(), server_->workers() == 1 ? "" : "s");
  std::printf("%s%s\n", line.c_str(), hint.c_str());
  std::fflush(stdout);
  if (open_files_ < files_wanted(config_)) {
    core::log::warn(kLog,
                    "only {} files may be open: about {} clients at a time, not {}; raise `ulimit "
                    "-Hn` or lower "
                    "server.max_connections",
                    open_files_, open_files_ / 2, config_.server.max_connections);
  }
}

void Process::watch_signals() {
  const auto terminate = core::Callback<void(int)>::to<&Process::on_terminate>(this);
  const auto user = core::Callback<void(int)>::to<&Process::on_user>(this);
  terminate_.start(SIGTERM, terminate);
  interrupt_.start(SIGINT, terminate);
  hang_up_.start(SIGHUP, core::Callback<void(int)>::to<&Process::on_hang_up>(this));
  user1_.start(SIGUSR1, user);
  user2_.start(SIGUSR2, user);
}

void Process::on_terminate(int) {
  const bool is_first = not_ready_.empty();
  not_ready_ = "draining";
  if (!is_first || config_.server.drain_timeout == core::Duration::zero()) {
    core::log::info(kLog, "stopping at once");
    return server_->stop();
  }
  core::log::info(kLog, "draining for at most {}; a second signal stops at once",
                  conf::format_duration(config_.server.drain_timeout));
  server_->drain(config_.server.drain_timeout);
}

void Process::on_hang_up(int) {
  core::log::warn(kLog, "HUP: this version cannot read its configuration again; restart it");
}

void Process::on_user(int signal) {
  if (signal == SIGUSR2) {
    return core::log::warn(
        kLog, "USR2: this version cannot hand its sockets to a new program; restart it");
  }
  core::log::reopen();
  access_log_->reopen();
  core::log::info(kLog, "logs opened again");
}

}  // namespace

int serve(const conf::Config& config, std::string_view version) {
  int status = 0;
  {
    Process process(config, version);
    status = process.run();
  }
  core::log::stop();
  return status;
}

}  // namespace tributary
