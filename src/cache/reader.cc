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

// What an offload thread is to read into the page cache; shared with the closure, which may outlive the reader.
struct WarmUp {
  WarmUp(StoreCore& its_core, ObjectRef its_object) : pass(its_core.jobs), core(its_core), object(std::move(its_object)) {}
  void run();

  Gate::Pass pass;  // first, so that it goes last
  StoreCore& core;
  ObjectRef object;
  std::optional<Body::Unproven> proof;  // the window is this piece, to be held against its checksum
  int file = -1;
  uint64_t offset = 0;    // in the file
  uint64_t length = 0;
  int next_file = -1;     // where reading will go on: the kernel is told
  uint64_t next_offset = 0;
  bool failed = false;
};

void WarmUp::run() {
  if (next_file >= 0) {
    ::posix_fadvise(next_file, static_cast<off_t>(next_offset), static_cast<off_t>(kWindow), POSIX_FADV_WILLNEED);
  }
  if (proof) return static_cast<void>(core.prove(object, *proof));
  std::vector<char> buffer(std::min<uint64_t>(length, 256 * 1024));
  for (uint64_t done = 0; done < length;) {
    const ssize_t n = ::pread(file, buffer.data(), std::min<uint64_t>(buffer.size(), length - done),
                              static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      failed = true;
      return;
    }
    done += static_cast<uint64_t>(n);
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
  http::BodyRead fill_gap(const Body::View& view);
  void start_proof(const Body::View& view);
  void start_warm_up(const Body::View& view, uint64_t end);
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
  core::Callback<bool(const ObjectRef&, http::ByteRange)> gap;
  uint64_t gap_at = kToEnd;  // where a gap was met last
  int gaps = 0;              // how often, there
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
  state_->entry.last = last;
  if (!state_->body().is_whole()) {
    state_->body().attach(state_->entry);
    state_->attached = true;
  }
}

ObjectReader::~ObjectReader() {
  if (state_->attached) state_->body().detach(state_->entry);
}

void ObjectReader::set_ready(core::Callback<void()> ready) { state_->ready = ready; }

void ObjectReader::set_gap(core::Callback<bool(const ObjectRef&, http::ByteRange)> gap) { state_->gap = gap; }

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
    case Body::Look::Gap:
      return state.fill_gap(view);
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

// Nobody brings what comes next: whoever reads for a client can have it fetched.
http::BodyRead ObjectReader::State::fill_gap(const Body::View& view) {
  constexpr int kMostTries = 2;
  if (gap_at != position) gaps = 0;
  gap_at = position;
  const uint64_t size = body().piece_size();
  const uint64_t whole_pieces = size == 0 || last > UINT64_MAX - size ? last : (last + size - 1) / size * size;
  if (gap && gaps++ < kMostTries && gap(owner.object_, {position, std::min(view.last, whole_pieces)})) {
    Body::View now;
    const Body::Look look = body().look(entry, position, now);
    if (look == Body::Look::Wait) return http::BodyRead::Wait;
    if (look != Body::Look::Failed && look != Body::Look::Gap) {  // filled this very moment, by another
      entry.wake.schedule(core::Callback<void()>::to<&State::on_wake>(this));
      return http::BodyRead::Wait;
    }
  }
  const core::Error why = body().error();
  fail(why == core::Error{} ? core::Error{.code = core::ErrorCode::StorageCorrupt} : why);
  return http::BodyRead::Failed;
}

http::BodyRead ObjectReader::State::part_of_file(http::BodyPart& part, uint64_t at_most, const Body::View& view, uint64_t end) {
  Piece& piece = *view.piece;
  std::shared_ptr<const void> hold = owner.object_->stored_body();
  if (view.pinned) hold = std::make_shared<PieceHold>(owner.object_->stored_body(), &piece);
  if (view.unverified) {
    start_proof(view);
    return http::BodyRead::Wait;
  }
  SegmentStore& segments = body().segments();
  const uint64_t in_piece = position % body().piece_size();
  const int file = segments.fd(view.slot);
  const uint64_t offset = segments.offset(view.slot) + in_piece;
  const uint32_t now = residency_second(loop.now());
  if (piece.resident_until.load(std::memory_order_relaxed) < now) {
    if (position >= warm_last) {
      const uint64_t window = std::min(end, position + kWindow);
      if (!is_resident(file, offset, window - position)) {
        start_warm_up(view, window);
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

void ObjectReader::State::start_proof(const Body::View& view) {
  warm = std::make_shared<WarmUp>(core, owner.object_);
  warm->proof = body().unproven(position, position + 1);
  if (!warm->proof) {  // somebody else has done it since
    warm.reset();
    entry.wake.schedule(core::Callback<void()>::to<&State::on_wake>(this));
    return;
  }
  warm_last = std::max(warm_last, view.last);
  submit();
}

void ObjectReader::State::start_warm_up(const Body::View& view, uint64_t end) {
  SegmentStore& segments = body().segments();
  warm = std::make_shared<WarmUp>(core, owner.object_);
  warm->file = segments.fd(view.slot);
  warm->offset = segments.offset(view.slot) + position % body().piece_size();
  warm->length = end - position;
  warm_last = end;
  if (Piece* next = warm_last < last ? body().piece_at(warm_last) : nullptr; next && next->allocated) {
    warm->next_file = segments.fd(next->slot);
    warm->next_offset = segments.offset(next->slot) + warm_last % body().piece_size();
  }
  submit();
}

void ObjectReader::State::submit() {
  job = core.offload.submit(loop, [warm = warm] { warm->run(); }, core::Callback<void()>::to<&State::on_warm>(this));
  if (!job) retry.start(kRetry, core::Callback<void()>::to<&State::submit>(this));
}

void ObjectReader::State::on_warm() {
  const std::shared_ptr<WarmUp> done = std::move(warm);
  warm.reset();
  if (done->failed) {
    core.drop_corrupt(owner.object_);
    fail({.code = core::ErrorCode::StorageIo});
  }
  if (ready) ready();
}

}  // namespace tributary::cache
