#include "proxy/tunnel.h"

#include <algorithm>
#include <utility>

#include "core/log.h"
#include "proxy/error_page.h"
#include "proxy/error_table.h"
#include "proxy/farewell.h"
#include "proxy/worker.h"

namespace tributary::proxy {

using core::ErrorCode;
using core::Interest;

namespace {

TargetKind kind_of(Protocol protocol) {
  return protocol == Protocol::Connect ? TargetKind::Connect : TargetKind::Socks;
}

bool is_socks(Protocol protocol) { return protocol == Protocol::Socks4 || protocol == Protocol::Socks5; }

std::string_view step_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::NameNotFound:
    case ErrorCode::DnsFailure:
    case ErrorCode::DnsTimeout:
      return "looking up the name";
    case ErrorCode::Forbidden:
    case ErrorCode::DestinationProhibited:
      return "checking the destination";
    default:
      return "connecting";
  }
}

}  // namespace

struct Tunnel::Opening {
  Opening(Worker& worker, TunnelRequest asked)
      : request(std::move(asked)), connector(worker.loop(), worker.resolver()) {}

  TunnelRequest request;
  std::string early;
  net::Connector connector;
};

Tunnel::Tunnel(Worker& worker, std::unique_ptr<net::Stream> client, TunnelRequest request)
    : Session(worker, request.protocol),
      minor_(request.minor),
      client_(std::move(client)),
      target_(net::HostPort{request.host, request.port}.to_string()),
      began_(worker.loop().now()) {
  if (worker.access_log().enabled() && !request.user_agent.empty()) {
    user_agent_ = std::make_unique<const std::string>(std::move(request.user_agent));
  }
  opening_ = std::make_unique<Opening>(worker, std::move(request));
}

Tunnel::~Tunnel() {
  // The worker ends, or the drain's time is up.
  if (state_.is(TunnelState::Relaying)) {
    net::RelayEnd ended;
    ended.client_to_origin = relay_->client_to_origin();
    ended.origin_to_client = relay_->origin_to_client();
    count_end(ended);
  }
}

void Tunnel::connect(std::string_view early) {
  const TunnelRequest& request = opening_->request;
  std::string_view reason;
  if (const core::Result<void> allowed =
          worker_.access().check_target(request.host, request.port, kind_of(protocol()), &reason);
      !allowed) {
    return fail(allowed.error(), reason);
  }
  state_.become(TunnelState::Connecting);
  net::ConnectSettings settings;
  settings.dns_timeout = worker_.settings().timeout.dns;
  settings.connect_timeout = worker_.settings().timeout.connect;
  std::optional<net::ConnectResult> result =
      opening_->connector.start(request.host, request.port, settings, worker_.access().address_filter(),
                                net::Connector::Done::to<&Tunnel::on_connected>(this));
  if (result) return settle(*std::move(result), early);
  opening_->early = early;
  client_->watch(Interest::Read, core::Callback<void(Interest)>::to<&Tunnel::on_client_while_connecting>(this));
}

void Tunnel::on_connected(net::ConnectResult result) {
  const std::string early = std::move(opening_->early);
  settle(std::move(result), early);
}

void Tunnel::on_client_while_connecting(Interest) {
  const net::IoResult seen = client_->probe();
  if (seen.is_would_block()) return;
  // It speaks before the tunnel stands. That may wait in the kernel; we look no further, or we would spin.
  // The same for a client that has said all it will say and waits for the answer to it.
  if (seen.is_bytes() || (seen.is_end() && !opening_->early.empty())) {
    return client_->set_interest(Interest::None);
  }
  log(0, "client_vanished", 0, 0);
  end();
}

void Tunnel::settle(net::ConnectResult result, std::string_view early) {
  if (!result) return fail(result.error(), {});
  origin_ = std::make_unique<net::TcpStream>(worker_.loop(), std::move(result->fd), result->address, core::Side::Origin);
  establish(early);
}

// The answer goes out first, then what the client sent too early; whatever does not fit into the sockets' fresh
// buffers (hardly ever anything) is the relay's to send.
void Tunnel::establish(std::string_view early) {
  std::string answer;
  if (is_socks(protocol())) {
    // RFC 1928 6 wants BND.ADDR; for CONNECT nobody uses it, and asking the kernel for it is a system call.
    answer = opening_->request.handshake.established({}, 0).view();
  } else {
    answer = "HTTP/1.1 200 Connection established\r\nVia: 1.1 " + worker_.settings().pseudonym + "\r\n\r\n";
  }
  worker_.metrics().request(protocol(), http::Method::Connect, 200, CacheResult::Bypass, worker_.loop().now() - began_);

  std::string_view answer_left = answer;
  const net::IoResult told = client_->write(answer_left);
  if (told.is_failed()) {
    log(200, core::error_name(told.error.code), 0, 0);
    return end();
  }
  answer_left.remove_prefix(told.n);
  worker_.metrics().client_bytes_out(told.n);
  kept_answer_ = static_cast<uint16_t>(answer_left.size());
  if (!early.empty()) {
    const net::IoResult passed = origin_->write(early);  // a failure is seen by the relay again
    if (passed.is_bytes()) early_ = static_cast<uint32_t>(passed.n);
  }
  begin_relay(early.substr(early_), answer_left);
}

