// Exchange: one request to an origin and its response. Loop-affine. Client::start makes it.
//
//   start ──► on_interim* ──► on_head ──► read() … End          the usual way
//     └──► on_failed             └──► take_stream()             after 101, or 2xx to CONNECT
//
// An exchange *is* the source of the response's content (http::BodySource), so it can be handed on as such. Destroying
// it, in any phase and also from inside any of its callbacks, cancels at once: what it waits for is dropped, its connection
// is closed, unless the response was read to its end; then the connection is back in the pool already.
//
// The response's content is read from the socket only when read() is called: who does not read holds the
// origin back. How many bytes a part has is the exchange's choice: small contents come in memory of their own size,
// bulk in blocks of up to 256 KiB that go from socket to consumer without a copy.
//
// Content that ends before its declared length is Failed with IncompleteMessage (S0-4.3). Bytes beyond the declared
// end are never part of it; the connection is closed.
#pragma once

#include <memory>

#include "core/error.h"
#include "core/time.h"
#include "http/body.h"
#include "http/message.h"
#include "net/connector.h"
#include "net/stream.h"
#include "upstream/origin.h"
#include "upstream/quota.h"

namespace tributary::upstream {

// None of these runs from inside Client::start; each may destroy the exchange.
class ExchangeHandler {
 public:
  // A 1xx other than 101. Valid during the call. 100 is among them; content that waited for it is then being sent.
  virtual void on_interim(const http::ResponseHead& head) { (void)head; }
  // The final head is in Exchange::head(). Nothing of the handler is called after this; what follows is seen in read().
  virtual void on_head() = 0;
  // No response. Nothing is called after this. Errors: those of net::Connector and the TLS handshake; AcquireTimeout,
  // LimitReached (ExchangeRequest::wait_for_room was false), FirstByteTimeout, WriteTimeout, RequestTimeout,
  // ConnectionReset, MalformedMessage, MessageTooLarge, IncompleteMessage; or the error of the request's body source.
  virtual void on_failed(core::Error error) = 0;

 protected:
  ~ExchangeHandler() = default;
};

// What Client::start needs to know.
struct ExchangeRequest {
  const Origin& origin;           // copied
  // Ready to send: target in origin-form (a proxy on the way gets absolute-form from us), Host there, hop-by-hop fields gone. Framing fields are the
  // exchange's: Content-Length and Transfer-Encoding are replaced by what `body` says. Serialised inside start().
  const http::RequestHead& head;
  // The content, in memory parts (no file parts); null: none. Must live as long as the exchange or until read to its
  // end. With remaining() known before the first read it is sent with Content-Length, else chunked, with its trailers.
  // With "Expect: 100-continue" in the head it is not read before 100 came, or Timeouts::expect passed.
  http::BodySource* body = nullptr;
  net::AddressFilter filter{};    // asked for every address that is about to be connected to
  // false: one request more than it needs to be (a piece of a split download). Fails with LimitReached instead of queueing
  // when the quota is exhausted; and when the origin refuses it (403, 429, 503), its connection is not kept: who
  // counts connections would go on refusing that one.
  bool wait_for_room = true;
};

// A connection that stopped speaking HTTP.
struct SwitchedStream {
  std::unique_ptr<net::Stream> stream;  // nothing is watched
  core::Slice initial;                  // bytes that came after the head already
  Quota::Place place;                   // hold it as long as the stream is open
};

class Exchange : public http::BodySource {
 public:
  struct Timing {
    core::TimePoint started, sent_from, head;  // zero while it has not happened; sent_from: a connection was there
    bool reused = false;                       // the request went out on a kept connection
  };

  // From on_head on; the owner may edit it or move it out.
  virtual http::ResponseHead& head() = 0;
  virtual const http::BodyFraming& framing() const = 0;
  // From on_head on, when framing().kind is Tunnel, once. The exchange has nothing left to do then.
  virtual SwitchedStream take_stream() = 0;
  // After on_head, of a response without need for more of the request: asks the origin to end it soon. What the origin has
  // sent already can still be read; then comes Failed with IncompleteMessage, or the response goes on as if nothing had
  // been asked. Its connection is not used again.
  virtual void wind_down() = 0;
  virtual const Timing& timing() const = 0;
  // Who it is connected to; is_none() before that.
  virtual const net::SocketAddress& peer() const = 0;
};

}  // namespace tributary::upstream
