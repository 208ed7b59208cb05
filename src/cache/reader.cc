#include "cache/reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include "cache/pieces.h"
#include "cache/residency.h"
#include "cache/store_core.h"

namespace tributary::cache {
namespace {

constexpr uint64_t kWindow = uint64_t{1} << 20;  // bytes probed, or read ahead, at once
constexpr std::chrono::milliseconds kRetry{5};   // when the offload pool's queue is full

// What an offload thread found; shared with the closure, which may outlive the reader.
struct WarmUp {
  explicit WarmUp(Gate& gate) : pass(gate) {}
  Gate::Pass pass;  // first, so that it goes last
  std::shared_ptr<Body> body;
  Piece* piece = nullptr;
  int file = -1;
  uint64_t offset = 0;    // in the file
  uint64_t length = 0;
  bool verify = false;    // the window is the whole piece, to be held against its checksum
  int next_file = -1;     // where reading will go on: the kernel is told
  uint64_t next_offset = 0;
  core::ErrorCode failure{};
  bool failed = false;
};

void warm_up(WarmUp& job) {
  std::vector<char> buffer(std::min<uint64_t>(job.length, 256 * 1024));
  Checksum sum;
  if (job.next_file >= 0) {
    ::posix_fadvise(job.next_file, static_cast<off_t>(job.next_offset), static_cast<off_t>(kWindow), POSIX_FADV_WILLNEED);
  }
  for (uint64_t done = 0; done < job.length;) {
    const ssize_t n = ::pread(job.file, buffer.data(), std::min<uint64_t>(buffer.size(), job.length - done),
                              static_cast<off_t>(job.offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      job.failed = true;
      job.failure = core::ErrorCode::StorageIo;
      return;
    }
    if (job.verify) sum.add({buffer.data(), static_cast<size_t>(n)});
    done += static_cast<uint64_t>(n);
  }
  if (!job.verify) return;
  if (sum.value() == job.piece->checksum) {
    job.piece->unverified.store(false, std::memory_order_release);
  } else {
    job.failed = true;
    job.failure = core::ErrorCode::StorageCorrupt;
  }
}

// Keeps one piece of a body that may be freed piece by piece.
struct PieceHold {
  std::shared_ptr<Body> body;
  Piece* piece;
  PieceHold(std::shared_ptr<Body> its_body, Piece* its_piece) : body(std::move(its_body)), piece(its_piece) {}
  PieceHold(const PieceHold&) = delete;
  PieceHold& operator=(const PieceHold&) = delete;
  ~PieceHold() { body->unpin(*piece); }
};

}  // namespace

struct ObjectReader::State {
  State(StoreCore& its_core, core::Loop& its_loop, ObjectReader& its_owner)
      : core(its_core), loop(its_loop), owner(its_owner), entry(its_loop), retry(its_loop) {}

  http::BodyRead part_of_file(http::BodyPart& part, uint64_t at_most, const Body::View& view, uint64_t end);
  void start_warm_up(const Body::View& view, bool verify, uint64_t end);
  void submit();
  void on_warm();
  void on_wake() {
    if (ready) ready();
  }
  void fail(core::Error why) {
    failed = true;
    error = why;
  }
  Body& body() const { return *owner.object_->stored_body(); }

