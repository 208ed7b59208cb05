#include "proxy/socks_session.h"

#include <utility>

#include "core/log.h"
#include "proxy/farewell.h"
#include "proxy/tunnel.h"
#include "proxy/worker.h"

namespace tributary::proxy {

using core::Interest;

SocksSession::SocksSession(Worker& worker, std::unique_ptr<net::Stream> stream, Protocols allowed, Protocol protocol)
    : Session(worker, protocol),
      stream_(std::move(stream)),
      deadline_(worker.loop()),
      handshake_({.allow_v4 = allowed.socks4, .allow_v5 = allowed.socks5}) {}

void SocksSession::start(std::string_view first) {
  stream_->watch(Interest::Read, core::Callback<void(Interest)>::to<&SocksSession::on_ready>(this));
  deadline_.start(worker_.settings().timeout.socks, core::Callback<void()>::to<&SocksSession::on_deadline>(this));
  consume(first);
}

void SocksSession::on_deadline() {
  worker_.metrics().rejected(RejectReason::Timeout);
  close();
}

void SocksSession::on_ready(Interest ready) {
  if (core::has(ready, Interest::Write)) return flush();
  char* const scratch = worker_.loop().scratch();
  const net::IoResult got = stream_->read(scratch, kReadSize);
  if (got.is_would_block()) return;
  if (!got.is_bytes()) return close();
  worker_.metrics().client_bytes_in(got.n);
  if (input_.empty()) return consume({scratch, got.n});
  std::string input = std::move(input_);
  input_.clear();
  input.append(scratch, got.n);
  consume(input);
}

// Takes the messages that are complete; keeps the rest. `input` does not lie in input_.
void SocksSession::consume(std::string_view input) {
  for (;;) {
    const socks::Step step = handshake_.advance(input);
    input.remove_prefix(step.consumed);
    switch (step.outcome) {
      case socks::Outcome::NeedMore:
        input_ = input;
        return;
      case socks::Outcome::Send:
        if (!send(step.reply)) return;
        if (unsent_.empty()) break;
        input_ = input;  // goes on when the reply is out
        return;
      case socks::Outcome::Login:  // is never offered: require_login is off
        return refuse(handshake_.login(false).view(), socks::Refusal::LoginRefused);
      case socks::Outcome::Ask:
        return ask(step.request, input);
      case socks::Outcome::Refuse:
        return refuse(step.reply, step.refusal);
    }
  }
}

void SocksSession::ask(const socks::Request& request, std::string_view early) {
  deadline_.stop();
  worker_
      .replace(*this, std::make_unique<Tunnel>(worker_, std::move(stream_),
                                               TunnelRequest{.protocol = protocol(),
                                                             .host = request.host(),
                                                             .port = request.port,
                                                             .handshake = handshake_}))
      .connect(early);
}

void SocksSession::refuse(std::string_view reply, socks::Refusal refusal) {
  core::log::debug("socks", "{}: refused: {}", stream_->peer().to_string(), socks::refusal_name(refusal));
  worker_.metrics().rejected(refusal == socks::Refusal::VersionNotAllowed ? RejectReason::Protocol
                                                                          : RejectReason::Malformed);
  deadline_.stop();
  unsent_ += reply;
  worker_
      .replace(*this, std::make_unique<Farewell>(worker_, protocol(), std::move(stream_), std::move(unsent_)))
      .start();
}

// False: the client is gone, and so are we.
bool SocksSession::send(std::string_view reply) {
  const net::IoResult result = stream_->write(reply);
  if (result.is_failed()) {
    close();
    return false;
  }
  worker_.metrics().client_bytes_out(result.n);
  unsent_ = reply.substr(result.n);
  if (!unsent_.empty()) stream_->set_interest(Interest::Write);
  return true;
}

void SocksSession::flush() {
  if (!send(std::exchange(unsent_, {})) || !unsent_.empty()) return;
  stream_->set_interest(Interest::Read);
  consume(std::exchange(input_, {}));
}

void SocksSession::close() {
  deadline_.stop();
  stream_->close();
  worker_.finished(*this);
}

}  // namespace tributary::proxy
