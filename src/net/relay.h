// Relay: a tunnel's bytes, both ways between two streams, until both directions have ended. Loop-affine.
//
// Each direction is a machine of its own:
//
//              ┌──────────────── several full reads ───────────────┐
//              │                                                   ▼
//   ┌──► Copying ──sink full──► CopyBlocked          ┌──────► Splicing ──sink full──► SpliceBlocked
//   │     │   ▲──────drained─────┘ │                 │        │  │   ▲──────drained──────┘  │
//   │     │ source ended           │ source ended    │        │  └── idle or small: back to Copying
//   │     └────────► Finishing ◄───┘ (after draining)└────────┘
//   │                    └─► Ended
//
// Reading goes into the worker's scratch buffer and straight on; only what the sink did not take is kept, in a block
// of our own that is freed when drained, and reading pauses meanwhile: back-pressure end to end, and an idle tunnel holds
// no buffer. A bulk flow between plain sockets moves to splice() through a pooled pipe. One read and one write burst per
// event, so that flows share the loop. A direction that ends is passed on as a half-close (FIN, close_notify)
// while the other goes on. RFC 9110 9.3.6: what one side sent before it closed still reaches the other.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/fsm.h"
#include "core/loop.h"
#include "net/pipe_pool.h"
#include "net/stream.h"

namespace tributary::net {

enum class FlowState : uint8_t { Copying, CopyBlocked, Splicing, SpliceBlocked, Finishing, Ended };
inline constexpr core::Edge<FlowState> kFlowEdges[] = {
    {FlowState::Copying, FlowState::CopyBlocked},
    {FlowState::Copying, FlowState::Splicing},
    {FlowState::Copying, FlowState::Finishing},
    {FlowState::CopyBlocked, FlowState::Copying},
    {FlowState::CopyBlocked, FlowState::Ended},      // the sink failed
    {FlowState::Copying, FlowState::Ended},          // the sink failed
    {FlowState::Splicing, FlowState::Copying},       // small or idle: the pipe goes back
    {FlowState::Splicing, FlowState::SpliceBlocked},
    {FlowState::Splicing, FlowState::Finishing},
    {FlowState::Splicing, FlowState::Ended},
    {FlowState::SpliceBlocked, FlowState::Splicing},
    {FlowState::SpliceBlocked, FlowState::Ended},
    {FlowState::Finishing, FlowState::Ended},
};

struct RelayEnd {
  enum class Reason : uint8_t { Closed, Idle, ClientFailed, OriginFailed };
  Reason reason = Reason::Closed;
  core::Error error;            // of the failed ones
  uint64_t client_to_origin = 0;  // bytes
  uint64_t origin_to_client = 0;
};

class Relay {
 public:
  // The streams are the owner's and outlive the relay; it takes over their callbacks. They are not closed by it.
  Relay(core::Loop& loop, PipePool& pipes, Stream& client, Stream& origin);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // `idle`: ends when nothing moved in either direction for that long; zero: never. `from_client` and `from_origin` are
  // bytes that were read before (sent along with the CONNECT request, say); copied. At most scratch_size() of each.
  // `finished` runs once, later, as the last thing the relay does: it may be destroyed from inside it.
  void start(core::Duration idle, core::Callback<void(const RelayEnd&)> finished, std::string_view from_client = {},
             std::string_view from_origin = {});

  uint64_t client_to_origin() const { return up_.bytes; }
  uint64_t origin_to_client() const { return down_.bytes; }
  FlowState client_to_origin_state() const { return up_.state.get(); }
  FlowState origin_to_client_state() const { return down_.state.get(); }
  // Bytes of buffer held now (for metrics and tests).
  size_t buffered() const;

 private:
  struct Splice {
    Pipe pipe;
    size_t inside = 0;  // bytes in the pipe
  };
  struct Flow {
    Flow(Stream& from, Stream& to) : source(from), sink(to) {}
    Stream& source;
    Stream& sink;
    core::Machine<FlowState> state{FlowState::Copying, kFlowEdges};
    uint64_t bytes = 0;
    uint64_t bytes_at_tick = 0;
    std::unique_ptr<char[]> kept;  // what the sink did not take
    uint32_t kept_begin = 0, kept_end = 0;
    std::unique_ptr<Splice> splice;
    uint8_t streak = 0;  // consecutive full reads while copying, small ones while splicing
  };

  void on_client_ready(core::Interest ready);
  void on_origin_ready(core::Interest ready);
  void on_tick();
  void pump_in(Flow& flow);   // the source is readable
  void pump_out(Flow& flow);  // the sink is writable
  void copy_in(Flow& flow);
  void copy_out(Flow& flow);
  void splice_in(Flow& flow);
  void splice_out(Flow& flow);
  void keep(Flow& flow, std::string_view bytes);
  void try_splice(Flow& flow);
  void leave_splice(Flow& flow);
  void finish_flow(Flow& flow);
  void source_failed(Flow& flow, core::Error error);
  void sink_failed(Flow& flow, core::Error error);
  void moved(Flow& flow, size_t n);
  void settle();
  void end(RelayEnd::Reason reason, core::Error error);
  void arm_tick();

  core::Loop& loop_;
  PipePool& pipes_;
  Flow up_;    // client to origin
  Flow down_;  // origin to client
  core::Duration idle_{};
  core::TimePoint last_activity_;
  core::Callback<void(const RelayEnd&)> finished_;
  RelayEnd::Reason failure_ = RelayEnd::Reason::Closed;
  bool over_ = false;
  core::Error failure_error_;
  core::Timer tick_;  // the idle deadline, and while a pipe is held the look whether it is used
};
static_assert(sizeof(Relay) + 2 * sizeof(TcpStream) <= 700, "what an idle tunnel costs in this layer");

}  // namespace tributary::net
