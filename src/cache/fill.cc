#include "cache/fill.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "cache/fill_state.h"
#include "cache/residency.h"
#include "cache/store_core.h"

namespace tributary::cache {
namespace {

constexpr uint64_t kAllInFlight = uint64_t{64} << 20;  // what all fills together may hold in memory
constexpr uint64_t kTransientWindow = uint64_t{8} << 20;  // how far a transient body runs ahead of its slowest reader
constexpr std::chrono::milliseconds kCheckpoint{500};
constexpr size_t kGatherBelow = 16 * 1024;             // smaller writes are copied together
constexpr std::chrono::milliseconds kRetry{5};

}  // namespace

// What an offload thread needs to write some parts of one piece; owned with the closure, which may outlive the fill.
struct FillState::Batch {
  explicit Batch(Gate& gate) : pass(gate) {}
  Gate::Pass pass;             // first, so that it goes last
  std::shared_ptr<Body> body;  // keeps the slot
  int file = -1;
  std::optional<Slot> renew;   // not written before
  uint64_t slot_offset = 0;    // of the piece in the file
  uint64_t piece_first = 0;    // of the piece in the content
  std::vector<Pending> parts;
  uint64_t bytes = 0;
  std::shared_ptr<Checksum> sum;
  uint64_t summed = 0;
  uint64_t piece_length = 0;   // > 0: with these parts the piece is whole, give its checksum
  uint64_t checksum = 0;
  int error = 0;

