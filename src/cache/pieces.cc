#include "cache/pieces.h"

#include <algorithm>
#include <cstring>

#include "core/heap_cost.h"

namespace tributary::cache {
namespace {

constexpr uint64_t kFirstMemory = 4096;

}  // namespace

Body::Body(std::shared_ptr<BodyHome> home, std::optional<uint64_t> length) : home_(std::move(home)) {
  if (length) length_.store(*length, std::memory_order_relaxed);
}

Body::Body(std::shared_ptr<BodyHome> home, core::Slice content)
    : home_(std::move(home)), memory_(std::move(content)), memory_size_(memory_.size()) {
  present_.add(0, memory_size_);
  length_.store(memory_size_, std::memory_order_relaxed);
  phase_.store(BodyPhase::Whole, std::memory_order_release);
}

Body::Body(std::shared_ptr<BodyHome> home, const Record& record, bool unverified)
    : home_(std::move(home)), piece_size_(record.piece_size) {
  length_.store(record.length, std::memory_order_relaxed);
  for (size_t i = 0; i < record.pieces.size(); ++i) {
    const PieceRecord& stored = record.pieces[i];
    Piece& piece = pieces_.emplace_back();
    if (stored.length == 0) continue;
    piece.slot = stored.slot;
    piece.allocated = piece.whole = piece.indexed = true;
    piece.length = stored.length;
    piece.checksum = stored.checksum;
    piece.unverified = unverified;
    if (unverified) ++unproven_;
    present_.add(i * piece_size_, i * piece_size_ + stored.length);
  }
  const bool whole = present_.covers(0, record.length);
  phase_.store(whole ? whole_phase() : BodyPhase::Partial, std::memory_order_release);
  id_.store(record.body_id, std::memory_order_release);
}

Body::~Body() {
  if (registered_) home_->live.forget(id());
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (pieces_[i].allocated && !pieces_[i].indexed) segments().free(pieces_[i].slot);
  }
}

