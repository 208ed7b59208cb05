// HttpSession: a client's HTTP/1.1 or 1.0 connection: reads heads, serves one request after the other (pipelined ones in
// order), and knows when the connection may go on. What a request does is proxy/request.h's affair.
//
//        ┌──────────────── kept alive ────────────────┐
//        ▼                                            │
//   ┌─ Idle ──first byte──► Head ──complete──► Serving ─┬─► Finished ──► Closed (through a Farewell if it may still send)
//   │    └─────────complete in one read───────────▲     └─► Closed (client vanished, or handed on as a tunnel)
//   └──► Closed (idle timeout, client's end)
//
// An idle connection holds no buffer: bytes are parsed in the worker's scratch space, and only what is left over behind a
// request that cannot be answered at once is copied. While a request is served nothing is read but its content, on demand.
// Loop-affine.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "core/fsm.h"
#include "core/loop.h"
#include "core/slice.h"
#include "http/body.h"
#include "http/h1.h"
#include "net/stream.h"
#include "proxy/request.h"
#include "proxy/response_writer.h"
#include "proxy/session.h"

namespace tributary::proxy {

enum class HttpSessionState : uint8_t { Idle, Head, Serving, Finished, Closed };
inline constexpr core::Edge<HttpSessionState> kHttpSessionEdges[] = {
    {HttpSessionState::Idle, HttpSessionState::Head},
    {HttpSessionState::Idle, HttpSessionState::Serving},
    {HttpSessionState::Idle, HttpSessionState::Closed},
    {HttpSessionState::Head, HttpSessionState::Serving},
    {HttpSessionState::Head, HttpSessionState::Closed},
    {HttpSessionState::Serving, HttpSessionState::Finished},
    {HttpSessionState::Serving, HttpSessionState::Closed},
    {HttpSessionState::Finished, HttpSessionState::Idle},
    {HttpSessionState::Finished, HttpSessionState::Closed},
};

class HttpSession final : public Session {
 public:
  HttpSession(Worker& worker, std::unique_ptr<net::Stream> stream);
  ~HttpSession() override;

  // Begins with bytes that protocol detection has read already (valid during the call).
  void start(std::string_view first_bytes);
  void drain() override;

  // --- for the request being served ---

  Worker& worker() { return worker_; }
  http::RequestHead& head() { return parser_.request(); }
  const http::BodyFraming& framing() const { return parser_.framing(); }
  const net::SocketAddress& peer() const { return stream_->peer(); }
  ResponseWriter& writer() { return writer_; }

  // A string whose memory is kept from request to request, for the cache key.
  std::string take_key_buffer() { return std::move(key_buffer_); }
  void give_key_buffer(std::string buffer) { key_buffer_ = std::move(buffer); }

  // Whether the client can be kept after this request, as far as the connection knows; decides the Connection field.
  bool may_keep_alive() const;
  // The request's content: one source a request, owned by the caller, which must not outlive the session.
  std::unique_ptr<http::BodySource> take_content();

  // Sends the final response; exactly one of these a request. The session then finishes the request by itself, and tells
  // it through Request::on_sent. `close`: the connection ends with this response.
  void respond(std::string_view head, const core::Slice& content, bool close);
  void respond(std::string_view head, std::unique_ptr<http::BodySource> content, http::BodyFraming framing, bool close);
  // A 1xx, before the final response.
  void respond_interim(std::string_view head);
  // Hands the client's stream on (CONNECT, 101): the session is over. `unread` gets what was read behind the request.
  std::unique_ptr<net::Stream> release_stream(core::Slice& unread);

 private:
  class Content;

  bool send_continue();
  void ask_client();
  void on_ready(core::Interest ready);
  void on_readable();
  void on_content_ready();
  void on_deferred();
  void on_timeout();
  void process(std::string_view input);
  void serve(std::string_view& input);
  void refuse_head();
  void refuse_connection(const core::Error& error, uint16_t status, std::string_view step);
  void after(ResponseWriter::Progress progress);
  void watch_client();
  void finish();
  bool next_request();
  void enter_idle();
  void part(std::string last_words);
  // The second so that the client cannot take what it got for a whole response.
  void close(const core::Error& why = {.code = core::ErrorCode::ConnectionReset, .side = core::Side::Client});
  void abort(const core::Error& why);
  void own(std::string_view& input);
  void set_read_interest(bool on);

  std::unique_ptr<net::Stream> stream_;
  http::H1Parser parser_;
  ResponseWriter writer_;
  core::Machine<HttpSessionState> state_{HttpSessionState::Idle, kHttpSessionEdges};
  std::optional<Request> request_;
  core::Slice input_;           // read and not parsed yet
  Content* content_ = nullptr;  // of the request being served, while somebody reads it
  core::Timer timer_;
  core::Deferred deferred_;
  std::string key_buffer_;
  uint64_t requests_ = 0;
  bool content_complete_ = true;  // the request was read to its end
  bool close_after_ = false;
  bool client_ended_ = false;    // half-closed, or gone: no request beyond input_
  bool is_asking_ = false;       // which of the two: see ask_client()
  bool owes_continue_ = false;   // the client waits for a 100 (Continue)
  bool processing_ = false;
  bool released_ = false;        // idle: the parser's memory was given back, or will not be
};

}  // namespace tributary::proxy
