#include "proxy/http_session.h"

#include <algorithm>
#include <utility>

#include "proxy/error_page.h"
#include "proxy/farewell.h"
#include "proxy/worker.h"

namespace tributary::proxy {

using core::Interest;
using core::Slice;
using http::BodyPart;
using http::BodyRead;
using http::H1Parser;
using State = HttpSessionState;

namespace {

constexpr size_t kContentBlock = 64 * 1024;
// Pipelined requests are answered as they are parsed: what one read brings must not keep the others waiting.
constexpr size_t kHeadRead = 16 * 1024;
constexpr core::Duration kAskTime = std::chrono::milliseconds(250);  // a round trip, mostly
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
// A connection that was idle for so long gives its parser's memory back.
constexpr core::Duration kReleaseAfter = std::chrono::seconds(1);

http::H1Limits head_limits(const Settings& settings) {
  return {.header_size = settings.limit.header_size, .header_count = settings.limit.header_count};
}

}  // namespace

// The content of a request, read from the client as it is asked for.
class HttpSession::Content final : public http::BodySource {
 public:
  explicit Content(HttpSession& session) : session_(session) { session_.content_ = this; }
  ~Content() override {
    if (session_.content_ == this) session_.content_ = nullptr;
  }

  BodyRead read(BodyPart& part, uint64_t at_most) override {
    if (failed_) return BodyRead::Failed;
    for (;;) {
      if (session_.content_complete_) return BodyRead::End;
      const Slice unread = session_.input_;
      const std::string_view offered = unread.view().substr(0, at_most);
      std::string_view input = offered;
      const H1Parser::Event event = session_.parser_.next(input);
      session_.input_.remove_prefix(offered.size() - input.size());
      switch (event) {
        case H1Parser::Event::Body: {
          const std::string_view body = session_.parser_.body();
          received_ += body.size();
          const uint64_t limit = session_.worker_.settings().limit.body_size;
          if (limit != 0 && received_ > limit) return fail({.code = core::ErrorCode::MessageTooLarge, .side = core::Side::Client});
          part = BodyPart();
          part.bytes = unread.sub(static_cast<size_t>(body.data() - unread.data()), body.size());
          return BodyRead::Part;
        }
        case H1Parser::Event::Complete:
          session_.content_complete_ = true;
          return BodyRead::End;
        case H1Parser::Event::NeedMore:
        case H1Parser::Event::Head:
          break;
        case H1Parser::Event::Error:
          return fail(session_.parser_.error());
      }
      if (!session_.input_.empty()) continue;
      if (session_.owes_continue_ && !session_.send_continue()) return fail(session_.writer_.error());
      core::BlockRef block(core::Block::allocate(kContentBlock));
      const net::IoResult result = session_.stream_->read(block.data(), block.capacity());
      if (result.is_would_block()) {
        waiting_ = true;
        session_.set_read_interest(true);
        session_.watch_client();
        return BodyRead::Wait;
      }
      if (result.is_end()) return fail({.code = core::ErrorCode::IncompleteMessage, .side = core::Side::Client});
      if (result.is_failed()) return fail(result.error);
      session_.worker_.metrics().client_bytes_in(result.n);
      session_.input_ = std::move(block).freeze(result.n);
    }
  }

  void set_ready(core::Callback<void()> ready) override { ready_ = ready; }
  std::optional<uint64_t> remaining() const override {
    const http::BodyFraming& framing = session_.framing();
    return framing.kind == http::BodyKind::Length ? std::optional(framing.length - received_) : std::nullopt;
  }
  const http::FieldSection* trailers() const override { return session_.parser_.trailers(); }
  core::Error error() const override { return error_; }

  bool is_waiting() const { return waiting_; }
  void wake() {
    waiting_ = false;
    const core::Callback<void()> ready = ready_;
    if (ready) ready();
  }
  BodyRead fail(core::Error error) {
    error_ = error;
    failed_ = true;
    return BodyRead::Failed;
  }

