// The answering half of Request: what the client is sent, from the store, from the origin, or by ourselves.
#include <algorithm>
#include <utility>

#include "http/conditional.h"
#include "http/h1.h"
#include "http/range.h"
#include "http/via.h"
#include "proxy/content.h"
#include "proxy/error_page.h"
#include "proxy/error_table.h"
#include "proxy/heads.h"
#include "proxy/http_session.h"
#include "proxy/landing_page.h"
#include "proxy/request.h"
#include "proxy/worker.h"

namespace tributary::proxy {

using core::Error;
using core::ErrorCode;
using core::Side;
using http::BodyKind;
using http::FieldName;
using http::Method;
using State = RequestState;

namespace {

AnswerContext answer_context(const http::RequestHead& head, Worker& worker, bool close, std::string& accept) {
  head.fields.combined(FieldName::Accept, accept);
  return {.pseudonym = worker.settings().pseudonym,
          .date = worker.date(),
          .accept = accept,
          .method = head.method,
          .close = close};
}

}  // namespace

// --- from the store ---

void Request::serve(cache::ObjectRef object) {
  const http::RequestHead& head = session_.head();
  const uint16_t status = object->meta().status;
  const std::optional<uint64_t> length = object->body().length();
  const bool is_selected = head.method == Method::Get || head.method == Method::Head;
  if (status == 200 && is_selected) {
    if (http::has_preconditions(head.fields)) {
      http::FieldSection fields;
      object->parse_fields(fields);
      const core::UnixTime now = worker_.loop().unix_now();
      http::Validators validators = http::Validators::of(fields, now);
      // RFC 9111 4.3.2: where there is no Last-Modified, If-Modified-Since is judged by Date.
      if (!validators.last_modified) validators.last_modified = object->meta().date;
      if (http::evaluate_preconditions(head, validators, now) == http::Precondition::NotModified) {
        return serve_condition(*object, 304);
      }
    }
    if (facts_.has_range && head.method == Method::Get && length) {
      switch (select_range(*object, *length)) {
        case Selected::Whole: break;
        case Selected::Range: return serve_range(std::move(object), range_, *length);
        case Selected::Ranges: return serve_ranges(std::move(object), *length);
        case Selected::Nothing: return serve_condition(*object, 416);
      }
    }
  }

  std::string& out = head_buffer();
  append_object_head(out, *object, status);
  const bool is_head = head.method == Method::Head;
  if (const core::Slice* content = object->memory_body()) {
    // RFC 9110 8.6: never in a 204.
    if (status != 204) append_number_field(out, "Content-Length: ", content->size());
    const bool close = closes();
    append_tail(out, close);
    answering(status);
    count_saved(content->size());
    session_.respond(out, is_head ? core::Slice() : *content, close);
    return;
  }
  http::BodyFraming framing{BodyKind::Chunked, 0};
  if (length) {
    framing = {BodyKind::Length, *length};
    append_number_field(out, "Content-Length: ", *length);
  } else if (head.minor == 0) {
    framing = {BodyKind::UntilClose, 0};
  } else {
    out += "Transfer-Encoding: chunked\r\n";
  }
  const bool close = closes() || framing.kind == BodyKind::UntilClose;
  append_tail(out, close);
  answering(status);
  if (is_head || (length && *length == 0)) return session_.respond(out, core::Slice(), close);
  count_saved(length.value_or(0));
  session_.respond(out, read(std::move(object), 0, cache::ObjectReader::kToEnd), framing, close);
}

// 304 and 416: the stored fields, and no content.
void Request::serve_condition(const cache::Object& object, uint16_t status) {
  std::string& out = head_buffer();
  append_object_head(out, object, status);
  if (status == 416) {
    out += "Content-Range: ";
    http::append_content_range({std::nullopt, object.body().length()}, out);
    out += "\r\nContent-Length: 0\r\n";
  }
  const bool close = closes();
  append_tail(out, close);
  answering(status);
  session_.respond(out, core::Slice(), close);
}

void Request::append_object_head(std::string& out, const cache::Object& object, uint16_t status) {
  http::append_status_line(status, {}, out);
  out += object.fields().view();
  out += own_fields_;
  append_age(out, object);
}

void Request::append_age(std::string& out, const cache::Object& object) {
  const uint32_t age = cache::current_age(object.meta(), worker_.loop().unix_now());
  // RFC 9211 2.5: of what is sent now, not of what was found first.
  if (!cache_status_.stored) cache_status_.ttl = int64_t{object.meta().lifetime} - age;
  // RFC 9111 5.1: a response that was not validated for this request says how old it is.
  if (cache_status_.hit || age > 0) append_number_field(out, "Age: ", age);
}

void Request::append_tail(std::string& out, bool close) {
  append_cache_status(out, cache_status_);
  if (close) out += "Connection: close\r\n";
  out += "\r\n";
}

void Request::count_saved(uint64_t bytes) {
  if (cache_status_.hit && session_.head().method == Method::Get) worker_.cache().count_saved(bytes);
}

// --- from the origin ---

// The response is nobody else's: its content goes straight on. `read`: content that was read already.
// `read` has been read of the content already. `keep`: stored under that when all of it has gone by, if it is small.
void Request::pass_through(core::Slice read, std::optional<cache::ObjectParts> keep) {
  http::ResponseHead& response = exchange_->head();
  const http::RequestHead& request = session_.head();
  const http::BodyFraming from_origin = exchange_->framing();
  http::BodyFraming framing = from_origin;

  std::string& out = head_buffer();
  http::append_status_line(response.status, response.reason, out);
  bool until_close = false;
  if (from_origin.kind == BodyKind::None) {
    // To HEAD and with 304 Content-Length tells what a GET would bring: it stays as it is.
    if (request.method != Method::Head && response.status != 304) response.fields.remove(FieldName::ContentLength);
  } else {
    response.fields.remove(FieldName::ContentLength);
    if (from_origin.kind == BodyKind::Length) {
      response.fields.add(FieldName::ContentLength, std::to_string(from_origin.length));
    } else if (request.minor == 0) {
      framing = {BodyKind::UntilClose, 0};
      until_close = true;
    } else {
      framing = {BodyKind::Chunked, 0};
      response.fields.add(FieldName::TransferEncoding, "chunked");
    }
  }
  const bool close = closes() || until_close;
  response.fields.append_to(out);
  append_tail(out, close);
  answering(response.status);
  if (framing.kind == BodyKind::None) {
    exchange_.reset();
    return session_.respond(out, core::Slice(), close);
  }
  // A request's content that is still being sent goes on beside it: the exchange reads it.
  std::unique_ptr<http::BodySource> content = prepend(std::move(read), std::move(exchange_));
  if (keep) content = storing(std::move(content), worker_.cache(), *std::move(keep));
  session_.respond(out, std::move(content), framing, close);
}

// --- by ourselves ---

void Request::answer_origin_form() {
  const http::RequestHead& head = session_.head();
  const bool is_page = head.target != "*" && (head.method == Method::Get || head.method == Method::Head);
  if (!is_page) {
    return refuse({.code = ErrorCode::InvalidArgument, .side = Side::Client},
                  "this is a proxy: send the whole URL, or CONNECT", RejectReason::Malformed);
  }
  std::string accept;
  const bool close = closes();
  const AnswerContext context = answer_context(head, worker_, close, accept);
  const std::string response = landing_response(head.fields.find(FieldName::Host).value_or(""), context);
  answering(200);
  session_.respond(response, core::Slice(), close);
}

// RFC 9110 7.6.2: with Max-Forwards: 0 we are the final recipient.
bool Request::answer_max_forwards() {
  const http::RequestHead& head = session_.head();
  const auto left = http::max_forwards(head.fields);
  if (!left || *left > 0) return false;
  std::string& out = head_buffer();
  std::string content;
  http::append_status_line(200, {}, out);
  if (head.method == Method::Trace) {
    // RFC 9110 9.3.8: without fields that hold credentials.
    http::RequestHead echo;
    echo.method = head.method;
    echo.target = head.target;
    echo.fields = head.fields;
    for (const FieldName name : {FieldName::Authorization, FieldName::ProxyAuthorization, FieldName::Cookie}) {
      echo.fields.remove(name);
    }
    http::append_head(echo, content);
    out += "Content-Type: message/http\r\n";
  } else {
    out += "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH, CONNECT\r\n";
  }
  out += "Date: ";
  out += worker_.date();
  out += "\r\nVia: 1.1 ";
  out += worker_.settings().pseudonym;
  out += "\r\n";
  append_number_field(out, "Content-Length: ", content.size());
  const bool close = closes();
  if (close) out += "Connection: close\r\n";
  out += "\r\n";
  answering(200);
  session_.respond(out, core::Slice::copy(content), close);
  return true;
}

void Request::refuse(const Error& error, std::string_view reason, RejectReason counted) {
  worker_.metrics().rejected(counted);
  answer_error(error, "checking the request", reason);
}

// RFC 9111 5.2.1.7
void Request::answer_only_from_cache(std::string_view reason) {
  answer_error({.code = ErrorCode::FirstByteTimeout}, "answering from the cache alone", reason, 504);
}

void Request::answer_error(const Error& error, std::string_view step, std::string_view detail, uint16_t status) {
  const http::RequestHead& head = session_.head();
  exchange_.reset();
  content_.reset();
  stored_.reset();
  // Who waits behind us tries for himself; all at once where the origin let us wait for its answer.
  if (error.code == ErrorCode::ConnectTimeout || error.code == ErrorCode::FirstByteTimeout ||
      error.code == ErrorCode::DnsTimeout || error.code == ErrorCode::RequestTimeout) {
    fetch_.decline();
  } else {
    fetch_.reset();
  }
  std::string host;
  if (!url_.authority.host.empty()) {
    http::append_origin(url_.scheme, url_.authority, host);
    host.erase(0, host.find("//") + 2);
  }
  const bool close = closes() || error.side == Side::Client;
  std::string accept;
  const AnswerContext context = answer_context(head, worker_, close, accept);
  const ErrorContext what{.error = error, .status = status, .host = host, .step = step, .detail = detail};
  const std::string response = error_response(what, context);
  error_ = error;
  has_error_ = true;
  answering(status != 0 ? status : error_status(error));
  session_.respond(response, core::Slice(), close);
}

// --- the end ---

void Request::answering(uint16_t status) {
  status_ = status;
  state_.become(State::Answering);
}

bool Request::closes() { return !session_.may_keep_alive(); }

void Request::on_sent(uint64_t bytes) {
  state_.become(State::Done);
  finish(bytes);
}

void Request::on_aborted(const Error& error) {
  if (state_.is(State::Done)) return;
  state_.become(State::Done);
  error_ = error;
  has_error_ = true;
  exchange_.reset();
  content_.reset();
  pending_.reset();
  purge_.reset();
  fetch_.reset();
  finish(status_ != 0 ? session_.writer().bytes_sent() : 0);
}

void Request::finish(uint64_t bytes) {
  const http::RequestHead& head = session_.head();
  const core::Duration duration = core::Clock::now() - began_;
  worker_.metrics().request(Protocol::Http, head.method, status_, result_, duration);
  worker_.metrics().client_bytes_out(bytes);
  if (!worker_.access_log().enabled()) return;
  worker_.access_log().write({.client = &session_.peer(),
                              .protocol = Protocol::Http,
                              .method = head.method_name(),
                              .target = head.target,
                              .minor = head.minor,
                              .status = status_,
                              .cache = result_,
                              .bytes_sent = bytes,
                              .referer = head.fields.find("Referer").value_or(""),
                              .user_agent = head.fields.find(FieldName::UserAgent).value_or(""),
                              .origin = url_.authority.host,
                              .error = has_error_ ? core::error_name(error_.code) : std::string_view(),
                              .duration = duration,
                              .finished = worker_.loop().unix_now()});
}

}  // namespace tributary::proxy