bool Body::has(uint64_t first, uint64_t last) const {
  if (is_whole()) return last <= length_.load(std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  return phase() != BodyPhase::Failed && present_.covers(first, last);
}

bool Body::is_proven(uint64_t first, uint64_t last) const { return !unproven(first, last); }

std::optional<Body::Unproven> Body::unproven(uint64_t first, uint64_t last) const {
  if (is_whole()) return std::nullopt;
  std::lock_guard lock(mutex_);
  if (unproven_ == 0) return std::nullopt;
  for (uint64_t i = first / piece_size_; i < pieces_.size() && i * piece_size_ < last; ++i) {
    const Piece& piece = pieces_[i];
    if (piece.whole && piece.unverified) {
      return Unproven{.index = i, .slot = piece.slot, .length = piece.length, .checksum = piece.checksum};
    }
  }
  return std::nullopt;
}

Body::Proof Body::prove(const Unproven& proved, bool is_right) {
  std::lock_guard lock(mutex_);
  Piece& piece = pieces_[proved.index];
  // Two may have looked at the same time, and what was dropped may be there again.
  if (!piece.whole || !piece.unverified || piece.slot != proved.slot) return Proof::Settled;
  --unproven_;
  if (is_right) {
    piece.unverified = false;
    if (phase() == BodyPhase::Unproven && unproven_ == 0) phase_.store(BodyPhase::Whole, std::memory_order_release);
    return Proof::Settled;
  }
  // The slot is the index's until the record that names it is replaced.
  piece.allocated = piece.whole = piece.indexed = false;
  present_.remove(proved.index * piece_size_, proved.index * piece_size_ + proved.length);
  if (phase() == BodyPhase::Unproven) phase_.store(BodyPhase::Partial, std::memory_order_release);
  return present_.empty() ? Proof::Nothing : Proof::Dropped;
}

void Body::present(std::vector<http::ByteRange>& ranges) const {
  std::lock_guard lock(mutex_);
  ranges.insert(ranges.end(), present_.ranges().begin(), present_.ranges().end());
}

void Body::attach(BodyReader& reader) {
  if (is_whole()) return;
  std::lock_guard lock(mutex_);
  readers_.push_back(&reader);
  note_asked(reader);
}

void Body::detach(BodyReader& reader) {
  std::lock_guard lock(mutex_);
  std::erase(readers_, &reader);
  if (transient_) progress_.wake();
}

void Body::unpin(Piece& piece) {
  std::lock_guard lock(mutex_);
  if (--piece.pins == 0 && transient_) progress_.wake();
}

void Body::go_transient(core::RemoteWaker::Handle progress) {
  std::lock_guard lock(mutex_);
  transient_ = true;
  progress_ = std::move(progress);
}

uint64_t Body::release_read() {
  std::lock_guard lock(mutex_);
  uint64_t least = UINT64_MAX;
  for (const BodyReader* reader : readers_) least = std::min(least, reader->position);
  while (released_ / piece_size_ < pieces_.size() && released_ + piece_size_ <= least) {
    Piece& piece = pieces_[released_ / piece_size_];
    if (!piece.whole || piece.pins > 0) break;
    segments().free(piece.slot);
    piece.allocated = piece.whole = false;
    present_.remove(released_, released_ + piece_size_);
    released_ += piece_size_;
  }
  return least;
}

Body::Look Body::look(BodyReader& reader, uint64_t position, View& view) {
  if (is_whole()) {
    if (position >= length_.load(std::memory_order_relaxed)) return Look::End;
    if (pieces_.empty()) {
      view.bytes = memory_.sub(position);
      view.last = memory_.size();
      return Look::Bytes;
    }
    const uint64_t index = position / piece_size_;
    view.piece = &pieces_[index];
    view.slot = view.piece->slot;
    view.last = index * piece_size_ + view.piece->length;
    return Look::File;
  }
  std::lock_guard lock(mutex_);
  reader.position = position;
  reader.waiting_at = BodyReader::kNowhere;
  if (position >= length_.load(std::memory_order_relaxed)) return Look::End;
  if (phase() == BodyPhase::Failed || position < released_) return Look::Failed;
  if (transient_) progress_.wake();
  view.last = present_.end_from(position);
  if (view.last == position) {
    if (phase() != BodyPhase::Filling) {
      view.last = present_.next_from(position, length_.load(std::memory_order_relaxed));
      return Look::Gap;
    }
    reader.waiting_at = position;
    if (&reader.loop != writer_loop_ && !reader.remote) reader.remote.emplace(reader.loop, reader.on_wake);
    return Look::Wait;
  }
  if (position < memory_size_) {
    view.last = std::min(view.last, memory_size_);
    view.bytes = memory_.sub(position, view.last - position);
    return Look::Bytes;
  }
  const uint64_t index = position / piece_size_;
  view.piece = &pieces_[index];
  view.slot = view.piece->slot;
  view.unverified = view.piece->unverified;
  view.last = std::min(view.last, (index + 1) * piece_size_);
  view.pinned = transient_ || length_.load(std::memory_order_relaxed) == kUnknown;
  if (view.pinned) ++view.piece->pins;
  return Look::File;
}

core::Error Body::error() const {
  std::lock_guard lock(mutex_);
  return error_;
}

// Under the lock, so that no reader can leave in between; neither way of waking calls back from here.
void Body::wake_readers(uint64_t first, uint64_t last) {
  for (BodyReader* reader : readers_) {
    if (reader->waiting_at < first || reader->waiting_at >= last) continue;
    reader->waiting_at = BodyReader::kNowhere;
    if (writer_loop_ == &reader->loop && writer_loop_->in_loop_thread()) {
      reader->wake.schedule(reader->on_wake);
    } else {
      if (!reader->remote) reader->remote.emplace(reader->loop, reader->on_wake);
      reader->remote->handle().wake();
    }
  }
}

bool Body::begin_filling(core::Loop& loop) {
  std::lock_guard lock(mutex_);
  if (phase() != BodyPhase::Partial) return false;
  writer_loop_ = &loop;
  error_ = {};
  for (const BodyReader* reader : readers_) note_asked(*reader);
  phase_.store(BodyPhase::Filling, std::memory_order_release);
  return true;
}

void Body::append_memory(uint64_t offset, std::string_view bytes) {
  const uint64_t end = offset + bytes.size();
  core::Slice block = memory_;
  if (end > block.size()) {
    // Exactly the content where its length is known; else grown by four, and cut to size at the end.
    const uint64_t length = length_.load(std::memory_order_relaxed);
    uint64_t capacity = std::max(block.size() * 4, kFirstMemory);
    while (capacity < end) capacity *= 4;
    capacity = std::min(length != kUnknown ? length : capacity, std::max(end, kMaxMemoryBody));
    core::BlockRef grown(core::Block::allocate(static_cast<uint32_t>(capacity)));
    if (!block.empty()) std::memcpy(grown.data(), block.data(), block.size());
    block = std::move(grown).freeze(capacity);
  }
  // Only what no reader has been shown yet is written: [offset, end) is not in present_.
  std::memcpy(const_cast<char*>(block.data()) + offset, bytes.data(), bytes.size());
  std::lock_guard lock(mutex_);
  memory_ = std::move(block);
  memory_size_ = std::max(memory_size_, end);
  present_.add(offset, end);
  wake_readers(offset, end);
}

core::Slice Body::memory_block() const {
  std::lock_guard lock(mutex_);
  return memory_;
}

void Body::use_pieces(uint64_t piece_size) {
  std::lock_guard lock(mutex_);
  piece_size_ = piece_size;
}

Piece& Body::piece(uint64_t index) {
  std::lock_guard lock(mutex_);
  while (pieces_.size() <= index) pieces_.emplace_back();
  return pieces_[index];
}

void Body::set_slot(Piece& piece, Slot slot) {
  std::lock_guard lock(mutex_);
  piece.slot = slot;
  piece.allocated = true;
  piece.renewed = piece.unverified = false;
}

void Body::piece_done(Piece& piece, uint32_t length, uint64_t checksum) {
  std::lock_guard lock(mutex_);
  piece.length = length;
  piece.checksum = checksum;
  piece.whole = true;
}

void Body::publish(uint64_t first, uint64_t last, uint32_t resident_until) {
  std::lock_guard lock(mutex_);
  pieces_[first / piece_size_].resident_until.store(resident_until, std::memory_order_relaxed);
  present_.add(first, last);
  wake_readers(first, last);
}

void Body::set_length(uint64_t length) {
  std::lock_guard lock(mutex_);
  length_.store(length, std::memory_order_release);
  wake_readers(length, BodyReader::kNowhere);
}

bool Body::complete() {
  std::lock_guard lock(mutex_);
  writer_loop_ = nullptr;
  if (phase() == BodyPhase::Failed) return false;
  if (!present_.covers(0, length_.load(std::memory_order_relaxed))) {  // a piece proved damaged meanwhile
    phase_.store(BodyPhase::Partial, std::memory_order_release);
    wake_readers(0, BodyReader::kNowhere);
    return false;
  }
  if (pieces_.empty()) {
    const uint64_t length = length_.load(std::memory_order_relaxed);
    memory_ = memory_.size() > length + length / 4 ? core::Slice::copy({memory_.data(), length}) : memory_.sub(0, length);
  } else {
    memory_ = {};
    memory_size_ = 0;
  }
  phase_.store(whole_phase(), std::memory_order_release);
  return true;
}

void Body::give_up(core::Error error, bool keep_partial) {
  std::lock_guard lock(mutex_);
  if (phase() != BodyPhase::Failed) {  // else found damaged meanwhile: its readers know
    error_ = error;
    phase_.store(keep_partial ? BodyPhase::Partial : BodyPhase::Failed, std::memory_order_release);
    wake_readers(0, BodyReader::kNowhere);
  }
  writer_loop_ = nullptr;
  asked_.clear();
  asked_more_ = {};
}

void Body::fail(core::Error error) {
  std::lock_guard lock(mutex_);
  error_ = error;
  phase_.store(BodyPhase::Failed, std::memory_order_release);
  wake_readers(0, BodyReader::kNowhere);
}

void Body::wanted(std::vector<uint64_t>& offsets) const {
  std::lock_guard lock(mutex_);
  for (const BodyReader* reader : readers_) offsets.push_back(reader->position);
  std::sort(offsets.begin(), offsets.end());
  offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
}

void Body::note_asked(const BodyReader& reader) {
  const uint64_t length = length_.load(std::memory_order_relaxed);
  if (piece_size_ == 0 || length == kUnknown || reader.position >= length) return;
  const uint64_t first = reader.position / piece_size_ * piece_size_;
  uint64_t last = std::min(reader.last, length);
  last = std::min((last + piece_size_ - 1) / piece_size_ * piece_size_, length);
  if (asked_.covers(first, last)) return;
  asked_.add(first, last);
  asked_more_.wake();
}

void Body::asked(std::vector<http::ByteRange>& ranges) const {
  std::lock_guard lock(mutex_);
  ranges.insert(ranges.end(), asked_.ranges().begin(), asked_.ranges().end());
}

void Body::watch_asked(core::RemoteWaker::Handle more) {
  std::lock_guard lock(mutex_);
  asked_more_ = std::move(more);
}

void Body::set_id(uint64_t id) { id_.store(id, std::memory_order_release); }

bool Body::describe(Record& record) const {
  std::lock_guard lock(mutex_);
  const uint64_t length = length_.load(std::memory_order_relaxed);
  if (length == kUnknown || length == 0 || piece_size_ == 0 || phase() == BodyPhase::Failed) return false;
  record.place = Place::Pieces;
  record.length = length;
  record.piece_size = static_cast<uint32_t>(piece_size_);
  record.pieces.assign((length + piece_size_ - 1) / piece_size_, {});
  bool any = false;
  for (size_t i = 0; i < record.pieces.size() && i < pieces_.size(); ++i) {
    const Piece& piece = pieces_[i];
    if (!piece.whole) continue;
    record.pieces[i] = {.slot = piece.slot, .length = piece.length, .checksum = piece.checksum};
    if (piece.unverified) record.flags |= Record::kUnverified;
    any = true;
  }
  return any;
}

void Body::mark_indexed(const Record& record) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < record.pieces.size() && i < pieces_.size(); ++i) {
    if (record.pieces[i].length > 0 && pieces_[i].allocated && pieces_[i].slot == record.pieces[i].slot) pieces_[i].indexed = true;
  }
}

