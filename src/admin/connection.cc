#include "admin/connection.h"

#include <fmt/core.h>

#include <algorithm>

#include "http/date.h"

namespace tributary::admin {
namespace {

constexpr core::Duration kDrainTime = std::chrono::seconds(2);
constexpr size_t kDrainBytes = 256 * 1024;

Request request_of(const http::RequestHead& head) {
  const std::optional<std::string_view> host = head.fields.find(http::FieldName::Host);
  return {.method = head.method_name(),
          .target = head.target,
          .host = host.value_or(std::string_view()),
          .has_host = host.has_value(),
          .origin = head.fields.find(http::FieldName::Origin).value_or(std::string_view()),
          .content_type = head.fields.find(http::FieldName::ContentType).value_or(std::string_view())};
}

}  // namespace

Connection::Connection(core::Loop& loop, core::Fd fd, const net::SocketAddress& peer,
                       const Context& context, core::Callback<void()> finished)
    : loop_(loop),
      context_(context),
      finished_(finished),
      parser_(http::H1Parser::Kind::Request, {.header_size = kMaxHead}),
      stream_(loop, std::move(fd), peer, core::Side::Client) {
  stream_.watch(core::Interest::Read,
                core::Callback<void(core::Interest)>::to<&Connection::on_ready>(this));
  deadline_.start(context_.settings.timeout,
                  core::Callback<void()>::to<&Connection::on_deadline>(this));
}

void Connection::on_ready(core::Interest) {
  switch (state_.get()) {
    case ConnectionState::Reading:
      return receive();
    case ConnectionState::Handling:
      return listen_while_handling();
    case ConnectionState::Writing:
      send();
      // A pipelined request may wait behind the one that was answered.
      if (state_.is(ConnectionState::Reading)) take({});
      return;
    case ConnectionState::Draining:
      return drain();
    case ConnectionState::Done:
      return;
  }
}

void Connection::on_deadline() {
  done();
}

void Connection::receive() {
  const net::IoResult got = stream_.read(loop_.scratch(), std::min(loop_.scratch_size(), kMaxHead));
  if (got.is_would_block()) return;
  if (!got.is_bytes()) return done();
  take({loop_.scratch(), got.n});
}

// Answers the requests in what is pending followed by `input`, as far as the client takes the
// responses.
void Connection::take(std::string_view input) {
  pending_.append(input);
  while (state_.is(ConnectionState::Reading) && !pending_.empty()) {
    std::string_view rest = pending_;
    const bool complete = parse(rest);
    pending_.erase(0, pending_.size() - rest.size());
    if (complete) answer();
  }
}

// True when a whole request is there; false when more is needed or it was refused.
bool Connection::parse(std::string_view& input) {
  for (;;) {
    switch (parser_.next(input)) {
      case http::H1Parser::Event::NeedMore:
        return false;
      case http::H1Parser::Event::Complete:
        return true;
      case http::H1Parser::Event::Head:
        content_.clear();
        if (!parser_.framing().has_content() || begin_content()) break;
        input = {};
        return false;
      case http::H1Parser::Event::Body:
        if (content_.size() + parser_.body().size() > kMaxContent) {
          input = {};
          respond(problem(413, "The content is too large."), false, false);
          return false;
        }
        content_ += parser_.body();
        break;
      case http::H1Parser::Event::Error:
        input = {};
        respond(problem(http::suggested_status(parser_.error()),
                        "The request is malformed or too large."),
                false, false);
        return false;
    }
  }
}

// Whether the content that follows the head is to be read. If not, the request is answered without:
// then nothing that follows it can be read either.
bool Connection::begin_content() {
  const http::RequestHead& head = parser_.request();
  const Request request{.method = head.method_name(), .target = head.target};
  if (!takes_content(request.method, request.target)) {
    const auto refused = handle(request_of(head), context_);
    const Response* response = std::get_if<Response>(&refused);
    respond(response && response->status >= 300 ? *response : problem(413, "This request takes no content."), false,
            head.method == http::Method::Head);
    return false;
  }
  if (parser_.framing().kind == http::BodyKind::Length && parser_.framing().length > kMaxContent) {
    respond(problem(413, "The content is too large."), false, false);
    return false;
  }
  // RFC 9110 10.1.1. A socket that cannot take 25 bytes now belongs to nobody who waits for them.
  if (head.fields.has_element(http::FieldName::Expect, "100-continue")) stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
  return true;
}

void Connection::answer() {
  const http::RequestHead& head = parser_.request();
  Request request = request_of(head);
  request.content = content_;
  auto outcome = handle(request, context_);
  content_ = {};
  keep_alive_ = http::keeps_alive(head);
  head_only_ = head.method == http::Method::Head;
  if (const Response* response = std::get_if<Response>(&outcome)) return respond(*response, keep_alive_, head_only_);
  state_.become(ConnectionState::Handling);
  deadline_.stop();
  operation_ = context_.sources.cache->start(std::move(std::get<CacheCommand>(outcome)), [this](Response response) {
    const std::unique_ptr<Operation> over = std::move(operation_);
    respond(response, keep_alive_, head_only_);
    if (state_.is(ConnectionState::Reading)) take({});
  });
}

// What is pipelined meanwhile waits, up to a head.
void Connection::listen_while_handling() {
  if (pending_.size() >= kMaxHead) return wait_for(core::Interest::None);
  const net::IoResult got = stream_.read(loop_.scratch(), std::min(loop_.scratch_size(), kMaxHead));
  if (got.is_would_block()) return;
  if (!got.is_bytes()) return done();
  pending_.append(loop_.scratch(), got.n);
}

void Connection::respond(const Response& response, bool keep_alive, bool head_only) {
  http::ResponseHead head;
  head.status = response.status;
  const auto set = [&](std::string_view name, std::string_view value) {
    head.fields.add(name, value);
  };
  char date[http::kDateSize];
  http::format_date(loop_.unix_now(), date);
  set("Date", {date, sizeof date});
  set("Content-Type", response.content_type);
  set("Content-Length", fmt::format("{}", response.content.size()));
  set("Cache-Control", "no-store");
  set("X-Content-Type-Options", "nosniff");
  set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  if (!response.allow.empty()) set("Allow", response.allow);
  set("Connection", keep_alive ? "keep-alive" : "close");
  output_.clear();
  http::append_head(head, output_);
  if (!head_only) output_ += response.content;
  sent_ = 0;
  keep_alive_ = keep_alive;
  state_.become(ConnectionState::Writing);
  deadline_.start(context_.settings.timeout,
                  core::Callback<void()>::to<&Connection::on_deadline>(this));
  send();
}

void Connection::send() {
  while (sent_ < output_.size()) {
    const net::IoResult sent = stream_.write(std::string_view(output_).substr(sent_));
    if (sent.is_would_block()) return wait_for(core::Interest::Write);
    if (!sent.is_bytes()) return done();
    sent_ += sent.n;
  }
  output_ = {};
  deadline_.start(keep_alive_ ? context_.settings.timeout : kDrainTime,
                  core::Callback<void()>::to<&Connection::on_deadline>(this));
  wait_for(core::Interest::Read);
  if (keep_alive_) {
    parser_.release();
    return state_.become(ConnectionState::Reading);
  }
  state_.become(ConnectionState::Draining);
  if (stream_.shutdown_write().is_failed()) done();
}

void Connection::drain() {
  const net::IoResult got = stream_.read(loop_.scratch(), loop_.scratch_size());
  if (got.is_would_block()) return;
  drained_ += got.n;
  if (!got.is_bytes() || drained_ > kDrainBytes) done();
}

void Connection::done() {
  state_.become(ConnectionState::Done);
  operation_.reset();
  deadline_.stop();
  stream_.close();
  finished_();
}

}  // namespace tributary::admin
