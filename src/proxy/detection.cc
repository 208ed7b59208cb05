#include "proxy/detection.h"

#include <utility>

#include "core/log.h"
#include "proxy/error_page.h"
#include "proxy/farewell.h"
#include "proxy/http_session.h"
#include "proxy/socks_session.h"
#include "proxy/worker.h"

namespace tributary::proxy {
namespace {

using namespace std::string_view_literals;

using core::Interest;

// The first read takes whole requests, not just the byte that decides.
constexpr size_t kReadSize = 64 * 1024;

// Puts the session that `bytes` ask for in the place of `old`; of a fresh connection when that is null.
template <class T>
T& install(Worker& worker, Session* old, std::unique_ptr<T> session) {
  return old ? worker.replace(*old, std::move(session)) : worker.adopt(std::move(session));
}

void drop(Worker& worker, Session* old, net::Stream& stream, std::string_view why) {
  core::log::debug("proxy", "{}: closed: {}", stream.peer().to_string(), why);
  worker.metrics().connection_detected(Protocol::Unknown);
  worker.metrics().rejected(RejectReason::Protocol);
  stream.close();
  if (old) worker.finished(*old);
}

void hand_over(Worker& worker, Session* old, std::unique_ptr<net::Stream> stream, Protocols allowed,
               std::string_view bytes) {
  worker.metrics().client_bytes_in(bytes.size());
  const FirstBytes found = detect(bytes);
  switch (found) {
    case FirstBytes::Socks4:
    case FirstBytes::Socks5: {
      const bool is_v5 = found == FirstBytes::Socks5;
      if (!(is_v5 ? allowed.socks5 : allowed.socks4)) return drop(worker, old, *stream, "SOCKS is not spoken here");
      const Protocol protocol = is_v5 ? Protocol::Socks5 : Protocol::Socks4;
      worker.metrics().connection_detected(protocol);
      install(worker, old, std::make_unique<SocksSession>(worker, std::move(stream), allowed, protocol)).start(bytes);
      return;
    }
    case FirstBytes::Tls:
      return drop(worker, old, *stream, "a TLS hello; this listener speaks plain HTTP and SOCKS");
    case FirstBytes::ProxyProtocol:
      return drop(worker, old, *stream, "a PROXY protocol header, which is not expected here");
    case FirstBytes::Http:
      break;
  }
  if (allowed.http) {
    install(worker, old, std::make_unique<HttpSession>(worker, std::move(stream))).start(bytes);
    return;
  }
  worker.metrics().connection_detected(Protocol::Http);
  worker.metrics().rejected(RejectReason::Protocol);
  std::string words = error_response(
      {.error = {.code = core::ErrorCode::Forbidden, .side = core::Side::Client}, .detail = "this port speaks SOCKS only"},
      {.pseudonym = worker.settings().pseudonym, .date = worker.date()});
  install(worker, old, std::make_unique<Farewell>(worker, Protocol::Http, std::move(stream), std::move(words))).start();
}

}  // namespace

FirstBytes detect(std::string_view bytes) {
  // TLS: a handshake record of version 3.x (RFC 8446, 5.1). No HTTP method begins with a control character.
  switch (bytes.front()) {
    case 0x04: return FirstBytes::Socks4;
    case 0x05: return FirstBytes::Socks5;
    case 0x16: return FirstBytes::Tls;
    default: break;
  }
  const bool is_proxy = bytes.starts_with("PROXY ") || bytes.starts_with("\r\n\r\n\0\r\nQUIT\n"sv);
  return is_proxy ? FirstBytes::ProxyProtocol : FirstBytes::Http;
}

void Detection::begin(Worker& worker, std::unique_ptr<net::Stream> stream, Protocols allowed) {
  char* const scratch = worker.loop().scratch();
  const net::IoResult got = stream->read(scratch, kReadSize);
  if (got.is_bytes()) return hand_over(worker, nullptr, std::move(stream), allowed, {scratch, got.n});
  if (got.is_would_block()) worker.adopt(std::make_unique<Detection>(worker, std::move(stream), allowed));
  // Otherwise it was gone before it said anything.
}

Detection::Detection(Worker& worker, std::unique_ptr<net::Stream> stream, Protocols allowed)
    : Session(worker), stream_(std::move(stream)), allowed_(allowed), deadline_(worker.loop()) {
  stream_->watch(Interest::Read, core::Callback<void(Interest)>::to<&Detection::on_ready>(this));
  deadline_.start(worker.settings().timeout.header, core::Callback<void()>::to<&Detection::on_deadline>(this));
}

void Detection::on_ready(Interest) {
  char* const scratch = worker_.loop().scratch();
  const net::IoResult got = stream_->read(scratch, kReadSize);
  if (got.is_would_block()) return;
  deadline_.stop();
  if (got.is_bytes()) return hand_over(worker_, this, std::move(stream_), allowed_, {scratch, got.n});
  close();
}

void Detection::on_deadline() {
  worker_.metrics().rejected(RejectReason::Timeout);
  close();
}

void Detection::drain() { close(); }

void Detection::close() {
  deadline_.stop();
  stream_->close();
  worker_.finished(*this);
}

}  // namespace tributary::proxy
