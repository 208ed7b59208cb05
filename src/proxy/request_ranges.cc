// The ranges of Request (RFC 9110 14): what of a stored object the client selects, what is asked of the origin where the cache
// has not got it, and the answers in parts.
#include <algorithm>
#include <random>
#include <utility>

#include "http/conditional.h"
#include "http/range.h"
#include "proxy/content.h"
#include "proxy/covering.h"
#include "proxy/heads.h"
#include "proxy/http_session.h"
#include "proxy/request.h"
#include "proxy/worker.h"

namespace tributary::proxy {

using http::BodyKind;
using http::ByteRange;
using http::FieldName;
using http::Method;

namespace {

std::string random_boundary() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  const uint64_t high = random();
  return http::MultipartRanges::make_boundary(high, random());
}

}  // namespace

// What a Range field selects of a stored 200 (RFC 9110 14.2).
Request::Selected Request::select_range(const cache::Object& object, uint64_t length) {
  const http::RequestHead& head = session_.head();
  const auto value = head.fields.find_only(FieldName::Range);
  const auto specs = value ? http::parse_range(*value) : std::nullopt;
  if (!specs) return Selected::Whole;
  if (head.fields.has(FieldName::IfRange)) {
    http::FieldSection fields;
    object.parse_fields(fields);
    const core::UnixTime now = worker_.loop().unix_now();
    if (!http::if_range_holds(head.fields, http::Validators::of(fields, now), now)) return Selected::Whole;
  }
  http::RangeSelection selection = http::select_ranges(*specs, length);
  if (selection.kind == http::RangeSelection::Kind::Unsatisfiable) return Selected::Nothing;
  if (selection.kind == http::RangeSelection::Kind::Whole) return Selected::Whole;
  range_ = selection.ranges.front();
  if (selection.ranges.size() == 1) return Selected::Range;
  ranges_ = std::move(selection.ranges);
  return Selected::Ranges;
}

// What the client wants of an object and is not there: the first stretch of it.
std::optional<ByteRange> Request::first_lacking(const cache::Object& object) {
  const uint64_t length = object.body().length().value_or(0);
  std::vector<ByteRange> wanted{{0, length}};
  if (facts_.has_range) {
    switch (select_range(object, length)) {
      case Selected::Whole: break;
      case Selected::Range: wanted = {range_}; break;
      case Selected::Ranges: wanted = ranges_; break;
      case Selected::Nothing: return std::nullopt;
    }
  }
  std::vector<ByteRange> present;
  object.body().present(present);
  for (const ByteRange& range : wanted) {
    if (const auto lacking = proxy::first_lacking(present, range, object.body().piece_size(), length)) return lacking;
  }
  return std::nullopt;
}

// Whether the request is for a part of an object that the cache has not got, and can be widened to what covers it.
bool Request::cover() {
  cover_.clear();
  if (!facts_.has_range || session_.head().method != Method::Get) return false;
  if (facts_.cc.no_store || facts_.has_authorization) return false;  // it would hardly be stored
  const auto value = session_.head().fields.find_only(FieldName::Range);
  if (const auto specs = value ? http::parse_range(*value) : std::nullopt) cover_ = covering_range(*specs);
  return !cover_.empty();
}

// A small object is stored whole or not at all.
bool Request::is_storable_part(const std::optional<upstream::Representation>& part) const {
  if (cover_.empty() || !part || !part->length) return false;
  return *part->length > kSmallObject || part->content.size() == *part->length;
}

// What came for our wider Range is not to be stored: the client gets its part of it. False: it is what the client would have
// got, to be passed on.
bool Request::answer_from_cover() {
  http::ResponseHead& response = exchange_->head();
  const bool is_part = response.status == 206;
  if (!is_part && response.status != 416) return false;
  is_part ? fetch_.decline() : fetch_.reset();
  const http::FieldSection& asked = session_.head().fields;
  const auto specs = http::parse_range(asked.find_only(FieldName::Range).value_or(""));
  const bool is_single = specs && specs->size() == 1 && !asked.has(FieldName::IfRange);
  if (is_single && !is_part) return false;

  const auto part = upstream::Representation::of(response, exchange_->framing(), worker_.loop().unix_now());
  std::optional<ByteRange> wanted;
  if (is_single && part && part->length) wanted = specs->front().resolve(*part->length);
  if (!wanted || wanted->first < part->content.first || wanted->first >= part->content.last) {
    // Several ranges, a condition, or something odd: asked for again, as the client wrote it.
    cover_.clear();
    exchange_.reset();
    forward();
    return true;
  }
  wanted->last = std::min(wanted->last, part->content.last);
  std::string range;
  http::append_content_range({*wanted, part->length}, range);
  response.fields.set(FieldName::ContentRange, range);
  response.fields.set(FieldName::ContentLength, std::to_string(wanted->size()));
  std::string& out = head_buffer();
  http::append_status_line(206, {}, out);
  response.fields.append_to(out);
  const bool close = closes();
  append_tail(out, close);
  answering(206);
  session_.respond(out, window(std::move(exchange_), wanted->first - part->content.first, wanted->size()),
                   {BodyKind::Length, wanted->size()}, close);
  return true;
}

void Request::serve_range(cache::ObjectRef object, const ByteRange& range, uint64_t length) {
  std::string& out = head_buffer();
  append_object_head(out, *object, 206);
  out += "Content-Range: ";
  http::append_content_range({range, length}, out);
  out += "\r\n";
  append_number_field(out, "Content-Length: ", range.size());
  const bool close = closes();
  append_tail(out, close);
  answering(206);
  count_saved(range.size());
  if (const core::Slice* content = object->memory_body()) {
    session_.respond(out, content->sub(static_cast<size_t>(range.first), static_cast<size_t>(range.size())), close);
    return;
  }
  session_.respond(out, read(std::move(object), range.first, range.last), {BodyKind::Length, range.size()}, close);
}

// RFC 9110 15.3.7.2. Every part is read from the start on, so that a fetch that is running learns of all of them at once.
void Request::serve_ranges(cache::ObjectRef object, uint64_t length) {
  http::FieldSection fields;
  object->parse_fields(fields);
  const std::string type(fields.find(FieldName::ContentType).value_or(""));
  fields.remove(FieldName::ContentType);
  std::vector<std::unique_ptr<http::BodySource>> parts;
  uint64_t bytes = 0;
  for (const ByteRange& range : ranges_) {
    parts.push_back(read(object, range.first, range.last));
    bytes += range.size();
  }
  http::MultipartRanges framing(std::move(ranges_), length, type, random_boundary());

  std::string& out = head_buffer();
  http::append_status_line(206, {}, out);
  fields.append_to(out);
  out += own_fields_;
  append_age(out, *object);
  out += "Content-Type: ";
  out += framing.content_type();
  out += "\r\n";
  const uint64_t size = framing.content_length();
  append_number_field(out, "Content-Length: ", size);
  const bool close = closes();
  append_tail(out, close);
  answering(206);
  count_saved(bytes);
  session_.respond(out, multipart(std::move(framing), std::move(parts)), {BodyKind::Length, size}, close);
}

}  // namespace tributary::proxy