 private:
  HttpSession& session_;
  core::Callback<void()> ready_;
  core::Error error_;
  uint64_t received_ = 0;
  bool waiting_ = false;
  bool failed_ = false;
};

HttpSession::HttpSession(Worker& worker, std::unique_ptr<net::Stream> stream)
    : Session(worker, Protocol::Http),
      stream_(std::move(stream)),
      parser_(H1Parser::Kind::Request, head_limits(worker.settings())),
      writer_(*stream_, core::Callback<void()>::to<&HttpSession::on_content_ready>(this)),
      timer_(worker.loop()),
      deferred_(worker.loop()) {}

HttpSession::~HttpSession() {
  writer_.reset();  // the exchange in it reads the request's content
  request_.reset();
}

void HttpSession::start(std::string_view first_bytes) {
  stream_->watch(Interest::Read, core::Callback<void(Interest)>::to<&HttpSession::on_ready>(this));
  timer_.start(worker_.settings().timeout.header, core::Callback<void()>::to<&HttpSession::on_timeout>(this));
  if (!first_bytes.empty()) process(first_bytes);
}

void HttpSession::drain() {
  if (state_.is(State::Idle)) close();
  // Otherwise may_keep_alive() says no from here on.
}

bool HttpSession::may_keep_alive() const {
  const uint64_t limit = worker_.settings().limit.requests_per_connection;
  // A client that has ended its side is still answered what it asked for before.
  return !worker_.is_draining() && !(client_ended_ && input_.empty()) && content_complete_ &&
         (limit == 0 || requests_ < limit) &&
         http::keeps_alive(parser_.request());
}

std::unique_ptr<http::BodySource> HttpSession::take_content() { return std::make_unique<Content>(*this); }

// --- reading ---

void HttpSession::on_ready(Interest ready) {
  if (has(ready, Interest::Write) && !writer_.is_idle()) after(writer_.pump());
  if (has(ready, Interest::Read) && !state_.is(State::Closed)) on_readable();
}

void HttpSession::on_readable() {
  switch (state_.get()) {
    case State::Idle:
    case State::Head: {
      const net::IoResult result = stream_->read(worker_.loop().scratch(), kHeadRead);
      if (result.is_bytes()) {
        worker_.metrics().client_bytes_in(result.n);
        process({worker_.loop().scratch(), result.n});
      } else if (!result.is_would_block()) {
        close();
      }
      return;
    }
    case State::Serving: {
      if (content_ && content_->is_waiting()) {
        content_->wake();
        if (state_.is(State::Serving)) watch_client();
        return;
      }
      const net::IoResult result = stream_->probe();
      if (result.is_failed()) {
        close(result.error);
      } else if (!result.is_would_block()) {
        // More requests, or the client's end: either waits until this one is answered.
        set_read_interest(false);
        if (result.is_end()) ask_client();
      }
      return;
    }
    case State::Finished:
      return;
    case State::Closed:
      return;
  }
}

// A client that has closed looks like one that has ended its side and waits for its answer. A few bytes tell: the kernel
// of the former answers them with a reset. An unasked 100 is nothing to a client (RFC 9110 15.2.1). Once a response has
// begun its own bytes do that.
void HttpSession::ask_client() {
  client_ended_ = true;
  if (request_->is_answered() || !writer_.is_idle() || head().minor == 0) return;
  is_asking_ = true;
  timer_.start(kAskTime, core::Callback<void()>::to<&HttpSession::on_timeout>(this));
  respond_interim(kContinue);
}

// Makes `input` a view of input_, so that it outlives the worker's scratch space.
void HttpSession::own(std::string_view& input) {
  if (input.empty()) {
    input_ = Slice();
    return;
  }
  const bool is_ours = input.data() >= input_.data() && input.data() < input_.data() + input_.size();
  input_ = is_ours ? input_.sub(static_cast<size_t>(input.data() - input_.data())) : Slice::copy(input);
  input = input_.view();
}

void HttpSession::process(std::string_view input) {
  processing_ = true;
  while (state_.is(State::Idle) || state_.is(State::Head)) {
    const H1Parser::Event event = parser_.next(input);
    if (event == H1Parser::Event::Head) {
      serve(input);
    } else if (event == H1Parser::Event::Error) {
      refuse_head();
    } else {
      break;
    }
  }
  processing_ = false;
  // Otherwise input_ holds what follows, and the request being served may have taken its content from it already.
  if (!state_.is(State::Idle) && !state_.is(State::Head)) return;
  own(input);
  if (state_.is(State::Idle)) {
    if (parser_.idle()) {
      if (client_ended_) close();
      return;
    }
    state_.become(State::Head);
    timer_.start(worker_.settings().timeout.header, core::Callback<void()>::to<&HttpSession::on_timeout>(this));
  }
  if (state_.is(State::Head)) input_ = Slice();  // the parser keeps what it has seen
}

void HttpSession::serve(std::string_view& input) {
  state_.become(State::Serving);
  const bool is_connect = head().method == http::Method::Connect;
  if (++requests_ == 1) worker_.metrics().connection_detected(is_connect ? Protocol::Connect : Protocol::Http);
  content_complete_ = !parser_.framing().has_content();
  is_asking_ = false;
  // RFC 9110 10.1.1: of HTTP/1.0 it is ignored, and who sends nothing waits for nothing.
  owes_continue_ = !content_complete_ && head().minor >= 1 &&
                   head().fields.has_element(http::FieldName::Expect, "100-continue");
  if (content_complete_) parser_.next(input);  // Complete
  close_after_ = false;
  own(input);
  request_.emplace(*this);
  request_->start();
  if (state_.is(State::Serving)) {
    watch_client();
  } else if (state_.is(State::Finished) && next_request()) {
    input = input_.view();
  }
}

void HttpSession::refuse_head() {
  const core::Error error = parser_.error();
  const uint16_t status = http::suggested_status(error);
  if (requests_ == 0) worker_.metrics().connection_detected(Protocol::Http);
  worker_.metrics().rejected(status == 414 || status == 431 ? RejectReason::TooLarge : RejectReason::Malformed);
  refuse_connection(error, status, "reading the request");
}

// An answer to what is no request, then the end.
void HttpSession::refuse_connection(const core::Error& error, uint16_t status, std::string_view step) {
  std::string response =
      error_response({.error = error, .status = status, .step = step},
                     {.pseudonym = worker_.settings().pseudonym, .date = worker_.date(), .close = true});
  if (worker_.access_log().enabled()) {
    worker_.access_log().write({.client = &stream_->peer(),
                                .protocol = Protocol::Http,
                                .status = status,
                                .bytes_sent = response.size(),
                                .error = core::error_name(error.code),
                                .finished = worker_.loop().unix_now()});
  }
  part(std::move(response));
}

// --- responding ---

void HttpSession::respond(std::string_view head, const Slice& content, bool close_it) {
  close_after_ |= close_it;
  after(writer_.write(head, content));
}

void HttpSession::respond(std::string_view head, std::unique_ptr<http::BodySource> content,
                          http::BodyFraming framing, bool close_it) {
  close_after_ |= close_it;
  after(writer_.begin(head, std::move(content), framing));
}

void HttpSession::respond_interim(std::string_view head) {
  // Optional news: a client that does not take the first is spared the others, and we the memory.
  if (!writer_.is_idle()) return;
  if (head.starts_with("HTTP/1.1 100")) owes_continue_ = false;
  after(writer_.write_interim(head));
}

// The content is wanted although no origin has asked for it: it ignores the expectation, or is none. False: the client is
// gone; the reader of the content hears of it, and so does the request.
bool HttpSession::send_continue() {
  owes_continue_ = false;
  return request_->is_answered() || writer_.write_interim(kContinue) != ResponseWriter::Progress::Failed;
}

void HttpSession::abort(const core::Error& why) {
  if (state_.is(State::Closed)) return;
  stream_->abort();
  close(why);
}

void HttpSession::on_content_ready() {
  if (!writer_.is_idle()) after(writer_.pump());
}

void HttpSession::after(ResponseWriter::Progress progress) {
  switch (progress) {
    case ResponseWriter::Progress::Done:
      if (state_.is(State::Serving)) {
        if (request_->is_answered()) finish();  // else it was an interim response
      }
      return;
    case ResponseWriter::Progress::Parked:
      if (state_.is(State::Serving)) watch_client();
      return;
    case ResponseWriter::Progress::Failed:
      abort(writer_.error());
      return;
  }
}

// While a request is served the clock runs only against a client that owes something: content that is asked for, or room
// for what it gets. The origin has deadlines of its own (upstream/settings.h).
void HttpSession::watch_client() {
  if (writer_.is_blocked_by_client() || (content_ && content_->is_waiting())) {
    is_asking_ = false;
    timer_.start(worker_.settings().timeout.read, core::Callback<void()>::to<&HttpSession::on_timeout>(this));
  } else if (!is_asking_) {
    timer_.stop();
  }
}

void HttpSession::finish() {
  state_.become(State::Finished);
  request_->on_sent(writer_.bytes_sent());
  if (processing_) return;  // process() goes on by itself
  timer_.stop();
  deferred_.schedule(core::Callback<void()>::to<&HttpSession::on_deferred>(this));
}

// Runs after the callback in which a response ended.
void HttpSession::on_deferred() {
  if (!state_.is(State::Finished) || !next_request()) return;
  if (!input_.empty()) {
    const Slice hold = input_;
    process(hold.view());
  } else if (client_ended_) {
    close();
  }
}

// True: the connection goes on with the next request.
bool HttpSession::next_request() {
  request_.reset();
  if (!content_complete_) {
    part({});
    return false;
  }
  if (close_after_ || worker_.is_draining()) {
    // The client may have sent more already; closing with unread bytes would reset what is on its way to it.
    if (input_.empty() && stream_->interest() != Interest::None) {
      close();
    } else {
      part({});
    }
    return false;
  }
  parser_.reset();
  state_.become(State::Idle);
  enter_idle();
  return true;
}

void HttpSession::enter_idle() {
  const core::Duration idle = worker_.settings().timeout.idle;
  released_ = idle <= kReleaseAfter;  // not worth while
  set_read_interest(true);
  timer_.start(released_ ? idle : kReleaseAfter, core::Callback<void()>::to<&HttpSession::on_timeout>(this));
}

void HttpSession::on_timeout() {
  switch (state_.get()) {
    case State::Idle:
      if (requests_ > 0 && !released_) {
        released_ = true;
        parser_.release();
        timer_.start(worker_.settings().timeout.idle - kReleaseAfter,
                     core::Callback<void()>::to<&HttpSession::on_timeout>(this));
        return;
      }
      close();
      return;
    case State::Head:
      // RFC 9110 15.5.9
      worker_.metrics().rejected(RejectReason::Timeout);
      refuse_connection({.code = core::ErrorCode::ReadTimeout, .side = core::Side::Client}, 408, "reading the request");
      return;
    case State::Serving:
      if (std::exchange(is_asking_, false)) {
        // Nothing to send, but the kernel says whether it could.
        const net::IoResult result = stream_->write(std::string_view());
        if (result.is_failed()) abort(result.error);
        return;
      }
      worker_.metrics().rejected(RejectReason::Timeout);
      abort({.code = writer_.is_blocked_by_client() ? core::ErrorCode::WriteTimeout : core::ErrorCode::ReadTimeout,
             .side = core::Side::Client});
      return;
    default:
      close();
      return;
  }
}

// The client may still be sending: closing at once would make its kernel throw our answer away.
void HttpSession::part(std::string last_words) {
  state_.become(State::Closed);
  timer_.stop();
  deferred_.cancel();
  worker_.replace(*this, std::make_unique<Farewell>(worker_, Protocol::Http, std::move(stream_), std::move(last_words)))
      .start();
}

// Whatever the request waits for ends here, so that nothing is answered or handed on between now and the reaping.
void HttpSession::close(const core::Error& why) {
  if (state_.is(State::Closed)) return;
  state_.become(State::Closed);
  timer_.stop();
  deferred_.cancel();
  writer_.reset();  // before the request: the exchange in it reads the request's content
  if (request_) request_->on_aborted(why);
  stream_->set_interest(Interest::None);
  worker_.finished(*this);
}

std::unique_ptr<net::Stream> HttpSession::release_stream(Slice& unread) {
  unread = std::exchange(input_, Slice());
  state_.become(State::Closed);
  timer_.stop();
  stream_->set_interest(Interest::None);
  worker_.finished(*this);
  return std::move(stream_);
}

void HttpSession::set_read_interest(bool on) {
  const Interest now = stream_->interest();
  stream_->set_interest(on ? now | Interest::Read : without(now, Interest::Read));
}

}  // namespace tributary::proxy