  StoreCore& core;
  core::Loop& loop;
  ObjectReader& owner;
  BodyReader entry;
  core::Timer retry;
  core::Job job;
  std::shared_ptr<WarmUp> warm;
  core::Callback<void()> ready;
  uint64_t position = 0, last = 0;
  uint64_t warm_last = 0;  // up to here the page cache holds what follows position
  bool attached = false;
  bool failed = false;
  core::Error error;
};

ObjectReader::ObjectReader(Store& store, core::Loop& loop, ObjectRef object, uint64_t first, uint64_t last)
    : object_(std::move(object)), state_(std::make_unique<State>(*store.core_, loop, *this)) {
  state_->position = first;
  state_->last = last;
  state_->entry.on_wake = core::Callback<void()>::to<&State::on_wake>(state_.get());
  state_->entry.position = first;
  if (!state_->body().is_whole()) {
    state_->body().attach(state_->entry);
    state_->attached = true;
  }
}

ObjectReader::~ObjectReader() {
  if (state_->attached) state_->body().detach(state_->entry);
}

void ObjectReader::set_ready(core::Callback<void()> ready) { state_->ready = ready; }

core::Error ObjectReader::error() const { return state_->error; }

std::optional<uint64_t> ObjectReader::remaining() const {
  if (state_->last != kToEnd) return state_->last - std::min(state_->position, state_->last);
  const std::optional<uint64_t> length = object_->body().length();
  if (!length) return std::nullopt;
  return *length - std::min(state_->position, *length);
}

http::BodyRead ObjectReader::read(http::BodyPart& part, uint64_t at_most) {
  State& state = *state_;
  if (state.failed) return http::BodyRead::Failed;
  if (state.position >= state.last) return http::BodyRead::End;
  if (state.warm) return http::BodyRead::Wait;
  Body::View view;
  switch (state.body().look(state.entry, state.position, view)) {
    case Body::Look::End:
      if (state.last == kToEnd) return http::BodyRead::End;
      // The range asked for lies beyond the content: less than was promised is no end.
      state.fail({.code = core::ErrorCode::IncompleteMessage});
      return http::BodyRead::Failed;
    case Body::Look::Failed: {
      const core::Error why = state.body().error();
      state.fail(why == core::Error{} ? core::Error{.code = core::ErrorCode::StorageCorrupt} : why);
      return http::BodyRead::Failed;
    }
    case Body::Look::Wait:
      return http::BodyRead::Wait;
    case Body::Look::Bytes:
      part = {};
      part.bytes = view.bytes.sub(0, std::min(at_most, state.last - state.position));
      state.position += part.bytes.size();
      return http::BodyRead::Part;
    case Body::Look::File:
      break;
  }
  return state.part_of_file(part, at_most, view, std::min(view.last, state.last));
}

http::BodyRead ObjectReader::State::part_of_file(http::BodyPart& part, uint64_t at_most, const Body::View& view, uint64_t end) {
  Piece& piece = *view.piece;
  std::shared_ptr<const void> hold = owner.object_->stored_body();
  if (view.pinned) hold = std::make_shared<PieceHold>(owner.object_->stored_body(), &piece);
  if (piece.unverified.load(std::memory_order_acquire)) {
    start_warm_up(view, true, end);
    return http::BodyRead::Wait;
  }
  SegmentStore& segments = body().segments();
  const uint64_t in_piece = position % body().piece_size();
  const int file = segments.fd(piece.slot);
  const uint64_t offset = segments.offset(piece.slot) + in_piece;
  const uint32_t now = residency_second(loop.now());
  if (piece.resident_until.load(std::memory_order_relaxed) < now) {
    if (position >= warm_last) {
      const uint64_t window = std::min(end, position + kWindow);
      if (!is_resident(file, offset, window - position)) {
        start_warm_up(view, false, window);
        return http::BodyRead::Wait;
      }
      warm_last = window;
      if (in_piece == 0 && piece.length == window - position) {
        piece.resident_until.store(now + kResidentSeconds, std::memory_order_relaxed);
      }
    }
    end = std::min(end, warm_last);
  }
  part = {};
  part.file = file;
  part.file_offset = offset;
  part.file_length = std::min(end - position, at_most);
  part.hold = std::move(hold);
  position += part.file_length;
  return http::BodyRead::Part;
}

void ObjectReader::State::start_warm_up(const Body::View& view, bool verify, uint64_t end) {
  SegmentStore& segments = body().segments();
  Piece& piece = *view.piece;
  const uint64_t in_piece = position % body().piece_size();
  warm = std::make_shared<WarmUp>(core.jobs);
  warm->body = owner.object_->stored_body();
  warm->piece = &piece;
  warm->file = segments.fd(piece.slot);
  warm->verify = verify;
  warm->offset = segments.offset(piece.slot) + (verify ? 0 : in_piece);
  warm->length = verify ? piece.length : end - position;
  warm_last = verify ? position - in_piece + piece.length : end;
  if (Piece* next = warm_last < last ? body().piece_at(warm_last) : nullptr; next && next->allocated) {
    warm->next_file = segments.fd(next->slot);
    warm->next_offset = segments.offset(next->slot) + warm_last % body().piece_size();
  }
  submit();
}

void ObjectReader::State::submit() {
  job = core.offload.submit(loop, [warm = warm] { warm_up(*warm); }, core::Callback<void()>::to<&State::on_warm>(this));
  if (!job) retry.start(kRetry, core::Callback<void()>::to<&State::submit>(this));
}

void ObjectReader::State::on_warm() {
  const std::shared_ptr<WarmUp> done = std::move(warm);
  warm.reset();
  if (done->failed) {
    if (done->failure == core::ErrorCode::StorageCorrupt) core.drop_corrupt(owner.object_);
    fail({.code = done->failure});
  }
  if (ready) ready();
}

}  // namespace tributary::cache