  void run();
  bool write_from(size_t& part);
  void sum_file();
};

void FillState::Batch::run() {
  if (renew && (error = body->segments().renew(*renew)) != 0) return;
  for (size_t part = 0; part < parts.size();) {
    if (!write_from(part)) return;
  }
  for (const Pending& part : parts) {
    if (part.offset - piece_first != summed) continue;
    sum->add(part.bytes.view());
    summed += part.bytes.size();
  }
  parts.clear();  // the memory goes back here, not on the loop
  if (piece_length == 0) return;
  // Parts that came out of order are not in the running sum.
  if (summed == piece_length) {
    checksum = sum->value();
  } else {
    sum_file();
  }
}

// Writes a run of parts that follow each other with one call.
bool FillState::Batch::write_from(size_t& first) {
  constexpr size_t kMost = 64;
  iovec vectors[kMost];
  size_t count = 0;
  uint64_t end = parts[first].offset;
  while (count < kMost && first + count < parts.size() && parts[first + count].offset == end) {
    const core::Slice& part = parts[first + count].bytes;
    vectors[count++] = {const_cast<char*>(part.data()), part.size()};
    end += part.size();
  }
  uint64_t at = slot_offset + (parts[first].offset - piece_first);
  size_t done = 0;
  while (done < count) {
    ssize_t n = ::pwritev(file, vectors + done, static_cast<int>(count - done), static_cast<off_t>(at));
    if (n <= 0) {
      if (n < 0 && errno == EINTR) continue;
      error = n < 0 ? errno : EIO;
      return false;
    }
    at += static_cast<uint64_t>(n);
    while (done < count && static_cast<size_t>(n) >= vectors[done].iov_len) n -= static_cast<ssize_t>(vectors[done++].iov_len);
    if (done < count) {
      vectors[done].iov_base = static_cast<char*>(vectors[done].iov_base) + n;
      vectors[done].iov_len -= static_cast<size_t>(n);
    }
  }
  first += count;
  return true;
}

void FillState::Batch::sum_file() {
  Checksum whole;
  std::vector<char> buffer(std::min<uint64_t>(piece_length, 256 * 1024));
  for (uint64_t done = 0; done < piece_length;) {
    const ssize_t n = ::pread(file, buffer.data(), std::min<uint64_t>(buffer.size(), piece_length - done),
                              static_cast<off_t>(slot_offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error = n < 0 ? errno : EIO;
      return;
    }
    whole.add({buffer.data(), static_cast<size_t>(n)});
    done += static_cast<uint64_t>(n);
  }
  checksum = whole.value();
}

FillState::FillState(StoreCore& core, core::Loop& loop, FillList& list, Hash128 hash, ObjectRef object, bool resumed)
    : core_(core),
      loop_(loop),
      list_(list),
      hash_(hash),
      object_(std::move(object)),
      body_(object_->stored_body()),
      in_index_(resumed),
      retry_(loop),
      checkpoint_(loop) {
  next_ = list.first;
  link_ = &list.first;
  if (next_) next_->link_ = &next_;
  list.first = this;
  core_.fills.fetch_add(1, std::memory_order_relaxed);
  if (!resumed) body_->set_writer(loop);
  const std::optional<uint64_t> length = body_->length();
  if (resumed) {
    std::vector<http::ByteRange> present;
    body_->present(present);
    for (const http::ByteRange& range : present) accepted_.add(range.first, range.last);
    in_pieces_ = true;
  } else if (length && *length > kMaxMemoryBody) {
    body_->use_pieces(piece_size_for(length));
    in_pieces_ = true;
  }
  reserved_ = in_pieces_ ? *length : kMaxMemoryBody;
  core_.reserved.fetch_add(reserved_, std::memory_order_relaxed);
}

FillState::~FillState() { unlink(); }

void FillState::unlink() {
  if (!link_) return;
  *link_ = next_;
  if (next_) next_->link_ = link_;
  link_ = nullptr;
}

uint64_t FillState::piece_size_for(std::optional<uint64_t> length) {
  if (!length || *length < uint64_t{4} << 20) return slot_size(SlotClass::K256);
  return slot_size(*length <= uint64_t{1} << 30 ? SlotClass::M1 : SlotClass::M4);
}

void FillState::write(uint64_t offset, core::Slice bytes) {
  if (!phase_.is(FillPhase::Open)) return;
  const uint64_t length = body_->length().value_or(UINT64_MAX);
  const uint64_t last = offset + std::min<uint64_t>(bytes.size(), length - std::min(length, offset));
  if (last <= offset) return;
  if (!in_pieces_ && last > kMaxMemoryBody) leave_memory();
  if (!transient_ && (last > core_.max_object || !reserve(last))) go_transient();
  end_ = std::max(end_, last);
  std::vector<http::ByteRange> gaps;
  accepted_.for_each_gap(offset, last, [&](uint64_t a, uint64_t b) { gaps.push_back({a, b}); });
  for (const http::ByteRange& gap : gaps) take(gap.first, bytes.sub(gap.first - offset, gap.size()));
  if (in_pieces_) kick_all();
}

// A content of undeclared length claims its room as it comes. False: eviction could not make so much free.
bool FillState::reserve(uint64_t bytes) {
  constexpr uint64_t kStep = uint64_t{4} << 20;
  if (bytes <= reserved_) return true;
  const uint64_t more = (bytes - reserved_ + kStep - 1) / kStep * kStep;
  reserved_ += more;
  return core_.reserved.fetch_add(more, std::memory_order_relaxed) + more <= core_.segments->limit() / 4 * 3;
}

void FillState::take(uint64_t first, core::Slice bytes) {
  accepted_.add(first, first + bytes.size());
  if (!in_pieces_) {
    body_->append_memory(first, bytes.view());
    return;
  }
  count_in_flight(static_cast<int64_t>(bytes.size()));
  while (!bytes.empty()) {
    const uint64_t index = first / body_->piece_size();
    const uint64_t room = (index + 1) * body_->piece_size() - first;
    core::Slice part = bytes.sub(0, room);
    bytes.remove_prefix(part.size());
    const uint64_t size = part.size();
    to_piece(piece_writer(index), first, std::move(part));
    first += size;
  }
}

FillState::PieceWriter& FillState::piece_writer(uint64_t index) {
  std::unique_ptr<PieceWriter>& place = writers_[index];
  if (!place) {
    place = std::make_unique<PieceWriter>();
    place->fill = this;
    place->index = index;
    place->piece = &body_->piece(index);
    place->sum = std::make_shared<Checksum>();
  }
  return *place;
}

void FillState::to_piece(PieceWriter& writer, uint64_t offset, core::Slice bytes) {
  if (bytes.size() >= kGatherBelow) {
    flush_gather(writer);
    writer.pending.push_back({offset, std::move(bytes)});
    return;
  }
  while (!bytes.empty()) {
    if (writer.gather && (offset != writer.gather_offset + writer.gather_used ||
                          writer.gather_used == writer.gather.capacity())) {
      flush_gather(writer);
    }
    if (!writer.gather) {
      writer.gather = core_.blocks.take();
      writer.gather_offset = offset;
      writer.gather_used = 0;
    }
    const size_t n = std::min(bytes.size(), writer.gather.capacity() - writer.gather_used);
    std::memcpy(writer.gather.data() + writer.gather_used, bytes.data(), n);
    writer.gather_used += n;
    offset += n;
    bytes.remove_prefix(n);
  }
}

void FillState::flush_gather(PieceWriter& writer) {
  if (!writer.gather) return;
  writer.pending.push_back({writer.gather_offset, std::move(writer.gather).freeze(writer.gather_used)});
  writer.gather = {};
}

// More came than memory takes: from here on pieces. Readers go on finding what memory has there.
void FillState::leave_memory() {
  const RangeSet gathered = std::exchange(accepted_, {});
  in_pieces_ = true;
  body_->use_pieces(piece_size_for(body_->length()));
  const core::Slice memory = body_->memory_block();
  for (const http::ByteRange& range : gathered.ranges()) take(range.first, memory.sub(range.first, range.size()));
}

void FillState::go_transient() {
  transient_ = true;
  core_.refusals.note(hash_, {.reason = NotStorable::TooLarge, .status = object_->meta().status, .when = loop_.unix_now()});
  if (!object_->is_dead()) {
    core_.directory->withdraw(hash_, object_);
    core_.writer->erase(hash_, hash_variant(object_->variant()), 0);
  }
  progress_.emplace(loop_, core::Callback<void()>::to<&FillState::on_progress>(this));
  body_->go_transient(progress_->handle());
}

void FillState::on_progress() {
  window_first_ = std::min(body_->release_read(), end_);
  signal_room();
}

void FillState::asked(std::vector<http::ByteRange>& ranges) {
  if (!asked_ && phase_.is(FillPhase::Open)) {
    asked_.emplace(loop_, core::Callback<void()>::to<&FillState::on_asked>(this));
    body_->watch_asked(asked_->handle());
  }
  body_->asked(ranges);
}

void FillState::signal_room() {
  if (!room_wanted_ || !has_room()) return;
  room_wanted_ = false;
  if (room_) room_();
}

uint64_t FillState::piece_end(uint64_t index) const {
  return std::min((index + 1) * body_->piece_size(), body_->length().value_or(UINT64_MAX));
}

bool FillState::all_of_piece(uint64_t index) const {
  return accepted_.covers(index * body_->piece_size(), piece_end(index));
}

void FillState::kick_all() {
  for (auto writer = writers_.begin(); writer != writers_.end() && !phase_.is(FillPhase::Done);) {
    // kick may fail the whole fill, which drops writers.
    PieceWriter& each = *writer->second;
    ++writer;
    const FillPhase before = phase_.get();
    kick(each);
    if (phase_.get() != before) return;
  }
}

// Slots were made free, or the offload queue may have room again. The Fill may be gone by now.
void FillState::go_on() {
  const std::shared_ptr<FillState> alive = shared_from_this();
  kick_all();
  conclude();
}

void FillState::kick(PieceWriter& writer) {
  const bool whole = all_of_piece(writer.index);
  if (writer.batch || (writer.pending.empty() && !writer.gather && !whole)) return;
  Piece& piece = *writer.piece;
  const uint64_t first = writer.index * body_->piece_size();
  if (!piece.allocated) {
    Slot slot;
    if (!core_.segments->allocate(class_for(piece_end(writer.index) - first), slot)) {
      if (phase_.is(FillPhase::Failing)) {
        drop_pending();  // not worth waiting for
        return;
      }
      if (core_.segments->is_stuck()) {
        storage_failed({.code = core::ErrorCode::StorageFull});
        return;
      }
      if (!slots_) slots_.emplace(loop_, core::Callback<void()>::to<&FillState::go_on>(this));
      core_.segments->wait_for_room(slots_->handle());
      return;
    }
    body_->set_slot(piece, slot);
  }
  flush_gather(writer);
  auto batch = std::make_shared<Batch>(core_.jobs);
  batch->body = body_;
  batch->file = core_.segments->fd(piece.slot);
  batch->slot_offset = core_.segments->offset(piece.slot);
  if (!piece.renewed) batch->renew = piece.slot;
  batch->piece_first = first;
  batch->parts.swap(writer.pending);
  for (const Pending& part : batch->parts) batch->bytes += part.bytes.size();
  batch->sum = writer.sum;
  batch->summed = writer.summed;
  batch->piece_length = whole ? piece_end(writer.index) - first : 0;
  writer.ranges.clear();
  for (const Pending& part : batch->parts) writer.ranges.push_back({part.offset, part.offset + part.bytes.size()});
  writer.job = core_.offload.submit(loop_, [batch] { batch->run(); },
                                    core::Callback<void()>::to<&PieceWriter::on_done>(&writer));
  if (!writer.job) {
    batch->parts.swap(writer.pending);
    if (!retry_.is_running()) retry_.start(kRetry, core::Callback<void()>::to<&FillState::go_on>(this));
    return;
  }
  piece.renewed = true;
  writer.batch = std::move(batch);
  if (!self_) self_ = shared_from_this();
}

void FillState::on_written(PieceWriter& writer) {
  const std::shared_ptr<FillState> alive = self_;
  const std::shared_ptr<Batch> batch = std::move(writer.batch);
  writer.batch.reset();
  writer.summed = batch->summed;
  count_in_flight(-static_cast<int64_t>(batch->bytes));
  if (batch->error == 0) {
    const uint32_t until = residency_second(loop_.now()) + kResidentSeconds;
    if (batch->piece_length > 0) {
      body_->piece_done(*writer.piece, static_cast<uint32_t>(batch->piece_length), batch->checksum);
    }
    for (const http::ByteRange& range : writer.ranges) body_->publish(range.first, range.last, until);
    if (batch->piece_length > 0) {
      writers_.erase(uint64_t{writer.index});
      if (!checkpoint_.is_running()) {
        checkpoint_.start(kCheckpoint, core::Callback<void()>::to<&FillState::checkpoint>(this));
      }
    } else {
      kick(writer);
    }
  } else {
    for (const http::ByteRange& range : writer.ranges) accepted_.remove(range.first, range.last);
    storage_failed({.code = core::ErrorCode::StorageIo, .sys = batch->error});
  }
  if (transient_) window_first_ = std::min(body_->release_read(), end_);
  conclude();
  signal_room();
}

void FillState::count_in_flight(int64_t bytes) {
  in_flight_ += static_cast<uint64_t>(bytes);
  core_.in_flight.fetch_add(static_cast<uint64_t>(bytes), std::memory_order_relaxed);
}

bool FillState::has_room() const {
  if (!phase_.is(FillPhase::Open)) return true;
  // A fill that holds nothing may always go on, so that the common limit cannot stop everybody.
  const bool room = !(transient_ && end_ - window_first_ > kTransientWindow) &&
                    in_flight_ < (room_wanted_ ? Fill::kMaxInFlight / 2 : Fill::kMaxInFlight) &&
                    (in_flight_ == 0 || core_.in_flight.load(std::memory_order_relaxed) < kAllInFlight);
  if (!room) room_wanted_ = true;
  return room;
}

void FillState::finish(uint64_t length) {
  if (!phase_.is(FillPhase::Open)) return;
  const std::optional<uint64_t> declared = body_->length();
  if ((declared && *declared != length) || !accepted_.covers(0, length)) {
    fail({.code = core::ErrorCode::IncompleteMessage, .side = core::Side::Origin}, true);
    return;
  }
  phase_.become(FillPhase::Finishing);
  self_ = shared_from_this();  // what waits for a slot or a job has nobody else
  if (!declared) body_->set_length(length);
  if (in_pieces_) {
    // Pieces of a resumed body whose bytes had all come, but that nobody summed up.
    for (uint64_t index = window_first_ / body_->piece_size(); index * body_->piece_size() < length; ++index) {
      const bool is_ours = writers_.contains(index) || body_->has(index * body_->piece_size(), piece_end(index));
      if (is_ours && !body_->piece(index).whole) piece_writer(index);  // one that proved damaged meanwhile is not
    }
    kick_all();
  }
  conclude();
}

void FillState::storage_failed(core::Error error) {
  core_.writer->report_error(error);
  keep_ = false;
  drop_pending();
  fail(error, false);
}

void FillState::fail(core::Error error, bool keep) {
  if (!phase_.is(FillPhase::Open) && !phase_.is(FillPhase::Finishing)) return;
  phase_.become(FillPhase::Failing);
  const std::shared_ptr<FillState> alive = self_ = shared_from_this();
  error_ = error;
  keep_ = keep && is_keepable();
  // What came is written yet when it is to be kept.
  if (keep_) {
    kick_all();
  } else {
    drop_pending();
  }
  conclude();
}

// Whether a part of it is worth a record: it can be completed under If-Range later (RFC 9110 13.1.5).
bool FillState::is_keepable() const {
  return in_pieces_ && !transient_ && body_->length() && object_->meta().can_be_completed();
}

// Whose content it is by now: a 304 may have given it another head since (WorkerCache::refresh). Null: nobody's any more.
ObjectRef FillState::holder() const {
  return object_->is_dead() ? core_.directory->holder(hash_, *body_) : object_;
}

// What is there of a long fill is committed from time to time, so that a crash costs no more than the last moment (P-10).
void FillState::checkpoint() {
  if (!phase_.is(FillPhase::Open) || !is_keepable()) return;
  const ObjectRef object = holder();
  if (!object) return;
  in_index_ = true;
  core_.directory->pin(hash_, object->key());
  core_.commit(hash_, object);
}

void FillState::drop_pending() {
  for (auto& [index, writer] : writers_) {
    flush_gather(*writer);
    for (const Pending& part : writer->pending) {
      count_in_flight(-static_cast<int64_t>(part.bytes.size()));
      accepted_.remove(part.offset, part.offset + part.bytes.size());  // else its piece would look whole
    }
    writer->pending.clear();
  }
}

// The last step, once nothing is in flight.
void FillState::conclude() {
  if (phase_.is(FillPhase::Finishing)) {
    if (!writers_.empty()) return;
    if (transient_) {
      // What its readers have yet to read stays until they are through; nobody else can find it.
      body_->give_up({.code = core::ErrorCode::LimitReached}, true);
      core_.directory->unpin(hash_);
    } else if (body_->complete() || (body_->is_partial() && is_keepable())) {
      const ObjectRef object = holder();
      core_.commit(hash_, object ? object : object_);  // of a dead one the writer only takes note that it is done with
    } else {
      if (body_->is_partial()) core_.drop(object_);
      core_.directory->unpin(hash_);
    }
    done();
    return;
  }
  if (!phase_.is(FillPhase::Failing)) return;
  for (const auto& [index, writer] : writers_) {
    if (writer->batch || writer->gather || !writer->pending.empty()) return;
  }
  Record record;
  keep_ = keep_ && body_->describe(record);
  body_->give_up(error_, keep_);
  if (const ObjectRef object = keep_ ? holder() : nullptr) {
    core_.commit(hash_, object);
  } else {
    const bool was_dead = object_->is_dead();  // nobody's any more: what is there is for those who read it
    core_.directory->remove(hash_, object_);
    // Without an id no record was made of it: of a dead one none will be, and the name is another's.
    if (in_index_ && !(was_dead && body_->id() == 0)) {
      core_.writer->erase(hash_, hash_variant(object_->variant()), body_->id());
    } else {
      core_.directory->unpin(hash_);
    }
  }
  done();
}

void FillState::done() {
  phase_.become(FillPhase::Done);
  writers_.clear();
  slots_.reset();
  progress_.reset();
  asked_.reset();
  retry_.stop();
  checkpoint_.stop();
  core_.reserved.fetch_sub(reserved_, std::memory_order_relaxed);
  core_.fills.fetch_sub(1, std::memory_order_relaxed);
  unlink();
  self_.reset();
}

void FillState::abandon() {
  const std::shared_ptr<FillState> alive = shared_from_this();
  fail({.code = core::ErrorCode::ShuttingDown}, true);
  if (phase_.is(FillPhase::Done)) return;
  drop_pending();
  for (auto& [index, writer] : writers_) {
    if (!writer->batch) continue;
    count_in_flight(-static_cast<int64_t>(writer->batch->bytes));
    writer->job.cancel();
    writer->batch.reset();
  }
  conclude();
}

Fill::Fill(std::shared_ptr<FillState> state, ObjectRef object) : state_(std::move(state)), object_(std::move(object)) {}

Fill::~Fill() {
  state_->set_room({});
  state_->fail_if_open({.code = core::ErrorCode::Cancelled});
}

void Fill::write(uint64_t offset, core::Slice bytes) { state_->write(offset, std::move(bytes)); }
bool Fill::has_room() const { return state_->has_room(); }
void Fill::set_room_callback(core::Callback<void()> room) { state_->set_room(room); }
void Fill::wanted(std::vector<uint64_t>& offsets) const { state_->body().wanted(offsets); }
void Fill::asked(std::vector<http::ByteRange>& ranges) { state_->asked(ranges); }
void Fill::present(std::vector<http::ByteRange>& ranges) const {
  const std::vector<http::ByteRange>& accepted = state_->accepted().ranges();
  ranges.insert(ranges.end(), accepted.begin(), accepted.end());
}
void Fill::finish(uint64_t length) { state_->finish(length); }
void Fill::fail(core::Error error) { state_->fail_if_open(error); }
void Fill::discard(core::Error error) { state_->fail(error, false); }

}  // namespace tributary::cache
