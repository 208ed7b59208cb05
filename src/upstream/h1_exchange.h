// H1Exchange: an Exchange over HTTP/1.1. Loop-affine.
//
//   Starting ─┬─► Waiting ─┐  (the quota is exhausted)
//             ├────────────┼─► Opening ─► AwaitingHead ─┬─► Content ─┬─► Complete
//             └────────────┴──────► ▲  ───────┘         ├────────────┘
//                    (kept connection) (it was stale)   └─► Switched
//   and from each of them but the last two to Failed.
//
// Everything is driven from the connection's readiness, one timer that is re-armed as the phases follow each other, and
// read(). Failures are reported from a Deferred, so that no step has to ask whether the exchange still exists; the
// head, which is on the hot path, is reported in place, as the last act of its step.
#pragma once

#include <memory>

#include "core/fsm.h"
#include "upstream/client_core.h"
#include "upstream/exchange.h"
#include "upstream/opening.h"
#include "upstream/upload.h"

namespace tributary::upstream {

enum class ExchangeState : uint8_t {
  Starting,
  Waiting,
  Opening,
  AwaitingHead,
  Content,
  Complete,
  Switched,
  Failed,
};
inline constexpr core::Edge<ExchangeState> kExchangeEdges[] = {
    {ExchangeState::Starting, ExchangeState::Waiting},
    {ExchangeState::Starting, ExchangeState::Opening},
    {ExchangeState::Starting, ExchangeState::AwaitingHead},  // on a kept connection
    {ExchangeState::Starting, ExchangeState::Failed},        // no room, and not to wait for it
    {ExchangeState::Waiting, ExchangeState::Opening},
    {ExchangeState::Waiting, ExchangeState::AwaitingHead},   // handed over by another exchange
    {ExchangeState::Waiting, ExchangeState::Failed},
    {ExchangeState::Opening, ExchangeState::AwaitingHead},
    {ExchangeState::Opening, ExchangeState::Failed},
    {ExchangeState::AwaitingHead, ExchangeState::Opening},   // the kept connection was stale
    {ExchangeState::AwaitingHead, ExchangeState::Content},
    {ExchangeState::AwaitingHead, ExchangeState::Complete},  // no content, or it came whole with the head
    {ExchangeState::AwaitingHead, ExchangeState::Switched},
    {ExchangeState::AwaitingHead, ExchangeState::Failed},
    {ExchangeState::Content, ExchangeState::Complete},
    {ExchangeState::Content, ExchangeState::Failed},
};

class H1Exchange final : public Exchange {
 public:
  H1Exchange(ClientCore& core, const ExchangeRequest& request, ExchangeHandler& handler);
  ~H1Exchange() override;

  void begin();  // once, right after construction

  http::ResponseHead& head() override { return head_; }
  const http::BodyFraming& framing() const override { return framing_; }
  SwitchedStream take_stream() override;
  void wind_down() override;
  const Timing& timing() const override { return timing_; }
  const net::SocketAddress& peer() const override { return peer_; }

  http::BodyRead read(http::BodyPart& part, uint64_t at_most) override;
  void set_ready(core::Callback<void()> ready) override { ready_ = ready; }
  std::optional<uint64_t> remaining() const override;
  const http::FieldSection* trailers() const override { return trailers_.get(); }
  core::Error error() const override { return error_; }

 private:
  // Full reads in a row before the loop's other work gets its turn.
  static constexpr int kReadBurst = 4;
  // Interim responses before the final one. RFC 9110, 15.2 sets no limit, and so an origin could keep us and the client
  // busy with nothing else.
  static constexpr int kMaxInterim = 32;
  enum class Pull : uint8_t { Part, More, End, Failed };

  void acquire();
  void on_acquired();
  void open(Quota::Place place);
  void on_opened(Opening::Outcome outcome);
  void use(ConnectionPtr connection, bool reused);
  void send();
  void on_body_ready() { send(); }
  void on_io(core::Interest ready);
  void read_head();
  void take_head(size_t offset, size_t size);
  void lose_connection(core::Error error);
  Pull pull();
  void complete();
  void on_timer();
  void arm(core::Duration after, core::ErrorCode code);
  void fail(core::Error error);
  void on_failed();
  void release_connection();
  core::Error origin_error(core::ErrorCode code) const;

  ClientCore& core_;
  ExchangeHandler* handler_;
  PoolHost& host_;
  net::AddressFilter filter_;
  core::Machine<ExchangeState> state_{ExchangeState::Starting, kExchangeEdges};
  http::Method method_;
  bool wait_for_room_;
  bool asks_to_close_;           // the request says Connection: close
  bool reused_ = false;
  bool retried_ = false;
  bool response_begun_ = false;
  bool keeps_alive_ = false;
  bool told_ = false;            // the handler has had its last call
  bool waiting_ = false;         // read() said Wait
  bool broken_write_ = false;
  int reads_left_ = 0;           // of this burst
  int interim_ = 0;              // responses before the final one
  core::ErrorCode timer_code_{};
  core::Error error_;
  core::TimePoint request_deadline_ = core::TimePoint::max();
  Timing timing_;
  net::SocketAddress peer_;
  ConnectionPtr connection_;
  std::unique_ptr<Pool::Waiter> waiter_;
  std::unique_ptr<Opening> opening_;
  Upload upload_;
  http::ResponseHead head_;
  http::BodyFraming framing_;
  uint64_t unread_ = 0;          // of content with a declared length: not handed out yet
  core::Slice pending_;          // read from the socket, not parsed yet
  core::Slice part_;             // content, not handed out yet
  std::unique_ptr<http::FieldSection> trailers_;
  core::Callback<void()> ready_;
  core::Timer timer_;
  core::Deferred deferred_;
  bool* destroyed_ = nullptr;    // set while a handler's call may destroy us and we go on
};

}  // namespace tributary::upstream
