#include "upstream/h1_exchange.h"

#include <algorithm>
#include <utility>

namespace tributary::upstream {

using core::ErrorCode;
using State = ExchangeState;

namespace {

bool is_refusal(uint16_t status) {
  return status == 403 || status == 429 || status == 503;
}

}  // namespace

H1Exchange::H1Exchange(ClientCore& core, const ExchangeRequest& request, ExchangeHandler& handler)
    : core_(core),
      handler_(&handler),
      host_(core.pool.host(request.origin)),
      filter_(request.filter),
      method_(request.head.method),
      wait_for_room_(request.wait_for_room),
      asks_to_close_(!http::keeps_alive(request.head)),
      upload_(request.origin.route && request.origin.route->forwards_to(request.origin)
                  ? Upload(request.origin.route->forwarded(request.head, request.origin), request.body, std::move(core.spare_wire))
                  : Upload(request.head, request.body, std::move(core.spare_wire))),
      timer_(core.loop),
      deferred_(core.loop) {
  ++host_.users;
  ++core_.exchanges;
  timing_.started = core_.loop.now();
  const core::Duration limit = core_.settings.timeouts.request;
  if (limit > core::Duration::zero()) request_deadline_ = timing_.started + limit;
}

H1Exchange::~H1Exchange() {
  if (destroyed_) *destroyed_ = true;
  release_connection();
  waiter_.reset();  // may put a connection that was handed over back, while host_ is still in use
  --host_.users;
  --core_.exchanges;
  upload_.stop();
  core_.spare_wire = upload_.take_wire();
}

// --- getting a connection ---

void H1Exchange::begin() { acquire(); }

void H1Exchange::acquire() {
  if (ConnectionPtr kept = core_.pool.take(host_)) return use(std::move(kept), true);
  Quota::Place place = core_.shared.quota.try_acquire(host_.origin);
  if (place) return open(std::move(place));
  if (!wait_for_room_) return fail({.code = ErrorCode::LimitReached, .retry = core::Retry::Safe});
  state_.become(State::Waiting);
  arm(core_.settings.timeouts.acquire, ErrorCode::AcquireTimeout);
  waiter_ = std::make_unique<Pool::Waiter>(core_.pool, host_);
  waiter_->wait(core::Callback<void()>::to<&H1Exchange::on_acquired>(this));
}

void H1Exchange::on_acquired() {
  ConnectionPtr connection = waiter_->take_connection();
  if (connection) {
    waiter_.reset();
    if (connection->is_silent()) return use(std::move(connection), true);
    return open(connection->take_place());
  }
  Quota::Place place = waiter_->take_place();
  waiter_.reset();
  open(std::move(place));
}

void H1Exchange::open(Quota::Place place) {
  state_.become(State::Opening);
  arm(core::Duration::zero(), {});  // its phases have their own limits
  opening_ = std::make_unique<Opening>(core_, host_, filter_, wait_for_room_ ? core_.settings.retries : 0);
  auto at_once = opening_->start(std::move(place), Opening::Done::to<&H1Exchange::on_opened>(this));
  if (at_once) on_opened(std::move(*at_once));
}

void H1Exchange::on_opened(Opening::Outcome outcome) {
  opening_.reset();
  if (!outcome) return fail(outcome.error());
  use(std::move(*outcome), false);
}

void H1Exchange::use(ConnectionPtr connection, bool reused) {
  if (reused) core_.metrics.reuse.add();
  state_.become(State::AwaitingHead);
  timing_.sent_from = core_.loop.now();
  timing_.reused = reused_ = reused;
  connection_ = std::move(connection);
  peer_ = connection_->stream().peer();
  connection_->set_owner(Connection::OnReady::to<&H1Exchange::on_io>(this));
  connection_->parser().expect_response_to(method_);
  upload_.set_body_ready(core::Callback<void()>::to<&H1Exchange::on_body_ready>(this));
  send();
}

// --- sending ---

void H1Exchange::send() {
  if (!connection_) return;
  core::Interest interest = without(connection_->stream().interest(), core::Interest::Write);
  const Upload::Step step = upload_.send(*connection_);
  const core::Duration no_limit = core::Duration::zero();
  const bool awaits = state_.is(State::AwaitingHead);
  switch (step) {
    case Upload::Step::Sent:
      if (!awaits) break;
      if (upload_.is_waiting_for_continue()) {
        arm(core_.settings.timeouts.expect, ErrorCode::FirstByteTimeout);
      } else {
        arm(core_.settings.timeouts.first_byte, ErrorCode::FirstByteTimeout);
      }
      break;
    case Upload::Step::WaitForBody:
      if (awaits) arm(no_limit, {});  // who sends the content to us has its own deadline
      break;
    case Upload::Step::WaitForWrite:
      interest = interest | core::Interest::Write;
      if (awaits) arm(core_.settings.timeouts.write, ErrorCode::WriteTimeout);
      break;
    case Upload::Step::Again:
      interest = interest | core::Interest::Write;
      if (awaits) arm(no_limit, {});
      break;
    case Upload::Step::BodyFailed:
      // Ends without its last chunk or its last bytes: the origin sees an aborted request.
      return fail(upload_.error());
    case Upload::Step::Broken:
      // The origin may have answered before it stopped listening. Reading tells, and if it is the end, retries.
      broken_write_ = true;
      interest = interest | core::Interest::Read;
      break;
  }
  connection_->stream().set_interest(interest);
}

void H1Exchange::on_io(core::Interest ready) {
  if (has(ready, core::Interest::Write)) send();
  if (!has(ready, core::Interest::Read) || !connection_) return;
  if (state_.is(State::AwaitingHead)) return read_head();
  reads_left_ = kReadBurst;
  if (!waiting_) {
    // Nobody has room for more: let the kernel, and then the origin, wait.
    net::Stream& stream = connection_->stream();
    stream.set_interest(without(stream.interest(), core::Interest::Read));
    return;
  }
  waiting_ = false;
  const core::Callback<void()> ready_callback = ready_;
  if (ready_callback) ready_callback();
}

// --- the head ---

void H1Exchange::read_head() {
  core::BlockRef& block = core_.read_block();
  const net::IoResult result = connection_->read(block.data(), block.capacity());
  switch (result.kind) {
    case net::IoResult::Kind::Bytes:
      response_begun_ = true;
      reads_left_ = connection_->stream().is_tls() || result.n == block.capacity() ? kReadBurst - 1 : 0;
      return take_head(0, result.n);
    case net::IoResult::Kind::End:
      return lose_connection(
          origin_error(response_begun_ ? ErrorCode::IncompleteMessage : ErrorCode::ConnectionReset));
    case net::IoResult::Kind::Failed: return lose_connection(result.error);
    default: return;
  }
}

// Bytes [offset, offset + size) of the read block.
void H1Exchange::take_head(size_t offset, size_t size) {
  http::H1Parser& parser = connection_->parser();
  std::string_view input(core_.read_block().data() + offset, size);
  for (;;) {
    switch (parser.next(input)) {
      case http::H1Parser::Event::NeedMore: return;
      case http::H1Parser::Event::Error: return fail(parser.error());
      case http::H1Parser::Event::Head: break;
      default: return fail(origin_error(ErrorCode::MalformedMessage));
    }
    const http::ResponseHead& head = parser.response();
    if (head.status >= 200 || head.status == 101) break;
    if (++interim_ > kMaxInterim) return fail(origin_error(ErrorCode::MalformedMessage));
    // The handler may use other exchanges, and so the block: what follows is kept apart.
    const std::string rest(input);
    const bool go_on = head.status == 100 && upload_.state() == UploadState::AwaitContinue;
    bool destroyed = false;
    destroyed_ = &destroyed;
    handler_->on_interim(head);
    if (destroyed) return;
    destroyed_ = nullptr;
    if (go_on) {
      upload_.go_on();
      send();
      if (state_.is(State::Failed)) return;
    }
    if (rest.empty()) {
      input = {};
      continue;
    }
    core::BlockRef& block = core_.read_block();
    std::copy(rest.begin(), rest.end(), block.data());
    input = {block.data(), rest.size()};
  }

  head_ = std::move(parser.response());
  framing_ = parser.framing();
  keeps_alive_ = http::keeps_alive(head_, framing_) && (wait_for_room_ || !is_refusal(head_.status));
  timing_.head = core_.loop.now();
  core_.metrics.duration.observe(timing_.head - timing_.started);
  if (framing_.kind == http::BodyKind::Length) unread_ = framing_.length;
  if (!input.empty()) {
    pending_ = core_.keep_read(static_cast<size_t>(input.data() - core_.read_block().data()), input.size());
  }
  arm(core::Duration::zero(), {});
  if (framing_.kind == http::BodyKind::Tunnel) {
    state_.become(State::Switched);
    upload_.stop();
  } else {
    // A short response is here as a whole: then its connection is free again before anybody looks at it.
    if (!framing_.has_content() || !pending_.empty()) pull();
    if (state_.is(State::AwaitingHead)) state_.become(State::Content);
  }
  told_ = true;
  handler_->on_head();
}

// The connection ended before the final head. RFC 9112, 9.3.1: a kept connection may have been closed by the origin while
// our request was on its way; that is no answer to it, so it may be sent once more.
void H1Exchange::lose_connection(core::Error error) {
  const bool harmless = http::is_idempotent(method_) || upload_.nothing_sent();
  if (!reused_ || retried_ || response_begun_ || !harmless || !upload_.can_restart()) {
    return fail(error);
  }
  retried_ = true;
  core_.metrics.stale_retries.add();
  Quota::Place place = connection_->take_place();
  connection_.reset();
  upload_.restart();
  broken_write_ = false;
  open(std::move(place));
}

// --- content ---

http::BodyRead H1Exchange::read(http::BodyPart& part, uint64_t at_most) {
  for (;;) {
    if (!part_.empty()) {
      const size_t n = static_cast<size_t>(std::min<uint64_t>(part_.size(), at_most));
      part = {};
      if (n == part_.size()) {
        part.bytes = std::move(part_);
        part_ = {};
      } else {
        part.bytes = part_.sub(0, n);
        part_.remove_prefix(n);
      }
      unread_ -= std::min<uint64_t>(unread_, n);
      return http::BodyRead::Part;
    }
    if (state_.is(State::Complete)) return http::BodyRead::End;
    if (!state_.is(State::Content)) return http::BodyRead::Failed;
    switch (pull()) {
      case Pull::Part:
      case Pull::End: continue;
      case Pull::Failed: return http::BodyRead::Failed;
      case Pull::More: break;
    }
    if (reads_left_ == 0) break;
    core::BlockRef& block = core_.read_block();
    const net::IoResult result = connection_->read(block.data(), block.capacity());
    if (result.is_would_block()) {
      reads_left_ = 0;
      break;
    }
    if (result.is_bytes()) {
      // A socket that gave less than there was room for has no more; asking it would cost a call. TLS gives records.
      --reads_left_;
      if (result.n < block.capacity() && !connection_->stream().is_tls()) reads_left_ = 0;
      pending_ = core_.keep_read(0, result.n);
      continue;
    }
    if (result.is_end() && connection_->parser().finish() == http::H1Parser::Event::Complete) {
      complete();
      continue;
    }
    fail(result.is_end() ? connection_->parser().error() : result.error);
    return http::BodyRead::Failed;
  }
  waiting_ = true;
  net::Stream& stream = connection_->stream();
  stream.set_interest(stream.interest() | core::Interest::Read);
  arm(core_.settings.timeouts.read, ErrorCode::ReadTimeout);
  return http::BodyRead::Wait;
}

// Closing our direction is the one thing HTTP/1.1 has for it: a server that watches its client (nginx) stops writing and
// closes, and its kernel still delivers what was written. One that does not goes on.
void H1Exchange::wind_down() {
  if (!state_.is(State::Content) || !upload_.is_complete()) return;
  keeps_alive_ = false;
  (void)connection_->stream().shutdown_write();
}

std::optional<uint64_t> H1Exchange::remaining() const {
  if (framing_.kind == http::BodyKind::Length || framing_.kind == http::BodyKind::None) return unread_;
  if (state_.is(State::Complete) && part_.empty()) return 0;
  return std::nullopt;
}

// The next event of the content from pending_.
H1Exchange::Pull H1Exchange::pull() {
  http::H1Parser& parser = connection_->parser();
  std::string_view input = pending_.view();
  const http::H1Parser::Event event = parser.next(input);
  switch (event) {
    case http::H1Parser::Event::Body: {
      const std::string_view body = parser.body();
      part_ = pending_.sub(static_cast<size_t>(body.data() - pending_.data()), body.size());
      pending_.remove_prefix(pending_.size() - input.size());
      // Declared content ends here, whether or not anybody asks for more.
      if (framing_.kind == http::BodyKind::Length && parser.remaining() == 0) complete();
      return Pull::Part;
    }
    case http::H1Parser::Event::NeedMore: pending_ = {}; return Pull::More;
    case http::H1Parser::Event::Complete:
      pending_.remove_prefix(pending_.size() - input.size());
      complete();
      return Pull::End;
    default: fail(parser.error()); return Pull::Failed;
  }
}

// The response is over. What came after it (pending_) belongs to nobody: such a connection is not used again.
void H1Exchange::complete() {
  if (const http::FieldSection* trailers = connection_->parser().trailers()) {
    trailers_ = std::make_unique<http::FieldSection>(*trailers);
  }
  state_.become(State::Complete);
  timer_.stop();
  const bool reusable =
      keeps_alive_ && !asks_to_close_ && !broken_write_ && upload_.is_complete() && pending_.empty();
  upload_.stop();
  pending_ = {};
  if (reusable) {
    core_.pool.put(host_, std::move(connection_));
  } else {
    release_connection();
  }
}

SwitchedStream H1Exchange::take_stream() {
  SwitchedStream switched;
  switched.stream = connection_->take_stream();
  switched.initial = std::move(pending_);
  switched.place = connection_->take_place();
  connection_.reset();
  return switched;
}

// --- ends ---

void H1Exchange::arm(core::Duration after, ErrorCode code) {
  timer_code_ = code;
  core::TimePoint deadline = request_deadline_;
  if (after > core::Duration::zero()) deadline = std::min(deadline, core_.loop.now() + after);
  if (deadline == core::TimePoint::max()) {
    timer_.stop();
  } else {
    timer_.start_at(deadline, core::Callback<void()>::to<&H1Exchange::on_timer>(this));
  }
}

void H1Exchange::on_timer() {
  if (core_.loop.now() >= request_deadline_) return fail(origin_error(ErrorCode::RequestTimeout));
  if (state_.is(State::AwaitingHead) && upload_.is_waiting_for_continue()) {
    // RFC 9110, 10.1.1: an origin need not know the expectation; a client does not wait for ever.
    upload_.go_on();
    return send();
  }
  // A deadline for reading concerns nobody while nobody wants to read.
  if (state_.is(State::Content) && !waiting_) return arm(core::Duration::zero(), {});
  fail(origin_error(timer_code_));
}

core::Error H1Exchange::origin_error(ErrorCode code) const {
  core::Error error{.code = code, .side = core::Side::Origin};
  if (state_.is(State::Waiting) || state_.is(State::Opening)) {
    error.retry = core::Retry::Safe;
    if (code == ErrorCode::AcquireTimeout) error.side = core::Side::Us;
  } else if (state_.is(State::AwaitingHead)) {
    error.retry = core::Retry::IfIdempotent;
  }
  return error;
}

// Whoever waits hears of it from a stack of its own.
void H1Exchange::fail(core::Error error) {
  error_ = error;
  state_.become(State::Failed);
  timer_.stop();
  waiter_.reset();
  opening_.reset();
  upload_.stop();
  release_connection();
  part_ = pending_ = {};
  if (!told_ || waiting_) deferred_.schedule(core::Callback<void()>::to<&H1Exchange::on_failed>(this));
}

void H1Exchange::on_failed() {
  if (!told_) {
    told_ = true;
    return handler_->on_failed(error_);
  }
  waiting_ = false;
  const core::Callback<void()> ready = ready_;
  if (ready) ready();
}

void H1Exchange::release_connection() { connection_.reset(); }

}  // namespace tributary::upstream
