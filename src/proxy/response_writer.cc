#include "proxy/response_writer.h"

#include <sys/uio.h>

#include <algorithm>
#include <utility>

#include "http/h1.h"

namespace tributary::proxy {

using core::Interest;
using http::BodyKind;
using http::BodyPart;
using http::BodyRead;

namespace {

iovec as_iovec(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

constexpr int kGather = 16;

}  // namespace

ResponseWriter::Progress ResponseWriter::write(std::string_view head, const core::Slice& content) {
  sent_ = 0;
  ended_ = true;
  framing_ = {BodyKind::None, 0};
  if (active_) {  // behind an interim response that the client has not taken yet
    enqueue(core::Slice::copy(head));
    enqueue(content);
    return pump();
  }
  active_ = true;
  const iovec parts[2] = {as_iovec(head), as_iovec(content.view())};
  const net::IoResult result = stream_->write(parts, content.empty() ? 1 : 2);
  if (result.is_failed()) return fail(result.error);
  const size_t n = result.is_bytes() ? result.n : 0;
  sent_ = n;
  if (n == head.size() + content.size()) return done();
  if (n < head.size()) enqueue(core::Slice::copy(head.substr(n)));
  enqueue(content.sub(n < head.size() ? 0 : n - head.size()));
  return park(true);
}

ResponseWriter::Progress ResponseWriter::begin(std::string_view head,
                                               std::unique_ptr<http::BodySource> source,
                                               http::BodyFraming framing) {
  sent_ = 0;
  ended_ = framing.kind == BodyKind::None;
  framing_ = framing;
  remaining_ = framing.length;
  source_ = std::move(source);
  if (source_) source_->set_ready(ready_);
  if (active_) {  // behind an interim response that the client has not taken yet
    enqueue(core::Slice::copy(head));
    return pump();
  }
  active_ = true;

  // What content there is now leaves together with the head.
  if (!ended_) {
    BodyPart part;
    switch (source_->read(part, kPart)) {
      case BodyRead::Part:
        if (!take_part(std::move(part))) return Progress::Failed;
        break;
      case BodyRead::Wait:
        break;
      case BodyRead::End:
        finish_content();
        if (!ended_) return fail(error_);
        break;
      case BodyRead::Failed:
        return fail(source_->error());
    }
  }
  iovec parts[kGather];
  int count = 0;
  parts[count++] = as_iovec(head);
  size_t gathered = 0;
  while (gathered < queue_.size() && count < kGather && !queue_[gathered].is_file()) {
    parts[count++] = as_iovec(queue_[gathered++].bytes.view());
  }
  const net::More more = gathered < queue_.size() ? net::More::Yes : net::More::No;
  const net::IoResult result = stream_->write(parts, count, more);
  if (result.is_failed()) return fail(result.error);
  size_t n = result.is_bytes() ? result.n : 0;
  sent_ = n;
  if (n < head.size()) {
    BodyPart rest;
    rest.bytes = core::Slice::copy(head.substr(n));
    queue_.insert(queue_.begin(), std::move(rest));
    return park(true);
  }
  n -= head.size();
  size_t whole = 0;
  while (whole < gathered && n >= queue_[whole].bytes.size()) n -= queue_[whole++].bytes.size();
  if (n > 0) queue_[whole].bytes.remove_prefix(n);
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(whole));
  if (whole < gathered) return park(true);
  return pump();
}

ResponseWriter::Progress ResponseWriter::pump() {
  if (!active_) return Progress::Done;
  uint64_t budget = kBurst;
  for (;;) {
    if (!queue_.empty()) {
      const Progress progress = flush(budget);
      if (progress != Progress::Done) return progress;
    }
    if (ended_) return done();
    if (budget == 0) return park(true);  // writable still: called again after the others
    BodyPart part;
    switch (source_->read(part, std::min(kPart, budget))) {
      case BodyRead::Part:
        if (!take_part(std::move(part))) return Progress::Failed;
        break;
      case BodyRead::Wait:
        return park(false);
      case BodyRead::End:
        finish_content();
        if (!ended_) return fail(error_);
        break;
      case BodyRead::Failed:
        return fail(source_->error());
    }
  }
}

// Sends what is queued. Done: the queue is empty.
ResponseWriter::Progress ResponseWriter::flush(uint64_t& budget) {
  size_t first = 0;
  Progress progress = Progress::Done;
  while (first < queue_.size()) {
    BodyPart& part = queue_[first];
    net::IoResult result;
    if (part.is_file()) {
      const bool last = first + 1 == queue_.size();
      result = stream_->send_file(part.file, part.file_offset, static_cast<size_t>(part.file_length),
                                  last ? net::More::No : net::More::Yes);
      if (result.is_bytes()) {
        part.file_offset += result.n;
        part.file_length -= result.n;
        if (part.file_length == 0) ++first;
      }
    } else {
      iovec parts[kGather];
      int count = 0;
      size_t i = first;
      while (i < queue_.size() && count < kGather && !queue_[i].is_file()) {
        parts[count++] = as_iovec(queue_[i++].bytes.view());
      }
      result = stream_->write(parts, count, i < queue_.size() ? net::More::Yes : net::More::No);
      for (size_t n = result.is_bytes() ? result.n : 0; n > 0 && first < i;) {
        core::Slice& bytes = queue_[first].bytes;
        const size_t taken = std::min(n, bytes.size());
        n -= taken;
        bytes.remove_prefix(taken);
        if (bytes.empty()) ++first;
      }
    }
    if (result.is_would_block()) {
      progress = park(true);
      break;
    }
    if (!result.is_bytes()) {
      // The end of a segment file, or cold data over TLS, is our own fault.
      return fail(result.is_failed() ? result.error
                                     : core::Error{.code = core::ErrorCode::StorageIo});
    }
    sent_ += result.n;
    budget -= std::min<uint64_t>(budget, result.n);
    if (budget == 0 && first < queue_.size()) {
      progress = park(true);
      break;
    }
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(first));
  return progress;
}

bool ResponseWriter::take_part(BodyPart part) {
  const uint64_t size = part.size();
  if (framing_.kind == BodyKind::Length) {
    if (size > remaining_) {
      fail({.code = core::ErrorCode::ContentMismatch, .side = core::Side::Origin});
      return false;
    }
    remaining_ -= size;
  }
  if (framing_.kind != BodyKind::Chunked) {
    queue_.push_back(std::move(part));
    return true;
  }
  char header[http::kChunkHeaderMax];
  enqueue(core::Slice::copy({header, http::write_chunk_header(header, size)}));
  queue_.push_back(std::move(part));
  enqueue(core::Slice::unowned(http::kChunkEnd));
  return true;
}

// The source said End. A declared length that was not reached is an error, never a clean end.
void ResponseWriter::finish_content() {
  if (framing_.kind == BodyKind::Length && remaining_ > 0) {
    error_ = {.code = core::ErrorCode::IncompleteMessage, .side = core::Side::Origin};
    return;
  }
  ended_ = true;
  if (framing_.kind == BodyKind::Chunked) {
    std::string last;
    http::append_last_chunk(source_->trailers(), last);
    enqueue(core::Slice::copy(last));
  }
}

void ResponseWriter::enqueue(core::Slice bytes) {
  if (bytes.empty()) return;
  BodyPart part;
  part.bytes = std::move(bytes);
  queue_.push_back(std::move(part));
}

ResponseWriter::Progress ResponseWriter::park(bool for_client) {
  waits_for_client_ = for_client;
  const Interest now = stream_->interest();
  stream_->set_interest(for_client ? now | Interest::Write : without(now, Interest::Write));
  return Progress::Parked;
}

ResponseWriter::Progress ResponseWriter::done() {
  stream_->set_interest(without(stream_->interest(), Interest::Write));
  active_ = false;
  source_.reset();
  return Progress::Done;
}

ResponseWriter::Progress ResponseWriter::fail(core::Error error) {
  error_ = error;
  reset();
  return Progress::Failed;
}

void ResponseWriter::reset() {
  active_ = false;
  queue_.clear();
  source_.reset();
}

}  // namespace tributary::proxy
