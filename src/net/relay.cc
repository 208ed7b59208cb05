#include "net/relay.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tributary::net {
namespace {

using core::Interest;

// Measured: splice loses to copying below about 32 KiB a message and wins clearly from 64 KiB.
constexpr size_t kBulkRead = 64 * 1024;
constexpr size_t kSmallSplice = 32 * 1024;
constexpr int kBulkStreak = 4;
constexpr int kSmallStreak = 8;
constexpr core::Duration kPipeCheck = std::chrono::seconds(1);

bool is_blocked(FlowState state) {
  return state == FlowState::CopyBlocked || state == FlowState::SpliceBlocked || state == FlowState::Finishing;
}
bool is_reading(FlowState state) { return state == FlowState::Copying || state == FlowState::Splicing; }

}  // namespace

Relay::Relay(core::Loop& loop, PipePool& pipes, Stream& client, Stream& origin)
    : loop_(loop), pipes_(pipes), up_(client, origin), down_(origin, client), tick_(loop) {}

Relay::~Relay() {
  for (Flow* flow : {&up_, &down_}) {
    flow->source.set_interest(Interest::None);  // nobody to call any more
    if (flow->splice) pipes_.give_back(std::move(flow->splice->pipe), flow->splice->inside == 0);
  }
}

void Relay::start(core::Duration idle, core::Callback<void(const RelayEnd&)> finished, std::string_view from_client,
                  std::string_view from_origin) {
  idle_ = idle;
  finished_ = finished;
  last_activity_ = loop_.now();
  keep(up_, from_client);
  keep(down_, from_origin);
  up_.source.watch(Interest::None, core::Callback<void(Interest)>::to<&Relay::on_client_ready>(this));
  down_.source.watch(Interest::None, core::Callback<void(Interest)>::to<&Relay::on_origin_ready>(this));
  settle();
  arm_tick();
}

void Relay::on_client_ready(Interest ready) {
  if (core::has(ready, Interest::Write)) pump_out(down_);
  if (core::has(ready, Interest::Read)) pump_in(up_);
  settle();
}

void Relay::on_origin_ready(Interest ready) {
  if (core::has(ready, Interest::Write)) pump_out(up_);
  if (core::has(ready, Interest::Read)) pump_in(down_);
  settle();
}

void Relay::pump_in(Flow& flow) {
  if (flow.state.is(FlowState::Copying)) return copy_in(flow);
  if (flow.state.is(FlowState::Splicing)) return splice_in(flow);
}

void Relay::pump_out(Flow& flow) {
  if (flow.state.is(FlowState::CopyBlocked)) return copy_out(flow);
  if (flow.state.is(FlowState::SpliceBlocked)) return splice_out(flow);
  if (flow.state.is(FlowState::Finishing)) return finish_flow(flow);
}

void Relay::moved(Flow& flow, size_t n) {
  flow.bytes += n;
  last_activity_ = loop_.now();
}

void Relay::copy_in(Flow& flow) {
  const IoResult got = flow.source.read(loop_.scratch(), loop_.scratch_size());
  if (got.is_would_block()) return;
  if (got.is_end()) {
    flow.state.become(FlowState::Finishing);
    return finish_flow(flow);
  }
  if (!got.is_bytes()) return source_failed(flow, got.error);
  const IoResult sent = flow.sink.write({loop_.scratch(), got.n});
  if (sent.is_failed()) return sink_failed(flow, sent.error);
  moved(flow, sent.n);
  if (sent.n < got.n) keep(flow, {loop_.scratch() + sent.n, got.n - sent.n});
  if (got.n < kBulkRead) {
    flow.streak = 0;
  } else if (++flow.streak >= kBulkStreak) {
    try_splice(flow);
  }
}

void Relay::copy_out(Flow& flow) {
  const IoResult sent = flow.sink.write({flow.kept.get() + flow.kept_begin, flow.kept_end - flow.kept_begin});
  if (sent.is_would_block()) return;
  if (!sent.is_bytes()) return sink_failed(flow, sent.error);
  moved(flow, sent.n);
  flow.kept_begin += static_cast<uint32_t>(sent.n);
  if (flow.kept_begin < flow.kept_end) return;
  flow.kept.reset();
  flow.kept_begin = flow.kept_end = 0;
  flow.state.become(FlowState::Copying);
}

void Relay::keep(Flow& flow, std::string_view bytes) {
  if (bytes.empty()) return;
  flow.kept.reset(new char[bytes.size()]);
  std::memcpy(flow.kept.get(), bytes.data(), bytes.size());
  flow.kept_begin = 0;
  flow.kept_end = static_cast<uint32_t>(bytes.size());
  flow.state.become(FlowState::CopyBlocked);
}

void Relay::try_splice(Flow& flow) {
  flow.streak = 0;
  if (!flow.state.is(FlowState::Copying) || flow.source.plain_fd() < 0 || flow.sink.plain_fd() < 0) return;
  Pipe pipe = pipes_.take();
  if (!pipe) return;
  flow.splice = std::make_unique<Splice>();
  flow.splice->pipe = std::move(pipe);
  flow.bytes_at_tick = flow.bytes;
  flow.state.become(FlowState::Splicing);
  arm_tick();
}

void Relay::leave_splice(Flow& flow) {
  pipes_.give_back(std::move(flow.splice->pipe), flow.splice->inside == 0);
  flow.splice.reset();
  flow.streak = 0;
}