void Body::orphan(std::vector<Slot>& slots) {
  std::lock_guard lock(mutex_);
  // In order, as the pieces are; what is not found is none of ours.
  size_t left = 0, next = 0;
  for (const Slot& slot : slots) {
    size_t at = next;
    while (at < pieces_.size() && !(pieces_[at].allocated && pieces_[at].slot == slot)) ++at;
    if (at == pieces_.size()) {
      slots[left++] = slot;
      continue;
    }
    pieces_[at].indexed = false;
    next = at + 1;
  }
  slots.resize(left);
}

size_t Body::memory_cost() const {
  std::lock_guard lock(mutex_);
  return core::heap_cost(sizeof(*this) + core::kSharedCost) + core::heap_cost(sizeof(http::ByteRange)) +
         core::heap_cost(sizeof(core::Block) + memory_.size()) +
         pieces_.size() * (core::heap_cost(sizeof(Piece)) + sizeof(void*));
}

std::shared_ptr<Body> LiveBodies::find(uint64_t id) const {
  std::lock_guard lock(mutex_);
  const auto found = bodies_.find(id);
  return found == bodies_.end() ? nullptr : found->second.lock();
}

std::shared_ptr<Body> LiveBodies::share(uint64_t id, std::shared_ptr<Body> body) {
  std::lock_guard lock(mutex_);
  std::weak_ptr<Body>& place = bodies_[id];
  if (std::shared_ptr<Body> other = place.lock()) return other;
  place = body;
  body->registered_ = true;
  return body;
}

void LiveBodies::forget(uint64_t id) {
  std::lock_guard lock(mutex_);
  const auto found = bodies_.find(id);
  // Another body may have taken the place since our last reference went.
  if (found != bodies_.end() && found->second.expired()) bodies_.erase(found);
}

}  // namespace tributary::cache
