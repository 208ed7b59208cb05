#include "upstream/parent_link.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "core/log.h"
#include "upstream/client_core.h"

namespace tributary::upstream {

using core::ErrorCode;
using State = ParentLinkState;

namespace {

void append_connect(const Route& route, const Origin& origin, std::string& out) {
  const std::string authority = net::HostPort{origin.host, origin.port}.to_string();
  out.append("CONNECT ").append(authority).append(" HTTP/1.1\r\nHost: ").append(authority).append("\r\n");
  const core::Secret credentials = route.authorization();
  if (!credentials.empty()) out.append("Proxy-Authorization: ").append(credentials.view()).append("\r\n");
  out.append("\r\n");
}

}  // namespace

ParentLink::ParentLink(ClientCore& core, const Origin& origin)
    : core_(core),
      origin_(origin),
      route_(*origin.route),
      parser_(http::H1Parser::Kind::Response, core.settings.head_limits),
      socks_(origin.host, origin.port, {route_.user, route_.password.view(), route_.has_credentials}),
      timer_(core.loop) {}

void ParentLink::start(std::unique_ptr<net::Stream> stream, Done done) {
  done_ = done;
  stream_ = std::move(stream);
  if (route_.kind != Route::Kind::Https) return ask();
  state_.become(State::Securing);
  auto secure = net::TlsStream::client(core_.loop, std::move(stream_), *core_.tls, {route_.host, route_.port},
                                       &core_.sessions, core::Side::Parent);
  net::TlsStream& tls = *secure;
  stream_ = std::move(secure);
  timer_.start(core_.limit(core_.settings.timeouts.tls), core::Callback<void()>::to<&ParentLink::on_timeout>(this));
  tls.handshake(core::Callback<void(core::Result<void>)>::to<&ParentLink::on_handshake>(this));
}

void ParentLink::on_handshake(core::Result<void> result) {
  timer_.stop();
  const auto& tls = static_cast<const net::TlsStream&>(*stream_);
  if (!result) {
    core_.metrics.tls_handshake_failures.with({"parent", std::string(core::error_name(result.error().code))}).add();
    core::log::info("upstream", "{}: TLS: {}", route_.to_string(), tls.reason());
    return fail(result.error());
  }
  core_.metrics.tls_handshakes.with({"parent", std::string(tls.version()), tls.is_resumed() ? "true" : "false"}).add();
  route_.forwards_to(origin_) ? finish() : ask();
}

void ParentLink::ask() {
  state_.become(State::Asking);
  if (route_.kind == Route::Kind::Socks5) {
    socks_.start(out_);
  } else {
    append_connect(route_, origin_, out_);
    parser_.expect_response_to(http::Method::Connect);
  }
  // The proxy looks the name up and connects on our behalf.
  const Timeouts& timeouts = core_.settings.timeouts;
  timer_.start(core_.limit(timeouts.dns) + core_.limit(timeouts.connect),
               core::Callback<void()>::to<&ParentLink::on_timeout>(this));
  stream_->watch(core::Interest::Write, core::Callback<void(core::Interest)>::to<&ParentLink::on_ready>(this));
}

void ParentLink::on_ready(core::Interest) {
  if (!out_.empty()) {
    const net::IoResult sent = stream_->write(out_);
    if (sent.is_failed()) return fail(sent.error);
    if (!sent.is_bytes()) return;
    if (sent.n == out_.size()) {
      explicit_bzero(out_.data(), out_.size());
      stream_->set_interest(core::Interest::Read);
    }
    out_.erase(0, sent.n);
    return;
  }
  char buffer[4096];
  const net::IoResult got = stream_->read(buffer, sizeof buffer);
  if (got.is_failed()) return fail(got.error);
  if (got.is_end()) return fail(parent_error(ErrorCode::ConnectionReset));
  if (!got.is_bytes()) return;
  const std::string_view input(buffer, got.n);
  route_.kind == Route::Kind::Socks5 ? take_socks(input) : take_connect(input);
}

// The origin does not speak before it is spoken to (a TLS server, an HTTP server): bytes behind the proxy's last word
// are nobody's.
void ParentLink::take_connect(std::string_view input) {
  for (;;) {
    switch (parser_.next(input)) {
      case http::H1Parser::Event::NeedMore: return;
      case http::H1Parser::Event::Head: break;
      default: return fail(parent_error(ErrorCode::MalformedMessage));
    }
    const uint16_t status = parser_.response().status;
    if (status < 200) {
      if (++interim_ > kMaxInterim) return fail(parent_error(ErrorCode::MalformedMessage));
      continue;
    }
    if (status < 300) return input.empty() ? finish() : fail(parent_error(ErrorCode::MalformedMessage));
    if (status == 407) return fail(parent_error(ErrorCode::ParentCredentials));
    core::log::info("upstream", "{}: CONNECT {}: {}", route_.to_string(), origin_.to_string(), status);
    return fail(parent_refusal(status));
  }
}

void ParentLink::take_socks(std::string_view input) {
  in_ += input;
  for (;;) {
    const socks::ClientHandshake::Step step = socks_.advance(in_, out_);
    in_.erase(0, step.consumed);
    using Told = socks::ClientHandshake::Outcome;
    switch (step.outcome) {
      case Told::NeedMore: return;
      case Told::Send: stream_->set_interest(core::Interest::Write); break;
      case Told::Done: return in_.empty() ? finish() : fail(parent_error(ErrorCode::MalformedMessage));
      case Told::Failed: return fail(step.error);
    }
    if (in_.empty()) return;
  }
}

void ParentLink::on_timeout() {
  if (!state_.is(State::Securing)) return fail(parent_error(ErrorCode::ConnectTimeout));
  core_.metrics.tls_handshake_failures.with({"parent", "tls_timeout"}).add();
  fail(parent_error(ErrorCode::TlsTimeout));
}

void ParentLink::finish() {
  state_.become(State::Over);
  timer_.stop();
  stream_->set_interest(core::Interest::None);
  const Done done = done_;
  done(std::move(stream_));
}

void ParentLink::fail(core::Error error) {
  if (error.retry == core::Retry::IfIdempotent) error.retry = core::Retry::Safe;  // the origin has heard nothing of it
  explicit_bzero(out_.data(), out_.size());
  state_.become(State::Over);
  timer_.stop();
  stream_.reset();
  const Done done = done_;
  done(Outcome(error));
}

core::Error ParentLink::parent_error(ErrorCode code) const {
  return {.code = code, .side = core::Side::Parent, .retry = core::Retry::Safe};
}

}  // namespace tributary::upstream