void Relay::splice_in(Flow& flow) {
  Splice& splice = *flow.splice;
  const ssize_t n = ::splice(flow.source.plain_fd(), nullptr, splice.pipe.write_end.get(), nullptr,
                             splice.pipe.capacity, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    const int sys = errno;
    leave_splice(flow);
    if (sys == EINVAL) {  // a socket that cannot be spliced: copying can
      flow.state.become(FlowState::Copying);
      return;
    }
    return source_failed(flow, core::error_from_errno(sys, core::Side::Us, core::Retry::IfIdempotent));
  }
  if (n == 0) {
    leave_splice(flow);
    flow.state.become(FlowState::Finishing);
    return finish_flow(flow);
  }
  splice.inside = static_cast<size_t>(n);
  flow.streak = static_cast<size_t>(n) < kSmallSplice ? static_cast<uint8_t>(flow.streak + 1) : uint8_t{0};
  splice_out(flow);
}

void Relay::splice_out(Flow& flow) {
  Splice& splice = *flow.splice;
  const ssize_t n = ::splice(splice.pipe.read_end.get(), nullptr, flow.sink.plain_fd(), nullptr, splice.inside,
                             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n < 0 && errno != EAGAIN && errno != EINTR) {
    return sink_failed(flow, core::error_from_errno(errno, core::Side::Us, core::Retry::IfIdempotent));
  }
  if (n > 0) {
    splice.inside -= static_cast<size_t>(n);
    moved(flow, static_cast<size_t>(n));
  }
  if (splice.inside > 0) {
    if (flow.state.is(FlowState::Splicing)) flow.state.become(FlowState::SpliceBlocked);
    return;
  }
  if (flow.state.is(FlowState::SpliceBlocked)) flow.state.become(FlowState::Splicing);
  if (flow.streak >= kSmallStreak) {
    leave_splice(flow);
    flow.state.become(FlowState::Copying);
  }
}

// The source has ended and everything it sent is on its way: pass the end on.
void Relay::finish_flow(Flow& flow) {
  const IoResult ended = flow.sink.shutdown_write();
  if (ended.is_would_block()) return;
  if (ended.is_failed()) return sink_failed(flow, ended.error);
  flow.state.become(FlowState::Ended);
}

// A reset discards what was under way: there is nothing to go on with in either direction.
void Relay::source_failed(Flow& flow, core::Error error) {
  failure_ = &flow == &up_ ? RelayEnd::Reason::ClientFailed : RelayEnd::Reason::OriginFailed;
  failure_error_ = error;
  failure_error_.side = &flow == &up_ ? core::Side::Client : core::Side::Origin;
  over_ = true;
}

// Who no longer takes bytes may have sent some before: the other direction goes on until it ends by itself.
void Relay::sink_failed(Flow& flow, core::Error error) {
  if (failure_ == RelayEnd::Reason::Closed) {
    failure_ = &flow == &up_ ? RelayEnd::Reason::OriginFailed : RelayEnd::Reason::ClientFailed;
    failure_error_ = error;
    failure_error_.side = &flow == &up_ ? core::Side::Origin : core::Side::Client;
  }
  if (flow.splice) leave_splice(flow);
  flow.kept.reset();
  flow.kept_begin = flow.kept_end = 0;
  flow.state.become(FlowState::Ended);
}

void Relay::settle() {
  if (up_.state.is(FlowState::Ended) && down_.state.is(FlowState::Ended)) over_ = true;
  if (over_) return end(failure_, failure_error_);
  for (Flow* in : {&up_, &down_}) {
    const Flow& out = in == &up_ ? down_ : up_;
    in->source.set_interest((is_reading(in->state.get()) ? Interest::Read : Interest::None) |
                            (is_blocked(out.state.get()) ? Interest::Write : Interest::None));
  }
}

void Relay::end(RelayEnd::Reason reason, core::Error error) {
  tick_.stop();
  up_.source.set_interest(Interest::None);
  down_.source.set_interest(Interest::None);
  const RelayEnd result{reason, error, up_.bytes, down_.bytes};
  const auto finished = finished_;
  finished(result);
}

void Relay::arm_tick() {
  core::TimePoint due = core::TimePoint::max();
  if (idle_ > core::Duration::zero()) due = last_activity_ + idle_;
  if (up_.splice || down_.splice) due = std::min(due, loop_.now() + kPipeCheck);
  if (due != core::TimePoint::max()) tick_.start_at(due, core::Callback<void()>::to<&Relay::on_tick>(this));
}

void Relay::on_tick() {
  if (idle_ > core::Duration::zero() && loop_.now() - last_activity_ >= idle_) return end(RelayEnd::Reason::Idle, {});
  for (Flow* flow : {&up_, &down_}) {
    if (!flow->splice) continue;
    if (flow->state.is(FlowState::Splicing) && flow->bytes == flow->bytes_at_tick) {
      leave_splice(*flow);
      flow->state.become(FlowState::Copying);
    }
    flow->bytes_at_tick = flow->bytes;
  }
  arm_tick();
}

size_t Relay::buffered() const {
  size_t total = 0;
  for (const Flow* flow : {&up_, &down_}) {
    total += flow->kept_end - flow->kept_begin + (flow->splice ? flow->splice->inside : 0);
  }
  return total;
}

}  // namespace tributary::net
