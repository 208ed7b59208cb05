#include "upstream/opening.h"

#include <random>
#include <utility>

#include "core/log.h"
#include "upstream/client_core.h"

namespace tributary::upstream {
namespace {

// Faults that may be over in a moment: a server that restarts, a route that flaps. Not names, policy or exhaustion.
bool is_worth_retrying(const core::Error& error) {
  return error.retry == core::Retry::Safe &&
         (error.code == core::ErrorCode::ConnectionRefused || error.code == core::ErrorCode::ConnectionReset ||
          error.code == core::ErrorCode::HostUnreachable || error.code == core::ErrorCode::NetworkIo);
}

}  // namespace

Opening::Opening(ClientCore& core, PoolHost& host, net::AddressFilter filter, unsigned tries_left)
    : core_(core),
      host_(host),
      origin_(host.origin),
      filter_(filter),
      tries_left_(tries_left),
      delay_(core.settings.retry_delay),
      connector_(core.loop, core.resolver),
      timer_(core.loop) {}

Opening::~Opening() = default;

core::Duration Opening::spread(core::Duration delay) const {
  std::uniform_int_distribution<core::Duration::rep> around(delay.count() / 2, delay.count() + delay.count() / 2);
  return core::Duration(around(core_.random));
}

std::optional<Opening::Outcome> Opening::start(Quota::Place place, Done done) {
  done_ = done;
  connection_ = std::make_unique<Connection>(core_.metrics, core_.settings.head_limits, std::move(place));
  const Route* route = origin_.route.get();
  if ((origin_.is_tls() || (route && route->kind == Route::Kind::Https)) && !core_.tls) {
    return fail({.code = core::ErrorCode::UnsupportedProtocol, .retry = core::Retry::Safe});
  }
  return connect();
}

std::optional<Opening::Outcome> Opening::connect() {
  net::ConnectSettings settings;
  settings.dns_timeout = core_.limit(core_.settings.timeouts.dns);
  settings.connect_timeout = core_.limit(core_.settings.timeouts.connect);
  settings.socket = core_.settings.socket;
  const auto done = net::Connector::Done::to<&Opening::on_connected>(this);
  std::optional<net::ConnectResult> at_once;
  if (const Route* route = origin_.route.get()) {
    // The filter is for destinations. Which proxy is used is the configuration's word, and what a name is there, the proxy's.
    const auto literal = net::IpAddress::parse(origin_.host);
    if (literal && filter_ && !filter_(net::SocketAddress(*literal, origin_.port))) {
      return fail({.code = core::ErrorCode::DestinationProhibited, .side = core::Side::Origin});
    }
    settings.side = core::Side::Parent;
    at_once = connector_.start(route->host, route->port, settings, {}, done);
  } else {
    at_once = connector_.start(origin_.host, origin_.port, settings, filter_, done);
  }
  if (!at_once) return {};
  return connected(std::move(*at_once));
}

std::optional<Opening::Outcome> Opening::connected(net::ConnectResult result) {
  if (!result) {
    if (tries_left_ == 0 || !is_worth_retrying(result.error()) || !host_.retries.spend()) return fail(result.error());
    --tries_left_;
    core_.metrics.connect_retries.add();
    timer_.start(spread(delay_), core::Callback<void()>::to<&Opening::on_retry>(this));
    delay_ *= 2;
    return {};
  }
  host_.retries.earn();
  const Route* route = origin_.route.get();
  std::unique_ptr<net::Stream> stream = std::make_unique<net::TcpStream>(
      core_.loop, std::move(result->fd), result->address, route ? core::Side::Parent : core::Side::Origin);
  if (!route || (route->kind == Route::Kind::Http && route->forwards_to(origin_))) return reached(std::move(stream));
  link_ = std::make_unique<ParentLink>(core_, origin_);
  link_->start(std::move(stream), ParentLink::Done::to<&Opening::on_linked>(this));
  return {};
}

void Opening::on_linked(ParentLink::Outcome linked) {
  link_.reset();
  if (!linked) return report(fail(linked.error()));
  report(reached(std::move(*linked)));
}

// `stream` leads to the origin.
std::optional<Opening::Outcome> Opening::reached(std::unique_ptr<net::Stream> stream) {
  if (!origin_.is_tls()) {
    core_.metrics.connects_http_ok.add();
    connection_->set_stream(std::move(stream), core_.loop.now());
    connection_->secured();
    return std::move(connection_);
  }
  auto secure = net::TlsStream::client(core_.loop, std::move(stream), *core_.tls, {origin_.host, origin_.port},
                                       &core_.sessions, core::Side::Origin);
  net::TlsStream& tls = *secure;
  connection_->set_stream(std::move(secure), core_.loop.now());
  connection_->securing();
  timer_.start(core_.limit(core_.settings.timeouts.tls), core::Callback<void()>::to<&Opening::on_tls_timeout>(this));
  tls.handshake(core::Callback<void(core::Result<void>)>::to<&Opening::on_handshake>(this));
  return {};
}

void Opening::on_connected(net::ConnectResult result) { report(connected(std::move(result))); }

void Opening::on_retry() { report(connect()); }

void Opening::on_handshake(core::Result<void> result) {
  timer_.stop();
  const auto& tls = static_cast<const net::TlsStream&>(connection_->stream());
  if (!result) {
    core_.metrics.tls_handshake_failures.with({"origin", std::string(core::error_name(result.error().code))}).add();
    core::log::info("upstream", "{}: TLS: {}", origin_.to_string(), tls.reason());
    return report(fail(result.error()));
  }
  core_.metrics.tls_handshakes
      .with({"origin", std::string(tls.version()), tls.is_resumed() ? "true" : "false"})
      .add();
  core_.metrics.connects_https_ok.add();
  connection_->secured();
  report(std::move(connection_));
}

void Opening::on_tls_timeout() {
  core_.metrics.tls_handshake_failures.with({"origin", "tls_timeout"}).add();
  report(fail({.code = core::ErrorCode::TlsTimeout, .side = core::Side::Origin, .retry = core::Retry::Safe}));
}

void Opening::report(std::optional<Outcome> outcome) {
  if (!outcome) return;
  const Done done = done_;
  done(std::move(*outcome));
}

Opening::Outcome Opening::fail(core::Error error) {
  connection_.reset();
  core_.metrics.connects
      .with({std::string(http::scheme_text(origin_.scheme)), std::string(core::error_name(error.code))})
      .add();
  return error;
}

}  // namespace tributary::upstream
