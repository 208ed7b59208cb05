#include "upstream/upload.h"

#include <charconv>
#include <utility>

namespace tributary::upstream {
namespace {

// RFC 9110, 8.6: these say with Content-Length: 0 that they have no content.
bool anticipates_content(http::Method method) {
  return method == http::Method::Post || method == http::Method::Put || method == http::Method::Patch;
}

void append_length(uint64_t length, std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, length).ptr;
  out.append("Content-Length: ").append(digits, end).append("\r\n");
}

}  // namespace

Upload::Upload(const http::RequestHead& head, http::BodySource* body, std::string wire)
    : body_(body), wire_(std::move(wire)) {
  using http::FieldName;
  wire_.clear();
  const bool has_framing =
      head.fields.has(FieldName::ContentLength) || head.fields.has(FieldName::TransferEncoding);
  if (!body && !has_framing && !anticipates_content(head.method)) {
    http::append_head(head, wire_);
  } else {
    http::append_request_line(head.method_name(), head.target, wire_);
    for (const http::Field field : head.fields) {
      if (field.token == FieldName::ContentLength || field.token == FieldName::TransferEncoding) continue;
      wire_.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    if (body) {
      due_ = body->remaining();
      is_chunked_ = !due_;
      expects_continue_ = head.fields.has_element(FieldName::Expect, "100-continue");
    } else {
      due_ = 0;
    }
    if (is_chunked_) {
      wire_.append("Transfer-Encoding: chunked\r\n");
    } else {
      append_length(*due_, wire_);
    }
    wire_.append("\r\n");
  }
  push(wire_.data(), wire_.size());
  state_.become(!body              ? UploadState::Done
                : expects_continue_ ? UploadState::AwaitContinue
                                    : UploadState::Sending);
}

Upload::Step Upload::send(Connection& connection) {
  if (broken_) return Step::Broken;
  for (int writes = 0; writes < kBurst; ++writes) {
    // The first part leaves with the head, if it is there.
    Fill filled = Fill::Ready;
    if (first_ == count_ || (count_ == 1 && !body_begun_)) filled = fill();
    if (first_ == count_) {
      switch (filled) {
        case Fill::Wait: return Step::WaitForBody;
        case Fill::Failed: return Step::BodyFailed;
        default: return Step::Sent;
      }
    }
    const net::IoResult result = connection.write(out_ + first_, count_ - first_);
    if (result.is_would_block()) return Step::WaitForWrite;
    if (!result.is_bytes()) {
      broken_ = true;
      return Step::Broken;
    }
    anything_sent_ = true;
    consume(result.n);
    if (first_ < count_) return Step::WaitForWrite;
    if (filled == Fill::Failed) return Step::BodyFailed;
  }
  return Step::Again;
}

void Upload::go_on() {
  if (state_.is(UploadState::AwaitContinue)) state_.become(UploadState::Sending);
}

void Upload::stop() {
  if (body_) body_->set_ready({});
  body_ = nullptr;
  first_ = count_ = 0;
  part_ = {};
  if (!state_.is(UploadState::Stopped)) state_.become(UploadState::Stopped);
}

void Upload::restart() {
  first_ = count_ = 0;
  anything_sent_ = broken_ = false;
  push(wire_.data(), wire_.size());
}

// Makes the next piece of content ready behind what is there.
Upload::Fill Upload::fill() {
  if (first_ == count_) first_ = count_ = 0;
  if (!state_.is(UploadState::Sending)) return Fill::Nothing;
  switch (body_->read(part_, kPartSize)) {
    case http::BodyRead::Part:
      body_begun_ = true;
      if (part_.is_file() || (due_ && part_.size() > *due_)) {
        error_ = {.code = core::ErrorCode::InvalidArgument, .side = core::Side::Us};
        return Fill::Failed;
      }
      if (due_) *due_ -= part_.size();
      if (is_chunked_) push(chunk_header_, http::write_chunk_header(chunk_header_, part_.size()));
      push(part_.bytes.data(), part_.bytes.size());
      if (is_chunked_) push(http::kChunkEnd.data(), http::kChunkEnd.size());
      return Fill::Ready;
    case http::BodyRead::Wait: return Fill::Wait;
    case http::BodyRead::End:
      body_begun_ = true;
      if (due_ && *due_ > 0) {
        // Never completed by a short body: the origin must see an aborted request.
        error_ = {.code = core::ErrorCode::IncompleteMessage, .side = core::Side::Client};
        return Fill::Failed;
      }
      if (is_chunked_) {
        http::append_last_chunk(body_->trailers(), tail_);
        push(tail_.data(), tail_.size());
      }
      body_->set_ready({});
      body_ = nullptr;
      state_.become(UploadState::Done);
      return first_ == count_ ? Fill::Nothing : Fill::Ready;
    case http::BodyRead::Failed:
      error_ = body_->error();
      return Fill::Failed;
  }
  return Fill::Failed;
}

void Upload::push(const char* data, size_t size) {
  if (size > 0) out_[count_++] = {const_cast<char*>(data), size};
}

void Upload::consume(size_t n) {
  while (n > 0 && n >= out_[first_].iov_len) n -= out_[first_++].iov_len;
  if (n > 0) {
    out_[first_].iov_base = static_cast<char*>(out_[first_].iov_base) + n;
    out_[first_].iov_len -= n;
  }
}

}  // namespace tributary::upstream