void Tunnel::relay(std::unique_ptr<net::Stream> origin, std::string_view from_client, std::string_view from_origin,
                   upstream::Quota::Place place) {
  place_ = std::move(place);
  origin_ = std::move(origin);
  begin_relay(from_client, from_origin);
}

void Tunnel::begin_relay(std::string_view from_client, std::string_view from_origin) {
  state_.become(TunnelState::Relaying);
  worker_.metrics().tunnels(protocol()).add();
  relay_.emplace(worker_.loop(), worker_.pipes(), *client_, *origin_);
  relay_->start(worker_.settings().timeout.tunnel_idle,
                core::Callback<void(const net::RelayEnd&)>::to<&Tunnel::on_relay_end>(this), from_client, from_origin);
  opening_.reset();
}

void Tunnel::fail(const core::Error& error, std::string_view reason) {
  const uint16_t status = error_status(error);
  Metrics& metrics = worker_.metrics();
  if (error.code == ErrorCode::Forbidden) metrics.rejected(RejectReason::Target);
  if (error.code == ErrorCode::DestinationProhibited) metrics.rejected(RejectReason::Address);
  metrics.request(protocol(), http::Method::Connect, status, CacheResult::Bypass, worker_.loop().now() - began_);

  std::string answer;
  if (is_socks(protocol())) {
    answer = opening_->request.handshake.failed(error).view();
  } else {
    answer = error_response({.error = error, .host = target_, .step = step_of(error.code), .detail = reason},
                            {.pseudonym = worker_.settings().pseudonym,
                             .date = worker_.date(),
                             .accept = opening_->request.accept,
                             .method = http::Method::Connect});
  }
  log(status, core::error_name(error.code), 0, answer.size());
  state_.become(TunnelState::Ended);
  opening_->connector.cancel();
  worker_.replace(*this, std::make_unique<Farewell>(worker_, protocol(), std::move(client_), std::move(answer))).start();
}

void Tunnel::on_relay_end(const net::RelayEnd& ended) {
  count_end(ended);
  // A reset must not reach the other side as a clean end: it could take what it got for the whole.
  if (ended.reason == net::RelayEnd::Reason::OriginFailed) client_->abort();
  if (ended.reason == net::RelayEnd::Reason::ClientFailed) origin_->abort();
  end();
}

void Tunnel::count_end(const net::RelayEnd& ended) {
  const uint64_t received = ended.client_to_origin + early_;
  // An answer that never left entirely was not the origin's.
  const uint64_t sent = ended.origin_to_client - std::min<uint64_t>(ended.origin_to_client, kept_answer_);
  worker_.metrics().tunnels(protocol()).sub();
  worker_.metrics().client_bytes_in(received);
  worker_.metrics().client_bytes_out(ended.origin_to_client);
  const bool failed = ended.reason == net::RelayEnd::Reason::OriginFailed ||
                      ended.reason == net::RelayEnd::Reason::ClientFailed;
  log(protocol() == Protocol::Http ? 101 : 200, failed ? core::error_name(ended.error.code) : "", received, sent);
}

void Tunnel::end() {
  state_.become(TunnelState::Ended);
  client_->close();
  if (origin_) origin_->close();
  if (opening_) opening_->connector.cancel();
  worker_.finished(*this);
}

void Tunnel::log(uint16_t status, std::string_view error, uint64_t received, uint64_t sent) {
  AccessLog& access_log = worker_.access_log();
  if (!access_log.enabled()) return;
  access_log.write({.client = &client_->peer(),
                    .protocol = protocol(),
                    .method = protocol() == Protocol::Http ? "UPGRADE" : "CONNECT",
                    .target = target_,
                    .minor = minor_,
                    .status = status,
                    .bytes_received = received,
                    .bytes_sent = sent,
                    .user_agent = user_agent_ ? std::string_view(*user_agent_) : std::string_view(),
                    .origin = std::string_view(target_).substr(0, target_.rfind(':')),
                    .error = error,
                    .duration = worker_.loop().now() - began_});
}

}  // namespace tributary::proxy
